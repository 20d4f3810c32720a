/* cli/console.h: where a command's results, notes, errors and progress go, and how they look there.
 *
 * Results are collected in `text` and written once, at the end: a command that fails half-way prints nothing to
 * standard output, and a full disk is noticed. Everything else goes to standard error.
 */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <medley/progress.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "cli/table.h"

typedef struct console {
  bool json, quiet, verbose;
  bool out_terminal, err_terminal; /* standard output, standard error is a terminal */
  bool out_colour, err_colour;
  size_t out_columns, err_columns; /* width; CONSOLE_COLUMNS when it is no terminal */
  strbuf text;                     /* results */
  bool bar_shown;                  /* a progress bar stands on the last line of standard error */
  int exit_status;                 /* set by a command that succeeded and still does not end with 0 */
} console;

#define CONSOLE_COLUMNS 100

/* Looks at the descriptors and the environment (NO_COLOR, TERM, COLUMNS). */
void console_init(console *c, bool json, bool quiet, bool verbose, bool no_color);
/* The results to standard output. */
medley_status console_flush(console *c, medley_error *err) MEDLEY_CHECK;
void console_deinit(console *c);

/* A text of the library's, and a newline. */
void console_json(console *c, const char *json);
/* A line of the results, printf-like, in a style. */
void console_line(console *c, text_style style, const char *format, ...) __attribute__((format(printf, 3, 4)));
void console_table(console *c, const table *t, size_t indent);
/* A remark on standard error, unless quiet. */
void console_note(console *c, const char *text);
/* The error's sentence on standard error. name: the command, NULL for none. */
void console_error(console *c, const char *name, const medley_error *error);

/* For long work: draws a bar (terminal), or a line for each finished stage (--verbose), or nothing. From the first call
 * on Ctrl-C and SIGTERM ask the work to end cleanly; a second one ends the process at once. Ends with the console. */
medley_progress console_progress(console *c);

#endif
