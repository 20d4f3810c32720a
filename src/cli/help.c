/* cli/help.c: --help and `medley help`, printed from the rows. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/pages.h"
#include "cli/table.h"
#include "cli/width.h"

#define LEFT_MAX 26 /* a longer heading gets a line of its own */
#define HELP_COLUMNS_MAX 100

void option_heading(const option_spec *row, char *text, size_t size) {
  const char *value = row->value ? row->value : "";
  const char *space = row->value ? " " : "";
  if (row->letter)
    snprintf(text, size, "-%c, --%s%s%s", row->letter, row->name, space, value);
  else
    snprintf(text, size, "    --%s%s%s", row->name, space, value);
}

static void section(strbuf *b, const char *title, bool colour) {
  strbuf_append_char(b, '\n');
  strbuf_append_styled(b, title, STYLE_BOLD, colour);
  strbuf_append_char(b, '\n');
}

/* "  left      right, wrapped beside it" */
static void two_columns(strbuf *b, const char *left, const char *right, size_t left_width, size_t columns,
                        bool colour) {
  strbuf wrapped = {0};
  size_t indent = 2 + left_width + 2;
  strbuf_append_wrapped(&wrapped, right, indent, columns);
  strbuf_append(b, "  ");
  strbuf_append_styled(b, left, STYLE_ACCENT, colour);
  size_t width = display_width(left);
  if (wrapped.text == NULL) {
    strbuf_append_char(b, '\n');
  } else if (width <= left_width) {
    strbuf_append_spaces(b, left_width + 2 - width);
    strbuf_append(b, wrapped.text + indent);
  } else {
    strbuf_append_char(b, '\n');
    strbuf_append(b, wrapped.text);
  }
  if (wrapped.failed) b->failed = true;
  strbuf_deinit(&wrapped);
}

/* ---- one command ---- */

static void option_text(const option_spec *row, strbuf *out) {
  strbuf_append(out, row->help);
  if (row->type == VALUE_CHOICE) {
    strbuf_append(out, ":");
    for (const char *const *c = row->choices; *c != NULL; c++)
      strbuf_printf(out, "%s %s", c == row->choices ? "" : ",", *c);
  }
  if (row->many) strbuf_append(out, row->commas ? "; several with commas, or given again" : "; may be given again");
}

static void options_help(strbuf *b, const char *title, const option_spec *options, size_t columns, bool colour) {
  char heading[96];
  if (options == NULL || options->name == NULL) return;
  section(b, title, colour);
  for (const option_spec *row = options; row->name != NULL; row++) {
    strbuf text = {0};
    option_heading(row, heading, sizeof heading);
    option_text(row, &text);
    two_columns(b, heading, text.text ? text.text : "", LEFT_MAX, columns, colour);
    if (text.failed) b->failed = true;
    strbuf_deinit(&text);
  }
}

static void arguments_help(const command *c, strbuf *b, size_t columns, bool colour) {
  char name[48];
  if (c->arguments == NULL || c->arguments->name == NULL) return;
  section(b, "Arguments", colour);
  for (const argument_spec *row = c->arguments; row->name != NULL; row++) {
    size_t i = 0;
    for (; row->name[i] != '\0' && i < sizeof name - 1; i++) name[i] = (char)toupper((unsigned char)row->name[i]);
    name[i] = '\0';
    two_columns(b, name, row->help, 12, columns, colour);
  }
}

void help_command(const command *c, strbuf *b, size_t columns, bool colour) {
  char usage[256];
  int exits[EXIT_STATUSES_MAX];
  if (columns > HELP_COLUMNS_MAX) columns = HELP_COLUMNS_MAX;
  command_usage(c, usage, sizeof usage);
  strbuf_printf(b, "medley %s: %s\n\nUsage: ", c->name, c->summary);
  strbuf_append_styled(b, usage, STYLE_BOLD, colour);
  strbuf_append(b, "\n");
  if (c->about != NULL) {
    strbuf_append_char(b, '\n');
    strbuf_append_wrapped(b, c->about, 0, columns);
  }
  arguments_help(c, b, columns, colour);
  options_help(b, "Options", c->options, columns, colour);
  options_help(b, "Options of every command", common_options, columns, colour);
  if (c->examples != NULL) section(b, "Examples", colour);
  for (const command_example *e = c->examples; e != NULL && e->line != NULL; e++) {
    strbuf_append_wrapped(b, e->text, 2, columns);
    strbuf_append(b, "    ");
    strbuf_append_styled(b, e->line, STYLE_ACCENT, colour);
    strbuf_append_char(b, '\n');
  }
  section(b, "Exit status", colour);
  for (size_t i = 0, count = command_exits(c, exits); i < count; i++) {
    char number[8];
    snprintf(number, sizeof number, "%d", exits[i]);
    two_columns(b, number, exit_status_text(exits[i]), 4, columns, colour);
  }
}

/* ---- all of them ---- */

void help_overview(strbuf *b, size_t columns, bool colour) {
  const char *group = "";
  if (columns > HELP_COLUMNS_MAX) columns = HELP_COLUMNS_MAX;
  strbuf_append(b, "medley: recommends and finds things made of text, pictures, sound and video\n\nUsage: ");
  strbuf_append_styled(b, "medley COMMAND [ARGUMENT...] [OPTION...]", STYLE_BOLD, colour);
  strbuf_append(b, "\n");
  for (const command *const *c = commands; *c != NULL; c++) {
    if ((*c)->hidden) continue;
    if (strcmp(group, (*c)->group) != 0) section(b, group = (*c)->group, colour);
    two_columns(b, (*c)->name, (*c)->summary, 12, columns, colour);
  }
  section(b, "First steps", colour);
  strbuf_append(b,
                "  medley sample catalogue                            a catalogue to try things on\n"
                "  medley init shop                                   a workspace, which is a folder\n"
                "  medley import shop items catalogue/items.jsonl\n"
                "  medley import shop events catalogue/events.csv\n"
                "  medley train shop\n"
                "  medley recommend shop --user u1 --why\n"
                "  medley search shop --text \"striped lamp\"\n"
                "\n'medley help COMMAND' tells everything about one command, with examples.\n");
}
