/* encode/kept_model.c: see encode/kept_model.h. */
#include "encode/kept_model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "nn/checkpoint.h"

#define RECORD "kept.json"
#define RECORD_BYTES_MAX ((size_t)1 << 20)
#define FORMAT 1
#define FILES_MAX 1024
#define COMPANION_BYTES_MAX ((uint64_t)256 << 20)

/* What is taken along from a published folder, besides the weights: by name, since such a folder may be anybody's
 * download folder. */
static const char *const companions[] = {"config.json",
                                         "tokenizer.json",
                                         "tokenizer_config.json",
                                         "special_tokens_map.json",
                                         "added_tokens.json",
                                         "vocab.txt",
                                         "vocab.json",
                                         "merges.txt",
                                         "bpe_simple_vocab_16e6.txt",
                                         "bpe_simple_vocab_16e6.txt.gz",
                                         "sentencepiece.bpe.model",
                                         "spiece.model",
                                         "tokenizer.model",
                                         "preprocessor_config.json",
                                         "open_clip_config.json",
                                         "modules.json",
                                         "sentence_bert_config.json",
                                         "config_sentence_transformers.json",
                                         "1_Pooling/config.json"};

/* ---- which files ---- */

typedef struct model_files {
  char *folder; /* what the names are below */
  char *names[FILES_MAX];
  size_t count;
  bool whole; /* the folder is opened, which finds names[0]; otherwise names[0] by its name */
} model_files;

static void model_files_deinit(model_files *f) {
  for (size_t i = 0; i < f->count; i++) mem_free(f->names[i]);
  mem_free(f->folder);
}

/* The folder a path leads into; mem_free. */
static char *folder_of_path(const char *path) {
  const char *name = path_name(path);
  return name == path ? mem_strdup(".") : mem_strndup(path, (size_t)(name - path));
}

static medley_status name_put(model_files *f, const char *name, medley_error *err) {
  if (f->count == FILES_MAX) return error_set(err, MEDLEY_ERR_LIMIT, "a model of more than %d files", FILES_MAX);
  f->names[f->count] = mem_strdup(name);
  return f->names[f->count] != NULL ? (f->count++, MEDLEY_OK) : error_memory(err, "a file name");
}

static medley_status companions_put(model_files *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = NULL;
  for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
    uint64_t size = 0;
    path = path_join(f->folder, companions[i]);
    if (path == NULL) return error_memory(err, "a file name");
    if (file_exists(path) && !file_is_folder(path) && file_stat(path, &size, NULL)) {
      if (size > COMPANION_BYTES_MAX)
        FAIL(err, MEDLEY_ERR_LIMIT, "'%s' has %llu bytes; beside a model at most %llu are taken", path,
             (unsigned long long)size, (unsigned long long)COMPANION_BYTES_MAX);
      TRY(name_put(f, companions[i], err));
    }
    mem_free(path);
    path = NULL;
  }
done:
  mem_free(path);
  return status;
}

/* One NaN would spread to every vector, so all weights are looked at once, when the model comes in. */
static medley_status weights_check(const checkpoint *c, const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t *bad = NULL;
  TRY_NEW(bad, c->count, "counts");
  TRY(checkpoint_count_bad(c, bad, progress, err));
  for (size_t i = 0; i < c->count; i++)
    if (bad[i] > 0)
      FAIL(err, MEDLEY_ERR_INPUT, "'%s': tensor '%s' has %llu values that are no finite numbers; get the file anew",
           c->path, c->tensors[i].name, (unsigned long long)bad[i]);
done:
  mem_free(bad);
  return status;
}

static medley_status checkpoint_files_find(const char *path, const medley_progress *progress, model_files *f,
                                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  checkpoint c = {0};
  TRY(checkpoint_open(&c, path, err));
  TRY(weights_check(&c, progress, err));
  f->whole = file_is_folder(path);
  const char *name = path_name(c.path);
  f->folder = c.folder ? mem_strdup(c.folder) : folder_of_path(c.path);
  if (f->folder == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  TRY(name_put(f, name, err));
  for (size_t i = 0; i < c.shard_count; i++)
    if (strcmp(path_name(c.shards[i].path), name) != 0) TRY(name_put(f, path_name(c.shards[i].path), err));
  if (c.folder != NULL) TRY(companions_put(f, err));
done:
  checkpoint_close(&c);
  return status;
}

static medley_status single_file_find(const char *path, model_files *f, medley_error *err) {
  if (!file_exists(path)) return error_set(err, MEDLEY_ERR_NOT_FOUND, "there is no file '%s'", path);
  f->folder = folder_of_path(path);
  return f->folder != NULL ? name_put(f, path_name(path), err) : error_memory(err, "a file name");
}

/* ---- adding ---- */

/* Below another folder, which is made. *to is the copy's path (mem_free). */
static medley_status file_bring(const model_files *f, const char *name, const char *into, char **to,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *from = path_join(f->folder, name), *parent = NULL;
  *to = path_join(into, name);
  if (from == NULL || *to == NULL || (parent = folder_of_path(*to)) == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  TRY(folder_create(parent, err));
  TRY(file_copy(from, *to, err));
done:
  mem_free(parent);
  mem_free(from);
  return status;
}

static medley_status file_take(const model_files *f, const char *name, const char *into, json_t *list,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char hash[HASH_BYTES];
  char hex[HASH_HEX_BYTES], *to = NULL;
  uint64_t size = 0;
  int64_t modified_ns = 0;
  TRY(file_bring(f, name, into, &to, err));
  TRY(hash_file(to, hash, err)); /* of the copy: the original may be changing */
  hash_to_hex(hash, hex);
  file_stat(to, &size, &modified_ns);
  json_t *entry = json_pack("{s:s, s:I, s:I, s:s}", "name", name, "size", (json_int_t)size, "modified_ns",
                            (json_int_t)modified_ns, "hash", hex);
  if (entry == NULL || json_array_append_new(list, entry) != 0) status = error_memory(err, "a list of files");
done:
  mem_free(to);
  return status;
}

medley_status kept_model_companions(const char *folder, const char *into, medley_error *err) {
  medley_status status = MEDLEY_OK;
  model_files f = {.folder = mem_strdup(folder)};
  if (f.folder == NULL) return error_memory(err, "a file name");
  TRY(companions_put(&f, err));
  for (size_t i = 0; i < f.count; i++) {
    char *to = NULL;
    status = file_bring(&f, f.names[i], into, &to, err);
    mem_free(to);
    if (status != MEDLEY_OK) goto done;
  }
done:
  model_files_deinit(&f);
  return status;
}

/* The id: names and hashes, one a line, in the order they were found, which is the same for the same files. */
static medley_status id_make(const json_t *files, char id[KEPT_MODEL_ID_BYTES], medley_error *err) {
  strbuf text = {0};
  unsigned char hash[HASH_BYTES];
  size_t i;
  json_t *file;
  json_array_foreach(files, i, file)
      strbuf_printf(&text, "%s %s\n", json_member_string(file, "hash", ""), json_member_string(file, "name", ""));
  medley_status status = text.failed ? error_memory(err, "an id") : MEDLEY_OK;
  if (status == MEDLEY_OK) hash_buffer(text.text, text.length, hash), hash_to_hex(hash, id);
  strbuf_deinit(&text);
  return status;
}

static medley_status record_write(const model_files *f, const char *source, const char *folder, json_t *files,
                                  medley_error *err) {
  char added[32];
  clock_format_utc(clock_wall_s(), added);
  char *path = path_join(folder, RECORD);
  json_t *record = json_pack("{s:i, s:s, s:s, s:s, s:O}", "format", FORMAT, "source", source, "added", added, "opens",
                             f->whole ? "." : f->names[0], "files", files);
  medley_status status = path && record ? json_write_file(path, record, err)
                                        : error_set(err, MEDLEY_ERR_INPUT, "'%s' is no UTF-8", source);
  json_decref(record);
  mem_free(path);
  return status;
}

static medley_status files_take(const model_files *f, const char *into, const medley_progress *progress, json_t *list,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  progress_begin(&stage, progress, "copy model", f->count);
  for (size_t i = 0; i < f->count; i++) {
    TRY(progress_update(&stage, i, err));
    TRY(file_take(f, f->names[i], into, list, err));
  }
  progress_end(&stage, f->count);
done:
  return status;
}

static medley_status folder_move(const char *from, const char *to, medley_error *err) {
  if (rename(from, to) == 0) return MEDLEY_OK;
  return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot put the model in place as '%s'", to);
}

/* Moves the finished folder to its name. What is there under this name has the same content, so it stays: somebody may
 * be reading it. When it is damaged it goes aside first, so that a kill leaves one of the two. */
static medley_status folder_place(const char *workspace, const char *beside, const char *all, const char *id,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[32], *final = path_join(all, id), *aside = NULL;
  snprintf(name, sizeof name, "old.tmp-%ld", (long)getpid());
  aside = path_join(all, name);
  if (final == NULL || aside == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  bool moved = file_exists(final);
  medley_status there = moved ? kept_model_check(workspace, id, true, err) : MEDLEY_ERR_NOT_FOUND;
  if (there == MEDLEY_OK || there == MEDLEY_ERR_MEMORY) {
    status = there;
    goto done;
  }
  TRY(folder_remove(aside, err));
  if (moved) TRY(folder_move(final, aside, err));
  status = folder_move(beside, final, err);
  if (status != MEDLEY_OK && moved) (void)(folder_move(aside, final, NULL) == MEDLEY_OK);
  if (status != MEDLEY_OK) goto done;
  TRY(file_sync_folder(all, err));
  (void)(folder_remove(aside, NULL) == MEDLEY_OK);
done:
  mem_free(final);
  mem_free(aside);
  return status;
}

medley_status kept_model_add(const char *workspace, const char *path, bool checkpoint_files, const char *source,
                             const medley_progress *progress, char id[KEPT_MODEL_ID_BYTES], medley_error *err) {
  medley_status status = MEDLEY_OK;
  model_files files = {0};
  json_t *list = json_array();
  char name[32], *all = path_join(workspace, KEPT_MODEL_FOLDER), *beside = NULL;
  snprintf(name, sizeof name, "add.tmp-%ld", (long)getpid());
  beside = all ? path_join(all, name) : NULL;
  if (beside == NULL || list == NULL) {
    status = error_memory(err, "a model");
    goto done;
  }
  TRY(checkpoint_files ? checkpoint_files_find(path, progress, &files, err) : single_file_find(path, &files, err));
  TRY(folder_remove(beside, err));
  TRY(folder_create(beside, err));
  TRY(files_take(&files, beside, progress, list, err));
  TRY(id_make(list, id, err));
  TRY(record_write(&files, source ? source : path, beside, list, err));
  TRY(folder_place(workspace, beside, all, id, err));
done:
  if (beside != NULL) (void)(folder_remove(beside, NULL) == MEDLEY_OK);
  model_files_deinit(&files);
  json_decref(list);
  mem_free(beside);
  mem_free(all);
  return status;
}

/* ---- using ---- */

/* Nothing but our own ids leads to a folder: a manifest may have come from elsewhere. */
static medley_status folder_of(const char *workspace, const char *id, char **out, medley_error *err) {
  char below[sizeof KEPT_MODEL_FOLDER + KEPT_MODEL_ID_BYTES + 1];
  *out = NULL;
  if (strlen(id) != KEPT_MODEL_ID_BYTES - 1 || strspn(id, "0123456789abcdef") != KEPT_MODEL_ID_BYTES - 1)
    return error_set(err, MEDLEY_ERR_CORRUPT, "'%.60s' is no id of a model", id);
  snprintf(below, sizeof below, "%s/%s", KEPT_MODEL_FOLDER, id);
  *out = path_join(workspace, below);
  return *out ? MEDLEY_OK : error_memory(err, "a file name");
}

static medley_status record_read(const char *folder, json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = path_join(folder, RECORD);
  *out = NULL;
  if (path == NULL) return error_memory(err, "a file name");
  if (!file_exists(path))
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "the model in '%s' is gone: add it again ('medley encoder add'), then train",
         folder);
  TRY(json_parse_file(path, RECORD_BYTES_MAX, out, err));
  long long format = json_member_integer(*out, "format", 0);
  if (format != FORMAT)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "'%s': format %lld, this Medley reads format %d", path, format, FORMAT);
done:
  if (status != MEDLEY_OK) {
    json_decref(*out);
    *out = NULL;
  }
  mem_free(path);
  return status;
}

/* A name of ours: below the folder, and nothing that leads out of it. */
static bool name_usable(const char *name) {
  return name != NULL && name[0] != '\0' && name[0] != '/' && strstr(name, "..") == NULL;
}

static medley_status kept_file_check(const char *folder, const json_t *file, bool deep, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char hash[HASH_BYTES];
  char hex[HASH_HEX_BYTES];
  uint64_t size = 0;
  int64_t modified_ns = 0;
  const char *name = json_member_string(file, "name", NULL);
  long long wanted = json_member_integer(file, "size", -1);
  if (!name_usable(name)) return error_set(err, MEDLEY_ERR_CORRUPT, "'%s/%s' names a file outside", folder, RECORD);
  char *path = path_join(folder, name);
  if (path == NULL) return error_memory(err, "a file name");
  if (!file_stat(path, &size, &modified_ns))
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "'%s' is gone: add the encoder again ('medley encoder add'), then train", path);
  if ((long long)size != wanted)
    FAIL(err, MEDLEY_ERR_CORRUPT,
         "'%s' has %llu bytes, it had %lld when it was added: add the encoder again ('medley encoder add')", path,
         (unsigned long long)size, wanted);
  if (!deep && modified_ns == json_member_integer(file, "modified_ns", -1)) goto done;
  TRY(hash_file(path, hash, err));
  hash_to_hex(hash, hex);
  if (strcmp(hex, json_member_string(file, "hash", "")) != 0)
    FAIL(err, MEDLEY_ERR_CORRUPT,
         "'%s' was changed after it was added, so its vectors would not fit those of the items: add the encoder again "
         "('medley encoder add'), then train",
         path);
done:
  mem_free(path);
  return status;
}

static medley_status files_check(const char *folder, const json_t *record, bool deep, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *files = json_object_get(record, "files");
  for (size_t i = 0; i < json_array_size(files); i++) TRY(kept_file_check(folder, json_array_get(files, i), deep, err));
done:
  return status;
}

medley_status kept_model_record(const char *workspace, const char *id, json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *folder;
  *out = NULL;
  TRY(folder_of(workspace, id, &folder, err));
  status = record_read(folder, out, err);
  mem_free(folder);
done:
  return status;
}

medley_status kept_model_check(const char *workspace, const char *id, bool deep, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *record = NULL;
  char *folder;
  TRY(folder_of(workspace, id, &folder, err));
  status = record_read(folder, &record, err);
  if (status == MEDLEY_OK) status = files_check(folder, record, deep, err);
  json_decref(record);
  mem_free(folder);
done:
  return status;
}

medley_status kept_model_open(const char *workspace, const char *id, const encoder_kind *kind, encoder **out,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *record = NULL;
  char *folder = NULL, *path = NULL;
  *out = NULL;
  TRY(folder_of(workspace, id, &folder, err));
  TRY(record_read(folder, &record, err));
  TRY(files_check(folder, record, false, err));
  const char *opens = json_member_string(record, "opens", ".");
  if (!name_usable(opens)) FAIL(err, MEDLEY_ERR_CORRUPT, "'%s/%s' opens a file outside", folder, RECORD);
  path = strcmp(opens, ".") == 0 ? mem_strdup(folder) : path_join(folder, opens);
  if (path == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  TRY(kind->open(path, out, err));
done:
  json_decref(record);
  mem_free(folder);
  mem_free(path);
  return status;
}
