/* recommend/rerank.h: trees that correct the order of the first items of a blend's weighted sum.
 *
 * The sum is the start that the trees were boosted from, so what they say is added to it: score(i) = Σ_p w_p z_p(i) +
 * f(x(i)) − E f. A row x tells of the user and the item: each part's standardised score and its place among all items,
 * how popular and how old the item is, how much of the history is of its category, how long the history is and how
 * popular what it holds, and what else is known of the person, a field each (data/traits.h). Shapley values of f share
 * the correction out among these; those of a part's score and place go to the part, the others to the part "context".
 * So parts still add up.
 *
 * Only the first RERANK_DEPTH warm items are corrected, since the trees have learned from such; strangers' lists are
 * left as they are.
 */
#ifndef RECOMMEND_RERANK_H
#define RECOMMEND_RERANK_H

#include "recommend/trees.h"
#include "recommend/votes.h"

#define RERANK_DEPTH 100
#define RERANK_PARTS_MAX 24
#define RERANK_CONTEXT 5 /* features beside two a part */
#define RERANK_FIELDS_MAX 8
#define RERANK_STEPS 20 /* that popularity and age are told in */

typedef struct rerank {
  trees trees; /* features: score and place of part 0, of part 1, …, then the context, then fields of traits */
  uint32_t part_count;
  uint32_t part[RERANK_PARTS_MAX]; /* [part_count] which row of the blend */
  uint32_t item_count;
  const float *popularity;  /* [items] share of items that fewer people chose, in steps */
  const float *age;         /* [items] share of items that came later, in steps; -1: not known */
  const uint32_t *category; /* [items] 0: not known */
  uint32_t trait_count, field_count;
  const uint32_t *trait_field; /* [trait_count] ascending, below field_count */
  void *owned[4];
} rerank;

static inline uint32_t rerank_features(const rerank *r) { return 2 * r->part_count + RERANK_CONTEXT + r->field_count; }

void rerank_free(rerank *r);

/* What is known of items, from the number of users each has [items], when it appeared (STORE_TIME_UNKNOWN or NULL: not
 * known), its category by name (NULL array or "": not known), and how people are told apart (NULL: they are not). Trees
 * and parts are the caller's to add. */
medley_status rerank_create(const float *users, const int64_t *time_s, const char *const *category, uint32_t item_count,
                            const traits *traits, rerank **out, medley_error *err) MEDLEY_CHECK;

/* What a row says of the user. */
typedef struct rerank_reader {
  const history *h;
  float length, popularity;
  float field[RERANK_FIELDS_MAX]; /* which of the field's traits, the first of several; -1: none */
} rerank_reader;
rerank_reader rerank_reader_make(const rerank *r, const history *h);

/* scores and places [part_count] of one item → row [rerank_features]. */
void rerank_row(const rerank *r, const rerank_reader *reader, uint32_t item, const float *scores, const float *places,
                float *row);

/* What is added to the first items of a sum, and whose share of it is whose. */
typedef struct rerank_list {
  size_t count;
  uint32_t item[RERANK_DEPTH];
  float value[RERANK_DEPTH];
  float share[RERANK_DEPTH][RERANK_PARTS_MAX + 1]; /* [part_count] of each part, then of the context */
} rerank_list;

/* rows [blend parts, items]: standardised scores of each part; cold [items]: these are left out, as are those of the
 * history; total [items]: the sum. Without `explain` the shares are not found. Thread-safe; scratch belongs to the
 * thread. */
medley_status rerank_correct(const rerank *r, const history *h, const uint8_t *cold, const float *rows,
                             const float *total, bool explain, recommender_scratch *scratch, rerank_list *out,
                             medley_error *err) MEDLEY_CHECK;

medley_status rerank_save(const rerank *r, safetensors_writer *w, const char *prefix, medley_error *err) MEDLEY_CHECK;
/* part_count: of the blend. *out NULL when the file has none. Arrays are borrowed from s. */
medley_status rerank_load(const safetensors *s, const char *prefix, uint32_t item_count, uint32_t part_count,
                          rerank **out, medley_error *err) MEDLEY_CHECK;

#endif
