/* index/file.c: opening an index file and finding its sections; see index/file.h. */
#include "index/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "index/file_parts.h"

/* ---- shared ---- */

uint32_t file_page_crc(const file_page *page) {
  uint32_t crc = (uint32_t)crc32_z(0, (const unsigned char *)page, FILE_HEADER_CHECKED);
  return (uint32_t)crc32_z(crc, (const unsigned char *)page->section, page->header.sections * sizeof(file_entry));
}

bool file_is_zero(const void *bytes, size_t length) {
  const unsigned char *b = bytes;
  for (size_t i = 0; i < length; i++)
    if (b[i] != 0) return false;
  return true;
}

bool file_name_valid(const char name[INDEX_FILE_NAME_MAX + 1]) {
  size_t length = strnlen(name, INDEX_FILE_NAME_MAX + 1);
  if (length == 0 || !file_is_zero(name + length, INDEX_FILE_NAME_MAX + 1 - length)) return false;
  for (size_t i = 0; i < length; i++)
    if (name[i] <= ' ' || name[i] > '~') return false;
  return length <= INDEX_FILE_NAME_MAX;
}

int file_section_find(const file_page *page, const char *name) {
  for (uint32_t i = 0; i < page->header.sections; i++)
    if (strcmp(page->section[i].name, name) == 0) return (int)i;
  return -1;
}

/* ---- opening ---- */

static medley_status header_check(const char *path, const file_page *page, medley_error *err) {
  const file_header *h = &page->header;
  if (memcmp(h->magic, FILE_MAGIC, sizeof h->magic) != 0)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' is no index file: its first bytes are not those of one", path);
  if (h->byte_order == __builtin_bswap32(FILE_BYTE_ORDER))
    return error_set(err, MEDLEY_ERR_UNSUPPORTED,
                     "'%s' was written by a machine of the other byte order; build the index on this one", path);
  if (h->version != INDEX_FILE_VERSION)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED,
                     "'%s' is an index file of version %u, this build reads version %d; build the index anew", path,
                     h->version, INDEX_FILE_VERSION);
  if (h->sections > INDEX_FILE_SECTIONS_MAX)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' says it has %u sections, at most %d are possible", path,
                     h->sections, INDEX_FILE_SECTIONS_MAX);
  uint32_t crc = file_page_crc(page);
  if (crc != h->crc)
    return error_set(err, MEDLEY_ERR_CORRUPT,
                     "'%s': the header is damaged (checksum %08x, stored %08x); restore the file from a copy or build "
                     "the index anew",
                     path, crc, h->crc);
  const unsigned char *behind = (const unsigned char *)&page->section[h->sections];
  bool zero = file_is_zero(h->zero, sizeof h->zero) &&
              file_is_zero(behind, (size_t)((const unsigned char *)(page + 1) - behind));
  if (h->byte_order != FILE_BYTE_ORDER || h->block_bytes != INDEX_FILE_BLOCK_BYTES || !file_name_valid(h->kind) ||
      !zero)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s': the header has values that no version %d has", path,
                     INDEX_FILE_VERSION);
  return MEDLEY_OK;
}

/* There is one layout for given lengths: every offset must be the one it gives. */
static medley_status table_check(const char *path, const file_page *page, uint64_t length, medley_error *err) {
  const file_header *h = &page->header;
  uint64_t end = INDEX_FILE_PAGE_BYTES, sums = 0;
  if (h->length != length)
    return error_set(err, MEDLEY_ERR_CORRUPT,
                     "'%s' is %llu bytes long, its header says %llu: it was cut off or grew; restore it from a copy",
                     path, (unsigned long long)length, (unsigned long long)h->length);
  for (uint32_t i = 0; i < h->sections; i++) {
    const file_entry *s = &page->section[i];
    if (!file_name_valid(s->name) || file_section_find(page, s->name) != (int)i)
      return error_set(err, MEDLEY_ERR_CORRUPT, "'%s': section %u has no valid name of its own", path, i);
    if (s->offset != file_page_round(end) || s->length > length || s->offset > length - s->length)
      return error_set(err, MEDLEY_ERR_CORRUPT,
                       "'%s': section '%s' (%llu bytes at %llu) is not where it must be (%llu) "
                       "in a file of %llu bytes",
                       path, s->name, (unsigned long long)s->length, (unsigned long long)s->offset,
                       (unsigned long long)file_page_round(end), (unsigned long long)length);
    end = s->offset + s->length;
    sums += file_blocks(s->length) * sizeof(uint32_t);
  }
  if (h->sums_offset != file_page_round(end) || h->sums_offset > length || length - h->sums_offset != sums)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s': the block checksums are not %llu bytes at %llu, up to the end",
                     path, (unsigned long long)sums, (unsigned long long)file_page_round(end));
  return MEDLEY_OK;
}

static medley_status page_read(index_file *f, medley_error *err) {
  struct stat info;
  if (fstat(f->fd, &info) != 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot stat '%s'", f->path);
  if (!S_ISREG(info.st_mode)) return error_set(err, MEDLEY_ERR_INPUT, "'%s' is not a regular file", f->path);
  ssize_t got = pread(f->fd, &f->page, sizeof f->page, 0);
  if (got < 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot read '%s'", f->path);
  if ((size_t)got < sizeof f->page)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' is no index file: it has %zd bytes, the shortest has %d", f->path,
                     got, INDEX_FILE_PAGE_BYTES);
  f->length = (size_t)info.st_size;
  medley_status status = header_check(f->path, &f->page, err);
  return status == MEDLEY_OK ? table_check(f->path, &f->page, f->length, err) : status;
}

/* A section begins with what it is read by. */
static void heads_want(const index_file *f) {
  for (uint32_t i = 0; i < f->page.header.sections && pages_cold(f->pages); i++)
    pages_want(f->pages, f->bytes + f->page.section[i].offset, 1);
}

medley_status index_file_open(const char *path, index_file **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  index_file *f = mem_zalloc(1, sizeof *f);
  if (f == NULL) return error_memory(err, "an index file");
  f->fd = -1;
  f->path = mem_strdup(path);
  if (f->path == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  f->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (f->fd < 0) {
    status =
        error_set_errno(err, errno == ENOENT ? MEDLEY_ERR_NOT_FOUND : MEDLEY_ERR_IO, errno, "cannot open '%s'", path);
    goto done;
  }
  TRY(page_read(f, err));
  /* NORESERVE: only the pages that are patched will need memory; without it the system refuses a private writable
   * mapping larger than memory and swap together. */
  void *bytes = mmap(NULL, f->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, f->fd, 0);
  if (bytes == MAP_FAILED) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot map the %zu bytes of '%s'", f->length, path);
    goto done;
  }
  f->bytes = bytes;
  TRY(pages_open(f->fd, bytes, f->length, &f->pages, err));
  heads_want(f);
  memcpy(f->mark.journal, f->page.header.journal, sizeof f->mark.journal);
  f->mark.sequence = f->page.header.sequence;
  f->mark.chain = f->page.header.chain;
  *out = f;
  f = NULL;
done:
  index_file_close(f);
  return status;
}

void index_file_close(index_file *f) {
  if (f == NULL) return;
  pages_close(f->pages);
  if (f->bytes != NULL) munmap(f->bytes, f->length);
  if (f->fd >= 0) close(f->fd);
  mem_free(f->path);
  mem_free(f);
}

/* ---- asking ---- */

const char *index_file_path(const index_file *f) { return f->path; }
const char *index_file_kind(const index_file *f) { return f->page.header.kind; }
const unsigned char *index_file_id(const index_file *f) { return f->page.header.id; }
const journal_mark *index_file_mark(const index_file *f) { return &f->mark; }
size_t index_file_bytes(const index_file *f) { return f->length; }

const char *index_file_section_name(const index_file *f, size_t i) {
  return i < f->page.header.sections ? f->page.section[i].name : NULL;
}

medley_status index_file_section(const index_file *f, const char *name, unsigned char **bytes, size_t *length,
                                 medley_error *err) {
  int i = file_section_find(&f->page, name);
  if (i < 0)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' has no section '%s', which an index of kind '%s' needs", f->path,
                     name, f->page.header.kind);
  *bytes = f->bytes + f->page.section[i].offset;
  *length = (size_t)f->page.section[i].length;
  return MEDLEY_OK;
}

medley_status index_file_array(const index_file *f, const char *name, size_t count, size_t size, unsigned char **bytes,
                               medley_error *err) {
  size_t length = 0, wanted;
  medley_status status = index_file_section(f, name, bytes, &length, err);
  if (status != MEDLEY_OK) return status;
  if (!__builtin_mul_overflow(count, size, &wanted) && wanted == length) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_CORRUPT, "'%s': section '%s' has %zu bytes, expected %zu of %zu bytes each", f->path,
                   name, length, count, size);
}

void index_file_soon(const index_file *f, const char *name) {
  int i = file_section_find(&f->page, name);
  if (i >= 0 && pages_cold(f->pages))
    pages_want(f->pages, f->bytes + f->page.section[i].offset, (size_t)f->page.section[i].length);
}

pages *index_file_pages(const index_file *f) { return f->pages; }
