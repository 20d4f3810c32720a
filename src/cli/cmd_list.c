/* cli/cmd_list.c: medley list: what can be chosen by name. */
#include <medley/train.h>

#include "cli/show.h"

static const char *const families[] = {"recommender", "encoder",  "aligner", "fuser",    "index", "normaliser",
                                       "metric",      "importer", "tuner",   "ensemble", NULL};

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *json = NULL;
  const char *family = arguments_text(a, "family");
  if (family == NULL) {
    for (size_t i = 0; !c->json && families[i] != NULL; i++) console_line(c, STYLE_PLAIN, "%s", families[i]);
    if (c->json)
      console_json(c,
                   "[\"recommender\",\"encoder\",\"aligner\",\"fuser\",\"index\",\"normaliser\",\"metric\","
                   "\"importer\",\"tuner\",\"ensemble\"]");
    goto done;
  }
  TRY(medley_list(family, &json, err));
  TRY(show_report(c, json, show_models, err));
done:
  return status;
}

const command cmd_list = {
    .name = "list",
    .group = "Care",
    .summary = "what can be chosen by name: recommenders, encoders, metrics, importers …",
    .arguments =
        (const argument_spec[]){
            {"family", VALUE_CHOICE, "one of the families; without it they are named", families, true}, {0}},
    .examples =
        (const command_example[]){{"medley list recommender", "The recommenders, what each does and where it is from"},
                                  {0}},
    .run = run,
};
