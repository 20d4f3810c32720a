/* cli/pages.h: what is printed from the rows of the commands: help, manual pages, completions. */
#ifndef CLI_PAGES_H
#define CLI_PAGES_H

#include "base/strbuf.h"
#include "cli/command.h"

/* ---- for people at a terminal ---- */

void help_overview(strbuf *b, size_t columns, bool colour);
void help_command(const command *c, strbuf *b, size_t columns, bool colour);
/* "-n, --count N" */
void option_heading(const option_spec *row, char *text, size_t size);

/* ---- man(7) ---- */

/* medley(1), and medley-<command>(1). version: of the program. */
void manual_overview(strbuf *b, const char *version);
void manual_command(const command *c, strbuf *b, const char *version);

/* ---- completions ---- */

/* For bash-completion's folder, or sourced. */
void completion_bash(strbuf *b);
/* For a folder of zsh's fpath, as _medley. */
void completion_zsh(strbuf *b);

/* ---- JSON: with --json ---- */

/* {"name","group","summary","about","usage","arguments":[…],"options":[…],"examples":[…],"exits":[…]} */
void schema_command(const command *c, strbuf *b);
/* {"commands":[…],"common_options":[…]} */
void schema_overview(strbuf *b);
/* A page or script as the only member of an object. */
void schema_text(const char *name, const strbuf *page, strbuf *b);

/* ---- Markdown ---- */

/* docs/cli.md */
void markdown_reference(strbuf *b);

#endif
