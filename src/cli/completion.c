/* cli/completion.c: completions for bash and zsh, printed from the rows: no list of options is kept by hand anywhere.
 */
#include <string.h>

#include "cli/pages.h"

/* Inside single quotes of a shell. */
static void quoted_append(strbuf *b, const char *text) {
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '\'')
      strbuf_append(b, "'\\''");
    else
      strbuf_append_char(b, *c);
  }
}

static void choices_append(strbuf *b, const char *const *choices) {
  for (const char *const *c = choices; *c != NULL; c++) {
    if (c != choices) strbuf_append_char(b, ' ');
    quoted_append(b, *c);
  }
}

static void command_names_append(strbuf *b) {
  const char *space = "";
  for (const command *const *c = commands; *c != NULL; c++) {
    if ((*c)->hidden) continue;
    strbuf_printf(b, "%s%s", space, (*c)->name);
    space = " ";
  }
}

/* ---- bash ---- */

/* The shell line that fills COMPREPLY with values of this type. */
static void bash_values(strbuf *b, value_type type, const char *const *choices) {
  switch (type) {
    case VALUE_FILE: strbuf_append(b, "_medley_files -f"); break;
    case VALUE_FOLDER: strbuf_append(b, "_medley_files -d"); break;
    case VALUE_CHOICE:
      strbuf_append(b, "_medley_words '");
      choices_append(b, choices);
      strbuf_append_char(b, '\'');
      break;
    case VALUE_COMMAND: strbuf_append(b, "_medley_words \"$_medley_commands\""); break;
    default: strbuf_append(b, ":");
  }
}

static void bash_option_values(strbuf *b, const option_spec *options) {
  for (const option_spec *row = options; row != NULL && row->name != NULL; row++) {
    if (row->type == VALUE_FLAG) continue;
    strbuf_append(b, "        ");
    if (row->letter) strbuf_printf(b, "-%c|", row->letter);
    strbuf_printf(b, "--%s) ", row->name);
    bash_values(b, row->type, row->choices);
    strbuf_append(b, "; return ;;\n");
  }
}

static void bash_option_names(strbuf *b, const option_spec *options) {
  for (const option_spec *row = options; row != NULL && row->name != NULL; row++) strbuf_printf(b, " --%s", row->name);
}

/* The options that take a value, so that values are not counted as positionals. */
static void bash_valued_names(strbuf *b, const option_spec *options) {
  for (const option_spec *row = options; row != NULL && row->name != NULL; row++) {
    if (row->type == VALUE_FLAG) continue;
    if (row->letter) strbuf_printf(b, " -%c", row->letter);
    strbuf_printf(b, " --%s", row->name);
  }
}

static void bash_command(const command *c, strbuf *b) {
  int place = 1;
  strbuf_printf(b, "    %s)\n", c->name);
  strbuf_append(b, "      _medley_place '");
  bash_valued_names(b, c->options);
  strbuf_append(b, " '\n      case $prev in\n");
  bash_option_values(b, c->options);
  strbuf_append(b, "        *) ;;\n      esac\n      case $cur in -*) _medley_words '");
  bash_option_names(b, c->options);
  bash_option_names(b, common_options);
  strbuf_append(b, "'; return ;; esac\n      case $_medley_at in\n");
  for (const argument_spec *row = c->arguments; row != NULL && row->name != NULL; row++) {
    strbuf_printf(b, "        %d) ", place++);
    bash_values(b, row->type, row->choices);
    strbuf_append(b, " ;;\n");
  }
  strbuf_append(b, "        *) _medley_files -f ;;\n      esac ;;\n");
}

void completion_bash(strbuf *b) {
  strbuf_append(b,
                "# Completions of medley for bash, made by `medley completions bash`.\n"
                "_medley_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
                "_medley_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen \"$1\" -- "
                "\"$cur\"); }\n"
                "# $1: options that take a value. Sets _medley_at: which positional the cursor is on.\n"
                "_medley_place() {\n"
                "  local i\n"
                "  _medley_at=1\n"
                "  for ((i = 2; i < COMP_CWORD; i++)); do\n"
                "    case ${COMP_WORDS[i]} in\n"
                "      -*) case $1 in *\" ${COMP_WORDS[i]} \"*) i=$((i + 1)) ;; esac ;;\n"
                "      *) _medley_at=$((_medley_at + 1)) ;;\n"
                "    esac\n"
                "  done\n"
                "}\n"
                "_medley() {\n"
                "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} _medley_at\n"
                "  local _medley_commands='");
  command_names_append(b);
  strbuf_append(
      b,
      "'\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then _medley_words \"$_medley_commands --help --version\"; return; fi\n"
      "  case ${COMP_WORDS[1]} in\n");
  for (const command *const *c = commands; *c != NULL; c++)
    if (!(*c)->hidden) bash_command(*c, b);
  strbuf_append(b, "  esac\n}\ncomplete -F _medley medley\n");
}

/* ---- zsh ---- */

/* Help inside [...] of an _arguments spec inside single quotes. */
static void zsh_text(strbuf *b, const char *text) {
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '[' || *c == ']' || *c == ':' || *c == '\\') strbuf_append_char(b, '\\');
    if (*c == '\'')
      strbuf_append(b, "'\\''");
    else
      strbuf_append_char(b, *c);
  }
}

static void zsh_action(strbuf *b, value_type type, const char *const *choices) {
  switch (type) {
    case VALUE_FILE: strbuf_append(b, "_files"); break;
    case VALUE_FOLDER: strbuf_append(b, "_files -/"); break;
    case VALUE_CHOICE:
      strbuf_append_char(b, '(');
      choices_append(b, choices);
      strbuf_append_char(b, ')');
      break;
    case VALUE_COMMAND:
      strbuf_append_char(b, '(');
      command_names_append(b);
      strbuf_append_char(b, ')');
      break;
    default: strbuf_append_char(b, ' ');
  }
}

static void zsh_value(strbuf *b, const option_spec *row) {
  if (row->type == VALUE_FLAG) return;
  strbuf_append_char(b, ':');
  zsh_text(b, row->value);
  strbuf_append_char(b, ':');
  zsh_action(b, row->type, row->choices);
}

static void zsh_options(strbuf *b, const option_spec *options) {
  for (const option_spec *row = options; row != NULL && row->name != NULL; row++) {
    if (row->letter) {
      strbuf_printf(b, "        '%s-%c[", row->many ? "*" : "", row->letter);
      zsh_text(b, row->help);
      strbuf_append_char(b, ']');
      zsh_value(b, row);
      strbuf_append(b, "' \\\n");
    }
    strbuf_printf(b, "        '%s--%s%s[", row->many ? "*" : "", row->name, row->type == VALUE_FLAG ? "" : "=");
    zsh_text(b, row->help);
    strbuf_append_char(b, ']');
    zsh_value(b, row);
    strbuf_append(b, "' \\\n");
  }
}

static void zsh_command(const command *c, strbuf *b) {
  int place = 1;
  strbuf_printf(b, "    %s)\n      _arguments -s \\\n", c->name);
  zsh_options(b, c->options);
  zsh_options(b, common_options);
  for (const argument_spec *row = c->arguments; row != NULL && row->name != NULL; row++) {
    strbuf_printf(b, "        '%d:%s%s:", place++, row->optional ? ":" : "", row->name);
    zsh_action(b, row->type, row->choices);
    strbuf_append(b, "' \\\n");
  }
  strbuf_append(b, "        '*::file:_files' ;;\n");
}

void completion_zsh(strbuf *b) {
  strbuf_append(b,
                "#compdef medley\n"
                "# Completions of medley for zsh, made by `medley completions zsh`.\n"
                "_medley() {\n"
                "  local -a medley_commands\n"
                "  medley_commands=(\n");
  for (const command *const *c = commands; *c != NULL; c++) {
    if ((*c)->hidden) continue;
    strbuf_printf(b, "    '%s:", (*c)->name);
    zsh_text(b, (*c)->summary);
    strbuf_append(b, "'\n");
  }
  strbuf_append(b,
                "  )\n"
                "  if (( CURRENT == 2 )); then\n"
                "    _describe -t commands command medley_commands\n"
                "    return\n"
                "  fi\n"
                "  shift words\n"
                "  (( CURRENT-- ))\n"
                "  case ${words[1]} in\n");
  for (const command *const *c = commands; *c != NULL; c++)
    if (!(*c)->hidden) zsh_command(*c, b);
  strbuf_append(b,
                "  esac\n}\n"
                "if [[ $funcstack[1] == _medley ]]; then _medley \"$@\"; else compdef _medley medley; fi\n");
}
