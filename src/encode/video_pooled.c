/* encode/video_pooled.c: a video → the mean of its frames' image.descriptor, how much they differ from one to the next,
 * and the audio.mfcc of its sound track.
 *
 * The mean is taken over frames of different scenes (media/video.h chooses them), so it says what is to be seen
 * altogether; the differences say how lively it is. Without sound the sound's block is zero and the flag beside it too,
 * so that silence and no track are told apart.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "encode/audio_mfcc.h"
#include "encode/encoder.h"
#include "encode/image_descriptor.h"
#include "encode/rows.h"
#include "math/vector.h"

#define FRAME_DIM IMAGE_DESCRIPTOR_DIM
#define MOVEMENT_DIM 4 /* mean and greatest difference of neighbouring frames, log of seconds, is there sound */
#define VIDEO_DIM (FRAME_DIM + MOVEMENT_DIM + AUDIO_MFCC_DIM)

typedef struct video_job {
  const encoder_input *inputs;
  float *out;
} video_job;

static void pool_frames(const float *frames, size_t count, float *mean, float *movement) {
  for (size_t i = 0; i < count; i++) vector_add_scaled(mean, 1 / (float)count, frames + i * FRAME_DIM, FRAME_DIM);
  for (size_t i = 1; i < count; i++) {
    float change = sqrtf(vector_squared_distance(frames + (i - 1) * FRAME_DIM, frames + i * FRAME_DIM, FRAME_DIM));
    movement[0] += change / (float)(count - 1);
    movement[1] = fmaxf(movement[1], change);
  }
}

static medley_status video_row(void *context, void *scratch, size_t row, medley_error *err) {
  (void)scratch;
  medley_status status = MEDLEY_OK;
  const video_job *job = context;
  const video *v = job->inputs[row].video;
  float *out = job->out + row * VIDEO_DIM, *movement = out + FRAME_DIM, *frames = NULL;
  memset(out, 0, VIDEO_DIM * sizeof *out);
  TRY_NEW(frames, (size_t)v->frame_count * FRAME_DIM, "descriptors of frames");
  TRY(image_descriptor_frames(v->frames, v->frame_count, frames, err));
  pool_frames(frames, v->frame_count, out, movement);
  movement[2] = (float)log(fmax(v->duration_s, 0) + 0.1);
  movement[3] = v->sound.count > 0;
  if (v->sound.count > 0) TRY(audio_mfcc_describe(&v->sound, movement + MOVEMENT_DIM, err));
done:
  mem_free(frames);
  return status;
}

static medley_status video_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                  medley_error *err) {
  (void)e;
  return rows_run(&(row_work){&(video_job){inputs, out}, NULL, NULL, video_row}, count, err);
}

static size_t video_dim(const encoder *e) {
  (void)e;
  return VIDEO_DIM;
}

static medley_status video_create(uint64_t seed, size_t dim, encoder **out, medley_error *err) {
  (void)seed;
  return encoder_create_fixed(&encoder_video_pooled, dim, out, err);
}

static medley_status video_load_kind(const safetensors *s, const char *prefix, encoder **out, medley_error *err) {
  (void)s, (void)prefix;
  return encoder_create_fixed(&encoder_video_pooled, 0, out, err);
}

const encoder_kind encoder_video_pooled = {
    .name = "video.pooled",
    .summary = "image.descriptor pooled over frames, and audio.mfcc of the sound track; needs no fitting",
    .modality = MODALITY_VIDEO,
    .version = 1,
    .create = video_create,
    .dim = video_dim,
    .encode = video_encode,
    .save = encoder_save_nothing,
    .load = video_load_kind,
    .free = encoder_free_fixed,
};
