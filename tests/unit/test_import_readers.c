/* Below the importers: bytes out of compressed files, lines, cells, times. */
#include "import_fixture.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/import_parts.h"

/* ---- cells ---- */

static const struct {
  const char *delimiter;
  bool quotes;
  const char *record, *cells; /* joined by ^; NULL: refused */
} cut_rows[] = {
    {",", true, "a,b", "a^b"},
    {",", true, "", ""},
    {",", true, ",", "^"},
    {",", true, "\"a,b\",c", "a,b^c"},
    {",", true, "\"a\"\"b\"", "a\"b"},
    {",", true, "\"\"\"\"", "\""},
    {",", true, "5\" disk,x", "5\" disk^x"},
    {",", true, "\"a", NULL},
    {",", true, "\"a\"b", NULL},
    {",", false, "\"a,b\"", "\"a^b\""},
    {"::", false, "1::a:b::c", "1^a:b^c"},
    {"\t", false, "\"T\t\t", "\"T^^"},
};

static void test_cut(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cut_rows / sizeof *cut_rows; i++) {
    table_dialect dialect = {.quotes = cut_rows[i].quotes};
    memcpy(dialect.delimiter, cut_rows[i].delimiter, strlen(cut_rows[i].delimiter) + 1);
    char record[64], *cells[8];
    size_t count = 0;
    const char *fault = NULL;
    strcpy(record, cut_rows[i].record);
    bool cut = table_cut(&dialect, record, cells, 8, &count, &fault);
    assert_int_equal(cut, cut_rows[i].cells != NULL);
    if (!cut) continue;
    strbuf joined = {0};
    for (size_t k = 0; k < count; k++) strbuf_printf(&joined, "%s%s", k ? "^" : "", cells[k]);
    assert_string_equal(joined.text ? joined.text : "", cut_rows[i].cells);
    strbuf_deinit(&joined);
  }
}

static void test_sniff(void **state) {
  (void)state;
  static const struct {
    const char *head;
    char delimiter;
    bool header;
  } rows[] = {
      {"a,b\n1,2\n", ',', true},
      {"a;b,c;d\n", ';', true},
      {"a\tb\n", '\t', true},
      {"1,2\n", ',', false},
      {"1 2\n3 4\n", ' ', false},
      {"\"a,b\"|\"c,d\"|e\n", '|', true},
      {"word\n", ',', true},
      {"", ',', true},
      {"\xEF\xBB\xBF"
       "1\t2\r\n",
       '\t', false},
      {"a b c\n", ',', true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    table_dialect d = table_sniff(rows[i].head, strlen(rows[i].head));
    assert_int_equal(d.delimiter[0], rows[i].delimiter);
    assert_int_equal(d.header, rows[i].header);
  }
}

/* Records over many lines come out the same whatever the size of the pieces in which bytes arrive. */
static void test_quoted_lines(void **state) {
  (void)state;
  medley_error error;
  stream *in;
  table_reader t;
  table_row row;
  bool more;
  const char text[] = "k,v\r\n1,\"a\r\n\r\nb\"\r\n\r\n2,\"x\"\n3,\"open\n4,5\n";
  assert_ok(stream_open_memory("t", text, strlen(text), &in, &error));
  assert_ok(
      table_open(&t, in, &(table_dialect){.delimiter = ",", .quotes = true, .header = true}, false, 1000, &error));
  assert_ok(table_next(&t, &row, &more, &error));
  assert_string_equal(row.cells[1], "a\n\nb");
  assert_int_equal(row.line, 2);
  assert_ok(table_next(&t, &row, &more, &error));
  assert_string_equal(row.cells[1], "x");
  assert_int_equal(row.line, 6);
  assert_ok(table_next(&t, &row, &more, &error));
  assert_non_null(strstr(row.fault, "opens a quote that is not closed"));
  assert_non_null(strstr(row.raw, "3,\"open\n4,5"));
  assert_ok(table_next(&t, &row, &more, &error));
  assert_false(more);
  table_close(&t);
  stream_close(in);
}

/* ---- bytes ---- */

static char *stream_all(const char *path, size_t piece, size_t *total) {
  medley_error error;
  stream *in;
  char *all = mem_zalloc(1 << 20, 1);
  size_t got = 1;
  *total = 0;
  assert_ok(stream_open(path, &in, &error));
  while (got > 0) {
    assert_ok(stream_read(in, all + *total, piece, &got, &error));
    *total += got;
  }
  stream_close(in);
  return all;
}

static void test_streams(void **state) {
  import_fixture *f = *state;
  char path[512], *text = mem_zalloc(300001, 1);
  for (size_t i = 0; i < 300000; i++) text[i] = (char)('a' + i * i % 23);
  for (int packing = 0; packing < 4; packing++) {
    size_t expected = 300000, total;
    if (packing == 0) import_file(f, "t", text, 300000, path);
    if (packing == 1) import_file_gzip(f, "t", text, path);
    if (packing == 2) import_file_zstd(f, "t", text, path);
    if (packing == 3) { /* two members, as cat makes them */
      medley_error error;
      char *once, *twice;
      size_t length;
      import_file_gzip(f, "t", text, path);
      assert_ok(file_read(path, 1 << 20, &once, &length, &error));
      twice = mem_alloc(length, 2);
      memcpy(twice, once, length);
      memcpy(twice + length, once, length);
      import_file(f, "t", twice, 2 * length, path);
      expected = 600000;
      mem_free(once);
      mem_free(twice);
    }
    for (size_t piece = 997; piece < 200000; piece *= 13) {
      char *all = stream_all(path, piece, &total);
      assert_int_equal(total, expected);
      assert_memory_equal(all, text, 300000);
      mem_free(all);
    }
  }
  size_t total;
  char *all = stream_all(import_file(f, "empty", "", 0, path), 10, &total);
  assert_int_equal(total, 0);
  mem_free(all);
  mem_free(text);
}

static void test_lines(void **state) {
  (void)state;
  medley_error error;
  stream *in;
  line_reader r;
  char *line;
  size_t length;
  const char text[] = "\xEF\xBB\xBFone\r\n\ncaf\xe9\nlast";
  assert_ok(stream_open_memory("t", text, strlen(text), &in, &error));
  line_reader_init(&r, in, true, 100);
  static const char *const expected[] = {"one", "", "café", "last"};
  for (size_t i = 0; i < 4; i++) {
    assert_ok(line_next(&r, &line, &length, &error));
    assert_string_equal(line, expected[i]);
  }
  assert_ok(line_next(&r, &line, &length, &error));
  assert_null(line);
  line_reader_deinit(&r);
  stream_close(in);
  assert_ok(stream_open_memory("t", "short\nmuch longer than ten\n", 27, &in, &error));
  line_reader_init(&r, in, false, 10);
  assert_ok(line_next(&r, &line, &length, &error));
  assert_refused(line_next(&r, &line, &length, &error), MEDLEY_ERR_LIMIT, "line 2 is longer than 10 bytes");
  line_reader_deinit(&r);
  stream_close(in);
}

/* ---- values ---- */

static void test_times(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t time_s;
  } rows[] = {
      {"0", 0},
      {"978300760", 978300760},
      {"978300760.9", 978300760},
      {"-1", -1},
      {"1700000000123", 1700000000},
      {"1700000000123456", 1700000000},
      {"1700000000123456789", 1700000000},
      {"1970-01-01", 0},
      {"2000-02-29T12:00:00Z", 951825600},
      {"2023-11-14 22:13:20", 1700000000},
      {"2023-11-14T22:13:20.999+00:00", 1700000000},
      {"2023-11-15T06:13:20+08:00", 1700000000},
      {"2023-11-14T17:13:20-0500", 1700000000},
      {"2023/11/14", 1699920000},
      {"01-Jan-1995", 788918400},
      {"09 13, 2009", 1252800000},
      {"1969-12-31T23:59:59Z", -1},
      {"1.7e9", 1700000000},
  };
  static const char *const bad[] = {"",
                                    "x",
                                    "2023-13-01",
                                    "2023-02-29",
                                    "2023-11-14T",
                                    "2023-11-14T25:00:00",
                                    "nan",
                                    "2023-11-14T22:13:20+99:00",
                                    "01-Foo-1995",
                                    "13 40, 2009",
                                    "1e30",
                                    "2023-11-14 22:13:20 x"};
  int64_t time_s;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!value_time(rows[i].text, &time_s)) fail_msg("'%s' is a time", rows[i].text);
    if (time_s != rows[i].time_s) fail_msg("'%s' gave %lld", rows[i].text, (long long)time_s);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (value_time(bad[i], &time_s)) fail_msg("'%s' is no time", bad[i]);
}

static void test_python(void **state) {
  (void)state;
  static const struct {
    const char *python, *json;
  } rows[] = {
      {"{'a': 'it\\'s', \"b\": \"x'y\"}", "{\"a\": \"it's\", \"b\": \"x'y\"}"},
      {"{'a': u'\\x41\\u00e9', 'b': ('x', None, True, False)}",
       "{\"a\": \"\\u0041\\u00e9\", \"b\": [\"x\", null, true, false]}"},
      {"{'q': 'say \"hi\"\\n', 'n': -1.5e3}", "{\"q\": \"say \\\"hi\\\"\\n\", \"n\": -1.5e3}"},
      {"{'True': 'None'}", "{\"True\": \"None\"}"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    strbuf out = {0};
    assert_true(python_to_json(rows[i].python, strlen(rows[i].python), &out));
    assert_string_equal(out.text, rows[i].json);
    strbuf_deinit(&out);
  }
  strbuf out = {0};
  assert_false(python_to_json("{'a", 3, &out));
  assert_false(python_to_json("'\\x4", 4, &out));
  strbuf_deinit(&out);
}

/* ---- the real catalogues ---- */

static void test_real_films(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  char path[512];
  static const char *const maps[] = {"item=movie_id,title=title,text=description,tags=genres"};
  static const char *const posters[] = {"posters/{item}.jpg"};
  if (test_data("movies/movies.tsv", path) == NULL) skip();
  import_options options = {.kind = IMPORT_ITEMS, .path = path, .maps = maps, .map_count = 1};
  options.patterns[MODALITY_IMAGE] = posters;
  options.pattern_count[MODALITY_IMAGE] = 1;
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_int_equal(report.accepted, 3883);
  assert_int_equal(report.media_found[MODALITY_IMAGE], 3256);
  assert_int_equal(report.media_missing[MODALITY_IMAGE], 627);
  static const char *const names[] = {"title=name.en,text=text.en,tags=type"};
  options = (import_options){
      .kind = IMPORT_ITEMS, .path = test_data("creatures/creatures.jsonl", path), .maps = names, .map_count = 1};
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_int_equal(report.accepted, 807);
  assert_int_equal(report.media_found[MODALITY_IMAGE], 807);
  assert_int_equal(report.media_found[MODALITY_AUDIO], 807);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, import_setup, import_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cut),          cmocka_unit_test(test_sniff),
      cmocka_unit_test(test_quoted_lines), TEST(test_streams),
      cmocka_unit_test(test_lines),        cmocka_unit_test(test_times),
      cmocka_unit_test(test_python),       TEST(test_real_films),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
