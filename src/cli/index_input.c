/* cli/index_input.c: what medley index is given: options, vectors, ids, attributes.
 *
 * Everything is read and tried out before an index is touched: a build may take an hour, and a misspelt line of
 * attributes should not be told at its end.
 */
#include <errno.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/index_actions.h"

#define ATTRIBUTES_FILE_MAX ((size_t)8 << 30)
#define ATTRIBUTES_BATCH 4096 /* set at once: one wait for the disk */

/* ---- options ---- */

/* "2G", "500 MiB", "1048576": powers of 1024. */
static medley_status size_read(const char *option, const char *text, uint64_t *bytes, medley_error *err) {
  static const char units[] = "KMGT";
  char number[32] = "";
  double value = 0;
  size_t digits = strspn(text, "0123456789.");
  const char *unit = text + digits + strspn(text + digits, " "), *known = *unit ? strchr(units, *unit) : NULL;
  if (digits > 0 && digits < sizeof number) memcpy(number, text, digits);
  bool good = string_to_double(number, &value) && value > 0;
  if (known != NULL) {
    value *= (double)(1ull << 10 * (known - units + 1));
    unit++;
    unit += strcmp(unit, "iB") == 0 ? 2 : strcmp(unit, "B") == 0;
  }
  if (!good || *unit != '\0' || value < 1 || value > 1e18)
    return error_set(err, MEDLEY_ERR_USAGE, "--%s wants a size such as 500M or 2G, not '%.40s'", option, text);
  *bytes = (uint64_t)value;
  return MEDLEY_OK;
}

/* Options that only one kind has. */
static medley_status options_fit(const arguments *a, medley_error *err) {
  static const struct {
    const char *option, *kind;
  } table[] = {{"links", "hnsw"}, {"build-breadth", "hnsw"}, {"lists", "ivfpq"}, {"code-bytes", "ivfpq"}};
  const char *kind = arguments_text(a, "kind") ? arguments_text(a, "kind") : "hnsw";
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (arguments_has(a, table[i].option) && strcmp(kind, table[i].kind) != 0)
      return error_set(err, MEDLEY_ERR_USAGE, "--%s goes with --kind %s, not with %s", table[i].option, table[i].kind,
                       kind);
  return MEDLEY_OK;
}

medley_status index_options_of(const arguments *a, size_t dim, medley_index_options *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *limit = arguments_text(a, "memory-limit");
  *out = (medley_index_options){.dim = dim,
                                .kind = arguments_text(a, "kind"),
                                .distance = arguments_text(a, "distance"),
                                .storage = arguments_text(a, "storage"),
                                .rerank = arguments_text(a, "rerank"),
                                .links = (size_t)arguments_integer(a, "links", 0),
                                .build_breadth = (size_t)arguments_integer(a, "build-breadth", 0),
                                .search_breadth = (size_t)arguments_integer(a, "breadth", 0),
                                .lists = (size_t)arguments_integer(a, "lists", 0),
                                .code_bytes = (size_t)arguments_integer(a, "code-bytes", 0),
                                .seed = (uint64_t)arguments_integer(a, "seed", 0)};
  TRY(options_fit(a, err));
  if (limit != NULL) TRY(size_read("memory-limit", limit, &out->memory_limit_bytes, err));
done:
  return status;
}

size_t index_threads_use(const arguments *a) {
  int threads = (int)arguments_integer(a, "threads", omp_get_max_threads());
  omp_set_num_threads(threads);
  return (size_t)threads;
}

/* ---- ids ---- */

medley_status index_id_read(const char *what, const char *text, uint64_t *id, medley_error *err) {
  char *end = NULL;
  errno = 0;
  if (*text >= '0' && *text <= '9') *id = strtoull(text, &end, 10);
  if (end == NULL || *end != '\0' || errno != 0)
    return error_set(err, MEDLEY_ERR_USAGE, "%s wants a whole number from 0 to 18446744073709551615, not '%.40s'", what,
                     text);
  return MEDLEY_OK;
}

static int id_order(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

bool index_input_has(const index_input *in, uint64_t id) {
  return in->vectors.count > 0 && bsearch(&id, in->sorted, in->vectors.count, sizeof id, id_order) != NULL;
}

/* --first-id and the numbers after it. */
static medley_status ids_count_up(uint64_t *ids, size_t count, const arguments *a, medley_error *err) {
  uint64_t first = 0;
  if (arguments_has(a, "first-id")) {
    medley_status status = index_id_read("--first-id", arguments_text(a, "first-id"), &first, err);
    if (status != MEDLEY_OK) return status;
  }
  if (first > UINT64_MAX - (count - 1))
    return error_set(err, MEDLEY_ERR_USAGE, "--first-id %llu leaves no room for %zu ids", (unsigned long long)first,
                     count);
  for (size_t i = 0; i < count; i++) ids[i] = first + i;
  return MEDLEY_OK;
}

static medley_status ids_from_file(uint64_t *ids, size_t count, const char *path, const char *vectors,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t *read = NULL;
  size_t told;
  TRY(medley_ids_read(path, &read, &told, err));
  if (told != count) FAIL(err, MEDLEY_ERR_INPUT, "'%s' has %zu ids, '%s' has %zu vectors", path, told, vectors, count);
  memcpy(ids, read, count * sizeof *ids);
done:
  medley_ids_free(read);
  return status;
}

static medley_status ids_read(index_input *in, const arguments *a, const char *vectors, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "ids");
  size_t count = in->vectors.count;
  if (path != NULL && arguments_has(a, "first-id"))
    FAIL(err, MEDLEY_ERR_USAGE, "--ids and --first-id both say which ids the vectors get: give one of them");
  TRY_NEW(in->ids, count, "ids");
  TRY_NEW(in->sorted, count, "ids");
  TRY(path != NULL ? ids_from_file(in->ids, count, path, vectors, err) : ids_count_up(in->ids, count, a, err));
  memcpy(in->sorted, in->ids, count * sizeof *in->ids);
  qsort(in->sorted, count, sizeof *in->sorted, id_order);
  for (size_t i = 1; i < count; i++)
    if (in->sorted[i] == in->sorted[i - 1])
      FAIL(err, MEDLEY_ERR_INPUT, "'%s' has the id %llu twice", path, (unsigned long long)in->sorted[i]);
done:
  return status;
}

/* ---- attributes ---- */

/* "id" is taken out of the object: it says whose attributes they are. */
static medley_status attributes_id(attribute_rows *rows, json_t *object, const char *where, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *id = json_object_get(object, "id");
  if (rows->count == 0 && id != NULL) TRY_NEW(rows->ids, rows->capacity, "attributes");
  if ((id != NULL) != (rows->ids != NULL))
    FAIL(err, MEDLEY_ERR_INPUT, "%s has %s, the lines before it have %s", where, id ? "an \"id\"" : "no \"id\"",
         id ? "none" : "one");
  if (id == NULL) goto done;
  if (!json_is_integer(id) || json_integer_value(id) < 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: \"id\" is no whole number from 0 on", where);
  rows->ids[rows->count] = (uint64_t)json_integer_value(id);
  json_object_del(object, "id");
done:
  return status;
}

static medley_status attributes_add(attribute_rows *rows, const char *line, size_t length, const char *where,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *object = NULL;
  char *text = NULL;
  TRY(json_parse(line, length, where, &object, err));
  if (!json_is_object(object))
    FAIL(err, MEDLEY_ERR_INPUT, "%s is no JSON object: expected {\"name\": value, ...}", where);
  TRY(attributes_id(rows, object, where, err));
  text = json_to_text(object);
  rows->texts[rows->count] = text ? arena_strdup(rows->memory, text) : NULL;
  if (rows->texts[rows->count] == NULL) status = error_memory(err, "attributes");
  rows->count++;
done:
  mem_free(text);
  json_decref(object);
  return status;
}

static medley_status attributes_read(attribute_rows *rows, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char where[512], *bytes = NULL;
  size_t length, number = 0;
  TRY(file_read(path, ATTRIBUTES_FILE_MAX, &bytes, &length, err));
  rows->capacity = 1;
  for (size_t i = 0; i < length; i++) rows->capacity += bytes[i] == '\n';
  rows->memory = arena_create(0);
  if (rows->memory == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for attributes");
  TRY_NEW(rows->texts, rows->capacity, "attributes");
  for (char *line = bytes, *end; line < bytes + length; line = end + 1) {
    end = memchr(line, '\n', (size_t)(bytes + length - line));
    if (end == NULL) end = bytes + length;
    number++;
    if (strspn(line, " \t\r\n") >= (size_t)(end - line)) continue;
    snprintf(where, sizeof where, "'%.400s' line %zu", path, number);
    TRY(attributes_add(rows, line, (size_t)(end - line), where, err));
  }
  if (rows->count == 0) FAIL(err, MEDLEY_ERR_INPUT, "'%s' holds no attributes", path);
done:
  mem_free(bytes);
  return status;
}

/* Into an index of as many vectors, so that what the library does not take, alone or beside the others, is told now. */
static medley_status attributes_try(const attribute_rows *rows, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index_options options = {.dim = 1, .kind = "exact"};
  medley_index *scratch = NULL;
  uint64_t *ids = NULL;
  float *vectors = NULL;
  size_t taken = 0;
  TRY_NEW(ids, rows->count, "attributes");
  TRY_NEW(vectors, rows->count, "attributes");
  for (size_t i = 0; i < rows->count; i++) ids[i] = i;
  TRY(medley_index_create(NULL, &options, &scratch, err));
  TRY(medley_index_add(scratch, ids, vectors, rows->count, NULL, err));
  status = medley_index_set_attributes_batch(scratch, ids, (const char *const *)rows->texts, rows->count, &taken, err);
  if (status != MEDLEY_OK) status = error_prefix(err, status, "'%s', object %zu", path, taken + 1);
done:
  medley_index_close(scratch);
  mem_free(ids);
  mem_free(vectors);
  return status;
}

/* Rows without ids go with the vectors one by one. */
static medley_status attributes_match(const index_input *in, const char *path, const char *vectors, medley_error *err) {
  const attribute_rows *rows = &in->attributes;
  if (rows->ids != NULL) return MEDLEY_OK;
  if (vectors == NULL)
    return error_set(err, MEDLEY_ERR_INPUT, "'%s' has no \"id\" in its lines: without vectors each needs one", path);
  if (rows->count == in->vectors.count) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT,
                   "'%s' has %zu objects, '%s' has %zu vectors: one for each is needed, or an \"id\" in every object",
                   path, rows->count, vectors, in->vectors.count);
}

medley_status index_input_describe(const index_input *in, medley_index *index, const medley_progress *progress,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  const attribute_rows *rows = &in->attributes;
  progress_stage stage;
  if (rows->count == 0) return MEDLEY_OK;
  progress_begin(&stage, progress, "set attributes", rows->count);
  for (size_t i = 0, count; i < rows->count; i += count) {
    count = rows->count - i < ATTRIBUTES_BATCH ? rows->count - i : ATTRIBUTES_BATCH;
    const uint64_t *ids = rows->ids ? rows->ids : in->ids;
    TRY(medley_index_set_attributes_batch(index, ids + i, (const char *const *)rows->texts + i, count, NULL, err));
    TRY(progress_update(&stage, i + count, err));
  }
  progress_end(&stage, rows->count);
done:
  return status;
}

/* ---- all of it ---- */

medley_status index_input_read(index_input *in, const arguments *a, const char *vectors, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *attributes = arguments_text(a, "attributes");
  if (vectors != NULL) {
    TRY(medley_vectors_read(vectors, &in->vectors, err));
    TRY(ids_read(in, a, vectors, err));
  }
  if (attributes != NULL) {
    TRY(attributes_read(&in->attributes, attributes, err));
    TRY(attributes_match(in, attributes, vectors, err));
    TRY(attributes_try(&in->attributes, attributes, err));
  }
done:
  return status;
}

void index_input_deinit(index_input *in) {
  medley_vectors_free(&in->vectors);
  mem_free(in->ids);
  mem_free(in->sorted);
  arena_free(in->attributes.memory);
  mem_free(in->attributes.ids);
  mem_free(in->attributes.texts);
  *in = (index_input){0};
}

medley_status index_vectors_read(const char *path, size_t dim, const char *what, medley_vectors *out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(medley_vectors_read(path, out, err));
  if (out->dim != dim) FAIL(err, MEDLEY_ERR_INPUT, "'%s' has %zu dimensions, %s has %zu", path, out->dim, what, dim);
done:
  if (status != MEDLEY_OK) medley_vectors_free(out);
  return status;
}
