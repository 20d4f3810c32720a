/* bench/bench_search.c: how well words, pictures and sounds find each other with the encoders that need no weights:
 * R@1, R@5, R@10 and median rank in both directions on the real packs. Everything is fitted on the training part and
 * chosen on the validation part; the test part is looked at once. PERFORMANCE.md, section Search floors, keeps the
 * figures.
 *
 *     bench_search [pack]      one pack only
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "align/aligner.h"
#include "base/clock.h"
#include "bench/search_packs.h"
#include "encode/encoder.h"
#include "encode/features.h"
#include "media/image.h"
#include "media/sound.h"

/* One line of the table. */
typedef struct study {
  const char *pack, *variant;
  modality a, b;
  const char *aligner, *normaliser; /* of picture and sound; texts are scaled to unit length */
} study;

static const study studies[] = {
    {"shop", "title", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"shop", "title", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "l2"},
    {"shop", "title", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "zscore"},
    {"shop", "title", MODALITY_TEXT, MODALITY_IMAGE, "align.ridge", "none"},
    {"shop", "title", MODALITY_TEXT, MODALITY_IMAGE, "align.procrustes", "none"},
    {"shop", "title", MODALITY_TEXT, MODALITY_IMAGE, "align.concat", "none"},
    {"shop", "categories", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"photos", "en", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"photos", "zh", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"photos", "en+zh", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"photos", "en", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "zscore"},
    {"creatures", "en", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"creatures", "zh", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"creatures", "ja", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"creatures", "en+zh+ja", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"creatures", "en", MODALITY_TEXT, MODALITY_AUDIO, "align.cca", "zscore"},
    {"creatures", "zh", MODALITY_TEXT, MODALITY_AUDIO, "align.cca", "zscore"},
    {"creatures", "ja", MODALITY_TEXT, MODALITY_AUDIO, "align.cca", "zscore"},
    {"creatures", "en", MODALITY_IMAGE, MODALITY_AUDIO, "align.cca", "zscore"},
    {"recipes", "title", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
    {"recipes", "whole", MODALITY_TEXT, MODALITY_IMAGE, "align.cca", "none"},
};
#define STUDIES (sizeof studies / sizeof *studies)

/* A modality's vectors: row r belongs to item[r]. Texts may be several an item. */
typedef struct side {
  size_t count, dim;
  float *values; /* [count, dim] */
  uint32_t *item;
  double seconds, fit_seconds; /* encoding alone, decoding left out; fitting */
} side;

static void side_deinit(side *s) {
  mem_free(s->values);
  mem_free(s->item);
  *s = (side){0};
}

/* ---- raw vectors ---- */

static medley_status load_media(const char *path, modality m, media_sample *out, medley_error *err) {
  *out = (media_sample){.kind = m};
  if (m == MODALITY_IMAGE) return image_load(path, &(image_options){.side = 256}, &out->image, err);
  return sound_load(path, &(sound_options){0}, &out->sound, err);
}

static medley_status encode_media(const pack *p, modality m, side *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL;
  const encoder_kind *kind = encoder_kind_default(m);
  TRY(kind->create(1, 0, &e, err));
  out->dim = kind->dim(e);
  TRY_NEW(out->values, p->item_count * out->dim, "vectors");
  TRY_NEW(out->item, p->item_count, "vectors");
  for (size_t i = 0; i < p->item_count; i++) {
    const char *path = m == MODALITY_IMAGE ? p->items[i].picture : p->items[i].sound;
    media_sample sample;
    if (path == NULL) continue;
    TRY(load_media(path, m, &sample, err));
    double start = clock_now_s();
    encoder_input input =
        m == MODALITY_IMAGE ? (encoder_input){.image = &sample.image} : (encoder_input){.sound = &sample.sound};
    status = kind->encode(e, &input, 1, out->values + out->count * out->dim, err);
    out->seconds += clock_now_s() - start;
    out->item[out->count++] = (uint32_t)i;
    media_sample_deinit(&sample);
    if (status != MEDLEY_OK) goto done;
  }
done:
  if (e != NULL) kind->free(e);
  return status;
}

static medley_status encode_texts(const pack *p, side *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder *e = NULL;
  encoder_input *train = NULL, *all = NULL;
  size_t train_count = 0;
  double start = clock_now_s();
  TRY_NEW(train, p->text_count, "texts");
  TRY_NEW(all, p->text_count, "texts");
  TRY_NEW(out->item, p->text_count, "texts");
  for (size_t i = 0; i < p->text_count; i++) {
    all[i] = (encoder_input){.text = p->texts[i].text};
    out->item[i] = p->texts[i].item;
    if (p->items[p->texts[i].item].split == SPLIT_TRAIN) train[train_count++] = all[i];
  }
  TRY(encoder_text_lsa.create(1, 0, &e, err));
  TRY(encoder_text_lsa.fit(e, train, train_count, NULL, err));
  out->fit_seconds = clock_now_s() - start;
  start = clock_now_s();
  out->count = p->text_count;
  out->dim = encoder_text_lsa.dim(e);
  TRY_NEW(out->values, out->count * out->dim, "vectors");
  TRY(encoder_text_lsa.encode(e, all, out->count, out->values, err));
  out->seconds = clock_now_s() - start;
done:
  if (e != NULL) encoder_text_lsa.free(e);
  mem_free(train);
  mem_free(all);
  return status;
}

/* ---- scaling and pairing ---- */

/* Rows of one part of the split, copied. */
static medley_status side_part(const pack *p, const side *s, split part, side *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (side){.dim = s->dim};
  TRY_NEW(out->values, s->count * s->dim, "vectors");
  TRY_NEW(out->item, s->count, "vectors");
  for (size_t i = 0; i < s->count; i++) {
    if (p->items[s->item[i]].split != part) continue;
    memcpy(out->values + out->count * s->dim, s->values + i * s->dim, s->dim * sizeof *s->values);
    out->item[out->count++] = s->item[i];
  }
done:
  return status;
}

static medley_status side_normalise(const pack *p, side *s, const char *name, medley_error *err) {
  medley_status status = MEDLEY_OK;
  side train = {0};
  normaliser n = {0};
  float *scaled = NULL;
  TRY(side_part(p, s, SPLIT_TRAIN, &train, err));
  TRY(normaliser_kind_find(name)->fit(train.values, train.count, train.dim, 0, &n, err));
  TRY_NEW(scaled, s->count * n.out_dim, "vectors");
  normaliser_apply(&n, s->values, s->count, scaled);
  mem_free(s->values);
  s->values = scaled;
  s->dim = n.out_dim;
done:
  side_deinit(&train);
  normaliser_deinit(&n);
  return status;
}

/* Every row of a beside every row of b of the same item, in one part of the split. */
typedef struct paired {
  aligner_pairs pairs;
  float *x, *y;
} paired;

static void paired_deinit(paired *q) {
  mem_free(q->x);
  mem_free(q->y);
}

static medley_status pair_sides(const side *a, const side *b, paired *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t most = a->count > b->count ? a->count : b->count, count = 0;
  *out = (paired){0};
  TRY_NEW(out->x, most * a->dim, "pairs");
  TRY_NEW(out->y, most * b->dim, "pairs");
  for (size_t i = 0; i < a->count; i++)
    for (size_t j = 0; j < b->count; j++) {
      if (a->item[i] != b->item[j]) continue;
      memcpy(out->x + count * a->dim, a->values + i * a->dim, a->dim * sizeof *out->x);
      memcpy(out->y + count * b->dim, b->values + j * b->dim, b->dim * sizeof *out->y);
      count++;
    }
  out->pairs = (aligner_pairs){out->x, out->y, count, a->dim, b->dim};
done:
  return status;
}

/* ---- one study ---- */

static medley_status fit_part(const pack *p, const side sides[2], const aligner_kind *kind, alignment *out,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  paired pairs[2] = {{{0}}};
  side a = {0}, b = {0};
  for (int part = SPLIT_TRAIN; part <= SPLIT_VALID; part++) {
    side_deinit(&a);
    side_deinit(&b);
    TRY(side_part(p, &sides[0], (split)part, &a, err));
    TRY(side_part(p, &sides[1], (split)part, &b, err));
    TRY(pair_sides(&a, &b, &pairs[part], err));
  }
  TRY(kind->fit(&pairs[0].pairs, &pairs[1].pairs, out, err));
done:
  side_deinit(&a);
  side_deinit(&b);
  paired_deinit(&pairs[0]);
  paired_deinit(&pairs[1]);
  return status;
}

static medley_status measure_part(const pack *p, const side sides[2], const alignment *fit, split part,
                                  alignment_report *report, size_t counts[2], medley_error *err) {
  medley_status status = MEDLEY_OK;
  side rows[2] = {{0}};
  float *shared[2] = {NULL, NULL};
  for (int s = 0; s < 2; s++) {
    TRY(side_part(p, &sides[s], part, &rows[s], err));
    counts[s] = rows[s].count;
    TRY_NEW(shared[s], rows[s].count * fit->dim, "aligned rows");
    alignment_apply(fit, s, rows[s].values, rows[s].count, shared[s]);
  }
  TRY(alignment_measure_groups(shared[0], rows[0].item, rows[0].count, shared[1], rows[1].item, rows[1].count, fit->dim,
                               report, err));
done:
  for (int s = 0; s < 2; s++) {
    side_deinit(&rows[s]);
    mem_free(shared[s]);
  }
  return status;
}

static void print_row(const study *s, const alignment *fit, const alignment_report *valid, const alignment_report *test,
                      const size_t counts[2], double seconds) {
  printf("| %s | %s | %s–%s, %s | %zu, %zu |", s->pack, s->variant, modality_name(s->a), modality_name(s->b),
         s->normaliser, counts[0], counts[1]);
  printf(" %.3f |", (valid->recall_10[0] + valid->recall_10[1]) / 2);
  for (int d = 0; d < 2; d++)
    printf(" %.3f %.3f %.3f (%g) |", test->recall_1[d], test->recall_5[d], test->recall_10[d], test->median_rank[d]);
  printf(" %s | %.1f |\n", fit->settings, seconds);
  fflush(stdout);
}

/* Raw vectors of a modality are kept from study to study while the pack stays the same; texts change with the variant.
 */
typedef struct cache {
  const char *pack;
  side raw[MODALITY_COUNT];
} cache;

static void cache_clear(cache *c) {
  for (int m = 0; m < MODALITY_COUNT; m++) side_deinit(&c->raw[m]);
}

static medley_status side_for(const pack *p, cache *c, modality m, const char *normaliser, side *out,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (side){0};
  if (m == MODALITY_TEXT) {
    TRY(encode_texts(p, out, err));
    fprintf(stderr, "%s text: %zu fitted and encoded in %.2f s, of that %.2f s encoding\n", c->pack, out->count,
            out->fit_seconds + out->seconds, out->seconds);
  } else {
    side *raw = &c->raw[m];
    if (raw->count == 0) {
      TRY(encode_media(p, m, raw, err));
      fprintf(stderr, "%s %s: %zu encoded in %.2f s, %.0f per second\n", c->pack, modality_name(m), raw->count,
              raw->seconds, (double)raw->count / raw->seconds);
    }
    *out = (side){
        raw->count, raw->dim, mem_alloc(raw->count * raw->dim, sizeof(float)), mem_alloc(raw->count, sizeof(uint32_t)),
        0,          0};
    if (out->values == NULL || out->item == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for vectors");
    memcpy(out->values, raw->values, raw->count * raw->dim * sizeof(float));
    memcpy(out->item, raw->item, raw->count * sizeof(uint32_t));
  }
  TRY(side_normalise(p, out, m == MODALITY_TEXT ? "l2" : normaliser, err));
done:
  return status;
}

static medley_status run_study(const char *data, const study *s, cache *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  pack p = {0};
  side sides[2] = {{0}};
  alignment fit = {0};
  alignment_report valid, test;
  size_t counts[2];
  if (c->pack == NULL || strcmp(c->pack, s->pack) != 0) cache_clear(c);
  c->pack = s->pack;
  TRY(pack_load(data, s->pack, s->variant, &p, err));
  TRY(side_for(&p, c, s->a, s->normaliser, &sides[0], err));
  TRY(side_for(&p, c, s->b, s->normaliser, &sides[1], err));
  double start = clock_now_s();
  TRY(fit_part(&p, sides, aligner_kind_find(s->aligner), &fit, err));
  double seconds = clock_now_s() - start;
  TRY(measure_part(&p, sides, &fit, SPLIT_VALID, &valid, counts, err));
  TRY(measure_part(&p, sides, &fit, SPLIT_TEST, &test, counts, err));
  print_row(s, &fit, &valid, &test, counts, seconds);
done:
  pack_deinit(&p);
  side_deinit(&sides[0]);
  side_deinit(&sides[1]);
  alignment_deinit(&fit);
  return status;
}

int main(int argc, char **argv) {
  const char *data = getenv("MEDLEY_DATA") ? getenv("MEDLEY_DATA") : "../shared/data";
  medley_error error = {0};
  cache c = {0};
  int failures = 0;
  printf(
      "| pack | text | sides, scaling | test rows | valid R@10 | → R@1 R@5 R@10 (median rank) | ← | chosen | fit s "
      "|\n");
  printf("|---|---|---|---|---|---|---|---|---|\n");
  for (size_t i = 0; i < STUDIES; i++) {
    if (argc > 1 && strcmp(argv[1], studies[i].pack) != 0) continue;
    medley_status status = run_study(data, &studies[i], &c, &error);
    if (status == MEDLEY_OK) continue;
    fprintf(stderr, "%s %s: %s\n", studies[i].pack, studies[i].variant, error.text);
    failures += status != MEDLEY_ERR_NOT_FOUND;
  }
  cache_clear(&c);
  return failures > 0;
}
