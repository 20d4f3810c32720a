/* 02_search: words, a picture, or both together find things, whatever those are made of.
 *
 *     02_search WORKSPACE WORDS [PICTURE]
 */
#include <medley/medley.h>
#include <stdio.h>

static int search(medley_workspace *shop, const char *words, const char *picture, const char *side,
                  medley_error *error) {
  medley_search_query query = {.text = words, .image = picture, .answer_with = side, .count = 5};
  medley_answer *answer = NULL;
  if (medley_search(shop, &query, &answer, error) != MEDLEY_OK) return 0;
  printf("%s%s%s, looking at %s:\n", words ? words : "", words && picture ? " + " : "", picture ? picture : "",
         side ? side : "everything");
  for (size_t i = 0; i < answer->count; i++)
    printf("  %.3f  %s  %s\n", answer->results[i].score, answer->results[i].item, answer->results[i].title);
  medley_answer_free(answer);
  return 1;
}

int main(int argc, char **argv) {
  medley_workspace *shop = NULL;
  medley_error error = {0};
  int exit_status;
  /* The picture of a query is decoded in a worker process, which is this same program started again. */
  if (medley_worker_main(argc, argv, &exit_status)) return exit_status;
  if (argc < 3) {
    fprintf(stderr, "usage: 02_search WORKSPACE WORDS [PICTURE]\n");
    return 2;
  }
  int good = medley_workspace_open(argv[1], &shop, &error) == MEDLEY_OK;
  good = good && search(shop, argv[2], NULL, NULL, &error);
  good = good && search(shop, argv[2], NULL, "image", &error); /* words find pictures that have no words */
  if (argc > 3) {
    good = good && search(shop, NULL, argv[3], NULL, &error);
    good = good && search(shop, argv[2], argv[3], NULL, &error);
  }
  if (!good) fprintf(stderr, "02_search: %s\n", error.text);
  medley_workspace_close(shop);
  return good ? 0 : 1;
}
