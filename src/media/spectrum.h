/* media/spectrum.h: one windowed Fourier transform at a time, private to the media folder.
 *
 * Threads: FFTW's planner keeps a table of the whole process and is not thread-safe, so plans are made and destroyed
 * under one lock in spectrum.c; running a plan needs no lock. A spectrum has its own scratch arrays and therefore
 * serves one thread at a time: every sound_* call makes its own, which costs microseconds, since plans are estimated
 * rather than measured (a measured plan may differ from run to run and with it the last bits of a result).
 */
#ifndef MEDIA_SPECTRUM_H
#define MEDIA_SPECTRUM_H

#include <fftw3.h>
#include <stdint.h>

#include "base/error.h"

#define SPECTRUM_WINDOW_MIN 16
#define SPECTRUM_WINDOW_MAX 65536

typedef struct spectrum {
  uint32_t window, bins;    /* bins = window / 2 + 1, from 0 Hz to half the rate */
  float *weights;           /* [window] Hann, periodic: 0.5 - 0.5 cos(2 pi i / window) */
  float *time;              /* [window] what goes in and comes back */
  fftwf_complex *frequency; /* [bins] */
  fftwf_plan forward, inverse;
} spectrum;

medley_status spectrum_init(spectrum *s, uint32_t window, medley_error *err) MEDLEY_CHECK;
void spectrum_deinit(spectrum *s); /* harmless when zeroed */
/* samples [window] times the Hann window → s->frequency, unnormalised. */
void spectrum_forward(spectrum *s, const float *samples);
/* |s->frequency|² after spectrum_forward; power: [bins]. */
void spectrum_power(spectrum *s, const float *samples, float *power);
/* s->frequency → s->time, scaled so that forward and inverse give the windowed samples back. Destroys s->frequency. */
void spectrum_inverse(spectrum *s);

#endif
