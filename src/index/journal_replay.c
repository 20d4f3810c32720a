/* index/journal_replay.c: reading a journal, and telling a torn end from damage; see index/journal.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "index/journal_parts.h"

#define WINDOW_BYTES ((size_t)1 << 20)

uint32_t journal_header_crc(const journal_header *h) {
  return (uint32_t)crc32_z(0, (const unsigned char *)h, JOURNAL_HEADER_CHECKED);
}

uint32_t journal_synced_crc(const journal_synced *s) {
  return (uint32_t)crc32_z(0, (const unsigned char *)s, JOURNAL_SYNCED_CHECKED);
}

uint32_t journal_chain(uint32_t chain, const journal_head *head, const void *payload) {
  chain = (uint32_t)crc32_z(chain, (const unsigned char *)head, sizeof *head);
  return head->length > 0 ? (uint32_t)crc32_z(chain, payload, head->length) : chain;
}

/* ---- the walk ---- */

/* *bytes: `length` bytes at the walk's offset; NULL when the file ends before. */
static medley_status window_get(journal_walk *w, const char *path, size_t length, const unsigned char **bytes,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  *bytes = NULL;
  if (w->offset < w->start || w->offset + length > w->start + w->filled) {
    /* What is in the window already is read again: once in a MiB. */
    TRY_GROW(w->buffer, w->capacity, length > WINDOW_BYTES ? length : WINDOW_BYTES, "a piece of a journal");
    ssize_t got = file_read_at(w->fd, w->buffer, w->capacity, w->offset);
    if (got < 0) {
      status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot read '%s'", path);
      goto done;
    }
    w->start = w->offset;
    w->filled = (size_t)got;
    if (w->filled < length) goto done;
  }
  *bytes = w->buffer + (w->offset - w->start);
done:
  return status;
}

medley_status journal_walk_next(journal_walk *w, const char *path, journal_record *record, bool *found,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  const unsigned char *bytes;
  journal_head head;
  uint32_t chain;
  *found = false;
  TRY(window_get(w, path, JOURNAL_HEAD_BYTES, &bytes, err));
  if (bytes == NULL) goto done;
  memcpy(&head, bytes, sizeof head);
  if (head.length > JOURNAL_PAYLOAD_MAX || head.sequence != w->sequence + 1) goto done;
  TRY(window_get(w, path, JOURNAL_HEAD_BYTES + (size_t)head.length, &bytes, err));
  if (bytes == NULL) goto done;
  memcpy(&chain, bytes + sizeof head, sizeof chain);
  if (chain != journal_chain(w->chain, &head, bytes + JOURNAL_HEAD_BYTES)) goto done;
  *record = (journal_record){.bytes = head.length > 0 ? bytes + JOURNAL_HEAD_BYTES : NULL,
                             .length = head.length,
                             .type = head.type,
                             .sequence = head.sequence};
  w->offset += JOURNAL_HEAD_BYTES + head.length;
  w->sequence = head.sequence;
  w->chain = chain;
  *found = true;
done:
  return status;
}

void journal_walk_deinit(journal_walk *w) { mem_free(w->buffer); }

/* ---- the header ---- */

static bool header_whole(const journal_header *h) {
  static const unsigned char zeros[sizeof h->zero2];
  return h->crc == journal_header_crc(h) && h->synced.crc == journal_synced_crc(&h->synced) && h->zero0 == 0 &&
         h->zero1 == 0 && h->synced.zero == 0 && memcmp(h->zero2, zeros, sizeof zeros) == 0;
}

static medley_status header_check(const journal *j, const journal_header *h, medley_error *err) {
  if (memcmp(h->magic, JOURNAL_MAGIC, sizeof h->magic) != 0)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' is no journal of an index: its first bytes are not those of one",
                     j->path);
  if (h->version != JOURNAL_VERSION)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED,
                     "'%s' is a journal of version %u, this build reads version %d; open and save the index with the "
                     "build that wrote it",
                     j->path, h->version, JOURNAL_VERSION);
  if (!header_whole(h))
    return error_set(
        err, MEDLEY_ERR_CORRUPT,
        "'%s': the header, bytes 0 to %zu, is damaged; restore it from a copy, or move it away to open the "
        "index without the changes in it",
        j->path, sizeof *h);
  return MEDLEY_OK;
}

static medley_status header_read(journal *j, journal_header *h, medley_error *err) {
  /* Without a lock the synced length may be half written while we read it: then it is read again. */
  int attempts = j->mode == JOURNAL_READ ? 100 : 1;
  do {
    ssize_t got = file_read_at(j->fd, h, sizeof *h, 0);
    if (got < 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot read '%s'", j->path);
    if ((size_t)got < sizeof *h)
      return error_set(err, MEDLEY_ERR_CORRUPT,
                       "'%s' has %zd bytes, less than its header of %zu: it was cut off; restore it from a copy, or "
                       "move it away to open the index without the changes in it",
                       j->path, got, sizeof *h);
  } while (!header_whole(h) && --attempts > 0);
  return header_check(j, h, err);
}

/* Is it the journal of this file? */
static medley_status header_match(const journal *j, const journal_header *h, const unsigned char *id,
                                  const journal_mark *mark, medley_error *err) {
  if (memcmp(h->file, id, sizeof h->file) == 0 && h->sequence == mark->sequence) return MEDLEY_OK;
  if (memcmp(h->id, mark->journal, sizeof h->id) == 0 && h->sequence <= mark->sequence) return MEDLEY_OK;
  return error_set(
      err, MEDLEY_ERR_CORRUPT,
      "'%s' is the journal of another index or of another save of '%s' (its changes begin behind %llu, the "
      "index ends with %llu): one of the two was replaced; put back the one that belongs, or move the "
      "journal away to open the index without its changes",
      j->path, j->index_path, (unsigned long long)h->sequence, (unsigned long long)mark->sequence);
}

/* ---- replaying ---- */

typedef struct replay_task {
  journal *j;
  journal_header header;
  journal_walk walk;
  const journal_mark *mark;
  journal_apply apply;
  void *context;
  journal_replay_result *result;
} replay_task;

/* Both ways that a whole record can contradict what is promised elsewhere. */
static medley_status record_check(const replay_task *t, medley_error *err) {
  const journal_walk *w = &t->walk;
  const journal_synced *s = &t->header.synced;
  if ((w->offset == s->length) != (w->sequence == s->sequence))
    return error_set(err, MEDLEY_ERR_CORRUPT,
                     "'%s' is damaged: change %llu ends at byte %llu, but the header says change %llu at byte %llu; "
                     "restore it from a copy",
                     t->j->path, (unsigned long long)w->sequence, (unsigned long long)w->offset,
                     (unsigned long long)s->sequence, (unsigned long long)s->length);
  bool same_journal = memcmp(t->header.id, t->mark->journal, sizeof t->header.id) == 0;
  if (same_journal && w->sequence == t->mark->sequence && w->chain != t->mark->chain)
    return error_set(err, MEDLEY_ERR_CORRUPT,
                     "'%s' and '%s' went different ways before change %llu: they are from two copies of one index; put "
                     "back the journal that belongs, or move it away to open the index without its changes",
                     t->j->path, t->j->index_path, (unsigned long long)w->sequence);
  return MEDLEY_OK;
}

static medley_status records_replay(replay_task *t, const medley_progress *progress, uint64_t length,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  journal_record record;
  bool found;
  progress_begin(&stage, progress, "replay journal", length);
  TRY(record_check(t, err));
  for (;;) {
    TRY(journal_walk_next(&t->walk, t->j->path, &record, &found, err));
    if (!found) break;
    TRY(record_check(t, err));
    if (record.sequence <= t->mark->sequence) {
      t->result->skipped++;
      continue;
    }
    status = t->apply(t->context, &record, err);
    if (status != MEDLEY_OK) {
      status = error_prefix(err, status, "'%s', change %llu", t->j->path, (unsigned long long)record.sequence);
      goto done;
    }
    t->result->applied++;
    TRY(progress_update(&stage, t->walk.offset, err));
  }
  progress_end(&stage, t->walk.offset);
done:
  return status;
}

/* The walk has ended before the file has. */
static medley_status rest_judge(replay_task *t, uint64_t length, medley_error *err) {
  const journal_walk *w = &t->walk;
  const journal_synced *s = &t->header.synced;
  t->result->cut_bytes = length > w->offset ? length - w->offset : 0;
  if (w->offset >= s->length || t->j->mode == JOURNAL_SALVAGE) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_CORRUPT,
                   "'%s' is damaged at byte %llu: change %llu and what follows, up to change %llu, were accepted but "
                   "cannot be read; restore it from a copy, or salvage the index to keep the changes before",
                   t->j->path, (unsigned long long)w->offset, (unsigned long long)(w->sequence + 1),
                   (unsigned long long)s->sequence);
}

/* Takes over where the walk ended, and cuts off what is behind. */
static medley_status journal_continue(replay_task *t, const unsigned char *id, medley_error *err) {
  journal *j = t->j;
  const journal_walk *w = &t->walk;
  j->length = w->offset;
  j->sequence = w->sequence;
  j->chain = w->chain;
  memcpy(j->id, t->header.id, sizeof j->id);
  j->synced_sequence = t->header.synced.sequence;
  if (j->mode == JOURNAL_READ) return MEDLEY_OK;
  /* A power cut took the end of the journal, a save had it: or what was salvaged is less than was synced. Numbers and
   * lengths must not be used twice. */
  if (w->sequence < t->mark->sequence || w->offset < t->header.synced.length)
    return journal_begin(j, id, t->mark->sequence, err);
  if (t->result->cut_bytes > 0 && ftruncate(j->fd, (off_t)j->length) != 0)
    return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot cut '%s' to %llu bytes", j->path,
                           (unsigned long long)j->length);
  return MEDLEY_OK;
}

medley_status journal_replay(journal *j, const unsigned char *id, const journal_mark *mark, journal_apply apply,
                             void *context, const medley_progress *progress, journal_replay_result *result,
                             medley_error *err) {
  medley_status status = MEDLEY_OK;
  journal_replay_result own;
  replay_task t = {.j = j, .mark = mark, .apply = apply, .context = context, .result = result ? result : &own};
  assert(!j->ready);
  *t.result = (journal_replay_result){0};
  off_t end = j->fd >= 0 ? lseek(j->fd, 0, SEEK_END) : 0;
  if (end < 0) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot read '%s'", j->path);
    goto done;
  }
  uint64_t length = (uint64_t)end;
  if (length == 0) {
    if (j->mode != JOURNAL_READ) TRY(journal_begin(j, id, mark->sequence, err));
  } else {
    TRY(header_read(j, &t.header, err));
    TRY(header_match(j, &t.header, id, mark, err));
    t.walk = (journal_walk){
        .fd = j->fd, .offset = sizeof(journal_header), .sequence = t.header.sequence, .chain = t.header.crc};
    TRY(records_replay(&t, progress, length, err));
    TRY(rest_judge(&t, length, err));
    TRY(journal_continue(&t, id, err));
    if (t.result->cut_bytes > 0)
      progress_note(progress, "'%s': an unfinished end of %llu bytes, behind change %llu, was left out", j->path,
                    (unsigned long long)t.result->cut_bytes, (unsigned long long)t.walk.sequence);
  }
  j->ready = true;
done:
  journal_walk_deinit(&t.walk);
  return status;
}
