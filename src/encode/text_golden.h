/* encode/text_golden.h: golden files of text networks: input_ids and attention_mask [samples, length], 1 where there is
 * a token (no mask: everywhere); what comes of them is compared by name. */
#ifndef ENCODE_TEXT_GOLDEN_H
#define ENCODE_TEXT_GOLDEN_H

#include "encode/text_batch.h"

typedef struct text_golden {
  const safetensors *file;
  float *ids, *mask;
  int32_t *packed, *starts;
  uint8_t *segments;
  uint64_t shape[2];
  text_batch batch; /* the same packed */
} text_golden;

/* Refused: ids that the network has no row for, samples of no or too many tokens. */
medley_status text_golden_load(text_golden *g, const safetensors *file, size_t vocabulary, size_t tokens_max,
                               medley_error *err) MEDLEY_CHECK;
void text_golden_deinit(text_golden *g);
/* Vectors [samples, dim] of `run` beside the tensor `name`, when the file has it. */
medley_status text_golden_vectors(const text_golden *g, tape *t, text_batch_run *run, const void *network, size_t dim,
                                  const char *name, golden_report *report, medley_error *err) MEDLEY_CHECK;
/* rows [batch.rows, width] beside the tensor `name` [samples, length, width], which has zeros at padding. */
medley_status text_golden_rows(const text_golden *g, const float *rows, size_t width, const char *name,
                               golden_report *report, medley_error *err) MEDLEY_CHECK;

#endif
