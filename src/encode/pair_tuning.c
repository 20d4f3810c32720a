/* encode/pair_tuning.c: see encode/pair_tuning.h.
 *
 * A step takes one view of each: a part of the picture, and the title or some of the words of the text, half of the
 * steps each, since people search with few words. */
#include "encode/pair_tuning.h"

typedef struct pair_tuning {
  const picture_tuner *pictures;
  const text_tuner *texts;
  const encoder_tuning *how;
  picture_views picture_views;
  text_views text_views;
  uint32_t of_step[TUNING_BATCH];
} pair_tuning;

static tensor *pair_loss(tape *t, void *context, const uint32_t *items, size_t count) {
  pair_tuning *c = context;
  rng r;
  trained_draw_seed(&r, c->how->seed, t);
  bool titles = rng_uniform(&r) < 0.5;
  packed_texts_clear(&c->text_views.packed);
  for (size_t i = 0; i < count; i++) {
    c->of_step[i] = c->text_views.usable[items[i]];
    if (!text_views_add(&c->text_views, t, &r, c->of_step[i], 0, titles)) return NULL;
  }
  const float *pixels = picture_views_draw(&c->picture_views, t, &r, c->of_step, count, 1);
  if (pixels == NULL) return NULL;
  text_batch batch = packed_texts_batch(&c->text_views.packed);
  tensor *seen = c->pictures->vectors(t, c->pictures->network, pixels, count);
  tensor *read = c->texts->vectors(t, c->texts->network, &batch);
  return seen != NULL && read != NULL ? tuning_loss(t, op_concat(t, (tensor *[]){seen, read}, 2, 0), count) : NULL;
}

medley_status pair_tune(const picture_tuner *pictures, const text_tuner *texts, weights *w, const encoder_tuning *how,
                        const encoder_input *inputs, size_t count, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  pair_tuning c = {.pictures = pictures, .texts = texts, .how = how};
  size_t found = 0;
  text_views_init(&c.text_views, &texts->batcher, inputs);
  TRY(picture_views_init(&c.picture_views, &pictures->preparation, inputs, TUNING_BATCH, err));
  TRY(text_views_find(&c.text_views, count, &found, err));
  TRY(tuning_run(w, how, (trained_plan){.loss = pair_loss, .context = &c}, found, "pictures with words beside them",
                 progress, err));
done:
  picture_views_deinit(&c.picture_views);
  text_views_deinit(&c.text_views);
  return status;
}
