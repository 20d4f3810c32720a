/* engine/tuned.c: see engine/tuned.h. */
#include "engine/tuned.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"

#define FOLDER "search"
#define SETTINGS_BYTES_MAX ((size_t)1 << 20)

static medley_status paths_make(const medley_workspace *w, tuned *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *folder = workspace_path(w, FOLDER);
  t->trials_path = folder ? path_join(folder, "trials.jsonl") : NULL;
  t->settings_path = folder ? path_join(folder, "settings.json") : NULL;
  if (t->trials_path == NULL || t->settings_path == NULL) status = error_memory(err, "a path");
  mem_free(folder);
  return status;
}

static medley_status settings_read(tuned *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *file = NULL, *model;
  const char *name;
  if (!file_exists(t->settings_path)) goto done;
  TRY(json_parse_file(t->settings_path, SETTINGS_BYTES_MAX, &file, err));
  json_object_foreach(json_object_get(file, "models"), name, model) {
    const recommender_kind *kind = recommender_kind_find(name);
    double values[RECOMMENDER_SETTINGS_MAX];
    json_t *settings = json_object_get(model, "settings");
    if (kind == NULL) continue;
    TRY(settings_from_json(kind, settings, t->settings_path, values, err));
    if (json_object_set(t->kept, name, model) != 0 || json_object_set(t->known, name, settings) != 0)
      FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for settings");
  }
done:
  json_decref(file);
  return status;
}

medley_status tuned_how(const char *name, double budget_s, uint64_t trials, fit_search *out, medley_error *err) {
  const tuner_kind *kind = name ? tuner_kind_find(name) : tuner_kinds[0];
  if (kind == NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "there is no search '%.60s' (medley list tuner names them)", name);
  if (!(budget_s >= 0) || !isfinite(budget_s))
    return error_set(err, MEDLEY_ERR_USAGE, "a search's budget is a number of seconds, 0 or more");
  *out = (fit_search){
      .kind = kind, .budget_s = budget_s > 0 || trials > 0 ? budget_s : TUNED_BUDGET_S, .trials = (size_t)trials};
  return MEDLEY_OK;
}

medley_status tuned_open(const medley_workspace *w, tuned *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (tuned){.kept = json_object(), .known = json_object()};
  TRY(paths_make(w, out, err));
  TRY(settings_read(out, err));
done:
  if (status != MEDLEY_OK) tuned_close(out);
  return status;
}

medley_status tuned_search(const medley_workspace *w, const medley_tune_options *o, tuned *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *folder = workspace_path(w, FOLDER);
  fit_search how;
  *out = (tuned){0};
  if (folder == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a path");
  TRY(tuned_how(o->search, o->budget_s, o->trials, &how, err));
  if (o->fresh) TRY(folder_remove(folder, err));
  TRY(folder_create(folder, err));
  TRY(tuned_open(w, out, err));
  TRY(trials_open(&out->file, out->trials_path, err));
  out->search = how;
  out->search.file = &out->file;
done:
  mem_free(folder);
  if (status != MEDLEY_OK) tuned_close(out);
  return status;
}

medley_status tuned_keep(tuned *t, const fit_result *fit, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *file = NULL;
  char made[32];
  clock_format_utc(clock_wall_s(), made);
  for (size_t p = 0; p < fit->model_count; p++) {
    const fit_model *m = &fit->models[p];
    if (m->trials == NULL || !isfinite(m->objective)) continue;
    json_t *entry = json_pack("{s:o, s:f, s:s}", "settings", settings_to_json(m->kind, m->values), "objective",
                              m->objective, "made", made);
    if (json_object_set_new(t->kept, m->kind->name, entry) != 0)
      FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for settings");
  }
  file = json_pack("{s:O}", "models", t->kept);
  if (file == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for settings");
  TRY(json_write_file(t->settings_path, file, err));
done:
  json_decref(file);
  return status;
}

void tuned_close(tuned *t) {
  mem_free(t->trials_path);
  mem_free(t->settings_path);
  json_decref(t->kept);
  json_decref(t->known);
  trials_close(&t->file);
  *t = (tuned){0};
}
