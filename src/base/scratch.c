/* base/scratch.c: see base/scratch.h. */
#include "base/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/strbuf.h"

medley_status scratch_init(scratch *s, const char *folder, medley_error *err) {
  *s = (scratch){.folder = mem_strdup(folder), .file = -1};
  return s->folder ? MEDLEY_OK : error_memory(err, "scratch file");
}

void scratch_deinit(scratch *s) {
  if (s->folder != NULL && s->file >= 0) close(s->file);
  mem_free(s->folder);
  *s = (scratch){.file = -1};
}

/* Where a file system cannot make nameless files, one that loses its name at once. */
static medley_status scratch_open(scratch *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf name = {0};
  if (s->file >= 0) return MEDLEY_OK;
  s->file = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (s->file >= 0) return MEDLEY_OK;
  strbuf_printf(&name, "%s/.medley-scratch-XXXXXX", s->folder);
  if (name.failed) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a scratch file");
  s->file = mkostemp(name.text, O_CLOEXEC);
  if (s->file < 0) FAIL(err, MEDLEY_ERR_IO, "no scratch file can be made in %s: %s", s->folder, strerror(errno));
  unlink(name.text);
done:
  strbuf_deinit(&name);
  return status;
}

medley_status scratch_map(scratch *s, size_t bytes, void **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  TRY(scratch_open(s, err));
  bytes = (bytes + page - 1) / page * page;
  int failed = posix_fallocate(s->file, (off_t)s->bytes, (off_t)bytes);
  if (failed != 0)
    FAIL(err, MEDLEY_ERR_IO, "%zu MiB more for vectors do not fit in %s: %s", bytes >> 20, s->folder, strerror(failed));
  *out = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->file, (off_t)s->bytes);
  if (*out == MAP_FAILED) FAIL(err, MEDLEY_ERR_MEMORY, "a scratch file cannot be mapped: %s", strerror(errno));
  s->bytes += bytes;
done:
  return status;
}
