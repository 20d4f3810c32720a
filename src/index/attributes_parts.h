/* index/attributes_parts.h: how attributes lie in memory; for attributes*.c and the filters that scan them.
 *
 * The functions below take no lock: their callers hold it.
 */
#ifndef INDEX_ATTRIBUTES_PARTS_H
#define INDEX_ATTRIBUTES_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "index/attributes.h"
#include "index/slotset.h"

typedef enum column_kind { COLUMN_NUMBERS = 1, COLUMN_WORDS = 2 } column_kind;

/* The cells of 65536 slots, of which the first `capacity` are there: 0 or a power of two from 64. A number cell is NaN
 * when it is empty. A words cell is 0 when it is empty, 1 + id of its only word, or COLUMN_LIST | place of its list:
 * most columns of words (category, brand) have one word a slot and no list at all. */
typedef struct column_chunk {
  union {
    double *numbers;
    uint32_t *words;
  };
  uint32_t capacity;
} column_chunk;

#define COLUMN_LIST 0x80000000u
#define COLUMN_LIST_CLASSES 8 /* a list takes 4 << class cells: a head with count and class, then the ids */

typedef struct column_word {
  const char *text; /* in `ids`; NULL: the id is free */
  slotset slots;
} column_word;

typedef struct column {
  char *name;
  column_kind kind;
  size_t present; /* slots with a value */
  column_chunk *chunks;
  size_t chunk_count, chunk_capacity;
  size_t bytes; /* of memory, but for `ids` */
  /* words only */
  strmap ids; /* word → id */
  column_word *words;
  size_t word_count, word_capacity;
  size_t unused; /* words in `ids` that no slot has */
  uint32_t *free_ids;
  size_t free_count, free_capacity;
  uint32_t *lists;
  size_t list_cells, list_capacity;
  uint32_t
      list_free[COLUMN_LIST_CLASSES]; /* place of the first released list of a class, linked by its head; 0: none */
} column;

struct attributes {
  pthread_rwlock_t lock;
  column *columns[ATTRIBUTES_COLUMNS_MAX]; /* ascending by name */
  size_t column_count;
  size_t slots; /* one more than the greatest slot that ever had a value */
  _Atomic uint64_t version;
  _Atomic(const struct index_file *) later; /* borrowed: where they lie unread; NULL: they are here */
  uint64_t *forgotten; /* while they are unread: a bit per slot cleared since, [(slots + 63) / 64] */
};

/* A const attributes is locked all the same: no attributes object is truly constant. */
void attributes_lock_read(const attributes *a);
void attributes_lock_write(const attributes *a);
void attributes_unlock(const attributes *a);

void attributes_slot_clear(attributes *a, uint32_t slot);

/* Kind by its name in sentences: "numbers", "words". */
const char *column_kind_name(column_kind kind);
/* The column with this name, or NULL. */
column *attributes_column(const attributes *a, const char *name);
/* The same, made when it is not there; a column without a value left takes on the wanted kind. Refuses names that
 * cannot be, a column too many, and the wrong kind. */
medley_status attributes_column_open(attributes *a, const char *name, column_kind kind, column **out,
                                     medley_error *err) MEDLEY_CHECK;

medley_status column_create(const char *name, column_kind kind, column **out, medley_error *err) MEDLEY_CHECK;
void column_reset(column *c, column_kind kind); /* of a column without values: gives its memory back */
void column_free(column *c);
size_t column_bytes(const column *c);

/* After a reserve the put of the same slot cannot fail. */
medley_status column_reserve_number(column *c, uint32_t slot, medley_error *err) MEDLEY_CHECK;
void column_put_number(column *c, uint32_t slot, double value); /* NaN: none */
double column_number(const column *c, uint32_t slot);           /* NaN: none */

/* The id of a word, given to it when it is new. */
medley_status column_intern(column *c, const char *word, size_t length, uint32_t *id, medley_error *err) MEDLEY_CHECK;
/* UINT32_MAX when no slot has the word. */
uint32_t column_word_id(const column *c, const char *word, size_t length);
/* Forgets words that no slot has, when they are many. Ids that were interned and not put are lost by it. */
void column_tidy(column *c);
/* ids [count], each once, at most ATTRIBUTES_SLOT_WORDS_MAX. */
medley_status column_reserve_words(column *c, uint32_t slot, const uint32_t *ids, size_t count,
                                   medley_error *err) MEDLEY_CHECK;
void column_put_words(column *c, uint32_t slot, const uint32_t *ids, size_t count); /* 0: none */
/* The same in two steps for a column that is read from a file: the lists of all slots, then all sets at once, which
 * takes a sixth of the time. */
medley_status column_reserve_list(column *c, uint32_t slot, size_t count, medley_error *err) MEDLEY_CHECK;
void column_put_list(column *c, uint32_t slot, const uint32_t *ids, size_t count);
medley_status column_build_sets(column *c, size_t slots, medley_error *err) MEDLEY_CHECK;
/* The ids of the slot's words; valid until the next write. *single is where one that stands alone is put. */
size_t column_words(const column *c, uint32_t slot, uint32_t *single, const uint32_t **ids);

medley_status attributes_check_name(const char *name, medley_error *err) MEDLEY_CHECK;
medley_status attributes_check_word(const char *name, const char *word, size_t length, medley_error *err) MEDLEY_CHECK;

#endif
