/* base/rng.c: see base/rng.h. */
#include "base/rng.h"

#include <math.h>

__extension__ typedef unsigned __int128 uint128;

static uint64_t rotate_left(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

void rng_seed(rng *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    r->state[i] = z ^ (z >> 31);
  }
}

uint64_t rng_next(rng *r) {
  uint64_t *s = r->state;
  uint64_t result = rotate_left(s[1] * 5, 7) * 9;
  uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate_left(s[3], 45);
  return result;
}

/* Lemire's multiplication method with rejection. */
uint64_t rng_below(rng *r, uint64_t bound) {
  uint128 m = (uint128)rng_next(r) * bound;
  if ((uint64_t)m < bound) {
    uint64_t threshold = -bound % bound;
    while ((uint64_t)m < threshold) m = (uint128)rng_next(r) * bound;
  }
  return (uint64_t)(m >> 64);
}

double rng_uniform(rng *r) { return (double)(rng_next(r) >> 11) * 0x1.0p-53; }

/* Marsaglia's polar method; the second value is thrown away to keep the state plain. */
double rng_normal(rng *r) {
  for (;;) {
    double x = 2 * rng_uniform(r) - 1, y = 2 * rng_uniform(r) - 1;
    double s = x * x + y * y;
    if (s > 0 && s < 1) return x * sqrt(-2 * log(s) / s);
  }
}

void rng_shuffle(rng *r, uint32_t *values, size_t count) {
  for (size_t i = count; i > 1; i--) {
    size_t j = (size_t)rng_below(r, i);
    uint32_t held = values[i - 1];
    values[i - 1] = values[j];
    values[j] = held;
  }
}
