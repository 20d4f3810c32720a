/* data/catalogue.h: what training and answering know about the items, in memory: titles, texts, tags, media, years.
 *
 * Items are numbered 0..count-1 in order of their store ids, the same numbering as event_log's. Strings live in one
 * arena.
 */
#ifndef DATA_CATALOGUE_H
#define DATA_CATALOGUE_H

#include "base/memory.h"
#include "base/progress.h"
#include "data/interactions.h"
#include "media/sample.h"
#include "store/store.h"

typedef struct catalogue_item {
  int64_t id;
  const char *key;
  const char *title, *text, *category, *language; /* "" when not given */
  const uint32_t *tags;                           /* [tag_count] indexes into tag_names, the category among them */
  uint32_t tag_count;
  int64_t time_s;
  int year; /* from a title like "Toy Story (1995)", else from the attribute "year"; 0: unknown */
  bool hidden;
  const char *const *media[MODALITY_COUNT]; /* [media_count[m]] paths */
  uint32_t media_count[MODALITY_COUNT];
} catalogue_item;

typedef struct catalogue {
  uint32_t count;
  catalogue_item *items;  /* [count] */
  intmap index;           /* store id → index */
  strmap keys;            /* key → index */
  strmap tags;            /* tag → index into tag_names */
  const char **tag_names; /* [tag_count] */
  uint32_t tag_count;
  arena *strings;
  size_t item_capacity, tag_capacity;
} catalogue;

medley_status catalogue_load(const store_kind *kind, store *s, const medley_progress *progress, catalogue *out,
                             medley_error *err) MEDLEY_CHECK;
void catalogue_deinit(catalogue *c);

/* The index of a tag or category name, or UINT32_MAX. */
uint32_t catalogue_tag(const catalogue *c, const char *name);
bool catalogue_has_tag(const catalogue *c, uint32_t item, uint32_t tag);

#endif
