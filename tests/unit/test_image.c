/* Pictures → samples. The cases are made here with libvips, so that what goes in is known to the pixel. */
#include "test.h"

#include <vips/vips.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "media/image.h"

static char folder[256];

static int group_setup(void **state) {
  (void)state;
  test_folder(folder);
  VIPS_INIT("test");
  return 0;
}

static int group_teardown(void **state) {
  (void)state;
  return folder_remove(folder, NULL) != MEDLEY_OK;
}

static const char *in_folder(const char *name) {
  static char path[600];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

/* A picture of one colour, or with four corners of their own: red, green, blue, white in the middle of each quarter. */
static image make(uint32_t width, uint32_t height) {
  image i = {width, height, mem_zalloc(width * height, 3)};
  return i;
}

static void set(image *i, uint32_t x, uint32_t y, int r, int g, int b) {
  uint8_t *p = i->rgb + ((size_t)y * i->width + x) * 3;
  p[0] = (uint8_t)r;
  p[1] = (uint8_t)g;
  p[2] = (uint8_t)b;
}

static const uint8_t *get(const image *i, uint32_t x, uint32_t y) { return i->rgb + ((size_t)y * i->width + x) * 3; }

static void fill(image *i, uint32_t x0, uint32_t y0, uint32_t x1, uint32_t y1, int r, int g, int b) {
  for (uint32_t y = y0; y < y1; y++)
    for (uint32_t x = x0; x < x1; x++) set(i, x, y, r, g, b);
}

static void assert_pixel(const image *i, uint32_t x, uint32_t y, int r, int g, int b, int tolerance) {
  const uint8_t *p = get(i, x, y);
  if (abs(p[0] - r) > tolerance || abs(p[1] - g) > tolerance || abs(p[2] - b) > tolerance)
    fail_msg("pixel %u,%u is %d %d %d, expected %d %d %d within %d", x, y, p[0], p[1], p[2], r, g, b, tolerance);
}

static VipsImage *view_of(const void *pixels, int width, int height, int bands, VipsBandFormat format,
                          VipsInterpretation type) {
  size_t bytes = (size_t)width * (size_t)height * (size_t)bands * vips_format_sizeof(format);
  VipsImage *view = vips_image_new_from_memory_copy(pixels, bytes, width, height, bands, format);
  assert_non_null(view);
  view->Type = type;
  return view;
}

/* Writes the image by the extension of the name, with options as "[Q=90]", and drops it. */
static const char *write_image(VipsImage *view, const char *name_and_options) {
  static char name[600];
  snprintf(name, sizeof name, "%s", in_folder(name_and_options));
  if (vips_image_write_to_file(view, name, NULL) != 0) fail_msg("%s: %s", name, vips_error_buffer());
  g_object_unref(view);
  name[strcspn(name, "[")] = '\0';
  return name;
}

static void load_small(const char *path, const image_options *o, image *out) {
  medley_error error;
  assert_ok(image_load(path, o, out, &error));
}

/* ---- what the file says about its pixels ---- */

/* A stored picture of 8 x 4: red in the first quarter, green in the second, blue in the third, grey in the fourth. */
static void test_orientation(void **state) {
  (void)state;
  /* Where red and green must be found, as quarters (0 left top, 1 right top, 2 left bottom, 3 right bottom). */
  static const struct {
    int orientation, red, green;
    bool turned;
  } rows[] = {
      {1, 0, 1, false}, {2, 1, 0, false}, {3, 3, 2, false}, {4, 2, 3, false},
      {5, 0, 2, true},  {6, 1, 3, true},  {7, 3, 1, true},  {8, 2, 0, true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    image stored = make(8, 4), loaded;
    fill(&stored, 0, 0, 4, 2, 255, 0, 0);
    fill(&stored, 4, 0, 8, 2, 0, 255, 0);
    fill(&stored, 0, 2, 4, 4, 0, 0, 255);
    fill(&stored, 4, 2, 8, 4, 90, 90, 90);
    VipsImage *view = view_of(stored.rgb, 8, 4, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB);
    vips_image_set_int(view, VIPS_META_ORIENTATION, rows[i].orientation);
    load_small(write_image(view, "turned.tif"), NULL, &loaded);
    assert_int_equal(loaded.width, rows[i].turned ? 4 : 8);
    assert_int_equal(loaded.height, rows[i].turned ? 8 : 4);
    uint32_t x[4] = {0, loaded.width - 1, 0, loaded.width - 1}, y[4] = {0, 0, loaded.height - 1, loaded.height - 1};
    assert_pixel(&loaded, x[rows[i].red], y[rows[i].red], 255, 0, 0, 0);
    assert_pixel(&loaded, x[rows[i].green], y[rows[i].green], 0, 255, 0, 0);
    image_deinit(&stored);
    image_deinit(&loaded);
  }
}

/* A flat colour that went through a profile and back. CMYK cannot hold all colours, hence its tolerance. */
static void test_profiles(void **state) {
  (void)state;
  static const struct {
    const char *profile, *name;
    int r, g, b, tolerance;
  } rows[] = {
      {"cmyk", "cmyk.jpg[Q=100]", 200, 80, 60, 14},   {"cmyk", "cmyk.tif", 120, 150, 90, 14},
      {"cmyk", "white.jpg[Q=100]", 255, 255, 255, 4}, {"p3", "p3.png", 200, 80, 60, 2},
      {"p3", "p3.jpg[Q=100]", 90, 160, 200, 4},       {"srgb", "srgb.png", 10, 200, 30, 2},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    image stored = make(16, 16), loaded;
    fill(&stored, 0, 0, 16, 16, rows[i].r, rows[i].g, rows[i].b);
    VipsImage *view = view_of(stored.rgb, 16, 16, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB), *exported;
    assert_int_equal(vips_icc_transform(view, &exported, rows[i].profile, "input_profile", "srgb", NULL), 0);
    g_object_unref(view);
    load_small(write_image(exported, rows[i].name), NULL, &loaded);
    assert_pixel(&loaded, 8, 8, rows[i].r, rows[i].g, rows[i].b, rows[i].tolerance);
    image_deinit(&stored);
    image_deinit(&loaded);
  }
}

/* A broken profile is left aside; without any profile the numbers stay as they are. */
static void test_profile_broken(void **state) {
  (void)state;
  image stored = make(4, 4), loaded;
  fill(&stored, 0, 0, 4, 4, 100, 101, 102);
  VipsImage *view = view_of(stored.rgb, 4, 4, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB);
  vips_image_set_blob_copy(view, VIPS_META_ICC_NAME, "this is no profile, though it is long enough to be read as one",
                           60);
  load_small(write_image(view, "broken.tif"), NULL, &loaded);
  assert_pixel(&loaded, 1, 1, 100, 101, 102, 0);
  image_deinit(&stored);
  image_deinit(&loaded);
}

static void test_alpha_depth_and_palette(void **state) {
  (void)state;
  static const uint8_t rgba[] = {0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 255, 200, 10, 20, 255};
  static const uint8_t grey_alpha[] = {0, 0, 100, 255, 0, 128, 255, 255};
  static const uint16_t deep[] = {0,         0,        0,        65535,   65535,   65535,
                                  257 * 100, 257 * 50, 257 * 25, 257 * 7, 257 * 8, 257 * 9};
  static const uint16_t deep_grey[] = {0, 65535, 257 * 100, 257 * 7};
  static const uint8_t grey[] = {0, 255, 100, 7}, bits[] = {0, 255, 255, 0};
  static const uint8_t rgb[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
  static const struct {
    const void *pixels;
    int bands;
    VipsBandFormat format;
    VipsInterpretation type;
    const char *name;
    int expected[4][3], tolerance;
  } rows[] = {
      {rgba,
       4,
       VIPS_FORMAT_UCHAR,
       VIPS_INTERPRETATION_sRGB,
       "a.png",
       {{255, 255, 255}, {127, 127, 127}, {0, 0, 0}, {200, 10, 20}},
       1},
      {rgba,
       4,
       VIPS_FORMAT_UCHAR,
       VIPS_INTERPRETATION_sRGB,
       "a.webp[lossless]",
       {{255, 255, 255}, {127, 127, 127}, {0, 0, 0}, {200, 10, 20}},
       1},
      {rgba,
       4,
       VIPS_FORMAT_UCHAR,
       VIPS_INTERPRETATION_sRGB,
       "a.tif",
       {{255, 255, 255}, {127, 127, 127}, {0, 0, 0}, {200, 10, 20}},
       1},
      {grey_alpha,
       2,
       VIPS_FORMAT_UCHAR,
       VIPS_INTERPRETATION_B_W,
       "ga.png",
       {{255, 255, 255}, {100, 100, 100}, {127, 127, 127}, {255, 255, 255}},
       1},
      {deep,
       3,
       VIPS_FORMAT_USHORT,
       VIPS_INTERPRETATION_RGB16,
       "deep.png",
       {{0, 0, 0}, {255, 255, 255}, {100, 50, 25}, {7, 8, 9}},
       0},
      {deep,
       3,
       VIPS_FORMAT_USHORT,
       VIPS_INTERPRETATION_RGB16,
       "deep.tif",
       {{0, 0, 0}, {255, 255, 255}, {100, 50, 25}, {7, 8, 9}},
       0},
      {deep_grey,
       1,
       VIPS_FORMAT_USHORT,
       VIPS_INTERPRETATION_GREY16,
       "deepgrey.png",
       {{0, 0, 0}, {255, 255, 255}, {100, 100, 100}, {7, 7, 7}},
       0},
      {grey,
       1,
       VIPS_FORMAT_UCHAR,
       VIPS_INTERPRETATION_B_W,
       "grey.png",
       {{0, 0, 0}, {255, 255, 255}, {100, 100, 100}, {7, 7, 7}},
       0},
      {bits,
       1,
       VIPS_FORMAT_UCHAR,
       VIPS_INTERPRETATION_B_W,
       "bits.png[bitdepth=1]",
       {{0, 0, 0}, {255, 255, 255}, {255, 255, 255}, {0, 0, 0}},
       0},
      {rgb,
       3,
       VIPS_FORMAT_UCHAR,
       VIPS_INTERPRETATION_sRGB,
       "palette.png[palette]",
       {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}},
       3},
      {rgb,
       3,
       VIPS_FORMAT_UCHAR,
       VIPS_INTERPRETATION_sRGB,
       "still.gif",
       {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}},
       3},
      {rgb,
       3,
       VIPS_FORMAT_UCHAR,
       VIPS_INTERPRETATION_sRGB,
       "photo[1].png",
       {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}},
       0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    image loaded;
    VipsImage *view = view_of(rows[i].pixels, 2, 2, rows[i].bands, rows[i].format, rows[i].type);
    if (strstr(rows[i].name, "photo") == NULL) {
      load_small(write_image(view, rows[i].name), NULL, &loaded);
    } else { /* libvips would take the brackets for options: it writes the bytes, we the file */
      medley_error error;
      void *bytes;
      size_t length;
      assert_int_equal(vips_pngsave_buffer(view, &bytes, &length, NULL), 0);
      assert_ok(file_write(in_folder(rows[i].name), bytes, length, &error));
      load_small(in_folder(rows[i].name), NULL, &loaded);
      g_free(bytes);
      g_object_unref(view);
    }
    for (uint32_t k = 0; k < 4; k++)
      assert_pixel(&loaded, k % 2, k / 2, rows[i].expected[k][0], rows[i].expected[k][1], rows[i].expected[k][2],
                   rows[i].tolerance);
    image_deinit(&loaded);
  }
}

/* Formats that FFmpeg decodes, written here byte by byte. */
static void test_rasters(void **state) {
  (void)state;
  medley_error error;
  /* BMP: 2 x 2, 24 bits, bottom row first, BGR, rows padded to 8 bytes. */
  static const uint8_t bmp[] = {'B', 'M', 70, 0,   0,   0,   0, 0, 0, 0, 54,  0, 0,   0, 40, 0, 0,  0,
                                2,   0,   0,  0,   2,   0,   0, 0, 1, 0, 24,  0, 0,   0, 0,  0, 16, 0,
                                0,   0,   0,  0,   0,   0,   0, 0, 0, 0, 0,   0, 0,   0, 0,  0, 0,  0,
                                255, 0,   0,  255, 255, 255, 0, 0, 0, 0, 255, 0, 255, 0, 0,  0};
  static const char ppm[] = "P6\n2 2\n255\n\xFF\0\0\0\xFF\0\0\0\xFF\xFF\xFF\xFF";
  const struct {
    const void *bytes;
    size_t length;
  } rows[] = {{bmp, sizeof bmp}, {ppm, sizeof ppm - 1}};
  for (size_t i = 0; i < 2; i++) {
    image loaded;
    assert_ok(image_load_bytes(rows[i].bytes, rows[i].length, NULL, &loaded, &error));
    assert_int_equal(loaded.width, 2);
    assert_pixel(&loaded, 0, 0, 255, 0, 0, 0);
    assert_pixel(&loaded, 1, 0, 0, 255, 0, 0);
    assert_pixel(&loaded, 0, 1, 0, 0, 255, 0);
    assert_pixel(&loaded, 1, 1, 255, 255, 255, 0);
    image_deinit(&loaded);
  }
}

/* ---- scaling and cropping ---- */

static void test_sides(void **state) {
  (void)state;
  static const struct {
    uint32_t width, height;
    image_options o;
    uint32_t out_width, out_height;
  } rows[] = {
      {300, 200, {.side = 100}, 100, 67},
      {200, 300, {.side = 100}, 67, 100},
      {30, 20, {.side = 100}, 30, 20},
      {300, 200, {0}, 300, 200},
      {300, 200, {.crop = IMAGE_CROP_CENTRE}, 300, 200},
      {300, 200, {.side = 64, .crop = IMAGE_CROP_CENTRE}, 64, 64},
      {30, 20, {.side = 64, .crop = IMAGE_CROP_CENTRE}, 64, 64},
      {300, 200, {.side = 64, .crop = IMAGE_CROP_ATTENTION}, 64, 64},
      {900, 1, {.side = 90}, 90, 1},
      {1, 1, {.side = 50}, 1, 1},
  };
  static const char *const names[] = {"s.jpg", "s.png", "s.webp", "s.tif"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows * 4; i++) {
    image in = make(rows[i / 4].width, rows[i / 4].height), out;
    fill(&in, 0, 0, in.width, in.height, 10, 20, 30);
    load_small(
        write_image(view_of(in.rgb, (int)in.width, (int)in.height, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB),
                    names[i % 4]),
        &rows[i / 4].o, &out);
    assert_int_equal(out.width, rows[i / 4].out_width);
    assert_int_equal(out.height, rows[i / 4].out_height);
    assert_pixel(&out, 0, 0, 10, 20, 30, 4);
    image_deinit(&in);
    image_deinit(&out);
  }
}

/* The one thing to look at is far right: attention finds it, the centre misses it. */
static void test_crops(void **state) {
  (void)state;
  medley_error error;
  image in = make(300, 100), centre, attention;
  rng random;
  rng_seed(&random, 3);
  fill(&in, 0, 0, 300, 100, 128, 128, 128);
  for (uint32_t y = 20; y < 80; y++)
    for (uint32_t x = 230; x < 290; x++) set(&in, x, y, 255, (int)rng_below(&random, 200), (int)rng_below(&random, 60));
  assert_ok(image_process(&in, &(image_options){.side = 100, .crop = IMAGE_CROP_CENTRE}, &centre, &error));
  assert_ok(image_process(&in, &(image_options){.side = 100, .crop = IMAGE_CROP_ATTENTION}, &attention, &error));
  int red[2] = {0};
  for (uint32_t i = 0; i < 100 * 100; i++) {
    red[0] += centre.rgb[i * 3] > 200;
    red[1] += attention.rgb[i * 3] > 200;
  }
  assert_int_equal(red[0], 0);
  assert_true(red[1] > 3000);
  image_deinit(&in);
  image_deinit(&centre);
  image_deinit(&attention);
}

/* ---- enhancing ---- */

static void test_enhance(void **state) {
  (void)state;
  medley_error error;
  image in = make(64, 64), out;
  for (uint32_t y = 0; y < 64; y++)
    for (uint32_t x = 0; x < 64; x++) set(&in, x, y, 100 + (int)x / 2, 100 + (int)x / 2, 100 + (int)x / 2);
  set(&in, 30, 30, 255, 255, 255);
  assert_ok(image_process(&in, &(image_options){.denoise = 1}, &out, &error));
  assert_pixel(&out, 30, 30, 115, 115, 115, 1);
  image_deinit(&out);
  assert_ok(image_process(&in, &(image_options){.contrast = 1}, &out, &error));
  assert_pixel(&out, 0, 10, 0, 0, 0, 10);
  assert_pixel(&out, 63, 10, 255, 255, 255, 10);
  image_deinit(&out);
  assert_ok(image_process(&in, &(image_options){.equalise = 1}, &out, &error));
  assert_true(get(&out, 0, 10)[0] < 30 && get(&out, 63, 10)[0] > 235);
  assert_pixel(&out, 32, 10, 120, 120, 120, 12);
  image_deinit(&out);
  fill(&in, 0, 0, 32, 64, 100, 100, 100);
  fill(&in, 32, 0, 64, 64, 160, 160, 160);
  assert_ok(image_process(&in, &(image_options){.sharpen = 1}, &out, &error));
  assert_true(get(&out, 31, 10)[0] < 100 && get(&out, 32, 10)[0] > 160);
  assert_pixel(&out, 5, 10, 100, 100, 100, 1);
  image_deinit(&out);
  fill(&in, 0, 0, 64, 64, 77, 77, 77); /* nothing to stretch */
  assert_ok(
      image_process(&in, &(image_options){.contrast = 1, .equalise = 1, .sharpen = 1, .denoise = 1}, &out, &error));
  image_deinit(&out);
  image_deinit(&in);
}

/* ---- animations ---- */

static void test_animation(void **state) {
  (void)state;
  medley_error error;
  image roll = make(20, 12 * 10);
  for (uint32_t k = 0; k < 12; k++) fill(&roll, 0, k * 10, 20, k * 10 + 10, (int)k * 20, 255 - (int)k * 20, 40);
  int delay[12] = {100, 200, 300, 100, 100, 100, 5, 100, 100, 100, 100, 200};
  VipsImage *view = view_of(roll.rgb, 20, 120, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB);
  vips_image_set_int(view, "page-height", 10);
  vips_image_set_array_int(view, "delay", delay, 12);
  char path[600];
  snprintf(path, sizeof path, "%s", write_image(view, "moving.webp[lossless]"));
  assert_int_equal(modality_of_file(path), MODALITY_VIDEO);
  video v;
  assert_ok(image_load_animation(path, NULL, 4, &v, &error));
  assert_int_equal(v.frame_count, 4);
  assert_true(v.poster < 4);
  assert_near(v.duration_s, 1.6, 1e-9); /* 5 ms count as 100 */
  const double times[4] = {0, 0.6, 0.9, 1.2};
  for (uint32_t k = 0; k < 4; k++) {
    assert_int_equal(v.frames[k].height, 10);
    assert_near(v.frame_time_s[k], times[k], 1e-9);
    assert_pixel(&v.frames[k], 5, 5, (int)k * 60, 255 - (int)k * 60, 40, 2);
  }
  video_deinit(&v);
  assert_ok(image_load_animation(path, &(image_options){.side = 10}, 0, &v, &error));
  assert_int_equal(v.frame_count, 12);
  assert_int_equal(v.frames[11].width, 10);
  video_deinit(&v);
  /* As a picture it is its first frame; a still picture is an animation of one. */
  image first;
  load_small(path, NULL, &first);
  assert_int_equal(first.height, 10);
  assert_ok(image_save(&first, in_folder("still.png"), &error));
  assert_ok(image_load_animation(in_folder("still.png"), NULL, 4, &v, &error));
  assert_int_equal(v.frame_count, 1);
  video_deinit(&v);
  image_deinit(&first);
  assert_refused(image_load_animation(path, &(image_options){.pixel_limit = 100}, 4, &v, &error), MEDLEY_ERR_LIMIT,
                 "20 x 10");
  image_deinit(&roll);
}

/* ---- refusals ---- */

static void test_refusals(void **state) {
  (void)state;
  medley_error error;
  image out, in = make(200, 100);
  rng random;
  rng_seed(&random, 5);
  for (size_t i = 0; i < 200 * 100 * 3; i++) in.rgb[i] = (uint8_t)rng_below(&random, 256);
  assert_refused(image_load(in_folder("absent.png"), NULL, &out, &error), MEDLEY_ERR_NOT_FOUND, "there is no file");
  assert_refused(image_load(folder, NULL, &out, &error), MEDLEY_ERR_INPUT, "is a folder");
  assert_refused(image_load_bytes("", 0, NULL, &out, &error), MEDLEY_ERR_INPUT, "empty");
  assert_refused(image_load_bytes("hello, world", 12, NULL, &out, &error), MEDLEY_ERR_UNSUPPORTED, "not a picture");
  assert_refused(image_load_bytes("<svg xmlns='http://www.w3.org/2000/svg'/>", 41, NULL, &out, &error),
                 MEDLEY_ERR_UNSUPPORTED, "not a picture");
  assert_refused(image_load_bytes("%PDF-1.7\n1 0 obj", 16, NULL, &out, &error), MEDLEY_ERR_UNSUPPORTED,
                 "not a picture");
  assert_refused(image_load_bytes("P6 99999 99999 255 ", 19, NULL, &out, &error), MEDLEY_ERR_INPUT,
                 "more than 100000000 pixels");
  assert_refused(image_process(&in, &(image_options){.side = 70000}, &out, &error), MEDLEY_ERR_USAGE, "70000");
  static const char *const names[] = {"cut.jpg", "cut.png", "cut.webp", "cut.tif"};
  for (size_t i = 0; i < 4; i++) {
    const char *path = write_image(view_of(in.rgb, 200, 100, 3, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB), names[i]);
    char *bytes;
    size_t length;
    assert_refused(image_load(path, &(image_options){.pixel_limit = 19999}, &out, &error), MEDLEY_ERR_LIMIT,
                   "200 x 100 pixels, more than the limit of 19999");
    assert_refused(image_load(path, &(image_options){.side = 70000}, &out, &error), MEDLEY_ERR_USAGE, "70000");
    assert_ok(file_read(path, 1 << 20, &bytes, &length, &error));
    /* libtiff keeps its directory at the end, so half a TIFF is nothing it knows. */
    assert_refused(image_load_bytes(bytes, length / 2, NULL, &out, &error),
                   i < 3 ? MEDLEY_ERR_INPUT : MEDLEY_ERR_UNSUPPORTED, "picture");
    assert_null(strchr(error.text, '\n'));
    assert_null(out.rgb);
    mem_free(bytes);
  }
  assert_refused(image_save(&in, in_folder("x.xyz"), &error), MEDLEY_ERR_USAGE, "does not end in .png");
  assert_refused(image_save(&(image){0}, in_folder("x.png"), &error), MEDLEY_ERR_USAGE, "no pixels");
  assert_false(file_exists(in_folder("x.png")));
  image_deinit(&in);
}

static void test_save(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    const char *name;
    int tolerance;
  } rows[] = {{"o.png", 0}, {"o.jpg", 6}, {"o.JPEG", 6}, {"o.webp", 8}};
  image in = make(32, 16), out;
  for (uint32_t y = 0; y < 16; y++)
    for (uint32_t x = 0; x < 32; x++) set(&in, x, y, (int)x * 7, (int)y * 12, 90);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_ok(image_save(&in, in_folder(rows[i].name), &error));
    load_small(in_folder(rows[i].name), NULL, &out);
    assert_int_equal(out.width, 32);
    for (uint32_t k = 0; k < 32 * 16; k++)
      assert_pixel(&out, k % 32, k / 32, in.rgb[k * 3], in.rgb[k * 3 + 1], in.rgb[k * 3 + 2], rows[i].tolerance * 3);
    image_deinit(&out);
  }
  image_deinit(&in);
}

/* ---- image_resize and its slow twin ---- */

/* The weight of input k for output i, straight from the definition. */
static double slow_weight(uint32_t in, uint32_t out, uint32_t i, uint32_t k) {
  double scale = (double)in / out;
  if (out < in) return fmax(0, fmin((i + 1) * scale, k + 1.0) - fmax(i * scale, k)) / scale;
  double centre = fmin(fmax((i + 0.5) * scale - 0.5, 0), in - 1.0);
  return fmax(0, 1 - fabs(centre - k));
}

static void test_resize_twin(void **state) {
  (void)state;
  medley_error error;
  static const uint32_t sizes[][4] = {{7, 5, 3, 2},     {7, 5, 7, 5},    {7, 5, 20, 11}, {1, 1, 4, 4},    {9, 1, 2, 3},
                                      {16, 16, 15, 17}, {64, 48, 10, 9}, {10, 10, 1, 1}, {3, 100, 3, 33}, {2, 2, 1, 9}};
  rng random;
  rng_seed(&random, 9);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    uint32_t w = sizes[s][2], h = sizes[s][3];
    image in = make(sizes[s][0], sizes[s][1]), out;
    for (size_t i = 0; i < (size_t)in.width * in.height * 3; i++) in.rgb[i] = (uint8_t)rng_below(&random, 256);
    assert_ok(image_resize(&in, w, h, &out, &error));
    assert_int_equal(out.width, w);
    assert_int_equal(out.height, h);
    for (uint32_t i = 0; i < w * h * 3; i++) {
      double sum = 0;
      for (uint32_t y = 0; y < in.height; y++)
        for (uint32_t x = 0; x < in.width; x++)
          sum += slow_weight(in.width, w, i / 3 % w, x) * slow_weight(in.height, h, i / 3 / w, y) *
                 in.rgb[((size_t)y * in.width + x) * 3 + i % 3];
      assert_near(out.rgb[i], sum, 0.51);
    }
    image_deinit(&in);
    image_deinit(&out);
  }
  image one = make(1, 1), out;
  assert_refused(image_resize(&one, 0, 5, &out, &error), MEDLEY_ERR_USAGE, "to 0 x 5");
  assert_refused(image_resize(&one, 5, 65536, &out, &error), MEDLEY_ERR_USAGE, "to 5 x 65536");
  assert_refused(image_resize(&(image){0}, 5, 5, &out, &error), MEDLEY_ERR_USAGE, "0 x 0");
  image_deinit(&one);
}

/* ---- modality of files ---- */

static void test_modality_of_file(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    const char *name, *bytes;
    size_t length;
    modality expected;
  } rows[] = {
      {"a.jpg", "\x89PNG\r\n\x1A\n", 8, MODALITY_IMAGE},
      {"a.png", "ID3\4", 4, MODALITY_AUDIO},
      {"noextension", "\xFF\xD8\xFF\xE0", 4, MODALITY_IMAGE},
      {"a.bin", "nothing known", 13, MODALITY_COUNT},
      {"a.txt", "hello", 5, MODALITY_COUNT},
      {"empty.mp3", "", 0, MODALITY_AUDIO},
      {"a.m4a",
       "\0\0\0\x18"
       "ftypisom",
       12, MODALITY_AUDIO},
      {"a.mp4",
       "\0\0\0\x18"
       "ftypisom",
       12, MODALITY_VIDEO},
      {"a.mp4",
       "\0\0\0\x18"
       "ftypM4A ",
       12, MODALITY_AUDIO},
      {"a.mp4",
       "\0\0\0\x18"
       "ftypavif",
       12, MODALITY_IMAGE},
      {"a.ogg", "OggS......\x80theora", 17, MODALITY_VIDEO},
      {"a", "OggS......\x01vorbis", 17, MODALITY_AUDIO},
      {"a.webm", "\x1A\x45\xDF\xA3", 4, MODALITY_VIDEO},
      {"a.weba", "\x1A\x45\xDF\xA3", 4, MODALITY_AUDIO},
      {"a.gif", "GIF89a", 6, MODALITY_IMAGE},
      {"a", "RIFF....WAVE", 12, MODALITY_AUDIO},
      {"a", "RIFF....WEBPVP8 ", 16, MODALITY_IMAGE},
      {"a.wav", "RIFF....AVI ", 12, MODALITY_VIDEO},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_ok(file_write(in_folder(rows[i].name), rows[i].bytes, rows[i].length, &error));
    if (modality_of_file(in_folder(rows[i].name)) != rows[i].expected)
      fail_msg("%s is taken for %s", rows[i].name, modality_name(modality_of_file(in_folder(rows[i].name))));
  }
  assert_int_equal(modality_of_file(in_folder("not there.jpg")), MODALITY_IMAGE);
  assert_int_equal(modality_of_file(folder), MODALITY_COUNT);
  assert_int_equal(modality_from_name("audio"), MODALITY_AUDIO);
  assert_int_equal(modality_from_name("smell"), MODALITY_COUNT);
  assert_string_equal(modality_name(MODALITY_VIDEO), "video");
}

#ifdef MEDLEY_FAULTS
static void test_memory_faults(void **state) {
  (void)state;
  medley_error error;
  image in = make(40, 30), out;
  assert_ok(image_save(&in, in_folder("fault.png"), &error));
  char path[600];
  snprintf(path, sizeof path, "%s", in_folder("fault.png"));
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status status = image_load(path, &(image_options){.side = 20, .denoise = 1}, &out, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (status == MEDLEY_OK) image_deinit(&out);
    if (!struck) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status status = image_resize(&in, 20, 50, &out, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    image_deinit(&out);
    if (!struck) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  image_deinit(&in);
}
#endif

/* ---- hostile and odd files ---- */

typedef struct corpus_count {
  size_t files, samples;
} corpus_count;

/* All files go through workers in another test. Here every `step`-th file below path does, under the sanitisers; each
 * is a sample within bounds or a reason of one line. */
static void run_corpus(const char *path, size_t step, corpus_count *count) {
  medley_error error;
  char **names;
  size_t name_count;
  assert_ok(folder_list(path, &names, &name_count, &error));
  for (size_t i = 0; i < name_count; i++) {
    char *inner = path_join(path, names[i]);
    if (file_is_folder(inner)) {
      run_corpus(inner, step, count);
    } else if (count->files++ % step == 0) {
      image out;
      memset(&error, 0, sizeof error);
      medley_status status = image_load(inner, &(image_options){.side = 128, .pixel_limit = 4000000}, &out, &error);
      if (status == MEDLEY_OK) {
        assert_true(out.width >= 1 && out.width <= 128 && out.height >= 1 && out.height <= 128);
        count->samples++;
        image_deinit(&out);
      } else {
        if (error.text[0] == '\0' || strchr(error.text, '\n') != NULL) fail_msg("%s: '%s'", inner, error.text);
        assert_int_not_equal(status, MEDLEY_ERR_INTERNAL);
        assert_null(out.rgb);
      }
    }
    mem_free(inner);
  }
  folder_list_free(names, name_count);
}

static void test_corpus(void **state) {
  (void)state;
  static const char *const folders[] = {"decoders/images/Tests/images", "decoders/image-fuzz"};
  for (size_t i = 0; i < 2; i++) {
    char path[512];
    corpus_count count = {0};
    if (test_data(folders[i], path) == NULL) skip();
    run_corpus(path, 5, &count);
    print_message("%s: %zu files, %zu samples\n", folders[i], count.files, count.samples);
    assert_true(count.samples > count.files / 25);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_orientation),
      cmocka_unit_test(test_profiles),
      cmocka_unit_test(test_profile_broken),
      cmocka_unit_test(test_alpha_depth_and_palette),
      cmocka_unit_test(test_rasters),
      cmocka_unit_test(test_sides),
      cmocka_unit_test(test_crops),
      cmocka_unit_test(test_enhance),
      cmocka_unit_test(test_animation),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_save),
      cmocka_unit_test(test_resize_twin),
      cmocka_unit_test(test_modality_of_file),
      cmocka_unit_test(test_corpus),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_faults),
#endif
  };
  return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
