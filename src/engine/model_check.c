/* engine/model_check.c: medley_model_check: the outputs of an encoder beside those of a reference run. */
#include <medley/model.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "encode/encoder.h"

#define TOLERANCE_DEFAULT 1e-3

/* The names of those that can be checked, each once. */
static medley_status name_refuse(const char *name, medley_error *err) {
  strbuf known = {0};
  bool there = encoder_kind_find(name) != NULL;
  for (size_t i = 0; encoder_kinds[i] != NULL; i++)
    if (encoder_kinds[i]->check != NULL && encoder_kind_find(encoder_kinds[i]->name) == encoder_kinds[i])
      strbuf_printf(&known, "%s%s", known.length ? ", " : "", encoder_kinds[i]->name);
  medley_status status =
      error_set(err, there ? MEDLEY_ERR_UNSUPPORTED : MEDLEY_ERR_USAGE, "%s '%.60s'; those that can be checked: %s",
                there ? "nothing can be compared for the encoder" : "there is no encoder", name,
                known.text ? known.text : "none");
  strbuf_deinit(&known);
  return status;
}

/* NaN and infinity have no place in JSON. */
static json_t *difference_to_json(double difference) {
  return isfinite(difference) ? json_real(difference) : json_null();
}

static medley_status kind_check(const encoder_kind *kind, const char *path, const safetensors *golden, json_t *outputs,
                                double *largest, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL;
  golden_report report = {0};
  TRY(kind->open(path, &e, err));
  TRY(kind->check(e, golden, &report, err));
  if (report.count == 0) FAIL(err, MEDLEY_ERR_INPUT, "'%s' holds no output of %s", golden->path, kind->name);
  double own = golden_largest(&report);
  *largest = isnan(own) || isnan(*largest) ? NAN : fmax(own, *largest);
  for (size_t i = 0; i < report.count; i++)
    json_array_append_new(outputs, json_pack("{s:s, s:s, s:I, s:o}", "modality", modality_name(kind->modality), "name",
                                             report.outputs[i].name, "values", (json_int_t)report.outputs[i].values,
                                             "difference", difference_to_json(report.outputs[i].difference)));
done:
  if (e != NULL) kind->free(e);
  return status;
}

/* Whether the file says anything of this row of a kind. */
static bool golden_about(const safetensors *golden, const encoder_kind *kind) {
  for (size_t i = 0; kind->outputs != NULL && kind->outputs[i] != NULL; i++)
    if (safetensors_get(golden, kind->outputs[i]) != NULL) return true;
  return kind->outputs == NULL;
}

/* A model, and a golden file, may hold one tower of a kind that has several: the others then fail, which is no matter
 * as long as the golden file is not about them and one could be compared. */
static medley_status kinds_check(const char *name, const char *path, const safetensors *golden, json_t *outputs,
                                 double *largest, medley_error *err) {
  medley_status first = MEDLEY_OK;
  medley_error reason = {0}, kept = {0};
  bool about = false;
  for (size_t i = 0; encoder_kinds[i] != NULL; i++) {
    const encoder_kind *kind = encoder_kinds[i];
    if (strcmp(kind->name, name) != 0 || kind->check == NULL) continue;
    medley_status status = kind_check(kind, path, golden, outputs, largest, &reason);
    bool matters = status != MEDLEY_OK && golden_about(golden, kind);
    if (status != MEDLEY_OK && (first == MEDLEY_OK || (matters && !about))) first = status, kept = reason;
    about |= matters;
  }
  if (json_array_size(outputs) > 0 && !about) return MEDLEY_OK;
  return first == MEDLEY_OK ? name_refuse(name, err) : error_set(err, first, "%s", kept.text);
}

medley_status medley_model_check(const char *name, const char *path, const char *golden_path, double tolerance,
                                 char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  safetensors golden = {0};
  double largest = 0;
  json_t *outputs = json_array(), *report = NULL;
  *json = NULL;
  if (tolerance == 0) tolerance = TOLERANCE_DEFAULT;
  if (!(tolerance > 0)) FAIL(err, MEDLEY_ERR_USAGE, "the tolerance should be above 0, not %g", tolerance);
  if (!file_exists(path)) FAIL(err, MEDLEY_ERR_NOT_FOUND, "there is no file or folder '%s'", path);
  TRY(safetensors_open(&golden, golden_path, err));
  TRY(kinds_check(name, path, &golden, outputs, &largest, err));
  bool agrees = largest <= tolerance; /* false for NaN */
  report = json_pack("{s:s, s:s, s:s, s:f, s:b, s:o, s:O}", "encoder", name, "file", path, "golden", golden_path,
                     "tolerance", tolerance, "agrees", (int)agrees, "largest", difference_to_json(largest), "outputs",
                     outputs);
  *json = report ? json_to_text(report) : NULL;
  if (*json == NULL) status = error_memory(err, "a report");
done:
  json_decref(outputs);
  json_decref(report);
  safetensors_close(&golden);
  return status;
}
