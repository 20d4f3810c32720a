/* encode/image_cnn.c: a picture as what the filters of four convolutions find in it, learnt from the catalogue's own
 * pictures. */
#include "encode/media_network.h"
#include "encode/picture_view.h"

static void cnn_init(media_layers *l, parameters *p, size_t dim) {
  static const size_t channels[CONV_TRUNK_LAYERS] = {16, 32, 64, 96};
  conv_trunk_init(&l->pictures, p, "trunk", 3, channels);
  layer_linear_init(&l->out, p, "out", 2 * channels[CONV_TRUNK_LAYERS - 1], dim, true);
}

static tensor *cnn_forward(tape *t, const media_layers *l, const float *views, size_t count) {
  tensor *x = tape_input(t, 4, (size_t[]){count, 3, PICTURE_SIDE, PICTURE_SIDE}, views);
  return layer_linear_forward(t, &l->out, conv_trunk_forward(t, &l->pictures, x));
}

static const media_network_kind network = {.kind = &encoder_image_cnn,
                                           .bytes = PICTURE_BYTES,
                                           .numbers = PICTURE_BYTES,
                                           .passes = 15,
                                           .init = cnn_init,
                                           .prepare = picture_item_prepare,
                                           .view = picture_item_view,
                                           .forward = cnn_forward};

MEDIA_NETWORK_KIND(image_cnn, "image.cnn", "a convolutional network over the picture, trained on the catalogue",
                   MODALITY_IMAGE, picture_item_wish)
