/* encode/sound_tuning.c: see encode/sound_tuning.h.
 *
 * A view is a part of the sound, from half of it to all of it and no longer than the network hears at once, louder or
 * softer; some of its bands and some of its frames are brought to the view's mean (Park et al. 2019). Both views of a
 * long sound are parts of it that need not overlap. */
#include "encode/sound_tuning.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "encode/rows.h"
#include "encode/sound_view.h"
#include "media/sound.h"
#include "nn/op_kind.h"

#define SHARE_LEAST 0.5
#define LOUDER_MOST_DB 8.0
#define BANDS_OUT_SHARE 5 /* at most a fifth of the bands, */
#define FRAMES_OUT_SHARE 6

enum { BATCH = TUNING_BATCH / 2 };

/* A part of a sound, as drawn. */
typedef struct sound_cut {
  const sound *from;
  size_t first, count; /* samples of the sound, at its own rate */
  float factor;
  rng masks; /* what is left out of its features */
} sound_cut;

typedef struct sound_tuning {
  const sound_tuner *tuner;
  const encoder_tuning *how;
  const encoder_input *inputs;
  sound_cut cuts[2 * BATCH];
  size_t samples[2 * BATCH]; /* of each view, at our rate */
  float *features;           /* [2 BATCH, frames * bands] */
} sound_tuning;

/* ---- views ---- */

static sound_cut cut_draw(const sound_tuner *tuner, rng *r, const sound *from) {
  sound_cut c = {.from = from};
  double share = SHARE_LEAST + (1 - SHARE_LEAST) * rng_uniform(r);
  size_t most = (size_t)((double)tuner->window * from->rate_hz / SOUND_TUNING_RATE_HZ);
  c.count = (size_t)((double)from->count * share);
  if (c.count > most) c.count = most;
  if (c.count == 0) c.count = from->count > 0;
  c.first = (size_t)rng_below(r, from->count - c.count + 1);
  c.factor = (float)pow(10, LOUDER_MOST_DB / 20 * (2 * rng_uniform(r) - 1));
  rng_seed(&c.masks, rng_next(r));
  return c;
}

/* Frames that have sound in them; one at least. */
static size_t frames_known(const sound_tuner *tuner, size_t samples) {
  size_t frames = (samples + SOUND_TUNING_HOP - 1) / SOUND_TUNING_HOP;
  return frames < 1 ? 1 : frames > tuner->frames ? tuner->frames : frames;
}

static void features_leave_out(const sound_tuner *tuner, rng *masks, size_t samples, float *features) {
  size_t known = frames_known(tuner, samples);
  sound_spectrum s = {.values = features,
                      .frames = known,
                      .bands = tuner->bands,
                      .frame_step = tuner->bands_first ? 1 : tuner->bands,
                      .band_step = tuner->bands_first ? tuner->frames : 1};
  float mean = sound_spectrum_mean(&s);
  sound_spectrum_leave_out(masks, &s, false, tuner->bands / BANDS_OUT_SHARE, mean);
  sound_spectrum_leave_out(masks, &s, true, known / FRAMES_OUT_SHARE, mean);
}

/* `view` has the rate and the length that the network takes. */
static medley_status view_hear(sound_tuning *c, size_t index, const sound *view, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sound_tuner *tuner = c->tuner;
  float *features = c->features + index * tuner->frames * tuner->bands;
  c->samples[index] = view->count < tuner->window ? view->count : tuner->window;
  TRY(tuner->hear(tuner->context, &(sound){view->rate_hz, c->samples[index], view->samples}, features, err));
  features_leave_out(tuner, &c->cuts[index].masks, c->samples[index], features);
done:
  return status;
}

static medley_status view_make(void *context, void *scratch, size_t index, medley_error *err) {
  (void)scratch;
  medley_status status = MEDLEY_OK;
  sound_tuning *c = context;
  const sound_cut *cut = &c->cuts[index];
  sound view = {.rate_hz = cut->from->rate_hz, .count = cut->count}, even = {0};
  TRY_NEW(view.samples, view.count + 1, "a view of a sound");
  for (size_t i = 0; i < view.count; i++) view.samples[i] = cut->factor * cut->from->samples[cut->first + i];
  if (view.rate_hz != SOUND_TUNING_RATE_HZ) TRY(sound_resample(&view, SOUND_TUNING_RATE_HZ, &even, err));
  TRY(view_hear(c, index, even.samples != NULL ? &even : &view, err));
done:
  sound_deinit(&view);
  sound_deinit(&even);
  return status;
}

/* ---- a step ---- */

/* What is random is drawn by one thread, so that it is the same for any number of them. */
static tensor *sound_loss(tape *t, void *context, const uint32_t *items, size_t count) {
  sound_tuning *c = context;
  medley_error error = {0};
  rng r;
  trained_draw_seed(&r, c->how->seed, t);
  for (size_t i = 0; i < 2 * count; i++) c->cuts[i] = cut_draw(c->tuner, &r, c->inputs[items[i % count]].sound);
  medley_status status = rows_run(&(row_work){c, NULL, NULL, view_make}, 2 * count, &error);
  if (status == MEDLEY_ERR_MEMORY) op_fail_memory(t, "a view of a sound");
  if (status != MEDLEY_OK && status != MEDLEY_ERR_MEMORY) op_fail(t, "%s", error.text);
  if (status != MEDLEY_OK) return NULL;
  return tuning_loss(t, c->tuner->vectors(t, c->tuner->context, c->features, c->samples, 2 * count), count);
}

medley_status sound_tune(const sound_tuner *tuner, weights *w, const encoder_tuning *how, const encoder_input *inputs,
                         size_t count, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound_tuning c = {.tuner = tuner, .how = how, .inputs = inputs};
  TRY_NEW(c.features, 2 * BATCH * tuner->frames * tuner->bands, "views of sounds");
  TRY(tuning_run(w, how, (trained_plan){.batch = BATCH, .loss = sound_loss, .context = &c}, count, "sounds", progress,
                 err));
done:
  mem_free(c.features);
  return status;
}
