/* learn/ensemble_xgboost.c: stacking by LambdaMART: trees that correct the weighted sum.
 *
 * The sum of `weighted` is where boosting starts (XGBoost's base margin), times what makes its softmax fit the choices
 * best, since the lambdas take differences of scores for log odds. So the trees only learn what the sum gets wrong, and
 * with no tree at all the ensemble is `weighted`. Rows are the first items of each user's sum, as they are when it
 * answers (recommend/rerank.h).
 *
 * How many trees: by folds of the users, each judged by trees (and weights) of the others; none where the best number
 * is not better than none by a standard error.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "learn/boost.h"
#include "learn/ensemble.h"
#include "math/vector.h"

#define STEP_ROUNDS 10
#define STEPS 12 /* at most so many times as many trees */

/* ---- lists ---- */

typedef struct lists {
  float *row, *label, *margin;
  uint32_t *group; /* [groups] rows of each list */
  size_t *place;   /* [rows] where the row's correction stands in the columns of the wide problem */
  size_t rows, groups;
} lists;

static void lists_deinit(lists *l) {
  mem_free(l->row);
  mem_free(l->label);
  mem_free(l->margin);
  mem_free(l->group);
  mem_free(l->place);
  *l = (lists){0};
}

static medley_status lists_room(lists *l, size_t users, size_t features, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(l->row, users * RERANK_DEPTH * features, "lists");
  TRY_NEW(l->label, users * RERANK_DEPTH, "lists");
  TRY_NEW(l->margin, users * RERANK_DEPTH, "lists");
  TRY_NEW(l->place, users * RERANK_DEPTH, "lists");
  TRY_NEW(l->group, users, "lists");
done:
  return status;
}

/* One run: what is borrowed, and what is the same for all users. */
typedef struct boosting {
  const ensemble_rows *rows;
  const float *weight; /* [model_count] */
  rerank *r;           /* its parts are the models with a weight */
} boosting;

/* The row at `at` of a user's rows: one column of scores and one of places for each part. */
static void row_make(const boosting *b, const rerank_reader *reader, size_t user, size_t at, float *out) {
  const weights_problem *p = b->rows->wide;
  size_t first = p->start[user], count = p->start[user + 1] - first;
  const float *columns = p->columns + first * p->column_count;
  float scores[RERANK_PARTS_MAX], places[RERANK_PARTS_MAX];
  for (uint32_t k = 0; k < b->r->part_count; k++) {
    scores[k] = columns[b->r->part[k] * count + at];
    places[k] = -columns[(b->rows->model_count + b->r->part[k]) * count + at];
  }
  rerank_row(b->r, reader, p->item[first + at], scores, places, out);
}

/* room [rows of the user] is for sums. */
static medley_status user_add(const boosting *b, size_t user, bool to_learn, history_buffer *buffer, float *room,
                              lists *l, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const weights_problem *p = b->rows->wide;
  const measure_task *task = b->rows->task;
  size_t first = p->start[user], count = p->start[user + 1] - first, hits = 0;
  const float *columns = p->columns + first * p->column_count;
  scored best[RERANK_DEPTH];
  history h;
  memset(room, 0, count * sizeof *room);
  for (size_t m = 0; m < b->rows->model_count; m++)
    if (b->weight[m] > 0) vector_add_scaled(room, b->weight[m], columns + m * count, count);
  size_t found = top_k(room, count, NULL, RERANK_DEPTH, best);
  for (size_t k = 0; k < found; k++) hits += p->relevant[first + best[k].index];
  if (found == 0 || (to_learn && (hits == 0 || hits == found))) return MEDLEY_OK;
  TRY(history_of_row(task->history, task->users[user], task->hidden_item, buffer, &h, err));
  rerank_reader reader = rerank_reader_make(b->r, &h);
  for (size_t k = 0; k < found; k++) {
    size_t at = best[k].index, to = l->rows++;
    row_make(b, &reader, user, at, l->row + to * rerank_features(b->r));
    l->label[to] = p->relevant[first + at];
    l->margin[to] = best[k].score;
    l->place[to] = first * p->column_count + (p->column_count - 1) * count + at;
  }
  l->group[l->groups++] = (uint32_t)found;
done:
  return status;
}

static medley_status lists_make(const boosting *b, const uint32_t *users, size_t count, bool to_learn, lists *l,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  const weights_problem *p = b->rows->wide;
  history_buffer buffer = {0};
  float *room = NULL;
  size_t most = 0;
  for (size_t u = 0; u < p->user_count; u++)
    if (p->start[u + 1] - p->start[u] > most) most = p->start[u + 1] - p->start[u];
  TRY_NEW(room, most, "lists");
  TRY(lists_room(l, count, rerank_features(b->r), err));
  for (size_t k = 0; k < count; k++) TRY(user_add(b, users[k], to_learn, &buffer, room, l, err));
done:
  history_buffer_deinit(&buffer);
  mem_free(room);
  return status;
}

/* ---- the start ---- */

/* Minus the mean log likelihood of the choices under the softmax of `scale` times the sums. */
static double surprise(const lists *l, double scale) {
  double sum = 0;
  for (size_t g = 0, at = 0; g < l->groups; at += l->group[g++]) {
    double most = scale * (double)l->margin[at], all = 0; /* the first is the greatest */
    for (size_t k = at; k < at + l->group[g]; k++) all += exp(scale * (double)l->margin[k] - most);
    for (size_t k = at; k < at + l->group[g]; k++)
      if (l->label[k] > 0) sum += most + log(all) - scale * (double)l->margin[k];
  }
  return sum;
}

static double scale_find(const lists *l) {
  double best = 1, least = INFINITY;
  for (double scale = 0.0625; scale <= 16; scale *= 1.4142135623730951) {
    double found = surprise(l, scale);
    if (found >= least) continue;
    least = found;
    best = scale;
  }
  return best;
}

/* ---- trees ---- */

/* A score that is the same for everybody is as good as the item's name (rerank.c says why that must not be known). */
static void parts_choose(boosting *b) {
  b->r->part_count = 0;
  for (uint32_t m = 0; m < b->rows->model_count && b->r->part_count < RERANK_PARTS_MAX; m++)
    if (b->weight[m] > 0 && b->rows->personal[m]) b->r->part[b->r->part_count++] = m;
}

/* Trees in units of the sum, into b->r. */
static medley_status trees_grow(const boosting *b, const uint32_t *users, size_t count, size_t rounds,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  lists l = {0};
  trees_deinit(&b->r->trees);
  TRY(lists_make(b, users, count, true, &l, err));
  if (l.groups == 0) goto done;
  double scale = scale_find(&l);
  for (size_t k = 0; k < l.rows; k++) l.margin[k] *= (float)scale;
  boost_data data = {l.row, l.label, l.margin, l.group, l.rows, l.groups, rerank_features(b->r)};
  boost_options options = {.rounds = rounds, .seed = b->rows->seed};
  TRY(boost_train(&data, &options, &b->r->trees, err));
  trees_scale(&b->r->trees, 1 / scale);
done:
  lists_deinit(&l);
  return status;
}

/* ---- how many ---- */

/* values [STEPS + 1][users]: what each user of the fold is served with 0, 10, 20, … trees of the others. */
static medley_status fold_try(boosting *b, const uint32_t *fold, size_t fold_count, const uint32_t *others,
                              size_t other_count, double *values, medley_error *err) {
  medley_status status = MEDLEY_OK;
  lists l = {0};
  weights_problem mine = *b->rows->narrow, *p = b->rows->wide;
  float weight[WEIGHTS_MAX] = {0};
  b->weight = weight;
  mine.chosen = others;
  mine.chosen_count = other_count;
  TRY(weights_choose(&mine, weight, err));
  parts_choose(b);
  TRY(trees_grow(b, others, other_count, STEPS * STEP_ROUNDS, err));
  TRY(lists_make(b, fold, fold_count, false, &l, err));
  weight[p->column_count - 1] = 1;
  for (size_t k = 0; k < l.rows; k++) p->columns[l.place[k]] = 0;
  for (uint32_t step = 0; step <= STEPS; step++) {
    uint32_t end = step * STEP_ROUNDS, from = step > 0 ? end - STEP_ROUNDS : 0;
    const trees *t = &b->r->trees;
    for (size_t k = 0; k < l.rows && end <= t->count; k++)
      p->columns[l.place[k]] += (float)trees_predict(t, from, end, l.row + k * rerank_features(b->r));
    weights_users(p, weight, fold, fold_count, values + step * p->user_count);
  }
  for (size_t k = 0; k < l.rows; k++) p->columns[l.place[k]] = 0;
done:
  lists_deinit(&l);
  return status;
}

/* The step whose mean is greatest, if it is surely more than none. */
static size_t step_choose(const double *values, size_t users) {
  ensemble_trial trials[STEPS + 1] = {{0}};
  double *rows[STEPS + 1];
  for (size_t s = 0; s <= STEPS; s++) rows[s] = (double *)(uintptr_t)values + s * users;
  return ensemble_choose(trials, STEPS + 1, rows, users);
}

static medley_status rerank_grow(ensemble_rows *rows, const float *weight, rerank *out, double *held_out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t users = rows->wide->user_count;
  boosting b = {.rows = rows, .r = out};
  double *values = NULL;
  uint32_t *order = NULL;
  TRY_NEW(values, (STEPS + 1) * users, "tuning trees");
  TRY(ensemble_folds(users, &order, err));
  for (size_t f = 0; f < ENSEMBLE_FOLDS; f++) {
    size_t from = f * users / ENSEMBLE_FOLDS, end = (f + 1) * users / ENSEMBLE_FOLDS;
    TRY(fold_try(&b, order + from, end - from, order + end, users - (end - from), values, err));
  }
  size_t step = step_choose(values, users);
  if (held_out != NULL) memcpy(held_out, values + step * users, users * sizeof *values);
  trees_deinit(&out->trees);
  if (step == 0 || weight == NULL) goto done;
  b.weight = weight;
  parts_choose(&b);
  TRY(trees_grow(&b, order, users, step * STEP_ROUNDS, err));
done:
  mem_free(values);
  mem_free(order);
  return status;
}

const ensemble_kind ensemble_xgboost = {
    .name = "xgboost",
    .summary = "LambdaMART over the models' scores and places, the item and the user, correcting the weighted sum",
    .source = "Burges 2010; Chen & Guestrin 2016",
    .weigh = weights_choose,
    .rerank = rerank_grow,
};
