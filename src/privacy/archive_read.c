/* privacy/archive_read.c: opening archives; see privacy/archive.h.
 *
 * Nothing is trusted before it is authenticated, and nothing is written before the table of files is known to agree
 * with the size of the archive. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/strbuf.h"
#include "privacy/archive.h"
#include "privacy/archive_parts.h"

#define OVERHEAD crypto_secretstream_xchacha20poly1305_ABYTES

/* ---- parsing ---- */

medley_status archive_header_parse(const unsigned char bytes[ARCHIVE_HEADER_BYTES], const char *name,
                                   archive_header *out, medley_error *err) {
  if (memcmp(bytes, ARCHIVE_MAGIC, 8) != 0)
    return error_set(err, MEDLEY_ERR_INPUT, "'%s' is no Medley archive: it does not begin with %s", name,
                     ARCHIVE_MAGIC);
  uint64_t version = archive_get(bytes + 8, 4), passes = archive_get(bytes + 12, 4),
           memory = archive_get(bytes + 16, 8);
  if (version != ARCHIVE_VERSION)
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "'%s' is an archive of version %llu, this Medley reads version %d",
                     name, (unsigned long long)version, ARCHIVE_VERSION);
  if (passes < ARCHIVE_PASSES_MIN || passes > ARCHIVE_PASSES_MAX)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' asks for %llu passes of Argon2id, expected %d to %d", name,
                     (unsigned long long)passes, ARCHIVE_PASSES_MIN, ARCHIVE_PASSES_MAX);
  if (memory < ARCHIVE_MEMORY_MIN || memory > ARCHIVE_MEMORY_MAX)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' asks for %llu bytes of memory, expected %llu to %llu", name,
                     (unsigned long long)memory, (unsigned long long)ARCHIVE_MEMORY_MIN,
                     (unsigned long long)ARCHIVE_MEMORY_MAX);
  out->cost = (archive_cost){(uint32_t)passes, memory};
  memcpy(out->salt, bytes + 24, sizeof out->salt);
  memcpy(out->stream, bytes + 40, sizeof out->stream);
  return MEDLEY_OK;
}

/* One row of the table at *at, which moves on. */
static medley_status entry_parse(const unsigned char *bytes, size_t length, size_t *at, const char *name, strmap *seen,
                                 archive_entry *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (length - *at < 2) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: its table of files ends in the middle of a row", name);
  size_t name_length = (size_t)archive_get(bytes + *at, 2);
  if (length - *at - 2 < name_length + 8)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: its table of files ends in the middle of a row", name);
  const char *text = (const char *)bytes + *at + 2;
  TRY(archive_name_check(text, name_length, name, err));
  bool added = false;
  if (strmap_get_or_put(seen, text, name_length, 1, &added) == NULL) {
    status = error_memory(err, "a table of files");
    goto done;
  }
  if (!added) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: the file '%.*s' is in it twice", name, (int)name_length, text);
  out->name = mem_strndup(text, name_length);
  if (out->name == NULL) {
    status = error_memory(err, "a table of files");
    goto done;
  }
  out->length = archive_get(bytes + *at + 2 + name_length, 8);
  *at += 10 + name_length;
done:
  return status;
}

medley_status archive_table_parse(const unsigned char *bytes, size_t length, size_t count, uint64_t contents,
                                  const char *name, archive_table *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strmap seen = {0};
  size_t at = 0;
  uint64_t left = contents;
  *out = (archive_table){0};
  /* A row has at least 11 bytes: the count is bounded by what is there before room is made for it. */
  if (count > ARCHIVE_FILES_MAX || count > length / 11)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: %zu files do not fit a table of %zu bytes", name, count, length);
  TRY_NEW(out->entries, count, "a table of files");
  for (; out->count < count; out->count++) {
    archive_entry *entry = &out->entries[out->count];
    TRY(entry_parse(bytes, length, &at, name, &seen, entry, err));
    if (entry->length > left) {
      mem_free(entry->name);
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: its files need more bytes than the archive has: it was cut off", name);
    }
    left -= entry->length;
  }
  if (at != length) FAIL(err, MEDLEY_ERR_CORRUPT, "%s: %zu bytes stand behind its table of files", name, length - at);
  if (left != 0)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: %llu bytes stand behind its last file", name, (unsigned long long)left);
done:
  strmap_deinit(&seen);
  if (status != MEDLEY_OK) archive_table_deinit(out);
  return status;
}

void archive_table_deinit(archive_table *t) {
  for (size_t i = 0; i < t->count; i++) mem_free(t->entries[i].name);
  mem_free(t->entries);
  *t = (archive_table){0};
}

/* ---- opening sealed messages ---- */

typedef struct opener {
  crypto_secretstream_xchacha20poly1305_state state;
  FILE *in;
  const char *file;
  unsigned char header[ARCHIVE_HEADER_BYTES];
  uint64_t plain_total; /* what the size of the file allows for */
  bool begun, final;
  size_t at, length; /* of plain */
  unsigned char plain[ARCHIVE_CHUNK], sealed[ARCHIVE_SEALED];
} opener;

/* The bytes inside the messages of a file of this size; 0 when no archive has it. */
static uint64_t plain_bytes_of(uint64_t size) {
  if (size <= ARCHIVE_HEADER_BYTES) return 0;
  uint64_t sealed = size - ARCHIVE_HEADER_BYTES, full = sealed / ARCHIVE_SEALED, rest = sealed % ARCHIVE_SEALED;
  if (rest == 0) return full * ARCHIVE_CHUNK;
  return rest > OVERHEAD ? full * ARCHIVE_CHUNK + rest - OVERHEAD : 0;
}

static medley_status opener_begin(opener *o, const char *file, const char *passphrase, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char key[crypto_secretstream_xchacha20poly1305_KEYBYTES] = {0};
  archive_header header;
  uint64_t size;
  o->file = file;
  o->in = fopen(file, "rbe");
  if (o->in == NULL) {
    status =
        error_set_errno(err, errno == ENOENT ? MEDLEY_ERR_NOT_FOUND : MEDLEY_ERR_IO, errno, "cannot open '%s'", file);
    goto done;
  }
  if (fread(o->header, 1, sizeof o->header, o->in) != sizeof o->header)
    FAIL(err, MEDLEY_ERR_INPUT, "'%s' is no Medley archive: it has fewer than %d bytes", file, ARCHIVE_HEADER_BYTES);
  TRY(archive_header_parse(o->header, file, &header, err));
  o->plain_total = file_stat(file, &size, NULL) ? plain_bytes_of(size) : 0;
  if (o->plain_total < 8) FAIL(err, MEDLEY_ERR_CORRUPT, "'%s' was cut off: it ends before its first message", file);
  TRY(archive_key(passphrase, &header, key, err));
  if (crypto_secretstream_xchacha20poly1305_init_pull(&o->state, header.stream, key) != 0)
    FAIL(err, MEDLEY_ERR_CORRUPT, "'%s': its stream header is not valid", file);
done:
  sodium_memzero(key, sizeof key);
  return status;
}

static medley_status opener_fill(opener *o, medley_error *err) {
  unsigned char tag = 0;
  unsigned long long length = 0;
  if (o->final) return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' ends before its files do", o->file);
  size_t got = fread(o->sealed, 1, sizeof o->sealed, o->in);
  if (got <= OVERHEAD)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' was cut off: its last message is missing", o->file);
  if (crypto_secretstream_xchacha20poly1305_pull(&o->state, o->plain, &length, &tag, o->sealed, got,
                                                 o->begun ? NULL : o->header, o->begun ? 0 : sizeof o->header) != 0) {
    if (!o->begun)
      return error_set(err, MEDLEY_ERR_INPUT, "'%s' cannot be opened: the passphrase is wrong or the file was changed",
                       o->file);
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' was changed or cut off in the last %ld bytes before byte %ld",
                     o->file, (long)got, ftell(o->in));
  }
  o->begun = true;
  o->final = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
  o->at = 0;
  o->length = (size_t)length;
  return MEDLEY_OK;
}

/* At least one byte at o->plain + o->at. */
static medley_status opener_need(opener *o, medley_error *err) {
  return o->at < o->length ? MEDLEY_OK : opener_fill(o, err);
}

static medley_status opener_read(opener *o, unsigned char *out, size_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  while (length > 0) {
    TRY(opener_need(o, err));
    size_t left = o->length - o->at, part = length < left ? length : left;
    memcpy(out, o->plain + o->at, part);
    o->at += part;
    out += part;
    length -= part;
  }
done:
  return status;
}

static medley_status opener_end(const opener *o, medley_error *err) {
  if (!o->final || o->at != o->length || fgetc(o->in) != EOF)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%s': something stands behind the last file", o->file);
  return MEDLEY_OK;
}

/* ---- the table and the files ---- */

static medley_status table_read(opener *o, archive_table *table, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char number[8], *bytes = NULL;
  TRY(opener_read(o, number, sizeof number, err));
  uint64_t count = archive_get(number, 4), length = archive_get(number + 4, 4);
  if (length > ARCHIVE_TABLE_MAX || length > o->plain_total - 8)
    FAIL(err, MEDLEY_ERR_CORRUPT, "'%s': its table of files would have %llu bytes; it was cut off", o->file,
         (unsigned long long)length);
  TRY_NEW(bytes, length, "a table of files");
  TRY(opener_read(o, bytes, (size_t)length, err));
  TRY(archive_table_parse(bytes, (size_t)length, (size_t)count, o->plain_total - 8 - length, o->file, table, err));
done:
  mem_free(bytes);
  return status;
}

static medley_status parent_create(char *path, medley_error *err) {
  char *slash = strrchr(path, '/');
  *slash = '\0';
  medley_status status = folder_create(path, err);
  *slash = '/';
  return status;
}

static medley_status entry_extract(opener *o, const archive_entry *entry, const char *folder, progress_stage *stage,
                                   uint64_t *done_bytes, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_writer w = {0};
  char *path = path_join(folder, entry->name);
  if (path == NULL) return error_memory(err, "a file name");
  TRY(parent_create(path, err));
  TRY(file_writer_open(&w, path, err));
  for (uint64_t left = entry->length; left > 0;) {
    TRY(opener_need(o, err));
    size_t part = o->length - o->at < left ? o->length - o->at : (size_t)left;
    if (fwrite(o->plain + o->at, 1, part, w.stream) != part) {
      status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", path);
      goto done;
    }
    o->at += part;
    left -= part;
    *done_bytes += part;
    TRY(progress_update(stage, *done_bytes, err));
  }
  TRY(file_writer_commit(&w, err));
done:
  file_writer_abort(&w);
  mem_free(path);
  return status;
}

static medley_status files_extract(opener *o, const char *folder, const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  archive_table table = {0};
  progress_stage stage;
  uint64_t done_bytes = 0;
  TRY(table_read(o, &table, err));
  TRY(folder_create(folder, err));
  progress_begin(&stage, progress, "decrypt", o->plain_total);
  for (size_t i = 0; i < table.count; i++) TRY(entry_extract(o, &table.entries[i], folder, &stage, &done_bytes, err));
  TRY(opener_end(o, err));
  progress_end(&stage, o->plain_total);
done:
  archive_table_deinit(&table);
  return status;
}

/* "shop/" and "shop" are one folder: the name beside it is made from the latter. */
static char *folder_beside(const char *folder) {
  strbuf name = {0};
  size_t length = strlen(folder);
  while (length > 1 && folder[length - 1] == '/') length--;
  strbuf_append_bytes(&name, folder, length);
  strbuf_printf(&name, ".tmp-%ld", (long)getpid());
  char *taken = strbuf_take(&name);
  strbuf_deinit(&name);
  return taken;
}

medley_status archive_extract(const char *file, const char *folder, const char *passphrase, archive_checker check,
                              const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  opener *o = NULL;
  char *beside = NULL;
  bool made = false;
  if (folder[0] == '\0') FAIL(err, MEDLEY_ERR_USAGE, "name a folder to restore into");
  if (file_exists(folder))
    FAIL(err, MEDLEY_ERR_EXISTS, "'%s' is there already: restore into a folder that does not exist yet", folder);
  beside = folder_beside(folder);
  TRY_NEW(o, 1, "an archive");
  if (beside == NULL) {
    status = error_memory(err, "a folder name");
    goto done;
  }
  TRY(opener_begin(o, file, passphrase, err));
  /* What an earlier, killed restore with our process number left. */
  TRY(folder_remove(beside, err));
  made = true;
  TRY(files_extract(o, beside, progress, err));
  if (check != NULL) TRY(check(beside, err));
  if (rename(beside, folder) != 0) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot name the restored folder '%s'", folder);
    goto done;
  }
  made = false;
done:
  if (made) (void)(folder_remove(beside, NULL) == MEDLEY_OK);
  if (o != NULL) {
    if (o->in != NULL) fclose(o->in);
    sodium_memzero(o, sizeof *o);
  }
  mem_free(o);
  mem_free(beside);
  return status;
}
