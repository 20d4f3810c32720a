/* encode/text_golden.c: see encode/text_golden.h. */
#include "encode/text_golden.h"

#include <string.h>

#include "base/memory.h"

void text_golden_deinit(text_golden *g) {
  mem_free(g->ids);
  mem_free(g->mask);
  mem_free(g->packed);
  mem_free(g->starts);
  mem_free(g->segments);
  *g = (text_golden){0};
}

static medley_status golden_pack(text_golden *g, size_t vocabulary, size_t tokens_max, medley_error *err) {
  size_t samples = (size_t)g->shape[0], length = (size_t)g->shape[1], rows = 0;
  for (size_t s = 0; s < samples; s++) {
    size_t begin = rows;
    g->starts[s] = (int32_t)rows;
    for (size_t i = s * length; i < (s + 1) * length; i++) {
      if (g->mask != NULL && g->mask[i] == 0) continue;
      if (!(g->ids[i] >= 0 && g->ids[i] < (float)vocabulary))
        return error_set(err, MEDLEY_ERR_INPUT, "input_ids: %g in sample %zu: the network has ids below %zu", g->ids[i],
                         s, vocabulary);
      g->packed[rows++] = (int32_t)g->ids[i];
    }
    if (rows == begin || rows - begin > tokens_max)
      return error_set(err, MEDLEY_ERR_INPUT, "input_ids: sample %zu has %zu tokens, not 1 to %zu", s, rows - begin,
                       tokens_max);
  }
  g->starts[samples] = (int32_t)rows;
  g->batch = (text_batch){samples, rows, g->packed, g->segments, g->starts};
  return MEDLEY_OK;
}

medley_status text_golden_load(text_golden *g, const safetensors *file, size_t vocabulary, size_t tokens_max,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  *g = (text_golden){.file = file};
  TRY(golden_read(file, "input_ids", 2, (uint64_t[]){0, 0}, &g->ids, g->shape, err));
  if (safetensors_get(file, "attention_mask") != NULL)
    TRY(golden_read(file, "attention_mask", 2, g->shape, &g->mask, NULL, err));
  size_t count = (size_t)(g->shape[0] * g->shape[1]);
  if (count > INT32_MAX) FAIL(err, MEDLEY_ERR_LIMIT, "input_ids: %zu tokens are too many", count);
  TRY_NEW(g->packed, count, "tokens");
  TRY_NEW(g->segments, count, "tokens");
  TRY_NEW(g->starts, g->shape[0] + 1, "tokens");
  TRY(golden_pack(g, vocabulary, tokens_max, err));
done:
  if (status != MEDLEY_OK) text_golden_deinit(g);
  return status;
}

medley_status text_golden_vectors(const text_golden *g, tape *t, text_batch_run *run, const void *network, size_t dim,
                                  const char *name, golden_report *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *out = NULL;
  if (safetensors_get(g->file, name) == NULL) return MEDLEY_OK;
  TRY_NEW(out, g->batch.samples * dim, "outputs");
  run(t, network, &g->batch, out);
  TRY(tape_status(t, err));
  TRY(golden_compare(report, g->file, name, out, g->batch.samples * dim, err));
done:
  mem_free(out);
  return status;
}

medley_status text_golden_rows(const text_golden *g, const float *rows, size_t width, const char *name,
                               golden_report *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = (size_t)(g->shape[0] * g->shape[1]);
  float *out = NULL;
  if (safetensors_get(g->file, name) == NULL) return MEDLEY_OK;
  TRY_NEW(out, count * width, "outputs");
  for (size_t i = 0, row = 0; i < count; i++)
    if (g->mask == NULL || g->mask[i] != 0) memcpy(out + i * width, rows + row++ * width, width * sizeof *out);
  TRY(golden_compare(report, g->file, name, out, count * width, err));
done:
  mem_free(out);
  return status;
}
