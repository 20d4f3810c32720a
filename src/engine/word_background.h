/* engine/word_background.h: how common each word is in the catalogue, from a sample of its items: what the words of a
 * history are held against. Made on first use and kept by the workspace handle, because walking the texts takes a good
 * part of a second. */
#ifndef ENGINE_WORD_BACKGROUND_H
#define ENGINE_WORD_BACKGROUND_H

#include "base/map.h"
#include "data/catalogue.h"
#include "media/preparation.h"

#define WORD_BACKGROUND_ITEMS 2000

typedef struct word_background {
  text_preparer *preparer; /* words as people write them: no stemming */
  strmap items_with;       /* word → items of the sample that have it */
  uint32_t items;          /* in the sample */
  int64_t generation;      /* whose catalogue was sampled */
} word_background;

medley_status word_background_create(const catalogue *items, const preparation *prepare, int64_t generation,
                                     word_background **out, medley_error *err) MEDLEY_CHECK;
void word_background_free(word_background *b);

/* Counts each word of an item's title and text once into counts. */
medley_status word_background_count(word_background *b, const catalogue_item *item, strmap *counts,
                                    medley_error *err) MEDLEY_CHECK;

#endif
