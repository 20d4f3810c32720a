/* cli/arguments.h: a command line, checked against the command's rows.
 *
 * GNU habits: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, flags together (-qv), options anywhere, -- ends them.
 * Values are looked up by the names in the rows; asking for a name that no row has is a defect (assert).
 */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "cli/command.h"

/* The values given for one row: count strings and a NULL after them. values is NULL when nothing was given. */
typedef struct argument_values {
  const char **values;
  size_t count, capacity;
} argument_values;

#define ARGUMENT_ROWS_MAX 64

typedef struct arguments {
  const command *command;
  arena *memory;
  argument_values options[ARGUMENT_ROWS_MAX]; /* the command's options, then the common ones, then the positionals */
  size_t option_count, common_count, positional_count;
} arguments;

/* argv without the program's and the command's name; its strings are borrowed. A mistake is MEDLEY_ERR_USAGE with a
 * sentence that names the option, the value and what would be right. With --help nothing is required. */
medley_status arguments_parse(const command *c, int argc, char **argv, arguments *a, medley_error *err) MEDLEY_CHECK;
void arguments_deinit(arguments *a); /* harmless on a zeroed one */

bool arguments_has(const arguments *a, const char *name);
/* The value of an option or positional; NULL when it was not given. */
const char *arguments_text(const arguments *a, const char *name);
/* A length of time (cli/moment.h) in seconds; *seconds stays as it is when the option was not given. */
medley_status arguments_duration(const arguments *a, const char *name, double *seconds, medley_error *err) MEDLEY_CHECK;
/* All values, NULL-terminated; NULL when none was given. Lives as long as a. */
const char *const *arguments_list(const arguments *a, const char *name);
long long arguments_integer(const arguments *a, const char *name, long long fallback);
double arguments_number(const arguments *a, const char *name, double fallback);

/* "medley recommend WORKSPACE [OPTION…]" into text. */
void command_usage(const command *c, char *text, size_t size);

#endif
