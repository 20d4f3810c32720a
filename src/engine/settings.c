/* engine/settings.c: see engine/settings.h. */
#include "engine/settings.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode/encoder.h"
#include "encode/normaliser.h"
#include "fuse/fuser.h"
#include "learn/ensemble.h"
#include "learn/space.h"
#include "media/preparation.h"
#include "recommend/recommender.h"
#include "store/store.h"

/* What medley.conf may hold. Values of tables are checked against the tables. */
static bool is_encoder(const char *value) { return strcmp(value, "none") == 0 || encoder_kind_find(value) != NULL; }
static bool is_normaliser(const char *value) { return normaliser_kind_find(value) != NULL; }
static bool is_precision(const char *value) {
  weight_precision precision;
  return precision_find(value, &precision);
}
static bool is_store(const char *value) { return store_kind_find(value) != NULL; }
static bool is_whole_number(const char *value) {
  long long number;
  return string_to_int64(value, &number) && number >= 0;
}

static bool is_fuser(const char *value) { return strcmp(value, SETTINGS_AUTO) == 0 || fuser_kind_find(value) != NULL; }
static bool is_half_at_most(const char *value) {
  char *end;
  double number = strtod(value, &end);
  return end != value && *end == '\0' && number >= 0 && number <= 0.5;
}
static bool is_ensemble(const char *value) { return ensemble_kind_find(value) != NULL; }
static bool are_aligners(const char *value) {
  const aligner_kind *kinds[SPACE_ALIGNERS_MAX];
  size_t count;
  return space_aligners_read(value, kinds, &count, NULL) == MEDLEY_OK;
}

static const struct {
  const char *key; /* a pattern of fnmatch */
  bool (*takes)(const char *value);
  const char *expected;
} settings[] = {
    {"store.kind", is_store, "a kind of store, such as sqlite"},
    {"train.seed", is_whole_number, "a whole number"},
    {"train.threads", is_whole_number, "a whole number"},
    {"train.ensemble", is_ensemble, "an ensemble (medley list ensemble)"},
    {"train.new_items", is_half_at_most, "a number from 0 to 0.5"},
    {"encode.text", is_encoder, "an encoder (medley list encoder) or none"},
    {"encode.image", is_encoder, "an encoder (medley list encoder) or none"},
    {"encode.audio", is_encoder, "an encoder (medley list encoder) or none"},
    {"encode.video", is_encoder, "an encoder (medley list encoder) or none"},
    {"encode.precision", is_precision, "f32, bf16 or int8"},
    {"search.index_from", is_whole_number, "a whole number of items"},
    {"align.kinds", are_aligners, "aligners, separated by commas or blanks (medley list aligner)"},
    {"fuse.kind", is_fuser, "a fuser (medley list fuser) or auto"},
    {"encode.normalise.*", is_normaliser, "a normaliser (medley list normaliser)"},
};

typedef struct look {
  void (*tell)(void *context, const char *sentence);
  void *context;
  size_t told;
} look;

static void tell_value(look *l, const char *key, const char *value, const char *expected) {
  char text[512];
  snprintf(text, sizeof text, "medley.conf: %.80s is '%.80s', expected %s", key, value, expected);
  l->told++;
  l->tell(l->context, text);
}

static void tell_unknown(look *l, const char *key) {
  char text[512];
  snprintf(text, sizeof text, "medley.conf: there is no setting '%.80s'; remove it or correct its name", key);
  l->told++;
  l->tell(l->context, text);
}

/* "model.deepfm.weigh" */
static const recommender_setting *model_setting(const char *key) {
  char name[64];
  int length = 0;
  const recommender_kind *kind;
  if (sscanf(key, "model.%63[^.].%n", name, &length) != 1 || length == 0) return NULL;
  if ((kind = recommender_kind_find(name)) == NULL) return NULL;
  for (const recommender_setting *s = kind->settings; s->name != NULL; s++)
    if (strcmp(s->name, key + length) == 0) return s;
  return NULL;
}

static void model_look(look *l, const char *key, const char *value, const recommender_setting *s) {
  char expected[96], *end;
  double number = strtod(value, &end);
  if (end != value && *end == '\0' && number >= s->min && number <= s->max) return;
  snprintf(expected, sizeof expected, "a number from %g to %g", s->min, s->max);
  tell_value(l, key, value, expected);
}

static void setting_look(look *l, const char *key, const char *value) {
  bool takes = false;
  strbuf expected = {0};
  const recommender_setting *of_model = model_setting(key);
  if (of_model != NULL) {
    model_look(l, key, value, of_model);
    return;
  }
  if (preparation_knows(key, value, &takes, &expected)) {
    if (!takes) tell_value(l, key, value, expected.text ? expected.text : "another value");
    strbuf_deinit(&expected);
    return;
  }
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    if (fnmatch(settings[i].key, key, 0) != 0) continue;
    if (!settings[i].takes(value)) tell_value(l, key, value, settings[i].expected);
    return;
  }
  tell_unknown(l, key);
}

size_t settings_look(const config *c, void (*tell)(void *context, const char *sentence), void *context) {
  look l = {tell, context, 0};
  size_t cursor = 0;
  const char *key;
  int64_t index;
  while (strmap_next(&c->keys, &cursor, &key, &index)) setting_look(&l, key, c->values[index]);
  return l.told;
}
