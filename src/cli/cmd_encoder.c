/* cli/cmd_encoder.c: medley encoder: which networks look at the content of a workspace: add, list, remove. */
#include <medley/encoder.h>
#include <string.h>

#include "base/json.h"
#include "cli/show.h"

static const char *const actions[] = {"add", "list", "remove", NULL};
static const char *const modalities[] = {"text", "image", "audio", "video", NULL};

/* Only add takes them. */
static const char *const add_options[] = {"tune",         "curves",     "tune-passes", "tune-rate", "model",
                                          "key-variable", "dimensions", "batch",       "timeout",   "attempts"};

static const char *const tune_options[] = {"tune-passes", "tune-rate", "curves"};

/* ---- list ---- */

static void model_cell(table *t, const json_t *row) {
  const json_t *serving = json_object_get(row, "serving");
  const char *used = json_member_string(serving, "encoder", NULL);
  bool same = used != NULL && strcmp(used, json_member_string(row, "encoder", "")) == 0 &&
              strcmp(json_member_string(serving, "model", ""), json_member_string(row, "model", "")) == 0 &&
              strcmp(json_member_string(serving, "precision", ""), json_member_string(row, "precision", "")) == 0;
  if (used == NULL)
    table_add(t, "nothing yet", STYLE_DIM);
  else if (same)
    table_add(t, "the same", STYLE_GOOD);
  else
    show_encoder(t, serving, STYLE_PLAIN);
}

static void list_show(console *c, const json_t *report) {
  table t = {0};
  size_t i;
  json_t *row;
  table_add_column(&t, "content", false, false);
  table_add_column(&t, "encoder", false, false);
  table_add_column(&t, "from", false, false);
  table_add_column(&t, "serving", false, false);
  table_add_column(&t, "source", false, true);
  json_array_foreach(json_object_get(report, "encoders"), i, row) {
    table_add(&t, json_member_string(row, "modality", ""), STYLE_PLAIN);
    show_encoder(&t, row, STYLE_BOLD);
    table_add(&t, json_member_string(row, "from", ""), STYLE_PLAIN);
    model_cell(&t, row);
    table_add(&t, json_member_string(row, "source", ""), STYLE_PLAIN);
  }
  console_table(c, &t, 0);
  table_deinit(&t);
  json_array_foreach(json_object_get(report, "encoders"), i, row) {
    const char *problem = json_member_string(row, "problem", NULL);
    if (problem != NULL) console_line(c, STYLE_BAD, "%s: %s", json_member_string(row, "modality", ""), problem);
  }
}

static medley_status list_run(medley_workspace *w, console *c, medley_error *err) {
  char *json = NULL;
  medley_status status = medley_encoder_list(w, &json, err);
  return status == MEDLEY_OK ? show_report(c, json, list_show, err) : status;
}

/* ---- the command ---- */

static medley_status add_run(const arguments *a, medley_workspace *w, console *c, medley_error *err) {
  medley_progress progress = console_progress(c);
  medley_encoder_options options = {.tune = arguments_text(a, "tune"),
                                    .tune_passes = (uint32_t)arguments_integer(a, "tune-passes", 0),
                                    .tune_rate = arguments_number(a, "tune-rate", 0),
                                    .curves = arguments_text(a, "curves"),
                                    .model = arguments_text(a, "model"),
                                    .key_variable = arguments_text(a, "key-variable"),
                                    .dimensions = (uint32_t)arguments_integer(a, "dimensions", 0),
                                    .batch = (uint32_t)arguments_integer(a, "batch", 0),
                                    .timeout_s = arguments_number(a, "timeout", 0),
                                    .attempts = (uint32_t)arguments_integer(a, "attempts", 0)};
  return medley_encoder_add(w, arguments_text(a, "modality"), arguments_text(a, "encoder"), arguments_text(a, "source"),
                            &options, &progress, err);
}

/* Each action has its own number of words. */
static medley_status words_check(const arguments *a, const char *action, medley_error *err) {
  static const char *const words[] = {"modality", "encoder", "source"};
  size_t given = 0, wanted = strcmp(action, "add") == 0 ? 3 : strcmp(action, "remove") == 0 ? 1 : 0;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) given += arguments_text(a, words[i]) != NULL;
  if (given != wanted)
    return error_set(err, MEDLEY_ERR_USAGE, "%s wants: medley encoder %s WORKSPACE%s", action, action,
                     wanted == 3   ? " text|image|audio|video ENCODER SOURCE"
                     : wanted == 1 ? " text|image|audio|video"
                                   : "");
  for (size_t i = 0; wanted != 3 && i < sizeof add_options / sizeof *add_options; i++)
    if (arguments_has(a, add_options[i]))
      return error_set(err, MEDLEY_ERR_USAGE, "--%s goes with add, not with %s", add_options[i], action);
  for (size_t i = 0; i < sizeof tune_options / sizeof *tune_options; i++)
    if (arguments_has(a, tune_options[i]) && !arguments_has(a, "tune"))
      return error_set(err, MEDLEY_ERR_USAGE, "--%s goes with --tune", tune_options[i]);
  return MEDLEY_OK;
}

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  const char *action = arguments_text(a, "action");
  TRY(words_check(a, action, err));
  TRY(workspace_of(a, &w, err));
  if (strcmp(action, "add") == 0) TRY(add_run(a, w, c, err));
  if (strcmp(action, "remove") == 0) TRY(medley_encoder_remove(w, arguments_text(a, "modality"), err));
  TRY(list_run(w, c, err));
  if (strcmp(action, "list") != 0) console_note(c, "used from the next 'medley train' on");
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_encoder = {
    .name = "encoder",
    .group = "Models",
    .summary = "adds, lists or removes the networks that look at texts, pictures, sounds and clips",
    .about =
        "Without anything added, encoders that need no file do. add puts a published model in the place of one kind of "
        "content: its files are checked and copied into the workspace, so that items and queries are seen with the "
        "same "
        "weights whatever becomes of the original. The next training encodes with it; what was encoded already and did "
        "not change is not encoded again, and an interrupted training goes on where it was.\n\n"
        "With --tune the network first learns from the workspace's own content: two views of an item, each with "
        "something left out, are drawn to each other and away from other items. all moves every weight, last=2 those "
        "of "
        "the last two layers, lora=8 adds a difference of rank 8 to the matrices of every block, which learns with the "
        "least memory. Interrupted, it goes on where it was when the same is asked again.\n\n"
        "external asks a service that speaks OpenAI's embeddings interface: SOURCE is then its address "
        "(http://localhost:8080/v1), or a JSON file with the members url, model, key_variable, dimensions, batch, "
        "timeout_s, attempts. The key is read from the environment for each request and stored nowhere.",
    .arguments =
        (const argument_spec[]){
            {"action", VALUE_CHOICE, "add, list or remove", actions},
            {"workspace", VALUE_FOLDER, "the workspace"},
            {"modality", VALUE_CHOICE, "add and remove: text, image, audio or video", modalities, .optional = true},
            {"encoder", VALUE_TEXT, "add: which ('medley list encoder' shows those that need a file)",
             .optional = true},
            {"source", VALUE_FILE, "add: a checkpoint, a published folder, or the address of a service",
             .optional = true},
            {0}},
    .options =
        (const option_spec[]){
            {"tune", 0, VALUE_TEXT, "PART", "learn from the content first: all, last=LAYERS or lora=RANK"},
            {"tune-passes", 0, VALUE_INTEGER, "N", "with --tune: over all items (1)", 1, 1000},
            {"tune-rate", 0, VALUE_NUMBER, "RATE", "with --tune: of learning (2e-5, 5e-5 or 5e-4)", 1e-9, 1},
            {"curves", 0, VALUE_FILE, "FILE", "with --tune: draw the loss, as .svg or .png"},
            {"model", 0, VALUE_TEXT, "NAME", "external: what the service calls its model"},
            {"key-variable", 0, VALUE_TEXT, "NAME", "external: environment variable that holds the key"},
            {"dimensions", 0, VALUE_INTEGER, "N", "external: ask for vectors of this length", 1, 65536},
            {"batch", 0, VALUE_INTEGER, "N", "external: texts in a request (64)", 1, 2048},
            {"timeout", 0, VALUE_NUMBER, "SECONDS", "external: for one request (60)", 0.1, 3600},
            {"attempts", 0, VALUE_INTEGER, "N", "external: at one request, with growing pauses (5)", 1, 20},
            {0}},
    .examples =
        (const command_example[]){{"medley encoder add shop image mobilenet_v2 mobilenet_v2.safetensors",
                                   "Pictures are seen by a network from the next training on"},
                                  {"medley encoder add shop text external http://localhost:8080/v1 --model bge-m3",
                                   "Texts go to a service of your own"},
                                  {"medley encoder add shop text bert ./all-MiniLM-L6-v2 --tune lora=8",
                                   "A published text model learns the words of this catalogue"},
                                  {"medley encoder list shop", "What is used for which content"},
                                  {"medley encoder remove shop image", "Back to the usual encoder"},
                                  {0}},
    .ends = ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
