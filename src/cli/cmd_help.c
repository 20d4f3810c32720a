/* cli/cmd_help.c: medley help. */
#include "cli/pages.h"
#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  const char *name = arguments_text(a, "command");
  if (name == NULL && c->json) {
    schema_overview(&c->text);
    return MEDLEY_OK;
  }
  if (name == NULL) {
    help_overview(&c->text, c->out_columns, c->out_colour);
    return MEDLEY_OK;
  }
  const command *about = command_find(name);
  if (about == NULL) {
    const char *near = command_suggest(name);
    return error_set(err, MEDLEY_ERR_USAGE, "there is no command '%.60s'%s%s%s", name, near ? ": did you mean " : "",
                     near ? near : "", near ? "?" : "");
  }
  if (c->json)
    schema_command(about, &c->text);
  else
    help_command(about, &c->text, c->out_columns, c->out_colour);
  return MEDLEY_OK;
}

const command cmd_help = {
    .name = "help",
    .group = "Help",
    .summary = "the commands, or everything about one of them",
    .about =
        "With --json the table of commands itself, with every argument, option, choice, bound, example and exit "
        "status, for programs that build on the command line.",
    .arguments = (const argument_spec[]){{"command", VALUE_COMMAND, "the name of a command", .optional = true}, {0}},
    .examples =
        (const command_example[]){{"medley help import", "The same as medley import --help"},
                                  {"medley help --json | jq -r '.commands[].name'", "The names of all commands"},
                                  {0}},
    .run = run,
};
