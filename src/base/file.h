/* base/file.h: files and folders, with bounded reads and writes that are whole or not there.
 *
 * Every file Medley leaves behind is written beside its final name, flushed to disk and renamed, so that a reader or a
 * restart sees the old file or the new one, never half of it.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"

/* The whole file, NUL-terminated beyond its length; at most limit bytes (a larger file is MEDLEY_ERR_LIMIT). *bytes is
 * the caller's (mem_free). */
medley_status file_read(const char *path, size_t limit, char **bytes, size_t *length, medley_error *err) MEDLEY_CHECK;

/* pread until it is all there: less than length only at the end of the file, -1 (errno) on error. */
ssize_t file_read_at(int fd, void *bytes, size_t length, uint64_t offset);

/* Writes beside, fsyncs, renames, fsyncs the folder. */
medley_status file_write(const char *path, const void *bytes, size_t length, medley_error *err) MEDLEY_CHECK;

/* For files written piece by piece: a stream on "<path>.tmp-<pid>"; commit renames it, abort removes it. */
typedef struct file_writer {
  FILE *stream;
  char *path, *temporary;
} file_writer;
medley_status file_writer_open(file_writer *w, const char *path, medley_error *err) MEDLEY_CHECK;
medley_status file_writer_commit(file_writer *w, medley_error *err) MEDLEY_CHECK; /* w is closed in either case */
void file_writer_abort(file_writer *w);                                           /* harmless after commit */
/* Removes what killed writers of this path left beside it. Only where nobody else can be writing it: under a lock. */
void file_writer_sweep(const char *path);

/* A copy of a file, whole or not there, like file_write. Where the file system can, the two share their blocks until
 * one is changed. */
medley_status file_copy(const char *from, const char *to, medley_error *err) MEDLEY_CHECK;

/* Read-only memory map. An empty file maps to bytes = NULL, length = 0. */
typedef struct file_map {
  const unsigned char *bytes;
  size_t length;
} file_map;
medley_status file_map_open(file_map *m, const char *path, medley_error *err) MEDLEY_CHECK;
void file_map_close(file_map *m);

/* Whether a file can be made there, for a sentence before minutes are spent on what stands in it. what: "the report".
 * NULL is fine: nothing is to be written. */
medley_status file_check_writable(const char *path, const char *what, medley_error *err) MEDLEY_CHECK;

bool file_exists(const char *path);
bool file_is_folder(const char *path);
/* Size in bytes and modification time in nanoseconds since the epoch; false when it cannot be read. */
bool file_stat(const char *path, uint64_t *size_bytes, int64_t *modified_ns);
medley_status folder_create(const char *path, medley_error *err) MEDLEY_CHECK; /* with parents; there already is fine */
medley_status folder_remove(const char *path, medley_error *err) MEDLEY_CHECK; /* with what is in it; absent is fine */
/* Names in the folder, sorted by bytes, without "." and ".."; free with folder_list_free. */
medley_status folder_list(const char *path, char ***names, size_t *count, medley_error *err) MEDLEY_CHECK;
void folder_list_free(char **names, size_t count);
medley_status file_sync_folder(const char *path, medley_error *err) MEDLEY_CHECK;

/* "a/b" from "a" and "b"; an absolute b stands alone. NULL when memory runs out; mem_free. */
char *path_join(const char *folder, const char *name);
/* The folder that a file is in, "." when no slash says so. NULL when memory runs out; mem_free. */
char *path_folder(const char *path);
/* Borrowed: the part after the last slash; the part after the last dot of that ("" when there is none). */
const char *path_name(const char *path);
const char *path_extension(const char *path);

#endif
