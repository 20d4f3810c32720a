/* cli/cmd_event.c: medley event: somebody did something with an item, just now. */
#include <medley/content.h>
#include <string.h>

#include "base/json.h"
#include "cli/moment.h"
#include "cli/show.h"

/* "page=home", "device=phone" → {"page":"home","device":"phone"}, in the memory of the arguments; NULL: none given. */
static medley_status context_of(const arguments *a, const char **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf object = {0};
  *out = NULL;
  for (const char *const *pair = arguments_list(a, "context"); pair != NULL && *pair != NULL; pair++) {
    const char *equals = strchr(*pair, '=');
    if (equals == NULL || equals == *pair)
      FAIL(err, MEDLEY_ERR_USAGE, "--context wants NAME=VALUE such as page=home, not '%.100s'", *pair);
    char *name = arena_strndup(a->memory, *pair, (size_t)(equals - *pair));
    if (name == NULL) return error_memory(err, "a context");
    strbuf_append_char(&object, object.length == 0 ? '{' : ',');
    strbuf_append_json(&object, name);
    strbuf_append_char(&object, ':');
    strbuf_append_json(&object, equals + 1);
  }
  if (object.length == 0) goto done;
  strbuf_append_char(&object, '}');
  *out = object.failed ? NULL : arena_strdup(a->memory, object.text);
  if (*out == NULL) status = error_memory(err, "a context");
done:
  strbuf_deinit(&object);
  return status;
}

/* Whether the serving generation knows the item. */
static medley_status item_trained(medley_workspace *w, const char *item, bool *trained, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *json = NULL;
  json_t *described = NULL;
  TRY(medley_describe_item(w, item, &json, err));
  TRY(json_parse(json, strlen(json), "an item", &described, err));
  *trained = json_is_object(json_object_get(described, "trained"));
done:
  json_decref(described);
  medley_free(json);
  return status;
}

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  bool trained;
  medley_event event = {.user = arguments_text(a, "user"),
                        .item = arguments_text(a, "item"),
                        .type = arguments_text(a, "type"),
                        .value = arguments_number(a, "value", 0),
                        .time_s = MEDLEY_TIME_UNKNOWN};
  const char *time = arguments_text(a, "time");
  if (time != NULL && !moment_parse(time, &event.time_s))
    FAIL(err, MEDLEY_ERR_USAGE, "--time wants 2025-01-31T12:00:00Z or seconds since 1970, not '%.100s'", time);
  TRY(context_of(a, &event.context, err));
  TRY(workspace_of(a, &w, err));
  TRY(medley_put_event(w, &event, err));
  TRY(item_trained(w, event.item, &trained, err));
  if (c->json)
    console_json(c, trained ? "{\"accepted\":true,\"trained\":true}" : "{\"accepted\":true,\"trained\":false}");
  else if (trained)
    console_line(c, STYLE_PLAIN, "%s: %s %s; the next answer for %s counts it", event.user, event.type, event.item,
                 event.user);
  else
    console_line(c, STYLE_PLAIN,
                 "%s: %s %s; item %s is not in the trained generation yet: it counts after the next 'medley train'",
                 event.user, event.type, event.item, event.item);
done:
  medley_workspace_close(w);
  return status;
}

const command cmd_event = {
    .name = "event",
    .group = "Content",
    .summary = "tells that a user did something with an item",
    .about =
        "It is on disk when the command returns, and the very next answer for this user counts it; no training is "
        "needed. A user that is new is created, an item must exist.\n\n"
        "An item that came after the last training is not known to the models yet: an event with it is kept and counts "
        "after the next medley train, as the command and later answers say (\"trained\":false with --json).",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"},
                                         {"user", VALUE_TEXT, "the user's key"},
                                         {"type", VALUE_TEXT,
                                          "view, click, like, buy, rate, skip, dislike or a type of your own"},
                                         {"item", VALUE_TEXT, "the item's key"},
                                         {0}},
    .options =
        (const option_spec[]){
            {"value", 0, VALUE_NUMBER, "X", "rating, share that was watched, quantity (1)"},
            {"time", 0, VALUE_TEXT, "TIME", "when: 2025-01-31T12:00:00Z, or seconds since 1970 (now)"},
            {"context", 0, VALUE_TEXT, "NAME=VALUE", "a circumstance, kept with the event as text", .many = true},
            {0}},
    .examples = (const command_example[]){{"medley event shop u42 click i7", "u42 clicked i7 just now"},
                                          {"medley event shop u42 rate i7 --value 4 --time 2025-01-31T12:00:00Z",
                                           "A rating of an earlier day"},
                                          {"medley event shop u42 view i7 --context page=home --context device=phone",
                                           "Where it was seen, and on what"},
                                          {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
