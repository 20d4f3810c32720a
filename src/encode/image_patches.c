/* encode/image_patches.c: image.vit: a picture as the mean of its patches after each has looked at all others
 * (Dosovitskiy et al. 2021), learnt from the catalogue's own pictures. Small: 36 patches of 8 × 8, width 64. Published
 * ViTs are encode/image_vit.c. */
#include "encode/media_network.h"
#include "encode/picture_view.h"

enum { SIDE = 48, PATCH = 8, PATCHES = (SIDE / PATCH) * (SIDE / PATCH), WIDTH = 64, DECODED_SIDE = 96 };

static void vit_init(media_layers *l, parameters *p, size_t dim) {
  layer_conv_init(&l->patches, p, "patches",
                  &(layer_conv_options){.in = 3, .out = WIDTH, .kernel = {PATCH, PATCH}, .stride = {PATCH, PATCH}});
  media_blocks_init(l, p, WIDTH, PATCHES, dim);
}

static medley_status vit_prepare(const encoder_input *input, uint8_t *item, medley_error *err) {
  return picture_squeeze(input->image, SIDE, item, err);
}

static void vit_view(rng *draw, const uint8_t *item, size_t window, float *out) {
  (void)window;
  picture_view(draw, item, SIDE, out);
}

static tensor *vit_forward(tape *t, const media_layers *l, const float *views, size_t count) {
  tensor *x = tape_input(t, 4, (size_t[]){count, 3, SIDE, SIDE}, views);
  x = layer_conv_forward(t, &l->patches, x);
  x = x != NULL ? op_reshape(t, x, 3, (size_t[]){count, WIDTH, PATCHES}) : NULL;
  return media_blocks_forward(t, l, x != NULL ? op_transpose(t, x) : NULL, NULL, NULL);
}

static void vit_wish(const encoder *e, media_request *request) {
  (void)e;
  request->image_side = DECODED_SIDE;
}

static const media_network_kind network = {.kind = &encoder_image_patches,
                                           .bytes = SIDE * SIDE * 3,
                                           .numbers = SIDE * SIDE * 3,
                                           .passes = 15,
                                           .init = vit_init,
                                           .prepare = vit_prepare,
                                           .view = vit_view,
                                           .forward = vit_forward};

MEDIA_NETWORK_KIND(image_patches, "image.vit", "three transformer blocks over patches, trained on the catalogue",
                   MODALITY_IMAGE, vit_wish)
