/* The store: what goes in comes out, what is refused says why, and nothing is half-written. */
#include "test.h"

#include <sqlite3.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/memory.h"
#include "media/sample.h"
#include "store/store.h"

_Static_assert(STORE_MODALITY_TEXT == MODALITY_TEXT, "store and media number the modalities alike");

static const store_kind *const kind = &store_sqlite;

typedef struct fixture {
  char folder[256], path[300];
  store *s;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  medley_error error;
  test_folder(f->folder);
  snprintf(f->path, sizeof f->path, "%s/medley.db", f->folder);
  assert_ok(kind->open(f->path, true, 100, &f->s, &error));
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  kind->close(f->s);
  (void)!folder_remove(f->folder, NULL);
  free(f);
  return 0;
}

static int64_t put_plain_item(store *s, const char *key) {
  medley_error error;
  int64_t id = 0;
  store_item item = {.key = key, .time_s = STORE_TIME_UNKNOWN};
  assert_ok(kind->put_item(s, &item, &id, &error));
  return id;
}

static int64_t put_plain_user(store *s, const char *key) {
  medley_error error;
  int64_t id = 0;
  store_user user = {.key = key, .time_s = STORE_TIME_UNKNOWN};
  assert_ok(kind->put_user(s, &user, &id, &error));
  return id;
}

/* ---- items ---- */

typedef struct item_text {
  char text[4096];
  int calls;
} item_text;

static void text_add(item_text *t, const char *name, const char *value) {
  size_t used = strlen(t->text);
  if (value != NULL) snprintf(t->text + used, sizeof t->text - used, "%s=%s;", name, value);
}

/* An item as one line, so that a test compares one string. */
static medley_status item_receive(void *context, const store_item *item, medley_error *err) {
  (void)err;
  item_text *t = context;
  char number[64];
  t->calls++;
  text_add(t, "key", item->key);
  text_add(t, "title", item->title);
  text_add(t, "text", item->text);
  text_add(t, "category", item->category);
  text_add(t, "language", item->language);
  for (size_t i = 0; i < item->tag_count; i++) text_add(t, "tag", item->tags[i]);
  if (item->tags != NULL && item->tag_count == 0) text_add(t, "tags", "none");
  text_add(t, "attributes", item->attributes);
  snprintf(number, sizeof number, "%lld", (long long)item->time_s);
  if (item->time_s != STORE_TIME_UNKNOWN) text_add(t, "time", number);
  if (item->hidden) text_add(t, "hidden", "1");
  for (size_t i = 0; i < item->media_count; i++)
    text_add(t, (item->media[i].modality == MODALITY_IMAGE ? "image" : "audio"), item->media[i].path);
  return MEDLEY_OK;
}

static void assert_item(store *s, int64_t id, const char *expected) {
  medley_error error;
  item_text t = {0};
  assert_ok(kind->get_item(s, id, item_receive, &t, &error));
  assert_string_equal(t.text, expected);
}

static void test_items(void **state) {
  fixture *f = *state;
  medley_error error;
  int64_t id = 0, same = 0;
  const char *tags[] = {"red", "", "two\nlines"}, *none[] = {NULL};
  store_media media[] = {{MODALITY_IMAGE, "a.jpg"}, {MODALITY_AUDIO, "a.ogg"}, {MODALITY_IMAGE, "b.jpg"}};
  store_item item = {.key = "k1",
                     .title = "红色",
                     .text = "one",
                     .category = "c",
                     .language = "zh",
                     .tags = tags,
                     .tag_count = 3,
                     .attributes = "{\"a\":1}",
                     .time_s = 42,
                     .hidden = true,
                     .media = media,
                     .media_count = 3};
  assert_ok(kind->begin(f->s, &error));
  assert_ok(kind->put_item(f->s, &item, &id, &error));
  assert_ok(kind->commit(f->s, &error));
  assert_true(id > 0);
  assert_item(f->s, id,
              "key=k1;title=红色;text=one;category=c;language=zh;tag=red;tag=two lines;attributes={\"a\":1};time=42;"
              "hidden=1;image=a.jpg;image=b.jpg;audio=a.ogg;");
  /* Fields given replace, others stay; media by modality; hidden as told. */
  store_media other[] = {{MODALITY_IMAGE, "c.jpg"}};
  store_item update = {
      .key = "k1", .title = "new", .time_s = STORE_TIME_UNKNOWN, .keep_hidden = true, .media = other, .media_count = 1};
  assert_ok(kind->put_item(f->s, &update, &same, &error));
  assert_int_equal(same, id);
  assert_item(f->s, id,
              "key=k1;title=new;text=one;category=c;language=zh;tag=red;tag=two lines;attributes={\"a\":1};time=42;"
              "hidden=1;image=c.jpg;audio=a.ogg;");
  /* Appended text, twice: a line that is there is not added again. An empty list of tags empties. */
  store_item append = {.key = "k1", .text = "two", .append_text = true, .time_s = STORE_TIME_UNKNOWN, .tags = none};
  assert_ok(kind->put_item(f->s, &append, NULL, &error));
  assert_ok(kind->put_item(f->s, &append, NULL, &error));
  assert_item(f->s, id,
              "key=k1;title=new;text=one\ntwo;category=c;language=zh;tags=none;attributes={\"a\":1};time=42;"
              "image=c.jpg;audio=a.ogg;");
  assert_refused(kind->get_item(f->s, 99, item_receive, NULL, &error), MEDLEY_ERR_NOT_FOUND,
                 "no item with the number 99");
}

static void test_item_refusals(void **state) {
  fixture *f = *state;
  medley_error error;
  char *huge = malloc(STORE_TEXT_MAX + 2), longkey[STORE_KEY_MAX + 2];
  memset(huge, 'x', STORE_TEXT_MAX + 1);
  huge[STORE_TEXT_MAX + 1] = '\0';
  memset(longkey, 'k', sizeof longkey - 1);
  longkey[sizeof longkey - 1] = '\0';
  static const char *many_tags[STORE_TAG_MAX + 1];
  static store_media many_media[STORE_MEDIA_MAX + 1];
  for (int i = 0; i <= STORE_TAG_MAX; i++) many_tags[i] = "t";
  for (int i = 0; i <= STORE_MEDIA_MAX; i++) many_media[i] = (store_media){MODALITY_IMAGE, "p"};
  const struct {
    store_item item;
    medley_status status;
    const char *words;
  } rows[] = {
      {{.key = NULL}, MEDLEY_ERR_INPUT, "item key is empty"},
      {{.key = ""}, MEDLEY_ERR_INPUT, "item key is empty"},
      {{.key = longkey}, MEDLEY_ERR_LIMIT, "longer than 512 bytes"},
      {{.key = "a\xFF"}, MEDLEY_ERR_INPUT, "item key is not UTF-8"},
      {{.key = "a\tb"}, MEDLEY_ERR_INPUT, "control character at byte 2"},
      {{.key = "a", .title = huge}, MEDLEY_ERR_LIMIT, "item 'a': title is longer"},
      {{.key = "a", .text = "\xC0\x80"}, MEDLEY_ERR_INPUT, "item 'a': text is not UTF-8"},
      {{.key = "a", .tags = many_tags, .tag_count = STORE_TAG_MAX + 1},
       MEDLEY_ERR_LIMIT,
       "1025 tags, the limit is 1024"},
      {{.key = "a", .media = many_media, .media_count = STORE_MEDIA_MAX + 1}, MEDLEY_ERR_LIMIT, "more than 64 files"},
      {{.key = "a", .media = &(store_media){9, "p"}, .media_count = 1}, MEDLEY_ERR_USAGE, "modality 9"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_refused(kind->put_item(f->s, &rows[i].item, NULL, &error), rows[i].status, rows[i].words);
  huge[STORE_TEXT_MAX - 10] = '\0';
  store_item first = {.key = "long", .text = huge, .time_s = STORE_TIME_UNKNOWN};
  store_item second = {
      .key = "long", .text = "another line of text", .append_text = true, .time_s = STORE_TIME_UNKNOWN};
  assert_ok(kind->put_item(f->s, &first, NULL, &error));
  assert_refused(kind->put_item(f->s, &second, NULL, &error), MEDLEY_ERR_LIMIT, "item 'long': text would be longer");
  store_counts counts;
  assert_ok(kind->counts(f->s, &counts, &error));
  assert_int_equal(counts.items, 1);
  free(huge);
}

static void test_walk_items(void **state) {
  fixture *f = *state;
  medley_error error;
  assert_ok(kind->begin(f->s, &error));
  for (int i = 0; i < 10; i++) {
    char key[8];
    snprintf(key, sizeof key, "i%d", i);
    put_plain_item(f->s, key);
  }
  assert_ok(kind->commit(f->s, &error));
  item_text t = {0};
  assert_ok(kind->each_item(f->s, 7, 2, item_receive, &t, &error));
  assert_string_equal(t.text, "key=i7;key=i8;");
  t = (item_text){0};
  assert_ok(kind->each_item(f->s, 0, 0, item_receive, &t, &error));
  assert_int_equal(t.calls, 10);
  strmap keys = {0};
  assert_ok(kind->load_keys(f->s, STORE_ITEMS, &keys, &error));
  assert_int_equal(keys.count, 10);
  int64_t id;
  assert_ok(kind->get_id(f->s, STORE_ITEMS, "i4", &id, &error));
  assert_int_equal(*strmap_get(&keys, "i4"), id);
  assert_refused(kind->get_id(f->s, STORE_USERS, "i4", &id, &error), MEDLEY_ERR_NOT_FOUND, "there is no user 'i4'");
  strmap_deinit(&keys);
}

/* A receiver that walks the same table again: each walk has a statement of its own. */
typedef struct nested {
  store *s;
  int inner, outer;
} nested;
static medley_status nested_inner(void *context, const store_item *item, medley_error *err) {
  (void)item, (void)err;
  ((nested *)context)->inner++;
  return MEDLEY_OK;
}
static medley_status nested_outer(void *context, const store_item *item, medley_error *err) {
  nested *n = context;
  (void)item;
  if (++n->outer == 3) return error_set(err, MEDLEY_ERR_CANCELLED, "enough");
  return kind->each_item(n->s, 0, 0, nested_inner, n, err);
}

static void test_nested_walk(void **state) {
  fixture *f = *state;
  medley_error error;
  for (int i = 0; i < 4; i++) put_plain_item(f->s, (const char *[]){"a", "b", "c", "d"}[i]);
  nested n = {.s = f->s};
  assert_refused(kind->each_item(f->s, 0, 0, nested_outer, &n, &error), MEDLEY_ERR_CANCELLED, "enough");
  assert_int_equal(n.outer, 3);
  assert_int_equal(n.inner, 8);
}

/* ---- users, events, links ---- */

typedef struct event_sum {
  size_t count, calls;
  store_event events[16];
  char contexts[256];
} event_sum;

static medley_status event_receive(void *context, const store_event *events, size_t count, medley_error *err) {
  (void)err;
  event_sum *sum = context;
  sum->calls++;
  for (size_t i = 0; i < count; i++) {
    if (sum->count < 16) sum->events[sum->count] = events[i];
    if (events[i].context != NULL) strcat(sum->contexts, events[i].context);
    sum->count++;
  }
  return MEDLEY_OK;
}

static void test_events(void **state) {
  fixture *f = *state;
  medley_error error;
  int32_t like, view, again;
  int64_t user = put_plain_user(f->s, "u1"), other = put_plain_user(f->s, "u2"), item = put_plain_item(f->s, "i1");
  assert_ok(kind->event_type(f->s, "like", &like, &error));
  assert_ok(kind->event_type(f->s, "view", &view, &error));
  assert_ok(kind->event_type(f->s, "like", &again, &error));
  assert_int_equal(like, again);
  assert_int_not_equal(like, view);
  strbuf name = {0};
  assert_ok(kind->event_type_name(f->s, view, &name, &error));
  assert_string_equal(name.text, "view");
  strbuf_deinit(&name);
  assert_refused(kind->event_type_name(f->s, 77, &name, &error), MEDLEY_ERR_NOT_FOUND, "event type with the number 77");
  const store_event events[] = {
      {user, item, like, 1, 300, STORE_SPLIT_TRAIN, "{\"page\":1}"},
      {user, item, view, 0.5f, STORE_TIME_UNKNOWN, 0, NULL},
      {other, item, view, 4, 100, 0, NULL},
      {user, item, view, 2, 200, STORE_SPLIT_TEST, NULL},
      {user, item, view, 3, 300, 0, NULL},
  };
  assert_ok(kind->put_events(f->s, events, 5, &error));
  event_sum sum = {0};
  int64_t last = 0;
  assert_ok(kind->each_event(f->s, 0, &last, event_receive, &sum, &error));
  assert_int_equal(sum.count, 5);
  assert_string_equal(sum.contexts, "{\"page\":1}");
  assert_int_equal(sum.events[1].time_s, STORE_TIME_UNKNOWN);
  assert_near(sum.events[1].value, 0.5, 0);
  assert_int_equal(sum.events[3].split, STORE_SPLIT_TEST);
  /* Nothing after the last; then only what came since. */
  sum = (event_sum){0};
  assert_ok(kind->each_event(f->s, last, &last, event_receive, &sum, &error));
  assert_int_equal(sum.count, 0);
  assert_ok(kind->put_events(f->s, events, 1, &error));
  assert_ok(kind->each_event(f->s, last, &last, event_receive, &sum, &error));
  assert_int_equal(sum.count, 1);
  /* By time, unknown ones oldest, equal times in order of arrival; the limit keeps the newest. */
  sum = (event_sum){0};
  assert_ok(kind->user_events(f->s, user, 0, event_receive, &sum, &error));
  assert_int_equal(sum.count, 5);
  assert_near(sum.events[0].value, 0.5, 0);
  assert_near(sum.events[1].value, 2, 0);
  assert_near(sum.events[3].value, 3, 0);
  sum = (event_sum){0};
  assert_ok(kind->user_events(f->s, user, 2, event_receive, &sum, &error));
  assert_int_equal(sum.count, 2);
  assert_near(sum.events[0].value, 3, 0);
  /* A bad one in the middle leaves none behind. */
  const store_event bad[] = {{user, item, like, 1, 1, 0, NULL}, {user, 0, like, 1, 1, 0, NULL}};
  assert_refused(kind->put_events(f->s, bad, 2, &error), MEDLEY_ERR_USAGE, "item 0");
  store_counts counts;
  assert_ok(kind->counts(f->s, &counts, &error));
  assert_int_equal(counts.events, 6);
}

static void test_event_batches(void **state) {
  fixture *f = *state;
  medley_error error;
  int64_t user = put_plain_user(f->s, "u"), item = put_plain_item(f->s, "i");
  static store_event events[10000];
  for (size_t i = 0; i < 10000; i++) events[i] = (store_event){user, item, 1, 1, (int64_t)i, 0, NULL};
  assert_ok(kind->put_events(f->s, events, 10000, &error));
  event_sum sum = {0};
  assert_ok(kind->each_event(f->s, 0, NULL, event_receive, &sum, &error));
  assert_int_equal(sum.count, 10000);
  assert_int_equal(sum.calls, 3);
}

static medley_status link_receive(void *context, const store_link *link, medley_error *err) {
  (void)err;
  char *text = context;
  sprintf(text + strlen(text), "%c%lld-%s-%c%lld:%g;", link->from_kind, (long long)link->from_id, link->type,
          link->to_kind, (long long)link->to_id, (double)link->weight);
  return MEDLEY_OK;
}

static void test_links_and_forgetting(void **state) {
  fixture *f = *state;
  medley_error error;
  int64_t alice = put_plain_user(f->s, "alice-the-secret"), bob = put_plain_user(f->s, "bob");
  int64_t one = put_plain_item(f->s, "one"), two = put_plain_item(f->s, "two");
  store_link links[] = {{'u', 'u', alice, bob, "follows", 1},
                        {'i', 'i', one, two, "with", 0.5f},
                        {'u', 'u', bob, alice, "follows", 1},
                        {'i', 'i', one, two, "with", 0.25f}};
  for (size_t i = 0; i < 4; i++) assert_ok(kind->put_link(f->s, &links[i], &error));
  char text[512] = "";
  assert_ok(kind->each_link(f->s, link_receive, text, &error));
  assert_string_equal(text, "i1-with-i2:0.25;u1-follows-u2:1;u2-follows-u1:1;");
  text[0] = '\0';
  assert_ok(kind->user_links(f->s, alice, link_receive, text, &error));
  assert_string_equal(text, "u1-follows-u2:1;");
  assert_refused(kind->put_link(f->s, &(store_link){'x', 'u', 1, 1, "t", 1}, &error), MEDLEY_ERR_USAGE, "not from 'x'");
  assert_ok(
      kind->put_events(f->s, &(store_event){alice, one, 1, 1, 1, 0, "{\"who\":\"alice-the-secret\"}"}, 1, &error));
  assert_ok(kind->begin(f->s, &error));
  assert_ok(kind->delete_user(f->s, alice, &error));
  assert_ok(kind->commit(f->s, &error));
  text[0] = '\0';
  assert_ok(kind->each_link(f->s, link_receive, text, &error));
  assert_string_equal(text, "i1-with-i2:0.25;");
  store_counts counts;
  assert_ok(kind->counts(f->s, &counts, &error));
  assert_int_equal(counts.events, 0);
  assert_int_equal(counts.users, 1);
  assert_true(put_plain_user(f->s, "carol") > bob);
  /* The key is in no file of the database. */
  char **names;
  size_t count;
  assert_ok(folder_list(f->folder, &names, &count, &error));
  for (size_t i = 0; i < count; i++) {
    char *path = path_join(f->folder, names[i]), *bytes;
    size_t length;
    assert_ok(file_read(path, 1 << 26, &bytes, &length, &error));
    assert_null(memmem(bytes, length, "alice-the-secret", 16));
    mem_free(bytes);
    mem_free(path);
  }
  folder_list_free(names, count);
}

/* ---- vectors and words ---- */

static medley_status vector_receive(void *context, const store_vector *v, medley_error *err) {
  (void)err;
  char *text = context;
  sprintf(text + strlen(text), "%lld:%u:%d:%02x;", (long long)v->item_id, v->dim, (int)v->dtype, v->content_hash[0]);
  return MEDLEY_OK;
}

static void test_vectors(void **state) {
  fixture *f = *state;
  medley_error error;
  int64_t a = put_plain_item(f->s, "a"), b = put_plain_item(f->s, "b");
  const float values[3] = {1, 2, 3};
  const unsigned char hash[HASH_BYTES] = {0xAB}, other[HASH_BYTES] = {0xCD};
  assert_ok(kind->put_vector(f->s, "image.x", &(store_vector){b, hash, STORE_F32, 3, values}, &error));
  assert_ok(kind->put_vector(f->s, "image.x", &(store_vector){a, hash, STORE_F32, 3, values}, &error));
  assert_ok(kind->put_vector(f->s, "text.x", &(store_vector){a, NULL, STORE_F16, 6, values}, &error));
  assert_ok(kind->put_vector(f->s, "image.x", &(store_vector){b, other, STORE_F32, 2, values}, &error));
  char text[256] = "";
  assert_ok(kind->each_vector(f->s, "image.x", vector_receive, text, &error));
  assert_string_equal(text, "1:3:0:ab;2:2:0:cd;");
  assert_ok(kind->delete_space(f->s, "image.x", &error));
  assert_ok(kind->delete_space(f->s, "nothing", &error));
  text[0] = '\0';
  assert_ok(kind->each_vector(f->s, "image.x", vector_receive, text, &error));
  assert_ok(kind->each_vector(f->s, "text.x", vector_receive, text, &error));
  assert_string_equal(text, "1:6:1:00;");
  assert_refused(kind->put_vector(f->s, "x", &(store_vector){a, hash, STORE_F32, 0, values}, &error), MEDLEY_ERR_LIMIT,
                 "1 to 65536 dimensions, not 0");
  assert_refused(kind->put_vector(f->s, "", &(store_vector){a, hash, STORE_F32, 1, values}, &error), MEDLEY_ERR_INPUT,
                 "space key is empty");
}

static void test_words(void **state) {
  fixture *f = *state;
  medley_error error;
  static const char *const texts[] = {"红色 连衣裙 夏", "blue dress summer c++", "ภาษา ไทย red dress dress",
                                      "nothing \"quoted\" near"};
  for (int i = 0; i < 4; i++) {
    char key[8];
    snprintf(key, sizeof key, "w%d", i);
    assert_ok(kind->put_words(f->s, put_plain_item(f->s, key), texts[i], &error));
  }
  static const struct {
    const char *query;
    int64_t first;
    size_t count;
  } rows[] = {
      {"红色 连衣裙", 1, 1}, {"dress", 3, 2},        {"c++", 2, 1}, {"c", 0, 0},   {"ภาษา", 3, 1},
      {"\"quoted\"", 4, 1},  {"near AND ( *", 4, 1}, {"", 0, 0},    {"   ", 0, 0}, {"summer summer red", 0, 2},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    store_hit hits[4];
    size_t count;
    assert_ok(kind->search_words(f->s, rows[i].query, 4, hits, &count, &error));
    if (count != rows[i].count) fail_msg("'%s' found %zu", rows[i].query, count);
    if (rows[i].first != 0) assert_int_equal(hits[0].item_id, rows[i].first);
    for (size_t k = 0; k < count; k++) assert_true(hits[k].score > 0 && (k == 0 || hits[k].score <= hits[k - 1].score));
  }
  /* Replaced words are gone; so are those of a deleted item. A query of very many words is answered. */
  store_hit hits[4];
  size_t count;
  assert_ok(kind->put_words(f->s, 2, "green", &error));
  assert_ok(kind->search_words(f->s, "summer", 4, hits, &count, &error));
  assert_int_equal(count, 0);
  assert_ok(kind->delete_item(f->s, 2, &error));
  assert_ok(kind->search_words(f->s, "green", 4, hits, &count, &error));
  assert_int_equal(count, 0);
  strbuf many = {0};
  for (int i = 0; i < 3000; i++) strbuf_printf(&many, "word%d ", i);
  assert_ok(kind->search_words(f->s, many.text, 4, hits, &count, &error));
  strbuf_deinit(&many);
  assert_ok(kind->search_words(f->s, "red dress", 1, hits, &count, &error));
  assert_int_equal(count, 1);
}

/* ---- the database itself ---- */

static void test_journal(void **state) {
  fixture *f = *state;
  medley_error error;
  store_import import;
  assert_ok(kind->begin(f->s, &error));
  assert_ok(kind->import_get(f->s, "items x.csv", &import, &error));
  assert_int_equal(import.rows_done, 0);
  import.rows_done = 7;
  import.rows_accepted = 5;
  import.rows_rejected = 2;
  import.finished = true;
  strcpy(import.report, "{}");
  assert_ok(kind->import_put(f->s, &import, &error));
  assert_ok(kind->commit(f->s, &error));
  store_import again;
  assert_ok(kind->import_get(f->s, "items x.csv", &again, &error));
  assert_int_equal(again.id, import.id);
  assert_true(again.rows_done == 7 && again.rows_accepted == 5 && again.rows_rejected == 2 && again.finished);
  assert_string_equal(again.report, "{}");
  char longname[1100];
  memset(longname, 'n', sizeof longname);
  longname[sizeof longname - 1] = '\0';
  assert_refused(kind->import_get(f->s, longname, &again, &error), MEDLEY_ERR_LIMIT, "longer than 1023 bytes");
  assert_ok(kind->put_generation(f->s, &(store_generation){1, 5, "{}"}, &error));
  assert_ok(kind->put_run(f->s, "train", 5, 1.5, "{}", &error));
  strbuf value = {0};
  assert_refused(kind->meta_get(f->s, "seed", &value, &error), MEDLEY_ERR_NOT_FOUND, "no setting 'seed'");
  assert_ok(kind->meta_put(f->s, "seed", "1", &error));
  assert_ok(kind->meta_put(f->s, "seed", "2", &error));
  assert_ok(kind->meta_get(f->s, "seed", &value, &error));
  assert_string_equal(value.text, "2");
  strbuf_deinit(&value);
}

static void database_run(const char *path, const char *sql) {
  sqlite3 *db;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
}

static void test_open(void **state) {
  fixture *f = *state;
  medley_error error;
  store *s;
  char path[320];
  assert_refused(kind->open(f->path, true, 10, &s, &error), MEDLEY_ERR_EXISTS, "is there already");
  snprintf(path, sizeof path, "%s/none.db", f->folder);
  assert_refused(kind->open(path, false, 10, &s, &error), MEDLEY_ERR_NOT_FOUND, "there is no database");
  assert_false(file_exists(path));
  snprintf(path, sizeof path, "%s/nofolder/x.db", f->folder);
  assert_refused(kind->open(path, true, 10, &s, &error), MEDLEY_ERR_IO, "unable to open");
  snprintf(path, sizeof path, "%s/foreign.db", f->folder);
  database_run(path, "CREATE TABLE t (a)");
  assert_refused(kind->open(path, false, 10, &s, &error), MEDLEY_ERR_CORRUPT, "not one of Medley");
  snprintf(path, sizeof path, "%s/garbage.db", f->folder);
  assert_ok(file_write(path, "this is not a database, but long enough to be looked at as one", 62, &error));
  assert_refused(kind->open(path, false, 10, &s, &error), MEDLEY_ERR_CORRUPT, "not a readable database");
  database_run(f->path, "PRAGMA user_version = 99");
  assert_refused(kind->open(f->path, false, 10, &s, &error), MEDLEY_ERR_UNSUPPORTED,
                 "written by a newer Medley (schema 99");
  assert_ptr_equal(store_kind_find("sqlite"), kind);
  assert_null(store_kind_find("oracle"));
}

static void test_transactions(void **state) {
  fixture *f = *state;
  medley_error error;
  store *second;
  store_counts counts;
  assert_ok(kind->open(f->path, false, 20, &second, &error));
  assert_ok(kind->begin(f->s, &error));
  put_plain_item(f->s, "a");
  assert_refused(kind->begin(second, &error), MEDLEY_ERR_BUSY, "another process writes");
  assert_ok(kind->counts(second, &counts, &error));
  assert_int_equal(counts.items, 0); /* readers neither wait nor see what is not committed */
  kind->rollback(f->s);
  kind->rollback(f->s);
  assert_ok(kind->begin(second, &error));
  put_plain_item(second, "b");
  assert_ok(kind->commit(second, &error));
  assert_ok(kind->counts(f->s, &counts, &error));
  assert_int_equal(counts.items, 1);
  kind->close(second);
}

static void test_check(void **state) {
  fixture *f = *state;
  medley_error error;
  strbuf report = {0};
  assert_ok(kind->put_events(
      f->s, &(store_event){put_plain_user(f->s, "u"), put_plain_item(f->s, "i"), 1, 1, 1, 0, NULL}, 1, &error));
  assert_ok(kind->check(f->s, &report, &error));
  assert_int_equal(report.length, 0);
  database_run(f->path, "DELETE FROM users");
  assert_ok(kind->check(f->s, &report, &error));
  assert_string_equal(report.text, "1 events of users that are not there\n");
  strbuf_deinit(&report);
}

#ifdef MEDLEY_FAULTS
/* Every allocation of ours fails once: the call says so, and the database stays sound. */
static medley_status everything(store *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *tags[] = {"x", "y"};
  store_media media[] = {{MODALITY_IMAGE, "a.jpg"}};
  store_item item = {.key = "k", .tags = tags, .tag_count = 2, .media = media, .media_count = 1};
  store_user user = {.key = "u"};
  int64_t item_id, user_id;
  item_text t = {0};
  event_sum sum = {0};
  store_hit hits[2];
  size_t count;
  strmap keys = {0};
  TRY(kind->begin(s, err));
  TRY(kind->put_item(s, &item, &item_id, err));
  TRY(kind->put_user(s, &user, &user_id, err));
  TRY(kind->put_events(s, &(store_event){user_id, item_id, 1, 1, 1, 0, "{}"}, 1, err));
  TRY(kind->put_words(s, item_id, "a b", err));
  TRY(kind->commit(s, err));
  TRY(kind->each_item(s, 0, 0, item_receive, &t, err));
  TRY(kind->each_event(s, 0, NULL, event_receive, &sum, err));
  TRY(kind->search_words(s, "a c", 2, hits, &count, err));
  TRY(kind->load_keys(s, STORE_ITEMS, &keys, err));
done:
  kind->rollback(s);
  strmap_deinit(&keys);
  return status;
}
#endif

static void test_faults(void **state) {
#ifdef MEDLEY_FAULTS
  fixture *f = *state;
  medley_error error;
  for (long n = 1;; n++) {
    store *s = NULL;
    memory_fault_after(n);
    medley_status status = kind->open(f->path, false, 10, &s, &error);
    if (status == MEDLEY_OK) status = everything(s, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    kind->close(s);
    if (!struck) {
      assert_int_equal(status, MEDLEY_OK);
      assert_true(n > 10);
      break;
    }
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  strbuf report = {0};
  assert_ok(kind->check(f->s, &report, &error));
  assert_int_equal(report.length, 0);
#else
  (void)state;
  skip();
#endif
}

/* ---- snapshots ---- */

static void test_snapshot(void **state) {
  fixture *f = *state;
  medley_error error;
  store *other = NULL;
  store_counts counts;
  strbuf report = {0};
  char path[300];
  snprintf(path, sizeof path, "%s/copy.db", f->folder);
  int64_t id = put_plain_item(f->s, "kept");
  put_plain_item(f->s, "also kept");
  assert_ok(kind->put_words(f->s, id, "red dress", &error));
  assert_ok(kind->begin(f->s, &error));
  assert_refused(kind->snapshot(f->s, path, &error), MEDLEY_ERR_INTERNAL, "inside a transaction");
  kind->rollback(f->s);
  assert_ok(kind->snapshot(f->s, path, &error));
  put_plain_item(f->s, "too late");
  assert_ok(kind->open(path, false, 100, &other, &error));
  assert_ok(kind->counts(other, &counts, &error));
  assert_int_equal(counts.items, 2);
  assert_ok(kind->check(other, &report, &error));
  assert_int_equal(report.length, 0);
  int64_t same = 0;
  assert_ok(kind->get_id(other, STORE_ITEMS, "kept", &same, &error));
  assert_int_equal(same, id);
  kind->close(other);
  strbuf_deinit(&report);
  /* What is there already is not overwritten. */
  assert_true(kind->snapshot(f->s, path, &error) != MEDLEY_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_items),        TEST(test_snapshot), TEST(test_item_refusals), TEST(test_walk_items),
      TEST(test_nested_walk),  TEST(test_events),   TEST(test_event_batches), TEST(test_links_and_forgetting),
      TEST(test_vectors),      TEST(test_words),    TEST(test_journal),       TEST(test_open),
      TEST(test_transactions), TEST(test_check),    TEST(test_faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
