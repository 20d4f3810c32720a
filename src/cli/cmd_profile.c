/* cli/cmd_profile.c: medley profile: what a user seems to like. */
#include <medley/answer.h>

#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  char *json = NULL;
  TRY(workspace_of(a, &w, err));
  TRY(medley_profile(w, arguments_text(a, "user"), &json, err));
  TRY(show_report(c, json, show_profile, err));
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_profile = {
    .name = "profile",
    .group = "Answers",
    .summary = "what a user seems to like: tags, words, categories, modalities",
    .arguments =
        (const argument_spec[]){
            {"workspace", VALUE_FOLDER, "the workspace"}, {"user", VALUE_TEXT, "the user's key"}, {0}},
    .examples = (const command_example[]){{"medley profile shop u42", "The interests of u42"}, {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
