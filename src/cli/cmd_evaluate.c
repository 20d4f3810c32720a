/* cli/cmd_evaluate.c: medley evaluate: how good the models are on this catalogue. */
#include <medley/train.h>

#include "cli/show.h"

static const char *const splits[] = {
    "given", "random", "user-random", "leave-one-out", "user-time", "global-time", "cold-item", "cold-user", NULL};

static const char *const searches[] = {"tpe", "halving", "random", NULL};

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  char *json = NULL;
  medley_progress progress = console_progress(c);
  medley_evaluate_options options = {.split = arguments_text(a, "split"),
                                     .cold_items = arguments_text(a, "cold-items"),
                                     .test_share = arguments_number(a, "test-share", 0),
                                     .models = arguments_list(a, "models"),
                                     .metrics = arguments_list(a, "metrics"),
                                     .baseline = arguments_text(a, "baseline"),
                                     .html = arguments_text(a, "report"),
                                     .hold_valid = arguments_has(a, "hold-valid"),
                                     .importance = arguments_has(a, "importance"),
                                     .every = arguments_has(a, "every"),
                                     .search = arguments_text(a, "search"),
                                     .trials = (uint64_t)arguments_integer(a, "trials", 0),
                                     .seed = (uint64_t)arguments_integer(a, "seed", 0),
                                     .threads = (int)arguments_integer(a, "threads", 0),
                                     .ensemble = arguments_text(a, "ensemble"),
                                     .new_items = arguments_number(a, "new-items", 0)};
  if (arguments_has(a, "new-items") && options.new_items == 0) options.new_items = -1;
  if (options.search == NULL && (arguments_has(a, "budget") || options.trials > 0))
    FAIL(err, MEDLEY_ERR_USAGE, "--budget and --trials go with --search");
  TRY(arguments_duration(a, "budget", &options.budget_s, err));
  TRY(workspace_of(a, &w, err));
  TRY(medley_evaluate(w, &options, &progress, &json, err));
  TRY(show_report(c, json, show_evaluation, err));
  if (options.html != NULL && !c->json) console_line(c, STYLE_PLAIN, "the report with plots: %s", options.html);
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_evaluate = {
    .name = "evaluate",
    .group = "Models",
    .summary = "measures the models on events they have not seen",
    .about =
        "Fits on the training part of a split only, tunes on a part of that, and reports on the test part, ranking all "
        "items. The "
        "generation that serves is not touched.\n\n"
        "Every figure has a 95 % bootstrap interval (±), and every model is tested against the baseline, user by user: "
        "* p < .05, "
        "** p < .01, *** p < .001. What each metric means stands in docs/metrics.md. Seconds, peak memory, and the "
        "slices of warm and cold items, and of strangers, who are asked for without their history, stand beside it; "
        "--json has everything.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"}, {0}},
    .options =
        (const option_spec[]){
            {"split", 's', VALUE_CHOICE, "SPLIT",
             "how test events are chosen (given when the events say so, else global-time, else random)",
             .choices = splits},
            {"cold-items", 0, VALUE_FILE, "FILE",
             "one item key a line: hidden from training, then ranked among themselves"},
            {"test-share", 0, VALUE_NUMBER, "SHARE", "share of the events that is held out (0.2)", 0.001, 0.9},
            {"models", 0, VALUE_TEXT, "NAME", "recommenders to measure beside the blend (all that take part)",
             .many = true, .commas = true},
            {"ensemble", 0, VALUE_TEXT, "NAME",
             "how the models become one ranking (weighted); 'medley list ensemble' names the ways, auto takes the "
             "best on validation"},
            {"new-items", 0, VALUE_NUMBER, "SHARE",
             "how much of the demand it may cost to find what nobody has chosen yet (as much as that is asked for, "
             "0.01 "
             "to 0.03)",
             0, 0.5},
            {"every", 0, VALUE_FLAG, NULL, "also recommenders that otherwise take part only when named"},
            {"search", 0, VALUE_CHOICE, "HOW", "search the settings on the validation part, as 'medley tune' does",
             .choices = searches},
            {"budget", 'b', VALUE_TEXT, "TIME", "how long --search searches, such as 90s, 10m, 2h (5m)"},
            {"trials", 0, VALUE_INTEGER, "N", "at most so many trials of each model in that search", 1, 100000},
            {"metrics", 0, VALUE_TEXT, "NAME@K", "what to measure, such as recall@20; 'medley list metric' names them",
             .many = true, .commas = true},
            {"baseline", 0, VALUE_TEXT, "MODEL",
             "whom the paired tests compare with (blend); best: the highest in the first metric"},
            {"report", 'r', VALUE_FILE, "FILE", "also write a page with plots, as HTML"},
            {"hold-valid", 0, VALUE_FLAG, NULL,
             "events marked valid are only tuned on, never learned from (split given)"},
            {"importance", 0, VALUE_FLAG, NULL,
             "also measure what the blend loses without each modality and each model"},
            {"seed", 0, VALUE_INTEGER, "N", "of everything random (1)", 0, 9007199254740992.0},
            {"threads", 0, VALUE_INTEGER, "N", "how many threads compute (all processors)", 1, 1024},
            {0}},
    .examples = (const command_example[]){{"medley evaluate shop", "The split that fits the data"},
                                          {"medley evaluate shop --split global-time --report out.html",
                                           "Trained on the past, measured on what came after, with plots"},
                                          {"medley evaluate films --split given --json", "Figures for a program"},
                                          {"medley evaluate films --cold-items new.txt --metrics recall@20,ndcg@20",
                                           "How well are items found that nobody has touched yet"},
                                          {0}},
    .ends = ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
