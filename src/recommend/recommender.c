/* recommend/recommender.c: the table of recommenders, and what a request carries. */
#include "recommend/recommender.h"

#include <string.h>

#include "base/memory.h"
#include "recommend/kinds.h"

const recommender_kind *const recommender_kinds[] = {
    /* clang-format off */
    &recommender_popular,
    &recommender_demographic,
    &recommender_trending,
    &recommender_latest,
    &recommender_itemknn,
    &recommender_userknn,
    &recommender_ease,
    &recommender_ials,
    &recommender_graph_filter,
    &recommender_slim,
    &recommender_gfcf,
    &recommender_bpr,
    &recommender_vbpr,
    &recommender_tag_cf,
    &recommender_lightgcn,
    &recommender_freedom,
    &recommender_bm3,
    &recommender_mgcn,
    &recommender_mentor,
    &recommender_sasrec,
    &recommender_gru4rec,
    &recommender_multvae,
    &recommender_autoencoder,
    &recommender_deepfm,
    &recommender_shared_bottom,
    &recommender_mmoe,
    &recommender_ple,
    &recommender_esmm,
    &recommender_trust,
    &recommender_community,
    &recommender_content,
    &recommender_content_map,
    &recommender_content_popular,
    NULL,
    /* clang-format on */
};

const recommender_kind *recommender_kind_find(const char *name) {
  for (const recommender_kind *const *k = recommender_kinds; *k != NULL; k++)
    if (strcmp((*k)->name, name) == 0) return *k;
  return NULL;
}

bool recommender_answers_strangers(const recommender_kind *kind) {
  return !kind->needs_history || kind->reads_friends || kind->reads_traits;
}

bool recommender_only_named(const recommender_data *data) {
  (void)data;
  return false;
}

size_t recommender_defaults(const recommender_kind *kind, double values[RECOMMENDER_SETTINGS_MAX]) {
  size_t count = 0;
  for (; kind->settings != NULL && kind->settings[count].name != NULL; count++)
    values[count] = kind->settings[count].fallback;
  return count;
}

float *recommender_scratch_floats(recommender_scratch *s, size_t count) {
  if (count <= s->float_capacity) return s->floats;
  mem_free(s->floats);
  s->floats = mem_zalloc_aligned(count, sizeof *s->floats);
  s->float_capacity = s->floats ? count : 0;
  return s->floats;
}

uint32_t *recommender_scratch_integers(recommender_scratch *s, size_t count) {
  if (count <= s->integer_capacity) return s->integers;
  mem_free(s->integers);
  s->integers = mem_zalloc_aligned(count, sizeof *s->integers);
  s->integer_capacity = s->integers ? count : 0;
  return s->integers;
}

tape *recommender_scratch_tape(recommender_scratch *s) {
  if (s->tape == NULL && (s->tape = tape_create(0)) != NULL) tape_set_training(s->tape, false);
  return s->tape;
}

void recommender_scratch_deinit(recommender_scratch *s) {
  tape_free(s->tape);
  mem_free(s->floats);
  mem_free(s->integers);
  *s = (recommender_scratch){0};
}
