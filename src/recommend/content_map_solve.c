/* recommend/content_map_solve.c: the last solve of content_map over the dimensions of φ, for catalogues of any length.
 *
 * The product W = B Φ S (S ΦᵀΦ S + λ I)⁻¹ S [active, dim] is cut to a low rank in the metric of the items: the best
 * approximation of all scores W Φᵀ.
 */
#include "recommend/content_map_solve.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"

#define ENERGY 0.9995 /* of the scores that the low rank keeps */

medley_status content_base_multiply(const base_matrix *b, size_t active, const float *phi, size_t dim, float *out,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *inner = NULL;
  if (b->b != NULL) {
    matrix_multiply(false, false, active, dim, active, 1, b->b, phi, 0, out);
    return MEDLEY_OK;
  }
  TRY_NEW(inner, b->rank * dim, "factors");
  matrix_multiply(true, false, b->rank, dim, active, 1, b->v, phi, 0, inner);
  matrix_multiply(false, false, active, dim, b->rank, 1, b->v, inner, 0, out);
done:
  mem_free(inner);
  return status;
}

void content_scale(const content_parts *c, const float *weight, float *scale) {
  for (size_t p = 0; p < c->count; p++)
    for (size_t d = 0; d < c->part[p].dim; d++) scale[c->offset[p] + d] = sqrtf(weight[p]);
  scale[c->dim - 1] = sqrtf(weight[c->count]);
}

void content_system(const float *gram, const float *scale, float lambda, size_t dim, float *a) {
#pragma omp parallel for schedule(static)
  for (size_t r = 0; r < dim; r++) {
    for (size_t c = 0; c < dim; c++) a[r * dim + c] = scale[r] * scale[c] * gram[r * dim + c];
    a[r * dim + r] += lambda;
  }
}

size_t content_rank(const float *energy, size_t count, double all) {
  size_t rank = 0;
  for (double kept = 0; rank < count && rank < CONTENT_MAP_RANK_MAX && (rank == 0 || kept < ENERGY * all); rank++)
    kept += energy[rank] > 0 ? (double)energy[rank] : 0;
  return rank;
}

/* W [active, dim] = M S (S G S + λ I)⁻¹ S, in place of m. */
static medley_status map_apply(float *m, const float *gram, size_t active, const float *scale, float lambda, size_t dim,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *a = NULL, *right = NULL;
  TRY_NEW(a, dim * dim, "features");
  TRY_NEW(right, dim * active + 1, "features");
  content_system(gram, scale, lambda, dim, a);
#pragma omp parallel for schedule(static)
  for (size_t d = 0; d < dim; d++)
    for (size_t i = 0; i < active; i++) right[d * active + i] = scale[d] * m[i * dim + d];
  TRY(matrix_solve_spd(a, dim, right, active, err));
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < active; i++)
    for (size_t d = 0; d < dim; d++) m[i * dim + d] = scale[d] * right[d * active + i];
done:
  mem_free(a);
  mem_free(right);
  return status;
}

/* W ≈ H (P-side): with E the eigenvectors of Rᵀ(WᵀW)R, R = (G + εI)^½ through its own eigenvectors, scores W Φᵀ = (W R
 * E)(Φ R⁻¹ E)ᵀ; the leading columns keep ENERGY of their sum of squares. */
static medley_status map_factor(const float *w, const float *gram, size_t active, size_t dim, content_map_fit *out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  double all = 0;
  float *q = NULL, *values = NULL, *root = NULL, *inverse = NULL, *wr = NULL, *k = NULL, *energy = NULL;
  TRY_NEW(q, dim * dim, "factors");
  TRY_NEW(values, dim, "factors");
  TRY_NEW(root, dim * dim, "factors");
  TRY_NEW(inverse, dim * dim, "factors");
  TRY_NEW(wr, active * dim + 1, "factors");
  TRY_NEW(k, dim * dim, "factors");
  TRY_NEW(energy, dim, "factors");
  memcpy(q, gram, dim * dim * sizeof *q);
  TRY(matrix_eigen_symmetric(q, dim, values, err)); /* rows of q are eigenvectors */
  float floor = 1e-6f * (values[dim - 1] > 0 ? values[dim - 1] : 1);
  for (size_t e = 0; e < dim; e++) {
    float s = sqrtf(values[e] > floor ? values[e] : floor);
    for (size_t d = 0; d < dim; d++) {
      root[d * dim + e] = q[e * dim + d] * s;    /* R columns */
      inverse[d * dim + e] = q[e * dim + d] / s; /* R⁻ᵀ columns */
    }
  }
  matrix_multiply(false, false, active, dim, dim, 1, w, root, 0, wr);
  matrix_gram(active, dim, 1, wr, 0, k);
  TRY(matrix_eigen_symmetric(k, dim, energy, err));
  for (size_t e = 0; e < dim; e++) all += energy[e] > 0 ? energy[e] : 0;
  for (size_t e = 0; e < dim / 2; e++) { /* descending */
    float swapped = energy[e];
    energy[e] = energy[dim - 1 - e];
    energy[dim - 1 - e] = swapped;
  }
  out->rank = content_rank(energy, dim, all);
  /* The last `rank` rows of k, as columns. */
  const float *leading = k + (dim - out->rank) * dim;
  TRY_NEW(out->history_factors, active * out->rank + 1, "factors");
  TRY_NEW(out->projection, dim * out->rank, "factors");
  matrix_multiply(false, true, active, out->rank, dim, 1, wr, leading, 0, out->history_factors);
  matrix_multiply(false, true, dim, out->rank, dim, 1, inverse, leading, 0, out->projection);
done:
  mem_free(q);
  mem_free(values);
  mem_free(root);
  mem_free(inverse);
  mem_free(wr);
  mem_free(k);
  mem_free(energy);
  return status;
}

medley_status content_map_finish(const base_matrix *base, const content_parts *parts, const float *phi,
                                 const float *popularity, size_t active, content_map_fit *out, float **popular,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = parts->dim;
  float *m = NULL, *gram = NULL, *scale = NULL;
  TRY_NEW(m, (active + 1) * dim, "features"); /* popularity is learned as one more person's taste */
  TRY_NEW(gram, dim * dim, "features");
  TRY_NEW(scale, dim, "features");
  TRY_NEW(*popular, dim, "features");
  TRY(content_base_multiply(base, active, phi, dim, m, err));
  for (size_t i = 0; i < active; i++) vector_add_scaled(m + active * dim, popularity[i], phi + i * dim, dim);
  matrix_gram(active, dim, 1, phi, 0, gram);
  content_scale(parts, out->weight, scale);
  TRY(map_apply(m, gram, active + 1, scale, out->lambda, dim, err));
  memcpy(*popular, m + active * dim, dim * sizeof *m);
  TRY(map_factor(m, gram, active, dim, out, err));
done:
  mem_free(m);
  mem_free(gram);
  mem_free(scale);
  return status;
}
