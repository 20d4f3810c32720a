/* align/measure.c: how well two sides find each other. */
#include <math.h>
#include <stdlib.h>

#include "align/aligner.h"
#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"

#define BLOCK 128 /* queries scored at a time */
/* Below so many comparisons threads cost more than they save, and much more on a busy machine. */
#define PARALLEL_WORK ((size_t)1 << 16)

/* One side; group NULL: row i is its own group i. */
typedef struct side {
  const float *rows; /* [count, dim] */
  const uint32_t *group;
  size_t count;
} side;

static uint32_t group_of(const side *s, size_t row) { return s->group ? s->group[row] : (uint32_t)row; }

/* 1 + the answers that are better than the best right one + half of the wrong ones that are equally good, so that a map
 * that makes all alike ranks in the middle and not first; 0 when no answer is right. */
static float rank_of_partner(const float *scores, const side *answers, uint32_t group) {
  float best = -INFINITY;
  size_t better = 0, equal = 0, right_equal = 0;
  for (size_t j = 0; j < answers->count; j++)
    if (group_of(answers, j) == group) best = fmaxf(best, scores[j]);
  if (best == -INFINITY) return 0;
  for (size_t j = 0; j < answers->count; j++) {
    better += scores[j] > best;
    equal += scores[j] == best;
    right_equal += scores[j] == best && group_of(answers, j) == group;
  }
  return 1 + (float)better + (float)(equal - right_equal) / 2;
}

static int compare_ranks(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* ranks [count] is sorted here; zeros (queries that were not asked) come first and are passed over. */
static void summarise(float *ranks, size_t count, int direction, alignment_report *out) {
  qsort(ranks, count, sizeof *ranks, compare_ranks);
  while (count > 0 && ranks[0] == 0) ranks++, count--;
  size_t within[3] = {0};
  static const float cut[3] = {1, 5, 10};
  for (size_t i = 0; i < count; i++)
    for (size_t c = 0; c < 3; c++) within[c] += ranks[i] <= cut[c];
  double n = count > 0 ? (double)count : 1;
  out->recall_1[direction] = (double)within[0] / n;
  out->recall_5[direction] = (double)within[1] / n;
  out->recall_10[direction] = (double)within[2] / n;
  out->median_rank[direction] = count > 0 ? ((double)ranks[(count - 1) / 2] + ranks[count / 2]) / 2 : 0;
}

static medley_status measure_direction(const side *queries, const side *answers, size_t dim, int direction,
                                       alignment_report *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *scores = NULL, *ranks = NULL;
  TRY_NEW(scores, BLOCK * answers->count, "scores");
  TRY_NEW(ranks, queries->count, "ranks");
  for (size_t first = 0; first < queries->count && answers->count > 0; first += BLOCK) {
    size_t rows = queries->count - first < BLOCK ? queries->count - first : BLOCK;
    matrix_multiply(false, true, rows, answers->count, dim, 1, queries->rows + first * dim, answers->rows, 0, scores);
#pragma omp parallel for schedule(static) if (rows * answers->count > PARALLEL_WORK)
    for (size_t i = 0; i < rows; i++)
      ranks[first + i] = rank_of_partner(scores + i * answers->count, answers, group_of(queries, first + i));
  }
  if (queries->count > 0) summarise(ranks, queries->count, direction, out);
done:
  mem_free(scores);
  mem_free(ranks);
  return status;
}

static double paired_distance(const side *a, const side *b, size_t dim) {
  double sum = 0;
  size_t pairs = 0;
  for (size_t i = 0; i < a->count; i++)
    for (size_t j = a->group ? 0 : i; j < (a->group ? b->count : i + 1); j++)
      if (group_of(a, i) == group_of(b, j)) {
        sum += 1 - vector_dot(a->rows + i * dim, b->rows + j * dim, dim);
        pairs++;
      }
  return pairs > 0 ? sum / (double)pairs : 0;
}

static medley_status measure_sides(const side *a, const side *b, size_t dim, alignment_report *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (alignment_report){0};
  TRY(measure_direction(a, b, dim, 0, out, err));
  TRY(measure_direction(b, a, dim, 1, out, err));
  out->paired_distance = paired_distance(a, b, dim);
done:
  return status;
}

medley_status alignment_measure(const float *a, const float *b, size_t count, size_t dim, alignment_report *out,
                                medley_error *err) {
  return measure_sides(&(side){a, NULL, count}, &(side){b, NULL, count}, dim, out, err);
}

medley_status alignment_measure_groups(const float *a, const uint32_t *a_group, size_t a_count, const float *b,
                                       const uint32_t *b_group, size_t b_count, size_t dim, alignment_report *out,
                                       medley_error *err) {
  return measure_sides(&(side){a, a_group, a_count}, &(side){b, b_group, b_count}, dim, out, err);
}
