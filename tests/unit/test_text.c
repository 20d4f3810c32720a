/* Text → clean text, language and words. */
#include "test.h"

#include <time.h>

#include "base/memory.h"
#include "base/rng.h"
#include "media/text.h"

static text_preparer *preparer(const text_options *options) {
  medley_error error;
  text_preparer *p;
  assert_ok(text_preparer_create(options, &p, &error));
  return p;
}

typedef struct text_row {
  const char *text, *expected;
  text_options options;
} text_row;

typedef medley_status (*text_step)(text_preparer *, const char *, strbuf *, medley_error *);

static void check_rows(text_step step, const text_row *rows, size_t count) {
  medley_error error;
  for (size_t i = 0; i < count; i++) {
    text_preparer *p = preparer(&rows[i].options);
    strbuf out = {0};
    assert_ok(step(p, rows[i].text, &out, &error));
    if (strcmp(out.text, rows[i].expected) != 0)
      fail_msg("'%s' became '%s', expected '%s'", rows[i].text, out.text, rows[i].expected);
    strbuf_deinit(&out);
    text_preparer_free(p);
  }
}

static void test_clean(void **state) {
  (void)state;
  static const text_row rows[] = {
      {"", "", {0}},
      {"  Hello,\t\n World! ", "hello, world!", {0}},
      {"<p>Red <b>d</b>ress</p><br/>size&nbsp;M", "red dress size m", {0}},
      {"a < b and c > d, I <3 you", "a < b and c > d, i <3 you", {0}},
      {"Tom &amp; Jerry &lt;3 &#233;t&eacute; &#x1F600;&#150;", "tom & jerry <3 été –", {0}},
      {"AT&T R&D &nosuch; &#; &#xZZ; & &#1114112;x", "at&t r&d &nosuch; &#; &#xzz; & x", {0}},
      {"x<script>var a = '<p>';</script>y<STYLE type=a>b{}</style>z", "x y z", {0}},
      {"one<!-- two -->three<a href=\"x>y\">four</a>", "one threefour", {0}},
      {"<unclosed tag", "<unclosed tag", {0}},
      {"see https://example.com/a?b=c&d=(e), or www.x.org.", "see , or .", {0}},
      {"mail me@example.co.uk now; not @handle or 5@6", "mail now; not @handle or 5@6", {0}},
      {"链接http://a.cn/x在此", "链接 在此", {0}},
      {"Ｆｕｌｌ　ｗｉｄｔｈ ﬁne ①", "full width fine 1", {0}},
      {"STRASSE Straße ΣΊΣΥΦΟΣ", "strasse strasse σίσυφοσ", {0}},
      {"love \U0001F600\U0001F44D\U0001F3FD it\u2122 \U0001F1E9\U0001F1EA 1\uFE0F\u20E3 \u2605", "love it 1", {0}},
      {"can\u2019t\u00AD stop\u200Bnow\uFEFF", "can't stop now", {0}},
      {"bad \xFF\xC3 bytes \xE7\xBA", "bad bytes", {0}},
      {"bad \xFF byte", "bad \uFFFD byte", {.keep_emoji = true}},
      {"love \U0001F600 it", "love \U0001F600 it", {.keep_emoji = true}},
      {"ＡＢ ﬁ STRASSE", "ａｂ fi strasse", {.keep_compatibility = true}},
      {"ＡＢ Über", "AB Über", {.keep_case = true}},
      {"e\u0301 X", "é X", {.keep_case = true, .keep_compatibility = true}},
      {"<B>x</B> &amp; y", "<b>x</b> &amp; y", {.keep_html = true}},
      {"go HTTP://A.b/C a@b.cc", "go http://a.b/c a@b.cc", {.keep_urls = true}},
  };
  check_rows(text_clean, rows, sizeof rows / sizeof *rows);
}

static void test_words_golden(void **state) {
  (void)state;
  static const text_row rows[] = {
      {"", "", {0}},
      {"the of and", "", {.language = "en"}},
      {"Running shoes for the men's team, size 3.5 or 1,000!", "run shoe men team size 3.5 1,000", {0}},
      {"end.Next foo_bar a:b well-known U.S.A.",
       "end next foo bar a b well known u s a",
       {.keep_stop_words = true, .keep_endings = true}},
      {"Don't stop; can\u2019t rock'n'roll 5'10", "stop rock'n'rol 5 10", {.language = "en"}},
      {"L'hiver, c'est aujourd'hui qu'il chante dans les maisons", "hiv chant maison", {.language = "fr"}},
      {"Die schönen Häuser in den Straßen", "schon haus strass", {.language = "de"}},
      {"las casas rojas de los niños", "cas roj niñ", {.language = "es"}},
      {"красные платья для женщин", "красн плат женщин", {0}},
      {"红色连衣裙", "红色 连 衣裙", {0}},
      {"这是一件非常漂亮的红色连衣裙，适合夏天穿着。", "一件 漂亮 红色 连 衣裙 适合 夏天 穿着", {0}},
      {"iPhone手机壳 running", "iphon 手机 壳 run", {0}},
      {"東京に住んでいる人々はとても親切です。", "東京 住 んで 人々 親切", {0}},
      {"赤いワンピース", "赤い ワンピース", {0}},
      {"สวัสดีครับ ฉันชอบกินข้าวผัดกุ้ง", "สวัสดี ชอบ กิน ข้าว ผัด กุ้ง", {0}},
      {"good \U0001F600 day", "good \U0001F600 day", {.keep_emoji = true}},
      {"The Dresses", "Dress", {.keep_case = true, .language = "en-GB"}},
      {"The dresses", "the dress", {.keep_stop_words = true}},
      {"The dresses", "dresses", {.keep_endings = true}},
  };
  check_rows(text_words_joined, rows, sizeof rows / sizeof *rows);
}

static void test_language(void **state) {
  (void)state;
  static const struct {
    const char *text, *expected;
    bool needs_models;
  } rows[] = {
      {"", "", false},
      {"12345 !?", "", false},
      {"Casablanca", "", false},
      {"Black Leather Belt", "", false},
      {"The Godfather", "en", false},
      {"a film about two friends who travel through the desert", "en", false},
      {"Die schönsten Schuhe für den Sommer sind bei uns zu finden", "de", false},
      {"Les plus belles chaussures sont dans notre magasin pour vous", "fr", false},
      {"Los mejores zapatos para el verano están en nuestra tienda", "es", false},
      {"Le scarpe più belle sono nel nostro negozio per la tua estate", "it", false},
      {"Os melhores sapatos não são caros para você", "pt", false},
      {"De mooiste schoenen van het seizoen zijn er voor jou en mij", "nl", false},
      {"schöne rote schuhe aus leder mit absatz und riemen", "de", true},
      {"chaussures rouges en cuir véritable, talons confortables", "fr", true},
      {"красивые туфли для лета", "ru", false},
      {"Найкращі туфлі для літа є в нашому магазині, завітайте сьогодні", "uk", true},
      {"红色连衣裙", "zh", false},
      {"Apple iPhone 手机壳 正品", "zh", false},
      {"赤いワンピース", "ja", false},
      {"東京に住んでいる", "ja", false},
      {"빨간 원피스", "ko", false},
      {"ข้าวผัดกุ้ง", "th", false},
      {"κόκκινο φόρεμα", "el", false},
      {"שמלה אדומה", "he", false},
      {"فستان أحمر", "ar", false},
  };
  medley_error error;
  char language[8];
  text_preparer *with = preparer(NULL), *without = preparer(&(text_options){.language_models = "/nowhere"});
  bool models = access("/usr/share/libexttextcat/fpdb.conf", R_OK) == 0;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_ok(text_language(models ? with : without, rows[i].text, language, &error));
    if ((models || !rows[i].needs_models) && strcmp(language, rows[i].expected) != 0)
      fail_msg("'%s' is taken for '%s', expected '%s'", rows[i].text, language, rows[i].expected);
    assert_ok(text_language(without, rows[i].text, language, &error));
    if (!rows[i].needs_models) assert_string_equal(language, rows[i].expected);
  }
  text_preparer_free(with);
  text_preparer_free(without);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error;
  text_preparer *p;
  static const char *const codes[] = {"", "e", "EN", "english", "12"};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    assert_refused(text_preparer_create(&(text_options){.language = codes[i]}, &p, &error), MEDLEY_ERR_USAGE,
                   "ISO 639");
  size_t length = ((size_t)16 << 20) + 1;
  char *text = mem_alloc(length + 1, 1);
  memset(text, 'a', length);
  text[length] = '\0';
  strbuf out = {0};
  p = preparer(NULL);
  assert_refused(text_clean(p, text, &out, &error), MEDLEY_ERR_LIMIT, "longer than 16777216 bytes");
  text_preparer_free(p);
  mem_free(text);
}

static bool take_two(void *context, const char *word, size_t length, size_t position) {
  (void)word, (void)length;
  *(size_t *)context += 1;
  return position < 1;
}

static void test_taker_stops(void **state) {
  (void)state;
  medley_error error;
  size_t taken = 0;
  text_preparer *p = preparer(NULL);
  assert_ok(text_words(p, "one two three four", take_two, &taken, &error));
  assert_int_equal(taken, 2);
  text_preparer_free(p);
}

/* The way round ICU for ASCII must give what ICU gives. */
static void test_shortcut_twin(void **state) {
  (void)state;
  static const char alphabet[] = "aaabbcDEz0123 .,:;'_-<>&@/\t\"!()";
  medley_error error;
  rng random;
  rng_seed(&random, 11);
  text_options slow_options = {.keep_stop_words = true, .keep_endings = true, .without_shortcuts = true};
  text_options fast_options = {.keep_stop_words = true, .keep_endings = true};
  text_preparer *slow = preparer(&slow_options), *fast = preparer(&fast_options);
  for (int round = 0; round < 3000; round++) {
    char text[64];
    size_t length = rng_below(&random, sizeof text - 1);
    for (size_t i = 0; i < length; i++) text[i] = alphabet[rng_below(&random, sizeof alphabet - 1)];
    text[length] = '\0';
    strbuf a = {0}, b = {0};
    assert_ok(text_clean(slow, text, &a, &error));
    assert_ok(text_clean(fast, text, &b, &error));
    assert_string_equal(a.text, b.text);
    strbuf_reset(&a);
    strbuf_reset(&b);
    assert_ok(text_words_joined(slow, text, &a, &error));
    assert_ok(text_words_joined(fast, text, &b, &error));
    if (strcmp(a.text, b.text) != 0) fail_msg("'%s': ICU gives '%s', the shortcut '%s'", text, a.text, b.text);
    strbuf_deinit(&a);
    strbuf_deinit(&b);
  }
  text_preparer_free(slow);
  text_preparer_free(fast);
}

/* Cleaning twice changes nothing more, and the preparer keeps no memory of the text before. */
static void test_repeated(void **state) {
  (void)state;
  static const char *const texts[] = {"<p>红色 &amp; blue</p>", "plain ascii", "\xFF\xFE", "Ünï \U0001F600", ""};
  medley_error error;
  text_preparer *p = preparer(NULL);
  for (size_t i = 0; i < 25; i++) {
    const char *text = texts[i * 7 % 5];
    strbuf once = {0}, twice = {0}, fresh = {0};
    text_preparer *q = preparer(NULL);
    assert_ok(text_clean(p, text, &once, &error));
    assert_ok(text_clean(p, once.text, &twice, &error));
    assert_ok(text_clean(q, text, &fresh, &error));
    assert_string_equal(once.text, twice.text);
    assert_string_equal(once.text, fresh.text);
    strbuf_deinit(&once);
    strbuf_deinit(&twice);
    strbuf_deinit(&fresh);
    text_preparer_free(q);
  }
  text_preparer_free(p);
}

#ifdef MEDLEY_FAULTS
static medley_status prepare_once(medley_error *error) {
  text_options options = {.keep_compatibility = true, .language_models = "/nowhere"};
  text_preparer *p;
  strbuf out = {0};
  medley_status status = text_preparer_create(&options, &p, error);
  if (status == MEDLEY_OK)
    status = text_words_joined(p, "<b>Ünïcode</b> \xFF words 红色连衣裙 &amp; mail a@b.cc", &out, error);
  strbuf_deinit(&out);
  text_preparer_free(p);
  return status;
}

static void test_memory_faults(void **state) {
  (void)state;
  medley_error error;
  long n = 1;
  for (;; n++) {
    memory_fault_after(n);
    medley_status status = prepare_once(&error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (!struck) break;
    /* A fault in the search for models only costs the models. */
    if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  assert_true(n > 10);
}
#endif

/* 4,000 descriptions of 1,000 characters; the floor is loose, since sanitisers and neighbours slow this down. */
static void test_speed(void **state) {
  (void)state;
  static const char *const sentences[] = {
      "A captivating adventure directed by a master of the genre, starring two of the finest actors of their time. ",
      "Das Kleid aus weicher Baumwolle ist für warme Tage gemacht und lässt sich leicht waschen. ",
      "这是一件非常漂亮的红色连衣裙，适合夏天穿着，面料柔软舒适。"};
  medley_error error;
  for (size_t s = 0; s < 3; s++) {
    text_preparer *p = preparer(NULL);
    strbuf text = {0}, out = {0};
    while (text.length < 1000) strbuf_append(&text, sentences[s]);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 200; i++) {
      strbuf_reset(&out);
      assert_ok(text_words_joined(p, text.text, &out, &error));
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
    print_message("sentence %zu: %.0f us a text of %zu bytes\n", s, seconds / 200 * 1e6, text.length);
    assert_true(seconds < 4);
    strbuf_deinit(&text);
    strbuf_deinit(&out);
    text_preparer_free(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_clean),         cmocka_unit_test(test_words_golden), cmocka_unit_test(test_language),
      cmocka_unit_test(test_refusals),      cmocka_unit_test(test_taker_stops),  cmocka_unit_test(test_shortcut_twin),
      cmocka_unit_test(test_repeated),      cmocka_unit_test(test_speed),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_faults),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
