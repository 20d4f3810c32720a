/* data/stream.h: the bytes of a file or of memory, plain, gzip (RFC 1952) or zstd (RFC 8878), told apart by their first
 * bytes.
 *
 * Memory use is bounded whatever the file says: fixed buffers, and zstd windows of at most 128 MiB. A stream that ends
 * in the middle of its compressed data is an error, not an end.
 */
#ifndef DATA_STREAM_H
#define DATA_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct stream stream;

/* name is used in sentences; it and bytes outlive the stream. */
medley_status stream_open(const char *path, stream **out, medley_error *err) MEDLEY_CHECK;
medley_status stream_open_memory(const char *name, const void *bytes, size_t length, stream **out,
                                 medley_error *err) MEDLEY_CHECK;
/* Up to capacity bytes; *got is 0 at the end only. */
medley_status stream_read(stream *s, void *bytes, size_t capacity, size_t *got, medley_error *err) MEDLEY_CHECK;
/* Compressed bytes taken in so far, of how many (0 when unknown): for time left. */
uint64_t stream_position(const stream *s);
uint64_t stream_size(const stream *s);
bool stream_compressed(const stream *s);
void stream_close(stream *s); /* NULL is fine */

#endif
