/* encode/text_bert.c: the `bert` encoder: a published BERT, RoBERTa, E5, BGE, MiniLM in the folder it comes in
 * (weights, config.json, tokenizer, and perhaps sentence-transformers' modules), or a GGUF file. */
#include <string.h>

#include "base/memory.h"
#include "encode/bert.h"
#include "encode/sentence_config.h"
#include "encode/text_golden.h"
#include "encode/text_tuning.h"

typedef struct bert_encoder {
  const encoder_kind *kind;
  checkpoint file;
  weights weights;
  tokenizer *tokenizer;
  sentence_config sentence;
  bert network;
} bert_encoder;

#define EPSILON_DEFAULT 1e-12

/* ---- opening ---- */

static size_t size_of(const model_architecture *a, const char *name) {
  return (size_t)architecture_dimension_get(a, name, 0);
}

/* What config.json says beyond sizes; members that a BERT may lack have the values of the original. */
static medley_status config_read(const checkpoint *c, bert_sizes *s, medley_error *err) {
  const char *activation = json_member_string(c->config, "hidden_act", "gelu");
  const char *places = json_member_string(c->config, "position_embedding_type", "absolute");
  s->activation = activation_find(activation);
  if (s->activation == NULL)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: config.json: hidden_act '%.40s' is not known", c->path,
                     activation);
  if (strcmp(places, "absolute") != 0)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: config.json: position_embedding_type is '%.40s', not absolute",
                     c->path, places);
  s->epsilon = json_member_number(c->config, "layer_norm_eps", EPSILON_DEFAULT);
  if (c->gguf != NULL) s->epsilon = gguf_number(c->gguf, "bert.attention.layer_norm_epsilon", EPSILON_DEFAULT);
  return epsilon_check(s->epsilon, c->path, err);
}

static medley_status sizes_read(const checkpoint *c, const model_architecture *a, bert_sizes *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool roberta = strcmp(a->kind->name, "xlm_roberta") == 0;
  *s = (bert_sizes){.width = size_of(a, "width"),
                    .layers = size_of(a, "layers"),
                    .heads = size_of(a, "heads"),
                    .feed_forward = size_of(a, "feed_forward"),
                    .positions = size_of(a, "positions"),
                    .vocabulary = size_of(a, "vocabulary"),
                    .segments = roberta ? 1 : 2,
                    .gguf = c->gguf != NULL};
  if (a->layout == NULL) FAIL(err, MEDLEY_ERR_INPUT, "%s: holds no weights of a BERT", c->path);
  if (s->heads == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: how many heads attention has is not said: config.json is missing beside it",
         c->path);
  if (s->width % s->heads != 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: %zu numbers cannot be cut into %zu heads", c->path, s->width, s->heads);
  if (s->width == 0 || s->layers == 0 || s->feed_forward == 0 || s->vocabulary == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: a size of the network is not said (medley model show lists what is)", c->path);
  long long padding = json_member_integer(c->config, "pad_token_id", 1);
  if (roberta) s->first_position = padding >= 0 ? (size_t)padding + 1 : 0;
  if (s->positions <= s->first_position + 2)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: %zu positions are no room for a text", c->path, s->positions);
  TRY(config_read(c, s, err));
done:
  return status;
}

/* A tokenizer that keeps capitals where the model wants none would need a step of its own. */
static medley_status lower_check(const bert_encoder *e, medley_error *err) {
  medley_status status = MEDLEY_OK;
  token_list big = {0}, small = {0};
  if (!e->sentence.lower) return MEDLEY_OK;
  TRY(tokenizer_encode(e->tokenizer, "A Text", 6, NULL, &big, err));
  TRY(tokenizer_encode(e->tokenizer, "a text", 6, NULL, &small, err));
  if (big.count != small.count || memcmp(big.ids, small.ids, big.count * sizeof *big.ids) != 0)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED,
         "%s: sentence_bert_config.json wants lower case, which the tokenizer does not make", e->file.path);
done:
  token_list_deinit(&big);
  token_list_deinit(&small);
  return status;
}

static medley_status tokenizer_open(bert_encoder *e, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = e->file.gguf != NULL ? e->file.path : e->file.folder;
  if (path == NULL)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: a file alone has no tokenizer: give the folder that the model was published in",
         e->file.path);
  TRY(tokenizer_load(path, &e->tokenizer, err));
  TRY(text_tokenizer_check(e->tokenizer, path, e->network.sizes.vocabulary, e->file.path, err));
  TRY(lower_check(e, err));
done:
  return status;
}

static void bert_free(encoder *encoder) {
  bert_encoder *e = (bert_encoder *)encoder;
  if (e == NULL) return;
  tokenizer_free(e->tokenizer);
  sentence_config_deinit(&e->sentence);
  weights_deinit(&e->weights);
  checkpoint_close(&e->file);
  mem_free(e);
}

static medley_status bert_open_as(const char *path, const encoder_kind *kind, weight_precision precision,
                                  weights_tuning *tuning, encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  model_architecture a;
  bert_sizes sizes;
  bert_encoder *e = NULL;
  *out = NULL;
  TRY_NEW(e, 1, "an encoder");
  e->kind = kind;
  TRY(checkpoint_open(&e->file, path, err));
  TRY(architecture_recognise(&e->file, &a, err));
  if (strcmp(a.kind->name, "bert") != 0 && strcmp(a.kind->name, "xlm_roberta") != 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: holds a network of the family '%s', not bert", path, a.kind->name);
  TRY(sizes_read(&e->file, &a, &sizes, err));
  e->weights = (weights){.from = &e->file, .precision = precision, .tuning = tuning};
  memcpy(e->weights.prefix, a.prefix, sizeof a.prefix);
  bert_init(&e->network, &e->weights, &sizes);
  TRY(weights_status(&e->weights, err));
  TRY(sentence_config_load(&e->sentence, &e->file, err));
  TRY(tokenizer_open(e, err));
  *out = (encoder *)e;
  e = NULL;
done:
  bert_free((encoder *)e);
  return status;
}

/* ---- encoding ---- */

static size_t bert_dim(const encoder *e) { return ((const bert_encoder *)e)->network.sizes.width; }

static void bert_batch_run(tape *t, const void *network, const text_batch *batch, float *out) {
  const bert_encoder *e = network;
  size_t width = e->network.sizes.width;
  const tensor *x = bert_forward(t, &e->network, batch);
  for (size_t s = 0; x != NULL && s < batch->samples; s++) {
    size_t from = (size_t)batch->starts[s], count = (size_t)batch->starts[s + 1] - from;
    sentence_pool(&e->sentence, real_data(x) + from * width, count, width, out + s * width);
  }
}

static text_batcher batcher_of(const bert_encoder *e) {
  size_t most = bert_length_max(&e->network), wanted = e->sentence.tokens_max;
  return (text_batcher){.tokenizer = e->tokenizer,
                        .options = {.tokens_max = wanted > 0 && wanted < most ? wanted : most, .literal_special = true},
                        .prompt = e->sentence.prompt,
                        .run = bert_batch_run,
                        .network = e,
                        .dim = e->network.sizes.width};
}

static medley_status bert_encode(const encoder *encoder, const encoder_input *inputs, size_t count, float *out,
                                 medley_error *err) {
  text_batcher batcher = batcher_of((const bert_encoder *)encoder);
  return text_batches_encode(&batcher, inputs, count, out, err);
}

/* ---- tuning ---- */

/* What sentence_pool does, by ops. */
static tensor *bert_vectors(tape *t, const void *network, const text_batch *batch) {
  const bert_encoder *e = network;
  tensor *x = bert_forward(t, &e->network, batch);
  if (e->sentence.pooling != POOLING_MEAN) return text_batch_ends(t, x, batch, e->sentence.pooling == POOLING_LAST);
  tensor *all = tape_indices_new(t, batch->rows);
  if (x == NULL || all == NULL) return NULL;
  for (size_t r = 0; r < batch->rows; r++) ((int32_t *)all->data)[r] = (int32_t)r;
  return op_embedding_bag(t, x, all, tape_indices(t, 1, (size_t[]){batch->samples + 1}, batch->starts), NULL, true);
}

static medley_status bert_tune(const char *path, const encoder_tuning *how, const encoder_input *inputs, size_t count,
                               progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  weights_tuning tuning = {0};
  encoder *encoder = NULL;
  TRY(weights_tuning_init(&tuning, how->choice, err));
  TRY(bert_open_as(path, &encoder_bert, WEIGHT_F32, &tuning, &encoder, err));
  bert_encoder *e = (bert_encoder *)encoder;
  if (e->sentence.pooling == POOLING_MAX)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: a model that is pooled by the greatest numbers cannot be tuned", path);
  text_tuner tuner = {batcher_of(e), bert_vectors, e};
  TRY(text_tune(&tuner, &e->weights, how, inputs, count, progress, err));
done:
  bert_free(encoder);
  weights_tuning_deinit(&tuning);
  return status;
}

/* ---- checking ---- */

static medley_status bert_check(const encoder *encoder, const safetensors *golden, golden_report *report,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  const bert_encoder *e = (const bert_encoder *)encoder;
  const bert_sizes *s = &e->network.sizes;
  text_golden g = {0};
  tape *t = tape_create(0);
  if (t == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a tape");
  tape_set_training(t, false);
  TRY(text_golden_load(&g, golden, s->vocabulary, bert_length_max(&e->network), err));
  const tensor *x = bert_forward(t, &e->network, &g.batch);
  TRY(tape_status(t, err));
  TRY(text_golden_rows(&g, real_data(x), s->width, "last_hidden_state", report, err));
  TRY(text_golden_vectors(&g, t, bert_batch_run, e, s->width, "sentence_embedding", report, err));
done:
  tape_free(t);
  text_golden_deinit(&g);
  return status;
}

#define BERT_KIND(id, text, precision) \
  ENCODER_OF_FILE(id, bert, MODALITY_TEXT, text, NULL, bert_open_as(path, &encoder_##id, precision, NULL, out, err))

BERT_KIND(bert, "a published BERT, RoBERTa, MiniLM, E5, BGE or Chinese BERT, pooled as its files say", WEIGHT_F32)
BERT_KIND(bert_bf16, "the same with bf16 weights: half the memory", WEIGHT_BF16)
BERT_KIND(bert_int8, "the same with int8 weights: a quarter of the memory, faster where the processor multiplies int8",
          WEIGHT_INT8)
