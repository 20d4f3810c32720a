/* data/import_draft.c: one row on its way from a reader to the store. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "data/import_parts.h"

#define NO_TAG "(no genres listed)" /* MovieLens's word for an empty list */

medley_status draft_init(import_draft *d, medley_error *err) {
  *d = (import_draft){.attributes = {.limit = (size_t)2 * IMPORT_LINE_MAX}};
  d->memory = arena_create(0);
  return d->memory ? MEDLEY_OK : error_memory(err, "a row");
}

void draft_deinit(import_draft *d) {
  arena_free(d->memory);
  mem_free(d->tags);
  mem_free(d->media);
  mem_free(d->vector_values);
  strbuf_deinit(&d->attributes);
  *d = (import_draft){0};
}

void draft_reset(import_draft *d, uint64_t line) {
  arena_reset(d->memory);
  memset(d->value, 0, sizeof d->value);
  d->line = line;
  d->tag_count = d->media_count = 0;
  d->tags_given = d->rejected = false;
  d->vector = NULL;
  d->raw = NULL;
  strbuf_reset(&d->attributes);
}

void draft_reject(import_draft *d, import_reason reason, import_field field, const char *format, ...) {
  if (d->rejected) return;
  va_list args;
  va_start(args, format);
  vsnprintf(d->message, sizeof d->message, format, args);
  va_end(args);
  d->rejected = true;
  d->reason = reason;
  d->field = field;
}

/* ---- tags and media ---- */

medley_status draft_add_tag(import_draft *d, const char *tag, medley_error *err) {
  medley_status status = MEDLEY_OK;
  d->tags_given = true;
  TRY_GROW(d->tags, d->tag_capacity, d->tag_count + 1, "tags");
  if (*tag != '\0' && strcmp(tag, NO_TAG) != 0) d->tags[d->tag_count++] = tag;
done:
  return status;
}

/* "a|b, c|d" is cut at '|', "a, b" at ',', "a;b" at ';'. */
static char tag_separator(const char *text) {
  if (strchr(text, '|') != NULL) return '|';
  return strchr(text, ',') == NULL && strchr(text, ';') != NULL ? ';' : ',';
}

static medley_status draft_add_tags(import_draft *d, const char *text, char separator, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (separator == '\0') separator = tag_separator(text);
  for (const char *p = text;;) {
    const char *end = strchrnul(p, separator);
    char *tag = arena_strndup(d->memory, p, (size_t)(end - p));
    if (tag == NULL) {
      status = error_memory(err, "tags");
      goto done;
    }
    TRY(draft_add_tag(d, string_trim(tag), err));
    if (*end == '\0') break;
    p = end + 1;
  }
done:
  return status;
}

medley_status draft_add_media(import_draft *d, modality kind, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(d->media, d->media_capacity, d->media_count + 1, "media paths");
  d->media[d->media_count++] = (store_media){.modality = (int)kind, .path = path};
done:
  return status;
}

/* ---- attributes ---- */

void draft_add_attribute_json(import_draft *d, const char *name, const char *json_text) {
  strbuf_append_char(&d->attributes, d->attributes.length == 0 ? '{' : ',');
  strbuf_append_json(&d->attributes, name);
  strbuf_append_char(&d->attributes, ':');
  strbuf_append(&d->attributes, json_text);
}

void draft_add_attribute(import_draft *d, const char *name, const char *value) {
  strbuf_append_char(&d->attributes, d->attributes.length == 0 ? '{' : ',');
  strbuf_append_json(&d->attributes, name);
  strbuf_append_char(&d->attributes, ':');
  strbuf_append_json(&d->attributes, value);
}

const char *draft_attributes(import_draft *d) {
  if (d->attributes.length == 0 && !d->attributes.failed) return NULL;
  strbuf_append_char(&d->attributes, '}');
  return d->attributes.failed ? NULL : d->attributes.text;
}

/* ---- values ---- */

/* A second title or text goes on a new line. */
static medley_status draft_join(import_draft *d, import_field field, const char *value, medley_error *err) {
  const char *before = d->value[field];
  size_t first = strlen(before), second = strlen(value);
  char *joined = arena_alloc(d->memory, first + second + 2, 1);
  if (joined == NULL) return error_memory(err, "a text");
  memcpy(joined, before, first);
  joined[first] = '\n';
  memcpy(joined + first + 1, value, second + 1);
  d->value[field] = joined;
  return MEDLEY_OK;
}

/* Numbers separated by spaces or commas, perhaps in brackets. */
static medley_status draft_add_vector(import_draft *d, const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char number[64];
  d->vector_dim = 0;
  for (const char *p = text;;) {
    p += strspn(p, " ,;[]\t");
    size_t length = strcspn(p, " ,;[]\t");
    if (length == 0) break;
    double value;
    snprintf(number, sizeof number, "%.*s", (int)(length < sizeof number ? length : sizeof number - 1), p);
    if (length >= sizeof number || !string_to_double(number, &value)) {
      draft_reject(d, IMPORT_BAD_VALUE, FIELD_VECTOR, "'%.40s' in the vector is no number", number);
      goto done;
    }
    if (d->vector_dim == NPY_DIM_MAX) {
      draft_reject(d, IMPORT_TOO_LARGE, FIELD_VECTOR, "the vector has more than %d numbers", NPY_DIM_MAX);
      goto done;
    }
    TRY_GROW(d->vector_values, d->vector_capacity, (size_t)d->vector_dim + 1, "a vector");
    d->vector_values[d->vector_dim++] = (float)value;
    p += length;
  }
  d->vector = d->vector_dim > 0 ? d->vector_values : NULL;
done:
  return status;
}

medley_status draft_add(import_draft *d, import_field field, const char *name, const char *value, char separator,
                        medley_error *err) {
  bool flag = false;
  if (*value == '\0' || field == FIELD_SKIP) return MEDLEY_OK;
  switch (field) {
    case FIELD_NONE: draft_add_attribute(d, name, value); return MEDLEY_OK;
    case FIELD_TAGS: return draft_add_tags(d, value, separator, err);
    case FIELD_FLAG: return value_flag(value, &flag) && flag ? draft_add_tag(d, name, err) : MEDLEY_OK;
    case FIELD_VECTOR: return draft_add_vector(d, value, err);
    case FIELD_IMAGE:
    case FIELD_AUDIO:
    case FIELD_VIDEO: return draft_add_media(d, import_field_modality(field), value, err);
    case FIELD_TITLE:
    case FIELD_TEXT:
      if (d->value[field] != NULL) return draft_join(d, field, value, err);
      break;
    default: break;
  }
  if (d->value[field] == NULL) d->value[field] = value;
  return MEDLEY_OK;
}
