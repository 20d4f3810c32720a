/* bench/search_packs.h: the real packs of $MEDLEY_DATA as items with texts, pictures, sounds and a split. */
#ifndef BENCH_SEARCH_PACKS_H
#define BENCH_SEARCH_PACKS_H

#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

typedef enum split { SPLIT_TRAIN, SPLIT_VALID, SPLIT_TEST, SPLIT_OUT } split;

typedef struct pack_item {
  split split;
  char *picture, *sound; /* paths, NULL when there is none; of the pack's arena */
} pack_item;

typedef struct pack_text {
  uint32_t item;
  char *text;
} pack_text;

typedef struct pack {
  arena *strings;
  pack_item *items;
  size_t item_count, item_capacity;
  pack_text *texts; /* several an item are allowed */
  size_t text_count, text_capacity;
} pack;

/* `variant` says what the text is, each pack's own: see the table in bench_search.c. MEDLEY_ERR_NOT_FOUND without the
 * pack. */
medley_status pack_load(const char *data, const char *name, const char *variant, pack *out,
                        medley_error *err) MEDLEY_CHECK;
void pack_deinit(pack *p);

#endif
