/* Encrypted archives: what goes in comes out; a wrong passphrase, any changed byte, any cut and anything added are
 * refused and leave nothing behind. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "privacy/archive.h"

#define ENTRY_MAX 8
#define TABLE_BYTES 256

static const archive_cost cheap = {1, ARCHIVE_MEMORY_MIN};

typedef struct fixture {
  char folder[256], file[300], out[300];
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  test_folder(f->folder);
  snprintf(f->file, sizeof f->file, "%s/backup.medley", f->folder);
  snprintf(f->out, sizeof f->out, "%s/restored", f->folder);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  (void)!folder_remove(f->folder, NULL);
  free(f);
  return 0;
}

/* A file of `length` bytes that tell their place. */
static void write_source(const fixture *f, const char *name, size_t length, char path[600]) {
  medley_error error;
  char *bytes = malloc(length + 1);
  for (size_t i = 0; i < length; i++) bytes[i] = (char)(i * 31 + length);
  snprintf(path, 600, "%s/%s", f->folder, name);
  assert_ok(file_write(path, bytes, length, &error));
  free(bytes);
}

static void assert_same_file(const char *a, const char *b) {
  medley_error error;
  char *left, *right;
  size_t left_length, right_length;
  assert_ok(file_read(a, 1 << 24, &left, &left_length, &error));
  assert_ok(file_read(b, 1 << 24, &right, &right_length, &error));
  assert_int_equal(left_length, right_length);
  assert_memory_equal(left, right, left_length);
  mem_free(left);
  mem_free(right);
}

/* Nothing in the fixture's folder but what was there: the archive and the sources. */
static void assert_nothing_left(const fixture *f, size_t expected) {
  medley_error error;
  char **names;
  size_t count;
  assert_ok(folder_list(f->folder, &names, &count, &error));
  if (count != expected) fail_msg("%zu names in the folder, expected %zu: %s", count, expected, names[count - 1]);
  folder_list_free(names, count);
}

static void test_round_trips(void **state) {
  fixture *f = *state;
  medley_error error;
  /* The last row fills the last message to its last byte: 8 + (10 + 1) + length = 2 * ARCHIVE_CHUNK. */
  static const size_t lengths[][3] = {{0, 0, 0}, {1, 0, 5}, {100000, 70000, 3}, {2 * ARCHIVE_CHUNK - 19}};
  static const char *const names[3] = {"a", "models/7/content.safetensors", "models/7/红色 ..safetensors"};
  for (size_t row = 0; row < sizeof lengths / sizeof *lengths; row++) {
    size_t count = row == 3 ? 1 : 3;
    char paths[3][600], inner[700];
    archive_source sources[3];
    for (size_t i = 0; i < count; i++) {
      char plain[16];
      snprintf(plain, sizeof plain, "s%zu", i);
      write_source(f, plain, lengths[row][i], paths[i]);
      sources[i] = (archive_source){names[i], paths[i]};
    }
    assert_ok(archive_write(f->file, "open sesame", sources, count, &cheap, NULL, &error));
    assert_ok(archive_extract(f->file, f->out, "open sesame", NULL, NULL, &error));
    for (size_t i = 0; i < count; i++) {
      snprintf(inner, sizeof inner, "%s/%s", f->out, names[i]);
      assert_same_file(paths[i], inner);
    }
    assert_ok(folder_remove(f->out, &error));
  }
}

static void write_small(fixture *f) {
  medley_error error;
  char path[600];
  write_source(f, "s", 20, path);
  archive_source source = {"x/y", path};
  assert_ok(archive_write(f->file, "secret", &source, 1, &cheap, NULL, &error));
}

static void test_any_change_is_refused(void **state) {
  fixture *f = *state;
  medley_error error;
  char *bytes;
  size_t length;
  write_small(f);
  assert_ok(file_read(f->file, 4096, &bytes, &length, &error));
  for (size_t i = 0; i < length; i++) {
    bytes[i] ^= 0x40;
    assert_ok(file_write(f->file, bytes, length, &error));
    bytes[i] ^= 0x40;
    if (archive_extract(f->file, f->out, "secret", NULL, NULL, &error) == MEDLEY_OK)
      fail_msg("byte %zu was changed and taken", i);
  }
  for (size_t i = 0; i < length; i++) {
    assert_ok(file_write(f->file, bytes, i, &error));
    if (archive_extract(f->file, f->out, "secret", NULL, NULL, &error) == MEDLEY_OK)
      fail_msg("an archive of %zu bytes was taken with %zu", length, i);
  }
  for (size_t more = 1; more < 100; more += 17) {
    char *longer = calloc(length + more, 1);
    memcpy(longer, bytes, length);
    assert_ok(file_write(f->file, longer, length + more, &error));
    if (archive_extract(f->file, f->out, "secret", NULL, NULL, &error) == MEDLEY_OK)
      fail_msg("%zu bytes behind the archive were taken", more);
    free(longer);
  }
  mem_free(bytes);
  assert_nothing_left(f, 2);
}

/* Cuts, repeats and swaps of whole messages, which each by itself are authentic. */
static void test_messages_are_chained(void **state) {
  fixture *f = *state;
  medley_error error;
  char path[600], *bytes, *twisted;
  size_t length, sealed = ARCHIVE_CHUNK + 17;
  write_source(f, "s", 3 * ARCHIVE_CHUNK, path);
  archive_source source = {"s", path};
  assert_ok(archive_write(f->file, "secret", &source, 1, &cheap, NULL, &error));
  assert_ok(file_read(f->file, 1 << 20, &bytes, &length, &error));
  twisted = malloc(length + sealed);
  memcpy(twisted, bytes, length);
  assert_ok(file_write(f->file, bytes, 64 + 3 * sealed, &error));
  assert_refused(archive_extract(f->file, f->out, "secret", NULL, NULL, &error), MEDLEY_ERR_CORRUPT, "cut off");
  memcpy(twisted + 64 + sealed, bytes + 64 + 2 * sealed, sealed);
  memcpy(twisted + 64 + 2 * sealed, bytes + 64 + sealed, sealed);
  assert_ok(file_write(f->file, twisted, length, &error));
  assert_refused(archive_extract(f->file, f->out, "secret", NULL, NULL, &error), MEDLEY_ERR_CORRUPT,
                 "was changed or cut off");
  memcpy(twisted, bytes, length);
  memcpy(twisted + length, bytes + 64, sealed);
  assert_ok(file_write(f->file, twisted, length + sealed, &error));
  assert_refused(archive_extract(f->file, f->out, "secret", NULL, NULL, &error), MEDLEY_ERR_CORRUPT,
                 "behind its last file");
  free(twisted);
  mem_free(bytes);
  assert_nothing_left(f, 2);
}

static medley_status refuse_folder(const char *folder, medley_error *err) {
  return error_set(err, MEDLEY_ERR_CORRUPT, "'%s' is not what I wanted", path_name(folder));
}

/* Waits once, so that the next update is due a report. */
static int cancel(void *context, const medley_progress_state *s) {
  (void)context;
  if (s->done == 0) usleep(150000);
  return s->done > 0;
}

static void test_refusals(void **state) {
  fixture *f = *state;
  medley_error error;
  char long_phrase[ARCHIVE_PASSPHRASE_MAX + 2], absent[400];
  memset(long_phrase, 'p', sizeof long_phrase - 1);
  long_phrase[sizeof long_phrase - 1] = '\0';
  snprintf(absent, sizeof absent, "%s/absent", f->folder);
  write_small(f);
  assert_refused(archive_extract(f->file, f->out, "Secret", NULL, NULL, &error), MEDLEY_ERR_INPUT,
                 "the passphrase is wrong or the file was changed");
  assert_refused(archive_extract(f->file, f->out, "", NULL, NULL, &error), MEDLEY_ERR_USAGE, "must not be empty");
  assert_refused(archive_extract(f->file, f->out, NULL, NULL, NULL, &error), MEDLEY_ERR_USAGE, "must not be empty");
  assert_refused(archive_extract(f->file, f->out, long_phrase, NULL, NULL, &error), MEDLEY_ERR_LIMIT, "1025 bytes");
  assert_refused(archive_extract(f->file, f->folder, "secret", NULL, NULL, &error), MEDLEY_ERR_EXISTS, "there already");
  assert_refused(archive_extract(f->file, "", "secret", NULL, NULL, &error), MEDLEY_ERR_USAGE, "name a folder");
  assert_refused(archive_extract(absent, f->out, "secret", NULL, NULL, &error), MEDLEY_ERR_NOT_FOUND, "cannot open");
  assert_refused(archive_extract(f->file, f->out, "secret", refuse_folder, NULL, &error), MEDLEY_ERR_CORRUPT,
                 "is not what I wanted");
  archive_source bad = {"../evil", f->file}, gone = {"x", absent}, itself = {"x", f->file};
  assert_refused(archive_write(absent, "secret", &bad, 1, &cheap, NULL, &error), MEDLEY_ERR_CORRUPT, "leads out");
  assert_refused(archive_write(absent, "secret", &gone, 1, &cheap, NULL, &error), MEDLEY_ERR_NOT_FOUND,
                 "cannot be read");
  assert_refused(archive_write(absent, "", &itself, 1, &cheap, NULL, &error), MEDLEY_ERR_USAGE, "must not be empty");
  assert_nothing_left(f, 2);
  char path[600];
  write_source(f, "s", 500000, path);
  archive_source source = {"s", path};
  medley_progress stop = {.report = cancel};
  assert_refused(archive_write(absent, "secret", &source, 1, &cheap, &stop, &error), MEDLEY_ERR_CANCELLED, "");
  assert_nothing_left(f, 2);
}

static void test_header(void **state) {
  (void)state;
  medley_error error;
  archive_header header;
  static const struct {
    int at, size;
    uint64_t value;
    medley_status status;
    const char *words;
  } rows[] = {
      {0, 1, 'm', MEDLEY_ERR_INPUT, "no Medley archive"},
      {8, 4, 2, MEDLEY_ERR_UNSUPPORTED, "version 2"},
      {12, 4, 0, MEDLEY_ERR_CORRUPT, "0 passes"},
      {12, 4, 11, MEDLEY_ERR_CORRUPT, "11 passes"},
      {16, 8, 8191, MEDLEY_ERR_CORRUPT, "8191 bytes of memory"},
      {16, 8, ((uint64_t)1 << 30) + 1, MEDLEY_ERR_CORRUPT, "1073741825 bytes of memory"},
      {16, 8, UINT64_MAX, MEDLEY_ERR_CORRUPT, "bytes of memory"},
  };
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    unsigned char bytes[ARCHIVE_HEADER_BYTES] = "MEDLEYAR\1\0\0\0\3\0\0\0\0\0\1";
    assert_ok(archive_header_parse(bytes, "a", &header, &error));
    assert_int_equal(header.cost.passes, 3);
    assert_int_equal(header.cost.memory_bytes, 65536);
    for (int i = 0; i < rows[r].size; i++) bytes[rows[r].at + i] = (unsigned char)(rows[r].value >> (8 * i));
    assert_refused(archive_header_parse(bytes, "a", &header, &error), rows[r].status, rows[r].words);
  }
}

typedef struct table_row {
  struct {
    const char *name;
    uint64_t length;
  } entries[ENTRY_MAX];
  uint64_t contents;
  size_t cut; /* bytes left out at the end of the table */
  medley_status status;
  const char *words;
} table_row;

static const table_row tables[] = {
    {{{"a", 3}, {"b/c", 4}}, 7, 0, MEDLEY_OK, ""},
    {{{NULL}}, 0, 0, MEDLEY_OK, ""},
    {{{"../a", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "leads out"},
    {{{"a/../../b", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "leads out"},
    {{{"a/..", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "leads out"},
    {{{"/etc/passwd", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "leads out"},
    {{{"a//b", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "leads out"},
    {{{"a/", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "leads out"},
    {{{"./a", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "leads out"},
    {{{"", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "0 bytes"},
    {{{"a\nb", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "control characters"},
    {{{"a\xff", 3}}, 3, 0, MEDLEY_ERR_CORRUPT, "no UTF-8"},
    {{{"a", 3}, {"a", 3}}, 6, 0, MEDLEY_ERR_CORRUPT, "twice"},
    {{{"a", 3}}, 2, 0, MEDLEY_ERR_CORRUPT, "more bytes than the archive has"},
    {{{"a", UINT64_MAX}, {"b", 4}}, 3, 0, MEDLEY_ERR_CORRUPT, "more bytes than the archive has"},
    {{{"a", 3}}, 4, 0, MEDLEY_ERR_CORRUPT, "1 bytes stand behind its last file"},
    {{{"abcdefghijkl", 3}}, 3, 1, MEDLEY_ERR_CORRUPT, "in the middle of a row"},
    {{{"a", 3}, {"b", 0}}, 3, 1, MEDLEY_ERR_CORRUPT, "do not fit"},
};

static size_t table_bytes(const table_row *row, unsigned char bytes[TABLE_BYTES], size_t *count) {
  size_t at = 0;
  for (*count = 0; *count < ENTRY_MAX && row->entries[*count].name != NULL; ++*count) {
    size_t length = strlen(row->entries[*count].name);
    bytes[at] = (unsigned char)length;
    bytes[at + 1] = 0;
    memcpy(bytes + at + 2, row->entries[*count].name, length);
    for (int i = 0; i < 8; i++)
      bytes[at + 2 + length + (size_t)i] = (unsigned char)(row->entries[*count].length >> (8 * i));
    at += 10 + length;
  }
  return at - row->cut;
}

static void test_tables(void **state) {
  (void)state;
  medley_error error;
  for (size_t r = 0; r < sizeof tables / sizeof *tables; r++) {
    unsigned char bytes[TABLE_BYTES];
    archive_table table;
    size_t count, length = table_bytes(&tables[r], bytes, &count);
    if (tables[r].status == MEDLEY_OK) {
      assert_ok(archive_table_parse(bytes, length, count, tables[r].contents, "a", &table, &error));
      assert_int_equal(table.count, count);
      for (size_t i = 0; i < count; i++) assert_string_equal(table.entries[i].name, tables[r].entries[i].name);
      archive_table_deinit(&table);
      assert_refused(archive_table_parse(bytes, length, count + 1, tables[r].contents, "a", &table, &error),
                     MEDLEY_ERR_CORRUPT, "");
      if (count > 0)
        assert_refused(archive_table_parse(bytes, length, count - 1, tables[r].contents, "a", &table, &error),
                       MEDLEY_ERR_CORRUPT, "behind its table");
    } else {
      assert_refused(archive_table_parse(bytes, length, count, tables[r].contents, "a", &table, &error),
                     tables[r].status, tables[r].words);
    }
  }
}

#ifdef MEDLEY_FAULTS
static void test_memory_failures(void **state) {
  fixture *f = *state;
  medley_error error;
  char path[600];
  write_source(f, "s", 20, path);
  archive_source source = {"x/y", path};
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status written = archive_write(f->file, "secret", &source, 1, &cheap, NULL, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(written, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    if (!struck) break;
  }
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status taken = archive_extract(f->file, f->out, "secret", NULL, NULL, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(taken, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    if (!struck) break;
  }
  assert_nothing_left(f, 3);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_round_trips, setup, teardown),
      cmocka_unit_test_setup_teardown(test_any_change_is_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_messages_are_chained, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
      cmocka_unit_test(test_header),
      cmocka_unit_test(test_tables),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test_setup_teardown(test_memory_failures, setup, teardown),
#endif
  };
  return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
