/* encode/image_patches.c: image.vit: a picture as the mean of its patches after each has looked at all others
 * (Dosovitskiy et al. 2021), learnt from the catalogue's own pictures. Small: 36 patches of 8 × 8, width 64. Published
 * ViTs are encode/image_vit.c. */
#include <string.h>

#include "encode/media_network.h"
#include "encode/picture_view.h"

enum {
  PATCH = 8,
  ACROSS = PICTURE_SIDE / PATCH,
  PATCHES = ACROSS * ACROSS,
  NUMBERS = 3 * PATCH * PATCH, /* of a patch */
  WIDTH = 64
};

static void vit_init(media_layers *l, parameters *p, size_t dim) {
  layer_conv_init(&l->patches, p, "patches",
                  &(layer_conv_options){.in = 3, .out = WIDTH, .kernel = {PATCH, PATCH}, .stride = {PATCH, PATCH}});
  media_blocks_init(l, p, WIDTH, PATCHES, dim);
}

/* [count, PATCHES, NUMBERS]: what each patch shows, in the order of a convolution's weight. */
static tensor *patches_of(tape *t, const float *views, size_t count) {
  tensor *patches = tape_empty(t, 3, (size_t[]){count, PATCHES, NUMBERS});
  if (patches == NULL) return NULL;
  real *to = real_data(patches);
  for (size_t i = 0; i < count; i++)
    for (size_t p = 0; p < PATCHES; p++)
      for (size_t line = 0; line < 3 * PATCH; line++, to += PATCH) {
        size_t y = p / ACROSS * PATCH + line % PATCH, x = p % ACROSS * PATCH;
        memcpy(to, views + ((i * 3 + line / PATCH) * PICTURE_SIDE + y) * PICTURE_SIDE + x, PATCH * sizeof *to);
      }
  return patches;
}

/* Patches do not overlap, so that their convolution is a linear layer over each. */
static tensor *vit_forward(tape *t, const media_layers *l, const float *views, size_t count) {
  const tensor *stored = l->patches.weight;
  tensor *weight = op_reshape(t, l->patches.weight, 2, (size_t[]){WIDTH, NUMBERS});
  if (weight == NULL) return NULL;
  weight->scale = stored->scale;
  return media_blocks_forward(t, l, op_linear(t, patches_of(t, views, count), weight, l->patches.bias), NULL, NULL);
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
