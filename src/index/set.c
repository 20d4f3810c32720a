/* index/set.c: the life of an index: create, open, save, close. */
#include "index/set.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/memory.h"
#include "index/pages.h"

#define READER_TRIES 4

static medley_status name_find(const char *name, const char *(*name_of)(int), int count, const char *what, int *out,
                               medley_error *err) {
  for (*out = 0; *out < count; ++*out)
    if (strcmp(name, name_of(*out)) == 0) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "unknown %s '%s'", what, name);
}
static const char *distance_at(int i) { return index_distance_name((index_distance)i); }
static const char *storage_at(int i) { return row_storage_name((row_storage)i); }

/* The fuller storages come first. */
static medley_status rerank_read(const char *name, row_storage storage, row_storage *rerank, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int found;
  *rerank = ROW_STORAGE_COUNT;
  if (name == NULL || *name == '\0') return MEDLEY_OK;
  TRY(name_find(name, storage_at, ROW_STORAGE_COUNT, "storage of vectors to rank again with", &found, err));
  if (found >= (int)storage)
    FAIL(err, MEDLEY_ERR_USAGE, "ranking again with %s vectors gains nothing where the index holds %s", name,
         row_storage_name(storage));
  *rerank = (row_storage)found;
done:
  return status;
}

medley_status set_options_read(const medley_index_options *o, medley_index *set, index_distance *distance,
                               row_storage *storage, row_storage *rerank, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int found;
  const char *kind = o->kind && *o->kind ? o->kind : "hnsw";
  set->kind = index_kind_find(kind);
  if (set->kind == NULL) FAIL(err, MEDLEY_ERR_USAGE, "unknown kind of index '%s'", kind);
  TRY(name_find(o->distance && *o->distance ? o->distance : "cosine", distance_at, INDEX_DISTANCE_COUNT, "distance",
                &found, err));
  *distance = (index_distance)found;
  TRY(name_find(o->storage && *o->storage ? o->storage : "f32", storage_at, ROW_STORAGE_COUNT, "storage", &found, err));
  *storage = (row_storage)found;
  TRY(rerank_read(o->rerank, *storage, rerank, err));
  set->options = (index_options){o->links,      o->build_breadth, o->search_breadth,    o->lists,
                                 o->code_bytes, o->seed,          o->memory_limit_bytes};
  set->memory_limit_bytes = o->memory_limit_bytes;
done:
  return status;
}

medley_status set_create(const medley_index_options *o, medley_index **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index *set = NULL;
  index_distance distance;
  row_storage storage, rerank;
  TRY_NEW(set, 1, "index");
  pthread_mutex_init(&set->write, NULL);
  set->recall = -1;
  TRY(set_options_read(o, set, &distance, &storage, &rerank, err));
  TRY(rows_init(&set->rows, o->dim, distance, storage, MEDLEY_INDEX_VECTORS_MAX, err));
  if (rerank < ROW_STORAGE_COUNT) TRY(rows_init(&set->full, o->dim, distance, rerank, MEDLEY_INDEX_VECTORS_MAX, err));
  set->guard = guard_create();
  if (set->guard == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the index");
  set->rows.guard = set->guard;
  asked_init(&set->asked, o->dim);
  TRY(labels_init(&set->labels, &set->rows, err));
  TRY(attributes_create(&set->attributes, err));
  TRY(filter_cache_create(SET_FILTER_CACHE_BYTES, &set->filters, err));
  *out = set;
  set = NULL;
done:
  medley_index_close(set);
  return status;
}

medley_status set_use_scratch(medley_index *set, const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (set->kind->rows_on_disk) TRY(rows_use_scratch(&set->rows, folder, err));
  if (set->full.dim > 0) TRY(rows_use_scratch(&set->full, folder, err));
done:
  return status;
}

/* The folder of a new index's vectors that need not be in memory: as asked for, or that of its file. */
static medley_status scratch_choose(medley_index *set, const char *asked, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *folder = NULL;
  if (asked == NULL && path == NULL) return MEDLEY_OK;
  folder = asked ? mem_strdup(asked) : path_folder(path);
  if (folder == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the index");
  TRY(set_use_scratch(set, folder, err));
done:
  mem_free(folder);
  return status;
}

size_t set_own_bytes(const medley_index *set) {
  return set->rows.bytes + set->full.bytes + set->kind->bytes(set->structure) + set->labels.bytes +
         attributes_bytes(set->attributes) + set->asked.bytes;
}

/* Read beside a writer the two may not fit for a moment. */
size_t set_unused(const medley_index *set) {
  size_t at = set->limbo_at, count = set->limbo_count;
  return count > at ? count - at : 0;
}

medley_status set_finds(void *context, uint64_t id, uint32_t *slot, medley_error *err) {
  return labels_slot(&((medley_index *)context)->labels, id, slot, err);
}

/* ---- create, open ---- */

/* A file is there from the start, so that the journal has one to continue. What was there before, and its journal, goes
 * when the new file is there. */
static medley_status set_settle(medley_index *set, const char *path, const medley_progress *progress,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char id[INDEX_FILE_ID_BYTES];
  journal_mark mark;
  journal *j = NULL;
  char *own = mem_strdup(path);
  if (own == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the index");
  TRY(journal_open(path, JOURNAL_WRITE, &j, err));
  journal_supersede(j, &mark);
  TRY(set_write(set, path, &mark, id, progress, err));
  TRY(journal_drop(j, err));
  TRY(journal_replay(j, id, &mark, set_apply, set, progress, &(journal_replay_result){0}, err));
  set->path = own;
  set->journal = j; /* from now on others may ask how long it is */
  own = NULL;
  j = NULL;
done:
  journal_close(j);
  mem_free(own);
  return status;
}

medley_status medley_index_create(const char *path, const medley_index_options *options, medley_index **index,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index *set = NULL;
  *index = NULL;
  if (path != NULL && file_exists(path))
    FAIL(err, MEDLEY_ERR_EXISTS, "%s is there already: open it, or remove it first", path);
  TRY(set_create(options, &set, err));
  TRY(scratch_choose(set, options->scratch, path, err));
  TRY(set->kind->create(&set->rows, &set->options, &set->structure, err));
  if (path != NULL) TRY(set_settle(set, path, NULL, err));
  *index = set;
  set = NULL;
done:
  medley_index_close(set);
  return status;
}

static medley_status open_once(const char *path, unsigned flags, medley_index **index, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool read_only = flags & MEDLEY_INDEX_READ_ONLY;
  journal_mode mode = read_only ? JOURNAL_READ : flags & MEDLEY_INDEX_SALVAGE ? JOURNAL_SALVAGE : JOURNAL_WRITE;
  medley_index *set = NULL;
  journal *j = NULL;
  index_file *file = NULL;
  journal_replay_result replayed = {0};
  TRY(journal_open(path, mode, &j, err));
  TRY(index_file_open(path, &file, err));
  if (flags & MEDLEY_INDEX_VERIFY) TRY(index_file_verify(file, NULL, NULL, NULL, err));
  TRY(set_read(file, &set, err));
  if (!read_only) TRY(scratch_choose(set, NULL, path, err)); /* a reader's folder may be closed to it */
  if (flags & MEDLEY_INDEX_VERIFY) TRY(attributes_load(set->attributes, err));
  set->file = file;
  set->journal = j;
  file = NULL;
  j = NULL;
  set->path = mem_strdup(path);
  if (set->path == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the index");
  TRY(journal_replay(set->journal, index_file_id(set->file), index_file_mark(set->file), set_apply, set, NULL,
                     &replayed, err));
  TRY(set_replay_flush(set, err));
  set_replay_free(set);
  if (read_only && replayed.applied == 0) pages_unwritten(index_file_pages(set->file));
  set->read_only = read_only;
  *index = set;
  set = NULL;
done:
  journal_close(j);
  medley_index_close(set);
  index_file_close(file);
  return status;
}

medley_status medley_index_open(const char *path, unsigned flags, medley_index **index, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *index = NULL;
  if (!file_exists(path)) return error_set(err, MEDLEY_ERR_NOT_FOUND, "there is no index %s", path);
  /* A reader may meet the journal of one save and the file of the next. */
  for (int tries = 0; tries < READER_TRIES; tries++) {
    status = open_once(path, flags, index, err);
    if (status != MEDLEY_ERR_CORRUPT || !(flags & MEDLEY_INDEX_READ_ONLY)) break;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  return status;
}

/* ---- save, close ---- */

static medley_status set_save(medley_index *set, const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char id[INDEX_FILE_ID_BYTES];
  journal_mark mark;
  journal_position(set->journal, &mark);
  TRY(set_write(set, set->path, &mark, id, progress, err));
  TRY(journal_reset(set->journal, id, &mark, err));
  set->trouble = SET_SOUND;
done:
  return status;
}

/* The index that may be there is not ours: nobody else may be changing it, and its journal says nothing of the copy. */
static medley_status set_save_copy(medley_index *set, const char *path, const medley_progress *progress,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char id[INDEX_FILE_ID_BYTES];
  journal_mark mark;
  journal *other = NULL;
  TRY(journal_open(path, JOURNAL_WRITE, &other, err));
  journal_supersede(other, &mark);
  TRY(set_write(set, path, &mark, id, progress, err));
  TRY(journal_drop(other, err));
done:
  journal_close(other); /* removes an empty one */
  return status;
}

/* By whatever way it is named. */
static bool same_path(const char *a, const char *b) {
  char real_a[PATH_MAX], real_b[PATH_MAX];
  if (strcmp(a, b) == 0) return true;
  return realpath(a, real_a) != NULL && realpath(b, real_b) != NULL && strcmp(real_a, real_b) == 0;
}

medley_status medley_index_save(medley_index *set, const char *path, const medley_progress *progress,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  pthread_mutex_lock(&set->write);
  bool own = path == NULL || (set->path != NULL && same_path(path, set->path));
  if (own && set->path == NULL) FAIL(err, MEDLEY_ERR_USAGE, "an index in memory needs a path to be saved to");
  if (own && set->read_only) FAIL(err, MEDLEY_ERR_USAGE, "%s was opened for reading only", set->path);
  if (set->trouble == SET_MEMORY_BEHIND) TRY(set_trouble_tell(set, err));
  if (own)
    TRY(set_save(set, progress, err));
  else if (set->path == NULL)
    TRY(set_settle(set, path, progress, err));
  else
    TRY(set_save_copy(set, path, progress, err));
done:
  pthread_mutex_unlock(&set->write);
  return status;
}

void medley_index_close(medley_index *set) {
  if (set == NULL) return;
  journal_close(set->journal);
  set_replay_free(set);
  if (set->structure != NULL) set->kind->free(set->structure);
  guard_free(set->guard);
  labels_deinit(&set->labels);
  attributes_free(set->attributes);
  filter_cache_free(set->filters);
  if (set->rows.dim > 0) rows_deinit(&set->rows);
  if (set->full.dim > 0) rows_deinit(&set->full);
  index_file_close(set->file);
  pthread_mutex_destroy(&set->write);
  mem_free(set->limbo);
  asked_deinit(&set->asked);
  mem_free(set->path);
  mem_free(set);
}
