/* align/aligner.h: two modalities into one space (F21, F24). An aligner maps x and y so that pairs lie together; with
 * more than two modalities, each is aligned to the same anchor (text when there is text).
 */
#ifndef ALIGN_ALIGNER_H
#define ALIGN_ALIGNER_H

#include "base/error.h"
#include "encode/normaliser.h"
#include "nn/safetensors.h"

#define ALIGNER_DIM_MAX 8192

/* Pairs: row i of x and row i of y belong to the same item. Values are finite. An x that has several y (a picture with
 * five captions) stands in as many rows. */
typedef struct aligner_pairs {
  const float *x, *y; /* [count, x_dim], [count, y_dim] */
  size_t count, x_dim, y_dim;
} aligner_pairs;

/* Linear maps into a shared space: unit((x - x_shift) x_map), likewise y. */
typedef struct alignment {
  size_t dim, x_dim, y_dim;
  float *x_shift, *y_shift; /* [x_dim], [y_dim] */
  float *x_map, *y_map;     /* [x_dim, dim], [y_dim, dim] */
  char settings[128];       /* what was chosen: "cca ridge=0.1 dim=64" */
} alignment;

typedef struct aligner_kind {
  const char *name; /* "align.cca" "align.ridge" "align.procrustes" "align.concat" "align.sum" */
  const char *summary;
  const char *source;
  /* Fits on train; when valid is given (not NULL, not empty), ridge and dim are chosen on it by the mean of recall@10
   * in both directions, at most 1,000 of its pairs being looked at. Without it the defaults hold. */
  medley_status (*fit)(const aligner_pairs *train, const aligner_pairs *valid, alignment *out, medley_error *err);
} aligner_kind;

extern const aligner_kind aligner_kinds[]; /* ended by name NULL */
const aligner_kind *aligner_kind_find(const char *name);

/* out [count, dim], unit rows; a row that maps to nothing stays zero. side 0: x, 1: y. Thread-safe. */
void alignment_apply(const alignment *a, int side, const float *rows, size_t count, float *out);
medley_status alignment_save(const alignment *a, safetensors_writer *w, const char *prefix,
                             medley_error *err) MEDLEY_CHECK;
medley_status alignment_load(const safetensors *s, const char *prefix, alignment *out, medley_error *err) MEDLEY_CHECK;
void alignment_deinit(alignment *a);

/* How well pairs find each other: a, b [count, dim] unit rows, ranked by dot product; [0] is a → b, [1] b → a. The rank
 * of a partner is 1 + the number of better rows + half of those equally good. paired_distance is the mean of 1 - cosine
 * over the pairs. */
typedef struct alignment_report {
  double recall_1[2], recall_5[2], recall_10[2], median_rank[2], paired_distance;
} alignment_report;
medley_status alignment_measure(const float *a, const float *b, size_t count, size_t dim, alignment_report *out,
                                medley_error *err) MEDLEY_CHECK;
/* The same when several rows belong together: an answer is right when its group is the query's. Groups without a row on
 * the other side are not asked. a [a_count, dim], b [b_count, dim]; the best-ranked partner counts. */
medley_status alignment_measure_groups(const float *a, const uint32_t *a_group, size_t a_count, const float *b,
                                       const uint32_t *b_group, size_t b_count, size_t dim, alignment_report *out,
                                       medley_error *err) MEDLEY_CHECK;

#endif
