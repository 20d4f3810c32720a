/* encode/image_patches.c: image.vit: a picture as the mean of its patches after each has looked at all others
 * (Dosovitskiy et al. 2021), learnt from the catalogue's own pictures. Small: 36 patches of 8 × 8, width 64. Published
 * ViTs are encode/image_vit.c. */
#include "encode/media_network.h"
#include "encode/picture_view.h"

enum { PATCH = 8, PATCHES = (PICTURE_SIDE / PATCH) * (PICTURE_SIDE / PATCH), WIDTH = 64 };

static void vit_init(media_layers *l, parameters *p, size_t dim) {
  layer_conv_init(&l->patches, p, "patches",
                  &(layer_conv_options){.in = 3, .out = WIDTH, .kernel = {PATCH, PATCH}, .stride = {PATCH, PATCH}});
  media_blocks_init(l, p, WIDTH, PATCHES, dim);
}

static tensor *vit_forward(tape *t, const media_layers *l, const float *views, size_t count) {
  tensor *x = tape_input(t, 4, (size_t[]){count, 3, PICTURE_SIDE, PICTURE_SIDE}, views);
  x = layer_conv_forward(t, &l->patches, x);
  x = x != NULL ? op_reshape(t, x, 3, (size_t[]){count, WIDTH, PATCHES}) : NULL;
  return media_blocks_forward(t, l, x != NULL ? op_transpose(t, x) : NULL, NULL, NULL);
}

static const media_network_kind network = {.kind = &encoder_image_patches,
                                           .bytes = PICTURE_BYTES,
                                           .numbers = PICTURE_BYTES,
                                           .passes = 15,
                                           .init = vit_init,
                                           .prepare = picture_item_prepare,
                                           .view = picture_item_view,
                                           .forward = vit_forward};

MEDIA_NETWORK_KIND(image_patches, "image.vit", "three transformer blocks over patches, trained on the catalogue",
                   MODALITY_IMAGE, picture_item_wish)
