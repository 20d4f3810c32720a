/* index/file.h: the one file of an index: named sections, written as a stream, mapped when opened.
 *
 *   the first page (4096 bytes; all numbers little endian)
 *      0   8  magic: 89 4D 49 58 0D 0A 1A 0A, "MIX" between bytes that a transfer as text would change
 *      8   4  format version, 1
 *     12   4  byte order mark 0x0A0B0C0D: the sections are arrays in the byte order of the machine that wrote them
 *     16  16  kind of index, ASCII, padded with NUL, at most 15 bytes
 *     32  16  id of this file, drawn anew for each save
 *     48  16  id of the journal that was in use when it was saved; zeros: none
 *     64   8  sequence number of the last change of that journal that is in the file
 *     72   4  the journal's chain after that change (journal.h)
 *     76   4  number of sections, at most INDEX_FILE_SECTIONS_MAX
 *     80   8  length of the whole file
 *     88   8  offset of the block checksums
 *     96   4  bytes of a block, 1048576
 *    100   4  CRC-32 of the block checksums
 *    104  20  zero
 *    124   4  CRC-32 of the bytes 0…123 and of the table of sections
 *    128  32  each section: 16 bytes name (ASCII, padded with NUL, 1…15 bytes), 8 offset, 8 length
 *             zeros to the end of the page
 *   the sections, in the table's order: each at the next multiple of 4096, zeros between
 *   the block checksums, at the next multiple of 4096: 4 bytes for each block of each section, in order: the CRC-32 of
 *   1 MiB of the section, of what is left in its last block. The file ends here.
 *
 * There is one layout for given sections, so the table cannot say anything that overlaps or leaves room: what differs
 * from it is refused, and every byte of the file is under a checksum or must be zero.
 *
 * The checksum guards against damage, not against an enemy. CRC-32 is zlib's: 3.4 to 4.2 GB/s a thread where BLAKE2b
 * has 0.9 (AMD EPYC, one thread, 1 MiB blocks in cache), so that verifying costs what reading costs; it sees every
 * burst of up to 32 bits and overlooks other damage once in 2³². Because of a sum for each MiB, a part can be verified
 * alone, threads share the work, and the sentence says which bytes are bad.
 *
 * Opening reads the first page and maps the rest, whatever its length. The mapping is private and writable: a kind may
 * patch its links in place, the pages it touches become our own memory and the file stays as it is.
 *
 * What others may do to a file that is open: replace it by renaming (as we do) – the old one lives on until it is
 * closed. Not: truncate it or write into it (`cp` over it, `rsync --inplace`). The length is compared when it is
 * opened; if it is cut later, touching a page that is gone ends the process with SIGBUS, as with every mapped file.
 *
 * Threads: an index_file may be read and verified by any number; a writer is used by one at a time.
 */
#ifndef INDEX_FILE_H
#define INDEX_FILE_H

#include <medley/progress.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define INDEX_FILE_VERSION 1
#define INDEX_FILE_NAME_MAX 15 /* bytes of a kind's or a section's name */
#define INDEX_FILE_SECTIONS_MAX 64
#define INDEX_FILE_PAGE_BYTES 4096
#define INDEX_FILE_BLOCK_BYTES ((size_t)1 << 20)
#define INDEX_FILE_ID_BYTES 16

/* How far a journal has come: what the file remembers of it. All zero: no journal. */
typedef struct journal_mark {
  unsigned char journal[INDEX_FILE_ID_BYTES];
  uint64_t sequence;
  uint32_t chain;
} journal_mark;

/* ---- reading ---- */

typedef struct index_file index_file;

/* Maps it and checks header, table, bounds and length; reads no section, so it takes the same time for any size.
 * MEDLEY_ERR_NOT_FOUND, MEDLEY_ERR_UNSUPPORTED (newer version, other byte order), MEDLEY_ERR_CORRUPT with a sentence.
 */
medley_status index_file_open(const char *path, index_file **out, medley_error *err) MEDLEY_CHECK;
void index_file_close(index_file *f); /* NULL is fine; what was borrowed from it is gone */

const char *index_file_path(const index_file *f);
const char *index_file_kind(const index_file *f);
const unsigned char *index_file_id(const index_file *f); /* [INDEX_FILE_ID_BYTES] */
const journal_mark *index_file_mark(const index_file *f);
size_t index_file_bytes(const index_file *f);

/* The section's bytes, aligned to 4096, writable for us alone; borrowed until index_file_close. An empty section gives
 * a pointer that must not be read. Its contents were not verified: check every number before it is trusted.
 * MEDLEY_ERR_CORRUPT when there is none of this name. */
medley_status index_file_section(const index_file *f, const char *name, unsigned char **bytes, size_t *length,
                                 medley_error *err) MEDLEY_CHECK;
/* As index_file_section for a section that is an array: the length must be count × size. */
medley_status index_file_array(const index_file *f, const char *name, size_t count, size_t size, unsigned char **bytes,
                               medley_error *err) MEDLEY_CHECK;
/* The i-th section's name, NULL behind the last. */
const char *index_file_section_name(const index_file *f, size_t i);

/* All of a section is going to be read: the system begins now, in the background, when the file is not in memory. A
 * hint, nothing fails. */
void index_file_soon(const index_file *f, const char *name);
/* For readers of single pieces (pages.h): borrowed like the sections, NULL when the file was in memory as it was
 * opened. */
struct pages *index_file_pages(const index_file *f);

typedef struct index_file_damage {
  char section[INDEX_FILE_NAME_MAX + 1]; /* of the first bad block */
  uint64_t block;                        /* its number in the section */
  uint64_t offset, length;               /* its bytes in the file */
  size_t bad, checked;                   /* blocks */
} index_file_damage;

/* Reads the file again (not the mapping, which may be patched) over all threads of OpenMP and compares every block of
 * the section, or of all sections when name is NULL. MEDLEY_ERR_CORRUPT names the first bad block and how many there
 * are; damage may be NULL. */
medley_status index_file_verify(const index_file *f, const char *name, const medley_progress *progress,
                                index_file_damage *damage, medley_error *err) MEDLEY_CHECK;

/* ---- writing ---- */

/* Sections go to "<path>.tmp-<pid>" as they come; a few hundred bytes and 4 bytes for each MiB are kept in memory.
 * After an error only index_file_writer_abort is of use. */
typedef struct index_file_writer index_file_writer;

/* mark: what journal_position says of the changes that are in the sections, NULL for none. */
medley_status index_file_writer_create(const char *path, const char *kind, const journal_mark *mark,
                                       index_file_writer **out, medley_error *err) MEDLEY_CHECK;
medley_status index_file_writer_begin_section(index_file_writer *w, const char *name, medley_error *err) MEDLEY_CHECK;
medley_status index_file_writer_append(index_file_writer *w, const void *bytes, size_t length,
                                       medley_error *err) MEDLEY_CHECK;
medley_status index_file_writer_end_section(index_file_writer *w, medley_error *err) MEDLEY_CHECK;
/* All three in one. */
medley_status index_file_writer_section(index_file_writer *w, const char *name, const void *bytes, size_t length,
                                        medley_error *err) MEDLEY_CHECK;
/* Header, flush to disk, rename, flush the folder. id [INDEX_FILE_ID_BYTES] is what journal_reset wants. w is freed in
 * either case. */
medley_status index_file_writer_commit(index_file_writer *w, unsigned char *id, medley_error *err) MEDLEY_CHECK;
void index_file_writer_abort(index_file_writer *w); /* removes what was written, frees w; NULL is fine */

#endif
