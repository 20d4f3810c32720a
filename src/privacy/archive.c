/* privacy/archive.c: writing archives, and what writing and reading share; see privacy/archive.h. */
#include "privacy/archive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/strbuf.h"
#include "privacy/archive_parts.h"

#define PASSES_USUAL 3
#define MEMORY_USUAL ((uint64_t)256 << 20)

/* ---- shared ---- */

void archive_put(unsigned char *bytes, int size, uint64_t value) {
  for (int i = 0; i < size; i++) bytes[i] = (unsigned char)(value >> (8 * i));
}

uint64_t archive_get(const unsigned char *bytes, int size) {
  uint64_t value = 0;
  for (int i = 0; i < size; i++) value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}

medley_status archive_key(const char *passphrase, const archive_header *header,
                          unsigned char key[crypto_secretstream_xchacha20poly1305_KEYBYTES], medley_error *err) {
  size_t length = passphrase ? strlen(passphrase) : 0;
  if (length == 0) return error_set(err, MEDLEY_ERR_USAGE, "the passphrase of an archive must not be empty");
  if (length > ARCHIVE_PASSPHRASE_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "the passphrase has %zu bytes, at most %d are taken", length,
                     ARCHIVE_PASSPHRASE_MAX);
  if (sodium_init() < 0) return error_set(err, MEDLEY_ERR_INTERNAL, "libsodium cannot start");
  if (crypto_pwhash(key, crypto_secretstream_xchacha20poly1305_KEYBYTES, passphrase, length, header->salt,
                    header->cost.passes, (size_t)header->cost.memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
    return error_memory(err, "the key of the passphrase");
  return MEDLEY_OK;
}

medley_status archive_name_check(const char *name, size_t length, const char *archive, medley_error *err) {
  if (length == 0 || length > ARCHIVE_NAME_MAX)
    return error_set(err, MEDLEY_ERR_CORRUPT, "%s: a file name of %zu bytes, expected 1 to %d", archive, length,
                     ARCHIVE_NAME_MAX);
  bool plain = utf8_valid(name, length);
  for (size_t i = 0; i < length; i++) plain &= (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
  if (!plain)
    return error_set(err, MEDLEY_ERR_CORRUPT, "%s: a file name that is no UTF-8 or has control characters", archive);
  for (size_t start = 0; start <= length;) {
    size_t end = start;
    while (end < length && name[end] != '/') end++;
    size_t part = end - start;
    bool dots = (part == 1 && name[start] == '.') || (part == 2 && name[start] == '.' && name[start + 1] == '.');
    if (part == 0 || dots)
      return error_set(err, MEDLEY_ERR_CORRUPT, "%s: the file name '%.*s' leads out of the folder", archive,
                       (int)length, name);
    start = end + 1;
  }
  return MEDLEY_OK;
}

/* ---- sealing ---- */

/* Collects bytes into chunks and seals them. A full chunk waits until more comes, because only then it is known that it
 * is not the last. */
typedef struct sealer {
  crypto_secretstream_xchacha20poly1305_state state;
  file_writer out;
  unsigned char header[ARCHIVE_HEADER_BYTES];
  bool begun; /* the first message, which vouches for the header, is written */
  size_t used;
  unsigned char plain[ARCHIVE_CHUNK], sealed[ARCHIVE_SEALED];
} sealer;

static medley_status sealer_flush(sealer *s, unsigned char tag, medley_error *err) {
  unsigned long long length;
  crypto_secretstream_xchacha20poly1305_push(&s->state, s->sealed, &length, s->plain, s->used,
                                             s->begun ? NULL : s->header, s->begun ? 0 : sizeof s->header, tag);
  s->begun = true;
  s->used = 0;
  if (fwrite(s->sealed, 1, length, s->out.stream) != length)
    return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", s->out.path);
  return MEDLEY_OK;
}

static medley_status sealer_add(sealer *s, const unsigned char *bytes, size_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  while (length > 0) {
    if (s->used == ARCHIVE_CHUNK) TRY(sealer_flush(s, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE, err));
    size_t room = ARCHIVE_CHUNK - s->used, part = length < room ? length : room;
    memcpy(s->plain + s->used, bytes, part);
    s->used += part;
    bytes += part;
    length -= part;
  }
done:
  return status;
}

static medley_status sealer_begin(sealer *s, const char *file, const char *passphrase, const archive_cost *cost,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
  archive_header header = {.cost = {cost && cost->passes ? cost->passes : PASSES_USUAL,
                                    cost && cost->memory_bytes ? cost->memory_bytes : MEMORY_USUAL}};
  if (sodium_init() < 0) return error_set(err, MEDLEY_ERR_INTERNAL, "libsodium cannot start");
  randombytes_buf(header.salt, sizeof header.salt);
  TRY(archive_key(passphrase, &header, key, err));
  crypto_secretstream_xchacha20poly1305_init_push(&s->state, header.stream, key);
  memcpy(s->header, ARCHIVE_MAGIC, 8);
  archive_put(s->header + 8, 4, ARCHIVE_VERSION);
  archive_put(s->header + 12, 4, header.cost.passes);
  archive_put(s->header + 16, 8, header.cost.memory_bytes);
  memcpy(s->header + 24, header.salt, sizeof header.salt);
  memcpy(s->header + 40, header.stream, sizeof header.stream);
  TRY(file_writer_open(&s->out, file, err));
  if (fwrite(s->header, 1, sizeof s->header, s->out.stream) != sizeof s->header)
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", file);
done:
  sodium_memzero(key, sizeof key);
  return status;
}

/* ---- the table and the files ---- */

static medley_status table_add(sealer *s, const archive_source *sources, size_t count, uint64_t *lengths,
                               uint64_t *total, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char number[8];
  uint64_t table = 0;
  *total = 0;
  if (count > ARCHIVE_FILES_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "%zu files are more than an archive takes (%u)", count, ARCHIVE_FILES_MAX);
  for (size_t i = 0; i < count; i++) {
    TRY(archive_name_check(sources[i].name, strlen(sources[i].name), "archive", err));
    if (!file_stat(sources[i].path, &lengths[i], NULL))
      FAIL(err, MEDLEY_ERR_NOT_FOUND, "'%s' cannot be read", sources[i].path);
    table += 10 + strlen(sources[i].name);
    *total += lengths[i];
  }
  archive_put(number, 4, count);
  archive_put(number + 4, 4, table);
  TRY(sealer_add(s, number, 8, err));
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(sources[i].name);
    archive_put(number, 2, length);
    TRY(sealer_add(s, number, 2, err));
    TRY(sealer_add(s, (const unsigned char *)sources[i].name, length, err));
    archive_put(number, 8, lengths[i]);
    TRY(sealer_add(s, number, 8, err));
  }
done:
  return status;
}

static medley_status source_add(sealer *s, const archive_source *source, uint64_t length, progress_stage *stage,
                                uint64_t *done_bytes, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char block[16384];
  uint64_t taken = 0;
  FILE *in = fopen(source->path, "rbe");
  if (in == NULL) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot open '%s'", source->path);
    goto done;
  }
  for (size_t got; (got = fread(block, 1, sizeof block, in)) > 0;) {
    taken += got;
    *done_bytes += got;
    if (taken > length) break;
    TRY(sealer_add(s, block, got, err));
    TRY(progress_update(stage, *done_bytes, err));
  }
  if (ferror(in)) FAIL(err, MEDLEY_ERR_IO, "cannot read '%s'", source->path);
  if (taken != length)
    FAIL(err, MEDLEY_ERR_IO, "'%s' changed while it was being archived: run the export again", source->path);
done:
  if (in != NULL) fclose(in);
  return status;
}

medley_status archive_write(const char *file, const char *passphrase, const archive_source *sources, size_t count,
                            const archive_cost *cost, const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sealer *s = NULL;
  uint64_t *lengths = NULL, total, done_bytes = 0;
  progress_stage stage;
  TRY_NEW(s, 1, "an archive");
  TRY_NEW(lengths, count, "an archive");
  TRY(sealer_begin(s, file, passphrase, cost, err));
  TRY(table_add(s, sources, count, lengths, &total, err));
  progress_begin(&stage, progress, "encrypt", total);
  for (size_t i = 0; i < count; i++) TRY(source_add(s, &sources[i], lengths[i], &stage, &done_bytes, err));
  TRY(sealer_flush(s, crypto_secretstream_xchacha20poly1305_TAG_FINAL, err));
  TRY(file_writer_commit(&s->out, err));
  progress_end(&stage, total);
done:
  if (s != NULL) {
    file_writer_abort(&s->out);
    sodium_memzero(s, sizeof *s);
  }
  mem_free(s);
  mem_free(lengths);
  return status;
}
