/* 04_evaluate: how good are the models on this catalogue? Progress goes to standard error, the figures as JSON to
 * standard output.
 *
 *     04_evaluate WORKSPACE [SPLIT]        for example: global-time, leave-one-out, cold-item
 */
#include <medley/medley.h>
#include <stdio.h>

/* Called at most some ten times a second; anything but 0 would stop the work. */
static int show(void *context, const medley_progress_state *state) {
  (void)context;
  if (state->finished)
    fprintf(stderr, "%-24s %8llu in %.1f s\n", state->stage, (unsigned long long)state->done, state->elapsed_s);
  return 0;
}

int main(int argc, char **argv) {
  static const char *const models[] = {"popular", "itemknn", NULL};
  static const char *const metrics[] = {"recall@10", "ndcg@10", NULL};
  medley_workspace *shop = NULL;
  medley_error error = {0};
  char *json = NULL;
  int exit_status;
  if (medley_worker_main(argc, argv, &exit_status)) return exit_status; /* evaluation decodes what is not encoded yet */
  if (argc < 2) {
    fprintf(stderr, "usage: 04_evaluate WORKSPACE [SPLIT]\n");
    return 2;
  }
  medley_evaluate_options options = {.split = argc > 2 ? argv[2] : "global-time", .models = models, .metrics = metrics};
  medley_progress progress = {.report = show};
  int good = medley_workspace_open(argv[1], &shop, &error) == MEDLEY_OK &&
             medley_evaluate(shop, &options, &progress, &json, &error) == MEDLEY_OK;
  if (good)
    printf("%s\n", json);
  else
    fprintf(stderr, "04_evaluate: %s\n", error.text);
  medley_free(json);
  medley_workspace_close(shop);
  return good ? 0 : 1;
}
