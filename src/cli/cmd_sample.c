/* cli/cmd_sample.c: medley sample: a made-up catalogue to try everything on. */
#include <medley/sample.h>

#include "base/json.h"
#include "cli/show.h"

static medley_status report_show(console *c, const char *folder, const medley_sample_report *r, medley_error *err) {
  if (!c->json) {
    console_line(c, STYLE_PLAIN,
                 "%u items with %u pictures, %u sounds and %u clips; %u people, %llu events, %llu links", r->items,
                 r->images, r->sounds, r->clips, r->users, (unsigned long long)r->events, (unsigned long long)r->links);
    console_line(c, STYLE_PLAIN, "all of it made up in %.1f s; %s/README.txt says how to import it", r->seconds,
                 folder);
    return MEDLEY_OK;
  }
  json_t *report = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "items", (json_int_t)r->items, "users",
                             (json_int_t)r->users, "images", (json_int_t)r->images, "sounds", (json_int_t)r->sounds,
                             "clips", (json_int_t)r->clips, "events", (json_int_t)r->events, "links",
                             (json_int_t)r->links, "seconds", r->seconds);
  char *json = report ? json_to_text(report) : NULL;
  json_decref(report);
  if (json == NULL) return error_memory(err, "a report");
  console_json(c, json);
  mem_free(json);
  return MEDLEY_OK;
}

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_sample_report report;
  medley_progress progress = console_progress(c);
  const char *folder = arguments_text(a, "folder");
  /* In the library 0 means the default, which fits a small catalogue; none is a negative number. */
  long long clips = arguments_integer(a, "clips", 0);
  const medley_sample_options options = {.items = (uint32_t)arguments_integer(a, "items", 0),
                                         .users = (uint32_t)arguments_integer(a, "users", 0),
                                         .events_per_user = (uint32_t)arguments_integer(a, "events", 0),
                                         .clips = arguments_has(a, "clips") && clips == 0 ? -1 : (int32_t)clips,
                                         .seed = (uint64_t)arguments_integer(a, "seed", 0)};
  TRY(medley_sample_create(folder, &options, &progress, &report, err));
  TRY(report_show(c, folder, &report, err));
done:
  return status;
}

const command cmd_sample = {
    .name = "sample",
    .group = "Start",
    .summary = "makes up a small catalogue to try everything on",
    .about =
        "Things of eight kinds with drawn pictures, synthesised sounds, a few short clips and words in English, "
        "Chinese or both; "
        "people who look, buy and rate by tastes that the models have to find out. All of it is synthetic. The folder "
        "must be empty "
        "or not exist; README.txt in it names the commands that import it.",
    .arguments = (const argument_spec[]){{"folder", VALUE_FOLDER, "where to put it"}, {0}},
    .options =
        (const option_spec[]){
            {"items", 0, VALUE_INTEGER, "N", "things in the catalogue (600)", MEDLEY_SAMPLE_ITEMS_MIN,
             MEDLEY_SAMPLE_ITEMS_MAX},
            {"users", 0, VALUE_INTEGER, "N", "people (400)", MEDLEY_SAMPLE_USERS_MIN, MEDLEY_SAMPLE_USERS_MAX},
            {"events", 0, VALUE_INTEGER, "N", "events of one person, on average (60)", 1,
             MEDLEY_SAMPLE_EVENTS_PER_USER_MAX},
            {"clips", 0, VALUE_INTEGER, "N", "things with a clip, at most a quarter of all (60)", 0,
             MEDLEY_SAMPLE_ITEMS_MAX},
            {"seed", 0, VALUE_INTEGER, "N", "the same seed makes the same catalogue (1)", 0, 9007199254740992.0},
            {0}},
    .examples = (const command_example[]){{"medley sample catalogue", "A catalogue of the usual size"},
                                          {"medley sample tiny --items 60 --users 40 --clips 2 --seed 7",
                                           "A smaller one, another one"},
                                          {0}},
    .ends = ENDS_CANCELLED,
    .run = run,
};
