/* engine/encoders.c: medley/encoder.h: adding, listing and removing the encoders of a workspace.
 *
 * Which one was added is a setting of the database ("encoder.image" → {"kind", "model"}), so it is in every copy of the
 * workspace; medley.conf stays the user's own file. The files are kept models (encode/kept_model.h). */
#include "engine/encoders.h"

#include <errno.h>
#include <fcntl.h>
#include <medley/encoder.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

#define MANIFEST_MAX ((size_t)64 << 20)

static const char *setting_name(modality m, char name[32]) {
  snprintf(name, 32, "encoder.%s", modality_name(m));
  return name;
}

/* ---- which are chosen ---- */

static medley_status choice_read(const char *text, modality m, encoder_choice *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *value = NULL;
  char name[32];
  TRY(json_parse(text, strlen(text), setting_name(m, name), &value, err));
  const char *kind = json_member_string(value, "kind", "");
  out->kind = encoder_kind_for(m, kind);
  if (out->kind == NULL || !out->kind->needs_file)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "the encoder '%.60s' was added for %s, which this Medley has not", kind,
         modality_name(m));
  snprintf(out->model, sizeof out->model, "%s", json_member_string(value, "model", ""));
done:
  json_decref(value);
  return status;
}

medley_status encoders_chosen(medley_workspace *w, encoder_choice out[MODALITY_COUNT], medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  char name[32];
  for (int m = 0; m < MODALITY_COUNT; m++) {
    out[m] = (encoder_choice){0};
    strbuf_reset(&text);
    status = w->kind->meta_get(w->store, setting_name((modality)m, name), &text, err);
    if (status == MEDLEY_ERR_NOT_FOUND) status = MEDLEY_OK;
    if (status != MEDLEY_OK) goto done;
    if (text.length > 0) TRY(choice_read(text.text, (modality)m, &out[m], err));
  }
done:
  strbuf_deinit(&text);
  return status;
}

/* "" takes the setting away. */
static medley_status choice_write(medley_workspace *w, modality m, const char *value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[32];
  TRY(w->kind->begin(w->store, err));
  status = w->kind->meta_put(w->store, setting_name(m, name), value, err);
  if (status == MEDLEY_OK)
    status = w->kind->commit(w->store, err);
  else
    w->kind->rollback(w->store);
done:
  return status;
}

/* A network of two towers that learnt on is for both: one tower of it beside the published other would be no space. */
static medley_status choices_write(medley_workspace *w, modality m, const encoder_kind *kind, bool tuned,
                                   const char *id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char value[256];
  snprintf(value, sizeof value, "{\"kind\":\"%s\",\"model\":\"%s\"}", kind->name, id);
  for (int other = 0; other < MODALITY_COUNT; other++)
    if (other == (int)m || (tuned && kind->tunes_pairs && encoder_kind_for((modality)other, kind->name) != NULL))
      TRY(choice_write(w, (modality)other, value, err));
done:
  return status;
}

/* ---- what is in use ---- */

/* Adds the models in a manifest to the set. */
static bool manifest_models(const char *path, strmap *used) {
  json_t *manifest = NULL, *part;
  size_t i;
  bool read = json_parse_file(path, MANIFEST_MAX, &manifest, NULL) == MEDLEY_OK;
  json_array_foreach(json_object_get(manifest, "representation"), i, part) {
    const char *model = json_member_string(part, "model", "");
    if (model[0] != '\0') read &= strmap_put(used, model, 1);
  }
  json_decref(manifest);
  return read;
}

/* False when not everything could be read: then nobody knows what is in use. */
static bool models_used(medley_workspace *w, strmap *used) {
  encoder_choice chosen[MODALITY_COUNT];
  char **names = NULL, *models = workspace_path(w, "models");
  size_t count = 0;
  bool sure = models != NULL && encoders_chosen(w, chosen, NULL) == MEDLEY_OK &&
              folder_list(models, &names, &count, NULL) == MEDLEY_OK;
  for (int m = 0; sure && m < MODALITY_COUNT; m++)
    if (chosen[m].kind != NULL) sure = strmap_put(used, chosen[m].model, 1);
  for (size_t i = 0; sure && i < count; i++) {
    char *folder = path_join(models, names[i]), *path = folder ? path_join(folder, "manifest.json") : NULL;
    /* A folder without a manifest is a training that was killed, or one that is not done: it may yet name a model. */
    sure = path != NULL && (file_exists(path) ? manifest_models(path, used) : strstr(names[i], ".tmp-") == NULL);
    mem_free(folder);
    mem_free(path);
  }
  folder_list_free(names, count);
  mem_free(models);
  return sure;
}

/* ---- nobody tidies what another is about to use ---- */

medley_status encoders_hold_take(const medley_workspace *w, encoders_hold *hold, medley_error *err) {
  hold->fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (hold->fd < 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot open the folder '%s'", w->path);
  hold->held = true;
  while (flock(hold->fd, LOCK_SH) != 0 && errno == EINTR) continue;
  return MEDLEY_OK;
}

void encoders_hold_release(encoders_hold *hold) {
  if (hold->held) close(hold->fd);
  *hold = (encoders_hold){0};
}

/* "add.tmp-123" of a process that is no more. */
static bool is_left_over(const char *name) {
  static const char *const beginnings[] = {"add.tmp-", "old.tmp-", "service.tmp-"};
  long long pid;
  for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
    if (string_starts(name, beginnings[i]) && string_to_int64(name + strlen(beginnings[i]), &pid) && pid > 0)
      return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
  return false;
}

static void unused_remove(medley_workspace *w, const char *all) {
  strmap used = {0};
  char **names = NULL;
  size_t count = 0;
  if (models_used(w, &used) && folder_list(all, &names, &count, NULL) == MEDLEY_OK)
    for (size_t i = 0; i < count; i++) {
      bool ours = strlen(names[i]) == KEPT_MODEL_ID_BYTES - 1 && strmap_get(&used, names[i]) == NULL;
      char *path = ours || is_left_over(names[i]) ? path_join(all, names[i]) : NULL;
      if (path != NULL) (void)(folder_remove(path, NULL) == MEDLEY_OK);
      mem_free(path);
    }
  folder_list_free(names, count);
  strmap_deinit(&used);
}

void encoders_tidy(medley_workspace *w) {
  char *all = workspace_path(w, KEPT_MODEL_FOLDER);
  int fd = all != NULL && file_is_folder(all) ? open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) unused_remove(w, all);
  if (fd >= 0) close(fd);
  mem_free(all);
}

/* ---- adding ---- */

static medley_status modality_read(const char *name, modality *out, medley_error *err) {
  *out = modality_from_name(name);
  if (*out < MODALITY_COUNT) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "there is no modality '%.60s'; there are text, image, audio and video", name);
}

/* Names those that could have been meant. */
static medley_status kind_read(modality m, const char *name, const encoder_kind **out, medley_error *err) {
  strbuf known = {0};
  *out = encoder_kind_for(m, name);
  if (*out != NULL && (*out)->needs_file) return MEDLEY_OK;
  if (*out != NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "'%s' needs no file: write 'encode.%s = %s' into medley.conf", name,
                     modality_name(m), name);
  for (size_t i = 0; encoder_kinds[i] != NULL; i++)
    if (encoder_kinds[i]->modality == m && encoder_kinds[i]->needs_file)
      strbuf_printf(&known, "%s%s", known.length ? ", " : "", encoder_kinds[i]->name);
  medley_status status = error_set(err, MEDLEY_ERR_USAGE, "there is no encoder '%.60s' for %s; there are: %s", name,
                                   modality_name(m), known.text ? known.text : "none that can be added");
  strbuf_deinit(&known);
  return status;
}

static medley_status text_set(json_t *settings, const char *key, const char *text, medley_error *err) {
  if (text == NULL || json_object_set_new(settings, key, json_string(text)) == 0) return MEDLEY_OK;
  if (utf8_valid(text, strlen(text))) return error_memory(err, "settings");
  return error_set(err, MEDLEY_ERR_USAGE, "the setting '%s' is no UTF-8", key);
}

static medley_status settings_make(const medley_encoder_options *o, json_t *settings, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (o == NULL) return MEDLEY_OK;
  TRY(text_set(settings, "model", o->model, err));
  TRY(text_set(settings, "key_variable", o->key_variable, err));
  if (o->dimensions > 0) json_object_set_new(settings, "dimensions", json_integer(o->dimensions));
  if (o->batch > 0) json_object_set_new(settings, "batch", json_integer(o->batch));
  if (o->timeout_s > 0) json_object_set_new(settings, "timeout_s", json_real(o->timeout_s));
  if (o->attempts > 0) json_object_set_new(settings, "attempts", json_integer(o->attempts));
done:
  return status;
}

/* The file is opened where it lies before it is copied: a sentence then names what the user named. */
static medley_status model_take_file(medley_workspace *w, const encoder_kind *kind, const char *source,
                                     const json_t *settings, const medley_encoder_options *options,
                                     const medley_progress *progress, char id[KEPT_MODEL_ID_BYTES], medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL;
  if (json_object_size(settings) > 0)
    FAIL(err, MEDLEY_ERR_USAGE, "'%s' is a file, not a service: '%s' says nothing to it", kind->name,
         json_object_iter_key(json_object_iter((json_t *)settings)));
  if (!file_exists(source)) FAIL(err, MEDLEY_ERR_NOT_FOUND, "there is no file or folder '%s'", source);
  TRY(kind->open(source, &e, err));
  kind->free(e);
  if (options != NULL && options->tune != NULL)
    TRY(encoders_tune(w, kind, source, options, progress, id, err));
  else
    TRY(kept_model_add(w->path, source, true, NULL, progress, id, err));
done:
  return status;
}

static medley_status model_take_service(medley_workspace *w, const encoder_kind *kind, const char *source,
                                        const json_t *settings, const medley_encoder_options *options,
                                        const medley_progress *progress, char id[KEPT_MODEL_ID_BYTES],
                                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[64];
  if (options != NULL && options->tune != NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "'%s' is a service: what it answers with cannot be tuned from here",
                     kind->name);
  snprintf(name, sizeof name, KEPT_MODEL_FOLDER "/service.tmp-%ld", (long)getpid());
  char *folder = workspace_path(w, name), *path = folder ? path_join(folder, "service.json") : NULL;
  if (path == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  TRY(folder_create(folder, err));
  TRY(kind->adopt(source, settings, path, progress, err));
  TRY(kept_model_add(w->path, path, false, source, progress, id, err));
done:
  if (folder != NULL) (void)(folder_remove(folder, NULL) == MEDLEY_OK);
  mem_free(folder);
  mem_free(path);
  return status;
}

medley_status medley_encoder_add(medley_workspace *workspace, const char *modality_said, const char *kind_said,
                                 const char *source, const medley_encoder_options *options,
                                 const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  modality m;
  const encoder_kind *kind;
  encoder *e = NULL;
  char id[KEPT_MODEL_ID_BYTES];
  encoders_hold hold = {0};
  json_t *settings = json_object();
  TRY(settings_make(options, settings, err));
  TRY(modality_read(modality_said, &m, err));
  TRY(kind_read(m, kind_said, &kind, err));
  TRY(encoders_hold_take(workspace, &hold, err));
  TRY((kind->adopt ? model_take_service : model_take_file)(workspace, kind, source, settings, options, progress, id,
                                                           err));
  TRY(kept_model_open(workspace->path, id, kind, &e, err));
  kind->free(e);
  TRY(choices_write(workspace, m, kind, options != NULL && options->tune != NULL, id, err));
done:
  encoders_hold_release(&hold);
  encoders_tidy(workspace); /* the one before, or what could not be used */
  json_decref(settings);
  return status;
}

medley_status medley_encoder_remove(medley_workspace *workspace, const char *modality_said, medley_error *err) {
  medley_status status = MEDLEY_OK;
  modality m;
  strbuf text = {0};
  char name[32];
  TRY(modality_read(modality_said, &m, err));
  status = workspace->kind->meta_get(workspace->store, setting_name(m, name), &text, err);
  if (status != MEDLEY_OK && status != MEDLEY_ERR_NOT_FOUND) goto done;
  if (text.length == 0)
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "no encoder was added for %s ('medley encoder list' shows what is used)",
         modality_said);
  TRY(choice_write(workspace, m, "", err));
  encoders_tidy(workspace);
done:
  strbuf_deinit(&text);
  return status;
}

/* ---- listing ---- */

static json_t *text_or_null(const char *text) { return text ? json_string(text) : json_null(); }

static void added_describe(medley_workspace *w, const encoder_choice *choice, json_t *row) {
  medley_error reason = {0};
  json_t *record = NULL;
  bool ok = kept_model_check(w->path, choice->model, false, &reason) == MEDLEY_OK;
  if (kept_model_record(w->path, choice->model, &record, NULL) == MEDLEY_OK) {
    json_object_set_new(row, "source", text_or_null(json_member_string(record, "source", NULL)));
    json_object_set_new(row, "added", text_or_null(json_member_string(record, "added", NULL)));
  }
  json_object_set_new(row, "model", json_string(choice->model));
  json_object_set_new(row, "ok", json_boolean(ok));
  if (!ok) json_object_set_new(row, "problem", json_string(reason.text));
  json_decref(record);
}

static json_t *serving_describe(const generation *g, modality m) {
  for (size_t p = 0; g != NULL && p < g->content->count; p++) {
    const representation_part *part = &g->content->parts[p];
    if (part->source != PART_MEDIA || part->modality != m || part->kind == NULL) continue;
    return json_pack("{s:s, s:s, s:s?, s:I}", "encoder", part->kind->name, "model", part->model, "precision",
                     encoder_precision(part->encoder), "dim", (json_int_t)part->features.dim);
  }
  return json_null();
}

static json_t *modality_describe(medley_workspace *w, const generation *g, modality m, const encoder_choice *choice) {
  char key[32];
  snprintf(key, sizeof key, "encode.%s", modality_name(m));
  const encoder_kind *usual = encoder_kind_default(m);
  const char *configured = config_string(&w->config, key, NULL);
  const char *from = choice->kind ? "added" : configured ? "medley.conf" : "default";
  const char *name = choice->kind ? choice->kind->name : configured ? configured : usual ? usual->name : "none";
  json_t *row = json_pack("{s:s, s:s, s:s, s:n, s:n, s:n, s:b}", "modality", modality_name(m), "encoder", name, "from",
                          from, "source", "added", "model", "ok", 1);
  if (choice->kind != NULL) added_describe(w, choice, row);
  const encoder_kind *kind = choice->kind ? choice->kind : encoder_kind_for(m, name);
  bool trained = kind != NULL && kind->narrow != NULL;
  json_object_set_new(row, "precision",
                      trained ? json_string(config_string(&w->config, "encode.precision", "f32")) : json_null());
  json_object_set_new(row, "serving", serving_describe(g, m));
  return row;
}

medley_status medley_encoder_list(medley_workspace *workspace, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder_choice chosen[MODALITY_COUNT];
  generation *g;
  json_t *rows = json_array(), *report = json_pack("{s:O}", "encoders", rows);
  *json = NULL;
  TRY(encoders_chosen(workspace, chosen, err));
  TRY(workspace_generation(workspace, &g, err));
  for (int m = 0; m < MODALITY_COUNT; m++)
    json_array_append_new(rows, modality_describe(workspace, g, (modality)m, &chosen[m]));
  *json = report ? json_to_text(report) : NULL;
  if (*json == NULL) status = error_memory(err, "a report");
done:
  json_decref(rows);
  json_decref(report);
  return status;
}
