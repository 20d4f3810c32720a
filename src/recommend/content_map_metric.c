/* recommend/content_map_metric.c: which directions of all features together count, learned from what people choose.
 *
 * Weights per modality treat all words alike. The linear map W [dim, active] to the columns of EASE has told more: a
 * direction that it uses much says what people choose, one that it hardly uses says nothing, whatever its share of the
 * text. So the features' metric becomes
 *
 *   D = c (W Wᵀ)^¾
 *
 * where the power ½ is what would cost W's outputs least (Argyriou, Evgeniou & Pontil 2007, one step of theirs), the
 * power 1 is that of Radhakrishnan et al. 2024, and what lies between finds most new items (PERFORMANCE.md); c leaves
 * the mean of K(i, i) as it is. For the linear map it changes next to nothing; its gain is in pairs, which are then
 * pairs of directions that count.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/content_map_solve.h"

#define POWER 0.75f

/* right [dim, dim] = (S G S + λ I)⁻¹ right; room [dim, dim]. */
static medley_status system_solve(const float *gram, const float *scale, float lambda, size_t dim, float *room,
                                  float *right, medley_error *err) {
  content_system(gram, scale, lambda, dim, room);
  return matrix_solve_spd(room, dim, right, dim, err);
}

/* out [dim, dim] = W Wᵀ = C⁻¹ S O S C⁻¹ with C = S G S + λ I and O = (B Φ)ᵀ B Φ. */
static medley_status outputs_gram(const float *gram, const float *outer, const float *scale, float lambda, size_t dim,
                                  float *room, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  content_system(outer, scale, 0, dim, out);
  TRY(system_solve(gram, scale, lambda, dim, room, out, err));
  for (size_t r = 0; r < dim; r++)
    for (size_t c = 0; c < r; c++) {
      float upper = out[c * dim + r];
      out[c * dim + r] = out[r * dim + c];
      out[r * dim + c] = upper;
    }
  TRY(system_solve(gram, scale, lambda, dim, room, out, err));
  for (size_t r = 0; r < dim; r++) /* symmetric but for rounding */
    for (size_t c = 0; c < r; c++) out[c * dim + r] = out[r * dim + c] = (out[c * dim + r] + out[r * dim + c]) / 2;
done:
  return status;
}

medley_status content_metric(const float *gram, const float *outer, const float *scale, float lambda, size_t dim,
                             float **root, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *vectors = NULL, *values = NULL, *room = NULL, *turned = NULL;
  double before = 0, after = 0;
  *root = NULL;
  TRY_NEW(vectors, dim * dim, "features");
  TRY_NEW(values, dim, "features");
  TRY_NEW(room, dim * dim, "features");
  TRY_NEW(turned, dim * dim, "features");
  TRY_NEW(*root, dim * dim, "features");
  TRY(outputs_gram(gram, outer, scale, lambda, dim, room, vectors, err));
  TRY(matrix_eigen_symmetric(vectors, dim, values, err)); /* rows are eigenvectors */
  content_system(gram, scale, 0, dim, room);
  matrix_multiply(false, false, dim, dim, dim, 1, vectors, room, 0, turned);
  for (size_t e = 0; e < dim; e++) {
    values[e] = powf(values[e] > 0 ? values[e] : 0, POWER);
    before += (double)room[e * dim + e];
    after += (double)(values[e] * vector_dot(vectors + e * dim, turned + e * dim, dim));
  }
  float share = after > 0 ? (float)(before / after) : 0;
  for (size_t e = 0; e < dim; e++) {
    float length = sqrtf(share * values[e]);
    for (size_t d = 0; d < dim; d++) (*root)[d * dim + e] = length * vectors[e * dim + d];
  }
done:
  mem_free(vectors);
  mem_free(values);
  mem_free(room);
  mem_free(turned);
  if (status != MEDLEY_OK) {
    mem_free(*root);
    *root = NULL;
  }
  return status;
}
