/* learn/represent_kept.c: raw vectors that the store keeps between runs. See learn/represent_parts.h. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "learn/represent_parts.h"
#include "math/vector.h"

/* Vectors per transaction, or seconds of work if that is sooner: a kill costs at most these. A commit costs a sync to
 * disk, in which time a fast encoder makes some hundred vectors. */
#define STORE_BATCH 256
#define STORE_INTERVAL_S 1.0

bool kept_vectors_apply(const representation_part *part) {
  /* The words of a text are counted faster than a vector is read back from disk. */
  return !part->kind->needs_fit && (part->modality != MODALITY_TEXT || part->kind->needs_file);
}

medley_status kept_vectors_init(kept_vectors *k, const represent_run *run, const representation_part *part,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t count = run->items->count;
  *k = (kept_vectors){.run = run, .part = part, .dim = part->kind->dim(part->encoder), .flushed_s = clock_now_s()};
  /* One name may stand for kinds of several modalities (clip). */
  snprintf(k->space, sizeof k->space, part->kind->needs_file ? "%s/%s" : "%.0s%s", modality_name(part->modality),
           part->kind->name);
  TRY_NEW(k->signatures, (size_t)count * HASH_BYTES, "signatures");
  TRY_NEW(k->rows, (size_t)count * k->dim, "vectors");
  TRY_NEW(k->known, count, "vectors");
  TRY_NEW(k->fresh, count, "vectors");
done:
  return status;
}

void kept_vectors_deinit(kept_vectors *k) {
  mem_free(k->signatures);
  mem_free(k->rows);
  mem_free(k->known);
  mem_free(k->fresh);
  *k = (kept_vectors){0};
}

void kept_vectors_identity(const kept_vectors *k, strbuf *out) {
  strbuf_printf(out, "%s/%u", k->part->kind->name, k->part->kind->version);
  if (k->part->kind->identity != NULL)
    k->part->kind->identity(k->part->encoder, out);
  else if (k->part->model[0] != '\0')
    strbuf_printf(out, "/%s", k->part->model);
  if (k->part->kind->prepare != NULL || k->part->modality != MODALITY_TEXT)
    preparation_sign(k->run->prepare, k->part->modality, out);
}

static medley_status kept_vector_take(void *context, const store_vector *vector, medley_error *err) {
  (void)err;
  kept_vectors *k = context;
  const int64_t *index = intmap_get(&k->run->items->index, vector->item_id);
  if (index == NULL || vector->dim != k->dim) return MEDLEY_OK;
  if (memcmp(vector->content_hash, k->signatures + (size_t)*index * HASH_BYTES, HASH_BYTES) != 0) return MEDLEY_OK;
  float *row = k->rows + (size_t)*index * k->dim;
  if (vector->dtype == STORE_F16)
    float_from_half(row, vector->values, k->dim);
  else
    memcpy(row, vector->values, k->dim * sizeof *row);
  k->known[*index] = 1;
  return MEDLEY_OK;
}

medley_status kept_vectors_load(kept_vectors *k, medley_error *err) {
  if (k->run->options->fresh || !kept_vectors_apply(k->part)) return MEDLEY_OK;
  return k->run->kind->each_vector(k->run->store, k->space, kept_vector_take, k, err);
}

medley_status kept_vectors_flush(kept_vectors *k, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const store_kind *kind = k->run->kind;
  bool open = false;
  if (k->fresh_count == 0) return MEDLEY_OK;
  TRY(kind->begin(k->run->store, err));
  open = true;
  for (size_t i = 0; i < k->fresh_count; i++) {
    uint32_t item = k->fresh[i];
    store_vector vector = {.item_id = k->run->items->items[item].id,
                           .content_hash = k->signatures + (size_t)item * HASH_BYTES,
                           .dtype = STORE_F32,
                           .dim = (uint32_t)k->dim,
                           .values = k->rows + (size_t)item * k->dim};
    TRY(kind->put_vector(k->run->store, k->space, &vector, err));
  }
  open = false;
  TRY(kind->commit(k->run->store, err));
  k->fresh_count = 0;
  k->flushed_s = clock_now_s();
done:
  if (open) kind->rollback(k->run->store);
  return status;
}

medley_status kept_vectors_put(kept_vectors *k, uint32_t item, medley_error *err) {
  k->known[item] = 1;
  if (!kept_vectors_apply(k->part)) return MEDLEY_OK;
  k->fresh[k->fresh_count++] = item;
  bool due = k->fresh_count >= STORE_BATCH || clock_now_s() - k->flushed_s > STORE_INTERVAL_S;
  return due ? kept_vectors_flush(k, err) : MEDLEY_OK;
}
