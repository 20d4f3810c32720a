/* encode/text_lsa.h: what the two halves of text.lsa share: text_lsa_fit.c learns the model, text_lsa.c uses and keeps
 * it. */
#ifndef ENCODE_TEXT_LSA_H
#define ENCODE_TEXT_LSA_H

#include "base/map.h"
#include "encode/encoder.h"
#include "encode/preparer_pool.h"

#define TEXT_LSA_DIM_DEFAULT 512
#define TEXT_LSA_DIM_MAX 2048
#define TEXT_LSA_WORDS_MAX 60000
#define TEXT_LSA_GRAMS_MAX 30000

/* What fit learns. */
typedef struct lsa_model {
  size_t term_count, word_count, dim; /* words come first */
  strmap terms;                       /* → 0 … term_count-1 */
  uint8_t *bytes;                     /* all terms, one after the other */
  size_t byte_count;
  int64_t *offsets;  /* [term_count + 1] into bytes */
  float *idf;        /* [term_count] */
  float *projection; /* [term_count, dim] */
} lsa_model;

typedef struct text_lsa {
  encoder base;
  uint64_t seed;
  size_t dim_wanted;
  lsa_model model;
  preparer_pool *pool;
} text_lsa;

typedef struct weighted_term {
  uint32_t id;
  float weight;
} weighted_term;

/* The row of weights of a text whose terms are ids [count], with repeats, sorted here in place. row has room for count;
 * returns how many distinct terms there are, ascending by id. Needs terms' idf and word_count. */
size_t text_lsa_weigh(const lsa_model *m, uint32_t *ids, size_t count, weighted_term *row);

/* encoder_kind.fit */
medley_status text_lsa_fit(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                           medley_error *err);
void lsa_model_deinit(lsa_model *m);
int text_lsa_compare_ids(const void *a, const void *b);

#endif
