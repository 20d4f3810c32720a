/* data/import_sink.c: drafts into the store.
 *
 * What a row lacks or has wrong is found before anything of it is written, so that a rejected row leaves nothing
 * behind. Keys are held in maps, because looking a key up in the database costs more than all the rest of an event. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "data/import_parts.h"

medley_status sink_init(import_sink *k, const store_kind *kind, store *s, const import_options *options,
                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  *k = (import_sink){.kind = kind, .s = s, .options = options, .now_s = clock_wall_s()};
  k->contexts = arena_create(0);
  if (k->contexts == NULL) {
    status = error_memory(err, "an import");
    goto done;
  }
  TRY(kind->load_keys(s, STORE_ITEMS, &k->items, err));
  TRY(kind->load_keys(s, STORE_USERS, &k->users, err));
done:
  if (status != MEDLEY_OK) sink_deinit(k);
  return status;
}

void sink_deinit(import_sink *k) {
  strmap_deinit(&k->items);
  strmap_deinit(&k->users);
  strmap_deinit(&k->types);
  intmap_deinit(&k->touched);
  known_deinit(&k->known);
  mem_free(k->events);
  arena_free(k->contexts);
  *k = (import_sink){0};
}

/* "image_feat.npy" → "image.image_feat": a space's name begins with its modality. */
static void space_from_path(const char *path, char out[STORE_KEY_MAX + 1]) {
  static const char *const hints[][2] = {{"image", "image"},    {"img", "image"},  {"visual", "image"},
                                         {"text", "text"},      {"title", "text"}, {"audio", "audio"},
                                         {"acoustic", "audio"}, {"video", "video"}};
  const char *name = path_name(path), *modality_name_found = "item";
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
    if (strcasestr(name, hints[i][0]) != NULL) {
      modality_name_found = hints[i][1];
      break;
    }
  snprintf(out, STORE_KEY_MAX + 1, "%s.%.*s", modality_name_found, (int)strcspn(name, "."), name);
}

/* Names that other parts of an item have, and those under which encoders keep what they computed. */
static medley_status space_check(const char *space, medley_error *err) {
  if (modality_from_name(space) < MODALITY_COUNT || strcmp(space, "tags") == 0 || strcmp(space, "year") == 0 ||
      strchr(space, '/') != NULL)
    return error_set(
        err, MEDLEY_ERR_USAGE,
        "a space of vectors cannot be named '%.60s': text, image, audio, video, tags, year and names with a "
        "slash are taken; try 'image.mine'",
        space);
  return store_key_check("space", space, err);
}

/* Training finds the spaces by their names, one a line. */
static medley_status space_remember(import_sink *k, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf names = {0};
  if (k->space_remembered) return MEDLEY_OK;
  status = k->kind->meta_get(k->s, "vector_spaces", &names, err);
  if (status != MEDLEY_OK && status != MEDLEY_ERR_NOT_FOUND) goto done;
  status = MEDLEY_OK;
  for (const char *line = names.text; line != NULL && !k->space_remembered;) {
    size_t length = strcspn(line, "\n");
    k->space_remembered = length == strlen(k->space) && memcmp(line, k->space, length) == 0;
    line = line[length] == '\0' ? NULL : line + length + 1;
  }
  if (k->space_remembered) goto done;
  strbuf_printf(&names, "%s%s", names.length > 0 ? "\n" : "", k->space);
  TRY(names.failed ? error_memory(err, "names of spaces") : k->kind->meta_put(k->s, "vector_spaces", names.text, err));
  k->space_remembered = true;
done:
  strbuf_deinit(&names);
  return status;
}

medley_status sink_begin_part(import_sink *k, const import_part *part, const import_mapping *mapping,
                              import_media *media, import_report *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  k->part = part;
  k->mapping = mapping;
  k->media = media;
  k->report = report;
  intmap_deinit(&k->touched);
  if (k->options->space == NULL)
    space_from_path(part->path, k->space);
  else
    snprintf(k->space, sizeof k->space, "%s", k->options->space);
  k->space_remembered = false;
  TRY(space_check(k->space, err));
  k->again = report->again && part->kind == IMPORT_EVENTS;
  if (k->again) TRY(known_load(&k->known, k->kind, k->s, err));
done:
  return status;
}

/* ---- what all rows share ---- */

/* INPUT and LIMIT are the row's own faults; everything else ends the import. */
static medley_status store_verdict(import_draft *d, medley_status status, const medley_error *reason,
                                   medley_error *err) {
  if (status == MEDLEY_OK) return MEDLEY_OK;
  if (status != MEDLEY_ERR_INPUT && status != MEDLEY_ERR_LIMIT) return error_set(err, status, "%s", reason->text);
  draft_reject(d, status == MEDLEY_ERR_LIMIT ? IMPORT_TOO_LARGE : IMPORT_BAD_ENCODING, FIELD_NONE, "%.360s",
               reason->text);
  return MEDLEY_OK;
}

static bool key_take(import_draft *d, import_field field, const char *what) {
  medley_error reason;
  const char *key = d->value[field];
  if (key == NULL) {
    draft_reject(d, IMPORT_MISSING_FIELD, field, "the row has no %s", import_field_name(field));
    return false;
  }
  if (store_key_check(what, key, &reason) == MEDLEY_OK) return true;
  draft_reject(d, IMPORT_BAD_KEY, field, "%.360s", reason.text);
  return false;
}

static int64_t time_take(import_draft *d) {
  int64_t time_s = STORE_TIME_UNKNOWN;
  const char *text = d->value[FIELD_TIME];
  if (text != NULL && !value_time(text, &time_s))
    draft_reject(d, IMPORT_BAD_TIME, FIELD_TIME,
                 "time '%.60s' is neither a number of seconds, ms or us since 1970 nor ISO 8601", text);
  return time_s;
}

static float value_take(import_draft *d) {
  float value = 1;
  const char *text = d->value[FIELD_VALUE];
  if (text != NULL && !value_number(text, &value))
    draft_reject(d, IMPORT_BAD_VALUE, FIELD_VALUE, "value '%.60s' is no number", text);
  return value;
}

static const char *attributes_take(import_draft *d, size_t limit, medley_status *status, medley_error *err) {
  const char *text = draft_attributes(d);
  if (text == NULL && d->attributes.failed) *status = error_memory(err, "attributes");
  if (text == NULL || strnlen(text, limit + 1) <= limit) return text;
  draft_reject(d, IMPORT_TOO_LARGE, FIELD_NONE, "the unmapped columns have more than %zu bytes together: skip some",
               limit);
  return NULL;
}

static medley_status key_remember(strmap *keys, const char *key, int64_t id, medley_error *err) {
  return strmap_put(keys, key, id) ? MEDLEY_OK : error_memory(err, "keys");
}

/* ---- items and users ---- */

/* "images/a.jpg" → "a", as the walk over the folder made its keys. */
static medley_status stem_cut(import_draft *d, medley_error *err) {
  const char *key = d->value[FIELD_ITEM];
  if (key == NULL) return MEDLEY_OK;
  const char *name = path_name(key), *ending = path_extension(key);
  char *stem = arena_strndup(d->memory, name, strlen(name) - strlen(ending) - (*ending != '\0' ? 1 : 0));
  if (stem == NULL) return error_memory(err, "a key");
  d->value[FIELD_ITEM] = stem;
  return MEDLEY_OK;
}

/* Everything of an item but its media; rejects what is wrong. */
static medley_status item_fill(import_sink *k, import_draft *d, store_item *item, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool hidden = false;
  const char *text = d->value[FIELD_HIDDEN];
  if (k->part->stem_keys && k->part->reading != READ_FOLDER) TRY(stem_cut(d, err));
  if (!key_take(d, FIELD_ITEM, "item")) goto done;
  if (text != NULL && !value_flag(text, &hidden))
    draft_reject(d, IMPORT_BAD_VALUE, FIELD_HIDDEN, "hidden '%.60s' is neither true nor false", text);
  *item = (store_item){
      .key = d->value[FIELD_ITEM],
      .title = d->value[FIELD_TITLE],
      .text = d->value[FIELD_TEXT],
      .category = d->value[FIELD_CATEGORY],
      .language = d->value[FIELD_LANGUAGE],
      .tags = d->tags_given ? d->tags : NULL,
      .tag_count = d->tag_count,
      .attributes = attributes_take(d, STORE_TEXT_MAX, &status, err),
      .time_s = time_take(d),
      .hidden = hidden,
      .keep_hidden = text == NULL,
      .append_text = k->options->append_text || k->part->append_text,
  };
done:
  return status;
}

static medley_status item_take(import_sink *k, import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_error reason;
  store_item item;
  int64_t id = 0;
  TRY(item_fill(k, d, &item, err));
  if (d->rejected) goto done;
  const int64_t *known = strmap_get(&k->items, item.key);
  bool first = known == NULL || intmap_get(&k->touched, *known) == NULL;
  import_report media = {0};
  TRY(import_media_resolve(k->media, d, k->mapping, first, &media, err));
  item.media = d->media;
  item.media_count = d->media_count;
  TRY(store_verdict(d, k->kind->put_item(k->s, &item, &id, &reason), &reason, err));
  if (d->rejected) goto done;
  if (known == NULL) TRY(key_remember(&k->items, item.key, id, err));
  if (first && !intmap_put(&k->touched, id, 1)) {
    status = error_memory(err, "keys");
    goto done;
  }
  import_report_add(k->report, &media);
  if (known == NULL)
    k->report->items_created++;
  else
    k->report->items_updated++;
done:
  return status;
}

static medley_status user_take(import_sink *k, import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_error reason;
  int64_t id = 0;
  if (!key_take(d, FIELD_USER, "user")) goto done;
  store_user user = {.key = d->value[FIELD_USER],
                     .attributes = attributes_take(d, STORE_TEXT_MAX, &status, err),
                     .time_s = time_take(d)};
  TRY(status);
  if (d->rejected) goto done;
  TRY(store_verdict(d, k->kind->put_user(k->s, &user, &id, &reason), &reason, err));
  if (d->rejected) goto done;
  if (strmap_get(&k->users, user.key) == NULL) {
    TRY(key_remember(&k->users, user.key, id, err));
    k->report->users_created++;
  } else {
    k->report->users_updated++;
  }
done:
  return status;
}

/* ---- rows that name users and items ---- */

/* The id of a key that was checked; made when it is not there, and rejected before that when strict. */
static medley_status item_find(import_sink *k, const char *key, int64_t *id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const int64_t *known = strmap_get(&k->items, key);
  if (known != NULL) {
    *id = *known;
    goto done;
  }
  TRY(k->kind->put_item(k->s, &(store_item){.key = key, .time_s = STORE_TIME_UNKNOWN, .keep_hidden = true}, id, err));
  TRY(key_remember(&k->items, key, *id, err));
  k->report->items_created++;
done:
  return status;
}

static medley_status user_find(import_sink *k, const char *key, int64_t *id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const int64_t *known = strmap_get(&k->users, key);
  if (known != NULL) {
    *id = *known;
    goto done;
  }
  TRY(k->kind->put_user(k->s, &(store_user){.key = key, .time_s = STORE_TIME_UNKNOWN}, id, err));
  TRY(key_remember(&k->users, key, *id, err));
  k->report->users_created++;
done:
  return status;
}

/* Rejects a missing or impossible key, and, when strict, one that is not there. */
static bool key_usable(import_sink *k, import_draft *d, import_field field) {
  bool item = field == FIELD_ITEM || field == FIELD_TO_ITEM;
  const char *what = item ? "item" : "user";
  if (!key_take(d, field, what)) return false;
  if (!k->options->strict || strmap_get(item ? &k->items : &k->users, d->value[field]) != NULL) return true;
  draft_reject(d, IMPORT_UNKNOWN_KEY, field, "there is no %s '%.200s'", what, d->value[field]);
  return false;
}

static const char *type_name(const import_sink *k, const import_draft *d, const char *fallback) {
  if (d->value[FIELD_TYPE] != NULL) return d->value[FIELD_TYPE];
  if (k->options->type != NULL) return k->options->type;
  return k->part->type ? k->part->type : fallback;
}

static medley_status type_find(import_sink *k, const char *name, int32_t *type, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const int64_t *known = strmap_get(&k->types, name);
  if (known != NULL) {
    *type = (int32_t)*known;
    goto done;
  }
  TRY(k->kind->event_type(k->s, name, type, err));
  TRY(key_remember(&k->types, name, *type, err));
done:
  return status;
}

static bool type_usable(import_draft *d, const char *name) {
  medley_error reason;
  if (store_key_check("type", name, &reason) == MEDLEY_OK) return true;
  draft_reject(d, IMPORT_BAD_KEY, FIELD_TYPE, "%.360s", reason.text);
  return false;
}

static store_split split_take(import_sink *k, import_draft *d) {
  store_split split = k->part->split != STORE_SPLIT_NONE ? k->part->split : k->options->split;
  const char *text = d->value[FIELD_SPLIT];
  if (text != NULL && !value_split(text, &split))
    draft_reject(d, IMPORT_BAD_VALUE, FIELD_SPLIT, "split '%.60s' is neither train, valid nor test", text);
  return split;
}

static int64_t event_time_take(const import_sink *k, import_draft *d) {
  medley_error reason;
  int64_t time_s = time_take(d);
  if (!d->rejected && store_event_time_check(time_s, k->now_s, &reason) != MEDLEY_OK)
    draft_reject(d, IMPORT_BAD_TIME, FIELD_TIME, "%.360s", reason.text);
  return time_s;
}

/* The row as an event, its user, item and type made where they are new; or a rejected draft. The context is the
 * draft's. */
static medley_status event_fill(import_sink *k, import_draft *d, store_event *event, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *type = type_name(k, d, "interaction");
  bool usable = key_usable(k, d, FIELD_USER) && key_usable(k, d, FIELD_ITEM) && type_usable(d, type);
  if (!usable) goto done;
  *event = (store_event){.value = value_take(d), .time_s = event_time_take(k, d), .split = (uint8_t)split_take(k, d)};
  event->context = attributes_take(d, STORE_CONTEXT_MAX, &status, err);
  TRY(status);
  if (d->rejected) goto done;
  TRY(user_find(k, d->value[FIELD_USER], &event->user_id, err));
  TRY(item_find(k, d->value[FIELD_ITEM], &event->item_id, err));
  TRY(type_find(k, type, &event->type, err));
done:
  return status;
}

static medley_status event_take(import_sink *k, import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  store_event event;
  bool known = false;
  TRY(event_fill(k, d, &event, err));
  if (d->rejected) goto done;
  if (k->again) TRY(known_claim(&k->known, &event, &known, err));
  if (known) {
    k->report->events_known++;
    goto done;
  }
  TRY_GROW(k->events, k->event_capacity, k->event_count + 1, "events");
  if (event.context != NULL) {
    event.context = arena_strdup(k->contexts, event.context);
    if (event.context == NULL) {
      status = error_memory(err, "events");
      goto done;
    }
  }
  k->events[k->event_count++] = event;
  k->report->events++;
done:
  return status;
}

medley_status sink_flush(import_sink *k, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (k->event_count > 0) status = k->kind->put_events(k->s, k->events, k->event_count, err);
  k->event_count = 0;
  arena_reset(k->contexts);
  return status;
}

static medley_status end_find(import_sink *k, const import_draft *d, import_field user, import_field item, char *kind,
                              int64_t *id, medley_error *err) {
  *kind = d->value[user] ? 'u' : 'i';
  return d->value[user] ? user_find(k, d->value[user], id, err) : item_find(k, d->value[item], id, err);
}

static medley_status link_take(import_sink *k, import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  store_link link = {.type = type_name(k, d, "related"), .weight = value_take(d)};
  bool usable = key_usable(k, d, d->value[FIELD_USER] ? FIELD_USER : FIELD_ITEM) &&
                key_usable(k, d, d->value[FIELD_TO_USER] ? FIELD_TO_USER : FIELD_TO_ITEM) && type_usable(d, link.type);
  if (!usable || d->rejected) goto done;
  TRY(end_find(k, d, FIELD_USER, FIELD_ITEM, &link.from_kind, &link.from_id, err));
  TRY(end_find(k, d, FIELD_TO_USER, FIELD_TO_ITEM, &link.to_kind, &link.to_id, err));
  TRY(k->kind->put_link(k->s, &link, err));
  k->report->links++;
done:
  return status;
}

static medley_status vector_take(import_sink *k, import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char hash[HASH_BYTES];
  int64_t id = 0;
  if (!key_usable(k, d, FIELD_ITEM)) goto done;
  if (d->vector == NULL) {
    draft_reject(d, IMPORT_MISSING_FIELD, FIELD_VECTOR, "the row has no vector");
    goto done;
  }
  for (uint32_t i = 0; i < d->vector_dim; i++)
    if (!isfinite(d->vector[i])) {
      draft_reject(d, IMPORT_BAD_VALUE, FIELD_VECTOR, "number %u of the vector is not finite", i + 1);
      goto done;
    }
  hash_buffer(d->vector, d->vector_dim * sizeof *d->vector, hash);
  TRY(item_find(k, d->value[FIELD_ITEM], &id, err));
  TRY(k->kind->put_vector(
      k->s, k->space,
      &(store_vector){
          .item_id = id, .content_hash = hash, .dtype = STORE_F32, .dim = d->vector_dim, .values = d->vector},
      err));
  TRY(space_remember(k, err));
  k->report->vectors++;
done:
  return status;
}

/* ---- from the outside ---- */

medley_status sink_take(import_sink *k, import_draft *d, medley_error *err) {
  static medley_status (*const takers[IMPORT_KIND_COUNT])(import_sink *, import_draft *, medley_error *) = {
      [IMPORT_ITEMS] = item_take, [IMPORT_USERS] = user_take,     [IMPORT_EVENTS] = event_take,
      [IMPORT_LINKS] = link_take, [IMPORT_VECTORS] = vector_take,
  };
  if (d->rejected) return MEDLEY_OK;
  medley_status status = takers[k->part->kind](k, d, err);
  if (status == MEDLEY_OK && !d->rejected) k->report->accepted++;
  return status;
}

static medley_status item_remember(import_sink *k, import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  store_item item;
  TRY(item_fill(k, d, &item, err));
  const int64_t *known = d->rejected ? NULL : strmap_get(&k->items, item.key);
  if (known != NULL && !intmap_put(&k->touched, *known, 1)) status = error_memory(err, "keys");
done:
  return status;
}

/* What the earlier run added is among the known events now: claimed, it is not taken for a later row of the file. */
static medley_status event_remember(import_sink *k, import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  store_event event;
  bool known;
  TRY(event_fill(k, d, &event, err));
  if (!d->rejected) TRY(known_claim(&k->known, &event, &known, err));
done:
  return status;
}

medley_status sink_remember(import_sink *k, import_draft *d, medley_error *err) {
  if (d->rejected) return MEDLEY_OK;
  if (k->part->kind == IMPORT_ITEMS) return item_remember(k, d, err);
  return k->again ? event_remember(k, d, err) : MEDLEY_OK;
}
