/* learn/represent.c: the catalogue as vectors, part by part. See learn/represent.h; texts are in represent_text.c,
 * media in represent_media.c, tags, years and imported vectors in represent_tables.c. */
#include "learn/represent.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "learn/represent_parts.h"
#include "math/vector.h"

/* The usual scale of each modality; "encode.normalise.<modality>" in medley.conf overrides it. */
static const char *const default_normaliser[MODALITY_COUNT] = {"l2", "zscore", "zscore", "zscore"};

/* ---- what texts and media share ---- */

bool represent_row_usable(const float *row, size_t dim) {
  for (size_t i = 0; i < dim; i++)
    if (!isfinite(row[i])) return false;
  return true;
}

void represent_note_bad(const represent_run *run, representation_part *part, uint32_t item) {
  if (part->unreadable++ == 0)
    progress_note(run->progress, "%s of item '%s' left out: %s gave no finite numbers for it", part->name,
                  run->items->items[item].key, part->kind->name);
}

medley_status represent_take_rows(kept_vectors *k, representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t count = k->run->items->count;
  part->features.count = count;
  part->features.dim = k->dim;
  part->features.values = k->rows;
  k->rows = NULL;
  TRY_NEW(part->features.present, count, "vectors");
  for (uint32_t i = 0; i < count; i++)
    part->features.present[i] = k->known[i] && vector_norm(part->features.values + (size_t)i * k->dim, k->dim) > 0;
done:
  return status;
}

medley_status represent_inputs(const catalogue *items, const encoder *e, const represent_options *options,
                               const medley_progress *progress, represent_use *use, void *context, medley_error *err) {
  medley_status status = MEDLEY_OK;
  preparation prepare;
  represent_run run = {.items = items, .options = options, .progress = progress, .prepare = &prepare};
  representation_part part = {
      .source = PART_MEDIA, .modality = e->kind->modality, .kind = e->kind, .encoder = (encoder *)(uintptr_t)e};
  snprintf(part.name, sizeof part.name, "%s", modality_name(part.modality));
  TRY(preparation_read(options->config, &prepare, err));
  status = part.modality == MODALITY_TEXT ? represent_use_texts(&run, use, context, err)
                                          : represent_use_media(&run, &part, use, context, err);
done:
  media_pool_free(run.pool);
  return status;
}

/* ---- normalisation ---- */

medley_status represent_normalise(representation_part *part, const char *name, const uint8_t *fit_items,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *rows = NULL, *out = NULL;
  features *f = &part->features;
  const normaliser_kind *kind = normaliser_kind_find(name);
  if (kind == NULL)
    FAIL(err, MEDLEY_ERR_INPUT,
         "medley.conf: encode.normalise.%s is '%s', which is no normaliser (medley list normaliser)", part->name, name);
  size_t count = 0;
  TRY_NEW(rows, f->count * f->dim, "vectors to normalise");
  for (size_t i = 0; i < f->count; i++)
    if (f->present[i] && (fit_items == NULL || fit_items[i]))
      memcpy(rows + count++ * f->dim, f->values + i * f->dim, f->dim * sizeof *rows);
  TRY(kind->fit(rows, count, f->dim, 0, &part->normaliser, err));
  size_t dim = part->normaliser.out_dim;
  TRY_NEW(out, f->count * dim, "normalised vectors");
  normaliser_apply(&part->normaliser, f->values, f->count, out);
  for (size_t i = 0; i < f->count; i++) {
    if (f->present[i])
      f->present[i] = vector_normalise(out + i * dim, dim) > 0;
    else
      memset(out + i * dim, 0, dim * sizeof *out);
  }
  mem_free(f->values);
  f->values = out;
  f->dim = dim;
  out = NULL;
done:
  mem_free(rows);
  mem_free(out);
  return status;
}

/* ---- the whole ---- */

static bool catalogue_has_modality(const catalogue *items, modality m) {
  for (uint32_t i = 0; i < items->count; i++) {
    const catalogue_item *item = &items->items[i];
    if (m == MODALITY_TEXT ? item->title[0] != '\0' || item->text[0] != '\0' : item->media_count[m] > 0) return true;
  }
  return false;
}

static const char *setting_of(const represent_options *options, const char *what, modality m, const char *fallback) {
  char key[64];
  snprintf(key, sizeof key, "%s.%s", what, modality_name(m));
  return options->config ? config_string(options->config, key, fallback) : fallback;
}

/* The added encoder, else what medley.conf says, else the default. */
static medley_status encoder_choose(const represent_options *options, modality m, representation_part *part,
                                    medley_error *err) {
  const encoder_choice *added = options->added ? &options->added[m] : NULL;
  const encoder_kind *usual = encoder_kind_default(m);
  if (added != NULL && added->kind != NULL) {
    part->kind = added->kind;
    memcpy(part->model, added->model, sizeof part->model);
    return kept_model_open(options->root, part->model, part->kind, &part->encoder, err);
  }
  const char *name = setting_of(options, "encode", m, usual ? usual->name : "none");
  if (strcmp(name, "none") == 0) return MEDLEY_OK;
  part->kind = encoder_kind_for(m, name);
  if (part->kind == NULL)
    return error_set(err, MEDLEY_ERR_INPUT,
                     "medley.conf: encode.%s is '%s', which is no encoder for it (medley list encoder)",
                     modality_name(m), name);
  if (part->kind->needs_file)
    return error_set(err, MEDLEY_ERR_INPUT,
                     "medley.conf: encode.%s is '%s', which needs a file: use 'medley encoder add'", modality_name(m),
                     name);
  return part->kind->create(options->seed, 0, &part->encoder, err);
}

static medley_status represent_modality(represent_run *run, modality m, representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double started = clock_now_s();
  snprintf(part->name, sizeof part->name, "%s", modality_name(m));
  part->source = PART_MEDIA;
  part->modality = m;
  TRY(encoder_choose(run->options, m, part, err));
  if (part->kind == NULL) goto done; /* nobody is to look at this modality */
  if (part->kind->prepare != NULL) part->kind->prepare(part->encoder, run->prepare);
  TRY(m == MODALITY_TEXT ? represent_texts(run, part, err) : represent_media(run, part, err));
  part->seconds = clock_now_s() - started;
done:
  return status;
}

static bool part_has_items(const representation_part *part, const uint8_t *fit_items) {
  for (size_t i = 0; i < part->features.count; i++)
    if (part->features.present[i] && (fit_items == NULL || fit_items[i])) return true;
  return false;
}

medley_status representation_keep(representation *r, const represent_options *options, representation_part *part,
                                  const char *normaliser, medley_error *err) {
  medley_status status = MEDLEY_OK;
  /* A modality that no item to learn from has cannot be brought to scale: nothing is known about it yet. */
  if (r->count == FEATURES_MAX || !part_has_items(part, options->fit_items)) {
    representation_part_deinit(part);
    return MEDLEY_OK;
  }
  TRY(represent_normalise(part, normaliser, options->fit_items, err));
  r->parts[r->count] = *part;
  r->parts[r->count].features.name = r->parts[r->count].name;
  r->count++;
done:
  if (status != MEDLEY_OK) representation_part_deinit(part);
  return status;
}

medley_status represent_catalogue(const catalogue *items, const store_kind *kind, store *s,
                                  const represent_options *options, const medley_progress *progress,
                                  representation **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  represent_run run = {.items = items, .kind = kind, .store = s, .options = options, .progress = progress};
  representation *r = NULL;
  TRY_NEW(r, 1, "a representation");
  r->item_count = items->count;
  run.prepare = &r->prepare;
  TRY(preparation_read(options->config, &r->prepare, err));
  for (int m = 0; m < MODALITY_COUNT; m++) {
    if (!catalogue_has_modality(items, (modality)m)) continue;
    representation_part part = {0};
    status = represent_modality(&run, (modality)m, &part, err);
    if (status != MEDLEY_OK) {
      representation_part_deinit(&part);
      goto done;
    }
    TRY(representation_keep(r, options, &part,
                            setting_of(options, "encode.normalise", (modality)m, default_normaliser[m]), err));
  }
  for (const represent_table *build = represent_tables; *build != NULL; build++) {
    representation_part part = {0};
    status = (*build)(items, options, &part, err);
    if (status != MEDLEY_OK) {
      representation_part_deinit(&part);
      goto done;
    }
    TRY(representation_keep(r, options, &part, "l2", err));
  }
  TRY(represent_spaces(items, kind, s, options, r, err));
  *out = r;
  r = NULL;
done:
  media_pool_free(run.pool);
  representation_free(r);
  return status;
}
