/* engine/generation.c: see engine/generation.h. */
#include "engine/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define MANIFEST_MAX ((size_t)64 << 20)
#define FORMAT 1

/* ---- publishing ---- */

static medley_status content_write(const char *folder, const generation_parts *parts, json_t *manifest,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  safetensors_writer w = {0};
  char *path = path_join(folder, "content.safetensors");
  int64_t *ids = NULL;
  if (path == NULL) return error_memory(err, "a file name");
  TRY_NEW(ids, parts->items->count, "item ids");
  for (uint32_t i = 0; i < parts->items->count; i++) ids[i] = parts->items->items[i].id;
  TRY(safetensors_add_metadata(&w, "format", "medley.content", err));
  TRY(safetensors_add(&w, "item_id", DTYPE_I64, 1, (const uint64_t[]){parts->items->count}, ids, err));
  TRY(representation_save(parts->content, &w, manifest, err));
  TRY(space_save(parts->space, &w, manifest, err));
  TRY(safetensors_save(&w, path, err));
done:
  safetensors_writer_deinit(&w);
  mem_free(ids);
  mem_free(path);
  return status;
}

static bool blend_reads_friends(const blend *b) {
  bool any = false;
  for (size_t p = 0; p < b->count; p++) any |= b->parts[p].model->kind->reads_friends;
  return any;
}

static bool blend_reads_traits(const blend *b) {
  bool any = false;
  for (size_t p = 0; p < b->count; p++) any |= b->parts[p].model->kind->reads_traits;
  return any;
}

static medley_status models_write(const char *folder, const generation_parts *parts, json_t *manifest,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  safetensors_writer w = {0};
  char *path = path_join(folder, "models.safetensors");
  if (path == NULL) return error_memory(err, "a file name");
  TRY(safetensors_add_metadata(&w, "format", "medley.models", err));
  TRY(safetensors_add(&w, "popularity", DTYPE_F32, 1, (const uint64_t[]){parts->items->count},
                      parts->fit->train.popularity, err));
  if (blend_reads_friends(parts->fit->blend))
    TRY(safetensors_add(&w, "user_id", DTYPE_I64, 1, (const uint64_t[]){parts->log->user_count}, parts->log->user_id,
                        err));
  TRY(blend_save(parts->fit->blend, &w, manifest, err));
  if (blend_reads_traits(parts->fit->blend) &&
      json_object_set_new(manifest, "people", traits_to_json(&parts->log->traits)) != 0)
    FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a manifest");
  TRY(safetensors_save(&w, path, err));
done:
  safetensors_writer_deinit(&w);
  mem_free(path);
  return status;
}

static json_t *weights_to_json(const event_log *log, const event_weights *weights) {
  json_t *types = json_array();
  for (int32_t t = 0; t < log->type_count && t < 64; t++)
    json_array_append_new(
        types, json_pack("{s:s, s:f, s:b}", "type", log->type_names[t], "weight", (double)weights->type_weight[t],
                         "rating", (int)(weights->rating_types >> t & 1)));
  return json_pack("{s:o, s:o}", "types", types, "rating_threshold",
                   isnan(weights->rating_threshold) ? json_null() : json_real((double)weights->rating_threshold));
}

static json_t *manifest_make(const generation_parts *parts, int64_t number) {
  char made[32];
  clock_format_utc(clock_wall_s(), made);
  return json_pack("{s:i, s:I, s:s, s:s, s:I, s:o, s:O}", "format", FORMAT, "number", (json_int_t)number, "made", made,
                   "medley", MEDLEY_VERSION, "items", (json_int_t)parts->items->count, "events",
                   weights_to_json(parts->log, parts->weights), "report", parts->report);
}

static medley_status current_write(const char *workspace, int64_t number, medley_error *err) {
  char text[32];
  char *path = path_join(workspace, "current");
  if (path == NULL) return error_memory(err, "a file name");
  int length = snprintf(text, sizeof text, "%lld\n", (long long)number);
  medley_status status = file_write(path, text, (size_t)length, err);
  mem_free(path);
  return status;
}

/* Numbers of the folders in models/, and whether each name is a number at all. */
static int64_t folder_number(const char *name) {
  long long number;
  return string_to_int64(name, &number) && number > 0 ? number : 0;
}

static medley_status next_number(const char *models, int64_t *number, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **names = NULL;
  size_t count = 0;
  *number = 1;
  TRY(folder_list(models, &names, &count, err));
  for (size_t i = 0; i < count; i++)
    if (folder_number(names[i]) >= *number) *number = folder_number(names[i]) + 1;
done:
  folder_list_free(names, count);
  return status;
}

/* One process at a time publishes, so that two that train together get two numbers, the later one serves, and what lies
 * about under another name is left over from a killed run. The lock is the folder's own and ends with the process. A
 * file system without locks leaves it at the rename, which refuses a number that is taken. */
static medley_status publish_lock(const char *models, int *lock, medley_error *err) {
  *lock = open(models, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*lock < 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot open the folder '%s'", models);
  while (flock(*lock, LOCK_EX) != 0 && errno == EINTR) continue;
  return MEDLEY_OK;
}

/* A generation first loses its number, so that whoever is killed in the middle of removing it leaves a leftover and not
 * half a generation. */
static void generation_remove(const char *models, int64_t number) {
  char name[64];
  snprintf(name, sizeof name, "%lld", (long long)number);
  char *path = path_join(models, name);
  snprintf(name, sizeof name, "%lld.tmp-%ld", (long long)number, (long)getpid());
  char *leftover = path_join(models, name);
  if (path != NULL && leftover != NULL && rename(path, leftover) == 0)
    (void)(folder_remove(leftover, NULL) == MEDLEY_OK);
  mem_free(path);
  mem_free(leftover);
}

/* Removes what a killed run left behind and generations older than the last few. Failing to tidy is no failure of
 * training. */
static void tidy(const char *models, int64_t number) {
  char **names = NULL;
  size_t count = 0;
  if (folder_list(models, &names, &count, NULL) != MEDLEY_OK) return;
  for (size_t i = 0; i < count; i++) {
    int64_t old = folder_number(names[i]);
    if (old > 0) {
      if (old <= number - GENERATIONS_KEPT) generation_remove(models, old);
      continue;
    }
    char *path = path_join(models, names[i]);
    if (path != NULL) (void)(folder_remove(path, NULL) == MEDLEY_OK);
    mem_free(path);
  }
  folder_list_free(names, count);
}

medley_status generation_publish(const char *workspace, const generation_parts *parts, int64_t *number,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[64], *models = path_join(workspace, "models"), *beside = NULL, *final = NULL, *path = NULL;
  json_t *manifest = NULL;
  int lock = -1;
  if (models == NULL) return error_memory(err, "a file name");
  TRY(folder_create(models, err));
  TRY(publish_lock(models, &lock, err));
  TRY(next_number(models, number, err));
  snprintf(name, sizeof name, "%lld", (long long)*number);
  final = path_join(models, name);
  snprintf(name, sizeof name, "%lld.tmp-%ld", (long long)*number, (long)getpid());
  beside = path_join(models, name);
  path = beside ? path_join(beside, "manifest.json") : NULL;
  manifest = manifest_make(parts, *number);
  if (final == NULL || path == NULL || manifest == NULL) {
    status = error_memory(err, "a generation");
    goto done;
  }
  TRY(folder_create(beside, err));
  TRY(content_write(beside, parts, manifest, err));
  TRY(models_write(beside, parts, manifest, err));
  TRY(graphs_write(beside, parts->space, parts->graphs_from, parts->progress, manifest, err));
  TRY(json_write_file(path, manifest, err));
  if (rename(beside, final) != 0) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot put the generation in place as '%s'", final);
    goto done;
  }
  TRY(file_sync_folder(models, err));
  TRY(current_write(workspace, *number, err));
  tidy(models, *number);
done:
  if (status != MEDLEY_OK && beside != NULL) (void)(folder_remove(beside, NULL) == MEDLEY_OK);
  if (lock >= 0) close(lock);
  json_decref(manifest);
  mem_free(models);
  mem_free(beside);
  mem_free(final);
  mem_free(path);
  return status;
}

medley_status generation_current(const char *workspace, int64_t *number, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = path_join(workspace, "current"), *text = NULL;
  size_t length;
  long long value;
  *number = 0;
  if (path == NULL) return error_memory(err, "a file name");
  if (!file_exists(path)) goto done;
  TRY(file_read(path, 64, &text, &length, err));
  if (!string_to_int64(string_trim(text), &value) || value < 1)
    FAIL(err, MEDLEY_ERR_CORRUPT, "'%s' should hold the number of a generation, found '%s'", path, text);
  *number = value;
done:
  mem_free(path);
  mem_free(text);
  return status;
}

/* ---- loading ---- */

static medley_status manifest_load(generation *g, const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = path_join(folder, "manifest.json");
  if (path == NULL) return error_memory(err, "a file name");
  TRY(json_parse_file(path, MANIFEST_MAX, &g->manifest, err));
  long long format = json_member_integer(g->manifest, "format", 0);
  if (format != FORMAT)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: format %lld, this Medley reads format %d: train again", path, format,
         FORMAT);
done:
  mem_free(path);
  return status;
}

static medley_status file_open(safetensors *s, const char *folder, const char *name, medley_error *err) {
  char *path = path_join(folder, name);
  if (path == NULL) return error_memory(err, "a file name");
  medley_status status = safetensors_open(s, path, err);
  mem_free(path);
  return status;
}

static medley_status items_join(generation *g, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tensor_view *ids, *popularity;
  TRY(safetensors_need(&g->content_file, "item_id", DTYPE_I64, 1, (const uint64_t[]){0}, &ids, err));
  if (ids->count >= UINT32_MAX) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: too many items", g->content_file.path);
  g->item_count = (uint32_t)ids->count;
  TRY(safetensors_need(&g->models_file, "popularity", DTYPE_F32, 1, (const uint64_t[]){ids->count}, &popularity, err));
  TRY_NEW(g->item_id, g->item_count, "items");
  TRY_NEW(g->catalogue_at, g->item_count, "items");
  TRY_NEW(g->blocked, g->item_count, "items");
  TRY_NEW(g->popularity, g->item_count, "items");
  if (g->item_count > 0) memcpy(g->popularity, popularity->data, g->item_count * sizeof(float));
  for (uint32_t i = 0; i < g->item_count; i++) {
    g->item_id[i] = ((const int64_t *)ids->data)[i];
    const int64_t *at = intmap_get(&g->items.index, g->item_id[i]);
    g->catalogue_at[i] = at ? (uint32_t)*at : UINT32_MAX;
    g->blocked[i] = at == NULL || g->items.items[*at].hidden;
    if (!intmap_put(&g->item_index, g->item_id[i], i)) {
      status = error_memory(err, "items");
      goto done;
    }
  }
done:
  return status;
}

static medley_status users_join(generation *g, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tensor_view *ids;
  if (!blend_reads_friends(g->blend)) return MEDLEY_OK;
  TRY(safetensors_need(&g->models_file, "user_id", DTYPE_I64, 1, (const uint64_t[]){0}, &ids, err));
  if (ids->count >= UINT32_MAX) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: too many users", g->models_file.path);
  for (uint64_t u = 0; u < ids->count; u++)
    if (!intmap_put(&g->user_row, ((const int64_t *)ids->data)[u], (int64_t)u)) {
      status = error_memory(err, "users");
      goto done;
    }
done:
  return status;
}

static medley_status weights_load(generation *g, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *events = json_object_get(g->manifest, "events"), *types = json_object_get(events, "types");
  g->rating_threshold = (float)json_member_number(events, "rating_threshold", NAN);
  TRY_NEW(g->type_weight, json_array_size(types) + 1, "event types");
  for (size_t t = 0; t < json_array_size(types); t++) {
    const json_t *type = json_array_get(types, t);
    g->type_weight[t] = (event_type_weight){.weight = (float)json_member_number(type, "weight", 1),
                                            .rating = json_is_true(json_object_get(type, "rating"))};
    if (!strmap_put(&g->type_names, json_member_string(type, "type", ""), (int64_t)t)) {
      status = error_memory(err, "event types");
      goto done;
    }
  }
done:
  return status;
}

static medley_status parts_fit_together(const generation *g, medley_error *err) {
  if (g->content->count > 0 && g->content->item_count != g->item_count)
    return error_set(err, MEDLEY_ERR_CORRUPT, "%s: %u items have vectors, the generation has %u", g->content_file.path,
                     g->content->item_count, g->item_count);
  if (g->blend->item_count != g->item_count)
    return error_set(err, MEDLEY_ERR_CORRUPT, "%s: the blend scores %u items, the generation has %u",
                     g->models_file.path, g->blend->item_count, g->item_count);
  return MEDLEY_OK;
}

static medley_status generation_read(generation *g, const char *workspace, const char *folder, const store_kind *kind,
                                     store *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  features list[FEATURES_MAX];
  TRY(manifest_load(g, folder, err));
  TRY(file_open(&g->content_file, folder, "content.safetensors", err));
  TRY(file_open(&g->models_file, folder, "models.safetensors", err));
  TRY(catalogue_load(kind, s, NULL, &g->items, err));
  TRY(items_join(g, err));
  TRY(weights_load(g, err));
  TRY(representation_load(&g->content_file, g->manifest, workspace, &g->content, err));
  if (g->content->count == 0) g->content->item_count = g->item_count;
  TRY(space_load(&g->content_file, g->manifest, g->content, &g->space, err));
  TRY(graphs_open(&g->graphs, folder, g->manifest, g->space, err));
  recommender_data data = {.features = list};
  data.feature_count = representation_features(g->content, list);
  TRY(blend_load(&g->models_file, g->manifest, &data, &g->blend, err));
  TRY(users_join(g, err));
  TRY(traits_from_json(json_object_get(g->manifest, "people"), folder, &g->traits, err));
  TRY(parts_fit_together(g, err));
done:
  return status;
}

medley_status generation_load(const char *workspace, int64_t number, const store_kind *kind, store *s, generation **out,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[64];
  snprintf(name, sizeof name, "models/%lld", (long long)number);
  char *folder = path_join(workspace, name);
  generation *g = NULL;
  if (folder == NULL) return error_memory(err, "a file name");
  TRY_NEW(g, 1, "a generation");
  g->number = number;
  TRY(generation_read(g, workspace, folder, kind, s, err));
  *out = g;
  g = NULL;
done:
  generation_free(g);
  mem_free(folder);
  return status;
}

void generation_free(generation *g) {
  if (g == NULL) return;
  blend_free(g->blend);
  graphs_close(&g->graphs);
  space_free(g->space);
  representation_free(g->content);
  catalogue_deinit(&g->items);
  intmap_deinit(&g->item_index);
  intmap_deinit(&g->user_row);
  traits_deinit(&g->traits);
  strmap_deinit(&g->type_names);
  mem_free(g->type_weight);
  mem_free(g->item_id);
  mem_free(g->catalogue_at);
  mem_free(g->blocked);
  mem_free(g->popularity);
  safetensors_close(&g->content_file);
  safetensors_close(&g->models_file);
  json_decref(g->manifest);
  mem_free(g);
}

const catalogue_item *generation_item(const generation *g, uint32_t index) {
  uint32_t at = g->catalogue_at[index];
  return at == UINT32_MAX ? NULL : &g->items.items[at];
}

uint32_t generation_index(const generation *g, int64_t item_id) {
  const int64_t *index = intmap_get(&g->item_index, item_id);
  return index ? (uint32_t)*index : UINT32_MAX;
}
