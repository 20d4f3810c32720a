/* base/file.c: see base/file.h. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/strbuf.h"

static medley_status status_from_errno(int number) { return number == ENOENT ? MEDLEY_ERR_NOT_FOUND : MEDLEY_ERR_IO; }

medley_status file_read(const char *path, size_t limit, char **bytes, size_t *length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *buffer = NULL;
  size_t used = 0, capacity = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    status = error_set_errno(err, status_from_errno(errno), errno, "cannot open '%s'", path);
    goto done;
  }
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) FAIL(err, MEDLEY_ERR_INPUT, "'%s' is a folder, not a file", path);
  /* The size is not trusted: a pipe has none and a file may grow while it is read. */
  for (;;) {
    TRY_GROW(buffer, capacity, used + 65536, path);
    ssize_t got = read(fd, buffer + used, capacity - used - 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot read '%s'", path);
      goto done;
    }
    if (got == 0) break;
    used += (size_t)got;
    if (used > limit) FAIL(err, MEDLEY_ERR_LIMIT, "'%s' is larger than the limit of %zu bytes", path, limit);
  }
  buffer[used] = '\0';
  *bytes = buffer;
  *length = used;
  buffer = NULL;
done:
  if (fd >= 0) close(fd);
  mem_free(buffer);
  return status;
}

ssize_t file_read_at(int fd, void *bytes, size_t length, uint64_t offset) {
  size_t done = 0;
  while (done < length) {
    ssize_t got = pread(fd, (unsigned char *)bytes + done, length - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += (size_t)got;
  }
  return (ssize_t)done;
}

medley_status file_sync_folder(const char *path, medley_error *err) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot open folder '%s'", path);
  int failed = fsync(fd) != 0 && errno != EINVAL ? errno : 0; /* some file systems cannot sync a folder */
  close(fd);
  return failed ? error_set_errno(err, MEDLEY_ERR_IO, failed, "cannot sync folder '%s'", path) : MEDLEY_OK;
}

medley_status file_writer_open(file_writer *w, const char *path, medley_error *err) {
  *w = (file_writer){0};
  size_t length = strlen(path) + 32;
  w->path = mem_strdup(path);
  w->temporary = mem_alloc(length, 1);
  if (w->path == NULL || w->temporary == NULL) {
    file_writer_abort(w);
    return error_memory(err, "a file name");
  }
  snprintf(w->temporary, length, "%s.tmp-%ld", path, (long)getpid());
  w->stream = fopen(w->temporary, "wbe");
  if (w->stream == NULL) {
    medley_status status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", path);
    mem_free(w->temporary);
    w->temporary = NULL;
    file_writer_abort(w);
    return status;
  }
  return MEDLEY_OK;
}

/* ---- copying ---- */

#define COPY_BYTES ((size_t)1 << 20)

/* By reading and writing: from a file system that knows nothing better, or between two of them. */
static medley_status copy_by_blocks(int from, FILE *to, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *block = mem_alloc(COPY_BYTES, 1);
  uint64_t offset = 0;
  ssize_t got;
  if (block == NULL) return error_memory(err, "a copy of a file");
  while ((got = file_read_at(from, block, COPY_BYTES, offset)) > 0) {
    offset += (uint64_t)got;
    if (fwrite(block, 1, (size_t)got, to) != (size_t)got) break; /* commit says why */
  }
  if (got < 0) status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot read '%s'", path);
  mem_free(block);
  return status;
}

medley_status file_copy(const char *from, const char *to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_writer w = {0};
  ssize_t sent, total = 0;
  int fd = open(from, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return error_set_errno(err, errno == ENOENT ? MEDLEY_ERR_NOT_FOUND : MEDLEY_ERR_IO, errno, "cannot open '%s'",
                           from);
  TRY(file_writer_open(&w, to, err));
  while ((sent = copy_file_range(fd, NULL, fileno(w.stream), NULL, (size_t)1 << 30, 0)) > 0) total += sent;
  if (total == 0) TRY(copy_by_blocks(fd, w.stream, from, err));
  if (total > 0 && sent < 0) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot copy '%s' to '%s'", from, to);
    goto done;
  }
  TRY(file_writer_commit(&w, err));
done:
  file_writer_abort(&w);
  close(fd);
  return status;
}

medley_status file_writer_commit(file_writer *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  /* Asked for first: once the file has its name, only the disk may say no. */
  char *folder = path_folder(w->path);
  if (folder == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  bool failed = fflush(w->stream) != 0 || ferror(w->stream) || fsync(fileno(w->stream)) != 0;
  int number = errno;
  if (fclose(w->stream) != 0 && !failed) {
    failed = true;
    number = errno;
  }
  w->stream = NULL;
  if (!failed && rename(w->temporary, w->path) != 0) {
    failed = true;
    number = errno;
  }
  if (failed) {
    status = error_set_errno(err, MEDLEY_ERR_IO, number, "cannot write '%s'", w->path);
    goto done;
  }
  mem_free(w->temporary);
  w->temporary = NULL;
  TRY(file_sync_folder(folder, err));
done:
  mem_free(folder);
  file_writer_abort(w);
  return status;
}

void file_writer_abort(file_writer *w) {
  if (w->stream != NULL) fclose(w->stream);
  if (w->temporary != NULL) unlink(w->temporary);
  mem_free(w->temporary);
  mem_free(w->path);
  *w = (file_writer){0};
}

void file_writer_sweep(const char *path) {
  const char *name = path_name(path);
  size_t length = strlen(name), count;
  char **names, *folder = path_folder(path);
  if (folder == NULL || folder_list(folder, &names, &count, NULL) != MEDLEY_OK) {
    mem_free(folder);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (strncmp(names[i], name, length) != 0 || !string_starts(names[i] + length, ".tmp-")) continue;
    char *stray = path_join(folder, names[i]);
    if (stray != NULL) unlink(stray);
    mem_free(stray);
  }
  folder_list_free(names, count);
  mem_free(folder);
}

medley_status file_write(const char *path, const void *bytes, size_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_writer w;
  TRY(file_writer_open(&w, path, err));
  if (length > 0 && fwrite(bytes, 1, length, w.stream) != length) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write '%s'", path);
    file_writer_abort(&w);
    goto done;
  }
  TRY(file_writer_commit(&w, err));
done:
  return status;
}

medley_status file_map_open(file_map *m, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *m = (file_map){0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    status = error_set_errno(err, status_from_errno(errno), errno, "cannot open '%s'", path);
    goto done;
  }
  struct stat info;
  if (fstat(fd, &info) != 0) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot stat '%s'", path);
    goto done;
  }
  if (!S_ISREG(info.st_mode)) FAIL(err, MEDLEY_ERR_INPUT, "'%s' is not a regular file", path);
  if (info.st_size == 0) goto done;
  void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot map '%s'", path);
    goto done;
  }
  m->bytes = bytes;
  m->length = (size_t)info.st_size;
done:
  if (fd >= 0) close(fd);
  return status;
}

void file_map_close(file_map *m) {
  if (m->bytes != NULL) munmap((void *)m->bytes, m->length);
  *m = (file_map){0};
}

medley_status file_check_writable(const char *path, const char *what, medley_error *err) {
  char folder[PATH_MAX];
  if (path == NULL) return MEDLEY_OK;
  const char *slash = strrchr(path, '/');
  if (path[0] == '\0' || strlen(path) >= sizeof folder)
    return error_set(err, MEDLEY_ERR_USAGE, "%s needs the name of a file", what);
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
  if (file_is_folder(path)) return error_set(err, MEDLEY_ERR_USAGE, "'%s' is a folder; name a file for %s", path, what);
  if (!file_is_folder(folder))
    return error_set(err, MEDLEY_ERR_IO, "%s: %s cannot be written, since there is no folder '%s'", path, what, folder);
  if (access(folder, W_OK) != 0)
    return error_set(err, MEDLEY_ERR_IO, "%s: %s cannot be written, since no file can be made in '%s'", path, what,
                     folder);
  return MEDLEY_OK;
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

bool file_is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool file_stat(const char *path, uint64_t *size_bytes, int64_t *modified_ns) {
  struct stat info;
  if (stat(path, &info) != 0) return false;
  if (size_bytes != NULL) *size_bytes = (uint64_t)info.st_size;
  if (modified_ns != NULL) *modified_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
  return true;
}

medley_status folder_create(const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *partial = mem_strdup(path);
  if (partial == NULL) return error_memory(err, "a folder name");
  for (char *p = partial + 1;; p++) {
    if (*p != '/' && *p != '\0') continue;
    char end = *p;
    *p = '\0';
    if (mkdir(partial, 0777) != 0 && !(errno == EEXIST && file_is_folder(partial))) {
      status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot create folder '%s'", partial);
      goto done;
    }
    *p = end;
    if (end == '\0') break;
  }
done:
  mem_free(partial);
  return status;
}

static int name_compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

medley_status folder_list(const char *path, char ***names, size_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **found = NULL;
  size_t found_count = 0, capacity = 0;
  DIR *dir = opendir(path);
  if (dir == NULL) {
    status = error_set_errno(err, status_from_errno(errno), errno, "cannot read folder '%s'", path);
    goto done;
  }
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    TRY_GROW(found, capacity, found_count + 1, "a folder listing");
    found[found_count] = mem_strdup(entry->d_name);
    if (found[found_count] == NULL) {
      status = error_memory(err, "a folder listing");
      goto done;
    }
    found_count++;
  }
  if (found_count > 1) qsort(found, found_count, sizeof *found, name_compare);
  *names = found;
  *count = found_count;
  found = NULL;
  found_count = 0;
done:
  if (dir != NULL) closedir(dir);
  folder_list_free(found, found_count);
  return status;
}

void folder_list_free(char **names, size_t count) {
  for (size_t i = 0; i < count; i++) mem_free(names[i]);
  mem_free(names);
}

medley_status folder_remove(const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **names = NULL;
  size_t count = 0;
  struct stat info;
  if (lstat(path, &info) != 0) return MEDLEY_OK;
  if (S_ISDIR(info.st_mode)) {
    TRY(folder_list(path, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
      char *inner = path_join(path, names[i]);
      status = inner ? folder_remove(inner, err) : error_memory(err, "a file name");
      mem_free(inner);
      if (status != MEDLEY_OK) goto done;
    }
  }
  if ((S_ISDIR(info.st_mode) ? rmdir(path) : unlink(path)) != 0)
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot remove '%s'", path);
done:
  folder_list_free(names, count);
  return status;
}

char *path_join(const char *folder, const char *name) {
  if (name[0] == '/') return mem_strdup(name);
  size_t folder_length = strlen(folder), name_length = strlen(name);
  bool slash = folder_length > 0 && folder[folder_length - 1] != '/';
  char *joined = mem_alloc(folder_length + name_length + 2, 1);
  if (joined == NULL) return NULL;
  memcpy(joined, folder, folder_length);
  if (slash) joined[folder_length++] = '/';
  memcpy(joined + folder_length, name, name_length + 1);
  return joined;
}

const char *path_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

char *path_folder(const char *path) {
  const char *name = path_name(path);
  if (name == path) return mem_strdup(".");
  return mem_strndup(path, name - path > 1 ? (size_t)(name - path) - 1 : 1);
}

const char *path_extension(const char *path) {
  const char *name = path_name(path);
  const char *dot = strrchr(name, '.');
  return dot && dot != name ? dot + 1 : "";
}
