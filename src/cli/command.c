/* cli/command.c: finding commands, and what their exit statuses mean. The rows are in commands.c and cmd_*.c. */
#include "cli/command.h"

#include <string.h>

#include "cli/suggest.h"

const option_spec common_options[] = {
    {"json", 0, VALUE_FLAG, NULL,
     "results as JSON on standard output; notes, stages and errors as one JSON object a line on standard error"},
    {"quiet", 'q', VALUE_FLAG, NULL, "no notes and no progress; errors only"},
    {"verbose", 'v', VALUE_FLAG, NULL, "a line for every finished stage of the work"},
    {"no-color", 0, VALUE_FLAG, NULL, "no colours (they are used on terminals only, and not when NO_COLOR is set)"},
    {"help", 'h', VALUE_FLAG, NULL, "this help"},
    {0},
};

const command *command_find(const char *name) {
  for (const command *const *c = commands; *c != NULL; c++)
    if (strcmp((*c)->name, name) == 0) return *c;
  return NULL;
}

const char *command_suggest(const char *typed) {
  suggestion best = suggestion_for(typed);
  for (const command *const *c = commands; *c != NULL; c++)
    if (!(*c)->hidden) suggestion_try(&best, (*c)->name);
  return best.name;
}

static const struct {
  int exit_status;
  unsigned ends; /* 0: every command */
  const char *text;
} exit_rows[] = {
    {0, 0, "done"},
    {1, 0, "failed; the sentence on standard error says why"},
    {EXIT_USAGE, 0, "the command line makes no sense"},
    {EXIT_REJECTED, ENDS_REJECTED, "imported, but more rows were rejected than --allow-rejects allows"},
    {EXIT_NOT_FOUND, ENDS_NOT_FOUND, "a file, workspace, item, user or model does not exist"},
    {EXIT_CANCELLED, ENDS_CANCELLED, "stopped by Ctrl-C; what was accepted before is kept"},
};
#define EXIT_ROWS (sizeof exit_rows / sizeof *exit_rows)

int exit_status_of(medley_status status) {
  switch (status) {
    case MEDLEY_OK: return 0;
    case MEDLEY_ERR_USAGE: return EXIT_USAGE;
    case MEDLEY_ERR_REJECTED: return EXIT_REJECTED;
    case MEDLEY_ERR_NOT_FOUND: return EXIT_NOT_FOUND;
    case MEDLEY_ERR_CANCELLED: return EXIT_CANCELLED;
    default: return 1;
  }
}

const char *exit_status_text(int exit_status) {
  for (size_t i = 0; i < EXIT_ROWS; i++)
    if (exit_rows[i].exit_status == exit_status) return exit_rows[i].text;
  return NULL;
}

size_t command_exits(const command *c, int exits[EXIT_STATUSES_MAX]) {
  size_t count = 0;
  for (size_t i = 0; i < EXIT_ROWS; i++)
    if (exit_rows[i].ends == 0 || (c->ends & exit_rows[i].ends)) exits[count++] = exit_rows[i].exit_status;
  return count;
}
