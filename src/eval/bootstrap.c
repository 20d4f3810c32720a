/* eval/bootstrap.c: how much of a number is luck. Each round has a random sequence of its own, made from the seed and
 * the round, so the result does not depend on the number of threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "eval/metric.h"

enum { DEFAULT_ROUNDS = 1000 };

static void round_seed(rng *r, uint64_t seed, size_t round) { rng_seed(r, seed ^ (round + 1) * 0xd1342543de82ef95ULL); }

static int double_compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Linear between the neighbours, as numpy does it. */
static double quantile(const double *sorted, size_t count, double share) {
  double place = share * (double)(count - 1);
  size_t below = (size_t)place;
  if (below + 1 >= count) return sorted[count - 1];
  return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static double resampled_mean(const double *values, size_t count, rng *r) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += values[rng_below(r, count)];
  return sum / (double)count;
}

medley_status bootstrap_mean(const double *values, size_t count, size_t rounds, double confidence, uint64_t seed,
                             estimate *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double *kept = NULL, *means = NULL, sum = 0;
  size_t used = 0;
  if (rounds == 0) rounds = DEFAULT_ROUNDS;
  if (!(confidence > 0 && confidence < 1))
    FAIL(err, MEDLEY_ERR_USAGE, "the confidence is %g; it must be above 0 and below 1, as in 0.95", confidence);
  TRY_NEW(kept, count, "a bootstrap");
  TRY_NEW(means, rounds, "a bootstrap");
  for (size_t i = 0; i < count; i++)
    if (!isnan(values[i])) sum += kept[used++] = values[i];
  *out = (estimate){.mean = NAN, .lo = NAN, .hi = NAN, .count = used};
  if (used == 0) goto done;
#pragma omp parallel for schedule(static)
  for (size_t round = 0; round < rounds; round++) {
    rng r;
    round_seed(&r, seed, round);
    means[round] = resampled_mean(kept, used, &r);
  }
  qsort(means, rounds, sizeof *means, double_compare);
  out->mean = sum / (double)used;
  out->lo = quantile(means, rounds, (1 - confidence) / 2);
  out->hi = quantile(means, rounds, (1 + confidence) / 2);
done:
  mem_free(kept);
  mem_free(means);
  return status;
}

/* The sum with a random sign each; one draw of 64 bits gives 64 signs. */
static double flipped_sum(const double *gaps, size_t count, rng *r) {
  double sum = 0;
  for (size_t from = 0; from < count; from += 64) {
    uint64_t signs = rng_next(r);
    size_t to = count - from < 64 ? count : from + 64;
    for (size_t i = from; i < to; i++, signs >>= 1) {
      uint64_t bits;
      double gap;
      memcpy(&bits, &gaps[i], sizeof bits);
      bits ^= signs << 63;
      memcpy(&gap, &bits, sizeof gap);
      sum += gap;
    }
  }
  return sum;
}

medley_status paired_test(const double *a, const double *b, size_t count, size_t rounds, uint64_t seed, double *p_value,
                          medley_error *err) {
  medley_status status = MEDLEY_OK;
  double *gaps = NULL, seen = 0;
  size_t used = 0, extreme = 0;
  if (rounds == 0) rounds = DEFAULT_ROUNDS;
  TRY_NEW(gaps, count, "a paired test");
  for (size_t i = 0; i < count; i++) {
    double gap = a[i] - b[i];
    if (isnan(gap) || gap == 0) continue; /* a zero has no sign to flip */
    gaps[used++] = gap;
    seen += gap;
  }
  /* Sums of the same gaps in another order of signs differ by rounding; what is equal must count as equal. */
  double bar = fabs(seen) * (1 - 1e-12);
#pragma omp parallel for schedule(static) reduction(+ : extreme)
  for (size_t round = 0; round < rounds; round++) {
    rng r;
    round_seed(&r, seed, round);
    extreme += fabs(flipped_sum(gaps, used, &r)) >= bar;
  }
  /* The data as they are count as one more round, so that p is never 0 (Phipson & Smyth 2010). */
  *p_value = (double)(extreme + 1) / (double)(rounds + 1);
done:
  mem_free(gaps);
  return status;
}
