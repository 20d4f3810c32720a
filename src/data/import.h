/* data/import.h: rows from files of many formats into the store.
 *
 * import_run looks at the path (a file or a folder, plain, gzip or zstd), finds the format, maps its columns to fields,
 * checks each row and writes it through a store_kind. What it cannot take is a rejected row with a line number, a field
 * and a reason; never a silent skip. Rows and progress are committed together, so an import that was killed or
 * cancelled goes on where it stopped when it is started again with the same file and options.
 *
 * Fields, the left sides of a map entry "field=column" (column: a header's name, a number from 1 for tables, a path
 * such as name.en for JSON): items    item title text tags category language time hidden image audio video flag users
 * user time events   user item type value time split links    user|item (from), to_user|to_item, type, value (weight)
 *   vectors  item vector
 *   skip     a column to leave out; every other unmapped column becomes a member of the row's attributes (events:
 * context) Several columns may map to title, text, tags, image, audio, video and flag ("flag": the column's name
 * becomes a tag where its value is 1). A field that is not mapped is found by well-known column names
 * (import_fields.c); "title=" says that there is none.
 *
 * Rows of one file with the same item key update the same item: fields given replace, or, with append_text, add a line
 * of text. Events that name an unknown user or item create it, unless strict.
 *
 * A file that is taken once more (`again`, or because it changed since an earlier import) leaves out events that the
 * store has already, in all their fields: afterwards the store has each of its events as often as the file, at least.
 */
#ifndef DATA_IMPORT_H
#define DATA_IMPORT_H

#include <medley/progress.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "media/sample.h"
#include "store/store.h"

typedef enum import_kind {
  IMPORT_AUTO, /* what the format says; refused where it says nothing */
  IMPORT_ITEMS,
  IMPORT_USERS,
  IMPORT_EVENTS,
  IMPORT_LINKS,
  IMPORT_VECTORS,
  IMPORT_KIND_COUNT
} import_kind;

/* "auto", "items", ...; IMPORT_KIND_COUNT when the name is none of them. */
const char *import_kind_name(import_kind kind);
import_kind import_kind_from_name(const char *name);

/* Why a row was rejected: the key of the counts. The sentence of each row is in the rejects file. */
typedef enum import_reason {
  IMPORT_BAD_ROW,       /* not JSON, an unclosed quote, another number of columns than the header, too long */
  IMPORT_BAD_ENCODING,  /* not UTF-8, or a NUL byte */
  IMPORT_MISSING_FIELD, /* no user, item or vector in the row */
  IMPORT_BAD_KEY,       /* too long, control characters */
  IMPORT_BAD_TIME,
  IMPORT_BAD_VALUE,   /* value, hidden, split or vector that is not what its field wants */
  IMPORT_TOO_LARGE,   /* a text, list or attribute above its limit */
  IMPORT_UNKNOWN_KEY, /* strict: an event names a user or item that is not there */
  IMPORT_REASON_COUNT
} import_reason;
const char *import_reason_name(import_reason reason); /* "bad time" */

typedef struct import_options {
  import_kind kind;
  const char *path;
  const char *format;      /* a name of import_format_name; NULL: found out */
  const char *const *maps; /* [map_count] each "field=column[,field=column]..." */
  size_t map_count;
  /* [modality][pattern_count] paths below media_root with {item} or {column} in them, and at most one '*' in the file
   * name: "posters/{item}.jpg", "shots/{item}_*.png". Text has none. */
  const char *const *patterns[MODALITY_COUNT];
  size_t pattern_count[MODALITY_COUNT];
  const char *media_root; /* NULL: the folder of the file */
  const char
      *copy_to; /* the workspace, into whose media/ found media are copied; NULL: media are referenced where they lie */
  const char *type;   /* of events and links that have none; NULL: "interaction", "related", or what the format says */
  store_split split;  /* of events that have none */
  const char *space;  /* of vectors; NULL: made from the file's name */
  const char *keys;   /* npy: a file with the item keys, a line per row; NULL: keys are row numbers from 0 */
  const char *errors; /* rejects file, JSON Lines {"line":7,"field":"time","reason":"bad time","message":...,"row":...};
                         NULL: none */
  uint64_t allow_rejects; /* more than these make MEDLEY_ERR_REJECTED, after everything good was taken in */
  const char *encoding;   /* "utf-8", "latin-1"; NULL or "auto": what the format says, otherwise utf-8 */
  bool dry_run;           /* everything but the writing: rows are checked by the store and rolled back */
  bool no_header;         /* csv and tsv: the first line is a row, and columns are named by number */
  bool strict, append_text;
  bool again;          /* take a finished, unchanged file once more; events that are there already are left out */
  uint64_t batch_rows; /* rows per transaction; 0: IMPORT_BATCH_ROWS */
} import_options;

#define IMPORT_BATCH_ROWS 200000
#define IMPORT_LINE_MAX (16 << 20) /* bytes of a line or record */

typedef struct import_report {
  char format[32];
  uint64_t files; /* that rows were read from */
  uint64_t read, accepted, rejected;
  uint64_t reasons[IMPORT_REASON_COUNT];
  uint64_t items_created, items_updated, users_created, users_updated, events, links, vectors;
  uint64_t events_known; /* accepted, but there already, and left out; events counts the others */
  bool again;            /* the file was taken once more */
  uint64_t media_found[MODALITY_COUNT], media_missing[MODALITY_COUNT]; /* found: files; missing: items */
  uint64_t resumed_from; /* rows that an earlier run had done; 0: from the start */
  double seconds;        /* of this run */
} import_report;

/* Errors: NOT_FOUND (path), USAGE (format, map, pattern), INPUT (format not recognised, header without the needed
 * column, a file or folder without rows), EXISTS (a finished import of the same file), REJECTED (more than
 * allow_rejects; report is complete), CANCELLED (what was accepted is kept), and those of the store. The report is
 * filled in every case. The store must not be inside a transaction. */
medley_status import_run(const store_kind *kind, store *s, const import_options *options,
                         const medley_progress *progress, import_report *report, medley_error *err) MEDLEY_CHECK;

/* The table of formats, for help texts: name and one line of words; NULL behind the last. */
const char *import_format_name(size_t index, const char **summary);
/* The report as JSON object, for --json and the list of runs. */
void import_report_json(const import_report *report, strbuf *out);

#endif
