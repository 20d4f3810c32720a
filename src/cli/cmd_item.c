/* cli/cmd_item.c: medley item: one item: put, show, delete. */
#include <medley/content.h>
#include <string.h>

#include "cli/moment.h"
#include "cli/show.h"

static const char *const actions[] = {"put", "show", "delete", NULL};

static medley_status item_of(const arguments *a, medley_item *item, medley_error *err) {
  const char *time = arguments_text(a, "time");
  *item = (medley_item){
      .key = arguments_text(a, "item"),
      .title = arguments_text(a, "title"),
      .text = arguments_text(a, "text"),
      .category = arguments_text(a, "category"),
      .language = arguments_text(a, "language"),
      .tags = arguments_list(a, "tags"),
      .image = arguments_list(a, "image"),
      .audio = arguments_list(a, "audio"),
      .video = arguments_list(a, "video"),
      .attributes = arguments_text(a, "attributes"),
      .time_s = MEDLEY_TIME_UNKNOWN,
      .hidden = arguments_has(a, "hidden"),
  };
  if (time != NULL && !moment_parse(time, &item->time_s))
    return error_set(err, MEDLEY_ERR_USAGE, "--time wants 2025-01-31T12:00:00Z or seconds since 1970, not '%.100s'",
                     time);
  return MEDLEY_OK;
}

/* An action that takes no fields must not swallow them silently. */
static medley_status fields_check(const arguments *a, const char *action, medley_error *err) {
  for (const option_spec *row = a->command->options; row->name != NULL; row++)
    if (arguments_has(a, row->name))
      return error_set(err, MEDLEY_ERR_USAGE, "--%s goes with put, not with %s", row->name, action);
  return MEDLEY_OK;
}

static medley_status item_show(medley_workspace *w, const char *key, console *c, medley_error *err) {
  char *json = NULL;
  medley_status status = medley_describe_item(w, key, &json, err);
  return status == MEDLEY_OK ? show_report(c, json, show_json, err) : status;
}

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  medley_item item;
  const char *action = arguments_text(a, "action"), *key = arguments_text(a, "item");
  bool put = strcmp(action, "put") == 0;
  TRY(item_of(a, &item, err));
  if (!put) TRY(fields_check(a, action, err));
  TRY(workspace_of(a, &w, err));
  if (put)
    TRY(medley_put_item(w, &item, err));
  else if (strcmp(action, "delete") == 0)
    TRY(medley_delete_item(w, key, err));
  if (strcmp(action, "delete") != 0)
    TRY(item_show(w, key, c, err));
  else if (c->json)
    console_json(c, "{\"deleted\":true}");
  else
    console_line(c, STYLE_PLAIN, "%s is deleted", key);
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_item = {
    .name = "item",
    .group = "Content",
    .summary = "puts, shows or deletes one item",
    .about =
        "put makes the item or changes the fields that are given; what is not given stays. A new item is recommended "
        "and found "
        "from the next training on; until then it is shown where it is pinned (medley recommend --pin).",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"},
                                         {"action", VALUE_CHOICE, "put, show or delete", actions},
                                         {"item", VALUE_TEXT, "the item's key"},
                                         {0}},
    .options =
        (const option_spec[]){
            {"title", 0, VALUE_TEXT, "TEXT", "its name"},
            {"text", 0, VALUE_TEXT, "TEXT", "its description"},
            {"category", 0, VALUE_TEXT, "NAME", "its category"},
            {"tags", 0, VALUE_TEXT, "TAG", "its tags; replace those it had", .many = true, .commas = true},
            {"language", 0, VALUE_TEXT, "CODE", "language of its words: en, zh … (recognised)"},
            {"image", 0, VALUE_FILE, "FILE", "a picture", .many = true},
            {"audio", 0, VALUE_FILE, "FILE", "a sound", .many = true},
            {"video", 0, VALUE_FILE, "FILE", "a clip", .many = true},
            {"attributes", 0, VALUE_TEXT, "JSON", "anything else, as a JSON object"},
            {"time", 0, VALUE_TEXT, "TIME", "when it appeared: 2025-01-31T12:00:00Z, or seconds since 1970"},
            {"hidden", 0, VALUE_FLAG, NULL, "never recommend it"},
            {0}},
    .examples =
        (const command_example[]){
            {"medley item shop put i900 --title 'Red dress 红色连衣裙' --tags dress,red --image dress.jpg",
             "A new item"},
            {"medley item shop show i900", "All that is known about it"},
            {"medley item shop delete i900", "Gone, with its events"},
            {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
