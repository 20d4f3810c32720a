/* recommend/slim.c: sparse linear weights from item to item, by coordinate descent.
 *
 * Ning & Karypis, "SLIM: Sparse linear methods for top-N recommender systems", ICDM 2011: every column j of W minimises
 *
 *   ½ ‖x_j − X w‖² + ½ β ‖w‖² + λ ‖w‖₁,  w ≥ 0, w_j = 0
 *
 * and the score is x W. In terms of G = Xᵀ diag(|u|^−2a) X, coordinate k has its minimum at
 *
 *   w_k = max(0, (G_kj − Σ_{l ≠ k} G_kl w_l − λ) / (G_kk + β))
 *
 * so an item with G_kj ≤ λ never has a weight (G and w are not negative) and is not looked at: the rule is exact.
 * Beyond the paper, people count by the size of their history (a; most of the gain on click graphs, as in ease.c),
 * scores may be divided by a power of popularity, β and λ are multiples of the mean of diag G, and β grows with an
 * item's own diagonal, as in ease.c.
 *
 * A column asks the `neighbours` items nearest to it by cosine only: a hundred are too few on click graphs (R@20 on
 * TikTok's validation part .075, with three hundred .091). G is dense up to DENSE_ITEMS_MAX items; a larger catalogue's
 * is a sparse matrix of cosines, whole while they are no more than COSINES_MAX, else the greatest of each row, so that
 * memory stays below 1 GB. Walking sparse rows for a small catalogue, too, took ten times as long as reading dense
 * ones.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/vector.h"
#include "recommend/item_weights.h"
#include "recommend/kinds.h"

#define DENSE_ITEMS_MAX 8192u /* 256 MB */
#define COSINES_MAX ((size_t)1 << 27)
#define COLUMNS_AT_ONCE 4096 /* solved between two looks at the progress */
#define PASSES_MAX 100
#define TOLERANCE 1e-4f /* of a column's deviation: a pass that moves no weight further is the last */

enum { USER_EXPONENT, L2, L1, OUTPUT_EXPONENT, NEIGHBOURS, DROPOUT, SETTINGS };

static const double user_exponents[] = {0, 0.35, 0.5};
static const double l2s[] = {1, 3, 10};
static const double l1s[] = {0.003, 0.01, 0.03};
static const double output_exponents[] = {-0.2, 0, 0.1};
static const recommender_setting slim_settings[] = {
    {"user_exponent", "people count by |history| to minus twice this", 0.35, 0, 1, user_exponents, 3},
    {"l2", "β as a multiple of the mean diagonal of XᵀX", 1, 1e-3, 1e5, l2s, 3},
    {"l1", "λ as a multiple of the mean diagonal of XᵀX", 0.003, 0, 1e5, l1s, 3},
    {"output_exponent", "scores are divided by relative popularity to this power", 0, -1, 1, output_exponents, 3},
    {"neighbours", "items a column may have weights of, the nearest by cosine", 500, 1, 2000, NULL, 0},
    {"dropout", "β added in proportion to an item's own diagonal", 0.33, 0, 10, NULL, 0},
    {NULL},
};

/* What all columns are solved from. */
typedef struct gram {
  uint32_t items;
  float *dense;   /* [items, items] G, or NULL: then */
  sparse cosines; /* [items, items] */
  float *root;    /* [items] √G_kk; 0: nobody chose the item */
  float mean;     /* of G_kk over the items that somebody chose */
} gram;

static void gram_deinit(gram *g) {
  mem_free(g->dense);
  sparse_deinit(&g->cosines);
  mem_free(g->root);
}

/* Row k is entries [start, end): gram_entry says which column each is of, and G there. */
static uint64_t gram_start(const gram *g, uint32_t k) { return g->dense != NULL ? 0 : g->cosines.start[k]; }
static uint64_t gram_end(const gram *g, uint32_t k) { return g->dense != NULL ? g->items : g->cosines.start[k + 1]; }
static float gram_entry(const gram *g, uint32_t k, uint64_t e, uint32_t *column) {
  *column = g->dense != NULL ? (uint32_t)e : g->cosines.column[e];
  if (g->dense != NULL) return g->dense[(size_t)k * g->items + e];
  return g->cosines.value[e] * g->root[k] * g->root[*column];
}

/* root [items] and the mean from by_item, whose entries people's weights are in already. */
static void gram_diagonal(const sparse *by_item, gram *g) {
  double sum = 0;
  uint32_t chosen = 0;
  for (uint32_t k = 0; k < by_item->rows; k++) {
    uint64_t from = by_item->start[k];
    size_t count = (size_t)(by_item->start[k + 1] - from);
    g->root[k] = vector_norm(by_item->value + from, count);
    sum += (double)g->root[k] * (double)g->root[k];
    chosen += count > 0;
  }
  g->mean = sum > 0 ? (float)(sum / chosen) : 1;
}

/* cosines from both sides, people's weights in both; left is overwritten. */
static medley_status cosines_make(sparse *left, sparse *right, gram *g, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *items = NULL;
  size_t limit = COSINES_MAX / g->items;
  TRY_NEW(items, (size_t)g->items, "item weights");
  for (uint32_t k = 0; k < g->items; k++) items[k] = g->root[k] > 0 ? 1 / g->root[k] : 0;
  sparse_scale(left, items, NULL);
  sparse_scale(right, NULL, items);
  TRY(sparse_multiply(left, right, limit > 0 ? limit : 1, &g->cosines, err));
done:
  mem_free(items);
  return status;
}

static medley_status gram_make(const interactions *x, double user_exponent, gram *g, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sparse left = {0}, right = {0};
  float *users = NULL;
  g->items = x->by_item.rows;
  TRY_NEW(g->root, (size_t)g->items + 1, "item weights");
  TRY_NEW(users, (size_t)x->by_user.rows + 1, "user weights");
  TRY(sparse_copy(&x->by_item, &left, err));
  TRY(sparse_copy(&x->by_user, &right, err));
  model_row_powers(&x->by_user, -user_exponent, users);
  sparse_scale(&left, NULL, users);
  sparse_scale(&right, users, NULL);
  gram_diagonal(&left, g);
  if (g->items > DENSE_ITEMS_MAX) {
    TRY(cosines_make(&left, &right, g, err));
  } else {
    TRY_NEW(g->dense, (size_t)g->items * g->items + 1, "the item × item matrix");
    sparse_gram(&right, g->dense);
  }
done:
  sparse_deinit(&left);
  sparse_deinit(&right);
  mem_free(users);
  return status;
}

/* ---- one column ---- */

/* What one thread needs. `most` candidates at a time. */
typedef struct column_room {
  size_t most;
  uint32_t *place;     /* [items] 1 + where an item stands among the candidates; 0: it is none */
  uint32_t *candidate; /* [most] ascending */
  float *cosine;       /* [items] of those that may have a weight */
  uint32_t *item;      /* [items] which they are */
  scored *best;        /* [most] */
  float *block;        /* [most, most] G among the candidates */
  float *left;         /* [most] G_kj − Σ_l G_kl w_l */
  float *weight;       /* [most] */
} column_room;

static void column_room_deinit(column_room *r) {
  mem_free(r->place);
  mem_free(r->candidate);
  mem_free(r->cosine);
  mem_free(r->item);
  mem_free(r->best);
  mem_free(r->block);
  mem_free(r->left);
  mem_free(r->weight);
}

static medley_status column_room_init(column_room *r, size_t items, size_t most, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *r = (column_room){.most = most};
  TRY_NEW(r->place, items, "candidates");
  TRY_NEW(r->candidate, most, "candidates");
  TRY_NEW(r->cosine, items, "candidates");
  TRY_NEW(r->item, items, "candidates");
  TRY_NEW(r->best, most, "candidates");
  TRY_NEW(r->block, most * most, "candidates");
  TRY_NEW(r->left, most, "candidates");
  TRY_NEW(r->weight, most, "candidates");
done:
  return status;
}

/* Fills candidate, place and left; returns how many there are. */
static size_t candidates_find(const gram *g, uint32_t j, float l1, column_room *r) {
  size_t count = 0, kept = 0;
  uint32_t k;
  for (uint64_t e = gram_start(g, j); e < gram_end(g, j); e++) {
    float with = gram_entry(g, j, e, &k);
    if (k == j || !(with > l1)) continue;
    r->item[count] = k;
    r->cosine[count++] = with / (g->root[k] * g->root[j]);
  }
  size_t wanted = top_k(r->cosine, count, NULL, r->most, r->best);
  for (size_t i = 0; i < wanted; i++) r->place[r->item[r->best[i].index]] = 1;
  for (size_t i = 0; i < count; i++) {
    k = r->item[i];
    if (r->place[k] == 0) continue;
    r->candidate[kept] = k;
    r->left[kept++] = r->cosine[i] * g->root[k] * g->root[j];
    r->place[k] = (uint32_t)kept;
  }
  return kept;
}

/* block [count, count] of the candidates. */
static void block_gather(const gram *g, size_t count, column_room *r) {
  for (size_t c = 0; c < count; c++) {
    uint32_t k = r->candidate[c], l;
    float *row = r->block + c * count;
    if (g->dense != NULL) {
      for (size_t d = 0; d < count; d++) row[d] = g->dense[(size_t)k * g->items + r->candidate[d]];
    } else {
      memset(row, 0, count * sizeof *row);
      for (uint64_t e = gram_start(g, k); e < gram_end(g, k); e++) {
        float with = gram_entry(g, k, e, &l);
        if (r->place[l] > 0) row[r->place[l] - 1] = with;
      }
    }
    row[c] = g->root[k] * g->root[k];
  }
}

/* weight [count]: passes over all coordinates until none moves. */
static void column_descend(size_t count, float l1, float l2, float dropout, float still, column_room *r) {
  memset(r->weight, 0, count * sizeof *r->weight);
  for (int pass = 0; pass < PASSES_MAX; pass++) {
    float greatest = 0;
    for (size_t k = 0; k < count; k++) {
      const float *row = r->block + k * count;
      float own = row[k], better = (r->left[k] + own * r->weight[k] - l1) / (own + l2 + dropout * own);
      float step = fmaxf(better, 0) - r->weight[k];
      if (step == 0) continue;
      r->weight[k] += step;
      vector_add_scaled(r->left, -step, row, count);
      greatest = fmaxf(greatest, fabsf(step) * sqrtf(own));
    }
    if (greatest <= still) return;
  }
}

/* Row j of by_target, at most r->most entries ascending into column and value; returns how many. */
static size_t column_solve(const gram *g, const double *values, uint32_t j, column_room *r, uint32_t *column,
                           float *value) {
  size_t kept = 0;
  float l1 = (float)values[L1] * g->mean;
  size_t count = candidates_find(g, j, l1, r);
  if (count == 0) return 0;
  float out = (float)pow((double)g->root[j] * (double)g->root[j] / (double)g->mean, -values[OUTPUT_EXPONENT]);
  block_gather(g, count, r);
  column_descend(count, l1, (float)values[L2] * g->mean, (float)values[DROPOUT], TOLERANCE * g->root[j], r);
  for (size_t k = 0; k < count; k++) {
    r->place[r->candidate[k]] = 0;
    if (!(r->weight[k] > 0)) continue;
    column[kept] = r->candidate[k];
    value[kept++] = out * r->weight[k];
  }
  return kept;
}

/* ---- all columns ---- */

/* Weights of COLUMNS_AT_ONCE targets, each with room of its own. */
typedef struct strip {
  uint32_t *column; /* [COLUMNS_AT_ONCE, most] */
  float *value;
  size_t count[COLUMNS_AT_ONCE];
} strip;

static medley_status strip_solve(const gram *g, const double *values, uint32_t from, uint32_t end, size_t most,
                                 strip *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
#pragma omp parallel shared(status)
  {
    column_room room;
    medley_error mine = {0};
    medley_status my_status = column_room_init(&room, g->items, most, &mine);
#pragma omp for schedule(dynamic, 8)
    for (uint32_t j = from; j < end; j++)
      if (my_status == MEDLEY_OK)
        s->count[j - from] =
            column_solve(g, values, j, &room, s->column + (j - from) * most, s->value + (j - from) * most);
    column_room_deinit(&room);
    if (my_status != MEDLEY_OK) {
#pragma omp critical(slim_failure)
      {
        if (err != NULL) *err = mine;
        status = my_status;
      }
    }
  }
  return status;
}

static medley_status strip_append(const strip *s, size_t rows, size_t most, uint32_t from, sparse *out,
                                  size_t *column_capacity, size_t *value_capacity, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t r = 0; r < rows; r++) {
    uint64_t at = out->start[from + r], end = at + s->count[r];
    TRY_GROW(out->column, *column_capacity, end, "item weights");
    TRY_GROW(out->value, *value_capacity, end, "item weights");
    if (end > at) memcpy(out->column + at, s->column + r * most, s->count[r] * sizeof *out->column);
    if (end > at) memcpy(out->value + at, s->value + r * most, s->count[r] * sizeof *out->value);
    out->start[from + r + 1] = end;
  }
done:
  return status;
}

static medley_status columns_solve(const gram *g, const double *values, progress_stage *progress, sparse *out,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  strip s = {0};
  uint32_t n = g->items;
  size_t most = values[NEIGHBOURS] < n ? (size_t)values[NEIGHBOURS] : n, columns = 0, entries = 0;
  *out = (sparse){.rows = n, .columns = n};
  TRY_NEW(out->start, (size_t)n + 1, "item weights");
  TRY_GROW(out->column, columns, 1, "item weights");
  TRY_GROW(out->value, entries, 1, "item weights");
  TRY_NEW(s.column, COLUMNS_AT_ONCE * most, "item weights");
  TRY_NEW(s.value, COLUMNS_AT_ONCE * most, "item weights");
  for (uint32_t from = 0; from < n; from += COLUMNS_AT_ONCE) {
    uint32_t end = n - from < COLUMNS_AT_ONCE ? n : from + COLUMNS_AT_ONCE;
    TRY(strip_solve(g, values, from, end, most, &s, err));
    TRY(strip_append(&s, end - from, most, from, out, &columns, &entries, err));
    if (progress != NULL) TRY(progress_update(progress, 0, err));
  }
done:
  mem_free(s.column);
  mem_free(s.value);
  return status;
}

static medley_status slim_fit(const recommender_data *data, const double *values, progress_stage *progress,
                              recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  gram g = {0};
  sparse by_target = {0};
  TRY(gram_make(data->train, values[USER_EXPONENT], &g, err));
  TRY(columns_solve(&g, values, progress, &by_target, err));
  TRY(item_weights_create(&recommender_slim, &by_target, out, err));
done:
  gram_deinit(&g);
  sparse_deinit(&by_target);
  return status;
}

static json_t *slim_describe(const recommender *r) {
  const sparse *w = &((const item_weights *)r)->weights;
  double entries = (double)sparse_count(w);
  return json_pack("{s:f}", "weights_per_item", w->rows > 0 ? entries / w->rows : 0);
}

static medley_status slim_load(const safetensors *s, const char *prefix, const recommender_data *data,
                               recommender **out, medley_error *err) {
  return item_weights_load(&recommender_slim, s, prefix, data, out, err);
}

const recommender_kind recommender_slim = {
    .name = "slim",
    .summary = "sparse linear item-to-item weights, none below zero",
    .source = "Ning & Karypis 2011",
    .part = "taste",
    .settings = slim_settings,
    .needs_history = true,
    .by_itself = recommender_only_named,
    .fit = slim_fit,
    .score = item_weights_score,
    .trace = item_weights_trace,
    .describe = slim_describe,
    .save = item_weights_save,
    .load = slim_load,
    .free = item_weights_free,
};
