/* index/set.h: the index as a user holds it (include/medley/index.h): ids, rows, attributes, a kind that finds, a
 * journal and a file. In order: set.c (life), set_file.c (as a file), set_change.c (writers), set_search.c (readers),
 * set_measure.c (what it says about itself).
 *
 * Lock order: `write` (one writer), then what labels, attributes, cache and guard hold inside for moments. Searches
 * take none of it but those inside locks; they enter the guard instead, so that what they may still see is not used
 * again.
 */
#ifndef INDEX_SET_H
#define INDEX_SET_H

#include <medley/index.h>
#include <pthread.h>

#include "index/asked.h"
#include "index/attributes.h"
#include "index/filter.h"
#include "index/guard.h"
#include "index/index.h"
#include "index/journal.h"
#include "index/labels.h"

#define SET_FILTER_CACHE_BYTES ((size_t)32 << 20)
#define SET_RERANK 4 /* an int8 or f16 search hands so many times k to the full vectors */

/* A slot that nobody names any more, to be used again once the readers of that epoch have left. */
typedef struct set_limbo {
  uint32_t slot;
  uint64_t epoch;
} set_limbo;

/* What keeps a set from taking changes. */
typedef enum set_trouble {
  SET_SOUND,
  SET_JOURNAL_BEHIND, /* memory holds a change that the journal could not take: a save mends it */
  SET_MEMORY_BEHIND   /* the journal holds an accepted change that memory does not: only opening it anew makes it */
} set_trouble;

typedef struct set_replay set_replay; /* adds of the journal that wait to be made together */

struct medley_index {
  const index_kind *kind;
  index_options options;
  rows rows, full; /* full.dim is 0 without re-ranking */
  index_structure *structure;
  guard *guard;
  labels labels;
  attributes *attributes;
  filter_cache *filters;
  _Atomic uint64_t ids_version;
  uint64_t memory_limit_bytes;

  pthread_mutex_t write;
  set_limbo *limbo; /* oldest first from limbo_at */
  _Atomic size_t limbo_at, limbo_count;
  size_t limbo_capacity;
  size_t repair_debt;    /* rows to look at before the sweep is where it should be */
  _Atomic bool updating; /* an id may be answered from two slots for a moment */
  bool read_only;
  set_trouble trouble;
  medley_error trouble_error; /* what it began with */

  char *path; /* NULL: in memory only */
  index_file *file;
  _Atomic(journal *) journal; /* NULL: in memory only */
  set_replay *replay;         /* while it is opened */

  asked asked;
  _Atomic double recall; /* negative: not measured */
  _Atomic size_t recall_breadth;
};

/* What the options say, or why they cannot be. */
medley_status set_options_read(const medley_index_options *o, medley_index *set, index_distance *distance,
                               row_storage *storage, row_storage *rerank, medley_error *err) MEDLEY_CHECK;
/* Slots that nobody names. */
size_t set_unused(const medley_index *set);
/* Rows, labels, attributes, locks; everything but the structure. */
medley_status set_create(const medley_index_options *o, medley_index **out, medley_error *err) MEDLEY_CHECK;
size_t set_own_bytes(const medley_index *set);
/* Vectors to come that need not be in memory lie in a nameless file in this folder. */
medley_status set_use_scratch(medley_index *set, const char *folder, medley_error *err) MEDLEY_CHECK;
medley_status set_finds(void *set, uint64_t id, uint32_t *slot,
                        medley_error *err) MEDLEY_CHECK; /* filter_labels.find */

/* set_file.c */
medley_status set_write(medley_index *set, const char *path, const journal_mark *mark, unsigned char *id,
                        const medley_progress *progress, medley_error *err) MEDLEY_CHECK;
medley_status set_read(const index_file *f, medley_index **out, medley_error *err) MEDLEY_CHECK;

/* set_search.c: a search that is not remembered as a real query (medley_index_measure). */
medley_status set_search_unnoticed(const medley_index *set, const medley_index_query *query, medley_index_hit *hits,
                                   size_t *found, medley_error *err) MEDLEY_CHECK;

/* set_change.c: why the set takes no changes, or cannot be saved either. */
medley_status set_trouble_tell(const medley_index *set, medley_error *err) MEDLEY_CHECK;
/* set_change.c: the caller holds `write`; nothing is journaled. */
medley_status set_apply(void *set, const journal_record *record, medley_error *err) MEDLEY_CHECK;
/* What was gathered is made; call it behind the last record. */
medley_status set_replay_flush(medley_index *set, medley_error *err) MEDLEY_CHECK;
void set_replay_free(medley_index *set);
void set_release_slot(medley_index *set, uint32_t slot);

#endif
