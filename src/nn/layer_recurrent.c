/* nn/layer_recurrent.c: layers of GRU or LSTM. What a layer's directions say stands side by side and is the next one's
 * input. */
#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "nn/layer.h"

static tensor *part_add(parameters *p, const char *prefix, const char *name, size_t layer, bool reverse,
                        parameter_role role, initial start, int rank, const size_t *shape) {
  char full[64];
  snprintf(full, sizeof full, "%s_l%zu%s", name, layer, reverse ? "_reverse" : "");
  return parameters_add(p, prefix, full, role, start, rank, shape);
}

static void recurrent_init(layer_recurrent *l, parameters *p, const char *prefix, const layer_recurrent_options *o,
                           size_t gates) {
  assert(o->layers <= LAYER_RECURRENT_MAX && o->hidden > 0);
  l->layers = o->layers ? o->layers : 1;
  l->directions = o->both_directions ? 2 : 1;
  l->dropout = o->dropout;
  initial start = {INITIAL_UNIFORM, 1 / sqrt((double)o->hidden)};
  size_t wide = gates * o->hidden;
  for (size_t k = 0; k < l->layers; k++)
    for (size_t d = 0; d < l->directions; d++) {
      size_t in = k == 0 ? o->in : l->directions * o->hidden;
      recurrent_weights *w = &l->weights[k][d];
      w->input = part_add(p, prefix, "weight_ih", k, d, PARAMETER_WEIGHT, start, 2, (size_t[]){wide, in});
      w->hidden = part_add(p, prefix, "weight_hh", k, d, PARAMETER_WEIGHT, start, 2, (size_t[]){wide, o->hidden});
      w->input_bias = part_add(p, prefix, "bias_ih", k, d, PARAMETER_PLAIN, start, 1, &wide);
      w->hidden_bias = part_add(p, prefix, "bias_hh", k, d, PARAMETER_PLAIN, start, 1, &wide);
    }
}

void layer_gru_init(layer_recurrent *l, parameters *p, const char *prefix, const layer_recurrent_options *options) {
  *l = (layer_recurrent){.lstm = false};
  recurrent_init(l, p, prefix, options, 3);
}

void layer_lstm_init(layer_recurrent *l, parameters *p, const char *prefix, const layer_recurrent_options *options) {
  *l = (layer_recurrent){.lstm = true};
  recurrent_init(l, p, prefix, options, 4);
}

tensor *layer_recurrent_forward(tape *t, const layer_recurrent *l, tensor *x, tensor *lengths) {
  for (size_t k = 0; k < l->layers; k++) {
    tensor *said[2] = {NULL};
    if (k > 0 && l->dropout > 0) x = op_dropout(t, x, l->dropout);
    for (size_t d = 0; d < l->directions; d++) {
      recurrent_options o = {.lengths = lengths, .reverse = d == 1};
      said[d] = (l->lstm ? op_lstm : op_gru)(t, x, &l->weights[k][d], &o);
    }
    x = l->directions == 1 ? said[0] : op_concat(t, said, 2, 2);
  }
  return x;
}

/* Row numbers into [batch * steps]: each row's last step, or its first for the direction that ends there. In the tape's
 * memory. */
static tensor *ends(tape *t, const tensor *y, const tensor *lengths, bool first) {
  size_t batch = y->shape[0], steps = y->shape[1];
  tensor *place = tape_empty(t, 1, &batch); /* real is at least as wide as int32_t */
  for (size_t b = 0; place != NULL && b < batch; b++) {
    int32_t length = lengths != NULL ? index_data(lengths)[b] : (int32_t)steps;
    int32_t at = (int32_t)(b * steps) + (first ? 0 : length - 1);
    ((int32_t *)place->data)[b] = length > 0 ? at : -1;
  }
  return place == NULL ? NULL : tape_indices(t, 1, &batch, place->data);
}

tensor *layer_recurrent_last(tape *t, const layer_recurrent *l, tensor *y, tensor *lengths) {
  if (y == NULL) return NULL;
  size_t hidden = y->shape[2] / l->directions;
  tensor *rows = op_reshape(t, y, 2, (size_t[]){0, y->shape[2]}), *last[2] = {NULL};
  for (size_t d = 0; d < l->directions; d++) {
    tensor *part = l->directions == 1 ? rows : op_slice(t, rows, 1, d * hidden, hidden);
    last[d] = op_embedding(t, part, ends(t, y, lengths, d == 1));
  }
  return l->directions == 1 ? last[0] : op_concat(t, last, 2, 1);
}
