/* nn/layer_lora.c: LoRA: y = W x + b + scale B A x, of which A and B learn. */
#include <assert.h>
#include <math.h>

#include "nn/layer.h"
#include "nn/product.h"

static void stay(tensor *x) {
  if (x != NULL) x->needs_gradient = false;
}

void layer_lora_init(layer_linear *l, parameters *p, const char *prefix, size_t rank, double alpha) {
  if (l->weight == NULL) return; /* the parameters remember why */
  size_t out = l->weight->shape[0], in = l->weight->shape[1];
  const char *held[] = {"weight", "bias"};
  char name[SAFETENSORS_NAME_MAX];
  for (int i = 0; i < 2; i++) parameters_freeze(p, layer_name(name, prefix, "%s", held[i]));
  stay(l->weight), stay(l->bias);
  l->lora_a = parameters_add(p, prefix, "lora_A", PARAMETER_WEIGHT, (initial){INITIAL_UNIFORM, 1 / sqrt((double)in)}, 2,
                             (size_t[]){rank, in});
  l->lora_b =
      parameters_add(p, prefix, "lora_B", PARAMETER_WEIGHT, (initial){INITIAL_ZERO, 0}, 2, (size_t[]){out, rank});
  l->lora_scale = alpha / (double)rank;
  l->lora_merged = false;
}

static void weight_add(layer_linear *l, double scale) {
  assert(l->weight->dtype == DTYPE_REAL && tensor_is_contiguous(l->weight));
  size_t out = l->weight->shape[0], in = l->weight->shape[1], rank = l->lora_a->shape[0];
  product(out, in, rank, REAL(scale), (product_matrix){real_data(l->lora_b), false, rank},
          (product_matrix){real_data(l->lora_a), false, in}, 1, (product_matrix){real_data(l->weight), false, in});
}

void layer_lora_merge(layer_linear *l) {
  if (l->lora_a == NULL || l->lora_merged) return;
  weight_add(l, l->lora_scale);
  l->lora_merged = true;
}

void layer_lora_unmerge(layer_linear *l) {
  if (!l->lora_merged) return;
  weight_add(l, -l->lora_scale);
  l->lora_merged = false;
}
