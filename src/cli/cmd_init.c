/* cli/cmd_init.c: medley init: a new workspace. */
#include <medley/workspace.h>

#include "base/json.h"
#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "workspace");
  char *json = NULL;
  TRY(medley_workspace_create(path, err));
  if (!c->json) {
    console_line(c, STYLE_PLAIN, "%s is a workspace now; its settings are in %s/medley.conf", path, path);
    goto done;
  }
  json_t *report = json_pack("{s:s}", "workspace", path);
  json = report ? json_to_text(report) : NULL;
  json_decref(report);
  if (json == NULL) FAIL(err, MEDLEY_ERR_INTERNAL, "%s was made, but its name cannot be written as JSON", path);
  console_json(c, json);
done:
  mem_free(json);
  return status;
}

const command cmd_init = {
    .name = "init",
    .group = "Start",
    .summary = "makes a workspace: a folder with an empty catalogue and its settings",
    .about =
        "The folder must not be a workspace yet; its parent must exist. medley.conf inside it lists every setting with "
        "its "
        "default, each of them optional.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the folder to make"}, {0}},
    .examples = (const command_example[]){{"medley init shop", "Make the workspace shop in this folder"}, {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
