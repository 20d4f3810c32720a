/* nn/tokenizer_trie.c: see nn/tokenizer_trie.h.
 *
 * Built from sorted keys, range by range: the keys that share a prefix are a range, its different next bytes are the
 * children, and they go to the first free place where all of them fit. A place counts as full once most of what follows
 * it is taken (the rule of Darts, T. Kudo), which keeps the search short for a small loss of room. */
#include "nn/tokenizer_trie.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct range { /* keys[begin, end) share the `depth` bytes that lead to node */
  size_t begin, end;
  uint32_t depth;
  int32_t node;
} range;

typedef struct builder {
  trie *t;
  const trie_key *keys;
  range *stack;
  size_t stack_count, stack_capacity;
  size_t capacity;
  size_t search; /* nothing below is worth looking at */
} builder;

static int key_compare(const void *a, const void *b) {
  const trie_key *x = a, *y = b;
  uint32_t shorter = x->length < y->length ? x->length : y->length;
  int order = shorter > 0 ? memcmp(x->bytes, y->bytes, shorter) : 0;
  if (order != 0) return order;
  if (x->length != y->length) return x->length < y->length ? -1 : 1;
  return x->value < y->value ? -1 : x->value > y->value;
}

static bool node_is_free(const trie_node *node) { return node->parent < 0; }

static medley_status builder_reserve(builder *b, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  trie *t = b->t;
  if (count > INT32_MAX / 2) FAIL(err, MEDLEY_ERR_LIMIT, "the tokens' bytes need a table of %zu nodes", count);
  TRY_GROW(t->nodes, b->capacity, count, "a trie of tokens");
  for (; t->count < count; t->count++) t->nodes[t->count] = (trie_node){.base = 0, .parent = -1, .value = -1};
done:
  return status;
}

/* The first base at which every label [count, ascending] finds a free node. */
static medley_status builder_place(builder *b, const unsigned char *labels, size_t count, size_t *base,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t first = (size_t)labels[0] + 1, at = b->search > first ? b->search : first, taken = 0, start = at;
  for (;; at++) {
    TRY(builder_reserve(b, at + 257, err));
    if (!node_is_free(&b->t->nodes[at])) {
      taken++;
      continue;
    }
    size_t fits = 1;
    while (fits < count && node_is_free(&b->t->nodes[at - first + labels[fits] + 1])) fits++;
    if (fits == count) break;
  }
  if (taken * 20 >= (at - start + 1) * 19) b->search = at;
  *base = at - first;
done:
  return status;
}

/* Takes the key that ends at the range's node off its front, then lays out the children. */
static medley_status builder_expand(builder *b, range r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char labels[256];
  size_t count = 0, base;
  if (r.begin < r.end && b->keys[r.begin].length == r.depth) {
    b->t->nodes[r.node].value = r.depth > 0 ? b->keys[r.begin].value : -1;
    while (r.begin < r.end && b->keys[r.begin].length == r.depth) r.begin++;
  }
  if (r.begin == r.end) goto done;
  for (size_t i = r.begin; i < r.end; i++) {
    unsigned char label = (unsigned char)b->keys[i].bytes[r.depth];
    if (count == 0 || labels[count - 1] != label) labels[count++] = label;
  }
  TRY(builder_place(b, labels, count, &base, err));
  b->t->nodes[r.node].base = (int32_t)base;
  TRY_GROW(b->stack, b->stack_capacity, b->stack_count + count, "a trie of tokens");
  for (size_t c = 0, begin = r.begin; c < count; c++) {
    size_t end = begin;
    while (end < r.end && (unsigned char)b->keys[end].bytes[r.depth] == labels[c]) end++;
    int32_t child = (int32_t)(base + labels[c] + 1);
    b->t->nodes[child].parent = r.node;
    b->stack[b->stack_count++] = (range){begin, end, r.depth + 1, child};
    begin = end;
  }
done:
  return status;
}

medley_status trie_build(trie *t, trie_key *keys, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *t = (trie){0};
  builder b = {.t = t, .keys = keys, .search = 1};
  if (count == 0) return MEDLEY_OK;
  qsort(keys, count, sizeof *keys, key_compare);
  TRY(builder_reserve(&b, 512, err));
  t->nodes[0].parent = 0;
  TRY_GROW(b.stack, b.stack_capacity, 1, "a trie of tokens");
  b.stack[b.stack_count++] = (range){0, count, 0, 0};
  while (b.stack_count > 0) TRY(builder_expand(&b, b.stack[--b.stack_count], err));
done:
  mem_free(b.stack);
  if (status != MEDLEY_OK) trie_deinit(t);
  return status;
}

void trie_deinit(trie *t) {
  mem_free(t->nodes);
  *t = (trie){0};
}
