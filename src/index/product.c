/* index/product.c: see index/product.h. */
#include "index/product.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "math/clones.h"
#include "math/kmeans.h"
#include "math/vector.h"

#define STEPS 65535.0F    /* of a rounded table */
#define PARTS_TOGETHER 16 /* trained between two looks at whether to stop */

medley_status product_init(product *p, size_t parts, size_t part_dim, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *p = (product){.parts = parts, .part_dim = part_dim};
  TRY_NEW(p->codebook, parts * part_dim * PRODUCT_CODES, "product codebooks");
  TRY_NEW(p->half, parts * PRODUCT_CODES, "product codebooks");
done:
  if (status != MEDLEY_OK) product_deinit(p);
  return status;
}

void product_deinit(product *p) {
  mem_free(p->codebook);
  mem_free(p->half);
  *p = (product){0};
}

static float *part_codebook(const product *p, size_t part) { return p->codebook + part * p->part_dim * PRODUCT_CODES; }

void product_prepare(product *p) {
  memset(p->half, 0, p->parts * PRODUCT_CODES * sizeof *p->half);
  for (size_t j = 0; j < p->parts; j++)
    for (size_t d = 0; d < p->part_dim; d++)
      for (size_t c = 0; c < PRODUCT_CODES; c++) {
        float value = part_codebook(p, j)[d * PRODUCT_CODES + c];
        p->half[j * PRODUCT_CODES + c] += value * value / 2;
      }
}

/* ---- training ---- */

static medley_status part_train(product *p, size_t part, const float *x, size_t count, uint64_t seed,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = p->parts * p->part_dim;
  kmeans_options o = {.seed = seed + part, .seeds = KMEANS_ROWS};
  float *columns = NULL, *centres = NULL;
  TRY_NEW(columns, count * p->part_dim, "product training");
  TRY_NEW(centres, PRODUCT_CODES * p->part_dim, "product training");
  for (size_t i = 0; i < count; i++)
    memcpy(columns + i * p->part_dim, x + i * dim + part * p->part_dim, p->part_dim * sizeof *columns);
  TRY(kmeans_fit(columns, count, p->part_dim, PRODUCT_CODES, &o, centres, err));
  for (size_t c = 0; c < PRODUCT_CODES; c++)
    for (size_t d = 0; d < p->part_dim; d++)
      part_codebook(p, part)[d * PRODUCT_CODES + c] = centres[c * p->part_dim + d];
done:
  mem_free(columns);
  mem_free(centres);
  return status;
}

/* A part a thread, each k-means on its own: there is no waiting for each other within a part. */
static medley_status parts_train(product *p, size_t first, size_t end, const float *x, size_t count, uint64_t seed,
                                 medley_error *err) {
  medley_status first_fault = MEDLEY_OK;
#pragma omp parallel for schedule(dynamic, 1)
  for (size_t j = first; j < end; j++) {
    medley_error own = {0};
    medley_status status = part_train(p, j, x, count, seed, &own);
    if (status == MEDLEY_OK) continue;
#pragma omp critical(product_train)
    if (first_fault == MEDLEY_OK) {
      first_fault = status;
      if (err != NULL) *err = own;
    }
  }
  return first_fault;
}

medley_status product_train(product *p, const float *x, size_t count, uint64_t seed, const medley_progress *progress,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  progress_begin(&stage, progress, "train codes", p->parts);
  for (size_t first = 0; first < p->parts; first += PARTS_TOGETHER) {
    size_t end = p->parts - first < PARTS_TOGETHER ? p->parts : first + PARTS_TOGETHER;
    TRY(progress_update(&stage, first, err));
    TRY(parts_train(p, first, end, x, count, seed, err));
  }
  progress_end(&stage, p->parts);
  product_prepare(p);
done:
  return status;
}

/* ---- codes ---- */

/* out [256] = x · centre, four dimensions at a time: the sums go through the first cache a quarter as often. */
static inline VECTOR_INLINE void part_products_body(const float *x, size_t dim, const float *codebook, float *out) {
  size_t d = 0;
  for (size_t c = 0; c < PRODUCT_CODES; c++) out[c] = 0;
  for (; d + 4 <= dim; d += 4) {
    const float *centre = codebook + d * PRODUCT_CODES;
    _Pragma("omp simd") for (size_t c = 0; c < PRODUCT_CODES; c++) out[c] +=
        x[d] * centre[c] + x[d + 1] * centre[PRODUCT_CODES + c] + x[d + 2] * centre[2 * PRODUCT_CODES + c] +
        x[d + 3] * centre[3 * PRODUCT_CODES + c];
  }
  for (; d < dim; d++) {
    const float *centre = codebook + d * PRODUCT_CODES;
    _Pragma("omp simd") for (size_t c = 0; c < PRODUCT_CODES; c++) out[c] += x[d] * centre[c];
  }
}
VECTOR_CLONES(static, void, part_products, (const float *x, size_t dim, const float *codebook, float *out),
              (x, dim, codebook, out))

/* The first centre with the least half - dot, half its squared distance but for what is the same for all. */
static inline VECTOR_INLINE uint32_t nearest_centre_body(const float *half, const float *dot) {
  float value[PRODUCT_CODES], least = INFINITY;
  uint32_t found = PRODUCT_CODES - 1;
  _Pragma("omp simd reduction(min : least)") for (uint32_t c = 0; c < PRODUCT_CODES; c++) {
    value[c] = half[c] - dot[c];
    least = value[c] < least ? value[c] : least;
  }
  _Pragma("omp simd reduction(min : found)") for (uint32_t c = 0; c < PRODUCT_CODES; c++) {
    uint32_t here = value[c] == least ? c : PRODUCT_CODES - 1;
    found = here < found ? here : found;
  }
  return found;
}
VECTOR_CLONES(static, uint32_t, nearest_centre, (const float *half, const float *dot), (half, dot))

void product_encode(const product *p, const float *x, uint8_t *code) {
  float dot[PRODUCT_CODES];
  for (size_t j = 0; j < p->parts; j++) {
    part_products(x + j * p->part_dim, p->part_dim, part_codebook(p, j), dot);
    code[j] = (uint8_t)nearest_centre(p->half + j * PRODUCT_CODES, dot);
  }
}

void product_decode(const product *p, const uint8_t *code, float *out) {
  for (size_t j = 0; j < p->parts; j++)
    for (size_t d = 0; d < p->part_dim; d++)
      out[j * p->part_dim + d] = part_codebook(p, j)[d * PRODUCT_CODES + code[j]];
}

/* ---- tables ---- */

void product_tables(const product *p, const float *query, float *tables) {
  for (size_t j = 0; j < p->parts; j++)
    part_products(query + j * p->part_dim, p->part_dim, part_codebook(p, j), tables + j * PRODUCT_CODES);
}

static inline VECTOR_INLINE void table_range_body(const float *table, float *least, float *greatest) {
  float low = INFINITY, high = -INFINITY;
  _Pragma("omp simd reduction(min : low) reduction(max : high)") for (size_t c = 0; c < PRODUCT_CODES; c++) {
    low = table[c] < low ? table[c] : low;
    high = table[c] > high ? table[c] : high;
  }
  *least = low;
  *greatest = high;
}
VECTOR_CLONES(static, void, table_range, (const float *table, float *least, float *greatest), (table, least, greatest))

static inline VECTOR_INLINE void table_round_body(const float *table, float low, float inverse, uint16_t *rounded) {
  _Pragma("omp simd") for (size_t c = 0; c < PRODUCT_CODES; c++) {
    float value = (table[c] - low) * inverse + 0.5F;
    rounded[c] = (uint16_t)(int32_t)(value < STEPS ? value : STEPS);
  }
}
VECTOR_CLONES(static, void, table_round, (const float *table, float low, float inverse, uint16_t *rounded),
              (table, low, inverse, rounded))

/* One step for all parts, so that their sums can be added as integers; each part has a floor of its own. */
void product_tables_round(const product *p, const float *tables, code_tables *rounded, float *low, float *step) {
  float floor_of[CODE_PARTS_MAX], range = 0, least, greatest;
  *low = 0;
  for (size_t j = 0; j < p->parts; j++) {
    table_range(tables + j * PRODUCT_CODES, &least, &greatest);
    floor_of[j] = least;
    *low += least;
    range = fmaxf(range, greatest - least);
  }
  *step = range / STEPS;
  float inverse = range > 0 ? STEPS / range : 0;
  for (size_t j = 0; j < p->parts; j++)
    table_round(tables + j * PRODUCT_CODES, floor_of[j], inverse, rounded->entries + j * PRODUCT_CODES);
  code_tables_split(rounded, p->parts);
}
