/* data/import_rows_npy.c: rows of an .npy matrix; the item keys are row numbers, or the lines of a file of keys. */
#include <stdio.h>
#include <string.h>

#include "data/import_parts.h"

static medley_status rows_npy_open(import_reader *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(npy_open(&r->npy, r->in, r->part->path, err));
  if (!stream_compressed(r->in) && stream_size(r->in) > 0) TRY(npy_length_check(&r->npy, stream_size(r->in), err));
  if (r->options->keys == NULL) goto done;
  TRY(stream_open(r->options->keys, &r->keys_stream, err));
  line_reader_init(&r->keys, r->keys_stream, false, STORE_KEY_MAX * 4);
done:
  return status;
}

static medley_status key_take(import_reader *r, import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *key = NULL, number[24];
  size_t length;
  snprintf(number, sizeof number, "%llu", (unsigned long long)r->npy.next - 1);
  if (r->options->keys != NULL) {
    TRY(line_next(&r->keys, &key, &length, err));
    if (key == NULL)
      FAIL(err, MEDLEY_ERR_INPUT, "'%s' has %s keys, '%s' has %llu rows", r->options->keys, number, r->part->path,
           (unsigned long long)r->npy.rows);
  }
  d->value[FIELD_ITEM] = arena_strdup(d->memory, key ? string_trim(key) : number);
  if (d->value[FIELD_ITEM] == NULL) status = error_memory(err, "a key");
done:
  return status;
}

static medley_status rows_npy_next(import_reader *r, import_draft *d, bool *more, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const float *values;
  TRY(npy_next(&r->npy, &values, err));
  *more = values != NULL;
  if (!*more) goto done;
  draft_reset(d, r->npy.next);
  d->vector = values;
  d->vector_dim = r->npy.dim;
  TRY(key_take(r, d, err));
done:
  return status;
}

static void rows_npy_close(import_reader *r) {
  npy_close(&r->npy);
  line_reader_deinit(&r->keys);
  stream_close(r->keys_stream);
}

static void rows_npy_describe(const import_reader *r, const import_draft *d, strbuf *out) {
  (void)r;
  strbuf_append_json(out, d->value[FIELD_ITEM] ? d->value[FIELD_ITEM] : "");
}

const import_reader_kind import_rows_npy = {
    .open = rows_npy_open, .next = rows_npy_next, .close = rows_npy_close, .describe = rows_npy_describe};
