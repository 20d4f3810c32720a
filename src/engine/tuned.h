/* engine/tuned.h: what searches over settings leave in a workspace, and find there again:
 *
 *   search/trials.jsonl   every trial that was made (learn/trials.h)
 *   search/settings.json  {"models": {"ease": {"settings": {"ridge": 300, …}, "objective": …, "made": "…Z"}, …}}: the
 *                         best settings of each model, with which training begins
 */
#ifndef ENGINE_TUNED_H
#define ENGINE_TUNED_H

#include <medley/train.h>

#include "engine/workspace.h"

#define TUNED_BUDGET_S 300.0

typedef struct tuned {
  char *trials_path, *settings_path;
  json_t *kept;  /* what settings.json holds, "models" */
  json_t *known; /* {"ease": {"ridge": 300, …}, …}, for fit_options.known */
  trials_file file;
  fit_search search; /* with .file */
} tuned;

/* How to search, from a name (NULL: the default kind), seconds and trials (0 for both: TUNED_BUDGET_S). */
medley_status tuned_how(const char *name, double budget_s, uint64_t trials, fit_search *out,
                        medley_error *err) MEDLEY_CHECK;
/* What is there; models of other builds are left out. */
medley_status tuned_open(const medley_workspace *w, tuned *out, medley_error *err) MEDLEY_CHECK;
/* Opens the trials, too, for a search. fresh: what is there is removed first. */
medley_status tuned_search(const medley_workspace *w, const medley_tune_options *o, tuned *out,
                           medley_error *err) MEDLEY_CHECK;
/* The best settings of the models that were searched, over those from before. */
medley_status tuned_keep(tuned *t, const fit_result *fit, medley_error *err) MEDLEY_CHECK;
void tuned_close(tuned *t);

#endif
