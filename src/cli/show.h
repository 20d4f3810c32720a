/* cli/show.h: answers and reports of the library, for people or as JSON. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <jansson.h>
#include <medley/answer.h>

#include "cli/arguments.h"
#include "cli/console.h"

/* Opens the workspace that the positional "workspace" names. */
medley_status workspace_of(const arguments *a, medley_workspace **out, medley_error *err) MEDLEY_CHECK;

/* Results with their scores; with `why` also the parts as bars, the sentences and the counterfactual. */
medley_status show_answer(console *c, const medley_answer *answer, bool why, medley_error *err) MEDLEY_CHECK;

/* A report of the library (JSON text): as it is with --json, otherwise by `show`. Frees the text. */
medley_status show_report(console *c, char *json, void (*show)(console *c, const json_t *report),
                          medley_error *err) MEDLEY_CHECK;

/* Any JSON for people: scalars as aligned lines, arrays of objects as tables, weights and shares as bars. */
void show_json(console *c, const json_t *value);

/* ---- reports with a known shape (medley/train.h, content.h, workspace.h) ---- */

void show_evaluation(console *c, const json_t *report);
void show_training(console *c, const json_t *report);
/* A cell: the row's member "encoder", and "precision" where that is not f32: "text.gru, int8". */
void show_encoder(table *t, const json_t *row, text_style style);
void show_tuning(console *c, const json_t *report);
void show_import(console *c, const json_t *report);
void show_profile(console *c, const json_t *report);
void show_explanation(console *c, const json_t *report);
void show_doctor(console *c, const json_t *report);
void show_models(console *c, const json_t *report);

#endif
