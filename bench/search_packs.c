/* bench/search_packs.c: see bench/search_packs.h. The packs are trusted test material: what does not parse is an error,
 * nothing more is made of it. */
#include "bench/search_packs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/strbuf.h"

#define PACK_BYTES_MAX ((size_t)64 << 20)

void pack_deinit(pack *p) {
  arena_free(p->strings);
  mem_free(p->items);
  mem_free(p->texts);
  *p = (pack){0};
}

static medley_status add_item(pack *p, split split, const char *folder, const char *picture, const char *sound,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  char path[1024];
  TRY_GROW(p->items, p->item_capacity, p->item_count + 1, "items");
  pack_item *item = &p->items[p->item_count++];
  *item = (pack_item){split, NULL, NULL};
  snprintf(path, sizeof path, "%s/%s", folder, picture ? picture : "");
  if (picture != NULL && file_exists(path)) item->picture = arena_strdup(p->strings, path);
  snprintf(path, sizeof path, "%s/%s", folder, sound ? sound : "");
  if (sound != NULL && file_exists(path)) item->sound = arena_strdup(p->strings, path);
done:
  return status;
}

static medley_status add_text(pack *p, uint32_t item, const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(p->texts, p->text_capacity, p->text_count + 1, "texts");
  p->texts[p->text_count++] = (pack_text){item, arena_strdup(p->strings, text)};
done:
  return status;
}

/* Test is every `fold`-th, validation the one after it. */
static split split_by_number(long long number, int fold) {
  return number % fold == 0 ? SPLIT_TEST : number % fold == 1 ? SPLIT_VALID : SPLIT_TRAIN;
}

/* Cuts a line in place; returns how many fields there are. */
static size_t cut_fields(char *line, char **fields, size_t most) {
  size_t count = 0;
  while (count < most) {
    fields[count++] = line;
    line = strchr(line, '\t');
    if (line == NULL) break;
    *line++ = '\0';
  }
  return count;
}

typedef struct reader {
  pack *pack;
  const char *folder, *variant;
  strmap seen; /* photos: file name → item */
} reader;

/* ---- one line of each pack ---- */

static medley_status read_shop(reader *r, char *line, medley_error *err) {
  char *field[7], picture[64];
  if (cut_fields(line, field, 7) < 7) return error_set(err, MEDLEY_ERR_INPUT, "a product has fewer than 7 columns");
  snprintf(picture, sizeof picture, "images/%s.jpg", field[0]);
  medley_status status = add_item(r->pack, split_by_number(atoll(field[0]), 10), r->folder, picture, NULL, err);
  if (status != MEDLEY_OK) return status;
  char text[2048];
  if (strcmp(r->variant, "title") == 0)
    snprintf(text, sizeof text, "%s", field[1]);
  else
    snprintf(text, sizeof text, "%s\n%s %s %s %s %s", field[1], field[2], field[3], field[4], field[5], field[6]);
  return add_text(r->pack, (uint32_t)(r->pack->item_count - 1), text, err);
}

static split split_by_name(const char *name) {
  static const char *const names[] = {[SPLIT_TRAIN] = "train", [SPLIT_VALID] = "val", [SPLIT_TEST] = "test"};
  for (int s = 0; s < SPLIT_OUT; s++)
    if (strcmp(names[s], name) == 0) return (split)s;
  return SPLIT_OUT; /* the few without a place in the usual split */
}

static medley_status read_photos(reader *r, char *line, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *field[4], picture[256];
  if (cut_fields(line, field, 4) < 4) FAIL(err, MEDLEY_ERR_INPUT, "a caption has fewer than 4 columns");
  bool added;
  int64_t *item = strmap_get_or_put(&r->seen, field[0], strlen(field[0]), (int64_t)r->pack->item_count, &added);
  if (item == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for photos");
  snprintf(picture, sizeof picture, "images/%s", field[0]);
  uint32_t number = (uint32_t)*item;
  if (added) TRY(add_item(r->pack, split_by_name(field[1]), r->folder, picture, NULL, err));
  if (strcmp(r->variant, "en+zh") == 0 || strcmp(r->variant, field[2]) == 0)
    TRY(add_text(r->pack, number, field[3], err));
done:
  return status;
}

/* Name, kind and types in one language, and the description, which is there in English only. */
static void creature_text(const json_t *c, const char *language, strbuf *out) {
  const char *const fields[] = {"name", "kind", "text"};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    strbuf_printf(out, "%s\n", json_member_string(json_object_get(c, fields[i]), language, ""));
}

static medley_status read_creature(reader *r, char *line, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *c = NULL;
  strbuf text = {0};
  static const char *const languages[] = {"en", "zh", "ja"};
  TRY(json_parse(line, strlen(line), "creatures.jsonl", &c, err));
  TRY(add_item(r->pack, split_by_number(json_member_integer(c, "id", 0), 5), r->folder,
               json_member_string(c, "image", NULL), json_member_string(c, "audio", NULL), err));
  for (size_t i = 0; i < 3; i++)
    if (strcmp(r->variant, "en+zh+ja") == 0 || strcmp(r->variant, languages[i]) == 0)
      creature_text(c, languages[i], &text);
  size_t index;
  json_t *type;
  json_array_foreach(json_object_get(c, "type"), index, type) strbuf_printf(&text, "%s ", json_string_value(type));
  TRY(add_text(r->pack, (uint32_t)(r->pack->item_count - 1), text.text, err));
done:
  json_decref(c);
  strbuf_deinit(&text);
  return status;
}

/* Recipes with a photograph; the first of several. They come without a split: every fifth of those is test. */
static medley_status read_recipe(reader *r, char *line, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *c = NULL;
  strbuf text = {0};
  TRY(json_parse(line, strlen(line), "recipes.jsonl", &c, err));
  const char *picture = json_string_value(json_array_get(json_object_get(c, "images"), 0));
  if (picture == NULL) goto done;
  strbuf_printf(&text, "%s\n%s", json_member_string(c, "title", ""), json_member_string(c, "category", ""));
  if (strcmp(r->variant, "whole") == 0) strbuf_printf(&text, "\n%s", json_member_string(c, "text", ""));
  TRY(add_item(r->pack, split_by_number((long long)r->pack->item_count, 5), r->folder, picture, NULL, err));
  TRY(add_text(r->pack, (uint32_t)(r->pack->item_count - 1), text.text, err));
done:
  json_decref(c);
  strbuf_deinit(&text);
  return status;
}

static const struct {
  const char *name, *file;
  bool heading;
  medley_status (*read)(reader *r, char *line, medley_error *err);
} kinds[] = {
    {"shop", "products.tsv", true, read_shop},
    {"photos", "captions.tsv", true, read_photos},
    {"creatures", "creatures.jsonl", false, read_creature},
    {"recipes", "recipes.jsonl", false, read_recipe},
};

medley_status pack_load(const char *data, const char *name, const char *variant, pack *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char folder[512], path[600], *bytes = NULL;
  size_t length, kind = 0;
  reader r = {.pack = out, .variant = variant, .folder = folder};
  *out = (pack){.strings = arena_create(0)};
  while (strcmp(kinds[kind].name, name) != 0) kind++;
  snprintf(folder, sizeof folder, "%s/%s", data, name);
  snprintf(path, sizeof path, "%s/%s", folder, kinds[kind].file);
  if (!file_exists(path)) FAIL(err, MEDLEY_ERR_NOT_FOUND, "%s is not there", path);
  TRY(file_read(path, PACK_BYTES_MAX, &bytes, &length, err));
  char *rest = bytes, *line;
  if (kinds[kind].heading) strsep(&rest, "\n");
  while ((line = strsep(&rest, "\n")) != NULL)
    if (*line != '\0') TRY(kinds[kind].read(&r, line, err));
done:
  mem_free(bytes);
  strmap_deinit(&r.seen);
  if (status != MEDLEY_OK) pack_deinit(out);
  return status;
}
