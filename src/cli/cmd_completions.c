/* cli/cmd_completions.c: medley completions: what a shell needs to complete commands, options and values. */
#include <string.h>

#include "cli/pages.h"
#include "cli/show.h"

static const char *const shells[] = {"bash", "zsh", NULL};

static medley_status run(const arguments *a, console *c, medley_error *err) {
  strbuf script = {0};
  (void)err;
  strbuf *out = c->json ? &script : &c->text;
  if (strcmp(arguments_text(a, "shell"), "bash") == 0)
    completion_bash(out);
  else
    completion_zsh(out);
  if (c->json) schema_text("script", &script, &c->text);
  strbuf_deinit(&script);
  return MEDLEY_OK;
}

const command cmd_completions = {
    .name = "completions",
    .group = "Help",
    .summary = "prints completions for bash or zsh",
    .about = "make install puts them where the shells look; these lines are for a program that is not installed.",
    .arguments = (const argument_spec[]){{"shell", VALUE_CHOICE, "bash or zsh", shells}, {0}},
    .examples = (const command_example[]){{"source <(medley completions bash)", "In ~/.bashrc"},
                                          {"source <(medley completions zsh)", "In ~/.zshrc, after compinit"},
                                          {0}},
    .run = run,
};
