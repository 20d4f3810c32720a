/* engine/evaluate.c: medley_evaluate: fit on the training part of a split, tune on a part of that, report on the test
 * part. */
#include <medley/train.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "engine/dataset.h"
#include "engine/tuned.h"
#include "engine/workspace.h"
#include "explain/report.h"
#include "learn/importance.h"
#include "learn/measure_pairs.h"

#define COLD_FILE_MAX ((size_t)256 << 20)
#define ROC_POINTS 101 /* corners of a curve, at most */
#define BOOTSTRAP_ROUNDS 1000
#define TEST_ROUNDS 2000
#define CONFIDENCE 0.95
/* The last: all test items, asked for without the history. */
enum { SLICE_WARM, SLICE_COLD, SLICE_STRANGER, SLICE_COUNT };
static const char *const slice_names[] = {"warm", "cold", "stranger"};

#define CONTENT_FOR_DIVERSITY 0 /* the first part of the representation measures how unlike the items of a list are */

static const char *const usual_metrics[] = {"recall@10", "recall@20",  "ndcg@10",      "ndcg@20",        "precision@20",
                                            "f1@20",     "hit@20",     "map@20",       "mrr@20",         "auc",
                                            "arp@20",    "novelty@20", "diversity@20", "serendipity@20", "mae",
                                            "rmse",      "accuracy",   "log-loss",     "gauc",           NULL};

/* One evaluation. */
typedef struct evaluation {
  medley_workspace *w;
  const medley_evaluate_options *options;
  const medley_progress *progress;
  uint64_t seed;
  split_kind split;
  dataset data;
  uint32_t *cold_items; /* from the file; [cold_item_count] */
  size_t cold_item_count;
  uint8_t *label;     /* [events] */
  uint8_t *fit_items; /* [items] */
  uint8_t *candidate; /* [items], only with a file of cold items */
  judgements judged;
  interactions known, test, slice_test[2]; /* [0] warm, [1] cold test items */
  fit_result fit;
  measure_metric metrics[MEASURE_METRICS_MAX];
  size_t metric_count;
  measure_task task, slice[SLICE_COUNT];
  uint32_t *users, *slice_users[SLICE_STRANGER];
  measurement measured[BLEND_PARTS_MAX + 1]; /* [0] the blend, [1 + i] fit.models[i] */
} evaluation;

static void evaluation_deinit(evaluation *e) {
  for (size_t i = 0; i <= BLEND_PARTS_MAX; i++) measurement_deinit(&e->measured[i]);
  fit_result_deinit(&e->fit);
  interactions_deinit(&e->known);
  interactions_deinit(&e->test);
  judgements_deinit(&e->judged);
  for (int s = 0; s < 2; s++) {
    interactions_deinit(&e->slice_test[s]);
    mem_free(e->slice_users[s]);
  }
  mem_free(e->users);
  mem_free(e->cold_items);
  mem_free(e->label);
  mem_free(e->fit_items);
  mem_free(e->candidate);
  dataset_deinit(&e->data);
}

/* ---- the split ---- */

static medley_status cold_items_read(evaluation *e, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *text = NULL;
  size_t length, capacity = 0, line = 0;
  const char *path = e->options->cold_items;
  TRY(file_read(path, COLD_FILE_MAX, &text, &length, err));
  char *rest = text;
  for (char *key; (key = strsep(&rest, "\n")) != NULL;) {
    line++;
    key = string_trim(key);
    if (*key == '\0') continue;
    const int64_t *index = strmap_get(&e->data.items.keys, key);
    if (index == NULL) FAIL(err, MEDLEY_ERR_INPUT, "%s line %zu: there is no item '%.100s'", path, line, key);
    TRY_GROW(e->cold_items, capacity, e->cold_item_count + 1, "cold items");
    e->cold_items[e->cold_item_count++] = (uint32_t)*index;
  }
  if (e->cold_item_count == 0) FAIL(err, MEDLEY_ERR_INPUT, "%s names no item; write one item key a line", path);
done:
  mem_free(text);
  return status;
}

static medley_status split_choose(evaluation *e, medley_error *err) {
  const event_log *log = &e->data.log;
  const char *name = e->options->split;
  if (name != NULL) {
    e->split = split_kind_find(name);
    if (e->split != SPLIT_KIND_COUNT) return MEDLEY_OK;
    strbuf known = {0};
    for (int k = 0; k < SPLIT_KIND_COUNT; k++) strbuf_printf(&known, " %s", split_kind_name((split_kind)k));
    error_set(err, MEDLEY_ERR_USAGE, "there is no split '%s'; known are%s", name, known.text ? known.text : "");
    strbuf_deinit(&known);
    return MEDLEY_ERR_USAGE;
  }
  e->split = log->has_split                   ? SPLIT_GIVEN
             : e->options->cold_items != NULL ? SPLIT_COLD_ITEM
             : log->has_time                  ? SPLIT_GLOBAL_TIME
                                              : SPLIT_USER_RANDOM;
  return MEDLEY_OK;
}

/* What the import marked as validation is tuned on alone. */
static medley_status valid_hold(evaluation *e, medley_error *err) {
  size_t held = 0;
  if (e->split != SPLIT_GIVEN)
    return error_set(err, MEDLEY_ERR_USAGE, "events are held out for validation in the split given, not in %s",
                     split_kind_name(e->split));
  for (size_t i = 0; i < e->data.log.event_count; i++) {
    if (e->data.log.events[i].split != STORE_SPLIT_VALID || e->label[i] != LABEL_TRAIN) continue;
    e->label[i] = LABEL_VALID;
    held++;
  }
  if (held > 0) return MEDLEY_OK;
  return error_set(
      err, MEDLEY_ERR_USAGE,
      "no event to learn from is marked 'valid', so none can be held out; import them with a split column");
}

static medley_status split_apply(evaluation *e, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (e->options->cold_items != NULL) TRY(cold_items_read(e, err));
  TRY(split_choose(e, err));
  split_options split = {.kind = e->split,
                         .test_share = e->options->test_share,
                         .seed = e->seed,
                         .cold_items = e->cold_items,
                         .cold_item_count = e->cold_item_count};
  if (e->cold_items != NULL && e->split != SPLIT_GIVEN && e->split != SPLIT_COLD_ITEM)
    FAIL(err, MEDLEY_ERR_USAGE, "a file of cold items goes with the splits given and cold-item, not with %s",
         split_kind_name(e->split));
  TRY_NEW(e->label, e->data.log.event_count, "event labels");
  TRY(split_make(&e->data.log, &split, NULL, e->label, err));
  if (e->options->hold_valid) TRY(valid_hold(e, err));
done:
  return status;
}

/* Items that are only in the test part teach nothing: not even their pictures may shape an encoder. */
static medley_status fit_items_mark(evaluation *e, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *tested = NULL;
  uint32_t n = e->data.items.count;
  TRY_NEW(e->fit_items, n, "items");
  TRY_NEW(tested, n, "items");
  for (size_t i = 0; i < e->data.log.event_count; i++) {
    uint32_t item = e->data.log.events[i].item;
    if (e->label[i] == LABEL_TRAIN)
      e->fit_items[item] = 1;
    else if (e->label[i] == LABEL_TEST)
      tested[item] = 1;
  }
  for (uint32_t i = 0; i < n; i++) e->fit_items[i] |= !tested[i];
  for (size_t i = 0; i < e->cold_item_count; i++) e->fit_items[e->cold_items[i]] = 0;
  if (e->cold_item_count > 0) {
    TRY_NEW(e->candidate, n, "items");
    for (size_t i = 0; i < e->cold_item_count; i++) e->candidate[e->cold_items[i]] = 1;
  }
done:
  mem_free(tested);
  return status;
}

/* ---- the tasks ---- */

/* label 'want' of `from` → an own labelling in which exactly those events are LABEL_TEST. */
static medley_status interactions_where(const evaluation *e, bool (*want)(const evaluation *, size_t),
                                        interactions *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t *label = NULL;
  TRY_NEW(label, e->data.log.event_count, "event labels");
  for (size_t i = 0; i < e->data.log.event_count; i++) label[i] = want(e, i) ? LABEL_TEST : LABEL_DROP;
  TRY(interactions_build(&e->data.log, &e->data.weights, label, LABEL_TEST, out, err));
done:
  mem_free(label);
  return status;
}

static bool is_known(const evaluation *e, size_t i) {
  return e->label[i] == LABEL_TRAIN || e->label[i] == LABEL_HISTORY;
}
static bool is_test(const evaluation *e, size_t i) { return e->label[i] == LABEL_TEST; }
static bool is_warm_test(const evaluation *e, size_t i) {
  return is_test(e, i) && e->fit.train.popularity[e->data.log.events[i].item] > 0;
}
static bool is_cold_test(const evaluation *e, size_t i) {
  return is_test(e, i) && e->fit.train.popularity[e->data.log.events[i].item] == 0;
}

static medley_status tasks_make(evaluation *e, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(interactions_where(e, is_known, &e->known, err));
  TRY(interactions_where(e, is_test, &e->test, err));
  TRY(judgements_collect(&e->data.log, &e->data.weights, e->label, LABEL_TEST, &e->judged, err));
  TRY(interactions_where(e, is_warm_test, &e->slice_test[0], err));
  TRY(interactions_where(e, is_cold_test, &e->slice_test[1], err));
  e->task = (measure_task){.history = &e->known, .test = &e->test, .candidate = e->candidate};
  TRY(measure_users(&e->task, 0, e->seed, &e->users, &e->task.user_count, err));
  e->task.users = e->users;
  if (e->task.user_count == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "the %s split leaves no user with a test item", split_kind_name(e->split));
  for (int s = 0; s < 2; s++) {
    e->slice[s] = e->task;
    e->slice[s].test = &e->slice_test[s];
    TRY(measure_users(&e->slice[s], 0, e->seed, &e->slice_users[s], &e->slice[s].user_count, err));
    e->slice[s].users = e->slice_users[s];
  }
  e->slice[SLICE_STRANGER] = e->task;
  e->slice[SLICE_STRANGER].forget = true;
done:
  return status;
}

static medley_status metrics_parse(evaluation *e, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *const *names = e->options->metrics ? e->options->metrics : usual_metrics;
  for (; *names != NULL; names++) {
    if (e->metric_count == MEASURE_METRICS_MAX)
      FAIL(err, MEDLEY_ERR_LIMIT, "more than %d metrics", MEASURE_METRICS_MAX);
    TRY(measure_metric_parse(*names, &e->metrics[e->metric_count++], err));
  }
done:
  return status;
}

/* ---- measuring ---- */

static medley_status blend_scorer_score(const void *context, const history *h, recommender_scratch *scratch,
                                        float *scores, medley_error *err) {
  return blend_score(context, h, scratch, scores, NULL, NULL, err);
}

static measure_options measure_options_of(const evaluation *e, bool keep_top) {
  const representation *content = e->data.content;
  return (measure_options){.metrics = e->metrics,
                           .metric_count = e->metric_count,
                           .content = content->count > 0 ? &content->parts[CONTENT_FOR_DIVERSITY].features : NULL,
                           .fit_user_count = e->fit.train.by_user.rows,
                           .popularity = e->fit.train.popularity,
                           .keep_top = keep_top};
}

static json_t *estimate_to_json(const estimate *m) {
  if (m->count == 0 || !isfinite(m->mean)) return NULL;
  return json_pack("{s:f, s:f, s:f, s:I}", "mean", m->mean, "lo", m->lo, "hi", m->hi, "users", (json_int_t)m->count);
}

static void figure_add(json_t *out, const char *name, double value) {
  if (isfinite(value)) json_object_set_new(out, name, json_pack("{s:f}", "mean", value));
}

/* What holds for all lists together, of the sizes that were asked for, and coverage and gini of the longest in any
 * case. */
static medley_status lists_to_json(const evaluation *e, const measurement *m, json_t *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[32];
  uint32_t *first = NULL;
  size_t items = e->data.items.count;
  TRY_NEW(first, m->user_count * m->list_size + 1, "recommended lists");
  for (size_t i = 0; i < e->metric_count; i++) {
    size_t k = e->metrics[i].k;
    if (e->metrics[i].kind->over_lists == NULL) continue;
    for (size_t u = 0; u < m->user_count; u++) memcpy(first + u * k, m->top + u * m->list_size, k * sizeof *first);
    figure_add(out, e->metrics[i].name, e->metrics[i].kind->over_lists(first, m->user_count, k, items));
  }
  snprintf(name, sizeof name, "coverage@%zu", m->list_size);
  figure_add(out, name, metric_coverage(m->top, m->user_count, m->list_size, items));
  snprintf(name, sizeof name, "gini@%zu", m->list_size);
  figure_add(out, name, metric_gini(m->top, m->user_count, m->list_size, items));
done:
  mem_free(first);
  return status;
}

/* The curve with its area, for plots; NULL when nobody said both yes and no. */
static json_t *roc_to_json(const judgements *judged, const float *probability) {
  double across[ROC_POINTS], up[ROC_POINTS], area;
  size_t count = judgements_roc(judged, probability, ROC_POINTS, across, up, &area);
  if (count == 0 || !isfinite(area)) return NULL;
  json_t *x = json_array(), *y = json_array();
  for (size_t i = 0; i < count; i++) {
    json_array_append_new(x, json_real(across[i]));
    json_array_append_new(y, json_real(up[i]));
  }
  return json_pack("{s:f, s:o, s:o}", "area", area, "false_positive_rate", x, "true_positive_rate", y);
}

/* What people said of single items, where they said something. *roc: see above. */
static medley_status pairs_to_json(const evaluation *e, const scorer *what, json_t *out, json_t **roc,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *rating = NULL, *probability = NULL;
  bool rate = judgements_rate(&e->judged), part = judgements_part(&e->judged), asked = false;
  for (size_t i = 0; i < e->metric_count; i++) asked |= e->metrics[i].kind->over_pairs != NULL;
  if (!asked || (!rate && !part)) return MEDLEY_OK;
  TRY(judgements_predict(&e->judged, &e->known, what, &rating, &probability, err));
  for (size_t i = 0; i < e->metric_count; i++) {
    const metric_kind *kind = e->metrics[i].kind;
    if (kind->over_pairs != NULL && (kind->of_ratings ? rate : part))
      figure_add(out, e->metrics[i].name, judgements_measure(&e->judged, kind, rating, probability));
  }
  if (part) *roc = roc_to_json(&e->judged, probability);
done:
  mem_free(rating);
  mem_free(probability);
  return status;
}

static medley_status metrics_to_json(const evaluation *e, const measurement *m, json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = json_object();
  for (size_t i = 0; i < e->metric_count; i++) {
    estimate found;
    TRY(bootstrap_mean(m->values + i * m->user_count, m->user_count, BOOTSTRAP_ROUNDS, CONFIDENCE, e->seed, &found,
                       err));
    json_t *entry = estimate_to_json(&found);
    if (entry != NULL) json_object_set_new(*out, e->metrics[i].name, entry);
  }
  if (m->top != NULL) TRY(lists_to_json(e, m, *out, err));
done:
  return status;
}

/* What has no answer for strangers is not asked for one. */
static medley_status slices_to_json(evaluation *e, const scorer *what, bool strangers, json_t **out,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  measurement m = {0};
  *out = json_object();
  for (int s = 0; s < (strangers ? SLICE_COUNT : SLICE_STRANGER); s++) {
    if (e->slice[s].user_count == 0) continue;
    json_t *metrics = NULL;
    measure_options options = measure_options_of(e, false);
    TRY(measure_scorer(&e->slice[s], what, &options, NULL, &m, err));
    TRY(metrics_to_json(e, &m, &metrics, err));
    json_object_set_new(*out, slice_names[s],
                        json_pack("{s:I, s:o}", "users", (json_int_t)m.user_count, "metrics", metrics));
    measurement_deinit(&m);
  }
done:
  measurement_deinit(&m);
  return status;
}

/* slot 0: the blend; 1 + i: fit.models[i]. */
static medley_status model_measure(evaluation *e, size_t slot, const scorer *what, double fit_s, uint64_t fit_peak,
                                   json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *metrics = NULL, *slices = NULL, *roc = NULL;
  progress_stage stage;
  measurement *m = &e->measured[slot];
  char title[64];
  snprintf(title, sizeof title, "measure %s", what->name);
  progress_begin(&stage, e->progress, title, e->task.user_count);
  memory_peak_reset();
  measure_options options = measure_options_of(e, true);
  TRY(measure_scorer(&e->task, what, &options, &stage, m, err));
  uint64_t peak = memory_peak_bytes();
  progress_end(&stage, e->task.user_count);
  TRY(metrics_to_json(e, m, &metrics, err));
  TRY(pairs_to_json(e, what, metrics, &roc, err));
  bool strangers = slot == 0 || recommender_answers_strangers(e->fit.models[slot - 1].kind);
  TRY(slices_to_json(e, what, strangers, &slices, err));
  *out =
      json_pack("{s:s, s:s, s:I, s:O, s:O, s:{s:f, s:f, s:f}, s:I}", "split", split_kind_name(e->split), "model",
                what->name, "users", (json_int_t)m->user_count, "metrics", metrics, "slices", slices, "seconds", "fit",
                fit_s, "score", m->seconds, "per_user", m->seconds / (double)(m->user_count ? m->user_count : 1),
                "peak_memory_bytes", (json_int_t)(peak > fit_peak ? peak : fit_peak));
  if (*out == NULL) status = error_memory(err, "a report");
  if (*out != NULL && roc != NULL) json_object_set(*out, "roc", roc);
done:
  json_decref(metrics);
  json_decref(slices);
  json_decref(roc);
  return status;
}

static bool model_is_wanted(const evaluation *e, size_t index) {
  if (e->fit.models[index].skipped[0] != '\0' || fit_result_model(&e->fit, index) == NULL) return false;
  return true;
}

/* The model with the highest mean of the first metric; of equal ones the first. */
static size_t slot_best(const evaluation *e, json_t *const *entries) {
  size_t best = SIZE_MAX;
  double highest = -INFINITY;
  for (size_t slot = 0; slot <= e->fit.model_count; slot++) {
    double mean = entries[slot] != NULL ? measurement_mean(&e->measured[slot], 0) : NAN;
    if (!(mean > highest)) continue;
    highest = mean;
    best = slot;
  }
  return best;
}

/* Paired tests of every model against the baseline, on each metric. */
static medley_status tests_add(evaluation *e, json_t *const *entries, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *baseline = e->options->baseline ? e->options->baseline : "blend";
  size_t base = SIZE_MAX;
  for (size_t slot = 0; slot <= e->fit.model_count; slot++)
    if (entries[slot] != NULL && strcmp(json_member_string(entries[slot], "model", ""), baseline) == 0) base = slot;
  if (strcmp(baseline, "best") == 0) base = slot_best(e, entries);
  if (base == SIZE_MAX) FAIL(err, MEDLEY_ERR_USAGE, "the baseline '%s' was not measured", baseline);
  for (size_t slot = 0; slot <= e->fit.model_count; slot++) {
    if (entries[slot] == NULL || slot == base) continue;
    json_t *tests = json_object();
    for (size_t i = 0; i < e->metric_count; i++) {
      double p;
      const measurement *a = &e->measured[slot], *b = &e->measured[base];
      status = paired_test(a->values + i * a->user_count, b->values + i * b->user_count, a->user_count, TEST_ROUNDS,
                           e->seed, &p, err);
      if (status != MEDLEY_OK) {
        json_decref(tests);
        goto done;
      }
      if (isfinite(p)) json_object_set_new(tests, e->metrics[i].name, json_real(p));
    }
    json_object_set_new(entries[slot], "p_value", tests);
    json_object_set_new(entries[slot], "baseline", json_string(json_member_string(entries[base], "model", "")));
  }
done:
  return status;
}

static medley_status models_measure(evaluation *e, json_t *entries[BLEND_PARTS_MAX + 1], medley_error *err) {
  medley_status status = MEDLEY_OK;
  scorer what = {"blend", blend_scorer_score, e->fit.blend};
  double fit_s = 0;
  uint64_t peak = 0, added = 0;
  for (size_t p = 0; p < e->fit.model_count; p++) {
    if (!fit_model_counts(&e->fit.models[p])) continue;
    fit_s += e->fit.models[p].fit_s;
    if (e->fit.models[p].peak_bytes > peak) peak = e->fit.models[p].peak_bytes;
    added += e->fit.models[p].added_bytes;
  }
  TRY(model_measure(e, 0, &what, fit_s, peak, &entries[0], err));
  json_object_set_new(entries[0], "fit_memory_bytes", json_integer((json_int_t)added));
  for (size_t p = 0; p < e->fit.model_count; p++) {
    if (!model_is_wanted(e, p)) continue;
    what = scorer_of_recommender(fit_result_model(&e->fit, p));
    TRY(model_measure(e, 1 + p, &what, e->fit.models[p].fit_s, e->fit.models[p].peak_bytes, &entries[1 + p], err));
    json_object_set_new(entries[1 + p], "fit_memory_bytes", json_integer((json_int_t)e->fit.models[p].added_bytes));
  }
  TRY(tests_add(e, entries, err));
done:
  return status;
}

/* ---- the whole ---- */

static medley_status report_to_json(evaluation *e, json_t *const *entries, double seconds, json_t **out,
                                    medley_error *err) {
  json_t *models = json_array();
  for (size_t slot = 0; slot <= e->fit.model_count; slot++)
    if (entries[slot] != NULL) json_array_append(models, entries[slot]);
  /* What holds for the blend stands at the top, so that a script reads one object. */
  *out = json_copy(entries[0]);
  json_object_set_new(*out, "models", models);
  json_object_set_new(*out, "fit", fit_result_to_json(&e->fit));
  json_object_set_new(*out, "seed", json_integer((json_int_t)e->seed));
  json_object_set_new(*out, "threads", json_integer(omp_get_max_threads()));
  json_object_set_new(*out, "total_seconds", json_real(seconds));
  json_object_set_new(*out, "cold_items", json_integer((json_int_t)e->cold_item_count));
  json_object_set_new(*out, "test_interactions", json_integer((json_int_t)sparse_count(&e->test.by_user)));
  return *out ? MEDLEY_OK : error_memory(err, "a report");
}

static medley_status html_write(const char *path, const json_t *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf html = {0};
  TRY(report_html(report, &html, err));
  TRY(file_write(path, html.text, html.length, err));
done:
  strbuf_deinit(&html);
  return status;
}

static medley_status evaluation_run(evaluation *e, json_t **report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *entries[BLEND_PARTS_MAX + 1] = {0}, *importance = NULL;
  double started = clock_now_s();
  fit_search search;
  TRY(metrics_parse(e, err));
  if (e->options->search != NULL)
    TRY(tuned_how(e->options->search, e->options->budget_s, e->options->trials, &search, err));
  const char *ensemble;
  double new_items;
  TRY(dataset_ensemble(e->w, e->options->ensemble, &ensemble, err));
  TRY(dataset_new_items(e->w, e->options->new_items, &new_items, err));
  TRY(file_check_writable(e->options->html, "the report", err));
  TRY(dataset_load(e->w, e->progress, &e->data, err));
  if (e->data.log.event_count == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "the workspace has no events yet: import some first (medley import --help)");
  TRY(split_apply(e, err));
  TRY(fit_items_mark(e, err));
  TRY(dataset_represent(e->w, &e->data, e->fit_items, e->seed, false, e->progress, err));
  fit_input input = dataset_fit_input(&e->data, e->label);
  fit_options options = {.seed = e->seed,
                         .fuser = dataset_fuser(e->w),
                         .given = &e->w->config,
                         .models = e->options->models,
                         .ensemble = ensemble,
                         .new_items = new_items,
                         .validation = e->split,
                         .every_model = true,
                         .every_kind = e->options->every != 0,
                         .search = e->options->search ? &search : NULL};
  /* Validation is cut as the test was, so that what is tuned is what is asked; the given split has no second cut of its
   * own. */
  if (e->cold_item_count > 0)
    options.validation = SPLIT_COLD_ITEM;
  else if (e->split == SPLIT_GIVEN)
    options.validation = SPLIT_USER_RANDOM;
  TRY(fit_run(&input, &options, e->progress, &e->fit, err));
  TRY(tasks_make(e, err));
  TRY(models_measure(e, entries, err));
  if (e->options->importance) {
    measure_options measured = measure_options_of(e, false);
    TRY(importance_measure(&e->fit, &e->task, &measured, &e->measured[0], e->seed, e->progress, &importance, err));
  }
  TRY(report_to_json(e, entries, clock_now_s() - started, report, err));
  if (importance != NULL) json_object_set(*report, "importance", importance);
  if (e->options->html != NULL) TRY(html_write(e->options->html, *report, err));
done:
  json_decref(importance);
  for (size_t slot = 0; slot <= BLEND_PARTS_MAX; slot++) json_decref(entries[slot]);
  return status;
}

medley_status medley_evaluate(medley_workspace *workspace, const medley_evaluate_options *options,
                              const medley_progress *progress, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const medley_evaluate_options usual = {0};
  json_t *report = NULL;
  evaluation *e = NULL;
  int before = omp_get_max_threads();
  int64_t started_s = clock_wall_s();
  double started = clock_now_s();
  *json = NULL;
  TRY_NEW(e, 1, "an evaluation");
  e->w = workspace;
  e->options = options ? options : &usual;
  e->progress = progress;
  int threads = e->options->threads;
  e->seed = e->options->seed;
  TRY(dataset_settings(workspace, &e->seed, &threads, err));
  if (threads > 0) omp_set_num_threads(threads);
  TRY(evaluation_run(e, &report, err));
  *json = json_to_text(report);
  if (*json == NULL) {
    status = error_memory(err, "a report");
    goto done;
  }
  TRY(workspace_run_put(workspace, "evaluate", started_s, clock_now_s() - started, *json, err));
done:
  omp_set_num_threads(before);
  json_decref(report);
  if (e != NULL) evaluation_deinit(e);
  mem_free(e);
  if (status != MEDLEY_OK) {
    mem_free(*json);
    *json = NULL;
  }
  return status;
}
