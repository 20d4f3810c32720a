/* cli/cmd_info.c: medley info: what a workspace holds. */
#include <medley/workspace.h>

#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  char *json = NULL;
  TRY(workspace_of(a, &w, err));
  TRY(medley_workspace_describe(w, &json, err));
  TRY(show_report(c, json, show_json, err));
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_info = {
    .name = "info",
    .group = "Care",
    .summary = "what a workspace holds: counts, generation, disk use, settings",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"}, {0}},
    .examples = (const command_example[]){{"medley info shop", "What is in shop"}, {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
