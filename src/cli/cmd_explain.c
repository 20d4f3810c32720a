/* cli/cmd_explain.c: medley explain: why a user would, or would not, see an item. */
#include <medley/answer.h>

#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  char *json = NULL;
  TRY(workspace_of(a, &w, err));
  TRY(medley_explain(w, arguments_text(a, "user"), arguments_text(a, "item"), &json, err));
  TRY(show_report(c, json, show_explanation, err));
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_explain = {
    .name = "explain",
    .group = "Answers",
    .summary = "why a user would, or would not, see an item",
    .about =
        "The item's rank and the parts of its score, the share of each item of the history, the share of each "
        "modality, and what would "
        "have to be different.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"},
                                         {"user", VALUE_TEXT, "the user's key"},
                                         {"item", VALUE_TEXT, "the item's key"},
                                         {0}},
    .examples = (const command_example[]){{"medley explain shop u42 i7", "How u42 and i7 fit"}, {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
