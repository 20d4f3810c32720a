/* cli/passphrase.h: a passphrase from a file, the environment or a person; never from the command line, where every
 * process of the machine could read it. */
#ifndef CLI_PASSPHRASE_H
#define CLI_PASSPHRASE_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/arguments.h"

#define PASSPHRASE_MAX 4096 /* bytes */

/* From --passphrase-file (its text up to the first line end), else $MEDLEY_PASSPHRASE, else asked at the terminal
 * without showing it, twice when `new`. An empty one is refused. out: PASSPHRASE_MAX + 1 bytes of the caller's, wiped
 * with passphrase_wipe. */
medley_status passphrase_get(const arguments *a, bool new, char *out, medley_error *err) MEDLEY_CHECK;
void passphrase_wipe(char *passphrase);

/* The option, for the tables of the commands. */
#define PASSPHRASE_OPTION                                                                                        \
  {                                                                                                              \
    "passphrase-file", 0, VALUE_FILE, "FILE",                                                                    \
        "file whose first line is the passphrase; without it $MEDLEY_PASSPHRASE, or it is asked at the terminal" \
  }

#endif
