/* Video of any container and codec, from memory, small and short. */
#include <stddef.h>
#include <stdint.h>

#include "media/video.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  video v;
  video_options options = {
      .side = 32, .frame_max = 4, .seconds = 2, .sound_rate_hz = 8000, .sound_seconds = 1, .pixel_limit = 1 << 20};
  if (video_load_bytes(data, size, &options, &v, NULL) == MEDLEY_OK) video_deinit(&v);
  return 0;
}
