/* learn/trials.c: see learn/trials.h. */
#include "learn/trials.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define TRIALS_BYTES_MAX ((size_t)64 << 20)

/* ---- settings ---- */

json_t *settings_to_json(const recommender_kind *kind, const double *values) {
  json_t *out = json_object();
  for (size_t s = 0; kind->settings != NULL && kind->settings[s].name != NULL; s++)
    json_object_set_new(out, kind->settings[s].name, json_real(values[s]));
  return out;
}

static const recommender_setting *setting_find(const recommender_kind *kind, const char *name, size_t *index) {
  for (size_t s = 0; kind->settings != NULL && kind->settings[s].name != NULL; s++) {
    *index = s;
    if (strcmp(kind->settings[s].name, name) == 0) return &kind->settings[s];
  }
  return NULL;
}

medley_status settings_from_json(const recommender_kind *kind, const json_t *settings, const char *where,
                                 double *values, medley_error *err) {
  const char *name;
  json_t *member;
  size_t index = 0;
  if (!json_is_object(settings))
    return error_set(err, MEDLEY_ERR_INPUT, "%s: the settings of %s are no object", where, kind->name);
  json_object_foreach((json_t *)settings, name, member) {
    const recommender_setting *s = setting_find(kind, name, &index);
    double value = json_is_number(member) ? json_number_value(member) : NAN;
    if (s == NULL) return error_set(err, MEDLEY_ERR_INPUT, "%s: %s has no setting '%.60s'", where, kind->name, name);
    if (!(value >= s->min && value <= s->max))
      return error_set(err, MEDLEY_ERR_INPUT, "%s: %s of %s is not from %g to %g", where, name, kind->name, s->min,
                       s->max);
    values[index] = value;
  }
  return MEDLEY_OK;
}

/* ---- the file ---- */

static medley_status line_take(trials_file *f, const char *line, size_t length, size_t number, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[64];
  json_t *value = NULL;
  snprintf(name, sizeof name, "trials.jsonl line %zu", number);
  TRY(json_parse(line, length, name, &value, err));
  if (json_member_string(value, "problem", NULL) == NULL || json_member_string(value, "model", NULL) == NULL)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: no trial: it names no problem or no model", name);
  if (json_array_append(f->lines, value) != 0) status = error_memory(err, "trials");
done:
  json_decref(value);
  return status;
}

/* What a kill left of a line is cut off, so that the next one does not run into it. */
static medley_status tail_cut(const trials_file *f, size_t whole, size_t length, medley_error *err) {
  if (whole == length || truncate(f->path, (off_t)whole) == 0) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_IO, "%s: %s", f->path, strerror(errno));
}

medley_status trials_open(trials_file *f, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *text = NULL;
  size_t length = 0, from = 0, number = 0;
  *f = (trials_file){.lines = json_array()};
  f->path = mem_strdup(path);
  if (f->path == NULL || f->lines == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for trials");
  if (!file_exists(path)) goto done;
  TRY(file_read(path, TRIALS_BYTES_MAX, &text, &length, err));
  for (const char *end; (end = memchr(text + from, '\n', length - from)) != NULL; from = (size_t)(end - text) + 1)
    TRY(line_take(f, text + from, (size_t)(end - text) - from, ++number, err));
  TRY(tail_cut(f, from, length, err));
done:
  mem_free(text);
  if (status != MEDLEY_OK) trials_close(f);
  return status;
}

void trials_close(trials_file *f) {
  mem_free(f->path);
  json_decref(f->lines);
  *f = (trials_file){0};
}

static bool is_about(const json_t *line, const char *problem, const char *model) {
  return strcmp(json_member_string(line, "problem", ""), problem) == 0 &&
         strcmp(json_member_string(line, "model", ""), model) == 0;
}

medley_status trials_read(const trials_file *f, const char problem[HASH_HEX_BYTES], const recommender_kind *kind,
                          tuning_search *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *line;
  size_t i;
  json_array_foreach(f->lines, i, line) {
    if (!is_about(line, problem, kind->name)) continue;
    trial t = {.share = json_member_number(line, "share", 1),
               .objective = json_member_number(line, "objective", NAN),
               .seconds = json_member_number(line, "seconds", 0)};
    for (size_t v = 0; kind->settings != NULL && kind->settings[v].name != NULL; v++) t.values[v] = s->start[v];
    if (!(t.share > 0 && t.share <= 1))
      FAIL(err, MEDLEY_ERR_INPUT, "%s: a trial of %s has a share that is not from 0 to 1", f->path, kind->name);
    TRY(settings_from_json(kind, json_object_get(line, "settings"), f->path, t.values, err));
    TRY(tuning_search_add(s, &t, err));
  }
done:
  return status;
}

static medley_status line_append(const char *path, const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = strlen(text);
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text, length) != (ssize_t)length || fdatasync(fd) != 0)
    status = error_set(err, MEDLEY_ERR_IO, "%s: the trial cannot be kept: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  return status;
}

medley_status trials_add(trials_file *f, const char problem[HASH_HEX_BYTES], const recommender_kind *kind,
                         const trial *t, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf line = {0};
  char *text = NULL;
  json_t *value = json_pack("{s:s, s:s, s:f, s:o, s:f, s:o}", "problem", problem, "model", kind->name, "share",
                            t->share, "objective", isfinite(t->objective) ? json_real(t->objective) : json_null(),
                            "seconds", t->seconds, "settings", settings_to_json(kind, t->values));
  if (value == NULL || (text = json_to_text(value)) == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a trial");
  strbuf_append(&line, text);
  strbuf_append(&line, "\n");
  if (line.failed) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a trial");
  TRY(line_append(f->path, line.text, err));
  if (json_array_append(f->lines, value) != 0) status = error_memory(err, "trials");
done:
  json_decref(value);
  mem_free(text);
  strbuf_deinit(&line);
  return status;
}
