/* align/aligner.h: two modalities into one space (F21, F24). An aligner maps x and y so that pairs lie together; with
 * more than two modalities, each is aligned to the same anchor (text when there is text).
 */
#ifndef ALIGN_ALIGNER_H
#define ALIGN_ALIGNER_H

#include "base/error.h"
#include "encode/normaliser.h"
#include "nn/safetensors.h"

/* Pairs: row i of x and row i of y belong to the same item. */
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
  /* Fits on train; when valid is given (not NULL), ridge and dim are chosen on it by recall@10 in both directions. */
  medley_status (*fit)(const aligner_pairs *train, const aligner_pairs *valid, alignment *out, medley_error *err);
} aligner_kind;

extern const aligner_kind aligner_kinds[]; /* ended by name NULL */
const aligner_kind *aligner_kind_find(const char *name);

/* out [count, dim], unit rows. side 0: x, 1: y. */
void alignment_apply(const alignment *a, int side, const float *rows, size_t count, float *out);
medley_status alignment_save(const alignment *a, safetensors_writer *w, const char *prefix,
                             medley_error *err) MEDLEY_CHECK;
medley_status alignment_load(const safetensors *s, const char *prefix, alignment *out, medley_error *err) MEDLEY_CHECK;
void alignment_deinit(alignment *a);

/* How well pairs find each other: a, b [count, dim] unit rows, ranked by dot product, a → b and b → a. */
typedef struct alignment_report {
  double recall_1[2], recall_5[2], recall_10[2], median_rank[2], paired_distance;
} alignment_report;
medley_status alignment_measure(const float *a, const float *b, size_t count, size_t dim, alignment_report *out,
                                medley_error *err) MEDLEY_CHECK;

#endif
