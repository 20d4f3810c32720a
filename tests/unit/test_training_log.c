/* What a training tells while it runs, and its curves as pictures. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "explain/curves.h"
#include "media/image.h"

typedef struct seen {
  char detail[64];
  double loss, rate;
  int reports;
  bool timed;
} seen;

static int on_report(void *context, const medley_progress_state *s) {
  seen *to = context;
  to->reports++;
  if (s->detail != NULL) snprintf(to->detail, sizeof to->detail, "%s", s->detail);
  to->loss = s->loss, to->rate = s->learning_rate;
  to->timed = to->timed || (s->remaining_s >= 0 && s->rate_per_s > 0);
  return 0;
}

static void test_log(void **state) {
  (void)state;
  enum { STEPS = 5000 };
  medley_error error = {0};
  training_log log = {0};
  seen to = {0};
  medley_progress sink = {.report = on_report, .context = &to};
  progress_stage stage;
  progress_begin(&stage, &sink, "train", STEPS);
  assert_true(isnan(to.loss) && isnan(to.rate));
  double sum = 0, expected = 0;
  for (int i = 1; i <= STEPS; i++) assert_ok(training_log_step(&log, &stage, 100.0 / i, 1e-3, &error));
  progress_end(&stage, STEPS);
  assert_true(to.reports >= 2 && to.timed);
  assert_non_null(strstr(to.detail, "loss 0.02"));
  assert_non_null(strstr(to.detail, "rate 0.001"));
  assert_near(to.loss, log.smooth_loss, 0);
  assert_near(to.rate, 1e-3, 0);
  assert_int_equal(log.steps_each, 4);
  assert_int_equal(log.count, STEPS / 4);
  for (size_t i = 0; i < log.count; i++) sum += 4 * log.loss[i];
  for (int i = 1; i <= STEPS; i++) expected += 100.0 / i;
  assert_near(sum, expected, 1e-6);
  assert_near(log.step[0], 2.5, 1e-9);
  assert_near(log.rate[log.count - 1], 1e-3, 1e-12);
  assert_refused(training_log_step(&log, NULL, NAN, 1, &error), MEDLEY_ERR_INPUT,
                 "the loss of step 5001 is not a number");
  training_log_deinit(&log);
}

static void test_curves(void **state) {
  (void)state;
  medley_error error = {0};
  training_log log = {0};
  char folder[256], svg[300], png[300], other[300];
  test_folder(folder);
  snprintf(svg, sizeof svg, "%s/curve.svg", folder);
  snprintf(png, sizeof png, "%s/curve.png", folder);
  snprintf(other, sizeof other, "%s/curve.gif", folder);
  assert_refused(curves_save(&log, "t", svg, &error), MEDLEY_ERR_INPUT, "a training of 0 points has no curve");
  for (int i = 1; i <= 200; i++) {
    assert_ok(training_log_step(&log, NULL, 5.0 / i, 1e-3 * (1 - i / 200.0), &error));
    if (i % 50 == 0) assert_ok(training_log_look(&log, 6.0 / i, &error));
  }
  assert_ok(curves_save(&log, "fit <text.cnn>", svg, &error));
  char *text = NULL;
  size_t length = 0;
  assert_ok(file_read(svg, 1 << 20, &text, &length, &error));
  assert_non_null(strstr(text, "<svg xmlns="));
  assert_non_null(strstr(text, "fit &lt;text.cnn&gt;"));
  assert_non_null(strstr(text, "held-out"));
  mem_free(text);
  assert_ok(curves_save(&log, "fit <text.cnn>", png, &error));
  image picture = {0};
  assert_ok(image_load(png, NULL, &picture, &error));
  assert_true(picture.width == 720 && picture.height == 640);
  size_t blue = 0;
  for (size_t i = 0; i < (size_t)picture.width * picture.height; i++)
    blue += picture.rgb[3 * i] < 20 && picture.rgb[3 * i + 2] > 150;
  assert_true(blue > 300); /* the line of the loss */
  image_deinit(&picture);
  assert_refused(curves_save(&log, "t", other, &error), MEDLEY_ERR_USAGE, "ends neither in .svg nor in .png");
  training_log_deinit(&log);
  unlink(svg), unlink(png), rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_log),
      cmocka_unit_test(test_curves),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
