/* learn/fit.h: from interactions and features to a tuned blend.
 *
 * Inside the events it may learn from, fit carves out a validation part the way the test is cut (fit_validation.h). On
 * the rest it fits every model that accepts the data, choosing each model's settings from its grid, then the weights of
 * the blend for warm items, cold items and strangers, and the place of cold items among warm ones (fit_blend.h). Then
 * the models that count are fitted again on everything.
 */
#ifndef LEARN_FIT_H
#define LEARN_FIT_H

#include "base/config.h"
#include "base/json.h"
#include "learn/ensemble.h"
#include "learn/measure.h"
#include "learn/represent.h"
#include "learn/trials.h"
#include "recommend/blend.h"

typedef struct fit_input { /* borrowed */
  const catalogue *items;
  const event_log *log;
  const event_weights *weights;
  const representation *content;
  const uint8_t *label; /* [events] LABEL_TRAIN: may be learned from; LABEL_VALID: tuned on instead of a cut of those;
                           NULL: all are learned from */
} fit_input;

/* Settings are searched for instead of taken from each model's grid. By the clock what is tried depends on the machine;
 * by trials it does not. */
typedef struct fit_search {
  const tuner_kind *kind;
  double budget_s;   /* for all models together, shared out evenly, what one leaves going to the next; 0: no limit */
  size_t trials;     /* of a model at most, those in `file` among them; 0: no limit. One of the two is set */
  trials_file *file; /* read first, and added to; NULL: nothing is kept */
} fit_search;

typedef struct fit_options {
  uint64_t seed;
  const char *fuser;   /* settles how content is fused: a name of fuser_kinds; NULL: chosen on validation */
  const config *given; /* medley.conf: the values of "model.<recommender>.<setting>" stay as they are; NULL: none */
  const char *const *models; /* NULL-terminated names; NULL: every kind that accepts the data */
  const char *ensemble;      /* a name of ensemble_kinds; NULL: the first of them */
  split_kind validation;     /* as the test is cut, or what serves: how the validation part is cut */
  bool every_model;          /* refit also the models the blend leaves out (to be measured) */
  bool every_kind;           /* without names, those too that do not take part by themselves */
  const json_t *known; /* {"ease": {"ridge": 300, …}, …}: settings to begin with; NULL: none. Without a search these
                          are not tried again */
  double new_items;    /* of the demand as a whole, what finding new items may cost; 0: as much as the cut of the
                          validation    part asks for them, 1 to 3 hundredths; below 0: nothing */
  const fit_search *search; /* NULL: over the grids */
  bool only_tune;           /* no model is fitted on everything: no blend */
} fit_options;

typedef struct fit_model {
  const recommender_kind *kind;
  double values[RECOMMENDER_SETTINGS_MAX];
  double objective; /* (recall@20 + ndcg@20) / 2 on the validation part it was tuned on */
  bool tuned_cold;  /* … which was the cold one */
  bool known;       /* its settings were brought along (fit_options.known) */
  json_t *trials;   /* of a search: [{"share", "objective", "seconds", "settings"}, …] in order; NULL */
  float weight[BLEND_WEIGHTS];
  json_t *learned;      /* what the last fit found by itself; NULL */
  double fit_s;         /* of the last fit, on everything */
  uint64_t peak_bytes;  /* the most that the process held during it */
  uint64_t added_bytes; /* and how much more that is than right before */
  char skipped[256];    /* why it takes no part, "" when it does */
} fit_model;

typedef struct fit_result {
  interactions train;              /* all that was learned from */
  recommender_data data;           /* borrowed parts: train, features */
  features features[FEATURES_MAX]; /* borrowed from the representation */
  int64_t *item_time_s;            /* [items] or NULL */
  fit_model models[BLEND_PARTS_MAX];
  size_t model_count;
  blend *blend; /* owns the models with a weight */
  recommender
      *others[BLEND_PARTS_MAX]; /* with every_model: fitted models without a weight, by index into models; owned */
  double warm_recall, warm_ndcg, cold_recall, cold_ndcg; /* of the blend on validation; NAN when there was none */
  double stranger_recall, stranger_ndcg;
  /* (Recall@20 + NDCG@20) / 2 of warm and cold items together on validation, and what it could be if nothing were given
   * for finding cold ones; NAN when no place was sought for them. */
  double demand, demand_best;
  const ensemble_kind *ensemble;             /* how warm items are ranked */
  ensemble_trial trials[ENSEMBLE_KINDS_MAX]; /* what it was chosen among */
  size_t trial_count;                        /* 0: it was named */
  double seconds;
} fit_result;

medley_status fit_run(const fit_input *input, const fit_options *options, const medley_progress *progress,
                      fit_result *out, medley_error *err) MEDLEY_CHECK;
void fit_result_deinit(fit_result *r);
/* Whether the model has a weight in the blend, for anything. */
bool fit_model_counts(const fit_model *m);
/* The fitted model of models[index], in the blend or beside it; NULL when there is none. */
const recommender *fit_result_model(const fit_result *r, size_t index);
/* Settings, weights, figures, seconds, memory: for manifests and reports. */
json_t *fit_result_to_json(const fit_result *r);

#endif
