/* engine/ingest.c: medley_import: files into a workspace through data/import.h. */
#include <medley/content.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "data/import.h"
#include "engine/workspace.h"

#define ENTRIES_MAX 10000 /* of a list that a caller hands in: more is a list without its end */

static size_t entries_of(const char *const *list) {
  size_t count = 0;
  while (list != NULL && count < ENTRIES_MAX && list[count] != NULL) count++;
  return count;
}

static import_kind kind_of(medley_import_kind kind) {
  static const import_kind kinds[] = {
      [MEDLEY_IMPORT_AUTO] = IMPORT_AUTO,   [MEDLEY_IMPORT_ITEMS] = IMPORT_ITEMS,
      [MEDLEY_IMPORT_USERS] = IMPORT_USERS, [MEDLEY_IMPORT_EVENTS] = IMPORT_EVENTS,
      [MEDLEY_IMPORT_LINKS] = IMPORT_LINKS, [MEDLEY_IMPORT_VECTORS] = IMPORT_VECTORS,
  };
  return (size_t)kind < sizeof kinds / sizeof *kinds ? kinds[kind] : IMPORT_KIND_COUNT;
}

static medley_status split_of(const char *name, store_split *out, medley_error *err) {
  static const struct {
    const char *name;
    store_split split;
  } splits[] = {{"train", STORE_SPLIT_TRAIN}, {"valid", STORE_SPLIT_VALID}, {"test", STORE_SPLIT_TEST}};
  *out = STORE_SPLIT_NONE;
  if (name == NULL) return MEDLEY_OK;
  for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
    if (strcmp(name, splits[i].name) != 0) continue;
    *out = splits[i].split;
    return MEDLEY_OK;
  }
  return error_set(err, MEDLEY_ERR_USAGE, "the split of events is train, valid or test, not '%s'", name);
}

static medley_status options_translate(const medley_workspace *w, const char *path, const medley_import_options *o,
                                       import_options *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (import_options){.kind = kind_of(o->kind),
                          .path = path,
                          .format = o->format,
                          .maps = o->map,
                          .map_count = entries_of(o->map),
                          .media_root = o->media_root,
                          .copy_to = o->copy_media ? w->path : NULL,
                          .type = o->event_type,
                          .space = o->space,
                          .keys = o->keys,
                          .errors = o->errors,
                          .allow_rejects = o->allow_rejects,
                          .encoding = o->encoding,
                          .dry_run = o->dry_run != 0,
                          .strict = o->strict != 0,
                          .append_text = o->append_text != 0,
                          .again = o->again != 0};
  const char *const *patterns[MODALITY_COUNT] = {
      [MODALITY_IMAGE] = o->image, [MODALITY_AUDIO] = o->audio, [MODALITY_VIDEO] = o->video};
  for (int m = 0; m < MODALITY_COUNT; m++) {
    out->patterns[m] = patterns[m];
    out->pattern_count[m] = entries_of(patterns[m]);
  }
  if (out->kind == IMPORT_KIND_COUNT) FAIL(err, MEDLEY_ERR_USAGE, "there is no kind of import %d", (int)o->kind);
  TRY(split_of(o->split, &out->split, err));
done:
  return status;
}

/* ---- the report ---- */

static json_t *reasons_to_json(const import_report *r) {
  json_t *reasons = json_object();
  for (int i = 0; i < IMPORT_REASON_COUNT; i++)
    if (r->reasons[i] > 0)
      json_object_set_new(reasons, import_reason_name((import_reason)i), json_integer((json_int_t)r->reasons[i]));
  return reasons;
}

static json_t *media_to_json(const import_report *r) {
  json_t *media = json_object();
  for (int m = MODALITY_IMAGE; m < MODALITY_COUNT; m++)
    if (r->media_found[m] + r->media_missing[m] > 0)
      json_object_set_new(
          media, modality_name((modality)m),
          json_pack("{s:I, s:I}", "found", (json_int_t)r->media_found[m], "missing", (json_int_t)r->media_missing[m]));
  return media;
}

static json_t *report_to_json(const import_report *r, bool dry_run) {
  return json_pack(
      "{s:s, s:I, s:b, s:b, s:I, s:I, s:I, s:o, s:{s:I, s:I}, s:{s:I, s:I}, s:I, s:I, s:I, s:I, s:o, s:f, s:I}",
      "format", r->format, "files", (json_int_t)r->files, "dry_run", (int)dry_run, "again", (int)r->again, "rows_read",
      (json_int_t)r->read, "accepted", (json_int_t)r->accepted, "rejected", (json_int_t)r->rejected, "reasons",
      reasons_to_json(r), "created", "users", (json_int_t)r->users_created, "items", (json_int_t)r->items_created,
      "updated", "users", (json_int_t)r->users_updated, "items", (json_int_t)r->items_updated, "events",
      (json_int_t)r->events, "events_known", (json_int_t)r->events_known, "links", (json_int_t)r->links, "vectors",
      (json_int_t)r->vectors, "media", media_to_json(r), "seconds", r->seconds, "resumed_at",
      (json_int_t)r->resumed_from);
}

/* Into the list of runs, which says later where a catalogue came from. */
static medley_status run_keep(medley_workspace *w, const char *path, json_t *report, int64_t started_s, double seconds,
                              medley_error *err) {
  json_object_set_new(report, "path", json_string(path));
  char *text = json_to_text(report);
  if (text == NULL) return error_memory(err, "a report");
  medley_status status = workspace_run_put(w, "import", started_s, seconds, text, err);
  mem_free(text);
  return status;
}

medley_status medley_import(medley_workspace *workspace, const char *path, const medley_import_options *options,
                            const medley_progress *progress, char **report_json, medley_error *err) {
  static const medley_import_options usual = {0};
  medley_status status = MEDLEY_OK;
  import_options translated;
  import_report report = {0};
  json_t *json = NULL;
  int64_t started_s = clock_wall_s();
  if (report_json != NULL) *report_json = NULL;
  TRY(options_translate(workspace, path, options ? options : &usual, &translated, err));
  status = import_run(workspace->kind, workspace->store, &translated, progress, &report, err);
  if (status != MEDLEY_OK && status != MEDLEY_ERR_REJECTED) goto done;
  json = report_to_json(&report, translated.dry_run);
  medley_status kept = MEDLEY_OK;
  if (json == NULL)
    kept = error_memory(err, "a report");
  else if (!translated.dry_run)
    kept = run_keep(workspace, path, json, started_s, report.seconds, err);
  if (kept == MEDLEY_OK && report_json != NULL && (*report_json = json_to_text(json)) == NULL)
    kept = error_memory(err, "a report");
  if (kept != MEDLEY_OK) status = kept;
done:
  json_decref(json);
  return status;
}
