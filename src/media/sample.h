/* media/sample.h: what decoded media look like to everything above: plain arrays, no library types.
 *
 * image and sound own their arrays; deinit frees and zeroes. All are safe to deinit when zero-initialised.
 */
#ifndef MEDIA_SAMPLE_H
#define MEDIA_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

typedef enum modality { MODALITY_TEXT, MODALITY_IMAGE, MODALITY_AUDIO, MODALITY_VIDEO } modality;
#define MODALITY_COUNT 4

/* "text", "image", "audio", "video". */
const char *modality_name(modality m);
/* MODALITY_COUNT when the name is none of them. */
modality modality_from_name(const char *name);
/* By file extension and first bytes; MODALITY_COUNT when it is neither picture, sound nor video. An animated GIF or
 * WebP counts as video. */
modality modality_of_file(const char *path);

typedef struct image {
  uint32_t width, height;
  uint8_t *rgb; /* [height, width, 3] sRGB, row-major, no padding; alpha already laid over white */
} image;

typedef struct sound {
  uint32_t rate_hz;
  size_t count;   /* samples */
  float *samples; /* [count] mono, nominally in [-1, 1] */
} sound;

typedef struct video {
  double duration_s;
  uint32_t frame_count;
  image *frames;        /* [frame_count], scene-aware choice, in time order */
  double *frame_time_s; /* [frame_count] */
  uint32_t poster;      /* index of the frame that stands for the whole */
  sound sound;          /* count 0 when the video is silent */
} video;

void image_deinit(image *i);
void sound_deinit(sound *s);
void video_deinit(video *v);

/* One decoded file. */
typedef struct media_sample {
  modality kind; /* which member is set; never MODALITY_TEXT */
  image image;
  sound sound;
  video video;
} media_sample;
void media_sample_deinit(media_sample *s);

#endif
