/* encode/conv_trunk_int8.c: see encode/conv_trunk_int8.h.
 *
 * The channels of a pixel lie next to each other, a byte each, with a frame of zeros around the map: what a window sees
 * is three runs of bytes, and a row of the product is these runs one behind the other. A map is brought to bytes once,
 * by one scale, rather than once for each window that sees it. Between two convolutions the numbers are gone through
 * twice: for the norm's figures and the least and greatest of each channel, from which follow the factor and shift of
 * each channel and the next scale; and to norm, clamp and make bytes in one go. Op by op, with planes of channels, it
 * would be six times. */
#include "encode/conv_trunk_int8.h"

#include <math.h>
#include <string.h>

#include "math/clones.h"
#include "nn/packed_int8.h"

enum { WINDOW = 3, CODE_ZERO = 128 };
#define EPSILON 1e-5f /* of the norm, as nn/layer_conv.c has it */

/* ---- a channel of a map, and a pixel of it ---- */

typedef struct figures {
  float *sum, *square, *least, *most; /* [channels] over the map */
  float *factor, *shift;              /* [channels] of the norm */
} figures;
enum { FIGURES = 6 };

static inline VECTOR_INLINE void figures_take_body(const float *y, size_t pixels, size_t step, const figures *f) {
  float *sum = f->sum, *square = f->square, *least = f->least, *most = f->most;
  _Pragma("omp simd") for (size_t c = 0; c < step; c++) sum[c] = square[c] = 0, least[c] = most[c] = y[c];
  for (size_t i = 0; i < pixels; i++, y += step) _Pragma("omp simd") for (size_t c = 0; c < step; c++) {
      float v = y[c];
      sum[c] += v, square[c] += v * v;
      least[c] = v < least[c] ? v : least[c];
      most[c] = v > most[c] ? v : most[c];
    }
}
VECTOR_CLONES(static, void, figures_take, (const float *y, size_t pixels, size_t step, const figures *f),
              (y, pixels, step, f))

/* Adding 1.5 * 2^23 rounds to the nearest whole number, whose byte is then the last of the bits. */
static inline VECTOR_INLINE void pixel_code_body(const float *y, const figures *f, float rate, size_t channels,
                                                 uint8_t *out) {
  const float *factor = f->factor, *shift = f->shift;
  _Pragma("omp simd") for (size_t c = 0; c < channels; c++) {
    float v = y[c] * factor[c] + shift[c];
    v = (v > 0 ? v : 0) * rate;
    float rounded = (v < 255 ? v : 255) + 12582912.0f;
    int32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    out[c] = (uint8_t)bits;
  }
}
VECTOR_CLONES(static, void, pixel_code, (const float *y, const figures *f, float rate, size_t channels, uint8_t *out),
              (y, f, rate, channels, out))

static inline VECTOR_INLINE void map_pool_body(const float *y, size_t pixels, size_t step, const figures *f,
                                               size_t channels, float *mean, float *most) {
  memset(mean, 0, channels * sizeof *mean);
  memset(most, 0, channels * sizeof *most);
  for (size_t i = 0; i < pixels; i++, y += step) _Pragma("omp simd") for (size_t c = 0; c < channels; c++) {
      float v = y[c] * f->factor[c] + f->shift[c];
      v = v > 0 ? v : 0;
      mean[c] += v / (float)pixels;
      most[c] = v > most[c] ? v : most[c];
    }
}
VECTOR_CLONES(static, void, map_pool,
              (const float *y, size_t pixels, size_t step, const figures *f, size_t channels, float *mean, float *most),
              (y, pixels, step, f, channels, mean, most))

/* ---- a layer ---- */

typedef struct stage {
  const layer_conv *layer;
  size_t in, outs, stride;
  size_t run, depth; /* bytes of a row of the window, whole groups; of all its rows */
  packed_int8 weight;
} stage;

static size_t outs_of(const stage *s, size_t side) { return (side - 1) / s->stride + 1; }

/* The weight [outs, in, 3, 3] in the order of bytes that a window sees. */
static bool stage_take(tape *t, const layer_conv *layer, stage *s) {
  const tensor *w = layer->weight;
  size_t in = w->shape[1], outs = w->shape[0];
  *s = (stage){.layer = layer, .in = in, .outs = outs, .stride = layer->conv.stride[0]};
  s->run = (WINDOW * in + MAPS_INT8_GROUP - 1) / MAPS_INT8_GROUP * MAPS_INT8_GROUP;
  s->depth = WINDOW * s->run;
  int8_t *ordered = tape_scratch(t, outs * s->depth, 1);
  if (ordered == NULL) return false;
  memset(ordered, 0, outs * s->depth);
  const int8_t *from = w->data;
  for (size_t o = 0; o < outs; o++)
    for (size_t c = 0; c < in; c++)
      for (size_t k = 0; k < WINDOW * WINDOW; k++)
        ordered[o * s->depth + k / WINDOW * s->run + k % WINDOW * in + c] = *from++;
  bool there = packed_int8_take(t, ordered, w->scale, NULL, outs, s->depth, &s->weight);
  tape_scratch_give(t, ordered, outs * s->depth, 1);
  return there;
}

/* ---- a map on its way through all of them ---- */

typedef struct way {
  stage stages[CONV_TRUNK_LAYERS];
  size_t map_bytes, patch_bytes, numbers, channels; /* of the largest stage */
  uint8_t *map;                                     /* [height + 2, width + 2, channels]: the frame stands for 0 */
  uint8_t *patches;                                 /* [pixels, depth] */
  float *y;                                         /* [pixels, panels * MAPS_LANES] */
  float *room;                                      /* [FIGURES, channels] */
  figures figures;
} way;

static size_t framed(size_t high, size_t wide, size_t channels) {
  return (high + 2) * (wide + 2) * channels + MAPS_INT8_GROUP; /* the last run is read as whole groups */
}

static void way_size(way *w, size_t high, size_t wide) {
  for (int i = 0; i < CONV_TRUNK_LAYERS; i++) {
    const stage *s = &w->stages[i];
    size_t map = framed(high, wide, s->in), step = s->weight.panels * MAPS_LANES;
    high = outs_of(s, high), wide = outs_of(s, wide);
    if (map > w->map_bytes) w->map_bytes = map;
    if (high * wide * s->depth > w->patch_bytes) w->patch_bytes = high * wide * s->depth;
    if (high * wide * step > w->numbers) w->numbers = high * wide * step;
    if (step > w->channels) w->channels = step;
  }
}

static bool way_take(tape *t, const conv_trunk *c, const tensor *x, way *w) {
  for (int i = 0; i < CONV_TRUNK_LAYERS; i++)
    if (!stage_take(t, &c->layers[i], &w->stages[i])) return false;
  way_size(w, x->shape[2], x->shape[3]);
  w->map = tape_scratch(t, w->map_bytes, 1);
  w->patches = tape_scratch(t, w->patch_bytes, 1);
  w->y = tape_scratch(t, w->numbers, sizeof(float));
  w->room = tape_scratch(t, FIGURES * w->channels, sizeof(float));
  if (w->map == NULL || w->patches == NULL || w->y == NULL || w->room == NULL) return false;
  float *room = w->room;
  size_t n = w->channels;
  w->figures = (figures){room, room + n, room + 2 * n, room + 3 * n, room + 4 * n, room + 5 * n};
  return true;
}

static void way_give(tape *t, way *w) {
  tape_scratch_give(t, w->room, FIGURES * w->channels, sizeof(float));
  tape_scratch_give(t, w->y, w->numbers, sizeof(float));
  tape_scratch_give(t, w->patches, w->patch_bytes, 1);
  tape_scratch_give(t, w->map, w->map_bytes, 1);
  for (int i = CONV_TRUNK_LAYERS - 1; i >= 0; i--) packed_int8_give(t, &w->stages[i].weight);
}

/* planes [channels, high, wide] of both signs → the map; returns what 1 is worth. */
static float planes_code(const float *planes, size_t channels, size_t high, size_t wide, uint8_t *map) {
  size_t plane = high * wide;
  float most = 0;
  for (size_t i = 0; i < channels * plane; i++) most = fmaxf(most, fabsf(planes[i]));
  float rate = most > 0 ? 127 / most : 0;
  memset(map, CODE_ZERO, framed(high, wide, channels));
  for (size_t c = 0; c < channels; c++)
    for (size_t i = 0; i < plane; i++)
      map[((i / wide + 1) * (wide + 2) + i % wide + 1) * channels + c] =
          (uint8_t)((int)lrintf(planes[c * plane + i] * rate) + CODE_ZERO);
  return most / 127;
}

static void patches_fill(const way *w, const stage *s, size_t high, size_t wide) {
  uint8_t *to = w->patches;
  size_t line = (wide + 2) * s->in;
  for (size_t y = 0; y < outs_of(s, high); y++)
    for (size_t x = 0; x < outs_of(s, wide); x++) {
      const uint8_t *from = w->map + y * s->stride * line + x * s->stride * s->in;
      for (size_t k = 0; k < WINDOW; k++, to += s->run) memcpy(to, from + k * line, s->run);
    }
}

/* Factor and shift of each channel by its group's mean and deviation; returns the greatest that will be. */
static float norm_find(const figures *f, const stage *s, size_t pixels) {
  size_t each = s->outs / s->layer->norm_groups;
  const float *weight = real_data(s->layer->norm_weight), *bias = real_data(s->layer->norm_bias);
  float top = 0;
  for (size_t from = 0; from < s->outs; from += each) {
    double sum = 0, square = 0, count = (double)(each * pixels);
    for (size_t c = from; c < from + each; c++) sum += f->sum[c], square += f->square[c];
    double mean = sum / count, variance = square / count - mean * mean;
    double rate = 1 / sqrt((variance > 0 ? variance : 0) + EPSILON);
    for (size_t c = from; c < from + each; c++) {
      f->factor[c] = (float)(weight[c] * rate);
      f->shift[c] = (float)(bias[c] - mean * rate * weight[c]);
      top = fmaxf(top, fmaxf(f->least[c] * f->factor[c], f->most[c] * f->factor[c]) + f->shift[c]);
    }
  }
  return top;
}

/* The map that the next layer looks at. */
static void map_code(const way *w, const stage *s, size_t high, size_t wide, float rate) {
  size_t step = s->weight.panels * MAPS_LANES;
  memset(w->map, 0, framed(high, wide, s->outs));
  for (size_t i = 0; i < high * wide; i++)
    pixel_code(w->y + i * step, &w->figures, rate, s->outs,
               w->map + ((i / wide + 1) * (wide + 2) + i % wide + 1) * s->outs);
}

/* out [2 channels]: means, then greatest. */
static void sample_run(const way *w, const float *planes, size_t high, size_t wide, float *out) {
  float scale = planes_code(planes, w->stages[0].in, high, wide, w->map);
  for (int i = 0; i < CONV_TRUNK_LAYERS; i++) {
    const stage *s = &w->stages[i];
    size_t step = s->weight.panels * MAPS_LANES;
    patches_fill(w, s, high, wide);
    high = outs_of(s, high), wide = outs_of(s, wide);
    packed_int8_multiply(&s->weight, &(packed_int8_rows){.codes = w->patches,
                                                         .x_step = s->depth,
                                                         .pixels = high * wide,
                                                         .zero = i == 0 ? CODE_ZERO : 0,
                                                         .scale_of_all = scale,
                                                         .y = w->y,
                                                         .y_step = step});
    figures_take(w->y, high * wide, step, &w->figures);
    float top = norm_find(&w->figures, s, high * wide);
    scale = top / 255;
    if (i + 1 < CONV_TRUNK_LAYERS)
      map_code(w, s, high, wide, top > 0 ? 255 / top : 0);
    else
      map_pool(w->y, high * wide, step, &w->figures, s->outs, out, out + s->outs);
  }
}

tensor *conv_trunk_int8(tape *t, const conv_trunk *c, const tensor *x) {
  if (x == NULL) return NULL;
  way w = {0};
  size_t each = x->shape[1] * x->shape[2] * x->shape[3];
  size_t outs = c->layers[CONV_TRUNK_LAYERS - 1].weight->shape[0];
  tensor *y = tape_empty(t, 2, (size_t[]){x->shape[0], 2 * outs});
  if (y == NULL) return NULL;
  bool there = way_take(t, c, x, &w);
  for (size_t i = 0; there && i < x->shape[0]; i++)
    sample_run(&w, real_data(x) + i * each, x->shape[2], x->shape[3], real_data(y) + i * 2 * outs);
  way_give(t, &w);
  return there ? y : NULL;
}
