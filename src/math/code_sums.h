/* math/code_sums.h: the inner loop of product quantisation: for every code the sum of the table entries that its bytes
 * name. Thread-safe; none allocates.
 *
 * The codes of a list lie in groups of CODE_GROUP, byte by byte across the group, so that one register takes the same
 * byte of 64 codes: group g begins at 64 * g * parts and is [parts][width], width 64 but for the last group, which
 * holds what is left of `capacity`. A code can be appended beside readers: it has bytes of its own, and no reader loads
 * what lies beyond the count it was given.
 */
#ifndef MATH_CODE_SUMS_H
#define MATH_CODE_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODE_GROUP 64
#define CODE_PARTS_MAX 256 /* so that sums are below 2^24, which a float holds exactly */

/* The same numbers twice, for machines with and without the instruction. 8 bits would be half the work and are too few:
 * the step must suit the widest part, and neighbours that lie close together then fall into one step (recall among 100
 * candidates 0.90 for 0.98, the codes of ivfpq.h). */
typedef struct code_tables {
  uint16_t *entries; /* [parts, 256] */
  uint8_t *planes;   /* [parts, 2, 256] low bytes, then high bytes */
} code_tables;

/* Fills the planes from the entries. */
void code_tables_split(code_tables *t, size_t parts);

/* sums[i] = Σ entries[j][code byte j of entry i] for i < count; codes hold `capacity` entries of `parts` bytes in
 * groups; sums has room for count rounded up to CODE_GROUP. Exact integers, the same on every machine. */
void code_sums(const uint8_t *codes, size_t capacity, size_t count, size_t parts, const code_tables *t, uint32_t *sums);

/* The entries whose estimate is above the bar, in ascending order: at [count], value [count] have room for all. An
 * estimate is v = base + step * sums[i], and then v - norms[i] (subtract) or v * norms[i]. Returns how many; NaN is
 * never above. */
size_t code_estimates(const uint32_t *sums, const float *norms, size_t count, float base, float step, bool subtract,
                      float bar, uint32_t *at, float *value);

/* Writes the code [parts] of an entry into its group, or reads it. */
void code_put(uint8_t *codes, size_t capacity, size_t parts, size_t entry, const uint8_t *code);
void code_get(const uint8_t *codes, size_t capacity, size_t parts, size_t entry, uint8_t *code);

/* The versions, for tests and measurements; NULL when this machine lacks the level: 0 plain, 1 AVX-512 with VBMI. */
typedef void (*code_sums_version)(const uint8_t *codes, size_t capacity, size_t count, size_t parts,
                                  const code_tables *t, uint32_t *sums);
code_sums_version code_sums_at(int level);

#endif
