/* data/import_format_media.c: matrices of vectors, and folders of media with or without a file of captions. */
#include <string.h>

#include "base/file.h"
#include "data/import_parts.h"

/* ---- vectors ---- */

static medley_status npy_plan(const import_probe *p, import_plan *plan, medley_error *err) {
  static const import_part part = {.kind = IMPORT_VECTORS, .reading = READ_NPY};
  bool magic = p->head_length >= 6 && memcmp(p->head, "\x93NUMPY", 6) == 0;
  if (p->folder || (!p->named && !magic && !string_ends(p->name, ".npy"))) return MEDLEY_OK;
  return plan_add(plan, p->path, &part, err);
}

const importer_kind importer_npy = {
    .name = "npy",
    .summary =
        "a NumPy matrix of floats in C order, a row per item; keys are row numbers from 0, or the lines of --keys",
    .plan = npy_plan,
};

/* ---- folders ---- */

/* The column of a caption file that names the media file. */
static const struct {
  const char *column, *map;
} file_columns[] = {
    {"file_name", "item=file_name,image=,audio=,video="}, {"filename", "item=filename,image=,audio=,video="},
    {"file", "item=file,image=,audio=,video="},           {"image", "item=image,image=,audio=,video="},
    {"audio", "item=audio,image=,audio=,video="},         {"video", "item=video,image=,audio=,video="},
    {"path", "item=path,image=,audio=,video="},
};

static bool header_has(const char *head, char delimiter, const char *column) {
  size_t length = strcspn(head, "\r\n"), size = strlen(column);
  for (const char *p = head; p != NULL && p < head + length;) {
    const char *end = memchr(p, delimiter, (size_t)(head + length - p));
    size_t cell = end ? (size_t)(end - p) : (size_t)(head + length - p);
    if (cell == size && memcmp(p, column, size) == 0) return true;
    p = end ? end + 1 : NULL;
  }
  return false;
}

/* A second text for the same file goes on a new line: captions often come five to a picture. */
static medley_status captions_plan(import_plan *plan, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char head[4097];
  size_t length = 0;
  stream *in = NULL;
  import_part part = {.kind = IMPORT_ITEMS, .stem_keys = true, .append_text = true};
  TRY(stream_open(path, &in, err));
  TRY(stream_read(in, head, sizeof head - 1, &length, err));
  head[length] = '\0';
  bool object = head[0] == '{';
  part.reading = object ? READ_JSON : READ_TABLE;
  part.dialect = table_sniff(head, length);
  for (size_t i = 0; i < sizeof file_columns / sizeof *file_columns && part.map == NULL; i++) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\"", file_columns[i].column);
    bool there =
        object ? strstr(head, quoted) != NULL : header_has(head, part.dialect.delimiter[0], file_columns[i].column);
    if (there) part.map = file_columns[i].map;
  }
  if (part.map != NULL) TRY(plan_add(plan, path, &part, err));
done:
  stream_close(in);
  return status;
}

static bool is_captions(const char *name) {
  static const char *const beginnings[] = {"captions.", "metadata.", "labels.", "items."};
  static const char *const endings[] = {"csv", "tsv", "jsonl", "txt"};
  bool begins = false, ends = false;
  for (size_t i = 0; i < 4; i++) {
    begins |= string_starts(name, beginnings[i]);
    ends |= strcmp(path_extension(name), endings[i]) == 0;
  }
  return begins && ends;
}

static medley_status folder_plan(const import_probe *p, import_plan *plan, medley_error *err) {
  import_part media = {.kind = IMPORT_ITEMS, .reading = READ_FOLDER};
  medley_status status = MEDLEY_OK;
  if (!p->folder) goto done;
  /* Captions name files without the folders that these lie in. */
  for (size_t i = 0; i < p->file_count; i++) media.stem_keys |= is_captions(p->files[i]);
  TRY(plan_add(plan, p->path, &media, err));
  for (size_t i = 0; i < p->file_count; i++) {
    if (!is_captions(p->files[i])) continue;
    char *path = path_join(p->path, p->files[i]);
    status = path ? captions_plan(plan, path, err) : error_memory(err, "a plan");
    mem_free(path);
    TRY(status);
  }
done:
  return status;
}

const importer_kind importer_folder = {
    .name = "folder",
    .summary = "a folder of pictures, sounds and videos, an item per name, perhaps with captions.csv, .tsv or .jsonl",
    .plan = folder_plan,
};
