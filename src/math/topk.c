/* math/topk.c: the k best of many scores, with a heap of k whose root is the worst kept.
 *
 * Almost every score of a long list is worse than the root, so the list is scanned in blocks that are dropped with one
 * vector comparison; only the few that beat the root touch the heap. Since indexes ascend, a later equal score never
 * wins.
 */
#include <math.h>

#include "math/clones.h"
#include "math/vector.h"

enum { BLOCK = 32 };

static inline VECTOR_INLINE int block_beats_body(const float *scores, float bar) {
  int any = 0;
  _Pragma("omp simd reduction(|:any)") for (int i = 0; i < BLOCK; i++) any |= scores[i] > bar;
  return any;
}
VECTOR_CLONES(static, int, block_beats, (const float *scores, float bar), (scores, bar))

/* True when a belongs behind b. */
static int worse(scored a, scored b) { return a.score < b.score || (a.score == b.score && a.index > b.index); }

static void sift_down(scored *heap, size_t count, size_t at) {
  scored moved = heap[at];
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && worse(heap[child + 1], heap[child])) child++;
    if (!worse(heap[child], moved)) break;
    heap[at] = heap[child];
  }
  heap[at] = moved;
}

static void sift_up(scored *heap, size_t at) {
  scored moved = heap[at];
  for (; at > 0 && worse(moved, heap[(at - 1) / 2]); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
  heap[at] = moved;
}

/* Takes scores[from, to) into the heap; NaN and -INFINITY never beat the bar. */
static size_t heap_offer(const float *scores, size_t from, size_t to, const uint8_t *skip, size_t k, scored *heap,
                         size_t kept) {
  for (size_t i = from; i < to; i++) {
    float bar = kept < k ? -INFINITY : heap[0].score;
    if (!(scores[i] > bar) || (skip != NULL && skip[i])) continue;
    if (kept < k) {
      heap[kept] = (scored){scores[i], (uint32_t)i};
      sift_up(heap, kept++);
    } else {
      heap[0] = (scored){scores[i], (uint32_t)i};
      sift_down(heap, kept, 0);
    }
  }
  return kept;
}

/* The worst goes to the end again and again: best first, in place. */
static void heap_sort(scored *heap, size_t count) {
  for (size_t last = count; last-- > 1;) {
    scored worst = heap[0];
    heap[0] = heap[last];
    heap[last] = worst;
    sift_down(heap, last, 0);
  }
}

size_t top_k(const float *scores, size_t count, const uint8_t *skip, size_t k, scored *out) {
  if (k == 0) return 0;
  size_t i = 0, kept = 0;
  for (; i + BLOCK <= count; i += BLOCK)
    if (kept < k || block_beats(scores + i, out[0].score)) kept = heap_offer(scores, i, i + BLOCK, skip, k, out, kept);
  kept = heap_offer(scores, i, count, skip, k, out, kept);
  heap_sort(out, kept);
  return kept;
}

static inline VECTOR_INLINE uint32_t place_body(const float *scores, size_t count, size_t at) {
  uint32_t ahead = 0;
  float mine = scores[at];
  if (!(mine > -INFINITY)) return (uint32_t)count;
  _Pragma("omp simd reduction(+:ahead)") for (size_t i = 0; i < at; i++) ahead += scores[i] >= mine;
  _Pragma("omp simd reduction(+:ahead)") for (size_t i = at + 1; i < count; i++) ahead += scores[i] > mine;
  return ahead;
}
VECTOR_CLONES(static, uint32_t, place, (const float *scores, size_t count, size_t at), (scores, count, at))

uint32_t top_place(const float *scores, size_t count, size_t at) { return place(scores, count, at); }
