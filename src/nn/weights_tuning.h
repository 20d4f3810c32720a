/* nn/weights_tuning.h: a published model that learns on: which of its weights do, where they get their first values,
 * and the file with what became of them.
 *
 * A model takes its tensors through nn/weights.h as ever. With a tuning set, those that are to learn come as
 * parameters; the others stay in the mapped file, where nothing can write to them, and reach the new file byte by byte.
 * The network that learns is the one that answers: the same functions over other tensors.
 *
 *     weights_tuning tuning;
 *     TRY(weights_tuning_init(&tuning, choice, err));
 *     weights w = {.from = &file, .tuning = &tuning};
 *     bert_init(&network, &w, &sizes);  TRY(weights_status(&w, err));
 *     TRY(weights_tuning_seal(&w, seed, err));
 *     ... training of tuning.parameters ...
 *     TRY(weights_tuning_save(&w, "model.safetensors", err));
 *
 * All: embeddings, blocks, norms, projections. Last: the last layers and what follows them. LoRA (Hu et al. 2021): a
 * difference of low rank beside every matrix of every block, which the new file has in its weights, so that a tuned
 * model costs what it did. The new file has the names of the old one and opens in its place. Not thread-safe.
 */
#ifndef NN_WEIGHTS_TUNING_H
#define NN_WEIGHTS_TUNING_H

#include "nn/layer.h"
#include "nn/weights.h"

typedef enum tuning_part { TUNING_ALL, TUNING_LAST, TUNING_LORA } tuning_part;
typedef struct tuning_choice {
  tuning_part part;
  size_t number; /* layers from the end; rank */
} tuning_choice;

#define TUNING_TEXT_MAX 32
/* "all", "last=2", "lora=8". MEDLEY_ERR_USAGE says what there is. */
medley_status tuning_choice_read(const char *text, tuning_choice *out, medley_error *err) MEDLEY_CHECK;
const char *tuning_choice_text(tuning_choice choice, char text[TUNING_TEXT_MAX]);

/* A tensor of the file, and where its numbers are now. */
typedef struct tuning_source {
  const tensor_view *view;
  tensor *to;
  size_t at;   /* its first number there: one of several that were stacked */
  bool turned; /* `to` is its transpose */
} tuning_source;

typedef struct weights_tuning {
  tuning_choice choice;
  parameters *parameters; /* owned */
  bool within;            /* the layers that are taken now are among the last */
  tuning_source *sources;
  size_t source_count, source_capacity;
  layer_linear **lora; /* the layers that have one */
  size_t lora_count, lora_capacity;
} weights_tuning;
medley_status weights_tuning_init(weights_tuning *t, tuning_choice choice, medley_error *err) MEDLEY_CHECK;
void weights_tuning_deinit(weights_tuning *t); /* after the network; harmless on a zeroed one */

/* ---- for models ---- */

/* Before anything of a network, or of one of its towers, is taken: what stands in front of the layers is none of the
 * last. */
void weights_before_layers(weights *w);
/* Before layer number `layer` of `layers` is taken, and with layer == layers before what follows the last one. */
void weights_at_layer(weights *w, size_t layer, size_t layers);
/* A layer of a block is taken: it gets its LoRA, "<stem><part>", when that was chosen. */
void weights_add_lora(weights *w, layer_linear *l, const char *stem, const char *part);
/* A table that was taken as a view: the parameter it is instead, NULL when it does not learn. by_rows: its gradient
 * knows the touched rows only. */
tensor *weights_table_learns(weights *w, const tensor_view *view, bool by_rows);

/* ---- for those who tune ---- */

/* Blocks and first values of the parameters. GGUF is refused: its weights are rounded for answering. */
medley_status weights_tuning_seal(weights *w, uint64_t seed, medley_error *err) MEDLEY_CHECK;
/* Every tensor of the checkpoint under its name in one safetensors file: those that learnt as float32, the others as
 * they were. */
medley_status weights_tuning_save(weights *w, const char *path, medley_error *err) MEDLEY_CHECK;

/* ---- for nn/weights.c ---- */

/* What is taken now learns. */
bool weights_learn(const weights *w);
/* A parameter for the numbers of a view, in this shape; NULL after a failure. */
tensor *weights_parameter(weights *w, const char *name, int rank, const size_t *shape);
void weights_note_source(weights *w, tuning_source source);

#endif
