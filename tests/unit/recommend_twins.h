/* tests/unit/recommend_twins.h: a small world, and every recommender once more from the formula in its file, slowly and
 * in double precision. */
#ifndef TESTS_RECOMMEND_TWINS_H
#define TESTS_RECOMMEND_TWINS_H

#include "recommend/recommender.h"

#define USERS 40
#define ITEMS 30
#define WARM 26 /* the items from here on have no event */
#define TEXT_DIM 6
#define TAGS_DIM 4
#define TRAITS 5
#define DAY 86400
#define NEWEST 1700000000

typedef struct world {
  uint32_t users, items;
  event event[USERS * ITEMS];
  size_t event_count;
  interactions train;
  traits traits; /* everybody has one of two, and one or two of three others but for a few */
  trait_field fields[2];
  sparse social; /* everybody follows the next one, and some others of the same half */
  float text[ITEMS * TEXT_DIM], tags[ITEMS * TAGS_DIM];
  uint8_t has_text[ITEMS], has_tags[ITEMS];
  features features[2];
  int64_t born[ITEMS];
  recommender_data data;
} world;

/* Users like items of their own half; some events are worth more than others. Items from `warm` on have no event. */
world *world_create(uint32_t users, uint32_t items, uint32_t warm);
void world_free(world *w);
/* The first `count` of five entries, the last an item nobody has chosen yet; with three friends and three traits. */
history history_of(size_t count);
void score_of(const recommender *model, const history *h, float *scores);

/* scores [items] by the definition. */
typedef void (*twin)(const world *w, const double *values, const recommender *r, const history *h, double *scores);

void twin_popular(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_demographic(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_trending(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_latest(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_itemknn(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_userknn(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_trust(const world *w, const double *values, const recommender *r, const history *h, double *scores);
/* From the communities of communities_find, over the graph that is made here. */
void twin_community(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_ease(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_graph_filter(const world *w, const double *values, const recommender *r, const history *h, double *scores);
/* From the factors that training found: bpr and vbpr. */
void twin_fold_in(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_slim(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_gfcf(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_ials(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_content(const world *w, const double *values, const recommender *r, const history *h, double *scores);
/* values[0] is the fuser. */
void twin_content_fused(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_content_popular(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_content_map(const world *w, const double *values, const recommender *r, const history *h, double *scores);

/* x [dim]: (unobserved Σ_k f_k f_kᵀ + Σ_k c_k f_k f_kᵀ + ridge I) x = Σ_k c_k f_k, c [count] with zeros for no event;
 * after so many conjugate gradients from the x that is there, 0: exactly. */
void ials_row(const double *factors, size_t count, size_t dim, double unobserved, double ridge, const double *c,
              int steps, double *x);

/* From the parameters that the model keeps (recommend_twins_trained.c). */
void twin_tag_cf(const world *w, const double *values, const recommender *r, const history *h, double *scores);
/* What graph_model.h answers: lightgcn and those that are trained like it. */
void twin_graph_model(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_sasrec(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_gru4rec(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_multvae(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_deepfm(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_shared_bottom(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_mmoe(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_ple(const world *w, const double *values, const recommender *r, const history *h, double *scores);
void twin_esmm(const world *w, const double *values, const recommender *r, const history *h, double *scores);

#endif
