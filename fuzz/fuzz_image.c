/* Any bytes as a picture, small and cropped; the pixel limit keeps each run short. */
#include <stdint.h>

#include "media/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const image_options options[] = {
      {.side = 64, .pixel_limit = 1 << 22},
      {.side = 32, .crop = IMAGE_CROP_ATTENTION, .denoise = 1, .contrast = 1, .pixel_limit = 1 << 22},
  };
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    image out;
    if (image_load_bytes(data, size, &options[i], &out, NULL) != MEDLEY_OK) return 0;
    if (out.width == 0 || out.height == 0 || out.width > 64 || out.height > 64) __builtin_trap();
    image_deinit(&out);
  }
  return 0;
}
