/* cli/manual.c: manual pages in man(7), which groff and mandoc both read, printed from the rows. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/pages.h"

/* Text as roff wants it: backslashes and dashes escaped, no dot or quote at the start of a line, an empty line between
 * paragraphs as .PP. */
static void roff_append(strbuf *b, const char *text) {
  bool line_start = true;
  for (const char *c = text; *c != '\0'; c++) {
    if (c[0] == '\n' && c[1] == '\n') {
      strbuf_append(b, "\n.PP\n");
      line_start = true;
      c++;
      continue;
    }
    if (line_start && (*c == '.' || *c == '\'')) strbuf_append(b, "\\&");
    line_start = *c == '\n';
    switch (*c) {
      case '\\': strbuf_append(b, "\\e"); break;
      case '-': strbuf_append(b, "\\-"); break;
      case '\'': strbuf_append(b, "\\(aq"); break;
      case '^': strbuf_append(b, "\\(ha"); break;
      case '~': strbuf_append(b, "\\(ti"); break;
      case '`': strbuf_append(b, "\\(ga"); break;
      default: strbuf_append_char(b, *c);
    }
  }
}

static void roff_line(strbuf *b, const char *before, const char *text, const char *after) {
  strbuf_append(b, before);
  roff_append(b, text);
  strbuf_append(b, after);
}

static void upper_append(strbuf *b, const char *text) {
  for (const char *c = text; *c != '\0'; c++) strbuf_append_char(b, (char)toupper((unsigned char)*c));
}

static void title(strbuf *b, const char *name, const char *version) {
  strbuf_append(b, ".TH ");
  upper_append(b, name);
  strbuf_printf(b, " 1 \"\" \"Medley %s\" \"Medley\"\n", version);
}

static void options_append(strbuf *b, const option_spec *options) {
  for (const option_spec *row = options; row != NULL && row->name != NULL; row++) {
    strbuf_append(b, ".TP\n");
    if (row->letter) strbuf_printf(b, "\\fB\\-%c\\fR, ", row->letter);
    roff_line(b, "\\fB\\-\\-", row->name, "\\fR");
    if (row->value != NULL) roff_line(b, " \\fI", row->value, "\\fR");
    strbuf_append_char(b, '\n');
    roff_append(b, row->help);
    for (const char *const *c = row->type == VALUE_CHOICE ? row->choices : NULL; c != NULL && *c != NULL; c++)
      roff_line(b, c == row->choices ? ": " : ", ", *c, "");
    if (row->many) strbuf_append(b, row->commas ? "; several with commas, or given again" : "; may be given again");
    strbuf_append(b, ".\n");
  }
}

static void exits_append(const command *c, strbuf *b) {
  int exits[EXIT_STATUSES_MAX];
  strbuf_append(b, ".SH EXIT STATUS\n");
  for (size_t i = 0, count = command_exits(c, exits); i < count; i++) {
    strbuf_printf(b, ".TP\n%d\n", exits[i]);
    roff_line(b, "", exit_status_text(exits[i]), ".\n");
  }
}

void manual_command(const command *c, strbuf *b, const char *version) {
  char name[64], usage[256];
  snprintf(name, sizeof name, "medley-%s", c->name);
  command_usage(c, usage, sizeof usage);
  title(b, name, version);
  roff_line(b, ".SH NAME\n", name, " \\- ");
  roff_append(b, c->summary);
  roff_line(b, "\n.SH SYNOPSIS\n", usage, "\n");
  if (c->about != NULL) roff_line(b, ".SH DESCRIPTION\n", c->about, "\n");
  if (c->arguments != NULL && c->arguments->name != NULL) strbuf_append(b, ".SH ARGUMENTS\n");
  for (const argument_spec *row = c->arguments; row != NULL && row->name != NULL; row++) {
    strbuf_append(b, ".TP\n\\fI");
    upper_append(b, row->name);
    roff_line(b, "\\fR\n", row->help, ".\n");
  }
  strbuf_append(b, ".SH OPTIONS\n");
  options_append(b, c->options);
  options_append(b, common_options);
  if (c->examples != NULL) strbuf_append(b, ".SH EXAMPLES\n");
  for (const command_example *e = c->examples; e != NULL && e->line != NULL; e++) {
    if (e != c->examples) strbuf_append(b, ".PP\n");
    roff_append(b, e->text);
    roff_line(b, ":\n.PP\n.nf\n.RS\n", e->line, "\n.RE\n.fi\n");
  }
  exits_append(c, b);
  strbuf_append(b, ".SH SEE ALSO\n.BR medley (1)\n");
}

void manual_overview(strbuf *b, const char *version) {
  const char *group = "";
  title(b, "medley", version);
  strbuf_append(b,
                ".SH NAME\nmedley \\- recommends and finds things made of text, pictures, sound and video\n"
                ".SH SYNOPSIS\nmedley \\fICOMMAND\\fR [\\fIARGUMENT\\fR...] [\\fIOPTION\\fR...]\n"
                ".SH DESCRIPTION\n"
                "Medley prepares raw media, turns it into vectors, brings the modalities into one space, learns from "
                "what people do, recommends, searches across modalities, and says why.\n"
                ".PP\nA workspace is a folder that \\fBmedley init\\fR makes. It holds the catalogue, the events, the "
                "settings (medley.conf) and the trained models. There is no server to start.\n"
                ".SH COMMANDS\n");
  for (const command *const *c = commands; *c != NULL; c++) {
    if ((*c)->hidden) continue;
    if (strcmp(group, (*c)->group) != 0) roff_line(b, ".SS ", group = (*c)->group, "\n");
    roff_line(b, ".TP\n.BR medley\\-", (*c)->name, " (1)\n");
    roff_line(b, "", (*c)->summary, ".\n");
  }
  strbuf_append(b, ".SH OPTIONS OF EVERY COMMAND\n");
  options_append(b, common_options);
  strbuf_append(b,
                ".SH ENVIRONMENT\n"
                ".TP\nNO_COLOR\nNo colours, whatever its value.\n"
                ".TP\nMEDLEY_PASSPHRASE\nThe passphrase of an export, where nobody can be asked.\n"
                ".TP\nMEDLEY_WORKER\nThe program that decodes media in worker processes; usually this one.\n"
                ".TP\nOMP_NUM_THREADS\nHow many threads compute; all processors when it is not set.\n");
  strbuf_append(b, ".SH EXIT STATUS\n");
  static const int all[] = {0, 1, EXIT_USAGE, EXIT_REJECTED, EXIT_NOT_FOUND, EXIT_CANCELLED};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    strbuf_printf(b, ".TP\n%d\n", all[i]);
    roff_line(b, "", exit_status_text(all[i]), ".\n");
  }
}
