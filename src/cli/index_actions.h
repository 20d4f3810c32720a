/* cli/index_actions.h: what the actions of medley index share. In order: cmd_index.c (the command), index_input.c
 * (files and options), index_build.c (build, add, remove), index_search.c, index_care.c (show, check, repair, save),
 * index_bench.c and index_bench_show.c.
 */
#ifndef CLI_INDEX_ACTIONS_H
#define CLI_INDEX_ACTIONS_H

#include <jansson.h>
#include <medley/index.h>

#include "cli/arguments.h"
#include "cli/console.h"

/* ---- actions: the positional "file" is there ---- */

medley_status index_build_run(const arguments *a, console *c, medley_error *err) MEDLEY_CHECK;
medley_status index_add_run(const arguments *a, console *c, medley_error *err) MEDLEY_CHECK;
medley_status index_remove_run(const arguments *a, console *c, medley_error *err) MEDLEY_CHECK;
medley_status index_search_run(const arguments *a, console *c, medley_error *err) MEDLEY_CHECK;
medley_status index_show_run(const arguments *a, console *c, medley_error *err) MEDLEY_CHECK;
medley_status index_check_run(const arguments *a, console *c, medley_error *err) MEDLEY_CHECK;
medley_status index_repair_run(const arguments *a, console *c, medley_error *err) MEDLEY_CHECK;
medley_status index_save_run(const arguments *a, console *c, medley_error *err) MEDLEY_CHECK;
medley_status index_bench_run(const arguments *a, console *c, medley_error *err) MEDLEY_CHECK;

/* index_bench_show.c: the report of index_bench.c as tables. */
void index_bench_show(console *c, const json_t *report);

/* ---- input (index_input.c) ---- */

/* What the options say of a new index. */
medley_status index_options_of(const arguments *a, size_t dim, medley_index_options *out,
                               medley_error *err) MEDLEY_CHECK;
/* --threads for all parallel loops of this process; without it, as many as there are cores. Returns how many. */
size_t index_threads_use(const arguments *a);

/* Attributes line by line: texts [count] are JSON objects without "id". */
typedef struct attribute_rows {
  arena *memory;
  uint64_t *ids; /* [count] what "id" said; NULL: the rows go with the vectors in order */
  const char **texts;
  size_t count, capacity;
} attribute_rows;

/* Vectors with their ids, and what is known of them. Zero-initialise. */
typedef struct index_input {
  medley_vectors vectors; /* count 0: none were given */
  uint64_t *ids;          /* [vectors.count] */
  uint64_t *sorted;       /* [vectors.count] the same, ascending */
  attribute_rows attributes;
} index_input;

/* vectors: path, NULL for none. Ids from --ids, or from --first-id on; each once. Attributes are tried out before
 * anything is done with them. */
medley_status index_input_read(index_input *in, const arguments *a, const char *vectors,
                               medley_error *err) MEDLEY_CHECK;
bool index_input_has(const index_input *in, uint64_t id);
/* All attributes into the index. */
medley_status index_input_describe(const index_input *in, medley_index *index, const medley_progress *progress,
                                   medley_error *err) MEDLEY_CHECK;
void index_input_deinit(index_input *in);

/* A whole number from 0 to 2^64 - 1. what: for the sentence. */
medley_status index_id_read(const char *what, const char *text, uint64_t *id, medley_error *err) MEDLEY_CHECK;
/* Vectors of a file, which must have so many dimensions. what: whose dimensions those are. */
medley_status index_vectors_read(const char *path, size_t dim, const char *what, medley_vectors *out,
                                 medley_error *err) MEDLEY_CHECK;

/* ---- output (index_care.c) ---- */

/* json_t or NULL when memory runs out. */
json_t *index_recall_json(const medley_index_recall *recall);
json_t *index_info_json(const medley_index_info *info);
/* "recall@10 0.972 (0.965 to 0.979), measured with 200 of its own vectors at breadth 64" */
void index_recall_append(strbuf *b, const json_t *recall);
/* The report (taken) as JSON, or by `show`; NULL is out of memory. */
medley_status index_report(console *c, json_t *report, void (*show)(console *c, const json_t *report),
                           medley_error *err) MEDLEY_CHECK;

#endif
