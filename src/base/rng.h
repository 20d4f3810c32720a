/* base/rng.h: xoshiro256** (Blackman & Vigna 2018), seeded through splitmix64. The same seed gives the same numbers on
 * every machine. Not for secrets: use libsodium there. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct rng {
  uint64_t state[4];
} rng;

void rng_seed(rng *r, uint64_t seed);
uint64_t rng_next(rng *r);
uint64_t rng_below(rng *r, uint64_t bound); /* uniform in [0, bound), unbiased; bound > 0 */
double rng_uniform(rng *r);                 /* [0, 1) */
double rng_normal(rng *r);                  /* mean 0, variance 1 */
/* Fisher–Yates over values[0..count). */
void rng_shuffle(rng *r, uint32_t *values, size_t count);

#endif
