/* learn/importance.c: see learn/importance.h. */
#include "learn/importance.h"

#include <math.h>
#include <string.h>

#define ROUNDS 1000
#define CONFIDENCE 0.95

typedef struct ablation {
  const fit_result *fit;
  const measure_task *task;
  const measure_options *options;
  const measurement *whole;
  uint64_t seed;
  json_t *rows;
} ablation;

static medley_status blend_scores(const void *context, const history *h, recommender_scratch *scratch, float *scores,
                                  medley_error *err) {
  return blend_score(context, h, scratch, scores, NULL, NULL, err);
}

/* { metric: {difference, lo, hi} } of the whole less what is left. */
static medley_status differences(const ablation *a, const measurement *left, json_t *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double *values = NULL;
  size_t users = left->user_count;
  TRY_NEW(values, users, "differences");
  for (size_t m = 0; m < a->options->metric_count; m++) {
    estimate found;
    for (size_t u = 0; u < users; u++) values[u] = a->whole->values[m * users + u] - left->values[m * users + u];
    TRY(bootstrap_mean(values, users, ROUNDS, CONFIDENCE, a->seed, &found, err));
    if (found.count > 0 && isfinite(found.mean))
      json_object_set_new(out, a->options->metrics[m].name,
                          json_pack("{s:f, s:f, s:f}", "difference", found.mean, "lo", found.lo, "hi", found.hi));
  }
done:
  mem_free(values);
  return status;
}

static medley_status row_add(ablation *a, const blend *left, const char *name, const char *kind, medley_error *err) {
  medley_status status = MEDLEY_OK;
  measurement m = {0};
  json_t *metrics = json_object();
  scorer what = {"the blend without a part", blend_scores, left};
  if (metrics == NULL) return error_memory(err, "a report");
  TRY(measure_scorer(a->task, &what, a->options, NULL, &m, err));
  TRY(differences(a, &m, metrics, err));
  if (json_array_append_new(a->rows, json_pack("{s:s, s:s, s:O}", "without", name, "kind", kind, "metrics", metrics)) !=
      0)
    status = error_memory(err, "a report");
done:
  json_decref(metrics);
  measurement_deinit(&m);
  return status;
}

static medley_status without_model(ablation *a, size_t part, medley_error *err) {
  blend left = *a->fit->blend; /* borrows what it points to */
  memset(left.parts[part].weight, 0, sizeof left.parts[part].weight);
  return row_add(a, &left, left.parts[part].model->kind->name, "model", err);
}

/* Fitted again without one table of features; models that need some and have none left lose their weight. */
static medley_status without_modality(ablation *a, size_t side, medley_error *err) {
  medley_status status = MEDLEY_OK;
  blend left = *a->fit->blend;
  recommender *fitted[BLEND_PARTS_MAX] = {0};
  features list[FEATURES_MAX];
  recommender_data data = a->fit->data;
  data.features = list;
  data.feature_count = 0;
  for (size_t f = 0; f < a->fit->data.feature_count; f++)
    if (f != side) list[data.feature_count++] = a->fit->data.features[f];
  for (size_t p = 0; p < left.count; p++) {
    const recommender_kind *kind = left.parts[p].model->kind;
    if (kind->needs_features && data.feature_count == 0)
      memset(left.parts[p].weight, 0, sizeof left.parts[p].weight);
    else if (kind->needs_features || kind->may_read_features) {
      TRY(kind->fit(&data, left.parts[p].values, NULL, &fitted[p], err));
      left.parts[p].model = fitted[p];
    }
  }
  TRY(row_add(a, &left, a->fit->data.features[side].name, "modality", err));
done:
  for (size_t p = 0; p < BLEND_PARTS_MAX; p++)
    if (fitted[p] != NULL) fitted[p]->kind->free(fitted[p]);
  return status;
}

medley_status importance_measure(const fit_result *fit, const measure_task *task, const measure_options *options,
                                 const measurement *whole, uint64_t seed, const medley_progress *progress, json_t **out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  measure_options plain = *options;
  plain.keep_top = false;
  ablation a = {.fit = fit, .task = task, .options = &plain, .whole = whole, .seed = seed, .rows = json_array()};
  size_t sides = fit->data.feature_count, done = 0;
  *out = NULL;
  if (a.rows == NULL) return error_memory(err, "a report");
  progress_begin(&stage, progress, "measure importance", sides + fit->blend->count);
  for (size_t f = 0; f < sides; f++) {
    TRY(without_modality(&a, f, err));
    TRY(progress_update(&stage, ++done, err));
  }
  for (size_t p = 0; p < fit->blend->count; p++) {
    TRY(without_model(&a, p, err));
    TRY(progress_update(&stage, ++done, err));
  }
  progress_end(&stage, done);
  *out = a.rows;
  a.rows = NULL;
done:
  json_decref(a.rows);
  return status;
}
