/* store/store.h: what a workspace remembers: items, users, events, links, vectors, runs and generations.
 *
 * One table of functions (store_kind) stands between Medley and the database, so that PostgreSQL can follow SQLite
 * without a change above it. All rows have two names: a key (the user's own, UTF-8, 1 to STORE_KEY_MAX bytes) and an id
 * (ours, a small positive integer, never reused).
 *
 * Threads: a store handle is used by one thread at a time; open several for several threads. Writers of other processes
 * are waited for up to busy_ms, then MEDLEY_ERR_BUSY.
 *
 * Writes happen inside begin/commit; what was committed survives kill -9 and power loss (WAL, synchronous=FULL at
 * commit of single events; bulk imports sync once per batch).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/map.h"
#include "base/strbuf.h"

#define STORE_KEY_MAX 512
#define STORE_TEXT_MAX (1 << 20)
#define STORE_TAG_MAX 1024      /* tags per item */
#define STORE_CONTEXT_MAX 65536 /* bytes of an event's context */
#define STORE_MEDIA_MAX 64      /* files per item and modality */
/* Modalities are numbered as in media/sample.h (a sister folder, hence not included); databases keep the numbers. */
#define STORE_MODALITY_TEXT 0

typedef struct store store; /* opaque; made by a store_kind */

/* The part of an event's life it belongs to, when the data say so. */
typedef enum store_split {
  STORE_SPLIT_NONE = 0,
  STORE_SPLIT_TRAIN = 1,
  STORE_SPLIT_VALID = 2,
  STORE_SPLIT_TEST = 3
} store_split;

#define STORE_TIME_UNKNOWN INT64_MIN

typedef struct store_media {
  int modality;     /* media/sample.h: image, audio or video */
  const char *path; /* as given: absolute, or relative to the workspace */
} store_media;

typedef struct store_item {
  int64_t id; /* 0 when new */
  const char *key;
  const char *title, *text, *category, *language; /* NULL: not given */
  const char *const *tags;
  size_t tag_count;
  const char *attributes; /* JSON object of what else is known; NULL: none */
  int64_t time_s;         /* when it appeared, seconds since 1970; STORE_TIME_UNKNOWN */
  bool hidden;            /* never recommended */
  bool keep_hidden;       /* put_item only: an item that is there keeps its hidden, whatever the above says */
  bool append_text; /* put_item only: text goes on a new line after the text that is there, unless it is a line of it */
  const store_media *media; /* in order within each modality */
  size_t media_count;
} store_item;

typedef struct store_user {
  int64_t id;
  const char *key;
  const char *attributes; /* JSON object or NULL */
  int64_t time_s;
} store_user;

typedef struct store_event {
  int64_t user_id, item_id;
  int32_t type;        /* from event_type_get: an index into the workspace's list of type names */
  float value;         /* rating, watch share, quantity; 1 when not given */
  int64_t time_s;      /* or STORE_TIME_UNKNOWN */
  uint8_t split;       /* store_split */
  const char *context; /* JSON object or NULL */
} store_event;

/* User follows user, item goes with item. */
typedef struct store_link {
  char from_kind, to_kind; /* 'u' or 'i' */
  int64_t from_id, to_id;
  const char *type;
  float weight;
} store_link;

typedef enum store_dtype { STORE_F32 = 0, STORE_F16 = 1 } store_dtype;

typedef struct store_vector {
  int64_t item_id;
  const unsigned char *content_hash; /* HASH_BYTES: of what it was made from */
  store_dtype dtype;
  uint32_t dim;
  const void *values; /* [dim] */
} store_vector;

typedef struct store_import {
  int64_t id;
  char source[1024];  /* kind, path, size, modification time and options: the same file resumes */
  uint64_t rows_done; /* rows already taken in or rejected */
  uint64_t rows_accepted, rows_rejected;
  bool finished;
  char report[4096]; /* JSON: the importer's own counts, so that they go on after a resume; "" at the start */
} store_import;

typedef struct store_generation {
  int64_t number;
  int64_t created_s;
  const char *manifest; /* JSON */
} store_generation;

typedef struct store_counts {
  uint64_t items, users, events, links, vectors;
  uint64_t media[4]; /* items that have the modality (media/sample.h); text: a title or a text */
} store_counts;

typedef enum store_table { STORE_ITEMS, STORE_USERS } store_table;

typedef struct store_hit {
  int64_t item_id;
  double score;
} store_hit;

/* Receivers return MEDLEY_OK to go on; anything else ends the walk and becomes its result. Rows are borrowed. */
typedef medley_status (*store_item_receiver)(void *context, const store_item *item, medley_error *err);
typedef medley_status (*store_user_receiver)(void *context, const store_user *user, medley_error *err);
typedef medley_status (*store_event_receiver)(void *context, const store_event *events, size_t count,
                                              medley_error *err);
typedef medley_status (*store_link_receiver)(void *context, const store_link *link, medley_error *err);
typedef medley_status (*store_vector_receiver)(void *context, const store_vector *vector, medley_error *err);

typedef struct store_kind {
  const char *name; /* "sqlite" */
  /* url: a path for SQLite. create: the database must not be there yet. Runs numbered migrations; a database from a
   * newer Medley is refused. */
  medley_status (*open)(const char *url, bool create, int busy_ms, store **out, medley_error *err);
  void (*close)(store *s);
  medley_status (*begin)(store *s, medley_error *err);
  medley_status (*commit)(store *s, medley_error *err); /* on failure the transaction is rolled back */
  void (*rollback)(store *s);                           /* harmless outside a transaction */

  /* Insert, or update the row with the same key: fields given (non-NULL) replace, others stay; media of a modality that
   * is given replace all of that modality; *id (may be NULL) is the row's id. */
  medley_status (*put_item)(store *s, const store_item *item, int64_t *id, medley_error *err);
  medley_status (*put_user)(store *s, const store_user *user, int64_t *id, medley_error *err);
  medley_status (*put_events)(store *s, const store_event *events, size_t count, medley_error *err);
  medley_status (*put_link)(store *s, const store_link *link, medley_error *err);
  /* Words (space-joined, prepared by media/text) under which the full-text index finds the item; replaces. */
  medley_status (*put_words)(store *s, int64_t item_id, const char *words, medley_error *err);
  medley_status (*delete_item)(store *s, int64_t id, medley_error *err); /* with its media, vectors, words and events */
  medley_status (*delete_user)(store *s, int64_t id,
                               medley_error *err); /* with events and links; leaves no trace of the key */

  medley_status (*event_type)(store *s, const char *name, int32_t *type, medley_error *err); /* found or added */
  medley_status (*event_type_name)(store *s, int32_t type, strbuf *out, medley_error *err);
  medley_status (*get_id)(store *s, store_table table, const char *key, int64_t *id, medley_error *err); /* NOT_FOUND */
  medley_status (*load_keys)(store *s, store_table table, strmap *keys, medley_error *err);
  /* after_id 0: all, in order of id; limit 0: no limit. */
  medley_status (*each_item)(store *s, int64_t after_id, uint64_t limit, store_item_receiver receive, void *context,
                             medley_error *err);
  medley_status (*get_item)(store *s, int64_t id, store_item_receiver receive, void *context,
                            medley_error *err); /* NOT_FOUND */
  medley_status (*each_user)(store *s, int64_t after_id, uint64_t limit, store_user_receiver receive, void *context,
                             medley_error *err);
  /* In order of insertion, in batches of some thousand. after_event 0: all. *last_event (may be NULL): the highest
   * event number seen, to read on from later. */
  medley_status (*each_event)(store *s, int64_t after_event, int64_t *last_event, store_event_receiver receive,
                              void *context, medley_error *err);
  /* One user's events, newest last, at most limit of the newest (0: all), through an index: for every request. */
  medley_status (*user_events)(store *s, int64_t user_id, size_t limit, store_event_receiver receive, void *context,
                               medley_error *err);
  medley_status (*each_link)(store *s, store_link_receiver receive, void *context, medley_error *err);
  /* Those that start at one user, through an index: for every request. */
  medley_status (*user_links)(store *s, int64_t user_id, store_link_receiver receive, void *context, medley_error *err);

  /* Vectors live in named spaces ("image.descriptor"). */
  medley_status (*put_vector)(store *s, const char *space, const store_vector *vector, medley_error *err);
  medley_status (*each_vector)(store *s, const char *space, store_vector_receiver receive, void *context,
                               medley_error *err);
  medley_status (*delete_space)(store *s, const char *space, medley_error *err);
  /* BM25 over put_words; query is space-joined prepared words (any of them); best first; score > 0, greater is better.
   */
  medley_status (*search_words)(store *s, const char *query, size_t limit, store_hit *hits, size_t *count,
                                medley_error *err);

  medley_status (*import_get)(store *s, const char *source, store_import *out,
                              medley_error *err); /* found or started; inside a transaction */
  medley_status (*import_put)(store *s, const store_import *import, medley_error *err);
  /* Whether another import than `source` took rows and has a source that begins so: an earlier edition of its file. */
  medley_status (*import_before)(store *s, const char *beginning, const char *source, bool *found, medley_error *err);
  medley_status (*put_generation)(store *s, const store_generation *g, medley_error *err);
  medley_status (*put_run)(store *s, const char *kind, int64_t started_s, double seconds, const char *report,
                           medley_error *err);
  medley_status (*meta_get)(store *s, const char *key, strbuf *value, medley_error *err); /* NOT_FOUND */
  medley_status (*meta_put)(store *s, const char *key, const char *value, medley_error *err);
  medley_status (*counts)(store *s, store_counts *out, medley_error *err);
  /* Integrity check of the database; the findings, one a line, in report (empty when all is well). */
  medley_status (*check)(store *s, strbuf *report, medley_error *err);
  /* The database as of this moment as one new file, also while others write; what was deleted is not in it. Outside a
   * transaction. */
  medley_status (*snapshot)(store *s, const char *path, medley_error *err);
} store_kind;

extern const store_kind store_sqlite;

/* What every kind asks of keys: 1 to STORE_KEY_MAX bytes of UTF-8 without control characters. what: "item". */
medley_status store_key_check(const char *what, const char *key, medley_error *err) MEDLEY_CHECK;
/* NULL, or UTF-8 of at most STORE_TEXT_MAX bytes. */
medley_status store_text_check(const char *what, const char *key, const char *field, const char *text,
                               medley_error *err) MEDLEY_CHECK;

/* An event lies between 1970 and a day after now_s (clocks differ, zones are forgotten); unknown is fine. */
medley_status store_event_time_check(int64_t time_s, int64_t now_s, medley_error *err) MEDLEY_CHECK;

/* By name; NULL when there is none. */
const store_kind *store_kind_find(const char *name);

#endif
