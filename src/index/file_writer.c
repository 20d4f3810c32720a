/* index/file_writer.c: writing an index file as a stream; see index/file.h. */
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "index/file_parts.h"

/* Linux keeps what is written at once, on a multiple of 2 MiB, as one huge page (ext4 since 6.16, XFS): whoever maps
 * the file next has its rows and links in huge pages. */
#define BUFFER_BYTES ((size_t)2 << 20)

struct index_file_writer {
  file_writer file;
  char *buffer; /* [BUFFER_BYTES] of the stream, freed after it */
  file_page page;
  uint64_t offset; /* bytes written */
  bool inside;     /* a section */
  uint32_t crc;    /* of the block that is being written … */
  size_t in_block; /* … and its bytes so far */
  uint32_t *sums;
  size_t sums_count, sums_capacity;
};

static medley_status bytes_write(index_file_writer *w, const void *bytes, size_t length, medley_error *err) {
  if (length > 0 && fwrite(bytes, 1, length, w->file.stream) != length)
    return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", w->file.path);
  w->offset += length;
  return MEDLEY_OK;
}

static medley_status page_fill(index_file_writer *w, medley_error *err) {
  static const unsigned char zeros[INDEX_FILE_PAGE_BYTES];
  return bytes_write(w, zeros, (size_t)(file_page_round(w->offset) - w->offset), err);
}

medley_status index_file_writer_create(const char *path, const char *kind, const journal_mark *mark,
                                       index_file_writer **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const file_page empty;
  index_file_writer *w = mem_zalloc(1, sizeof *w);
  if (w == NULL) return error_memory(err, "an index file's writer");
  file_header *h = &w->page.header;
  *h = (file_header){
      .version = INDEX_FILE_VERSION, .byte_order = FILE_BYTE_ORDER, .block_bytes = INDEX_FILE_BLOCK_BYTES};
  memcpy(h->magic, FILE_MAGIC, sizeof h->magic);
  assert(strlen(kind) <= INDEX_FILE_NAME_MAX);
  memcpy(h->kind, kind, strlen(kind));
  assert(file_name_valid(h->kind));
  if (mark != NULL) {
    memcpy(h->journal, mark->journal, sizeof h->journal);
    h->sequence = mark->sequence;
    h->chain = mark->chain;
  }
  if (sodium_init() < 0) FAIL(err, MEDLEY_ERR_INTERNAL, "libsodium cannot start");
  randombytes_buf(h->id, sizeof h->id);
  TRY(file_writer_open(&w->file, path, err));
  w->buffer = mem_alloc(BUFFER_BYTES, 1);
  if (w->buffer == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for an index file's writer");
  (void)setvbuf(w->file.stream, w->buffer, _IOFBF, BUFFER_BYTES); /* a wish */
  /* The real first page is known at the end. */
  TRY(bytes_write(w, &empty, sizeof empty, err));
  *out = w;
  w = NULL;
done:
  index_file_writer_abort(w);
  return status;
}

medley_status index_file_writer_begin_section(index_file_writer *w, const char *name, medley_error *err) {
  medley_status status = MEDLEY_OK;
  assert(!w->inside && strlen(name) <= INDEX_FILE_NAME_MAX && file_section_find(&w->page, name) < 0);
  if (w->page.header.sections == INDEX_FILE_SECTIONS_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "'%s': section '%s' would be one more than the %d that an index file has", w->file.path,
         name, INDEX_FILE_SECTIONS_MAX);
  TRY(page_fill(w, err));
  file_entry *s = &w->page.section[w->page.header.sections++];
  memcpy(s->name, name, strlen(name));
  assert(file_name_valid(s->name));
  s->offset = w->offset;
  w->inside = true;
done:
  return status;
}

/* The block is full, or its section ends. */
static medley_status block_end(index_file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(w->sums, w->sums_capacity, w->sums_count + 1, "the checksums of an index file");
  w->sums[w->sums_count++] = w->crc;
  w->crc = 0;
  w->in_block = 0;
done:
  return status;
}

medley_status index_file_writer_append(index_file_writer *w, const void *bytes, size_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const unsigned char *from = bytes;
  assert(w->inside);
  while (length > 0) {
    size_t part = INDEX_FILE_BLOCK_BYTES - w->in_block;
    if (part > length) part = length;
    w->crc = (uint32_t)crc32_z(w->crc, from, part);
    TRY(bytes_write(w, from, part, err));
    w->in_block += part;
    from += part;
    length -= part;
    if (w->in_block == INDEX_FILE_BLOCK_BYTES) TRY(block_end(w, err));
  }
done:
  return status;
}

medley_status index_file_writer_end_section(index_file_writer *w, medley_error *err) {
  assert(w->inside);
  file_entry *s = &w->page.section[w->page.header.sections - 1];
  s->length = w->offset - s->offset;
  w->inside = false;
  return w->in_block > 0 ? block_end(w, err) : MEDLEY_OK;
}

medley_status index_file_writer_section(index_file_writer *w, const char *name, const void *bytes, size_t length,
                                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(index_file_writer_begin_section(w, name, err));
  TRY(index_file_writer_append(w, bytes, length, err));
  TRY(index_file_writer_end_section(w, err));
done:
  return status;
}

medley_status index_file_writer_commit(index_file_writer *w, unsigned char *id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_header *h = &w->page.header;
  assert(!w->inside);
  TRY(page_fill(w, err));
  h->sums_offset = w->offset;
  h->sums_crc = (uint32_t)crc32_z(0, (const unsigned char *)w->sums, w->sums_count * sizeof *w->sums);
  TRY(bytes_write(w, w->sums, w->sums_count * sizeof *w->sums, err));
  h->length = w->offset;
  h->crc = file_page_crc(&w->page);
  if (fseeko(w->file.stream, 0, SEEK_SET) != 0) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", w->file.path);
    goto done;
  }
  TRY(bytes_write(w, &w->page, sizeof w->page, err));
  TRY(file_writer_commit(&w->file, err));
  memcpy(id, h->id, sizeof h->id);
done:
  index_file_writer_abort(w);
  return status;
}

void index_file_writer_abort(index_file_writer *w) {
  if (w == NULL) return;
  file_writer_abort(&w->file);
  mem_free(w->buffer);
  mem_free(w->sums);
  mem_free(w);
}
