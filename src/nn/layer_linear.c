/* nn/layer_linear.c: x weightᵀ + bias; and how layers name what they are made of. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "nn/layer.h"

const char *layer_name(char text[SAFETENSORS_NAME_MAX], const char *prefix, const char *format, ...) {
  int length = prefix != NULL && *prefix ? snprintf(text, SAFETENSORS_NAME_MAX, "%s.", prefix) : 0;
  if (length < 0 || length >= SAFETENSORS_NAME_MAX) return text; /* parameters_add refuses the second of that name */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + length, SAFETENSORS_NAME_MAX - (size_t)length, format, arguments);
  va_end(arguments);
  return text;
}

void layer_linear_init(layer_linear *l, parameters *p, const char *prefix, size_t in, size_t out, bool bias) {
  *l = (layer_linear){0};
  initial start = {INITIAL_UNIFORM, in > 0 ? 1 / sqrt((double)in) : 0};
  l->weight = parameters_add(p, prefix, "weight", PARAMETER_WEIGHT, start, 2, (size_t[]){out, in});
  l->bias = bias ? parameters_add(p, prefix, "bias", PARAMETER_PLAIN, start, 1, &out) : NULL;
}

tensor *layer_linear_forward(tape *t, const layer_linear *l, tensor *x) {
  tensor *y = op_linear(t, x, l->weight, l->bias);
  if (l->lora_a == NULL || l->lora_merged) return y;
  tensor *difference = op_linear(t, op_linear(t, x, l->lora_a, NULL), l->lora_b, NULL);
  return op_add(t, y, op_affine(t, difference, l->lora_scale, 0));
}
