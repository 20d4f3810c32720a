/* learn/fit.c: see learn/fit.h. The validation parts are cut in fit_validation.c. */
#include "learn/fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fuse/fuser.h"
#include "learn/boost.h"
#include "learn/fit_blend.h"
#include "learn/fit_search.h"

#define NEW_ITEMS_LEAST 0.01 /* of the demand, what finding new items may cost */
#define NEW_ITEMS_MOST 0.03
#define TUNE_USERS 1500 /* users asked for each setting that is tried; more where they have few events each */

/* One run of fit. */
typedef struct fitter {
  const fit_input *input;
  const fit_options *options;
  const medley_progress *progress;
  fit_result *out;
  fit_validation validation;
  recommender_data tune_data;          /* what the models see while settings are tried */
  recommender *tuned[BLEND_PARTS_MAX]; /* the best of each kind, fitted on tune_data */
  float cold_shift;
  rerank *rerank;       /* from tuning: its parts are models by number */
  double search_ends_s; /* clock_now_s; INFINITY without a limit */
  char problem[HASH_HEX_BYTES];
  char stage_name[64];
} fitter;

static size_t settings_count(const recommender_kind *kind) {
  size_t count = 0;
  while (kind->settings != NULL && kind->settings[count].name != NULL) count++;
  return count;
}

/* ---- settings of one model ---- */

#define SETTING_KEY_BYTES 160

static bool is_given(const fitter *f, const recommender_kind *kind, const recommender_setting *setting,
                     char key[SETTING_KEY_BYTES]) {
  snprintf(key, SETTING_KEY_BYTES, "model.%s.%s", kind->name, setting->name);
  return f->options->given != NULL && config_string(f->options->given, key, NULL) != NULL;
}

static bool is_fuser(const fitter *f, const recommender_setting *setting) {
  return f->options->fuser != NULL && strcmp(setting->name, "fuse") == 0;
}

/* What medley.conf settled is not tried out. */
static bool setting_is_settled(const fitter *f, const recommender_kind *kind, const recommender_setting *setting) {
  char key[SETTING_KEY_BYTES];
  return is_fuser(f, setting) || is_given(f, kind, setting, key);
}

static medley_status settings_settle(const fitter *f, const recommender_kind *kind, double *values, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char key[SETTING_KEY_BYTES];
  for (size_t s = 0; s < settings_count(kind); s++) {
    const recommender_setting *setting = &kind->settings[s];
    if (is_given(f, kind, setting, key))
      TRY(config_number(f->options->given, key, setting->min, setting->max, setting->fallback, &values[s], err));
    if (!is_fuser(f, setting)) continue;
    const fuser_kind *fuser = fuser_kind_find(f->options->fuser);
    if (fuser == NULL)
      FAIL(err, MEDLEY_ERR_INPUT, "medley.conf: fuse.kind is '%.60s', which is no fuser (medley list fuser)",
           f->options->fuser);
    values[s] = (double)(fuser - fuser_kinds);
  }
done:
  return status;
}

static const measure_task *tune_task(const fitter *f, const fit_model *model) {
  return model->tuned_cold ? &f->validation.cold : &f->validation.warm;
}

/* Fits with these values and keeps the model when it is the best so far. */
static medley_status model_try(fitter *f, size_t index, const double *values, progress_stage *stage,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  fit_model *model = &f->out->models[index];
  recommender *candidate = NULL;
  double objective;
  TRY(model->kind->fit(&f->tune_data, values, stage, &candidate, err));
  TRY(fit_objective(tune_task(f, model), candidate, &objective, err));
  if (f->tuned[index] == NULL || objective > model->objective) {
    if (f->tuned[index] != NULL) f->tuned[index]->kind->free(f->tuned[index]);
    f->tuned[index] = candidate;
    candidate = NULL;
    memcpy(model->values, values, sizeof model->values);
    model->objective = objective;
  }
done:
  if (candidate != NULL) candidate->kind->free(candidate);
  return status;
}

/* Puts what settings are meanwhile, or are in the end; whether that changed any. */
static bool values_swap(const fitter *f, const fit_model *model, const double *in_the_end, double *values) {
  bool changed = false;
  for (size_t s = 0; s < settings_count(model->kind); s++) {
    const recommender_setting *setting = &model->kind->settings[s];
    double value = in_the_end != NULL ? in_the_end[s] : setting->meanwhile;
    if (setting->meanwhile == 0 || setting_is_settled(f, model->kind, setting) || values[s] == value) continue;
    values[s] = value;
    changed = true;
  }
  return changed;
}

/* By each setting's grid, or once where the settings are known. */
static medley_status model_tune(fitter *f, size_t index, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fit_model *model = &f->out->models[index];
  const recommender_setting *settings = model->kind->settings;
  double values[RECOMMENDER_SETTINGS_MAX] = {0}, asked[RECOMMENDER_SETTINGS_MAX];
  size_t searched = model->known ? 0 : settings_count(model->kind);
  progress_stage stage;
  uint64_t tries = 1, done = 0;
  for (size_t s = 0; s < searched; s++)
    if (settings[s].grid_count > 1) tries += settings[s].grid_count - 1;
  snprintf(f->stage_name, sizeof f->stage_name, "tune %s", model->kind->name);
  progress_begin(&stage, f->progress, f->stage_name, tries);
  memcpy(values, model->values, sizeof values);
  memcpy(asked, model->values, sizeof asked);
  bool changed = searched > 0 && tries > 1 && values_swap(f, model, NULL, values);
  TRY(model_try(f, index, values, &stage, err));
  /* One pass over the settings in the order of the table, which names the decisive ones first. */
  for (size_t s = 0; s < searched; s++) {
    double tried = model->values[s];
    if (setting_is_settled(f, model->kind, &settings[s])) continue;
    for (size_t g = 0; g < settings[s].grid_count; g++) {
      if (settings[s].grid[g] == tried) continue;
      memcpy(values, model->values, sizeof values);
      values[s] = settings[s].grid[g];
      TRY(model_try(f, index, values, &stage, err));
      TRY(progress_update(&stage, ++done, err));
    }
  }
  memcpy(values, model->values, sizeof values);
  if (changed && values_swap(f, model, asked, values)) {
    f->tuned[index]->kind->free(f->tuned[index]); /* whatever it reached */
    f->tuned[index] = NULL;
    TRY(model_try(f, index, values, &stage, err));
  }
  progress_end(&stage, tries);
done:
  return status;
}

/* By search, within an even part of what is left of the budget for `left` models. */
static medley_status model_search(fitter *f, size_t index, size_t left, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fit_model *model = &f->out->models[index];
  bool settled[RECOMMENDER_SETTINGS_MAX] = {false};
  double start[RECOMMENDER_SETTINGS_MAX], now = clock_now_s();
  fit_found found = {0};
  for (size_t s = 0; s < settings_count(model->kind); s++)
    settled[s] = setting_is_settled(f, model->kind, &model->kind->settings[s]);
  memcpy(start, model->values, sizeof start);
  fit_subject subject = {.kind = model->kind,
                         .data = &f->tune_data,
                         .task = tune_task(f, model),
                         .problem = f->problem,
                         .settled = settled,
                         .start = start,
                         .ends_s = now + fmax(0, f->search_ends_s - now) / (double)left};
  TRY(fit_search_model(f->options->search, &subject, f->progress, &found, err));
  f->tuned[index] = found.model;
  memcpy(model->values, found.values, sizeof model->values);
  model->objective = found.objective;
  model->trials = found.trials;
  if (found.model == NULL)
    snprintf(model->skipped, sizeof model->skipped, "one fit takes longer than its part of the time to search");
done:
  return status;
}

/* Three places. */
static void sparse_hash(const sparse *a, unsigned char *out) {
  hash_buffer(a->start, ((size_t)a->rows + 1) * sizeof *a->start, out);
  hash_buffer(a->column, sparse_count(a) * sizeof *a->column, out + HASH_BYTES);
  hash_buffer(a->value, sparse_count(a) * sizeof *a->value, out + 2 * HASH_BYTES);
}

/* What the trials are about: everything that the objective of a model depends on but its settings. */
static void problem_hash(fitter *f) {
  const fit_validation *v = &f->validation;
  const sparse *rows[] = {&v->train.by_user, &v->known.by_user, &v->warm_test.by_user, &v->cold_test.by_user};
  unsigned char all[(3 * (sizeof rows / sizeof *rows) + 2 + 2 * FEATURES_MAX + 1 + 3 + 3) * HASH_BYTES] = {0},
                                                                                            *at = all;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++, at += 3 * HASH_BYTES) sparse_hash(rows[i], at);
  hash_buffer(v->warm_users, v->warm.user_count * sizeof *v->warm_users, at);
  hash_buffer(v->cold_users, v->cold.user_count * sizeof *v->cold_users, at + HASH_BYTES);
  at += 2 * HASH_BYTES;
  for (size_t i = 0; i < f->tune_data.feature_count; i++, at += 2 * HASH_BYTES) {
    const features *part = &f->tune_data.features[i];
    hash_buffer(part->values, part->count * part->dim * sizeof *part->values, at);
    hash_buffer(part->present, part->count, at + HASH_BYTES);
  }
  hash_buffer(&f->options->seed, sizeof f->options->seed, at);
  if (v->train.social != NULL) sparse_hash(v->train.social, at + HASH_BYTES);
  if (v->train.traits != NULL) sparse_hash(&v->train.traits->rows, at + 4 * HASH_BYTES);
  unsigned char whole[HASH_BYTES];
  hash_buffer(all, sizeof all, whole);
  hash_to_hex(whole, f->problem);
}

/* ---- which models ---- */

static bool model_is_named(const fit_options *options, const char *name) {
  if (options->models == NULL) return true;
  for (const char *const *m = options->models; *m != NULL; m++)
    if (strcmp(*m, name) == 0) return true;
  return false;
}

static medley_status ensemble_named(fitter *f, medley_error *err) {
  const char *name = f->options->ensemble;
  f->out->ensemble = name ? ensemble_kind_find(name) : ensemble_kinds[0];
  if (f->out->ensemble != NULL && f->out->ensemble->rerank != NULL) return boost_needed(err);
  if (f->out->ensemble != NULL) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "there is no ensemble '%.60s' (medley list ensemble)", name);
}

static medley_status models_choose(fitter *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(ensemble_named(f, err));
  for (const char *const *m = f->options->models; m != NULL && *m != NULL; m++)
    if (recommender_kind_find(*m) == NULL)
      return error_set(err, MEDLEY_ERR_USAGE, "there is no recommender '%s' (medley list recommender)", *m);
  bool content = f->input->content->count > 0;
  for (const recommender_kind *const *k = recommender_kinds; *k != NULL; k++) {
    if (!model_is_named(f->options, (*k)->name) || f->out->model_count == BLEND_PARTS_MAX) continue;
    fit_model *model = &f->out->models[f->out->model_count++];
    medley_error why = {0};
    model->kind = *k;
    model->objective = NAN;
    model->tuned_cold = (*k)->needs_features && (*k)->scores_cold_items && f->validation.has_cold;
    recommender_defaults(*k, model->values);
    const json_t *known = json_object_get(f->options->known, (*k)->name);
    model->known = known != NULL;
    if (known != NULL) TRY(settings_from_json(*k, known, "settings that were searched for", model->values, err));
    TRY(settings_settle(f, *k, model->values, err));
    if ((*k)->needs_features && !content)
      snprintf(model->skipped, sizeof model->skipped, "no item has text, media, tags or vectors");
    else if ((*k)->needs_time && f->tune_data.train->time_s == NULL)
      snprintf(model->skipped, sizeof model->skipped, "events have no times");
    else if ((*k)->accepts != NULL && (*k)->accepts(&f->tune_data, &why) != MEDLEY_OK)
      snprintf(model->skipped, sizeof model->skipped, "%.*s", (int)sizeof model->skipped - 1, why.text);
    else if (f->options->models == NULL && !f->options->every_kind && (*k)->by_itself != NULL &&
             !(*k)->by_itself(&f->tune_data))
      snprintf(model->skipped, sizeof model->skipped, "not for such events, unless it is named");
    if (model->skipped[0] != '\0' && f->options->models != NULL)
      FAIL(err, MEDLEY_ERR_USAGE, "%s cannot take part: %s", (*k)->name, model->skipped);
  }
done:
  return status;
}

/* ---- the last fit ---- */

static medley_status model_refit(fitter *f, size_t index, recommender **model, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fit_model *m = &f->out->models[index];
  progress_stage stage;
  snprintf(f->stage_name, sizeof f->stage_name, "fit %s", m->kind->name);
  progress_begin(&stage, f->progress, f->stage_name, 0);
  memory_peak_reset();
  uint64_t before = memory_peak_bytes();
  double started = clock_now_s();
  TRY(m->kind->fit(&f->out->data, m->values, &stage, model, err));
  m->fit_s = clock_now_s() - started;
  m->peak_bytes = memory_peak_bytes();
  m->added_bytes = m->peak_bytes > before ? m->peak_bytes - before : 0;
  if (m->kind->describe != NULL) m->learned = m->kind->describe(*model);
  progress_end(&stage, 1);
done:
  return status;
}

bool fit_model_counts(const fit_model *m) {
  for (int t = 0; t < BLEND_WEIGHTS; t++)
    if (m->weight[t] > 0) return true;
  return false;
}

/* What the trees learned, with what is known of the items now; parts become those of the blend. */
static medley_status rerank_fit(fitter *f, const size_t *place, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rerank *r = NULL;
  if (f->rerank == NULL) return MEDLEY_OK;
  TRY(fit_blend_items(f->input->items, &f->out->train, f->out->item_time_s, &r, err));
  r->part_count = f->rerank->part_count;
  for (uint32_t p = 0; p < r->part_count; p++) r->part[p] = (uint32_t)place[f->rerank->part[p]];
  r->trees = f->rerank->trees;
  f->rerank->trees = (trees){0};
  f->out->blend->rerank = r;
done:
  return status;
}

static medley_status blend_fit(fitter *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  blend *b = NULL;
  size_t place[BLEND_PARTS_MAX] = {0};
  uint32_t n = f->out->train.by_user.columns;
  TRY_NEW(b, 1, "a blend");
  f->out->blend = b;
  b->item_count = n;
  b->cold_shift = f->cold_shift;
  b->votes = f->out->ensemble->votes;
  TRY_NEW(b->cold, n, "a blend");
  for (uint32_t i = 0; i < n; i++) b->cold_count += b->cold[i] = f->out->train.popularity[i] == 0;
  for (size_t p = 0; p < f->out->model_count; p++) {
    fit_model *m = &f->out->models[p];
    bool counts = fit_model_counts(m);
    if (m->skipped[0] != '\0' || (!counts && !f->options->every_model)) continue;
    recommender *model = NULL;
    TRY(model_refit(f, p, &model, err));
    if (!counts) {
      f->out->others[p] = model;
      continue;
    }
    place[p] = b->count;
    blend_part *part = &b->parts[b->count++];
    part->model = model;
    memcpy(part->values, m->values, sizeof part->values);
    memcpy(part->weight, m->weight, sizeof part->weight);
  }
  TRY(rerank_fit(f, place, err));
done:
  return status;
}

/* Without anything to validate on (a handful of events), popularity answers, and what scores cold items stands beside
 * it. */
static void weights_fall_back(fitter *f) {
  for (size_t p = 0; p < f->out->model_count; p++) {
    fit_model *m = &f->out->models[p];
    if (m->skipped[0] != '\0') continue;
    if (!m->kind->needs_history) m->weight[BLEND_WARM] = 0.5f;
    if (m->kind->needs_features && m->kind->scores_cold_items) m->weight[BLEND_WARM] = 0.5f;
  }
  /* Of models that were asked for by name, something answers. */
  for (size_t p = 0; p < f->out->model_count && !fit_any_weight(f->out, BLEND_WARM); p++)
    if (f->out->models[p].skipped[0] == '\0') f->out->models[p].weight[BLEND_WARM] = 1;
}

/* With nothing held out to tune on (few items), what reads content places cold items at half weight, or what else can
 * score them, so that a new item of a small catalogue is placed by what it is and not merely in the middle. */
static void weights_for_cold(fit_result *r) {
  for (int content = 1; content >= 0 && !fit_any_weight(r, BLEND_COLD); content--)
    for (size_t p = 0; p < r->model_count; p++) {
      fit_model *m = &r->models[p];
      if (m->skipped[0] == '\0' && m->kind->scores_cold_items && m->kind->needs_features == content)
        m->weight[BLEND_COLD] = 0.5f;
    }
}

/* Without anything that is surely worth something to strangers, the first model that needs no history answers them,
 * or else the first that reads friends or traits: every other one is silent. */
static void weights_for_strangers(fit_result *r) {
  for (size_t p = 0; p < r->model_count && !fit_any_weight(r, BLEND_STRANGER); p++)
    if (r->models[p].skipped[0] == '\0' && !r->models[p].kind->needs_history) r->models[p].weight[BLEND_STRANGER] = 1;
  for (size_t p = 0; p < r->model_count && !fit_any_weight(r, BLEND_STRANGER); p++)
    if (r->models[p].skipped[0] == '\0' && recommender_answers_strangers(r->models[p].kind))
      r->models[p].weight[BLEND_STRANGER] = 1;
}

/* A catalogue whose people keep choosing what is new pays more for finding it. */
static double new_items_cost(const fitter *f) {
  double asked = f->options->new_items, share = f->validation.new_share;
  if (asked != 0) return asked > 0 ? asked : 0;
  return share < NEW_ITEMS_LEAST ? NEW_ITEMS_LEAST : share > NEW_ITEMS_MOST ? NEW_ITEMS_MOST : share;
}

static medley_status fit_tune(fitter *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  blend_tuning tuning = {.out = f->out,
                         .validation = &f->validation,
                         .tuned = f->tuned,
                         .new_items = new_items_cost(f),
                         .items = f->input->items,
                         .seed = f->options->seed};
  size_t left = 0;
  for (size_t p = 0; p < f->out->model_count; p++) left += f->out->models[p].skipped[0] == '\0';
  for (size_t p = 0; p < f->out->model_count; p++) {
    if (f->out->models[p].skipped[0] != '\0') continue;
    if (f->options->search != NULL)
      TRY(model_search(f, p, left--, err));
    else
      TRY(model_tune(f, p, err));
  }
  progress_begin(&stage, f->progress, "tune blend", 4);
  status = fit_blend_tune(&tuning, &stage, err);
  f->rerank = tuning.rerank;
  if (status != MEDLEY_OK) goto done;
  f->cold_shift = tuning.cold_shift;
  progress_end(&stage, 4);
done:
  return status;
}

static medley_status item_times(const catalogue *items, int64_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool any = false;
  TRY_NEW(*out, items->count, "item times");
  for (uint32_t i = 0; i < items->count; i++) {
    (*out)[i] = items->items[i].time_s;
    any |= (*out)[i] != STORE_TIME_UNKNOWN;
  }
  if (!any) {
    mem_free(*out);
    *out = NULL;
  }
done:
  return status;
}

medley_status fit_run(const fit_input *input, const fit_options *options, const medley_progress *progress,
                      fit_result *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double started = clock_now_s();
  fitter f = {.input = input, .options = options, .progress = progress, .out = out};
  *out = (fit_result){.warm_recall = NAN,
                      .warm_ndcg = NAN,
                      .cold_recall = NAN,
                      .cold_ndcg = NAN,
                      .stranger_recall = NAN,
                      .stranger_ndcg = NAN,
                      .demand = NAN,
                      .demand_best = NAN};
  TRY(interactions_build(input->log, input->weights, input->label, LABEL_TRAIN, &out->train, err));
  TRY(item_times(input->items, &out->item_time_s, err));
  size_t feature_count = representation_features(input->content, out->features);
  out->data = (recommender_data){.train = &out->train,
                                 .features = out->features,
                                 .feature_count = feature_count,
                                 .item_time_s = out->item_time_s,
                                 .seed = options->seed};
  TRY(fit_validation_make(input, options, &out->train, TUNE_USERS, &f.validation, err));
  f.tune_data = out->data;
  f.tune_data.train = &f.validation.train;
  f.search_ends_s = options->search && options->search->budget_s > 0 ? started + options->search->budget_s : INFINITY;
  if (options->search != NULL && options->search->file != NULL) problem_hash(&f);
  TRY(models_choose(&f, err));
  if (f.validation.warm.user_count > 0) TRY(fit_tune(&f, err));
  if (out->ensemble->weigh == NULL) out->ensemble = ensemble_kinds[0]; /* nothing to choose it on */
  if (!fit_any_weight(out, BLEND_WARM)) weights_fall_back(&f);
  if (!fit_any_weight(out, BLEND_COLD)) weights_for_cold(out);
  /* Where nothing can say anything of cold items, they come last, as they do in a list by popularity. */
  if (!fit_any_weight(out, BLEND_COLD)) f.cold_shift = FIT_SHIFT_MIN;
  weights_for_strangers(out);
  for (size_t p = 0; p < out->model_count; p++) {
    if (f.tuned[p] != NULL) f.tuned[p]->kind->free(f.tuned[p]);
    f.tuned[p] = NULL;
  }
  fit_validation_deinit(&f.validation);
  if (!options->only_tune) TRY(blend_fit(&f, err));
  out->seconds = clock_now_s() - started;
done:
  for (size_t p = 0; p < BLEND_PARTS_MAX; p++)
    if (f.tuned[p] != NULL) f.tuned[p]->kind->free(f.tuned[p]);
  fit_validation_deinit(&f.validation);
  rerank_free(f.rerank);
  if (status != MEDLEY_OK) fit_result_deinit(out);
  return status;
}

void fit_result_deinit(fit_result *r) {
  for (size_t p = 0; p < BLEND_PARTS_MAX; p++)
    if (r->others[p] != NULL) r->others[p]->kind->free(r->others[p]);
  for (size_t p = 0; p < r->model_count; p++) {
    json_decref(r->models[p].learned);
    json_decref(r->models[p].trials);
  }
  blend_free(r->blend);
  interactions_deinit(&r->train);
  mem_free(r->item_time_s);
  *r = (fit_result){0};
}

const recommender *fit_result_model(const fit_result *r, size_t index) {
  if (r->others[index] != NULL) return r->others[index];
  for (size_t p = 0; r->blend != NULL && p < r->blend->count; p++)
    if (r->blend->parts[p].model->kind == r->models[index].kind) return r->blend->parts[p].model;
  return NULL;
}

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *model_to_json(const fit_model *m) {
  json_t *settings = settings_to_json(m->kind, m->values);
  json_t *entry = json_pack(
      "{s:s, s:s, s:o, s:o, s:s, s:f, s:f, s:f, s:f, s:I}", "model", m->kind->name, "part", m->kind->part, "settings",
      settings, "validation", number_or_null(m->objective), "tuned_on", m->tuned_cold ? "cold items" : "warm items",
      "weight_warm", (double)m->weight[BLEND_WARM], "weight_cold", (double)m->weight[BLEND_COLD], "weight_stranger",
      (double)m->weight[BLEND_STRANGER], "fit_seconds", m->fit_s, "peak_memory_bytes", (json_int_t)m->peak_bytes);
  if (m->learned != NULL) json_object_set(entry, "learned", m->learned);
  if (m->trials != NULL) json_object_set(entry, "trials", m->trials);
  if (m->known) json_object_set_new(entry, "known", json_true());
  if (m->skipped[0] != '\0') json_object_set_new(entry, "skipped", json_string(m->skipped));
  return entry;
}

static json_t *ensemble_to_json(const fit_result *r) {
  json_t *trials = json_array();
  for (size_t t = 0; t < r->trial_count; t++)
    json_array_append_new(
        trials, json_pack("{s:s, s:f, s:f, s:f}", "ensemble", r->trials[t].kind->name, "held_out", r->trials[t].reached,
                          "better", r->trials[t].better, "standard_error", r->trials[t].spread));
  const rerank *trees = r->blend ? r->blend->rerank : NULL;
  return json_pack("{s:s, s:o, s:I}", "kind", r->ensemble ? r->ensemble->name : "", "chosen_among", trials, "trees",
                   (json_int_t)(trees ? trees->trees.count : 0));
}

json_t *fit_result_to_json(const fit_result *r) {
  json_t *models = json_array();
  for (size_t p = 0; p < r->model_count; p++) json_array_append_new(models, model_to_json(&r->models[p]));
  return json_pack("{s:o, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}, s:f, s:f, s:I, s:I, s:I}", "models", models,
                   "ensemble", ensemble_to_json(r), "validation", "warm_recall@20", number_or_null(r->warm_recall),
                   "warm_ndcg@20", number_or_null(r->warm_ndcg), "cold_recall@20", number_or_null(r->cold_recall),
                   "cold_ndcg@20", number_or_null(r->cold_ndcg), "stranger_recall@20",
                   number_or_null(r->stranger_recall), "stranger_ndcg@20", number_or_null(r->stranger_ndcg), "demand",
                   number_or_null(r->demand), "demand_best", number_or_null(r->demand_best), "cold_shift",
                   r->blend ? (double)r->blend->cold_shift : 0.0, "seconds", r->seconds, "users",
                   (json_int_t)r->train.by_user.rows, "items", (json_int_t)r->train.by_user.columns, "interactions",
                   (json_int_t)sparse_count(&r->train.by_user));
}
