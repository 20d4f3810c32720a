/* recommend/bpr_sgd.c: see recommend/bpr_sgd.h. */
#include "recommend/bpr_sgd.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/clones.h"
#include "math/linear.h"
#include "math/vector.h"

#define ROW_STEP 16    /* floats: rows begin on a cache line */
#define BATCH 64       /* triples drawn together, so that their rows are on the way before they are needed */
#define TRIES 8        /* to find a negative; a person who chose nearly all of a group is passed over */
#define SIEVE_BITS 16  /* of the sieve for an event */
#define SAMPLE 256     /* people whose vectors the fold-in is fitted to */
#define START_SIZE 0.1 /* deviation of a row's norm at the start */

static size_t rounded(size_t count) { return (count + ROW_STEP - 1) / ROW_STEP * ROW_STEP; }

/* ---- making ready ---- */

void bpr_training_deinit(bpr_training *t) {
  mem_free(t->users);
  mem_free(t->items);
  mem_free(t->gradients);
  mem_free(t->warm);
  mem_free(t->group);
  mem_free(t->events);
  mem_free(t->keep);
  mem_free(t->order);
  mem_free(t->sieve);
}

static uint64_t sieve_place(const bpr_training *t, uint32_t user, uint32_t item) {
  return (((uint64_t)user << 32 | item) * 0x9E3779B97F4A7C15u) >> t->sieve_shift;
}

static medley_status sieve_make(bpr_training *t, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int bits = 10;
  while (bits < 40 && ((uint64_t)1 << bits) < SIEVE_BITS * (uint64_t)count) bits++;
  t->sieve_shift = 64 - bits;
  TRY_NEW(t->sieve, (size_t)1 << (bits - 6), "pairs");
  for (size_t e = 0; e < count; e++) {
    uint64_t place = sieve_place(t, t->events[e].user, t->events[e].item);
    t->sieve[place >> 6] |= (uint64_t)1 << (place & 63);
  }
done:
  return status;
}

/* People by group, each group's events together. Groups are people in order, of about as many events each. */
static void events_list(bpr_training *t) {
  const sparse *x = &t->train->by_user;
  uint64_t count = sparse_count(x), at = 0;
  size_t group = 0;
  for (uint32_t u = 0; u < x->rows; u++) {
    while (group < t->threads && at >= count * group / t->threads) t->people_start[group++] = (size_t)at;
    for (uint64_t e = x->start[u]; e < x->start[u + 1]; e++)
      t->events[at++] = (bpr_event){u, x->column[e], x->value[e]};
  }
  while (group <= t->threads) t->people_start[group++] = (size_t)count;
}

/* Rows at the start, ones and zeros in their places. */
static void rows_draw(const bpr_training *t, rng *r, float *rows, size_t count, float one, const float *popularity) {
  double size = START_SIZE / sqrt((double)(t->dim + t->tail));
  for (size_t i = 0; i < count; i++) {
    float *row = rows + i * t->width;
    if (popularity != NULL && !(popularity[i] > 0)) continue;
    row[0] = one;
    for (size_t d = 1; d <= t->dim; d++) row[d] = (float)(size * rng_normal(r));
    if (t->tail == 0 || popularity != NULL) continue;
    row[t->free] = one;
    for (size_t d = 1; d <= t->tail; d++) row[t->free + d] = (float)(size * rng_normal(r));
  }
}

medley_status bpr_training_init(bpr_training *t, const interactions *train, size_t dim, size_t tail, uint64_t seed,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t users = train->by_user.rows, items = train->by_user.columns, count = (size_t)sparse_count(&train->by_user);
  size_t threads = (size_t)omp_get_max_threads();
  rng r;
  rng_seed(&r, seed);
  *t = (bpr_training){.train = train, .dim = dim, .tail = tail, .seed = seed, .draws = 1};
  t->threads = threads > BPR_THREADS_MAX ? BPR_THREADS_MAX : threads;
  t->free = rounded(1 + dim);
  t->width = t->free + (tail > 0 ? rounded(1 + tail) : 0);
  TRY_NEW(t->users, users * t->width, "user factors");
  TRY_NEW(t->items, items * t->width, "item factors");
  if (tail > 0) TRY_NEW(t->gradients, items * (t->width - t->free), "gradients");
  TRY_NEW(t->warm, items, "items");
  TRY_NEW(t->group, items, "items");
  TRY_NEW(t->events, count, "events");
  TRY_NEW(t->order, count, "events");
  for (uint32_t i = 0; i < items; i++)
    if (train->popularity[i] > 0) t->warm[t->warm_count++] = i;
  events_list(t);
  TRY(sieve_make(t, count, err));
  rows_draw(t, &r, t->users, users, 1, NULL);
  rows_draw(t, &r, t->items, items, 0, train->popularity);
done:
  return status;
}

static int float_compare(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

medley_status bpr_balance(bpr_training *t, double exponent, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const float *popularity = t->train->popularity;
  uint32_t items = t->train->by_user.columns;
  float *sorted = NULL;
  if (!(exponent > 0) || t->warm_count == 0) return MEDLEY_OK;
  TRY_NEW(sorted, t->warm_count, "popularity");
  TRY_NEW(t->keep, items, "popularity");
  for (size_t w = 0; w < t->warm_count; w++) sorted[w] = popularity[t->warm[w]];
  qsort(sorted, t->warm_count, sizeof *sorted, float_compare);
  double median = (double)sorted[(t->warm_count - 1) / 2];
  for (uint32_t i = 0; i < items; i++) {
    double chance = popularity[i] > 0 ? pow(median / (double)popularity[i], exponent) : 1;
    t->keep[i] = chance < 1 ? (uint32_t)(chance * 4294967295.0) : UINT32_MAX;
  }
done:
  mem_free(sorted);
  return status;
}

/* ---- an epoch ---- */

/* Groups of items for this epoch, and the events by both groups. */
static void strata_make(bpr_training *t, int epoch) {
  rng r;
  rng_seed(&r, t->seed + 0x51ED270Bu * (uint64_t)(epoch + 1));
  if (t->threads > 1) rng_shuffle(&r, t->warm, t->warm_count);
  for (size_t g = 0; g <= t->threads; g++) t->group_start[g] = t->warm_count * g / t->threads;
  for (size_t g = 0; g < t->threads; g++)
    for (size_t i = t->group_start[g]; i < t->group_start[g + 1]; i++) t->group[t->warm[i]] = (uint16_t)g;
#pragma omp parallel for schedule(static, 1) num_threads((int)t->threads)
  for (size_t p = 0; p < t->threads; p++) {
    size_t at[BPR_THREADS_MAX + 1] = {0}, *start = t->strata[p];
    for (size_t e = t->people_start[p]; e < t->people_start[p + 1]; e++) at[t->group[t->events[e].item] + 1]++;
    start[0] = at[0] = t->people_start[p];
    for (size_t g = 0; g < t->threads; g++) start[g + 1] = at[g + 1] += at[g];
    for (size_t e = t->people_start[p]; e < t->people_start[p + 1]; e++)
      t->order[at[t->group[t->events[e].item]]++] = t->events[e];
  }
}

typedef struct triple {
  uint32_t user, item, other[BPR_DRAWS_MAX];
  float weight;
} triple;

static inline VECTOR_INLINE float dot_rows(const float *a, const float *b, size_t width) {
  float sum = 0;
  _Pragma("omp simd reduction(+:sum)") for (size_t d = 0; d < width; d++) sum += a[d] * b[d];
  return sum;
}

/* The hardest of the draws. */
static inline VECTOR_INLINE const float *other_choose(const bpr_training *t, const triple *one, const float *user,
                                                      uint32_t *which) {
  const float *best = t->items + (size_t)one->other[0] * t->width;
  *which = one->other[0];
  if (t->draws == 1) return best;
  float most = dot_rows(user, best, t->width);
  for (int k = 1; k < t->draws; k++) {
    const float *row = t->items + (size_t)one->other[k] * t->width;
    float score = dot_rows(user, row, t->width);
    if (score <= most) continue;
    most = score;
    best = row;
    *which = one->other[k];
  }
  return best;
}

/* One triple after the other. */
static inline VECTOR_INLINE void steps_body(const bpr_training *t, const triple *triples, size_t count) {
  size_t width = t->width, free = t->free, tail = width - free;
  float fade = 1 - t->rate * t->shrinkage;
  for (size_t s = 0; s < count; s++) {
    const triple *one = &triples[s];
    uint32_t which;
    float *u = t->users + (size_t)one->user * width, *i = t->items + (size_t)one->item * width;
    float *j = t->items + (other_choose(t, one, u, &which) - t->items), apart = 0;
    _Pragma("omp simd reduction(+:apart)") for (size_t d = 0; d < width; d++) apart += u[d] * (i[d] - j[d]);
    float step = t->rate * one->weight / (1 + expf(apart));
    _Pragma("omp simd") for (size_t d = 0; d < free; d++) {
      float own = u[d], chosen = i[d], not = j[d];
      u[d] = fade * own + step * (chosen - not );
      i[d] = fade * chosen + step * own;
      j[d] = fade * not -step * own;
    }
    u[0] = 1;
    if (tail == 0) continue;
    float *gi = t->gradients + (size_t)one->item * tail, *gj = t->gradients + (size_t)which * tail;
    _Pragma("omp simd") for (size_t d = 0; d < tail; d++) {
      float own = u[free + d];
      u[free + d] = fade * own + step * (i[free + d] - j[free + d]);
      gi[d] += step * own;
      gj[d] -= step * own;
    }
    u[free] = 1;
  }
}
VECTOR_CLONES(static, void, steps, (const bpr_training *t, const triple *triples, size_t count), (t, triples, count))

/* Uniform in [0, bound) from 32 bits; the bias of bound / 2³² is not seen in a gradient. */
static size_t below(uint32_t bits, size_t bound) { return (size_t)(((uint64_t)bits * bound) >> 32); }

static bool was_chosen(const bpr_training *t, uint32_t user, uint32_t item) {
  uint64_t place = sieve_place(t, user, item);
  return (t->sieve[place >> 6] >> (place & 63) & 1) && sparse_has(&t->train->by_user, user, item);
}

/* What one thread draws from in a round. */
typedef struct stratum {
  const bpr_event *events;
  size_t count;
  const uint32_t *items;
  size_t item_count;
} stratum;

/* False: nothing was found. */
static bool other_draw(const bpr_training *t, const stratum *s, rng *r, uint32_t user, uint32_t *other) {
  uint32_t bar = (uint32_t)(t->popular * 65536);
  for (int k = 0; k < TRIES; k++) {
    uint64_t bits = rng_next(r);
    bool popular = (uint32_t)(bits & 0xFFFF) < bar;
    uint32_t high = (uint32_t)(bits >> 32);
    *other = popular ? s->events[below(high, s->count)].item : s->items[below(high, s->item_count)];
    if (!was_chosen(t, user, *other)) return true;
  }
  return false;
}

static bool triple_draw(const bpr_training *t, const stratum *s, rng *r, triple *out) {
  const bpr_event *e = NULL;
  for (int k = 0; k < TRIES; k++) {
    uint64_t bits = rng_next(r);
    e = &s->events[below((uint32_t)(bits >> 32), s->count)];
    if (t->keep == NULL || (uint32_t)bits <= t->keep[e->item]) break;
  }
  out->user = e->user;
  out->item = e->item;
  out->weight = e->weight;
  bool found = true;
  for (int k = 0; found && k < t->draws; k++) found = other_draw(t, s, r, e->user, &out->other[k]);
  if (!found) return false;
  __builtin_prefetch(t->users + (size_t)e->user * t->width);
  __builtin_prefetch(t->items + (size_t)e->item * t->width);
  __builtin_prefetch(t->items + (size_t)out->other[0] * t->width);
  return true;
}

static void stratum_run(const bpr_training *t, const stratum *s, size_t count, uint64_t seed) {
  triple triples[BATCH];
  rng r;
  rng_seed(&r, seed);
  for (size_t from = 0; from < count && s->item_count > 0; from += BATCH) {
    size_t wanted = count - from < BATCH ? count - from : BATCH, found = 0;
    for (size_t k = 0; k < wanted; k++) found += triple_draw(t, s, &r, &triples[found]);
    steps(t, triples, found);
  }
}

void bpr_epoch(bpr_training *t, int epoch, int parts, void (*between)(void *context), void *context) {
  strata_make(t, epoch);
  for (size_t round = 0; round < t->threads; round++)
    for (int part = 0; part < parts; part++) {
#pragma omp parallel for schedule(static, 1) num_threads((int)t->threads)
      for (size_t p = 0; p < t->threads; p++) {
        size_t g = (p + round) % t->threads, from = t->strata[p][g], count = t->strata[p][g + 1] - from;
        const stratum s = {t->order + from, count, t->warm + t->group_start[g],
                           t->group_start[g + 1] - t->group_start[g]};
        size_t mine = count * (size_t)(part + 1) / (size_t)parts - count * (size_t)part / (size_t)parts;
        uint64_t place = (((uint64_t)epoch * t->threads + round) * (uint64_t)parts + (uint64_t)part) * t->threads + p;
        stratum_run(t, &s, mine, t->seed ^ (place + 1) * 0xD1342543DE82EF95u);
      }
      if (between != NULL) between(context);
    }
}

/* ---- the model ---- */

/* Factors and tail of a row, without biases. */
static void row_take(const bpr_training *t, const float *row, float *to) {
  memcpy(to, row + 1, t->dim * sizeof *to);
  if (t->tail > 0) memcpy(to + t->dim, row + t->free + 1, t->tail * sizeof *to);
}

/* Biases: what nobody chose has its content's alone and stands, without content, below what somebody chose. */
static void biases_take(const bpr_training *t, size_t items, float *bias) {
  float least = INFINITY, mean = 0;
  for (size_t w = 0; w < t->warm_count; w++) {
    float own = t->items[(size_t)t->warm[w] * t->width];
    least = fminf(least, own);
    mean += own / (float)t->warm_count;
  }
  for (size_t i = 0; i < items; i++) {
    const float *row = t->items + i * t->width;
    bias[i] = t->train->popularity[i] > 0 ? row[0] - (t->tail > 0 ? mean : least) : 0;
    if (t->tail > 0) bias[i] += row[t->free];
  }
}

/* People the fold-in is fitted to. */
typedef struct sample {
  uint32_t user[SAMPLE];
  double across[SAMPLE], square[SAMPLE]; /* û·M u, û·M û */
  size_t count;
  double own;        /* Σ u·M u */
  float *vectors;    /* [count, dim] u */
  float *seen;       /* [count, dim] M u */
  float *spread;     /* [dim, dim] M, the covariance of items' factors */
  float mean_square; /* of items' norms */
} sample;

static void sample_deinit(sample *s) {
  mem_free(s->vectors);
  mem_free(s->seen);
  mem_free(s->spread);
}

static medley_status sample_make(const bpr_training *t, const fold_in *m, sample *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = &t->train->by_user;
  size_t dim = m->dim, n = m->base.item_count;
  uint32_t step = x->rows / SAMPLE + 1;
  float *mean = NULL;
  TRY_NEW(s->vectors, SAMPLE * dim, "user factors");
  TRY_NEW(s->seen, SAMPLE * dim, "user factors");
  TRY_NEW(s->spread, dim * dim, "item factors");
  TRY_NEW(mean, dim, "item factors");
  for (size_t i = 0; i < n; i++) vector_add_scaled(mean, 1 / (float)n, m->factors + i * dim, dim);
  matrix_gram(n, dim, 1 / (float)(n > 0 ? n : 1), m->factors, 0, s->spread);
  for (size_t d = 0; d < dim; d++) {
    s->mean_square += s->spread[d * dim + d];
    vector_add_scaled(s->spread + d * dim, -mean[d], mean, dim);
  }
  for (uint32_t u = 0; u < x->rows && s->count < SAMPLE; u += step) {
    if (x->start[u] == x->start[u + 1]) continue;
    row_take(t, t->users + (size_t)u * t->width, s->vectors + s->count * dim);
    s->user[s->count++] = u;
  }
  matrix_multiply(false, false, s->count, dim, dim, 1, s->vectors, s->spread, 0, s->seen);
  for (size_t k = 0; k < s->count; k++) s->own += (double)vector_dot(s->vectors + k * dim, s->seen + k * dim, dim);
done:
  mem_free(mean);
  return status;
}

/* How alike the scores are, as a cosine, with the model's α₀ and λ; *scale brings them to the same size. */
static medley_status sample_ask(const bpr_training *t, const fold_in *m, sample *s, double *alike, double *scale,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = &t->train->by_user;
  size_t dim = m->dim;
  double across = 0, square = 0;
#pragma omp parallel shared(status)
  {
    float *room = mem_zalloc_aligned(fold_in_room(dim) + 2 * dim, sizeof *room);
    medley_error mine = {0};
    medley_status my_status = room ? MEDLEY_OK : error_memory(&mine, "factors");
#pragma omp for schedule(dynamic, 4)
    for (size_t k = 0; k < s->count; k++) {
      if (my_status != MEDLEY_OK) continue;
      float *own = room + fold_in_room(dim), *seen = own + dim;
      uint64_t from = x->start[s->user[k]];
      history h = {
          .item = x->column + from, .weight = x->value + from, .count = (size_t)(x->start[s->user[k] + 1] - from)};
      my_status = fold_in_person(m, &h, room, own, &mine);
      matrix_times_vector(dim, dim, s->spread, own, seen);
      s->across[k] = (double)vector_dot(own, s->seen + k * dim, dim);
      s->square[k] = (double)vector_dot(own, seen, dim);
    }
    mem_free(room);
    if (my_status != MEDLEY_OK) {
#pragma omp critical(bpr_failure)
      {
        if (err != NULL) *err = mine;
        status = my_status;
      }
    }
  }
  for (size_t k = 0; k < s->count; k++) {
    across += s->across[k];
    square += s->square[k];
  }
  *scale = square > 0 && across > 0 ? across / square : 1;
  *alike = square > 0 && s->own > 0 ? across / sqrt(square * s->own) : 0;
  return status;
}

static medley_status fold_in_fit(const bpr_training *t, fold_in *m, medley_error *err) {
  static const float unobserveds[] = {0.001f, 0.01f, 0.1f, 1}, ridges[] = {0.0001f, 0.001f, 0.01f, 0.1f};
  medley_status status = MEDLEY_OK;
  sample s = {0};
  fold_in best;
  double most = -2;
  TRY(sample_make(t, m, &s, err));
  if (!(s.mean_square > 0)) s.mean_square = 1;
  best = *m;
  for (size_t a = 0; a < sizeof unobserveds / sizeof *unobserveds; a++) {
    m->unobserved = unobserveds[a];
    TRY(fold_in_finish(m, err));
    best.gram = m->gram;
    for (size_t l = 0; l < sizeof ridges / sizeof *ridges; l++) {
      double alike, scale;
      m->regularisation = ridges[l] * s.mean_square;
      TRY(sample_ask(t, m, &s, &alike, &scale, err));
      m->scale = (float)scale;
      if (alike <= most) continue;
      most = alike;
      best = *m;
    }
  }
  *m = best;
  TRY(fold_in_finish(m, err));
done:
  sample_deinit(&s);
  return status;
}

medley_status bpr_model_create(const recommender_kind *kind, const bpr_training *t, recommender **out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  fold_in *m = NULL;
  uint32_t n = t->train->by_user.columns;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){kind, n};
  m->dim = (uint32_t)(t->dim + t->tail);
  m->sets = 1;
  TRY_NEW(m->owned, (size_t)n * m->dim, "item factors");
  TRY_NEW(m->owned_bias, n, "item factors");
  for (size_t i = 0; i < n; i++) row_take(t, t->items + i * t->width, m->owned + i * m->dim);
  biases_take(t, n, m->owned_bias);
  m->factors = m->owned;
  m->bias = m->owned_bias;
  TRY(fold_in_fit(t, m, err));
  *out = &m->base;
  m = NULL;
done:
  fold_in_free(m ? &m->base : NULL);
  return status;
}

json_t *bpr_describe(const recommender *r) {
  const fold_in *m = (const fold_in *)r;
  return json_pack("{s:f, s:f, s:f}", "unobserved", (double)m->unobserved, "regularisation", (double)m->regularisation,
                   "scale", (double)m->scale);
}
