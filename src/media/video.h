/* media/video.h: video → frames, sound track and poster (F06), by FFmpeg. Runs in a worker process. */
#ifndef MEDIA_VIDEO_H
#define MEDIA_VIDEO_H

#include "base/error.h"
#include "media/sample.h"

typedef struct video_options {
  uint32_t side;          /* longer side of the frames; 0: 256 */
  uint32_t frame_max;     /* 0: 16 */
  uint32_t sound_rate_hz; /* 0: 22050 */
  double seconds;         /* how much of the video is looked at; 0: 600 */
  double sound_seconds;   /* 0: 60 */
  uint64_t pixel_limit;   /* width * height of a frame; 0: 100 million */
} video_options;

/* Frames are chosen one per scene first (cuts by difference of colour histograms), then evenly in the longest scenes.
 * The poster is the sharp, bright, colourful frame nearest the middle of the longest scene. */
medley_status video_load(const char *path, const video_options *options, video *out, medley_error *err) MEDLEY_CHECK;

/* The same for bytes in memory, for tests and fuzzing. */
medley_status video_load_bytes(const void *bytes, size_t length, const video_options *options, video *out,
                               medley_error *err) MEDLEY_CHECK;

/* A small MP4 (MPEG-4 part 2 picture, AAC sound) of ours, for the sample catalogue; sound may be NULL. frames all of
 * one even size. */
medley_status video_save_mp4(const image *frames, uint32_t frame_count, double frames_per_s, const sound *sound,
                             const char *path, medley_error *err) MEDLEY_CHECK;

#endif
