/* bench/bench_nn.c: training and inference of networks, measured.
 *
 *     bench_nn [NAME...]           a table: milliseconds a step, memory, how near the machine's limits
 *     bench_nn --worker NAME       asked over a pipe by nn_peers.py: side by side with PyTorch and ONNX Runtime
 *
 * The worker speaks lines: it says {"ready": ...} when the work stands warm, then answers "time S" (steps for S seconds
 * at least, three at least; seconds each) and "peak" until the pipe closes. `roof` in place of a name measures the
 * limits.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "math/linear.h"
#include "nn_works.h"

/* One line a work. */
static const nn_work *const nn_works[] = {&nn_work_gru,
                                          &nn_work_lstm,
                                          &nn_work_bags,
                                          &nn_work_transformer,
                                          &nn_work_minilm,
                                          &nn_work_minilm_int8,
                                          &nn_work_mobilenet_1,
                                          &nn_work_mobilenet_32,
                                          &nn_work_mobilenet_int8_1,
                                          &nn_work_mobilenet_int8_32,
                                          NULL};

static int float_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* ---- the machine's limits ---- */

typedef struct roof {
  double flops, bytes; /* a second */
} roof;

/* The best of many products of 1536 x 1536, and of many copies of 256 MB. */
static medley_status roof_measure(roof *out, medley_error *err) {
  enum { SIZE = 1536, COPY = 1 << 25 };
  medley_status status = MEDLEY_OK;
  float *a = NULL, *b = NULL;
  TRY_NEW(a, COPY, "a benchmark");
  TRY_NEW(b, COPY, "a benchmark");
  for (size_t i = 0; i < COPY; i++) a[i] = (float)(i % 7), b[i] = (float)(i % 5);
  for (int k = 0; k < 12; k++) {
    double begin = clock_now_s();
    matrix_multiply(false, false, SIZE, SIZE, SIZE, 1, a, a + SIZE * SIZE, 0, b);
    double rate = 2.0 * SIZE * SIZE * SIZE / (clock_now_s() - begin);
    if (rate > out->flops) out->flops = rate;
    begin = clock_now_s();
#pragma omp parallel for schedule(static)
    for (int part = 0; part < 64; part++)
      memcpy(b + (size_t)part * (COPY / 64), a + (size_t)part * (COPY / 64), COPY / 64 * sizeof *a);
    rate = 2.0 * COPY * sizeof *a / (clock_now_s() - begin);
    if (rate > out->bytes) out->bytes = rate;
  }
done:
  mem_free(a);
  mem_free(b);
  return status;
}

/* ---- one work ---- */

/* Seconds a step over `seconds` at least. */
static medley_status work_time(const nn_work *w, void *state, double seconds, double *each, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double begin = clock_now_s(), passed = 0, value;
  int steps = 0;
  for (; steps < 3 || passed < seconds; steps++, passed = clock_now_s() - begin) TRY(w->step(state, &value, err));
  *each = passed / steps;
done:
  return status;
}

static medley_status work_warm(const nn_work *w, void **state, double *first, double *last, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(w->create(state, err));
  for (int i = 0; i < w->warm; i++) TRY(w->step(*state, i == 0 ? first : last, err));
done:
  return status;
}

static medley_status worker(const nn_work *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  void *state = NULL;
  char line[256];
  double first = 0, last = 0, each, before = (double)memory_peak_bytes();
  TRY(work_warm(w, &state, &first, &last, err));
  printf("{\"ready\": [%.9g, %.9g], \"flops\": %.9g, \"bytes\": %.9g, \"version\": \"%s\"}\n", first, last, w->flops,
         w->bytes, "medley");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (strncmp(line, "time ", 5) == 0) {
      TRY(work_time(w, state, strtod(line + 5, NULL), &each, err));
      printf("{\"each\": %.9g}\n", each);
    } else {
      printf("{\"peak\": %.0f, \"before\": %.0f}\n", (double)memory_peak_bytes(), before);
    }
    fflush(stdout);
  }
done:
  w->free(state);
  return status;
}

static medley_status look(const nn_work *w, const roof *limit, medley_error *err) {
  enum { ROUNDS = 7 };
  medley_status status = MEDLEY_OK;
  void *state = NULL;
  double first, last, each[ROUNDS];
  memory_peak_reset();
  double before = (double)memory_peak_bytes();
  TRY(work_warm(w, &state, &first, &last, err));
  for (int k = 0; k < ROUNDS; k++) TRY(work_time(w, state, 0.3, &each[k], err));
  qsort(each, ROUNDS, sizeof *each, float_order);
  double median = each[ROUNDS / 2];
  printf("%-12s %9.2f  %7.2f-%-7.2f %7.0f MB  %5.1f %%  %5.1f %%   %s\n", w->name, median * 1e3, each[0] * 1e3,
         each[ROUNDS - 1] * 1e3, ((double)memory_peak_bytes() - before) / 1e6, w->flops / median / limit->flops * 100,
         w->bytes / median / limit->bytes * 100, w->summary);
  fflush(stdout);
done:
  w->free(state);
  return status;
}

static const nn_work *work_find(const char *name) {
  for (const nn_work *const *w = nn_works; *w != NULL; w++)
    if (strcmp((*w)->name, name) == 0) return *w;
  fprintf(stderr, "bench_nn: there is no work %s; there are", name);
  for (const nn_work *const *w = nn_works; *w != NULL; w++) fprintf(stderr, " %s", (*w)->name);
  fprintf(stderr, "\n");
  exit(2);
}

int main(int count, char **words) {
  medley_error err = {0};
  roof limit = {0};
  medley_status status = MEDLEY_OK;
  bool as_worker = count == 3 && strcmp(words[1], "--worker") == 0;
  if (as_worker && strcmp(words[2], "roof") != 0) {
    status = worker(work_find(words[2]), &err);
  } else {
    status = roof_measure(&limit, &err);
    if (status == MEDLEY_OK && as_worker) printf("{\"flops\": %.9g, \"bytes\": %.9g}\n", limit.flops, limit.bytes);
    if (status == MEDLEY_OK && !as_worker)
      printf("%d threads; products %.0f GFLOP/s, copies %.1f GB/s\n%-12s %9s  %15s %10s  %7s  %7s\n",
             omp_get_max_threads(), limit.flops * 1e-9, limit.bytes * 1e-9, "work", "ms a step", "least-most", "memory",
             "flops", "bytes");
    for (int i = 1; status == MEDLEY_OK && !as_worker && i < count; i++)
      status = look(work_find(words[i]), &limit, &err);
    for (size_t i = 0; status == MEDLEY_OK && count == 1 && nn_works[i] != NULL; i++)
      status = look(nn_works[i], &limit, &err);
  }
  if (status != MEDLEY_OK) fprintf(stderr, "bench_nn: %s\n", err.text);
  return status == MEDLEY_OK ? 0 : 1;
}
