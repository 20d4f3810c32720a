/* media/markup.h: takes HTML and addresses out of a text. Works on UTF-8 bytes and needs no library; thread-safe. */
#ifndef MEDIA_MARKUP_H
#define MEDIA_MARKUP_H

#include <stddef.h>

#include "base/strbuf.h"

/* Appends text with tags and comments left out (a tag that breaks the line becomes a space, <b> and its like vanish),
 * the contents of script and style left out, and entities decoded once. "a < b" and a lone & are text. Check
 * out->failed. */
void markup_strip(const char *text, size_t length, strbuf *out);

/* Appends text with URLs (http, https, ftp, mailto, www.) and e-mail addresses replaced by a space. Check out->failed.
 */
void addresses_strip(const char *text, size_t length, strbuf *out);

#endif
