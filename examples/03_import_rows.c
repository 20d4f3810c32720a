/* 03_import_rows: a new workspace, filled from a program's own data instead of from files.
 *
 *     03_import_rows NEW_FOLDER
 */
#include <medley/medley.h>
#include <stdio.h>

static const medley_item items[] = {
    {.key = "tea",
     .title = "Jasmine tea 茉莉花茶",
     .category = "drinks",
     .tags = (const char *const[]){"warm", "mild", NULL}},
    {.key = "cocoa",
     .title = "Hot cocoa 热可可",
     .category = "drinks",
     .tags = (const char *const[]){"warm", "sweet", NULL}},
    {.key = "ice", .title = "Lemon ice 柠檬冰", .category = "sweets", .attributes = "{\"price\": 2.5}"},
};

static const medley_event events[] = {
    {.user = "ann", .item = "tea", .type = "buy", .time_s = 1735689600},
    {.user = "ann", .item = "cocoa", .type = "rate", .value = 4, .time_s = 1735776000},
    {.user = "bo", .item = "cocoa", .type = "view", .context = "{\"page\": \"home\"}"}, /* no time: now */
};

static const medley_user users[] = {
    {.key = "ann", .attributes = "{\"city\": \"Aachen\"}", .time_s = MEDLEY_TIME_UNKNOWN},
};

static const medley_link links[] = {
    {.from_user = "bo", .to_user = "ann", .type = "follows"},
    {.from_item = "tea", .to_item = "ice", .type = "goes with", .weight = 0.5},
};

static int fill(medley_workspace *cafe, medley_error *error) {
  for (size_t i = 0; i < sizeof items / sizeof *items; i++)
    if (medley_put_item(cafe, &items[i], error) != MEDLEY_OK) return 0;
  for (size_t i = 0; i < sizeof events / sizeof *events; i++)
    if (medley_put_event(cafe, &events[i], error) != MEDLEY_OK) return 0;
  for (size_t i = 0; i < sizeof users / sizeof *users; i++)
    if (medley_put_user(cafe, &users[i], error) != MEDLEY_OK) return 0;
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    if (medley_put_link(cafe, &links[i], error) != MEDLEY_OK) return 0;
  return 1;
}

int main(int argc, char **argv) {
  medley_workspace *cafe = NULL;
  medley_error error = {0};
  char *json = NULL;
  if (argc < 2) {
    fprintf(stderr, "usage: 03_import_rows NEW_FOLDER\n");
    return 2;
  }
  int good = medley_workspace_create(argv[1], &error) == MEDLEY_OK &&
             medley_workspace_open(argv[1], &cafe, &error) == MEDLEY_OK && fill(cafe, &error);

  /* Mistakes come back as a status and a sentence, and change nothing. */
  medley_error refused = {0};
  if (good && medley_put_event(cafe, &(medley_event){.user = "ann", .item = "coffee"}, &refused) != MEDLEY_OK)
    printf("refused, as it should be: %s (%s)\n", refused.text, medley_status_name(refused.status));

  good = good && medley_workspace_describe(cafe, &json, &error) == MEDLEY_OK;
  if (good)
    printf("%s\n", json);
  else
    fprintf(stderr, "03_import_rows: %s\n", error.text);
  medley_free(json);
  medley_workspace_close(cafe);
  return good ? 0 : 1;
}
