/* base/hash.h: content hashes (BLAKE2b-128 by libsodium), to know what changed. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define HASH_BYTES 16
#define HASH_HEX_BYTES (2 * HASH_BYTES + 1)

void hash_buffer(const void *bytes, size_t length, unsigned char out[HASH_BYTES]);
/* The file's bytes, read in blocks. */
medley_status hash_file(const char *path, unsigned char out[HASH_BYTES], medley_error *err) MEDLEY_CHECK;
void hash_to_hex(const unsigned char hash[HASH_BYTES], char out[HASH_HEX_BYTES]);

#endif
