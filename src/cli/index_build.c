/* cli/index_build.c: medley index build, add and remove.
 *
 * build makes the index in memory and saves it at the end: nothing is written twice, and what was stopped leaves
 * nothing behind. add and remove work on the file: each batch is on disk before the next begins, so that a stop or a
 * crash keeps all batches before it. Who opens an index makes the changes of its journal again, a fifth of a
 * millisecond for each new vector, so that a long journal is folded into the file at the end.
 */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/index_actions.h"

#define ADD_BATCH_BYTES ((size_t)64 << 20) /* of vectors, which go through the journal first */
#define MEASURE_K 10
#define FOLD_BYTES_MIN ((uint64_t)1 << 20) /* journals from here on are folded into the file … */
#define FOLD_SHARE 50                      /* … when they have this part of its size */

/* ---- build ---- */

typedef struct build_times {
  double read, link, save;
} build_times;

static medley_status output_check(const char *path, medley_error *err) {
  if (!file_exists(path)) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_EXISTS, "%s is there already: remove it first, or choose another name", path);
}

/* Ids in the attributes that no vector has would be found only after the build. */
static medley_status attributes_have_vectors(const index_input *in, const char *path, medley_error *err) {
  const attribute_rows *rows = &in->attributes;
  for (size_t i = 0; rows->ids != NULL && i < rows->count; i++)
    if (!index_input_has(in, rows->ids[i]))
      return error_set(err, MEDLEY_ERR_INPUT, "'%s': no vector has the id %llu of object %zu", path,
                       (unsigned long long)rows->ids[i], i + 1);
  return MEDLEY_OK;
}

static json_t *build_json(const char *path, const medley_index *index, const medley_index_recall *recall,
                          const build_times *t) {
  medley_index_info info;
  uint64_t bytes = 0;
  medley_index_get_info(index, &info);
  (void)file_stat(path, &bytes, &(int64_t){0});
  return json_pack("{s:s, s:I, s:o, s:{s:f, s:f, s:f}, s:f, s:o}", "file", path, "file_bytes", (json_int_t)bytes,
                   "index", index_info_json(&info), "seconds", "read", t->read, "build", t->link, "save", t->save,
                   "vectors_per_second", (double)info.vectors / fmax(t->link, 1e-9), "recall",
                   recall ? index_recall_json(recall) : json_null());
}

static void build_show(console *c, const json_t *report) {
  strbuf text = {0};
  const json_t *info = json_object_get(report, "index"), *seconds = json_object_get(report, "seconds");
  double vectors = json_member_number(info, "vectors", 0);
  strbuf_printf(&text, "%s: ", json_member_string(report, "file", ""));
  strbuf_append_count(&text, (uint64_t)vectors);
  strbuf_printf(&text, " vectors of %lld dimensions, %s, %s, %s\nbuilt in %.1f s (",
                json_member_integer(info, "dim", 0), json_member_string(info, "kind", ""),
                json_member_string(info, "distance", ""), json_member_string(info, "storage", ""),
                json_member_number(seconds, "build", 0));
  strbuf_append_count(&text, (uint64_t)json_member_number(report, "vectors_per_second", 0));
  strbuf_printf(&text, " vectors/s), saved in %.1f s: ", json_member_number(seconds, "save", 0));
  strbuf_append_bytes_size(&text, json_member_number(report, "file_bytes", 0));
  strbuf_printf(&text, ", in memory %.0f bytes a vector and %.0f beside it\n",
                json_member_number(info, "vector_bytes", 0) / fmax(vectors, 1),
                json_member_number(info, "structure_bytes", 0) / fmax(vectors, 1));
  index_recall_append(&text, json_object_get(report, "recall"));
  strbuf_append(&c->text, text.text);
  if (text.failed) c->text.failed = true;
  strbuf_deinit(&text);
}

/* The recall of an index that overlooks nothing is not measured. */
static medley_status recall_measure(medley_index *index, const medley_progress *progress, medley_index_recall *recall,
                                    bool *measured, medley_error *err) {
  medley_index_info info;
  medley_index_get_info(index, &info);
  *measured = info.recall < 1;
  return *measured ? medley_index_measure(index, NULL, 0, MEASURE_K, 0, progress, recall, err) : MEDLEY_OK;
}

medley_status index_build_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *vectors = arguments_text(a, "file"), *path = arguments_text(a, "output");
  char *folder = NULL;
  index_input in = {0};
  medley_index *index = NULL;
  medley_index_options options;
  medley_index_recall recall;
  build_times times;
  bool measured;
  medley_progress progress = console_progress(c);
  double begun = clock_now_s();
  if (path == NULL) FAIL(err, MEDLEY_ERR_USAGE, "--output FILE is missing: medley index build VECTORS.npy -o FILE");
  index_threads_use(a);
  TRY(output_check(path, err));
  TRY(index_input_read(&in, a, vectors, err));
  TRY(attributes_have_vectors(&in, arguments_text(a, "attributes"), err));
  TRY(index_options_of(a, in.vectors.dim, &options, err));
  folder = path_folder(path);
  if (folder == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the index");
  options.scratch = folder; /* what need not be in memory waits beside the file that it will be in */
  TRY(medley_index_create(NULL, &options, &index, err));
  times.read = clock_now_s() - begun;
  TRY(medley_index_add(index, in.ids, in.vectors.values, in.vectors.count, &progress, err));
  times.link = clock_now_s() - begun - times.read;
  TRY(index_input_describe(&in, index, &progress, err));
  TRY(recall_measure(index, &progress, &recall, &measured, err));
  begun = clock_now_s();
  TRY(medley_index_save(index, path, &progress, err));
  times.save = clock_now_s() - begun;
  TRY(index_report(c, build_json(path, index, measured ? &recall : NULL, &times), build_show, err));
done:
  medley_index_close(index);
  index_input_deinit(&in);
  mem_free(folder);
  return status;
}

/* ---- add ---- */

/* The progress of one batch as part of the whole. */
typedef struct whole_progress {
  progress_stage stage;
  size_t before;
} whole_progress;

static int on_batch(void *context, const medley_progress_state *state) {
  whole_progress *w = context;
  return progress_update(&w->stage, w->before + state->done, NULL) != MEDLEY_OK;
}

/* *added counts what is on disk, also after an error. */
static medley_status vectors_add(medley_index *index, const index_input *in, const medley_progress *progress,
                                 size_t *added, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = in->vectors.dim, batch = ADD_BATCH_BYTES / ((dim + 1) * sizeof(float)) + 1;
  whole_progress whole = {0};
  medley_progress inner = {.report = on_batch, .context = &whole};
  *added = 0;
  if (in->vectors.count == 0) return MEDLEY_OK;
  progress_begin(&whole.stage, progress, "add vectors", in->vectors.count);
  for (; *added < in->vectors.count; *added += batch) {
    if (batch > in->vectors.count - *added) batch = in->vectors.count - *added;
    whole.before = *added;
    TRY(medley_index_add(index, in->ids + *added, in->vectors.values + *added * dim, batch, &inner, err));
  }
  progress_end(&whole.stage, *added);
done:
  return status;
}

static medley_status journal_fold(medley_index *index, const char *path, const medley_progress *progress,
                                  medley_error *err) {
  medley_index_info info;
  uint64_t file_bytes = 0;
  medley_index_get_info(index, &info);
  (void)file_stat(path, &file_bytes, &(int64_t){0});
  if (info.journal_bytes < FOLD_BYTES_MIN || info.journal_bytes < file_bytes / FOLD_SHARE) return MEDLEY_OK;
  return medley_index_save(index, NULL, progress, err);
}

static void change_show(console *c, const json_t *report) {
  static const char *const done[] = {"added", "updated", "described", "removed", "unknown"};
  strbuf text = {0};
  for (size_t i = 0; i < sizeof done / sizeof *done; i++) {
    long long count = json_member_integer(report, done[i], 0);
    if (count == 0) continue;
    strbuf_append(&text, text.length > 0 ? ", " : "");
    strbuf_append_count(&text, (uint64_t)count);
    strbuf_printf(&text, " %s", done[i]);
  }
  strbuf_append(&text, text.length > 0 ? "; the index has " : "nothing changed; the index has ");
  strbuf_append_count(&text, (uint64_t)json_member_integer(report, "vectors", 0));
  console_line(c, STYLE_PLAIN, "%s vectors", text.text ? text.text : "");
  strbuf_deinit(&text);
}

static medley_status add_check(const arguments *a, medley_error *err) {
  bool vectors = arguments_has(a, "vectors"), named = arguments_has(a, "ids") || arguments_has(a, "first-id");
  if (!vectors && !arguments_has(a, "attributes"))
    return error_set(err, MEDLEY_ERR_USAGE, "say what to add: --vectors FILE.npy, --attributes FILE.jsonl or both");
  if (vectors && !named)
    return error_set(err, MEDLEY_ERR_USAGE,
                     "say which ids the vectors get: --ids FILE, or --first-id N for N, N + 1, and so on; ids that are "
                     "there get the new vectors");
  if (!vectors && named) return error_set(err, MEDLEY_ERR_USAGE, "--ids and --first-id go with --vectors");
  return MEDLEY_OK;
}

medley_status index_add_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "file");
  index_input in = {0};
  medley_index *index = NULL;
  medley_index_info before, after;
  medley_progress progress = console_progress(c);
  size_t added = 0;
  TRY(add_check(a, err));
  index_threads_use(a);
  TRY(medley_index_open(path, 0, &index, err));
  medley_index_get_info(index, &before);
  TRY(index_input_read(&in, a, arguments_text(a, "vectors"), err));
  if (in.vectors.count > 0 && in.vectors.dim != before.dim)
    FAIL(err, MEDLEY_ERR_INPUT, "'%s' has %zu dimensions, the index has %zu", arguments_text(a, "vectors"),
         in.vectors.dim, before.dim);
  status = vectors_add(index, &in, &progress, &added, err);
  if (status != MEDLEY_OK && added > 0)
    status = error_prefix(err, status, "the first %zu of %zu vectors are in %s", added, in.vectors.count, path);
  if (status != MEDLEY_OK) goto done;
  TRY(index_input_describe(&in, index, &progress, err));
  TRY(journal_fold(index, path, &progress, err));
  medley_index_get_info(index, &after);
  size_t fresh = after.vectors - before.vectors;
  TRY(index_report(c,
                   json_pack("{s:s, s:I, s:I, s:I, s:I}", "file", path, "added", (json_int_t)fresh, "updated",
                             (json_int_t)(added - fresh), "described", (json_int_t)in.attributes.count, "vectors",
                             (json_int_t)after.vectors),
                   change_show, err));
done:
  medley_index_close(index);
  index_input_deinit(&in);
  return status;
}

/* ---- remove ---- */

typedef struct removal {
  uint64_t *ids;
  size_t count;
} removal;

static medley_status removal_read(const arguments *a, removal *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "ids");
  const char *const *typed = arguments_list(a, "id");
  uint64_t *read = NULL;
  size_t from_file = 0, count = 0;
  if (path == NULL && typed == NULL)
    FAIL(err, MEDLEY_ERR_USAGE, "say which to remove: --id N (several with commas) or --ids FILE");
  if (path != NULL) TRY(medley_ids_read(path, &read, &from_file, err));
  while (typed != NULL && typed[count] != NULL) count++;
  TRY_NEW(r->ids, count + from_file, "ids");
  for (; r->count < count; r->count++) TRY(index_id_read("--id", typed[r->count], &r->ids[r->count], err));
  if (from_file > 0) memcpy(r->ids + count, read, from_file * sizeof *read);
  r->count += from_file;
done:
  medley_ids_free(read);
  return status;
}

medley_status index_remove_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "file");
  removal r = {0};
  medley_index *index = NULL;
  medley_index_info info;
  medley_progress progress = console_progress(c);
  size_t removed = 0;
  TRY(removal_read(a, &r, err));
  TRY(medley_index_open(path, 0, &index, err));
  TRY(medley_index_remove(index, r.ids, r.count, &removed, err));
  TRY(journal_fold(index, path, &progress, err));
  medley_index_get_info(index, &info);
  TRY(index_report(c,
                   json_pack("{s:s, s:I, s:I, s:I}", "file", path, "removed", (json_int_t)removed, "unknown",
                             (json_int_t)(r.count - removed), "vectors", (json_int_t)info.vectors),
                   change_show, err));
done:
  medley_index_close(index);
  mem_free(r.ids);
  return status;
}
