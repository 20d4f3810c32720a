/* data/stream.c: see data/stream.h. One input buffer, and one reader per compression that empties it. */
#include "data/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/memory.h"

#define INPUT_BYTES 131072
#define ZSTD_WINDOW_LOG_MAX 27

typedef enum compression { PLAIN, GZIP, ZSTD } compression;

struct stream {
  const char *name;
  char *owned_name;
  int fd;                      /* -1: memory */
  const unsigned char *memory; /* what is left of it */
  size_t memory_left;
  uint64_t size, position;
  compression kind;
  unsigned char input[INPUT_BYTES];
  size_t input_start, input_end;
  bool ended; /* no more input */
  z_stream gzip;
  ZSTD_DStream *zstd;
  bool between; /* between two members or frames, where an end is an end */
};

/* ---- input ---- */

static medley_status input_take(stream *s, void *bytes, size_t capacity, size_t *got, medley_error *err) {
  if (s->fd < 0) {
    *got = s->memory_left < capacity ? s->memory_left : capacity;
    if (*got > 0) memcpy(bytes, s->memory, *got);
    s->memory += *got;
    s->memory_left -= *got;
    return MEDLEY_OK;
  }
  for (;;) {
    ssize_t length = read(s->fd, bytes, capacity);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot read '%s'", s->name);
    *got = (size_t)length;
    return MEDLEY_OK;
  }
}

static medley_status input_fill(stream *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t got = 0;
  if (s->input_start < s->input_end || s->ended) goto done;
  TRY(input_take(s, s->input, INPUT_BYTES, &got, err));
  s->input_start = 0;
  s->input_end = got;
  s->position += got;
  s->ended = got == 0;
done:
  return status;
}

static medley_status stream_truncated(const stream *s, const char *kind, medley_error *err) {
  return error_set(err, MEDLEY_ERR_INPUT, "'%s' ends in the middle of its %s data: it was cut off; fetch it again",
                   s->name, kind);
}

/* ---- readers ---- */

static medley_status plain_read(stream *s, void *bytes, size_t capacity, size_t *got, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(input_fill(s, err));
  *got = s->input_end - s->input_start;
  if (*got > capacity) *got = capacity;
  if (*got > 0) memcpy(bytes, s->input + s->input_start, *got);
  s->input_start += *got;
done:
  return status;
}

static medley_status gzip_read(stream *s, void *bytes, size_t capacity, size_t *got, medley_error *err) {
  medley_status status = MEDLEY_OK;
  s->gzip.next_out = bytes;
  s->gzip.avail_out = (uInt)(capacity > UINT32_MAX ? UINT32_MAX : capacity);
  uInt wanted = s->gzip.avail_out;
  while (s->gzip.avail_out == wanted) {
    TRY(input_fill(s, err));
    if (s->input_start == s->input_end) {
      if (!s->between) TRY(stream_truncated(s, "gzip", err));
      break;
    }
    /* Files made with cat have several members; inflate stops after each. */
    if (s->between && inflateReset(&s->gzip) != Z_OK) FAIL(err, MEDLEY_ERR_INTERNAL, "zlib cannot be reset");
    s->between = false;
    s->gzip.next_in = s->input + s->input_start;
    s->gzip.avail_in = (uInt)(s->input_end - s->input_start);
    int code = inflate(&s->gzip, Z_NO_FLUSH);
    s->input_start = s->input_end - s->gzip.avail_in;
    if (code == Z_MEM_ERROR) {
      status = error_memory(err, "gzip");
      goto done;
    }
    if (code == Z_STREAM_END)
      s->between = true;
    else if (code != Z_OK && code != Z_BUF_ERROR)
      FAIL(err, MEDLEY_ERR_INPUT, "'%s' is damaged: its gzip data are not valid (%s)", s->name,
           s->gzip.msg ? s->gzip.msg : "unknown");
  }
  *got = wanted - s->gzip.avail_out;
done:
  return status;
}

static medley_status zstd_read(stream *s, void *bytes, size_t capacity, size_t *got, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ZSTD_outBuffer out = {bytes, capacity, 0};
  while (out.pos == 0) {
    TRY(input_fill(s, err));
    bool drained = s->input_start == s->input_end;
    if (drained && s->between) break;
    ZSTD_inBuffer in = {s->input, s->input_end, s->input_start};
    size_t code = ZSTD_decompressStream(s->zstd, &out, &in);
    s->input_start = in.pos;
    if (ZSTD_isError(code))
      FAIL(err, MEDLEY_ERR_INPUT, "'%s' is damaged: its zstd data are not valid (%s)", s->name,
           ZSTD_getErrorName(code));
    s->between = code == 0;
    /* At the end of input the decoder may still hold output; when it gives none, the frame was cut. */
    if (drained && out.pos == 0 && code != 0) TRY(stream_truncated(s, "zstd", err));
  }
  *got = out.pos;
done:
  return status;
}

medley_status stream_read(stream *s, void *bytes, size_t capacity, size_t *got, medley_error *err) {
  static medley_status (*const readers[])(stream *, void *, size_t, size_t *, medley_error *) = {
      [PLAIN] = plain_read, [GZIP] = gzip_read, [ZSTD] = zstd_read};
  *got = 0;
  if (capacity == 0) return MEDLEY_OK;
  return readers[s->kind](s, bytes, capacity, got, err);
}

/* ---- open and close ---- */

/* The first bytes decide; what is shorter than a magic number is plain. A pipe may give them one at a time. */
static medley_status stream_recognise(stream *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  while (s->input_end < 4) {
    size_t got = 0;
    TRY(input_take(s, s->input + s->input_end, INPUT_BYTES - s->input_end, &got, err));
    if (got == 0) break;
    s->input_end += got;
    s->position += got;
  }
  if (s->input_end >= 2 && memcmp(s->input, "\x1f\x8b", 2) == 0) s->kind = GZIP;
  if (s->input_end >= 4 && memcmp(s->input, "\x28\xb5\x2f\xfd", 4) == 0) s->kind = ZSTD;
  if (s->kind == GZIP && inflateInit2(&s->gzip, 15 + 16) != Z_OK) {
    s->kind = PLAIN;
    status = error_memory(err, "gzip");
  }
  if (s->kind == ZSTD) {
    s->zstd = ZSTD_createDStream();
    if (s->zstd == NULL || ZSTD_isError(ZSTD_initDStream(s->zstd)) ||
        ZSTD_isError(ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
      status = error_memory(err, "zstd");
  }
done:
  return status;
}

static medley_status stream_connect(stream *s, const char *path, medley_error *err) {
  struct stat info;
  s->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (s->fd < 0)
    return error_set_errno(err, errno == ENOENT ? MEDLEY_ERR_NOT_FOUND : MEDLEY_ERR_IO, errno, "cannot open '%s'",
                           path);
  if (fstat(s->fd, &info) == 0) {
    if (S_ISDIR(info.st_mode)) return error_set(err, MEDLEY_ERR_INPUT, "'%s' is a folder, not a file", path);
    if (S_ISREG(info.st_mode)) s->size = (uint64_t)info.st_size;
  }
  return stream_recognise(s, err);
}

medley_status stream_open(const char *path, stream **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  stream *s = NULL;
  *out = NULL;
  TRY_NEW(s, 1, "a file reader");
  s->fd = -1;
  s->owned_name = mem_strdup(path);
  s->name = s->owned_name;
  if (s->name == NULL) {
    status = error_memory(err, "a file reader");
    goto done;
  }
  TRY(stream_connect(s, path, err));
  *out = s;
  s = NULL;
done:
  stream_close(s);
  return status;
}

medley_status stream_open_memory(const char *name, const void *bytes, size_t length, stream **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  stream *s = NULL;
  *out = NULL;
  TRY_NEW(s, 1, "a reader");
  s->fd = -1;
  s->name = name;
  s->memory = bytes;
  s->memory_left = length;
  s->size = length;
  TRY(stream_recognise(s, err));
  *out = s;
  s = NULL;
done:
  stream_close(s);
  return status;
}

uint64_t stream_position(const stream *s) { return s->position; }

uint64_t stream_size(const stream *s) { return s->size; }

bool stream_compressed(const stream *s) { return s->kind != PLAIN; }

void stream_close(stream *s) {
  if (s == NULL) return;
  if (s->fd >= 0) close(s->fd);
  if (s->kind == GZIP) inflateEnd(&s->gzip);
  ZSTD_freeDStream(s->zstd);
  mem_free(s->owned_name);
  mem_free(s);
}
