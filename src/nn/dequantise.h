/* nn/dequantise.h: GGUF's quantised blocks into float32.
 *
 * The layouts are those of ggml (github.com/ggml-org/ggml, ggml-common.h) and of the reference in the Python package
 * `gguf`; all numbers are little-endian and d, m stand for half-precision numbers. Results equal that reference bit for
 * bit where the compiler does not fuse multiplications into additions. Thread-safe; nothing here needs alignment.
 */
#ifndef NN_DEQUANTISE_H
#define NN_DEQUANTISE_H

#include <stddef.h>

/* `count` blocks at `blocks` into out [count * values of a block]. */
typedef void dequantise_blocks(const unsigned char *blocks, size_t count, float *out);

/* 32 values a block: x = d (q - 8), d q + m, d (q - 16), d q + m, d q */
dequantise_blocks dequantise_q4_0, dequantise_q4_1, dequantise_q5_0, dequantise_q5_1, dequantise_q8_0;
/* 256 values a block in 8 parts (Q6_K: 16 parts), each with an integer scale of its own: x = d s q - m t, d s (q - 32)
 */
dequantise_blocks dequantise_q4_k, dequantise_q5_k, dequantise_q6_k;

#endif
