/* learn/trials.h: the trials of searches over settings, in a file of JSON lines, so that a search that was stopped, or
 * killed, goes on where it was.
 *
 *   {"problem": "<hex>", "model": "ease", "share": 1, "objective": 0.2512, "seconds": 0.81, "settings": {"ridge": 300}}
 *
 * A trial counts only for the problem it was made on: the hash of what was learned from and asked for. Lines are
 * appended whole; one that a kill cut off is dropped when the file is opened again. Objective null: it came to nothing.
 */
#ifndef LEARN_TRIALS_H
#define LEARN_TRIALS_H

#include "base/hash.h"
#include "base/json.h"
#include "learn/tuner.h"

typedef struct trials_file {
  char *path;
  json_t *lines; /* of the file, parsed; trials_add appends to both */
} trials_file;

/* A file that is not there yet is an empty one. One that is no file of trials is refused. */
medley_status trials_open(trials_file *f, const char *path, medley_error *err) MEDLEY_CHECK;
void trials_close(trials_file *f);
/* Of one model on one problem, in their order, added to s. What lies outside the settings' bounds is refused. */
medley_status trials_read(const trials_file *f, const char problem[HASH_HEX_BYTES], const recommender_kind *kind,
                          tuning_search *s, medley_error *err) MEDLEY_CHECK;
/* Appended and flushed. */
medley_status trials_add(trials_file *f, const char problem[HASH_HEX_BYTES], const recommender_kind *kind,
                         const trial *t, medley_error *err) MEDLEY_CHECK;

/* {"ridge": 300, …} of values in the order of the kind's settings, and back: members that are missing keep what is in
 * values; unknown ones and those out of bounds are refused. `where` names the source in the sentence. */
json_t *settings_to_json(const recommender_kind *kind, const double *values);
medley_status settings_from_json(const recommender_kind *kind, const json_t *settings, const char *where,
                                 double *values, medley_error *err) MEDLEY_CHECK;

#endif
