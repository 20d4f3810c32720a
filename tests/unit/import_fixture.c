/* tests/unit/import_fixture.c: see import_fixture.h. */
#include "import_fixture.h"

#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/memory.h"

int import_setup(void **state) {
  medley_error error;
  import_fixture *f = calloc(1, sizeof *f);
  test_folder(f->folder);
  snprintf(f->database, sizeof f->database, "%s/medley.db", f->folder);
  assert_ok(store_sqlite.open(f->database, true, 1000, &f->s, &error));
  *state = f;
  return 0;
}

int import_teardown(void **state) {
  import_fixture *f = *state;
  store_sqlite.close(f->s);
  (void)!folder_remove(f->folder, NULL);
  free(f);
  return 0;
}

const char *import_file(const import_fixture *f, const char *name, const void *bytes, size_t length, char path[512]) {
  medley_error error;
  char folder[512];
  snprintf(path, 512, "%s/%s", f->folder, name);
  snprintf(folder, sizeof folder, "%s", path);
  *strrchr(folder, '/') = '\0';
  assert_ok(folder_create(folder, &error));
  assert_ok(file_write(path, bytes, length, &error));
  return path;
}

const char *import_file_gzip(const import_fixture *f, const char *name, const char *text, char path[512]) {
  import_file(f, name, "", 0, path);
  gzFile out = gzopen(path, "wb");
  assert_int_equal(gzwrite(out, text, (unsigned)strlen(text)), (int)strlen(text));
  gzclose(out);
  return path;
}

const char *import_file_zstd(const import_fixture *f, const char *name, const char *text, char path[512]) {
  size_t bound = ZSTD_compressBound(strlen(text));
  char *bytes = malloc(bound);
  size_t length = ZSTD_compress(bytes, bound, text, strlen(text), 3);
  assert_false(ZSTD_isError(length));
  import_file(f, name, bytes, length, path);
  free(bytes);
  return path;
}

/* ---- the dump ---- */

typedef struct dump {
  store *s;
  strbuf text;
} dump;

static void add(strbuf *b, const char *name, const char *value) {
  if (value != NULL) strbuf_printf(b, " %s=%s", name, value);
}

static medley_status dump_item(void *context, const store_item *item, medley_error *err) {
  strbuf *b = &((dump *)context)->text;
  (void)err;
  strbuf_printf(b, "item %s", item->key);
  add(b, "title", item->title);
  add(b, "text", item->text);
  add(b, "category", item->category);
  add(b, "language", item->language);
  for (size_t i = 0; i < item->tag_count; i++) add(b, "tag", item->tags[i]);
  if (item->time_s != STORE_TIME_UNKNOWN) strbuf_printf(b, " time=%lld", (long long)item->time_s);
  if (item->hidden) add(b, "hidden", "1");
  for (size_t i = 0; i < item->media_count; i++)
    add(b, modality_name((modality)item->media[i].modality), path_name(item->media[i].path));
  add(b, "attributes", item->attributes);
  strbuf_append_char(b, '\n');
  return MEDLEY_OK;
}

static medley_status dump_user(void *context, const store_user *user, medley_error *err) {
  strbuf *b = &((dump *)context)->text;
  (void)err;
  strbuf_printf(b, "user %s", user->key);
  if (user->time_s != STORE_TIME_UNKNOWN) strbuf_printf(b, " time=%lld", (long long)user->time_s);
  add(b, "attributes", user->attributes);
  strbuf_append_char(b, '\n');
  return MEDLEY_OK;
}

typedef struct key_find {
  strbuf *out;
} key_find;
static medley_status key_take_item(void *context, const store_item *item, medley_error *err) {
  (void)err;
  strbuf_append(((key_find *)context)->out, item->key);
  return MEDLEY_OK;
}
static medley_status key_take_user(void *context, const store_user *user, medley_error *err) {
  (void)err;
  strbuf_append(((key_find *)context)->out, user->key);
  return MEDLEY_OK;
}

static void append_item_key(dump *d, int64_t id) {
  medley_error error;
  assert_ok(store_sqlite.get_item(d->s, id, key_take_item, &(key_find){&d->text}, &error));
}

static void append_user_key(dump *d, int64_t id) {
  medley_error error;
  assert_ok(store_sqlite.each_user(d->s, id - 1, 1, key_take_user, &(key_find){&d->text}, &error));
}

static medley_status dump_events(void *context, const store_event *events, size_t count, medley_error *err) {
  static const char *const splits[] = {"", " train", " valid", " test"};
  dump *d = context;
  for (size_t i = 0; i < count; i++) {
    strbuf_append(&d->text, "event ");
    append_user_key(d, events[i].user_id);
    strbuf_append_char(&d->text, ' ');
    append_item_key(d, events[i].item_id);
    strbuf_append_char(&d->text, ' ');
    if (store_sqlite.event_type_name(d->s, events[i].type, &d->text, err) != MEDLEY_OK) return MEDLEY_ERR_INTERNAL;
    strbuf_printf(&d->text, " %g%s", (double)events[i].value, splits[events[i].split]);
    if (events[i].time_s != STORE_TIME_UNKNOWN) strbuf_printf(&d->text, " time=%lld", (long long)events[i].time_s);
    add(&d->text, "context", events[i].context);
    strbuf_append_char(&d->text, '\n');
  }
  return MEDLEY_OK;
}

static medley_status dump_user_events(void *context, const store_user *user, medley_error *err) {
  dump *d = context;
  return store_sqlite.user_events(d->s, user->id, 0, dump_events, d, err);
}

static medley_status dump_link(void *context, const store_link *link, medley_error *err) {
  dump *d = context;
  (void)err;
  strbuf_append(&d->text, "link ");
  if (link->from_kind == 'u')
    append_user_key(d, link->from_id);
  else
    append_item_key(d, link->from_id);
  strbuf_printf(&d->text, " %s ", link->type);
  if (link->to_kind == 'u')
    append_user_key(d, link->to_id);
  else
    append_item_key(d, link->to_id);
  strbuf_printf(&d->text, " %g\n", (double)link->weight);
  return MEDLEY_OK;
}

static medley_status dump_vector(void *context, const store_vector *v, medley_error *err) {
  dump *d = context;
  (void)err;
  strbuf_append(&d->text, "vector ");
  append_item_key(d, v->item_id);
  for (uint32_t i = 0; i < v->dim; i++) strbuf_printf(&d->text, " %g", (double)((const float *)v->values)[i]);
  strbuf_append_char(&d->text, '\n');
  return MEDLEY_OK;
}

char *import_dump(store *s) {
  medley_error error;
  dump d = {.s = s};
  assert_ok(store_sqlite.each_item(s, 0, 0, dump_item, &d, &error));
  assert_ok(store_sqlite.each_user(s, 0, 0, dump_user, &d, &error));
  assert_ok(store_sqlite.each_user(s, 0, 0, dump_user_events, &d, &error));
  assert_ok(store_sqlite.each_link(s, dump_link, &d, &error));
  /* The spaces that the tests use. */
  static const char *const spaces[] = {"image.image_feat", "item.v", "mine"};
  for (size_t i = 0; i < 3; i++) assert_ok(store_sqlite.each_vector(s, spaces[i], dump_vector, &d, &error));
  return strbuf_take(&d.text);
}
