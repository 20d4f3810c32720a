/* math/vnni.h: the int8 products of AVX-512 for kernels that keep many sums in registers. x86-64 alone. */
#ifndef MATH_VNNI_H
#define MATH_VNNI_H

#include <immintrin.h>

#include "math/clones.h"

/* sum + the products of four unsigned with four signed bytes in each lane. In assembly, because gcc 12 copies the sums
 * of its own intrinsic to other registers and, lacking some, to memory. */
VECTOR_TARGET_VNNI static inline VECTOR_INLINE __m512i vnni_dot(__m512i sum, __m512i codes, __m512i weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights));
  return sum;
}

#endif
