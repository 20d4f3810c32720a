/* encode/block_weights.c: see encode/block_weights.h. */
#include "encode/block_weights.h"

#include <stdio.h>

#include "nn/weights_tuning.h"

const block_names block_names_bert = {
    .qkv = {"attention.self.query", "attention.self.key", "attention.self.value"},
    .out = "attention.output.dense",
    .attention_norm = "attention.output.LayerNorm",
    .wide = "intermediate.dense",
    .narrow = "output.dense",
    .feed_forward_norm = "output.LayerNorm",
};
const block_names block_names_bert_gguf = {
    .qkv = {"attn_q", "attn_k", "attn_v"},
    .out = "attn_output",
    .attention_norm = "attn_output_norm",
    .wide = "ffn_up",
    .narrow = "ffn_down",
    .feed_forward_norm = "layer_output_norm",
};
const block_names block_names_vit = {
    .qkv = {"attention.attention.query", "attention.attention.key", "attention.attention.value"},
    .out = "attention.output.dense",
    .attention_norm = "layernorm_before",
    .wide = "intermediate.dense",
    .narrow = "output.dense",
    .feed_forward_norm = "layernorm_after",
};
const block_names block_names_vit_timm = {
    .fused = "attn.qkv.",
    .out = "attn.proj",
    .attention_norm = "norm1",
    .wide = "mlp.fc1",
    .narrow = "mlp.fc2",
    .feed_forward_norm = "norm2",
};
const block_names block_names_clip = {
    .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
    .out = "self_attn.out_proj",
    .attention_norm = "layer_norm1",
    .wide = "mlp.fc1",
    .narrow = "mlp.fc2",
    .feed_forward_norm = "layer_norm2",
};
const block_names block_names_openclip = {
    .fused = "attn.in_proj_",
    .out = "attn.out_proj",
    .attention_norm = "ln_1",
    .wide = "mlp.c_fc",
    .narrow = "mlp.c_proj",
    .feed_forward_norm = "ln_2",
};
const block_names block_names_whisper = {
    .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
    .no_key_bias = true,
    .out = "self_attn.out_proj",
    .attention_norm = "self_attn_layer_norm",
    .wide = "fc1",
    .narrow = "fc2",
    .feed_forward_norm = "final_layer_norm",
};

void norm_take(weights *w, const char *stem, size_t width, tensor **weight, tensor **bias) {
  bool old = weights_has(w, "%s.gamma", stem);
  *weight = weights_vector(w, width, "%s.%s", stem, old ? "gamma" : "weight");
  *bias = weights_vector(w, width, "%s.%s", stem, old ? "beta" : "bias");
}

layer_linear linear_take(weights *w, const char *stem, size_t out, size_t in) {
  return (layer_linear){weights_matrix(w, out, in, "%s.weight", stem), weights_vector(w, out, "%s.bias", stem)};
}

static void attention_take(layer_attention *l, weights *w, const block_names *n, size_t width, const char *stem) {
  if (n->fused != NULL) {
    l->in.weight = weights_matrix(w, 3 * width, width, "%s%sweight", stem, n->fused);
    l->in.bias = weights_vector(w, 3 * width, "%s%sbias", stem, n->fused);
    return;
  }
  const char *const biased[] = {n->qkv[0], n->no_key_bias ? NULL : n->qkv[1], n->qkv[2]};
  l->in.weight = weights_stack(w, stem, n->qkv, 3, ".weight", width, width);
  l->in.bias = weights_stack(w, stem, biased, 3, ".bias", width, 0);
}

void block_take(layer_transformer *l, weights *w, const block_names *n, const transformer_options *o,
                const char *stem) {
  char name[256];
#define STEM(which) (snprintf(name, sizeof name, "%s%s", stem, which), name)
  *l = (layer_transformer){.options = *o};
  l->self.heads = o->heads;
  attention_take(&l->self, w, n, o->width, stem);
  l->self.out = linear_take(w, STEM(n->out), o->width, o->width);
  norm_take(w, STEM(n->attention_norm), o->width, &l->norm_weight[0], &l->norm_bias[0]);
  l->wide = linear_take(w, STEM(n->wide), o->feed_forward, o->width);
  l->narrow = linear_take(w, STEM(n->narrow), o->width, o->feed_forward);
  norm_take(w, STEM(n->feed_forward_norm), o->width, &l->norm_weight[1], &l->norm_bias[1]);
#undef STEM
  weights_add_lora(w, &l->self.in, stem, "attention.in");
  weights_add_lora(w, &l->self.out, stem, "attention.out");
  weights_add_lora(w, &l->wide, stem, "wide");
  weights_add_lora(w, &l->narrow, stem, "narrow");
}

layer_transformer *blocks_take(weights *w, const block_names *names, const transformer_options *options,
                               const char *stem, size_t layers) {
  char name[128];
  layer_transformer *blocks = weights_memory(w, layers, sizeof *blocks);
  for (size_t i = 0; blocks != NULL && i < layers && w->status == MEDLEY_OK; i++) {
    snprintf(name, sizeof name, "%s%zu.", stem, i);
    weights_at_layer(w, i, layers);
    block_take(&blocks[i], w, names, options, name);
  }
  weights_at_layer(w, layers, layers);
  return blocks;
}

size_t heads_usual(size_t width) {
  static const size_t of_64[] = {192, 384, 512, 768, 1024}; /* 640, 1280, 1408, 1664 come in several ways */
  for (size_t i = 0; i < sizeof of_64 / sizeof *of_64; i++)
    if (width == of_64[i]) return width / 64;
  return 0;
}

medley_status epsilon_check(double epsilon, const char *path, medley_error *err) {
  if (epsilon >= 0 && epsilon < 1) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "%s: the norms' epsilon is %g", path, epsilon);
}
