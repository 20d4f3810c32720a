/* The command line's parts, with a table of commands of the test's own: the parser, suggestions, widths, tables, times,
 * rules, and the pages that are printed from the rows. The real commands run in tests/e2e. */
#include "../test.h"

#include "base/strbuf.h"
#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/moment.h"
#include "cli/pages.h"
#include "base/json.h"
#include "cli/rules.h"
#include "cli/suggest.h"
#include "cli/table.h"
#include "cli/width.h"

static const char *const colours[] = {"red", "green", "blue", NULL};
static const char *const kinds[] = {"items", "events", NULL};

static const command cmd_paint = {
    .name = "paint",
    .group = "Work",
    .summary = "paints things",
    .about = "First paragraph with 'quotes' and a back\\slash.\n\n.Second starts with a dot.",
    .arguments = (const argument_spec[]){{"workspace", VALUE_FOLDER, "the workspace"},
                                         {"kind", VALUE_CHOICE, "what", kinds, true},
                                         {"file", VALUE_FILE, "the file"},
                                         {0}},
    .options = (const option_spec[]){{"count", 'n', VALUE_INTEGER, "N", "how many", 1, 1000},
                                     {"share", 0, VALUE_NUMBER, "X", "how much [of all]: a part", 0, 1},
                                     {"colour", 'c', VALUE_CHOICE, "NAME", "which", .choices = colours},
                                     {"map", 'm', VALUE_TEXT, "A=B", "it's a map", .many = true, .commas = true},
                                     {"like", 0, VALUE_TEXT, "ITEM", "items", .many = true},
                                     {"why", 'w', VALUE_FLAG, NULL, "with reasons"},
                                     {"large", 0, VALUE_INTEGER, "N", "up to 2^53", 0, 9007199254740992.0},
                                     {0}},
    .examples = (const command_example[]){{"medley paint shop x --why", "Paint x"}, {0}},
    .ends = ENDS_NOT_FOUND,
};
static const command cmd_plain = {.name = "plain", .group = "Work", .summary = "does nothing"};
static const command cmd_secret = {.name = "secret", .group = "Work", .summary = "is hidden", .hidden = true};
const command *const commands[] = {&cmd_paint, &cmd_plain, &cmd_secret, NULL};

/* ---- the parser ---- */

#define WORDS_MAX 16

static medley_status parse(const char *line, arguments *a, char *copy, size_t size, medley_error *err) {
  char *argv[WORDS_MAX];
  int argc = 0;
  snprintf(copy, size, "%s", line);
  for (char *word, *rest = copy; (word = strsep(&rest, " ")) != NULL;)
    if (argc < WORDS_MAX) argv[argc++] = word;
  return arguments_parse(&cmd_paint, argc, argv, a, err);
}

static void test_parser_reads(void **state) {
  (void)state;
  medley_error error = {0};
  arguments a;
  char copy[256];
  assert_ok(parse("shop -wn5 f.csv --share=0.5 --colour blue -m a=b,c=d --map e=f --like x,y --like z", &a, copy,
                  sizeof copy, &error));
  assert_string_equal(arguments_text(&a, "workspace"), "shop");
  assert_null(arguments_text(&a, "kind"));
  assert_string_equal(arguments_text(&a, "file"), "f.csv");
  assert_int_equal(arguments_integer(&a, "count", 0), 5);
  assert_near(arguments_number(&a, "share", 0), 0.5, 0);
  assert_string_equal(arguments_text(&a, "colour"), "blue");
  assert_true(arguments_has(&a, "why"));
  assert_false(arguments_has(&a, "json"));
  const char *const *map = arguments_list(&a, "map");
  assert_string_equal(map[0], "a=b");
  assert_string_equal(map[1], "c=d");
  assert_string_equal(map[2], "e=f");
  assert_null(map[3]);
  const char *const *like = arguments_list(&a, "like");
  assert_string_equal(like[0], "x,y");
  assert_string_equal(like[1], "z");
  assert_null(like[2]);
  arguments_deinit(&a);
}

static void test_parser_defaults(void **state) {
  (void)state;
  medley_error error = {0};
  arguments a;
  char copy[256];
  assert_ok(parse("shop events f.csv", &a, copy, sizeof copy, &error));
  assert_string_equal(arguments_text(&a, "kind"), "events");
  assert_int_equal(arguments_integer(&a, "count", 7), 7);
  assert_near(arguments_number(&a, "share", -1), -1, 0);
  assert_null(arguments_list(&a, "map"));
  arguments_deinit(&a);
}

/* A word that begins with a dash is reachable behind --, and a lone dash is a word. */
static void test_parser_dashes(void **state) {
  (void)state;
  medley_error error = {0};
  arguments a;
  char copy[256];
  assert_ok(parse("- --like -5 -- -f.csv", &a, copy, sizeof copy, &error));
  assert_string_equal(arguments_text(&a, "workspace"), "-");
  assert_string_equal(arguments_text(&a, "file"), "-f.csv");
  assert_string_equal(arguments_text(&a, "like"), "-5");
  arguments_deinit(&a);
  assert_ok(parse("--help", &a, copy, sizeof copy, &error)); /* nothing is required beside it */
  assert_true(arguments_has(&a, "help"));
  arguments_deinit(&a);
}

static void test_parser_refuses(void **state) {
  static const struct {
    const char *line, *words;
  } rows[] = {
      {"shop f --cuont 5", "there is no option --cuont: did you mean --count?"},
      {"shop f --zzzzzz", "there is no option --zzzzzz; 'medley paint --help' lists them"},
      {"shop f -x", "there is no option -x"},
      {"shop f --count", "--count needs a value: --count N"},
      {"shop f --count --why", "--count needs a value"},
      {"shop f --count ten", "--count wants a whole number from 1 to 1000, not 'ten'"},
      {"shop f --count 1001", "--count wants a whole number from 1 to 1000, not '1001'"},
      {"shop f --count 99999999999999999999", "not '99999999999999999999'"},
      {"shop f --count 1.5", "not '1.5'"},
      {"shop f --large -1", "--large wants a whole number from 0 to 9,007,199,254,740,992, not '-1'"},
      {"shop f --share nan", "--share wants a number from 0 to 1, not 'nan'"},
      {"shop f --share 1e999", "not '1e999'"},
      {"shop f --colour gren", "--colour wants red, green or blue, not 'gren': did you mean green?"},
      {"shop f --why=yes", "--why takes no value, but has 'yes'"},
      {"shop f --count 1 --count 2", "--count is given twice, as '1' and as '2'"},
      {"shop f --map a,,b", "the value of --map is empty"},
      {"shop f --like \xff", "the value of --like is not UTF-8"},
      {"shop", "FILE is missing: medley paint WORKSPACE [KIND] FILE [OPTION...]"},
      {"shop item f", "KIND wants items or events, not 'item': did you mean items?"},
      {"shop items f g", "'g' is one argument too many"},
  };
  (void)state;
  medley_error error;
  arguments a;
  char copy[256];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_refused(parse(rows[i].line, &a, copy, sizeof copy, &error), MEDLEY_ERR_USAGE, rows[i].words);
    assert_null(a.memory); /* nothing is left to free */
  }
}

#ifdef MEDLEY_FAULTS
static void test_parser_memory(void **state) {
  (void)state;
  medley_error error;
  arguments a;
  char copy[256];
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status status = parse("shop f.csv --map a=b,c=d --like x --count 3", &a, copy, sizeof copy, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (status == MEDLEY_OK) arguments_deinit(&a);
    if (!struck) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
}
#endif

/* ---- suggestions ---- */

static void test_distance(void **state) {
  static const struct {
    const char *a, *b;
    size_t distance;
  } rows[] = {{"", "", 0},           {"", "abc", 3},          {"abc", "abc", 0},        {"recomend", "recommend", 1},
              {"tarin", "train", 1}, {"serach", "search", 1}, {"kitten", "sitting", 3}, {"export", "import", 2}};
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_int_equal(typing_distance(rows[i].a, rows[i].b), rows[i].distance);
    assert_int_equal(typing_distance(rows[i].b, rows[i].a), rows[i].distance);
  }
  char word[SUGGEST_LENGTH_MAX + 2];
  memset(word, 'a', sizeof word - 1);
  word[sizeof word - 1] = '\0';
  assert_true(typing_distance(word, "a") == SIZE_MAX);
}

static void test_suggestions(void **state) {
  (void)state;
  assert_string_equal(command_suggest("piant"), "paint");
  assert_string_equal(command_suggest("pl"), "plain");
  assert_null(command_suggest("evaluate"));
  assert_null(command_suggest("x"));
  assert_null(command_suggest("secret")); /* hidden */
  assert_non_null(command_find("secret"));
}

/* ---- widths and tables ---- */

static void test_width(void **state) {
  static const struct {
    const char *text;
    size_t width;
  } rows[] = {
      {"", 0},     {"abc", 3},       {"红色连衣裙", 10}, {"ｱ", 1},        {"Ａ", 2},
      {"é", 1},    {"e\xCC\x81", 1}, /* with a combining accent */
      {"한국", 4}, {"🎈", 2},         {"…±█", 3},         {"\xff\xfe", 2}, {"a\xE2\x80\x8B", 1}}; /* zero width space */
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(display_width(rows[i].text), rows[i].width);
  size_t used;
  assert_int_equal(display_fit("红色连", 5, &used), 6);
  assert_int_equal(used, 4);
  assert_int_equal(display_fit("e\xCC\x81x", 1, &used), 3);
}

static void expect(strbuf *b, const char *wanted) {
  assert_false(b->failed);
  assert_string_equal(b->text ? b->text : "", wanted);
  strbuf_reset(b);
}

static void test_printable_and_fitted(void **state) {
  (void)state;
  strbuf b = {0};
  strbuf_append_printable(&b, "a\033[31m\nb\x7f\xC2\x9B\xff\xE2\x80\xAE c");
  expect(&b, "a [31m b  \xEF\xBF\xBD c");
  strbuf_append_fitted(&b, "红色连衣裙", 6);
  expect(&b, "红色…");
  strbuf_append_fitted(&b, "abc", 3);
  expect(&b, "abc");
  strbuf_append_fitted(&b, "abc", 0);
  strbuf_append_wrapped(&b, "one two three\n\nfour", 2, 9);
  expect(&b, "  one two\n  three\n\n  four\n");
  strbuf_append_wrapped(&b, "红色连衣，裙", 0, 8);
  expect(&b, "红色连\n衣，裙\n"); /* the comma does not begin a line */
  strbuf_deinit(&b);
}

static void test_bars(void **state) {
  (void)state;
  strbuf b = {0};
  strbuf_append_bar(&b, 1, 1, 4);
  expect(&b, "████");
  strbuf_append_bar(&b, 0.5, 1, 3);
  expect(&b, "█▌");
  strbuf_append_bar(&b, 1e-9, 1, 4);
  expect(&b, "▏");
  strbuf_append_bar(&b, -0.5, 1, 4);
  expect(&b, "░░");
  strbuf_append_bar(&b, 0, 1, 4);
  strbuf_append_bar(&b, NAN, 1, 4);
  strbuf_append_bar(&b, 1, 0, 4);
  strbuf_append_count(&b, 1234567);
  expect(&b, "1,234,567");
  strbuf_append_count(&b, 999);
  expect(&b, "999");
  strbuf_append_bytes_size(&b, 1572864);
  expect(&b, "1.5 MiB");
  strbuf_append_bytes_size(&b, 512);
  expect(&b, "512 B");
  strbuf_deinit(&b);
}

static void table_fill(table *t) {
  table_add_column(t, "item", false, false);
  table_add_column(t, "title", false, true);
  table_add_column(t, "score", true, false);
  table_add(t, "i1", STYLE_PLAIN);
  table_add(t, "红色连衣裙的长标题", STYLE_BOLD);
  table_add_printf(t, STYLE_PLAIN, "%.2f", 12.5);
  table_add(t, "i20", STYLE_PLAIN);
  table_add(t, "lamp\n", STYLE_PLAIN);
  table_add(t, NULL, STYLE_PLAIN);
}

static void test_table(void **state) {
  (void)state;
  strbuf b = {0};
  table t = {0};
  table_fill(&t);
  table_append(&t, &b, 1, 0, false);
  expect(&b, " item  title               score\n i1    红色连衣裙的长标题  12.50\n i20   lamp\n");
  table_append(&t, &b, 0, 27, false);
  expect(&b, "item  title           score\ni1    红色连衣裙的…   12.50\ni20   lamp\n");
  table_append(&t, &b, 0, 0, true);
  assert_non_null(strstr(b.text, "\033[1m红色连衣裙的长标题\033[0m"));
  strbuf_deinit(&b);
  table_deinit(&t);
}

#ifdef MEDLEY_FAULTS
static void test_table_memory(void **state) {
  (void)state;
  for (long n = 1;; n++) {
    strbuf b = {0};
    table t = {0};
    memory_fault_after(n);
    table_fill(&t);
    table_append(&t, &b, 0, 0, false);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (struck && !b.failed) assert_non_null(strstr(b.text ? b.text : "", "i20"));
    strbuf_deinit(&b);
    table_deinit(&t);
    if (!struck) break;
  }
}
#endif

/* ---- times and rules ---- */

static void test_moments(void **state) {
  static const struct {
    const char *text;
    int64_t seconds;
  } good[] = {{"0", 0},
              {"1735689600", 1735689600},
              {"-86400", -86400},
              {"2025-01-01", 1735689600},
              {"2025-01-01T00:00", 1735689600},
              {"2025-01-01 00:00:01Z", 1735689601},
              {"2025-01-01T08:00:00+08:00", 1735689600},
              {"2024-12-31T18:30-0530", 1735689600},
              {"2024-02-29", 1709164800}};
  static const char *const bad[] = {"",
                                    "yesterday",
                                    "2025-02-29",
                                    "2025-13-01",
                                    "2025-1-1",
                                    "2025-01-01T25:00",
                                    "2025-01-01T10:00:60Z",
                                    "2025-01-01T10:00+99:00",
                                    "2025-01-01x",
                                    "1e9",
                                    "999999999999",
                                    "2025-01-01T10:00Zx"};
  (void)state;
  int64_t seconds;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_true(moment_parse(good[i].text, &seconds));
    assert_true(seconds == good[i].seconds);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (moment_parse(bad[i], &seconds)) fail_msg("'%s' was taken for a time", bad[i]);
}

static void test_rules(void **state) {
  static const char *const texts[] = {"i7", "i8=2.5", "category:lamps=-1", "a=b=1", "a=1=3", NULL};
  static const char *const empty[] = {"category:=2", NULL}, *const words[] = {"i7=abc", NULL};
  (void)state;
  medley_error error = {0};
  medley_rule *rules;
  arena *memory = arena_create(0);
  assert_ok(rules_parse("boost", texts, memory, &rules, &error));
  assert_string_equal(rules[0].item, "i7");
  assert_near(rules[0].amount, 1, 0);
  assert_string_equal(rules[1].item, "i8");
  assert_near(rules[1].amount, 2.5, 0);
  assert_null(rules[2].item);
  assert_string_equal(rules[2].category, "lamps");
  assert_near(rules[2].amount, -1, 0);
  assert_string_equal(rules[3].item, "a=b");
  assert_string_equal(rules[4].item, "a=1");
  assert_true(rules[5].item == NULL && rules[5].category == NULL);
  assert_refused(rules_parse("bury", empty, memory, &rules, &error), MEDLEY_ERR_USAGE, "--bury wants ITEM[=AMOUNT]");
  assert_refused(rules_parse("boost", words, memory, &rules, &error), MEDLEY_ERR_USAGE,
                 "--boost i7=abc: the amount 'abc' is no number (where 'i7=abc' is a key, say i7=abc=1)");
  assert_ok(rules_parse("boost", NULL, memory, &rules, &error));
  assert_null(rules);
  arena_free(memory);
}

/* ---- pages ---- */

static void assert_says(const strbuf *b, const char *const *words) {
  assert_false(b->failed);
  for (; *words != NULL; words++)
    if (strstr(b->text, *words) == NULL) fail_msg("'%s' is not in:\n%s", *words, b->text);
}

static void test_help(void **state) {
  static const char *const words[] = {"Usage: medley paint WORKSPACE [KIND] FILE [OPTION...]",
                                      "-n, --count N",
                                      "which: red, green, blue",
                                      "several with commas, or given again",
                                      "--json",
                                      "medley paint shop x --why",
                                      "does not exist",
                                      NULL};
  static const char *const overview[] = {"paint", "paints things", "plain", NULL};
  (void)state;
  strbuf b = {0};
  help_command(&cmd_paint, &b, 80, false);
  assert_says(&b, words);
  for (char *line = b.text; line != NULL && *line != '\0'; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    char one[512];
    snprintf(one, sizeof one, "%.*s", (int)strcspn(line, "\n"), line);
    if (display_width(one) > 80) fail_msg("wider than 80 columns: %s", one);
  }
  strbuf_reset(&b);
  help_overview(&b, 80, false);
  assert_says(&b, overview);
  assert_null(strstr(b.text, "secret"));
  strbuf_deinit(&b);
}

/* The same rows, read back. */
static void test_schema(void **state) {
  (void)state;
  medley_error error;
  json_t *all = NULL;
  strbuf b = {0}, script = {0};
  schema_overview(&b);
  assert_ok(json_parse(b.text, b.length, "the table", &all, &error));
  const json_t *list = json_object_get(all, "commands"), *paint = json_array_get(list, 0);
  assert_int_equal(json_array_size(list), 2); /* without the hidden one */
  assert_true(json_array_size(json_object_get(all, "common_options")) > 3);
  assert_string_equal(json_member_string(paint, "usage", ""), "medley paint WORKSPACE [KIND] FILE [OPTION...]");
  const json_t *kind = json_array_get(json_object_get(paint, "arguments"), 1);
  assert_true(json_is_true(json_object_get(kind, "optional")));
  assert_true(json_array_size(json_object_get(kind, "choices")) > 0);
  const json_t *options = json_object_get(paint, "options"), *count = json_array_get(options, 0);
  assert_int_equal(json_array_size(options), 7);
  assert_string_equal(json_member_string(count, "letter", ""), "n");
  assert_string_equal(json_member_string(count, "type", ""), "integer");
  assert_near(json_member_number(count, "max", 0), 1000, 0);
  assert_true(json_is_true(json_object_get(json_array_get(options, 3), "commas")));
  assert_int_equal(json_array_size(json_object_get(paint, "examples")), 1);
  assert_int_equal(json_array_size(json_object_get(paint, "exits")), 4);
  json_decref(all);
  strbuf_reset(&b);
  strbuf_append(&script, "a \"quoted\"\nline");
  schema_text("script", &script, &b);
  assert_string_equal(b.text, "{\"script\":\"a \\\"quoted\\\"\\nline\"}\n");
  strbuf_deinit(&b);
  strbuf_deinit(&script);
}

static void test_manual(void **state) {
  static const char *const words[] = {".TH MEDLEY-PAINT 1",
                                      "back\\eslash",
                                      "\\(aqquotes\\(aq",
                                      "\n\\&.Second",
                                      "\\fB\\-n\\fR, \\fB\\-\\-count\\fR \\fIN\\fR",
                                      NULL};
  (void)state;
  strbuf b = {0};
  manual_command(&cmd_paint, &b, "0.1.0");
  assert_says(&b, words);
  strbuf_reset(&b);
  manual_overview(&b, "0.1.0");
  assert_null(strstr(b.text, "secret"));
  strbuf_deinit(&b);
}

static void test_completions(void **state) {
  static const char *const bash[] = {"paint plain", "--colour) _medley_words 'red green blue'",
                                     "2) _medley_words 'items events'", NULL};
  static const char *const zsh[] = {"#compdef medley", "how much \\[of all\\]\\: a part", "it'\\''s a map",
                                    "(red green blue)", NULL};
  (void)state;
  strbuf b = {0};
  completion_bash(&b);
  assert_says(&b, bash);
  assert_null(strstr(b.text, "secret"));
  strbuf_reset(&b);
  completion_zsh(&b);
  assert_says(&b, zsh);
  strbuf_reset(&b);
  markdown_reference(&b);
  assert_non_null(strstr(b.text, "| `-n, --count N` | how many |"));
  strbuf_deinit(&b);
}

static void test_exit_statuses(void **state) {
  (void)state;
  int exits[EXIT_STATUSES_MAX];
  assert_int_equal(command_exits(&cmd_paint, exits), 4);
  assert_int_equal(exits[3], EXIT_NOT_FOUND);
  for (int s = MEDLEY_OK; s <= MEDLEY_ERR_INTERNAL; s++)
    assert_non_null(exit_status_text(exit_status_of((medley_status)s)));
  assert_int_equal(exit_status_of(MEDLEY_ERR_CANCELLED), 130);
  assert_int_equal(exit_status_of(MEDLEY_ERR_CORRUPT), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parser_reads),  cmocka_unit_test(test_parser_defaults),
      cmocka_unit_test(test_parser_dashes), cmocka_unit_test(test_parser_refuses),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_parser_memory), cmocka_unit_test(test_table_memory),
#endif
      cmocka_unit_test(test_distance),      cmocka_unit_test(test_suggestions),
      cmocka_unit_test(test_width),         cmocka_unit_test(test_printable_and_fitted),
      cmocka_unit_test(test_bars),          cmocka_unit_test(test_table),
      cmocka_unit_test(test_moments),       cmocka_unit_test(test_rules),
      cmocka_unit_test(test_help),          cmocka_unit_test(test_manual),
      cmocka_unit_test(test_schema),        cmocka_unit_test(test_completions),
      cmocka_unit_test(test_exit_statuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
