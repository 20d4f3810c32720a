/* learn/represent_media.c: files → samples → vectors. See learn/represent.h.
 *
 * The pool's processes decode the next batch while the encoder has the last one, in a thread of its own: one after the
 * other left a quarter of the processors idle, since neither ends everywhere at the same time. The workers run at a
 * lower priority, so an encoder that needs all processors has them.
 */
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "learn/represent_parts.h"
#include "math/vector.h"

#define ENCODE_BATCH 64 /* samples that are decoded before the encoder runs over them with all threads */
/* What an encoder that learns may hold decoded at once: so many files (a clip is 16 pictures), and of sound so many
 * bytes, of which each file has the same share. Three thousand songs of a minute would be 11 GB. */
static const size_t fit_files_max[MODALITY_COUNT] = {
    [MODALITY_IMAGE] = 3000, [MODALITY_AUDIO] = 3000, [MODALITY_VIDEO] = 600};
#define FIT_SOUND_BYTES_MAX ((size_t)1 << 30)
#define REASONS_TOLD 3 /* unreadable files that are named in full */

/* Samples that go to the encoder together. */
typedef struct media_batch {
  media_sample samples[ENCODE_BATCH];
  uint32_t item[ENCODE_BATCH];
  size_t count;
  /* while it is encoded */
  const encoder *encoder;
  float *rows; /* [count, dim] */
  int threads;
  bool encoding, joinable;
  pthread_t thread;
  medley_status status;
  medley_error error;
} media_batch;

/* One modality on its way from files to vectors. */
typedef struct media_job {
  represent_run *run;
  representation_part *part;
  kept_vectors kept;
  uint32_t *file_count; /* [items] files in the item's row so far */
  uint32_t *files_left; /* [items] files that are still to come */
  media_request *requests;
  uint32_t *request_item;
  size_t request_count;
  media_batch batches[2]; /* one is filled while the other is encoded */
  int filling;
  /* samples collected for fitting, when `collect` */
  bool collect;
  media_sample *collected; /* [request_count]: in the order of requests, whichever is decoded first */
  bool *decoded;           /* [request_count] */
  size_t collected_count;
  size_t unreadable;
  medley_error *err; /* of the run that is going on, for the receiver */
} media_job;

static encoder_input input_of_sample(const media_sample *sample) {
  encoder_input input = {0};
  if (sample->kind == MODALITY_IMAGE) input.image = &sample->image;
  if (sample->kind == MODALITY_AUDIO) input.sound = &sample->sound;
  if (sample->kind == MODALITY_VIDEO) input.video = &sample->video;
  return input;
}

/* What the vector depends on, without reading the files: their paths, sizes and times, and the encoder. */
static void item_signature(const media_job *job, uint32_t item, unsigned char out[HASH_BYTES]) {
  strbuf b = {0};
  const catalogue_item *it = &job->run->items->items[item];
  modality m = job->part->modality;
  kept_vectors_identity(&job->kept, &b);
  for (uint32_t f = 0; f < it->media_count[m]; f++) {
    uint64_t size = 0;
    int64_t time = 0;
    char *path = path_join(job->run->options->root, it->media[m][f]);
    if (path != NULL) file_stat(path, &size, &time);
    mem_free(path);
    strbuf_printf(&b, "\n%s\n%llu %lld", it->media[m][f], (unsigned long long)size, (long long)time);
  }
  hash_buffer(b.text ? b.text : "", b.length, out);
  strbuf_deinit(&b);
}

/* ---- encoding ---- */

/* One file of the item is through, readable or not. After the last one its row is the mean of the files'. */
static medley_status file_finish(media_job *job, uint32_t item, medley_error *err) {
  float *row = job->kept.rows + (size_t)item * job->kept.dim;
  if (--job->files_left[item] > 0 || job->file_count[item] == 0) return MEDLEY_OK;
  if (job->file_count[item] > 1) vector_scale(row, 1.0f / (float)job->file_count[item], job->kept.dim);
  return kept_vectors_put(&job->kept, item, err);
}

/* Runs in a thread of its own; samples and rows are the batch's until it is joined. */
static void *batch_encode(void *context) {
  media_batch *b = context;
  encoder_input inputs[ENCODE_BATCH];
  omp_set_num_threads(b->threads); /* what the caller set holds for the caller's own thread only */
  for (size_t i = 0; i < b->count; i++) inputs[i] = input_of_sample(&b->samples[i]);
  b->status = b->encoder->kind->encode(b->encoder, inputs, b->count, b->rows, &b->error);
  return NULL;
}

static medley_status batch_start(media_job *job, media_batch *b, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (b->count == 0) return MEDLEY_OK;
  b->encoder = job->part->encoder;
  b->threads = omp_get_max_threads();
  TRY_NEW(b->rows, b->count * job->kept.dim, "vectors");
  b->encoding = true;
  b->joinable = pthread_create(&b->thread, NULL, batch_encode, b) == 0;
  if (!b->joinable) batch_encode(b); /* no thread to be had: then one after the other */
done:
  return status;
}

/* Waits for the encoder, and leaves the batch empty. */
static void batch_clear(media_batch *b) {
  if (b->joinable) pthread_join(b->thread, NULL);
  for (size_t i = 0; i < b->count; i++) media_sample_deinit(&b->samples[i]);
  mem_free(b->rows);
  b->rows = NULL;
  b->count = 0;
  b->encoding = b->joinable = false;
}

static medley_status batch_take(media_job *job, const media_batch *b, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = job->kept.dim;
  for (size_t i = 0; i < b->count; i++) {
    uint32_t item = b->item[i];
    if (represent_row_usable(b->rows + i * dim, dim)) {
      vector_add_scaled(job->kept.rows + (size_t)item * dim, 1, b->rows + i * dim, dim);
      job->file_count[item]++;
    } else {
      represent_note_bad(job->run, job->part, item);
    }
    TRY(file_finish(job, item, err));
  }
done:
  return status;
}

/* The vectors of a batch that is being encoded, if it is. */
static medley_status batch_finish(media_job *job, media_batch *b, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (!b->encoding) return MEDLEY_OK;
  if (b->joinable) pthread_join(b->thread, NULL);
  b->joinable = false;
  status = b->status == MEDLEY_OK ? batch_take(job, b, err) : error_set(err, b->status, "%s", b->error.text);
  batch_clear(b);
  return status;
}

/* The batch that was filled goes to the encoder, once that is done with the one before, which is filled next. */
static medley_status job_hand_over(media_job *job, medley_error *err) {
  medley_status status = MEDLEY_OK;
  media_batch *filled = &job->batches[job->filling], *other = &job->batches[!job->filling];
  TRY(batch_finish(job, other, err));
  TRY(batch_start(job, filled, err));
  job->filling = !job->filling;
done:
  return status;
}

/* All that was decoded. */
static medley_status job_encode_rest(media_job *job, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(job_hand_over(job, err));
  TRY(job_hand_over(job, err));
done:
  return status;
}

/* A sound that is longer than its share of the memory is learnt from by its beginning. */
static void sound_shorten(sound *s, size_t files) {
  size_t most = FIT_SOUND_BYTES_MAX / sizeof *s->samples / files;
  if (s->count <= most) return;
  s->count = most;
  float *fewer = mem_resize(s->samples, most, sizeof *s->samples);
  if (fewer != NULL) s->samples = fewer;
}

static medley_status job_receive(void *context, size_t index, medley_status outcome, media_sample *sample,
                                 const char *reason) {
  media_job *job = context;
  uint32_t item = job->request_item[index];
  if (outcome != MEDLEY_OK) {
    if (job->unreadable++ < REASONS_TOLD)
      progress_note(job->run->progress, "%s of item '%s' left out: %s: %s", modality_name(job->part->modality),
                    job->run->items->items[item].key, job->requests[index].path, reason);
    return job->collect ? MEDLEY_OK : file_finish(job, item, job->err);
  }
  if (job->collect) {
    job->collected[index] = *sample;
    if (sample->kind == MODALITY_AUDIO) sound_shorten(&job->collected[index].sound, job->request_count);
    if (sample->kind == MODALITY_VIDEO) sound_shorten(&job->collected[index].video.sound, job->request_count);
    job->decoded[index] = true;
    job->collected_count++;
    return MEDLEY_OK;
  }
  media_batch *b = &job->batches[job->filling];
  b->samples[b->count] = *sample;
  b->item[b->count++] = item;
  return b->count == ENCODE_BATCH ? job_hand_over(job, job->err) : MEDLEY_OK;
}

/* After an error or Ctrl-C: what the encoder has in hand is as good as done. */
static void job_rescue(media_job *job) {
  for (int b = 0; b < 2; b++) (void)(batch_finish(job, &job->batches[b], NULL) == MEDLEY_OK);
  (void)(kept_vectors_flush(&job->kept, NULL) == MEDLEY_OK);
}

/* ---- what has to be decoded ---- */

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
  modality m = job->part->modality;
  job_clear_requests(job);
  for (uint32_t i = 0; i < job->run->items->count; i++) {
    const catalogue_item *item = &job->run->items->items[i];
    if (item->media_count[m] == 0 || !want(job, i)) continue;
    for (uint32_t f = 0; f < item->media_count[m]; f++) {
      if (limit > 0 && job->request_count == limit) goto done;
      TRY_GROW(job->requests, capacity, job->request_count + 1, "media requests");
      TRY_GROW(job->request_item, item_capacity, job->request_count + 1, "media requests");
      char *path = path_join(job->run->options->root, item->media[m][f]);
      if (path == NULL) {
        status = error_memory(err, "a media path");
        goto done;
      }
      job->requests[job->request_count] = encoder_request(job->part->encoder, job->run->prepare, path);
      job->request_item[job->request_count++] = i;
    }
  }
done:
  return status;
}

static bool want_for_fit(const media_job *job, uint32_t item) {
  return job->run->options->fit_items == NULL || job->run->options->fit_items[item];
}
static bool want_unknown(const media_job *job, uint32_t item) { return !job->kept.known[item]; }

static medley_status pool_need(represent_run *run, medley_error *err) {
  return run->pool ? MEDLEY_OK : media_pool_create(run->options->workers, NULL, &run->pool, err);
}

/* ---- the run ---- */

/* What was collected, in order; *texts [request_count], to be freed, where texts are wanted. */
static medley_status collected_inputs(const media_job *job, encoder_input *inputs, char **texts, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  size_t count = 0;
  for (size_t i = 0; i < job->request_count; i++) {
    if (!job->decoded[i]) continue;
    inputs[count] = input_of_sample(&job->collected[i]);
    if (job->run->options->with_texts) {
      TRY(represent_item_text(job->run->items, job->request_item[i], &text, err));
      inputs[count].text = texts[count] = strbuf_take(&text);
    }
    count++;
  }
done:
  strbuf_deinit(&text);
  return status;
}

static medley_status job_use(media_job *job, represent_use *use, void *context, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder_input *inputs = NULL;
  char **texts = NULL;
  progress_stage stage;
  TRY(pool_need(job->run, err));
  TRY(job_make_requests(job, want_for_fit, fit_files_max[job->part->modality], err));
  TRY_NEW(job->collected, job->request_count, "decoded media");
  TRY_NEW(job->decoded, job->request_count, "decoded media");
  TRY_NEW(inputs, job->request_count, "decoded media");
  TRY_NEW(texts, job->request_count, "decoded media");
  job->collect = true;
  progress_begin(&stage, job->run->progress, "decode media to learn from", job->request_count);
  TRY(media_pool_run(job->run->pool, job->requests, job->request_count, job_receive, job, &stage, err));
  progress_end(&stage, job->collected_count);
  TRY(collected_inputs(job, inputs, texts, err));
  TRY(use(context, inputs, job->collected_count, job->run->progress, err));
done:
  job->collect = false;
  for (size_t i = 0; job->decoded != NULL && i < job->request_count; i++)
    if (job->decoded[i]) media_sample_deinit(&job->collected[i]);
  for (size_t i = 0; texts != NULL && i < job->request_count; i++) mem_free(texts[i]);
  mem_free(texts);
  mem_free(job->collected);
  mem_free(job->decoded);
  job->collected = NULL;
  job->decoded = NULL;
  mem_free(inputs);
  job->collected_count = 0;
  job->unreadable = 0;
  return status;
}

static medley_status job_prepare(media_job *job, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t count = job->run->items->count;
  if (job->part->kind->needs_fit)
    TRY(job_use(job, represent_fit, &(represent_fitting){job->run, job->part->encoder}, err));
  TRY(kept_vectors_init(&job->kept, job->run, job->part, err));
  TRY_NEW(job->file_count, count, "counts");
  TRY_NEW(job->files_left, count, "counts");
  for (uint32_t i = 0; i < count; i++)
    if (job->run->items->items[i].media_count[job->part->modality] > 0)
      item_signature(job, i, job->kept.signatures + (size_t)i * HASH_BYTES);
  TRY(kept_vectors_load(&job->kept, err));
  TRY(job_make_requests(job, want_unknown, 0, err));
  for (size_t r = 0; r < job->request_count; r++) job->files_left[job->request_item[r]]++;
done:
  return status;
}

static medley_status job_run(media_job *job, medley_error *err) {
  static const char *const stages[MODALITY_COUNT] = {"encode text", "encode images", "encode audio", "encode video"};
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  job->err = err;
  TRY(job_prepare(job, err));
  progress_begin(&stage, job->run->progress, stages[job->part->modality], job->request_count);
  if (job->request_count > 0) {
    TRY(pool_need(job->run, err));
    TRY(media_pool_run(job->run->pool, job->requests, job->request_count, job_receive, job, &stage, err));
    TRY(job_encode_rest(job, err));
    TRY(kept_vectors_flush(&job->kept, err));
  }
  progress_end(&stage, job->request_count);
done:
  if (status != MEDLEY_OK) job_rescue(job);
  return status;
}

static void job_deinit(media_job *job) {
  for (int b = 0; b < 2; b++) batch_clear(&job->batches[b]);
  job_clear_requests(job);
  kept_vectors_deinit(&job->kept);
  mem_free(job->file_count);
  mem_free(job->files_left);
}

medley_status represent_use_media(represent_run *run, representation_part *part, represent_use *use, void *context,
                                  medley_error *err) {
  media_job job = {.run = run, .part = part, .err = err};
  medley_status status = job_use(&job, use, context, err);
  job_deinit(&job);
  return status;
}

medley_status represent_media(represent_run *run, representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  media_job job = {.run = run, .part = part};
  TRY(job_run(&job, err));
  part->unreadable += (uint32_t)job.unreadable;
  if (job.unreadable > 0)
    progress_note(run->progress, "%zu of %zu %s files could not be read; those items go without", job.unreadable,
                  job.request_count, modality_name(part->modality));
  TRY(represent_take_rows(&job.kept, part, err));
done:
  job_deinit(&job);
  return status;
}
