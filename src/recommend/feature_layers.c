/* recommend/feature_layers.c: what the networks of feature_model.h are built of: towers, gates, heads. */
#include "recommend/feature_model.h"

tensor *feature_spread(tape *t, const feature_rows *x, tensor *y) {
  return x->of != NULL ? op_embedding(t, y, x->of) : y;
}

/* Both sides' share of a sum, [rows, out]. */
static tensor *sides_forward(tape *t, const layer_linear *person, const layer_linear *item, const feature_rows *x) {
  return op_add(t, layer_linear_forward(t, item, x->item),
                feature_spread(t, x, layer_linear_forward(t, person, x->person)));
}

void feature_tower_init(const feature_layers *l, feature_tower *tower, parameters *p, const char *prefix) {
  char name[SAFETENSORS_NAME_MAX];
  layer_linear_init(&tower->person, p, layer_name(name, prefix, "person"), l->person_fields * l->dim, l->hidden, false);
  layer_linear_init(&tower->item, p, layer_name(name, prefix, "item"), l->item_fields * l->dim, l->hidden, true);
  layer_linear_init(&tower->product, p, layer_name(name, prefix, "product"), l->dim, l->hidden, false);
  layer_linear_init(&tower->next, p, layer_name(name, prefix, "next"), l->hidden, l->hidden / 2, true);
}

tensor *feature_tower_forward(tape *t, const feature_layers *l, const feature_tower *tower, const feature_rows *x) {
  tensor *y = op_add(t, sides_forward(t, &tower->person, &tower->item, x),
                     layer_linear_forward(t, &tower->product, x->product));
  y = op_dropout(t, op_relu(t, y), l->dropout);
  return op_relu(t, layer_linear_forward(t, &tower->next, y));
}

void feature_gate_init(const feature_layers *l, feature_gate *gate, parameters *p, const char *prefix, size_t experts) {
  char name[SAFETENSORS_NAME_MAX];
  layer_linear_init(&gate->person, p, layer_name(name, prefix, "person"), l->person_fields * l->dim, experts, false);
  layer_linear_init(&gate->item, p, layer_name(name, prefix, "item"), l->item_fields * l->dim, experts, true);
}

tensor *feature_gate_forward(tape *t, const feature_gate *gate, const feature_rows *x) {
  return op_softmax(t, sides_forward(t, &gate->person, &gate->item, x));
}

tensor *feature_mix(tape *t, tensor *gate, tensor *const *expert, size_t count) {
  tensor *sum = NULL;
  if (gate == NULL) return NULL;
  for (size_t k = 0; k < count; k++) {
    tensor *part = op_mul(t, expert[k], op_slice(t, gate, 1, k, 1));
    sum = k == 0 ? part : op_add(t, sum, part);
  }
  return sum;
}

void feature_head_init(feature_layers *l, parameters *p, size_t goal) {
  char name[SAFETENSORS_NAME_MAX];
  size_t width = l->hidden / 2;
  layer_linear_init(&l->head[goal], p, layer_name(name, NULL, "heads.%zu", goal), width, width, true);
  layer_linear_init(&l->out[goal], p, layer_name(name, NULL, "outs.%zu", goal), width, 1, true);
}

tensor *feature_head_forward(tape *t, const feature_layers *l, size_t goal, tensor *x) {
  return layer_linear_forward(t, &l->out[goal], op_relu(t, layer_linear_forward(t, &l->head[goal], x)));
}

tensor *feature_side_by_side(tape *t, tensor *const *x, size_t count) {
  enum { AT_ONCE = 8 }; /* of what concat takes */
  tensor *all = x[0];
  for (size_t next = 1; next < count;) {
    tensor *some[AT_ONCE] = {all};
    int taken = 1;
    while (taken < AT_ONCE && next < count) some[taken++] = x[next++];
    all = op_concat(t, some, taken, 1);
  }
  return all;
}

/* Σ of the fields [rows, fields · dim] → [rows, dim]. */
static tensor *fields_sum(tape *t, tensor *x, size_t fields, size_t dim) {
  if (x == NULL || fields == 1) return x;
  return op_sum(t, op_reshape(t, x, 3, (size_t[]){x->shape[0], fields, dim}), 1);
}

void feature_rows_prepare(tape *t, const feature_layers *l, feature_rows *x) {
  x->person_sum = fields_sum(t, x->person, l->person_fields, l->dim);
  x->item_sum = fields_sum(t, x->item, l->item_fields, l->dim);
  x->product = op_mul(t, x->item_sum, feature_spread(t, x, x->person_sum));
}
