/* cli/cmd_model.c: medley model: published models and those of a workspace: list, show, tokens, check. */
#include <medley/model.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "cli/show.h"
#include "cli/width.h"

#define DIMENSIONS_A_LINE 4
#define METADATA_TEXT_MAX 160 /* bytes of a value shown to people; chat templates have thousands */

static const char *const actions[] = {"list", "show", "tokens", "check", NULL};

/* ---- list ---- */

static void architectures_show(console *c, const json_t *rows) {
  table t = {0};
  size_t i;
  json_t *row;
  table_add_column(&t, "architecture", false, false);
  table_add_column(&t, "content", false, false);
  table_add_column(&t, "", false, true);
  json_array_foreach(rows, i, row) {
    table_add(&t, json_member_string(row, "name", ""), STYLE_BOLD);
    table_add(&t, json_member_string(row, "modality", ""), STYLE_PLAIN);
    table_add(&t, json_member_string(row, "summary", ""), STYLE_PLAIN);
  }
  console_table(c, &t, 0);
  table_deinit(&t);
}

static void names_cell(table *t, const json_t *names) {
  strbuf text = {0};
  size_t i;
  json_t *name;
  json_array_foreach(names, i, name) strbuf_printf(&text, "%s%s", i > 0 ? ", " : "", json_string_value(name));
  table_add(t, text.text, STYLE_PLAIN);
  strbuf_deinit(&text);
}

static void bytes_cell(table *t, const json_t *row) {
  strbuf text = {0};
  strbuf_append_bytes_size(&text, json_member_number(row, "size_bytes", 0));
  table_add(t, text.text, STYLE_PLAIN);
  strbuf_deinit(&text);
}

static void count_cell(table *t, const json_t *row, const char *key) {
  strbuf text = {0};
  strbuf_append_count(&text, (uint64_t)json_member_integer(row, key, 0));
  table_add(t, text.text, STYLE_PLAIN);
  strbuf_deinit(&text);
}

static void generations_show(console *c, const json_t *rows) {
  table t = {0};
  size_t i;
  json_t *row;
  if (json_array_size(rows) == 0) {
    console_line(c, STYLE_PLAIN, "nothing was trained yet: 'medley train' makes the first generation");
    return;
  }
  table_add_column(&t, "generation", true, false);
  table_add_column(&t, "made", false, false);
  table_add_column(&t, "items", true, false);
  table_add_column(&t, "parameters", true, false);
  table_add_column(&t, "size", true, false);
  table_add_column(&t, "recommenders", false, true);
  table_add_column(&t, "encoders", false, true);
  table_add_column(&t, "", false, false);
  json_array_foreach(rows, i, row) {
    table_add_printf(&t, STYLE_BOLD, "%lld", json_member_integer(row, "generation", 0));
    table_add(&t, json_member_string(row, "made", ""), STYLE_PLAIN);
    count_cell(&t, row, "items");
    count_cell(&t, row, "parameters");
    bytes_cell(&t, row);
    names_cell(&t, json_object_get(row, "recommenders"));
    names_cell(&t, json_object_get(row, "encoders"));
    table_add(&t, json_is_true(json_object_get(row, "serves")) ? "serves" : "", STYLE_GOOD);
  }
  console_table(c, &t, 0);
  table_deinit(&t);
}

static void list_show(console *c, const json_t *report) {
  const json_t *generations = json_object_get(report, "generations");
  if (generations != NULL)
    generations_show(c, generations);
  else
    architectures_show(c, json_object_get(report, "architectures"));
}

static medley_status list_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  const char *path = arguments_text(a, "model");
  char *json = NULL;
  if (path != NULL) TRY(medley_workspace_open(path, &w, err));
  TRY(medley_model_list(w, &json, err));
  TRY(show_report(c, json, list_show, err));
done:
  medley_workspace_close(w);
  return status;
}

/* ---- show ---- */

static void fact_add(table *t, const char *label, const char *text) {
  table_add(t, label, STYLE_DIM);
  table_add(t, text, STYLE_PLAIN);
}

/* "width 384, layers 6", a few on each line. */
static void dimensions_add(table *t, const json_t *dimensions) {
  strbuf text = {0};
  const char *name, *label = "dimensions";
  size_t count = 0;
  json_t *value;
  json_object_foreach((json_t *)dimensions, name, value) {
    strbuf_append(&text, text.length > 0 ? ", " : "");
    for (const char *at = name; *at != '\0'; at++) strbuf_append_char(&text, *at == '_' ? ' ' : *at);
    strbuf_append_char(&text, ' ');
    strbuf_append_count(&text, (uint64_t)json_integer_value(value));
    if (++count % DIMENSIONS_A_LINE != 0 && count < json_object_size(dimensions)) continue;
    fact_add(t, label, text.text);
    strbuf_reset(&text);
    label = "";
  }
  strbuf_deinit(&text);
}

static void architecture_add(table *t, const json_t *a) {
  strbuf text = {0};
  if (!json_is_object(a)) {
    fact_add(t, "architecture", "not known");
    return;
  }
  strbuf_printf(&text, "%s, %s", json_member_string(a, "name", ""), json_member_string(a, "summary", ""));
  fact_add(t, "architecture", text.text);
  strbuf_reset(&text);
  const char *layout = json_member_string(a, "layout", NULL);
  strbuf_printf(&text, "by its %s%s%s", json_member_string(a, "told_by", ""), layout ? "; names as in " : "",
                layout ? layout : "");
  fact_add(t, "recognised", text.text);
  strbuf_deinit(&text);
  dimensions_add(t, json_object_get(a, "dimensions"));
}

static void tokenizer_add(table *t, const json_t *tokenizer) {
  strbuf text = {0};
  if (!json_is_object(tokenizer)) return;
  strbuf_append(&text, json_member_string(tokenizer, "kind", ""));
  if (json_member_integer(tokenizer, "tokens", 0) > 0) {
    strbuf_append(&text, ", ");
    strbuf_append_count(&text, (uint64_t)json_member_integer(tokenizer, "tokens", 0));
    strbuf_append(&text, " tokens");
  }
  strbuf_printf(&text, ", in %s", json_member_string(tokenizer, "file", ""));
  fact_add(t, "tokenizer", text.text);
  strbuf_deinit(&text);
}

static void facts_show(console *c, const json_t *report) {
  table t = {0};
  strbuf text = {0};
  table_add_column(&t, "", false, false);
  table_add_column(&t, "", false, true);
  fact_add(&t, "file", json_member_string(report, "file", ""));
  strbuf_printf(&text, "%s, ", json_member_string(report, "format", ""));
  strbuf_append_bytes_size(&text, json_member_number(report, "size_bytes", 0));
  fact_add(&t, "format", text.text);
  architecture_add(&t, json_object_get(report, "architecture"));
  strbuf_reset(&text);
  strbuf_append_count(&text, (uint64_t)json_member_integer(report, "parameters", 0));
  strbuf_append(&text, " in ");
  strbuf_append_count(&text, (uint64_t)json_member_integer(report, "tensor_count", 0));
  strbuf_append(&text, " tensors");
  fact_add(&t, "parameters", text.text);
  tokenizer_add(&t, json_object_get(report, "tokenizer"));
  console_table(c, &t, 0);
  strbuf_deinit(&text);
  table_deinit(&t);
}

static void dtypes_show(console *c, const json_t *rows) {
  table t = {0};
  size_t i;
  json_t *row;
  if (json_array_size(rows) == 0) return;
  table_add_column(&t, "dtype", false, false);
  table_add_column(&t, "tensors", true, false);
  table_add_column(&t, "values", true, false);
  table_add_column(&t, "size", true, false);
  json_array_foreach(rows, i, row) {
    table_add(&t, json_member_string(row, "dtype", ""), STYLE_PLAIN);
    count_cell(&t, row, "tensors");
    count_cell(&t, row, "values");
    bytes_cell(&t, row);
  }
  strbuf_append_char(&c->text, '\n');
  console_table(c, &t, 0);
  table_deinit(&t);
}

/* The text of a value, cut at a whole character. */
static void metadata_cell(table *t, const json_t *value) {
  char *json = json_is_string(value) ? NULL : json_to_text(value);
  const char *text = json_is_string(value) ? json_string_value(value) : json;
  strbuf shown = {0};
  size_t length = text ? strlen(text) : 0, kept = length;
  if (length > METADATA_TEXT_MAX)
    for (kept = METADATA_TEXT_MAX; kept > 0 && ((unsigned char)text[kept] & 0xC0) == 0x80;) kept--;
  if (text != NULL) strbuf_append_bytes(&shown, text, kept);
  if (kept < length) strbuf_append(&shown, "…");
  table_add(t, shown.text, STYLE_PLAIN);
  strbuf_deinit(&shown);
  mem_free(json);
}

static void metadata_show(console *c, const json_t *metadata) {
  table t = {0};
  const char *key;
  json_t *value;
  if (json_object_size(metadata) == 0) return;
  table_add_column(&t, "metadata", false, false);
  table_add_column(&t, "", false, true);
  json_object_foreach((json_t *)metadata, key, value) {
    table_add(&t, key, STYLE_PLAIN);
    metadata_cell(&t, value);
  }
  strbuf_append_char(&c->text, '\n');
  console_table(c, &t, 0);
  table_deinit(&t);
}

static void tensors_show(console *c, const json_t *rows) {
  table t = {0};
  size_t i, d;
  json_t *row, *size;
  if (json_array_size(rows) == 0) return;
  table_add_column(&t, "tensor", false, true);
  table_add_column(&t, "dtype", false, false);
  table_add_column(&t, "shape", false, false);
  table_add_column(&t, "size", true, false);
  json_array_foreach(rows, i, row) {
    strbuf shape = {0};
    table_add(&t, json_member_string(row, "name", ""), STYLE_PLAIN);
    table_add(&t, json_member_string(row, "dtype", ""), STYLE_PLAIN);
    json_array_foreach(json_object_get(row, "shape"), d, size)
        strbuf_printf(&shape, "%s%lld", d > 0 ? " × " : "", (long long)json_integer_value(size));
    table_add(&t, shape.text, STYLE_PLAIN);
    strbuf_deinit(&shape);
    bytes_cell(&t, row);
  }
  strbuf_append_char(&c->text, '\n');
  console_table(c, &t, 0);
  table_deinit(&t);
}

static void check_show(console *c, const json_t *report) {
  size_t i;
  json_t *row;
  if (json_object_get(report, "bad_values") == NULL) return;
  strbuf_append_char(&c->text, '\n');
  json_array_foreach(json_object_get(report, "bad_tensors"), i, row)
      console_line(c, STYLE_BAD, "%s: %lld values are infinite or no numbers", json_member_string(row, "name", ""),
                   json_member_integer(row, "values", 0));
  if (json_member_integer(report, "bad_values", 0) == 0) console_line(c, STYLE_GOOD, "all weights are finite numbers");
}

static void model_show(console *c, const json_t *report) {
  size_t i;
  json_t *remark;
  facts_show(c, report);
  dtypes_show(c, json_object_get(report, "dtypes"));
  metadata_show(c, json_object_get(report, "metadata"));
  tensors_show(c, json_object_get(report, "tensors"));
  check_show(c, report);
  json_array_foreach(json_object_get(report, "remarks"), i, remark) {
    strbuf_append_char(&c->text, '\n');
    strbuf_append_wrapped(&c->text, json_string_value(remark), 0, c->out_columns);
  }
}

static medley_status show_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *report = NULL;
  char *json = NULL;
  const char *path = arguments_text(a, "model");
  medley_model_options options = {.tensors = arguments_has(a, "tensors"), .check = arguments_has(a, "check")};
  medley_progress progress = console_progress(c);
  if (path == NULL) FAIL(err, MEDLEY_ERR_USAGE, "name the file or folder to look into: medley model show FILE");
  TRY(medley_model_describe(path, &options, &progress, &json, err));
  TRY(json_parse(json, strlen(json), "the report", &report, err));
  if (json_member_integer(report, "bad_values", 0) > 0) c->exit_status = 1;
  if (c->json)
    console_json(c, json);
  else
    model_show(c, report);
done:
  json_decref(report);
  medley_free(json);
  return status;
}

/* ---- tokens ---- */

static void ids_show(console *c, const json_t *report) {
  table t = {0};
  size_t i;
  json_t *row;
  table_add_column(&t, "id", true, false);
  table_add_column(&t, "token", false, true);
  table_add_column(&t, "bytes", true, false);
  json_array_foreach(json_object_get(report, "ids"), i, row) {
    bool special = json_is_true(json_object_get(row, "special"));
    table_add_printf(&t, STYLE_BOLD, "%lld", json_member_integer(row, "id", 0));
    table_add(&t, json_member_string(row, "token", ""), special ? STYLE_DIM : STYLE_PLAIN);
    if (special)
      table_add(&t, "", STYLE_PLAIN);
    else
      table_add_printf(&t, STYLE_PLAIN, "%lld to %lld", json_member_integer(row, "begin", 0),
                       json_member_integer(row, "end", 0));
  }
  strbuf_append_char(&c->text, '\n');
  console_table(c, &t, 0);
  table_deinit(&t);
}

static void tokens_show(console *c, const json_t *report) {
  table t = {0};
  strbuf text = {0};
  const char *name;
  json_t *token;
  table_add_column(&t, "", false, false);
  table_add_column(&t, "", false, true);
  fact_add(&t, "file", json_member_string(report, "file", ""));
  strbuf_printf(&text, "%s, ", json_member_string(report, "kind", ""));
  strbuf_append_count(&text, (uint64_t)json_member_integer(report, "tokens", 0));
  strbuf_append(&text, " tokens");
  if (json_member_integer(report, "tokens_max", 0) > 0)
    strbuf_printf(&text, ", at most %lld for a text", json_member_integer(report, "tokens_max", 0));
  fact_add(&t, "tokenizer", text.text);
  json_object_foreach(json_object_get(report, "special"), name, token) {
    strbuf_reset(&text);
    strbuf_printf(&text, "%s, id %lld", json_member_string(token, "token", ""), json_member_integer(token, "id", 0));
    fact_add(&t, name, text.text);
  }
  if (json_object_get(report, "decoded") != NULL) fact_add(&t, "back", json_member_string(report, "decoded", ""));
  console_table(c, &t, 0);
  if (json_array_size(json_object_get(report, "ids")) > 0) ids_show(c, report);
  if (json_member_integer(report, "dropped", 0) > 0)
    console_line(c, STYLE_DIM, "%lld tokens beyond the limit are left out", json_member_integer(report, "dropped", 0));
  strbuf_deinit(&text);
  table_deinit(&t);
}

static medley_status tokens_run(const arguments *a, console *c, medley_error *err) {
  const char *path = arguments_text(a, "model");
  char *json = NULL;
  if (path == NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "name the tokenizer's file or folder: medley model tokens FILE");
  medley_status status = medley_model_tokens(path, arguments_text(a, "text"), &json, err);
  return status == MEDLEY_OK ? show_report(c, json, tokens_show, err) : status;
}

/* ---- check: beside golden outputs ---- */

static void difference_cell(table *t, const json_t *row, const char *key, bool good) {
  const json_t *value = json_object_get(row, key);
  text_style style = good ? STYLE_GOOD : STYLE_BAD;
  if (json_is_number(value))
    table_add_printf(t, style, "%.3g", json_number_value(value));
  else
    table_add(t, "no number", style);
}

static void golden_show(console *c, const json_t *report) {
  table t = {0};
  size_t i;
  json_t *row;
  double tolerance = json_member_number(report, "tolerance", 0);
  bool agrees = json_is_true(json_object_get(report, "agrees"));
  table_add_column(&t, "content", false, false);
  table_add_column(&t, "output", false, false);
  table_add_column(&t, "values", true, false);
  table_add_column(&t, "largest difference", true, false);
  json_array_foreach(json_object_get(report, "outputs"), i, row) {
    table_add(&t, json_member_string(row, "modality", ""), STYLE_PLAIN);
    table_add(&t, json_member_string(row, "name", ""), STYLE_PLAIN);
    count_cell(&t, row, "values");
    difference_cell(&t, row, "difference", json_member_number(row, "difference", INFINITY) <= tolerance);
  }
  console_table(c, &t, 0);
  console_line(c, agrees ? STYLE_GOOD : STYLE_BAD, agrees ? "agrees within %g" : "does not agree within %g", tolerance);
  table_deinit(&t);
}

static medley_status golden_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *report = NULL;
  char *json = NULL;
  const char *name = arguments_text(a, "model"), *file = arguments_text(a, "file"),
             *golden = arguments_text(a, "golden");
  if (file == NULL || golden == NULL)
    FAIL(err, MEDLEY_ERR_USAGE, "check wants: medley model check ENCODER FILE --golden FILE");
  TRY(medley_model_check(name, file, golden, arguments_number(a, "tolerance", 0), &json, err));
  TRY(json_parse(json, strlen(json), "the report", &report, err));
  if (!json_is_true(json_object_get(report, "agrees"))) c->exit_status = 1;
  if (c->json)
    console_json(c, json);
  else
    golden_show(c, report);
done:
  json_decref(report);
  medley_free(json);
  return status;
}

/* ---- the command ---- */

/* Which action each option goes with. */
static const struct {
  const char *option, *action;
} option_actions[] = {
    {"tensors", "show"}, {"check", "show"}, {"text", "tokens"}, {"golden", "check"}, {"tolerance", "check"}};

static medley_status run(const arguments *a, console *c, medley_error *err) {
  const char *action = arguments_text(a, "action");
  for (size_t i = 0; i < sizeof option_actions / sizeof *option_actions; i++)
    if (arguments_has(a, option_actions[i].option) && strcmp(option_actions[i].action, action) != 0)
      return error_set(err, MEDLEY_ERR_USAGE, "--%s goes with %s, not with %s", option_actions[i].option,
                       option_actions[i].action, action);
  if (strcmp(action, "check") == 0) return golden_run(a, c, err);
  if (arguments_text(a, "file") != NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "%s takes one file, '%s' is one too many", action,
                     arguments_text(a, "file"));
  if (strcmp(action, "show") == 0) return show_run(a, c, err);
  if (strcmp(action, "tokens") == 0) return tokens_run(a, c, err);
  return list_run(a, c, err);
}

const command cmd_model = {
    .name = "model",
    .group = "Care",
    .summary = "published models: which are known, what a file holds; the models of a workspace",
    .about =
        "list names the networks that are recognised, or with a workspace what was trained there. show looks into a "
        "checkpoint: a .safetensors file, shards with model.safetensors.index.json, a .gguf file, or a folder with one "
        "of these and a config.json. Only the header is read, whatever the size; --check reads all weights and ends "
        "with 1 when some are infinite or no numbers. tokens reads a tokenizer (tokenizer.json, vocab.txt, vocab.json "
        "with "
        "merges.txt, *.model, *.gguf, or a folder with one of these) and prints what becomes of a text.\n\n"
        "check runs an encoder on the inputs in a golden file, which also holds the outputs of a reference run, and "
        "prints by how much they differ: the largest difference of a tensor over its largest value. It ends with 1 "
        "when one is above the tolerance.",
    .arguments =
        (const argument_spec[]){
            {"action", VALUE_CHOICE, "list, show, tokens or check", actions},
            {"model", VALUE_FILE,
             "show and tokens: a file or folder; list: a workspace, or nothing; check: an encoder by its name",
             .optional = true},
            {"file", VALUE_FILE, "check: the encoder's checkpoint or folder", .optional = true},
            {0}},
    .options =
        (const option_spec[]){{"tensors", 0, VALUE_FLAG, NULL, "every tensor with its type and shape"},
                              {"check", 0, VALUE_FLAG, NULL,
                               "read all weights and count those that are no "
                               "finite numbers"},
                              {"text", 0, VALUE_TEXT, "TEXT", "tokens: the text to turn into ids"},
                              {"golden", 0, VALUE_FILE, "FILE", "check: inputs and reference outputs (safetensors)"},
                              {"tolerance", 0, VALUE_NUMBER, "X", "check: what still agrees (0.001)", 1e-12, 10},
                              {0}},
    .examples =
        (const command_example[]){
            {"medley model list", "The networks that are recognised"},
            {"medley model list shop", "What was trained in shop"},
            {"medley model show all-MiniLM-L6-v2/", "Architecture, dimensions, tokenizer of a published folder"},
            {"medley model show model.gguf --tensors", "Every tensor of a file"},
            {"medley model check mobilenet_v2 mobilenet_v2.safetensors --golden mobilenet_v2.golden.safetensors",
             "Whether the network computes what the reference does"},
            {"medley model tokens all-MiniLM-L6-v2/ --text 'a red dress'", "Ids, tokens and bytes of a text"},
            {0}},
    .ends = ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
