/* math/clones.h: one kernel compiled for several instruction sets, the best one the machine has taken at each call.
 *
 * Not target_clones: gcc has no clone for "AVX2 with FMA" (a comma separates clones, arch=haswell asks for that very
 * model, not for its features), clang 14 barely knows the attribute, and its ifuncs run before the sanitisers are up. A
 * switch over
 * __builtin_cpu_supports is a load and a predictable branch, works in every build, and lets the tests reach every
 * version.
 */
#ifndef MATH_CLONES_H
#define MATH_CLONES_H

#include <stdbool.h>

/* What the machine can do; each level holds those below it. */
typedef enum vector_level {
  VECTOR_BASELINE = 0,
  VECTOR_AVX2 = 1,
  VECTOR_AVX512 = 2,
  VECTOR_LEVEL_COUNT = 3
} vector_level;

#if defined(__x86_64__) && defined(__GNUC__)
#define VECTOR_TARGET_AVX2 __attribute__((target("avx2,fma,f16c")))
#define VECTOR_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define VECTOR_TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")))

static inline vector_level vector_level_get(void) {
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return VECTOR_AVX512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? VECTOR_AVX2 : VECTOR_BASELINE;
}
/* The int8 products of AVX-512, which not every machine of that level has. */
static inline bool vector_has_vnni(void) {
  return vector_level_get() == VECTOR_AVX512 && __builtin_cpu_supports("avx512vnni");
}
#else
#define VECTOR_TARGET_AVX2
#define VECTOR_TARGET_AVX512
static inline vector_level vector_level_get(void) { return VECTOR_BASELINE; }
static inline bool vector_has_vnni(void) { return false; }
#endif

/* Defines `linkage type name parameters` (linkage: static or nothing), which runs the always-inlined `name_body
 * arguments` at the machine's level: static inline VECTOR_INLINE void relu_body(float *x, size_t count) { _Pragma("omp
 * simd") for (...) ... } VECTOR_CLONES(, void, relu, (float *x, size_t count), (x, count)) Loops need `omp simd` (with
 * reduction where they sum): -O2 alone leaves most of them scalar. */
#define VECTOR_INLINE __attribute__((always_inline))
/* Before a loop of four rounds over an array that must stay in registers: gcc's -O2 leaves it a loop, over memory. */
#if defined(__clang__)
#define KERNEL_UNROLL _Pragma("unroll")
#else
#define KERNEL_UNROLL _Pragma("GCC unroll 4")
#endif
#define VECTOR_CLONES(linkage, type, name, parameters, arguments)                             \
  VECTOR_TARGET_AVX512 static type name##_avx512 parameters { return name##_body arguments; } \
  VECTOR_TARGET_AVX2 static type name##_avx2 parameters { return name##_body arguments; }     \
  linkage type name parameters {                                                              \
    switch (vector_level_get()) {                                                             \
      case VECTOR_AVX512: return name##_avx512 arguments;                                     \
      case VECTOR_AVX2: return name##_avx2 arguments;                                         \
      default: return name##_body arguments;                                                  \
    }                                                                                         \
  }

#endif
