/* cli/cmd_forget.c: medley forget: a user with everything they did. */
#include <medley/content.h>

#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  TRY(workspace_of(a, &w, err));
  TRY(medley_delete_user(w, arguments_text(a, "user"), err));
  if (c->json)
    console_json(c, "{\"deleted\":true}");
  else
    console_line(c, STYLE_PLAIN, "%s is forgotten, with all events and links", arguments_text(a, "user"));
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_forget = {
    .name = "forget",
    .group = "Content",
    .summary = "deletes a user with all events and links",
    .about =
        "Answers no longer use this history from now on. Models that were trained with it keep what they learned from "
        "it, together "
        "with everybody else's, until the next training.",
    .arguments =
        (const argument_spec[]){
            {"workspace", VALUE_FOLDER, "the workspace"}, {"user", VALUE_TEXT, "the user's key"}, {0}},
    .examples = (const command_example[]){{"medley forget shop u42", "Forget u42"}, {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
