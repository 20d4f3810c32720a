/* engine/doctor.c: medley_doctor: what is there, what is wrong, what to do. A finding that is not ok is a defect that a
 * user can mend; everything else is told for the record. The machine is in doctor_machine.c, a workspace here. */
#include "engine/doctor.h"

#include <medley/workspace.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/encoders.h"
#include "engine/settings.h"
#include "engine/workspace.h"

#define MEDIA_LOOKED_AT 500
#define DISK_LOW_BYTES ((uint64_t)1 << 30)
#define MANIFEST_MAX ((size_t)64 << 20)

void doctor_find(doctor *d, const char *check, bool ok, const char *format, ...) {
  char text[MEDLEY_ERROR_TEXT_MAX + 256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  d->ok &= ok;
  json_t *told = json_string(text);
  /* A path may hold any byte; the finding must still be JSON. */
  if (told == NULL) told = json_string("a name in this finding is no UTF-8");
  json_array_append_new(d->findings, json_pack("{s:s, s:b, s:o}", "check", check, "ok", (int)ok, "text", told));
}

/* ---- settings ---- */

static void setting_tell(void *context, const char *sentence) {
  doctor_find(context, "settings", false, "%s", sentence);
}

static void settings_check(doctor *d, const config *c) {
  if (settings_look(c, setting_tell, d) == 0) doctor_find(d, "settings", true, "%zu set, all known", c->count);
}

/* ---- the database and the media ---- */

static void database_check(doctor *d, medley_workspace *w) {
  medley_error error = {0};
  strbuf report = {0};
  store_counts counts;
  if (w->kind->check(w->store, &report, &error) != MEDLEY_OK || w->kind->counts(w->store, &counts, &error) != MEDLEY_OK)
    doctor_find(d, "database", false, "cannot be checked: %s", error.text);
  else if (report.length > 0)
    doctor_find(d, "database", false, "%s", report.text);
  else
    doctor_find(d, "database", true, "%" PRIu64 " items, %" PRIu64 " users, %" PRIu64 " events; sound", counts.items,
                counts.users, counts.events);
  strbuf_deinit(&report);
}

typedef struct media_walk {
  medley_workspace *w;
  size_t looked_at, missing;
  char first[512];
} media_walk;

static medley_status media_take(void *context, const store_item *item, medley_error *err) {
  (void)err;
  media_walk *m = context;
  for (size_t i = 0; i < item->media_count && m->looked_at < MEDIA_LOOKED_AT; i++) {
    char *path = workspace_path(m->w, item->media[i].path);
    m->looked_at++;
    if (path != NULL && access(path, R_OK) == 0) {
      mem_free(path);
      continue;
    }
    if (m->missing++ == 0) snprintf(m->first, sizeof m->first, "%s", item->media[i].path);
    mem_free(path);
  }
  /* Cancelled: enough was seen. The walk has no other way to end early. */
  return m->looked_at < MEDIA_LOOKED_AT ? MEDLEY_OK : MEDLEY_ERR_CANCELLED;
}

static void media_check(doctor *d, medley_workspace *w) {
  medley_error error = {0};
  media_walk m = {.w = w};
  medley_status status = w->kind->each_item(w->store, 0, 0, media_take, &m, &error);
  if (status != MEDLEY_OK && status != MEDLEY_ERR_CANCELLED)
    doctor_find(d, "media", false, "cannot be looked at: %s", error.text);
  else if (m.missing > 0)
    doctor_find(
        d, "media", false,
        "%zu of %zu files looked at cannot be read, the first is '%s'; bring them back or import the items anew",
        m.missing, m.looked_at, m.first);
  else
    doctor_find(d, "media", true, "%zu files looked at, all there", m.looked_at);
}

/* ---- generations ---- */

/* A generation is whole when its manifest is JSON and both files open, which checks their headers against their
 * sizes. */
static medley_status generation_check(const char *folder, medley_error *err) {
  static const char *const files[] = {"content.safetensors", "models.safetensors"};
  medley_status status = MEDLEY_OK;
  char *path = path_join(folder, "manifest.json");
  json_t *manifest = NULL;
  if (path == NULL) return error_memory(err, "a file name");
  TRY(json_parse_file(path, MANIFEST_MAX, &manifest, err));
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    safetensors s;
    mem_free(path);
    path = path_join(folder, files[i]);
    if (path == NULL) {
      status = error_memory(err, "a file name");
      goto done;
    }
    TRY(safetensors_open(&s, path, err));
    safetensors_close(&s);
  }
done:
  json_decref(manifest);
  mem_free(path);
  return status;
}

static void generation_folder_check(doctor *d, const char *models, const char *name, size_t *whole) {
  medley_error error = {0};
  long long number;
  char *folder = path_join(models, name);
  if (folder == NULL) return;
  if (!string_to_int64(name, &number) || number < 1)
    doctor_find(d, "generations", true,
                "'%s' is left from a training that was killed or still runs; the next one tidies", name);
  else if (generation_check(folder, &error) != MEDLEY_OK)
    doctor_find(d, "generations", false, "generation %s is broken: %s; train again", name, error.text);
  else
    ++*whole;
  mem_free(folder);
}

static void generations_check(doctor *d, const char *path) {
  medley_error error = {0};
  char **names = NULL, *models = path_join(path, "models"), folder[64], *current = NULL;
  size_t count = 0, whole = 0;
  int64_t number = 0;
  if (models != NULL && folder_list(models, &names, &count, &error) == MEDLEY_OK)
    for (size_t i = 0; i < count; i++) generation_folder_check(d, models, names[i], &whole);
  if (generation_current(path, &number, &error) != MEDLEY_OK) {
    doctor_find(d, "generations", false, "%s; train again", error.text);
  } else if (number == 0) {
    doctor_find(d, "generations", true, "nothing has been trained yet");
  } else {
    snprintf(folder, sizeof folder, "models/%lld", (long long)number);
    current = path_join(path, folder);
    bool there = current != NULL && file_is_folder(current);
    doctor_find(d, "generations", there,
                there ? "%zu whole, %lld serves" : "%zu whole, but %lld should serve and is not there: train again",
                whole, (long long)number);
  }
  folder_list_free(names, count);
  mem_free(models);
  mem_free(current);
}

/* ---- searches ---- */

static void search_check(doctor *d, medley_workspace *w) {
  medley_error error = {0};
  generation *g;
  if (workspace_generation(w, &g, &error) != MEDLEY_OK)
    doctor_find(d, "search", false, "the serving generation cannot be read: %s; train again", error.text);
  else if (g == NULL)
    return;
  else if (g->graphs.count == 0)
    doctor_find(d, "search", true, "exact: every item is compared");
  else if (g->graphs.recall < 0)
    doctor_find(d, "search", false, "%zu graphs answer searches and their recall was not measured; train again",
                g->graphs.count);
  else
    doctor_find(d, "search", true, "%zu %s searches, with a recall of %.3f against comparing every item",
                g->graphs.count, g->graphs.count == 1 ? "graph answers" : "graphs answer", g->graphs.recall);
}

/* ---- the folder ---- */

/* All bytes of the encoders that were added, against what they were. */
static void encoders_check(doctor *d, medley_workspace *w) {
  medley_error error = {0};
  encoder_choice chosen[MODALITY_COUNT];
  size_t before = json_array_size(d->findings), added = 0;
  if (encoders_chosen(w, chosen, &error) != MEDLEY_OK) doctor_find(d, "encoders", false, "%s", error.text);
  for (int m = 0; m < MODALITY_COUNT && json_array_size(d->findings) == before; m++) {
    if (chosen[m].kind == NULL) continue;
    added++;
    if (kept_model_check(w->path, chosen[m].model, true, &error) != MEDLEY_OK)
      doctor_find(d, "encoders", false, "%s: %s", modality_name((modality)m), error.text);
  }
  if (json_array_size(d->findings) == before) doctor_find(d, "encoders", true, "%zu added, unchanged", added);
}

static void disk_check(doctor *d, const char *path) {
  struct statvfs disk;
  if (statvfs(path, &disk) != 0) return;
  uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
  bool ok = free_bytes >= DISK_LOW_BYTES;
  doctor_find(d, "disk", ok, "%.1f GB free%s", (double)free_bytes / 1e9,
              ok ? "" : "; training needs room for a new generation beside the old ones");
  bool writable = access(path, W_OK) == 0;
  doctor_find(d, "folder", writable, writable ? "'%s' can be written" : "'%s' cannot be written: check its owner",
              path);
}

void doctor_workspace(doctor *d, const char *path) {
  medley_error error = {0};
  medley_workspace *w = NULL;
  if (!file_is_folder(path)) {
    doctor_find(d, "workspace", false, "'%s' is no folder; make a workspace with 'medley init %s'", path, path);
    return;
  }
  disk_check(d, path);
  generations_check(d, path);
  if (medley_workspace_open(path, &w, &error) != MEDLEY_OK) {
    doctor_find(d, "workspace", false, "%s", error.text);
    return;
  }
  settings_check(d, &w->config);
  database_check(d, w);
  media_check(d, w);
  encoders_check(d, w);
  search_check(d, w);
  medley_workspace_close(w);
}

medley_status medley_doctor(const char *path, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  doctor d = {.findings = json_array(), .ok = true};
  *json = NULL;
  doctor_machine(&d);
  if (path != NULL) doctor_workspace(&d, path);
  json_t *out = json_pack("{s:b, s:O}", "ok", (int)d.ok, "findings", d.findings);
  *json = out ? json_to_text(out) : NULL;
  if (*json == NULL) status = error_memory(err, "the findings");
  json_decref(out);
  json_decref(d.findings);
  return status;
}
