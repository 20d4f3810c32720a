/* index/file_verify.c: comparing an index file with its block checksums; see index/file.h.
 *
 * The threads take blocks from a counter, so that a slow one holds nobody up, and read into buffers of their own: the
 * mapping may be patched, and a file that was cut off meanwhile ends in a sentence rather than in SIGBUS. */
#include <errno.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "index/file_parts.h"

typedef struct verify_task {
  const index_file *f;
  const uint32_t *sums;   /* [first_sum + blocks …] of all sections */
  uint32_t first, behind; /* sections */
  uint64_t first_sum, blocks;
  _Atomic uint64_t next;
  _Atomic bool stop;
  /* under `omp critical`: */
  uint64_t bad, bad_first; /* bad_first: counted from the first section, UINT64_MAX: none */
  int io_error;            /* errno */
} verify_task;

/* The section of a block and its number there. */
static const file_entry *block_locate(const verify_task *t, uint64_t *block) {
  const file_entry *s = &t->f->page.section[t->first];
  for (; *block >= file_blocks(s->length); s++) *block -= file_blocks(s->length);
  return s;
}

/* *length: the bytes under the checksum. Returns as many and the zeros behind a section's last block, which belong to
 * it. */
static uint64_t block_extent(const file_entry *s, uint64_t block, size_t *length) {
  uint64_t offset = block * INDEX_FILE_BLOCK_BYTES, left = s->length - offset;
  bool last = left <= INDEX_FILE_BLOCK_BYTES;
  uint64_t end = last ? file_page_round(s->offset + s->length) : s->offset + offset + INDEX_FILE_BLOCK_BYTES;
  *length = (size_t)(last ? left : INDEX_FILE_BLOCK_BYTES);
  return end - (s->offset + offset);
}

static void block_verify(verify_task *t, uint64_t number, unsigned char *buffer) {
  uint64_t block = number;
  const file_entry *s = block_locate(t, &block);
  size_t length, extent = (size_t)block_extent(s, block, &length);
  ssize_t got = file_read_at(t->f->fd, buffer, extent, s->offset + block * INDEX_FILE_BLOCK_BYTES);
  int number_of_error = got < 0 ? errno : 0;
  bool good = got == (ssize_t)extent && crc32_z(0, buffer, length) == t->sums[t->first_sum + number] &&
              file_is_zero(buffer + length, extent - length);
  if (good) return;
#pragma omp critical(index_file_verify)
  {
    if (number_of_error != 0) t->io_error = number_of_error;
    t->bad += number_of_error == 0;
    if (number_of_error == 0 && number < t->bad_first) t->bad_first = number;
  }
  if (number_of_error != 0) atomic_store(&t->stop, true);
}

static medley_status blocks_verify(verify_task *t, const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *buffers = NULL;
  progress_stage stage;
  size_t each = INDEX_FILE_BLOCK_BYTES + INDEX_FILE_PAGE_BYTES;
  int threads = omp_get_max_threads();
  if ((uint64_t)threads > t->blocks) threads = t->blocks > 0 ? (int)t->blocks : 1;
  progress_begin(&stage, progress, "verify index", t->blocks);
  TRY_NEW(buffers, (size_t)threads * each, "blocks of an index file");
#pragma omp parallel num_threads(threads)
  {
    unsigned char *buffer = buffers + (size_t)omp_get_thread_num() * each;
    for (uint64_t i; !atomic_load(&t->stop) && (i = atomic_fetch_add(&t->next, 1)) < t->blocks;) {
      block_verify(t, i, buffer);
      /* Thread 0 is the caller's, the only one that may report. */
      if (omp_get_thread_num() == 0 && (status = progress_update(&stage, i, err)) != MEDLEY_OK)
        atomic_store(&t->stop, true);
    }
  }
  if (status == MEDLEY_OK) progress_end(&stage, t->blocks);
done:
  mem_free(buffers);
  return status;
}

static medley_status sums_read(const index_file *f, uint32_t **sums, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = f->length - (size_t)f->page.header.sums_offset;
  TRY_NEW(*sums, length / sizeof **sums, "the checksums of an index file");
  ssize_t got = file_read_at(f->fd, *sums, length, f->page.header.sums_offset);
  if (got < 0) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot read '%s'", f->path);
    goto done;
  }
  if ((size_t)got != length || crc32_z(0, (const unsigned char *)*sums, length) != f->page.header.sums_crc)
    FAIL(err, MEDLEY_ERR_CORRUPT,
         "'%s': the checksums themselves, %zu bytes at %llu, are damaged or cut off; restore the file from a copy or "
         "build the index anew",
         f->path, length, (unsigned long long)f->page.header.sums_offset);
done:
  return status;
}

static medley_status damage_tell(const verify_task *t, index_file_damage *damage, medley_error *err) {
  uint64_t block = t->bad_first;
  size_t length;
  const file_entry *s = block_locate(t, &block);
  (void)block_extent(s, block, &length);
  *damage = (index_file_damage){.block = block,
                                .offset = s->offset + block * INDEX_FILE_BLOCK_BYTES,
                                .length = length,
                                .bad = (size_t)t->bad,
                                .checked = (size_t)t->blocks};
  memcpy(damage->section, s->name, sizeof damage->section);
  return error_set(err, MEDLEY_ERR_CORRUPT,
                   "'%s' is damaged: %zu of %zu blocks are not what was written, the first is block %llu of section "
                   "'%s' (bytes %llu to %llu); restore the file from a copy or build the index anew",
                   t->f->path, damage->bad, damage->checked, (unsigned long long)block, damage->section,
                   (unsigned long long)damage->offset, (unsigned long long)(damage->offset + length));
}

medley_status index_file_verify(const index_file *f, const char *name, const medley_progress *progress,
                                index_file_damage *damage, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *sums = NULL;
  index_file_damage own;
  int only = name != NULL ? file_section_find(&f->page, name) : -1;
  verify_task t = {.f = f, .behind = f->page.header.sections, .bad_first = UINT64_MAX};
  if (damage == NULL) damage = &own;
  *damage = (index_file_damage){0};
  if (name != NULL && only < 0) FAIL(err, MEDLEY_ERR_NOT_FOUND, "'%s' has no section '%s' to verify", f->path, name);
  if (only >= 0) {
    t.first = (uint32_t)only;
    t.behind = t.first + 1;
  }
  for (uint32_t i = 0; i < t.behind; i++)
    *(i < t.first ? &t.first_sum : &t.blocks) += file_blocks(f->page.section[i].length);
  TRY(sums_read(f, &sums, err));
  t.sums = sums;
  TRY(blocks_verify(&t, progress, err));
  damage->checked = (size_t)t.blocks;
  if (t.io_error != 0)
    status = error_set_errno(err, MEDLEY_ERR_IO, t.io_error, "cannot read '%s'", f->path);
  else if (t.bad > 0)
    status = damage_tell(&t, damage, err);
done:
  mem_free(sums);
  return status;
}
