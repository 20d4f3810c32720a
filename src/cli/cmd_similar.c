/* cli/cmd_similar.c: medley similar: items like this one. */
#include <medley/answer.h>

#include "cli/show.h"

static const char *const modalities[] = {"text", "image", "audio", "video", NULL};

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  medley_answer *answer = NULL;
  const medley_similar_query query = {.item = arguments_text(a, "item"),
                                      .count = (size_t)arguments_integer(a, "count", 0),
                                      .after = arguments_text(a, "after"),
                                      .modality = arguments_text(a, "modality"),
                                      .categories = arguments_list(a, "category"),
                                      .why = arguments_has(a, "why"),
                                      .exact = arguments_has(a, "exact")};
  TRY(workspace_of(a, &w, err));
  TRY(medley_similar(w, &query, &answer, err));
  TRY(show_answer(c, answer, query.why, err));
done:
  medley_answer_free(answer);
  medley_workspace_close(w);
  return status;
}

const command cmd_similar = {
    .name = "similar",
    .group = "Answers",
    .summary = "items like an item, by content and by what people do with both",
    .about = NULL,
    .arguments =
        (const argument_spec[]){
            {"workspace", VALUE_FOLDER, "the workspace"}, {"item", VALUE_TEXT, "the item's key"}, {0}},
    .options =
        (const option_spec[]){
            {"count", 'n', VALUE_INTEGER, "N", "how many (10)", 1, 1000},
            {"after", 0, VALUE_TEXT, "TOKEN", "the next page: the token that the answer before ended with"},
            {"modality", 'm', VALUE_CHOICE, "MODALITY", "only what is alike in this", .choices = modalities},
            {"category", 'c', VALUE_TEXT, "NAME", "only items of this category or tag", .many = true, .commas = true},
            {"exact", 0, VALUE_FLAG, NULL, "compare with every item, also in a catalogue so large that graphs answer"},
            {"why", 'w', VALUE_FLAG, NULL, "with reasons"},
            {0}},
    .examples = (const command_example[]){{"medley similar shop i7 --why", "Like i7, and in what"},
                                          {"medley similar shop i7 --modality image", "Those that look like i7"},
                                          {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
