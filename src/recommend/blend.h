/* recommend/blend.h: the sum of named parts: every model's scores, standardised per request, times a weight.
 *
 * score(i) = Σ_p w_p(i) · (s_p(i) − μ_p) / σ_p, where s_p are a model's scores or the votes made of them (votes.h).
 * Items with events in training are warm and use the warm weights, the others are cold and use the cold ones (only
 * models that can score them have a cold weight) plus one constant, the place of cold items among warm ones. μ_p and
 * σ_p are the mean and deviation over all items for a model that scores cold items too, over the warm ones for the
 * others: what a model thinks of one new item beside all others stays as it is, however many new items there are. A
 * reader without a history, or with one that no model knows anything of, is a stranger: then the stranger's weights
 * hold, for warm and cold items alike and without the constant. Each summand is a part of the explanation, so the parts
 * add up by construction. Trees may correct the first items of that sum (rerank.h), in shares of the parts and one of
 * the context.
 */
#ifndef RECOMMEND_BLEND_H
#define RECOMMEND_BLEND_H

#include "base/json.h"
#include "recommend/recommender.h"
#include "recommend/rerank.h"
#include "recommend/votes.h"

#define BLEND_PARTS_MAX 32
#define BLEND_WARM 0
#define BLEND_COLD 1
#define BLEND_STRANGER 2
#define BLEND_WEIGHTS 3

typedef struct blend_part {
  recommender *model; /* owned by the blend */
  double values[RECOMMENDER_SETTINGS_MAX];
  float weight[BLEND_WEIGHTS]; /* [BLEND_WARM], [BLEND_COLD], [BLEND_STRANGER]; >= 0 */
} blend_part;

typedef struct blend {
  blend_part parts[BLEND_PARTS_MAX];
  size_t count;
  uint32_t item_count;
  const vote_kind *votes; /* what scores become before they are standardised; NULL: nothing */
  uint8_t *cold;          /* [items] 1: no event in training */
  uint32_t cold_count;
  float cold_shift; /* added to every cold item's score, as the part "new" */
  rerank *rerank;   /* corrects the first items of the sum, NULL: nothing does; owned */
} blend;

void blend_free(blend *b);
/* Whether a part is its model's scores, moved and multiplied by the same for all items of a request. */
bool blend_is_linear(const blend *b);

/* How many rows of parts there are: one for each part, the shift of cold items ("new"), and what corrections owe to
 * neither ("context"). */
size_t blend_rows(const blend *b);

/* total [items]; parts (may be NULL) [blend_rows, items]: what each part adds. Row p belongs to parts[p]. scales (may
 * be NULL) [count, 2]: weight / deviation of each part for warm and cold items, by which what a model says of one
 * history item or one modality becomes a share of the score. Thread-safe; scratch belongs to the thread, and is used by
 * the models too. */
medley_status blend_score(const blend *b, const history *h, recommender_scratch *scratch, float *total, float *parts,
                          float *scales, medley_error *err) MEDLEY_CHECK;

/* What one model adds before weighting: its scores, as votes where there are some (NULL: none), standardised in place,
 * over all items when cold_too, else over the warm ones, and then cold items get 0. inverse (may be NULL): one by the
 * deviation, 0 for a constant score. Scratch belongs to the thread. */
medley_status blend_prepare(const vote_kind *votes, const uint8_t *cold, uint32_t cold_count, size_t item_count,
                            bool cold_too, recommender_scratch *scratch, float *scores, float *inverse,
                            medley_error *err) MEDLEY_CHECK;
/* The same without votes. */
void blend_standardise(const uint8_t *cold, uint32_t cold_count, size_t item_count, bool cold_too, float *scores,
                       float *inverse);

medley_status blend_save(const blend *b, safetensors_writer *w, json_t *manifest, medley_error *err) MEDLEY_CHECK;
/* data as for recommender_kind.load; the file must outlive the blend. */
medley_status blend_load(const safetensors *s, const json_t *manifest, const recommender_data *data, blend **out,
                         medley_error *err) MEDLEY_CHECK;

#endif
