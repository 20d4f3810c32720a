/* 05_events_and_why: a visitor nobody knows looks at three things; the very next answer counts them and says so.
 *
 *     05_events_and_why WORKSPACE ITEM ITEM ITEM
 */
#include <medley/medley.h>
#include <stdio.h>

#define VISITOR "visitor-of-example-05"

static int show(medley_workspace *shop, const char *heading, medley_error *error) {
  medley_answer *answer = NULL;
  if (medley_recommend(shop, &(medley_recommend_query){.user = VISITOR, .count = 3, .why = 1}, &answer, error) !=
      MEDLEY_OK)
    return 0;
  printf("%s%s%s%s\n", heading, answer->note ? " (" : "", answer->note ? answer->note : "", answer->note ? ")" : "");
  for (size_t i = 0; i < answer->count; i++) {
    const medley_result *r = &answer->results[i];
    printf("  %s  %s\n    %s\n", r->item, r->title, r->why ? r->why : "");
    if (r->counterfactual) printf("    %s\n", r->counterfactual);
  }
  medley_answer_free(answer);
  return 1;
}

static int look_at(medley_workspace *shop, char **items, int count, medley_error *error) {
  for (int i = 0; i < count; i++)
    if (medley_put_event(shop, &(medley_event){.user = VISITOR, .item = items[i], .type = "like"}, error) != MEDLEY_OK)
      return 0;
  return 1;
}

int main(int argc, char **argv) {
  medley_workspace *shop = NULL;
  medley_error error = {0};
  char *profile = NULL;
  if (argc < 3) {
    fprintf(stderr, "usage: 05_events_and_why WORKSPACE ITEM...\n");
    return 2;
  }
  int good = medley_workspace_open(argv[1], &shop, &error) == MEDLEY_OK && show(shop, "to a stranger:", &error) &&
             look_at(shop, argv + 2, argc - 2, &error) && show(shop, "after a few likes:", &error) &&
             medley_profile(shop, VISITOR, &profile, &error) == MEDLEY_OK;
  if (good) printf("what we think they like: %s\n", profile);
  /* The visitor leaves and is forgotten, with everything they did. */
  good = good && medley_delete_user(shop, VISITOR, &error) == MEDLEY_OK;
  if (!good) fprintf(stderr, "05_events_and_why: %s\n", error.text);
  medley_free(profile);
  medley_workspace_close(shop);
  return good ? 0 : 1;
}
