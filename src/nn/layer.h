/* nn/layer.h: the parts that models are built of: parameters with names, and the ops that go over them.
 *
 * A layer is a plain struct of pointers to its parameters. `layer_<x>_init` declares them under "<prefix>.<name>", with
 * PyTorch's names, shapes and first values, so that published weights and golden numbers fit as they are; a failure is
 * remembered by the parameters and told by parameters_seal. `layer_<x>_forward` is an expression of ops: NULL in, NULL
 * out, the tape remembers why. A layer owns nothing and is never freed; it lives as long as its parameters. A struct
 * whose tensors point elsewhere (weights mapped from a file, f16, int8) goes forward just as well.
 *
 *     layer_linear inner, outer;
 *     layer_linear_init(&inner, p, "inner", 384, 128, true);
 *     layer_linear_init(&outer, p, "outer", 128, 10, true);
 *     TRY(parameters_seal(p, seed, err));
 *     ...
 *     tensor *y = layer_linear_forward(t, &outer, op_relu(t, layer_linear_forward(t, &inner, x)));
 *
 * A layer that is made of others names them below its own prefix (layer_name). One file a layer: layer_<x>.c. What
 * stays as it is while the rest learns: parameters_freeze, before sealing.
 */
#ifndef NN_LAYER_H
#define NN_LAYER_H

#include "nn/op.h"
#include "nn/parameters.h"

/* "<prefix>.<what the format says>" for a layer inside a layer; returns text. A prefix that is NULL or "" is none. */
const char *layer_name(char text[SAFETENSORS_NAME_MAX], const char *prefix, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- linear (layer_linear.c) ---- */
typedef struct layer_linear {
  tensor *weight;          /* [out, in] */
  tensor *bias;            /* [out]; NULL: none */
  tensor *lora_a, *lora_b; /* [rank, in], [out, rank]; NULL: none (layer_lora.c) */
  double lora_scale;
  bool lora_merged;
} layer_linear;
/* Both uniform within 1 / sqrt(in). */
void layer_linear_init(layer_linear *l, parameters *p, const char *prefix, size_t in, size_t out, bool bias);
/* x [..., in] → [..., out] */
tensor *layer_linear_forward(tape *t, const layer_linear *l, tensor *x);

/* ---- LoRA (layer_lora.c; Hu et al. 2021): a linear layer learns a difference of low rank beside its weight ---- */
/* weight and bias of l stay as they are from now on; what learns is "<prefix>.lora_A", uniform within 1 / sqrt(in), and
 * "<prefix>.lora_B", zero, so that the layer says at first what it said before. alpha / rank is the difference's scale.
 * Before sealing; p may be other parameters than those that hold the weight, which may be of any type. */
void layer_lora_init(layer_linear *l, parameters *p, const char *prefix, size_t rank, double alpha);
/* The difference goes into the weight (float32) and forward costs what it did without; and out again, which brings the
 * weight back to rounding. Doing what is done already does nothing. */
void layer_lora_merge(layer_linear *l);
void layer_lora_unmerge(layer_linear *l);

/* ---- embedding (layer_embedding.c): a row for each number ---- */
typedef struct layer_embedding {
  tensor *weight; /* [rows, dim] */
} layer_embedding;
/* From N(0, deviation²); deviation 0: 1. as_table: its gradient and its optimiser know only the rows that a step
 * touches (parameters.h); otherwise it is a weight like others, which is better where most rows are touched. */
void layer_embedding_init(layer_embedding *l, parameters *p, const char *prefix, size_t rows, size_t dim,
                          double deviation, bool as_table);
/* indices [i...] → [i..., dim]; a negative index is a row of zeros. */
tensor *layer_embedding_forward(tape *t, const layer_embedding *l, tensor *indices);

/* ---- recurrent networks (layer_recurrent.c): layers of GRU or LSTM, perhaps in both directions ---- */
#define LAYER_RECURRENT_MAX 8 /* layers on top of each other */
typedef struct layer_recurrent {
  bool lstm;
  size_t layers, directions; /* directions: 1 or 2 */
  double dropout;            /* between layers */
  recurrent_weights weights[LAYER_RECURRENT_MAX][2];
} layer_recurrent;
typedef struct layer_recurrent_options {
  size_t in, hidden;
  size_t layers; /* 0: 1; at most LAYER_RECURRENT_MAX */
  bool both_directions;
  double dropout;
} layer_recurrent_options;
/* Names as PyTorch's: weight_ih_l0, ..., bias_hh_l1_reverse. All uniform within 1 / sqrt(hidden). */
void layer_gru_init(layer_recurrent *l, parameters *p, const char *prefix, const layer_recurrent_options *options);
void layer_lstm_init(layer_recurrent *l, parameters *p, const char *prefix, const layer_recurrent_options *options);
/* x [batch, steps, in], lengths [batch] or NULL: whole rows → [batch, steps, directions * hidden], zero behind the
 * ends; forward direction first. */
tensor *layer_recurrent_forward(tape *t, const layer_recurrent *l, tensor *x, tensor *lengths);
/* Of what forward made: the last state of each row and direction, [batch, directions * hidden]; zeros where a row has
 * no steps. */
tensor *layer_recurrent_last(tape *t, const layer_recurrent *l, tensor *y, tensor *lengths);

/* ---- text CNN (layer_text_cnn.c; Kim 2014): what a text says best to each of many filters ---- */
#define LAYER_TEXT_CNN_WIDEST 4 /* filters see 2, 3 and 4 words at a time */
typedef struct layer_text_cnn {
  layer_embedding words;
  layer_linear filters[LAYER_TEXT_CNN_WIDEST - 1]; /* [filters, width * dim] */
} layer_text_cnn;
void layer_text_cnn_init(layer_text_cnn *l, parameters *p, const char *prefix, size_t words, size_t dim,
                         size_t filters);
/* ids [batch, length], negative behind a text's end → [batch, 3 filters], 0 or more. What stands behind the end has no
 * say, so a text says the same in every batch. */
tensor *layer_text_cnn_forward(tape *t, const layer_text_cnn *l, tensor *ids);

/* ---- autoencoders (layer_autoencoder.c): a row of numbers through a narrow code and back ---- */
#define LAYER_AUTOENCODER_MAX 6
typedef struct layer_autoencoder {
  size_t count;     /* linear layers each way */
  bool variational; /* the code is drawn: the last layer inward says mean and log of the variance */
  layer_linear inward[LAYER_AUTOENCODER_MAX], outward[LAYER_AUTOENCODER_MAX];
} layer_autoencoder;
/* widths [count + 1]: the row, what lies between, the code. Gelu between layers. variational: Kingma & Welling 2014. */
void layer_autoencoder_init(layer_autoencoder *l, parameters *p, const char *prefix, const size_t *widths, size_t count,
                            bool variational);
/* x [..., row] → [..., code]; variational: its mean, and in training a draw around it. *divergence (NULL: not wanted;
 * variational only): the mean over rows of KL(code, N(0, 1)). */
tensor *layer_autoencoder_encode(tape *t, const layer_autoencoder *l, tensor *x, tensor **divergence);
tensor *layer_autoencoder_decode(tape *t, const layer_autoencoder *l, tensor *code);
/* Mean squared error of x through both against `target` (x itself, or what x was before noise), per row; variational:
 * plus weight times the divergence. */
tensor *layer_autoencoder_loss(tape *t, const layer_autoencoder *l, tensor *x, tensor *target, double weight);

#endif
