/* recommend/bpr_sgd.h: what bpr and vbpr share: stochastic gradient ascent on triples of a person, an item they chose
 * and one they did not, and the model that answers from a history.
 *
 * Rendle, Freudenthaler, Gantner & Schmidt-Thieme, "BPR: Bayesian personalized ranking from implicit feedback", UAI
 * 2009: maximise Σ_(u,i,j) ln σ(x_ui − x_uj) − λ ‖Θ‖², one triple drawn at a time.
 *
 * Threads. Lock-free updates (hogwild) give another model on every run. Here people and items are each cut into as many
 * groups as there are threads (Gemulla et al., "Large-scale matrix factorization with distributed stochastic gradient
 * descent", KDD 2011): in round r thread t draws from the events between people's group t and items' group t + r, and
 * negatives from that group of items, so that no two threads touch a row. Items' groups are drawn anew for every epoch,
 * so all pairs of items meet. The same seed and number of threads give the same bits.
 */
#ifndef RECOMMEND_BPR_SGD_H
#define RECOMMEND_BPR_SGD_H

#include "recommend/fold_in.h"

#define BPR_THREADS_MAX 64
#define BPR_DRAWS_MAX 16

typedef struct bpr_event {
  uint32_t user, item;
  float weight;
} bpr_event;

/* A row of a person or an item: a bias, `dim` factors, zeros up to `free`; then, where content is mapped, a bias of the
 * content, `tail` factors of it, zeros up to width. People have a one where items have a bias. */
typedef struct bpr_training {
  const interactions *train;
  size_t dim, tail, free, width;
  float *users, *items;  /* [users, width], [items, width] */
  float *gradients;      /* [items, width − free] added up for what tail factors are made of; NULL without a tail */
  float rate, shrinkage; /* of a step; λ */
  float popular;         /* share of negatives drawn as often as they are chosen; the others are drawn evenly */
  int draws;             /* negatives drawn, of which the one with the greatest score is taken */
  uint32_t *keep;        /* [items] chance, of 2³², that a drawn event of the item is trained on; NULL: all are */
  uint64_t seed;
  size_t threads;
  uint32_t *warm; /* [warm_count] items somebody chose, in groups for this epoch */
  size_t warm_count, group_start[BPR_THREADS_MAX + 1];
  uint16_t *group;           /* [items] */
  bpr_event *events, *order; /* [count] by group of people; and in an epoch by group of items, too */
  size_t people_start[BPR_THREADS_MAX + 1];
  size_t strata[BPR_THREADS_MAX][BPR_THREADS_MAX + 1]; /* where each begins in order */
  uint64_t *sieve;                                     /* a bit for the hash of each event: most that was not chosen is
                                                          known not to be, without looking for it */
  int sieve_shift;
} bpr_training;

/* Everything but rate, shrinkage, popular, draws and keep; rows are drawn, of items somebody chose. tail 0: none. */
medley_status bpr_training_init(bpr_training *t, const interactions *train, size_t dim, size_t tail, uint64_t seed,
                                medley_error *err) MEDLEY_CHECK;
/* keep: events of items that more than the median of people chose are under-sampled, (median / c_i)^exponent of them
 * are kept (the subsampling of frequent words of Mikolov et al., NIPS 2013); in their place others are drawn, so that
 * rare items are over-sampled as much. exponent 0: nothing. */
medley_status bpr_balance(bpr_training *t, double exponent, medley_error *err) MEDLEY_CHECK;
void bpr_training_deinit(bpr_training *t);
/* As many triples as there are events. between (may be NULL) is called `parts` times a round, on one thread, with what
 * came up in gradients. */
void bpr_epoch(bpr_training *t, int epoch, int parts, void (*between)(void *context), void *context);

/* The model of the factors and the tail: α₀, λ and the scale are those with which a sample of people's vectors, solved
 * for from what they chose, rank items most as the trained vectors do. */
medley_status bpr_model_create(const recommender_kind *kind, const bpr_training *t, recommender **out,
                               medley_error *err) MEDLEY_CHECK;
json_t *bpr_describe(const recommender *r);

#endif
