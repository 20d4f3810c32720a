/* engine/workspace.h: the inside of a medley_workspace handle, for the files of this folder. */
#ifndef ENGINE_WORKSPACE_H
#define ENGINE_WORKSPACE_H

#include <medley/workspace.h>

#include "base/config.h"
#include "base/memory.h"
#include "engine/generation.h"
#include "media/preparation.h"
#include "store/store.h"

struct medley_workspace {
  char *path;
  config config;
  const store_kind *kind;
  store *store;
  generation *generation;         /* NULL until one is published and first needed */
  double looked_s;                /* when `current` was read last */
  text_preparer *preparer;        /* for words of queries; made on first use */
  preparation prepare;            /* what `preparer` was made for */
  struct media_pool *pool;        /* for queries with files; made on first use */
  struct answer_buffers *buffers; /* reused between answers */
  struct word_background *words;  /* for profiles; made on first use */
};

/* "<workspace>/<name>"; NULL when memory runs out. */
char *workspace_path(const medley_workspace *w, const char *name);
/* The serving generation, loaded if need be; *out is borrowed and NULL when nothing was trained yet. Looks at `current`
 * at most once a second. */
medley_status workspace_generation(medley_workspace *w, generation **out, medley_error *err) MEDLEY_CHECK;
/* The same, and an error that says what to do when nothing was trained. */
medley_status workspace_trained(medley_workspace *w, generation **out, medley_error *err) MEDLEY_CHECK;
/* Borrowed until it is asked for with another preparation. */
medley_status workspace_preparer(medley_workspace *w, const preparation *p, text_preparer **out,
                                 medley_error *err) MEDLEY_CHECK;
medley_status workspace_pool(medley_workspace *w, struct media_pool **out, medley_error *err) MEDLEY_CHECK;
/* The id of an item or user by key, with a sentence that names the key when it is unknown. */
medley_status workspace_item_id(medley_workspace *w, const char *key, int64_t *id, medley_error *err) MEDLEY_CHECK;
medley_status workspace_user_id(medley_workspace *w, const char *key, int64_t *id, medley_error *err) MEDLEY_CHECK;
/* Into the list of runs: what was done, when (seconds since 1970), for how long, with its report as JSON. */
medley_status workspace_run_put(medley_workspace *w, const char *what, int64_t started_s, double seconds,
                                const char *report, medley_error *err) MEDLEY_CHECK;

#endif
