/* data/interactions.h: the events of a workspace as a matrix, and how it is split for honest evaluation.
 *
 * Users and items are numbered 0..n-1 here ("index"); the arrays user_id and item_id lead back to the store. Every
 * model above this floor sees indexes only.
 */
#ifndef DATA_INTERACTIONS_H
#define DATA_INTERACTIONS_H

#include "base/error.h"
#include "base/map.h"
#include "base/progress.h"
#include "math/sparse.h"
#include "store/store.h"

typedef struct event {
  uint32_t user, item; /* indexes */
  float value;
  int32_t type;   /* index into event_log.type_names */
  int64_t time_s; /* STORE_TIME_UNKNOWN when not known */
  uint8_t split;  /* store_split as imported */
} event;

/* All events and the numbering. Owned; deinit frees. */
typedef struct event_log {
  uint32_t user_count, item_count;
  int64_t *user_id;              /* [user_count] store ids, ascending */
  int64_t *item_id;              /* [item_count] */
  intmap user_index, item_index; /* store id → index */
  event *events;                 /* [event_count] in order of insertion */
  size_t event_count;
  char **type_names;
  int32_t type_count;
  int64_t last_event; /* for reading on */
  bool has_time, has_split;
} event_log;

medley_status event_log_load(const store_kind *kind, store *s, const medley_progress *progress, event_log *out,
                             medley_error *err) MEDLEY_CHECK;
void event_log_deinit(event_log *log);

/* How an event becomes a weight: the type's weight (dislike and skip are negative feedback: weight 0 means left out of
 * the matrix) and, for ratings, a threshold or a scale. */
typedef struct event_weights {
  float type_weight[64];  /* by type; unknown types 1. Filled by event_weights_default from the names */
  float rating_threshold; /* "rate" events below it are left out; NAN: none */
} event_weights;
void event_weights_default(const event_log *log, event_weights *out);
/* 0 when the event carries no positive signal. */
float event_weight(const event_weights *w, const event *e);

/* ---- splits ---- */

typedef enum split_kind {
  SPLIT_RANDOM,        /* a share of all events */
  SPLIT_LEAVE_ONE_OUT, /* the last event of each user (by time, else by order of insertion) */
  SPLIT_USER_TIME,     /* the last share of each user's events */
  SPLIT_GLOBAL_TIME,   /* events after one moment */
  SPLIT_GIVEN,         /* as the import said */
  SPLIT_COLD_ITEM,     /* all events of some items */
  SPLIT_COLD_USER,     /* all events of some users; their first half is history at test time */
  SPLIT_USER_RANDOM,   /* a share of each user's events, at random: how validation is carved out of train */
  SPLIT_KIND_COUNT
} split_kind;

const char *split_kind_name(split_kind kind); /* "global-time" */
split_kind split_kind_find(const char *name); /* SPLIT_KIND_COUNT when unknown */

typedef struct split_options {
  split_kind kind;
  double test_share; /* 0: 0.2 */
  uint64_t seed;
  const uint32_t *cold_items; /* SPLIT_COLD_ITEM: these indexes; NULL: a random test_share of the items with events */
  size_t cold_item_count;
} split_options;

enum { LABEL_TRAIN = 0, LABEL_TEST = 1, LABEL_DROP = 2 };

/* label [event_count]: LABEL_*. When a base labelling is given (may be NULL), only events that are LABEL_TRAIN there
 * are split again and the others become LABEL_DROP: that is how validation is cut from train. Given splits: train and
 * valid → TRAIN, test → TEST. With cold_items and a given split, test events are the given test events on the cold
 * items, and no train event touches a cold item. */
medley_status split_make(const event_log *log, const split_options *options, const uint8_t *base, uint8_t *label,
                         medley_error *err) MEDLEY_CHECK;

/* ---- matrices ---- */

/* What a model learns from. Owned; deinit frees. Positive weights only; a pair seen several times keeps the greatest
 * weight. */
typedef struct interactions {
  sparse by_user;    /* [users, items] */
  sparse by_item;    /* its transpose */
  int64_t *time_s;   /* [count] beside by_user.value: the newest time of the pair; NULL when times are unknown */
  float *popularity; /* [items] number of users */
  int64_t newest_s;  /* the newest event, or STORE_TIME_UNKNOWN */
} interactions;

/* label NULL: all events; otherwise those with label[i] == want. */
medley_status interactions_build(const event_log *log, const event_weights *weights, const uint8_t *label, uint8_t want,
                                 interactions *out, medley_error *err) MEDLEY_CHECK;
void interactions_deinit(interactions *x);

#endif
