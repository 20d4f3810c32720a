/* engine/workspace.c: making, opening and describing a workspace. */
#include "engine/workspace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sodium.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/answer_buffers.h"
#include "engine/word_background.h"
#include "media/worker.h"

#define BUSY_MS 10000
#define LOOK_INTERVAL_S 1.0
#define WORKER_WORD "media-worker"

static const char default_config[] =
    "; medley.conf: every key is optional; what is commented out shows the default.\n"
    "\n"
    "[store]\n"
    "; kind = sqlite\n"
    "\n"
    "[train]\n"
    "; seed = 1\n"
    "; threads = 0           ; 0: all processors\n"
    "; ensemble = weighted   ; how the models become one ranking, `medley list ensemble`\n"
    "; new_items = 0.02     ; share of the demand that finding new items may cost; usually by the data\n"
    "\n"
    "[encode]               ; `medley list encoder` shows what there is\n"
    "; text = text.lsa\n"
    "; image = image.descriptor\n"
    "; audio = audio.mfcc\n"
    "; video = video.pooled\n"
    "; precision = f32      ; weights of networks trained on the catalogue when they answer: also bf16, int8\n"
    "\n"
    "[encode.normalise]     ; `medley list normaliser`\n"
    "; text = l2\n"
    "; image = zscore\n"
    "\n"
    "[prepare]              ; before encoding, see docs/encoders.md; a change counts from the next training on\n"
    "; text.stem = yes      ; also text.nfkc fold_case strip_html strip_urls strip_emoji segment drop_stop_words\n"
    "; text.language = auto ; or one language for all texts, such as en\n"
    "; image.crop = none    ; centre, attention\n"
    "; image.denoise = no   ; also image.contrast equalise sharpen\n"
    "; audio.loudness = no  ; also audio.denoise trim segments\n"
    "\n"
    "[align]                ; how one modality is looked for by another: the best of these on held-out items\n"
    "; kinds = align.cca, align.ridge\n"
    "\n"
    "[fuse]                 ; how the recommender `content` makes one vector of an item's parts; auto: fuse.concat\n"
    "; kind = auto\n"
    "\n"
    "[model.bpr]            ; a setting of a recommender that is to stay as it is, `medley list recommender --json`\n"
    "; balance = 0.5\n"
    "\n"
    "[search]\n"
    "; index_from = 100000  ; from so many items on, searches walk graphs instead of comparing everything; 0: never\n";

const char *medley_version(void) { return MEDLEY_VERSION; }

void medley_free(void *block) { mem_free(block); }

int medley_worker_main(int argc, char **argv, int *exit_status) {
  if (argc < 2 || strcmp(argv[1], WORKER_WORD) != 0) return 0;
  *exit_status = media_worker_main();
  return 1;
}

char *workspace_path(const medley_workspace *w, const char *name) { return path_join(w->path, name); }

/* ---- create ---- */

medley_status medley_workspace_create(const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *conf = path_join(path, "medley.conf"), *db = path_join(path, "medley.db"), *models = path_join(path, "models");
  store *s = NULL;
  bool made = false;
  if (conf == NULL || db == NULL || models == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  if (file_exists(db)) FAIL(err, MEDLEY_ERR_EXISTS, "'%s' is a workspace already", path);
  if (file_exists(path) && !file_is_folder(path))
    FAIL(err, MEDLEY_ERR_EXISTS, "'%s' is a file; a workspace is a folder", path);
  if (!file_exists(path)) {
    if (mkdir(path, 0777) != 0) {
      status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot create folder '%s'", path);
      goto done;
    }
    made = true;
  }
  /* The database comes last: a folder without it is no workspace, so a killed init can be repeated. */
  TRY(folder_create(models, err));
  if (!file_exists(conf)) TRY(file_write(conf, default_config, sizeof default_config - 1, err));
  TRY(store_sqlite.open(db, true, BUSY_MS, &s, err));
  store_sqlite.close(s);
done:
  if (status != MEDLEY_OK && made) (void)(folder_remove(path, NULL) == MEDLEY_OK);
  mem_free(conf);
  mem_free(db);
  mem_free(models);
  return status;
}

/* ---- open and close ---- */

static medley_status workspace_read(medley_workspace *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *db = workspace_path(w, "medley.db"), *conf = workspace_path(w, "medley.conf");
  if (db == NULL || conf == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  if (!file_exists(db))
    FAIL(err, MEDLEY_ERR_NOT_FOUND,
         "'%s' is no workspace (there is no medley.db in it); make one with 'medley init %s'", w->path, w->path);
  TRY(config_load(&w->config, conf, err));
  const char *kind = config_string(&w->config, "store.kind", "sqlite");
  w->kind = store_kind_find(kind);
  if (w->kind == NULL) FAIL(err, MEDLEY_ERR_INPUT, "medley.conf: store.kind is '%s', which this Medley has not", kind);
  TRY(w->kind->open(db, false, BUSY_MS, &w->store, err));
done:
  mem_free(db);
  mem_free(conf);
  return status;
}

medley_status medley_workspace_open(const char *path, medley_workspace **workspace, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  *workspace = NULL;
  if (sodium_init() < 0) FAIL(err, MEDLEY_ERR_INTERNAL, "libsodium cannot start");
  TRY_NEW(w, 1, "a workspace");
  w->path = mem_strdup(path);
  if (w->path == NULL) {
    status = error_memory(err, "a workspace");
    goto done;
  }
  TRY(workspace_read(w, err));
  *workspace = w;
  w = NULL;
done:
  medley_workspace_close(w);
  return status;
}

void medley_workspace_close(medley_workspace *w) {
  if (w == NULL) return;
  generation_free(w->generation);
  answer_buffers_free(w->buffers);
  word_background_free(w->words);
  text_preparer_free(w->preparer);
  media_pool_free(w->pool);
  if (w->store != NULL) w->kind->close(w->store);
  config_deinit(&w->config);
  mem_free(w->path);
  mem_free(w);
}

/* ---- what is loaded when first needed ---- */

medley_status medley_workspace_refresh(medley_workspace *w, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int64_t number;
  generation *fresh = NULL;
  w->looked_s = clock_now_s();
  TRY(generation_current(w->path, &number, err));
  if (number == 0 || (w->generation != NULL && w->generation->number == number)) goto done;
  TRY(generation_load(w->path, number, w->kind, w->store, &fresh, err));
  TRY(graphs_recall(&fresh->graphs, w, number, err));
  generation_free(w->generation);
  w->generation = fresh;
  fresh = NULL;
done:
  generation_free(fresh);
  return status;
}

medley_status workspace_generation(medley_workspace *w, generation **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (w->generation == NULL || clock_now_s() - w->looked_s > LOOK_INTERVAL_S) {
    status = medley_workspace_refresh(w, err);
    /* A generation that serves goes on serving when the next one cannot be read. */
    if (w->generation != NULL) status = MEDLEY_OK;
  }
  *out = w->generation;
  return status;
}

medley_status workspace_trained(medley_workspace *w, generation **out, medley_error *err) {
  medley_status status = workspace_generation(w, out, err);
  if (status != MEDLEY_OK || *out != NULL) return status;
  return error_set(err, MEDLEY_ERR_NOT_FOUND, "nothing has been trained yet: run 'medley train %s' first", w->path);
}

medley_status workspace_preparer(medley_workspace *w, const preparation *p, text_preparer **out, medley_error *err) {
  text_options options = preparation_text(p);
  if (w->preparer != NULL && memcmp(&w->prepare, p, sizeof *p) != 0) {
    text_preparer_free(w->preparer);
    w->preparer = NULL;
  }
  w->prepare = *p;
  medley_status status = w->preparer ? MEDLEY_OK : text_preparer_create(&options, &w->preparer, err);
  *out = w->preparer;
  return status;
}

medley_status workspace_pool(medley_workspace *w, media_pool **out, medley_error *err) {
  medley_status status = w->pool ? MEDLEY_OK : media_pool_create(1, NULL, &w->pool, err);
  *out = w->pool;
  return status;
}

medley_status workspace_item_id(medley_workspace *w, const char *key, int64_t *id, medley_error *err) {
  medley_status status = w->kind->get_id(w->store, STORE_ITEMS, key, id, err);
  return status == MEDLEY_ERR_NOT_FOUND ? error_set(err, status, "there is no item '%s'", key) : status;
}

medley_status workspace_user_id(medley_workspace *w, const char *key, int64_t *id, medley_error *err) {
  medley_status status = w->kind->get_id(w->store, STORE_USERS, key, id, err);
  return status == MEDLEY_ERR_NOT_FOUND ? error_set(err, status, "there is no user '%s'", key) : status;
}

/* ---- describe ---- */

static json_t *counts_to_json(const store_counts *c) {
  return json_pack("{s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}}", "items", (json_int_t)c->items, "users",
                   (json_int_t)c->users, "events", (json_int_t)c->events, "links", (json_int_t)c->links, "vectors",
                   (json_int_t)c->vectors, "media", "image", (json_int_t)c->media[MODALITY_IMAGE], "audio",
                   (json_int_t)c->media[MODALITY_AUDIO], "video", (json_int_t)c->media[MODALITY_VIDEO]);
}

medley_status medley_workspace_describe(medley_workspace *w, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  store_counts counts;
  generation *g;
  uint64_t size = 0;
  char *db = workspace_path(w, "medley.db");
  json_t *out = NULL;
  TRY(w->kind->counts(w->store, &counts, err));
  TRY(workspace_generation(w, &g, err));
  if (db != NULL) file_stat(db, &size, NULL);
  out = json_pack("{s:s, s:s, s:s, s:I, s:o, s:o}", "workspace", w->path, "medley", MEDLEY_VERSION, "store",
                  w->kind->name, "database_bytes", (json_int_t)size, "counts", counts_to_json(&counts), "generation",
                  g ? json_pack("{s:I, s:s, s:I}", "number", (json_int_t)g->number, "made",
                                json_member_string(g->manifest, "made", "?"), "items", (json_int_t)g->item_count)
                    : json_null());
  *json = out ? json_to_text(out) : NULL;
  if (*json == NULL) status = error_memory(err, "a description");
done:
  json_decref(out);
  mem_free(db);
  return status;
}

medley_status workspace_run_put(medley_workspace *w, const char *what, int64_t started_s, double seconds,
                                const char *report, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(w->kind->begin(w->store, err));
  status = w->kind->put_run(w->store, what, started_s, seconds, report, err);
  if (status == MEDLEY_OK)
    status = w->kind->commit(w->store, err);
  else
    w->kind->rollback(w->store);
done:
  return status;
}
