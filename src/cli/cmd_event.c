/* cli/cmd_event.c: medley event: somebody did something with an item, just now. */
#include <medley/content.h>

#include "cli/moment.h"
#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  medley_event event = {.user = arguments_text(a, "user"),
                        .item = arguments_text(a, "item"),
                        .type = arguments_text(a, "type"),
                        .value = arguments_number(a, "value", 0),
                        .time_s = MEDLEY_TIME_UNKNOWN};
  const char *time = arguments_text(a, "time");
  if (time != NULL && !moment_parse(time, &event.time_s))
    FAIL(err, MEDLEY_ERR_USAGE, "--time wants 2025-01-31T12:00:00Z or seconds since 1970, not '%.100s'", time);
  TRY(workspace_of(a, &w, err));
  TRY(medley_put_event(w, &event, err));
  if (c->json)
    console_json(c, "{\"accepted\":true}");
  else
    console_line(c, STYLE_PLAIN, "%s: %s %s; the next answer for %s counts it", event.user, event.type, event.item,
                 event.user);
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
        "needed. A user "
        "that is new is created, an item must exist.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"},
                                         {"user", VALUE_TEXT, "the user's key"},
                                         {"type", VALUE_TEXT,
                                          "view, click, like, buy, rate, skip, dislike or a type of your own"},
                                         {"item", VALUE_TEXT, "the item's key"},
                                         {0}},
    .options = (const option_spec[]){{"value", 0, VALUE_NUMBER, "X", "rating, share that was watched, quantity (1)"},
                                     {"time", 0, VALUE_TEXT, "TIME",
                                      "when: 2025-01-31T12:00:00Z, or seconds since 1970 (now)"},
                                     {0}},
    .examples = (const command_example[]){{"medley event shop u42 click i7", "u42 clicked i7 just now"},
                                          {"medley event shop u42 rate i7 --value 4 --time 2025-01-31T12:00:00Z",
                                           "A rating of an earlier day"},
                                          {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
