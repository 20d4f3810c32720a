/* engine/content.c: single rows in and out of a workspace: items, events, users, links. Each call is one transaction,
 * on disk when it returns. Files come in through engine/ingest.c. */
#include <medley/content.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/workspace.h"

#define ATTRIBUTES_MAX ((size_t)1 << 20)
#define TYPE_MAX 64 /* bytes of the type of an event or link */
#define EVENT_TYPE_USUAL "click"
#define LINK_TYPE_USUAL "related"

/* Commits when status is OK, otherwise leaves nothing behind; returns what became of it. */
static medley_status transaction_end(medley_workspace *w, medley_status status, medley_error *err) {
  if (status == MEDLEY_OK) return w->kind->commit(w->store, err);
  w->kind->rollback(w->store);
  return status;
}

/* NULL, or a JSON object of at most `most` bytes. owner: "item 'k'"; what: "attributes". */
static medley_status object_check(const char *owner, const char *what, const char *text, size_t most,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *value = NULL;
  size_t length = text ? strlen(text) : 0;
  if (text == NULL) return MEDLEY_OK;
  if (length > most) {
    status = error_set(err, MEDLEY_ERR_LIMIT, "%s of %zu bytes, at most %zu are taken", what, length, most);
    goto done;
  }
  TRY(json_parse(text, length, what, &value, err));
  if (!json_is_object(value))
    status = error_set(err, MEDLEY_ERR_INPUT, "%s must be a JSON object such as {\"brand\":\"x\"}", what);
done:
  if (status != MEDLEY_OK) error_prefix(err, status, "%s", owner);
  json_decref(value);
  return status;
}

#define OWNER_BYTES 80

/* A key that is there and not too long, and "item 'k'" for sentences about its row. */
static medley_status key_given(const char *what, const char *key, char owner[OWNER_BYTES], medley_error *err) {
  if (key == NULL || key[0] == '\0')
    return error_set(err, MEDLEY_ERR_INPUT, "a%s %s needs a key", what[0] == 'i' ? "n" : "", what);
  if (strlen(key) > STORE_KEY_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "the %s key '%.40s…' has %zu bytes, at most %d are taken", what, key,
                     strlen(key), STORE_KEY_MAX);
  snprintf(owner, OWNER_BYTES, "%s '%.60s'", what, key);
  return MEDLEY_OK;
}

/* ---- putting an item ---- */

/* An item on its way into the store. Strings are the caller's but for the paths. */
typedef struct item_draft {
  store_item item;
  store_media *media;
  size_t media_capacity;
  arena *memory;
} item_draft;

static void item_draft_deinit(item_draft *d) {
  mem_free(d->media);
  arena_free(d->memory);
}

/* A path is kept as it is when it is absolute or leads to a file inside the workspace; otherwise it is meant from the
 * folder the program runs in, which nobody knows later: then it is made absolute. */
static medley_status media_path(const medley_workspace *w, item_draft *d, const char *path, const char **out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  char full[PATH_MAX], *inside = workspace_path(w, path);
  if (inside == NULL) return error_memory(err, "a media path");
  if (file_exists(inside)) {
    *out = arena_strdup(d->memory, path);
  } else if (realpath(path, full) != NULL) {
    *out = arena_strdup(d->memory, full);
  } else {
    int number = errno;
    status = error_set_errno(err, number == ENOENT ? MEDLEY_ERR_NOT_FOUND : MEDLEY_ERR_IO, number,
                             "item '%s': cannot find the file '%s'", d->item.key, path);
    goto done;
  }
  if (*out == NULL) status = error_memory(err, "a media path");
done:
  mem_free(inside);
  return status;
}

static medley_status media_add(const medley_workspace *w, item_draft *d, modality kind, const char *const *paths,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; paths != NULL && paths[i] != NULL; i++) {
    if (i == STORE_MEDIA_MAX)
      FAIL(err, MEDLEY_ERR_LIMIT, "item '%s' has more than %d files of %s", d->item.key, STORE_MEDIA_MAX,
           modality_name(kind));
    TRY_GROW(d->media, d->media_capacity, d->item.media_count + 1, "media paths");
    d->media[d->item.media_count].modality = (int)kind;
    TRY(media_path(w, d, paths[i], &d->media[d->item.media_count].path, err));
    d->item.media_count++;
  }
done:
  return status;
}

static medley_status item_draft_make(const medley_workspace *w, const medley_item *item, item_draft *d,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  char owner[OWNER_BYTES];
  *d = (item_draft){.memory = arena_create(0)};
  if (d->memory == NULL) return error_memory(err, "an item");
  TRY(key_given("item", item->key, owner, err));
  TRY(object_check(owner, "attributes", item->attributes, ATTRIBUTES_MAX, err));
  d->item = (store_item){.key = item->key,
                         .title = item->title,
                         .text = item->text,
                         .category = item->category,
                         .language = item->language,
                         .tags = item->tags,
                         .attributes = item->attributes,
                         .time_s = item->time_s,
                         .hidden = item->hidden != 0};
  while (item->tags != NULL && item->tags[d->item.tag_count] != NULL) d->item.tag_count++;
  TRY(media_add(w, d, MODALITY_IMAGE, item->image, err));
  TRY(media_add(w, d, MODALITY_AUDIO, item->audio, err));
  TRY(media_add(w, d, MODALITY_VIDEO, item->video, err));
  d->item.media = d->media;
done:
  return status;
}

/* A generation that this handle serves from hides or shows the item at once; others do so when they load the next. */
static void generation_block(medley_workspace *w, int64_t id, bool blocked) {
  if (w->generation == NULL) return;
  uint32_t index = generation_index(w->generation, id);
  if (index != UINT32_MAX) w->generation->blocked[index] = blocked;
}

medley_status medley_put_item(medley_workspace *workspace, const medley_item *item, medley_error *err) {
  medley_status status = MEDLEY_OK;
  item_draft draft;
  int64_t id = 0;
  TRY(item_draft_make(workspace, item, &draft, err));
  TRY(workspace->kind->begin(workspace->store, err));
  status = workspace->kind->put_item(workspace->store, &draft.item, &id, err);
  TRY(transaction_end(workspace, status, err));
  generation_block(workspace, id, item->hidden != 0);
done:
  item_draft_deinit(&draft);
  return status;
}

medley_status medley_delete_item(medley_workspace *workspace, const char *key, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int64_t id;
  TRY(workspace->kind->begin(workspace->store, err));
  status = workspace_item_id(workspace, key, &id, err);
  if (status == MEDLEY_OK) status = workspace->kind->delete_item(workspace->store, id, err);
  TRY(transaction_end(workspace, status, err));
  generation_block(workspace, id, true);
done:
  return status;
}

/* ---- events and users ---- */

/* what: "event", "link". */
static medley_status type_check(const char *what, const char *type, medley_error *err) {
  size_t length = type ? strlen(type) : 1;
  if (length > 0 && length <= TYPE_MAX) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "a%s %s type of %zu bytes, expected 1 to %d", what[0] == 'e' ? "n" : "", what,
                   length, TYPE_MAX);
}

static bool number_fits(double value) { return isfinite(value) && isfinite((float)value); }

static medley_status event_check(const medley_event *event, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (event->user == NULL || event->user[0] == '\0') FAIL(err, MEDLEY_ERR_INPUT, "an event needs a user");
  if (event->item == NULL || event->item[0] == '\0') FAIL(err, MEDLEY_ERR_INPUT, "an event needs an item");
  if (!number_fits(event->value))
    FAIL(err, MEDLEY_ERR_INPUT, "the value of an event must be a number, not %g", event->value);
  TRY(type_check("event", event->type, err));
  TRY(object_check("event", "context", event->context, STORE_CONTEXT_MAX, err));
  TRY(store_event_time_check(event->time_s, clock_wall_s(), err));
done:
  return status;
}

static medley_status user_id_or_new(medley_workspace *w, const char *key, int64_t *id, medley_error *err) {
  medley_status status = w->kind->get_id(w->store, STORE_USERS, key, id, NULL);
  if (status != MEDLEY_ERR_NOT_FOUND) return status == MEDLEY_OK ? status : workspace_user_id(w, key, id, err);
  store_user user = {.key = key, .time_s = STORE_TIME_UNKNOWN};
  return w->kind->put_user(w->store, &user, id, err);
}

static medley_status event_write(medley_workspace *w, const medley_event *event, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool timed = event->time_s != 0 && event->time_s != MEDLEY_TIME_UNKNOWN;
  store_event row = {.value = event->value != 0 ? (float)event->value : 1.0f,
                     .time_s = timed ? event->time_s : clock_wall_s(),
                     .context = event->context};
  TRY(workspace_item_id(w, event->item, &row.item_id, err));
  TRY(user_id_or_new(w, event->user, &row.user_id, err));
  TRY(w->kind->event_type(w->store, event->type ? event->type : EVENT_TYPE_USUAL, &row.type, err));
  TRY(w->kind->put_events(w->store, &row, 1, err));
done:
  return status;
}

medley_status medley_put_event(medley_workspace *workspace, const medley_event *event, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(event_check(event, err));
  TRY(workspace->kind->begin(workspace->store, err));
  TRY(transaction_end(workspace, event_write(workspace, event, err), err));
done:
  return status;
}

medley_status medley_put_user(medley_workspace *workspace, const medley_user *user, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char owner[OWNER_BYTES];
  const store_user row = {.key = user->key, .attributes = user->attributes, .time_s = user->time_s};
  TRY(key_given("user", user->key, owner, err));
  TRY(object_check(owner, "attributes", user->attributes, ATTRIBUTES_MAX, err));
  TRY(workspace->kind->begin(workspace->store, err));
  TRY(transaction_end(workspace, workspace->kind->put_user(workspace->store, &row, NULL, err), err));
done:
  return status;
}

medley_status medley_delete_user(medley_workspace *workspace, const char *key, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int64_t id;
  TRY(workspace->kind->begin(workspace->store, err));
  status = workspace_user_id(workspace, key, &id, err);
  if (status == MEDLEY_OK) status = workspace->kind->delete_user(workspace->store, id, err);
  TRY(transaction_end(workspace, status, err));
done:
  return status;
}

/* ---- links ---- */

static medley_status link_check(const medley_link *link, medley_error *err) {
  if ((link->from_user == NULL) == (link->from_item == NULL))
    return error_set(err, MEDLEY_ERR_INPUT, "a link starts at one user or at one item, not at %s",
                     link->from_user ? "both" : "none");
  if ((link->to_user == NULL) == (link->to_item == NULL))
    return error_set(err, MEDLEY_ERR_INPUT, "a link leads to one user or to one item, not to %s",
                     link->to_user ? "both" : "none");
  if (!number_fits(link->weight))
    return error_set(err, MEDLEY_ERR_INPUT, "the weight of a link must be a number, not %g", link->weight);
  return type_check("link", link->type, err);
}

static medley_status link_end(medley_workspace *w, const char *user, const char *item, char *kind, int64_t *id,
                              medley_error *err) {
  *kind = user ? 'u' : 'i';
  return user ? user_id_or_new(w, user, id, err) : workspace_item_id(w, item, id, err);
}

static medley_status link_write(medley_workspace *w, const medley_link *link, medley_error *err) {
  medley_status status = MEDLEY_OK;
  store_link row = {.type = link->type ? link->type : LINK_TYPE_USUAL,
                    .weight = link->weight != 0 ? (float)link->weight : 1.0f};
  TRY(link_end(w, link->from_user, link->from_item, &row.from_kind, &row.from_id, err));
  TRY(link_end(w, link->to_user, link->to_item, &row.to_kind, &row.to_id, err));
  TRY(w->kind->put_link(w->store, &row, err));
done:
  return status;
}

medley_status medley_put_link(medley_workspace *workspace, const medley_link *link, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(link_check(link, err));
  TRY(workspace->kind->begin(workspace->store, err));
  TRY(transaction_end(workspace, link_write(workspace, link, err), err));
done:
  return status;
}

/* ---- describing an item ---- */

static json_t *text_or_null(const char *text) { return text != NULL ? json_string(text) : json_null(); }

static json_t *tags_to_json(const store_item *item) {
  json_t *tags = json_array();
  for (size_t i = 0; i < item->tag_count; i++) json_array_append_new(tags, json_string(item->tags[i]));
  return tags;
}

static json_t *media_to_json(const store_item *item) {
  json_t *media = json_object();
  for (size_t i = 0; i < item->media_count; i++) {
    const char *kind = modality_name((modality)item->media[i].modality);
    if (json_object_get(media, kind) == NULL) json_object_set_new(media, kind, json_array());
    json_array_append_new(json_object_get(media, kind), json_string(item->media[i].path));
  }
  return media;
}

static medley_status item_to_json(void *context, const store_item *item, medley_error *err) {
  json_t **out = context, *attributes = NULL;
  if (item->attributes != NULL &&
      json_parse(item->attributes, strlen(item->attributes), item->key, &attributes, NULL) != MEDLEY_OK)
    attributes = json_string(item->attributes);
  *out = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "item", item->key, "title",
                   text_or_null(item->title), "text", text_or_null(item->text), "category",
                   text_or_null(item->category), "language", text_or_null(item->language), "tags", tags_to_json(item),
                   "media", media_to_json(item), "attributes", attributes ? attributes : json_object(), "time",
                   item->time_s == STORE_TIME_UNKNOWN ? json_null() : json_integer((json_int_t)item->time_s), "hidden",
                   (int)item->hidden);
  return *out ? MEDLEY_OK : error_memory(err, "a description");
}

/* What the serving generation knows: which sides have a vector, and how many people met the item in training. */
static json_t *standing_to_json(const generation *g, int64_t id) {
  uint32_t index = g != NULL ? generation_index(g, id) : UINT32_MAX;
  if (index == UINT32_MAX) return json_null();
  json_t *parts = json_array();
  for (size_t p = 0; p < g->content->count; p++)
    if (g->content->parts[p].features.present[index])
      json_array_append_new(parts, json_string(g->content->parts[p].name));
  return json_pack("{s:I, s:o, s:f}", "generation", (json_int_t)g->number, "vectors", parts, "users",
                   (double)g->popularity[index]);
}

medley_status medley_describe_item(medley_workspace *workspace, const char *key, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *out = NULL;
  generation *g;
  int64_t id;
  *json = NULL;
  TRY(workspace_item_id(workspace, key, &id, err));
  TRY(workspace->kind->get_item(workspace->store, id, item_to_json, &out, err));
  TRY(workspace_generation(workspace, &g, err));
  json_object_set_new(out, "trained", standing_to_json(g, id));
  *json = json_to_text(out);
  if (*json == NULL) status = error_memory(err, "a description");
done:
  json_decref(out);
  return status;
}
