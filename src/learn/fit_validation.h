/* learn/fit_validation.h: what fit tunes on.
 *
 * Validation is cut as the test will be: by the same kind of split, out of what may be learned from. Two parts of it
 * are looked at alone, because models are good at one or the other: what is asked of warm items (with events left to
 * learn from) and of cold ones. A split that goes by time has cold items by itself; for the others a share of the items
 * loses all its events. The third task is the demand as the split would make it, warm and cold together, all items
 * ranked.
 */
#ifndef LEARN_FIT_VALIDATION_H
#define LEARN_FIT_VALIDATION_H

#include "learn/fit.h"

typedef struct fit_validation {
  interactions train;  /* without anything held out */
  interactions known;  /* what the models are told of each user: train, and half of the events of cold users */
  interactions nobody; /* no events: everybody is a stranger */
  interactions warm_test, cold_test, demand_test;
  uint8_t *cold_items; /* [items] 1: no event in `train`, whether made cold on purpose or not */
  uint32_t cold_count;
  uint8_t *made_cold;  /* [items] 1: made cold on purpose */
  uint8_t *warm_asked; /* [items] candidates of each task: 1: warm … */
  uint8_t *cold_asked; /* … 1: cold, and somebody chose it … */
  uint8_t *asked;      /* … either, and what nobody chose where that means that nobody wants it */
  measure_task warm, cold, demand, stranger;
  uint32_t *warm_users, *cold_users;
  bool has_cold;    /* there is content, and enough items are cold */
  double new_share; /* of the events that the cut asks for, those on items without an event before it */
} fit_validation;

/* user_limit: users asked in each task; more of warm items where that would be few events. */
medley_status fit_validation_make(const fit_input *input, const fit_options *options, const interactions *all,
                                  size_t user_limit, fit_validation *out, medley_error *err) MEDLEY_CHECK;
void fit_validation_deinit(fit_validation *v);

#endif
