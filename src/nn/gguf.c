/* nn/gguf.c: see nn/gguf.h. The vocabulary is in nn/gguf_vocabulary.c.
 *
 * A cursor walks the header once and never moves beyond what is left; whatever it passed may be read again without a
 * check. Counts are held against the smallest size their elements could have before anything is allocated for them, so
 * memory is bounded by a small multiple of the file. */
#include "nn/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

#define VALUE_BYTES_MIN 13  /* key length, type, one byte */
#define TENSOR_BYTES_MIN 24 /* name length, rank, type, offset */

static const struct {
  const char *name;
  size_t size; /* bytes of a number; 0 for strings and arrays */
} types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1},         [GGUF_I8] = {"i8", 1},       [GGUF_U16] = {"u16", 2}, [GGUF_I16] = {"i16", 2},
    [GGUF_U32] = {"u32", 4},       [GGUF_I32] = {"i32", 4},     [GGUF_F32] = {"f32", 4}, [GGUF_BOOL] = {"bool", 1},
    [GGUF_STRING] = {"string", 0}, [GGUF_ARRAY] = {"array", 0}, [GGUF_U64] = {"u64", 8}, [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

const char *gguf_type_name(gguf_type type) { return types[type].name; }

/* ggml's numbers of tensor types. Those that are not read keep their name for the sentence. */
static const struct {
  const char *name;
  tensor_dtype dtype; /* DTYPE_COUNT: not read */
} ggml_types[] = {
    [0] = {"F32", DTYPE_F32},       [1] = {"F16", DTYPE_F16},        [2] = {"Q4_0", DTYPE_Q4_0},
    [3] = {"Q4_1", DTYPE_Q4_1},     [6] = {"Q5_0", DTYPE_Q5_0},      [7] = {"Q5_1", DTYPE_Q5_1},
    [8] = {"Q8_0", DTYPE_Q8_0},     [9] = {"Q8_1", DTYPE_COUNT},     [10] = {"Q2_K", DTYPE_COUNT},
    [11] = {"Q3_K", DTYPE_COUNT},   [12] = {"Q4_K", DTYPE_Q4_K},     [13] = {"Q5_K", DTYPE_Q5_K},
    [14] = {"Q6_K", DTYPE_Q6_K},    [15] = {"Q8_K", DTYPE_COUNT},    [16] = {"IQ2_XXS", DTYPE_COUNT},
    [17] = {"IQ2_XS", DTYPE_COUNT}, [18] = {"IQ3_XXS", DTYPE_COUNT}, [19] = {"IQ1_S", DTYPE_COUNT},
    [20] = {"IQ4_NL", DTYPE_COUNT}, [21] = {"IQ3_S", DTYPE_COUNT},   [22] = {"IQ2_S", DTYPE_COUNT},
    [23] = {"IQ4_XS", DTYPE_COUNT}, [24] = {"I8", DTYPE_I8},         [25] = {"I16", DTYPE_I16},
    [26] = {"I32", DTYPE_I32},      [27] = {"I64", DTYPE_I64},       [28] = {"F64", DTYPE_F64},
    [29] = {"IQ1_M", DTYPE_COUNT},  [30] = {"BF16", DTYPE_BF16},     [34] = {"TQ1_0", DTYPE_COUNT},
    [35] = {"TQ2_0", DTYPE_COUNT},  [39] = {"MXFP4", DTYPE_COUNT},
};

/* ---- the cursor ---- */

typedef struct cursor {
  const unsigned char *start, *at, *end;
  const char *path;
  medley_error *err;
} cursor;

static uint64_t cursor_left(const cursor *c) { return (uint64_t)(c->end - c->at); }

static medley_status cursor_take(cursor *c, uint64_t length, const char *what, const unsigned char **bytes) {
  if (length > cursor_left(c))
    return error_set(c->err, MEDLEY_ERR_INPUT,
                     "%s: %s at byte %zu needs %" PRIu64 " bytes, the file has %" PRIu64 " more (cut off, or it lies)",
                     c->path, what, (size_t)(c->at - c->start), length, cursor_left(c));
  *bytes = c->at;
  c->at += length;
  return MEDLEY_OK;
}

static medley_status cursor_u32(cursor *c, const char *what, uint32_t *value) {
  const unsigned char *bytes = NULL;
  medley_status status = cursor_take(c, sizeof *value, what, &bytes);
  if (status == MEDLEY_OK) memcpy(value, bytes, sizeof *value);
  return status;
}

static medley_status cursor_u64(cursor *c, const char *what, uint64_t *value) {
  const unsigned char *bytes = NULL;
  medley_status status = cursor_take(c, sizeof *value, what, &bytes);
  if (status == MEDLEY_OK) memcpy(value, bytes, sizeof *value);
  return status;
}

static medley_status cursor_text(cursor *c, const char *what, uint64_t limit, gguf_text *text) {
  medley_status status = MEDLEY_OK;
  const unsigned char *bytes = NULL;
  uint64_t length;
  TRY(cursor_u64(c, what, &length));
  if (length > limit)
    FAIL(c->err, MEDLEY_ERR_LIMIT, "%s: %s at byte %zu claims %" PRIu64 " bytes, the limit is %" PRIu64, c->path, what,
         (size_t)(c->at - c->start), length, limit);
  TRY(cursor_take(c, length, what, &bytes));
  *text = (gguf_text){(const char *)bytes, (size_t)length};
done:
  return status;
}

/* A key or a tensor's name: UTF-8 without NUL, copied with one behind it. */
static medley_status cursor_name(cursor *c, const char *what, arena *memory, const char **name) {
  medley_status status = MEDLEY_OK;
  gguf_text text;
  TRY(cursor_text(c, what, GGUF_NAME_BYTES_MAX, &text));
  if (text.length == 0 || !utf8_valid(text.bytes, text.length) || memchr(text.bytes, 0, text.length) != NULL)
    FAIL(c->err, MEDLEY_ERR_INPUT, "%s: %s before byte %zu is empty or not UTF-8", c->path, what,
         (size_t)(c->at - c->start));
  *name = arena_strndup(memory, text.bytes, text.length);
  if (*name == NULL) status = error_memory(c->err, what);
done:
  return status;
}

/* ---- values ---- */

static medley_status cursor_type(cursor *c, const char *key, gguf_type *type) {
  uint32_t number;
  medley_status status = cursor_u32(c, key, &number);
  if (status == MEDLEY_OK && number >= GGUF_TYPE_COUNT)
    return error_set(c->err, MEDLEY_ERR_INPUT, "%s: '%s' has the unknown value type %" PRIu32 " (known are 0 to %d)",
                     c->path, key, number, GGUF_TYPE_COUNT - 1);
  if (status == MEDLEY_OK) *type = (gguf_type)number;
  return status;
}

/* Passes an array and describes it in value; inner arrays are only passed. */
static medley_status cursor_array(cursor *c, gguf_value *value, int depth) {
  medley_status status = MEDLEY_OK;
  const unsigned char *bytes;
  gguf_text text;
  if (depth > GGUF_ARRAY_DEPTH_MAX)
    FAIL(c->err, MEDLEY_ERR_LIMIT, "%s: the arrays of '%s' are nested deeper than %d", c->path, value->key,
         GGUF_ARRAY_DEPTH_MAX);
  TRY(cursor_type(c, value->key, &value->element));
  TRY(cursor_u64(c, value->key, &value->count));
  value->data = c->at;
  size_t size = types[value->element].size, least = size ? size : value->element == GGUF_STRING ? 8 : 12;
  if (value->count > cursor_left(c) / least)
    FAIL(c->err, MEDLEY_ERR_INPUT, "%s: '%s' claims %" PRIu64 " elements, the file has %" PRIu64 " more bytes", c->path,
         value->key, value->count, cursor_left(c));
  if (size > 0) TRY(cursor_take(c, value->count * size, value->key, &bytes));
  for (uint64_t i = 0; size == 0 && i < value->count; i++) {
    gguf_value inner = {.key = value->key};
    if (value->element == GGUF_STRING)
      TRY(cursor_text(c, value->key, GGUF_STRING_BYTES_MAX, &text));
    else
      TRY(cursor_array(c, &inner, depth + 1));
  }
done:
  return status;
}

static medley_status cursor_value(cursor *c, gguf *g, gguf_value *value) {
  medley_status status = MEDLEY_OK;
  gguf_text text;
  TRY(cursor_name(c, "a key", g->memory, &value->key));
  TRY(cursor_type(c, value->key, &value->type));
  value->count = 1;
  if (value->type == GGUF_ARRAY) {
    TRY(cursor_array(c, value, 1));
  } else if (value->type == GGUF_STRING) {
    TRY(cursor_text(c, value->key, GGUF_STRING_BYTES_MAX, &text));
    value->data = (const unsigned char *)text.bytes;
    value->count = text.length;
    value->text = arena_strndup(g->memory, text.bytes, text.length);
    if (value->text == NULL) status = error_memory(c->err, value->key);
  } else {
    TRY(cursor_take(c, types[value->type].size, value->key, &value->data));
  }
done:
  return status;
}

static medley_status values_read(gguf *g, cursor *c, uint64_t count) {
  medley_status status = MEDLEY_OK;
  medley_error *err = c->err;
  bool added;
  if (count > GGUF_VALUES_MAX || count > cursor_left(c) / VALUE_BYTES_MIN)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: %" PRIu64 " metadata values are claimed, more than its %zu bytes can hold",
         g->path, count, (size_t)(c->end - c->start));
  TRY_NEW(g->values, count, "metadata");
  for (; g->value_count < count; g->value_count++) {
    gguf_value *value = &g->values[g->value_count];
    TRY(cursor_value(c, g, value));
    if (strmap_get_or_put(&g->keys, value->key, strlen(value->key), (int64_t)g->value_count, &added) == NULL)
      FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for metadata");
    if (!added) FAIL(err, MEDLEY_ERR_INPUT, "%s: the key '%s' is there twice", g->path, value->key);
  }
done:
  return status;
}

/* ---- tensors ---- */

static medley_status cursor_dtype(cursor *c, tensor_view *view) {
  uint32_t number;
  medley_status status = cursor_u32(c, "a tensor type", &number);
  if (status != MEDLEY_OK) return status;
  const char *name = number < sizeof ggml_types / sizeof *ggml_types ? ggml_types[number].name : NULL;
  if (name == NULL)
    return error_set(c->err, MEDLEY_ERR_UNSUPPORTED, "%s: tensor '%s' has the unknown type %" PRIu32, c->path,
                     view->name, number);
  view->dtype = ggml_types[number].dtype;
  if (view->dtype == DTYPE_COUNT)
    return error_set(c->err, MEDLEY_ERR_UNSUPPORTED,
                     "%s: tensor '%s' is %s, which is not read; take the model in F16, Q8_0, Q6_K, Q5_K or Q4_K",
                     c->path, view->name, name);
  return MEDLEY_OK;
}

/* Sizes come fastest first; kept slowest first, as everywhere else here. */
static medley_status cursor_shape(cursor *c, tensor_view *view) {
  medley_status status = MEDLEY_OK;
  uint32_t rank;
  TRY(cursor_u32(c, "a rank", &rank));
  if (rank > TENSOR_VIEW_RANK_MAX)
    FAIL(c->err, MEDLEY_ERR_INPUT, "%s: tensor '%s' has %" PRIu32 " dimensions, at most %d are possible", c->path,
         view->name, rank, TENSOR_VIEW_RANK_MAX);
  view->rank = (int)rank;
  view->count = 1;
  for (int i = view->rank - 1; i >= 0; i--) {
    TRY(cursor_u64(c, "a size", &view->shape[i]));
    if (__builtin_mul_overflow(view->count, view->shape[i], &view->count) || view->count > INT64_MAX)
      FAIL(c->err, MEDLEY_ERR_INPUT, "%s: the sizes of tensor '%s' overflow", c->path, view->name);
  }
done:
  return status;
}

/* The offset stays in `data` as a number until the place of the data section is known. */
static medley_status cursor_tensor(cursor *c, gguf *g, tensor_view *view, uint64_t *offset) {
  medley_status status = MEDLEY_OK;
  TRY(cursor_name(c, "a tensor's name", g->memory, &view->name));
  TRY(cursor_shape(c, view));
  TRY(cursor_dtype(c, view));
  TRY(cursor_u64(c, "an offset", offset));
  uint64_t columns = tensor_view_columns(view), block = dtype_block(view->dtype);
  if (columns % block != 0)
    FAIL(c->err, MEDLEY_ERR_INPUT,
         "%s: rows of %" PRIu64 " values of tensor '%s' are no whole blocks of %s (%" PRIu64 ")", c->path, columns,
         view->name, dtype_name(view->dtype), block);
  if (!dtype_bytes(view->dtype, view->count, &view->bytes))
    FAIL(c->err, MEDLEY_ERR_INPUT, "%s: the sizes of tensor '%s' overflow", c->path, view->name);
  if (*offset % g->alignment != 0)
    FAIL(c->err, MEDLEY_ERR_INPUT, "%s: tensor '%s' begins at %" PRIu64 ", which is not aligned to %" PRIu64, c->path,
         view->name, *offset, g->alignment);
done:
  return status;
}

typedef struct placed {
  uint64_t offset;
  tensor_view view;
} placed;

static int placed_compare(const void *a, const void *b) {
  const placed *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  return x->view.bytes < y->view.bytes ? -1 : x->view.bytes > y->view.bytes;
}

static uint64_t padded(uint64_t length, uint64_t alignment) { return (length + alignment - 1) / alignment * alignment; }

/* Sorted by offset: each begins at the padded end of the one before; the file may or may not pad the last one. */
static medley_status layout_check(const gguf *g, placed *rows, const unsigned char *data, uint64_t length,
                                  medley_error *err) {
  uint64_t expected = 0, end = 0;
  for (size_t i = 0; i < g->count; i++) {
    const tensor_view *view = &rows[i].view;
    if (rows[i].offset > length || view->bytes > length - rows[i].offset)
      return error_set(err, MEDLEY_ERR_INPUT,
                       "%s: tensor '%s' needs %" PRIu64 " bytes from %" PRIu64 " on, the file has %" PRIu64
                       " bytes of data (cut off, or it lies)",
                       g->path, view->name, view->bytes, rows[i].offset, length);
    if (rows[i].offset != expected)
      return error_set(err, MEDLEY_ERR_INPUT, "%s: the data of tensor '%s' begin at %" PRIu64 ", %s, expected %" PRIu64,
                       g->path, view->name, rows[i].offset,
                       rows[i].offset < expected ? "inside another tensor" : "behind a hole", expected);
    end = rows[i].offset + view->bytes;
    expected = padded(end, g->alignment);
    rows[i].view.data = data + rows[i].offset;
  }
  if (length > expected)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: %" PRIu64 " bytes at the end belong to no tensor", g->path,
                     length - end);
  return MEDLEY_OK;
}

static medley_status tensors_read(gguf *g, cursor *c, uint64_t count) {
  medley_status status = MEDLEY_OK;
  medley_error *err = c->err;
  placed *rows = NULL;
  bool added;
  if (count > GGUF_TENSORS_MAX || count > cursor_left(c) / TENSOR_BYTES_MIN)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: %" PRIu64 " tensors are claimed, more than its %zu bytes can hold", g->path, count,
         (size_t)(c->end - c->start));
  TRY_NEW(rows, count, "tensors");
  TRY_NEW(g->tensors, count, "tensors");
  for (size_t i = 0; i < count; i++) TRY(cursor_tensor(c, g, &rows[i].view, &rows[i].offset));
  g->count = (size_t)count;
  qsort(rows, g->count, sizeof *rows, placed_compare);
  uint64_t start = padded((uint64_t)(c->at - c->start), g->alignment), length = (uint64_t)(c->end - c->start);
  /* A file without tensors may end before the padding. */
  TRY(layout_check(g, rows, c->start + (start < length ? start : length), start < length ? length - start : 0, err));
  for (size_t i = 0; i < g->count; i++) {
    g->tensors[i] = rows[i].view;
    const char *name = g->tensors[i].name;
    if (strmap_get_or_put(&g->names, name, strlen(name), (int64_t)i, &added) == NULL)
      FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for tensor names");
    if (!added) FAIL(err, MEDLEY_ERR_INPUT, "%s: the tensor '%s' is there twice", g->path, name);
  }
done:
  mem_free(rows);
  return status;
}

/* ---- the file ---- */

static medley_status version_check(uint32_t version, const char *path, medley_error *err) {
  if (version == 2 || version == 3) return MEDLEY_OK;
  if (version != 0 && (version & 0xffff) == 0)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: a big-endian GGUF file, which is not read; take the usual one",
                     path);
  return error_set(err, MEDLEY_ERR_UNSUPPORTED,
                   "%s: GGUF version %" PRIu32 ", read are 2 and 3; convert the model again", path, version);
}

static medley_status alignment_read(gguf *g, medley_error *err) {
  int64_t alignment = gguf_integer(g, "general.alignment", 32);
  if (gguf_get_value(g, "general.alignment") != NULL && gguf_integer(g, "general.alignment", -1) < 0) alignment = -1;
  if (alignment < 8 || alignment > 1 << 20 || (alignment & (alignment - 1)) != 0)
    return error_set(err, MEDLEY_ERR_INPUT,
                     "%s: general.alignment is %" PRId64 ", it must be a power of 2 from 8 to 2^20", g->path,
                     alignment);
  g->alignment = (uint64_t)alignment;
  return MEDLEY_OK;
}

static medley_status header_read(gguf *g, cursor *c) {
  medley_status status = MEDLEY_OK;
  const unsigned char *magic;
  uint64_t tensor_count, value_count;
  if (cursor_left(c) < 4 || memcmp(c->at, "GGUF", 4) != 0)
    FAIL(c->err, MEDLEY_ERR_INPUT, "%s: not a GGUF file (it does not begin with 'GGUF')", g->path);
  TRY(cursor_take(c, 4, "the header", &magic));
  TRY(cursor_u32(c, "the version", &g->version));
  TRY(version_check(g->version, g->path, c->err));
  TRY(cursor_u64(c, "the tensor count", &tensor_count));
  TRY(cursor_u64(c, "the value count", &value_count));
  TRY(values_read(g, c, value_count));
  TRY(alignment_read(g, c->err));
  TRY(tensors_read(g, c, tensor_count));
done:
  return status;
}

medley_status gguf_open_bytes(gguf *g, const void *bytes, size_t length, const char *name, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const unsigned char *start = bytes ? bytes : (const unsigned char *)"";
  *g = (gguf){.path = mem_strdup(name), .memory = arena_create(0)};
  if (g->path == NULL || g->memory == NULL) {
    status = error_memory(err, name);
    goto done;
  }
  TRY(header_read(g, &(cursor){.start = start, .at = start, .end = start + length, .path = g->path, .err = err}));
done:
  if (status != MEDLEY_OK) gguf_close(g);
  return status;
}

medley_status gguf_open(gguf *g, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *g = (gguf){0};
  file_map map = {0};
  TRY(file_map_open(&map, path, err));
  TRY(gguf_open_bytes(g, map.bytes, map.length, path, err));
  g->map = map;
  map = (file_map){0};
done:
  file_map_close(&map);
  return status;
}

void gguf_close(gguf *g) {
  strmap_deinit(&g->keys);
  strmap_deinit(&g->names);
  mem_free(g->values);
  mem_free(g->tensors);
  mem_free(g->path);
  arena_free(g->memory);
  file_map_close(&g->map);
  *g = (gguf){0};
}

/* ---- looking things up ---- */

const gguf_value *gguf_get_value(const gguf *g, const char *key) {
  const int64_t *index = strmap_get(&g->keys, key);
  return index ? &g->values[*index] : NULL;
}

const tensor_view *gguf_get(const gguf *g, const char *name) {
  const int64_t *index = strmap_get(&g->names, name);
  return index ? &g->tensors[*index] : NULL;
}

/* A number of any type as a double and, when it is an integer that fits, as an int64. */
typedef struct number {
  double real;
  int64_t integer;
  bool is_integer, is_number;
} number;

static number integer_number(int64_t value) { return (number){(double)value, value, true, true}; }

static number number_at(gguf_type type, const unsigned char *data) {
  union {
    uint16_t u16;
    int16_t i16;
    uint32_t u32;
    int32_t i32;
    float f32;
    uint64_t u64;
    int64_t i64;
    double f64;
  } raw;
  memcpy(&raw, data, types[type].size);
  switch (type) {
    case GGUF_U8: return integer_number(data[0]);
    case GGUF_I8: return integer_number((int8_t)data[0]);
    case GGUF_BOOL: return integer_number(data[0] != 0);
    case GGUF_U16: return integer_number(raw.u16);
    case GGUF_I16: return integer_number(raw.i16);
    case GGUF_U32: return integer_number(raw.u32);
    case GGUF_I32: return integer_number(raw.i32);
    case GGUF_I64: return integer_number(raw.i64);
    case GGUF_U64: return (number){(double)raw.u64, (int64_t)raw.u64, raw.u64 <= INT64_MAX, true};
    case GGUF_F32: return (number){.real = (double)raw.f32, .is_number = true};
    case GGUF_F64: return (number){.real = raw.f64, .is_number = true};
    default: return (number){0};
  }
}

static number number_of(const gguf_value *value) {
  return value == NULL || types[value->type].size == 0 ? (number){0} : number_at(value->type, value->data);
}

bool gguf_value_integer(const gguf_value *value, int64_t *out) {
  number n = number_of(value);
  if (n.is_integer) *out = n.integer;
  return n.is_integer;
}

bool gguf_value_number(const gguf_value *value, double *out) {
  number n = number_of(value);
  if (n.is_number) *out = n.real;
  return n.is_number;
}

double gguf_value_element(const gguf_value *value, uint64_t i) {
  return number_at(value->element, value->data + i * types[value->element].size).real;
}

const char *gguf_string(const gguf *g, const char *key, const char *fallback) {
  const gguf_value *value = gguf_get_value(g, key);
  return value != NULL && value->text != NULL ? value->text : fallback;
}

int64_t gguf_integer(const gguf *g, const char *key, int64_t fallback) {
  int64_t value;
  return gguf_value_integer(gguf_get_value(g, key), &value) ? value : fallback;
}

double gguf_number(const gguf *g, const char *key, double fallback) {
  double value;
  return gguf_value_number(gguf_get_value(g, key), &value) ? value : fallback;
}

int gguf_boolean(const gguf *g, const char *key, int fallback) {
  const gguf_value *value = gguf_get_value(g, key);
  return value != NULL && value->type == GGUF_BOOL ? value->data[0] != 0 : fallback;
}

void gguf_value_strings(const gguf_value *value, gguf_text *out) {
  const unsigned char *at = value->data;
  for (uint64_t i = 0; i < value->count; i++) {
    uint64_t length;
    memcpy(&length, at, sizeof length);
    out[i] = (gguf_text){(const char *)at + sizeof length, (size_t)length};
    at += sizeof length + length;
  }
}
