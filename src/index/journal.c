/* index/journal.c: appending, syncing and resetting a journal; see index/journal.h. */
#include "index/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "index/journal_parts.h"

#define WRITE_BYTES ((size_t)1 << 20) /* records are gathered up to this before they are written */

/* ---- opening ---- */

static bool same_file(int fd, const char *path) {
  struct stat ours, theirs;
  return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
         ours.st_ino == theirs.st_ino;
}

/* The lock is on the file, not on its name: the one we waited to open may have been replaced meanwhile. */
static medley_status journal_lock(journal *j, medley_error *err) {
  for (int attempt = 0; attempt < 100; attempt++) {
    j->fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (j->fd < 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot open '%s'", j->path);
    if (flock(j->fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) break;
      return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot lock '%s'", j->path);
    }
    if (same_file(j->fd, j->path)) return MEDLEY_OK;
    close(j->fd);
    j->fd = -1;
  }
  return error_set(err, MEDLEY_ERR_BUSY,
                   "'%s' is being changed by another process; open it for reading only, or end it", j->index_path);
}

static medley_status journal_find(journal *j, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (j->mode == JOURNAL_READ) {
    j->fd = open(j->path, O_RDONLY | O_CLOEXEC);
    if (j->fd < 0 && errno != ENOENT) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot open '%s'", j->path);
    return MEDLEY_OK;
  }
  TRY(journal_lock(j, err));
  file_writer_sweep(j->index_path);
  file_writer_sweep(j->path);
done:
  return status;
}

medley_status journal_open(const char *index_path, journal_mode mode, journal **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = strlen(index_path) + sizeof ".journal";
  journal *j = mem_zalloc(1, sizeof *j);
  if (j == NULL) return error_memory(err, "a journal");
  j->fd = -1;
  j->mode = mode;
  pthread_mutex_init(&j->lock, NULL);
  pthread_cond_init(&j->synced_more, NULL);
  j->index_path = mem_strdup(index_path);
  j->path = mem_alloc(length, 1);
  if (j->index_path == NULL || j->path == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  snprintf(j->path, length, "%s.journal", index_path);
  TRY(journal_find(j, err));
  struct stat info;
  if (j->fd >= 0 && (fstat(j->fd, &info) != 0 || !S_ISREG(info.st_mode)))
    FAIL(err, MEDLEY_ERR_INPUT, "'%s' is not a regular file", j->path);
  *out = j;
  j = NULL;
done:
  journal_close(j);
  return status;
}

void journal_close(journal *j) {
  struct stat info;
  if (j == NULL) return;
  /* Under our lock still, so that nobody else can have begun to use it. */
  bool ours = j->fd >= 0 && j->mode != JOURNAL_READ && same_file(j->fd, j->path);
  if (ours && fstat(j->fd, &info) == 0 && info.st_size == 0 && flock(j->fd, LOCK_EX | LOCK_NB) == 0) unlink(j->path);
  if (j->fd >= 0) close(j->fd);
  pthread_cond_destroy(&j->synced_more);
  pthread_mutex_destroy(&j->lock);
  mem_free(j->buffer);
  mem_free(j->index_path);
  mem_free(j->path);
  mem_free(j);
}

medley_status journal_drop(journal *j, medley_error *err) {
  assert(!j->ready && j->mode != JOURNAL_READ);
  if (ftruncate(j->fd, 0) != 0 || fsync(j->fd) != 0)
    return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot empty '%s'", j->path);
  return MEDLEY_OK;
}

/* ---- beginning ---- */

typedef struct journal_draft {
  file_writer file;
  journal_header header;
  uint64_t length, sequence;
  uint32_t chain;
} journal_draft;

static medley_status draft_write(journal_draft *d, const void *bytes, size_t length, medley_error *err) {
  if (length > 0 && fwrite(bytes, 1, length, d->file.stream) != length)
    return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", d->file.path);
  d->length += length;
  return MEDLEY_OK;
}

static medley_status draft_add(journal_draft *d, const journal_record *record, medley_error *err) {
  medley_status status = MEDLEY_OK;
  journal_head head = {(uint32_t)record->length, record->type, record->sequence};
  d->chain = journal_chain(d->chain, &head, record->bytes);
  d->sequence = record->sequence;
  TRY(draft_write(d, &head, sizeof head, err));
  TRY(draft_write(d, &d->chain, sizeof d->chain, err));
  TRY(draft_write(d, record->bytes, record->length, err));
done:
  return status;
}

/* What was accepted behind `last`. */
static medley_status draft_copy(journal_draft *d, const journal *j, medley_error *err) {
  medley_status status = MEDLEY_OK;
  journal_header old;
  journal_record record;
  journal_walk w = {.fd = j->fd, .offset = sizeof old};
  bool found;
  if (file_read_at(j->fd, &old, sizeof old, 0) != sizeof old) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot read '%s'", j->path);
    goto done;
  }
  w.sequence = old.sequence;
  w.chain = old.crc;
  while (w.sequence < j->sequence) {
    TRY(journal_walk_next(&w, j->path, &record, &found, err));
    if (!found)
      FAIL(err, MEDLEY_ERR_CORRUPT, "'%s' cannot be read back at byte %llu: another program wrote into it", j->path,
           (unsigned long long)w.offset);
    if (record.sequence > d->header.sequence) TRY(draft_add(d, &record, err));
  }
done:
  journal_walk_deinit(&w);
  return status;
}

static medley_status draft_fill(journal_draft *d, const journal *j, const unsigned char *file, uint64_t last,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  journal_header *h = &d->header;
  memcpy(h->magic, JOURNAL_MAGIC, sizeof h->magic);
  h->version = JOURNAL_VERSION;
  if (sodium_init() < 0) FAIL(err, MEDLEY_ERR_INTERNAL, "libsodium cannot start");
  randombytes_buf(h->id, sizeof h->id);
  memcpy(h->file, file, sizeof h->file);
  d->sequence = h->sequence = last;
  d->chain = h->crc = journal_header_crc(h);
  TRY(draft_write(d, h, sizeof *h, err));
  if (j->sequence > last) TRY(draft_copy(d, j, err));
  /* True by the time anybody can see it: the rename comes after the sync. */
  h->synced.length = d->length;
  h->synced.sequence = d->sequence;
  h->synced.crc = journal_synced_crc(&h->synced);
  if (fseeko(d->file.stream, 0, SEEK_SET) != 0 || fwrite(h, sizeof *h, 1, d->file.stream) != 1 ||
      fflush(d->file.stream) != 0)
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", j->path);
done:
  return status;
}

static void draft_adopt(const journal_draft *d, journal *j, int fd) {
  close(j->fd);
  j->fd = fd;
  memcpy(j->id, d->header.id, sizeof j->id);
  j->length = d->length;
  j->sequence = j->synced_sequence = d->sequence;
  j->chain = d->chain;
  j->broken.status = MEDLEY_OK;
}

medley_status journal_begin(journal *j, const unsigned char *file, uint64_t last, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_error own;
  journal_draft d = {.length = 0};
  int fd = -1;
  if (err == NULL) err = &own;
  TRY(file_writer_open(&d.file, j->path, err));
  TRY(draft_fill(&d, j, file, last, err));
  /* The new file is ours before it has the name, so that nobody comes between. */
  fd = open(d.file.temporary, O_RDWR | O_CLOEXEC);
  if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot lock '%s'", d.file.temporary);
    goto done;
  }
  status = file_writer_commit(&d.file, err);
  /* Renamed, but the folder could not be synced: a power cut may bring the old one back, so that what is appended to
   * the new would be lost. It must take nothing. */
  if (status != MEDLEY_OK && !same_file(fd, j->path)) goto done;
  draft_adopt(&d, j, fd);
  fd = -1;
  if (status != MEDLEY_OK) j->broken = *err;
done:
  if (fd >= 0) close(fd);
  file_writer_abort(&d.file);
  return status;
}

medley_status journal_reset(journal *j, const unsigned char *id, const journal_mark *mark, medley_error *err) {
  assert(j->ready && j->mode != JOURNAL_READ);
  assert(memcmp(mark->journal, j->id, sizeof j->id) == 0 && mark->sequence <= j->sequence);
  pthread_mutex_lock(&j->lock);
  while (j->syncing) pthread_cond_wait(&j->synced_more, &j->lock);
  medley_status status = journal_begin(j, id, mark->sequence, err);
  pthread_cond_broadcast(&j->synced_more);
  pthread_mutex_unlock(&j->lock);
  return status;
}

/* ---- appending ---- */

/* From now on nothing is taken; the lock is held. */
static medley_status journal_break(journal *j, int number, const char *what, medley_error *err) {
  j->broken.status =
      error_set_errno(&j->broken, MEDLEY_ERR_IO, number,
                      "'%s' takes no more changes until the index was saved: it cannot be %s", j->path, what);
  if (err != NULL) *err = j->broken;
  return j->broken.status;
}

static medley_status journal_usable(journal *j, medley_error *err) {
  pthread_mutex_lock(&j->lock);
  medley_status status = j->broken.status;
  if (status != MEDLEY_OK && err != NULL) *err = j->broken;
  pthread_mutex_unlock(&j->lock);
  return status;
}

static medley_status bytes_write(const journal *j, const unsigned char *bytes, size_t length, uint64_t offset,
                                 medley_error *err) {
  while (length > 0) {
    ssize_t put = pwrite(j->fd, bytes, length, (off_t)offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", j->path);
    bytes += put;
    length -= (size_t)put;
    offset += (size_t)put;
  }
  return MEDLEY_OK;
}

typedef struct append_task {
  uint64_t length, sequence;
  uint32_t chain;
  size_t gathered; /* bytes in the journal's buffer that belong at `length` */
} append_task;

static medley_status gathered_write(journal *j, append_task *t, medley_error *err) {
  medley_status status = bytes_write(j, j->buffer, t->gathered, t->length, err);
  t->length += t->gathered;
  t->gathered = 0;
  return status;
}

static medley_status record_gather(journal *j, append_task *t, journal_record *record, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t bytes = JOURNAL_HEAD_BYTES + record->length;
  if (t->gathered > 0 && t->gathered + bytes > WRITE_BYTES) TRY(gathered_write(j, t, err));
  TRY_GROW(j->buffer, j->buffer_capacity, t->gathered + bytes, "a journal's record");
  journal_head head = {(uint32_t)record->length, record->type, t->sequence + 1};
  unsigned char *out = j->buffer + t->gathered;
  t->chain = journal_chain(t->chain, &head, record->bytes);
  memcpy(out, &head, sizeof head);
  memcpy(out + sizeof head, &t->chain, sizeof t->chain);
  if (record->length > 0) memcpy(out + JOURNAL_HEAD_BYTES, record->bytes, record->length);
  record->sequence = ++t->sequence;
  t->gathered += bytes;
done:
  return status;
}

medley_status journal_append(journal *j, journal_record *records, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  append_task t = {.length = j->length, .sequence = j->sequence, .chain = j->chain};
  assert(j->ready && j->mode != JOURNAL_READ);
  TRY(journal_usable(j, err));
  for (size_t i = 0; i < count; i++)
    if (records[i].length > JOURNAL_PAYLOAD_MAX)
      FAIL(err, MEDLEY_ERR_LIMIT, "a change of %zu bytes is too long for '%s', at most %zu are taken",
           records[i].length, j->path, JOURNAL_PAYLOAD_MAX);
  for (size_t i = 0; i < count; i++) TRY(record_gather(j, &t, &records[i], err));
  TRY(gathered_write(j, &t, err));
done:
  pthread_mutex_lock(&j->lock);
  if (status == MEDLEY_OK) {
    j->length = t.length;
    j->sequence = t.sequence;
    j->chain = t.chain;
  } else if (j->broken.status == MEDLEY_OK && ftruncate(j->fd, (off_t)j->length) != 0) {
    status = journal_break(j, errno, "cut back after a failed write", err);
  }
  pthread_mutex_unlock(&j->lock);
  return status;
}

/* One thread syncs for all; called and left with the lock, without it meanwhile. */
static medley_status journal_sync_all(journal *j, medley_error *err) {
  journal_synced mark = {.length = j->length, .sequence = j->sequence};
  mark.crc = journal_synced_crc(&mark);
  j->syncing = true;
  pthread_mutex_unlock(&j->lock);
  bool failed = fdatasync(j->fd) != 0 || bytes_write(j, (const unsigned char *)&mark, JOURNAL_SYNCED_BYTES,
                                                     JOURNAL_SYNCED_AT, NULL) != MEDLEY_OK;
  int number = errno;
  pthread_mutex_lock(&j->lock);
  j->syncing = false;
  /* After a failed sync the system may have dropped the pages and say yes the next time: the bytes cannot be trusted.
   */
  medley_status status = failed ? journal_break(j, number, "synced", err) : MEDLEY_OK;
  if (!failed) j->synced_sequence = mark.sequence;
  pthread_cond_broadcast(&j->synced_more);
  return status;
}

medley_status journal_sync(journal *j, uint64_t sequence, medley_error *err) {
  medley_status status = MEDLEY_OK;
  pthread_mutex_lock(&j->lock);
  if (sequence > j->sequence) sequence = j->sequence;
  while (status == MEDLEY_OK && j->synced_sequence < sequence) {
    if (j->broken.status != MEDLEY_OK) {
      status = j->broken.status;
      if (err != NULL) *err = j->broken;
    } else if (j->syncing) {
      pthread_cond_wait(&j->synced_more, &j->lock);
    } else {
      status = journal_sync_all(j, err);
    }
  }
  pthread_mutex_unlock(&j->lock);
  return status;
}

void journal_tell(journal *j, journal_place *out) {
  pthread_mutex_lock(&j->lock);
  *out = (journal_place){j->length, j->sequence, j->chain};
  pthread_mutex_unlock(&j->lock);
}

medley_status journal_cut(journal *j, const journal_place *place, medley_error *err) {
  medley_status status = MEDLEY_OK;
  pthread_mutex_lock(&j->lock);
  while (j->syncing) pthread_cond_wait(&j->synced_more, &j->lock);
  if (j->length > place->length && ftruncate(j->fd, (off_t)place->length) != 0) {
    status = journal_break(j, errno, "cut back after a failed write", err);
  } else {
    j->length = place->length;
    j->sequence = place->sequence;
    j->chain = place->chain;
  }
  pthread_mutex_unlock(&j->lock);
  return status;
}

/* More numbers than its records can have, and fewer than would ever be missed. */
void journal_supersede(const journal *j, journal_mark *out) {
  journal_header h;
  struct stat info;
  *out = (journal_mark){0};
  if (fstat(j->fd, &info) != 0 || file_read_at(j->fd, &h, sizeof h, 0) != sizeof h) return;
  if (memcmp(h.magic, JOURNAL_MAGIC, sizeof h.magic) != 0 || h.crc != journal_header_crc(&h)) return;
  memcpy(out->journal, h.id, sizeof out->journal);
  out->sequence = h.sequence + (uint64_t)info.st_size;
}

void journal_position(const journal *j, journal_mark *out) {
  memcpy(out->journal, j->id, sizeof out->journal);
  out->sequence = j->sequence;
  out->chain = j->chain;
}

uint64_t journal_bytes(journal *j) {
  pthread_mutex_lock(&j->lock);
  uint64_t length = j->length;
  pthread_mutex_unlock(&j->lock);
  return length;
}
