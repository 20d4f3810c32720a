/* data/import_state.c: what of an import outlives a kill: its counts (in the store, with the rows) and its rejects
 * file. */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/import_parts.h"

/* ---- the rejects file ---- */

/* What an interrupted run wrote after its last commit is cut off: those rows come again. */
medley_status rejects_open(import_rejects *r, const char *path, uint64_t length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t size = 0;
  *r = (import_rejects){.path = path};
  if (path == NULL) goto done;
  r->stream = fopen(path, length > 0 && file_exists(path) ? "r+be" : "wbe");
  if (r->stream == NULL) {
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write the rejects file '%s'", path);
    goto done;
  }
  if (file_stat(path, &size, NULL) && size < length) length = size;
  if (ftruncate(fileno(r->stream), (off_t)length) != 0 || fseeko(r->stream, (off_t)length, SEEK_SET) != 0)
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write the rejects file '%s'", path);
done:
  if (status != MEDLEY_OK) rejects_close(r);
  return status;
}

medley_status rejects_write(import_rejects *r, const import_reader *reader, const import_draft *d, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf line = {0};
  if (r->stream == NULL) goto done;
  strbuf_append(&line, "{\"file\":");
  strbuf_append_json(&line, path_name(reader->part->path));
  strbuf_printf(&line, ",\"line\":%llu,\"field\":", (unsigned long long)d->line);
  if (d->field == FIELD_NONE)
    strbuf_append(&line, "null");
  else
    strbuf_append_json(&line, import_field_name(d->field));
  strbuf_append(&line, ",\"reason\":");
  strbuf_append_json(&line, import_reason_name(d->reason));
  strbuf_append(&line, ",\"message\":");
  strbuf_append_json(&line, d->message);
  strbuf_append(&line, ",\"row\":");
  reader->kind->describe(reader, d, &line);
  strbuf_append(&line, "}\n");
  if (line.failed) {
    status = error_memory(err, "a rejected row");
    goto done;
  }
  if (fwrite(line.text, 1, line.length, r->stream) != line.length)
    status = error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write the rejects file '%s'", r->path);
done:
  strbuf_deinit(&line);
  return status;
}

medley_status rejects_sync(import_rejects *r, uint64_t *length, medley_error *err) {
  if (r->stream == NULL) return MEDLEY_OK;
  off_t position = ftello(r->stream);
  if (fflush(r->stream) != 0 || position < 0 || (fdatasync(fileno(r->stream)) != 0 && errno != EINVAL))
    return error_set_errno(err, MEDLEY_ERR_IO, errno, "cannot write the rejects file '%s'", r->path);
  *length = (uint64_t)position;
  return MEDLEY_OK;
}

void rejects_close(import_rejects *r) {
  if (r->stream != NULL) fclose(r->stream);
  *r = (import_rejects){0};
}

/* ---- which import it is ---- */

static void append_option(strbuf *b, const char *text) {
  strbuf_append(b, text ? text : "\x02");
  strbuf_append_char(b, '\x01');
}

/* The options that change what a row becomes: another map is another import of the same file. */
static void append_options(strbuf *b, const import_options *o) {
  for (size_t i = 0; i < o->map_count; i++) append_option(b, o->maps[i]);
  for (int k = 0; k < MODALITY_COUNT; k++)
    for (size_t i = 0; i < o->pattern_count[k]; i++) append_option(b, o->patterns[k][i]);
  append_option(b, o->media_root);
  append_option(b, o->type);
  append_option(b, o->space);
  append_option(b, o->keys);
  append_option(b, o->encoding);
  strbuf_printf(b, "%d %d %d %d", (int)o->split, o->strict, o->append_text, o->no_header);
}

static void text_to_hex(const char *text, size_t length, char hex[HASH_HEX_BYTES]) {
  unsigned char hash[HASH_BYTES];
  hash_buffer(text, length, hash);
  hash_to_hex(hash, hex);
}

medley_status import_source(const import_reader *r, char out[1024], char edition[512], medley_error *err) {
  medley_status status = MEDLEY_OK;
  char resolved[PATH_MAX], path[HASH_HEX_BYTES], options[HASH_HEX_BYTES];
  uint64_t size = 0;
  int64_t modified_ns = 0;
  strbuf b = {0};
  if (realpath(r->part->path, resolved) == NULL || !file_stat(resolved, &size, &modified_ns))
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "there is no '%s'", r->part->path);
  append_options(&b, r->options);
  append_option(&b, r->part->map);
  for (size_t i = 0; i < r->file_count; i++) append_option(&b, r->files[i].path);
  if (b.failed) {
    status = error_memory(err, "the name of an import");
    goto done;
  }
  text_to_hex(resolved, strlen(resolved), path);
  text_to_hex(b.text, b.length, options);
  snprintf(edition, 512, "%s %.200s path %s size ", import_kind_name(r->part->kind), path_name(resolved), path);
  snprintf(out, 1024, "%s%llu modified %lld options %s", edition, (unsigned long long)size, (long long)modified_ns,
           options);
done:
  strbuf_deinit(&b);
  return status;
}

/* ---- counts ---- */

/* All counts of a report with their names: saved, loaded, added and told as JSON from one table. */
typedef struct count_name {
  const char *name;
  size_t offset;
} count_name;

#define COUNT(member) \
  { #member, offsetof(import_report, member) }
#define COUNT_AT(member, index, name) \
  { name, offsetof(import_report, member) + (index) * sizeof(uint64_t) }
static const count_name counts[] = {
    COUNT(read),
    COUNT(accepted),
    COUNT(rejected),
    COUNT(items_created),
    COUNT(items_updated),
    COUNT(users_created),
    COUNT(users_updated),
    COUNT(events),
    COUNT(events_known),
    COUNT(links),
    COUNT(vectors),
    COUNT_AT(media_found, MODALITY_IMAGE, "image_found"),
    COUNT_AT(media_missing, MODALITY_IMAGE, "image_missing"),
    COUNT_AT(media_found, MODALITY_AUDIO, "audio_found"),
    COUNT_AT(media_missing, MODALITY_AUDIO, "audio_missing"),
    COUNT_AT(media_found, MODALITY_VIDEO, "video_found"),
    COUNT_AT(media_missing, MODALITY_VIDEO, "video_missing"),
};
#define COUNT_NUMBER (sizeof counts / sizeof *counts)

static uint64_t *count_of(import_report *report, size_t i) {
  return (uint64_t *)(void *)((char *)report + counts[i].offset);
}

static void append_counts(strbuf *b, import_report report) {
  for (size_t i = 0; i < COUNT_NUMBER; i++)
    strbuf_printf(b, "\"%s\":%llu,", counts[i].name, (unsigned long long)*count_of(&report, i));
  strbuf_printf(b, "\"again\":%s,\"reasons\":{", report.again ? "true" : "false");
  bool first = true;
  for (int i = 0; i < IMPORT_REASON_COUNT; i++) {
    if (report.reasons[i] == 0) continue;
    strbuf_printf(b, "%s\"%s\":%llu", first ? "" : ",", import_reason_name((import_reason)i),
                  (unsigned long long)report.reasons[i]);
    first = false;
  }
  strbuf_append_char(b, '}');
}

medley_status import_state_save(const import_report *report, uint64_t rejects_bytes, store_import *state,
                                medley_error *err) {
  strbuf b = {.limit = sizeof state->report};
  strbuf_printf(&b, "{\"rejects_bytes\":%llu,", (unsigned long long)rejects_bytes);
  append_counts(&b, *report);
  strbuf_append_char(&b, '}');
  medley_status status = b.failed ? error_memory(err, "the state of an import") : MEDLEY_OK;
  if (status == MEDLEY_OK) memcpy(state->report, b.text, b.length + 1);
  strbuf_deinit(&b);
  state->rows_accepted = report->accepted;
  state->rows_rejected = report->rejected;
  return status;
}

void import_state_load(const store_import *state, import_report *report, uint64_t *rejects_bytes) {
  json_t *saved = NULL;
  *rejects_bytes = 0;
  if (json_parse(state->report, strlen(state->report), "state", &saved, NULL) != MEDLEY_OK) return;
  for (size_t i = 0; i < COUNT_NUMBER; i++)
    *count_of(report, i) = (uint64_t)json_member_integer(saved, counts[i].name, 0);
  report->again = json_is_true(json_object_get(saved, "again"));
  const json_t *reasons = json_object_get(saved, "reasons");
  for (int i = 0; i < IMPORT_REASON_COUNT; i++)
    report->reasons[i] = (uint64_t)json_member_integer(reasons, import_reason_name((import_reason)i), 0);
  *rejects_bytes = (uint64_t)json_member_integer(saved, "rejects_bytes", 0);
  json_decref(saved);
}

void import_report_add(import_report *a, const import_report *b) {
  import_report other = *b;
  for (size_t i = 0; i < COUNT_NUMBER; i++) *count_of(a, i) += *count_of(&other, i);
  for (int i = 0; i < IMPORT_REASON_COUNT; i++) a->reasons[i] += b->reasons[i];
  a->resumed_from += b->resumed_from;
  a->again |= b->again;
}

void import_report_json(const import_report *report, strbuf *out) {
  strbuf_append(out, "{\"format\":");
  strbuf_append_json(out, report->format);
  strbuf_printf(out, ",\"files\":%llu,", (unsigned long long)report->files);
  append_counts(out, *report);
  strbuf_printf(out, ",\"resumed_from\":%llu,\"seconds\":%.3f}", (unsigned long long)report->resumed_from,
                report->seconds);
}
