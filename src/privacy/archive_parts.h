/* privacy/archive_parts.h: what writing (archive.c) and reading (archive_read.c) share. */
#ifndef PRIVACY_ARCHIVE_PARTS_H
#define PRIVACY_ARCHIVE_PARTS_H

#include <sodium.h>

#include "privacy/archive.h"

#define ARCHIVE_MAGIC "MEDLEYAR"
#define ARCHIVE_VERSION 1
#define ARCHIVE_SEALED (ARCHIVE_CHUNK + crypto_secretstream_xchacha20poly1305_ABYTES)

_Static_assert(sizeof((archive_header *)0)->salt == crypto_pwhash_argon2id_SALTBYTES, "the salt fits the header");
_Static_assert(sizeof((archive_header *)0)->stream == crypto_secretstream_xchacha20poly1305_HEADERBYTES,
               "the stream's header fits ours");

/* Little-endian numbers of 2, 4 or 8 bytes. */
void archive_put(unsigned char *bytes, int size, uint64_t value);
uint64_t archive_get(const unsigned char *bytes, int size);

/* The key of a passphrase; the caller wipes it. Starts libsodium. */
medley_status archive_key(const char *passphrase, const archive_header *header,
                          unsigned char key[crypto_secretstream_xchacha20poly1305_KEYBYTES],
                          medley_error *err) MEDLEY_CHECK;
/* Whether a name may stand in an archive: names the reason when not. */
medley_status archive_name_check(const char *name, size_t length, const char *archive, medley_error *err) MEDLEY_CHECK;

#endif
