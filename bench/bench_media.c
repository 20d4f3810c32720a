/* Decoding through the worker pool, two workers, warm: pictures a second and sounds a second on real files; and how
 * much faster than real time the spectral features are. The bar for posters of 120 pixels is 600 a second on two free
 * cores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "media/sound.h"
#include "media/worker.h"

static medley_status drop(void *context, size_t index, medley_status status, media_sample *sample, const char *reason) {
  size_t *good = context;
  (void)index, (void)reason;
  if (status != MEDLEY_OK) return MEDLEY_OK;
  ++*good;
  media_sample_deinit(sample);
  return MEDLEY_OK;
}

/* Every file of a folder, twice: the first round starts the workers and warms the file cache. */
static medley_status bench_folder(media_pool *pool, const char *data, const char *name, modality kind, uint32_t side,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  char **names = NULL, *folder = path_join(data, name);
  size_t count = 0, good = 0;
  media_request *requests = NULL;
  if (folder == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory");
  TRY(folder_list(folder, &names, &count, err));
  TRY_NEW(requests, count, "requests");
  for (size_t i = 0; i < count; i++)
    requests[i] = (media_request){.kind = kind, .path = path_join(folder, names[i]), .image_side = side};
  TRY(media_pool_run(pool, requests, count, drop, &good, NULL, err));
  double started = clock_now_s();
  TRY(media_pool_run(pool, requests, count, drop, &good, NULL, err));
  double took = clock_now_s() - started;
  printf("%-22s side %4u  %6zu files  %5.2f s  %6.0f a second\n", name, side, good / 2, took, (double)count / took);
done:
  for (size_t i = 0; requests != NULL && i < count; i++) mem_free((char *)requests[i].path);
  mem_free(requests);
  folder_list_free(names, count);
  mem_free(folder);
  return status;
}

/* 60 s of a chord with a beat at 22050 Hz. */
static medley_status bench_features(medley_error *err) {
  medley_status status = MEDLEY_OK;
  sound s = {.rate_hz = 22050, .count = 22050 * 60}, out = {0};
  float *values = NULL;
  size_t frames;
  double bpm, at[6];
  TRY_NEW(s.samples, s.count, "a sound");
  for (size_t i = 0; i < s.count; i++)
    s.samples[i] = (float)((i % 11025 < 2000 ? 0.5 : 0.05) * (sin(0.06 * (double)i) + sin(0.09 * (double)i)) +
                           1e-3 * (rand() % 100));
  at[0] = clock_now_s();
  TRY(sound_mfcc(&s, NULL, 20, &values, &frames, err));
  mem_free(values);
  at[1] = clock_now_s();
  TRY(sound_chroma(&s, NULL, &values, &frames, err));
  mem_free(values);
  at[2] = clock_now_s();
  TRY(sound_tempo(&s, &bpm, err));
  at[3] = clock_now_s();
  TRY(sound_process(&s, &(sound_options){.denoise = 1}, &out, err));
  at[4] = clock_now_s();
  (void)sound_loudness_lufs(&s);
  at[5] = clock_now_s();
  static const char *const names[] = {"mfcc", "chroma", "tempo", "denoise", "loudness"};
  for (int i = 0; i < 5; i++)
    printf("%-22s %.0f ms for 60 s of sound, %.0f times real time\n", names[i], (at[i + 1] - at[i]) * 1e3,
           60 / (at[i + 1] - at[i]));
done:
  sound_deinit(&s);
  sound_deinit(&out);
  return status;
}

int main(void) {
  medley_error error = {0};
  media_pool *pool = NULL;
  const char *data = getenv("MEDLEY_DATA");
  medley_status status = bench_features(&error);
  if (status == MEDLEY_OK && data != NULL && file_is_folder(data)) {
    static const struct {
      const char *name;
      modality kind;
      uint32_t side;
    } rows[] = {
        {"movies/posters", MODALITY_IMAGE, 0},  {"movies/posters", MODALITY_IMAGE, 128},
        {"photos/images", MODALITY_IMAGE, 0},   {"photos/images", MODALITY_IMAGE, 224},
        {"creatures/cries", MODALITY_AUDIO, 0}, {"speech", MODALITY_AUDIO, 0},
    };
    status = media_pool_create(2, NULL, &pool, &error);
    for (size_t i = 0; status == MEDLEY_OK && i < sizeof rows / sizeof *rows; i++)
      status = bench_folder(pool, data, rows[i].name, rows[i].kind, rows[i].side, &error);
  }
  media_pool_free(pool);
  if (status != MEDLEY_OK) fprintf(stderr, "%s\n", error.text);
  return status == MEDLEY_OK ? 0 : 1;
}
