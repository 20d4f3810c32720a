/* encode/text_network.c: see encode/text_network.h. */
#include "encode/text_network.h"

#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "encode/batches.h"
#include "encode/preparer_pool.h"
#include "encode/rows.h"
#include "encode/text_terms.h"
#include "encode/trained.h"

enum { BATCH = 64, PASSES = 20, ENCODE_BATCH = 64 };
#define TEMPERATURE 0.1
#define KEPT 0.6 /* share of a text's words that a view has */

typedef struct text_network {
  encoder base;
  const text_network_kind *kind;
  uint64_t seed;
  size_t dim;
  const char *state; /* where a fit keeps its run; NULL: nowhere */
  parameters *parameters;
  text_layers layers;
  preparer_pool *pool;
  tensor *known; /* [TEXT_NETWORK_WORDS] 1 where the catalogue has the word, else 0 */
  bool fitted;
} text_network;

void text_network_free(encoder *e) {
  text_network *n = (text_network *)e;
  if (n == NULL) return;
  parameters_free(n->parameters);
  if (n->pool != NULL) preparer_pool_deinit(n->pool);
  mem_free(n->pool);
  mem_free(n);
}

void text_network_prepare(encoder *e, const preparation *p) { ((text_network *)e)->pool->prepare = *p; }

size_t text_network_dim(const encoder *e) { return ((const text_network *)e)->dim; }

medley_status text_network_create(const text_network_kind *kind, uint64_t seed, size_t dim, encoder **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_network *n = NULL;
  *out = NULL;
  if (dim > TRAINED_DIM_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "%s gives at most %d dimensions, not %zu", kind->kind->name, TRAINED_DIM_MAX, dim);
  TRY_NEW(n, 1, "a text encoder");
  *n = (text_network){.base = {kind->kind}, .kind = kind, .seed = seed, .dim = dim ? dim : TEXT_NETWORK_DIM_DEFAULT};
  TRY_NEW(n->pool, 1, "a text encoder");
  preparer_pool_init(n->pool);
  n->parameters = parameters_create();
  if (n->parameters == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a text encoder");
  kind->init(&n->layers, n->parameters, n->dim);
  n->known = parameters_add(n->parameters, NULL, "known", PARAMETER_FROZEN, (initial){INITIAL_ZERO, 0}, 1,
                            (size_t[]){TEXT_NETWORK_WORDS});
  TRY(parameters_seal(n->parameters, seed, err));
  *out = &n->base;
  n = NULL;
done:
  text_network_free((encoder *)n);
  return status;
}

/* ---- words ---- */

typedef struct word_rows {
  preparer_pool *pool;
  const encoder_input *inputs;
  const real *known; /* NULL while fitting: all words are taken */
  text_network_words words;
} word_rows;

typedef struct word_row {
  const real *known;
  int32_t *ids, count;
} word_row;

/* FNV-1a (Fowler, Noll & Vo): words are short, and nobody gains by making them collide. */
static int32_t word_id(const char *word, size_t length) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)word[i]) * 16777619u;
  return (int32_t)((h ^ h >> 15) % TEXT_NETWORK_WORDS);
}

static bool word_take(void *context, const char *term, size_t length) {
  word_row *row = context;
  bool word = length >= 2 && term[0] == TERM_WORD && memchr(term, ' ', length) == NULL; /* pairs have a space */
  if (!word || row->count == TEXT_NETWORK_LENGTH) return true;
  int32_t id = word_id(term + 1, length - 1);
  if (row->known == NULL || row->known[id] > 0) row->ids[row->count++] = id;
  return true;
}

static medley_status preparer_take(void *context, void **scratch, medley_error *err) {
  text_preparer *p = NULL;
  medley_status status = preparer_pool_take(((word_rows *)context)->pool, &p, err);
  *scratch = p;
  return status;
}

static void preparer_put(void *context, void *scratch) {
  if (scratch != NULL) preparer_pool_put(((word_rows *)context)->pool, scratch);
}

static medley_status words_of_row(void *context, void *scratch, size_t r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  word_rows *rows = context;
  word_row row = {rows->known, rows->words.ids + r * TEXT_NETWORK_LENGTH, 0};
  TRY(text_terms(scratch, rows->inputs[r].text, word_take, &row, err));
  for (size_t i = (size_t)row.count; i < TEXT_NETWORK_LENGTH; i++) row.ids[i] = -1;
  rows->words.count[r] = row.count;
done:
  return status;
}

static medley_status words_read(word_rows *rows, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(rows->words.ids, count * TEXT_NETWORK_LENGTH, "the words of texts");
  TRY_NEW(rows->words.count, count, "the words of texts");
  TRY(rows_run(&(row_work){rows, preparer_take, preparer_put, words_of_row}, count, err));
done:
  return status;
}

void text_network_words_deinit(text_network_words *w) {
  mem_free(w->ids);
  mem_free(w->count);
}

/* ---- training: two views of a text, each with some of its words ---- */

typedef struct text_training {
  text_network *network;
  const text_network_words *words;
  const uint32_t *usable; /* rows that have words */
  rng draw;
  int32_t ids[2][BATCH * TEXT_NETWORK_LENGTH], lengths[2][BATCH];
} text_training;

/* Some of the words in order, one at least; -1 up to the length. Returns how many. */
static int32_t view_draw(rng *draw, const int32_t *words, int32_t count, int32_t *out, int32_t length) {
  int32_t kept = 0, always = (int32_t)rng_below(draw, (uint64_t)count);
  for (int32_t i = 0; i < count; i++)
    if (i == always || rng_uniform(draw) < KEPT) out[kept++] = words[i];
  for (int32_t i = kept; i < length; i++) out[i] = -1;
  return kept;
}

/* One view of each item; rows as long as the longest text of the batch. */
static tensor *view_forward(tape *t, text_training *c, int k, const uint32_t *items, size_t count) {
  int32_t length = 1;
  for (size_t i = 0; i < count; i++) {
    int32_t own = c->words->count[c->usable[items[i]]];
    length = own > length ? own : length;
  }
  for (size_t i = 0; i < count; i++) {
    size_t row = c->usable[items[i]];
    c->lengths[k][i] = view_draw(&c->draw, c->words->ids + row * TEXT_NETWORK_LENGTH, c->words->count[row],
                                 c->ids[k] + i * (size_t)length, length);
  }
  tensor *ids = tape_indices(t, 2, (size_t[]){count, (size_t)length}, c->ids[k]);
  return op_unit(t, c->network->kind->forward(t, &c->network->layers, ids, tape_indices(t, 1, &count, c->lengths[k])));
}

static tensor *text_loss(tape *t, void *context, const uint32_t *items, size_t count) {
  text_training *c = context;
  trained_draw_seed(&c->draw, c->network->seed + 1, t);
  tensor *first = view_forward(t, context, 0, items, count), *second = view_forward(t, context, 1, items, count);
  return op_infonce(t, first, second, TEMPERATURE, true);
}

static size_t usable_rows(const text_network_words *words, size_t count, uint32_t *usable, real *known) {
  size_t found = 0;
  for (size_t r = 0; r < count; r++) {
    if (words->count[r] > 0) usable[found++] = (uint32_t)r;
    for (int32_t i = 0; i < words->count[r]; i++) known[words->ids[r * TEXT_NETWORK_LENGTH + (size_t)i]] = 1;
  }
  return found;
}

void text_network_keep(encoder *e, const char *path) { ((text_network *)e)->state = path; }

medley_status text_network_fit(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_network *n = (text_network *)e;
  word_rows rows = {.pool = n->pool, .inputs = inputs};
  uint32_t *usable = NULL;
  text_training *training = NULL;
  TRY(words_read(&rows, count, err));
  TRY_NEW(usable, count, "texts to learn from");
  TRY_NEW(training, 1, "a training");
  size_t found = usable_rows(&rows.words, count, usable, real_data(n->known));
  if (found < 2)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: %zu texts with words are too few to learn from", e->kind->name, found);
  training->network = n, training->words = &rows.words, training->usable = usable;
  trained_plan plan = {
      .batch = BATCH, .passes = PASSES, .rate = 2e-3, .loss = text_loss, .context = training, .state = n->state};
  TRY(trained_fit(n->parameters, n->seed, &plan, found, progress, err));
  n->fitted = true;
done:
  text_network_words_deinit(&rows.words);
  mem_free(usable);
  mem_free(training);
  return status;
}

/* ---- encoding ---- */

medley_status text_network_narrow(encoder *e, weight_precision precision, medley_error *err) {
  return parameters_narrow(((text_network *)e)->parameters, precision, err);
}

weight_precision text_network_precision(const encoder *e) {
  return parameters_precision(((const text_network *)e)->parameters);
}

typedef struct text_run {
  const text_network *network;
  const text_network_words *words;
  const uint32_t *order; /* [count] texts by length: a batch has hardly any padding */
  float *out;            /* [count, dim] */
} text_run;

/* Texts [from, to) of the order, at most ENCODE_BATCH, in rows as long as the longest. */
static medley_status batch_encode(void *context, tape *t, size_t from, size_t to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const text_run *run = context;
  const text_network *n = run->network;
  size_t length = 1, count = to - from;
  int32_t ids[ENCODE_BATCH * TEXT_NETWORK_LENGTH], own[ENCODE_BATCH];
  const uint32_t *texts = run->order + from;
  for (size_t i = 0; i < count; i++) {
    own[i] = run->words->count[texts[i]];
    if ((size_t)own[i] > length) length = (size_t)own[i];
  }
  for (size_t i = 0; i < count; i++)
    memcpy(ids + i * length, run->words->ids + texts[i] * (size_t)TEXT_NETWORK_LENGTH, length * sizeof *ids);
  tensor *y = op_unit(t, n->kind->forward(t, &n->layers, tape_indices(t, 2, (size_t[]){count, length}, ids),
                                          tape_indices(t, 1, &count, own)));
  TRY(tape_status(t, err));
  for (size_t i = 0; i < count; i++) {
    float *out = run->out + texts[i] * n->dim;
    memcpy(out, real_data(y) + i * n->dim, n->dim * sizeof *out);
    if (own[i] == 0) memset(out, 0, n->dim * sizeof *out);
  }
done:
  return status;
}

static void order_by_length(const int32_t *lengths, size_t count, uint32_t *order) {
  size_t placed = 0;
  for (int32_t length = 0; length <= TEXT_NETWORK_LENGTH; length++)
    for (size_t i = 0; placed < count && i < count; i++)
      if (lengths[i] == length) order[placed++] = (uint32_t)i;
}

medley_status text_network_read(const encoder *of, const encoder_input *inputs, size_t count, text_network_words *out,
                                medley_error *err) {
  const text_network *n = (const text_network *)of;
  word_rows rows = {.pool = n->pool, .inputs = inputs, .known = real_data(n->known)};
  medley_status status = words_read(&rows, count, err);
  *out = rows.words;
  return status;
}

medley_status text_network_run(const encoder *e, const text_network_words *words, size_t count, float *out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *order = NULL;
  TRY_NEW(order, count, "a text encoder");
  order_by_length(words->count, count, order);
  text_run run = {(const text_network *)e, words, order, out};
  TRY(batches_run(count, ENCODE_BATCH, batch_encode, &run, err));
done:
  mem_free(order);
  return status;
}

medley_status text_network_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_network_words words = {0};
  if (!((const text_network *)e)->fitted)
    FAIL(err, MEDLEY_ERR_USAGE, "%s must be fitted before it encodes", e->kind->name);
  TRY(text_network_read(e, inputs, count, &words, err));
  TRY(text_network_run(e, &words, count, out, err));
done:
  text_network_words_deinit(&words);
  return status;
}

/* ---- in model files ---- */

medley_status text_network_save(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err) {
  const text_network *n = (const text_network *)e;
  if (!n->fitted) return error_set(err, MEDLEY_ERR_USAGE, "%s must be fitted before it is saved", e->kind->name);
  return trained_save(n->parameters, w, prefix, err);
}

medley_status text_network_load(const text_network_kind *kind, const safetensors *s, const char *prefix, encoder **out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL;
  size_t dim;
  *out = NULL;
  TRY(trained_rows(s, prefix, "out.weight", TRAINED_DIM_MAX, &dim, err));
  TRY(text_network_create(kind, 0, dim, &e, err));
  TRY(trained_load(((text_network *)e)->parameters, s, prefix, err));
  ((text_network *)e)->fitted = true;
  *out = e;
  e = NULL;
done:
  text_network_free(e);
  return status;
}
