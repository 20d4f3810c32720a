/* What a worker that a hostile file has taken over may send to its pool. The first byte chooses what was asked for. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "media/worker_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  request_head asked = {.kind = MODALITY_IMAGE + data[0] % 3,
                        .image_side = 16,
                        .sound_rate_hz = 8000,
                        .frame_max = 4,
                        .limits = {.sound_s = 1}};
  media_sample sample;
  if (reply_parse(data + 1, size - 1, &asked, &sample, NULL) != MEDLEY_OK) return 0;
  /* What was accepted is written back as the same bytes. */
  uint8_t *bytes;
  size_t length;
  if (reply_encode(&sample, &bytes, &length, NULL) == MEDLEY_OK && length != size - 1) abort();
  mem_free(bytes);
  media_sample_deinit(&sample);
  return 0;
}
