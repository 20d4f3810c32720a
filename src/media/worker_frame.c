/* media/worker_frame.c: see media/worker_frame.h. */
#include "media/worker_frame.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"

#define PICTURE_HEAD_BYTES 8
#define SOUND_HEAD_BYTES 16
#define VIDEO_HEAD_BYTES 16

/* ---- writing ---- */

static size_t picture_bytes(const image *i) { return PICTURE_HEAD_BYTES + (size_t)i->width * i->height * 3; }
static size_t sound_bytes(const sound *s) { return SOUND_HEAD_BYTES + s->count * sizeof(float); }

static size_t sample_bytes(const media_sample *s) {
  if (s->kind == MODALITY_IMAGE) return picture_bytes(&s->image);
  if (s->kind == MODALITY_AUDIO) return sound_bytes(&s->sound);
  size_t sum = VIDEO_HEAD_BYTES + sound_bytes(&s->video.sound);
  for (uint32_t i = 0; i < s->video.frame_count; i++) sum += sizeof(double) + picture_bytes(&s->video.frames[i]);
  return sum;
}

static uint8_t *put(uint8_t *to, const void *bytes, size_t length) {
  if (length > 0) memcpy(to, bytes, length);
  return to + length;
}

static uint8_t *put_picture(uint8_t *to, const image *i) {
  uint32_t head[2] = {i->width, i->height};
  to = put(to, head, sizeof head);
  return put(to, i->rgb, (size_t)i->width * i->height * 3);
}

static uint8_t *put_sound(uint8_t *to, const sound *s) {
  uint32_t head[2] = {s->rate_hz, 0};
  uint64_t count = s->count;
  to = put(to, head, sizeof head);
  to = put(to, &count, sizeof count);
  return put(to, s->samples, s->count * sizeof(float));
}

static uint8_t *put_video(uint8_t *to, const video *v) {
  uint32_t head[2] = {v->frame_count, v->poster};
  to = put(to, &v->duration_s, sizeof v->duration_s);
  to = put(to, head, sizeof head);
  to = put_sound(to, &v->sound);
  for (uint32_t i = 0; i < v->frame_count; i++) {
    to = put(to, &v->frame_time_s[i], sizeof(double));
    to = put_picture(to, &v->frames[i]);
  }
  return to;
}

medley_status reply_encode(const media_sample *sample, uint8_t **bytes, size_t *length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *length = sample_bytes(sample);
  *bytes = NULL;
  if (*length > WORKER_REPLY_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "the sample takes %zu MiB, more than the limit of %d", *length >> 20,
         (int)(WORKER_REPLY_MAX >> 20));
  *bytes = mem_alloc(*length, 1);
  if (*bytes == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the sample");
  if (sample->kind == MODALITY_IMAGE) (void)put_picture(*bytes, &sample->image);
  if (sample->kind == MODALITY_AUDIO) (void)put_sound(*bytes, &sample->sound);
  if (sample->kind == MODALITY_VIDEO) (void)put_video(*bytes, &sample->video);
done:
  return status;
}

/* ---- reading ---- */

typedef struct reader {
  const uint8_t *at;
  size_t left;
} reader;

static bool take(reader *r, void *to, size_t length) {
  if (r->left < length) return false;
  if (length > 0) memcpy(to, r->at, length);
  r->at += length;
  r->left -= length;
  return true;
}

static medley_status nonsense(medley_error *err, const char *what) {
  return error_set(err, MEDLEY_ERR_INPUT, "the worker's answer makes no sense (%s)", what);
}

static medley_status take_picture(reader *r, const request_head *asked, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t head[2];
  image i = {0};
  if (!take(r, head, sizeof head)) return nonsense(err, "it is cut short");
  if (head[0] == 0 || head[1] == 0 || head[0] > asked->image_side || head[1] > asked->image_side)
    return nonsense(err, "the size of a picture");
  size_t bytes = (size_t)head[0] * head[1] * 3;
  if (r->left < bytes) return nonsense(err, "a picture is cut short");
  i = (image){head[0], head[1], NULL};
  TRY_NEW(i.rgb, bytes, "a picture");
  (void)take(r, i.rgb, bytes);
  *out = i;
done:
  return status;
}

static medley_status take_sound(reader *r, const request_head *asked, bool may_be_empty, sound *out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t head[2];
  uint64_t count;
  if (!take(r, head, sizeof head) || !take(r, &count, sizeof count)) return nonsense(err, "it is cut short");
  if (count == 0 && may_be_empty) return MEDLEY_OK;
  if (count == 0 || count > r->left / sizeof(float) || head[0] != asked->sound_rate_hz)
    return nonsense(err, "the size of a sound");
  *out = (sound){.rate_hz = head[0], .count = (size_t)count};
  TRY_NEW(out->samples, out->count, "a sound");
  (void)take(r, out->samples, out->count * sizeof(float));
  for (size_t i = 0; i < out->count; i++)
    if (!isfinite(out->samples[i])) return nonsense(err, "a sound that is not finite");
done:
  return status;
}

static medley_status take_video(reader *r, const request_head *asked, video *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t head[2];
  if (!take(r, &out->duration_s, sizeof out->duration_s) || !take(r, head, sizeof head))
    return nonsense(err, "it is cut short");
  if (head[0] == 0 || head[0] > asked->frame_max || head[1] >= head[0] || !isfinite(out->duration_s) ||
      out->duration_s < 0)
    return nonsense(err, "the size of a video");
  TRY(take_sound(r, asked, true, &out->sound, err));
  TRY_NEW(out->frames, head[0], "frames");
  TRY_NEW(out->frame_time_s, head[0], "frames");
  out->poster = head[1];
  for (; out->frame_count < head[0]; out->frame_count++) {
    uint32_t i = out->frame_count;
    if (!take(r, &out->frame_time_s[i], sizeof(double))) return nonsense(err, "it is cut short");
    if (!isfinite(out->frame_time_s[i]) || out->frame_time_s[i] < (i ? out->frame_time_s[i - 1] : 0))
      return nonsense(err, "the times of a video");
    TRY(take_picture(r, asked, &out->frames[i], err));
  }
done:
  return status;
}

medley_status reply_parse(const uint8_t *bytes, size_t length, const request_head *asked, media_sample *sample,
                          medley_error *err) {
  medley_status status = MEDLEY_OK;
  reader r = {bytes, length};
  *sample = (media_sample){.kind = (modality)asked->kind};
  switch (asked->kind) {
    case MODALITY_IMAGE: status = take_picture(&r, asked, &sample->image, err); break;
    case MODALITY_AUDIO: status = take_sound(&r, asked, false, &sample->sound, err); break;
    default: status = take_video(&r, asked, &sample->video, err); break;
  }
  if (status == MEDLEY_OK && r.left > 0) status = nonsense(err, "it is too long");
  if (status != MEDLEY_OK) media_sample_deinit(sample);
  return status;
}
