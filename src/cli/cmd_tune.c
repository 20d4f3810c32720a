/* cli/cmd_tune.c: medley tune: searches the recommenders' settings, for later trainings. */
#include <medley/train.h>

#include "cli/show.h"

static const char *const searches[] = {"tpe", "halving", "random", NULL};

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  char *json = NULL;
  medley_progress progress = console_progress(c);
  medley_tune_options options = {.search = arguments_text(a, "search"),
                                 .trials = (uint64_t)arguments_integer(a, "trials", 0),
                                 .models = arguments_list(a, "models"),
                                 .html = arguments_text(a, "report"),
                                 .fresh = arguments_has(a, "fresh"),
                                 .seed = (uint64_t)arguments_integer(a, "seed", 0),
                                 .threads = (int)arguments_integer(a, "threads", 0)};
  TRY(arguments_duration(a, "budget", &options.budget_s, err));
  TRY(workspace_of(a, &w, err));
  TRY(medley_tune(w, &options, &progress, &json, err));
  TRY(show_report(c, json, show_tuning, err));
  if (options.html != NULL && !c->json) console_line(c, STYLE_PLAIN, "the trials with plots: %s", options.html);
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_tune = {
    .name = "tune",
    .group = "Models",
    .summary = "searches the settings of the recommenders, for later trainings",
    .about =
        "Fits every recommender that accepts the data with one set of settings after the other on a part of the "
        "events, and measures them on a part held out for validation, until the budget is spent; the models share "
        "it evenly, and what one does not need goes to the next. The best settings of each stay in the workspace, and "
        "'medley train' begins with them instead of trying its few usual values. The generation that serves is not "
        "touched.\n\n"
        "Every trial is kept at once: after Ctrl-C, or a crash, or for a second budget, the next call goes on with "
        "them, as long as items and events are the same. With --trials and no budget the outcome does not depend on "
        "the speed of the machine.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"}, {0}},
    .options =
        (const option_spec[]){
            {"budget", 'b', VALUE_TEXT, "TIME", "how long to search, such as 90s, 10m, 2h (5m)"},
            {"search", 0, VALUE_CHOICE, "HOW",
             "tpe: by a model of what did well; halving: many on few people, the best on all; random",
             .choices = searches},
            {"trials", 0, VALUE_INTEGER, "N", "at most so many of each model", 1, 100000},
            {"models", 0, VALUE_TEXT, "NAME", "recommenders to tune (all that accept the data)", .many = true,
             .commas = true},
            {"report", 'r', VALUE_FILE, "FILE", "also write a page with the trials as plots, as HTML"},
            {"fresh", 0, VALUE_FLAG, NULL, "forget earlier trials and settings first"},
            {"seed", 0, VALUE_INTEGER, "N", "of everything random (1)", 0, 9007199254740992.0},
            {"threads", 0, VALUE_INTEGER, "N", "how many threads compute (all processors)", 1, 1024},
            {0}},
    .examples =
        (const command_example[]){
            {"medley tune shop --budget 10m --report tune.html", "Ten minutes for all models, with a table and plots"},
            {"medley tune shop --models graph_filter,ials --trials 40", "Forty trials each, the same on every machine"},
            {"medley train shop", "Train with what was found"},
            {0}},
    .ends = ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
