/* learn/represent.c: media → vectors. See learn/represent.h; tags, years and imported vectors are in
 * represent_tables.c. */
#include "learn/represent.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "learn/represent_parts.h"
#include "math/vector.h"
#include "media/worker.h"

#define ENCODE_BATCH 64     /* samples that are decoded before the encoder runs over them with all threads */
#define FIT_SAMPLE_MAX 3000 /* media an encoder that needs fitting may hold in memory at once */
#define STORE_BATCH 512     /* vectors kept per transaction */
#define REASONS_TOLD 3      /* unreadable files that are named in full */

/* The usual scale of each modality; "encode.normalise.<modality>" in medley.conf overrides it. */
static const char *const default_normaliser[MODALITY_COUNT] = {"l2", "zscore", "zscore", "zscore"};

/* One modality on its way from files to vectors. */
typedef struct media_job {
  const catalogue *items;
  const represent_options *options;
  const medley_progress *progress;
  const store_kind *kind;
  store *store;
  modality modality;
  encoder *encoder;
  size_t dim;
  float *sums;               /* [items, dim] of the item's files so far */
  uint32_t *file_count;      /* [items] files in the sum */
  uint8_t *kept;             /* [items] the vector came from the store */
  unsigned char *signatures; /* [items, HASH_BYTES] */
  media_request *requests;
  uint32_t *request_item;
  size_t request_count;
  /* decoded and not yet encoded */
  media_sample batch[ENCODE_BATCH];
  uint32_t batch_item[ENCODE_BATCH];
  size_t batch_count;
  /* samples collected for fitting, when `collect` */
  bool collect;
  media_sample *collected;
  size_t collected_count;
  size_t done, unreadable;
  medley_error *err; /* of the run that is going on, for the receiver */
  progress_stage stage;
} media_job;

static encoder_input input_of_sample(const media_sample *sample) {
  encoder_input input = {0};
  if (sample->kind == MODALITY_IMAGE) input.image = &sample->image;
  if (sample->kind == MODALITY_AUDIO) input.sound = &sample->sound;
  if (sample->kind == MODALITY_VIDEO) input.video = &sample->video;
  return input;
}

/* ---- texts ---- */

medley_status represent_item_text(const catalogue *items, uint32_t index, strbuf *out, medley_error *err) {
  const catalogue_item *item = &items->items[index];
  strbuf_reset(out);
  strbuf_append(out, item->title);
  if (item->text[0] != '\0') strbuf_printf(out, "\n%s", item->text);
  for (uint32_t t = 0; t < item->tag_count; t++)
    strbuf_printf(out, "%c%s", t ? ' ' : '\n', items->tag_names[item->tags[t]]);
  if (out->failed) return error_set(err, MEDLEY_ERR_LIMIT, "item '%s': its text does not fit into memory", item->key);
  return MEDLEY_OK;
}

typedef struct text_set {
  char **texts;          /* [count] */
  encoder_input *inputs; /* [count] */
  uint32_t *item;        /* [count] */
  size_t count;
} text_set;

static void text_set_deinit(text_set *t) {
  for (size_t i = 0; i < t->count; i++) mem_free(t->texts[i]);
  mem_free(t->texts);
  mem_free(t->inputs);
  mem_free(t->item);
}

static medley_status text_set_collect(const catalogue *items, text_set *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  TRY_NEW(out->texts, items->count, "texts");
  TRY_NEW(out->inputs, items->count, "texts");
  TRY_NEW(out->item, items->count, "texts");
  for (uint32_t i = 0; i < items->count; i++) {
    TRY(represent_item_text(items, i, &text, err));
    if (text.text[0] == '\0') continue;
    out->texts[out->count] = mem_strdup(text.text);
    if (out->texts[out->count] == NULL) {
      status = error_memory(err, "texts");
      goto done;
    }
    out->inputs[out->count].text = out->texts[out->count];
    out->item[out->count++] = i;
  }
done:
  strbuf_deinit(&text);
  return status;
}

static bool texts_to_fit(const text_set *texts, const uint8_t *fit_items) {
  for (size_t i = 0; i < texts->count; i++)
    if (fit_items == NULL || fit_items[texts->item[i]]) return true;
  return false;
}

static medley_status texts_fit(encoder *e, const text_set *texts, const uint8_t *fit_items, progress_stage *stage,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder_input *inputs = NULL;
  size_t count = 0;
  TRY_NEW(inputs, texts->count, "texts to fit on");
  for (size_t i = 0; i < texts->count; i++)
    if (fit_items == NULL || fit_items[texts->item[i]]) inputs[count++] = texts->inputs[i];
  TRY(e->kind->fit(e, inputs, count, stage, err));
done:
  mem_free(inputs);
  return status;
}

/* Scatters rows [count, dim] to the items they belong to; a zero row is a missing modality. */
static medley_status features_scatter(const float *rows, const uint32_t *item, size_t count, size_t dim,
                                      uint32_t item_count, features *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  out->count = item_count;
  out->dim = dim;
  TRY_NEW(out->values, (size_t)item_count * dim, "vectors");
  TRY_NEW(out->present, item_count, "vectors");
  for (size_t i = 0; i < count; i++) {
    if (!(vector_norm(rows + i * dim, dim) > 0)) continue;
    memcpy(out->values + item[i] * dim, rows + i * dim, dim * sizeof *rows);
    out->present[item[i]] = 1;
  }
done:
  return status;
}

static medley_status represent_texts(const catalogue *items, const represent_options *options,
                                     const medley_progress *progress, representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_set texts = {0};
  float *rows = NULL;
  progress_stage stage;
  progress_begin(&stage, progress, "encode text", items->count);
  TRY(text_set_collect(items, &texts, err));
  if (texts.count == 0) goto done;
  if (part->encoder->kind->needs_fit) {
    if (!texts_to_fit(&texts, options->fit_items)) goto done;
    TRY(texts_fit(part->encoder, &texts, options->fit_items, &stage, err));
  }
  size_t dim = part->encoder->kind->dim(part->encoder);
  TRY_NEW(rows, texts.count * dim, "text vectors");
  for (size_t from = 0; from < texts.count; from += 1024) {
    size_t count = texts.count - from < 1024 ? texts.count - from : 1024;
    TRY(part->encoder->kind->encode(part->encoder, texts.inputs + from, count, rows + from * dim, err));
    TRY(progress_update(&stage, from + count, err));
  }
  TRY(features_scatter(rows, texts.item, texts.count, dim, items->count, &part->features, err));
  progress_end(&stage, texts.count);
done:
  mem_free(rows);
  text_set_deinit(&texts);
  return status;
}

/* ---- pictures, sound, video ---- */

/* What the vector depends on, without reading the files: their paths, sizes and times, and the encoder. */
static void item_signature(const media_job *job, uint32_t item, unsigned char out[HASH_BYTES]) {
  strbuf b = {0};
  const catalogue_item *it = &job->items->items[item];
  strbuf_printf(&b, "%s/%u", job->encoder->kind->name, job->encoder->kind->version);
  for (uint32_t f = 0; f < it->media_count[job->modality]; f++) {
    uint64_t size = 0;
    int64_t time = 0;
    char *path = path_join(job->options->root, it->media[job->modality][f]);
    if (path != NULL) file_stat(path, &size, &time);
    mem_free(path);
    strbuf_printf(&b, "\n%s\n%llu %lld", it->media[job->modality][f], (unsigned long long)size, (long long)time);
  }
  hash_buffer(b.text ? b.text : "", b.length, out);
  strbuf_deinit(&b);
}

static medley_status kept_vector_take(void *context, const store_vector *vector, medley_error *err) {
  (void)err;
  media_job *job = context;
  const int64_t *index = intmap_get(&job->items->index, vector->item_id);
  if (index == NULL || vector->dim != job->dim) return MEDLEY_OK;
  if (memcmp(vector->content_hash, job->signatures + (size_t)*index * HASH_BYTES, HASH_BYTES) != 0) return MEDLEY_OK;
  float *row = job->sums + (size_t)*index * job->dim;
  if (vector->dtype == STORE_F16)
    float_from_half(row, vector->values, job->dim);
  else
    memcpy(row, vector->values, job->dim * sizeof *row);
  job->file_count[*index] = 1;
  job->kept[*index] = 1;
  return MEDLEY_OK;
}

static medley_status job_encode_batch(media_job *job, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *rows = NULL;
  encoder_input inputs[ENCODE_BATCH];
  if (job->batch_count == 0) return MEDLEY_OK;
  for (size_t i = 0; i < job->batch_count; i++) inputs[i] = input_of_sample(&job->batch[i]);
  TRY_NEW(rows, job->batch_count * job->dim, "vectors");
  TRY(job->encoder->kind->encode(job->encoder, inputs, job->batch_count, rows, err));
  for (size_t i = 0; i < job->batch_count; i++) {
    vector_add_scaled(job->sums + (size_t)job->batch_item[i] * job->dim, 1, rows + i * job->dim, job->dim);
    job->file_count[job->batch_item[i]]++;
  }
done:
  for (size_t i = 0; i < job->batch_count; i++) media_sample_deinit(&job->batch[i]);
  job->batch_count = 0;
  mem_free(rows);
  return status;
}

static medley_status job_receive(void *context, size_t index, medley_status outcome, media_sample *sample,
                                 const char *reason) {
  media_job *job = context;
  uint32_t item = job->request_item[index];
  job->done++;
  if (outcome != MEDLEY_OK) {
    if (job->unreadable++ < REASONS_TOLD)
      progress_note(job->progress, "%s of item '%s' left out: %s: %s", modality_name(job->modality),
                    job->items->items[item].key, job->requests[index].path, reason);
    return MEDLEY_OK;
  }
  if (job->collect) {
    job->collected[job->collected_count++] = *sample;
    return MEDLEY_OK;
  }
  job->batch[job->batch_count] = *sample;
  job->batch_item[job->batch_count++] = item;
  return job->batch_count == ENCODE_BATCH ? job_encode_batch(job, job->err) : MEDLEY_OK;
}

static void job_clear_requests(media_job *job) {
  for (size_t i = 0; i < job->request_count; i++) mem_free((char *)job->requests[i].path);
  mem_free(job->requests);
  mem_free(job->request_item);
  job->requests = NULL;
  job->request_item = NULL;
  job->request_count = 0;
}

/* Requests for all files of items that `want` says yes to, at most limit (0: no limit). */
static medley_status job_make_requests(media_job *job, bool (*want)(const media_job *, uint32_t), size_t limit,
                                       medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t capacity = 0, item_capacity = 0;
  job_clear_requests(job);
  for (uint32_t i = 0; i < job->items->count; i++) {
    const catalogue_item *item = &job->items->items[i];
    if (item->media_count[job->modality] == 0 || !want(job, i)) continue;
    for (uint32_t f = 0; f < item->media_count[job->modality]; f++) {
      if (limit > 0 && job->request_count == limit) goto done;
      TRY_GROW(job->requests, capacity, job->request_count + 1, "media requests");
      TRY_GROW(job->request_item, item_capacity, job->request_count + 1, "media requests");
      char *path = path_join(job->options->root, item->media[job->modality][f]);
      if (path == NULL) {
        status = error_memory(err, "a media path");
        goto done;
      }
      job->requests[job->request_count] = (media_request){.kind = job->modality, .path = path};
      job->request_item[job->request_count++] = i;
    }
  }
done:
  return status;
}

static bool want_for_fit(const media_job *job, uint32_t item) {
  return job->options->fit_items == NULL || job->options->fit_items[item];
}
static bool want_not_kept(const media_job *job, uint32_t item) { return !job->kept[item]; }

static medley_status job_fit_encoder(media_job *job, media_pool *pool, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder_input *inputs = NULL;
  progress_stage stage;
  TRY(job_make_requests(job, want_for_fit, FIT_SAMPLE_MAX, err));
  TRY_NEW(job->collected, job->request_count, "decoded media");
  TRY_NEW(inputs, job->request_count, "decoded media");
  job->collect = true;
  progress_begin(&stage, job->progress, "decode media to learn from", job->request_count);
  TRY(media_pool_run(pool, job->requests, job->request_count, job_receive, job, &stage, err));
  progress_end(&stage, job->collected_count);
  for (size_t i = 0; i < job->collected_count; i++) inputs[i] = input_of_sample(&job->collected[i]);
  progress_begin(&stage, job->progress, "fit encoder", 0);
  TRY(job->encoder->kind->fit(job->encoder, inputs, job->collected_count, &stage, err));
  progress_end(&stage, job->collected_count);
done:
  job->collect = false;
  for (size_t i = 0; i < job->collected_count; i++) media_sample_deinit(&job->collected[i]);
  mem_free(job->collected);
  job->collected = NULL;
  mem_free(inputs);
  job->unreadable = 0;
  return status;
}

/* New vectors into the store, for the next run. */
static medley_status job_keep(media_job *job, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t pending = 0;
  bool open = false;
  for (uint32_t i = 0; i < job->items->count; i++) {
    if (job->kept[i] || job->file_count[i] == 0) continue;
    if (!open) TRY(job->kind->begin(job->store, err));
    open = true;
    store_vector vector = {.item_id = job->items->items[i].id,
                           .content_hash = job->signatures + (size_t)i * HASH_BYTES,
                           .dtype = STORE_F32,
                           .dim = (uint32_t)job->dim,
                           .values = job->sums + (size_t)i * job->dim};
    TRY(job->kind->put_vector(job->store, job->encoder->kind->name, &vector, err));
    if (++pending < STORE_BATCH) continue;
    open = false;
    pending = 0;
    TRY(job->kind->commit(job->store, err));
  }
  if (open) {
    open = false;
    TRY(job->kind->commit(job->store, err));
  }
done:
  if (open) job->kind->rollback(job->store);
  return status;
}

static medley_status job_load_kept(media_job *job, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(job->signatures, (size_t)job->items->count * HASH_BYTES, "media signatures");
  for (uint32_t i = 0; i < job->items->count; i++)
    if (job->items->items[i].media_count[job->modality] > 0)
      item_signature(job, i, job->signatures + (size_t)i * HASH_BYTES);
  if (!job->options->fresh && !job->encoder->kind->needs_fit)
    TRY(job->kind->each_vector(job->store, job->encoder->kind->name, kept_vector_take, job, err));
done:
  return status;
}

static medley_status job_run(media_job *job, media_pool **pool, medley_error *err) {
  medley_status status = MEDLEY_OK;
  job->err = err;
  static const char *const stages[MODALITY_COUNT] = {"encode text", "encode images", "encode audio", "encode video"};
  bool fit = job->encoder->kind->needs_fit;
  if (fit) {
    if (*pool == NULL) TRY(media_pool_create(job->options->workers, NULL, pool, err));
    TRY(job_fit_encoder(job, *pool, err));
  }
  job->dim = job->encoder->kind->dim(job->encoder);
  TRY_NEW(job->sums, (size_t)job->items->count * job->dim, "vectors");
  TRY_NEW(job->file_count, job->items->count, "vectors");
  TRY_NEW(job->kept, job->items->count, "vectors");
  TRY(job_load_kept(job, err));
  TRY(job_make_requests(job, want_not_kept, 0, err));
  progress_begin(&job->stage, job->progress, stages[job->modality], job->request_count);
  if (job->request_count > 0) {
    if (*pool == NULL) TRY(media_pool_create(job->options->workers, NULL, pool, err));
    TRY(media_pool_run(*pool, job->requests, job->request_count, job_receive, job, &job->stage, err));
    TRY(job_encode_batch(job, err));
  }
  progress_end(&job->stage, job->request_count);
  for (uint32_t i = 0; i < job->items->count; i++)
    if (job->file_count[i] > 1)
      vector_scale(job->sums + (size_t)i * job->dim, 1.0f / (float)job->file_count[i], job->dim);
  if (!fit) TRY(job_keep(job, err));
done:
  return status;
}

static void job_deinit(media_job *job) {
  for (size_t i = 0; i < job->batch_count; i++) media_sample_deinit(&job->batch[i]);
  job_clear_requests(job);
  mem_free(job->sums);
  mem_free(job->file_count);
  mem_free(job->kept);
  mem_free(job->signatures);
}

static medley_status represent_media(media_job *job, media_pool **pool, representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(job_run(job, pool, err));
  part->unreadable = (uint32_t)job->unreadable;
  part->features.count = job->items->count;
  part->features.dim = job->dim;
  part->features.values = job->sums;
  job->sums = NULL;
  TRY_NEW(part->features.present, job->items->count, "vectors");
  for (uint32_t i = 0; i < job->items->count; i++)
    part->features.present[i] =
        job->file_count[i] > 0 && vector_norm(part->features.values + (size_t)i * job->dim, job->dim) > 0;
  if (job->unreadable > 0)
    progress_note(job->progress, "%zu of %zu %s files could not be read; those items go without", job->unreadable,
                  job->request_count, modality_name(job->modality));
done:
  return status;
}

/* ---- normalisation ---- */

medley_status represent_normalise(representation_part *part, const char *name, const uint8_t *fit_items,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *rows = NULL, *out = NULL;
  features *f = &part->features;
  const normaliser_kind *kind = normaliser_kind_find(name);
  if (kind == NULL) FAIL(err, MEDLEY_ERR_USAGE, "there is no normaliser '%s' (medley list normaliser)", name);
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

static medley_status represent_modality(const catalogue *items, const store_kind *kind, store *s,
                                        const represent_options *options, const medley_progress *progress, modality m,
                                        media_pool **pool, representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  media_job job = {.items = items, .options = options, .progress = progress, .kind = kind, .store = s, .modality = m};
  double started = clock_now_s();
  const encoder_kind *encoder = encoder_kind_default(m);
  const char *name = setting_of(options, "encode", m, encoder ? encoder->name : "none");
  encoder = encoder_kind_for(m, name);
  if (encoder != NULL && encoder->needs_file)
    FAIL(err, MEDLEY_ERR_INPUT, "medley.conf: encode.%s is '%s', which needs a file: use 'medley encoder add'",
         modality_name(m), name);
  if (encoder == NULL)
    FAIL(err, MEDLEY_ERR_INPUT, "medley.conf: encode.%s is '%s', which is no encoder for it (medley list encoder)",
         modality_name(m), name);
  snprintf(part->name, sizeof part->name, "%s", modality_name(m));
  part->source = PART_MEDIA;
  part->modality = m;
  TRY(encoder->create(options->seed, 0, &part->encoder, err));
  job.encoder = part->encoder;
  if (m == MODALITY_TEXT)
    TRY(represent_texts(items, options, progress, part, err));
  else
    TRY(represent_media(&job, pool, part, err));
  part->seconds = clock_now_s() - started;
done:
  job_deinit(&job);
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
  media_pool *pool = NULL;
  representation *r = NULL;
  TRY_NEW(r, 1, "a representation");
  r->item_count = items->count;
  for (int m = 0; m < MODALITY_COUNT; m++) {
    if (!catalogue_has_modality(items, (modality)m)) continue;
    representation_part part = {0};
    status = represent_modality(items, kind, s, options, progress, (modality)m, &pool, &part, err);
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
  media_pool_free(pool);
  representation_free(r);
  return status;
}
