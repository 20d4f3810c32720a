/* engine/training_curves.c: see engine/training_curves.h. */
#include "engine/training_curves.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/strbuf.h"
#include "explain/curves.h"

/* ---- while it goes on ---- */

static training_log *log_of(training_curves *c, const char *stage) {
  for (size_t i = 0; i < c->count; i++)
    if (strncmp(c->of[i].stage, stage, sizeof c->of[i].stage - 1) == 0) return &c->of[i].log;
  if (c->count == TRAINING_CURVES_MAX) return NULL;
  snprintf(c->of[c->count].stage, sizeof c->of[c->count].stage, "%s", stage);
  return &c->of[c->count++].log;
}

/* The step is the progress's, so that the curve's length is the training's. */
static void loss_take(training_curves *c, const medley_progress_state *state) {
  if (!isfinite(state->loss)) return;
  training_log *log = log_of(c, state->stage);
  if (log == NULL || state->done <= log->steps) return;
  log->steps = state->done - 1;
  (void)(training_log_step(log, NULL, state->loss, state->learning_rate, NULL) ==
         MEDLEY_OK); /* without memory: a point less */
}

static int curves_report(void *context, const medley_progress_state *state) {
  training_curves *c = context;
  loss_take(c, state);
  return c->to != NULL && c->to->report != NULL ? c->to->report(c->to->context, state) : 0;
}

static void curves_note(void *context, const char *text) {
  const training_curves *c = context;
  if (c->to != NULL && c->to->note != NULL) c->to->note(c->to->context, text);
}

medley_status training_curves_begin(training_curves *c, const char *path, const medley_progress *to,
                                    medley_error *err) {
  *c = (training_curves){.to = to, .path = path, .progress = {curves_report, curves_note, c}};
  const char *kind = path != NULL ? path_extension(path) : "svg";
  if (strcasecmp(kind, "svg") == 0 || strcasecmp(kind, "png") == 0) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "'%s': training curves go to a file that ends in .svg or .png", path);
}

const medley_progress *training_curves_progress(const training_curves *c) {
  return c->path != NULL ? &c->progress : c->to;
}

/* ---- when it is over ---- */

/* "curves.svg" and "fit encoder" → "curves-fit-encoder.svg" */
static void name_add_stage(const char *path, const char *stage, strbuf *out) {
  const char *end = path_extension(path) - 1; /* the dot */
  strbuf_append_bytes(out, path, (size_t)(end - path));
  strbuf_append(out, "-");
  for (const char *at = stage; *at != '\0'; at++) strbuf_append_bytes(out, *at == ' ' || *at == '/' ? "-" : at, 1);
  strbuf_append(out, end);
}

static void curve_draw(const training_curves *c, size_t which) {
  medley_error why = {0};
  strbuf path = {0};
  if (c->count > 1)
    name_add_stage(c->path, c->of[which].stage, &path);
  else
    strbuf_append(&path, c->path);
  medley_status status = path.failed ? error_memory(&why, "a file name")
                                     : curves_save(&c->of[which].log, c->of[which].stage, path.text, &why);
  if (status == MEDLEY_OK)
    progress_note(c->to, "how '%s' went: %s", c->of[which].stage, path.text);
  else
    progress_note(c->to, "how '%s' went is not drawn: %s", c->of[which].stage, why.text);
  strbuf_deinit(&path);
}

void training_curves_end(training_curves *c) {
  for (size_t i = 0; i < c->count; i++) {
    curve_draw(c, i);
    training_log_deinit(&c->of[i].log);
  }
  if (c->path != NULL && c->count == 0) progress_note(c->to, "no network was trained: there are no curves to draw");
  c->count = 0;
}
