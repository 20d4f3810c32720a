/* engine/list.c: medley_list: what this build knows, straight from the tables of the families, so that a new member is
 * listed without a word here. */
#include <medley/train.h>
#include <string.h>

#include "align/aligner.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "data/import.h"
#include "encode/encoder.h"
#include "encode/normaliser.h"
#include "eval/metric.h"
#include "fuse/fuser.h"
#include "index/index.h"
#include "learn/ensemble.h"
#include "learn/tuner.h"
#include "recommend/recommender.h"

static void member_add(json_t *list, json_t *member) { json_array_append_new(list, member); }

static json_t *member_make(const char *name, const char *summary, const char *source) {
  return json_pack("{s:s, s:s, s:s, s:[]}", "name", name, "summary", summary ? summary : "", "source",
                   source ? source : "", "settings");
}

static json_t *setting_to_json(const recommender_setting *s) {
  json_t *grid = json_array();
  for (size_t i = 0; i < s->grid_count; i++) json_array_append_new(grid, json_real(s->grid[i]));
  return json_pack("{s:s, s:s, s:f, s:f, s:f, s:o}", "name", s->name, "summary", s->summary ? s->summary : "",
                   "default", s->fallback, "min", s->min, "max", s->max, "tried", grid);
}

static void list_recommenders(json_t *list) {
  for (const recommender_kind *const *k = recommender_kinds; *k != NULL; k++) {
    json_t *member = member_make((*k)->name, (*k)->summary, (*k)->source);
    for (const recommender_setting *s = (*k)->settings; s != NULL && s->name != NULL; s++)
      json_array_append_new(json_object_get(member, "settings"), setting_to_json(s));
    json_object_set_new(member, "part", json_string((*k)->part));
    json_object_set_new(member, "scores_cold_items", json_boolean((*k)->scores_cold_items));
    member_add(list, member);
  }
}

static void list_encoders(json_t *list) {
  for (const encoder_kind *const *k = encoder_kinds; *k != NULL; k++) {
    json_t *member = member_make((*k)->name, (*k)->summary, NULL);
    json_object_set_new(member, "modality", json_string(modality_name((*k)->modality)));
    json_object_set_new(member, "default", json_boolean(encoder_kind_default((*k)->modality) == *k));
    json_object_set_new(member, "needs_file", json_boolean((*k)->needs_file));
    member_add(list, member);
  }
}

static void list_aligners(json_t *list) {
  for (const aligner_kind *k = aligner_kinds; k->name != NULL; k++)
    member_add(list, member_make(k->name, k->summary, k->source));
}

static void list_fusers(json_t *list) {
  for (const fuser_kind *k = fuser_kinds; k->name != NULL; k++)
    member_add(list, member_make(k->name, k->summary, NULL));
}

static void list_indexes(json_t *list) {
  for (const index_kind *const *k = index_kinds; *k != NULL; k++)
    member_add(list, member_make((*k)->name, (*k)->summary, NULL));
}

static void list_normalisers(json_t *list) {
  for (const normaliser_kind *k = normaliser_kinds; k->name != NULL; k++)
    member_add(list, member_make(k->name, k->summary, NULL));
}

static void list_metrics(json_t *list) {
  for (const metric_kind *k = metric_kinds; k->name != NULL; k++) {
    json_t *member = member_make(k->name, k->definition, NULL);
    json_object_set_new(member, "needs_k", json_boolean(k->needs_k));
    json_object_set_new(member, "higher_is_better", json_boolean(k->higher_is_better));
    member_add(list, member);
  }
}

static void list_tuners(json_t *list) {
  for (const tuner_kind *const *k = tuner_kinds; *k != NULL; k++)
    member_add(list, member_make((*k)->name, (*k)->summary, (*k)->source));
}

static void list_ensembles(json_t *list) {
  for (const ensemble_kind *const *k = ensemble_kinds; *k != NULL; k++)
    member_add(list, member_make((*k)->name, (*k)->summary, (*k)->source));
}

static void list_importers(json_t *list) {
  const char *name, *summary;
  for (size_t i = 0; (name = import_format_name(i, &summary)) != NULL; i++)
    member_add(list, member_make(name, summary, NULL));
}

static const struct {
  const char *name;
  void (*list)(json_t *list);
} families[] = {
    {"recommender", list_recommenders},
    {"encoder", list_encoders},
    {"aligner", list_aligners},
    {"fuser", list_fusers},
    {"index", list_indexes},
    {"normaliser", list_normalisers},
    {"metric", list_metrics},
    {"importer", list_importers},
    {"tuner", list_tuners},
    {"ensemble", list_ensembles},
};
#define FAMILY_COUNT (sizeof families / sizeof *families)

static medley_status family_unknown(const char *family, medley_error *err) {
  strbuf known = {0};
  for (size_t i = 0; i < FAMILY_COUNT; i++) strbuf_printf(&known, "%s%s", i > 0 ? ", " : "", families[i].name);
  error_set(err, MEDLEY_ERR_USAGE, "there is no family '%s'; known are %s", family ? family : "",
            known.text ? known.text : "");
  strbuf_deinit(&known);
  return MEDLEY_ERR_USAGE;
}

medley_status medley_list(const char *family, char **json, medley_error *err) {
  *json = NULL;
  for (size_t i = 0; family != NULL && i < FAMILY_COUNT; i++) {
    if (strcmp(families[i].name, family) != 0) continue;
    json_t *list = json_array();
    families[i].list(list);
    *json = json_to_text(list);
    json_decref(list);
    return *json != NULL ? MEDLEY_OK : error_memory(err, "a list");
  }
  return family_unknown(family, err);
}
