/* recommend/recommender.h: a history → a score for every item. One recommender a file, one row in the table.
 *
 * A model never keeps a vector per user: it scores from the history that is handed in, which is read from the store for
 * every request. So a click counts at once, a new user needs no training, and the same code answers in evaluation and
 * in service.
 */
#ifndef RECOMMEND_RECOMMENDER_H
#define RECOMMEND_RECOMMENDER_H

#include "base/error.h"
#include "base/progress.h"
#include "data/interactions.h"
#include "encode/features.h"
#include "nn/safetensors.h"
#include "nn/tape.h"

/* What a model learns from. Borrowed during fit; models copy or derive what they keep, except where they say so. */
typedef struct recommender_data {
  const interactions *train;
  const features *features; /* [feature_count], each over all items */
  size_t feature_count;
  const int64_t *item_time_s; /* [items] when the item appeared; may be NULL */
  uint64_t seed;
  uint32_t item_count; /* load only: what the model must score, so that a number in a file is not trusted; 0: any */
} recommender_data;

/* What is known about the user at this moment. */
typedef struct history {
  const uint32_t *item;  /* [count] indexes, no repeats */
  const float *weight;   /* [count] > 0 */
  const int64_t *time_s; /* [count] or NULL */
  size_t count;
  int64_t now_s; /* for freshness; STORE_TIME_UNKNOWN: the newest training event */
  /* Whom the person follows, as far as they were there in training. */
  const uint32_t *friends; /* [friend_count] rows of train.by_user, no repeats */
  const float *trust;      /* [friend_count] > 0 */
  size_t friend_count;
  const uint32_t *trait; /* [trait_count] what is known of the person besides (data/traits.h), ascending, no repeats */
  size_t trait_count;
} history;

/* Named settings. Every kind lists its own, with the few values worth trying on validation. */
typedef struct recommender_setting {
  const char *name;
  const char *summary;
  double fallback, min, max;
  const double *grid; /* [grid_count] values the tuner tries, the default among them; NULL: not tuned */
  size_t grid_count;
  double meanwhile; /* what it is while a grid is gone through, for one that costs much and is good for any of the
                       others' values; 0: as it is */
} recommender_setting;

#define RECOMMENDER_SETTINGS_MAX 20

/* Memory for one thread's requests: grows, is reused, so that scoring does not allocate once warm. */
typedef struct recommender_scratch {
  float *floats;
  size_t float_capacity;
  uint32_t *integers;
  size_t integer_capacity;
  tape *tape;
} recommender_scratch;
/* At least count floats, uninitialised; NULL when memory runs out. The next call may move it. */
float *recommender_scratch_floats(recommender_scratch *s, size_t count);
uint32_t *recommender_scratch_integers(recommender_scratch *s, size_t count);
/* A tape that records nothing, as the last request left it (tape_reset); NULL when memory runs out. */
tape *recommender_scratch_tape(recommender_scratch *s);
void recommender_scratch_deinit(recommender_scratch *s);

typedef struct recommender recommender; /* each kind lays out its own, beginning with a struct recommender */

typedef struct recommender_kind {
  const char *name; /* "ease" */
  const char *summary;
  const char *source; /* the paper */
  const char *part;   /* the name of its part in a score: "taste", "popularity", "freshness", "content" */
  const recommender_setting *settings; /* ended by name NULL */
  bool scores_cold_items;              /* gives items without events a place */
  bool needs_history;                  /* an empty history gives zeros, but for … */
  bool reads_friends;                  /* … one with friends, where it reads them, and … */
  bool reads_traits;                   /* … one of whom something else is known, where it reads that */
  bool needs_features;
  bool may_read_features; /* reads them where there are some */
  bool needs_time;
  /* Whether this data fits the kind ("ease needs 4·n² bytes: 12 GB for 55,000 items, the limit is …"): MEDLEY_OK, or a
   * refusal that says why. */
  medley_status (*accepts)(const recommender_data *data, medley_error *err);
  /* Whether it takes part without being named ("graph_filter is for sparse clicks"); NULL: always. */
  bool (*by_itself)(const recommender_data *data);
  /* values [settings] in the order of the table. */
  medley_status (*fit)(const recommender_data *data, const double *values, progress_stage *progress, recommender **out,
                       medley_error *err);
  /* scores [items] are overwritten. Thread-safe. scratch belongs to the calling thread. */
  medley_status (*score)(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                         medley_error *err);
  /* How much history entry j adds to the score of one item: out [h->count], summing to the score up to a constant that
   * does not come from the history. NULL when the kind has no such decomposition (then the explanation names the
   * nearest history items by content). */
  medley_status (*trace)(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                         float *out, medley_error *err);
  /* How the score of one item divides among modalities: names [max] (borrowed from the model) and values [max], centred
   * on their means over all items; returns how many. NULL when the kind has one voice only. */
  size_t (*split)(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                  const char **names, float *values, size_t max);
  /* How many of the person's friends chose the item in training; NULL when the kind does not know. */
  size_t (*count_friends)(const recommender *r, const history *h, uint32_t item);
  /* What the fit found by itself, for reports (weights per modality …): a new JSON object, or NULL. NULL when there is
   * nothing to tell. */
  json_t *(*describe)(const recommender *r);
  medley_status (*save)(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err);
  /* data: features may be needed again by kinds that borrow them; train may be NULL unless the kind keeps_train.
   * Tensors may be borrowed from s, which outlives the model. */
  medley_status (*load)(const safetensors *s, const char *prefix, const recommender_data *data, recommender **out,
                        medley_error *err);
  void (*free)(recommender *r);
} recommender_kind;

struct recommender {
  const recommender_kind *kind;
  uint32_t item_count;
};

extern const recommender_kind *const recommender_kinds[]; /* ended by NULL */
const recommender_kind *recommender_kind_find(const char *name);
/* Whether the kind may have an answer of its own for somebody without a history. */
bool recommender_answers_strangers(const recommender_kind *kind);
/* For by_itself: never; a kind that takes part only where it is named. */
bool recommender_only_named(const recommender_data *data);
/* The defaults of a kind into values; returns how many. */
size_t recommender_defaults(const recommender_kind *kind, double values[RECOMMENDER_SETTINGS_MAX]);

#endif
