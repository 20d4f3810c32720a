/* nn/packed_int8.c: see nn/packed_int8.h. */
#include "nn/packed_int8.h"

#include <math.h>
#include <string.h>

bool packed_int8_is_wanted(const tape *t, const tensor *w) {
  return w->dtype == DTYPE_I8 && !tape_is_training(t) && maps_int8_is_fast();
}

bool packed_int8_take(tape *t, const int8_t *codes, const float *scale, const float *bias, size_t outs, size_t depth,
                      packed_int8 *out) {
  size_t all = maps_round(outs);
  *out = (packed_int8){.outs = outs, .depth = depth, .panels = all / MAPS_LANES};
  out->bytes = all * (depth + 2 * sizeof(float) + sizeof(int32_t));
  out->block = tape_scratch(t, out->bytes, 1);
  if (out->block == NULL) return false;
  out->codes = out->block;
  out->scale = (float *)(void *)(out->codes + all * depth);
  out->bias = out->scale + all;
  out->sum = (int32_t *)(void *)(out->bias + all);
  maps_int8_pack_codes(codes, outs, depth, out->codes, out->sum);
  memset(out->scale, 0, 2 * all * sizeof(float));
  memcpy(out->scale, scale, outs * sizeof *scale);
  if (bias != NULL) memcpy(out->bias, bias, outs * sizeof *bias);
  return true;
}

void packed_int8_give(tape *t, packed_int8 *p) { tape_scratch_give(t, p->block, p->bytes, 1); }

void packed_int8_multiply(const packed_int8 *p, const packed_int8_rows *rows) {
  maps_int8_multiply(&(maps_product_int8){.x = rows->codes,
                                          .x_step = rows->x_step,
                                          .depth = p->depth,
                                          .pixels = rows->pixels,
                                          .zero = rows->zero,
                                          .x_scale = rows->scale,
                                          .x_scale_of_all = rows->scale_of_all,
                                          .weight = p->codes,
                                          .weight_scale = p->scale,
                                          .weight_sum = p->sum,
                                          .bias = p->bias,
                                          .panels = p->panels,
                                          .y = rows->y,
                                          .y_step = rows->y_step,
                                          .low = -INFINITY,
                                          .high = INFINITY});
}
