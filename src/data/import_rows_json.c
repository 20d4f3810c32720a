/* data/import_rows_json.c: rows that are JSON objects, a line each; and the Python literals of Amazon 2014. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "data/import_parts.h"

/* ---- values ---- */

/* A scalar as text, in the draft's memory or the object's; NULL for null, objects and arrays. */
static const char *scalar_text(import_draft *d, const json_t *value) {
  char number[40];
  switch (json_typeof(value)) {
    case JSON_STRING: return json_string_value(value);
    case JSON_INTEGER: snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value)); break;
    case JSON_REAL: snprintf(number, sizeof number, "%.17g", json_real_value(value)); break;
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    default: return NULL;
  }
  return arena_strdup(d->memory, number);
}

static medley_status vector_add(import_draft *d, const json_t *array, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = json_array_size(array);
  if (count > NPY_DIM_MAX) {
    draft_reject(d, IMPORT_TOO_LARGE, FIELD_VECTOR, "the vector has more than %d numbers", NPY_DIM_MAX);
    goto done;
  }
  TRY_GROW(d->vector_values, d->vector_capacity, count, "a vector");
  for (size_t i = 0; i < count; i++) {
    const json_t *number = json_array_get(array, i);
    if (!json_is_number(number)) {
      draft_reject(d, IMPORT_BAD_VALUE, FIELD_VECTOR, "element %zu of the vector is no number", i + 1);
      goto done;
    }
    d->vector_values[i] = (float)json_number_value(number);
  }
  d->vector_dim = (uint32_t)count;
  d->vector = count > 0 ? d->vector_values : NULL;
done:
  return status;
}

/* Arrays add each element, objects each member's value: {"en": ..., "zh": ...} is a text in two languages. A tag in an
 * array is whole, with whatever commas are in it. */
static medley_status field_add(import_draft *d, import_field field, const char *name, const json_t *value, bool inside,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (json_is_array(value) && field == FIELD_VECTOR) return vector_add(d, value, err);
  if (json_is_array(value)) {
    for (size_t i = 0; i < json_array_size(value); i++)
      TRY(field_add(d, field, name, json_array_get(value, i), true, err));
    if (field == FIELD_TAGS) d->tags_given = true;
    goto done;
  }
  if (json_is_object(value)) {
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)value, key, member) TRY(field_add(d, field, name, member, true, err));
    goto done;
  }
  if (json_is_null(value)) goto done;
  const char *text = scalar_text(d, value);
  if (text == NULL) {
    status = error_memory(err, "a row");
    goto done;
  }
  if (field == FIELD_TAGS && inside)
    TRY(draft_add_tag(d, text, err));
  else
    TRY(draft_add(d, field, name, text, '\0', err));
done:
  return status;
}

/* Everything that the dotted path leads to, through arrays too. A member whose own name has dots is found first. */
static medley_status path_add(import_draft *d, import_field field, const char *path, const json_t *value, bool *found,
                              bool inside, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (json_is_array(value)) {
    for (size_t i = 0; i < json_array_size(value); i++)
      TRY(path_add(d, field, path, json_array_get(value, i), found, true, err));
    goto done;
  }
  if (!json_is_object(value)) goto done;
  const json_t *member = json_object_get(value, path);
  if (member != NULL) {
    *found = true;
    TRY(field_add(d, field, path, member, inside, err));
    goto done;
  }
  const char *dot = strchr(path, '.');
  if (dot == NULL) goto done;
  member = json_object_getn(value, path, (size_t)(dot - path));
  if (member != NULL) TRY(path_add(d, field, dot + 1, member, found, inside, err));
done:
  return status;
}

/* ---- rows ---- */

/* field << 8 | rank of a member's name; looked up once per name. */
static int64_t name_rank(import_mapping *m, const char *name) {
  const int64_t *known = strmap_get(&m->names, name);
  if (known != NULL) return *known;
  int rank;
  int64_t value = (int64_t)mapping_rank(m, name, &rank) << 8 | rank;
  /* Memory that lacks here only costs time; names are many only in files that use them as data. */
  if (m->names.count < 10000) (void)strmap_put(&m->names, name, value);
  return value;
}

/* Whether an entry maps the whole member. */
static bool name_mapped(const import_mapping *m, const char *name) {
  for (size_t i = 0; i < m->count; i++)
    if (strcmp(m->entries[i].column, name) == 0) return true;
  return false;
}

static medley_status attribute_add(import_reader *r, import_draft *d, const char *name, const json_t *value,
                                   medley_error *err) {
  if (r->mapping.drop_rest || json_is_null(value)) return MEDLEY_OK;
  char *text = json_to_text(value);
  if (text == NULL) return error_memory(err, "a row");
  draft_add_attribute_json(d, name, text);
  mem_free(text);
  return MEDLEY_OK;
}

static medley_status object_take(import_reader *r, import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  import_mapping *m = &r->mapping;
  const json_t *best[FIELD_COUNT] = {NULL};
  int64_t best_rank[FIELD_COUNT] = {0};
  const char *name;
  json_t *value;
  for (size_t i = 0; i < m->count; i++) {
    bool found = false;
    if (*m->entries[i].column == '\0') continue;
    TRY(path_add(d, m->entries[i].field, m->entries[i].column, r->object, &found, false, err));
    m->entries[i].found |= found;
  }
  json_object_foreach(r->object, name, value) {
    int64_t known = name_rank(m, name), field = known >> 8, rank = known & 0xff;
    bool better = field != FIELD_NONE && (best_rank[field] == 0 || rank < best_rank[field]);
    if (better && !json_is_null(value) && !name_mapped(m, name)) {
      best[field] = value;
      best_rank[field] = rank;
    }
  }
  for (import_field f = FIELD_ITEM; f < FIELD_COUNT; f++)
    if (best[f] != NULL) TRY(field_add(d, f, "", best[f], false, err));
  json_object_foreach(r->object, name, value) {
    int64_t field = name_rank(m, name) >> 8;
    if (!name_mapped(m, name) && (field == FIELD_NONE || best[field] != value))
      TRY(attribute_add(r, d, name, value, err));
  }
done:
  return status;
}

static medley_status rows_json_open(import_reader *r, medley_error *err) {
  (void)err;
  line_reader_init(&r->lines, r->in, r->part->latin1, IMPORT_LINE_MAX);
  r->converted.limit = (size_t)4 * IMPORT_LINE_MAX;
  return MEDLEY_OK;
}

/* The line as an object, or a rejected draft. */
static medley_status line_parse(import_reader *r, import_draft *d, char *line, size_t length, medley_error *err) {
  medley_error reason = {0};
  json_t *object = NULL;
  d->raw = line;
  if (memchr(line, '\0', length) != NULL || !utf8_valid(line, length)) {
    draft_reject(d, IMPORT_BAD_ENCODING, FIELD_NONE,
                 "the line is not UTF-8: if the file is in Latin-1, say --encoding latin-1");
    d->raw = NULL;
    return MEDLEY_OK;
  }
  strbuf_reset(&r->converted);
  bool loose = r->part->loose && python_to_json(line, length, &r->converted);
  medley_status status =
      json_parse(loose ? r->converted.text : line, loose ? r->converted.length : length, "the line", &object, &reason);
  if (status == MEDLEY_ERR_MEMORY) return error_set(err, status, "%s", reason.text);
  if (status != MEDLEY_OK) {
    draft_reject(d, status == MEDLEY_ERR_LIMIT ? IMPORT_TOO_LARGE : IMPORT_BAD_ROW, FIELD_NONE, "%.300s", reason.text);
    return MEDLEY_OK;
  }
  if (!json_is_object(object)) {
    draft_reject(d, IMPORT_BAD_ROW, FIELD_NONE, "the line is JSON, but not an object");
    json_decref(object);
    return MEDLEY_OK;
  }
  r->object = object;
  return MEDLEY_OK;
}

/* The first row tells what the others are like. */
static medley_status object_check(const import_reader *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char **names = NULL, *name;
  json_t *value;
  size_t count = 0;
  TRY_NEW(names, json_object_size(r->object) + 1, "the members of a row");
  json_object_foreach(r->object, name, value) names[count++] = name;
  TRY(mapping_check_columns(&r->mapping, names, NULL, count, err));
done:
  mem_free(names);
  return status;
}

static medley_status rows_json_next(import_reader *r, import_draft *d, bool *more, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *line;
  size_t length;
  json_decref(r->object);
  r->object = NULL;
  do TRY(line_next(&r->lines, &line, &length, err));
  while (line != NULL && line[strspn(line, " \t")] == '\0' && length == strlen(line));
  *more = line != NULL;
  if (line == NULL) goto done;
  draft_reset(d, r->lines.number);
  TRY(line_parse(r, d, line, length, err));
  if (r->object == NULL) goto done;
  if (!r->checked) TRY(object_check(r, err));
  r->checked = true;
  TRY(object_take(r, d, err));
done:
  return status;
}

static void rows_json_close(import_reader *r) {
  json_decref(r->object);
  line_reader_deinit(&r->lines);
  strbuf_deinit(&r->converted);
}

#define DESCRIBED_BYTES 2048 /* of a line */

/* The object itself, or, when the line is none or very long, its text as far as it goes. */
static void rows_json_describe(const import_reader *r, const import_draft *d, strbuf *out) {
  strbuf repaired = {0};
  char *object = r->object && strnlen(d->raw, DESCRIBED_BYTES + 1) <= DESCRIBED_BYTES ? json_to_text(r->object) : NULL;
  if (object != NULL) {
    strbuf_append(out, object);
    mem_free(object);
    return;
  }
  if (d->raw != NULL) strbuf_append_utf8_repaired(&repaired, d->raw, strnlen(d->raw, DESCRIBED_BYTES));
  strbuf_append_json(out, repaired.text ? repaired.text : "");
  out->failed |= repaired.failed;
  strbuf_deinit(&repaired);
}

const import_reader_kind import_rows_json = {
    .open = rows_json_open, .next = rows_json_next, .close = rows_json_close, .describe = rows_json_describe};

/* ---- Python literals ---- */

/* The hexadecimal digits of an escape, as a JSON escape. False when there are too few, or it needs more than 16 bits.
 */
static bool escape_hex(const char **p, const char *end, int count, strbuf *out) {
  unsigned value = 0;
  for (int i = 0; i < count; i++, ++*p) {
    if (*p >= end || !isxdigit((unsigned char)**p)) return false;
    unsigned char c = (unsigned char)tolower((unsigned char)**p);
    value = value * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  if (value > 0xFFFF) return false;
  strbuf_printf(out, "\\u%04x", value);
  return true;
}

static bool python_escape(const char **p, const char *end, strbuf *out) {
  if (*p >= end) return false;
  char c = *(*p)++;
  switch (c) {
    case '\'': strbuf_append_char(out, '\''); return true;
    case '"': strbuf_append(out, "\\\""); return true;
    case '\\': strbuf_append(out, "\\\\"); return true;
    case 'n':
    case 't':
    case 'r':
    case 'b':
    case 'f': strbuf_printf(out, "\\%c", c); return true;
    case 'x': return escape_hex(p, end, 2, out);
    case 'u': return escape_hex(p, end, 4, out);
    default: strbuf_printf(out, "\\\\%c", c); return true; /* Python keeps the backslash of unknown escapes */
  }
}

static bool python_string(const char **p, const char *end, strbuf *out) {
  char quote = *(*p)++;
  strbuf_append_char(out, '"');
  while (*p < end && **p != quote) {
    char c = *(*p)++;
    if (c == '\\') {
      if (!python_escape(p, end, out)) return false;
    } else if (c == '"') {
      strbuf_append(out, "\\\"");
    } else if ((unsigned char)c < 0x20) {
      strbuf_printf(out, "\\u%04x", (unsigned char)c);
    } else {
      strbuf_append_char(out, c);
    }
  }
  if (*p >= end) return false;
  ++*p;
  strbuf_append_char(out, '"');
  return true;
}

bool python_to_json(const char *text, size_t length, strbuf *out) {
  static const char *const words[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"}};
  const char *p = text, *end = text + length;
  while (p < end) {
    if (*p == '\'' || *p == '"') {
      if (!python_string(&p, end, out)) return false;
      continue;
    }
    if ((*p == 'u' || *p == 'b') && p + 1 < end && (p[1] == '\'' || p[1] == '"')) {
      p++;
      continue;
    }
    bool word = false;
    for (size_t i = 0; i < 3 && !word; i++) {
      size_t size = strlen(words[i][0]);
      if ((size_t)(end - p) < size || memcmp(p, words[i][0], size) != 0) continue;
      strbuf_append(out, words[i][1]);
      p += size;
      word = true;
    }
    if (!word) strbuf_append_char(out, *p == '(' ? '[' : *p == ')' ? ']' : *p), p++;
  }
  strbuf_append(out, "");
  return !out->failed;
}
