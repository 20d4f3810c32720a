/* engine/vectors.c: vectors and ids from files, for users of the index (medley/index.h).
 *
 * Not in src/index, which knows no file format but its own.
 */
#include <errno.h>
#include <medley/index.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/lines.h"
#include "data/npy.h"

#define ID_LINE_MAX 256

/* ---- vectors ---- */

typedef struct vectors_hold {
  file_map map; /* or */
  float *values;
} vectors_hold;

/* True when the file's own bytes are the matrix: then it is mapped. */
static medley_status matrix_map(const npy_reader *r, const char *path, vectors_hold *hold, bool *mapped,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  *mapped = false;
  if (r->dtype != NPY_F32 || r->taken % sizeof(float) != 0) goto done;
  TRY(file_map_open(&hold->map, path, err));
  TRY(npy_length_check(r, hold->map.length, err)); /* the file may be another one by now */
  *mapped = true;
done:
  return status;
}

/* Grows with what is really there, whatever the header of a compressed file promises. */
static medley_status matrix_copy(npy_reader *r, vectors_hold *hold, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t capacity = 0, used = 0;
  const float *row;
  for (;;) {
    TRY(npy_next(r, &row, err));
    if (row == NULL) break;
    TRY_GROW(hold->values, capacity, used + r->dim, "vectors");
    memcpy(hold->values + used, row, r->dim * sizeof *row);
    used += r->dim;
  }
done:
  return status;
}

static medley_status matrix_read(stream *in, const char *path, medley_vectors *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  npy_reader r = {0};
  vectors_hold *hold = out->hold;
  bool plain = !stream_compressed(in) && stream_size(in) > 0, mapped = false;
  TRY(npy_open(&r, in, path, err));
  if (plain) TRY(npy_length_check(&r, stream_size(in), err));
  if (r.rows == 0) FAIL(err, MEDLEY_ERR_INPUT, "'%s' holds no vectors: 0 rows", path);
  if (plain) TRY(matrix_map(&r, path, hold, &mapped, err));
  if (!mapped) TRY(matrix_copy(&r, hold, err));
  out->values = mapped ? (const float *)(const void *)(hold->map.bytes + r.taken) : hold->values;
  out->count = (size_t)r.rows;
  out->dim = r.dim;
done:
  npy_close(&r);
  return status;
}

medley_status medley_vectors_read(const char *path, medley_vectors *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  stream *in = NULL;
  vectors_hold *hold = NULL;
  *out = (medley_vectors){0};
  TRY_NEW(hold, 1, "vectors");
  out->hold = hold;
  TRY(stream_open(path, &in, err));
  TRY(matrix_read(in, path, out, err));
done:
  stream_close(in);
  if (status != MEDLEY_OK) medley_vectors_free(out);
  return status;
}

void medley_vectors_free(medley_vectors *vectors) {
  vectors_hold *hold = vectors->hold;
  if (hold != NULL) {
    file_map_close(&hold->map);
    mem_free(hold->values);
    mem_free(hold);
  }
  *vectors = (medley_vectors){0};
}

/* ---- ids ---- */

typedef struct id_list {
  uint64_t *ids;
  size_t count, capacity;
} id_list;

static medley_status id_add(id_list *list, uint64_t id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(list->ids, list->capacity, list->count + 1, "ids");
  list->ids[list->count++] = id;
done:
  return status;
}

static medley_status ids_read_npy(stream *in, const char *path, id_list *list, medley_error *err) {
  medley_status status = MEDLEY_OK;
  npy_reader r = {0};
  uint64_t id = 0;
  bool more;
  TRY(npy_open_integers(&r, in, path, err));
  if (!stream_compressed(in) && stream_size(in) > 0) TRY(npy_length_check(&r, stream_size(in), err));
  for (;;) {
    TRY(npy_next_integer(&r, &id, &more, err));
    if (!more) break;
    TRY(id_add(list, id, err));
  }
done:
  npy_close(&r);
  return status;
}

static bool id_parse(const char *text, uint64_t *id) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  *id = strtoull(text, &end, 10);
  return errno == 0 && *end == '\0';
}

static medley_status ids_read_lines(stream *in, const char *path, id_list *list, medley_error *err) {
  medley_status status = MEDLEY_OK;
  line_reader lines;
  char *line;
  size_t length;
  uint64_t id;
  line_reader_init(&lines, in, false, ID_LINE_MAX);
  for (;;) {
    status = line_next(&lines, &line, &length, err);
    if (status == MEDLEY_ERR_LIMIT) status = error_prefix(err, status, "'%s'", path);
    if (status != MEDLEY_OK || line == NULL) break;
    line = string_trim(line);
    if (*line == '\0') continue;
    if (!id_parse(line, &id))
      FAIL(err, MEDLEY_ERR_INPUT, "'%s' line %llu: '%.40s' is no whole number from 0 to 18446744073709551615", path,
           (unsigned long long)lines.number, line);
    TRY(id_add(list, id, err));
  }
done:
  line_reader_deinit(&lines);
  return status;
}

medley_status medley_ids_read(const char *path, uint64_t **ids, size_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  stream *in = NULL;
  id_list list = {0};
  *ids = NULL;
  *count = 0;
  TRY(stream_open(path, &in, err));
  TRY(string_ends(path, ".npy") || strstr(path, ".npy.") != NULL ? ids_read_npy(in, path, &list, err)
                                                                 : ids_read_lines(in, path, &list, err));
  if (list.count == 0) FAIL(err, MEDLEY_ERR_INPUT, "'%s' holds no ids", path);
  *ids = list.ids;
  *count = list.count;
  list.ids = NULL;
done:
  stream_close(in);
  mem_free(list.ids);
  return status;
}

void medley_ids_free(uint64_t *ids) { mem_free(ids); }
