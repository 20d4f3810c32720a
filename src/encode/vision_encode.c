/* encode/vision_encode.c: see encode/vision_encode.h. */
#include "encode/vision_encode.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "encode/batches.h"
#include "math/vector.h"

enum { BATCH = 4, SIZE_MAX_PIXELS = 2048, WIDTH_MAX = 16384 };

medley_status vision_sizes_check(const vision_sizes *s, const char *path, medley_error *err) {
  if (s->width == 0 || s->layers == 0 || s->heads == 0 || s->feed_forward == 0 || s->patch == 0 || s->image == 0)
    return error_set(err, MEDLEY_ERR_INPUT,
                     "%s: width %zu, %zu layers, %zu heads, feed-forward %zu, patches of %zu, pictures of %zu: what is "
                     "0 is not said "
                     "(config.json is missing beside it?)",
                     path, s->width, s->layers, s->heads, s->feed_forward, s->patch, s->image);
  if (s->image > SIZE_MAX_PIXELS || s->width > WIDTH_MAX || s->image % s->patch != 0)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: pictures of %zu pixels are not whole patches of %zu", path, s->image,
                     s->patch);
  if (s->width % s->heads != 0)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: %zu numbers cannot be cut into %zu heads", path, s->width, s->heads);
  return epsilon_check(s->epsilon, path, err);
}

size_t vision_image_size(const checkpoint *c, const char *prefix, const vision_names *names, size_t width,
                         size_t patch) {
  char name[256];
  snprintf(name, sizeof name, "%s%s", prefix, names->places);
  const tensor_view *places = checkpoint_get(c, name);
  size_t side = 1, cells = places != NULL && width > 0 ? (size_t)(places->count / width) : 0;
  if (names->first != NULL && cells > 0) cells--;
  if (cells == 0 || patch == 0) return 0;
  while ((side + 1) * (side + 1) <= cells && side < SIZE_MAX_PIXELS) side++;
  return side * patch;
}

void vision_wish(const image_preparation *p, media_request *request) {
  size_t side = p->resize > p->side ? p->resize : p->side;
  request->image_side = (uint32_t)(2 * side); /* the longer one: of a picture up to twice as wide as high */
}

typedef struct vision_run {
  const vision *network;
  const image_preparation *preparation;
  bool unit;
  const encoder_input *inputs;
  float *out;
} vision_run;

static medley_status vision_batch(void *context, tape *t, size_t from, size_t to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const vision_run *r = context;
  size_t pixels = 3 * r->preparation->side * r->preparation->side, dim = vision_dim(r->network);
  float *all = NULL;
  TRY_NEW(all, (to - from) * pixels, "pictures");
  for (size_t i = from; i < to; i++)
    TRY(image_prepare(r->preparation, r->inputs[i].image, all + (i - from) * pixels, err));
  const tensor *y = vision_pool(t, r->network, vision_forward(t, r->network, all, to - from));
  TRY(tape_status(t, err));
  memcpy(r->out + from * dim, real_data(y), (to - from) * dim * sizeof *r->out);
  for (size_t i = from; r->unit && i < to; i++) vector_normalise(r->out + i * dim, dim);
done:
  mem_free(all);
  return status;
}

medley_status vision_encode(const vision *v, const image_preparation *p, bool unit, const encoder_input *inputs,
                            size_t count, float *out, medley_error *err) {
  return batches_run(count, BATCH, vision_batch, &(vision_run){v, p, unit, inputs, out}, err);
}

medley_status vision_check(const vision *v, bool unit, const char *pooled, const safetensors *golden,
                           golden_report *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *pixels = NULL;
  uint64_t shape[4], wanted[] = {0, 3, v->sizes.image, v->sizes.image};
  tape *t = tape_create(0);
  if (t == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a tape");
  tape_set_training(t, false);
  TRY(golden_read(golden, "pixel_values", 4, wanted, &pixels, shape, err));
  tensor *hidden = tape_keep(vision_forward(t, v, pixels, (size_t)shape[0]));
  tensor *y = vision_pool(t, v, hidden);
  TRY(tape_status(t, err));
  for (size_t i = 0; unit && i < y->shape[0]; i++) vector_normalise(real_data(y) + i * y->shape[1], y->shape[1]);
  if (safetensors_get(golden, "last_hidden_state") != NULL)
    TRY(golden_compare(report, golden, "last_hidden_state", real_data(hidden), hidden->count, err));
  if (safetensors_get(golden, pooled) != NULL) TRY(golden_compare(report, golden, pooled, real_data(y), y->count, err));
done:
  tape_free(t);
  mem_free(pixels);
  return status;
}
