/* cli/markdown.c: docs/cli.md, printed from the rows; a test compares the file with what the command prints. */
#include <string.h>

#include "cli/arguments.h"
#include "cli/pages.h"

/* In a cell of a table: a bar would end it, angle brackets would be HTML. */
static void cell_append(strbuf *b, const char *text) {
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '|') strbuf_append_char(b, '\\');
    if (*c == '<')
      strbuf_append(b, "&lt;");
    else
      strbuf_append_char(b, *c);
  }
}

static void options_append(strbuf *b, const option_spec *options) {
  char heading[96];
  strbuf_append(b, "\n| option | |\n|---|---|\n");
  for (const option_spec *row = options; row->name != NULL; row++) {
    option_heading(row, heading, sizeof heading);
    strbuf_append(b, "| `");
    strbuf_append(b, heading + strspn(heading, " "));
    strbuf_append(b, "` | ");
    cell_append(b, row->help);
    for (const char *const *c = row->type == VALUE_CHOICE ? row->choices : NULL; c != NULL && *c != NULL; c++)
      strbuf_printf(b, "%s`%s`", c == row->choices ? ": " : ", ", *c);
    if (row->many) strbuf_append(b, row->commas ? "; several with commas, or given again" : "; may be given again");
    strbuf_append(b, " |\n");
  }
}

static void command_append(const command *c, strbuf *b) {
  char usage[256];
  command_usage(c, usage, sizeof usage);
  strbuf_printf(b, "\n## medley %s\n\n%s.\n\n    %s\n", c->name, c->summary, usage);
  if (c->about != NULL) strbuf_printf(b, "\n%s\n", c->about);
  if (c->options != NULL && c->options->name != NULL) options_append(b, c->options);
  for (const command_example *e = c->examples; e != NULL && e->line != NULL; e++)
    strbuf_printf(b, "%s    %s\n", e == c->examples ? "\n" : "", e->line);
}

void markdown_reference(strbuf *b) {
  static const int all[] = {0, 1, EXIT_USAGE, EXIT_REJECTED, EXIT_NOT_FOUND, EXIT_CANCELLED};
  strbuf_append(
      b,
      "# The command line\n\n"
      "Printed from the table of commands (`medley man --markdown`); `medley help COMMAND` and the manual pages say "
      "the same.\n\n"
      "With `--json`, standard output carries exactly one JSON object of results, and every line of standard error is "
      "one "
      "object too: `{\"note\":\"…\"}`, with `--verbose` `{\"stage\":\"…\",\"done\":…,\"seconds\":…}`, and last, when "
      "it "
      "failed, `{\"error\":{\"status\":\"not_found\",\"text\":\"…\"}}`. `status` is a name from `medley/error.h`.\n\n"
      "| exit status | |\n|---|---|\n");
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    strbuf_printf(b, "| %d | ", all[i]);
    cell_append(b, exit_status_text(all[i]));
    strbuf_append(b, " |\n");
  }
  strbuf_append(b, "\nEvery command knows these:\n");
  options_append(b, common_options);
  for (const command *const *c = commands; *c != NULL; c++)
    if (!(*c)->hidden) command_append(*c, b);
}
