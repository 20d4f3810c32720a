/* data/import_parts.h: what the files of the importer share. See data/import.h for what it does.
 *
 * An import goes through these rooms, each a file:
 *   import_format_*.c  looks at a path and plans parts: which files, how each is read, which column is which field
 *   import_rows_*.c    reads a part row by row into a draft: tables, JSON, .npy, folders
 *   import_fields.c    which column is which field: explicit maps, the format's map, well-known names
 *   import_draft.c     one row on its way: its fields, or why it was rejected
 *   import_values.c    texts to times, splits, flags, tags
 *   import_media.c     patterns and columns to media files
 *   import_known.c     events that the store has already, for a file that is taken once more
 *   import_sink.c      drafts into the store
 *   import_state.c     progress that outlives a kill; the rejects file
 *   import.c           options, plan, the loop over rows, the report
 */
#ifndef DATA_IMPORT_PARTS_H
#define DATA_IMPORT_PARTS_H

#include <stdio.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/import.h"
#include "data/npy.h"
#include "data/table.h"

/* ---- plan ---- */

typedef enum import_reading { READ_TABLE, READ_JSON, READ_NPY, READ_FOLDER } import_reading;

/* One file (or one folder of media) and how to read it. Strings without a note are literals. */
typedef struct import_part {
  char *path; /* owned */
  import_kind kind;
  import_reading reading;
  table_dialect dialect; /* READ_TABLE */
  bool typed;            /* RecBole: column names carry ":type", and _seq types are separated by spaces */
  bool loose;            /* READ_JSON: Python literals, as in Amazon 2014 */
  bool latin1;
  bool drop_rest;      /* unmapped columns are left out */
  bool append_text;    /* as the option */
  bool stem_keys;      /* the item column names a file: its key is the name without folder and ending */
  const char *columns; /* "user_id,item_id": names for a table without a header; NULL: numbers */
  const char *map;     /* "user=1,item=2": columns known by the format; NULL: none */
  const char *type;    /* of events and links; NULL: the default */
  store_split split;
  size_t place; /* in the plan as it was made, to sort by */
} import_part;

typedef struct import_plan {
  const char *format;
  import_part *parts; /* in the order they are to be read: items and users before events */
  size_t count, capacity;
} import_plan;

/* Adds a copy of the part with its own copy of path. */
medley_status plan_add(import_plan *p, const char *path, const import_part *part, medley_error *err) MEDLEY_CHECK;
/* As plan_add, for the file name in the folder probe->path; a file that is not there is left out. */
struct import_probe;
medley_status plan_add_named(import_plan *p, const struct import_probe *probe, const char *name,
                             const import_part *part, medley_error *err) MEDLEY_CHECK;
void plan_deinit(import_plan *p);

/* What a format sees of a path. */
typedef struct import_probe {
  const char *path, *name; /* the path and its last part without .gz and .zst */
  char name_text[256];
  import_kind kind; /* asked for; IMPORT_AUTO: not said */
  bool named;       /* the format was named by the user: do not doubt it */
  bool folder;
  char **files; /* [file_count] names in the folder, sorted */
  size_t file_count;
  char *head; /* a file's first bytes, decompressed and NUL-terminated */
  size_t head_length;
  json_t *object; /* the first line as a JSON object, or NULL */
} import_probe;

bool probe_has_file(const import_probe *p, const char *name);
/* A member of the first line's object, or NULL. */
const json_t *probe_member(const import_probe *p, const char *name);
/* Whether the first line begins with the words. */
bool probe_begins(const import_probe *p, const char *words);
/* Plans each file of a folder whose name ends in .json, .jsonl, .csv or .tsv (perhaps compressed) as if it had been
 * named alone. */
medley_status plan_each_file(const import_probe *folder, import_plan *plan,
                             medley_status (*plan_file)(const import_probe *, import_plan *, medley_error *),
                             medley_error *err) MEDLEY_CHECK;

typedef struct importer_kind {
  const char *name, *summary;
  /* Adds parts when the path is of this format; adds none otherwise. For a named format, adding none is refused. */
  medley_status (*plan)(const import_probe *probe, import_plan *plan, medley_error *err);
} importer_kind;

extern const importer_kind importer_csv, importer_tsv, importer_jsonl, importer_gorse, importer_recbole, importer_mmrec,
    importer_movielens_100k, importer_movielens_1m, importer_movielens_latest, importer_amazon_2014,
    importer_amazon_2018, importer_amazon_2023, importer_npy, importer_catalogue, importer_folder;

/* ---- fields ---- */

typedef enum import_field {
  FIELD_NONE, /* unmapped: an attribute */
  FIELD_ITEM,
  FIELD_USER,
  FIELD_TO_ITEM,
  FIELD_TO_USER,
  FIELD_TITLE,
  FIELD_TEXT,
  FIELD_TAGS,
  FIELD_CATEGORY,
  FIELD_LANGUAGE,
  FIELD_TIME,
  FIELD_VALUE,
  FIELD_TYPE,
  FIELD_SPLIT,
  FIELD_HIDDEN,
  FIELD_IMAGE,
  FIELD_AUDIO,
  FIELD_VIDEO,
  FIELD_FLAG,
  FIELD_VECTOR,
  FIELD_SKIP,
  FIELD_COUNT
} import_field;

const char *import_field_name(import_field field);
/* The modality of FIELD_IMAGE, FIELD_AUDIO and FIELD_VIDEO; MODALITY_COUNT of others. */
modality import_field_modality(import_field field);

typedef struct import_map_entry {
  import_field field;
  const char *column; /* "": the field has none */
  bool by_user;
  bool found; /* some row had it */
} import_map_entry;

typedef struct import_mapping {
  import_kind kind;
  bool drop_rest;
  import_map_entry *entries;
  size_t count, capacity;
  bool mapped[FIELD_COUNT]; /* some entry names the field: no well-known name is looked for */
  arena *texts;
  strmap names; /* JSON member names looked up before → rank of the well-known name, see mapping_rank */
} import_mapping;

/* The user's maps, and of the part's map those fields that the user's leave out. */
medley_status mapping_init(import_mapping *m, import_kind kind, const char *const *maps, size_t map_count,
                           const char *part_map, medley_error *err) MEDLEY_CHECK;
void mapping_deinit(import_mapping *m);
/* A field for each column of a table. A mapped column that is not there is refused with the names that are. */
medley_status mapping_bind_columns(import_mapping *m, char *const *columns, size_t count, import_field *fields,
                                   medley_error *err) MEDLEY_CHECK;
/* The field that the name stands for in this kind of row, and how well known it is for it (1 best); FIELD_NONE and 0.
 */
import_field mapping_rank(const import_mapping *m, const char *name, int *rank);
bool mapping_has(const import_mapping *m, import_field field);
/* What rows of the kind must have is among the columns of these names; otherwise a sentence says what is missing, or,
 * of items that are events by their columns, what they are. fields [count]: of a table; NULL: of a JSON row, in which
 * only the latter is looked for. */
medley_status mapping_check_columns(const import_mapping *m, const char *const *columns, const import_field *fields,
                                    size_t count, medley_error *err) MEDLEY_CHECK;

/* ---- drafts ---- */

/* One row on its way from a reader to the store. Texts are borrowed from the reader or lie in memory. */
typedef struct import_draft {
  arena *memory; /* reset for each row */
  uint64_t line;
  const char *value[FIELD_COUNT]; /* of fields with one value; NULL: not given */
  const char **tags;
  size_t tag_count, tag_capacity;
  bool tags_given;
  store_media *media; /* as written in columns, or full paths of a folder reader */
  size_t media_count, media_capacity;
  strbuf attributes; /* "{...": without the closing brace; empty: none */
  const float *vector;
  uint32_t vector_dim;
  float *vector_values; /* memory behind vector, where the draft parsed it */
  size_t vector_capacity;
  bool rejected;
  import_reason reason;
  import_field field;
  char message[384];
  const char *raw; /* of a malformed row: how it stands in the file */
} import_draft;

medley_status draft_init(import_draft *d, medley_error *err) MEDLEY_CHECK;
void draft_reset(import_draft *d, uint64_t line);
void draft_deinit(import_draft *d);
/* The first rejection of a row stays. */
void draft_reject(import_draft *d, import_reason reason, import_field field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* One value of a field; several values of title and text are joined, tags are split at separator (0: found out). name
 * is the column's. Borrowed until the next row. */
medley_status draft_add(import_draft *d, import_field field, const char *name, const char *value, char separator,
                        medley_error *err) MEDLEY_CHECK;
medley_status draft_add_tag(import_draft *d, const char *tag, medley_error *err) MEDLEY_CHECK;
medley_status draft_add_media(import_draft *d, modality kind, const char *path, medley_error *err) MEDLEY_CHECK;
void draft_add_attribute(import_draft *d, const char *name, const char *value);          /* as a JSON string */
void draft_add_attribute_json(import_draft *d, const char *name, const char *json_text); /* as it is */
/* The finished JSON object, or NULL when there is none. */
const char *draft_attributes(import_draft *d);

/* ---- values ---- */

/* Seconds, milliseconds, microseconds or nanoseconds since 1970 by size; ISO 8601; "01-Jan-1995"; "09 13, 2009". */
bool value_time(const char *text, int64_t *time_s);
/* train, valid, test and their usual other names; 0, 1, 2 as in MMRec. */
bool value_split(const char *text, store_split *split);
/* true/false, yes/no, 1/0 in any case. */
bool value_flag(const char *text, bool *flag);
/* A number, or true and false as 1 and 0. */
bool value_number(const char *text, float *value);

/* ---- reading ---- */

typedef struct import_reader import_reader;
typedef struct import_reader_kind {
  medley_status (*open)(import_reader *r, medley_error *err);
  /* The next row into the draft, which was reset; *more is false at the end. A row that cannot be read is a rejected
   * draft. */
  medley_status (*next)(import_reader *r, import_draft *d, bool *more, medley_error *err);
  void (*close)(import_reader *r);
  /* The row told last as a JSON value, for the rejects file. */
  void (*describe)(const import_reader *r, const import_draft *d, strbuf *out);
} import_reader_kind;

typedef struct folder_file {
  char *path, *key, *category; /* path below the root; category: the folder it lies in, or NULL */
  modality kind;
} folder_file;

struct import_reader {
  const import_reader_kind *kind;
  const import_part *part;
  const import_options *options;
  import_mapping mapping;
  stream *in;
  /* tables */
  table_reader table;
  import_field *fields; /* [table.column_count] */
  char *separators;     /* [table.column_count] of tags; 0: found out */
  size_t cell_count;    /* of the row told last */
  /* JSON */
  line_reader lines;
  strbuf converted; /* of loose JSON */
  json_t *object;
  bool checked; /* the first object was looked at */
  /* .npy */
  npy_reader npy;
  stream *keys_stream;
  line_reader keys;
  /* folders */
  folder_file *files;
  size_t file_count, file_capacity, file_next;
};

extern const import_reader_kind import_rows_table, import_rows_json, import_rows_npy, import_rows_folder;

medley_status import_reader_open(import_reader *r, const import_part *part, const import_options *options,
                                 medley_error *err) MEDLEY_CHECK;
void import_reader_close(import_reader *r);
/* Python literals of dictionaries, lists, strings and numbers as JSON; false when it is none. */
bool python_to_json(const char *text, size_t length, strbuf *out);

/* ---- media ---- */

typedef struct import_media import_media;
medley_status import_media_create(const import_options *options, const char *file, bool folder, import_media **out,
                                  medley_error *err) MEDLEY_CHECK;
void import_media_free(import_media *m);
/* Replaces the draft's media (as written) by those that exist, with absolute paths, or copied ones below the workspace,
 * and adds what the patterns find; counts found files and missing items when count is set. */
medley_status import_media_resolve(import_media *m, import_draft *d, const import_mapping *mapping, bool count,
                                   import_report *report, medley_error *err) MEDLEY_CHECK;

/* ---- progress that outlives a kill ---- */

typedef struct import_rejects {
  FILE *stream; /* NULL: none wanted */
  const char *path;
} import_rejects;
/* Opens the file and cuts it to length bytes. */
medley_status rejects_open(import_rejects *r, const char *path, uint64_t length, medley_error *err) MEDLEY_CHECK;
medley_status rejects_write(import_rejects *r, const import_reader *reader, const import_draft *d,
                            medley_error *err) MEDLEY_CHECK;
/* Down to the disk; *length is what is there. */
medley_status rejects_sync(import_rejects *r, uint64_t *length, medley_error *err) MEDLEY_CHECK;
void rejects_close(import_rejects *r);

/* What tells the same import again: kind, file, its size and time, and the options that change what rows mean. edition
 * is the beginning that all editions of the file share. */
medley_status import_source(const import_reader *r, char out[1024], char edition[512], medley_error *err) MEDLEY_CHECK;
/* The counts of a part to and from store_import.report. */
medley_status import_state_save(const import_report *report, uint64_t rejects_bytes, store_import *state,
                                medley_error *err) MEDLEY_CHECK;
void import_state_load(const store_import *state, import_report *report, uint64_t *rejects_bytes);
/* Adds b's counts to a's. */
void import_report_add(import_report *a, const import_report *b);

/* ---- what is there already ---- */

/* The events of a store, each as often as it is there. Zero-initialise. */
typedef struct known_events {
  intmap counts; /* hash of all fields → how many were not claimed yet */
} known_events;

/* 16 bytes and a slot's share for each event that differs from the others. */
medley_status known_load(known_events *k, const store_kind *kind, store *s, medley_error *err) MEDLEY_CHECK;
/* *found: one more of this event was there, and is claimed now. */
medley_status known_claim(known_events *k, const store_event *event, bool *found, medley_error *err) MEDLEY_CHECK;
void known_deinit(known_events *k);

/* ---- into the store ---- */

typedef struct import_sink {
  const store_kind *kind;
  store *s;
  const import_options *options;
  const import_part *part;
  const import_mapping *mapping;
  import_media *media;
  import_report *report;
  strmap items, users, types; /* key → id, name → number */
  intmap touched;             /* items of this part that were seen: media are counted once for each */
  store_event *events;        /* [event_count] of this batch, not yet written */
  size_t event_count, event_capacity;
  arena *contexts;
  bool again; /* events in known are left out */
  known_events known;
  int64_t now_s; /* by the clock when the import began */
  char space[STORE_KEY_MAX + 1];
  bool space_remembered; /* its name is among those that training looks for */
} import_sink;

medley_status sink_init(import_sink *k, const store_kind *kind, store *s, const import_options *options,
                        medley_error *err) MEDLEY_CHECK;
/* report->again: events that are there at this moment are left out. */
medley_status sink_begin_part(import_sink *k, const import_part *part, const import_mapping *mapping,
                              import_media *media, import_report *report, medley_error *err) MEDLEY_CHECK;
/* Takes the row in, or leaves the draft rejected. */
medley_status sink_take(import_sink *k, import_draft *d, medley_error *err) MEDLEY_CHECK;
/* A row that an earlier run took in: only remembers that its item was seen, or that its event is in. */
medley_status sink_remember(import_sink *k, import_draft *d, medley_error *err) MEDLEY_CHECK;
/* Writes the events that are waiting; before each commit. */
medley_status sink_flush(import_sink *k, medley_error *err) MEDLEY_CHECK;
void sink_deinit(import_sink *k);

#endif
