/* cli/cmd_bench.c: medley bench: all models on several catalogues, as one table. */
#include <medley/train.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/bench_models.h"
#include "cli/show.h"

#define SEEDS_MAX 64

static const char *const subjects[] = {"models", NULL};
static const char *const splits[] = {
    "given", "random", "user-random", "leave-one-out", "user-time", "global-time", "cold-item", "cold-user", NULL};
static const char *const searches[] = {"tpe", "halving", "random", NULL};
static const char *const usual_metrics[] = {"recall@20", "ndcg@20", NULL};

/* One report a seed of one catalogue, merged. */
static medley_status set_measure(console *c, const char *path, const medley_evaluate_options *options, long long seeds,
                                 json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  medley_progress progress = console_progress(c);
  json_t *reports = json_array();
  medley_evaluate_options o = *options;
  TRY(medley_workspace_open(path, &w, err));
  for (long long s = 0; s < seeds; s++, o.seed++) {
    char *text = NULL;
    json_t *report = NULL;
    TRY(medley_evaluate(w, &o, &progress, &text, err));
    status = json_parse(text, strlen(text), "the report", &report, err);
    medley_free(text);
    if (status != MEDLEY_OK) goto done;
    json_array_append_new(reports, report);
  }
  *out = bench_models_merge(path, reports);
  if (*out == NULL) status = error_memory(err, "a report");
done:
  medley_workspace_close(w);
  json_decref(reports);
  return status;
}

static medley_status file_make(const char *path, const json_t *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf out = {0};
  const char *kind = path_extension(path);
  char *json = NULL;
  if (strcmp(kind, "json") == 0) {
    json = json_to_text(report);
    strbuf_append(&out, json ? json : "");
    out.failed |= json == NULL;
    mem_free(json);
  } else if (strcmp(kind, "csv") == 0) {
    bench_models_csv(&out, report);
  } else {
    bench_models_markdown(&out, report);
  }
  if (out.failed) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a table");
  TRY(file_write(path, out.text ? out.text : "", out.length, err));
done:
  strbuf_deinit(&out);
  return status;
}

static medley_status output_check(const char *path, medley_error *err) {
  static const char *const kinds[] = {"md", "csv", "json"};
  if (path == NULL) return MEDLEY_OK;
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    if (strcmp(path_extension(path), kinds[k]) == 0) return file_check_writable(path, "the table", err);
  return error_set(err, MEDLEY_ERR_USAGE, "'%s': the table is written as .md, .csv or .json", path);
}

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *const *also = arguments_list(a, "also");
  const char *output = arguments_text(a, "output");
  long long seeds = arguments_integer(a, "seeds", 1);
  medley_evaluate_options options = {.split = arguments_text(a, "split"),
                                     .cold_items = arguments_text(a, "cold-items"),
                                     .models = arguments_list(a, "models"),
                                     .metrics = arguments_list(a, "metrics"),
                                     .baseline = "best",
                                     .hold_valid = arguments_has(a, "hold-valid"),
                                     .every = true,
                                     .search = arguments_text(a, "search"),
                                     .trials = (uint64_t)arguments_integer(a, "trials", 0),
                                     .seed = (uint64_t)arguments_integer(a, "seed", 1),
                                     .threads = (int)arguments_integer(a, "threads", 0)};
  json_t *sets = json_array(), *report = NULL, *set;
  if (options.metrics == NULL) options.metrics = usual_metrics;
  if (options.search == NULL && (arguments_has(a, "budget") || options.trials > 0))
    FAIL(err, MEDLEY_ERR_USAGE, "--budget and --trials go with --search");
  TRY(arguments_duration(a, "budget", &options.budget_s, err));
  TRY(output_check(output, err));
  TRY(set_measure(c, arguments_text(a, "workspace"), &options, seeds, &set, err));
  json_array_append_new(sets, set);
  for (; also != NULL && *also != NULL; also++) {
    TRY(set_measure(c, *also, &options, seeds, &set, err));
    json_array_append_new(sets, set);
  }
  report = json_pack("{s:I, s:I, s:O}", "seed", (json_int_t)options.seed, "seeds", (json_int_t)seeds, "sets", sets);
  if (report == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a table");
  if (output != NULL) TRY(file_make(output, report, err));
  TRY(show_report(c, json_to_text(report), bench_models_show, err));
done:
  json_decref(sets);
  json_decref(report);
  return status;
}

const command cmd_bench = {
    .name = "bench",
    .group = "Models",
    .summary = "measures every model on one or several catalogues, as one table",
    .about =
        "Fits every recommender that accepts the data on the training part of each catalogue, tunes it on validation, "
        "and writes what it reaches on the test part, all items ranked: means with 95 % intervals, the spread over "
        "seeds, a paired test against the best model, the slice of new items, coverage, seconds to fit and to answer, "
        "what memory the fit added, and the most the process held. 'blend' is all of them together, as it would "
        "serve.\n\n"
        "The generation that serves is not touched. The same data, seed and number of threads give the same table.",
    .arguments =
        (const argument_spec[]){
            {"subject", VALUE_CHOICE, "models", subjects}, {"workspace", VALUE_FOLDER, "the workspace"}, {0}},
    .options =
        (const option_spec[]){
            {"also", 0, VALUE_FOLDER, "WORKSPACE", "another workspace, as a further table", .many = true,
             .commas = true},
            {"models", 0, VALUE_TEXT, "NAME", "recommenders to measure beside the blend (all that accept the data)",
             .many = true, .commas = true},
            {"metrics", 0, VALUE_TEXT, "NAME@K", "what to measure; the first one orders the table (recall@20, ndcg@20)",
             .many = true, .commas = true},
            {"split", 's', VALUE_CHOICE, "SPLIT",
             "how test events are chosen (given when the events say so, else global-time, else random)",
             .choices = splits},
            {"cold-items", 0, VALUE_FILE, "FILE",
             "one item key a line: hidden from training, then ranked among themselves"},
            {"hold-valid", 0, VALUE_FLAG, NULL,
             "events marked valid are only tuned on, never learned from (split given)"},
            {"search", 0, VALUE_CHOICE, "HOW", "search the settings on the validation part, as 'medley tune' does",
             .choices = searches},
            {"budget", 'b', VALUE_TEXT, "TIME", "how long --search searches each time, such as 90s, 10m, 2h (5m)"},
            {"trials", 0, VALUE_INTEGER, "N", "at most so many trials of each model in that search", 1, 100000},
            {"seeds", 0, VALUE_INTEGER, "N", "repeat with so many seeds and tell the spread (1)", 1, SEEDS_MAX},
            {"seed", 0, VALUE_INTEGER, "N", "the first of them (1)", 0, 9007199254740992.0},
            {"threads", 0, VALUE_INTEGER, "N", "how many threads compute (all processors)", 1, 1024},
            {"output", 'o', VALUE_FILE, "FILE", "also write the table there: .md, .csv or .json"},
            {0}},
    .examples = (const command_example[]){{"medley bench models shop", "Every model on one catalogue"},
                                          {"medley bench models tiktok --also baby --hold-valid --seeds 3 -o table.md",
                                           "Two catalogues, three seeds, tuned as in papers, as a table in Markdown"},
                                          {0}},
    .ends = ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
