/* cli/cmd_recommend.c: medley recommend: what should this user see next, and why. */
#include <medley/answer.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rules.h"
#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  medley_answer *answer = NULL;
  medley_rule *boost = NULL, *bury = NULL;
  TRY(rules_parse("boost", arguments_list(a, "boost"), a->memory, &boost, err));
  TRY(rules_parse("bury", arguments_list(a, "bury"), a->memory, &bury, err));
  const medley_recommend_query query = {.user = arguments_text(a, "user"),
                                        .history = arguments_list(a, "history"),
                                        .count = (size_t)arguments_integer(a, "count", 0),
                                        .after = arguments_text(a, "after"),
                                        .diversity = arguments_number(a, "diversity", 0),
                                        .categories = arguments_list(a, "category"),
                                        .exclude = arguments_list(a, "exclude"),
                                        .pin = arguments_list(a, "pin"),
                                        .boost = boost,
                                        .bury = bury,
                                        .include_seen = arguments_has(a, "include-seen"),
                                        .why = arguments_has(a, "why")};
  TRY(workspace_of(a, &w, err));
  TRY(medley_recommend(w, &query, &answer, err));
  TRY(show_answer(c, answer, query.why, err));
done:
  medley_answer_free(answer);
  medley_workspace_close(w);
  return status;
}

const command cmd_recommend = {
    .name = "recommend",
    .group = "Answers",
    .summary = "what a user should see next",
    .about =
        "The history is read when you ask, so an event that came a moment ago counts. Without --user and --history it "
        "answers for a "
        "stranger.\n\n"
        "A score is the sum of named parts (taste, text, image, popularity …); --why shows them as bars, names the "
        "items of the history "
        "that speak for a result, and says without which of them it would not be there.\n\n"
        "Rules: --pin puts items first, --boost and --bury move them by so many units of the scores' spread. A rule "
        "names an item, or "
        "category:NAME for all items of a category or tag. An item that came after the last training has no score yet: "
        "it can be pinned, and nothing else.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"}, {0}},
    .options =
        (const option_spec[]){
            {"user", 'u', VALUE_TEXT, "USER", "for whom"},
            {"history", 0, VALUE_TEXT, "ITEM", "in place of the stored history, oldest first", .many = true,
             .commas = true},
            {"count", 'n', VALUE_INTEGER, "N", "how many (10)", 1, 1000},
            {"after", 0, VALUE_TEXT, "TOKEN", "the next page: the token that the answer before ended with"},
            {"why", 'w', VALUE_FLAG, NULL, "with reasons"},
            {"diversity", 'd', VALUE_NUMBER, "X", "0: only what fits best (default); 1: as unlike each other as can be",
             0, 1},
            {"category", 'c', VALUE_TEXT, "NAME", "only items of this category or tag", .many = true, .commas = true},
            {"exclude", 0, VALUE_TEXT, "ITEM", "never this item", .many = true, .commas = true},
            {"include-seen", 0, VALUE_FLAG, NULL, "items of the history may come again"},
            {"pin", 0, VALUE_TEXT, "ITEM", "first of all, in this order", .many = true, .commas = true},
            {"boost", 0, VALUE_TEXT, "RULE", "ITEM[=AMOUNT] or category:NAME[=AMOUNT] further up (amount 1)",
             .many = true},
            {"bury", 0, VALUE_TEXT, "RULE", "the same, further down", .many = true},
            {0}},
    .examples = (const command_example[]){{"medley recommend shop --user u42 --why", "Ten items for u42, with reasons"},
                                          {"medley recommend films --user 1 --count 10 --json", "For a program"},
                                          {"medley recommend shop --history i7,i12 --category lamps --diversity 0.3",
                                           "For somebody who looked at i7 and then i12: various lamps"},
                                          {"medley recommend shop --user u42 --pin i900 --bury category:clearance=2",
                                           "With the shop's own wishes"},
                                          {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
