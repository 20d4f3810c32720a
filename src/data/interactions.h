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
#include "data/traits.h"
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
  bool has_time;      /* at least nine of ten events have a time */
  bool has_split;     /* some event came with a split */
  sparse social; /* [user_count, user_count] row u: whom u trusts, and how much (link_trust); no rows: nobody does */
  traits traits; /* what is known of users besides; its rows are users */
} event_log;

medley_status event_log_load(const store_kind *kind, store *s, const medley_progress *progress, event_log *out,
                             medley_error *err) MEDLEY_CHECK;
void event_log_deinit(event_log *log);
/* What a link says of how much its first user trusts the other: its weight; 0 when it is not between two users, when
 * its weight is not above 0, or when a word of its type refuses (block, mute, ignore …). */
float link_trust(const store_link *link);

/* How an event becomes a weight: the type's weight (dislike and skip are negative feedback: weight 0 means left out of
 * the matrix) and, for ratings, a threshold or a scale. */
typedef struct event_weights {
  float type_weight[64];  /* by type; unknown types 1. Filled by event_weights_default from the names */
  uint64_t rating_types;  /* bit t: type t is a rating ("rate", "rating"), whose value is a judgement */
  float rating_threshold; /* ratings below it are left out; NAN: none */
} event_weights;
/* By the words of the type's name: view, click, watch, play, listen, read 1; like, love, favourite, bookmark, save,
 * share, cart, add 2; buy, purchase, order 3; rate, rating 1; dislike, unlike, skip, hide, remove, report, block,
 * mute, ignore, distrust, not 0, with or without an s at the end; else 1. The threshold of ratings is the middle of the
 * scale they use (3 for one to five, 0 for thumbs of -1 and 1), NAN when all are equal. */
void event_weights_default(const event_log *log, event_weights *out);
/* What event_weights_default makes of one type by its name; *rating: its value is a judgement. */
float event_type_weigh(const char *name, bool *rating);
/* 0 when the event carries no positive signal; so is any other event with a negative value (a returned order). */
float event_weight(const event_weights *w, const event *e);

/* What people are brought to do, the weaker first, told by an event's weight: 3 and more is buying, 2 liking, anything
 * else that speaks for an item clicking. */
typedef enum goal { GOAL_CLICK, GOAL_LIKE, GOAL_BUY, GOAL_COUNT } goal;
extern const char *const goal_names[GOAL_COUNT]; /* "click", "like", "buy" */
goal goal_of_weight(float weight);

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

/* LABEL_HISTORY: not learned from, but known of the user when the test is asked (cold users only). LABEL_VALID: not
 * learned from and not known either, only tuned on (never from split_make: an evaluation sets it). */
enum { LABEL_TRAIN = 0, LABEL_TEST = 1, LABEL_DROP = 2, LABEL_HISTORY = 3, LABEL_VALID = 4 };

/* label [event_count]: LABEL_*. When a base labelling is given (may be NULL), only events that are LABEL_TRAIN there
 * are split again and the others become LABEL_DROP: that is how validation is cut from train. SPLIT_GIVEN: train, valid
 * and unmarked → TRAIN, test → TEST; cut again, valid → TEST. With cold_items, test events are the given test events on
 * the cold items, and no train event touches a cold item. Kinds that go by time use the order of insertion where times
 * are missing, except SPLIT_GLOBAL_TIME, which is refused then (it drops single events without a time). No user is left
 * without an event to learn from by the kinds that cut each user's events; a split that leaves nothing to learn from or
 * to test with is refused. */
medley_status split_make(const event_log *log, const split_options *options, const uint8_t *base, uint8_t *label,
                         medley_error *err) MEDLEY_CHECK;

/* ---- matrices ---- */

/* What a model learns from. Owned; deinit frees. Positive weights only; a pair seen several times keeps the greatest
 * weight. */
typedef struct interactions {
  sparse by_user;       /* [users, items] */
  sparse by_item;       /* its transpose */
  int64_t *time_s;      /* [count] beside by_user.value: the newest time of the pair; NULL when times are unknown */
  uint8_t *goals;       /* [count] beside by_user.value: bit g: the pair has an event of goal g; NULL when all events
                           are of one goal */
  float *popularity;    /* [items] number of users */
  int64_t newest_s;     /* the newest event, or STORE_TIME_UNKNOWN */
  const sparse *social; /* [users, users] the log's, borrowed; NULL when nobody follows anybody */
  const traits *traits; /* the log's, borrowed, rows [users]; NULL when nothing is known of anybody */
} interactions;

/* label NULL: all events; otherwise those with label[i] == want. */
medley_status interactions_build(const event_log *log, const event_weights *weights, const uint8_t *label, uint8_t want,
                                 interactions *out, medley_error *err) MEDLEY_CHECK;
/* The same with the events of those users only that have keep [users] nonzero; the others stay, without events. */
medley_status interactions_of_users(const interactions *x, const uint8_t *keep, interactions *out,
                                    medley_error *err) MEDLEY_CHECK;
void interactions_deinit(interactions *x);

#endif
