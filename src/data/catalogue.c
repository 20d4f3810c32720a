/* data/catalogue.c: see data/catalogue.h. */
#include "data/catalogue.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* "(1995)" at the end of a title, as film catalogues write it. */
static int year_of_title(const char *title) {
  size_t length = strlen(title);
  while (length > 0 && isspace((unsigned char)title[length - 1])) length--;
  if (length < 6 || title[length - 1] != ')' || title[length - 6] != '(') return 0;
  int year = 0;
  for (size_t i = length - 5; i < length - 1; i++) {
    if (!isdigit((unsigned char)title[i])) return 0;
    year = year * 10 + (title[i] - '0');
  }
  return year >= 1800 && year <= 2200 ? year : 0;
}

static int year_of_attributes(const char *attributes) {
  json_t *object = NULL;
  if (attributes == NULL || json_parse(attributes, strlen(attributes), "attributes", &object, NULL) != MEDLEY_OK)
    return 0;
  const json_t *value = json_object_get(object, "year");
  long long year = json_is_integer(value) ? json_integer_value(value) : 0;
  if (json_is_string(value)) year = strtoll(json_string_value(value), NULL, 10);
  json_decref(object);
  return year >= 1800 && year <= 2200 ? (int)year : 0;
}

static medley_status catalogue_add_tag(catalogue *c, const char *name, uint32_t *index, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool added;
  const int64_t *slot = strmap_get_or_put(&c->tags, name, strlen(name), c->tag_count, &added);
  if (slot == NULL) return error_memory(err, "tags");
  *index = (uint32_t)*slot;
  if (!added) return MEDLEY_OK;
  TRY_GROW(c->tag_names, c->tag_capacity, (size_t)c->tag_count + 1, "tags");
  c->tag_names[c->tag_count] = arena_strdup(c->strings, name);
  if (c->tag_names[c->tag_count] == NULL) return error_memory(err, "tags");
  c->tag_count++;
done:
  return status;
}

static medley_status catalogue_take_tags(catalogue *c, const store_item *from, catalogue_item *item,
                                         medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *tags = arena_alloc(c->strings, from->tag_count + 1, sizeof *tags);
  if (tags == NULL) return error_memory(err, "tags");
  for (size_t i = 0; i < from->tag_count; i++) TRY(catalogue_add_tag(c, from->tags[i], &tags[item->tag_count++], err));
  if (from->category != NULL && from->category[0] != '\0')
    TRY(catalogue_add_tag(c, from->category, &tags[item->tag_count++], err));
  /* A category that is also a tag counts once. */
  for (uint32_t i = 0; i + 1 < item->tag_count; i++)
    if (tags[i] == tags[item->tag_count - 1]) {
      item->tag_count--;
      break;
    }
  item->tags = tags;
done:
  return status;
}

static medley_status catalogue_take_media(catalogue *c, const store_item *from, catalogue_item *item,
                                          medley_error *err) {
  uint32_t wanted[MODALITY_COUNT] = {0};
  const char **paths[MODALITY_COUNT] = {0};
  for (size_t i = 0; i < from->media_count; i++) {
    int m = from->media[i].modality;
    if (m > MODALITY_TEXT && m < MODALITY_COUNT && wanted[m] < STORE_MEDIA_MAX) wanted[m]++;
  }
  for (int m = 0; m < MODALITY_COUNT; m++) {
    if (wanted[m] > 0 && (paths[m] = arena_alloc(c->strings, wanted[m], sizeof(char *))) == NULL)
      return error_memory(err, "media paths");
    item->media[m] = paths[m];
  }
  for (size_t i = 0; i < from->media_count; i++) {
    int m = from->media[i].modality;
    if (m <= MODALITY_TEXT || m >= MODALITY_COUNT || item->media_count[m] == wanted[m]) continue;
    const char *path = arena_strdup(c->strings, from->media[i].path);
    if (path == NULL) return error_memory(err, "media paths");
    paths[m][item->media_count[m]++] = path;
  }
  return MEDLEY_OK;
}

static const char *catalogue_keep(catalogue *c, const char *text) { return text ? arena_strdup(c->strings, text) : ""; }

static medley_status catalogue_take(void *context, const store_item *from, medley_error *err) {
  medley_status status = MEDLEY_OK;
  catalogue *c = context;
  if (c->count == UINT32_MAX - 1) FAIL(err, MEDLEY_ERR_LIMIT, "more than %u items", c->count);
  TRY_GROW(c->items, c->item_capacity, (size_t)c->count + 1, "items");
  catalogue_item *item = &c->items[c->count];
  *item = (catalogue_item){.id = from->id,
                           .key = catalogue_keep(c, from->key),
                           .title = catalogue_keep(c, from->title),
                           .text = catalogue_keep(c, from->text),
                           .category = catalogue_keep(c, from->category),
                           .language = catalogue_keep(c, from->language),
                           .time_s = from->time_s,
                           .hidden = from->hidden};
  if (!item->key || !item->title || !item->text || !item->category || !item->language) {
    status = error_memory(err, "item texts");
    goto done;
  }
  item->year = year_of_title(item->title);
  if (item->year == 0) item->year = year_of_attributes(from->attributes);
  TRY(catalogue_take_tags(c, from, item, err));
  TRY(catalogue_take_media(c, from, item, err));
  if (!intmap_put(&c->index, item->id, c->count) || !strmap_put(&c->keys, item->key, c->count)) {
    status = error_memory(err, "item keys");
    goto done;
  }
  c->count++;
done:
  return status;
}

medley_status catalogue_load(const store_kind *kind, store *s, const medley_progress *progress, catalogue *out,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  progress_begin(&stage, progress, "load items", 0);
  *out = (catalogue){.strings = arena_create(1 << 20)};
  if (out->strings == NULL) return error_memory(err, "items");
  TRY(kind->each_item(s, 0, 0, catalogue_take, out, err));
  progress_end(&stage, out->count);
done:
  if (status != MEDLEY_OK) catalogue_deinit(out);
  return status;
}

void catalogue_deinit(catalogue *c) {
  mem_free(c->items);
  mem_free(c->tag_names);
  intmap_deinit(&c->index);
  strmap_deinit(&c->keys);
  strmap_deinit(&c->tags);
  arena_free(c->strings);
  *c = (catalogue){0};
}

uint32_t catalogue_tag(const catalogue *c, const char *name) {
  const int64_t *index = strmap_get(&c->tags, name);
  return index ? (uint32_t)*index : UINT32_MAX;
}

bool catalogue_has_tag(const catalogue *c, uint32_t item, uint32_t tag) {
  const catalogue_item *i = &c->items[item];
  for (uint32_t t = 0; t < i->tag_count; t++)
    if (i->tags[t] == tag) return true;
  return false;
}
