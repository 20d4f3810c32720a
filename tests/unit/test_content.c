/* Content into a workspace by single rows and by files, cards, and the workspace as an encrypted file. */
#include "import_fixture.h"

#include <medley/medley.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "media/image.h"

typedef struct fixture {
  char folder[256], path[300];
  medley_workspace *w;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  medley_error error;
  test_folder(f->folder);
  snprintf(f->path, sizeof f->path, "%s/shop", f->folder);
  assert_ok(medley_workspace_create(f->path, &error));
  assert_ok(medley_workspace_open(f->path, &f->w, &error));
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  medley_workspace_close(f->w);
  (void)!folder_remove(f->folder, NULL);
  free(f);
  return 0;
}

static json_t *parse(char *text) {
  medley_error error;
  json_t *value;
  assert_ok(json_parse(text, strlen(text), "answer", &value, &error));
  medley_free(text);
  return value;
}

static json_t *describe(medley_workspace *w, const char *key) {
  medley_error error;
  char *text;
  assert_ok(medley_describe_item(w, key, &text, &error));
  return parse(text);
}

static long long count_of(medley_workspace *w, const char *what) {
  medley_error error;
  char *text;
  assert_ok(medley_workspace_describe(w, &text, &error));
  json_t *value = parse(text);
  long long count = json_member_integer(json_object_get(value, "counts"), what, -1);
  json_decref(value);
  return count;
}

/* A small picture of our own making; its path into path. */
static void make_picture(const fixture *f, const char *name, char path[600]) {
  medley_error error;
  uint8_t rgb[48 * 32 * 3];
  for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 7);
  image picture = {.width = 48, .height = 32, .rgb = rgb};
  snprintf(path, 600, "%s/%s", f->folder, name);
  assert_ok(image_save(&picture, path, &error));
}

/* ---- items ---- */

static void test_items(void **state) {
  fixture *f = *state;
  medley_error error;
  char path[600];
  make_picture(f, "red.png", path);
  const char *tags[] = {"red", "silk", NULL}, *pictures[] = {path, NULL};
  medley_item item = {.key = "k1",
                      .title = "Red dress",
                      .text = "A long red dress.",
                      .category = "dresses",
                      .language = "en",
                      .tags = tags,
                      .image = pictures,
                      .attributes = "{\"brand\":\"x\"}",
                      .time_s = 1700000000};
  assert_ok(medley_put_item(f->w, &item, &error));
  json_t *seen = describe(f->w, "k1");
  assert_string_equal(json_member_string(seen, "item", ""), "k1");
  assert_string_equal(json_member_string(seen, "title", ""), "Red dress");
  assert_string_equal(json_member_string(seen, "category", ""), "dresses");
  assert_int_equal(json_array_size(json_object_get(seen, "tags")), 2);
  assert_string_equal(json_member_string(json_object_get(seen, "attributes"), "brand", ""), "x");
  assert_int_equal(json_member_integer(seen, "time", 0), 1700000000);
  assert_true(json_is_null(json_object_get(seen, "trained")));
  assert_string_equal(json_string_value(json_array_get(json_object_get(json_object_get(seen, "media"), "image"), 0)),
                      path);
  json_decref(seen);
  /* An update changes what is given and keeps the rest; another handle sees it at once. */
  medley_item update = {.key = "k1", .title = "Blue dress", .time_s = MEDLEY_TIME_UNKNOWN, .hidden = 1};
  assert_ok(medley_put_item(f->w, &update, &error));
  medley_workspace *other;
  assert_ok(medley_workspace_open(f->path, &other, &error));
  seen = describe(other, "k1");
  medley_workspace_close(other);
  assert_string_equal(json_member_string(seen, "title", ""), "Blue dress");
  assert_string_equal(json_member_string(seen, "text", ""), "A long red dress.");
  assert_true(json_is_true(json_object_get(seen, "hidden")));
  json_decref(seen);
  assert_ok(medley_delete_item(f->w, "k1", &error));
  char *text;
  assert_refused(medley_describe_item(f->w, "k1", &text, &error), MEDLEY_ERR_NOT_FOUND, "there is no item 'k1'");
  assert_refused(medley_delete_item(f->w, "k1", &error), MEDLEY_ERR_NOT_FOUND, "there is no item 'k1'");
  assert_int_equal(count_of(f->w, "items"), 0);
}

static void test_item_refusals(void **state) {
  fixture *f = *state;
  medley_error error;
  char long_key[514];
  strbuf huge = {0};
  memset(long_key, 'k', 513);
  long_key[513] = '\0';
  strbuf_append(&huge, "{\"a\":\"");
  for (int i = 0; i < 1 << 17; i++) strbuf_append(&huge, "xxxxxxxx");
  strbuf_append(&huge, "\"}");
  const char *absent[] = {"/nowhere/at all.png", NULL};
  const char *many[66] = {NULL};
  for (size_t i = 0; i < 65; i++) many[i] = f->folder;
  const struct {
    medley_item item;
    medley_status status;
    const char *words;
  } rows[] = {
      {{.key = NULL}, MEDLEY_ERR_INPUT, "needs a key"},
      {{.key = ""}, MEDLEY_ERR_INPUT, "needs a key"},
      {{.key = long_key}, MEDLEY_ERR_LIMIT, "513 bytes, at most 512"},
      {{.key = "a\nb"}, MEDLEY_ERR_INPUT, "control character"},
      {{.key = "k", .title = "\xff"}, MEDLEY_ERR_INPUT, "UTF-8"},
      {{.key = "k", .attributes = "[1]"}, MEDLEY_ERR_INPUT, "must be a JSON object"},
      {{.key = "k", .attributes = "{"}, MEDLEY_ERR_INPUT, "item 'k': attributes: not valid JSON"},
      {{.key = "k", .attributes = huge.text}, MEDLEY_ERR_LIMIT, "attributes of"},
      {{.key = "k", .image = absent}, MEDLEY_ERR_NOT_FOUND, "cannot find the file '/nowhere/at all.png'"},
      {{.key = "k", .audio = many}, MEDLEY_ERR_LIMIT, "more than 64 files of audio"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_refused(medley_put_item(f->w, &rows[i].item, &error), rows[i].status, rows[i].words);
  assert_int_equal(count_of(f->w, "items"), 0);
  strbuf_deinit(&huge);
}

/* ---- events and users ---- */

static void test_events(void **state) {
  fixture *f = *state;
  medley_error error;
  medley_item item = {.key = "i", .time_s = MEDLEY_TIME_UNKNOWN};
  assert_ok(medley_put_item(f->w, &item, &error));
  medley_event click = {.user = "u", .item = "i", .context = "{\"page\":\"home\"}"};
  medley_event rate = {.user = "v", .item = "i", .type = "rate", .value = 4.5, .time_s = 1700000000};
  assert_ok(medley_put_event(f->w, &click, &error));
  assert_ok(medley_put_event(f->w, &click, &error));
  assert_ok(medley_put_event(f->w, &rate, &error));
  assert_int_equal(count_of(f->w, "events"), 3);
  assert_int_equal(count_of(f->w, "users"), 2);
  char long_type[66];
  memset(long_type, 't', 65);
  long_type[65] = '\0';
  strbuf long_context = {0};
  strbuf_append(&long_context, "{\"a\":\"");
  for (int i = 0; i < 1 << 13; i++) strbuf_append(&long_context, "xxxxxxxx");
  strbuf_append(&long_context, "\"}");
  const struct {
    medley_event event;
    medley_status status;
    const char *words;
  } rows[] = {
      {{.item = "i"}, MEDLEY_ERR_INPUT, "needs a user"},
      {{.user = "u"}, MEDLEY_ERR_INPUT, "needs an item"},
      {{.user = "new", .item = "j"}, MEDLEY_ERR_NOT_FOUND, "there is no item 'j'"},
      {{.user = "new", .item = "i", .value = NAN}, MEDLEY_ERR_INPUT, "must be a number"},
      {{.user = "new", .item = "i", .value = 1e300}, MEDLEY_ERR_INPUT, "must be a number"},
      {{.user = "new", .item = "i", .type = ""}, MEDLEY_ERR_INPUT, "type of 0 bytes"},
      {{.user = "new", .item = "i", .type = long_type}, MEDLEY_ERR_INPUT, "type of 65 bytes"},
      {{.user = "a\tb", .item = "i"}, MEDLEY_ERR_INPUT, "control character"},
      {{.user = "new", .item = "i", .context = "[1]"}, MEDLEY_ERR_INPUT, "event: context must be a JSON object"},
      {{.user = "new", .item = "i", .context = "{"}, MEDLEY_ERR_INPUT, "event: context: not valid JSON"},
      {{.user = "new", .item = "i", .context = long_context.text}, MEDLEY_ERR_LIMIT, "at most 65536 are taken"},
      {{.user = "new", .item = "i", .time_s = -5}, MEDLEY_ERR_INPUT, "time -5 is before 1970"},
      {{.user = "new", .item = "i", .time_s = 32472144000}, MEDLEY_ERR_INPUT, "2999-01-01T00:00:00Z"},
      {{.user = "new", .item = "i", .time_s = INT64_MAX}, MEDLEY_ERR_INPUT, "beyond the year 9999"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_refused(medley_put_event(f->w, &rows[i].event, &error), rows[i].status, rows[i].words);
  assert_int_equal(count_of(f->w, "users"), 2);
  assert_ok(medley_delete_user(f->w, "u", &error));
  assert_int_equal(count_of(f->w, "events"), 1);
  assert_int_equal(count_of(f->w, "users"), 1);
  assert_refused(medley_delete_user(f->w, "u", &error), MEDLEY_ERR_NOT_FOUND, "there is no user 'u'");
  strbuf_deinit(&long_context);
}

/* What the store has, read past the engine. */
static char *dump_of(const fixture *f) {
  medley_error error;
  store *s;
  char database[700];
  snprintf(database, sizeof database, "%s/medley.db", f->path);
  assert_ok(store_sqlite.open(database, false, 1000, &s, &error));
  char *text = import_dump(s);
  store_sqlite.close(s);
  return text;
}

static void assert_dumped(const fixture *f, const char *line) {
  char *text = dump_of(f);
  if (strstr(text, line) == NULL) fail_msg("no '%s' in\n%s", line, text);
  mem_free(text);
}

static void test_users_and_links(void **state) {
  fixture *f = *state;
  medley_error error;
  medley_item tea = {.key = "tea", .time_s = MEDLEY_TIME_UNKNOWN}, ice = {.key = "ice", .time_s = MEDLEY_TIME_UNKNOWN};
  assert_ok(medley_put_item(f->w, &tea, &error));
  assert_ok(medley_put_item(f->w, &ice, &error));
  medley_user ann = {.key = "ann", .attributes = "{\"city\":\"Aachen\"}", .time_s = 1700000000};
  assert_ok(medley_put_user(f->w, &ann, &error));
  assert_dumped(f, "user ann time=1700000000 attributes={\"city\":\"Aachen\"}");
  /* What is not given stays. */
  assert_ok(medley_put_user(f->w, &(medley_user){.key = "ann", .time_s = MEDLEY_TIME_UNKNOWN}, &error));
  assert_dumped(f, "user ann time=1700000000 attributes={\"city\":\"Aachen\"}");
  medley_link follows = {.from_user = "bo", .to_user = "ann", .type = "follows"};
  medley_link with = {.from_item = "tea", .to_item = "ice", .weight = 0.5};
  assert_ok(medley_put_link(f->w, &follows, &error));
  assert_ok(medley_put_link(f->w, &with, &error));
  assert_dumped(f, "link bo follows ann 1");
  assert_dumped(f, "link tea related ice 0.5");
  with.weight = 2;
  assert_ok(medley_put_link(f->w, &with, &error));
  assert_dumped(f, "link tea related ice 2");
  assert_int_equal(count_of(f->w, "links"), 2);
  assert_int_equal(count_of(f->w, "users"), 2);
  medley_event seen = {.user = "ann", .item = "tea", .time_s = 1700000000, .context = "{\"page\":\"home\"}"};
  assert_ok(medley_put_event(f->w, &seen, &error));
  assert_dumped(f, "event ann tea click 1 time=1700000000 context={\"page\":\"home\"}");

  const struct {
    medley_link link;
    medley_status status;
    const char *words;
  } rows[] = {
      {{.to_user = "ann"}, MEDLEY_ERR_INPUT, "starts at one user or at one item, not at none"},
      {{.from_user = "ann", .from_item = "tea", .to_user = "bo"}, MEDLEY_ERR_INPUT, "not at both"},
      {{.from_user = "ann"}, MEDLEY_ERR_INPUT, "leads to one user or to one item, not to none"},
      {{.from_user = "ann", .to_user = "bo", .to_item = "tea"}, MEDLEY_ERR_INPUT, "not to both"},
      {{.from_user = "new", .to_item = "cake"}, MEDLEY_ERR_NOT_FOUND, "there is no item 'cake'"},
      {{.from_user = "new", .to_user = "a\nb"}, MEDLEY_ERR_INPUT, "control character"},
      {{.from_user = "new", .to_user = "ann", .type = ""}, MEDLEY_ERR_INPUT, "a link type of 0 bytes"},
      {{.from_user = "new", .to_user = "ann", .weight = INFINITY}, MEDLEY_ERR_INPUT, "must be a number, not inf"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_refused(medley_put_link(f->w, &rows[i].link, &error), rows[i].status, rows[i].words);
  assert_refused(medley_put_user(f->w, &(medley_user){0}, &error), MEDLEY_ERR_INPUT, "a user needs a key");
  assert_refused(medley_put_user(f->w, &(medley_user){.key = "new", .attributes = "7"}, &error), MEDLEY_ERR_INPUT,
                 "user 'new': attributes must be a JSON object");
  assert_int_equal(count_of(f->w, "users"), 2);
}

/* ---- imports ---- */

static void write_text(const fixture *f, const char *name, const char *text, char path[600]) {
  medley_error error;
  snprintf(path, 600, "%s/%s", f->folder, name);
  assert_ok(file_write(path, text, strlen(text), &error));
}

static void test_import(void **state) {
  fixture *f = *state;
  medley_error error;
  char items[600], events[600], picture[600], *text;
  make_picture(f, "1.png", picture);
  write_text(f, "items.csv", "id,title,brand\n1,Red dress,x\n2,Blue shirt,y\n,lost,z\n", items);
  write_text(f, "events.csv", "user,item,time\na,1,1700000000\nb,2,1700000001\n", events);
  const char *map[] = {"item=id", NULL}, *patterns[] = {"{item}.png", NULL};
  medley_import_options options = {
      .kind = MEDLEY_IMPORT_ITEMS, .map = map, .image = patterns, .dry_run = 1, .allow_rejects = 1};
  assert_ok(medley_import(f->w, items, &options, NULL, &text, &error));
  json_decref(parse(text));
  assert_int_equal(count_of(f->w, "items"), 0);
  options.dry_run = 0;
  assert_ok(medley_import(f->w, items, &options, NULL, &text, &error));
  json_t *report = parse(text);
  assert_int_equal(json_member_integer(report, "rows_read", 0), 3);
  assert_int_equal(json_member_integer(report, "accepted", 0), 2);
  assert_int_equal(json_member_integer(report, "rejected", 0), 1);
  assert_int_equal(json_member_integer(json_object_get(report, "created"), "items", 0), 2);
  const json_t *image = json_object_get(json_object_get(report, "media"), "image");
  assert_int_equal(json_member_integer(image, "found", 0), 1);
  assert_int_equal(json_member_integer(image, "missing", 0), 1);
  assert_int_equal(json_object_size(json_object_get(report, "reasons")), 1);
  json_decref(report);
  medley_import_options plain = {.kind = MEDLEY_IMPORT_EVENTS};
  assert_ok(medley_import(f->w, events, &plain, NULL, NULL, &error));
  assert_int_equal(count_of(f->w, "events"), 2);
  assert_refused(medley_import(f->w, events, &plain, NULL, &text, &error), MEDLEY_ERR_EXISTS, "");
  assert_null(text);
  /* More rejects than allowed: the good rows are in, the call says so, and the report is there. */
  options.allow_rejects = 0;
  options.again = 1;
  assert_refused(medley_import(f->w, items, &options, NULL, &text, &error), MEDLEY_ERR_REJECTED, "");
  report = parse(text);
  assert_int_equal(json_member_integer(report, "rejected", 0), 1);
  json_decref(report);
  medley_import_options wrong = {.split = "later"}, odd = {.kind = (medley_import_kind)77};
  assert_refused(medley_import(f->w, events, &wrong, NULL, &text, &error), MEDLEY_ERR_USAGE, "not 'later'");
  assert_refused(medley_import(f->w, events, &odd, NULL, &text, &error), MEDLEY_ERR_USAGE, "no kind of import 77");
  assert_refused(medley_import(f->w, "/nowhere", NULL, NULL, &text, &error), MEDLEY_ERR_NOT_FOUND, "/nowhere");
}

/* ---- cards ---- */

static void test_cards(void **state) {
  fixture *f = *state;
  medley_error error;
  char picture[600], broken[600], out[600], odd[600];
  make_picture(f, "a.png", picture);
  write_text(f, "broken.png", "\x89PNG\r\n\x1a\nand then nothing", broken);
  snprintf(out, sizeof out, "%s/card.png", f->folder);
  snprintf(odd, sizeof odd, "%s/card.gif", f->folder);
  const char *fine[] = {picture, NULL}, *bad[] = {broken, NULL};
  medley_item items[] = {
      {.key = "with", .title = "红色连衣裙 & <b>", .category = "dresses", .image = fine},
      {.key = "without", .title = "Only words"},
      {.key = "broken", .image = bad},
  };
  for (size_t i = 0; i < 3; i++) assert_ok(medley_put_item(f->w, &items[i], &error));
  medley_card_options small = {.width = 300, .height = 200, .grey = 1};
  const struct {
    const char *item;
    const medley_card_options *options;
    uint32_t width, height;
  } rows[] = {{"with", NULL, 600, 400}, {"without", &small, 300, 200}, {"with", &small, 300, 200}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    image card = {0};
    assert_ok(medley_card(f->w, rows[i].item, rows[i].options, out, &error));
    assert_ok(image_load(out, &(image_options){0}, &card, &error));
    assert_int_equal(card.width, rows[i].width);
    assert_int_equal(card.height, rows[i].height);
    image_deinit(&card);
  }
  assert_true(medley_card(f->w, "broken", NULL, out, &error) != MEDLEY_OK);
  assert_non_null(strstr(error.text, "broken.png"));
  assert_refused(medley_card(f->w, "none", NULL, out, &error), MEDLEY_ERR_NOT_FOUND, "there is no item 'none'");
  assert_refused(medley_card(f->w, "with", NULL, odd, &error), MEDLEY_ERR_USAGE, ".png, .jpg or .webp");
  small.width = 100000;
  assert_true(medley_card(f->w, "without", &small, out, &error) != MEDLEY_OK);
}

/* ---- export and restore ---- */

static void test_export(void **state) {
  fixture *f = *state;
  medley_error error;
  char file[600], folder[600], inner[700];
  snprintf(file, sizeof file, "%s/shop.medley", f->folder);
  snprintf(folder, sizeof folder, "%s/again", f->folder);
  medley_item item = {.key = "k", .title = "Kept", .time_s = MEDLEY_TIME_UNKNOWN};
  medley_event event = {.user = "u", .item = "k"};
  assert_ok(medley_put_item(f->w, &item, &error));
  assert_ok(medley_put_event(f->w, &event, &error));
  snprintf(inner, sizeof inner, "%s/media/copies", f->path);
  assert_ok(folder_create(inner, &error));
  snprintf(inner, sizeof inner, "%s/media/copies/a.bin", f->path);
  assert_ok(file_write(inner, "abc", 3, &error));
  assert_ok(medley_export(f->w, file, "a passphrase", NULL, &error));
  assert_refused(medley_restore(file, folder, "another", NULL, &error), MEDLEY_ERR_INPUT, "the passphrase is wrong");
  assert_refused(medley_restore(file, f->path, "a passphrase", NULL, &error), MEDLEY_ERR_EXISTS, "there already");
  assert_ok(medley_restore(file, folder, "a passphrase", NULL, &error));
  medley_workspace *again;
  assert_ok(medley_workspace_open(folder, &again, &error));
  json_t *seen = describe(again, "k");
  assert_string_equal(json_member_string(seen, "title", ""), "Kept");
  json_decref(seen);
  assert_int_equal(count_of(again, "events"), 1);
  medley_workspace_close(again);
  snprintf(inner, sizeof inner, "%s/media/copies/a.bin", folder);
  assert_true(file_exists(inner));
  snprintf(inner, sizeof inner, "%s/models", folder);
  assert_true(file_is_folder(inner));
  /* The snapshot in the clear is gone. */
  char **names;
  size_t count;
  assert_ok(folder_list(f->path, &names, &count, &error));
  for (size_t i = 0; i < count; i++) assert_null(strstr(names[i], "export"));
  folder_list_free(names, count);
}

#ifdef MEDLEY_FAULTS
/* Each call with its n-th allocation failing: it says so, and what it was about is wholly there or not at all. */
static void test_memory_failures(void **state) {
  fixture *f = *state;
  medley_error error;
  char picture[600], *text;
  make_picture(f, "a.png", picture);
  const char *tags[] = {"t", NULL}, *pictures[] = {picture, NULL};
  medley_item item = {.key = "k", .title = "T", .tags = tags, .image = pictures, .attributes = "{\"a\":1}"};
  medley_event event = {.user = "u", .item = "k"};
  for (int call = 0; call < 4; call++)
    for (long n = 1;; n++) {
      medley_status status;
      memory_fault_after(n);
      switch (call) {
        case 0: status = medley_put_item(f->w, &item, &error); break;
        case 1: status = medley_put_event(f->w, &event, &error); break;
        case 2:
          status = medley_describe_item(f->w, "k", &text, &error);
          if (status == MEDLEY_OK) medley_free(text);
          break;
        default: status = medley_delete_item(f->w, "k", &error); break;
      }
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      if (status != MEDLEY_OK) assert_true(struck);
      if (!struck) break;
      assert_true(n < 1000);
      if (call == 1 || call == 2) assert_int_equal(count_of(f->w, "items"), 1);
    }
  assert_int_equal(count_of(f->w, "items"), 0);
}
#endif

int main(int argc, char **argv) {
  int exit_status;
  if (medley_worker_main(argc, argv, &exit_status)) return exit_status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_items, setup, teardown),
      cmocka_unit_test_setup_teardown(test_item_refusals, setup, teardown),
      cmocka_unit_test_setup_teardown(test_events, setup, teardown),
      cmocka_unit_test_setup_teardown(test_users_and_links, setup, teardown),
      cmocka_unit_test_setup_teardown(test_import, setup, teardown),
      cmocka_unit_test_setup_teardown(test_cards, setup, teardown),
      cmocka_unit_test_setup_teardown(test_export, setup, teardown),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test_setup_teardown(test_memory_failures, setup, teardown),
#endif
  };
  return cmocka_run_group_tests_name("content", tests, NULL, NULL);
}
