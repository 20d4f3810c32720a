/* learn/importance.h: what the blend loses on held-out events when a modality or a model is taken out (F36).
 *
 * A model is taken out by its weight; the others keep theirs. A modality is taken out by fitting again, without it and
 * with the same settings, every model of the blend that reads content. The differences are paired by user.
 */
#ifndef LEARN_IMPORTANCE_H
#define LEARN_IMPORTANCE_H

#include "learn/fit.h"

/* whole: the blend itself measured on the task with these options. *out: [{"without":"image","kind":"modality",
 * "metrics":{"recall@20":{"difference":…,"lo":…,"hi":…}}}, …], difference > 0: the blend is better with it; a new
 * reference. */
medley_status importance_measure(const fit_result *fit, const measure_task *task, const measure_options *options,
                                 const measurement *whole, uint64_t seed, const medley_progress *progress, json_t **out,
                                 medley_error *err) MEDLEY_CHECK;

#endif
