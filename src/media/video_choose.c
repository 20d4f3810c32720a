/* media/video_choose.c: see media/video_choose.h. */
#include "media/video_choose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* ---- cuts ---- */

#define CUT_DISTANCE 0.25f   /* a cut changes at least a quarter of a histogram */
#define CUT_OVER_USUAL 3.0f  /* and far more than the motion in the scene does */
#define CUT_SCENE_MIN_S 0.35 /* flashes and cross-fades give several cuts in a row */

static void bins_add(float bins[LOOK_BINS], float value, float weight) {
  float position = value * LOOK_BINS / 256 - 0.5f;
  position = position < 0 ? 0 : position > LOOK_BINS - 1 ? LOOK_BINS - 1 : position;
  int low = position >= LOOK_BINS - 1 ? LOOK_BINS - 2 : (int)position;
  float share = position - (float)low;
  bins[low] += weight * (1 - share);
  bins[low + 1] += weight * share;
}

void frame_look_measure(const image *thumbnail, frame_look *look) {
  size_t pixels = (size_t)thumbnail->width * thumbnail->height;
  *look = (frame_look){0};
  for (size_t i = 0; i < pixels; i++) {
    const uint8_t *p = thumbnail->rgb + 3 * i;
    float luma = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2], weight = 1.0f / (float)pixels;
    bins_add(look->bins[0], luma, weight);
    /* Chroma is mostly small: twice the scale spreads it over the bins. */
    bins_add(look->bins[1], 128 + 1.128f * (p[2] - luma), weight);
    bins_add(look->bins[2], 128 + 1.426f * (p[0] - luma), weight);
  }
}

float frame_look_distance(const frame_look *a, const frame_look *b) {
  float largest = 0;
  for (int h = 0; h < 3; h++) {
    float sum = 0;
    for (int i = 0; i < LOOK_BINS; i++) sum += fabsf(a->bins[h][i] - b->bins[h][i]);
    largest = fmaxf(largest, sum / 2);
  }
  return largest;
}

bool cut_finder_push(cut_finder *c, const frame_look *look, double time_s) {
  float distance = c->started ? frame_look_distance(look, &c->previous) : 1;
  bool cut = !c->started || (distance > CUT_DISTANCE && distance > CUT_OVER_USUAL * c->usual &&
                             time_s - c->scene_at_s >= CUT_SCENE_MIN_S);
  c->usual = cut ? 0 : 0.8f * c->usual + 0.2f * distance;
  if (cut) c->scene_at_s = time_s;
  c->previous = *look;
  c->started = true;
  return cut;
}

/* ---- quality ---- */

#define FLAT_DEVIATION 6.0f /* of luma: fades and title cards without a title */

/* Sharpness: mean absolute Laplacian of luma. Colourfulness: Hasler and Süsstrunk 2003. */
static float picture_quality(const image *p) {
  double sum = 0, square = 0, laplacian = 0, rg = 0, rg2 = 0, yb = 0, yb2 = 0;
  size_t pixels = (size_t)p->width * p->height, row = 3 * (size_t)p->width;
  for (uint32_t y = 0; y < p->height; y++)
    for (uint32_t x = 0; x < p->width; x++) {
      const uint8_t *at = p->rgb + y * row + 3 * (size_t)x;
      double luma = 0.299 * at[0] + 0.587 * at[1] + 0.114 * at[2], a = at[0] - at[1], b = 0.5 * (at[0] + at[1]) - at[2];
      sum += luma;
      square += luma * luma;
      rg += a;
      rg2 += a * a;
      yb += b;
      yb2 += b * b;
      if (x > 0 && y > 0 && x + 1 < p->width && y + 1 < p->height) /* green stands for luma */
        laplacian += abs(4 * at[1] - at[-2] - at[4] - at[1 - (ptrdiff_t)row] - at[1 + row]);
    }
  double n = (double)pixels, mean = sum / n, deviation = sqrt(fmax(0, square / n - mean * mean));
  if (deviation < FLAT_DEVIATION) return 0;
  double colour =
      sqrt(fmax(0, rg2 / n - rg * rg / n / n) + fmax(0, yb2 / n - yb * yb / n / n)) + 0.3 * sqrt(rg * rg + yb * yb) / n;
  double sharp = fmin(1, log1p(laplacian / n) / log1p(60)), bright = 1 - fabs(mean - 140) / 140;
  return (float)(0.5 * sharp + 0.25 * fmax(0, bright) + 0.25 * fmin(1, colour / 80));
}

/* ---- gathering ---- */

void video_gathering_deinit(video_gathering *g) {
  for (size_t i = 0; i < g->count; i++) image_deinit(&g->candidates[i].picture);
  mem_free(g->candidates);
  mem_free(g->scenes);
  *g = (video_gathering){0};
}

medley_status video_gathering_begin_scene(video_gathering *g, double time_s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (g->scene_count >= VIDEO_SCENES_MAX) goto done;
  TRY_GROW(g->scenes, g->scene_room, g->scene_count + 1, "scenes");
  g->scenes[g->scene_count++] = (video_scene){time_s, time_s};
  g->next_s = time_s;
done:
  return status;
}

/* Drops every second candidate: of each scene, and if that frees too little (many short scenes), of all. */
static void gathering_thin(video_gathering *g, bool within_scenes) {
  size_t kept = 0, rank = 0;
  for (size_t i = 0; i < g->count; i++) {
    rank = within_scenes && i > 0 && g->candidates[i].scene != g->candidates[i - 1].scene ? 0 : rank;
    if (rank++ % 2 == 0)
      g->candidates[kept++] = g->candidates[i];
    else
      image_deinit(&g->candidates[i].picture);
  }
  g->count = kept;
}

medley_status video_gathering_add(video_gathering *g, image *picture, double time_s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  video_scene *scene = &g->scenes[g->scene_count - 1];
  if (g->count >= g->capacity) {
    gathering_thin(g, true);
    if (g->count > g->capacity / 4 * 3) gathering_thin(g, false);
    g->interval_s *= 2;
  }
  TRY_GROW(g->candidates, g->candidate_room, g->count + 1, "frames");
  g->candidates[g->count++] = (video_candidate){.picture = *picture,
                                                .time_s = time_s,
                                                .scene = (uint32_t)(g->scene_count - 1),
                                                .quality = picture_quality(picture)};
  *picture = (image){0};
  if (time_s > scene->end_s) scene->end_s = time_s;
  g->next_s = time_s + g->interval_s;
done:
  image_deinit(picture);
  return status;
}

/* ---- choice ---- */

static double scene_length(const video_scene *s) { return fmax(s->end_s - s->start_s, 1e-3); }

/* How many frames each scene gets. The first goes to every scene that has a candidate, the longest first; each further
 * one to the scene whose frames stand for most seconds each (the d'Hondt rule). */
static void shares_assign(const video_gathering *g, const uint32_t *available, uint32_t frame_max, uint32_t *shares) {
  for (uint32_t given = 0; given < frame_max; given++) {
    size_t best = SIZE_MAX;
    double best_score = -1;
    for (size_t s = 0; s < g->scene_count; s++) {
      if (shares[s] >= available[s]) continue;
      double score = scene_length(&g->scenes[s]) / (shares[s] + 1.0) + (shares[s] == 0 ? 1e9 : 0);
      if (score <= best_score) continue;
      best = s;
      best_score = score;
    }
    if (best == SIZE_MAX) return;
    shares[best]++;
  }
}

/* Takes `share` of the scene's candidates [first, first + available), evenly in time. Each pick leaves enough for those
 * after. */
static void scene_pick(const video_gathering *g, size_t first, uint32_t available, uint32_t share, bool *taken) {
  const video_scene *scene = &g->scenes[g->candidates[first].scene];
  size_t from = first, end = first + available;
  for (uint32_t k = 0; k < share; k++) {
    double wanted = scene->start_s + scene_length(scene) * (k + 0.5) / share;
    size_t last = end - (share - k), best = from;
    for (size_t i = from; i <= last; i++)
      if (fabs(g->candidates[i].time_s - wanted) < fabs(g->candidates[best].time_s - wanted)) best = i;
    taken[best] = true;
    from = best + 1;
  }
}

/* The best frame of the longest scene, the nearer to its middle the better; of all frames when that scene shows
 * nothing. */
static uint32_t poster_choose(const video_gathering *g, const bool *taken) {
  uint32_t index = 0, best = 0, longest = 0;
  float best_score = -INFINITY;
  for (uint32_t s = 0; s < g->scene_count; s++)
    if (scene_length(&g->scenes[s]) > scene_length(&g->scenes[longest])) longest = s;
  double middle = (g->scenes[longest].start_s + g->scenes[longest].end_s) / 2,
         length = scene_length(&g->scenes[longest]);
  for (size_t i = 0; i < g->count; i++) {
    if (!taken[i]) continue;
    const video_candidate *c = &g->candidates[i];
    float away = c->scene == longest ? (float)(fabs(c->time_s - middle) / length) : 1;
    float score = c->quality > 0 ? c->quality - 0.4f * away : -2 - away;
    if (score > best_score) {
      best = index;
      best_score = score;
    }
    index++;
  }
  return best;
}

medley_status video_choose(video_gathering *g, uint32_t frame_max, video *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *available = NULL, *shares = NULL;
  bool *taken = NULL;
  TRY_NEW(available, g->scene_count, "scenes");
  TRY_NEW(shares, g->scene_count, "scenes");
  TRY_NEW(taken, g->count, "frames");
  TRY_NEW(out->frames, frame_max, "frames");
  TRY_NEW(out->frame_time_s, frame_max, "frames");
  for (size_t i = 0; i < g->count; i++) available[g->candidates[i].scene]++;
  shares_assign(g, available, frame_max, shares);
  for (size_t i = 0; i < g->count; i += available[g->candidates[i].scene])
    scene_pick(g, i, available[g->candidates[i].scene], shares[g->candidates[i].scene], taken);
  out->poster = poster_choose(g, taken);
  for (size_t i = 0; i < g->count; i++) {
    if (!taken[i]) continue;
    out->frame_time_s[out->frame_count] = g->candidates[i].time_s;
    out->frames[out->frame_count++] = g->candidates[i].picture;
    g->candidates[i].picture = (image){0};
  }
done:
  mem_free(available);
  mem_free(shares);
  mem_free(taken);
  return status;
}
