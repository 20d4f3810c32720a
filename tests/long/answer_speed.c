/* How long a recommendation takes inside a running process. Usage: answer_speed WORKSPACE USERS
 *
 * Asks for the users 1 … USERS in turn, ten items each, and prints one line of JSON with the median, the 99th hundredth
 * and the worst in milliseconds, and the first answer apart: it maps the generation. */
#include <medley/medley.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Milliseconds of one answer; negative when it failed. */
static double ask(medley_workspace *w, long user, medley_error *error) {
  char key[32];
  medley_answer *answer = NULL;
  snprintf(key, sizeof key, "%ld", user);
  double started = now_ms();
  medley_status status = medley_recommend(w, &(medley_recommend_query){.user = key, .count = 10}, &answer, error);
  medley_answer_free(answer);
  return status == MEDLEY_OK ? now_ms() - started : -1;
}

int main(int argc, char **argv) {
  medley_error error = {0};
  medley_workspace *w = NULL;
  long users = argc == 3 ? atol(argv[2]) : 0;
  double *ms = users > 0 ? malloc((size_t)users * sizeof *ms) : NULL;
  int status = 1;
  if (ms == NULL) {
    fprintf(stderr, "usage: answer_speed WORKSPACE USERS\n");
    return 2;
  }
  if (medley_workspace_open(argv[1], &w, &error) != MEDLEY_OK) goto done;
  double first = ask(w, 1, &error);
  if (first < 0) goto done;
  for (long u = 1; u <= users; u++)
    if ((ms[u - 1] = ask(w, u, &error)) < 0) goto done;
  qsort(ms, (size_t)users, sizeof *ms, compare);
  printf("{\"users\":%ld,\"first_ms\":%.2f,\"median_ms\":%.3f,\"p99_ms\":%.3f,\"worst_ms\":%.3f}\n", users, first,
         ms[users / 2], ms[users * 99 / 100], ms[users - 1]);
  status = 0;
done:
  if (status != 0) fprintf(stderr, "%s\n", error.text);
  medley_workspace_close(w);
  free(ms);
  return status;
}
