/* recommend/imbalance.h: what a training sees of goals and of modalities that are rare: pairs asked for more or less
 * often, answers that count more or less, items drawn evenly over what they have.
 *
 * A pair of a person and an item belongs to the class of its strongest goal; n_c is how many the class c has. A pair
 * that a step has chosen is asked for, each time beside drawn items of its own,
 *
 *   (n_max / n_c)^over (n_min / n_c)^under     times, and
 *   (n_max / n_c)^smote − 1                    times more with an item that is made up for it (recommend/smote.h)
 *
 * on average, at most IMBALANCE_TIMES_MAX. So over 1 brings as many pairs of each class as the greatest has, under 1 as
 * few as the smallest, and over + under = 1 something between. What is chosen is left out of the history as before:
 * drawing rare pairs first would train on histories that have none left.
 *
 * In the loss a goal's yes and no count as (n / 2 n_y)^weigh, n_y of the n pairs and drawn items being answered by y:
 * 1 is class_weight='balanced' (King & Zeng, "Logistic regression in rare events data", 2001). A logit learned so is
 * greater by log of both weights' ratio, as one of pairs asked for more often is by log of how much more: the same for
 * all items, so no order depends on it, and a score, being a sum of logits with log q (feature_model.h), is read as an
 * order alone. Nothing is subtracted.
 *
 * Items are drawn by chances q; a set of items are those that have the same modalities, Q_s the chance of the set. With
 * `modal` both drawn items and chosen ones come Q_s^−modal times as often, up to a factor: 1 brings as many drawn items
 * of each set. As both do, what a network learns of an item, how much likelier than q it is, stays what it was. */
#ifndef RECOMMEND_IMBALANCE_H
#define RECOMMEND_IMBALANCE_H

#include "base/rng.h"
#include "data/interactions.h"
#include "encode/features.h"

#define IMBALANCE_TIMES_MAX 32.0

typedef struct imbalance_exponents {
  double over, under, smote, weigh, modal; /* each 0 to 1; 0: nothing is done */
} imbalance_exponents;

typedef struct imbalance {
  double plain[GOAL_COUNT], made[GOAL_COUNT]; /* times that a pair of a class is asked for, as it is and made up */
  float weight[GOAL_COUNT][2];                /* of the answers no and yes to whether a pair serves a goal */
} imbalance;

/* pairs [GOAL_COUNT] n_c; beside: how many items are drawn with each. Classes and goals without a pair get ones. */
void imbalance_init(imbalance *b, const imbalance_exponents *by, const uint64_t *pairs, size_t beside);
/* A whole number of times, `mean` on average or IMBALANCE_TIMES_MAX where that is less. A whole mean draws nothing. */
size_t imbalance_times(double mean, rng *draw);

/* mask [items]: bit m is set where list[m] has the item. */
void modality_masks(const features *list, size_t count, uint32_t items, uint32_t *mask);

/* Items by what modalities they have. */
typedef struct modality_sets {
  size_t count;
  uint32_t *set;                /* [items] */
  uint32_t *item, *event;       /* [items], [events] items, and those of events, by set */
  size_t *items_to, *events_to; /* [count] where each set's end */
  double *until;                /* [count] chance of a set and all before it, of a drawn item */
  double *times;                /* [count] how often a chosen item of the set is asked for; 1 on average over events */
} modality_sets;

/* Of items drawn half evenly and half as often as they are chosen. mask as above; deinit frees, also after a failure.
 */
medley_status modality_sets_init(modality_sets *s, const interactions *train, const uint32_t *mask, double exponent,
                                 medley_error *err) MEDLEY_CHECK;
uint32_t modality_sets_draw(const modality_sets *s, rng *draw);
void modality_sets_deinit(modality_sets *s);

#endif
