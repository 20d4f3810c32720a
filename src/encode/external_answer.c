/* encode/external_answer.c: what a service answers, taken as a stranger's bytes. See encode/external.h. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "encode/external.h"

#define REASON_MAX 200
#define NUMBER_BYTES 32   /* of a number with its comma, generously */
#define ENTRY_BYTES 1024  /* of what stands around a vector */
#define DIM_ASSUMED 16384 /* when nobody knows yet */
#define ANSWER_MAX ((size_t)256 << 20)

size_t external_answer_limit(size_t count, size_t dim) {
  size_t each = ENTRY_BYTES + NUMBER_BYTES * (dim > 0 ? dim : DIM_ASSUMED), limit = 65536 + count * each;
  return limit < ANSWER_MAX ? limit : ANSWER_MAX;
}

/* ---- vectors ---- */

static medley_status vector_read(const json_t *list, size_t index, size_t dim, float *out, medley_error *err) {
  if (json_array_size(list) != dim)
    return error_set(err, MEDLEY_ERR_INPUT, "vector %zu has %zu dimensions, expected %zu", index, json_array_size(list),
                     dim);
  for (size_t d = 0; d < dim; d++) {
    const json_t *number = json_array_get(list, d);
    out[d] = json_is_number(number) ? (float)json_number_value(number) : NAN;
    if (!isfinite(out[d]))
      return error_set(err, MEDLEY_ERR_INPUT, "value %zu of vector %zu is no finite number", d, index);
  }
  return MEDLEY_OK;
}

/* The place of an entry: its index, or where it stands when it has none. */
static medley_status entry_place(const json_t *entry, size_t position, size_t count, size_t *place, medley_error *err) {
  const json_t *index = json_object_get(entry, "index");
  json_int_t value = index ? json_integer_value(index) : (json_int_t)position;
  if (!json_is_object(entry) || !json_is_array(json_object_get(entry, "embedding")))
    return error_set(err, MEDLEY_ERR_INPUT, "entry %zu of data has no list 'embedding'", position);
  if ((index != NULL && !json_is_integer(index)) || value < 0 || (size_t)value >= count)
    return error_set(err, MEDLEY_ERR_INPUT, "entry %zu of data has an index that is no whole number below %zu",
                     position, count);
  *place = (size_t)value;
  return MEDLEY_OK;
}

static medley_status data_read(const json_t *data, size_t count, size_t *dim, float **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *seen = NULL;
  size_t place = 0;
  if (!json_is_array(data)) FAIL(err, MEDLEY_ERR_INPUT, "there is no list 'data' in it");
  if (json_array_size(data) != count)
    FAIL(err, MEDLEY_ERR_INPUT, "%zu vectors for %zu texts", json_array_size(data), count);
  if (*dim == 0) *dim = json_array_size(json_object_get(json_array_get(data, 0), "embedding"));
  if (*dim == 0 || *dim > EXTERNAL_DIM_MAX)
    FAIL(err, MEDLEY_ERR_INPUT, "vectors of %zu dimensions, expected 1 to %d", *dim, EXTERNAL_DIM_MAX);
  TRY_NEW(seen, count, "vectors");
  TRY_NEW(*out, count * *dim, "vectors");
  for (size_t i = 0; i < count; i++) {
    const json_t *entry = json_array_get(data, i);
    TRY(entry_place(entry, i, count, &place, err));
    if (seen[place]++) FAIL(err, MEDLEY_ERR_INPUT, "two vectors of index %zu", place);
    TRY(vector_read(json_object_get(entry, "embedding"), place, *dim, *out + place * *dim, err));
  }
done:
  mem_free(seen);
  return status;
}

medley_status external_answer_read(const char *body, size_t length, size_t count, size_t *dim, float **out,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *value = NULL;
  *out = NULL;
  TRY(json_parse(body, length, "the answer", &value, err));
  TRY(data_read(json_object_get(value, "data"), count, dim, out, err));
done:
  if (status != MEDLEY_OK) {
    mem_free(*out);
    *out = NULL;
  }
  json_decref(value);
  return status;
}

/* ---- reasons ---- */

void external_answer_reason(const char *body, size_t length, strbuf *out) {
  static const char *const members[] = {"message", "error", "detail", "error_message"};
  json_t *value = NULL;
  const char *text = NULL;
  if (json_parse(body, length, "an answer", &value, NULL) == MEDLEY_OK) {
    const json_t *inner = json_is_object(json_object_get(value, "error")) ? json_object_get(value, "error") : value;
    for (size_t i = 0; i < sizeof members / sizeof *members && text == NULL; i++)
      text = json_member_string(inner, members[i], NULL);
  }
  size_t taken = text ? strlen(text) : 0;
  if (taken > REASON_MAX)
    for (taken = REASON_MAX; taken > 0 && ((unsigned char)text[taken] & 0xC0) == 0x80;) taken--;
  for (size_t i = 0; i < taken; i++) strbuf_append_char(out, (unsigned char)text[i] < 0x20 ? ' ' : text[i]);
  json_decref(value);
}
