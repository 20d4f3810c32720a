/* data/npy.c: see data/npy.h. Numbers are little-endian, as is every machine Medley runs on. */
#include "data/npy.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/strbuf.h"
#include "math/vector.h"

/* ---- header ---- */

/* The text behind "'key':", without spaces; NULL when the key is not there. */
static const char *header_value(const char *text, const char *key) {
  char quoted[32];
  size_t length = strlen(key);
  quoted[0] = '\'';
  memcpy(quoted + 1, key, length);
  memcpy(quoted + 1 + length, "'", 2);
  const char *found = strstr(text, quoted);
  if (found == NULL) return NULL;
  found += length + 2;
  found += strspn(found, " ");
  if (*found != ':') return NULL;
  return found + 1 + strspn(found + 1, " ");
}

static medley_status dtype_parse(npy_reader *r, const char *value, medley_error *err) {
  static const struct {
    const char *text;
    npy_dtype dtype;
    bool integer;
  } known[] = {{"'<f2'", NPY_F16},       {"'<f4'", NPY_F32},       {"'<f8'", NPY_F64},      {"'<i4'", NPY_I32, true},
               {"'<u4'", NPY_U32, true}, {"'<i8'", NPY_I64, true}, {"'<u8'", NPY_U64, true}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].integer == r->integers && string_starts(value, known[i].text)) {
      r->dtype = known[i].dtype;
      return MEDLEY_OK;
    }
  if (strncmp(value, "'|O", 3) == 0 || strncmp(value, "'O", 2) == 0)
    return error_set(err, MEDLEY_ERR_INPUT,
                     "'%s' holds pickled Python objects, which Medley never opens: save a plain array of %s", r->name,
                     r->integers ? "int64" : "float32");
  if (r->integers)
    return error_set(err, MEDLEY_ERR_INPUT,
                     "'%s' has numbers of type %.12s, expected '<i4', '<u4', '<i8' or '<u8': save it with "
                     ".astype('<i8')",
                     r->name, value);
  return error_set(err, MEDLEY_ERR_INPUT,
                   "'%s' has numbers of type %.12s, expected '<f2', '<f4' or '<f8': save it with .astype('<f4')",
                   r->name, value);
}

static bool shape_parse(const char *value, uint64_t shape[2], size_t *count) {
  *count = 0;
  if (*value++ != '(') return false;
  for (;;) {
    value += strspn(value, " ");
    if (*value == ')') return true;
    if (*value < '0' || *value > '9') return false;
    uint64_t number = 0;
    for (; *value >= '0' && *value <= '9'; value++)
      if (__builtin_mul_overflow(number, 10u, &number) ||
          __builtin_add_overflow(number, (uint64_t)(*value - '0'), &number))
        return false;
    if (*count < 2) shape[*count] = number;
    ++*count;
    value += strspn(value, " ");
    if (*value == ',')
      value++;
    else if (*value != ')')
      return false;
  }
}

medley_status npy_header_parse(npy_reader *r, const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t shape[2] = {0};
  size_t count = 0;
  const char *descr = header_value(text, "descr"), *order = header_value(text, "fortran_order");
  const char *size = header_value(text, "shape");
  if (descr == NULL || order == NULL || size == NULL)
    FAIL(err, MEDLEY_ERR_INPUT, "'%s' has no descr, fortran_order or shape in its header", r->name);
  TRY(dtype_parse(r, descr, err));
  if (string_starts(order, "True"))
    FAIL(err, MEDLEY_ERR_INPUT, "'%s' is in Fortran order: save it with numpy.ascontiguousarray", r->name);
  if (!string_starts(order, "False")) FAIL(err, MEDLEY_ERR_INPUT, "'%s' has a fortran_order of %.12s", r->name, order);
  if (!shape_parse(size, shape, &count)) FAIL(err, MEDLEY_ERR_INPUT, "'%s' has a shape that is none", r->name);
  if (r->integers && count != 1)
    FAIL(err, MEDLEY_ERR_INPUT, "'%s' has %zu dimensions, expected 1: a list of whole numbers", r->name, count);
  if (r->integers) shape[1] = 1;
  if (!r->integers && count != 2)
    FAIL(err, MEDLEY_ERR_INPUT, "'%s' has %zu dimensions, expected 2: a row per item, a column per number", r->name,
         count);
  if (shape[1] == 0 || shape[1] > NPY_DIM_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "'%s' has %llu columns, expected 1 to %d", r->name, (unsigned long long)shape[1],
         NPY_DIM_MAX);
  r->rows = shape[0];
  r->dim = (uint32_t)shape[1];
done:
  return status;
}

/* ---- reading ---- */

static const size_t value_bytes[] = {
    [NPY_F16] = 2, [NPY_F32] = 4, [NPY_F64] = 8, [NPY_I32] = 4, [NPY_U32] = 4, [NPY_I64] = 8, [NPY_U64] = 8};

static medley_status cut_off(const npy_reader *r, uint64_t whole_rows, medley_error *err) {
  return error_set(err, MEDLEY_ERR_INPUT, "'%s' ends in row %llu of %llu: it was cut off", r->name,
                   (unsigned long long)whole_rows + 1, (unsigned long long)r->rows);
}

static medley_status npy_take(npy_reader *r, void *bytes, size_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t done_bytes = 0; done_bytes < length;) {
    size_t got = 0;
    TRY(stream_read(r->in, (char *)bytes + done_bytes, length - done_bytes, &got, err));
    if (got == 0 && r->values == NULL)
      FAIL(err, MEDLEY_ERR_INPUT, "'%s' ends in its header: it is no .npy file", r->name);
    if (got == 0) TRY(cut_off(r, r->next, err));
    done_bytes += got;
  }
  r->taken += length;
done:
  return status;
}

static medley_status header_read(npy_reader *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char start[12];
  char *text = NULL;
  size_t length = 0;
  TRY(npy_take(r, start, 6, err));
  if (memcmp(start, "\x93NUMPY", 6) != 0) FAIL(err, MEDLEY_ERR_INPUT, "'%s' is no .npy file", r->name);
  TRY(npy_take(r, start + 6, 4, err));
  if (start[6] < 1 || start[6] > 3)
    FAIL(err, MEDLEY_ERR_INPUT, "'%s' is of .npy version %d, known are 1 to 3", r->name, start[6]);
  length = (size_t)start[8] | (size_t)start[9] << 8;
  if (start[6] > 1) {
    TRY(npy_take(r, start + 10, 2, err));
    length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
  }
  if (length > NPY_HEADER_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "'%s' has a header of %zu bytes, the limit is %d", r->name, length, NPY_HEADER_MAX);
  text = mem_zalloc(length + 1, 1);
  if (text == NULL) {
    status = error_memory(err, r->name);
    goto done;
  }
  TRY(npy_take(r, text, length, err));
  TRY(npy_header_parse(r, text, err));
done:
  mem_free(text);
  return status;
}

static medley_status reader_open(npy_reader *r, stream *in, const char *name, bool integers, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *r = (npy_reader){.in = in, .name = name, .integers = integers};
  TRY(header_read(r, err));
  TRY_NEW(r->bytes, (size_t)r->dim * 8, "a row of vectors");
  TRY_NEW(r->values, r->dim, "a row of vectors");
done:
  if (status != MEDLEY_OK) npy_close(r);
  return status;
}

medley_status npy_open(npy_reader *r, stream *in, const char *name, medley_error *err) {
  return reader_open(r, in, name, false, err);
}

medley_status npy_open_integers(npy_reader *r, stream *in, const char *name, medley_error *err) {
  return reader_open(r, in, name, true, err);
}

medley_status npy_length_check(const npy_reader *r, uint64_t file_bytes, medley_error *err) {
  uint64_t left = file_bytes > r->taken ? file_bytes - r->taken : 0;
  uint64_t whole_rows = left / (r->dim * value_bytes[r->dtype]);
  return whole_rows >= r->rows ? MEDLEY_OK : cut_off(r, whole_rows, err);
}

medley_status npy_next(npy_reader *r, const float **values, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *values = NULL;
  if (r->next == r->rows) goto done;
  TRY(npy_take(r, r->bytes, r->dim * value_bytes[r->dtype], err));
  /* bytes is aligned for all three. */
  if (r->dtype == NPY_F16) float_from_half(r->values, (const uint16_t *)(const void *)r->bytes, r->dim);
  if (r->dtype == NPY_F32) memcpy(r->values, r->bytes, 4 * (size_t)r->dim);
  if (r->dtype == NPY_F64)
    for (uint32_t i = 0; i < r->dim; i++) r->values[i] = (float)((const double *)(const void *)r->bytes)[i];
  r->next++;
  *values = r->values;
done:
  return status;
}

medley_status npy_next_integer(npy_reader *r, uint64_t *value, bool *more, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *more = r->next < r->rows;
  if (!*more) goto done;
  TRY(npy_take(r, r->bytes, value_bytes[r->dtype], err));
  int64_t whole = 0;
  switch (r->dtype) {
    case NPY_I32: whole = *(const int32_t *)(const void *)r->bytes; break;
    case NPY_I64: whole = *(const int64_t *)(const void *)r->bytes; break;
    case NPY_U32: *value = *(const uint32_t *)(const void *)r->bytes; break;
    default: *value = *(const uint64_t *)(const void *)r->bytes; break;
  }
  if (whole < 0)
    FAIL(err, MEDLEY_ERR_INPUT, "'%s': value %llu is %lld, expected whole numbers from 0 on", r->name,
         (unsigned long long)r->next, (long long)whole);
  if (r->dtype == NPY_I32 || r->dtype == NPY_I64) *value = (uint64_t)whole;
  r->next++;
done:
  return status;
}

void npy_close(npy_reader *r) {
  mem_free(r->bytes);
  mem_free(r->values);
  *r = (npy_reader){0};
}
