/* learn/measure.c: see learn/measure.h.
 *
 * All items are ranked, never a sample of them: sampled metrics do not keep the order of models (Krichene & Rendle
 * 2020).
 */
#include "learn/measure.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "math/vector.h"

static medley_status recommender_scorer_score(const void *context, const history *h, recommender_scratch *scratch,
                                              float *scores, medley_error *err) {
  const recommender *r = context;
  return r->kind->score(r, h, scratch, scores, err);
}

scorer scorer_of_recommender(const recommender *r) { return (scorer){r->kind->name, recommender_scorer_score, r}; }

/* ---- metrics by name ---- */

medley_status measure_metric_parse(const char *text, measure_metric *out, medley_error *err) {
  char name[32];
  long long k = 0;
  const char *at = strchr(text, '@');
  size_t length = at ? (size_t)(at - text) : strlen(text);
  *out = (measure_metric){0};
  if (length < sizeof name && strlen(text) < sizeof out->name) {
    memcpy(name, text, length);
    name[length] = '\0';
    out->kind = metric_find(name);
  }
  if (out->kind == NULL) {
    strbuf known = {0};
    for (const metric_kind *m = metric_kinds; m->name != NULL; m++)
      strbuf_printf(&known, " %s%s", m->name, m->needs_k ? "@20" : "");
    error_set(err, MEDLEY_ERR_USAGE, "there is no metric '%s'; known are%s", text, known.text ? known.text : "");
    strbuf_deinit(&known);
    return MEDLEY_ERR_USAGE;
  }
  if (out->kind->needs_k && (at == NULL || !string_to_int64(at + 1, &k) || k < 1 || k > 10000))
    return error_set(err, MEDLEY_ERR_USAGE, "metric '%s' needs a list size from 1 to 10000, as in '%s@20'", text, name);
  if (!out->kind->needs_k && at != NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "metric '%s' takes no list size", name);
  out->k = (size_t)k;
  snprintf(out->name, sizeof out->name, "%s", text);
  return MEDLEY_OK;
}

/* ---- histories ---- */

medley_status history_of_row(const interactions *x, uint32_t user, const uint8_t *hidden_item, history_buffer *b,
                             history *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t from = x->by_user.start[user], to = x->by_user.start[user + 1];
  size_t need = (size_t)(to - from), count = 0;
  if (need > b->capacity) {
    size_t capacity = b->capacity;
    history_buffer_deinit(b);
    while (capacity < need) capacity = capacity ? capacity * 2 : 64;
    TRY_NEW(b->item, capacity, "a history");
    TRY_NEW(b->weight, capacity, "a history");
    TRY_NEW(b->time_s, capacity, "a history");
    b->capacity = capacity;
  }
  for (uint64_t e = from; e < to; e++) {
    uint32_t item = x->by_user.column[e];
    if (hidden_item != NULL && hidden_item[item]) continue;
    b->item[count] = item;
    b->weight[count] = x->by_user.value[e];
    if (x->time_s != NULL) b->time_s[count] = x->time_s[e];
    count++;
  }
  *out = (history){.item = b->item,
                   .weight = b->weight,
                   .time_s = x->time_s ? b->time_s : NULL,
                   .count = count,
                   .now_s = STORE_TIME_UNKNOWN};
  if (x->social != NULL) {
    uint64_t first = x->social->start[user];
    out->friends = x->social->column + first;
    out->trust = x->social->value + first;
    out->friend_count = (size_t)(x->social->start[user + 1] - first);
  }
  if (x->traits != NULL) {
    const sparse *rows = &x->traits->rows;
    out->trait = rows->column + rows->start[user];
    out->trait_count = (size_t)(rows->start[user + 1] - rows->start[user]);
  }
done:
  return status;
}

void history_buffer_deinit(history_buffer *b) {
  mem_free(b->item);
  mem_free(b->weight);
  mem_free(b->time_s);
  *b = (history_buffer){0};
}

/* ---- who is asked ---- */

static bool test_item_counts(const measure_task *task, uint32_t user, uint32_t item) {
  if (task->candidate != NULL && !task->candidate[item]) return false;
  if (task->hidden_item != NULL && task->hidden_item[item]) return true;
  return !sparse_has(&task->history->by_user, user, item);
}

static int index_compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

medley_status measure_users(const measure_task *task, size_t limit, uint64_t seed, uint32_t **out, size_t *count,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *users = NULL;
  size_t found = 0;
  const sparse *test = &task->test->by_user;
  TRY_NEW(users, test->rows, "users to ask");
  for (uint32_t u = 0; u < test->rows; u++)
    for (uint64_t e = test->start[u]; e < test->start[u + 1]; e++)
      if (test_item_counts(task, u, test->column[e])) {
        users[found++] = u;
        break;
      }
  if (limit > 0 && found > limit) {
    rng r;
    rng_seed(&r, seed);
    rng_shuffle(&r, users, found);
    found = limit;
    qsort(users, found, sizeof *users, index_compare);
  }
  *out = users;
  *count = found;
  users = NULL;
done:
  mem_free(users);
  return status;
}

/* ---- one user ---- */

/* What one thread needs. */
typedef struct measure_worker {
  recommender_scratch scratch;
  history_buffer buffer;
  float *scores;      /* [items] */
  scored *best;       /* [list_size] */
  uint32_t *top;      /* [list_size] */
  uint32_t *relevant; /* [items at most] */
  uint32_t *rank;
} measure_worker;

static void worker_deinit(measure_worker *w) {
  recommender_scratch_deinit(&w->scratch);
  history_buffer_deinit(&w->buffer);
  mem_free(w->scores);
  mem_free(w->best);
  mem_free(w->top);
  mem_free(w->relevant);
  mem_free(w->rank);
}

/* Items that are not ranked get -INFINITY: no candidates, and what is in the history already. */
static size_t mask_scores(const measure_task *task, const history *h, float *scores, size_t item_count) {
  size_t candidates = 0;
  if (task->candidate != NULL)
    for (size_t i = 0; i < item_count; i++)
      if (!task->candidate[i]) scores[i] = -INFINITY;
  for (size_t j = 0; j < h->count; j++) scores[h->item[j]] = -INFINITY;
  for (size_t i = 0; i < item_count; i++) candidates += scores[i] != -INFINITY;
  return candidates;
}

/* 0-based rank: how many candidates are ahead; ties go to the smaller index, as in top_k. */
static uint32_t rank_of(const float *scores, size_t item_count, uint32_t item) {
  float mine = scores[item];
  uint32_t ahead = 0;
  for (size_t i = 0; i < item; i++) ahead += scores[i] >= mine;
  for (size_t i = (size_t)item + 1; i < item_count; i++) ahead += scores[i] > mine;
  return ahead;
}

static medley_status worker_measure(measure_worker *w, const measure_task *task, const scorer *what,
                                    const measure_options *options, const float *expected, uint32_t user, size_t slot,
                                    measurement *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  history h;
  size_t item_count = task->test->by_user.columns;
  TRY(history_of_row(task->history, user, task->hidden_item, &w->buffer, &h, err));
  history told = h;
  if (task->forget) told.count = 0;
  TRY(what->score(what->context, &told, &w->scratch, w->scores, err));
  for (size_t i = 0; i < item_count; i++)
    if (!isfinite(w->scores[i]))
      FAIL(err, MEDLEY_ERR_INTERNAL, "%s gives item %zu a score that is no number", what->name, i);
  ranking r = {.candidate_count = mask_scores(task, &h, w->scores, item_count),
               .popularity = options->popularity,
               .user_count = options->fit_user_count,
               .expected = expected};
  if (options->content != NULL) {
    r.item_vectors = options->content->values;
    r.item_dim = options->content->dim;
  }
  r.top_count = top_k(w->scores, item_count, NULL, out->list_size, w->best);
  for (size_t i = 0; i < r.top_count; i++) w->top[i] = w->best[i].index;
  const sparse *test = &task->test->by_user;
  for (uint64_t e = test->start[user]; e < test->start[user + 1]; e++) {
    uint32_t item = test->column[e];
    if (w->scores[item] == -INFINITY) continue;
    w->relevant[r.relevant_count] = item;
    w->rank[r.relevant_count++] = rank_of(w->scores, item_count, item);
  }
  r.top = w->top;
  r.relevant = w->relevant;
  r.relevant_rank = w->rank;
  for (size_t m = 0; m < options->metric_count; m++)
    out->values[m * out->user_count + slot] =
        options->metrics[m].kind->compute != NULL ? options->metrics[m].kind->compute(&r, options->metrics[m].k) : NAN;
  if (out->top != NULL)
    for (size_t i = 0; i < out->list_size; i++)
      out->top[slot * out->list_size + i] = i < r.top_count ? w->top[i] : UINT32_MAX;
done:
  return status;
}

static medley_status worker_init(measure_worker *w, const measure_task *task, size_t list_size, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *test = &task->test->by_user;
  uint64_t longest = 1;
  for (uint32_t u = 0; u < test->rows; u++)
    if (test->start[u + 1] - test->start[u] > longest) longest = test->start[u + 1] - test->start[u];
  *w = (measure_worker){0};
  TRY_NEW(w->scores, test->columns, "scores");
  TRY_NEW(w->best, list_size, "a list");
  TRY_NEW(w->top, list_size, "a list");
  TRY_NEW(w->relevant, longest, "test items");
  TRY_NEW(w->rank, longest, "test items");
done:
  return status;
}

/* ---- all users ---- */

/* What everybody is shown anyway, from 0 to 1: the share of the people who have the item. */
static medley_status expected_make(const measure_options *options, size_t item_count, float **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(*out, item_count, "popularity");
  for (size_t i = 0; i < item_count && options->fit_user_count > 0; i++)
    (*out)[i] = options->popularity[i] / (float)options->fit_user_count;
done:
  return status;
}

medley_status measure_scorer(const measure_task *task, const scorer *what, const measure_options *options,
                             progress_stage *progress, measurement *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double started = clock_now_s();
  size_t done_count = 0;
  float *expected = NULL;
  *out = (measurement){.user_count = task->user_count, .metric_count = options->metric_count, .list_size = 1};
  for (size_t m = 0; m < options->metric_count; m++)
    if (options->metrics[m].k > out->list_size) out->list_size = options->metrics[m].k;
  TRY_NEW(out->values, out->metric_count * out->user_count, "measured values");
  if (options->keep_top) TRY_NEW(out->top, out->user_count * out->list_size, "recommended lists");
  if (options->popularity != NULL) TRY(expected_make(options, task->test->by_user.columns, &expected, err));
#pragma omp parallel shared(status, done_count)
  {
    measure_worker w;
    medley_error mine = {0};
    medley_status my_status = worker_init(&w, task, out->list_size, &mine);
#pragma omp for schedule(dynamic, 16)
    for (size_t i = 0; i < task->user_count; i++) {
      medley_status others;
#pragma omp atomic read
      others = status;
      if (my_status != MEDLEY_OK || others != MEDLEY_OK) continue;
      my_status = worker_measure(&w, task, what, options, expected, task->users[i], i, out, &mine);
#pragma omp atomic
      done_count++;
      /* Progress is reported, and cancelling asked, from the calling thread only. */
      if (my_status == MEDLEY_OK && progress != NULL && omp_get_thread_num() == 0) {
        size_t so_far;
#pragma omp atomic read
        so_far = done_count;
        my_status = progress_update(progress, so_far, &mine);
      }
      if (my_status != MEDLEY_OK) {
#pragma omp critical(measure_failure)
        if (status == MEDLEY_OK) {
          if (err != NULL) *err = mine;
          status = my_status;
        }
      }
    }
    worker_deinit(&w);
    if (my_status != MEDLEY_OK) {
#pragma omp critical(measure_failure)
      if (status == MEDLEY_OK) {
        if (err != NULL) *err = mine;
        status = my_status;
      }
    }
  }
  out->seconds = clock_now_s() - started;
done:
  mem_free(expected);
  if (status != MEDLEY_OK) measurement_deinit(out);
  return status;
}

void measurement_deinit(measurement *m) {
  mem_free(m->values);
  mem_free(m->top);
  *m = (measurement){0};
}

double measurement_mean(const measurement *m, size_t metric) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < m->user_count; i++) {
    double value = m->values[metric * m->user_count + i];
    if (isnan(value)) continue;
    sum += value;
    count++;
  }
  return count ? sum / (double)count : NAN;
}
