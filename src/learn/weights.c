/* learn/weights.c: see learn/weights.h. */
#include "learn/weights.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/vector.h"

#define LIST 20 /* the list the weights are tuned for */
#define ROUNDS_MAX 12
#define GAIN_MIN 2e-5  /* a step must gain so much, relatively */
#define WORTH_MIN 2e-3 /* a column must be worth so much, relatively, or it goes: less is noise of the draw */

/* ---- building ---- */

typedef struct user_rows {
  float *columns; /* [column_count, count] */
  uint32_t *item;
  uint8_t *relevant;
  uint32_t count, relevant_count;
} user_rows;

typedef struct builder {
  const measure_task *task;
  weights_columns fill;
  const void *context;
  size_t column_count, keep, item_count;
  user_rows *users;
} builder;

typedef struct builder_worker {
  recommender_scratch scratch;
  history_buffer buffer;
  float *columns;  /* [column_count, items] */
  uint8_t *skip;   /* [items] */
  uint8_t *chosen; /* [items] */
  scored *best;    /* [keep] */
  uint32_t *list;  /* [items] chosen items */
} builder_worker;

static medley_status builder_worker_init(const builder *b, builder_worker *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *w = (builder_worker){0};
  TRY_NEW(w->columns, b->column_count * b->item_count, "scores");
  TRY_NEW(w->skip, b->item_count, "scores");
  TRY_NEW(w->chosen, b->item_count, "scores");
  TRY_NEW(w->best, b->keep, "scores");
  TRY_NEW(w->list, b->item_count, "scores");
done:
  return status;
}

static void builder_worker_deinit(builder_worker *w) {
  recommender_scratch_deinit(&w->scratch);
  history_buffer_deinit(&w->buffer);
  mem_free(w->columns);
  mem_free(w->skip);
  mem_free(w->chosen);
  mem_free(w->best);
  mem_free(w->list);
}

static void builder_take(builder_worker *w, uint32_t item, uint32_t *count) {
  if (w->chosen[item] || *count == WEIGHTS_ROWS_MAX) return;
  w->chosen[item] = 1;
  w->list[(*count)++] = item;
}

/* The items that stay: a list of the first there are, which is what no score at all says, and the best of each column.
 */
static uint32_t builder_choose(const builder *b, builder_worker *w, const history *h) {
  uint32_t count = 0;
  for (size_t i = 0; i < b->item_count; i++) w->skip[i] = b->task->candidate != NULL && !b->task->candidate[i];
  for (size_t j = 0; j < h->count; j++) w->skip[h->item[j]] = 1;
  memset(w->chosen, 0, b->item_count);
  for (uint32_t i = 0; i < b->item_count && count < LIST; i++)
    if (!w->skip[i]) builder_take(w, i, &count);
  for (size_t c = 0; c < b->column_count; c++) {
    size_t found = top_k(w->columns + c * b->item_count, b->item_count, w->skip, b->keep, w->best);
    for (size_t k = 0; k < found; k++) builder_take(w, w->best[k].index, &count);
  }
  return count;
}

static medley_status builder_user(const builder *b, builder_worker *w, size_t slot, medley_error *err) {
  medley_status status = MEDLEY_OK;
  history h;
  user_rows *out = &b->users[slot];
  uint32_t user = b->task->users[slot];
  TRY(history_of_row(b->task->history, user, b->task->hidden_item, &w->buffer, &h, err));
  TRY(b->fill(b->context, &h, &w->scratch, w->columns, err));
  out->count = builder_choose(b, w, &h);
  TRY_NEW(out->columns, out->count * b->column_count, "tuning rows");
  TRY_NEW(out->item, out->count, "tuning rows");
  TRY_NEW(out->relevant, out->count, "tuning rows");
  for (uint32_t r = 0; r < out->count; r++) {
    out->item[r] = w->list[r];
    for (size_t c = 0; c < b->column_count; c++)
      out->columns[c * out->count + r] = w->columns[c * b->item_count + w->list[r]];
    out->relevant[r] = sparse_has(&b->task->test->by_user, user, w->list[r]);
  }
  const sparse *test = &b->task->test->by_user;
  for (uint64_t e = test->start[user]; e < test->start[user + 1]; e++) out->relevant_count += !w->skip[test->column[e]];
done:
  return status;
}

static medley_status builder_run(const builder *b, medley_error *err) {
  medley_status status = MEDLEY_OK;
#pragma omp parallel shared(status)
  {
    builder_worker w;
    medley_error mine = {0};
    medley_status my_status = builder_worker_init(b, &w, &mine);
#pragma omp for schedule(dynamic, 16)
    for (size_t u = 0; u < b->task->user_count; u++)
      if (my_status == MEDLEY_OK) my_status = builder_user(b, &w, u, &mine);
    builder_worker_deinit(&w);
    if (my_status != MEDLEY_OK) {
#pragma omp critical(weights_failure)
      {
        if (err != NULL) *err = mine;
        status = my_status;
      }
    }
  }
  return status;
}

/* The first rows, to begin with. */
static medley_status near_make(weights_problem *p, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(p->near, p->user_count * LIST, "tuning rows");
  for (size_t k = 0; k < p->user_count * LIST; k++) p->near[k] = k % LIST;
done:
  return status;
}

static medley_status builder_join(const builder *b, weights_problem *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t total = 0;
  for (size_t u = 0; u < b->task->user_count; u++) total += b->users[u].count;
  *out = (weights_problem){.column_count = b->column_count, .user_count = b->task->user_count};
  TRY_NEW(out->start, out->user_count + 1, "tuning rows");
  TRY_NEW(out->columns, total * b->column_count, "tuning rows");
  TRY_NEW(out->item, total, "tuning rows");
  TRY_NEW(out->relevant, total, "tuning rows");
  TRY_NEW(out->relevant_count, out->user_count, "tuning rows");
  TRY(near_make(out, err));
  for (size_t u = 0; u < out->user_count; u++) {
    const user_rows *from = &b->users[u];
    size_t at = out->start[u];
    if (from->count > 0) {
      memcpy(out->columns + at * b->column_count, from->columns, from->count * b->column_count * sizeof *out->columns);
      memcpy(out->item + at, from->item, from->count * sizeof *out->item);
      memcpy(out->relevant + at, from->relevant, from->count);
    }
    out->relevant_count[u] = from->relevant_count;
    out->start[u + 1] = at + from->count;
  }
done:
  return status;
}

medley_status weights_problem_build(const measure_task *task, weights_columns fill, const void *context,
                                    size_t column_count, size_t keep, weights_problem *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  builder b = {.task = task,
               .fill = fill,
               .context = context,
               .column_count = column_count,
               .keep = keep,
               .item_count = task->test->by_user.columns};
  *out = (weights_problem){0};
  TRY_NEW(b.users, task->user_count, "tuning rows");
  TRY(builder_run(&b, err));
  TRY(builder_join(&b, out, err));
done:
  for (size_t u = 0; b.users != NULL && u < task->user_count; u++) {
    mem_free(b.users[u].columns);
    mem_free(b.users[u].item);
    mem_free(b.users[u].relevant);
  }
  mem_free(b.users);
  if (status != MEDLEY_OK) weights_problem_deinit(out);
  return status;
}

void weights_problem_deinit(weights_problem *p) {
  mem_free(p->start);
  mem_free(p->columns);
  mem_free(p->item);
  mem_free(p->relevant);
  mem_free(p->relevant_count);
  mem_free(p->near);
  *p = (weights_problem){0};
}

/* ---- some items of it ---- */

/* What users are asked about among the items with `value`, whether it is kept or not. */
static medley_status relevant_count_some(const weights_problem *of, const measure_task *task, const uint8_t *in,
                                         uint8_t value, weights_problem *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *test = &task->test->by_user, *known = &task->history->by_user;
  TRY_NEW(out->relevant_count, of->user_count, "tuning rows");
  for (size_t u = 0; u < of->user_count; u++) {
    uint32_t user = task->users[u];
    for (uint64_t e = test->start[user]; e < test->start[user + 1]; e++) {
      uint32_t item = test->column[e];
      out->relevant_count[u] += in[item] == value && task->candidate[item] && !sparse_has(known, user, item);
    }
  }
done:
  return status;
}

medley_status weights_view_make(const weights_problem *of, const measure_task *task, const uint8_t *in, uint8_t value,
                                weights_problem *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = of->start[of->user_count];
  *out = *of;
  out->relevant = NULL;
  out->relevant_count = NULL;
  TRY_NEW(out->relevant, count, "tuning rows");
  for (size_t r = 0; r < count; r++) out->relevant[r] = of->relevant[r] && in[of->item[r]] == value;
  TRY(relevant_count_some(of, task, in, value, out, err));
done:
  return status;
}

void weights_view_deinit(weights_problem *view) {
  mem_free(view->relevant);
  mem_free(view->relevant_count);
  *view = (weights_problem){0};
}

/* The rows of one user that stay, into their place in `out`. */
static void part_copy(const weights_problem *of, size_t user, const uint8_t *in, uint8_t value, weights_problem *out) {
  size_t first = of->start[user], count = of->start[user + 1] - first;
  size_t to = out->start[user], kept = out->start[user + 1] - to;
  const float *from = of->columns + first * of->column_count;
  float *columns = out->columns + to * of->column_count;
  for (size_t r = 0, k = 0; r < count; r++) {
    if (in[of->item[first + r]] != value) continue;
    for (size_t c = 0; c < of->column_count; c++) columns[c * kept + k] = from[c * count + r];
    out->item[to + k] = of->item[first + r];
    out->relevant[to + k++] = of->relevant[first + r];
  }
}

medley_status weights_part_make(const weights_problem *of, const measure_task *task, const uint8_t *in, uint8_t value,
                                weights_problem *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (weights_problem){.column_count = of->column_count, .user_count = of->user_count};
  TRY_NEW(out->start, of->user_count + 1, "tuning rows");
  for (size_t u = 0; u < of->user_count; u++) {
    out->start[u + 1] = out->start[u];
    for (size_t r = of->start[u]; r < of->start[u + 1]; r++) out->start[u + 1] += in[of->item[r]] == value;
  }
  size_t total = out->start[of->user_count];
  TRY_NEW(out->columns, total * of->column_count, "tuning rows");
  TRY_NEW(out->item, total, "tuning rows");
  TRY_NEW(out->relevant, total, "tuning rows");
  TRY(near_make(out, err));
  for (size_t u = 0; u < of->user_count; u++) part_copy(of, u, in, value, out);
  TRY(relevant_count_some(of, task, in, value, out, err));
done:
  if (status != MEDLEY_OK) weights_problem_deinit(out);
  return status;
}

/* ---- trying weights ---- */

/* A list is never sorted. The rows of the list that was made before for this user are LIST different ones, whatever the
 * weights are now: the least of their scores is a bar that the whole new list reaches, and hardly anything else does.
 * Of the few rows that reach it only the relevant ones' places are counted. The list is the same whatever bar there
 * was, so results do not depend on what was tried before. */

#define FAR (2 * LIST) /* rows above the bar from which on a new one is made */

/* Enough for any list to reach; -INFINITY where that is not known. */
static float bar_find(const uint16_t *near, const float *scores, size_t count) {
  float bar = INFINITY;
  for (size_t k = 0; k < LIST && count > LIST; k++) {
    float score = scores[near != NULL ? near[k] : k];
    if (isnan(score)) return -INFINITY;
    if (score < bar) bar = score;
  }
  return count > LIST ? bar : -INFINITY;
}

/* Bit r: what stands at place r of the user's list by these scores is relevant. The first of equal scores is ahead. */
static uint32_t list_hits(const weights_problem *p, size_t user, const float *scores, size_t count) {
  uint16_t *near = p->near != NULL ? p->near + user * LIST : NULL;
  const uint8_t *relevant = p->relevant + p->start[user];
  uint32_t row[WEIGHTS_ROWS_MAX], hits = 0;
  float above[WEIGHTS_ROWS_MAX];
  float bar = bar_find(near, scores, count);
  size_t found = vector_find_all(scores, count, bar, row);
  bool renew = found > FAR && near != NULL && bar > -INFINITY;
  for (size_t k = 0; k < found; k++) above[k] = scores[row[k]];
  for (size_t k = 0; k < found; k++) {
    if (!renew && !relevant[row[k]]) continue;
    uint32_t place = top_place(above, found, k);
    if (place >= LIST) continue;
    if (renew) near[place] = (uint16_t)row[k];
    hits |= (uint32_t)(relevant[row[k]] != 0) << place;
  }
  return hits;
}

typedef struct gains {
  double discount[LIST], ideal[LIST + 1];
} gains;

static gains gains_make(void) {
  gains g = {0};
  for (int i = 0; i < LIST; i++) {
    g.discount[i] = 1 / log2(i + 2);
    g.ideal[i + 1] = g.ideal[i] + g.discount[i];
  }
  return g;
}

static size_t chosen_count(const weights_problem *p) { return p->chosen ? p->chosen_count : p->user_count; }

static size_t chosen_user(const weights_problem *p, size_t k) { return p->chosen ? p->chosen[k] : k; }

/* What is tried at once: values of one column beside the other weights, or all weights as they are. */
#define TRIES_MAX 8
typedef struct tries {
  const float *weight; /* [column_count] */
  size_t column;       /* column_count: none */
  const float *value;  /* [count] of the column */
  size_t count;        /* at most TRIES_MAX */
} tries;

typedef struct reached {
  double recall[TRIES_MAX], ndcg[TRIES_MAX];
} reached;

/* scores [count] of a user's rows, of all columns but one; those without weight are passed over. */
static void rows_score(const weights_problem *p, size_t user, const float *weight, size_t without, size_t count,
                       float *scores) {
  const float *column = p->columns + p->start[user] * p->column_count;
  memset(scores, 0, count * sizeof *scores);
  for (size_t c = 0; c < p->column_count; c++, column += count)
    if (weight[c] != 0 && c != without) vector_add_scaled(scores, weight[c], column, count);
}

static void list_reached(const gains *g, size_t relevant, uint32_t hits, double *recall, double *ndcg) {
  double gain = 0;
  for (uint32_t left = hits; left != 0; left &= left - 1) gain += g->discount[__builtin_ctz(left)];
  *recall += (double)__builtin_popcount(hits) / (double)relevant;
  *ndcg += gain / g->ideal[relevant < LIST ? relevant : LIST];
}

/* Adds what a user is served with to `out`. */
static void user_try(const weights_problem *p, const gains *g, size_t user, const tries *t, reached *out) {
  float others[WEIGHTS_ROWS_MAX], scores[WEIGHTS_ROWS_MAX];
  size_t relevant = p->relevant_count[user], first = p->start[user], count = p->start[user + 1] - first;
  assert(count <= WEIGHTS_ROWS_MAX && t->count <= TRIES_MAX);
  if (relevant == 0) return;
  rows_score(p, user, t->weight, t->column, count, others);
  for (size_t v = 0; v < t->count; v++) {
    const float *column = p->columns + first * p->column_count + t->column * count;
    const float *these = others;
    if (t->column < p->column_count) {
      memcpy(scores, others, count * sizeof *scores);
      vector_add_scaled(scores, t->value[v], column, count);
      these = scores;
    }
    list_reached(g, relevant, list_hits(p, user, these, count), &out->recall[v], &out->ndcg[v]);
  }
}

/* Blocks of users, each summed in order, and then the blocks: the same result for any number of threads. */
#define BLOCKS 256

static reached tries_run(const weights_problem *p, const tries *t) {
  gains g = gains_make();
  reached blocks[BLOCKS] = {0}, sum = {0};
  size_t count = chosen_count(p);
#pragma omp parallel for schedule(dynamic)
  for (size_t b = 0; b < BLOCKS; b++)
    for (size_t k = b * count / BLOCKS; k < (b + 1) * count / BLOCKS; k++)
      user_try(p, &g, chosen_user(p, k), t, &blocks[b]);
  for (size_t v = 0; v < t->count; v++) {
    for (size_t b = 0; b < BLOCKS; b++) {
      sum.recall[v] += blocks[b].recall[v];
      sum.ndcg[v] += blocks[b].ndcg[v];
    }
  }
  return sum;
}

static double users_asked(const weights_problem *p) { return chosen_count(p) > 0 ? (double)chosen_count(p) : 1; }

double weights_objective(const weights_problem *p, const float *weight, double *recall, double *ndcg) {
  reached sum = tries_run(p, &(tries){.weight = weight, .column = p->column_count, .count = 1});
  if (recall != NULL) *recall = sum.recall[0] / users_asked(p);
  if (ndcg != NULL) *ndcg = sum.ndcg[0] / users_asked(p);
  return (sum.recall[0] + sum.ndcg[0]) / (2 * users_asked(p));
}

void weights_users(const weights_problem *p, const float *weight, const uint32_t *users, size_t count, double *value) {
  gains g = gains_make();
  tries t = {.weight = weight, .column = p->column_count, .count = 1};
#pragma omp parallel for schedule(static)
  for (size_t k = 0; k < count; k++) {
    size_t user = users != NULL ? users[k] : k;
    reached mine = {0};
    user_try(p, &g, user, &t, &mine);
    value[user] = (mine.recall[0] + mine.ndcg[0]) / 2;
  }
}

weights_gap weights_compare(const double *a, const double *b, const uint32_t *users, size_t count) {
  double sum = 0, square = 0, n = count > 0 ? (double)count : 1;
  for (size_t k = 0; k < count; k++) {
    size_t user = users != NULL ? users[k] : k;
    sum += b[user] - a[user];
    square += (b[user] - a[user]) * (b[user] - a[user]);
  }
  return (weights_gap){sum / n, fmax(0, square / n - sum / n * (sum / n)) / n};
}

/* ---- searching ---- */

/* The values of one column one after the other, each kept where it gains. */
static double try_values(const weights_problem *p, float *weight, size_t column, const float *value, size_t count,
                         double best) {
  reached sum = tries_run(p, &(tries){weight, column, value, count});
  for (size_t v = 0; v < count; v++) {
    double reached = (sum.recall[v] + sum.ndcg[v]) / (2 * users_asked(p));
    if (!(reached > best * (1 + GAIN_MIN))) continue;
    best = reached;
    weight[column] = value[v];
  }
  return best;
}

static double search_column(const weights_problem *p, float *weight, size_t column, double best) {
  static const float factors[] = {0, 0.5f, 0.7f, 0.85f, 1.2f, 1.5f, 2};
  static const float steps[] = {0.05f, 0.15f, 0.4f};
  enum { FACTORS = sizeof factors / sizeof *factors, STEPS = sizeof steps / sizeof *steps };
  float value[FACTORS], sum = 0;
  for (size_t c = 0; c < p->column_count; c++) sum += weight[c];
  for (size_t i = 0; i < FACTORS; i++) value[i] = weight[column] * factors[i];
  if (weight[column] > 0) best = try_values(p, weight, column, value, FACTORS, best);
  for (size_t i = 0; i < STEPS; i++) value[i] = (sum > 0 ? sum : 1) * steps[i];
  if (weight[column] == 0) best = try_values(p, weight, column, value, STEPS, best);
  return best;
}

/* Rounds over the columns until one gains next to nothing, or every column was tried since a weight last moved. */
static double search_rounds(const weights_problem *p, float *weight, double best) {
  size_t still = 0;
  for (int round = 0; round < ROUNDS_MAX; round++) {
    double before = best;
    for (size_t c = 0; c < p->column_count; c++) {
      float was = weight[c];
      best = search_column(p, weight, c, best);
      still = weight[c] == was ? still + 1 : 0;
      if (still == p->column_count) return best;
    }
    if (best <= before * (1 + 10 * GAIN_MIN)) break;
  }
  return best;
}

/* The least useful columns go first; each removal is accepted when it costs less than WORTH_MIN. */
static double search_prune(const weights_problem *p, float *weight, double best) {
  double floor = best * (1 - WORTH_MIN);
  for (;;) {
    size_t weakest = p->column_count, columns = 0;
    double kept = -1;
    for (size_t c = 0; c < p->column_count; c++) {
      if (weight[c] == 0) continue;
      columns++;
      float before = weight[c];
      weight[c] = 0;
      double without = weights_objective(p, weight, NULL, NULL);
      weight[c] = before;
      if (without > kept) {
        kept = without;
        weakest = c;
      }
    }
    if (columns < 2 || kept < floor) return best;
    weight[weakest] = 0;
    best = kept;
  }
}

/* The best column by itself, which alone has a weight then; column_count when none helps. */
static size_t best_column(const weights_problem *p, float *weight, double *reached) {
  size_t first = p->column_count;
  memset(weight, 0, p->column_count * sizeof *weight);
  /* What no score at all reaches, by the order of the rows: a column that says nothing must not look useful. */
  double best = weights_objective(p, weight, NULL, NULL);
  for (size_t c = 0; c < p->column_count; c++) {
    weight[c] = 1;
    double alone = weights_objective(p, weight, NULL, NULL);
    weight[c] = 0;
    if (alone > best) {
      best = alone;
      first = c;
    }
  }
  if (first < p->column_count) weight[first] = 1;
  *reached = best;
  return first;
}

void weights_single(const weights_problem *p, float *weight) {
  double reached;
  best_column(p, weight, &reached);
}

/* alone [column_count]: the best column by itself. */
static double search_from(const weights_problem *p, float *alone, float *weight) {
  double best;
  size_t first = best_column(p, alone, &best);
  memcpy(weight, alone, p->column_count * sizeof *weight);
  if (first == p->column_count) return 0;
  best = search_prune(p, weight, search_rounds(p, weight, best));
  float sum = 0;
  for (size_t c = 0; c < p->column_count; c++) sum += weight[c];
  /* On little data the order of no weights at all can be as good as any: then no column helps. */
  for (size_t c = 0; c < p->column_count && sum > 0; c++) weight[c] /= sum;
  return best;
}

double weights_search(const weights_problem *p, float *weight) {
  float alone[WEIGHTS_MAX];
  return search_from(p, alone, weight);
}

/* ---- a sum has to prove itself ---- */

#define FEW_USERS 1000   /* with fewer, halves differ much and more of them are drawn … */
#define FEW_EVENTS 10000 /* … or with fewer events that are looked for */
#define DRAWS_OF_FEW 5
#define DRAWS 2
#define SHARE_MIN 0.05f /* of the mean: what only some halves found is noise */
#define DRAW_SEED 0x68616c66u

static bool are_few(const weights_problem *p) {
  uint64_t events = 0;
  for (size_t k = 0; k < chosen_count(p); k++) events += p->relevant_count[chosen_user(p, k)];
  return chosen_count(p) < FEW_USERS || events < FEW_EVENTS;
}

medley_status weights_vote(const weights_problem *mine, const weights_problem *other, weights_votes *v,
                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  float searched[WEIGHTS_MAX], alone[WEIGHTS_MAX];
  double *together = NULL, *single = NULL;
  size_t count = chosen_count(other);
  TRY_NEW(together, other->user_count, "tuning users");
  TRY_NEW(single, other->user_count, "tuning users");
  search_from(mine, alone, searched);
  weights_users(other, searched, other->chosen, count, together);
  weights_users(other, alone, other->chosen, count, single);
  if (count > 1) {
    weights_gap gap = weights_compare(together, single, other->chosen, count);
    v->single_better += gap.mean;
    v->error_square += gap.error_square;
  }
  v->count++;
  for (size_t c = 0; c < mine->column_count; c++) v->sum[c] += searched[c];
done:
  mem_free(together);
  mem_free(single);
  return status;
}

/* What is hardly there goes; the rest sums to 1. */
static void shares_settle(float *weight, size_t count) {
  float all = 0, kept = 0;
  for (size_t c = 0; c < count; c++) all += weight[c];
  for (size_t c = 0; c < count; c++) {
    if (weight[c] < SHARE_MIN * all) weight[c] = 0;
    kept += weight[c];
  }
  for (size_t c = 0; c < count && kept > 0; c++) weight[c] /= kept;
}

/* Two halves make a draw of all users, and more draws ask the same users again: the error is that of one draw. One
 * error is enough, and none would not be: sums that a chance put behind were replaced (Breiman et al. 1984, on choosing
 * among what cannot be told apart). */
void weights_settle(const weights_problem *p, const weights_votes *v, float *weight) {
  double votes = v->count > 0 ? (double)v->count : 1, reached;
  memcpy(weight, v->sum, p->column_count * sizeof *weight);
  shares_settle(weight, p->column_count);
  if (v->single_better / votes > sqrt(v->error_square / votes / 2)) best_column(p, weight, &reached);
}

medley_status weights_choose(const weights_problem *p, float *weight, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *users = NULL;
  weights_votes votes = {0};
  rng r;
  size_t count = chosen_count(p), half = count / 2, draws = are_few(p) ? DRAWS_OF_FEW : DRAWS;
  TRY_NEW(users, count, "tuning users");
  for (size_t k = 0; k < count; k++) users[k] = (uint32_t)chosen_user(p, k);
  rng_seed(&r, DRAW_SEED);
  for (size_t d = 0; d < draws && half > 0; d++) {
    weights_problem a = *p, b = *p;
    rng_shuffle(&r, users, count);
    a.chosen = users;
    a.chosen_count = half;
    b.chosen = users + half;
    b.chosen_count = count - half;
    TRY(weights_vote(&a, &b, &votes, err));
    TRY(weights_vote(&b, &a, &votes, err));
  }
  weights_settle(p, &votes, weight);
done:
  mem_free(users);
  return status;
}
