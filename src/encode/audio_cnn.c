/* encode/audio_cnn.c: a sound as what the filters of four convolutions find in its log-mel spectrum, the mean over
 * windows of a second and a half, learnt from the catalogue's own sounds. Of longer ones the first eight seconds. */
#include "encode/media_network.h"
#include "encode/sound_view.h"

enum { FRAMES_MOST = 512 };

static void cnn_init(media_layers *l, parameters *p, size_t dim) {
  static const size_t channels[CONV_TRUNK_LAYERS] = {16, 32, 64, 96};
  conv_trunk_init(&l->sounds, p, "trunk", 1, channels);
  layer_linear_init(&l->out, p, "out", 2 * channels[CONV_TRUNK_LAYERS - 1], dim, true);
}

static medley_status cnn_prepare(const encoder_input *input, uint8_t *item, medley_error *err) {
  return sound_squeeze(input->sound, FRAMES_MOST, item, err);
}

static tensor *cnn_forward(tape *t, const media_layers *l, const float *views, size_t count) {
  tensor *x = tape_input(t, 4, (size_t[]){count, 1, SOUND_VIEW_FRAMES, SOUND_VIEW_BANDS}, views);
  return layer_linear_forward(t, &l->out, conv_trunk_forward(t, &l->sounds, x));
}

static void cnn_wish(const encoder *e, media_request *request) {
  (void)e;
  request->sound_rate_hz = SOUND_VIEW_RATE_HZ;
}

static const media_network_kind network = {.kind = &encoder_audio_cnn,
                                           .bytes = SOUND_VIEW_BYTES(FRAMES_MOST),
                                           .numbers = SOUND_VIEW_FRAMES * SOUND_VIEW_BANDS,
                                           .passes = 20,
                                           .init = cnn_init,
                                           .prepare = cnn_prepare,
                                           .windows = sound_view_windows,
                                           .view = sound_view,
                                           .forward = cnn_forward};

MEDIA_NETWORK_KIND(audio_cnn, "audio.cnn", "a convolutional network over log-mel, trained on the catalogue",
                   MODALITY_AUDIO, cnn_wish)
