/* index/journal.h: "<index>.journal": every change that was accepted after the last save, so that kill -9 and a power
 * cut lose nothing that was acknowledged.
 *
 *   the header (128 bytes; all numbers little endian)
 *      0   8  magic: 89 4D 49 4A 0D 0A 1A 0A
 *      8   4  format version, 1
 *     12   4  zero
 *     16  16  id of this journal, drawn when it is begun
 *     32  16  id of the index file that it continues (file.h)
 *     48   8  sequence number of the last change that is in that file: the first record here has the next
 *     56   4  CRC-32 of the bytes 0…55
 *     60   4  zero
 *     64   8  synced length: the journal up to here was on disk …
 *     72   8  … and ended with this sequence number
 *     80   4  CRC-32 of the bytes 64…79
 *     84  44  zero
 *   the records, one behind the other
 *      0   4  length of the payload, at most JOURNAL_PAYLOAD_MAX
 *      4   4  type, the user's business
 *      8   8  sequence number, each one more than the last
 *     16   4  chain: CRC-32 of the bytes 0…15 and of the payload, begun with the record before's chain (the first: with
 *             the checksum at byte 56) instead of zero
 *     20   …  payload
 *
 * The chain ties a record to all before it: a record of another journal, or of this one before it was copied and went
 * two ways, does not fit.
 *
 * What a torn end is. A kill in the middle of a write leaves the beginning of what was written; a power cut leaves
 * anything of what was not synced. Both are changes nobody was promised. So journal_sync, once the data is on disk,
 * writes the length that is (bytes 64…83, one sector; flushed with the next sync, and there after a kill at once). What
 * is wrong behind it is cut and told; what is wrong before it is damage of acknowledged changes, and is refused with
 * the offset. After a power cut the length may be that of the sync before: of the last group alone, damage cannot be
 * told from a torn end.
 *
 * Saving, and a kill at any moment:
 *   1. The index is written beside its name with journal_position in its header. – A kill: old file, old journal, all
 *      records are replayed; the unfinished file is swept by the next journal_open.
 *   2. It is synced, renamed, the folder synced. – A kill from here on: new file, old journal. The journal does not
 * name this file, but this file names the journal, and up to which sequence number and chain its changes are in it:
 *      these are skipped, later ones (accepted while the index was being written) are replayed. The order on disk is
 *      certain, as the folder is synced before step 3 begins.
 *   3. journal_reset writes a new journal, naming the new file, beside its name, with the later changes; it is synced –
 *      A kill: as in 2; the unfinished journal is swept.
 *   4. … and renamed over the old one. – A kill: new file, new journal, which names it. The old journal is gone with
 * the rename; nothing reads it any more, as its changes are in one of the two. If 3 or 4 fails (a full disk), the old
 * journal goes on being used, as in 2, and the next save tries again.
 *
 * A journal whose file is neither the one it names nor one that names it is refused: replaying would mix two indexes.
 *
 * Threads: journal_append, journal_position and journal_reset by one at a time (the set's writer lock); journal_sync by
 * any number beside them: who comes while another syncs waits for the next sync, which serves all who wait.
 */
#ifndef INDEX_JOURNAL_H
#define INDEX_JOURNAL_H

#include <stdbool.h>

#include "index/file.h"

#define JOURNAL_VERSION 1
#define JOURNAL_PAYLOAD_MAX ((size_t)16 << 20)

typedef struct journal journal;

typedef enum journal_mode {
  JOURNAL_WRITE,  /* the one process that changes the index */
  JOURNAL_READ,   /* nothing on disk is locked, made, cut or removed */
  JOURNAL_SALVAGE /* as WRITE, but damage is cut off like a torn end: what was accepted before it is kept */
} journal_mode;

typedef struct journal_record {
  const void *bytes; /* NULL when length is 0 */
  size_t length;
  uint32_t type;
  uint64_t sequence; /* given by journal_append, told by journal_replay */
} journal_record;

/* A record's change is to be made again; its bytes end with the call. An error ends the replay. */
typedef medley_status (*journal_apply)(void *context, const journal_record *record, medley_error *err);

typedef struct journal_replay_result {
  size_t applied;     /* records given to apply */
  size_t skipped;     /* records whose changes are in the file already */
  uint64_t cut_bytes; /* torn end that was cut off */
} journal_replay_result;

/* Makes the journal ours: locked against other processes (MEDLEY_ERR_BUSY), leftovers of killed saves of `index_path`
 * and of the journal removed. An absent one is made, empty. Do this before the index file is opened: then nobody can
 * save between the two. JOURNAL_READ: only journal_replay and journal_close are allowed; an absent one is an empty one;
 * if it is refused, another process may have saved meanwhile: open both again. */
medley_status journal_open(const char *index_path, journal_mode mode, journal **out, medley_error *err) MEDLEY_CHECK;
/* Once, after the open: gives every record that is not in the file to apply, in order, cuts a torn end (told through
 * progress->note; a reader passes it over), and makes the journal ready for journal_append. An empty one is begun. id,
 * mark: index_file_id and index_file_mark of the file, or what index_file_writer_commit gave when it was written just
 * now. On error the journal on disk is as it was. */
medley_status journal_replay(journal *j, const unsigned char *id, const journal_mark *mark, journal_apply apply,
                             void *context, const medley_progress *progress, journal_replay_result *result,
                             medley_error *err) MEDLEY_CHECK;

/* Writes the records, one after the other, and numbers them. They live through a kill of the process now, through a
 * power cut after journal_sync(j, records[count - 1].sequence). On error none of them is in the journal; if it cannot
 * even be cut back to what it was, and after a failed sync, the journal takes no more until a save has reset it. */
medley_status journal_append(journal *j, journal_record *records, size_t count, medley_error *err) MEDLEY_CHECK;
/* Returns when all up to this sequence number is on disk (UINT64_MAX: all there is). */
medley_status journal_sync(journal *j, uint64_t sequence, medley_error *err) MEDLEY_CHECK;
/* Takes back what was appended since journal_tell, so that it is not there after a kill either. */
typedef struct journal_place {
  uint64_t length, sequence;
  uint32_t chain;
} journal_place;
void journal_tell(journal *j, journal_place *out);
medley_status journal_cut(journal *j, const journal_place *place, medley_error *err) MEDLEY_CHECK;
/* Where it stands after the last append: for index_file_writer_create. */
void journal_position(const journal *j, journal_mark *out);
/* After index_file_writer_commit: begins a new journal for the file of this id, whose header holds this mark. Keeps the
 * records behind the mark. On error the old journal stays in use. */
medley_status journal_reset(journal *j, const unsigned char *id, const journal_mark *mark,
                            medley_error *err) MEDLEY_CHECK;
uint64_t journal_bytes(journal *j); /* its length: when it is long, save; from any thread */
/* For an index that is written over on purpose, before journal_replay: with this mark in its header the new file counts
 * as holding all that is in the journal there is, whosever that was. (Then: commit the new file, drop, and replay the
 * empty journal or close it.) Zeros when there is none that can be read. */
void journal_supersede(const journal *j, journal_mark *out);
/* Empties it, before journal_replay. */
medley_status journal_drop(journal *j, medley_error *err) MEDLEY_CHECK;
/* Does not sync. An empty journal is removed. NULL is fine. */
void journal_close(journal *j);

#endif
