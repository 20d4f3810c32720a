/* bench/bench_encoders.c: networks in float32, bf16 and int8, side by side on real content: published ones, and those
 * that are trained on a catalogue, here on as much content of the same kind as is then encoded.
 *
 *     bench_encoders [FAMILY...]
 *
 * The precisions of a family run in turn, round by round, and a ratio is taken inside a round: what else the machine
 * does then falls on all of them. Beside it the smallest cosine between an item's vectors in both precisions.
 * Of trained encoders also the network by itself, without making the words, spectra or descriptors that it sees.
 * MobileNetV2 and YAMNet have their weights in $MEDLEY_DATA/models; MEDLEY_MINILM names all-MiniLM-L6-v2's folder,
 * MEDLEY_NETWORKS one with the others, as bench/encoder_nets.py makes it. What is not there is left out, with a word.
 */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "encode/compressor.h"
#include "encode/encoder.h"
#include "encode/media_network.h"
#include "encode/text_network.h"
#include "math/vector.h"
#include "media/image.h"
#include "media/sound.h"
#include "search_packs.h"

enum { PRECISIONS = 3, ROUNDS = 7, ITEMS_MAX = 2048, FRAMES = 8 };

/* One line a row. Items: so many that float32 takes about a second. */
typedef struct family {
  const char *name; /* as kinds are called in float32 */
  modality modality;
  const char *variable, *place; /* where: the variable's folder, what in it; NULL: trained here */
  size_t items;
} family;

static const family families[] = {
    {"bert", MODALITY_TEXT, "MEDLEY_MINILM", "", 128},
    {"clip", MODALITY_TEXT, "MEDLEY_NETWORKS", "clip", 64},
    {"clip", MODALITY_IMAGE, "MEDLEY_NETWORKS", "clip", 16},
    {"vit", MODALITY_IMAGE, "MEDLEY_NETWORKS", "vit", 8},
    {"resnet", MODALITY_IMAGE, "MEDLEY_NETWORKS", "resnet", 16},
    {"mobilenet_v2", MODALITY_IMAGE, "MEDLEY_DATA", "models/mobilenet_v2.safetensors", 64},
    {"yamnet", MODALITY_AUDIO, "MEDLEY_DATA", "models/yamnet.safetensors", 64},
    {"whisper", MODALITY_AUDIO, "MEDLEY_NETWORKS", "whisper", 2},
    {"text.cnn", MODALITY_TEXT, NULL, NULL, 1024},
    {"text.gru", MODALITY_TEXT, NULL, NULL, 1024},
    {"text.transformer", MODALITY_TEXT, NULL, NULL, 1024},
    {"image.cnn", MODALITY_IMAGE, NULL, NULL, 256},
    {"image.vit", MODALITY_IMAGE, NULL, NULL, 256},
    {"audio.cnn", MODALITY_AUDIO, NULL, NULL, 256},
    {"video.attention", MODALITY_VIDEO, NULL, NULL, 64},
    {"autoencoder", MODALITY_IMAGE, NULL, NULL, 256},
    {"vae", MODALITY_AUDIO, NULL, NULL, 256},
};
static const char *const endings[PRECISIONS] = {"", "_bf16", "_int8"};

/* ---- content ---- */

typedef struct content {
  encoder_input inputs[ITEMS_MAX];
  image pictures[ITEMS_MAX];
  sound sounds[ITEMS_MAX];
  video clips[ITEMS_MAX];
  pack photos;
  size_t count;
} content;

static void content_deinit(content *c) {
  for (size_t i = 0; i < ITEMS_MAX; i++) {
    image_deinit(&c->pictures[i]);
    sound_deinit(&c->sounds[i]);
    video_deinit(&c->clips[i]);
  }
  pack_deinit(&c->photos);
}

static medley_status sounds_load(const char *data, size_t count, const media_request *wish, content *c,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **names = NULL, *folder = path_join(data, "speech");
  size_t found = 0;
  if (folder == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a benchmark");
  TRY(folder_list(folder, &names, &found, err));
  for (size_t i = 0; i < found && c->count < count; i++) {
    if (strstr(names[i], ".wav") == NULL) continue;
    char *path = path_join(folder, names[i]);
    status = sound_load(path, &(sound_options){.rate_hz = wish->sound_rate_hz}, &c->sounds[c->count], err);
    mem_free(path);
    if (status != MEDLEY_OK) goto done;
    c->inputs[c->count].sound = &c->sounds[c->count];
    c->count++;
  }
done:
  folder_list_free(names, found);
  mem_free(folder);
  return status;
}

/* Eight photographs each, and every other one with a spoken digit. */
static medley_status clips_load(const char *data, size_t count, const media_request *wish, content *c,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(sounds_load(data, count, wish, c, err));
  TRY(pack_load(data, "photos", "en", &c->photos, err));
  for (size_t i = 0; i < c->count; i++) {
    video *v = &c->clips[i];
    TRY_NEW(v->frames, FRAMES, "a clip");
    for (; v->frame_count < FRAMES; v->frame_count++)
      TRY(image_load(c->photos.items[(i * FRAMES + v->frame_count) % c->photos.item_count].picture,
                     &(image_options){.side = wish->image_side}, &v->frames[v->frame_count], err));
    v->duration_s = FRAMES;
    if (i % 2 == 0) v->sound = c->sounds[i], c->sounds[i] = (sound){0};
    c->inputs[i] = (encoder_input){.video = v};
  }
done:
  return status;
}

/* Captions and photographs of one pack, spoken digits of another. */
static medley_status content_load(const encoder *e, size_t count, content *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *data = getenv("MEDLEY_DATA") != NULL ? getenv("MEDLEY_DATA") : "../shared/data";
  media_request wish = encoder_request(e, NULL, NULL);
  if (e->kind->modality == MODALITY_AUDIO) return sounds_load(data, count, &wish, c, err);
  if (e->kind->modality == MODALITY_VIDEO) return clips_load(data, count, &wish, c, err);
  TRY(pack_load(data, "photos", "en", &c->photos, err));
  bool texts = e->kind->modality == MODALITY_TEXT;
  size_t there = texts ? c->photos.text_count : c->photos.item_count;
  for (; c->count < count && c->count < there; c->count++) {
    encoder_input *in = &c->inputs[c->count];
    if (texts) {
      in->text = c->photos.texts[c->count].text;
      continue;
    }
    TRY(image_load(c->photos.items[c->count].picture, &(image_options){.side = wish.image_side}, &c->pictures[c->count],
                   err));
    in->image = &c->pictures[c->count];
  }
done:
  return status;
}

/* ---- one family ---- */

static int float_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double least_cosine(const float *a, const float *b, size_t count, size_t dim) {
  double least = 1;
  for (size_t i = 0; i < count; i++, a += dim, b += dim) {
    double c = vector_dot(a, b, dim) / sqrt((double)vector_dot(a, a, dim) * vector_dot(b, b, dim));
    if (c < least) least = c;
  }
  return least;
}

/* What of an encoder is measured. */
typedef enum measured { MEASURED_WHOLE, MEASURED_NETWORK, MEASURED_COUNT } measured;

typedef struct precision {
  encoder *encoder; /* NULL: the family has none of this */
  void *seen;       /* what its network sees of the inputs; NULL: of a published one */
  float *out;       /* [count, dim] */
  double seconds[MEASURED_COUNT][ROUNDS];
} precision;

/* The halves of a trained encoder, whose headers say more. see gives NULL after a failure. */
typedef struct halves {
  void *(*see)(const encoder *e, const encoder_input *inputs, size_t count, medley_error *err);
  medley_status (*run)(const encoder *e, const void *seen, size_t count, float *out, medley_error *err);
} halves;

static void *text_see(const encoder *e, const encoder_input *inputs, size_t count, medley_error *err) {
  text_network_words *words = mem_zalloc(1, sizeof *words); /* what is in it lasts as long as the program */
  return words != NULL && text_network_read(e, inputs, count, words, err) == MEDLEY_OK ? words : NULL;
}
static medley_status text_run(const encoder *e, const void *seen, size_t count, float *out, medley_error *err) {
  return text_network_run(e, seen, count, out, err);
}
static void *media_see(const encoder *e, const encoder_input *inputs, size_t count, medley_error *err) {
  uint8_t *items = NULL;
  return media_network_items(e, inputs, count, &items, err) == MEDLEY_OK ? items : NULL;
}
static medley_status media_run(const encoder *e, const void *seen, size_t count, float *out, medley_error *err) {
  return media_network_run(e, seen, count, out, err);
}
/* No descriptor's values: the network takes as long for any. */
static void *code_see(const encoder *e, const encoder_input *inputs, size_t count, medley_error *err) {
  (void)inputs, (void)err;
  size_t numbers = count * compressor_width(e);
  float *rows = mem_alloc(numbers, sizeof *rows);
  for (size_t i = 0; rows != NULL && i < numbers; i++) rows[i] = (float)(i * 2654435761u % 2000) / 1000 - 1;
  return rows;
}
static medley_status code_run(const encoder *e, const void *seen, size_t count, float *out, medley_error *err) {
  return compressor_run(e, seen, count, out, err);
}

static const halves *halves_of(const encoder_kind *kind) {
  static const halves text = {text_see, text_run}, media = {media_see, media_run}, code = {code_see, code_run};
  if (strcmp(kind->name, "autoencoder") == 0 || strcmp(kind->name, "vae") == 0) return &code;
  return kind->modality == MODALITY_TEXT ? &text : &media;
}

static void part_print(const family *f, const precision *p, measured what, size_t count) {
  double ratio[ROUNDS], us[ROUNDS];
  static const char *const modalities[MODALITY_COUNT] = {"text", "image", "audio", "video"};
  for (int k = 0; k < PRECISIONS; k++) {
    if (p[k].encoder == NULL || (what == MEASURED_NETWORK && p[k].seen == NULL)) continue;
    for (int r = 0; r < ROUNDS; r++) {
      us[r] = p[k].seconds[what][r] * 1e6 / (double)count;
      ratio[r] = p[0].seconds[what][r] / p[k].seconds[what][r];
    }
    qsort(us, ROUNDS, sizeof *us, float_order);
    qsort(ratio, ROUNDS, sizeof *ratio, float_order);
    printf("%-16s %-5s %-6s %-8s %4zu %9.1f %9.1f-%-9.1f %5.2f (%.2f-%.2f)  ", f->name, k > 0 ? endings[k] + 1 : "f32",
           modalities[f->modality], what == MEASURED_WHOLE ? "whole" : "network", count, us[ROUNDS / 2], us[0],
           us[ROUNDS - 1], ratio[ROUNDS / 2], ratio[0], ratio[ROUNDS - 1]);
    if (what == MEASURED_WHOLE)
      printf("%.5f", least_cosine(p[0].out, p[k].out, count, p[k].encoder->kind->dim(p[k].encoder)));
    printf("\n");
  }
  fflush(stdout);
}

static medley_status part_run(precision *p, const content *c, measured what, int round, medley_error *err) {
  const encoder_kind *kind = p->encoder->kind;
  double begin = clock_now_s();
  medley_status status = what == MEASURED_WHOLE ? kind->encode(p->encoder, c->inputs, c->count, p->out, err)
                                                : halves_of(kind)->run(p->encoder, p->seen, c->count, p->out, err);
  if (round >= 0) p->seconds[what][round] = clock_now_s() - begin;
  return status;
}

static medley_status published_open(const family *f, const char *path, precision *p, content *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[64];
  for (int k = 0; k < PRECISIONS; k++) {
    snprintf(name, sizeof name, "%s%s", f->name, endings[k]);
    const encoder_kind *kind = encoder_kind_for(f->modality, name);
    if (kind == NULL) continue;
    TRY(kind->open(path, &p[k].encoder, err));
    if (k == 0) TRY(content_load(p[0].encoder, f->items, c, err));
  }
done:
  return status;
}

/* Trained on the second half of the content; the first is encoded. */
static medley_status trained_open(const family *f, precision *p, content *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  safetensors_writer w = {0};
  safetensors saved = {0};
  char path[] = "/tmp/bench_encoders_XXXXXX";
  int file = mkstemp(path);
  const encoder_kind *kind = encoder_kind_for(f->modality, f->name);
  if (file < 0) FAIL(err, MEDLEY_ERR_IO, "/tmp: no file can be made there");
  TRY(kind->create(1, 0, &p[0].encoder, err));
  TRY(content_load(p[0].encoder, 2 * f->items, c, err));
  c->count /= 2;
  TRY(kind->fit(p[0].encoder, c->inputs + c->count, c->count, NULL, err));
  TRY(kind->save(p[0].encoder, &w, "part", err));
  TRY(safetensors_save(&w, path, err));
  TRY(safetensors_open(&saved, path, err));
  for (int k = 1; k < PRECISIONS; k++) {
    TRY(kind->load(&saved, "part", &p[k].encoder, err));
    TRY(kind->narrow(p[k].encoder, (weight_precision)k, err));
  }
  for (int k = 0; k < PRECISIONS; k++) {
    p[k].seen = halves_of(kind)->see(p[k].encoder, c->inputs, c->count, err);
    if (p[k].seen == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a benchmark");
  }
done:
  safetensors_writer_deinit(&w);
  safetensors_close(&saved);
  if (file >= 0) close(file), unlink(path);
  return status;
}

static medley_status family_measure(const family *f, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  precision p[PRECISIONS] = {{NULL}};
  content *c;
  TRY_NEW(c, 1, "a benchmark");
  TRY(path != NULL ? published_open(f, path, p, c, err) : trained_open(f, p, c, err));
  for (int k = 0; k < PRECISIONS; k++)
    if (p[k].encoder != NULL) TRY_NEW(p[k].out, c->count * p[k].encoder->kind->dim(p[k].encoder), "a benchmark");
  for (int what = MEASURED_COUNT; what-- > 0;) {  /* the whole comes last: its vectors are compared */
    for (int round = -1; round < ROUNDS; round++) /* the first is to warm up */
      for (int k = 0; k < PRECISIONS; k++)
        if (p[k].encoder != NULL && (what == MEASURED_WHOLE || p[k].seen != NULL))
          TRY(part_run(&p[k], c, (measured)what, round, err));
    part_print(f, p, (measured)what, c->count);
  }
done:
  for (int k = 0; k < PRECISIONS; k++) {
    if (p[k].encoder != NULL) p[k].encoder->kind->free(p[k].encoder);
    mem_free(p[k].out);
    mem_free(p[k].seen);
  }
  if (c != NULL) content_deinit(c);
  mem_free(c);
  return status;
}

static bool is_wanted(const char *name, int count, char **words) {
  for (int i = 1; i < count; i++)
    if (strcmp(words[i], name) == 0) return true;
  return count == 1;
}

int main(int count, char **words) {
  medley_error err = {0};
  medley_status status = MEDLEY_OK;
  printf("%d threads\n%-16s %-5s %-6s %-8s %4s %9s %19s %5s %12s  %s\n", omp_get_max_threads(), "encoder", "", "", "",
         "n", "us each", "least-most", "times", "float32", "least cosine");
  for (size_t i = 0; status == MEDLEY_OK && i < sizeof families / sizeof *families; i++) {
    const family *f = &families[i];
    const char *folder = f->variable != NULL ? getenv(f->variable) : NULL;
    if (!is_wanted(f->name, count, words)) continue;
    if (f->variable == NULL) {
      status = family_measure(f, NULL, &err);
      continue;
    }
    if (folder == NULL) {
      printf("%-18s %s is not set: left out\n", f->name, f->variable);
      continue;
    }
    char *path = *f->place ? path_join(folder, f->place) : mem_strdup(folder);
    status = path == NULL ? error_memory(&err, "a benchmark") : family_measure(f, path, &err);
    mem_free(path);
  }
  if (status != MEDLEY_OK) fprintf(stderr, "bench_encoders: %s\n", err.text);
  return status == MEDLEY_OK ? 0 : 1;
}
