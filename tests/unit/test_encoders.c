/* The encoders that need no fitting: blocks by hand, slow twins, smallest inputs, and the table's promises for all. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "encode/audio_mfcc.h"
#include "encode/encoder.h"
#include "encode/image_blocks.h"
#include "encode/image_descriptor.h"
#include "math/vector.h"

/* ---- pictures ---- */

typedef void (*painter)(int x, int y, int width, int height, uint8_t rgb[3]);

static void paint_red(int x, int y, int width, int height, uint8_t rgb[3]) {
  (void)x, (void)y, (void)width, (void)height;
  rgb[0] = 220, rgb[1] = 20, rgb[2] = 30;
}

static void paint_blue_left(int x, int y, int width, int height, uint8_t rgb[3]) {
  (void)y, (void)height;
  rgb[0] = rgb[1] = x < width / 2 ? 20 : 255;
  rgb[2] = x < width / 2 ? 200 : 255;
}

static void paint_stripes(int x, int y, int width, int height, uint8_t rgb[3]) {
  (void)y, (void)height;
  rgb[0] = rgb[1] = rgb[2] = x * 12 / width % 2 ? 230 : 30;
}

static void paint_noise(int x, int y, int width, int height, uint8_t rgb[3]) {
  rng r;
  rng_seed(&r, (uint64_t)(y * width + x) + (uint64_t)height);
  for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)rng_below(&r, 256);
}

static image painted(uint32_t width, uint32_t height, painter paint) {
  image i = {width, height, mem_alloc((size_t)width * height * 3, 1)};
  assert_non_null(i.rgb);
  for (uint32_t y = 0; y < height; y++)
    for (uint32_t x = 0; x < width; x++) paint((int)x, (int)y, (int)width, (int)height, i.rgb + (y * width + x) * 3);
  return i;
}

static void describe(uint32_t width, uint32_t height, painter paint, float out[IMAGE_DESCRIPTOR_DIM]) {
  medley_error error = {0};
  image i = painted(width, height, paint);
  assert_ok(image_descriptor_frames(&i, 1, out, &error));
  image_deinit(&i);
}

static void test_colour_by_hand(void **state) {
  (void)state;
  static float out[COLOUR_DIM];
  block_tables t;
  block_tables_init(&t);
  assert_near(t.linear[255], 1, 1e-6);
  assert_near(t.linear[128], 0.21586, 1e-4); /* sRGB's own table */
  image white = painted(BLOCKS_COLOUR_SIDE, BLOCKS_COLOUR_SIDE, paint_blue_left);
  colour_layout(&t, white.rgb, out);
  /* Half of the whole is white (the last grey), all of the right cells of the 2 × 2 grid are. */
  assert_near(out[COLOUR_BINS - 1], sqrt(0.5), 1e-3);
  assert_near(out[COLOUR_BINS + COLOUR_BINS - 1], 0, 1e-3);
  assert_near(out[2 * COLOUR_BINS + COLOUR_BINS - 1], 1, 1e-3);
  /* Every cell's shares add up to one. */
  for (size_t c = 0; c < COLOUR_CELLS; c++) {
    double sum = 0;
    for (size_t b = 0; b < COLOUR_BINS; b++) sum += pow(out[c * COLOUR_BINS + b], 2);
    assert_near(sum, 1, 1e-4);
  }
  image_deinit(&white);
}

static void test_edges_by_hand(void **state) {
  (void)state;
  static float out[EDGE_DIM];
  image stripes = painted(BLOCKS_SIDE, BLOCKS_SIDE, paint_stripes), red = painted(BLOCKS_SIDE, BLOCKS_SIDE, paint_red);
  edge_layout(stripes.rgb, out);
  /* Upright stripes: gradients along x only, which stand between the first and the last bin. */
  for (size_t c = 0; c < EDGE_CELLS * EDGE_CELLS; c++) {
    const float *cell = out + c * EDGE_BINS;
    assert_near(cell[0], cell[EDGE_BINS - 1], 1e-4);
    for (size_t b = 1; b + 1 < EDGE_BINS; b++) assert_near(cell[b], 0, 1e-5);
  }
  assert_true(out[(3 * EDGE_CELLS + 3) * EDGE_BINS] > 0.2f);
  edge_layout(red.rgb, out);
  for (size_t i = 0; i < EDGE_DIM; i++) assert_true(out[i] == 0);
  image_deinit(&stripes);
  image_deinit(&red);
}

/* The same patterns from their definition: at most two changes around the circle are uniform, in the order of value. */
static void test_texture_twin(void **state) {
  (void)state;
  enum { SIDE = BLOCKS_SIDE, INNER = SIDE - 2 };
  static const int dx[8] = {-1, 0, 1, 1, 1, 0, -1, -1}, dy[8] = {-1, -1, -1, 0, 1, 1, 1, 0};
  static float out[TEXTURE_DIM];
  double share[TEXTURE_BINS] = {0};
  block_tables t;
  block_tables_init(&t);
  image noise = painted(SIDE, SIDE, paint_noise);
  texture_layout(&t, noise.rgb, out);
  for (int y = 1; y <= INNER; y++)
    for (int x = 1; x <= INNER; x++) {
      int grey[9], pattern = 0, changes = 0, bin = 0;
      for (int i = 0; i < 9; i++) {
        const uint8_t *p = noise.rgb + ((y + (i < 8 ? dy[i] : 0)) * SIDE + x + (i < 8 ? dx[i] : 0)) * 3;
        grey[i] = p[0] + p[1] + p[2];
      }
      for (int i = 0; i < 8; i++) pattern |= (grey[i] > grey[8] + 9) << i;
      for (int i = 0; i < 8; i++) changes += (pattern >> i & 1) != (pattern >> ((i + 1) % 8) & 1);
      for (int v = 0; v < pattern; v++) {
        int other = 0;
        for (int i = 0; i < 8; i++) other += (v >> i & 1) != (v >> ((i + 1) % 8) & 1);
        bin += other <= 2;
      }
      share[changes <= 2 ? bin : TEXTURE_BINS - 1] += 1.0 / (INNER * INNER);
    }
  for (int b = 0; b < TEXTURE_BINS; b++) assert_near(out[b], sqrt(share[b]), 1e-5);
  image_deinit(&noise);
}

static void test_picture_likeness(void **state) {
  (void)state;
  static float red[IMAGE_DESCRIPTOR_DIM], red_small[IMAGE_DESCRIPTOR_DIM], blue[IMAGE_DESCRIPTOR_DIM],
      stripes[IMAGE_DESCRIPTOR_DIM];
  describe(128, 128, paint_red, red);
  describe(1, 1, paint_red, red_small); /* one pixel is a picture */
  describe(300, 200, paint_blue_left, blue);
  describe(64, 333, paint_stripes, stripes);
  for (size_t i = 0; i < IMAGE_DESCRIPTOR_DIM; i++) assert_near(red[i], red_small[i], 1e-4);
  float far = vector_squared_distance(red, blue, IMAGE_DESCRIPTOR_DIM);
  assert_true(far > 1);
  assert_true(vector_squared_distance(blue, stripes, IMAGE_DESCRIPTOR_DIM) > 1);
}

/* ---- sound ---- */

static sound tone(double hz, double seconds, double loudness, double noise) {
  rng r;
  rng_seed(&r, 4);
  sound s = {22050, (size_t)(seconds * 22050), NULL};
  s.samples = mem_alloc(s.count, sizeof *s.samples);
  for (size_t i = 0; i < s.count; i++)
    s.samples[i] = (float)(loudness * sin(2 * M_PI * hz * (double)i / 22050) + noise * rng_normal(&r));
  return s;
}

static void test_sound(void **state) {
  (void)state;
  enum { TRACKS = AUDIO_MFCC_COEFFICIENTS + AUDIO_MFCC_SHAPES, CENTROID = AUDIO_MFCC_COEFFICIENTS + 1 };
  static const struct {
    double hz, seconds, loudness, noise;
  } rows[] = {{0, 0, 0, 0}, {0, 0.00005, 0.5, 0}, {0, 2, 0, 0}, {300, 1, 0.5, 0}, {3000, 1, 0.5, 0}, {0, 1, 0, 0.2}};
  float out[6][AUDIO_MFCC_DIM];
  medley_error error = {0};
  for (size_t i = 0; i < 6; i++) {
    sound s = tone(rows[i].hz, rows[i].seconds, rows[i].loudness, rows[i].noise);
    assert_ok(audio_mfcc_describe(&s, out[i], &error));
    for (size_t d = 0; d < AUDIO_MFCC_DIM; d++) assert_true(isfinite(out[i][d]));
    sound_deinit(&s);
  }
  for (size_t d = TRACKS; d < 3 * TRACKS; d++) assert_near(out[2][d], 0, 1e-3); /* silence does not move */
  assert_true(out[4][CENTROID] > out[3][CENTROID] + 0.1f);                      /* 3 kHz is brighter than 300 Hz */
  assert_true(out[5][TRACKS - 1] > out[3][TRACKS - 1] + 1);                     /* noise is flatter than a tone */
  const float *d_pitch = out[3] + (3 + AUDIO_MFCC_THIRDS) * TRACKS;
  float loudest = 0;
  size_t class = 0;
  for (size_t c = 0; c < 12; c++)
    if (d_pitch[c] > loudest) loudest = d_pitch[c], class = c;
  assert_int_equal(class, 2); /* 300 Hz lies next to D4 (293.7 Hz); classes begin at C */
}

/* ---- video ---- */

static void test_video(void **state) {
  (void)state;
  medley_error error = {0};
  const encoder_kind *kind = encoder_kind_find("video.pooled");
  encoder *e;
  assert_ok(kind->create(1, 0, &e, &error));
  size_t dim = kind->dim(e), movement = IMAGE_DESCRIPTOR_DIM;
  image frames[2] = {painted(32, 32, paint_red), painted(40, 30, paint_blue_left)};
  double times[2] = {0, 1};
  float *out = mem_alloc(3 * dim, sizeof *out), *each = mem_alloc(2 * IMAGE_DESCRIPTOR_DIM, sizeof *each);
  video still = {2, 1, frames, times, 0, {0}}, both = {2, 2, frames, times, 0, tone(440, 0.5, 0.3, 0)};
  video nothing = {0};
  const encoder_input inputs[3] = {{.video = &still}, {.video = &both}, {.video = &nothing}};
  assert_ok(kind->encode(e, inputs, 3, out, &error));
  assert_ok(image_descriptor_frames(frames, 2, each, &error));
  for (size_t d = 0; d < IMAGE_DESCRIPTOR_DIM; d++) {
    assert_near(out[d], each[d], 1e-6);
    assert_near(out[dim + d], (each[d] + each[IMAGE_DESCRIPTOR_DIM + d]) / 2, 1e-6);
    assert_near(out[2 * dim + d], 0, 0);
  }
  assert_near(out[movement], 0, 0);
  assert_near(out[dim + movement],
              sqrt(vector_squared_distance(each, each + IMAGE_DESCRIPTOR_DIM, IMAGE_DESCRIPTOR_DIM)), 1e-4);
  assert_near(out[movement + 3], 0, 0);
  assert_near(out[dim + movement + 3], 1, 0);
  sound_deinit(&both.sound);
  for (size_t i = 0; i < 2; i++) image_deinit(&frames[i]);
  mem_free(out);
  mem_free(each);
  kind->free(e);
}

/* ---- the table ---- */

static void test_table(void **state) {
  (void)state;
  medley_error error = {0};
  static const char *const defaults[MODALITY_COUNT] = {"text.lsa", "image.descriptor", "audio.mfcc", "video.pooled"};
  for (int m = 0; m < MODALITY_COUNT; m++) assert_string_equal(encoder_kind_default((modality)m)->name, defaults[m]);
  assert_null(encoder_kind_find("none such"));
  for (size_t i = 0; encoder_kinds[i] != NULL; i++) {
    const encoder_kind *kind = encoder_kinds[i];
    assert_ptr_equal(encoder_kind_for(kind->modality, kind->name), kind);
    assert_non_null(encoder_kind_find(kind->name));
    assert_true(kind->needs_fit == (kind->fit != NULL));
    assert_true(kind->needs_file == (kind->open != NULL));
    assert_true(kind->needs_file == (kind->create == NULL));
    assert_true(kind->needs_file == (kind->save == NULL) && kind->needs_file == (kind->load == NULL));
    if (kind->needs_fit || kind->needs_file) continue;
    encoder *e, *back;
    safetensors_writer w = {0};
    safetensors s = {0};
    assert_refused(kind->create(1, 7, &e, &error), MEDLEY_ERR_USAGE, "not 7");
    assert_ok(kind->create(1, 0, &e, &error));
    assert_ok(kind->save(e, &w, "part", &error));
    assert_ok(kind->load(&s, "part", &back, &error));
    assert_int_equal(kind->dim(back), kind->dim(e));
    assert_ptr_equal(back->kind, kind);
    safetensors_writer_deinit(&w);
    kind->free(e);
    kind->free(back);
  }
}

/* ---- golden files ---- */

static void test_golden(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[256], path[300];
  const float out[6] = {1, -2, 3, -4, 0.5f, 0}, bad[2] = {1, NAN}, zero[2] = {0, 0};
  float ours[6] = {1, -2, 3, -4.004f, 0.5f, 0}, *read;
  uint64_t found[2];
  safetensors_writer w = {0};
  safetensors s = {0};
  golden_report report = {0};
  test_folder(folder);
  snprintf(path, sizeof path, "%s/golden.safetensors", folder);
  assert_ok(safetensors_add_f32(&w, "out", 2, 3, out, &error));
  assert_ok(safetensors_add_f32(&w, "bad", 1, 2, bad, &error));
  assert_ok(safetensors_add_f32(&w, "zero", 1, 2, zero, &error));
  assert_ok(safetensors_save(&w, path, &error));
  assert_ok(safetensors_open(&s, path, &error));
  assert_true(isnan(golden_largest(&report))); /* nothing compared is no agreement */
  assert_ok(golden_compare(&report, &s, "out", ours, 6, &error));
  assert_near(report.outputs[0].difference, 0.001, 1e-6);
  assert_ok(golden_compare(&report, &s, "zero", zero, 2, &error));
  assert_near(golden_largest(&report), 0.001, 1e-6);
  ours[5] = NAN;
  assert_ok(golden_compare(&report, &s, "out", ours, 6, &error));
  assert_true(isnan(golden_largest(&report)));
  assert_int_equal(report.count, 3);
  assert_refused(golden_compare(&report, &s, "out", ours, 5, &error), MEDLEY_ERR_INPUT,
                 "has 6 values, the network gives 5");
  assert_refused(golden_compare(&report, &s, "none", ours, 5, &error), MEDLEY_ERR_INPUT, "no tensor 'none'");
  assert_refused(golden_compare(&report, &s, "bad", ours, 2, &error), MEDLEY_ERR_INPUT, "value 1 of 'bad'");
  assert_ok(golden_read(&s, "out", 2, (const uint64_t[]){0, 3}, &read, found, &error));
  assert_memory_equal(read, out, sizeof out);
  assert_int_equal(found[0], 2);
  mem_free(read);
  assert_refused(golden_read(&s, "out", 2, (const uint64_t[]){0, 4}, &read, found, &error), MEDLEY_ERR_INPUT,
                 "'out' is [2, 3]");
  safetensors_close(&s);
  safetensors_writer_deinit(&w);
  unlink(path);
  rmdir(folder);
}

/* Many rows over threads are the same as one by one. */
static void test_rows(void **state) {
  (void)state;
  enum { COUNT = 20 };
  medley_error error = {0};
  image pictures[COUNT];
  encoder_input inputs[COUNT];
  static float together[COUNT * IMAGE_DESCRIPTOR_DIM], alone[IMAGE_DESCRIPTOR_DIM];
  const encoder_kind *kind = encoder_kind_find("image.descriptor");
  encoder *e;
  assert_ok(kind->create(1, 0, &e, &error));
  for (uint32_t i = 0; i < COUNT; i++) {
    pictures[i] = painted(10 + 7 * i, 5 + 3 * i, i % 2 ? paint_stripes : paint_noise);
    inputs[i] = (encoder_input){.image = &pictures[i]};
  }
  assert_ok(kind->encode(e, inputs, COUNT, together, &error));
  for (size_t i = 0; i < COUNT; i++) {
    assert_ok(kind->encode(e, &inputs[i], 1, alone, &error));
    assert_memory_equal(alone, together + i * IMAGE_DESCRIPTOR_DIM, sizeof alone);
  }
#ifdef MEDLEY_FAULTS
  for (long n = 1;; n += 3) {
    memory_fault_after(n);
    medley_status status = kind->encode(e, inputs, COUNT, together, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (!struck) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
#endif
  for (size_t i = 0; i < COUNT; i++) image_deinit(&pictures[i]);
  kind->free(e);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_colour_by_hand), cmocka_unit_test(test_edges_by_hand),
      cmocka_unit_test(test_texture_twin),   cmocka_unit_test(test_picture_likeness),
      cmocka_unit_test(test_sound),          cmocka_unit_test(test_video),
      cmocka_unit_test(test_table),          cmocka_unit_test(test_golden),
      cmocka_unit_test(test_rows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
