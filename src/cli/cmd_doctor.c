/* cli/cmd_doctor.c: medley doctor: is everything in order, on this machine and in this workspace? */
#include <medley/workspace.h>
#include <string.h>

#include "base/json.h"
#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *json = NULL;
  json_t *report = NULL;
  TRY(medley_doctor(arguments_text(a, "workspace"), &json, err));
  TRY(json_parse(json, strlen(json), "the report", &report, err));
  if (!json_is_true(json_object_get(report, "ok"))) c->exit_status = 1;
  if (c->json)
    console_json(c, json);
  else
    show_doctor(c, report);
done:
  json_decref(report);
  medley_free(json);
  return status;
}

const command cmd_doctor = {
    .name = "doctor",
    .group = "Care",
    .summary = "checks the machine, the build and a workspace",
    .about =
        "Database, generations, media, limits and libraries. Ends with 1 when something needs attention; each finding "
        "says what to do.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER,
                                          "the workspace; without it only the machine is looked at", .optional = true},
                                         {0}},
    .examples = (const command_example[]){{"medley doctor shop", "The machine and shop"}, {0}},
    .ends = ENDS_NOT_FOUND,
    .run = run,
};
