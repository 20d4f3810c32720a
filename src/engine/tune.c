/* engine/tune.c: medley_tune: settings of the recommenders, searched for on validation, for later trainings. */
#include <medley/train.h>
#include <omp.h>

#include "base/clock.h"
#include "base/file.h"
#include "engine/dataset.h"
#include "engine/tuned.h"
#include "explain/trials_page.h"

static medley_status report_make(const tuned *t, const fit_result *fit, uint64_t seed, double seconds, json_t **out,
                                 medley_error *err) {
  *out = json_pack("{s:s, s:f, s:I, s:I, s:I, s:f, s:I}", "search", t->search.kind->name, "budget_seconds",
                   t->search.budget_s, "trials_limit", (json_int_t)t->search.trials, "seed", (json_int_t)seed,
                   "threads", (json_int_t)omp_get_max_threads(), "seconds", seconds, "peak_memory_bytes",
                   (json_int_t)memory_peak_bytes());
  json_t *found = fit_result_to_json(fit);
  if (*out == NULL || found == NULL || json_object_update(*out, found) != 0) {
    json_decref(found);
    return error_memory(err, "a report");
  }
  json_decref(found);
  return json_object_set_new(*out, "seconds", json_real(seconds)) == 0 ? MEDLEY_OK : error_memory(err, "a report");
}

static medley_status page_write(const char *path, const json_t *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf html = {0};
  TRY(trials_page_html(report, &html, err));
  TRY(file_write(path, html.text, html.length, err));
done:
  strbuf_deinit(&html);
  return status;
}

static medley_status tune_run(medley_workspace *w, const medley_tune_options *o, const medley_progress *progress,
                              json_t **report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  dataset data = {0};
  fit_result fit = {0};
  tuned t = {0};
  double started = clock_now_s();
  TRY(file_check_writable(o->html, "the page of trials", err));
  TRY(dataset_load(w, progress, &data, err));
  if (data.log.event_count == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "the workspace has no events yet: import some first (medley import --help)");
  TRY(tuned_search(w, o, &t, err));
  TRY(dataset_represent(w, &data, NULL, o->seed, false, progress, err));
  fit_input input = dataset_fit_input(&data, NULL);
  fit_options options = {.seed = o->seed,
                         .fuser = dataset_fuser(w),
                         .given = &w->config,
                         .models = o->models,
                         .validation = dataset_validation(&data),
                         .every_kind = true,
                         .known = t.known,
                         .search = &t.search,
                         .only_tune = true};
  TRY(fit_run(&input, &options, progress, &fit, err));
  TRY(tuned_keep(&t, &fit, err));
  TRY(report_make(&t, &fit, o->seed, clock_now_s() - started, report, err));
  if (o->html != NULL) TRY(page_write(o->html, *report, err));
done:
  tuned_close(&t);
  fit_result_deinit(&fit);
  dataset_deinit(&data);
  return status;
}

medley_status medley_tune(medley_workspace *workspace, const medley_tune_options *options,
                          const medley_progress *progress, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const medley_tune_options usual = {0};
  json_t *report = NULL;
  int before = omp_get_max_threads();
  int64_t started_s = clock_wall_s();
  double started = clock_now_s();
  medley_tune_options settled = options ? *options : usual;
  *json = NULL;
  TRY(dataset_settings(workspace, &settled.seed, &settled.threads, err));
  if (settled.threads > 0) omp_set_num_threads(settled.threads);
  TRY(tune_run(workspace, &settled, progress, &report, err));
  *json = json_to_text(report);
  if (*json == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a report");
  TRY(workspace_run_put(workspace, "tune", started_s, clock_now_s() - started, *json, err));
done:
  omp_set_num_threads(before);
  json_decref(report);
  if (status != MEDLEY_OK) {
    mem_free(*json);
    *json = NULL;
  }
  return status;
}
