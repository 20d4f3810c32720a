/* index/ivfpq.h: the kind "ivfpq" inside: inverted lists of product codes (Jégou, Douze & Schmid 2011), for sets whose
 * vectors need not fit in memory. Read in this order: this, ivfpq_train.c, ivfpq_lists.c, ivfpq_insert.c,
 * ivfpq_search.c, ivfpq_repair.c, ivfpq_file.c; ivfpq.c is the row of the table of kinds.
 *
 * k-means cuts the space into lists; a row is in the list of its nearest centre, as a product code of what lies between
 * the centre and the row. A search takes the lists whose centres are nearest to the query (`breadth` of them), sums
 * table entries for every code in them, and compares the best with the full rows. So of a row only code, length and
 * slot (code_bytes + 8 bytes) must be at hand; the rows themselves may be pages of the index file that are read when
 * wanted.
 *
 * A score is estimated from the decoded row x̂. Two corrections make the estimate far better than x̂ alone, at 4 bytes
 * a row (the `norm` of an entry): for the dot product and the cosine x̂ is stretched to the length of the row; for L2
 * the distance to x̂ is taken, not 2 q·x̂ - |x|². On patches of a convolutional network (128 dimensions, 16 bytes) 98 %
 * of the ten nearest are then among the best hundred, with plain x̂ 80 %.
 *
 * Below IVF_TRAIN_ROWS rows there is nothing to train from: the model then has one list without codes, and searches are
 * exact. It is trained when there are enough, and anew when there are IVF_GROWTH times as many as it was trained from.
 *
 * Threads: one writer, any number of readers that take no lock. A reader loads the model, then a list's block, then its
 * count, each with acquire; entries below the count do not change. What the writer replaces (a block that grows or is
 * swept of dead entries, the whole model when trained anew) goes to the guard of the rows, which frees it when no
 * reader can hold it any more.
 */
#ifndef INDEX_IVFPQ_H
#define INDEX_IVFPQ_H

#include "index/index.h"
#include "index/product.h"
#include "index/rotation.h"

#define IVF_TRAIN_ROWS 1000
#define IVF_GROWTH 4
#define IVF_LISTS_MAX ((size_t)1 << 20)
#define IVF_CODE_BYTES_MAX 256
#define IVF_DIM_KEPT 256                   /* dimensions that are quantised, of rows with more */
#define IVF_DECODED_MAX (2 * IVF_DIM_KEPT) /* floats of a row as it is quantised: parts * dimensions of a part */
#define IVF_BREADTH_DEFAULT 16

/* The entries of a list. */
typedef struct ivf_block {
  uint32_t capacity;      /* a multiple of IVF_ENTRIES, or 0 */
  _Atomic uint32_t count; /* stored with release */
  uint8_t *codes;         /* in the groups of math/code_sums.h */
  uint32_t *slots;        /* [capacity] */
  float *norms;           /* [capacity] for the dot product and the cosine the factor |x| / |x̂|, for L2 |x̂|² / 2 */
  bool mapped;            /* the arrays lie in the index file */
} ivf_block;
#define IVF_ENTRIES 16 /* capacities are multiples of it */

/* Everything that training decides, and the lists. */
typedef struct ivf_model {
  size_t lists;
  size_t code_bytes;   /* 0: not trained */
  size_t trained_rows; /* there were as many when it was trained */
  rotation rotation;
  product product;
  float *centres;              /* [lists, rotation.out_dim] */
  float *half;                 /* [lists] |centre|² / 2 */
  _Atomic(ivf_block *) *block; /* [lists], never NULL */
  ivf_block *mapped;           /* [lists] those of an opened file, NULL when there was none */
  _Atomic size_t bytes;        /* of our own memory */
  size_t entries;              /* in all lists, dead ones too; the writer's */
} ivf_model;

typedef struct ivf_index {
  index_structure base;
  index_options options;
  _Atomic(ivf_model *) model;
  /* The writer's: */
  size_t sweep_list;  /* where repair goes on */
  size_t sweeps_left; /* lists still to be looked at since the last removal */
  size_t untrainable; /* training failed with so many rows */
} ivf_index;

static inline ivf_model *ivf_model_now(const ivf_index *x) {
  return atomic_load_explicit(&((ivf_index *)x)->model, memory_order_acquire);
}
static inline bool ivf_trained(const ivf_model *m) { return m->code_bytes > 0; }
static inline ivf_block *ivf_block_now(const ivf_model *m, size_t list) {
  return atomic_load_explicit(&m->block[list], memory_order_acquire);
}
static inline uint32_t ivf_block_count(const ivf_block *b) {
  return atomic_load_explicit(&((ivf_block *)b)->count, memory_order_acquire);
}

/* ---- ivfpq_train.c ---- */

/* How many lists and code bytes for so many rows, as the options say or by default. */
size_t ivf_lists_for(const index_options *o, size_t rows);
size_t ivf_code_bytes_for(const index_options *o, size_t dim);
/* Memory for a model; code_bytes 0: lists without codes. with_blocks: the lists are there and empty, otherwise `block`
 * is NULL. */
medley_status ivf_model_create(size_t dim, size_t lists, size_t code_bytes, bool with_blocks, ivf_model **out,
                               medley_error *err) MEDLEY_CHECK;
void ivf_model_free(void *model);
/* A model trained from a sample of the rows in slots [count]; its lists are empty. */
medley_status ivf_train(const rows *r, const index_options *o, const uint32_t *slots, size_t count,
                        const medley_progress *progress, ivf_model **out, medley_error *err) MEDLEY_CHECK;
/* The rows as they are quantised: out [count, rotation.out_dim]; lengths [count] as they were, or NULL. */
medley_status ivf_rows_rotated(const rows *r, const rotation *turn, const uint32_t *slots, size_t count, float *out,
                               float *lengths, medley_error *err) MEDLEY_CHECK;

/* ---- ivfpq_lists.c ---- */

/* An entry on its way into a list. */
typedef struct ivf_batch {
  const uint32_t *slots; /* [count] */
  uint32_t *list;        /* [count] */
  float *norms;          /* [count] */
  uint8_t *codes;        /* [count, code_bytes] row-major */
  size_t count;
  size_t still_to_come; /* rows after this batch: lists grow with room for their share */
} ivf_batch;

size_t ivf_block_bytes(size_t capacity, size_t code_bytes);
ivf_block *ivf_block_create(size_t capacity, size_t code_bytes); /* NULL when memory runs out */
/* Appends all of the batch, or nothing when memory runs out. */
medley_status ivf_append(const rows *r, ivf_model *m, const ivf_batch *batch, medley_error *err) MEDLEY_CHECK;
/* Puts a block in a list's place and retires the one that was there. */
void ivf_block_replace(const rows *r, ivf_model *m, size_t list, ivf_block *block);

/* ---- ivfpq_repair.c ---- */

/* All lists are to be looked at for dead entries. */
void ivf_sweep_again(ivf_index *x);

/* ---- ivfpq.c ---- */

/* Takes the model over when it succeeds. */
medley_status ivf_index_create(const rows *rows, const index_options *o, ivf_model *model, index_structure **out,
                               medley_error *err) MEDLEY_CHECK;

/* ---- the functions of the kind ---- */

medley_status ivf_insert(index_structure *s, uint32_t *slots, size_t count, const medley_progress *progress,
                         size_t *linked, medley_error *err);
void ivf_remove(index_structure *s, uint32_t slot);
medley_status ivf_repair(index_structure *s, size_t budget, uint32_t *out, size_t *freed, medley_error *err);
medley_status ivf_check(const index_structure *s, index_check *out, medley_error *err);
medley_status ivf_search(const index_structure *s, const index_query *q, scored *out, size_t *found,
                         index_effort *effort, medley_error *err);
medley_status ivf_search_batch(const index_structure *s, const index_query *q, const row_query *queries, size_t count,
                               scored *out, size_t *found, index_effort *effort, medley_error *err);
medley_status ivf_write(const index_structure *s, struct index_file_writer *w, medley_error *err);
medley_status ivf_open(const index_opening *from, index_structure **out, medley_error *err);

#endif
