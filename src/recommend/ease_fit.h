/* recommend/ease_fit.h: the weights of EASE by themselves, for the models that start from them. */
#ifndef RECOMMEND_EASE_FIT_H
#define RECOMMEND_EASE_FIT_H

#include "recommend/model.h"

#define EASE_ITEMS_MAX 20000u /* 1.6 GB of weights, twice that while fitting */

typedef struct ease_settings_values {
  double user_exponent, ridge, output_exponent, content, dropout;
} ease_settings_values;

/* content [content_count] over all items; not looked at when v->content is 0 (then it may be NULL). *out [active,
 * active], the caller's (mem_free). */
medley_status ease_weights(const interactions *train, const active_items *active, const features *content,
                           size_t content_count, const ease_settings_values *v, float **out,
                           medley_error *err) MEDLEY_CHECK;

/* How much a modality counts where shares are fixed: text 1, tags 0.3, year 0.2, pictures, sound and video 0.1, vectors
 * from outside 0.5. */
float content_share(const char *name);

#endif
