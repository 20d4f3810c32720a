/* bench/nn_works_mobilenet.c: MobileNetV2 from decoded pixels of 224 x 224 to
 * logits, one picture and 32 at once, in float32. The weights lie in
 * $MEDLEY_DATA/models/mobilenet_v2.safetensors. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"
#include "encode/mobilenet_v2.h"
#include "nn_works.h"

enum { SIDE = MOBILENET_V2_SIDE, PIXELS = SIDE * SIDE * 3, MANY = 32 };
#define PICTURE_FLOPS 0.6015e9 /* 300.8 million multiply-adds */

typedef struct mobilenet_work {
  encoder *encoder;
  size_t count;
  uint8_t *pixels; /* [count, PIXELS] */
  image pictures[MANY];
  encoder_input inputs[MANY];
  float *embedding, *logits;
} mobilenet_work;

static void mobilenet_free(void *state) {
  mobilenet_work *w = state;
  if (w == NULL) return;
  if (w->encoder != NULL) w->encoder->kind->free(w->encoder);
  mem_free(w->pixels);
  mem_free(w->embedding);
  mem_free(w->logits);
  mem_free(w);
}

static medley_status mobilenet_create(const encoder_kind *kind, size_t count, void **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *data = getenv("MEDLEY_DATA");
  char path[512];
  rng r;
  mobilenet_work *w;
  TRY_NEW(w, 1, "a benchmark");
  snprintf(path, sizeof path, "%s/models/mobilenet_v2.safetensors", data != NULL ? data : "../shared/data");
  TRY(kind->open(path, &w->encoder, err));
  w->count = count;
  TRY_NEW(w->pixels, count * PIXELS, "a benchmark");
  TRY_NEW(w->embedding, count * MOBILENET_V2_DIM, "a benchmark");
  TRY_NEW(w->logits, count * MOBILENET_V2_CLASSES, "a benchmark");
  rng_seed(&r, 1);
  for (size_t i = 0; i < count * PIXELS; i++) w->pixels[i] = (uint8_t)rng_below(&r, 256);
  for (size_t i = 0; i < count; i++) {
    w->pictures[i] = (image){SIDE, SIDE, w->pixels + i * PIXELS};
    w->inputs[i] = (encoder_input){.image = &w->pictures[i]};
  }
done:
  if (status != MEDLEY_OK) {
    mobilenet_free(w);
    w = NULL;
  }
  *out = w;
  return status;
}

#define CREATE(name, kind, count) \
  static medley_status name(void **out, medley_error *err) { return mobilenet_create(&kind, count, out, err); }
CREATE(create_1, encoder_mobilenet_v2, 1)
CREATE(create_32, encoder_mobilenet_v2, MANY)
CREATE(create_int8_1, encoder_mobilenet_v2_int8, 1)
CREATE(create_int8_32, encoder_mobilenet_v2_int8, MANY)

static medley_status mobilenet_step(void *state, double *value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  mobilenet_work *w = state;
  TRY(w->encoder->kind->encode(w->encoder, w->inputs, w->count, w->embedding, err));
  TRY(mobilenet_v2_classify(w->encoder, w->embedding, w->count, w->logits, err));
  *value = w->logits[1];
done:
  return status;
}

#define WORK(name_, summary_, count, weight_bytes, create_)                                                          \
  {                                                                                                                  \
    .name = name_, .summary = summary_, .flops = (count)*PICTURE_FLOPS, .bytes = 3.49e6 * (weight_bytes), .warm = 3, \
    .create = create_, .step = mobilenet_step, .free = mobilenet_free                                                \
  }
const nn_work nn_work_mobilenet_1 = WORK("mobilenet_1", "MobileNetV2, one picture, pixels to logits", 1, 4, create_1);
const nn_work nn_work_mobilenet_32 = WORK("mobilenet_32", "the same, 32 pictures at once", MANY, 4, create_32);
const nn_work nn_work_mobilenet_int8_1 = WORK("mobilenet_int8_1", "one picture, in int8", 1, 1, create_int8_1);
const nn_work nn_work_mobilenet_int8_32 = WORK("mobilenet_int8_32", "32 pictures, in int8", MANY, 1, create_int8_32);
