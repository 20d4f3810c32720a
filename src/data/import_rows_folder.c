/* data/import_rows_folder.c: a folder of pictures, sounds and videos as items.
 *
 * A file's name without its ending is the item's key, with the folders below the root before it ("cat/001"): files that
 * differ in their ending only are one item in several modalities. The first folder is the category. With a file of
 * captions (stem_keys) the folders are left out of the key. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/import_parts.h"

#define FOLDER_DEPTH_MAX 16
#define FOLDER_FILES_MAX 50000000

static medley_status file_add(import_reader *r, const char *below, modality kind, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (r->file_count == FOLDER_FILES_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "'%s' has more than %d files", r->part->path, FOLDER_FILES_MAX);
  TRY_GROW(r->files, r->file_capacity, r->file_count + 1, "a folder's files");
  const char *slash = strchr(below, '/'), *ending = path_extension(below);
  const char *key = r->part->stem_keys ? path_name(below) : below;
  folder_file *f = &r->files[r->file_count++];
  *f = (folder_file){.kind = kind,
                     .path = mem_strdup(below),
                     .key = mem_strndup(key, strlen(key) - strlen(ending) - (*ending != '\0' ? 1 : 0)),
                     .category = slash ? mem_strndup(below, (size_t)(slash - below)) : NULL};
  if (f->path == NULL || f->key == NULL || (slash != NULL && f->category == NULL))
    status = error_memory(err, "a folder's files");
done:
  return status;
}

static medley_status folder_walk(import_reader *r, const char *below, int depth, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **names = NULL, *folder = NULL, *inner = NULL, *full = NULL;
  size_t count = 0;
  folder = path_join(r->part->path, below);
  if (folder == NULL) {
    status = error_memory(err, "a folder's files");
    goto done;
  }
  if (depth > FOLDER_DEPTH_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "'%s' is more than %d folders deep", folder, FOLDER_DEPTH_MAX);
  TRY(folder_list(folder, &names, &count, err));
  for (size_t i = 0; i < count; i++) {
    if (names[i][0] == '.') continue;
    inner = *below ? path_join(below, names[i]) : mem_strdup(names[i]);
    full = inner ? path_join(r->part->path, inner) : NULL;
    if (full == NULL) {
      status = error_memory(err, "a folder's files");
      goto done;
    }
    if (file_is_folder(full)) {
      TRY(folder_walk(r, inner, depth + 1, err));
    } else {
      modality kind = modality_of_file(full);
      if (kind != MODALITY_COUNT) TRY(file_add(r, inner, kind, err));
    }
    mem_free(inner);
    mem_free(full);
    inner = full = NULL;
  }
done:
  folder_list_free(names, count);
  mem_free(folder);
  mem_free(inner);
  mem_free(full);
  return status;
}

static int file_compare(const void *a, const void *b) {
  const folder_file *x = a, *y = b;
  int order = strcmp(x->key, y->key);
  return order ? order : strcmp(x->path, y->path);
}

static medley_status rows_folder_open(import_reader *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(folder_walk(r, "", 0, err));
  if (r->file_count > 1) qsort(r->files, r->file_count, sizeof *r->files, file_compare);
done:
  return status;
}

/* All files of one key. */
static medley_status rows_folder_next(import_reader *r, import_draft *d, bool *more, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *more = r->file_next < r->file_count;
  if (!*more) goto done;
  const folder_file *first = &r->files[r->file_next];
  draft_reset(d, r->file_next + 1);
  if (!utf8_valid(first->path, strlen(first->path)))
    draft_reject(d, IMPORT_BAD_ENCODING, FIELD_ITEM, "the name of file %zu is not UTF-8", r->file_next + 1);
  d->value[FIELD_ITEM] = first->key;
  d->value[FIELD_CATEGORY] = first->category;
  for (; r->file_next < r->file_count && strcmp(r->files[r->file_next].key, first->key) == 0; r->file_next++)
    TRY(draft_add_media(d, r->files[r->file_next].kind, r->files[r->file_next].path, err));
done:
  return status;
}

static void rows_folder_close(import_reader *r) {
  for (size_t i = 0; i < r->file_count; i++) {
    mem_free(r->files[i].path);
    mem_free(r->files[i].key);
    mem_free(r->files[i].category);
  }
  mem_free(r->files);
}

static void rows_folder_describe(const import_reader *r, const import_draft *d, strbuf *out) {
  (void)r;
  strbuf_append_json(out, d->value[FIELD_ITEM] ? d->value[FIELD_ITEM] : "");
}

const import_reader_kind import_rows_folder = {
    .open = rows_folder_open, .next = rows_folder_next, .close = rows_folder_close, .describe = rows_folder_describe};
