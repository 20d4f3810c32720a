/* learn/boost.h: LambdaMART (Burges, "From RankNet to LambdaRank to LambdaMART", 2010), grown by XGBoost
 * (https://xgboost.readthedocs.io, libxgboost-dev), as trees of our own (recommend/trees.h).
 *
 * XGBoost is used to grow and for nothing else. A build without it lacks this and keeps everything else, trees of other
 * builds included.
 */
#ifndef LEARN_BOOST_H
#define LEARN_BOOST_H

#include "recommend/trees.h"

typedef struct boost_data { /* borrowed */
  const float *row;         /* [rows, feature_count] row-major, finite */
  const float *label;       /* [rows] 1: chosen, 0: not */
  const float *margin;      /* [rows] where boosting starts from */
  const uint32_t *group;    /* [group_count] how many rows each list has, one list after the other */
  size_t row_count, group_count, feature_count;
} boost_data;

typedef struct boost_options { /* zero means default */
  size_t rounds;               /* trees; 50 */
  int depth;                   /* 3; at most TREES_DEPTH_MAX */
  double rate;                 /* 0.1 */
  double ridge;                /* L2 on leaves; 1 */
  double least;                /* hessian in a leaf; 1 */
  uint64_t seed;
} boost_options;

/* Whether this build has XGBoost; and a sentence that says what to do where it has not. */
bool boost_is_there(void);
medley_status boost_needed(medley_error *err) MEDLEY_CHECK;
/* rank:ndcg over the lists. Trees come in the order they were grown in, so the first n are what n rounds make. The same
 * for the same number of threads. */
medley_status boost_train(const boost_data *data, const boost_options *options, trees *out,
                          medley_error *err) MEDLEY_CHECK;

#endif
