/* engine/export.c: medley_export and medley_restore: a workspace as one encrypted file (privacy/archive.h), and back.
 *
 * What the archive holds: a snapshot of the database, medley.conf, the number of the serving generation, the kept
 * generations, the encoders that were added, and media/ when the workspace has copies. The number is read before the
 * generations are listed: training may publish another meanwhile, and the number must never point to one that is not in
 * the archive. */
#include <medley/workspace.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/progress.h"
#include "engine/workspace.h"
#include "privacy/archive.h"

#define DEPTH_MAX 8 /* of folders below media/ and models/ */

typedef struct exporter {
  medley_workspace *w;
  arena *names;
  archive_source *sources;
  size_t count, capacity;
  char *beside; /* folder of the snapshot, inside the workspace; removed at the end */
} exporter;

static medley_status source_put(exporter *e, const char *name, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_GROW(e->sources, e->capacity, e->count + 1, "a list of files");
  archive_source source = {arena_strdup(e->names, name), arena_strdup(e->names, path)};
  if (source.name == NULL || source.path == NULL) {
    status = error_memory(err, "a list of files");
    goto done;
  }
  e->sources[e->count++] = source;
done:
  return status;
}

/* All files below a folder, under the names they have in the workspace. What somebody is still writing is left out. */
static medley_status folder_put(exporter *e, const char *name, int depth, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **names = NULL, *path = workspace_path(e->w, name);
  size_t count = 0;
  if (path == NULL) return error_memory(err, "a file name");
  if (!file_is_folder(path)) goto done;
  if (depth > DEPTH_MAX) FAIL(err, MEDLEY_ERR_LIMIT, "'%s': folders nested more than %d deep", path, DEPTH_MAX);
  TRY(folder_list(path, &names, &count, err));
  for (size_t i = 0; i < count && status == MEDLEY_OK; i++) {
    char *inner_name = path_join(name, names[i]), *inner = inner_name ? workspace_path(e->w, inner_name) : NULL;
    if (inner == NULL)
      status = error_memory(err, "a file name");
    else if (file_is_folder(inner) && strstr(names[i], ".tmp-") == NULL)
      status = folder_put(e, inner_name, depth + 1, err);
    else if (strstr(names[i], ".tmp-") == NULL)
      status = source_put(e, inner_name, inner, err);
    mem_free(inner_name);
    mem_free(inner);
  }
done:
  folder_list_free(names, count);
  mem_free(path);
  return status;
}

/* The database and the number of the generation, as of now, copied beside. */
static medley_status snapshot_put(exporter *e, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char number[32], *db = path_join(e->beside, "medley.db"), *current = path_join(e->beside, "current");
  int64_t generation;
  if (db == NULL || current == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  TRY(folder_remove(e->beside, err));
  TRY(folder_create(e->beside, err));
  TRY(generation_current(e->w->path, &generation, err));
  if (generation > 0) {
    int length = snprintf(number, sizeof number, "%lld\n", (long long)generation);
    TRY(file_write(current, number, (size_t)length, err));
    TRY(source_put(e, "current", current, err));
  }
  TRY(e->w->kind->snapshot(e->w->store, db, err));
  TRY(source_put(e, "medley.db", db, err));
done:
  mem_free(db);
  mem_free(current);
  return status;
}

static medley_status conf_put(exporter *e, medley_error *err) {
  char *path = workspace_path(e->w, "medley.conf");
  if (path == NULL) return error_memory(err, "a file name");
  medley_status status = file_exists(path) ? source_put(e, "medley.conf", path, err) : MEDLEY_OK;
  mem_free(path);
  return status;
}

medley_status medley_export(medley_workspace *workspace, const char *file, const char *passphrase,
                            const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[64];
  progress_stage stage;
  exporter e = {.w = workspace, .names = arena_create(0)};
  snprintf(name, sizeof name, "export.tmp-%ld", (long)getpid());
  e.beside = workspace_path(workspace, name);
  if (e.names == NULL || e.beside == NULL) {
    status = error_memory(err, "an export");
    goto done;
  }
  progress_begin(&stage, progress, "copy database", 0);
  TRY(snapshot_put(&e, err));
  progress_end(&stage, 1);
  TRY(conf_put(&e, err));
  TRY(folder_put(&e, "models", 0, err));
  TRY(folder_put(&e, KEPT_MODEL_FOLDER, 0, err));
  TRY(folder_put(&e, "media", 0, err));
  TRY(archive_write(file, passphrase, e.sources, e.count, NULL, progress, err));
done:
  if (e.beside != NULL) (void)(folder_remove(e.beside, NULL) == MEDLEY_OK);
  mem_free(e.beside);
  mem_free(e.sources);
  arena_free(e.names);
  return status;
}

/* An archive of something else has no business as a workspace. */
static medley_status workspace_check(const char *folder, medley_error *err) {
  medley_workspace *w;
  char *models = path_join(folder, "models");
  if (models == NULL) return error_memory(err, "a file name");
  medley_status status = folder_create(models, err);
  mem_free(models);
  if (status == MEDLEY_OK) status = medley_workspace_open(folder, &w, err);
  if (status != MEDLEY_OK) return error_prefix(err, status, "the archive holds no workspace");
  medley_workspace_close(w);
  return MEDLEY_OK;
}

medley_status medley_restore(const char *file, const char *folder, const char *passphrase,
                             const medley_progress *progress, medley_error *err) {
  return archive_extract(file, folder, passphrase, workspace_check, progress, err);
}
