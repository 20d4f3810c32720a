/* learn/fit_validation.h: what fit tunes on. */
#ifndef LEARN_FIT_VALIDATION_H
#define LEARN_FIT_VALIDATION_H

#include "learn/fit.h"

typedef struct fit_validation {
  interactions train; /* without either validation part */
  interactions warm_test, cold_test, both_test;
  uint8_t *cold_items; /* [items] 1: no event in `train`, whether made cold on purpose or not */
  uint32_t cold_count;
  uint8_t *made_cold;  /* [items] 1: made cold on purpose */
  uint8_t *warm_items; /* [items] 1: not made cold */
  measure_task warm, cold, both;
  uint32_t *warm_users, *cold_users;
  bool has_cold; /* there is content, and enough items were made cold */
} fit_validation;

medley_status fit_validation_make(const fit_input *input, const fit_options *options, const interactions *all,
                                  size_t user_limit, fit_validation *out, medley_error *err) MEDLEY_CHECK;
void fit_validation_deinit(fit_validation *v);

#endif
