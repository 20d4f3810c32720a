/* math/row_products.h: a query against one row and against four rows, for rows of floats or halves. index/row_kernels.c
 * includes this file once a level, after lanes.h; int8_products.h is the same for int8 rows.
 *
 * Four rows at once for two reasons: a register of the query is loaded once for four, and, what counts more, the loads
 * of four rows that lie anywhere in memory are under way together. Two accumulators a row hide the latency of the
 * multiply-add without running out of registers (AVX2 has sixteen); one row takes the same two, though four would be
 * faster, because then a row has the very same score alone and among four.
 */

KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes) KERNEL(row_load)(const void *row, size_t at, bool half) {
  return half ? KERNEL(lanes_half)((const uint16_t *)row + at) : LANES((const float *)row + at);
}
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes)
    KERNEL(row_last)(const void *row, size_t at, size_t count, bool half) {
  return half ? KERNEL(lanes_half_last)(row, at, count) : KERNEL(lanes_last)(row, at, count);
}

KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes)
    KERNEL(row_add)(KERNEL(lanes) sum, KERNEL(lanes) query, KERNEL(lanes) row, bool l2) {
  KERNEL(lanes) gap = query - row;
  return l2 ? KERNEL(lanes_multiply_add)(sum, gap, gap) : KERNEL(lanes_multiply_add)(sum, query, row);
}

/* stream: the row is one of many side by side, read once (lanes_stream). */
KERNEL_TARGET static inline VECTOR_INLINE KERNEL(lanes)
    KERNEL(row_load_one)(const void *row, size_t at, bool half, bool stream) {
  return stream ? KERNEL(lanes_stream)((const float *)row + at) : KERNEL(row_load)(row, at, half);
}
KERNEL_TARGET static inline VECTOR_INLINE float KERNEL(row_product)(const float *query, const void *row, size_t dim,
                                                                    bool half, bool l2, bool stream) {
  KERNEL(lanes) even = {0}, odd = {0};
  size_t i = 0;
  for (; i + 2 * KERNEL_LANES <= dim; i += 2 * KERNEL_LANES) {
    even = KERNEL(row_add)(even, LANES(query + i), KERNEL(row_load_one)(row, i, half, stream), l2);
    odd = KERNEL(row_add)(odd, LANES(query + i + KERNEL_LANES),
                          KERNEL(row_load_one)(row, i + KERNEL_LANES, half, stream), l2);
  }
  if (i + KERNEL_LANES <= dim) {
    even = KERNEL(row_add)(even, LANES(query + i), KERNEL(row_load_one)(row, i, half, stream), l2);
    i += KERNEL_LANES;
  }
  if (i < dim) {
    KERNEL(lanes) part = KERNEL(lanes_last)(query, i, dim - i);
    odd = KERNEL(row_add)(odd, part, KERNEL(row_last)(row, i, dim - i, half), l2);
  }
  return KERNEL(lanes_total)(even + odd);
}

KERNEL_TARGET static inline VECTOR_INLINE void KERNEL(row_products)(const float *query, const void *const row[4],
                                                                    size_t dim, bool half, bool l2, float out[4]) {
  KERNEL(lanes) even[4] = {{0}}, odd[4] = {{0}};
  size_t i = 0;
  for (; i + 2 * KERNEL_LANES <= dim; i += 2 * KERNEL_LANES) {
    KERNEL(lanes) q = LANES(query + i), next = LANES(query + i + KERNEL_LANES);
    KERNEL_UNROLL for (int r = 0; r < 4; r++) even[r] =
        KERNEL(row_add)(even[r], q, KERNEL(row_load)(row[r], i, half), l2);
    KERNEL_UNROLL for (int r = 0; r < 4; r++) odd[r] =
        KERNEL(row_add)(odd[r], next, KERNEL(row_load)(row[r], i + KERNEL_LANES, half), l2);
  }
  if (i + KERNEL_LANES <= dim) {
    KERNEL(lanes) q = LANES(query + i);
    KERNEL_UNROLL for (int r = 0; r < 4; r++) even[r] =
        KERNEL(row_add)(even[r], q, KERNEL(row_load)(row[r], i, half), l2);
    i += KERNEL_LANES;
  }
  if (i < dim) {
    KERNEL(lanes) q = KERNEL(lanes_last)(query, i, dim - i);
    KERNEL_UNROLL for (int r = 0; r < 4; r++) odd[r] =
        KERNEL(row_add)(odd[r], q, KERNEL(row_last)(row[r], i, dim - i, half), l2);
  }
  KERNEL_UNROLL for (int r = 0; r < 4; r++) even[r] += odd[r];
  KERNEL(lanes_totals)(even, out);
}
