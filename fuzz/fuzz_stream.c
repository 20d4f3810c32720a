/* Any bytes as a plain, gzip or zstd file, read in odd pieces; at most 16 MiB come out, as a bomb would never end. */
#include "data/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  stream *in = NULL;
  medley_error error;
  char piece[977];
  size_t got = 1, total = 0;
  if (stream_open_memory("fuzz", data, size, &in, &error) != MEDLEY_OK) return 0;
  while (got > 0 && total < (size_t)16 << 20 && stream_read(in, piece, sizeof piece, &got, &error) == MEDLEY_OK)
    total += got;
  stream_close(in);
  line_reader lines;
  char *line = piece;
  size_t length;
  if (stream_open_memory("fuzz", data, size, &in, &error) != MEDLEY_OK) return 0;
  line_reader_init(&lines, in, size % 2 == 0, 100000);
  for (int i = 0; i < 10000 && line != NULL; i++)
    if (line_next(&lines, &line, &length, &error) != MEDLEY_OK) break;
  line_reader_deinit(&lines);
  stream_close(in);
  return 0;
}
