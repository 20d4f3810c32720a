/* index/asked.c: see index/asked.h. */
#include "index/asked.h"

#include <math.h>

#include "base/memory.h"
#include "math/vector.h"

void asked_init(asked *a, size_t dim) {
  *a = (asked){.dim = dim};
  pthread_mutex_init(&a->lock, NULL);
}

void asked_deinit(asked *a) {
  if (a->dim == 0) return;
  pthread_mutex_destroy(&a->lock);
  mem_free(a->halves);
  mem_free(a->scale);
  *a = (asked){0};
}

static size_t places_for(const asked *a, size_t vectors) {
  size_t places = vectors * ASKED_BYTES_EACH / (a->dim * sizeof *a->halves);
  return places < ASKED_MIN ? ASKED_MIN : places < ASKED_MAX ? places : ASKED_MAX;
}

/* Without memory it stays as it was. */
static void grow(asked *a, size_t places) {
  uint16_t *halves = mem_resize(a->halves, places * a->dim, sizeof *halves);
  if (halves != NULL) a->halves = halves;
  float *scale = mem_resize(a->scale, places, sizeof *scale);
  if (scale != NULL) a->scale = scale;
  if (halves == NULL || scale == NULL) return;
  a->places = places;
  a->bytes = places * (a->dim * sizeof *halves + sizeof *scale);
}

static float greatest(const float *vector, size_t dim) {
  float most = 0;
  for (size_t d = 0; d < dim; d++) most = fmaxf(most, fabsf(vector[d]));
  return most;
}

/* A part at a time through a small buffer, so that searching needs no memory for it. */
static void put(asked *a, size_t place, const float *vector) {
  float part[64], most = greatest(vector, a->dim);
  a->scale[place] = most;
  for (size_t at = 0; at < a->dim; at += 64) {
    size_t count = a->dim - at < 64 ? a->dim - at : 64;
    for (size_t i = 0; i < count; i++) part[i] = most > 0 ? vector[at + i] / most : 0;
    half_from_float(a->halves + place * a->dim + at, part, count);
  }
}

void asked_remember(asked *a, const float *vector, size_t vectors) {
  if (atomic_fetch_add_explicit(&a->searches, 1, memory_order_relaxed) % ASKED_EVERY != 0) return;
  if (pthread_mutex_trylock(&a->lock) != 0) return;
  if (a->next == a->places) { /* full, or round once more: the time to have more places */
    size_t places = places_for(a, vectors);
    if (places > a->places) grow(a, places);
    if (a->next == a->places) a->next = 0;
  }
  if (a->places > 0) {
    put(a, a->next++, vector);
    if (a->count < a->next) a->count = a->next;
  }
  pthread_mutex_unlock(&a->lock);
}

size_t asked_take(asked *a, size_t most, float *out) {
  pthread_mutex_lock(&a->lock);
  size_t taken = a->count < most ? a->count : most;
  for (size_t i = 0; i < taken; i++) {
    float_from_half(out + i * a->dim, a->halves + i * a->dim, a->dim);
    for (size_t d = 0; d < a->dim; d++) out[i * a->dim + d] *= a->scale[i];
  }
  pthread_mutex_unlock(&a->lock);
  return taken;
}
