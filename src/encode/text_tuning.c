/* encode/text_tuning.c: see encode/text_tuning.h.
 *
 * Two kinds of pairs, half of the steps each where a text has both: its title beside the rest, which is what people who
 * search do (a few words for a whole text); and two cuts of it, each a run of its words (Izacard et al. 2021).
 */
#include "encode/text_tuning.h"

#include <string.h>

#include "base/memory.h"
#include "nn/op_kind.h"

#define TOKENS_MAX 128 /* of a view: memory of a step grows with them, and a cut of a long text says enough */
#define CUT_LEAST 0.3  /* share of a text's words that a cut has */
#define CUT_MOST 0.9

/* ---- views ---- */

/* Whether a word begins here: behind a space, or at a sign of a script that is written without them. */
static bool word_begins(const char *text, const char *at) {
  unsigned char c = (unsigned char)*at;
  if (c <= ' ' || (c & 0xc0) == 0x80) return false;
  return at == text || (unsigned char)at[-1] <= ' ' || c >= 0xe3; /* U+3000 and on */
}

/* A run of the words from text up to end. */
static void cut_draw(rng *r, const char *text, const char *end, strbuf *out) {
  size_t words = 0, word = 0;
  const char *from = text, *to = end;
  for (const char *at = text; at < end; at++) words += word_begins(text, at);
  size_t some = (size_t)((double)words * (CUT_LEAST + (CUT_MOST - CUT_LEAST) * rng_uniform(r)) + 0.5);
  if (some == 0) some = 1;
  size_t first = words > some ? (size_t)rng_below(r, words - some + 1) : 0;
  for (const char *at = text; at < end; at++) {
    if (!word_begins(text, at)) continue;
    if (word == first) from = at;
    if (word++ == first + some) to = at;
  }
  strbuf_append_bytes(out, from, (size_t)(to - from));
}

/* View 0 or 1. titles: the title beside the rest, when there are both. */
static void view_draw(rng *r, const char *text, int view, bool titles, strbuf *out) {
  const char *line = strchr(text, '\n');
  strbuf_reset(out);
  if (titles && line != NULL && line > text && line[1] != '\0') {
    if (view == 0)
      strbuf_append_bytes(out, text, (size_t)(line - text));
    else
      strbuf_append(out, line + 1);
    return;
  }
  cut_draw(r, text, text + strlen(text), out);
}

void text_views_init(text_views *v, const text_batcher *batcher, const encoder_input *inputs) {
  *v = (text_views){.batcher = *batcher, .inputs = inputs};
  tokenizer_options *o = &v->batcher.options;
  if (o->tokens_max > TOKENS_MAX && o->pad_to == 0) o->tokens_max = TOKENS_MAX;
}

void text_views_deinit(text_views *v) {
  packed_texts_deinit(&v->packed);
  strbuf_deinit(&v->view);
  mem_free(v->usable);
}

medley_status text_views_find(text_views *v, size_t count, size_t *found, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *found = 0;
  TRY_NEW(v->usable, count, "texts to learn from");
  for (size_t i = 0; i < count; i++) {
    if (v->inputs[i].text == NULL) continue;
    packed_texts_clear(&v->packed);
    TRY(packed_texts_add(&v->packed, &v->batcher, v->inputs[i].text, (uint32_t)i, err));
    if (v->packed.samples > 0) v->usable[(*found)++] = (uint32_t)i;
  }
done:
  return status;
}

/* A view of which the tokenizer leaves nothing is the whole text instead. */
static medley_status view_add(text_views *v, rng *r, uint32_t input, int view, bool titles, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *text = v->inputs[input].text;
  size_t before = v->packed.samples;
  view_draw(r, text, view, titles, &v->view);
  if (v->view.failed) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a text");
  TRY(packed_texts_add(&v->packed, &v->batcher, v->view.text ? v->view.text : "", input, err));
  if (v->packed.samples == before) TRY(packed_texts_add(&v->packed, &v->batcher, text, input, err));
done:
  return status;
}

bool text_views_add(text_views *v, tape *t, rng *r, uint32_t input, int view, bool titles) {
  medley_error error = {0};
  medley_status status = view_add(v, r, input, view, titles, &error);
  if (status == MEDLEY_ERR_MEMORY)
    op_fail_memory(t, "a text");
  else if (status != MEDLEY_OK)
    op_fail(t, "%s", error.text);
  return status == MEDLEY_OK;
}

/* ---- texts by themselves ---- */

typedef struct text_tuning {
  const text_tuner *tuner;
  const encoder_tuning *how;
  text_views views;
} text_tuning;

static tensor *text_loss(tape *t, void *context, const uint32_t *items, size_t count) {
  text_tuning *c = context;
  rng r;
  trained_draw_seed(&r, c->how->seed, t);
  bool titles = rng_uniform(&r) < 0.5;
  packed_texts_clear(&c->views.packed);
  for (int view = 0; view < 2; view++)
    for (size_t i = 0; i < count; i++)
      if (!text_views_add(&c->views, t, &r, c->views.usable[items[i]], view, titles)) return NULL;
  text_batch batch = packed_texts_batch(&c->views.packed);
  return tuning_loss(t, c->tuner->vectors(t, c->tuner->network, &batch), count);
}

medley_status text_tune(const text_tuner *tuner, weights *w, const encoder_tuning *how, const encoder_input *inputs,
                        size_t count, progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_tuning c = {.tuner = tuner, .how = how};
  size_t found = 0;
  text_views_init(&c.views, &tuner->batcher, inputs);
  TRY(text_views_find(&c.views, count, &found, err));
  TRY(tuning_run(w, how, (trained_plan){.loss = text_loss, .context = &c}, found, "texts with words", progress, err));
done:
  text_views_deinit(&c.views);
  return status;
}
