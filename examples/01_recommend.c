/* 01_recommend: what should this user see next, and why?
 *
 *     01_recommend WORKSPACE [USER]
 */
#include <medley/medley.h>
#include <stdio.h>

static int failed(const medley_error *error) {
  fprintf(stderr, "01_recommend: %s\n", error->text);
  return 1;
}

int main(int argc, char **argv) {
  medley_workspace *shop = NULL;
  medley_answer *answer = NULL;
  medley_error error = {0};
  if (argc < 2) {
    fprintf(stderr, "usage: 01_recommend WORKSPACE [USER]\n");
    return 2;
  }
  if (medley_workspace_open(argv[1], &shop, &error) != MEDLEY_OK) return failed(&error);

  /* Zero means the default everywhere, so a query names only what it wants. */
  medley_recommend_query query = {.user = argc > 2 ? argv[2] : "u42", .count = 5, .diversity = 0.2, .why = 1};
  medley_status status = medley_recommend(shop, &query, &answer, &error);
  for (size_t i = 0; status == MEDLEY_OK && i < answer->count; i++) {
    const medley_result *r = &answer->results[i];
    printf("%zu. %s  %s\n   %.3f =", i + 1, r->item, r->title, r->score);
    for (size_t k = 0; k < r->part_count; k++) printf(" %+.3f %s", r->parts[k].value, r->parts[k].name);
    printf("\n   %s\n", r->why);
  }
  medley_answer_free(answer);
  medley_workspace_close(shop);
  return status == MEDLEY_OK ? 0 : failed(&error);
}
