/* encode/conv_weights.c: see encode/conv_weights.h. */
#include "encode/conv_weights.h"

#include <stdio.h>
#include <string.h>

#include "nn/weights_tuning.h"

/* Sizes that are not given are the file's. */
static void shape_read(const weights *w, const char *conv, size_t shape[4]) {
  char name[ARCHITECTURE_PREFIX_MAX + 192];
  snprintf(name, sizeof name, "%s%s.weight", w->prefix, conv);
  const tensor_view *view = checkpoint_get(w->from, name);
  for (int d = 0; d < 4; d++)
    if (shape[d] == 0) shape[d] = view != NULL && view->rank == 4 && view->shape[d] > 0 ? (size_t)view->shape[d] : 1;
}

size_t conv_take(weights *w, layer_conv *l, const char *conv, const char *norm, const conv_sizes *s) {
  size_t groups = s->groups ? s->groups : 1, shape[] = {s->outs, s->ins / groups, s->kernel, s->kernel};
  shape_read(w, conv, shape);
  if (w->status == MEDLEY_OK && (shape[2] != shape[3] || shape[2] % 2 == 0))
    w->status = error_set(&w->error, MEDLEY_ERR_INPUT,
                          "%s: the window of '%s' is %zu × %zu: a square with a middle is expected", w->from->path,
                          conv, shape[2], shape[3]);
  size_t pad = s->tensorflow ? 0 : shape[2] / 2;
  *l = (layer_conv){.conv = {.stride = {s->stride, s->stride},
                             .pad = {pad, pad},
                             .padding = s->tensorflow ? PADDING_SAME_TF : PADDING_EXPLICIT,
                             .groups = groups},
                    .norm_epsilon = s->epsilon,
                    .norm_fixed = true};
  l->weight = weights_get(w, 4, shape, "%s.weight", conv);
  if (norm == NULL || *norm == '\0') {
    l->bias = weights_vector(w, shape[0], "%s.bias", conv);
  } else {
    l->norm = LAYER_CONV_BATCH;
    l->norm_weight = weights_vector(w, shape[0], "%s.weight", norm);
    l->norm_bias = weights_vector(w, shape[0], "%s.bias", norm);
    l->norm_running_mean = weights_constant(w, shape[0], "%s.running_mean", norm);
    l->norm_running_variance = weights_constant(w, shape[0], "%s.running_var", norm);
  }
  return w->status == MEDLEY_OK ? shape[0] : 0;
}

tensor *conv_input(tape *t, const float *values, size_t count, size_t channels, size_t height, size_t width) {
  tensor *x = tape_empty(t, 4, (size_t[]){count, channels, height, width});
  if (x != NULL) memcpy(real_data(x), values, x->count * sizeof *values);
  return x;
}

medley_status conv_tuning_check(const weights_tuning *tuning, const char *path, medley_error *err) {
  if (tuning == NULL || tuning->choice.part != TUNING_LORA) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE,
                   "%s: lora goes beside the matrices of transformers: a network of convolutions learns with all or "
                   "last=STAGES",
                   path);
}
