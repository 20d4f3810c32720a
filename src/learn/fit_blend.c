/* learn/fit_blend.c: see learn/fit_blend.h. */
#include "learn/fit_blend.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "learn/boost.h"
#include "learn/weights.h"

#define ITEM_DRAWS 2 /* halvings of the cold items */
#define ITEM_SEED 0x6974656du
#define WEIGHT_USERS 4000   /* users asked for the weights of the blend */
#define STRANGER_USERS 1000 /* their lists are all the same: fewer tell as much */
#define WEIGHT_KEEP 80      /* items kept per user and column while weights are searched: four times the list */
#define PLACE_USERS 2000    /* users asked for the place of cold items */
#define COLD_MARGIN 1.1     /* cold items should be found so much better than by the best single model: it is a draw */
#define SURE_DRAWS 200
#define SURE_SEED 0x73757265u
#define SURELY 0.95   /* of the draws: what replaces a sum should be better by more than chance */
#define PLACE_KEEP 40 /* twice the list: a monotone change of a column lifts nothing from behind these */

bool fit_any_weight(const fit_result *r, int temperature) {
  for (size_t p = 0; p < r->model_count; p++)
    if (r->models[p].weight[temperature] > 0) return true;
  return false;
}

/* ---- columns ---- */

/* The models that have something to say, each of which is a column. */
typedef struct members {
  uint32_t model[BLEND_PARTS_MAX];
  size_t count;
} members;

typedef struct columns_context {
  const blend_tuning *t;
  const members *members;
  bool whole; /* all items in one: cold ones are not set apart */
  const vote_kind *votes;
  bool wide; /* places and a column of zeros follow */
} columns_context;

static bool part_always(const recommender_kind *kind) { return (void)kind, true; }
/* That something is new says nothing of one new item beside another. */
static bool part_cold(const recommender_kind *kind) { return kind->scores_cold_items && kind->needs_features; }

static members members_find(const blend_tuning *t, bool (*takes_part)(const recommender_kind *kind)) {
  members out = {.count = 0};
  for (uint32_t p = 0; p < t->out->model_count; p++)
    if (t->tuned[p] != NULL && takes_part(t->tuned[p]->kind)) out.model[out.count++] = p;
  return out;
}

static medley_status columns_fill(const void *context, const history *h, recommender_scratch *scratch, float *columns,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const columns_context *c = context;
  const fit_validation *v = c->t->validation;
  size_t n = c->t->out->train.by_user.columns, count = c->members->count;
  for (size_t p = 0; p < count; p++) {
    const recommender *model = c->t->tuned[c->members->model[p]];
    float *row = columns + p * n;
    TRY(model->kind->score(model, h, scratch, row, err));
    TRY(blend_prepare(c->votes, v->cold_items, v->cold_count, n, c->whole || model->kind->scores_cold_items, scratch,
                      row, NULL, err));
  }
  for (size_t p = 0; c->wide && p < count; p++) {
    float *places = columns + (count + p) * n;
    TRY(votes_places(columns + p * n, NULL, n, scratch, places, err));
    for (size_t i = 0; i < n; i++) places[i] = -places[i]; /* so that the first are the best of this column too */
  }
  if (c->wide) memset(columns + 2 * count * n, 0, n * sizeof *columns);
done:
  return status;
}

/* ---- warm, cold, strangers ---- */

static const struct weights_row {
  bool (*takes_part)(const recommender_kind *kind);
  bool whole;
} rows[BLEND_WEIGHTS] = {[BLEND_WARM] = {part_always, false},
                         [BLEND_COLD] = {part_cold, false},
                         [BLEND_STRANGER] = {recommender_answers_strangers, true}};

/* Weights of cold items vote by halves of the items, not of the users: there are few of them, all users are asked about
 * the same ones, and what one draw of them likes another may not. */
static medley_status items_vote(const blend_tuning *t, const weights_problem *problem, const measure_task *task,
                                weights_votes *votes, medley_error *err) {
  medley_status status = MEDLEY_OK;
  weights_problem half[2] = {0};
  uint8_t *drawn = NULL;
  size_t n = t->out->train.by_user.columns;
  rng r;
  rng_seed(&r, t->seed ^ ITEM_SEED);
  TRY_NEW(drawn, n, "tuning items");
  for (size_t d = 0; d < ITEM_DRAWS; d++) {
    for (size_t i = 0; i < n; i++) drawn[i] = rng_uniform(&r) < 0.5;
    for (uint8_t h = 0; h < 2; h++) {
      weights_problem_deinit(&half[h]);
      TRY(weights_part_make(problem, task, drawn, h, &half[h], err));
    }
    for (int h = 0; h < 2; h++) TRY(weights_vote(&half[h], &half[!h], votes, err));
  }
done:
  for (int h = 0; h < 2; h++) weights_problem_deinit(&half[h]);
  mem_free(drawn);
  return status;
}

typedef struct asked { /* weights_problem and what it borrows */
  measure_task task;
  uint32_t *users;
  members members;
  weights_problem problem;
} asked;

static void asked_deinit(asked *a) {
  weights_problem_deinit(&a->problem);
  mem_free(a->users);
  *a = (asked){0};
}

static medley_status asked_make(const blend_tuning *t, int temperature, const measure_task *task,
                                const vote_kind *votes, bool wide, asked *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  columns_context context = {t, &out->members, rows[temperature].whole, votes, wide};
  size_t limit = temperature == BLEND_STRANGER ? STRANGER_USERS : WEIGHT_USERS;
  size_t keep = temperature == BLEND_COLD ? 2 * WEIGHT_KEEP : WEIGHT_KEEP; /* a half of the items has half of them */
  *out = (asked){.task = *task, .members = members_find(t, rows[temperature].takes_part)};
  size_t columns = wide ? 2 * out->members.count + 1 : out->members.count;
  TRY(measure_users(&out->task, limit, t->seed, &out->users, &out->task.user_count, err));
  out->task.users = out->users;
  TRY(weights_problem_build(&out->task, columns_fill, &context, columns, keep, &out->problem, err));
done:
  return status;
}

medley_status fit_blend_items(const catalogue *items, const interactions *train, const int64_t *time_s, rerank **out,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char **category = NULL;
  uint32_t n = train->by_user.columns;
  TRY_NEW(category, n, "categories");
  for (uint32_t i = 0; i < n; i++) category[i] = items->items[i].category;
  TRY(rerank_create(train->popularity, time_s, category, n, train->traits, out, err));
done:
  mem_free(category);
  return status;
}

/* held_out (may be NULL) and weight [members] (may be NULL, then only that is found): see ensemble_kind. */
static medley_status rerank_tune(blend_tuning *t, const ensemble_kind *kind, const asked *narrow, const float *weight,
                                 double *held_out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  asked wide = {0};
  rerank *found = NULL;
  uint8_t personal[BLEND_PARTS_MAX];
  const fit_validation *v = t->validation;
  TRY(asked_make(t, BLEND_WARM, &v->warm, NULL, true, &wide, err));
  TRY(fit_blend_items(t->items, &v->train, t->out->item_time_s, &found, err));
  const members *m = &wide.members;
  for (size_t p = 0; p < m->count; p++) personal[p] = t->out->models[m->model[p]].kind->needs_history;
  ensemble_rows given = {&wide.task, &narrow->problem, &wide.problem, m->count, personal, t->seed};
  TRY(kind->rerank(&given, weight, found, held_out, err));
  for (uint32_t p = 0; p < found->part_count; p++) found->part[p] = m->model[found->part[p]];
  if (weight != NULL && found->trees.count > 0) {
    t->rerank = found;
    found = NULL;
  }
done:
  rerank_free(found);
  asked_deinit(&wide);
  return status;
}

static medley_status weights_tune(blend_tuning *t, int temperature, const measure_task *task, double *recall,
                                  double *ndcg, medley_error *err) {
  medley_status status = MEDLEY_OK;
  asked a = {0};
  weights_votes votes = {0};
  float weight[WEIGHTS_MAX];
  const ensemble_kind *kind = t->out->ensemble;
  TRY(asked_make(t, temperature, task, kind->votes, false, &a, err));
  if (temperature == BLEND_COLD) {
    TRY(items_vote(t, &a.problem, &a.task, &votes, err));
    weights_settle(&a.problem, &votes, weight);
  } else {
    TRY((temperature == BLEND_WARM ? kind->weigh : weights_choose)(&a.problem, weight, err));
  }
  weights_objective(&a.problem, weight, recall, ndcg);
  if (temperature == BLEND_WARM && kind->rerank != NULL) TRY(rerank_tune(t, kind, &a, weight, NULL, err));
  for (size_t p = 0; p < a.members.count; p++) t->out->models[a.members.model[p]].weight[temperature] = weight[p];
done:
  asked_deinit(&a);
  return status;
}

/* ---- which kind of ensemble ---- */

/* By what each reaches on warm items of users that its weights were not found on. */
static medley_status ensemble_decide(blend_tuning *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  asked a = {0};
  double *values[ENSEMBLE_KINDS_MAX] = {0};
  fit_result *out = t->out;
  for (const ensemble_kind *const *k = ensemble_kinds; *k != NULL; k++) {
    if ((*k)->weigh == NULL || ((*k)->rerank != NULL && !boost_is_there())) continue;
    if (out->trial_count == 0 || (*k)->votes != out->trials[out->trial_count - 1].kind->votes) {
      asked_deinit(&a);
      TRY(asked_make(t, BLEND_WARM, &t->validation->warm, (*k)->votes, false, &a, err));
    }
    out->trials[out->trial_count] = (ensemble_trial){.kind = *k};
    TRY_NEW(values[out->trial_count], a.problem.user_count, "tuning users");
    double *mine = values[out->trial_count++];
    if ((*k)->rerank != NULL)
      TRY(rerank_tune(t, *k, &a, NULL, mine, err));
    else
      TRY(ensemble_held_out(*k, &a.problem, mine, err));
  }
  out->ensemble = out->trials[ensemble_choose(out->trials, out->trial_count, values, a.problem.user_count)].kind;
done:
  for (size_t k = 0; k < ENSEMBLE_KINDS_MAX; k++) mem_free(values[k]);
  asked_deinit(&a);
  return status;
}

/* ---- the place of cold items ---- */

/* The members' columns, the warm sum, the cold sum, and 1 for cold items. */
#define WARM_COLUMN(P) (P)
#define COLD_COLUMN(P) ((P) + 1)
#define FLAG_COLUMN(P) ((P) + 2)

static medley_status place_fill(const void *context, const history *h, recommender_scratch *scratch, float *columns,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  const columns_context *c = context;
  const fit_result *out = c->t->out;
  const uint8_t *cold = c->t->validation->cold_items;
  size_t n = out->train.by_user.columns, count = c->members->count;
  TRY(columns_fill(c, h, scratch, columns, err));
  memset(columns + count * n, 0, 3 * n * sizeof *columns);
  for (size_t p = 0; p < count; p++) {
    const float *weight = out->models[c->members->model[p]].weight;
    for (size_t i = 0; i < n; i++)
      columns[(cold[i] ? COLD_COLUMN(count) : WARM_COLUMN(count)) * n + i] +=
          weight[cold[i] ? BLEND_COLD : BLEND_WARM] * columns[p * n + i];
  }
  for (size_t i = 0; i < n; i++) columns[FLAG_COLUMN(count) * n + i] = cold[i];
done:
  return status;
}

typedef struct place {
  weights_problem all, side[2]; /* the same rows; relevant is everything, or what is warm, or cold */
  members members;
  double least[2];           /* what should be reached on warm and on cold items; 0: nothing is asked of them */
  double cost;               /* what of the demand as a whole finding cold items may cost */
  double floor;              /* what must be reached on all */
  float scale, shift, found; /* found: the quality reached */
} place;

/* The demand as a whole, less what warm or cold items are found worse than they should be; below the floor, the worse
 * the further. */
static double quality_of(const place *l, double all, const double *side) {
  if (all < l->floor) return all - l->floor;
  for (int s = 0; s < 2; s++)
    if (l->least[s] > 0 && side[s] < l->least[s]) all *= side[s] / l->least[s];
  return all;
}

static double place_quality(const place *l, const float *weight) {
  double side[2];
  for (int s = 0; s < 2; s++) side[s] = l->least[s] > 0 ? weights_objective(&l->side[s], weight, NULL, NULL) : 0;
  return quality_of(l, weights_objective(&l->all, weight, NULL, NULL), side);
}

static void place_weights(const place *l, float scale, float shift, float *weight) {
  memset(weight, 0, WEIGHTS_MAX * sizeof *weight);
  weight[WARM_COLUMN(l->members.count)] = 1;
  weight[COLD_COLUMN(l->members.count)] = scale;
  weight[FLAG_COLUMN(l->members.count)] = shift;
}

/* A visit of every factor and constant that are tried. */
typedef void place_visit(place *l, float scale, float shift);

static void place_reach(place *l, float scale, float shift) {
  float weight[WEIGHTS_MAX];
  place_weights(l, scale, shift, weight);
  double reached = (1 - l->cost) * weights_objective(&l->all, weight, NULL, NULL);
  if (reached > l->floor) l->floor = reached;
}

static void place_try(place *l, float scale, float shift) {
  float weight[WEIGHTS_MAX];
  place_weights(l, scale, shift, weight);
  float reached = (float)place_quality(l, weight);
  if (reached <= l->found) return;
  l->found = reached;
  l->scale = scale;
  l->shift = shift;
}

static const float scales[] = {1, 0.5f, 2, 4}, finer[] = {0.7f, 1, 1.4f};

static void places_visit(place *l, place_visit *visit) {
  for (size_t s = 0; s < sizeof scales / sizeof *scales; s++)
    for (float shift = FIT_SHIFT_MIN; shift <= FIT_SHIFT_MAX; shift += shift < 4 ? 0.5f : 2) visit(l, scales[s], shift);
}

/* The larger the factor, the further down the constant that goes with it, so both are searched together. */
static void place_search(place *l) {
  places_visit(l, place_reach);
  l->found = -1;
  places_visit(l, place_try);
  for (int round = 0; round < 2; round++) {
    float scale = l->scale, shift = l->shift;
    for (size_t s = 0; s < sizeof finer / sizeof *finer; s++)
      for (int step = -3; step <= 3; step++) place_try(l, scale * finer[s], shift + 0.125f * (float)step);
  }
}

static void alone(size_t member, float *weight) {
  memset(weight, 0, WEIGHTS_MAX * sizeof *weight);
  weight[member] = 1;
}

/* The standards. Cold items: what the member reaches that serves the whole demand best among those that score them; not
 * the best of all on cold items alone, since putting everything new on top is easy. Warm items: what they reach without
 * cold ones among them. */
static void standards_find(const blend_tuning *t, place *l) {
  float weight[WEIGHTS_MAX];
  double best = 0;
  for (size_t p = 0; p < l->members.count; p++) {
    if (!t->tuned[l->members.model[p]]->kind->scores_cold_items) continue;
    alone(p, weight);
    double all = weights_objective(&l->all, weight, NULL, NULL);
    if (all <= best) continue;
    best = all;
    l->least[BLEND_COLD] = COLD_MARGIN * weights_objective(&l->side[BLEND_COLD], weight, NULL, NULL);
  }
  place_weights(l, 1, FIT_SHIFT_MIN, weight);
  l->least[BLEND_WARM] = weights_objective(&l->side[BLEND_WARM], weight, NULL, NULL);
}

/* Of SURE_DRAWS draws of the users, with replacement (Efron 1979), those in which weight[1] is better than weight[0].
 */
static medley_status place_wins(const place *l, const float *const weight[2], uint64_t seed, int *out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  const weights_problem *problem[] = {&l->all, &l->side[0], &l->side[1]};
  size_t count = l->all.user_count;
  double *value = NULL; /* [2][3][users] */
  rng r;
  rng_seed(&r, seed ^ SURE_SEED);
  TRY_NEW(value, 6 * count, "tuning users");
  for (size_t k = 0; k < 6; k++) weights_users(problem[k % 3], weight[k / 3], NULL, count, value + k * count);
  *out = 0;
  for (int d = 0; d < SURE_DRAWS; d++) {
    double sum[6] = {0};
    for (size_t u = 0; u < count; u++) {
      size_t drawn = rng_below(&r, (uint32_t)count);
      for (size_t k = 0; k < 6; k++) sum[k] += value[k * count + drawn] / (double)count;
    }
    *out += quality_of(l, sum[3], sum + 4) > quality_of(l, sum[0], sum + 1);
  }
done:
  mem_free(value);
  return status;
}

/* A member that serves the demand better by itself than the blend does, cold items included, and surely so, replaces
 * it: its own weight 1 for warm and cold items and no constant leave its order as it is. */
static medley_status place_settle(blend_tuning *t, const place *l, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float weight[WEIGHTS_MAX], blend[WEIGHTS_MAX], scale = l->scale;
  size_t none = l->members.count, chosen = none;
  double best = (double)l->found;
  int wins = 0;
  place_weights(l, l->scale, l->shift, blend);
  for (size_t p = 0; p < l->members.count; p++) {
    if (!t->tuned[l->members.model[p]]->kind->scores_cold_items) continue;
    alone(p, weight);
    double reached = place_quality(l, weight);
    if (reached <= best) continue;
    TRY(place_wins(l, (const float *const[]){blend, weight}, t->seed, &wins, err));
    if (wins < SURELY * SURE_DRAWS) continue;
    best = reached;
    chosen = p;
  }
  t->cold_shift = chosen < none ? 0 : l->shift;
  if (chosen < none) { /* its order is not the one that was corrected */
    rerank_free(t->rerank);
    t->rerank = NULL;
  }
  if (chosen < none) alone(chosen, weight);
  t->out->demand = weights_objective(&l->all, chosen < none ? weight : blend, NULL, NULL);
  t->out->demand_best = l->floor / (1 - l->cost);
  for (size_t p = 0; p < l->members.count; p++) {
    float *mine = t->out->models[l->members.model[p]].weight;
    if (chosen < none)
      mine[BLEND_WARM] = mine[BLEND_COLD] = p == chosen;
    else
      mine[BLEND_COLD] *= scale;
  }
done:
  return status;
}

static medley_status place_tune(blend_tuning *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  place l = {.members = members_find(t, part_always), .cost = t->new_items};
  columns_context context = {t, &l.members, false, t->out->ensemble->votes, false};
  measure_task task = t->validation->demand;
  uint32_t *users = NULL;
  TRY(measure_users(&task, PLACE_USERS, t->seed, &users, &task.user_count, err));
  task.users = users;
  TRY(weights_problem_build(&task, place_fill, &context, l.members.count + 3, PLACE_KEEP, &l.all, err));
  for (uint8_t s = 0; s < 2; s++) TRY(weights_view_make(&l.all, &task, t->validation->cold_items, s, &l.side[s], err));
  standards_find(t, &l);
  place_search(&l);
  TRY(place_settle(t, &l, err));
done:
  for (int s = 0; s < 2; s++) weights_view_deinit(&l.side[s]);
  weights_problem_deinit(&l.all);
  mem_free(users);
  return status;
}

medley_status fit_blend_tune(blend_tuning *t, progress_stage *stage, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fit_result *out = t->out;
  if (out->ensemble->weigh == NULL) TRY(ensemble_decide(t, err));
  TRY(weights_tune(t, BLEND_WARM, &t->validation->warm, &out->warm_recall, &out->warm_ndcg, err));
  TRY(progress_update(stage, 1, err));
  TRY(weights_tune(t, BLEND_STRANGER, &t->validation->stranger, &out->stranger_recall, &out->stranger_ndcg, err));
  TRY(progress_update(stage, 2, err));
  if (t->validation->has_cold) {
    TRY(weights_tune(t, BLEND_COLD, &t->validation->cold, &out->cold_recall, &out->cold_ndcg, err));
    TRY(progress_update(stage, 3, err));
    if (fit_any_weight(out, BLEND_COLD)) TRY(place_tune(t, err));
  }
done:
  return status;
}
