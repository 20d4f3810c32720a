/* bench/bench_encoders.c: pretrained encoders in float32, bf16 and int8, side by side on real content.
 *
 *     bench_encoders [FAMILY...]
 *
 * The precisions of a family run in turn, round by round, and a ratio is taken inside a round: what else the machine
 * does then falls on all of them. Beside it the smallest cosine between an item's vectors in both precisions.
 * MobileNetV2 and YAMNet have their weights in $MEDLEY_DATA/models; MEDLEY_MINILM names all-MiniLM-L6-v2's folder,
 * MEDLEY_NETWORKS one with the others, as bench/encoder_nets.py makes it. What is not there is left out, with a word.
 */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "encode/encoder.h"
#include "math/vector.h"
#include "media/image.h"
#include "media/sound.h"
#include "search_packs.h"

enum { PRECISIONS = 3, ROUNDS = 7, ITEMS_MAX = 128 };

/* One line a row. Items: so many that float32 takes about a second. */
typedef struct family {
  const char *name; /* as kinds are called in float32 */
  modality modality;
  const char *variable, *place; /* where: the variable's folder, what in it */
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
};
static const char *const endings[PRECISIONS] = {"", "_bf16", "_int8"};

/* ---- content ---- */

typedef struct content {
  encoder_input inputs[ITEMS_MAX];
  image pictures[ITEMS_MAX];
  sound sounds[ITEMS_MAX];
  pack photos;
  size_t count;
} content;

static void content_deinit(content *c) {
  for (size_t i = 0; i < ITEMS_MAX; i++) {
    image_deinit(&c->pictures[i]);
    sound_deinit(&c->sounds[i]);
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

/* Captions and photographs of one pack, spoken digits of another. */
static medley_status content_load(const encoder *e, size_t count, content *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *data = getenv("MEDLEY_DATA") != NULL ? getenv("MEDLEY_DATA") : "../shared/data";
  media_request wish = encoder_request(e, NULL, NULL);
  if (e->kind->modality == MODALITY_AUDIO) return sounds_load(data, count, &wish, c, err);
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

typedef struct precision {
  encoder *encoder; /* NULL: the family has none of this */
  float *out;       /* [count, dim] */
  double seconds[ROUNDS];
} precision;

static void row_print(const family *f, const precision *p, size_t count) {
  double ratio[ROUNDS], ms[ROUNDS];
  static const char *const modalities[MODALITY_COUNT] = {"text", "image", "audio", "video"};
  for (int k = 0; k < PRECISIONS; k++) {
    if (p[k].encoder == NULL) continue;
    for (int r = 0; r < ROUNDS; r++) {
      ms[r] = p[k].seconds[r] * 1e3 / (double)count;
      ratio[r] = p[0].seconds[r] / p[k].seconds[r];
    }
    qsort(ms, ROUNDS, sizeof *ms, float_order);
    qsort(ratio, ROUNDS, sizeof *ratio, float_order);
    printf("%-18s %-6s %4zu %9.2f %9.2f-%-9.2f %5.2f (%.2f-%.2f)  %.5f\n", p[k].encoder->kind->name,
           modalities[f->modality], count, ms[ROUNDS / 2], ms[0], ms[ROUNDS - 1], ratio[ROUNDS / 2], ratio[0],
           ratio[ROUNDS - 1], least_cosine(p[0].out, p[k].out, count, p[k].encoder->kind->dim(p[k].encoder)));
  }
  fflush(stdout);
}

static medley_status precision_run(precision *p, const content *c, int round, medley_error *err) {
  double begin = clock_now_s();
  medley_status status = p->encoder->kind->encode(p->encoder, c->inputs, c->count, p->out, err);
  if (round >= 0) p->seconds[round] = clock_now_s() - begin;
  return status;
}

static medley_status family_measure(const family *f, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  precision p[PRECISIONS] = {{NULL}};
  content *c;
  char name[64];
  TRY_NEW(c, 1, "a benchmark");
  for (int k = 0; k < PRECISIONS; k++) {
    snprintf(name, sizeof name, "%s%s", f->name, endings[k]);
    const encoder_kind *kind = encoder_kind_for(f->modality, name);
    if (kind == NULL) continue;
    TRY(kind->open(path, &p[k].encoder, err));
    if (k == 0) TRY(content_load(p[0].encoder, f->items, c, err));
    TRY_NEW(p[k].out, c->count * kind->dim(p[k].encoder), "a benchmark");
  }
  for (int round = -1; round < ROUNDS; round++) /* the first is to warm up */
    for (int k = 0; k < PRECISIONS; k++)
      if (p[k].encoder != NULL) TRY(precision_run(&p[k], c, round, err));
  row_print(f, p, c->count);
done:
  for (int k = 0; k < PRECISIONS; k++) {
    if (p[k].encoder != NULL) p[k].encoder->kind->free(p[k].encoder);
    mem_free(p[k].out);
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
  printf("%d threads\n%-18s %-6s %4s %9s %19s %5s %12s  %s\n", omp_get_max_threads(), "encoder", "", "n", "ms each",
         "least-most", "times", "float32", "least cosine");
  for (size_t i = 0; status == MEDLEY_OK && i < sizeof families / sizeof *families; i++) {
    const family *f = &families[i];
    const char *folder = getenv(f->variable);
    if (!is_wanted(f->name, count, words)) continue;
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
