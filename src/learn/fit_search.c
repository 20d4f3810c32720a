/* learn/fit_search.c: see learn/fit_search.h. */
#include "learn/fit_search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define REPEATS_MOST 50   /* of proposals that were tried already: there is nothing left to try */
#define BUDGET_LEAST 0.05 /* of the budget a fit may take at least, whatever those before it left */
#define SHARE_SALT 0x7368617265u

medley_status fit_objective(const measure_task *task, const recommender *model, double *objective, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const char *const names[] = {"recall@20", "ndcg@20"};
  measure_metric metrics[2];
  measurement m = {0};
  for (int i = 0; i < 2; i++) TRY(measure_metric_parse(names[i], &metrics[i], err));
  scorer what = scorer_of_recommender(model);
  measure_options options = {.metrics = metrics, .metric_count = 2};
  TRY(measure_scorer(task, &what, &options, NULL, &m, err));
  *objective = (measurement_mean(&m, 0) + measurement_mean(&m, 1)) / 2;
done:
  measurement_deinit(&m);
  return status;
}

/* ---- a limit of time for one fit ---- */

/* Stands between a fit and the receiver of its progress, and asks it to stop when its time is up. */
typedef struct time_limit {
  const medley_progress *sink;
  double ends_s;
  bool late;
} time_limit;

static int limit_report(void *context, const medley_progress_state *state) {
  time_limit *l = context;
  if (l->sink != NULL && l->sink->report != NULL && l->sink->report(l->sink->context, state) != 0) return 1;
  l->late = clock_now_s() > l->ends_s;
  return l->late;
}

static void limit_note(void *context, const char *text) { progress_note(((time_limit *)context)->sink, "%s", text); }

/* ---- one trial ---- */

/* One search of one model. */
typedef struct searcher {
  const fit_search *how;
  const fit_subject *subject;
  tuning_search search;
  time_limit limit;
  medley_progress through; /* to limit */
  progress_stage stage;
  double started_s;
  fit_found *out;
} searcher;

/* The data with a share of the people; the same ones for the same share. */
static medley_status data_of_share(const searcher *s, double share, interactions *part, recommender_data *out,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  const interactions *all = s->subject->data->train;
  uint8_t *keep = NULL;
  rng r;
  rng_seed(&r, s->subject->data->seed ^ SHARE_SALT);
  TRY_NEW(keep, (size_t)all->by_user.rows + 1, "people");
  for (uint32_t u = 0; u < all->by_user.rows; u++) keep[u] = rng_uniform(&r) < share;
  TRY(interactions_of_users(all, keep, part, err));
  *out = *s->subject->data;
  out->train = part;
done:
  mem_free(keep);
  return status;
}

/* What was broken off for its time, or refused for its settings, came to nothing; what else goes wrong ends the search.
 */
static medley_status trial_forgive(searcher *s, medley_status status, medley_error *err) {
  if (status == MEDLEY_ERR_CANCELLED && !s->limit.late) return status;
  if (status == MEDLEY_ERR_MEMORY) return status;
  if (!s->limit.late) progress_note(s->limit.sink, "%s: a trial failed: %s", s->subject->kind->name, err->text);
  if (err != NULL) *err = (medley_error){0};
  return MEDLEY_OK;
}

static medley_status trial_run(searcher *s, trial *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const recommender_kind *kind = s->subject->kind;
  interactions part = {0};
  recommender_data data = *s->subject->data;
  recommender *model = NULL;
  medley_error why = {0};
  double started = clock_now_s(), left = fmax(s->subject->ends_s - started, s->how->budget_s * BUDGET_LEAST);
  s->limit.late = false;
  s->limit.ends_s = started + 2 * left;
  if (t->share < 1) TRY(data_of_share(s, t->share, &part, &data, err));
  status = kind->fit(&data, t->values, &s->stage, &model, &why);
  if (status == MEDLEY_OK) status = fit_objective(s->subject->task, model, &t->objective, &why);
  if (status != MEDLEY_OK) {
    t->objective = NAN;
    status = trial_forgive(s, status, &why);
    if (status != MEDLEY_OK) FAIL(err, status, "%s", why.text);
  }
  t->seconds = clock_now_s() - started;
  if (t->share >= 1 && isfinite(t->objective) && (s->out->model == NULL || t->objective > s->out->objective)) {
    if (s->out->model != NULL) kind->free(s->out->model);
    s->out->model = model;
    s->out->objective = t->objective;
    model = NULL;
  }
done:
  if (model != NULL) kind->free(model);
  interactions_deinit(&part);
  return status;
}

/* ---- the search ---- */

static const trial *tried_already(const searcher *s, const trial *t) {
  size_t settings = 0;
  while (s->search.settings[settings].name != NULL) settings++;
  for (size_t i = 0; i < s->search.count; i++) {
    const trial *o = &s->search.trials[i];
    if (o->share == t->share && memcmp(o->values, t->values, settings * sizeof *t->values) == 0) return o;
  }
  return NULL;
}

static bool searches_anything(const searcher *s) {
  for (size_t i = 0; s->search.settings[i].name != NULL; i++)
    if (setting_range_of(&s->search.settings[i], s->search.settled[i]).scale != SETTING_FIXED) return true;
  return false;
}

static bool goes_on(const searcher *s, size_t repeats) {
  if (s->search.count == 0) return true;
  if (!searches_anything(s) || repeats >= REPEATS_MOST) return false;
  if (s->how->trials > 0 && s->search.count >= s->how->trials) return false;
  /* A model whose usual settings already take too long is not tried with others. */
  if (s->search.count == 1 && !isfinite(s->search.trials[0].objective)) return false;
  return clock_now_s() < s->subject->ends_s;
}

static medley_status stage_tell(searcher *s, medley_error *err) {
  const trial *best = tuning_search_best(&s->search);
  snprintf(s->stage.detail, sizeof s->stage.detail, "trial %zu, best %.4f", s->search.count,
           best != NULL ? best->objective : 0.0);
  double spent = clock_now_s() - s->started_s;
  uint64_t done = s->how->budget_s > 0 ? (uint64_t)spent : s->search.count;
  if (s->stage.total > 0 && done > s->stage.total) done = s->stage.total;
  return progress_update(&s->stage, done, err);
}

static medley_status trials_make(searcher *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t repeats = 0;
  while (goes_on(s, repeats)) {
    trial next;
    tuner_propose(s->how->kind, &s->search, &next);
    const trial *before = tried_already(s, &next);
    repeats = before != NULL ? repeats + 1 : 0;
    if (before != NULL)
      next = *before;
    else
      TRY(trial_run(s, &next, err));
    TRY(tuning_search_add(&s->search, &next, err));
    if (s->how->file != NULL) TRY(trials_add(s->how->file, s->subject->problem, s->subject->kind, &next, err));
    s->limit.ends_s = INFINITY;
    TRY(stage_tell(s, err));
  }
done:
  return status;
}

static medley_status trials_tell(const searcher *s, json_t **out, medley_error *err) {
  *out = json_array();
  for (size_t i = 0; i < s->search.count; i++) {
    const trial *t = &s->search.trials[i];
    json_array_append_new(*out, json_pack("{s:f, s:o, s:f, s:o}", "share", t->share, "objective",
                                          isfinite(t->objective) ? json_real(t->objective) : json_null(), "seconds",
                                          t->seconds, "settings", settings_to_json(s->subject->kind, t->values)));
  }
  return *out != NULL ? MEDLEY_OK : error_memory(err, "trials");
}

/* The best of all trials; one of an earlier run must be fitted again to be had. */
static medley_status best_take(searcher *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const trial *best = tuning_search_best(&s->search);
  memcpy(s->out->values, s->search.start, sizeof s->out->values);
  if (best == NULL) goto done;
  memcpy(s->out->values, best->values, sizeof s->out->values);
  if (s->out->model != NULL && s->out->objective >= best->objective) goto done;
  if (s->out->model != NULL) s->subject->kind->free(s->out->model);
  s->out->model = NULL;
  s->out->objective = best->objective;
  TRY(s->subject->kind->fit(s->subject->data, best->values, &s->stage, &s->out->model, err));
done:
  return status;
}

static const recommender_setting no_settings[] = {{NULL}};

medley_status fit_search_model(const fit_search *how, const fit_subject *subject, const medley_progress *progress,
                               fit_found *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  searcher s = {.how = how, .subject = subject, .out = out, .started_s = clock_now_s()};
  char name[64];
  s.search = (tuning_search){.settings = subject->kind->settings ? subject->kind->settings : no_settings,
                             .settled = subject->settled,
                             .start = subject->start,
                             .seed = subject->data->seed};
  s.limit = (time_limit){.sink = progress, .ends_s = INFINITY};
  s.through = (medley_progress){limit_report, limit_note, &s.limit};
  *out = (fit_found){.objective = NAN};
  snprintf(name, sizeof name, "search %s", subject->kind->name);
  double part = subject->ends_s - s.started_s;
  progress_begin(&s.stage, &s.through, name, how->budget_s > 0 ? (uint64_t)fmax(1, part) : how->trials);
  if (how->file != NULL) TRY(trials_read(how->file, subject->problem, subject->kind, &s.search, err));
  TRY(trials_make(&s, err));
  TRY(best_take(&s, err));
  TRY(trials_tell(&s, &out->trials, err));
  progress_end(&s.stage, s.stage.total);
done:
  tuning_search_deinit(&s.search);
  if (status != MEDLEY_OK) {
    if (out->model != NULL) subject->kind->free(out->model);
    json_decref(out->trials);
    *out = (fit_found){0};
  }
  return status;
}
