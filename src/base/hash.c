/* base/hash.c: see base/hash.h. */
#include "base/hash.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

void hash_buffer(const void *bytes, size_t length, unsigned char out[HASH_BYTES]) {
  crypto_generichash(out, HASH_BYTES, bytes, length, NULL, 0);
}

medley_status hash_file(const char *path, unsigned char out[HASH_BYTES], medley_error *err) {
  FILE *f = fopen(path, "rbe");
  if (f == NULL)
    return error_set_errno(err, errno == ENOENT ? MEDLEY_ERR_NOT_FOUND : MEDLEY_ERR_IO, errno, "cannot open '%s'",
                           path);
  crypto_generichash_state state;
  crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
  unsigned char block[65536];
  size_t got;
  while ((got = fread(block, 1, sizeof block, f)) > 0) crypto_generichash_update(&state, block, got);
  int failed = ferror(f);
  fclose(f);
  crypto_generichash_final(&state, out, HASH_BYTES);
  return failed ? error_set(err, MEDLEY_ERR_IO, "cannot read '%s'", path) : MEDLEY_OK;
}

void hash_to_hex(const unsigned char hash[HASH_BYTES], char out[HASH_HEX_BYTES]) {
  sodium_bin2hex(out, HASH_HEX_BYTES, hash, HASH_BYTES);
}
