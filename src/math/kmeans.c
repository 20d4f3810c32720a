/* math/kmeans.c: Lloyd's k-means.
 *
 * The time goes into finding the nearest centre, |c|² - 2 x·c at its least. That is a matrix product: tiles of rows by
 * tiles of centres, small enough that the products are still in the cache when the least is looked for. Each thread
 * takes its own tiles and calls BLAS alone, which scales better than a threaded product between two barriers.
 *
 * New centres are summed cluster by cluster, each by one thread in the order of the rows: so the result does not depend
 * on the number of threads, which a sum per thread would.
 */
#include "math/kmeans.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "base/rng.h"
#include "math/clones.h"
#include "math/linear.h"
#include "math/vector.h"

/* Products of one tile: 256 KiB. */
#define TILE_ROWS 128
#define TILE_CENTRES 512
#define LANES 16
#define SEED_ROUNDS 64
#define ITERATIONS_DEFAULT 10
#define PART_SHARE 8
#define PART_ITERATIONS 8
#define PART_ROWS_PER_CENTRE 24
#define FINISH_ITERATIONS 4

static size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

/* ---- the nearest centre ---- */

/* best, at [LANES]: the least of half[c] - dot[c] over c ≡ lane (mod LANES), and where, among `first` + [0, count). */
static inline VECTOR_INLINE void least_body(const float *dot, const float *half, size_t count, uint32_t first,
                                            float *best, uint32_t *at) {
  size_t c = 0;
  for (; c + LANES <= count; c += LANES) {
    uint32_t from = first + (uint32_t)c;
    _Pragma("omp simd") for (uint32_t lane = 0; lane < LANES; lane++) {
      float value = half[c + lane] - dot[c + lane];
      at[lane] = value < best[lane] ? from + lane : at[lane];
      best[lane] = value < best[lane] ? value : best[lane];
    }
  }
  for (uint32_t lane = 0; c < count; c++, lane++) {
    float value = half[c] - dot[c];
    if (value < best[lane]) {
      best[lane] = value;
      at[lane] = first + (uint32_t)c;
    }
  }
}
VECTOR_CLONES(static, void, least,
              (const float *dot, const float *half, size_t count, uint32_t first, float *best, uint32_t *at),
              (dot, half, count, first, best, at))

typedef struct assign_scratch {
  float dot[TILE_ROWS * TILE_CENTRES];
  float best[TILE_ROWS][LANES];
  uint32_t at[TILE_ROWS][LANES];
} assign_scratch;

/* The least over the lanes; of equal values the first centre, whatever lane it is in. */
static uint32_t lanes_least(const float best[LANES], const uint32_t at[LANES], float *value) {
  size_t least_lane = 0;
  for (size_t lane = 1; lane < LANES; lane++)
    if (best[lane] < best[least_lane] || (best[lane] == best[least_lane] && at[lane] < at[least_lane]))
      least_lane = lane;
  *value = best[least_lane];
  return at[least_lane];
}

/* rows <= TILE_ROWS rows of x; half [k]: |c|² / 2. */
static void assign_tile(const float *x, size_t rows, size_t dim, const float *centres, const float *half, size_t k,
                        uint32_t *nearest, float *distance, assign_scratch *s) {
  for (size_t r = 0; r < rows; r++)
    for (size_t lane = 0; lane < LANES; lane++) s->best[r][lane] = INFINITY, s->at[r][lane] = UINT32_MAX;
  for (size_t first = 0; first < k; first += TILE_CENTRES) {
    size_t count = size_min(TILE_CENTRES, k - first);
    matrix_multiply(false, true, rows, count, dim, 1, x, centres + first * dim, 0, s->dot);
    for (size_t r = 0; r < rows; r++)
      least(s->dot + r * count, half + first, count, (uint32_t)first, s->best[r], s->at[r]);
  }
  for (size_t r = 0; r < rows; r++) {
    float value;
    uint32_t found = lanes_least(s->best[r], s->at[r], &value);
    nearest[r] = found == UINT32_MAX ? 0 : found; /* nothing is less than infinity when values overflow */
    if (distance != NULL) distance[r] = fmaxf(2 * value + vector_dot(x + r * dim, x + r * dim, dim), 0);
  }
}

medley_status kmeans_assign(const float *x, size_t count, size_t dim, const float *centres, size_t k, uint32_t *nearest,
                            float *distance, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *half = NULL;
  int failed = 0;
  assert(dim > 0 && k > 0 && k <= UINT32_MAX);
  TRY_NEW(half, k, "k-means");
  for (size_t c = 0; c < k; c++) half[c] = vector_dot(centres + c * dim, centres + c * dim, dim) / 2;
#pragma omp parallel if (count > TILE_ROWS)
  {
    assign_scratch *s = mem_zalloc_aligned(1, sizeof *s);
    if (s == NULL) {
#pragma omp atomic write
      failed = 1;
    }
#pragma omp for schedule(dynamic, 4)
    for (size_t first = 0; first < count; first += TILE_ROWS)
      if (s != NULL)
        assign_tile(x + first * dim, size_min(TILE_ROWS, count - first), dim, centres, half, k, nearest + first,
                    distance ? distance + first : NULL, s);
    mem_free(s);
  }
  if (failed) status = error_memory(err, "k-means");
done:
  mem_free(half);
  return status;
}

/* ---- seeds ---- */

typedef struct seeding {
  const float *x;
  size_t count, dim;
  float *distance;  /* [count] squared, to the nearest centre so far */
  float *candidate; /* [count] to the nearest of the last round's */
  uint32_t *scrap;  /* [count] */
  double *sum;      /* [count] of the distances up to and with each row */
  rng random;
} seeding;

/* A row drawn in proportion to its squared distance; any row once all rows are centres. */
static size_t seed_draw(seeding *s) {
  double total = s->sum[s->count - 1], mark = rng_uniform(&s->random) * total;
  if (!(total > 0) || !isfinite(total)) return rng_below(&s->random, s->count);
  size_t low = 0, high = s->count - 1;
  while (low < high) { /* the first row whose sum lies beyond the mark: never one at distance 0 */
    size_t middle = low + (high - low) / 2;
    if (s->sum[middle] > mark)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static void seed_sums(seeding *s) {
  double sum = 0;
  for (size_t i = 0; i < s->count; i++) {
    s->distance[i] = fminf(s->distance[i], s->candidate[i]);
    s->sum[i] = sum += s->distance[i];
  }
}

static medley_status seed_rounds(seeding *s, size_t k, float *centres, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t per_round = (k + SEED_ROUNDS - 1) / SEED_ROUNDS;
  memcpy(centres, s->x + rng_below(&s->random, s->count) * s->dim, s->dim * sizeof *centres);
  for (size_t i = 0; i < s->count; i++) s->distance[i] = INFINITY;
  for (size_t measured = 0, chosen = 1; chosen < k;) {
    TRY(kmeans_assign(s->x, s->count, s->dim, centres + measured * s->dim, chosen - measured, s->scrap, s->candidate,
                      err));
    seed_sums(s);
    measured = chosen;
    for (size_t end = size_min(k, chosen + per_round); chosen < end; chosen++)
      memcpy(centres + chosen * s->dim, s->x + seed_draw(s) * s->dim, s->dim * sizeof *centres);
  }
done:
  return status;
}

static medley_status seed_plus_plus(const float *x, size_t count, size_t dim, size_t k, uint64_t number, float *centres,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  seeding s = {.x = x, .count = count, .dim = dim};
  TRY_NEW(s.distance, count, "k-means");
  TRY_NEW(s.candidate, count, "k-means");
  TRY_NEW(s.scrap, count, "k-means");
  TRY_NEW(s.sum, count, "k-means");
  rng_seed(&s.random, number);
  TRY(seed_rounds(&s, k, centres, err));
done:
  mem_free(s.distance);
  mem_free(s.candidate);
  mem_free(s.scrap);
  mem_free(s.sum);
  return status;
}

/* k different rows, each set as likely as any other (Knuth's algorithm S). */
static void seed_rows(const float *x, size_t count, size_t dim, size_t k, uint64_t number, float *centres) {
  rng random;
  rng_seed(&random, number);
  for (size_t i = 0, chosen = 0; chosen < k; i++)
    if (rng_below(&random, count - i) < k - chosen)
      memcpy(centres + chosen++ * dim, x + i * dim, dim * sizeof *centres);
}

static medley_status seed(const float *x, size_t count, size_t dim, size_t k, const kmeans_options *o, float *centres,
                          medley_error *err) {
  if (o->seeds == KMEANS_PLUS_PLUS) return seed_plus_plus(x, count, dim, k, o->seed, centres, err);
  if (o->seeds == KMEANS_ROWS) seed_rows(x, count, dim, k, o->seed, centres);
  return MEDLEY_OK;
}

/* ---- Lloyd ---- */

typedef struct lloyd {
  const float *x;
  size_t count, dim, k;
  uint32_t *nearest; /* [count] */
  uint32_t *order;   /* [count] rows sorted by centre, each centre's in ascending order */
  size_t *start;     /* [k + 2]: start[c] … start[c + 1] of order are centre c's */
  float *centres;    /* [k, dim], borrowed */
} lloyd;

/* Counting sort. The counts are laid two places to the right, so that after the placing they have become the starts. */
static void group_rows(lloyd *l) {
  memset(l->start, 0, (l->k + 2) * sizeof *l->start);
  for (size_t i = 0; i < l->count; i++) l->start[l->nearest[i] + 2]++;
  for (size_t c = 2; c < l->k + 2; c++) l->start[c] += l->start[c - 1];
  for (size_t i = 0; i < l->count; i++) l->order[l->start[l->nearest[i] + 1]++] = (uint32_t)i;
}

static size_t cluster_size(const lloyd *l, size_t c) { return l->start[c + 1] - l->start[c]; }

static void means(lloyd *l) {
#pragma omp parallel for schedule(dynamic, 8) if (l->count * l->dim > 65536)
  for (size_t c = 0; c < l->k; c++) {
    size_t size = cluster_size(l, c);
    float *centre = l->centres + c * l->dim;
    if (size == 0) continue;
    memset(centre, 0, l->dim * sizeof *centre);
    for (size_t i = l->start[c]; i < l->start[c + 1]; i++)
      vector_add_scaled(centre, 1, l->x + l->order[i] * l->dim, l->dim);
    vector_scale(centre, 1 / (float)size, l->dim);
  }
}

/* An empty cluster and the largest one share the latter's centre, moved a little to either side: the next assignment
 * parts the rows. sizes [k] is scratch. */
static void split_for_empty(lloyd *l, size_t *sizes) {
  const float nudge = 1 / 1024.0F;
  for (size_t c = 0; c < l->k; c++) sizes[c] = cluster_size(l, c);
  for (size_t c = 0; c < l->k; c++) {
    if (sizes[c] > 0) continue;
    size_t largest = 0;
    for (size_t other = 1; other < l->k; other++)
      if (sizes[other] > sizes[largest]) largest = other;
    if (sizes[largest] < 2) return;
    float *empty = l->centres + c * l->dim, *full = l->centres + largest * l->dim;
    for (size_t d = 0; d < l->dim; d++) {
      float step = d % 2 ? nudge : -nudge;
      empty[d] = full[d] * (1 + step);
      full[d] *= 1 - step;
    }
    sizes[c] = sizes[largest] / 2;
    sizes[largest] -= sizes[c];
  }
}

static medley_status iterate(lloyd *l, const kmeans_options *o, int iterations, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t *sizes = NULL;
  progress_stage progress;
  TRY_NEW(sizes, l->k, "k-means");
  progress_begin(&progress, o->progress, o->stage ? o->stage : "k-means", (uint64_t)iterations);
  for (int i = 0; i < iterations; i++) {
    TRY(progress_update(&progress, (uint64_t)i, err));
    TRY(kmeans_assign(l->x, l->count, l->dim, l->centres, l->k, l->nearest, NULL, err));
    group_rows(l);
    means(l);
    split_for_empty(l, sizes);
  }
  progress_end(&progress, (uint64_t)iterations);
done:
  mem_free(sizes);
  return status;
}

static void lloyd_deinit(lloyd *l) {
  mem_free(l->nearest);
  mem_free(l->order);
  mem_free(l->start);
}

static medley_status lloyd_init(lloyd *l, const float *x, size_t count, size_t dim, size_t k, float *centres,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  *l = (lloyd){.x = x, .count = count, .dim = dim, .k = k, .centres = centres};
  TRY_NEW(l->nearest, count, "k-means");
  TRY_NEW(l->order, count, "k-means");
  TRY_NEW(l->start, k + 2, "k-means");
done:
  return status;
}

/* Where the rows are many, centres come most of the way on every eighth row. Measured on 174,000 patches and 681
 * centres: 8 rounds so and then 4 with all rows end within 0.5 % of the error of 10 rounds with all, in a third of the
 * time. */
static medley_status fit_on_part(const float *x, size_t count, size_t dim, size_t k, const kmeans_options *o,
                                 float *centres, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t part = count / PART_SHARE;
  float *rows = NULL;
  lloyd l = {0};
  TRY_NEW(rows, part * dim, "k-means");
  for (size_t i = 0; i < part; i++) memcpy(rows + i * dim, x + i * PART_SHARE * dim, dim * sizeof *rows);
  TRY(lloyd_init(&l, rows, part, dim, k, centres, err));
  TRY(seed(rows, part, dim, k, o, centres, err));
  TRY(iterate(&l, o, PART_ITERATIONS, err));
done:
  lloyd_deinit(&l);
  mem_free(rows);
  return status;
}

medley_status kmeans_fit(const float *x, size_t count, size_t dim, size_t k, const kmeans_options *o, float *centres,
                         medley_error *err) {
  medley_status status = MEDLEY_OK;
  lloyd l = {0};
  bool parted = o->seeds != KMEANS_WARM && o->iterations == 0 && count / PART_SHARE >= PART_ROWS_PER_CENTRE * k;
  if (count == 0 || dim == 0 || k == 0 || count > UINT32_MAX || k > UINT32_MAX - 2)
    FAIL(err, MEDLEY_ERR_USAGE, "k-means of %zu vectors with %zu dimensions into %zu clusters", count, dim, k);
  if (count <= k) {
    for (size_t c = 0; c < k; c++) memcpy(centres + c * dim, x + c % count * dim, dim * sizeof *centres);
    goto done;
  }
  if (parted)
    TRY(fit_on_part(x, count, dim, k, o, centres, err));
  else
    TRY(seed(x, count, dim, k, o, centres, err));
  TRY(lloyd_init(&l, x, count, dim, k, centres, err));
  TRY(iterate(&l, o, o->iterations > 0 ? o->iterations : parted ? FINISH_ITERATIONS : ITERATIONS_DEFAULT, err));
done:
  lloyd_deinit(&l);
  return status;
}
