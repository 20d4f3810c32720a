/* nn/tokenizer_trie.h: which keys begin at this byte? A double-array trie (Aoe 1989): one array read for each byte of
 * text.
 *
 * Carries WordPiece's longest match, the unigram model's lattice and the search for added tokens. */
#ifndef NN_TOKENIZER_TRIE_H
#define NN_TOKENIZER_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A node's child by byte b is nodes[base + b + 1], if that one's parent is the node. */
typedef struct trie_node {
  int32_t base, parent, value; /* value: of the key that ends here, -1 when none does */
} trie_node;

/* Zero-initialise: an empty trie. Reading is thread-safe. */
typedef struct trie {
  trie_node *nodes;
  size_t count;
} trie;

typedef struct trie_key {
  const char *bytes;
  uint32_t length;
  int32_t value; /* >= 0 */
} trie_key;

/* keys [count] are sorted in place and not kept; of equal keys the one that came first counts, empty ones do not. */
medley_status trie_build(trie *t, trie_key *keys, size_t count, medley_error *err) MEDLEY_CHECK;
void trie_deinit(trie *t);

/* The node below `node` (0: the root) by byte b, or -1. */
static inline int32_t trie_step(const trie *t, int32_t node, unsigned char b) {
  size_t child = (size_t)t->nodes[node].base + b + 1;
  return child < t->count && t->nodes[child].parent == node ? (int32_t)child : -1;
}

/* The longest key that begins at bytes, whose value it returns (-1 when there is none) with its length. */
static inline int32_t trie_longest(const trie *t, const char *bytes, size_t length, size_t *key_length) {
  int32_t node = 0, value = -1;
  if (t->count == 0) return -1;
  for (size_t i = 0; i < length && (node = trie_step(t, node, (unsigned char)bytes[i])) >= 0; i++)
    if (t->nodes[node].value >= 0) {
      value = t->nodes[node].value;
      *key_length = i + 1;
    }
  return value;
}

#endif
