/* learn/represent_text.c: titles, texts and tags → vectors. See learn/represent.h. */
#include <stdio.h>
#include <string.h>

#include "learn/represent_parts.h"
#include "math/vector.h"

/* Texts that are handed to the encoder together: enough to sort by length and to keep all threads busy, few enough that
 * a slow encoder shows progress and loses little when it is interrupted. */
#define TEXT_BATCH 256

medley_status represent_item_text(const catalogue *items, uint32_t index, strbuf *out, medley_error *err) {
  const catalogue_item *item = &items->items[index];
  strbuf_reset(out);
  strbuf_append(out, item->title);
  if (item->text[0] != '\0') strbuf_printf(out, "\n%s", item->text);
  for (uint32_t t = 0; t < item->tag_count; t++)
    strbuf_printf(out, "%c%s", t ? ' ' : '\n', items->tag_names[item->tags[t]]);
  if (out->failed) return error_set(err, MEDLEY_ERR_LIMIT, "item '%s': its text does not fit into memory", item->key);
  return MEDLEY_OK;
}

typedef struct text_set {
  char **texts;          /* [count] */
  encoder_input *inputs; /* [count] */
  uint32_t *item;        /* [count] */
  size_t count;
} text_set;

static void text_set_deinit(text_set *t) {
  for (size_t i = 0; i < t->count; i++) mem_free(t->texts[i]);
  mem_free(t->texts);
  mem_free(t->inputs);
  mem_free(t->item);
}

static medley_status text_set_collect(const catalogue *items, text_set *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  TRY_NEW(out->texts, items->count, "texts");
  TRY_NEW(out->inputs, items->count, "texts");
  TRY_NEW(out->item, items->count, "texts");
  for (uint32_t i = 0; i < items->count; i++) {
    TRY(represent_item_text(items, i, &text, err));
    if (text.text[0] == '\0') continue;
    out->texts[out->count] = mem_strdup(text.text);
    if (out->texts[out->count] == NULL) {
      status = error_memory(err, "texts");
      goto done;
    }
    out->inputs[out->count].text = out->texts[out->count];
    out->item[out->count++] = i;
  }
done:
  strbuf_deinit(&text);
  return status;
}

static bool texts_to_fit(const text_set *texts, const uint8_t *fit_items) {
  for (size_t i = 0; i < texts->count; i++)
    if (fit_items == NULL || fit_items[texts->item[i]]) return true;
  return false;
}

static medley_status texts_use(const represent_run *run, const text_set *texts, represent_use *use, void *context,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder_input *inputs = NULL;
  const uint8_t *fit_items = run->options->fit_items;
  size_t count = 0;
  TRY_NEW(inputs, texts->count, "texts to fit on");
  for (size_t i = 0; i < texts->count; i++)
    if (fit_items == NULL || fit_items[texts->item[i]]) inputs[count++] = texts->inputs[i];
  TRY(use(context, inputs, count, run->progress, err));
done:
  mem_free(inputs);
  return status;
}

medley_status represent_use_texts(represent_run *run, represent_use *use, void *context, medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_set texts = {0};
  TRY(text_set_collect(run->items, &texts, err));
  TRY(texts_use(run, &texts, use, context, err));
done:
  text_set_deinit(&texts);
  return status;
}

/* ---- encoding ---- */

static void text_signature(const kept_vectors *k, const char *text, unsigned char out[HASH_BYTES]) {
  strbuf b = {0};
  kept_vectors_identity(k, &b);
  strbuf_printf(&b, "\n%s", text);
  hash_buffer(b.text ? b.text : "", b.length, out);
  strbuf_deinit(&b);
}

/* Moves what has to be encoded to the front of the set; returns how many. */
static size_t texts_unknown_first(text_set *t, const uint8_t *known) {
  size_t unknown = 0;
  for (size_t i = 0; i < t->count; i++) {
    if (known[t->item[i]]) continue;
    char *text = t->texts[unknown];
    uint32_t item = t->item[unknown];
    t->texts[unknown] = t->texts[i], t->texts[i] = text;
    t->item[unknown] = t->item[i], t->item[i] = item;
    unknown++;
  }
  for (size_t i = 0; i < t->count; i++) t->inputs[i].text = t->texts[i];
  return unknown;
}

static medley_status texts_encode_batch(kept_vectors *k, const text_set *t, size_t from, size_t count, float *rows,
                                        representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(part->kind->encode(part->encoder, t->inputs + from, count, rows, err));
  for (size_t i = 0; i < count; i++) {
    uint32_t item = t->item[from + i];
    if (!represent_row_usable(rows + i * k->dim, k->dim)) {
      represent_note_bad(k->run, part, item);
      continue;
    }
    memcpy(k->rows + (size_t)item * k->dim, rows + i * k->dim, k->dim * sizeof *rows);
    TRY(kept_vectors_put(k, item, err));
  }
done:
  return status;
}

static medley_status texts_encode(kept_vectors *k, text_set *t, representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *rows = NULL;
  progress_stage stage;
  for (size_t i = 0; kept_vectors_apply(part) && i < t->count; i++)
    text_signature(k, t->texts[i], k->signatures + (size_t)t->item[i] * HASH_BYTES);
  TRY(kept_vectors_load(k, err));
  size_t unknown = texts_unknown_first(t, k->known);
  TRY_NEW(rows, TEXT_BATCH * k->dim, "text vectors");
  if (part->kind->listen != NULL) part->kind->listen(part->encoder, k->run->progress);
  progress_begin(&stage, k->run->progress, "encode text", unknown);
  for (size_t from = 0; from < unknown; from += TEXT_BATCH) {
    size_t count = unknown - from < TEXT_BATCH ? unknown - from : TEXT_BATCH;
    TRY(texts_encode_batch(k, t, from, count, rows, part, err));
    TRY(progress_update(&stage, from + count, err));
  }
  TRY(kept_vectors_flush(k, err));
  progress_end(&stage, unknown);
done:
  if (status != MEDLEY_OK) (void)(kept_vectors_flush(k, NULL) == MEDLEY_OK);
  if (part->kind->listen != NULL) part->kind->listen(part->encoder, NULL);
  mem_free(rows);
  return status;
}

medley_status represent_texts(represent_run *run, representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_set texts = {0};
  kept_vectors kept = {0};
  TRY(text_set_collect(run->items, &texts, err));
  if (texts.count == 0) goto done;
  if (part->kind->needs_fit) {
    if (!texts_to_fit(&texts, run->options->fit_items)) goto done;
    TRY(texts_use(run, &texts, represent_fit, &(represent_fitting){run, part->encoder}, err));
  }
  TRY(kept_vectors_init(&kept, run, part, err));
  TRY(texts_encode(&kept, &texts, part, err));
  TRY(represent_take_rows(&kept, part, err));
done:
  kept_vectors_deinit(&kept);
  text_set_deinit(&texts);
  return status;
}
