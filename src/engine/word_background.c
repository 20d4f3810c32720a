/* engine/word_background.c: see engine/word_background.h. */
#include "engine/word_background.h"

#define WORD_BYTES_MIN 2
#define WORD_BYTES_MAX 48

/* The words of one item, each once. */
typedef struct word_counter {
  strmap seen, *counts;
  bool failed;
} word_counter;

static bool word_take(void *context, const char *word, size_t length, size_t position) {
  (void)position;
  word_counter *c = context;
  bool fresh = false;
  /* Numbers and single letters tell nothing about a person. */
  if (length < WORD_BYTES_MIN || length > WORD_BYTES_MAX || (word[0] >= '0' && word[0] <= '9')) return true;
  if (strmap_get_or_put(&c->seen, word, length, 1, &fresh) == NULL) c->failed = true;
  if (!fresh) return !c->failed;
  int64_t *count = strmap_get_or_put(c->counts, word, length, 0, NULL);
  if (count == NULL)
    c->failed = true;
  else
    ++*count;
  return !c->failed;
}

medley_status word_background_count(word_background *b, const catalogue_item *item, strmap *counts, medley_error *err) {
  medley_status status = MEDLEY_OK;
  word_counter c = {.counts = counts};
  TRY(text_words(b->preparer, item->title, word_take, &c, err));
  if (!c.failed) TRY(text_words(b->preparer, item->text, word_take, &c, err));
  if (c.failed) status = error_memory(err, "words");
done:
  strmap_deinit(&c.seen);
  return status;
}

medley_status word_background_create(const catalogue *items, const preparation *prepare, int64_t generation,
                                     word_background **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  word_background *b = NULL;
  text_options options = preparation_text(prepare);
  options.keep_endings = true;
  TRY_NEW(b, 1, "words");
  b->generation = generation;
  TRY(text_preparer_create(&options, &b->preparer, err));
  /* Evenly over the catalogue: neighbours often come from one source. */
  uint32_t step = items->count / WORD_BACKGROUND_ITEMS + 1;
  for (uint32_t i = 0; i < items->count; i += step) {
    TRY(word_background_count(b, &items->items[i], &b->items_with, err));
    b->items++;
  }
  *out = b;
  b = NULL;
done:
  word_background_free(b);
  return status;
}

void word_background_free(word_background *b) {
  if (b == NULL) return;
  text_preparer_free(b->preparer);
  strmap_deinit(&b->items_with);
  mem_free(b);
}
