/* media/spectrum.c: see media/spectrum.h. */
#include "media/spectrum.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/memory.h"

/* Set up once, for the process: it guards a table that FFTW keeps for the process. */
static pthread_mutex_t planner_lock = PTHREAD_MUTEX_INITIALIZER;

medley_status spectrum_init(spectrum *s, uint32_t window, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *s = (spectrum){.window = window, .bins = window / 2 + 1};
  if (window < SPECTRUM_WINDOW_MIN || window > SPECTRUM_WINDOW_MAX || window % 2 != 0)
    FAIL(err, MEDLEY_ERR_USAGE, "a window of %u samples; choose an even number from %d to %d", window,
         SPECTRUM_WINDOW_MIN, SPECTRUM_WINDOW_MAX);
  TRY_NEW(s->weights, window, "a spectrum");
  TRY_NEW(s->time, window, "a spectrum");
  TRY_NEW(s->frequency, s->bins, "a spectrum");
  for (uint32_t i = 0; i < window; i++) s->weights[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / window));
  pthread_mutex_lock(&planner_lock);
  s->forward = fftwf_plan_dft_r2c_1d((int)window, s->time, s->frequency, FFTW_ESTIMATE);
  s->inverse = fftwf_plan_dft_c2r_1d((int)window, s->frequency, s->time, FFTW_ESTIMATE);
  pthread_mutex_unlock(&planner_lock);
  if (s->forward == NULL || s->inverse == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a Fourier transform");
done:
  if (status != MEDLEY_OK) spectrum_deinit(s);
  return status;
}

void spectrum_deinit(spectrum *s) {
  pthread_mutex_lock(&planner_lock);
  if (s->forward != NULL) fftwf_destroy_plan(s->forward);
  if (s->inverse != NULL) fftwf_destroy_plan(s->inverse);
  pthread_mutex_unlock(&planner_lock);
  mem_free(s->weights);
  mem_free(s->time);
  mem_free(s->frequency);
  *s = (spectrum){0};
}

void spectrum_forward(spectrum *s, const float *samples) {
  for (uint32_t i = 0; i < s->window; i++) s->time[i] = samples[i] * s->weights[i];
  fftwf_execute(s->forward);
}

void spectrum_power(spectrum *s, const float *samples, float *power) {
  spectrum_forward(s, samples);
  for (uint32_t b = 0; b < s->bins; b++) {
    float re = s->frequency[b][0], im = s->frequency[b][1];
    power[b] = re * re + im * im;
  }
}

void spectrum_inverse(spectrum *s) {
  fftwf_execute(s->inverse);
  float scale = 1.0f / (float)s->window;
  for (uint32_t i = 0; i < s->window; i++) s->time[i] *= scale;
}
