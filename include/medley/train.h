/* medley/train.h: from content and events to a generation of models, and how good it is. */
#ifndef MEDLEY_TRAIN_H
#define MEDLEY_TRAIN_H

#include <medley/workspace.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct medley_train_options { /* zero-initialise */
  uint64_t seed;                      /* 0: 1 */
  int threads;                        /* 0: all processors */
  const char *const *models;          /* recommenders that may take part, NULL-terminated; NULL: chosen by the data */
  int fresh;          /* encode all media again instead of using vectors whose content has not changed */
  const char *curves; /* file for the losses of the networks that were trained, .svg or .png; with several of them the
                         stage's name is added before the dot. NULL: none */
  int automatic;      /* nonzero: every recommender that accepts the data is considered, also those that otherwise take
                         part only when named, and settings are searched for first (medley_tune, with its defaults) */
  double budget_s;    /* of that search; 0: 300 */
  int untuned;        /* nonzero: what medley_tune found is not used */
  const char *ensemble; /* how the models become one ranking: a name that medley_list tells; NULL: train.ensemble of
                           medley.conf, else "weighted" */
  double new_items;     /* 0 to 0.5: the share of the demand that finding items nobody has chosen yet may cost; 0:
                           train.new_items of medley.conf, else as much as they are asked for in the validation part, 0.01
                           to 0.03; below 0: nothing */
} medley_train_options;

/* Encodes what is new, fits encoders, alignment and recommenders on everything, tunes the blend on a validation part,
 * and publishes a new generation. *report_json (may be NULL): what was fitted, with figures on validation, seconds and
 * peak memory. A killed call leaves the old generation serving. */
MEDLEY_API medley_status medley_train(medley_workspace *workspace, const medley_train_options *options,
                                      const medley_progress *progress, char **report_json,
                                      medley_error *err) MEDLEY_CHECK;

typedef struct medley_tune_options { /* zero-initialise */
  const char *search;                /* "tpe", "halving", "random"; NULL: "tpe" */
  double budget_s;                   /* seconds for all models together; 0: 300, or no limit where trials are given */
  uint64_t trials;           /* of a model at most, those of earlier calls among them; 0: as the budget allows */
  const char *const *models; /* recommenders to tune, NULL-terminated; NULL: all that accept the data */
  const char *html;          /* file for the trials with plots; NULL: none */
  int fresh;                 /* nonzero: trials and settings of earlier calls are removed first */
  uint64_t seed;             /* 0: 1 */
  int threads;               /* 0: all processors */
} medley_tune_options;

/* Searches each recommender's settings on a part of the events held out for validation, within the budget, and keeps
 * the best in the workspace, where medley_train finds them. Every trial is kept as soon as it is made (search/
 * trials.jsonl): a call that was stopped, killed or ran out of time is gone on with by the next, as long as nothing has
 * changed in the data. With trials and no budget the outcome does not depend on the machine's speed. *json:
 * {"search":…,"budget_seconds":…,"models":[{"model":…,"settings":{…},"validation":…,"trials":[{"share":…,
 * "objective":…,"seconds":…,"settings":{…}},…],…},…],"validation":{…},"seconds":…,"peak_memory_bytes":…}; the
 * objective is (recall@20 + ndcg@20) / 2. */
MEDLEY_API medley_status medley_tune(medley_workspace *workspace, const medley_tune_options *options,
                                     const medley_progress *progress, char **json, medley_error *err) MEDLEY_CHECK;

typedef struct medley_evaluate_options { /* zero-initialise */
  const char *split; /* "given", "random", "leave-one-out", "user-time", "global-time", "cold-item", "cold-user";
                        NULL: given when the events say so, else global-time, else random */
  const char *
      cold_items; /* a file with one item key a line: these are hidden from training and then ranked among themselves */
  double test_share;          /* 0: 0.2 */
  const char *const *models;  /* recommenders to measure besides the blend, NULL-terminated; NULL: all that take part */
  const char *const *metrics; /* "recall@20" …, NULL-terminated; NULL: the usual ones */
  const char *baseline; /* paired tests against this model; "best": against the one with the highest mean of the first
                           metric; NULL: the blend */
  const char *html;     /* file for the report with plots; NULL: none */
  int hold_valid;       /* nonzero: with the split given, events marked valid are tuned on and never learned from, as
                           in papers; else a part of all but the test is tuned on, and everything is learned from */
  int importance;       /* nonzero: measure again without each modality and each model of the blend */
  int every;            /* nonzero: without `models`, those too that take part only when named */
  const char *search;   /* settings are searched for on the validation part instead of taken from the usual few values:
                           "tpe", "halving", "random"; NULL: no. Nothing of it is kept */
  double budget_s;      /* of that search; 0: 300, or no limit where trials are given */
  uint64_t trials;      /* of a model at most; 0: as the budget allows */
  uint64_t seed;        /* 0: 1 */
  int threads;
  const char *ensemble; /* as in medley_train_options */
  double new_items;     /* the same */
} medley_evaluate_options;

/* Fits on the training part only, tunes on a part of it, reports on the test part, ranking all items. *json:
 * {"split":…,"models":[{"split":…,"model":…,"users":…,"metrics":{"recall@20":{"mean":…,"lo":…,"hi":…},…},
 * "roc":{"area":…,"false_positive_rate":[…],"true_positive_rate":[…]} (where test events are likes and dislikes),
 * "slices":{"warm":{…},"cold":{…},"stranger":{…}},"seconds":{"fit":…,"score":…},"peak_memory_bytes":…,"p_value":{…}},…],"fit":{…},"importance":[{"without":"image","kind":"modality",
 * "metrics":{"recall@20":{"difference":…,"lo":…,"hi":…}}},…],…} */
MEDLEY_API medley_status medley_evaluate(medley_workspace *workspace, const medley_evaluate_options *options,
                                         const medley_progress *progress, char **json, medley_error *err) MEDLEY_CHECK;

/* The models of this build as JSON: [{"name":…,"summary":…,"source":…,"settings":[…]},…]; family is "recommender",
 * "encoder", "aligner", "fuser", "index", "normaliser", "metric", "importer", "tuner", "ensemble". */
MEDLEY_API medley_status medley_list(const char *family, char **json, medley_error *err) MEDLEY_CHECK;

#ifdef __cplusplus
}
#endif
#endif
