/* cli/cmd_train.c: medley train: everything the workspace holds → a new generation of models. */
#include <medley/train.h>

#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  char *report = NULL;
  medley_progress progress = console_progress(c);
  medley_train_options options = {.seed = (uint64_t)arguments_integer(a, "seed", 0),
                                  .threads = (int)arguments_integer(a, "threads", 0),
                                  .models = arguments_list(a, "models"),
                                  .fresh = arguments_has(a, "fresh"),
                                  .curves = arguments_text(a, "curves"),
                                  .automatic = arguments_has(a, "auto"),
                                  .untuned = arguments_has(a, "untuned"),
                                  .ensemble = arguments_text(a, "ensemble"),
                                  .new_items = arguments_number(a, "new-items", 0)};
  if (arguments_has(a, "new-items") && options.new_items == 0) options.new_items = -1;
  if (arguments_has(a, "budget") && !options.automatic)
    FAIL(err, MEDLEY_ERR_USAGE,
         "--budget is the time that --auto searches settings for; without it there is no search");
  TRY(arguments_duration(a, "budget", &options.budget_s, err));
  TRY(workspace_of(a, &w, err));
  TRY(medley_train(w, &options, &progress, &report, err));
  TRY(show_report(c, report, show_training, err));
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_train = {
    .name = "train",
    .group = "Models",
    .summary = "makes a new generation of models from everything the workspace holds",
    .about =
        "Encodes what is new or changed, fits encoders, the common space and recommenders, tunes how they are blended "
        "on a part "
        "held out for validation, and publishes the result as a new generation. Until then, and after Ctrl-C, the old "
        "one serves.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"}, {0}},
    .options =
        (const option_spec[]){
            {"models", 0, VALUE_TEXT, "NAME",
             "recommenders that may take part (chosen by the data); 'medley list recommender' "
             "names them",
             .many = true, .commas = true},
            {"ensemble", 0, VALUE_TEXT, "NAME",
             "how the models become one ranking (weighted); 'medley list ensemble' names the ways, auto takes the "
             "best on validation"},
            {"new-items", 0, VALUE_NUMBER, "SHARE",
             "how much of the demand it may cost to find what nobody has chosen yet (as much as that is asked for, "
             "0.01 "
             "to 0.03)",
             0, 0.5},
            {"auto", 0, VALUE_FLAG, NULL,
             "consider every recommender that accepts the data, and search their settings first, as "
             "'medley tune' does"},
            {"budget", 'b', VALUE_TEXT, "TIME", "how long --auto searches, such as 90s, 10m, 2h (5m)"},
            {"untuned", 0, VALUE_FLAG, NULL, "do not begin with what 'medley tune' found"},
            {"fresh", 0, VALUE_FLAG, NULL, "encode all media again, also what has not changed"},
            {"curves", 0, VALUE_FILE, "FILE",
             "draw the losses of the networks that are trained: .svg or .png; of several, the "
             "stage's name is put before the dot"},
            {"seed", 0, VALUE_INTEGER, "N", "of everything random (1)", 0, 9007199254740992.0},
            {"threads", 0, VALUE_INTEGER, "N", "how many threads compute (all processors)", 1, 1024},
            {0}},
    .examples = (const command_example[]){{"medley train shop", "Train on everything"},
                                          {"medley train shop --models ease,content --verbose",
                                           "Only two recommenders, a line for each stage"},
                                          {"medley train shop --auto --budget 10m",
                                           "Ten minutes to find the models and settings that suit this catalogue"},
                                          {0}},
    .ends = ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
