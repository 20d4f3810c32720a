/* Sound of any container and codec, from memory, two seconds of it. */
#include <stddef.h>
#include <stdint.h>

#include "media/sound_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  sound s;
  sound_options options = {.rate_hz = 8000, .seconds = 2};
  if (sound_load_bytes(data, size, "", &options, &s, NULL) == MEDLEY_OK) sound_deinit(&s);
  return 0;
}
