/* engine/train.c: medley_train: everything the workspace holds → a new generation. */
#include <medley/train.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/clock.h"
#include "engine/dataset.h"
#include "engine/settings.h"
#include "engine/training_curves.h"
#include "engine/tuned.h"
#include "engine/workspace.h"

/* The words of every item into the full-text index, so that BM25 stands beside the vectors. Only items whose text
 * changed since are written: the hash of all words is remembered. */
typedef struct words_job {
  medley_workspace *w;
  const catalogue *items;
  const medley_progress *progress;
} words_job;

#define WORDS_BATCH 2000

static medley_status words_write(const words_job *job, text_preparer *preparer, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0}, words = {0};
  bool open = false;
  progress_stage stage;
  progress_begin(&stage, job->progress, "index words", job->items->count);
  for (uint32_t i = 0; i < job->items->count; i++) {
    if (!open) TRY(job->w->kind->begin(job->w->store, err));
    open = true;
    TRY(represent_item_text(job->items, i, &text, err));
    strbuf_reset(&words);
    TRY(text_words_joined(preparer, text.text, &words, err));
    TRY(job->w->kind->put_words(job->w->store, job->items->items[i].id, words.text ? words.text : "", err));
    if ((i + 1) % WORDS_BATCH == 0) {
      open = false;
      TRY(job->w->kind->commit(job->w->store, err));
      TRY(progress_update(&stage, i + 1, err));
    }
  }
  if (open) {
    open = false;
    TRY(job->w->kind->commit(job->w->store, err));
  }
  progress_end(&stage, job->items->count);
done:
  if (open) job->w->kind->rollback(job->w->store);
  strbuf_deinit(&text);
  strbuf_deinit(&words);
  return status;
}

static medley_status words_index(const words_job *job, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char fingerprint[HASH_HEX_BYTES];
  strbuf known = {0};
  text_preparer *preparer;
  preparation prepare;
  TRY(preparation_read(&job->w->config, &prepare, err));
  TRY(workspace_preparer(job->w, &prepare, &preparer, err));
  TRY(dataset_fingerprint(job->items, &prepare, fingerprint, err));
  status = job->w->kind->meta_get(job->w->store, "words", &known, err);
  if (status == MEDLEY_OK && strcmp(known.text, fingerprint) == 0) goto done;
  if (status != MEDLEY_OK && status != MEDLEY_ERR_NOT_FOUND) goto done;
  TRY(words_write(job, preparer, err));
  TRY(job->w->kind->begin(job->w->store, err));
  TRY(job->w->kind->meta_put(job->w->store, "words", fingerprint, err));
  TRY(job->w->kind->commit(job->w->store, err));
done:
  strbuf_deinit(&known);
  return status;
}

static medley_status report_make(const medley_workspace *w, const dataset *data, const fit_result *fit, double seconds,
                                 uint64_t peak, json_t **out, medley_error *err) {
  (void)w;
  json_t *parts = json_array();
  for (size_t i = 0; i < data->content->count; i++) {
    const representation_part *p = &data->content->parts[i];
    json_array_append_new(
        parts, json_pack("{s:s, s:s, s:s?, s:I, s:I, s:I, s:f}", "name", p->name, "encoder",
                         p->kind ? p->kind->name : "", "precision", encoder_precision(p->encoder), "dim",
                         (json_int_t)p->features.dim, "items", (json_int_t)features_present_count(&p->features),
                         "unreadable", (json_int_t)p->unreadable, "seconds", p->seconds));
  }
  *out = json_pack("{s:o, s:o, s:f, s:I}", "content", parts, "fit", fit_result_to_json(fit), "seconds", seconds,
                   "peak_memory_bytes", (json_int_t)peak);
  return *out ? MEDLEY_OK : error_memory(err, "a report");
}

static void setting_note(void *context, const char *sentence) { progress_note(context, "%s", sentence); }

/* What earlier searches found, or room for a new one. */
static medley_status tuned_for(const medley_workspace *w, const medley_train_options *o, tuned *out,
                               medley_error *err) {
  if (o->automatic) return tuned_search(w, &(medley_tune_options){.budget_s = o->budget_s}, out, err);
  return o->untuned ? MEDLEY_OK : tuned_open(w, out, err);
}

static medley_status train_run(medley_workspace *w, const medley_train_options *o, const medley_progress *progress,
                               json_t **report, int64_t *number, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t graphs_least;
  dataset data = {0};
  fit_result fit = {0};
  space *shared = NULL;
  tuned tuned = {0};
  double started = clock_now_s();
  uint64_t seed = o->seed;
  const char *ensemble;
  double new_items;
  settings_look(&w->config, setting_note, (void *)progress);
  TRY(dataset_ensemble(w, o->ensemble, &ensemble, err));
  TRY(dataset_new_items(w, o->new_items, &new_items, err));
  TRY(graphs_from(&w->config, &graphs_least, err));
  TRY(tuned_for(w, o, &tuned, err));
  TRY(dataset_load(w, progress, &data, err));
  if (data.items.count == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "the workspace has no items yet: import some first (medley import --help)");
  words_job words = {w, &data.items, progress};
  TRY(words_index(&words, err));
  TRY(dataset_represent(w, &data, NULL, seed, o->fresh != 0, progress, err));
  TRY(space_fit(data.content, NULL, dataset_aligners(w), seed, progress, &shared, err));
  fit_input input = dataset_fit_input(&data, NULL);
  fit_options options = {.seed = seed,
                         .fuser = dataset_fuser(w),
                         .given = &w->config,
                         .models = o->models,
                         .ensemble = ensemble,
                         .new_items = new_items,
                         .validation = dataset_validation(&data),
                         .every_kind = o->automatic != 0,
                         .known = tuned.known,
                         .search = o->automatic ? &tuned.search : NULL};
  TRY(fit_run(&input, &options, progress, &fit, err));
  if (o->automatic) TRY(tuned_keep(&tuned, &fit, err));
  uint64_t peak = memory_peak_bytes();
  TRY(report_make(w, &data, &fit, clock_now_s() - started, peak, report, err));
  generation_parts parts = {.items = &data.items,
                            .log = &data.log,
                            .weights = &data.weights,
                            .content = data.content,
                            .space = shared,
                            .fit = &fit,
                            .graphs_from = graphs_least,
                            .progress = progress,
                            .report = *report};
  TRY(generation_publish(w->path, &parts, number, err));
  encoders_hold_release(&data.models);
  encoders_tidy(w);
done:
  space_free(shared);
  tuned_close(&tuned);
  fit_result_deinit(&fit);
  dataset_deinit(&data);
  return status;
}

static medley_status run_remember(medley_workspace *w, int64_t number, int64_t started_s, double seconds,
                                  const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  store_generation row = {.number = number, .created_s = clock_wall_s(), .manifest = text};
  TRY(w->kind->begin(w->store, err));
  status = w->kind->put_generation(w->store, &row, err);
  if (status == MEDLEY_OK) status = w->kind->put_run(w->store, "train", started_s, seconds, text, err);
  if (status != MEDLEY_OK)
    w->kind->rollback(w->store);
  else
    TRY(w->kind->commit(w->store, err));
done:
  return status;
}

medley_status medley_train(medley_workspace *workspace, const medley_train_options *options,
                           const medley_progress *progress, char **report_json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const medley_train_options usual = {0};
  json_t *report = NULL;
  char *text = NULL;
  int64_t number = 0, started_s = clock_wall_s();
  double started = clock_now_s();
  const medley_train_options *o = options ? options : &usual;
  int before = omp_get_max_threads();
  training_curves curves = {0};
  if (report_json != NULL) *report_json = NULL;
  TRY(training_curves_begin(&curves, o->curves, progress, err));
  progress = training_curves_progress(&curves);
  medley_train_options settled = *o;
  TRY(dataset_settings(workspace, &settled.seed, &settled.threads, err));
  if (settled.threads > 0) omp_set_num_threads(settled.threads);
  TRY(train_run(workspace, &settled, progress, &report, &number, err));
  json_object_set_new(report, "generation", json_integer((json_int_t)number));
  text = json_to_text(report);
  if (text == NULL) {
    status = error_memory(err, "a report");
    goto done;
  }
  TRY(graphs_measure(workspace, progress, err));
  TRY(run_remember(workspace, number, started_s, clock_now_s() - started, text, err));
  if (report_json != NULL) {
    *report_json = text;
    text = NULL;
  }
done:
  training_curves_end(&curves);
  omp_set_num_threads(before);
  json_decref(report);
  mem_free(text);
  return status;
}
