/* encode/vision_tuning.c: see encode/vision_tuning.h.
 *
 * A view is a part of the picture, of three tenths of its area to all of it, perhaps mirrored, brighter or darker in
 * each colour (Chen et al. 2020). A step takes half as many pictures as of texts: a picture has some two hundred
 * tokens.
 */
#include "encode/vision_tuning.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "nn/op_kind.h"

enum { BATCH = TUNING_BATCH / 2 };
#define AREA_LEAST 0.3
#define LIGHT 0.3 /* the most that a colour is made brighter or darker, as a share */

typedef struct vision_tuning {
  const vision *network;
  image_preparation preparation; /* of a view: all of it becomes the square */
  const encoder_tuning *how;
  const encoder_input *inputs;
  float *pixels; /* [2 BATCH, 3, side, side] */
} vision_tuning;

/* A part of the picture, as drawn. */
typedef struct view_cut {
  const image *from;
  uint32_t left, top, width, height;
  bool mirrored;
  double light[3];
} view_cut;

static uint32_t part_of(rng *r, uint32_t whole, double share, uint32_t *from) {
  uint32_t part = (uint32_t)(whole * share + 0.5);
  if (part == 0) part = 1;
  *from = (uint32_t)rng_below(r, (uint64_t)(whole - part) + 1);
  return part;
}

static view_cut view_draw(rng *r, const image *from) {
  view_cut c = {.from = from};
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

static medley_status view_make(const view_cut *c, const image_preparation *p, float *out, medley_error *err) {
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

/* Views of some pictures: first each one's first, then each one's second. */
static medley_status views_make(const vision_tuning *c, rng *r, const uint32_t *items, size_t count,
                                medley_error *err) {
  view_cut cuts[2 * BATCH];
  size_t pixels = 3 * c->preparation.side * c->preparation.side;
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < 2 * count; i++) cuts[i] = view_draw(r, c->inputs[items[i % count]].image);
#pragma omp parallel for schedule(dynamic, 1)
  for (size_t i = 0; i < 2 * count; i++) {
    medley_error own = {0};
    medley_status made = view_make(&cuts[i], &c->preparation, c->pixels + i * pixels, &own);
    if (made == MEDLEY_OK) continue;
#pragma omp critical(vision_tuning_failure)
    status = error_set(err, made, "%s", own.text);
  }
  return status;
}

static tensor *vision_loss(tape *t, void *context, const uint32_t *items, size_t count) {
  const vision_tuning *c = context;
  medley_error error = {0};
  rng r;
  tuning_draw_seed(&r, c->how, t);
  medley_status status = views_make(c, &r, items, count, &error);
  if (status == MEDLEY_ERR_MEMORY) op_fail_memory(t, "a view of a picture");
  if (status != MEDLEY_OK) return op_fail(t, "%s", error.text);
  return tuning_loss(t, vision_pool(t, c->network, vision_forward(t, c->network, c->pixels, 2 * count)), count);
}

medley_status vision_tune(const vision *v, const image_preparation *p, weights *w, const encoder_tuning *how,
                          const encoder_input *inputs, size_t count, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  vision_tuning c = {.network = v, .preparation = *p, .how = how, .inputs = inputs};
  c.preparation.resize = 0;
  TRY_NEW(c.pixels, 2 * BATCH * 3 * p->side * p->side, "views of pictures");
  TRY(tuning_run(w, how, (trained_plan){.batch = BATCH, .loss = vision_loss, .context = &c}, count, "pictures",
                 progress, err));
done:
  mem_free(c.pixels);
  return status;
}
