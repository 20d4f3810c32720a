/* Vectors of many texts by a published model, for comparing them with a reference in another process
 * (tests/long/test_text_encoders.py).
 *
 *     text_vectors KIND FOLDER < LINES > FLOATS      a text a line; float32, a row a text */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "encode/encoder.h"

static medley_status lines_read(char ***lines, size_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *line = NULL;
  size_t length = 0, capacity = 0;
  for (ssize_t got; (got = getline(&line, &length, stdin)) >= 0;) {
    if (got > 0 && line[got - 1] == '\n') line[got - 1] = '\0';
    TRY_GROW(*lines, capacity, *count + 1, "lines");
    if (((*lines)[*count] = mem_strdup(line)) == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a line");
    ++*count;
  }
done:
  free(line);
  return status;
}

static medley_status run(const encoder_kind *kind, const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL;
  char **lines = NULL;
  size_t count = 0;
  float *out = NULL;
  encoder_input *inputs = NULL;
  TRY(lines_read(&lines, &count, err));
  TRY(kind->open(folder, &e, err));
  TRY_NEW(out, count * kind->dim(e), "vectors");
  TRY_NEW(inputs, count, "texts");
  for (size_t i = 0; i < count; i++) inputs[i] = (encoder_input){.text = lines[i]};
  TRY(kind->encode(e, inputs, count, out, err));
  if (fwrite(out, sizeof *out, count * kind->dim(e), stdout) != count * kind->dim(e))
    FAIL(err, MEDLEY_ERR_IO, "standard output cannot be written");
done:
  for (size_t i = 0; i < count; i++) mem_free(lines[i]);
  mem_free(lines);
  mem_free(inputs);
  mem_free(out);
  if (e != NULL) kind->free(e);
  return status;
}

int main(int argc, char **argv) {
  medley_error error = {0};
  const encoder_kind *kind = argc == 3 ? encoder_kind_for(MODALITY_TEXT, argv[1]) : NULL;
  if (kind == NULL || !kind->needs_file) {
    fprintf(stderr, "usage: text_vectors KIND FOLDER < LINES > FLOATS\n");
    return 2;
  }
  if (run(kind, argv[2], &error) == MEDLEY_OK) return 0;
  fprintf(stderr, "text_vectors: %s\n", error.text);
  return 1;
}
