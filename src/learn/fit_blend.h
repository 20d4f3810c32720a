/* learn/fit_blend.h: the weights of the blend, tuned on validation.
 *
 * Warm weights are tuned on what is asked of warm items, cold ones on cold items among themselves, those of strangers
 * with every history taken away. Then cold items get their place among warm ones: a factor on their scores and a
 * constant, so that the demand as a whole is served well and new items are found no worse than the best single model
 * finds them, but for no more than a small share of the demand. A sum of models that is not surely better than the best
 * of them gives way to that one.
 */
#ifndef LEARN_FIT_BLEND_H
#define LEARN_FIT_BLEND_H

#include "learn/fit_validation.h"

typedef struct blend_tuning { /* borrowed */
  fit_result *out;            /* the models' weights are written here */
  const fit_validation *validation;
  recommender *const *tuned; /* [out->model_count] fitted on validation->train; NULL: takes no part */
  double new_items;          /* of the demand as a whole, what finding new items may cost */
  const catalogue *items;
  uint64_t seed;
  float cold_shift; /* found */
  rerank *rerank;   /* found, the caller's: its parts are the models by number; NULL: none */
} blend_tuning;

medley_status fit_blend_tune(blend_tuning *t, progress_stage *stage, medley_error *err) MEDLEY_CHECK;

/* What a ranker is to know of the items: with the popularity of `train`. */
medley_status fit_blend_items(const catalogue *items, const interactions *train, const int64_t *time_s, rerank **out,
                              medley_error *err) MEDLEY_CHECK;

/* Whether any model has a weight for warm items, cold ones, or strangers. */
bool fit_any_weight(const fit_result *r, int temperature);

#define FIT_SHIFT_MAX 12.0f /* how far up cold items may be moved; single scores reach ten deviations */
#define FIT_SHIFT_MIN (-10.0f)

#endif
