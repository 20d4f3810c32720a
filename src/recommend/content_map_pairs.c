/* recommend/content_map_pairs.c: the last solve of content_map over the items, with a kernel of pairs of properties.
 *
 * What makes a film liked is often no single property but two that meet: a genre in a decade, a word in a genre. All
 * products of two properties are the features of the square of the kernel (Schölkopf & Smola 2002, 2.2): with
 * K = Σ_m w_m K_m,
 *
 *   K₂(i, j) = K(i, j) + q K(i, j)² / (K(i, i) K(j, j)),     q = share · mean K(j, j)
 *
 * divided by the lengths, so that an item with more modalities does not count for more. So many features cannot be
 * written down; ridge regression through the items needs only K₂ between them. Landmarks instead of all items (Nyström)
 * lose what the pairs bring, and so do pairs across modalities alone (PERFORMANCE.md); catalogues that are too large go
 * without.
 *
 * With C = K₂ + λ I, all scores are B C⁻¹ K₂ = B − λ B C⁻¹. Their truncated SVD U Σ Vᵀ gives history factors U, and an
 * item, seen or new, the factors K₂(i, active) C⁻¹ Bᵀ U.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/content_map_solve.h"

#define CELLS_MAX (1u << 26) /* of a kernel of items × items with events: 256 MiB each, four at once */
#define SVD_STEPS 2

bool content_pairs_affordable(size_t active, size_t items) { return items == 0 || active <= CELLS_MAX / items; }

medley_status scaled_rows_make(const float *phi, size_t count, size_t dim, const float *scale, const float *root,
                               scaled_rows *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double sum = 0;
  float *scaled = NULL;
  *out = (scaled_rows){.count = count, .dim = dim};
  TRY_NEW(out->rows, count * dim + 1, "features");
  TRY_NEW(out->squares, count + 1, "features");
  TRY_NEW(scaled, count * dim + 1, "features");
#pragma omp parallel for schedule(static)
  for (size_t r = 0; r < count; r++)
    for (size_t d = 0; d < dim; d++) scaled[r * dim + d] = scale[d] * phi[r * dim + d];
  matrix_multiply(false, false, count, dim, dim, 1, scaled, root, 0, out->rows);
#pragma omp parallel for schedule(static) reduction(+ : sum)
  for (size_t r = 0; r < count; r++) {
    const float *row = out->rows + r * dim;
    out->squares[r] = vector_dot(row, row, dim);
    sum += (double)out->squares[r];
  }
  out->mean_square = count > 0 ? sum / (double)count : 0;
done:
  mem_free(scaled);
  return status;
}

void scaled_rows_deinit(scaled_rows *r) {
  mem_free(r->rows);
  mem_free(r->squares);
  *r = (scaled_rows){0};
}

void content_pairs_kernel(const scaled_rows *a, const scaled_rows *b, float q, float *out) {
  matrix_multiply(false, true, a->count, b->count, a->dim, 1, a->rows, b->rows, 0, out);
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < a->count; i++) {
    float *row = out + i * b->count, part = a->squares[i] > 0 ? q / a->squares[i] : 0;
    for (size_t j = 0; j < b->count; j++) row[j] += b->squares[j] > 0 ? part * row[j] * row[j] / b->squares[j] : 0;
  }
}

medley_status content_pairs_solve(const scaled_rows *known, float pairs, float lambda, float *right, size_t columns,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = known->count;
  float *c = NULL;
  TRY_NEW(c, n * n + 1, "the kernel of the items");
  content_pairs_kernel(known, known, pairs * (float)known->mean_square, c);
  for (size_t i = 0; i < n; i++) c[i * n + i] += lambda;
  TRY(matrix_solve_spd(c, n, right, columns, err));
done:
  mem_free(c);
  return status;
}

/* scores [active, active] = B − λ B C⁻¹, from solved [active, active + 1] = C⁻¹ Bᵀ and a column more. */
static void scores_all(const float *b, const float *solved, float lambda, size_t n, float *scores) {
#pragma omp parallel for schedule(static)
  for (size_t j = 0; j < n; j++)
    for (size_t i = 0; i < n; i++) scores[j * n + i] = b[j * n + i] - lambda * solved[i * (n + 1) + j];
}

/* The explanation's share of the single properties: P [dim, rank] = S A (Φ S A)ᵀ dual. */
static medley_status projection_of(const scaled_rows *known, const float *dual, const float *scale, const float *root,
                                   size_t rank, float *projection, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = known->dim;
  float *inner = NULL;
  TRY_NEW(inner, dim * rank, "factors");
  matrix_multiply(true, false, dim, rank, known->count, 1, known->rows, dual, 0, inner);
  matrix_multiply(false, false, dim, rank, dim, 1, root, inner, 0, projection);
  for (size_t d = 0; d < dim; d++) vector_scale(projection + d * rank, scale[d], rank);
done:
  mem_free(inner);
  return status;
}

medley_status content_pairs_finish(const base_matrix *base, const scaled_rows *known, const float *scale,
                                   const float *root, const float *popularity, uint64_t seed, content_map_fit *out,
                                   float **dual, float **popular, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t n = known->count, found, wanted = n < CONTENT_MAP_RANK_MAX ? n : CONTENT_MAP_RANK_MAX;
  float *solved = NULL, *scores = NULL, *u = NULL, *v = NULL, *values = NULL;
  double all = 0;
  TRY_NEW(*popular, n + 1, "popularity");
  TRY_NEW(solved, n * (n + 1) + 1, "the collaborative matrix");
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < n; i++) {
    for (size_t j = 0; j < n; j++) solved[i * (n + 1) + j] = base->b[j * n + i];
    solved[i * (n + 1) + n] = popularity[i]; /* learned as one more person's taste */
  }
  TRY(content_pairs_solve(known, out->pairs, out->lambda, solved, n + 1, err));
  for (size_t i = 0; i < n; i++) (*popular)[i] = solved[i * (n + 1) + n];
  TRY_NEW(scores, n * n + 1, "scores");
  scores_all(base->b, solved, out->lambda, n, scores);
  for (size_t j = 0; j < n; j++) all += (double)vector_dot(scores + j * n, scores + j * n, n);
  TRY_NEW(u, n * wanted + 1, "factors");
  TRY_NEW(v, n * wanted + 1, "factors");
  TRY_NEW(values, wanted + 1, "factors");
  TRY(matrix_svd_truncated(scores, n, n, wanted, SVD_STEPS, seed, u, values, v, &found, err));
  for (size_t e = 0; e < found; e++) values[e] *= values[e];
  out->rank = content_rank(values, found, all);
  TRY_NEW(out->history_factors, n * out->rank + 1, "factors");
  for (size_t j = 0; j < n; j++) memcpy(out->history_factors + j * out->rank, u + j * found, out->rank * sizeof *u);
  TRY_NEW(*dual, n * out->rank + 1, "factors");
  matrix_multiply_strided(false, false, n, out->rank, n, 1, solved, n + 1, out->history_factors, out->rank, 0, *dual,
                          out->rank);
  TRY_NEW(out->projection, known->dim * out->rank, "factors");
  TRY(projection_of(known, *dual, scale, root, out->rank, out->projection, err));
done:
  mem_free(solved);
  mem_free(scores);
  mem_free(u);
  mem_free(v);
  mem_free(values);
  return status;
}
