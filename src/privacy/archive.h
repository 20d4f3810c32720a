/* privacy/archive.h: several files in one encrypted file (F77), and back.
 *
 * Byte by byte, numbers little-endian:
 *
 *        0   8  "MEDLEYAR"
 *        8   4  version: 1
 *       12   4  passes of Argon2id, ARCHIVE_PASSES_MIN to _MAX
 *       16   8  bytes of memory of Argon2id, ARCHIVE_MEMORY_MIN to _MAX: a stranger's file cannot ask for more
 *       24  16  salt of Argon2id
 *       40  24  header of libsodium's secretstream (XChaCha20-Poly1305)
 *       64   …  messages: each but the last holds ARCHIVE_CHUNK bytes, sealed into ARCHIVE_CHUNK + 17; the last holds 1
 *               to ARCHIVE_CHUNK bytes and bears the final tag. Bytes 0 to 63 are additional data of the first message.
 *
 * The messages, one after the other, hold:
 *
 *        0   4  number of files, n
 *        4   4  bytes of the table that follows, t
 *        8   t  n times: 2 bytes length of the name, the name, 8 bytes length of the file
 *    8 + t   …  the files in this order, nothing between them and nothing behind
 *
 * A name is a path below the folder: UTF-8 without control characters, parts joined by '/', no part empty, "." or "..".
 * The sum of the lengths must be what the size of the archive leaves, so that what was cut off or added is told before
 * anything is written; each byte is authenticated before it is used.
 *
 * Format: https://doc.libsodium.org/secret-key_cryptography/secretstream ; Argon2: RFC 9106.
 */
#ifndef PRIVACY_ARCHIVE_H
#define PRIVACY_ARCHIVE_H

#include <medley/progress.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ARCHIVE_HEADER_BYTES 64
#define ARCHIVE_CHUNK 65536
#define ARCHIVE_FILES_MAX 1000000u
#define ARCHIVE_TABLE_MAX ((size_t)256 << 20)
#define ARCHIVE_NAME_MAX 1024
#define ARCHIVE_PASSPHRASE_MAX 1024
#define ARCHIVE_PASSES_MIN 1
#define ARCHIVE_PASSES_MAX 10
#define ARCHIVE_MEMORY_MIN ((uint64_t)8 << 10)
#define ARCHIVE_MEMORY_MAX ((uint64_t)1 << 30)

/* What guessing a passphrase costs. Zero means the usual: 3 passes over 256 MiB. */
typedef struct archive_cost {
  uint32_t passes;
  uint64_t memory_bytes;
} archive_cost;

typedef struct archive_source {
  const char *name; /* inside the archive */
  const char *path; /* on disk */
} archive_source;

/* Written beside and renamed; replaces an archive that is there. A source that changes its length meanwhile is an
 * error. cost may be NULL. */
medley_status archive_write(const char *file, const char *passphrase, const archive_source *sources, size_t count,
                            const archive_cost *cost, const medley_progress *progress, medley_error *err) MEDLEY_CHECK;

/* Into a folder that must not exist yet: everything is written into "<folder>.tmp-<pid>", which is renamed at the end;
 * after an error nothing is left. check (may be NULL) sees the finished folder before it gets its name, and can refuse
 * it. */
typedef medley_status (*archive_checker)(const char *folder, medley_error *err);
medley_status archive_extract(const char *file, const char *folder, const char *passphrase, archive_checker check,
                              const medley_progress *progress, medley_error *err) MEDLEY_CHECK;

/* ---- the two parsers, for archive_extract and for fuzzing ---- */

typedef struct archive_header {
  archive_cost cost;
  unsigned char salt[16], stream[24];
} archive_header;
medley_status archive_header_parse(const unsigned char bytes[ARCHIVE_HEADER_BYTES], const char *name,
                                   archive_header *out, medley_error *err) MEDLEY_CHECK;

typedef struct archive_entry {
  char *name; /* owned */
  uint64_t length;
} archive_entry;
typedef struct archive_table {
  archive_entry *entries;
  size_t count;
} archive_table;
/* bytes [length]: the table after its 8 leading bytes; contents: how many bytes of files the archive has room for. */
medley_status archive_table_parse(const unsigned char *bytes, size_t length, size_t count, uint64_t contents,
                                  const char *name, archive_table *out, medley_error *err) MEDLEY_CHECK;
void archive_table_deinit(archive_table *t);

#endif
