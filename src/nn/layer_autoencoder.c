/* nn/layer_autoencoder.c: autoencoders, plain and variational. */
#include <assert.h>
#include <string.h>

#include "base/rng.h"
#include "nn/layer.h"
#include "nn/op_kind.h"

void layer_autoencoder_init(layer_autoencoder *l, parameters *p, const char *prefix, const size_t *widths, size_t count,
                            bool variational) {
  assert(count >= 1 && count <= LAYER_AUTOENCODER_MAX);
  char name[SAFETENSORS_NAME_MAX];
  *l = (layer_autoencoder){.count = count, .variational = variational};
  for (size_t k = 0; k < count; k++) {
    size_t out = widths[k + 1] * (variational && k + 1 == count ? 2 : 1);
    layer_linear_init(&l->inward[k], p, layer_name(name, prefix, "inward.%zu", k), widths[k], out, true);
  }
  for (size_t k = 0; k < count; k++)
    layer_linear_init(&l->outward[k], p, layer_name(name, prefix, "outward.%zu", k), widths[count - k],
                      widths[count - k - 1], true);
}

static tensor *stack_forward(tape *t, const layer_linear *layers, size_t count, tensor *x) {
  for (size_t k = 0; k < count; k++) {
    x = layer_linear_forward(t, &layers[k], x);
    if (k + 1 < count) x = op_gelu(t, x);
  }
  return x;
}

/* Draws from N(0, 1) in the tape's memory: another in every step, the same for the same seed. */
static tensor *noise(tape *t, const tensor *like) {
  tensor *e = like != NULL ? tape_empty(t, like->rank, like->shape) : NULL;
  rng r;
  rng_seed(&r, tape_random_key(t));
  for (size_t i = 0; e != NULL && i < e->count; i++) real_data(e)[i] = (real)rng_normal(&r);
  return e;
}

/* -1/2 sum (1 + v - m² - e^v) over the code, mean over rows. */
static tensor *divergence_of(tape *t, tensor *mean, tensor *log_variance) {
  tensor *each = op_sub(t, op_add(t, op_square(t, mean), op_exp(t, log_variance)), op_affine(t, log_variance, 1, 1));
  return each == NULL ? NULL : op_affine(t, op_mean(t, each, OP_ALL), 0.5 * (double)tensor_width(mean), 0);
}

tensor *layer_autoencoder_encode(tape *t, const layer_autoencoder *l, tensor *x, tensor **divergence) {
  tensor *code = stack_forward(t, l->inward, l->count, x);
  if (code == NULL || !l->variational) return code;
  size_t width = tensor_width(code) / 2;
  tensor *mean = op_slice(t, code, code->rank - 1, 0, width);
  if (divergence == NULL && !tape_is_training(t)) return op_contiguous(t, mean);
  tensor *log_variance = op_slice(t, code, code->rank - 1, width, width);
  if (divergence != NULL) *divergence = divergence_of(t, mean, log_variance);
  if (!tape_is_training(t)) return op_contiguous(t, mean);
  return op_add(t, mean, op_mul(t, noise(t, mean), op_exp(t, op_affine(t, log_variance, 0.5, 0))));
}

tensor *layer_autoencoder_decode(tape *t, const layer_autoencoder *l, tensor *code) {
  return stack_forward(t, l->outward, l->count, code);
}

tensor *layer_autoencoder_loss(tape *t, const layer_autoencoder *l, tensor *x, tensor *target, double weight) {
  tensor *divergence = NULL;
  tensor *code = layer_autoencoder_encode(t, l, x, &divergence);
  tensor *gap = op_mse(t, layer_autoencoder_decode(t, l, code), target);
  if (gap == NULL) return NULL;
  gap = op_affine(t, gap, (double)tensor_width(target), 0);
  return l->variational ? op_add(t, gap, op_affine(t, divergence, weight, 0)) : gap;
}
