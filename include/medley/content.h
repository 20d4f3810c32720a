/* medley/content.h: content in: files of items, users, events, links and vectors, or single rows. */
#ifndef MEDLEY_CONTENT_H
#define MEDLEY_CONTENT_H

#include <medley/workspace.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MEDLEY_TIME_UNKNOWN INT64_MIN

typedef enum medley_import_kind {
  MEDLEY_IMPORT_AUTO, /* the format says what is inside (MovieLens, RecBole, MMRec, Gorse, Amazon) */
  MEDLEY_IMPORT_ITEMS,
  MEDLEY_IMPORT_USERS,
  MEDLEY_IMPORT_EVENTS,
  MEDLEY_IMPORT_LINKS,
  MEDLEY_IMPORT_VECTORS
} medley_import_kind;

typedef struct medley_import_options { /* zero-initialise: zero and NULL mean the default */
  medley_import_kind kind;
  const char *format;     /* "csv", "jsonl", "movielens-1m" …; NULL: recognised */
  const char *const *map; /* "field=column", e.g. "item=movie_id"; NULL-terminated; NULL: by well-known column names */
  const char *const *image; /* patterns such as "posters/{item}.jpg", relative to media_root; NULL-terminated */
  const char *const *audio;
  const char *const *video;
  const char *media_root; /* NULL: the folder of the imported file */
  const char *event_type; /* for events without a type column; NULL: what the format says, else "interaction" */
  const char *split;      /* "train", "valid" or "test" for all rows; NULL: as the rows say */
  const char *space;      /* name of the space of imported vectors; NULL: from the file name */
  const char *keys;       /* a file with one item key a line, for vectors by row; NULL: the row number is the key */
  const char *encoding;   /* "utf-8" or "latin-1"; NULL: UTF-8, Latin-1 where the format is known for it */
  const char *errors;     /* file that receives rejected rows as JSONL; NULL: none */
  uint64_t allow_rejects; /* more rejected rows than this make the call MEDLEY_ERR_REJECTED */
  int dry_run;            /* read and check everything, write nothing */
  int strict;             /* events with unknown users or items are rejected instead of creating them */
  int copy_media;         /* copy media into the workspace */
  int again;              /* import a file again that was imported completely */
  int append_text;        /* rows that repeat an item key add their text instead of replacing it */
} medley_import_options;

/* What an import did, as JSON: {"rows_read":…,"accepted":…,"rejected":…,"reasons":{…},"created":{"users":…,"items":…},
 * "again":…,"events":…,"events_known":…,"media":{"image":{"found":…,"missing":…},…},"seconds":…,"resumed_at":…}.
 * *report_json may be NULL when not wanted; it is set also with MEDLEY_ERR_REJECTED. Accepted rows are committed batch
 * by batch; after a kill the same call goes on where it stopped.
 *
 * A file that was imported completely and has not changed is MEDLEY_ERR_EXISTS unless `again` is set. With it, and
 * where the file has changed, items and users are updated, and an event that is there already (the same user, item,
 * type, value, time, split and context) is accepted and left out: "events" counts those added, "events_known" those
 * left out. An event that stands twice in the file is there twice afterwards. Times of events before 1970 or more than
 * a day ahead of the clock are rejected. */
MEDLEY_API medley_status medley_import(medley_workspace *workspace, const char *path,
                                       const medley_import_options *options, const medley_progress *progress,
                                       char **report_json, medley_error *err) MEDLEY_CHECK;

typedef struct medley_item {
  const char *key;                                        /* 1 to 512 bytes */
  const char *title, *text, *category, *language;         /* NULL: unknown, or unchanged when the item exists */
  const char *const *tags;                                /* NULL-terminated; NULL: none given */
  const char *const *image, *const *audio, *const *video; /* paths; NULL-terminated; NULL: none given */
  const char *attributes;                                 /* JSON object, or NULL */
  int64_t time_s;                                         /* seconds since 1970 or MEDLEY_TIME_UNKNOWN */
  int hidden;                                             /* never recommended */
} medley_item;

typedef struct medley_event {
  const char *user, *item; /* keys; a user that is new is created, an item must exist */
  const char *type;        /* "view", "click", "like", "buy", "rate", "skip", "dislike" …; NULL: "click" */
  double value;            /* rating, watch share, quantity; 0 means 1 */
  int64_t time_s;          /* MEDLEY_TIME_UNKNOWN or 0: now; not before 1970, nor more than a day ahead of the clock */
  const char *context;     /* circumstances: a JSON object of at most 64 KiB such as {"page":"home"}; NULL: none */
} medley_event;

typedef struct medley_user {
  const char *key;        /* 1 to 512 bytes */
  const char *attributes; /* JSON object; NULL: unknown, or unchanged when the user exists */
  int64_t time_s;         /* since when, in seconds since 1970, or MEDLEY_TIME_UNKNOWN */
} medley_user;

/* A user follows a user, an item goes with an item, or anything else that leads from one to the other. */
typedef struct medley_link {
  const char *from_user, *from_item; /* exactly one of the two, a key; a user that is new is created */
  const char *to_user, *to_item;     /* exactly one of the two; items must exist */
  const char *type;                  /* "follows", "goes with" …; NULL: "related" */
  double weight;                     /* 0 means 1 */
} medley_link;

/* Inserted, or updated where the key exists. On disk when the call returns. A new item is part of search and of
 * recommendations as soon as it is encoded: at the next training. Until then it is shown where it is pinned. */
MEDLEY_API medley_status medley_put_item(medley_workspace *workspace, const medley_item *item,
                                         medley_error *err) MEDLEY_CHECK;
MEDLEY_API medley_status medley_delete_item(medley_workspace *workspace, const char *key,
                                            medley_error *err) MEDLEY_CHECK;
/* On disk when the call returns. The next answer for this user counts it when its item is part of the serving
 * generation (medley_describe_item: "trained" is not null); an event with a newer item counts after the next training,
 * and answers say so in their note. */
MEDLEY_API medley_status medley_put_event(medley_workspace *workspace, const medley_event *event,
                                          medley_error *err) MEDLEY_CHECK;
/* Inserted, or updated where the key exists. On disk when the call returns. */
MEDLEY_API medley_status medley_put_user(medley_workspace *workspace, const medley_user *user,
                                         medley_error *err) MEDLEY_CHECK;
/* Inserted; where there is one of the same type between the same two, its weight is replaced. On disk when the call
 * returns. MEDLEY_ERR_NOT_FOUND for an item that is not there. */
MEDLEY_API medley_status medley_put_link(medley_workspace *workspace, const medley_link *link,
                                         medley_error *err) MEDLEY_CHECK;
/* The user with all events and links. */
MEDLEY_API medley_status medley_delete_user(medley_workspace *workspace, const char *key,
                                            medley_error *err) MEDLEY_CHECK;
/* All that is known about the item, as JSON. */
MEDLEY_API medley_status medley_describe_item(medley_workspace *workspace, const char *key, char **json,
                                              medley_error *err) MEDLEY_CHECK;

typedef struct medley_card_options {
  uint32_t width, height; /* 0: 600 × 400 */
  int grey;
  double opacity; /* of the band behind the title; 0: 0.65 */
} medley_card_options;
/* The caption card of an item: its title over its picture, written to file (.png, .jpg or .webp). options may be NULL.
 */
MEDLEY_API medley_status medley_card(medley_workspace *workspace, const char *item, const medley_card_options *options,
                                     const char *file, medley_error *err) MEDLEY_CHECK;

#ifdef __cplusplus
}
#endif
#endif
