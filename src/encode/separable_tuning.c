/* encode/separable_tuning.c: see encode/separable_tuning.h. */
#include "encode/separable_tuning.h"

#include <math.h>
#include <string.h>

#include "nn/weights_tuning.h"

struct learning_layer {
  layer_conv expand, window, project; /* expand.weight NULL: none */
};

static void layer_take(const separable_learner *n, weights *w, size_t index, size_t in) {
  const separable_plan *plan = n->plan;
  const separable_layer *l = &plan->layers[index];
  struct learning_layer *to = &n->layers[index];
  conv_sizes s = {.outs = l->middle, .ins = in, .tensorflow = !plan->centred, .epsilon = plan->epsilon};
  bool stem = index == 0;
  s.kernel = stem ? 3 : 1, s.stride = stem ? 2 : 1;
  if (*l->expand.name) conv_take(w, &to->expand, l->expand.name, l->expand.norm, &s);
  s.ins = s.groups = l->middle, s.kernel = 3, s.stride = l->stride;
  conv_take(w, &to->window, l->window.name, l->window.norm, &s);
  s.groups = 1, s.outs = l->out, s.kernel = 1, s.stride = 1;
  conv_take(w, &to->project, l->project.name, l->project.norm, &s);
}

void separable_learner_init(separable_learner *n, weights *w, const separable_plan *plan) {
  *n = (separable_learner){.plan = plan, .layers = weights_memory(w, plan->layer_count, sizeof *n->layers)};
  memcpy(w->prefix, plan->prefix, sizeof w->prefix);
  weights_before_layers(w);
  size_t in = plan->channels;
  for (size_t i = 0; n->layers != NULL && i < plan->layer_count; i++) {
    weights_at_layer(w, plan->layers[i].stage, plan->stage_count);
    layer_take(n, w, i, in);
    in = plan->layers[i].out;
  }
  weights_at_layer(w, plan->stage_count, plan->stage_count);
  if (*plan->head.name)
    conv_take(w, &n->head, plan->head.name, plan->head.norm,
              &(conv_sizes){.outs = plan->dim, .ins = in, .kernel = 1, .stride = 1, .epsilon = plan->epsilon});
}

static tensor *active(tape *t, const separable_learner *n, tensor *x) {
  x = op_relu(t, x);
  tensor *ceiling = isfinite(n->plan->ceiling) ? tape_empty(t, 1, (size_t[]){1}) : NULL;
  if (ceiling == NULL) return x;
  real_data(ceiling)[0] = n->plan->ceiling;
  return op_minimum(t, x, ceiling);
}

static tensor *layer_forward(tape *t, const separable_learner *n, size_t index, tensor *x) {
  const separable_layer *l = &n->plan->layers[index];
  const struct learning_layer *own = &n->layers[index];
  tensor *y = own->expand.weight != NULL ? active(t, n, layer_conv_forward(t, &own->expand, x)) : x;
  y = active(t, n, layer_conv_forward(t, &own->window, y));
  y = layer_conv_forward(t, &own->project, y);
  if (!l->linear) y = active(t, n, y);
  return l->residual ? op_add(t, y, x) : y;
}

tensor *separable_learner_forward(tape *t, const separable_learner *n, tensor *x) {
  size_t mark = tape_mark(t);
  for (size_t i = 0; i < n->plan->layer_count; i++) {
    x = layer_forward(t, n, i, x);
    tape_release(t, mark, x); /* of stages that stay as they are */
  }
  if (n->head.weight != NULL) x = active(t, n, layer_conv_forward(t, &n->head, x));
  return op_global_average_pool(t, x);
}
