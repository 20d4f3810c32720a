/* learn/represent_fit.c: encoders that learn from the catalogue, gone on with after Ctrl-C. See
 * learn/represent_parts.h.
 *
 * A run is named by the hash of all that its outcome depends on, the inputs as they were decoded among it, so that a
 * changed catalogue or setting begins anew. Several processes may fit at once; each touches its own file, and files
 * that nobody came back to for a week. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "learn/represent_parts.h"

#define FOLDER "fitting"
#define LEFT_ALONE_NS ((int64_t)7 * 24 * 3600 * 1000000000)

/* ---- which run it is ---- */

static void bytes_sign(const void *bytes, size_t length, strbuf *out) {
  unsigned char hash[HASH_BYTES];
  hash_buffer(bytes, length, hash);
  strbuf_append_bytes(out, (const char *)hash, sizeof hash);
}

static void picture_sign(const image *x, strbuf *out) {
  strbuf_printf(out, "%u %u ", x->width, x->height);
  bytes_sign(x->rgb, (size_t)x->width * x->height * 3, out);
}

static void sound_sign(const sound *x, strbuf *out) {
  strbuf_printf(out, "%u ", x->rate_hz);
  bytes_sign(x->samples, x->count * sizeof *x->samples, out);
}

static void input_sign(const encoder_input *x, strbuf *out) {
  if (x->text != NULL) bytes_sign(x->text, strlen(x->text), out);
  if (x->image != NULL) picture_sign(x->image, out);
  if (x->sound != NULL) sound_sign(x->sound, out);
  if (x->video == NULL) return;
  for (size_t i = 0; i < x->video->frame_count; i++) picture_sign(&x->video->frames[i], out);
  sound_sign(&x->video->sound, out);
}

/* The file of the run below `folder`; NULL: none can be kept. */
static char *run_path(const represent_fitting *f, const char *folder, const encoder_input *inputs, size_t count) {
  unsigned char hash[HASH_BYTES];
  char name[HASH_HEX_BYTES + 16], hex[HASH_HEX_BYTES];
  strbuf text = {0};
  const encoder_kind *kind = f->encoder->kind;
  strbuf_printf(&text, "%s/%u/%d %llu ", kind->name, kind->version, (int)kind->modality,
                (unsigned long long)f->run->options->seed);
  preparation_sign(f->run->prepare, kind->modality, &text);
  for (size_t i = 0; i < count; i++) input_sign(&inputs[i], &text);
  bool whole = !text.failed;
  if (whole) hash_buffer(text.text, text.length, hash);
  strbuf_deinit(&text);
  if (!whole) return NULL;
  hash_to_hex(hash, hex);
  snprintf(name, sizeof name, "%s.safetensors", hex);
  return path_join(folder, name);
}

/* ---- what is left of runs ---- */

static void old_remove(const char *folder) {
  char **names = NULL;
  size_t count = 0;
  if (folder_list(folder, &names, &count, NULL) != MEDLEY_OK) return;
  for (size_t i = 0; i < count; i++) {
    uint64_t size;
    int64_t modified_ns = 0;
    char *path = path_join(folder, names[i]);
    if (path != NULL && file_stat(path, &size, &modified_ns) &&
        modified_ns < clock_wall_s() * 1000000000 - LEFT_ALONE_NS)
      (void)unlink(path);
    mem_free(path);
  }
  folder_list_free(names, count);
}

/* What networks answer with that were trained here. */
static medley_status precision_read(const represent_options *options, weight_precision *out, medley_error *err) {
  const char *name = options->config != NULL ? config_string(options->config, "encode.precision", "f32") : "f32";
  if (precision_find(name, out)) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "medley.conf: encode.precision is '%.80s', expected f32, bf16 or int8", name);
}

medley_status represent_fit(void *context, const encoder_input *inputs, size_t count, const medley_progress *progress,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  const represent_fitting *f = context;
  encoder *e = f->encoder;
  progress_stage stage;
  weight_precision precision;
  bool kept = e->kind->keep != NULL && f->run->options->root != NULL;
  char *folder = kept ? path_join(f->run->options->root, FOLDER) : NULL;
  char *path = folder != NULL ? run_path(f, folder, inputs, count) : NULL;
  if (path != NULL && folder_create(folder, NULL) == MEDLEY_OK) e->kind->keep(e, path);
  TRY(precision_read(f->run->options, &precision, err));
  progress_begin(&stage, progress, e->kind->modality == MODALITY_TEXT ? "learn from text" : "fit encoder", count);
  TRY(e->kind->fit(e, inputs, count, &stage, err));
  progress_end(&stage, stage.total);
  if (path != NULL) (void)unlink(path);
  if (e->kind->narrow != NULL) TRY(e->kind->narrow(e, precision, err));
done:
  if (kept) e->kind->keep(e, NULL);
  if (folder != NULL) {
    old_remove(folder);
    (void)rmdir(folder); /* which leaves one that is not empty */
  }
  mem_free(path);
  mem_free(folder);
  return status;
}
