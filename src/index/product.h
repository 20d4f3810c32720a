/* index/product.h: the product quantiser (Jégou, Douze & Schmid 2011): a vector is cut into parts, and each part is
 * replaced by the nearest of 256 centres, so that a code is a byte a part. Scores between a query and coded vectors are
 * sums of a table per query ("asymmetric distance computation"): the query itself is not rounded.
 *
 * Threads: a trained quantiser is read by any number.
 */
#ifndef INDEX_PRODUCT_H
#define INDEX_PRODUCT_H

#include <medley/progress.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "math/code_sums.h"

#define PRODUCT_CODES 256 /* centres of a part */

typedef struct product {
  size_t parts, part_dim; /* a vector has parts * part_dim dimensions */
  float *codebook;        /* [parts, part_dim, 256]: a dimension of all centres side by side, for whole registers */
  float *half;            /* [parts, 256]: |centre|² / 2 */
} product;

/* Zeros; product_deinit frees. */
medley_status product_init(product *p, size_t parts, size_t part_dim, medley_error *err) MEDLEY_CHECK;
void product_deinit(product *p);

/* Centres by k-means of x [count, parts * part_dim], count > 0. Spreads over threads. On error the quantiser is
 * undefined. */
medley_status product_train(product *p, const float *x, size_t count, uint64_t seed, const medley_progress *progress,
                            medley_error *err) MEDLEY_CHECK;
/* Fills `half` after the codebook was written by other means. */
void product_prepare(product *p);

void product_encode(const product *p, const float *x, uint8_t *code);   /* x [parts * part_dim], code [parts] */
void product_decode(const product *p, const uint8_t *code, float *out); /* out [parts * part_dim] */

/* tables [parts, 256]: the dot product of each part of the query with each centre. */
void product_tables(const product *p, const float *query, float *tables);
/* The tables as integers, for code_sums: Σ tables[j][code[j]], the dot product with the decoded vector, is about *low +
 * *step * the sum, at most parts * *step / 2 off. */
void product_tables_round(const product *p, const float *tables, code_tables *rounded, float *low, float *step);

#endif
