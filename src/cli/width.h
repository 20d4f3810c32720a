/* cli/width.h: how many columns of a terminal a text takes, and cutting and wrapping by that.
 *
 * Chinese and Japanese characters and emoji take two columns, combining marks none (Unicode's East Asian Width, UAX
 * #11). The C library's wcwidth knows that too, but only while the process locale is a UTF-8 one; ICU always does.
 */
#ifndef CLI_WIDTH_H
#define CLI_WIDTH_H

#include <stddef.h>

#include "base/strbuf.h"

/* Columns of the text. Malformed bytes count one each. */
size_t display_width(const char *text);
/* The longest beginning that fits into `columns`, in bytes; *used (may be NULL) gets its columns. A combining mark
 * stays with the character before it. */
size_t display_fit(const char *text, size_t columns, size_t *used);
/* The text on one line, without control characters: those become spaces, so that a title cannot move the cursor or
 * colour the terminal. Malformed bytes become U+FFFD. */
void strbuf_append_printable(strbuf *b, const char *text);
/* At most `columns` wide, "…" at the end when something was cut off. */
void strbuf_append_fitted(strbuf *b, const char *text, size_t columns);
/* Spaces. */
void strbuf_append_spaces(strbuf *b, size_t count);
/* Paragraphs (separated by an empty line) wrapped at `columns`, each line behind `indent` spaces and ended by a
 * newline. Text without spaces, such as Chinese, breaks between any two wide characters. */
void strbuf_append_wrapped(strbuf *b, const char *text, size_t indent, size_t columns);

#endif
