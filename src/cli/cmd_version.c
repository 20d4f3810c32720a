/* cli/cmd_version.c: medley version. */
#include <medley/workspace.h>

#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  (void)a;
  (void)err;
  if (c->json)
    strbuf_printf(&c->text, "{\"version\":\"%s\"}\n", medley_version());
  else
    console_line(c, STYLE_PLAIN, "medley %s", medley_version());
  return MEDLEY_OK;
}

const command cmd_version = {
    .name = "version",
    .group = "Help",
    .summary = "the version of this program",
    .examples = (const command_example[]){{"medley version", "Also: medley --version"}, {0}},
    .run = run,
};
