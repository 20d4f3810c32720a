/* nn/tokenizer_bpe.h: the merging that both kinds of byte pair encoding share. Private to nn/tokenizer*.c. */
#ifndef NN_TOKENIZER_BPE_H
#define NN_TOKENIZER_BPE_H

#include "nn/tokenizer_parts.h"

#define PAIR_RANK_NONE UINT32_MAX

/* The table of pairs: room for `count` of them, then each with its rank and what it becomes; a pair that is put twice
 * keeps the first (or the last, with `replace`). */
medley_status pairs_create(tokenizer_model *m, size_t count, medley_error *err) MEDLEY_CHECK;
void pairs_put(tokenizer_model *m, int32_t left, int32_t right, uint32_t rank, int32_t result, bool replace);
/* PAIR_RANK_NONE when the two do not merge. */
uint32_t pairs_get(const tokenizer_model *m, int32_t left, int32_t right, int32_t *result);

/* Room for the symbols of a piece of `length` bytes, in s->symbols. */
medley_status symbols_reserve(tokenizer_scratch *s, size_t length, medley_error *err) MEDLEY_CHECK;
/* Merges s->symbols [count]: the pair of the lowest rank first, the leftmost among equals, until none is left. The
 * symbols that remain are packed to the front; returns how many. Returns 0 when memory runs out. */
size_t symbols_merge(const tokenizer_model *m, tokenizer_scratch *s, size_t count);

#endif
