/* engine/encoders_tune.c: a published network learns from the workspace's content before it is added.
 *
 * Below the workspace: tuning/<key>/run.safetensors, where the run stands, and tuning/<key>/model/, the published
 * folder with the weights that came out, until it is a kept model. The key is the hash of everything the outcome
 * depends on, so a stopped run is gone on with by asking for the same again, and by nothing else. A run clears its own
 * folder, and those of stopped runs that nobody can go on with: the catalogue is no longer what theirs says it was
 * (tuning/<key>/catalogue, a fingerprint), or a month has passed. One that was written within the hour may be running.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "engine/dataset.h"
#include "engine/encoders.h"
#include "engine/training_curves.h"
#include "nn/checkpoint.h"

#define FOLDER "tuning"
#define TUNE_RATE_MAX 1.0
#define CATALOGUE_FILE "catalogue"
#define RUN_QUIET_S 3600 /* a run writes every half minute */
#define RUN_AGE_MAX_S (30 * 24 * 3600)

typedef struct tuning_job {
  const encoder_kind *kind;
  const char *source;
  encoder_tuning how;
  char *folder, *model, *state, *out; /* paths */
  char catalogue[HASH_HEX_BYTES];     /* its fingerprint */
  size_t count;                       /* items learnt from */
} tuning_job;

static void job_deinit(tuning_job *job) {
  mem_free(job->folder);
  mem_free(job->model);
  mem_free(job->state);
  mem_free(job->out);
}

/* ---- what is asked ---- */

static medley_status options_read(const medley_workspace *w, const encoder_kind *kind, const medley_encoder_options *o,
                                  encoder_tuning *how, medley_error *err) {
  medley_status status = MEDLEY_OK;
  int threads = 1;
  if (kind->tune == NULL)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "'%s' is used as it was published: it cannot be tuned", kind->name);
  TRY(tuning_choice_read(o->tune, &how->choice, err));
  if (o->tune_passes > TUNING_PASSES_MAX || !(o->tune_rate >= 0 && o->tune_rate <= TUNE_RATE_MAX))
    FAIL(err, MEDLEY_ERR_USAGE, "%u passes at the rate %g: at most %d passes, at a rate up to %g", o->tune_passes,
         o->tune_rate, TUNING_PASSES_MAX, TUNE_RATE_MAX);
  how->passes = o->tune_passes;
  how->rate = o->tune_rate;
  how->seed = o->tune_seed;
  TRY(dataset_settings(w, &how->seed, &threads, err));
done:
  return status;
}

/* ---- where ---- */

static void media_append(const catalogue *items, modality m, strbuf *out) {
  for (uint32_t i = 0; m != MODALITY_TEXT && i < items->count; i++)
    for (uint32_t f = 0; f < items->items[i].media_count[m]; f++)
      strbuf_printf(out, "\n%u %s", i, items->items[i].media[m][f]);
}

/* Everything the outcome depends on. The weights by size and time: hashing them takes as long as some steps. */
static medley_status key_make(tuning_job *job, const medley_workspace *w, const checkpoint *c, const catalogue *items,
                              char key[HASH_HEX_BYTES], medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  unsigned char hash[HASH_BYTES];
  char choice[TUNING_TEXT_MAX];
  uint64_t size = 0;
  int64_t modified_ns = 0;
  preparation prepare;
  TRY(preparation_read(&w->config, &prepare, err));
  TRY(dataset_fingerprint(items, &prepare, job->catalogue, err));
  file_stat(c->path, &size, &modified_ns);
  strbuf_printf(&text, "%s/%u %s %llu %lld %s %zu %.17g %llu %s", job->kind->name, job->kind->version, c->path,
                (unsigned long long)size, (long long)modified_ns, tuning_choice_text(job->how.choice, choice),
                job->how.passes, job->how.rate, (unsigned long long)job->how.seed, job->catalogue);
  preparation_sign(&prepare, job->kind->modality, &text);
  media_append(items, job->kind->modality, &text);
  if (text.failed) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a key");
  hash_buffer(text.text, text.length, hash);
  hash_to_hex(hash, key);
done:
  strbuf_deinit(&text);
  return status;
}

static medley_status catalogue_write(const tuning_job *job, medley_error *err) {
  char *path = path_join(job->folder, CATALOGUE_FILE);
  medley_status status =
      path == NULL ? error_memory(err, "a file name") : file_write(path, job->catalogue, HASH_HEX_BYTES - 1, err);
  mem_free(path);
  return status;
}

/* A model that is one file keeps its name; others are a folder. */
static medley_status job_place(tuning_job *job, const medley_workspace *w, const catalogue *items, medley_error *err) {
  medley_status status = MEDLEY_OK;
  checkpoint c = {0};
  char key[HASH_HEX_BYTES], name[sizeof FOLDER + HASH_HEX_BYTES];
  TRY(checkpoint_open(&c, job->source, err));
  TRY(key_make(job, w, &c, items, key, err));
  snprintf(name, sizeof name, "%s/%s", FOLDER, key);
  job->folder = workspace_path(w, name);
  job->model = job->folder ? path_join(job->folder, "model") : NULL;
  job->state = job->folder ? path_join(job->folder, "run.safetensors") : NULL;
  job->out = job->model ? path_join(job->model, c.folder ? "model.safetensors" : path_name(c.path)) : NULL;
  if (job->state == NULL || job->out == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  TRY(folder_create(job->model, err));
  TRY(catalogue_write(job, err));
  if (c.folder != NULL) TRY(kept_model_companions(c.folder, job->model, err));
  job->how.state = job->state;
  job->how.out = job->out;
done:
  checkpoint_close(&c);
  return status;
}

/* ---- runs that nobody can go on with ---- */

static bool run_knows_catalogue(const char *folder, const char *catalogue) {
  char *path = path_join(folder, CATALOGUE_FILE), *text = NULL;
  size_t length = 0;
  bool same = path != NULL && file_read(path, HASH_HEX_BYTES, &text, &length, NULL) == MEDLEY_OK &&
              length == HASH_HEX_BYTES - 1 && memcmp(text, catalogue, length) == 0;
  mem_free(path);
  mem_free(text);
  return same;
}

/* Since the run was kept, or its folder was made when it never was. 0: nobody can tell. */
static int64_t run_age_s(const char *folder) {
  char *state = path_join(folder, "run.safetensors");
  int64_t modified_ns;
  bool told = state != NULL && (file_stat(state, NULL, &modified_ns) || file_stat(folder, NULL, &modified_ns));
  mem_free(state);
  return told ? clock_wall_s() - modified_ns / 1000000000 : 0;
}

static void runs_clear(const tuning_job *job, const char *all) {
  char **names = NULL;
  size_t count = 0;
  if (all == NULL || folder_list(all, &names, &count, NULL) != MEDLEY_OK) return;
  for (size_t i = 0; i < count; i++) {
    char *folder = path_join(all, names[i]);
    int64_t age_s = folder == NULL || strcmp(folder, job->folder) == 0 ? 0 : run_age_s(folder);
    if (age_s > RUN_AGE_MAX_S || (age_s > RUN_QUIET_S && !run_knows_catalogue(folder, job->catalogue)))
      (void)(folder_remove(folder, NULL) == MEDLEY_OK);
    mem_free(folder);
  }
  folder_list_free(names, count);
}

/* ---- the run ---- */

static medley_status job_tune(void *context, const encoder_input *inputs, size_t count, const medley_progress *progress,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  tuning_job *job = context;
  progress_stage stage;
  job->count = count;
  progress_begin(&stage, progress, "tune", 0);
  TRY(job->kind->tune(job->source, &job->how, inputs, count, &stage, err));
  progress_end(&stage, stage.total);
done:
  return status;
}

static medley_status job_learn(tuning_job *job, medley_workspace *w, const catalogue *items,
                               const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL; /* says how pictures are to be decoded */
  represent_options options = {
      .root = w->path, .config = &w->config, .seed = job->how.seed, .with_texts = job->kind->tunes_pairs};
  TRY(job->kind->open(job->source, &e, err));
  TRY(represent_inputs(items, e, &options, progress, job_tune, job, err));
done:
  if (e != NULL) job->kind->free(e);
  return status;
}

static medley_status job_keep(const tuning_job *job, medley_workspace *w, const medley_progress *progress,
                              char id[KEPT_MODEL_ID_BYTES], medley_error *err) {
  char choice[TUNING_TEXT_MAX];
  strbuf source = {0};
  strbuf_printf(&source, "%s, tuned %s on %zu items", job->source, tuning_choice_text(job->how.choice, choice),
                job->count);
  bool alone = strcmp(path_name(job->out), "model.safetensors") != 0;
  medley_status status =
      source.failed ? error_memory(err, "a source")
                    : kept_model_add(w->path, alone ? job->out : job->model, true, source.text, progress, id, err);
  strbuf_deinit(&source);
  return status;
}

/* What the run needed goes when it is through, and when it failed before there was anything to go on with. The folder
 * of all runs goes with the last of them: rmdir leaves one that is not empty. */
static void job_clear(const tuning_job *job, const char *all, bool through) {
  if (job->out == NULL || all == NULL || (!through && file_exists(job->state))) return;
  (void)(folder_remove(job->folder, NULL) == MEDLEY_OK);
  (void)rmdir(all);
}

medley_status encoders_tune(medley_workspace *w, const encoder_kind *kind, const char *source,
                            const medley_encoder_options *o, const medley_progress *progress,
                            char id[KEPT_MODEL_ID_BYTES], medley_error *err) {
  medley_status status = MEDLEY_OK;
  tuning_job job = {.kind = kind, .source = source};
  if (kind->tunes_pairs) job.kind = encoder_kind_for(MODALITY_IMAGE, kind->name); /* whichever row was named */
  dataset data = {0};
  training_curves curves = {0};
  char *all = workspace_path(w, FOLDER);
  TRY(training_curves_begin(&curves, o->curves, progress, err));
  progress = training_curves_progress(&curves);
  TRY(options_read(w, kind, o, &job.how, err));
  TRY(dataset_load(w, progress, &data, err));
  TRY(job_place(&job, w, &data.items, err));
  runs_clear(&job, all);
  TRY(job_learn(&job, w, &data.items, progress, err));
  TRY(job_keep(&job, w, progress, id, err));
done:
  training_curves_end(&curves);
  job_clear(&job, all, status == MEDLEY_OK);
  if (status == MEDLEY_ERR_CANCELLED) progress_note(progress, "asked for again, this tuning goes on where it stopped");
  dataset_deinit(&data);
  job_deinit(&job);
  mem_free(all);
  return status;
}
