/* The caption card: size, where pixels change, grey, and texts that are hard to lay out. */
#include "test.h"

#include "base/memory.h"
#include "media/card.h"
#include "media/image.h"

static image gradient(uint32_t width, uint32_t height) {
  image i = {width, height, mem_zalloc((size_t)width * height, 3)};
  for (uint32_t k = 0; k < width * height; k++) {
    i.rgb[k * 3] = (uint8_t)(k % width * 255 / width);
    i.rgb[k * 3 + 1] = (uint8_t)(k / width * 255 / height);
    i.rgb[k * 3 + 2] = 200;
  }
  return i;
}

/* Pixels of the rows [top, bottom) that differ by more than 8 in a channel. */
static size_t changed(const image *a, const image *b, uint32_t top, uint32_t bottom) {
  size_t count = 0;
  for (size_t i = (size_t)top * a->width; i < (size_t)bottom * a->width; i++)
    count += abs(a->rgb[i * 3] - b->rgb[i * 3]) > 8 || abs(a->rgb[i * 3 + 1] - b->rgb[i * 3 + 1]) > 8;
  return count;
}

static size_t bright(const image *a) {
  size_t count = 0;
  for (size_t i = 0; i < (size_t)a->width * a->height; i++)
    count += a->rgb[i * 3] > 240 && a->rgb[i * 3 + 1] > 240 && a->rgb[i * 3 + 2] > 240;
  return count;
}

static void test_picture(void **state) {
  (void)state;
  medley_error error;
  image picture = gradient(300, 300), bare, card, grey;
  assert_ok(card_render(&picture, "", NULL, NULL, &bare, &error));
  assert_ok(card_render(&picture, "Ocean waves at dawn", "calm, blue, slow", NULL, &card, &error));
  assert_int_equal(card.width, 600);
  assert_int_equal(card.height, 400);
  /* Without text it is the picture, cut to cover: red runs from left to right. */
  assert_true(bare.rgb[0] < 5 && bare.rgb[599 * 3] > 250);
  assert_int_equal(bright(&bare), 0);
  assert_int_equal(changed(&bare, &card, 0, 200), 0);
  assert_true(changed(&bare, &card, 300, 400) > 30000);
  assert_true(bright(&card) > 1000);
  assert_ok(
      card_render(&picture, "Ocean waves at dawn", "calm, blue, slow", &(card_options){.grey = 1}, &grey, &error));
  for (size_t i = 0; i < 600 * 400; i++) {
    const uint8_t *c = card.rgb + i * 3, *g = grey.rgb + i * 3;
    assert_true(g[0] == g[1] && g[1] == g[2]);
    assert_near(g[0], 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2], 0.51);
  }
  image_deinit(&picture);
  image_deinit(&bare);
  image_deinit(&card);
  image_deinit(&grey);
}

/* A weaker band changes less. */
static void test_opacity(void **state) {
  (void)state;
  medley_error error;
  image picture = gradient(60, 40), bare;
  double darkness[3];
  static const double opacity[3] = {0.1, 0.5, 1.0};
  assert_ok(card_render(&picture, NULL, NULL, NULL, &bare, &error));
  for (int k = 0; k < 3; k++) {
    image card;
    assert_ok(card_render(&picture, "i", NULL, &(card_options){.opacity = opacity[k]}, &card, &error));
    darkness[k] = 0;
    for (size_t i = 390 * 600 * 3; i < 400 * 600 * 3; i++) darkness[k] += bare.rgb[i] - card.rgb[i];
    image_deinit(&card);
  }
  assert_true(darkness[0] > 0 && darkness[1] > 3 * darkness[0] && darkness[2] > 1.5 * darkness[1]);
  image_deinit(&picture);
  image_deinit(&bare);
}

static void test_texts(void **state) {
  (void)state;
  medley_error error;
  char longest[5000];
  memset(longest, 'W', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  static const struct {
    uint32_t width, height;
  } sizes[] = {{600, 400}, {64, 64}, {1, 1}, {900, 30}, {30, 900}, {7, 3}};
  const char *const titles[] = {"<b>&amp; \"x\" 'y' </i>",
                                "bad \xFF\xC3 bytes",
                                "\x01\x02\n\ttabs",
                                "红色连衣裙",
                                "赤いワンピース",
                                "فستان أحمر جميل",
                                "שלום",
                                "สวัสดี",
                                "\U0001F600",
                                longest,
                                "   ",
                                "\u200B",
                                "%s%n",
                                NULL};
  image empty;
  assert_ok(card_render(NULL, NULL, NULL, NULL, &empty, &error));
  for (size_t t = 0; t < sizeof titles / sizeof *titles; t++)
    for (size_t s = 0; s < (t < 10 ? 1 : sizeof sizes / sizeof *sizes); s++) {
      image card;
      card_options o = {.width = sizes[s].width, .height = sizes[s].height};
      assert_ok(card_render(NULL, titles[t], titles[(t + 1) % 4], &o, &card, &error));
      assert_int_equal(card.width, sizes[s].width);
      assert_int_equal(card.height, sizes[s].height);
      if (s == 0) assert_true(changed(&empty, &card, 300, 400) > 10000);
      image_deinit(&card);
    }
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    image card;
    card_options o = {.width = sizes[s].width, .height = sizes[s].height};
    assert_ok(card_render(NULL, longest, longest, &o, &card, &error));
    image_deinit(&card);
  }
  image_deinit(&empty);
}

/* Right-to-left titles end at the right margin, the others start at the left one. */
static void test_direction(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    const char *title;
    bool right;
  } rows[] = {{"abc", false}, {"שלום", true}, {"(1) שלום", true}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    image card;
    size_t left = 0, right = 0;
    assert_ok(card_render(NULL, rows[i].title, NULL, NULL, &card, &error));
    for (size_t k = 0; k < 600 * 400; k++) {
      bool white = card.rgb[k * 3] > 240 && card.rgb[k * 3 + 1] > 240;
      left += white && k % 600 < 200;
      right += white && k % 600 >= 400;
    }
    assert_true(rows[i].right ? right > 50 && left == 0 : left > 50 && right == 0);
    image_deinit(&card);
  }
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error;
  image out, narrow = gradient(1, 500);
  assert_refused(card_render(NULL, "x", NULL, &(card_options){.width = 5000}, &out, &error), MEDLEY_ERR_USAGE,
                 "5000 x 400");
  assert_refused(card_render(NULL, "x", NULL, &(card_options){.opacity = 1.5}, &out, &error), MEDLEY_ERR_USAGE, "1.5");
  assert_refused(card_render(NULL, "x", NULL, &(card_options){.opacity = NAN}, &out, &error), MEDLEY_ERR_USAGE,
                 "0 to 1");
  assert_null(out.rgb);
  assert_ok(card_render(&narrow, "x", NULL, NULL, &out, &error));
  image_deinit(&out);
  image_deinit(&narrow);
}

#ifdef MEDLEY_FAULTS
static void test_memory_faults(void **state) {
  (void)state;
  medley_error error;
  image picture = gradient(20, 20), out;
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status status =
        card_render(&picture, "title", "sub", &(card_options){.width = 60, .height = 40}, &out, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    image_deinit(&out);
    if (!struck) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  image_deinit(&picture);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_picture),       cmocka_unit_test(test_opacity),  cmocka_unit_test(test_texts),
      cmocka_unit_test(test_direction),     cmocka_unit_test(test_refusals),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_faults),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
