/* data/import_media.c: from what a row says about its media, and from patterns, to files that are there.
 *
 * A file that is not there is a missing modality, counted and not rejected. What a pattern takes from a row must not
 * lead out of the media folder: a value with a ".." in it, or a leading slash, finds nothing. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/import_parts.h"

struct import_media {
  const import_options *options;
  char *root;          /* absolute */
  char *listed_folder; /* the folder listed last, for patterns with '*' */
  char **listed;
  size_t listed_count;
  import_draft *draft; /* during a resolve */
  store_media *found;
  size_t found_count, found_capacity;
};

/* ---- patterns ---- */

static import_field placeholder_field(const char *name, size_t length) {
  static const import_field usable[] = {FIELD_ITEM, FIELD_TITLE, FIELD_CATEGORY, FIELD_LANGUAGE};
  if ((length == 2 && memcmp(name, "id", 2) == 0) || (length == 3 && memcmp(name, "key", 3) == 0)) return FIELD_ITEM;
  for (size_t i = 0; i < sizeof usable / sizeof *usable; i++) {
    const char *known = import_field_name(usable[i]);
    if (strlen(known) == length && memcmp(name, known, length) == 0) return usable[i];
  }
  return FIELD_NONE;
}

static medley_status pattern_check(const char *pattern, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (const char *p = strchr(pattern, '{'); p != NULL; p = strchr(p + 1, '{')) {
    size_t length = strcspn(p + 1, "}");
    if (p[1 + length] != '}' || placeholder_field(p + 1, length) == FIELD_NONE)
      FAIL(err, MEDLEY_ERR_USAGE,
           "media pattern '%s': after { expected item, title, category or language and }, as in 'images/{item}.jpg'",
           pattern);
  }
  const char *star = strchr(pattern, '*');
  if (star != NULL && (strchr(star + 1, '*') != NULL || strchr(star, '/') != NULL))
    FAIL(err, MEDLEY_ERR_USAGE, "media pattern '%s': expected at most one * and that in the file name", pattern);
  if (strchr(pattern, '{') == NULL)
    FAIL(err, MEDLEY_ERR_USAGE, "media pattern '%s' is the same for all items: expected {item} in it", pattern);
done:
  return status;
}

/* ".." as a whole component, or a leading slash. */
static bool leads_out(const char *value) {
  if (*value == '/') return true;
  for (const char *p = value; p != NULL; p = strchr(p, '/')) {
    if (*p == '/') p++;
    size_t length = strcspn(p, "/");
    if (length == 2 && p[0] == '.' && p[1] == '.') return true;
  }
  return false;
}

/* The pattern with the draft's values; false when a value is not there or leads out. */
static bool pattern_expand(const char *pattern, const import_draft *d, strbuf *out) {
  strbuf_reset(out);
  for (const char *p = pattern; *p != '\0';) {
    size_t plain = strcspn(p, "{");
    strbuf_append_bytes(out, p, plain);
    p += plain;
    if (*p == '\0') break;
    size_t length = strcspn(p + 1, "}");
    const char *value = d->value[placeholder_field(p + 1, length)];
    if (value == NULL || leads_out(value)) return false;
    strbuf_append(out, value);
    p += length + 2;
  }
  strbuf_append(out, "");
  return !out->failed && out->length < PATH_MAX;
}

/* ---- found files ---- */

static medley_status media_copy(const char *from, const char *to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  file_writer w = {0};
  char block[65536];
  size_t got;
  FILE *in = fopen(from, "rbe");
  if (in == NULL) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot open '%s'", from);
    goto done;
  }
  TRY(file_writer_open(&w, to, err));
  while ((got = fread(block, 1, sizeof block, in)) > 0)
    if (fwrite(block, 1, got, w.stream) != got) break;
  if (ferror(in) || ferror(w.stream)) FAIL(err, MEDLEY_ERR_IO, "cannot copy '%s' to '%s'", from, to);
  TRY(file_writer_commit(&w, err));
done:
  file_writer_abort(&w);
  if (in != NULL) fclose(in);
  return status;
}

/* media/<hash of the content>.<ending>: the same picture of many items is copied once. */
static medley_status media_take_copy(import_media *m, const char *path, const char **stored, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char hash[HASH_BYTES];
  char hex[HASH_HEX_BYTES];
  char *target = NULL, *folder = path_join(m->options->copy_to, "media");
  strbuf name = {0};
  TRY(folder ? folder_create(folder, err) : error_memory(err, "a media path"));
  TRY(hash_file(path, hash, err));
  hash_to_hex(hash, hex);
  strbuf_printf(&name, "media/%s.%.8s", hex, path_extension(path));
  target = name.failed ? NULL : path_join(m->options->copy_to, name.text);
  *stored = name.failed ? NULL : arena_strdup(m->draft->memory, name.text);
  if (target == NULL || *stored == NULL) {
    status = error_memory(err, "a media path");
    goto done;
  }
  if (!file_exists(target)) TRY(media_copy(path, target, err));
done:
  strbuf_deinit(&name);
  mem_free(target);
  mem_free(folder);
  return status;
}

static medley_status media_found(import_media *m, int kind, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *stored = NULL;
  TRY_GROW(m->found, m->found_capacity, m->found_count + 1, "media paths");
  if (m->options->copy_to != NULL && !m->options->dry_run)
    TRY(media_take_copy(m, path, &stored, err));
  else
    stored = arena_strdup(m->draft->memory, path);
  if (stored == NULL) {
    status = error_memory(err, "a media path");
    goto done;
  }
  m->found[m->found_count++] = (store_media){.modality = kind, .path = stored};
done:
  return status;
}

static medley_status media_try(import_media *m, int kind, const char *name, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (strstr(name, "://") != NULL || strlen(name) >= PATH_MAX) return MEDLEY_OK; /* not a file of ours: missing */
  char *path = path_join(m->root, name);
  if (path == NULL) {
    status = error_memory(err, "a media path");
    goto done;
  }
  if (file_exists(path) && !file_is_folder(path)) TRY(media_found(m, kind, path, err));
done:
  mem_free(path);
  return status;
}

/* ---- patterns with a star ---- */

static medley_status folder_relist(import_media *m, const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (m->listed_folder != NULL && strcmp(m->listed_folder, folder) == 0) goto done;
  folder_list_free(m->listed, m->listed_count);
  mem_free(m->listed_folder);
  m->listed = NULL;
  m->listed_count = 0;
  m->listed_folder = mem_strdup(folder);
  if (m->listed_folder == NULL) {
    status = error_memory(err, "a folder listing");
    goto done;
  }
  if (file_is_folder(folder)) TRY(folder_list(folder, &m->listed, &m->listed_count, err));
done:
  return status;
}

/* The first of the sorted names that is not below the prefix. */
static size_t listed_from(const import_media *m, const char *prefix) {
  size_t low = 0, high = m->listed_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(m->listed[middle], prefix) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static medley_status media_glob(import_media *m, int kind, char *name, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = NULL, *full = path_join(m->root, name);
  if (full == NULL) {
    status = error_memory(err, "a media path");
    goto done;
  }
  char *slash = strrchr(full, '/'), *star = strchr(slash, '*');
  *slash = *star = '\0';
  const char *prefix = slash + 1, *suffix = star + 1;
  size_t prefix_length = strlen(prefix), suffix_length = strlen(suffix);
  TRY(folder_relist(m, full, err));
  for (size_t i = listed_from(m, prefix); i < m->listed_count && string_starts(m->listed[i], prefix); i++) {
    if (strlen(m->listed[i]) < prefix_length + suffix_length || !string_ends(m->listed[i], suffix)) continue;
    path = path_join(full, m->listed[i]);
    status = path ? media_found(m, kind, path, err) : error_memory(err, "a media path");
    mem_free(path);
    TRY(status);
  }
done:
  mem_free(full);
  return status;
}

static medley_status patterns_try(import_media *m, int kind, strbuf *name, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < m->options->pattern_count[kind]; i++) {
    const char *pattern = m->options->patterns[kind][i];
    bool usable = pattern_expand(pattern, m->draft, name);
    if (name->failed && name->length < PATH_MAX) return error_memory(err, "a media path");
    if (!usable) continue;
    /* A star in a key is no wildcard. */
    if (strchr(pattern, '*') == NULL)
      TRY(media_try(m, kind, name->text, err));
    else if (strchr(name->text, '*') == strrchr(name->text, '*'))
      TRY(media_glob(m, kind, name->text, err));
  }
done:
  return status;
}

/* ---- from the outside ---- */

medley_status import_media_create(const import_options *options, const char *file, bool folder, import_media **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  import_media *m = NULL;
  char *given = NULL, resolved[PATH_MAX];
  *out = NULL;
  for (int k = 0; k < MODALITY_COUNT; k++)
    for (size_t i = 0; i < options->pattern_count[k]; i++) TRY(pattern_check(options->patterns[k][i], err));
  TRY_NEW(m, 1, "media");
  m->options = options;
  given = mem_strdup(options->media_root ? options->media_root : file);
  if (given == NULL) {
    status = error_memory(err, "media");
    goto done;
  }
  if (options->media_root == NULL && !folder) {
    char *slash = strrchr(given, '/');
    if (slash != NULL)
      slash[slash == given ? 1 : 0] = '\0';
    else
      strcpy(given, "."); /* a file name has at least one byte */
  }
  if (realpath(given, resolved) == NULL || !file_is_folder(resolved))
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "there is no media folder '%s'", given);
  m->root = mem_strdup(resolved);
  if (m->root == NULL) {
    status = error_memory(err, "media");
    goto done;
  }
  *out = m;
  m = NULL;
done:
  mem_free(given);
  import_media_free(m);
  return status;
}

void import_media_free(import_media *m) {
  if (m == NULL) return;
  folder_list_free(m->listed, m->listed_count);
  mem_free(m->listed_folder);
  mem_free(m->root);
  mem_free(m->found);
  mem_free(m);
}

medley_status import_media_resolve(import_media *m, import_draft *d, const import_mapping *mapping, bool count,
                                   import_report *report, medley_error *err) {
  static const import_field fields[MODALITY_COUNT] = {
      [MODALITY_IMAGE] = FIELD_IMAGE, [MODALITY_AUDIO] = FIELD_AUDIO, [MODALITY_VIDEO] = FIELD_VIDEO};
  medley_status status = MEDLEY_OK;
  strbuf name = {.limit = 65536};
  m->draft = d;
  m->found_count = 0;
  for (int k = MODALITY_IMAGE; k < MODALITY_COUNT; k++) {
    size_t before = m->found_count;
    bool wanted = m->options->pattern_count[k] > 0 || mapping_has(mapping, fields[k]);
    for (size_t i = 0; i < d->media_count; i++) {
      if (d->media[i].modality != k) continue;
      wanted = true;
      TRY(media_try(m, k, d->media[i].path, err));
    }
    TRY(patterns_try(m, k, &name, err));
    if (!count) continue;
    report->media_found[k] += m->found_count - before;
    report->media_missing[k] += wanted && m->found_count == before;
  }
  d->media_count = 0;
  for (size_t i = 0; i < m->found_count; i++)
    TRY(draft_add_media(d, (modality)m->found[i].modality, m->found[i].path, err));
done:
  strbuf_deinit(&name);
  return status;
}
