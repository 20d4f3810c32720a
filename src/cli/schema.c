/* cli/schema.c: the table of commands as JSON, for programs that build on the command line. */
#include "base/json.h"
#include "base/memory.h"
#include "cli/arguments.h"
#include "cli/pages.h"

static const char *const type_names[] = {
    [VALUE_FLAG] = "flag",       [VALUE_TEXT] = "text",     [VALUE_FILE] = "file",     [VALUE_FOLDER] = "folder",
    [VALUE_INTEGER] = "integer", [VALUE_NUMBER] = "number", [VALUE_CHOICE] = "choice", [VALUE_COMMAND] = "command",
};

static json_t *choices_to_json(const char *const *choices) {
  json_t *list = json_array();
  for (; choices != NULL && *choices != NULL; choices++) json_array_append_new(list, json_string(*choices));
  return list;
}

/* What is not there, or is false, is left out. */
static json_t *option_to_json(const option_spec *row) {
  const char letter[2] = {row->letter, '\0'};
  json_t *out = json_pack("{s:s, s:s, s:s}", "name", row->name, "type", type_names[row->type], "help", row->help);
  if (row->letter) json_object_set_new(out, "letter", json_string(letter));
  if (row->value != NULL) json_object_set_new(out, "value", json_string(row->value));
  if (row->type == VALUE_CHOICE) json_object_set_new(out, "choices", choices_to_json(row->choices));
  if (row->min != row->max) {
    json_object_set_new(out, "min", json_real(row->min)); /* an infinite bound is none: jansson gives NULL */
    json_object_set_new(out, "max", json_real(row->max));
  }
  if (row->many) json_object_set_new(out, "many", json_true());
  if (row->commas) json_object_set_new(out, "commas", json_true());
  if (row->required) json_object_set_new(out, "required", json_true());
  return out;
}

static json_t *options_to_json(const option_spec *rows) {
  json_t *list = json_array();
  for (; rows != NULL && rows->name != NULL; rows++) json_array_append_new(list, option_to_json(rows));
  return list;
}

static json_t *arguments_to_json(const argument_spec *rows) {
  json_t *list = json_array();
  for (; rows != NULL && rows->name != NULL; rows++) {
    json_t *out = json_pack("{s:s, s:s, s:s, s:b}", "name", rows->name, "type", type_names[rows->type], "help",
                            rows->help, "optional", (int)rows->optional);
    if (rows->type == VALUE_CHOICE) json_object_set_new(out, "choices", choices_to_json(rows->choices));
    json_array_append_new(list, out);
  }
  return list;
}

static json_t *examples_to_json(const command_example *rows) {
  json_t *list = json_array();
  for (; rows != NULL && rows->line != NULL; rows++)
    json_array_append_new(list, json_pack("{s:s, s:s}", "line", rows->line, "text", rows->text));
  return list;
}

static json_t *exits_to_json(const command *c) {
  int exits[EXIT_STATUSES_MAX];
  json_t *list = json_array();
  for (size_t i = 0, count = command_exits(c, exits); i < count; i++)
    json_array_append_new(list, json_pack("{s:i, s:s}", "status", exits[i], "text", exit_status_text(exits[i])));
  return list;
}

static json_t *command_to_json(const command *c) {
  char usage[256];
  command_usage(c, usage, sizeof usage);
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "name", c->name, "group", c->group, "summary",
                   c->summary, "about", c->about ? c->about : "", "usage", usage, "arguments",
                   arguments_to_json(c->arguments), "options", options_to_json(c->options), "examples",
                   examples_to_json(c->examples), "exits", exits_to_json(c));
}

static void json_append(json_t *value, strbuf *b) {
  char *text = value ? json_to_text(value) : NULL;
  json_decref(value);
  strbuf_append(b, text ? text : "");
  strbuf_append_char(b, '\n');
  if (text == NULL) b->failed = true;
  mem_free(text);
}

void schema_command(const command *c, strbuf *b) { json_append(command_to_json(c), b); }

void schema_overview(strbuf *b) {
  json_t *list = json_array();
  for (const command *const *c = commands; *c != NULL; c++)
    if (!(*c)->hidden) json_array_append_new(list, command_to_json(*c));
  json_append(json_pack("{s:o, s:o}", "commands", list, "common_options", options_to_json(common_options)), b);
}

void schema_text(const char *name, const strbuf *page, strbuf *b) {
  json_append(page->failed ? NULL : json_pack("{s:s}", name, page->text ? page->text : ""), b);
}
