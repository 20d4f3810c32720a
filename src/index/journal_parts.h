/* index/journal_parts.h: the bytes of index/journal.h as structs, shared by writing and replaying. */
#ifndef INDEX_JOURNAL_PARTS_H
#define INDEX_JOURNAL_PARTS_H

#include <assert.h>
#include <pthread.h>

#include "index/journal.h"

#define JOURNAL_MAGIC "\x89MIJ\r\n\x1a\n"

/* How much of the journal was on disk when this was written; one sector, written again after each sync. */
typedef struct journal_synced {
  uint64_t length, sequence;
  uint32_t crc, zero;
} journal_synced;

typedef struct journal_header {
  unsigned char magic[8];
  uint32_t version, zero0;
  unsigned char id[INDEX_FILE_ID_BYTES], file[INDEX_FILE_ID_BYTES];
  uint64_t sequence;
  uint32_t crc, zero1;
  journal_synced synced;
  unsigned char zero2[40]; /* with synced.zero: 84…127 */
} journal_header;

typedef struct journal_head {
  uint32_t length, type;
  uint64_t sequence;
} journal_head;

#define JOURNAL_HEADER_CHECKED 56 /* bytes under the header's first checksum */
#define JOURNAL_SYNCED_AT 64
#define JOURNAL_SYNCED_CHECKED 16
#define JOURNAL_SYNCED_BYTES 20
#define JOURNAL_HEAD_BYTES 20 /* of a record: journal_head and the chain */

static_assert(sizeof(journal_header) == 128 && offsetof(journal_header, crc) == JOURNAL_HEADER_CHECKED &&
                  offsetof(journal_header, synced) == JOURNAL_SYNCED_AT && sizeof(journal_head) == 16,
              "the bytes as drawn in journal.h");

struct journal {
  char *index_path, *path;
  journal_mode mode;
  int fd;     /* -1: read only, and there is none */
  bool ready; /* replayed */
  unsigned char id[INDEX_FILE_ID_BYTES];
  unsigned char *buffer; /* of the writer: records on their way */
  size_t buffer_capacity;
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t synced_more;
  bool syncing;        /* a thread is in fdatasync, without the lock */
  medley_error broken; /* why it takes no more; status MEDLEY_OK: it does */
  uint64_t length;     /* where the next record goes */
  uint64_t sequence;   /* of the last record */
  uint32_t chain;      /* after it */
  uint64_t synced_sequence;
};

uint32_t journal_header_crc(const journal_header *h);
uint32_t journal_synced_crc(const journal_synced *s);
/* The chain after a record. */
uint32_t journal_chain(uint32_t chain, const journal_head *head, const void *payload);
/* A journal for this file is written beside and takes the place of the one there is. Its first number is the one behind
 * `last`; records that have such numbers are copied. The caller holds the lock, or no other thread knows the journal.
 */
medley_status journal_begin(journal *j, const unsigned char *file, uint64_t last, medley_error *err) MEDLEY_CHECK;

/* ---- walking over the records of a journal (journal_replay.c) ---- */

typedef struct journal_walk {
  int fd;
  unsigned char *buffer; /* [capacity], holds the file's bytes from `start` */
  size_t capacity, filled;
  uint64_t start;
  uint64_t offset; /* of the next record */
  uint64_t sequence;
  uint32_t chain; /* after the last record */
} journal_walk;

/* The next record; false when there is none that is whole and fits. MEDLEY_ERR_IO, MEDLEY_ERR_MEMORY. */
medley_status journal_walk_next(journal_walk *w, const char *path, journal_record *record, bool *found,
                                medley_error *err) MEDLEY_CHECK;
void journal_walk_deinit(journal_walk *w);

#endif
