/* Video: cuts, the choice of frames, clips of our own written and read back, real and broken files. */
#include "test.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "media/video.h"
#include "media/video_choose.h"

#define WIDTH 160
#define HEIGHT 96

static image picture_make(uint32_t width, uint32_t height) {
  image i = {width, height, mem_zalloc((size_t)width * height, 3)};
  assert_non_null(i.rgb);
  return i;
}

/* A ground of one colour, with a checkered square that moves: sharp enough for a poster. */
static void picture_draw(image *p, const uint8_t ground[3], uint32_t at, bool square) {
  for (uint32_t y = 0; y < p->height; y++)
    for (uint32_t x = 0; x < p->width; x++) {
      uint8_t *to = p->rgb + 3 * ((size_t)y * p->width + x);
      memcpy(to, ground, 3);
      if (square && y >= 20 && y < 60 && x >= 10 + at % 80 && x < 50 + at % 80)
        memset(to, (x / 8 + y / 8) % 2 ? 240 : 30, 3);
    }
}

static const uint8_t red[3] = {200, 40, 30}, green[3] = {40, 170, 60}, blue[3] = {30, 60, 190}, black[3] = {0, 0, 0};

/* ---- choice ---- */

static void test_looks(void **state) {
  (void)state;
  frame_look a, b;
  image p = picture_make(64, 64);
  picture_draw(&p, red, 0, false);
  frame_look_measure(&p, &a);
  float sum = 0;
  for (int i = 0; i < LOOK_BINS; i++) sum += a.bins[0][i];
  assert_near(sum, 1, 1e-4);
  assert_near(frame_look_distance(&a, &a), 0, 0);
  picture_draw(&p, blue, 0, false);
  frame_look_measure(&p, &b);
  assert_true(frame_look_distance(&a, &b) > 0.5f);
  /* A slightly lighter frame is no cut. */
  picture_draw(&p, (uint8_t[]){206, 46, 36}, 0, false);
  frame_look_measure(&p, &b);
  assert_true(frame_look_distance(&a, &b) < 0.25f);
  image_deinit(&p);
}

static void gathering_fill(video_gathering *g, double from_s, double to_s, const uint8_t ground[3], bool square) {
  medley_error error;
  assert_ok(video_gathering_begin_scene(g, from_s, &error));
  for (double t = from_s; t < to_s - 1e-6; t += 0.25) {
    if (t < g->next_s) continue;
    image p = picture_make(64, 64);
    picture_draw(&p, ground, (uint32_t)(t * 4), square);
    assert_ok(video_gathering_add(g, &p, t, &error));
  }
}

static void test_choice(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    uint32_t frame_max, frames, per_scene[3], poster_scene;
  } rows[] = {
      {1, 1, {0, 1, 0}, 1}, {2, 2, {1, 1, 0}, 1},    {3, 3, {1, 1, 1}, 1},
      {6, 6, {1, 4, 1}, 1}, {16, 16, {3, 12, 1}, 1}, {200, 56, {12, 40, 4}, 1},
  };
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    video_gathering g = {.capacity = 100, .interval_s = 0.25};
    video v = {0};
    uint32_t per_scene[3] = {0};
    gathering_fill(&g, 0, 3, red, true);
    gathering_fill(&g, 3, 13, green, true);
    gathering_fill(&g, 13, 14, black, false);
    assert_ok(video_choose(&g, rows[r].frame_max, &v, &error));
    assert_int_equal(v.frame_count, rows[r].frames);
    for (uint32_t i = 0; i < v.frame_count; i++) {
      per_scene[v.frame_time_s[i] < 3 ? 0 : v.frame_time_s[i] < 13 ? 1 : 2]++;
      if (i > 0) assert_true(v.frame_time_s[i] > v.frame_time_s[i - 1]);
      assert_non_null(v.frames[i].rgb);
    }
    for (int s = 0; s < 3; s++)
      if (per_scene[s] != rows[r].per_scene[s]) fail_msg("row %zu: scene %d has %u frames", r, s, per_scene[s]);
    assert_true(v.frame_time_s[v.poster] >= 3 && v.frame_time_s[v.poster] < 13);
    if (rows[r].frame_max == 1) assert_near(v.frame_time_s[0], 8, 0.3);
    video_deinit(&v);
    video_gathering_deinit(&g);
  }
}

/* A black longest scene gives no poster. */
static void test_poster_avoids_black(void **state) {
  (void)state;
  medley_error error;
  video_gathering g = {.capacity = 100, .interval_s = 0.25};
  video v = {0};
  gathering_fill(&g, 0, 10, black, false);
  gathering_fill(&g, 10, 12, blue, true);
  assert_ok(video_choose(&g, 8, &v, &error));
  assert_true(v.frame_time_s[v.poster] >= 10);
  video_deinit(&v);
  video_gathering_deinit(&g);
}

/* Bounded whatever comes: a long scene, and more scenes than there is room. */
static void test_gathering_is_bounded(void **state) {
  (void)state;
  medley_error error;
  video_gathering g = {.capacity = 20, .interval_s = 0.25};
  gathering_fill(&g, 0, 500, red, true);
  assert_true(g.count <= 20);
  assert_true(g.candidates[0].time_s < 100 && g.candidates[g.count - 1].time_s > 400);
  for (int s = 0; s < 200; s++) gathering_fill(&g, 500 + s, 501 + s, s % 2 ? green : blue, true);
  assert_true(g.count <= 20);
  video v = {0};
  assert_ok(video_choose(&g, 16, &v, &error));
  assert_int_equal(v.frame_count, g.count < 16 ? g.count : 16);
  video_deinit(&v);
  video_gathering_deinit(&g);
}

/* ---- clips ---- */

/* 2 s red, 4 s green, 1 s blue at 10 frames a second, with a tone of 440 Hz. */
static void clip_save(const char *path, bool with_sound) {
  medley_error error;
  image frames[70];
  sound tone = {.rate_hz = 22050, .count = 22050 * 7, .samples = mem_alloc(22050 * 7, sizeof(float))};
  for (size_t i = 0; i < tone.count; i++) tone.samples[i] = (float)(0.5 * sin(2 * M_PI * 440 * (double)i / 22050));
  for (uint32_t i = 0; i < 70; i++) {
    frames[i] = picture_make(WIDTH, HEIGHT);
    picture_draw(&frames[i], i < 20 ? red : i < 60 ? green : blue, i, true);
  }
  assert_ok(video_save_mp4(frames, 70, 10, with_sound ? &tone : NULL, path, &error));
  for (uint32_t i = 0; i < 70; i++) image_deinit(&frames[i]);
  sound_deinit(&tone);
}

static void test_round_trip(void **state) {
  (void)state;
  medley_error error;
  char folder[256];
  video v;
  test_folder(folder);
  char *path = path_join(folder, "clip.mp4"), *again = path_join(folder, "again.mp4"), *first, *second;
  size_t first_length, second_length;
  clip_save(path, true);
  assert_ok(video_load(path, &(video_options){.frame_max = 7}, &v, &error));
  assert_near(v.duration_s, 7, 0.11);
  assert_int_equal(v.frame_count, 7);
  assert_int_equal(v.frames[0].width, WIDTH);
  assert_int_equal(v.frames[0].height, HEIGHT);
  static const double cuts[] = {2, 6};
  uint32_t per_scene[3] = {0};
  for (uint32_t i = 0; i < v.frame_count; i++) {
    int scene = v.frame_time_s[i] < cuts[0] - 1e-6 ? 0 : v.frame_time_s[i] < cuts[1] - 1e-6 ? 1 : 2;
    const uint8_t *expected = scene == 0   ? red
                              : scene == 1 ? green
                                           : blue,
                  *corner = v.frames[i].rgb + 3 * (80 * WIDTH + 150);
    for (int c = 0; c < 3; c++) assert_near(corner[c], expected[c], 16); /* coded at a low rate */
    per_scene[scene]++;
  }
  assert_int_equal(per_scene[0], 2);
  assert_int_equal(per_scene[1], 4);
  assert_int_equal(per_scene[2], 1);
  assert_true(v.frame_time_s[v.poster] > 2 && v.frame_time_s[v.poster] < 6);
  /* The sound starts where it started: the encoder's delay of 1024 samples or more is cut. */
  assert_near((double)v.sound.count / v.sound.rate_hz, 7, 0.1);
  double dot = 0, energy = 0;
  for (size_t i = 4410; i < 22050; i++) {
    double expected = sin(2 * M_PI * 440 * (double)i / 22050);
    dot += expected * v.sound.samples[i];
    energy += (double)v.sound.samples[i] * v.sound.samples[i];
  }
  assert_true(dot / sqrt(energy * (22050 - 4410) / 2) > 0.98);
  video_deinit(&v);
  /* The same clip gives the same bytes. */
  clip_save(again, true);
  assert_ok(file_read(path, 1 << 24, &first, &first_length, &error));
  assert_ok(file_read(again, 1 << 24, &second, &second_length, &error));
  assert_int_equal(first_length, second_length);
  assert_memory_equal(first, second, first_length);
  mem_free(first);
  mem_free(second);
  /* Smaller, silent, only the beginning. */
  clip_save(path, false);
  assert_ok(video_load(path, &(video_options){.side = 80, .seconds = 1.5}, &v, &error));
  assert_int_equal(v.frames[0].width, 80);
  assert_int_equal(v.frames[0].height, 48);
  assert_true(v.frame_time_s[v.frame_count - 1] <= 1.5);
  assert_int_equal(v.sound.count, 0);
  video_deinit(&v);
  assert_ok(folder_remove(folder, &error));
  mem_free(path);
  mem_free(again);
}

static void test_broken_clips(void **state) {
  (void)state;
  medley_error error;
  char folder[256], *bytes;
  size_t length, loaded = 0;
  video v;
  test_folder(folder);
  char *path = path_join(folder, "clip.mp4");
  clip_save(path, true);
  assert_ok(file_read(path, 1 << 24, &bytes, &length, &error));
  /* Some bytes changed, one at a time, in the pictures and in the index: either a video or a sentence. */
  for (size_t at = 0; at < length; at += 97 * 24) {
    bytes[at] ^= 0x55;
    memset(&error, 0, sizeof error);
    medley_status status = video_load_bytes(bytes, length, &(video_options){.side = 64}, &v, &error);
    bytes[at] ^= 0x55;
    if (status == MEDLEY_OK) {
      assert_true(v.frame_count > 0 && v.poster < v.frame_count);
      video_deinit(&v);
      loaded++;
    } else {
      assert_true(error.text[0] != '\0');
    }
  }
  assert_true(loaded > 0);
  assert_refused(video_load_bytes(bytes, length / 2, NULL, &v, &error), MEDLEY_ERR_INPUT,
                 ""); /* the index stands at the end */
  assert_refused(video_load_bytes(bytes, length, &(video_options){.pixel_limit = 100}, &v, &error), MEDLEY_ERR_INPUT,
                 "");
  mem_free(bytes);
  assert_ok(folder_remove(folder, &error));
  mem_free(path);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error;
  video v;
  image odd = picture_make(15, 16), even = picture_make(16, 16), pair[2] = {even, odd};
  assert_refused(video_load("/no/such.mp4", NULL, &v, &error), MEDLEY_ERR_NOT_FOUND, "cannot open '/no/such.mp4'");
  assert_refused(video_load("x", &(video_options){.side = 5000}, &v, &error), MEDLEY_ERR_USAGE,
                 "choose at most 1024 of 4096");
  assert_refused(video_load_bytes("hello there", 11, NULL, &v, &error), MEDLEY_ERR_INPUT, "no sound or video format");
  assert_refused(video_save_mp4(NULL, 0, 10, NULL, "x", &error), MEDLEY_ERR_USAGE, "0 frames at 10 a second");
  assert_refused(video_save_mp4(pair, 2, 10, NULL, "x", &error), MEDLEY_ERR_USAGE, "frame 1 is 15 × 16");
  assert_refused(video_save_mp4(&even, 1, 10, NULL, "/no/such/clip.mp4", &error), MEDLEY_ERR_IO, "/no/such/clip.mp4");
  image_deinit(&odd);
  image_deinit(&even);
}

#ifdef MEDLEY_FAULTS
static void test_memory_running_out(void **state) {
  (void)state;
  medley_error error;
  char folder[256], *bytes;
  size_t length;
  video v;
  long n = 1;
  test_folder(folder);
  char *path = path_join(folder, "clip.mp4");
  clip_save(path, true);
  assert_ok(file_read(path, 1 << 24, &bytes, &length, &error));
  for (bool struck = true; struck; n++) {
    memory_fault_after(n);
    medley_status status = video_load_bytes(bytes, length, &(video_options){.side = 32, .seconds = 1}, &v, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    if (status == MEDLEY_OK) video_deinit(&v);
  }
  printf("%ld allocations failed in turn\n", n - 2);
  mem_free(bytes);
  assert_ok(folder_remove(folder, &error));
  mem_free(path);
}
#endif

/* ---- real files ---- */

static void test_real_videos(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    const char *name;
    double duration_s;
    bool sound;
  } rows[] = {
      {"decoders/video/demo/demo.mp4", 10, false},
      {"decoders/video/microlens-archery.mp4", 0, false},
      {"decoders/video/tests/data/test.avi", 0, true},
      {"decoders/video/tools/data/skeleton/S001C001P001R001A001_rgb.avi", 0, false},
  };
  char path[512];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    video v;
    if (test_data(rows[i].name, path) == NULL) skip();
    double started = clock_now_s();
    assert_ok(video_load(path, NULL, &v, &error));
    printf("%s: %.1f s, %u frames of %u x %u, poster at %.1f s, sound %.1f s, took %.2f s\n", path_name(path),
           v.duration_s, v.frame_count, v.frames[0].width, v.frames[0].height, v.frame_time_s[v.poster],
           v.sound.rate_hz ? (double)v.sound.count / v.sound.rate_hz : 0, clock_now_s() - started);
    assert_true(v.frame_count >= 4 && v.frame_count <= 16);
    assert_true(v.frames[0].width <= 256 && v.frames[0].height <= 256);
    if (rows[i].sound) assert_true(v.sound.count > 0);
    video_deinit(&v);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_looks),
      cmocka_unit_test(test_choice),
      cmocka_unit_test(test_poster_avoids_black),
      cmocka_unit_test(test_gathering_is_bounded),
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_broken_clips),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_real_videos),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_running_out),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
