/* The report page and its plots: what is said, that nothing from the data becomes markup, that every tag is closed, and
 * that nothing is fetched from elsewhere. */
#include "test.h"

#include "base/json.h"
#include "base/memory.h"
#include "explain/plot.h"
#include "explain/report.h"
#include "explain/why.h"

/* ---- the report ---- */

static const char report_text[] =
    "{\"split\":\"global-time\",\"model\":\"blend\",\"users\":1183,\"test_interactions\":23456,\"seed\":7,\"threads\":"
    "2,"
    "\"total_seconds\":93.4,\"cold_items\":0,\"models\":["
    "{\"model\":\"blend\",\"users\":1183,\"metrics\":{\"ndcg@20\":{\"mean\":0.2711,\"lo\":0.2602,\"hi\":0.2815,"
    "\"users\":1183},\"arp@20\":{\"mean\":318.2,\"lo\":300.0,\"hi\":330.0},\"coverage@20\":{\"mean\":0.31}},"
    "\"slices\":{\"warm\":{\"users\":1180,\"metrics\":{\"ndcg@20\":{\"mean\":0.28,\"lo\":0.27,\"hi\":0.29}}},"
    "\"cold\":{\"users\":400,\"metrics\":{\"ndcg@20\":{\"mean\":0.06,\"lo\":0.05,\"hi\":0.07}}}},"
    "\"roc\":{\"area\":0.8125,\"false_positive_rate\":[0,0.25,1],\"true_positive_rate\":[0,0.875,1]},"
    "\"seconds\":{\"fit\":12.5,\"score\":2.1,\"per_user\":0.00177},\"peak_memory_bytes\":1340000000},"
    "{\"model\":\"ease\",\"users\":1183,\"metrics\":{\"ndcg@20\":{\"mean\":0.2604,\"lo\":0.25,\"hi\":0.27},"
    "\"arp@20\":{\"mean\":350.0,\"lo\":340.0,\"hi\":360.0}},\"slices\":{},\"seconds\":{\"fit\":4.2,\"score\":1.0,"
    "\"per_user\":0.0008},\"peak_memory_bytes\":420000000,\"p_value\":{\"ndcg@20\":0.0005,\"arp@20\":0.4},"
    "\"baseline\":\"blend\"},"
    "{\"model\":\"popular<script>\",\"users\":1183,\"metrics\":{\"ndcg@20\":{\"mean\":0.11,\"lo\":0.1,\"hi\":0.12}},"
    "\"seconds\":{\"fit\":0.0,\"score\":0.1,\"per_user\":0.0001},\"peak_memory_bytes\":90000000,"
    "\"p_value\":{\"ndcg@20\":0.0005},\"baseline\":\"blend\"}],"
    "\"fit\":{\"users\":6040,\"items\":3260,\"interactions\":801218,\"models\":["
    "{\"model\":\"ease\",\"part\":\"taste\",\"settings\":{\"lambda\":500.0},\"validation\":0.31,"
    "\"tuned_on\":\"warm items\",\"weight_warm\":0.8,\"weight_cold\":0.0,\"fit_seconds\":4.2},"
    "{\"model\":\"content\",\"part\":\"content\",\"settings\":{},\"validation\":0.1,\"tuned_on\":\"cold items\","
    "\"weight_warm\":0.2,\"weight_cold\":1.0,\"fit_seconds\":0.3},"
    "{\"model\":\"latest\",\"part\":\"freshness\",\"settings\":{},\"validation\":null,\"tuned_on\":\"warm items\","
    "\"weight_warm\":0.0,\"weight_cold\":0.0,\"fit_seconds\":0.0,\"skipped\":\"the items have no times & no "
    "years\"}]}}";

/* Every element that was opened is closed in turn; fails with the name that is not. */
static void assert_tags_close(const char *html) {
  static const char *const empty[] = {"meta", "!doctype"};
  char open[64][16];
  size_t depth = 0;
  for (const char *c = html; (c = strchr(c, '<')) != NULL; c++) {
    bool closing = c[1] == '/';
    char name[16];
    if (sscanf(c + 1 + closing, "%15[a-z0-9!]", name) != 1) fail_msg("a bare '<': %.40s", c);
    const char *end = strchr(c, '>');
    assert_non_null(end);
    bool alone = end[-1] == '/';
    for (size_t e = 0; e < 2; e++) alone |= strcmp(name, empty[e]) == 0;
    if (alone) continue;
    if (!closing) {
      assert_true(depth < 64);
      strcpy(open[depth++], name);
    } else if (depth == 0 || strcmp(open[--depth], name) != 0) {
      fail_msg("</%s> where %s is open: %.60s", name, depth < 64 ? open[depth] : "nothing", c);
    }
  }
  assert_int_equal(depth, 0);
}

static json_t *parse(const char *text) {
  medley_error error;
  json_t *value;
  assert_ok(json_parse(text, strlen(text), "report", &value, &error));
  return value;
}

static void test_report(void **state) {
  (void)state;
  medley_error error;
  strbuf html = {0};
  json_t *report = parse(report_text);
  assert_ok(report_html(report, &html, &error));
  assert_tags_close(html.text);
  static const char *const said[] = {
      "<b>blend</b> ranks best by ndcg@20: <b>0.2711</b>; next is ease with 0.2604",
      "0.2602 – 0.2815",
      "1,183",
      "801,218",
      "popular&lt;script&gt;",
      "no times &amp; no years",
      "aria-label=\"worse, p = 0.0005\"",
      "aria-label=\"not certainly different, p = 0.4\"",
      "New items",
      "lambda = 500",
      "1.3 GB",
      "420 MB",
      "prefers-color-scheme:dark",
      "Seed 7, 2 threads; everything took 93 s",
      "<title id=\"costplot-t\">",
      "<title id=\"rocplot-t\">",
      "</span>blend 0.812",
      "</span>chance 0.5",
  };
  for (size_t i = 0; i < sizeof said / sizeof *said; i++)
    if (strstr(html.text, said[i]) == NULL) fail_msg("the report does not say '%s'", said[i]);
  static const char *const never[] = {"<script", "http", "@import", "url(", "nan", "inf<"};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    if (strstr(html.text, never[i]) != NULL) fail_msg("the report holds '%s'", never[i]);
  /* For a look at it: MEDLEY_REPORT=/tmp/report.html build/tests/unit/test_report */
  if (getenv("MEDLEY_REPORT") != NULL) {
    FILE *f = fopen(getenv("MEDLEY_REPORT"), "w");
    fputs(html.text, f);
    fclose(f);
  }
  json_decref(report);
  strbuf_deinit(&html);
}

static void test_report_with_little(void **state) {
  (void)state;
  medley_error error;
  strbuf html = {0};
  static const char *const fine[] = {
      "{\"models\":[{\"model\":\"a\"}]}",
      "{\"models\":[{}],\"fit\":{\"models\":[{}]}}",
      "{\"models\":[{\"model\":\"a\",\"metrics\":{\"x\":{\"mean\":0}},\"seconds\":{\"fit\":0}},{\"model\":\"a\"}]}",
      "{\"models\":[3],\"fit\":7}",
  };
  for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
    json_t *report = parse(fine[i]);
    strbuf_reset(&html);
    assert_ok(report_html(report, &html, &error));
    assert_tags_close(html.text);
    json_decref(report);
  }
  static const char *const bad[] = {"{}", "{\"models\":[]}", "{\"models\":{}}", "[]"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    json_t *report = parse(bad[i]);
    assert_refused(report_html(report, &html, &error), MEDLEY_ERR_INPUT, "at least one model");
    json_decref(report);
  }
  strbuf_deinit(&html);
}

#ifdef MEDLEY_FAULTS
static void test_report_memory(void **state) {
  (void)state;
  medley_error error;
  json_t *report = parse(report_text);
  for (long n = 1;; n++) {
    strbuf html = {0};
    memory_fault_after(n);
    medley_status status = report_html(report, &html, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    strbuf_deinit(&html);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    if (!struck) break;
  }
  json_decref(report);
}
#endif

/* ---- plots ---- */

static void test_ticks(void **state) {
  (void)state;
  static const struct {
    double min, max;
    size_t wanted;
    const char *expected;
  } rows[] = {
      {0, 1, 5, "0 0.2 0.4 0.6 0.8 1"},
      {0, 0.27, 5, "0 0.05 0.1 0.15 0.2 0.25"},
      {-3, 17, 4, "0 5 10 15"},
      {1e6, 2e6, 2, "1e+06 1.5e+06 2e+06"},
      {1, 1, 5, ""},
      {2, 1, 5, ""},
      {NAN, 1, 5, ""},
      {0, INFINITY, 5, ""},
      {0, 5e-324, 5, ""},
  };
  static const struct {
    double min, max;
    const char *expected;
  } log_rows[] = {
      {0.5, 20, "0.5 1 2 5 10 20"},
      {0.001, 1000, "0.001 0.01 0.1 1 10 100 1000"},
      {0, 10, ""},
      {5e-324, 10, ""},
      {3, 4, ""},
  };
  double ticks[PLOT_TICKS_MAX];
  char text[256];
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    size_t count = plot_ticks(rows[r].min, rows[r].max, rows[r].wanted, ticks), used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
      used += (size_t)snprintf(text + used, sizeof text - used, "%s%.6g", i ? " " : "", ticks[i]);
    assert_string_equal(text, rows[r].expected);
  }
  for (size_t r = 0; r < sizeof log_rows / sizeof *log_rows; r++) {
    size_t count = plot_ticks_log(log_rows[r].min, log_rows[r].max, ticks), used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
      used += (size_t)snprintf(text + used, sizeof text - used, "%s%.6g", i ? " " : "", ticks[i]);
    assert_string_equal(text, log_rows[r].expected);
  }
}

static void test_values(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *expected;
  } rows[] = {{0.04123, "0.0412"}, {1.274, "1.27"}, {12.34, "12.3"}, {318.4, "318"}, {-0.5, "-0.5000"}, {NAN, "–"}};
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    strbuf out = {0};
    plot_append_value(&out, rows[r].value);
    assert_string_equal(out.text, rows[r].expected);
    strbuf_deinit(&out);
  }
}

static void test_plots(void **state) {
  (void)state;
  const double x[] = {1, 2, NAN, 4, 5}, y[] = {3, 1, 1, 2, INFINITY};
  const plot_line lines[] = {{"loss & co", x, y, 5, 0}, {"none", x, y, 0, 9}};
  const plot_bar bars[] = {{"a", 1, 0.5, 1.5, 0}, {"b", -2, NAN, NAN, 1}, {"红色", NAN, NAN, NAN, 2}};
  const plot_point points[] = {
      {"p", 1, 1, 0.9, 1.1, 0}, {"q", 1, 1, NAN, NAN, 1}, {"r", 0, 1, NAN, NAN, -1}, {"s", NAN, 1, 0, 0, 0}};
  plot_options options = {.id = "x", .title = "<t>", .description = "\"d\"", .x_label = "x", .y_label = "y"};
  strbuf out = {0};
  for (int pass = 0; pass < 2; pass++) {
    options.x_log = pass;
    plot_lines(&out, &options, lines, 2);
    plot_bars(&out, &options, bars, 3);
    plot_scatter(&out, &options, points, 4);
    plot_lines(&out, &options, lines, 0);
    plot_bars(&out, &options, bars, 0);
    plot_scatter(&out, &options, points, 0);
  }
  assert_false(out.failed);
  assert_tags_close(out.text);
  assert_non_null(strstr(out.text, "&lt;t&gt;"));
  assert_non_null(strstr(out.text, "loss &amp; co"));
  assert_null(strstr(out.text, "nan"));
  assert_null(strstr(out.text, "inf"));
  /* A value that is no number breaks the line: two pieces, of two points and of one. */
  const char *first = strstr(out.text, "<polyline");
  assert_non_null(first);
  assert_non_null(strstr(first + 1, "<polyline"));
  strbuf_deinit(&out);
}

/* ---- sentences ---- */

static void test_why(void **state) {
  (void)state;
  const why_part parts[] = {{"image", 0.4, 0}, {"taste", 1.8, 0}, {"popularity", -0.3, 0}, {"audio", 0.001, 0}};
  const why_item items[] = {{"Alien", 0.41}, {"Aliens", 0.22}};
  strbuf out = {0};
  why_sentences(WHY_HISTORY, WHY_FOR_AND_AGAINST, parts, 4, items, 2, &out);
  assert_string_equal(out.text,
                      "Because of “Alien” (41 % of the evidence from the history) and “Aliens” (22 % of the evidence "
                      "from the history). People with your history choose it (taste +1.80); it looks like what you "
                      "chose (image +0.40); few people choose it (popularity -0.30).");
  /* Of what is recommended only what speaks for it. */
  strbuf_reset(&out);
  why_sentences(WHY_HISTORY, WHY_FOR, parts, 4, items, 0, &out);
  assert_string_equal(out.text,
                      "People with your history choose it (taste +1.80); it looks like what you chose (image "
                      "+0.40).");
  const why_part trust[] = {{"trust", 0.5, 3}, {"community", 0.4, 0}}, alone = {"trust", 0.5, 1},
                 far = {"trust", 0.5, 0};
  const struct {
    const why_part *parts;
    size_t count;
    const char *words;
  } said[] = {{trust, 2,
               "3 people you follow chose it (trust +0.50); it is chosen in your circles more than elsewhere "
               "(community +0.40)."},
              {&alone, 1, "1 person you follow chose it (trust +0.50)."},
              {&far, 1, "People near those you follow chose it (trust +0.50)."}};
  for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
    strbuf_reset(&out);
    why_sentences(WHY_HISTORY, WHY_FOR, said[i].parts, said[i].count, items, 0, &out);
    assert_string_equal(out.text, said[i].words);
  }
  strbuf_reset(&out);
  why_sentences(WHY_HISTORY, WHY_FOR_AND_AGAINST, parts, 0, items, 0, &out);
  assert_int_equal(out.length, 0);
  strbuf_deinit(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_report),        cmocka_unit_test(test_report_with_little),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_report_memory),
#endif
      cmocka_unit_test(test_ticks),         cmocka_unit_test(test_values),
      cmocka_unit_test(test_plots),         cmocka_unit_test(test_why),
  };
  return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
