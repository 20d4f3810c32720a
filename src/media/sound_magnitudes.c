/* media/sound_magnitudes.c: see sound_magnitudes in media/sound.h. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "media/sound.h"
#include "media/spectrum.h"

/* The transform's own window is as long as itself: a shorter one takes its place, with zeros behind. */
static void shorten(spectrum *s, uint32_t window) {
  for (uint32_t i = 0; i < s->window; i++)
    s->weights[i] = i < window ? (float)(0.5 - 0.5 * cos(2 * M_PI * i / window)) : 0;
}

medley_status sound_magnitudes(const sound *s, uint32_t window, uint32_t transform, uint32_t hop, float **out,
                               size_t *frames, medley_error *err) {
  medley_status status = MEDLEY_OK;
  spectrum spectrum = {0};
  float *samples = NULL; /* of one frame */
  *out = NULL;
  *frames = 0;
  if (window == 0 || window > transform || hop == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "a window of %u samples, moved by %u, in a transform of %u", window, hop, transform);
  TRY(spectrum_init(&spectrum, transform, err));
  shorten(&spectrum, window);
  TRY_NEW(samples, transform, "a spectrum");
  size_t count = s->count >= window ? 1 + (s->count - window) / hop : 0;
  TRY_NEW(*out, count * spectrum.bins, "a spectrum");
  for (size_t f = 0; f < count; f++) {
    float *magnitude = *out + f * spectrum.bins;
    memcpy(samples, s->samples + f * hop, window * sizeof *samples);
    spectrum_power(&spectrum, samples, magnitude);
    for (uint32_t b = 0; b < spectrum.bins; b++) magnitude[b] = sqrtf(magnitude[b]);
  }
  *frames = count;
done:
  mem_free(samples);
  spectrum_deinit(&spectrum);
  return status;
}
