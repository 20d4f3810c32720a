/* encode/picture_tuning.c: see encode/picture_tuning.h.
 *
 * A view is a part of the picture, of three tenths of its area to all of it, perhaps mirrored, brighter or darker in
 * each colour (Chen et al. 2020). A step takes half as many pictures as of texts: a picture has some two hundred
 * tokens.
 */
#include "encode/picture_tuning.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "nn/op_kind.h"

#define AREA_LEAST 0.3
#define LIGHT 0.3 /* the most that a colour is made brighter or darker, as a share */

/* A part of the picture, as drawn. */
struct picture_cut {
  const image *from;
  uint32_t left, top, width, height;
  bool mirrored;
  double light[3];
};

static uint32_t part_of(rng *r, uint32_t whole, double share, uint32_t *from) {
  uint32_t part = (uint32_t)(whole * share + 0.5);
  if (part == 0) part = 1;
  *from = (uint32_t)rng_below(r, (uint64_t)(whole - part) + 1);
  return part;
}

static picture_cut view_draw(rng *r, const image *from) {
  picture_cut c = {.from = from};
  double share = sqrt(AREA_LEAST + (1 - AREA_LEAST) * rng_uniform(r));
  c.width = part_of(r, from->width, share, &c.left);
  c.height = part_of(r, from->height, share, &c.top);
  c.mirrored = rng_uniform(r) < 0.5;
  for (int k = 0; k < 3; k++) c.light[k] = 1 + LIGHT * (2 * rng_uniform(r) - 1);
  return c;
}

static uint8_t lit(uint8_t value, double light) {
  double y = value * light + 0.5;
  return y > 255 ? 255 : (uint8_t)y;
}

static medley_status view_make(const picture_cut *c, const image_preparation *p, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image part = {c->width, c->height, NULL};
  TRY_NEW(part.rgb, (size_t)c->width * c->height * 3, "a view of a picture");
  for (uint32_t y = 0; y < c->height; y++)
    for (uint32_t x = 0; x < c->width; x++) {
      size_t at = c->left + (c->mirrored ? c->width - 1 - x : x);
      const uint8_t *from = c->from->rgb + ((size_t)(c->top + y) * c->from->width + at) * 3;
      for (int k = 0; k < 3; k++) part.rgb[((size_t)y * c->width + x) * 3 + (size_t)k] = lit(from[k], c->light[k]);
    }
  TRY(image_prepare(p, &part, out, err));
done:
  image_deinit(&part);
  return status;
}

/* ---- views of a batch ---- */

medley_status picture_views_init(picture_views *v, const image_preparation *p, const encoder_input *inputs, size_t most,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  *v = (picture_views){.preparation = *p, .inputs = inputs};
  v->preparation.resize = 0; /* all of a view becomes the square */
  TRY_NEW(v->cuts, most, "views of pictures");
  TRY_NEW(v->pixels, most * 3 * p->side * p->side, "views of pictures");
done:
  return status;
}

void picture_views_deinit(picture_views *v) {
  mem_free(v->cuts);
  mem_free(v->pixels);
}

/* The cuts are drawn by one thread, so that they are the same for any number of them. */
static medley_status views_make(picture_views *v, rng *r, const uint32_t *items, size_t count, size_t each,
                                medley_error *err) {
  size_t pixels = 3 * v->preparation.side * v->preparation.side;
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < each * count; i++) v->cuts[i] = view_draw(r, v->inputs[items[i % count]].image);
#pragma omp parallel for schedule(dynamic, 1)
  for (size_t i = 0; i < each * count; i++) {
    medley_error own = {0};
    medley_status made = view_make(&v->cuts[i], &v->preparation, v->pixels + i * pixels, &own);
    if (made == MEDLEY_OK) continue;
#pragma omp critical(picture_views_failure)
    status = error_set(err, made, "%s", own.text);
  }
  return status;
}

const float *picture_views_draw(picture_views *v, tape *t, rng *r, const uint32_t *items, size_t count, size_t each) {
  medley_error error = {0};
  medley_status status = views_make(v, r, items, count, each, &error);
  if (status == MEDLEY_OK) return v->pixels;
  if (status == MEDLEY_ERR_MEMORY)
    op_fail_memory(t, "a view of a picture");
  else
    op_fail(t, "%s", error.text);
  return NULL;
}

/* ---- pictures by themselves ---- */

enum { BATCH = TUNING_BATCH / 2 };

typedef struct picture_tuning {
  const picture_tuner *tuner;
  const encoder_tuning *how;
  picture_views views;
} picture_tuning;

static tensor *picture_loss(tape *t, void *context, const uint32_t *items, size_t count) {
  picture_tuning *c = context;
  rng r;
  trained_draw_seed(&r, c->how->seed, t);
  const float *pixels = picture_views_draw(&c->views, t, &r, items, count, 2);
  return pixels != NULL ? tuning_loss(t, c->tuner->vectors(t, c->tuner->network, pixels, 2 * count), count) : NULL;
}

medley_status picture_tune(const picture_tuner *tuner, weights *w, const encoder_tuning *how,
                           const encoder_input *inputs, size_t count, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  picture_tuning c = {.tuner = tuner, .how = how};
  TRY(picture_views_init(&c.views, &tuner->preparation, inputs, 2 * BATCH, err));
  TRY(tuning_run(w, how, (trained_plan){.batch = BATCH, .loss = picture_loss, .context = &c}, count, "pictures",
                 progress, err));
done:
  picture_views_deinit(&c.views);
  return status;
}
