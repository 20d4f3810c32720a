/* base/hash.h: content hashes (BLAKE2b-128 by libsodium), to know what changed. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define HASH_BYTES 16
#define HASH_HEX_BYTES (2 * HASH_BYTES + 1)

/* Every bit of the outcome depends on every bit of h (the end of MurmurHash3, Austin Appleby, public domain): for
 * tables in memory, never for what is kept. */
static inline uint64_t hash_finish(uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdULL;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ULL;
  return h ^ (h >> 33);
}

void hash_buffer(const void *bytes, size_t length, unsigned char out[HASH_BYTES]);
/* The file's bytes, read in blocks. */
medley_status hash_file(const char *path, unsigned char out[HASH_BYTES], medley_error *err) MEDLEY_CHECK;
void hash_to_hex(const unsigned char hash[HASH_BYTES], char out[HASH_HEX_BYTES]);

#endif
