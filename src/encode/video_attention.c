/* encode/video_attention.c: a clip as the mean of its frames and of the windows of its sound, after each has looked at
 * all others: one convolutional network for frames, one for log-mel, three transformer blocks over what they say. All
 * of it is learnt from the catalogue's own clips.
 *
 * A view shows some of the frames, all cut alike, and leaves the sound out now and then, so that what is seen and what
 * is heard come to mean the same; in a clip without sound only frames are tokens. */
#include <math.h>
#include <string.h>

#include "encode/media_network.h"
#include "encode/picture_view.h"
#include "encode/sound_view.h"

enum {
  SIDE = 32,
  FRAMES = 8,  /* of a clip, evenly chosen */
  WINDOWS = 2, /* of its sound */
  TOKENS = FRAMES + WINDOWS,
  WIDTH = 64,
  PICTURE = SIDE * SIDE * 3,
  SPECTRUM = SOUND_VIEW_FRAMES * SOUND_VIEW_BANDS,
  SOUND_FRAMES = WINDOWS * SOUND_VIEW_FRAMES,
  PICTURES_AT = 1,                           /* behind the number of frames */
  HEARD_AT = PICTURES_AT + FRAMES * PICTURE, /* 1 when there is sound */
  SOUND_AT = HEARD_AT + 1,
  BYTES = SOUND_AT + SOUND_VIEW_BYTES(SOUND_FRAMES),
  /* a view: frames, spectra, which tokens are there */
  SPECTRA_AT = FRAMES * PICTURE,
  THERE_AT = SPECTRA_AT + WINDOWS * SPECTRUM,
  NUMBERS = THERE_AT + TOKENS
};
#define FRAME_KEPT 0.6
#define SOUND_KEPT 0.7

static void attention_init(media_layers *l, parameters *p, size_t dim) {
  static const size_t channels[CONV_TRUNK_LAYERS] = {16, 24, 32, 48};
  conv_trunk_init(&l->pictures, p, "frames", 3, channels);
  conv_trunk_init(&l->sounds, p, "sound", 1, channels);
  layer_linear_init(&l->from_picture, p, "from_frames", 2 * channels[CONV_TRUNK_LAYERS - 1], WIDTH, true);
  layer_linear_init(&l->from_sound, p, "from_sound", 2 * channels[CONV_TRUNK_LAYERS - 1], WIDTH, true);
  media_blocks_init(l, p, WIDTH, TOKENS, dim);
}

static medley_status attention_prepare(const encoder_input *input, uint8_t *item, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const video *v = input->video;
  size_t count = v->frame_count < FRAMES ? v->frame_count : FRAMES;
  if (count == 0) FAIL(err, MEDLEY_ERR_INPUT, "a clip without a frame");
  memset(item, 0, BYTES);
  item[0] = (uint8_t)count;
  for (size_t i = 0; i < count; i++)
    TRY(picture_squeeze(&v->frames[i * v->frame_count / count], SIDE, item + PICTURES_AT + i * PICTURE, err));
  item[HEARD_AT] = v->sound.count > 0;
  if (v->sound.count > 0) TRY(sound_squeeze(&v->sound, SOUND_FRAMES, item + SOUND_AT, err));
done:
  return status;
}

/* Which tokens a view has; one frame at least. */
static void there_draw(rng *draw, const uint8_t *item, float *there) {
  size_t frames = item[0], windows = item[HEARD_AT] ? sound_view_windows(item + SOUND_AT) : 0;
  size_t always = draw != NULL ? (size_t)rng_below(draw, frames) : 0;
  bool heard = draw == NULL || rng_uniform(draw) < SOUND_KEPT;
  for (size_t i = 0; i < frames; i++) there[i] = draw == NULL || i == always || rng_uniform(draw) < FRAME_KEPT;
  for (size_t i = 0; i < windows; i++) there[FRAMES + i] = heard;
}

static void attention_view(rng *draw, const uint8_t *item, size_t window, float *out) {
  (void)window;
  float *there = out + THERE_AT;
  rng cut = {{0}};
  memset(out, 0, NUMBERS * sizeof *out);
  there_draw(draw, item, there);
  if (draw != NULL) cut = *draw;
  for (size_t i = 0; i < FRAMES; i++) {
    rng same = cut; /* a camera does not jump from frame to frame */
    if (there[i] > 0)
      picture_view(draw != NULL ? &same : NULL, item + PICTURES_AT + i * PICTURE, SIDE, out + i * PICTURE);
  }
  for (size_t i = 0; i < WINDOWS; i++)
    if (there[FRAMES + i] > 0) sound_view(draw, item + SOUND_AT, i, out + SPECTRA_AT + i * SPECTRUM);
}

/* The tokens of a trunk: views hold `each` inputs of `shape` behind one another from number `at` on. */
static tensor *tokens_of(tape *t, const conv_trunk *trunk, const layer_linear *to_token, tensor *views, size_t at,
                         size_t each, const size_t shape[3]) {
  if (views == NULL) return NULL;
  size_t count = views->shape[0], numbers = each * shape[0] * shape[1] * shape[2];
  tensor *x = op_contiguous(t, op_slice(t, views, 1, at, numbers));
  x = x != NULL ? op_reshape(t, x, 4, (size_t[]){count * each, shape[0], shape[1], shape[2]}) : NULL;
  x = layer_linear_forward(t, to_token, conv_trunk_forward(t, trunk, x));
  return x != NULL ? op_reshape(t, x, 3, (size_t[]){count, each, WIDTH}) : NULL;
}

/* mask [count, 1, 1, TOKENS] hides what is not there; share [count, TOKENS, 1]: its part in the mean. */
static void presence_fill(const float *views, size_t count, real *mask, real *share) {
  for (size_t i = 0; i < count; i++) {
    const float *there = views + i * NUMBERS + THERE_AT;
    real sum = 0;
    for (size_t k = 0; k < TOKENS; k++) sum += there[k];
    for (size_t k = 0; k < TOKENS; k++) {
      mask[i * TOKENS + k] = there[k] > 0 ? 0 : (real)-INFINITY;
      share[i * TOKENS + k] = there[k] / sum;
    }
  }
}

static tensor *attention_forward(tape *t, const media_layers *l, const float *views, size_t count) {
  tensor *all = tape_input(t, 2, (size_t[]){count, NUMBERS}, views);
  tensor *parts[] = {
      tokens_of(t, &l->pictures, &l->from_picture, all, 0, FRAMES, (size_t[]){3, SIDE, SIDE}),
      tokens_of(t, &l->sounds, &l->from_sound, all, SPECTRA_AT, WINDOWS,
                (size_t[]){1, SOUND_VIEW_FRAMES, SOUND_VIEW_BANDS}),
  };
  tensor *mask = tape_empty(t, 4, (size_t[]){count, 1, 1, TOKENS});
  tensor *share = tape_empty(t, 3, (size_t[]){count, TOKENS, 1});
  if (mask == NULL || share == NULL) return NULL;
  presence_fill(views, count, real_data(mask), real_data(share));
  attention_options seen = {.mask = mask};
  return media_blocks_forward(t, l, op_concat(t, parts, 2, 1), &seen, share);
}

static void attention_wish(const encoder *e, media_request *request) {
  (void)e;
  request->image_side = 96;
  request->frame_max = FRAMES;
  request->sound_rate_hz = SOUND_VIEW_RATE_HZ;
}

static const media_network_kind network = {.kind = &encoder_video_attention,
                                           .bytes = BYTES,
                                           .numbers = NUMBERS,
                                           .passes = 15,
                                           .init = attention_init,
                                           .prepare = attention_prepare,
                                           .view = attention_view,
                                           .forward = attention_forward};

MEDIA_NETWORK_KIND(video_attention, "video.attention",
                   "transformer blocks over frames and sound, trained on the catalogue", MODALITY_VIDEO, attention_wish)
