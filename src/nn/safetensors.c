/* nn/safetensors.c: see nn/safetensors.h.
 *
 * The header is checked as a whole before any tensor is handed out: a file that lies about one tensor is refused
 * entirely, because nobody can say what else is wrong with it. */
#include "nn/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static tensor_dtype dtype_find(const char *name) {
  for (int i = 0; i < SAFETENSORS_DTYPE_COUNT; i++)
    if (strcmp(dtype_name((tensor_dtype)i), name) == 0) return (tensor_dtype)i;
  return DTYPE_COUNT;
}

/* ---- reading ---- */

static medley_status view_read_shape(tensor_view *view, const json_t *shape, const char *path, medley_error *err) {
  if (!json_is_array(shape) || json_array_size(shape) > TENSOR_VIEW_RANK_MAX)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: tensor '%s' needs a shape of at most %d dimensions", path, view->name,
                     TENSOR_VIEW_RANK_MAX);
  view->rank = (int)json_array_size(shape);
  view->count = 1;
  for (int i = 0; i < view->rank; i++) {
    const json_t *size = json_array_get(shape, (size_t)i);
    if (!json_is_integer(size) || json_integer_value(size) < 0)
      return error_set(err, MEDLEY_ERR_INPUT, "%s: tensor '%s' has a size that is no count", path, view->name);
    view->shape[i] = (uint64_t)json_integer_value(size);
    if (__builtin_mul_overflow(view->count, view->shape[i], &view->count))
      return error_set(err, MEDLEY_ERR_INPUT, "%s: the sizes of tensor '%s' overflow", path, view->name);
  }
  return MEDLEY_OK;
}

static medley_status view_read(tensor_view *view, const char *name, const json_t *entry, const unsigned char *data,
                               uint64_t data_length, const char *path, medley_error *err) {
  view->name = name;
  const char *dtype = json_member_string(entry, "dtype", "?");
  view->dtype = dtype_find(dtype);
  if (view->dtype == DTYPE_COUNT)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: tensor '%s' has the unknown dtype '%s'", path, name, dtype);
  medley_status status = view_read_shape(view, json_object_get(entry, "shape"), path, err);
  if (status != MEDLEY_OK) return status;
  const json_t *offsets = json_object_get(entry, "data_offsets");
  const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
      json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin) ||
      (uint64_t)json_integer_value(end) > data_length)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: tensor '%s' lies outside the file's %" PRIu64 " data bytes", path,
                     name, data_length);
  uint64_t found = (uint64_t)(json_integer_value(end) - json_integer_value(begin));
  if (!dtype_bytes(view->dtype, view->count, &view->bytes))
    return error_set(err, MEDLEY_ERR_INPUT, "%s: the sizes of tensor '%s' overflow", path, name);
  if (view->bytes != found)
    return error_set(err, MEDLEY_ERR_INPUT,
                     "%s: tensor '%s' has %" PRIu64 " bytes of data, its shape and dtype need %" PRIu64, path, name,
                     found, view->bytes);
  view->data = data + json_integer_value(begin);
  return MEDLEY_OK;
}

static int view_compare(const void *a, const void *b) {
  const tensor_view *x = a, *y = b;
  if (x->data != y->data) return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
  return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* Sorted by data: each tensor must begin where the one before ends, the first at 0, the last at the end of the file. */
static medley_status views_check_layout(const safetensors *s, const unsigned char *data, uint64_t data_length,
                                        medley_error *err) {
  const unsigned char *expected = data;
  for (size_t i = 0; i < s->count; i++) {
    const tensor_view *view = &s->tensors[i];
    if ((const unsigned char *)view->data != expected)
      return error_set(
          err, MEDLEY_ERR_INPUT, "%s: the data of tensor '%s' %s", s->path, view->name,
          (const unsigned char *)view->data < expected ? "overlap another tensor's" : "leave a gap before them");
    expected += view->bytes;
  }
  if (expected != data + data_length)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: %" PRIu64 " bytes at the end belong to no tensor", s->path,
                     (uint64_t)(data + data_length - expected));
  return MEDLEY_OK;
}

static medley_status header_read(safetensors *s, const unsigned char *bytes, size_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (length < 8) FAIL(err, MEDLEY_ERR_INPUT, "%s: %zu bytes are too short for a safetensors file", s->path, length);
  uint64_t header_length = 0;
  for (int i = 7; i >= 0; i--) header_length = header_length << 8 | bytes[i];
  if (header_length > SAFETENSORS_HEADER_MAX || header_length > length - 8)
    FAIL(err, MEDLEY_ERR_INPUT,
         "%s: the header claims %" PRIu64 " bytes, the file has %zu (not safetensors, or cut off)", s->path,
         header_length, length);
  TRY(json_parse((const char *)bytes + 8, (size_t)header_length, s->path, &s->header, err));
  if (!json_is_object(s->header)) FAIL(err, MEDLEY_ERR_INPUT, "%s: the header is no JSON object", s->path);

  const unsigned char *data = bytes + 8 + header_length;
  uint64_t data_length = length - 8 - header_length;
  TRY_NEW(s->tensors, json_object_size(s->header), "tensor names");
  const char *name;
  json_t *entry;
  json_object_foreach(s->header, name, entry) {
    if (strcmp(name, "__metadata__") == 0) {
      s->metadata = json_is_object(entry) ? entry : NULL;
      continue;
    }
    TRY(view_read(&s->tensors[s->count], name, entry, data, data_length, s->path, err));
    s->count++;
  }
  if (s->count > 1) qsort(s->tensors, s->count, sizeof *s->tensors, view_compare);
  TRY(views_check_layout(s, data, data_length, err));
  for (size_t i = 0; i < s->count; i++)
    if (!strmap_put(&s->names, s->tensors[i].name, (int64_t)i)) {
      status = error_memory(err, "tensor names");
      goto done;
    }
done:
  return status;
}

medley_status safetensors_open_bytes(safetensors *s, const void *bytes, size_t length, const char *name,
                                     medley_error *err) {
  *s = (safetensors){.path = mem_strdup(name)};
  medley_status status = s->path ? header_read(s, bytes, length, err) : error_memory(err, name);
  if (status != MEDLEY_OK) safetensors_close(s);
  return status;
}

medley_status safetensors_open(safetensors *s, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *s = (safetensors){0};
  file_map map = {0};
  TRY(file_map_open(&map, path, err));
  TRY(safetensors_open_bytes(s, map.bytes, map.length, path, err));
  s->map = map;
  map = (file_map){0};
done:
  file_map_close(&map);
  return status;
}

void safetensors_close(safetensors *s) {
  json_decref(s->header);
  mem_free(s->tensors);
  mem_free(s->path);
  strmap_deinit(&s->names);
  file_map_close(&s->map);
  *s = (safetensors){0};
}

const tensor_view *safetensors_get(const safetensors *s, const char *name) {
  const int64_t *index = strmap_get(&s->names, name);
  return index ? &s->tensors[*index] : NULL;
}

medley_status safetensors_need(const safetensors *s, const char *name, tensor_dtype dtype, int rank,
                               const uint64_t *shape, const tensor_view **out, medley_error *err) {
  const tensor_view *view = safetensors_get(s, name);
  if (view == NULL) return error_set(err, MEDLEY_ERR_CORRUPT, "%s: tensor '%s' is missing", s->path, name);
  if (view->dtype != dtype || view->rank != rank)
    return error_set(err, MEDLEY_ERR_CORRUPT, "%s: tensor '%s' is %s with %d dimensions, expected %s with %d", s->path,
                     name, dtype_name(view->dtype), view->rank, dtype_name(dtype), rank);
  for (int i = 0; i < rank; i++)
    if (shape[i] != 0 && shape[i] != view->shape[i])
      return error_set(err, MEDLEY_ERR_CORRUPT, "%s: dimension %d of tensor '%s' is %" PRIu64 ", expected %" PRIu64,
                       s->path, i, name, view->shape[i], shape[i]);
  if (!tensor_view_is_aligned(view))
    return error_set(err, MEDLEY_ERR_CORRUPT, "%s: the data of tensor '%s' are not aligned to the %zu bytes of %s",
                     s->path, name, dtype_size(dtype), dtype_name(dtype));
  *out = view;
  return MEDLEY_OK;
}

medley_status safetensors_copy_f32(const safetensors *s, const char *prefix, const char *field, uint64_t rows,
                                   uint64_t columns, float **out, uint64_t found[2], medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  const tensor_view *view;
  float *copy = NULL;
  snprintf(name, sizeof name, "%s.%s", prefix, field);
  TRY(safetensors_need(s, name, DTYPE_F32, 2, (uint64_t[]){rows, columns}, &view, err));
  if (view->count == 0) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: tensor '%s' is empty", s->path, name);
  const float *values = view->data;
  for (uint64_t i = 0; i < view->count; i++)
    if (!isfinite(values[i]))
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: value %" PRIu64 " of tensor '%s' is not a finite number", s->path, i, name);
  TRY_NEW(copy, view->count, name);
  memcpy(copy, values, view->count * sizeof *copy);
  if (found != NULL) memcpy(found, view->shape, 2 * sizeof *found);
  *out = copy;
done:
  return status;
}

/* ---- writing ---- */

medley_status safetensors_add(safetensors_writer *w, const char *name, tensor_dtype dtype, int rank,
                              const uint64_t *shape, const void *data, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < w->count; i++)
    if (strcmp(w->tensors[i].name, name) == 0) FAIL(err, MEDLEY_ERR_INTERNAL, "tensor '%s' is written twice", name);
  if (rank > TENSOR_VIEW_RANK_MAX) FAIL(err, MEDLEY_ERR_INTERNAL, "tensor '%s' has %d dimensions", name, rank);
  if (dtype >= SAFETENSORS_DTYPE_COUNT)
    FAIL(err, MEDLEY_ERR_INTERNAL, "tensor '%s' is %s, which safetensors has not", name, dtype_name(dtype));
  TRY_GROW(w->tensors, w->capacity, w->count + 1, "tensors to write");
  tensor_view view = {.name = mem_strdup(name), .dtype = dtype, .rank = rank, .count = 1, .data = data};
  if (view.name == NULL) {
    status = error_memory(err, "a tensor name");
    goto done;
  }
  for (int i = 0; i < rank; i++) view.count *= view.shape[i] = shape[i];
  w->tensors[w->count++] = view;
done:
  return status;
}

medley_status safetensors_add_f32(safetensors_writer *w, const char *name, uint64_t rows, uint64_t columns,
                                  const float *data, medley_error *err) {
  return safetensors_add(w, name, DTYPE_F32, 2, (const uint64_t[]){rows, columns}, data, err);
}

medley_status safetensors_add_field(safetensors_writer *w, const char *prefix, const char *field, uint64_t rows,
                                    uint64_t columns, const float *data, medley_error *err) {
  char name[SAFETENSORS_NAME_MAX];
  snprintf(name, sizeof name, "%s.%s", prefix, field);
  return safetensors_add_f32(w, name, rows, columns, data, err);
}

medley_status safetensors_add_metadata(safetensors_writer *w, const char *key, const char *value, medley_error *err) {
  if (w->metadata == NULL) w->metadata = json_object();
  if (json_object_set_new(w->metadata, key, json_string(value)) != 0)
    return error_set(err, MEDLEY_ERR_MEMORY, "out of memory, or metadata '%s' is not UTF-8", key);
  return MEDLEY_OK;
}

/* Elements of eight bytes first, then four, two, one: every tensor is then aligned to its element without gaps, which
 * the format forbids. The header is padded so that the data begin on a multiple of 64. */
static int view_compare_size(const void *a, const void *b) {
  const tensor_view *x = a, *y = b;
  size_t x_size = dtype_size(x->dtype), y_size = dtype_size(y->dtype);
  return x_size != y_size ? (x_size > y_size ? -1 : 1) : strcmp(x->name, y->name);
}

static json_t *view_to_json(const tensor_view *view, uint64_t begin, uint64_t end) {
  json_t *shape = json_array();
  for (int i = 0; i < view->rank; i++) json_array_append_new(shape, json_integer((json_int_t)view->shape[i]));
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(view->dtype), "shape", shape, "data_offsets",
                   (json_int_t)begin, (json_int_t)end);
}

static char *writer_header(const safetensors_writer *w) {
  json_t *header = json_object();
  if (w->metadata != NULL) json_object_set(header, "__metadata__", w->metadata);
  uint64_t offset = 0;
  for (size_t i = 0; i < w->count; i++) {
    const tensor_view *view = &w->tensors[i];
    uint64_t end = offset + view->count * dtype_size(view->dtype);
    json_object_set_new(header, view->name, view_to_json(view, offset, end));
    offset = end;
  }
  char *text = json_to_text(header);
  json_decref(header);
  return text;
}

static bool writer_write(const safetensors_writer *w, FILE *stream, const char *header) {
  size_t length = strlen(header), padded = (length + 8 + 63) / 64 * 64 - 8;
  unsigned char prefix[8];
  for (int i = 0; i < 8; i++) prefix[i] = (unsigned char)(padded >> (8 * i));
  if (fwrite(prefix, 1, 8, stream) != 8 || fwrite(header, 1, length, stream) != length) return false;
  for (size_t i = length; i < padded; i++)
    if (fputc(' ', stream) == EOF) return false;
  for (size_t i = 0; i < w->count; i++) {
    size_t bytes = (size_t)w->tensors[i].count * dtype_size(w->tensors[i].dtype);
    if (bytes > 0 && fwrite(w->tensors[i].data, 1, bytes, stream) != bytes) return false;
  }
  return true;
}

medley_status safetensors_save(safetensors_writer *w, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_writer file = {0};
  if (w->count > 1) qsort(w->tensors, w->count, sizeof *w->tensors, view_compare_size);
  char *header = writer_header(w);
  if (header == NULL) {
    status = error_memory(err, "a file header");
    goto done;
  }
  TRY(file_writer_open(&file, path, err));
  if (!writer_write(w, file.stream, header)) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", path);
    goto done;
  }
  TRY(file_writer_commit(&file, err));
done:
  file_writer_abort(&file);
  mem_free(header);
  return status;
}

void safetensors_writer_deinit(safetensors_writer *w) {
  for (size_t i = 0; i < w->count; i++) mem_free((char *)w->tensors[i].name);
  mem_free(w->tensors);
  json_decref(w->metadata);
  *w = (safetensors_writer){0};
}
