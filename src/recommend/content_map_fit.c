/* recommend/content_map_fit.c: content mapped into the collaborative space by kernel ridge, with a weight per modality.
 *
 * EASE's weights B, averaged over several ridges, say what history item j adds to item i, for items with events. For an
 * item that has none, the row's values are predicted from its content: ridge regression from φ to the columns of B, in
 * primal form, with kernel K = Σ_m w_m K_m (Schölkopf & Smola 2002; Gantner et al. 2010 map to factors instead):
 *
 *   score(u, i) = Σ_j x_uj B_j· Φ S (S ΦᵀΦ S + λ I)⁻¹ S φ(i),     S² = diag(w) per modality
 *
 * The weights and λ are found inside the fit, on items held out from the training part alone: what does not help there
 * gets the weight 0, so a modality cannot lower the fused result on those items. Adding similarities instead of mapping
 * them was tried and stays far behind (PERFORMANCE.md).
 *
 * EASE's columns are divided by much of the items' popularity (output_exponent), or ridge regression would be about the
 * popular ones; what content says of an item's popularity, learned by the same regression, multiplies its scores:
 *
 *   score(u, i) exp(g · y(i)),     y(i): as one more row of B, log(1 + people) less its mean
 *
 * With the weights found, it is tried whether pairs of properties say more than each by itself: content_map_pairs.c,
 * in the metric of content_map_metric.c. The last solve and its low rank are content_map_solve.c.
 *
 * Beyond EASE_ITEMS_MAX items, B is replaced by V Vᵀ of a truncated SVD.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/content_map.h"
#include "recommend/content_map_solve.h"
#include "recommend/ease_fit.h"

#define HELD_SHARE 0.15f
#define HELD_DRAWS 2   /* each of other items */
#define USERS_MAX 2000 /* asked for every set of weights that is tried */
#define LIST 20
#define SVD_RANK 256
#define CONSTANT_WEIGHT 0.1f
#define NEAR 1.2 /* see search_all_pairs */
#define FACTOR_LOG_MAX 4
#define PLACE_BLOCK 512 /* items that are placed together */

static void base_deinit(base_matrix *b) {
  mem_free(b->b);
  mem_free(b->v);
}

const double content_map_fan[CONTENT_MAP_RIDGES] = {0.5, 2};

/* The mean of EASE's weights over the ridges: a target that no single one of them gives. */
static medley_status base_average(const interactions *train, const active_items *active, const content_map_settings *s,
                                  float **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *one = NULL;
  ease_settings_values v = {.user_exponent = 0.35, .output_exponent = s->output_exponent, .dropout = 0.33};
  TRY_NEW(*out, (size_t)active->count * active->count + 1, "the collaborative matrix");
  for (size_t r = 0; r < CONTENT_MAP_RIDGES; r++) {
    v.ridge = s->ridge * content_map_fan[r];
    TRY(ease_weights(train, active, NULL, 0, &v, &one, err));
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < active->count; i++)
      vector_add_scaled(*out + i * active->count, 1.0f / CONTENT_MAP_RIDGES, one + i * active->count, active->count);
    mem_free(one);
    one = NULL;
  }
done:
  mem_free(one);
  return status;
}

static medley_status base_make(const interactions *train, const active_items *active, const content_map_settings *s,
                               base_matrix *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse x = {0};
  float *scale = NULL, *values = NULL;
  if (active->count <= EASE_ITEMS_MAX) return base_average(train, active, s, &out->b, err);
  TRY(active_rows(train, active, &x, err));
  TRY_NEW(scale, (size_t)x.rows + 1, "user weights");
  for (uint32_t u = 0; u < x.rows; u++) scale[u] = (float)pow((double)(x.start[u + 1] - x.start[u]) + 1, -0.35);
  sparse_scale(&x, scale, NULL);
  TRY_NEW(out->v, (size_t)active->count * SVD_RANK, "factors");
  TRY_NEW(values, SVD_RANK, "factors");
  TRY(sparse_svd(&x, SVD_RANK, 0, s->seed, NULL, values, out->v, &out->rank, err));
done:
  sparse_deinit(&x);
  mem_free(scale);
  mem_free(values);
  return status;
}

/* *out [active], the caller's: log(1 + people) less its mean. */
static medley_status popularity_find(const interactions *train, const active_items *active, float **out,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  double sum = 0;
  TRY_NEW(*out, (size_t)active->count + 1, "popularity");
  for (size_t i = 0; i < active->count; i++)
    sum += (double)((*out)[i] = log1pf((float)train->popularity[active->item[i]]));
  for (size_t i = 0; i < active->count; i++) (*out)[i] -= (float)(sum / active->count);
done:
  return status;
}

/* What content says of an item's popularity, to the power of g; bounded, so that no item is beyond all others. */
static float content_popular_factor(double power, float popular) {
  double logarithm = power * (double)popular;
  return (float)exp(fmin(fmax(logarithm, -FACTOR_LOG_MAX), FACTOR_LOG_MAX));
}

/* The stretches of φ that have a weight. A trial solves for these alone: the cost is the cube of their length, and a
 * modality by itself is tried for a fraction of what all cost together. */
typedef struct stretch {
  size_t from, length;
} stretch;

static size_t stretches_find(const content_parts *c, const float *weight, stretch *out, size_t *length) {
  size_t count = 0;
  *length = 0;
  for (size_t p = 0; p <= c->count; p++) {
    if (weight[p] <= 0) continue;
    out[count] = p < c->count ? (stretch){c->offset[p], c->part[p].dim} : (stretch){c->dim - 1, 1};
    *length += out[count++].length;
  }
  return count;
}

/* ---- the inner trial ---- */

/* Popularity is one more user, the last: tastes = users + 1. */
typedef struct trial {
  const content_parts *parts;
  size_t dim, users, tastes, held, kept;
  double popularity;        /* g */
  float *gram;              /* [dim, dim] of the items that were not held out */
  float *outer;             /* [dim, dim] (B Φ)ᵀ B Φ of them, for pairs; or NULL */
  float *rows;              /* [kept, dim] their φ, for pairs; or NULL */
  float *taste;             /* [tastes, kept] Σ_j x_uj B_j·, for pairs; or NULL */
  float *history;           /* [dim, tastes] Σ_j x_uj B_j· Φ, transposed: right sides of the system */
  float *held_columns;      /* [dim, held] φ of the held-out items */
  uint8_t *relevant;        /* [users, held] */
  uint32_t *relevant_count; /* [users] */
  /* room */
  float *a, *right, *scale, *scores;
} trial;

static void trial_deinit(trial *t) {
  mem_free(t->gram);
  mem_free(t->outer);
  mem_free(t->rows);
  mem_free(t->taste);
  mem_free(t->history);
  mem_free(t->held_columns);
  mem_free(t->relevant);
  mem_free(t->relevant_count);
  mem_free(t->a);
  mem_free(t->right);
  mem_free(t->scale);
  mem_free(t->scores);
}

/* Only the places of what is relevant are asked for, so no list is made. */
static double user_quality(const trial *t, size_t user) {
  const float *scores = t->scores + user * t->held;
  const uint8_t *relevant = t->relevant + user * t->held;
  uint32_t hits = 0, listed = 0; /* bit r: what is at place r is relevant */
  double gain = 0, ideal = 0;
  for (size_t i = 0; i < t->held; i++) {
    if (!relevant[i]) continue;
    uint32_t place = top_place(scores, t->held, i);
    if (place < LIST) listed |= 1u << place;
  }
  for (uint32_t k = 0; k < LIST; k++) {
    if (k < t->relevant_count[user]) ideal += 1 / log2((double)k + 2);
    if (!(listed >> k & 1)) continue;
    hits++;
    gain += 1 / log2((double)k + 2);
  }
  return ideal > 0 ? (gain / ideal + (double)hits / t->relevant_count[user]) / 2 : 0;
}

static double trial_quality(const trial *t) {
  double sum = 0;
  float *factor = t->scores + t->users * t->held; /* in the place of what popularity scores */
  for (size_t i = 0; i < t->held; i++) factor[i] = content_popular_factor(t->popularity, factor[i]);
#pragma omp parallel for schedule(static) reduction(+ : sum)
  for (size_t u = 0; u < t->users; u++) {
    for (size_t i = 0; i < t->held; i++) t->scores[u * t->held + i] *= factor[i];
    sum += user_quality(t, u);
  }
  return t->users ? sum / (double)t->users : 0;
}

/* a [k, k] = S gram S + λ I, and right [k, count] = S from, of the k rows and columns that have a weight. */
static size_t trial_system(trial *t, const float *weight, float lambda, const float *from, size_t count) {
  stretch list[FEATURES_MAX + 1];
  size_t k, stretches = stretches_find(t->parts, weight, list, &k), row = 0;
  content_scale(t->parts, weight, t->scale);
  for (size_t s = 0; s < stretches; s++)
    for (size_t d = list[s].from; d < list[s].from + list[s].length; d++, row++) {
      float *a = t->a + row * k;
      for (size_t o = 0; o < stretches; o++)
        for (size_t e = list[o].from; e < list[o].from + list[o].length; e++)
          *a++ = t->scale[d] * t->scale[e] * t->gram[d * t->dim + e];
      t->a[row * k + row] += lambda;
      for (size_t c = 0; c < count; c++) t->right[row * count + c] = t->scale[d] * from[d * count + c];
    }
  return k;
}

/* scores [tastes, held] = (S other)ᵀ right, where right has only the rows that have a weight. */
static void trial_scores(trial *t, const float *weight, bool by_item) {
  stretch list[FEATURES_MAX + 1];
  size_t k, stretches = stretches_find(t->parts, weight, list, &k), row = 0;
  size_t width = by_item ? t->held : t->tastes;
  for (size_t s = 0; s < stretches; s++) {
    size_t from = list[s].from, length = list[s].length;
    float *right = t->right + row * width, beta = s > 0;
    for (size_t d = 0; d < length; d++) vector_scale(right + d * width, t->scale[from + d], width);
    if (by_item)
      matrix_multiply(true, false, t->tastes, t->held, length, 1, t->history + from * t->tastes, right, beta,
                      t->scores);
    else
      matrix_multiply(true, false, t->tastes, t->held, length, 1, right, t->held_columns + from * t->held, beta,
                      t->scores);
    row += length;
  }
}

/* (Recall@20 + NDCG@20) / 2 over the held-out items with these weights; 0 when the system cannot be solved. The matrix
 * in the middle is symmetric, so it is solved for whichever are fewer, users or held-out items. */
static double trial_run(trial *t, const float *weight, float lambda) {
  bool by_item = t->held < t->tastes;
  size_t width = by_item ? t->held : t->tastes;
  size_t k = trial_system(t, weight, lambda, by_item ? t->held_columns : t->history, width);
  if (k == 0 || matrix_solve_spd(t->a, k, t->right, width, NULL) != MEDLEY_OK) return 0;
  trial_scores(t, weight, by_item);
  return trial_quality(t);
}

/* The same with pairs of properties, which takes the items' kernel, in the metric of root. MEDLEY_ERR_INPUT: it cannot
 * be solved. */
static medley_status trial_run_pairs(trial *t, const float *weight, const float *root, float lambda, float pairs,
                                     double *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  scaled_rows kept = {0}, held = {0};
  float *held_phi = NULL, *right = NULL;
  content_scale(t->parts, weight, t->scale);
  TRY_NEW(held_phi, t->held * t->dim + 1, "features");
  TRY_NEW(right, t->kept * t->held + 1, "scores");
  for (size_t d = 0; d < t->dim; d++)
    for (size_t i = 0; i < t->held; i++) held_phi[i * t->dim + d] = t->held_columns[d * t->held + i];
  TRY(scaled_rows_make(t->rows, t->kept, t->dim, t->scale, root, &kept, err));
  TRY(scaled_rows_make(held_phi, t->held, t->dim, t->scale, root, &held, err));
  content_pairs_kernel(&kept, &held, pairs * (float)kept.mean_square, right);
  TRY(content_pairs_solve(&kept, pairs, lambda, right, t->held, err));
  matrix_multiply(false, false, t->tastes, t->held, t->kept, 1, t->taste, right, 0, t->scores);
  *out = trial_quality(t);
done:
  scaled_rows_deinit(&kept);
  scaled_rows_deinit(&held);
  mem_free(held_phi);
  mem_free(right);
  return status;
}

/* Items held out (flag by position among the active), and users who have both held-out and other items. */
static medley_status trial_users(trial *t, const sparse *x, const uint8_t *held, const uint32_t *held_at, uint64_t seed,
                                 uint32_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  uint32_t count = 0;
  TRY_NEW(*out, (size_t)x->rows + 1, "users");
  for (uint32_t u = 0; u < x->rows; u++) {
    uint64_t inside = 0, all = x->start[u + 1] - x->start[u];
    for (uint64_t e = x->start[u]; e < x->start[u + 1]; e++) inside += held[x->column[e]];
    if (inside > 0 && inside < all) (*out)[count++] = u;
  }
  rng_seed(&r, seed);
  rng_shuffle(&r, *out, count);
  t->users = count < USERS_MAX ? count : USERS_MAX;
  t->tastes = t->users + 1;
  TRY_NEW(t->relevant, t->users * t->held + 1, "users");
  TRY_NEW(t->relevant_count, t->users + 1, "users");
  for (size_t k = 0; k < t->users; k++)
    for (uint64_t e = x->start[(*out)[k]]; e < x->start[(*out)[k] + 1]; e++) {
      if (!held[x->column[e]]) continue;
      t->relevant[k * t->held + held_at[x->column[e]]] = 1;
      t->relevant_count[k]++;
    }
done:
  return status;
}

/* history [dim, tastes] of the users' kept items: with the collaborative matrix as B I or V Vᵀ, what they chose times
 * its first factor is their taste, and the second factor times Φ takes it to the dimensions of φ. */
static medley_status trial_history(trial *t, const sparse *x, const uint32_t *kept_at, const uint32_t *users,
                                   const base_matrix *base, const float *popularity, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t width = base->b != NULL ? t->kept : base->rank;
  const float *first = base->b != NULL ? base->b : base->v, *second = t->rows;
  float *projected = NULL, *popular = NULL;
  TRY_NEW(t->taste, t->tastes * width + 1, "users");
  TRY_NEW(t->history, t->dim * t->tastes + 1, "users");
  TRY_NEW(popular, t->dim, "users");
#pragma omp parallel for schedule(dynamic, 16)
  for (size_t k = 0; k < t->users; k++)
    for (uint64_t e = x->start[users[k]]; e < x->start[users[k] + 1]; e++)
      if (kept_at[x->column[e]] != UINT32_MAX)
        vector_add_scaled(t->taste + k * width, x->value[e], first + kept_at[x->column[e]] * width, width);
  if (base->b == NULL) {
    TRY_NEW(projected, width * t->dim, "factors");
    matrix_multiply(true, false, width, t->dim, t->kept, 1, base->v, t->rows, 0, projected);
    second = projected;
  }
  if (base->b != NULL) memcpy(t->taste + t->users * width, popularity, t->kept * sizeof *popularity);
  matrix_multiply(true, true, t->dim, t->tastes, width, 1, second, t->taste, 0, t->history);
  for (size_t i = 0; i < t->kept; i++) vector_add_scaled(popular, popularity[i], t->rows + i * t->dim, t->dim);
  for (size_t d = 0; d < t->dim; d++) t->history[d * t->tastes + t->users] = popular[d];
done:
  mem_free(popular);
  mem_free(projected);
  return status;
}

/* The collaborative matrix is fitted again without the held-out items: conditioned on them, the weights between the
 * others are not what a catalogue without them would give, and the search would tune for that. */
static medley_status trial_base(trial *t, const interactions *train, const active_items *active, const uint8_t *held,
                                const float *phi, const content_map_settings *settings, uint32_t *kept_at,
                                base_matrix *base, float **popularity, medley_error *err) {
  medley_status status = MEDLEY_OK;
  active_items kept = {0};
  uint32_t *list = NULL, count = 0;
  size_t dim = t->dim;
  TRY_NEW(list, (size_t)active->count + 1, "items");
  TRY_NEW(t->rows, (size_t)active->count * dim + 1, "features");
  for (uint32_t i = 0; i < active->count; i++) {
    kept_at[i] = held[i] ? UINT32_MAX : count;
    if (held[i]) continue;
    memcpy(t->rows + (size_t)count * dim, phi + (size_t)i * dim, dim * sizeof *phi);
    list[count++] = active->item[i];
  }
  t->kept = count;
  TRY(active_items_from(list, count, train->by_user.columns, &kept, err));
  TRY(base_make(train, &kept, settings, base, err));
  TRY(popularity_find(train, &kept, popularity, err));
  TRY_NEW(t->gram, dim * dim, "features");
  matrix_gram(count, dim, 1, t->rows, 0, t->gram);
done:
  active_items_deinit(&kept);
  mem_free(list);
  return status;
}

static medley_status outer_find(const base_matrix *base, const float *rows, size_t count, size_t dim, float **out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *moved = NULL;
  TRY_NEW(moved, count * dim + 1, "features");
  TRY_NEW(*out, dim * dim, "features");
  TRY(content_base_multiply(base, count, rows, dim, moved, err));
  matrix_gram(count, dim, 1, moved, 0, *out);
done:
  mem_free(moved);
  return status;
}

/* Without pairs nothing asks for them again. */
static void trial_forget_items(trial *t) {
  mem_free(t->rows);
  mem_free(t->taste);
  t->rows = t->taste = NULL;
}

/* draw_of [active]: items whose draw is `draw` are held out. */
static medley_status trial_init(trial *t, const interactions *train, const active_items *active, const sparse *x,
                                const content_parts *parts, const float *phi, const content_map_settings *settings,
                                const float *draw_of, size_t draw, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = active->count, dim = parts->dim;
  uint8_t *held = NULL;
  uint32_t *held_at = NULL, *kept_at = NULL, *users = NULL;
  base_matrix base = {0};
  float *popularity = NULL;
  *t = (trial){.parts = parts, .dim = dim, .popularity = settings->popularity};
  TRY_NEW(held, count + 1, "held-out items");
  TRY_NEW(held_at, count + 1, "held-out items");
  TRY_NEW(kept_at, count + 1, "held-out items");
  for (size_t i = 0; i < count; i++)
    if ((held[i] = draw_of[i] >= HELD_SHARE * (float)draw && draw_of[i] < HELD_SHARE * (float)(draw + 1)))
      held_at[i] = (uint32_t)t->held++;
  TRY(trial_users(t, x, held, held_at, settings->seed + draw, &users, err));
  TRY_NEW(t->held_columns, t->held * dim + 1, "features");
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; held[i] && d < dim; d++) t->held_columns[d * t->held + held_at[i]] = phi[i * dim + d];
  TRY(trial_base(t, train, active, held, phi, settings, kept_at, &base, &popularity, err));
  TRY(trial_history(t, x, kept_at, users, &base, popularity, err));
  if (content_pairs_affordable(active->count, train->by_user.columns))
    TRY(outer_find(&base, t->rows, t->kept, dim, &t->outer, err));
  else
    trial_forget_items(t);
  TRY_NEW(t->a, dim * dim, "features");
  TRY_NEW(t->right, dim * (t->held < t->tastes ? t->held : t->tastes) + 1, "features");
  TRY_NEW(t->scale, dim, "features");
  TRY_NEW(t->scores, t->tastes * t->held + 1, "features");
done:
  mem_free(popularity);
  mem_free(held);
  mem_free(held_at);
  mem_free(kept_at);
  mem_free(users);
  base_deinit(&base);
  return status;
}

/* ---- the search for weights ---- */

/* Whether somebody asked to stop: then nothing more is reached by anything, and the search is soon through. */
typedef struct map_stop {
  progress_stage *progress; /* NULL: nobody can ask */
  medley_status status;
  medley_error err;
} map_stop;

typedef struct map_search {
  map_stop *stop;
  trial *t;     /* [HELD_DRAWS] */
  size_t count; /* modalities; the constant's weight comes after theirs, λ last */
  float weight[FEATURES_MAX + 1], lambda, pairs;
  float metric_lambda; /* of the linear map that the metric of the pairs is from */
  double best;
} map_search;

static float *search_parameter(map_search *s, size_t p) { return p <= s->count ? &s->weight[p] : &s->lambda; }

static bool search_stopped(map_stop *stop) {
  if (stop->status == MEDLEY_OK && stop->progress != NULL)
    stop->status = progress_update(stop->progress, 0, &stop->err);
  return stop->status != MEDLEY_OK;
}

static double search_reached(const map_search *s) {
  double sum = 0;
  if (search_stopped(s->stop)) return -1;
  for (size_t d = 0; d < HELD_DRAWS; d++) sum += trial_run(&s->t[d], s->weight, s->lambda);
  return sum / HELD_DRAWS;
}

static bool search_try(map_search *s, size_t p, float value) {
  float *parameter = search_parameter(s, p), kept = *parameter;
  *parameter = value;
  double reached = search_reached(s);
  if (reached > s->best) {
    s->best = reached;
    return true;
  }
  *parameter = kept;
  return false;
}

/* Each that is not 0 one step up, or else down, where that helps. Few steps, and small ones: what is held out is a
 * draw, and far from where a search begins it finds what suits the draw (PERFORMANCE.md). */
static void search_settle(map_search *s) {
  static const float steps[] = {2.5f, 1.4f};
  for (size_t r = 0; r < sizeof steps / sizeof *steps; r++)
    for (size_t p = 0; p <= s->count + 1; p++) {
      float from = *search_parameter(s, p);
      if (from > 0 && !search_try(s, p, from * steps[r])) search_try(s, p, from / steps[r]);
    }
}

/* Without one modality, and the others moved as far as that asks for. */
static void search_without(map_search *s, size_t p) {
  map_search mine = *s;
  mine.weight[p] = 0;
  mine.best = search_reached(&mine);
  search_settle(&mine);
  if (mine.best > s->best) *s = mine;
}

static void search_prior(map_search *s, size_t p) { s->weight[p] = content_share(s->t->parts->part[p].name); }

/* One modality by itself. */
static map_search search_from(const map_search *of, size_t count, size_t first) {
  map_search s = {.stop = of->stop, .t = of->t, .count = count, .lambda = 1};
  search_prior(&s, first);
  s.weight[count] = CONSTANT_WEIGHT;
  s.best = search_reached(&s);
  search_settle(&s);
  return s;
}

/* From shares that hold on most catalogues, and from the best modality by itself, to which the others come one by one:
 * no step is taken that lowers what is reached, so that all together are never worse than the best by itself. Then,
 * where more than one is in, without each. alone [count]: what each reaches by itself. */
static void search_run(map_search *s, size_t count, map_search *alone) {
  map_search best = *s;
  best.best = -INFINITY;
  for (size_t p = 0; p < count; p++) {
    alone[p] = search_from(s, count, p);
    if (alone[p].best > best.best) best = alone[p];
  }
  for (size_t p = 0; p < count; p++)
    if (best.weight[p] <= 0) search_try(&best, p, content_share(s->t->parts->part[p].name));
  search_settle(&best);
  s->count = count;
  s->lambda = 1;
  for (size_t p = 0; p < count; p++) search_prior(s, p);
  s->weight[count] = CONSTANT_WEIGHT;
  s->best = search_reached(s);
  search_settle(s);
  if (best.best > s->best) *s = best;
  for (size_t p = 0; p < count; p++)
    if (s->weight[p] > 0) search_without(s, p);
}

static medley_status search_try_pairs(map_search *s, float *const root[HELD_DRAWS], float pairs, float lambda,
                                      bool *better, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double sum = 0, one = 0;
  *better = false;
  if (search_stopped(s->stop)) FAIL(err, s->stop->status, "%s", s->stop->err.text);
  for (size_t d = 0; d < HELD_DRAWS; d++) {
    status = trial_run_pairs(&s->t[d], s->weight, root[d], lambda, pairs, &one, err);
    if (status == MEDLEY_ERR_INPUT) return MEDLEY_OK;
    if (status != MEDLEY_OK) goto done;
    sum += one;
  }
  *better = sum / HELD_DRAWS > s->best;
  if (!*better) goto done;
  s->best = sum / HELD_DRAWS;
  s->pairs = pairs;
  s->lambda = lambda;
done:
  return status;
}

/* Whether pairs of properties help, a little or as much as the single ones; and, where they do, with less shrinking. */
static medley_status search_pairs(map_search *s, medley_error *err) {
  static const float shares[] = {0.35f, 1};
  medley_status status = MEDLEY_OK;
  float *root[HELD_DRAWS] = {0};
  bool better = true;
  if (s->t[0].taste == NULL || s->best <= 0) return MEDLEY_OK;
  s->metric_lambda = s->lambda;
  for (size_t d = 0; d < HELD_DRAWS; d++) {
    trial *t = &s->t[d];
    content_scale(t->parts, s->weight, t->scale);
    status = content_metric(t->gram, t->outer, t->scale, s->lambda, t->dim, &root[d], err);
    if (status == MEDLEY_ERR_INPUT) better = false, status = MEDLEY_OK;
    if (status != MEDLEY_OK || !better) goto done;
  }
  for (size_t k = 0; better && k < sizeof shares / sizeof *shares; k++)
    TRY(search_try_pairs(s, root, shares[k], s->lambda, &better, err));
  if (s->pairs > 0) TRY(search_try_pairs(s, root, s->pairs, s->lambda / 1.4f, &better, err));
done:
  for (size_t d = 0; d < HELD_DRAWS; d++) mem_free(root[d]);
  return status;
}

/* The same for all together and for each modality that comes near them by itself: pairs must not make one of them
 * better than all. One that is further behind is not asked: pairs are worth some hundredths, and every try solves for
 * all items. */
static medley_status search_all_pairs(map_search *s, map_search *alone, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(search_pairs(s, err));
  for (size_t p = 0; p < s->count; p++) {
    if (alone[p].best * NEAR < s->best) continue;
    search_settle(&alone[p]); /* as often as all together did */
    TRY(search_pairs(&alone[p], err));
    if (alone[p].best > s->best) *s = alone[p];
  }
done:
  return status;
}

/* ---- the whole ---- */

/* item_factors [items, rank] = K₂(items, active) dual, and what K₂(items, active) popular says of their popularity,
 * some items at a time. */
static medley_status items_place(const content_parts *parts, const reduced_parts *reduced, const scaled_rows *known,
                                 const float *scale, const float *root, const float *dual, const float *popular,
                                 size_t items, content_map_fit *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *phi = NULL, *kernel = NULL;
  size_t dim = reduced->small.dim;
  scaled_rows block = {0};
  TRY_NEW(out->item_factors, items * out->rank + 1, "item factors");
  TRY_NEW(phi, PLACE_BLOCK * dim, "features");
  TRY_NEW(kernel, PLACE_BLOCK * known->count + 1, "the kernel of the items");
  for (size_t from = 0; from < items; from += PLACE_BLOCK) {
    size_t count = items - from < PLACE_BLOCK ? items - from : PLACE_BLOCK;
    reduced_rows(parts, reduced, (uint32_t)from, count, phi);
    scaled_rows_deinit(&block);
    TRY(scaled_rows_make(phi, count, dim, scale, root, &block, err));
    content_pairs_kernel(&block, known, out->pairs * (float)known->mean_square, kernel);
    matrix_multiply(false, false, count, out->rank, known->count, 1, kernel, dual, 0,
                    out->item_factors + from * out->rank);
    matrix_multiply(false, false, count, 1, known->count, 1, kernel, popular, 0, out->item_factor + from);
  }
done:
  scaled_rows_deinit(&block);
  mem_free(phi);
  mem_free(kernel);
  return status;
}

static medley_status finish_with_pairs(const base_matrix *base, const content_parts *parts,
                                       const reduced_parts *reduced, const float *phi, const float *popularity,
                                       size_t active, size_t items, uint64_t seed, content_map_fit *out,
                                       medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = reduced->small.dim;
  scaled_rows known = {0};
  float *scale = NULL, *dual = NULL, *popular = NULL, *gram = NULL, *outer = NULL;
  TRY_NEW(scale, dim, "features");
  TRY_NEW(gram, dim * dim, "features");
  content_scale(&reduced->small, out->weight, scale);
  matrix_gram(active, dim, 1, phi, 0, gram);
  TRY(outer_find(base, phi, active, dim, &outer, err));
  TRY(content_metric(gram, outer, scale, out->metric_lambda, dim, &out->root, err));
  TRY(scaled_rows_make(phi, active, dim, scale, out->root, &known, err));
  TRY(content_pairs_finish(base, &known, scale, out->root, popularity, seed, out, &dual, &popular, err));
  TRY(items_place(parts, reduced, &known, scale, out->root, dual, popular, items, out, err));
done:
  scaled_rows_deinit(&known);
  mem_free(scale);
  mem_free(dual);
  mem_free(popular);
  mem_free(gram);
  mem_free(outer);
  return status;
}

static medley_status finish_without_pairs(const base_matrix *base, const content_parts *parts,
                                          const reduced_parts *reduced, const float *phi, const float *popularity,
                                          size_t active, size_t items, content_map_fit *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *popular = NULL, *rows = NULL;
  size_t dim = reduced->small.dim;
  TRY(content_map_finish(base, &reduced->small, phi, popularity, active, out, &popular, err));
  TRY_NEW(rows, PLACE_BLOCK * dim, "features");
  for (size_t from = 0; from < items; from += PLACE_BLOCK) {
    size_t count = items - from < PLACE_BLOCK ? items - from : PLACE_BLOCK;
    reduced_rows(parts, reduced, (uint32_t)from, count, rows);
    matrix_times_vector(count, dim, rows, popular, out->item_factor + from);
  }
done:
  mem_free(popular);
  mem_free(rows);
  return status;
}

void content_map_fit_deinit(content_map_fit *f) {
  mem_free(f->history_factors);
  mem_free(f->projection);
  mem_free(f->item_factors);
  mem_free(f->item_factor);
  mem_free(f->root);
  *f = (content_map_fit){0};
}

medley_status content_map_solve(const interactions *train, const active_items *active, const content_parts *parts,
                                const content_map_settings *settings, content_map_fit *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  base_matrix base = {0};
  sparse x = {0};
  trial t[HELD_DRAWS] = {0};
  reduced_parts reduced = {0};
  uint32_t *all = NULL;
  float *phi = NULL, *draw_of = NULL, *popularity = NULL;
  size_t items = train->by_user.columns;
  rng r;
  *out = (content_map_fit){0};
  TRY(active_rows(train, active, &x, err));
  TRY(reduced_make(parts, active, settings->seed, &reduced, err));
  TRY_NEW(all, (size_t)active->count + 1, "items");
  for (uint32_t a = 0; a < active->count; a++) all[a] = a;
  TRY_NEW(phi, (size_t)active->count * reduced.small.dim + 1, "features");
  content_parts_rows(&reduced.small, all, active->count, phi);
  TRY_NEW(draw_of, (size_t)active->count + 1, "held-out items");
  rng_seed(&r, settings->seed ^ 0x6d6170u);
  for (uint32_t a = 0; a < active->count; a++) draw_of[a] = (float)rng_uniform(&r);
  for (size_t d = 0; d < HELD_DRAWS; d++)
    TRY(trial_init(&t[d], train, active, &x, &reduced.small, phi, settings, draw_of, d, err));
  map_stop stop = {.progress = settings->progress};
  map_search search = {.stop = &stop, .t = t}, alone[FEATURES_MAX];
  search_run(&search, parts->count, alone);
  if (search_stopped(&stop)) FAIL(err, stop.status, "%s", stop.err.text);
  TRY(search_all_pairs(&search, alone, err));
  memcpy(out->weight, search.weight, sizeof out->weight);
  out->lambda = search.lambda;
  out->pairs = search.pairs;
  out->metric_lambda = search.metric_lambda;
  out->quality = search.best;
  TRY(base_make(train, active, settings, &base, err));
  TRY(popularity_find(train, active, &popularity, err));
  TRY_NEW(out->item_factor, items + 1, "item factors");
  if (out->pairs > 0) {
    status = finish_with_pairs(&base, parts, &reduced, phi, popularity, active->count, items, settings->seed, out, err);
    if (status != MEDLEY_OK && status != MEDLEY_ERR_INPUT) goto done;
    if (status == MEDLEY_ERR_INPUT) out->pairs = 0; /* solvable without some items, but not with all */
  }
  if (out->pairs <= 0)
    TRY(finish_without_pairs(&base, parts, &reduced, phi, popularity, active->count, items, out, err));
  for (size_t i = 0; i < items; i++)
    out->item_factor[i] = content_popular_factor(settings->popularity, out->item_factor[i]);
  TRY(projection_expand(parts, &reduced, out->rank, &out->projection, err));
done:
  for (size_t d = 0; d < HELD_DRAWS; d++) trial_deinit(&t[d]);
  mem_free(draw_of);
  mem_free(popularity);
  base_deinit(&base);
  sparse_deinit(&x);
  reduced_deinit(&reduced);
  mem_free(all);
  mem_free(phi);
  if (status != MEDLEY_OK) content_map_fit_deinit(out);
  return status;
}
