/* media/video_choose.h: which frames stand for a video, private to the media folder. Plain arithmetic, no decoder: the
 * tests draw their own frames. */
#ifndef MEDIA_VIDEO_CHOOSE_H
#define MEDIA_VIDEO_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "media/sample.h"

/* ---- cuts ---- */

#define LOOK_BINS 8

/* Histograms of luma and the two chromas, each adding up to 1, with linear interpolation between bins, so that a slow
 * change of light moves weight gradually instead of jumping. */
typedef struct frame_look {
  float bins[3][LOOK_BINS];
} frame_look;

void frame_look_measure(const image *thumbnail, frame_look *look);
/* 0: the same colours; 1: none in common. The largest of the three half L1 distances. */
float frame_look_distance(const frame_look *a, const frame_look *b);

/* Finds cuts in a running series of looks. Zero-initialise. */
typedef struct cut_finder {
  bool started;
  frame_look previous;
  float usual;       /* running mean of the distances within the scene */
  double scene_at_s; /* where the scene in hand began */
} cut_finder;

/* True when this frame begins a new scene (also the first frame). */
bool cut_finder_push(cut_finder *c, const frame_look *look, double time_s);

/* ---- candidates ---- */

typedef struct video_candidate {
  image picture; /* owned */
  double time_s;
  uint32_t scene;
  float quality; /* 0 to 1: sharp, bright, colourful; 0 for black and flat frames */
} video_candidate;

typedef struct video_scene {
  double start_s, end_s;
} video_scene;

/* A bounded gathering of frames along the video: when it is full, every second one of each scene is dropped and from
 * then on frames are taken half as often. Zero-initialise, set capacity. */
typedef struct video_gathering {
  size_t capacity;
  double interval_s, next_s; /* a frame is wanted from next_s on */
  video_candidate *candidates;
  size_t count, candidate_room;
  video_scene *scenes;
  size_t scene_count, scene_room;
} video_gathering;

/* A new scene begins; beyond VIDEO_SCENES_MAX they are one. */
#define VIDEO_SCENES_MAX 4096
medley_status video_gathering_begin_scene(video_gathering *g, double time_s, medley_error *err) MEDLEY_CHECK;
/* Takes over picture's pixels, also on failure. Needs a scene. */
medley_status video_gathering_add(video_gathering *g, image *picture, double time_s, medley_error *err) MEDLEY_CHECK;
void video_gathering_deinit(video_gathering *g);

/* Moves at most frame_max pictures into out (frames, frame_time_s, frame_count, poster): one per scene, the longest
 * scenes first, then evenly in the longest. Needs at least one candidate. */
medley_status video_choose(video_gathering *g, uint32_t frame_max, video *out, medley_error *err) MEDLEY_CHECK;

#endif
