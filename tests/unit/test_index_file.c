/* The file of an index: what was written comes back, and whatever is not what was written is refused. */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "index/file_parts.h"

static char folder[256], path[300];

static int group_setup(void **state) {
  (void)state;
  test_folder(folder);
  snprintf(path, sizeof path, "%s/an.index", folder);
  return 0;
}

static int group_teardown(void **state) {
  (void)state;
  return folder_remove(folder, NULL) != MEDLEY_OK;
}

#define BLOCK INDEX_FILE_BLOCK_BYTES

static const struct {
  const char *name;
  size_t length;
} sections[] = {{"empty", 0},           {"one", 1},      {"below", 4095},
                {"page", 4096},         {"above", 4097}, {"a.block", BLOCK},
                {"block+1", BLOCK + 1}, {"none", 0},     {"fifteen-letters", 3 * BLOCK + 17}};
#define SECTIONS (sizeof sections / sizeof *sections)

static unsigned char content(size_t section, size_t i) { return (unsigned char)(section * 31 + i * 7 + (i >> 9)); }

static medley_status section_write(index_file_writer *w, size_t s, rng *r, medley_error *err) {
  unsigned char piece[5000];
  medley_status status = index_file_writer_begin_section(w, sections[s].name, err);
  for (size_t done = 0; status == MEDLEY_OK && done < sections[s].length;) {
    size_t part = rng_below(r, sizeof piece) + 1;
    if (part > sections[s].length - done) part = sections[s].length - done;
    for (size_t i = 0; i < part; i++) piece[i] = content(s, done + i);
    status = index_file_writer_append(w, piece, part, err);
    done += part;
  }
  return status == MEDLEY_OK ? index_file_writer_end_section(w, err) : status;
}

static medley_status example_write(unsigned char id[INDEX_FILE_ID_BYTES], medley_error *err) {
  index_file_writer *w;
  rng r;
  rng_seed(&r, 1);
  journal_mark mark = {.journal = "0123456789abcdef", .sequence = 77, .chain = 0xDEADBEEF};
  medley_status status = index_file_writer_create(path, "hnsw", &mark, &w, err);
  if (status != MEDLEY_OK) return status;
  for (size_t s = 0; status == MEDLEY_OK && s < SECTIONS; s++) status = section_write(w, s, &r, err);
  if (status == MEDLEY_OK) return index_file_writer_commit(w, id, err);
  index_file_writer_abort(w);
  return status;
}

static size_t names_in_folder(void) {
  char **names;
  size_t count;
  assert_int_equal(folder_list(folder, &names, &count, NULL), MEDLEY_OK);
  folder_list_free(names, count);
  return count;
}

static void test_round_trip(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES], *bytes;
  size_t length;
  index_file *f;
  assert_ok(example_write(id, &error));
  assert_ok(index_file_open(path, &f, &error));
  assert_string_equal(index_file_kind(f), "hnsw");
  assert_string_equal(index_file_path(f), path);
  assert_memory_equal(index_file_id(f), id, sizeof id);
  assert_memory_equal(index_file_mark(f)->journal, "0123456789abcdef", 16);
  assert_int_equal(index_file_mark(f)->sequence, 77);
  assert_int_equal(index_file_mark(f)->chain, 0xDEADBEEF);
  for (size_t s = 0; s < SECTIONS; s++) {
    assert_string_equal(index_file_section_name(f, s), sections[s].name);
    assert_ok(index_file_section(f, sections[s].name, &bytes, &length, &error));
    assert_int_equal(length, sections[s].length);
    assert_int_equal((uintptr_t)bytes % 4096, 0);
    for (size_t i = 0; i < length; i++)
      if (bytes[i] != content(s, i)) fail_msg("section %zu differs at %zu", s, i);
    index_file_soon(f, sections[s].name);
  }
  assert_null(index_file_section_name(f, SECTIONS));
  assert_refused(index_file_section(f, "absent", &bytes, &length, &error), MEDLEY_ERR_CORRUPT, "no section 'absent'");
  assert_ok(index_file_array(f, "page", 1024, 4, &bytes, &error));
  assert_refused(index_file_array(f, "page", 1023, 4, &bytes, &error), MEDLEY_ERR_CORRUPT,
                 "has 4096 bytes, expected 1023 of 4 bytes");
  assert_refused(index_file_array(f, "page", SIZE_MAX, 4, &bytes, &error), MEDLEY_ERR_CORRUPT, "expected");
  /* What is patched is ours alone. */
  memset(bytes, 0xEE, 4096);
  assert_ok(index_file_verify(f, NULL, NULL, NULL, &error));
  index_file_close(f);
  assert_ok(index_file_open(path, &f, &error));
  assert_ok(index_file_array(f, "page", 1024, 4, &bytes, &error));
  assert_int_equal(bytes[5], content(3, 5));
  index_file_close(f);
  assert_int_equal(names_in_folder(), 1);
}

/* A small file: 5 and 4097 bytes; every offset is known by heart. */
static char *small_write(size_t *length) {
  medley_error error;
  index_file_writer *w;
  unsigned char id[INDEX_FILE_ID_BYTES], rows[4097];
  char *bytes;
  for (size_t i = 0; i < sizeof rows; i++) rows[i] = content(1, i);
  assert_ok(index_file_writer_create(path, "exact", NULL, &w, &error));
  assert_ok(index_file_writer_section(w, "head", "hello", 5, &error));
  assert_ok(index_file_writer_section(w, "rows", rows, sizeof rows, &error));
  assert_ok(index_file_writer_commit(w, id, &error));
  assert_ok(file_read(path, 1 << 20, &bytes, length, &error));
  assert_int_equal(*length, 4 * 4096 + 8);
  return bytes;
}

/* The drawing in index/file.h, checked by its numbers rather than through the structs. */
static void test_layout(void **state) {
  (void)state;
  size_t length;
  char *b = small_write(&length);
  static const struct {
    size_t at, length;
    const char *bytes;
  } rows[] = {
      {0, 8, "\x89MIX\r\n\x1a\n"},
      {8, 4, "\1\0\0"},
      {12, 4, "\x0D\x0C\x0B\x0A"},
      {16, 16, "exact\0\0\0\0\0\0\0\0\0\0"},
      {48, 28, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"},
      {76, 4, "\2\0\0"},
      {80, 8, "\x08\x40\0\0\0\0\0"},
      {88, 8, "\0\x40\0\0\0\0\0"},
      {96, 4, "\0\0\x10"},
      {104, 20, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"},
      {128, 32, "head\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\5\0\0\0\0\0\0"},
      {160, 32, "rows\0\0\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\1\x10\0\0\0\0\0"},
      {4096, 6, "hello"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_memory_equal(b + rows[i].at, rows[i].bytes, rows[i].length);
  uint32_t crc = (uint32_t)crc32(crc32(0, (void *)b, 124), (void *)(b + 128), 64), sums[2], stored;
  memcpy(&stored, b + 124, 4);
  assert_int_equal(stored, crc);
  memcpy(sums, b + 4 * 4096, 8);
  assert_int_equal(sums[0], crc32(0, (void *)"hello", 5));
  assert_int_equal(sums[1], crc32(0, (void *)(b + 8192), 4097));
  memcpy(&stored, b + 100, 4);
  assert_int_equal(stored, crc32(0, (void *)sums, 8));
  mem_free(b);
}

static medley_status open_and_verify(medley_error *err) {
  index_file *f;
  medley_status status = index_file_open(path, &f, err);
  if (status != MEDLEY_OK) return status;
  status = index_file_verify(f, NULL, NULL, NULL, err);
  index_file_close(f);
  return status;
}

/* No byte can be changed without being seen: all of the header, table and checksums, every 29th of the rest. */
static void test_flips(void **state) {
  (void)state;
  medley_error error;
  size_t length;
  char *bytes = small_write(&length);
  for (size_t at = 0; at < length; at += at < 256 || at >= length - 10 ? 1 : 29) {
    int fd = open(path, O_WRONLY);
    char wrong = (char)(bytes[at] ^ (1 << at % 8));
    assert_int_equal(pwrite(fd, &wrong, 1, (off_t)at), 1);
    memset(&error, 0, sizeof error);
    medley_status status = open_and_verify(&error);
    if (status != MEDLEY_ERR_CORRUPT && status != MEDLEY_ERR_UNSUPPORTED)
      fail_msg("byte %zu: %s", at, medley_status_name(status));
    assert_non_null(strstr(error.text, path));
    assert_int_equal(pwrite(fd, bytes + at, 1, (off_t)at), 1);
    close(fd);
  }
  assert_ok(open_and_verify(&error));
  mem_free(bytes);
}

static void test_lengths(void **state) {
  (void)state;
  medley_error error;
  size_t length;
  char *bytes = small_write(&length), *longer = mem_zalloc(length + 1, 1);
  memcpy(longer, bytes, length);
  for (size_t cut = 0; cut <= length + 1; cut += cut >= length - 10 ? 1 : 173) {
    if (cut == length) continue;
    assert_ok(file_write(path, longer, cut, &error));
    assert_refused(open_and_verify(&error), MEDLEY_ERR_CORRUPT,
                   cut < 4096 ? "the shortest has 4096" : "cut off or grew");
  }
  mem_free(longer);
  mem_free(bytes);
  unlink(path);
  assert_refused(open_and_verify(&error), MEDLEY_ERR_NOT_FOUND, "cannot open");
  assert_int_equal(mkdir(path, 0777), 0);
  assert_refused(open_and_verify(&error), MEDLEY_ERR_INPUT, "not a regular file");
  rmdir(path);
}

/* Headers whose checksum is right and whose numbers lie. */
static void test_forged(void **state) {
  (void)state;
  medley_error error;
  size_t length;
  char *bytes = small_write(&length);
  static const struct {
    size_t at;
    int size;
    uint64_t value;
    medley_status status;
    const char *words;
  } rows[] = {
      {0, 4, 0x46554747, MEDLEY_ERR_CORRUPT, "is no index file"},
      {8, 4, 2, MEDLEY_ERR_UNSUPPORTED, "version 2, this build reads version 1"},
      {12, 4, 0x0D0C0B0A, MEDLEY_ERR_UNSUPPORTED, "other byte order"},
      {12, 4, 1, MEDLEY_ERR_CORRUPT, "values that no version 1 has"},
      {16, 1, 0, MEDLEY_ERR_CORRUPT, "values that no version 1 has"},
      {17, 1, 9, MEDLEY_ERR_CORRUPT, "values that no version 1 has"},
      {31, 1, 'x', MEDLEY_ERR_CORRUPT, "values that no version 1 has"},
      {76, 4, 65, MEDLEY_ERR_CORRUPT, "65 sections, at most 64"},
      {76, 4, UINT32_MAX, MEDLEY_ERR_CORRUPT, "sections, at most 64"},
      {76, 4, 3, MEDLEY_ERR_CORRUPT, "section 2 has no valid name"},
      {76, 4, 1, MEDLEY_ERR_CORRUPT, "values that no version 1 has"},
      {80, 8, UINT64_MAX, MEDLEY_ERR_CORRUPT, "its header says 18446744073709551615"},
      {88, 8, 4096, MEDLEY_ERR_CORRUPT, "block checksums are not 8 bytes at 16384"},
      {88, 8, UINT64_MAX - 4095, MEDLEY_ERR_CORRUPT, "block checksums"},
      {96, 4, 4096, MEDLEY_ERR_CORRUPT, "values that no version 1 has"},
      {104, 4, 1, MEDLEY_ERR_CORRUPT, "values that no version 1 has"},
      {160, 8, 0x64616568, MEDLEY_ERR_CORRUPT, "section 1 has no valid name of its own"},
      {128 + 16, 8, 8192, MEDLEY_ERR_CORRUPT, "section 'head' (5 bytes at 8192) is not where it must be (4096)"},
      {160 + 16, 8, 4096, MEDLEY_ERR_CORRUPT, "section 'rows' (4097 bytes at 4096) is not where it must be (8192)"},
      {160 + 16, 8, 8193, MEDLEY_ERR_CORRUPT, "is not where it must be"},
      {160 + 16, 8, UINT64_MAX - 4095, MEDLEY_ERR_CORRUPT, "is not where it must be"},
      {160 + 24, 8, UINT64_MAX, MEDLEY_ERR_CORRUPT, "is not where it must be"},
      {160 + 24, 8, UINT64_MAX - 8192, MEDLEY_ERR_CORRUPT, "is not where it must be"},
      {160 + 24, 8, 16384, MEDLEY_ERR_CORRUPT, "is not where it must be"},
      {160 + 24, 8, 8200, MEDLEY_ERR_CORRUPT, "block checksums"},
      {160 + 24, 8, 4000, MEDLEY_ERR_CORRUPT, "block checksums"},
      {4090, 1, 1, MEDLEY_ERR_CORRUPT, "values that no version 1 has"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    file_page page;
    memcpy(&page, bytes, sizeof page);
    memcpy((char *)&page + rows[i].at, &rows[i].value, (size_t)rows[i].size);
    if (page.header.sections <= INDEX_FILE_SECTIONS_MAX) page.header.crc = file_page_crc(&page);
    char *forged = mem_alloc(length, 1);
    memcpy(forged, bytes, length);
    memcpy(forged, &page, sizeof page);
    assert_ok(file_write(path, forged, length, &error));
    assert_refused(open_and_verify(&error), rows[i].status, rows[i].words);
    mem_free(forged);
  }
  mem_free(bytes);
}

static void test_damage_is_named(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES], *bytes;
  size_t length;
  index_file *f;
  index_file_damage damage;
  assert_ok(example_write(id, &error));
  assert_ok(index_file_open(path, &f, &error));
  assert_ok(index_file_section(f, "fifteen-letters", &bytes, &length, &error));
  uint64_t offset = f->page.section[SECTIONS - 1].offset;
  int fd = open(path, O_WRONLY);
  assert_int_equal(pwrite(fd, "!", 1, (off_t)(offset + 2 * BLOCK + 5)), 1);
  assert_int_equal(pwrite(fd, "!", 1, (off_t)(offset + 3 * BLOCK + 16)), 1);
  assert_refused(index_file_verify(f, NULL, NULL, &damage, &error), MEDLEY_ERR_CORRUPT,
                 "2 of 11 blocks are not what was written, the first is block 2 of section 'fifteen-letters'");
  assert_string_equal(damage.section, "fifteen-letters");
  assert_int_equal(damage.block, 2);
  assert_int_equal(damage.offset, offset + 2 * BLOCK);
  assert_int_equal(damage.length, BLOCK);
  assert_int_equal(damage.bad, 2);
  assert_refused(index_file_verify(f, "fifteen-letters", NULL, &damage, &error), MEDLEY_ERR_CORRUPT, "2 of 4 blocks");
  assert_ok(index_file_verify(f, "a.block", NULL, &damage, &error));
  assert_int_equal(damage.checked, 1);
  assert_ok(index_file_verify(f, "empty", NULL, &damage, &error));
  assert_refused(index_file_verify(f, "absent", NULL, &damage, &error), MEDLEY_ERR_NOT_FOUND, "no section 'absent'");
  /* Cut while it is open: verifying reads, so it says so and lives. */
  assert_int_equal(ftruncate(fd, (off_t)(offset + BLOCK)), 0);
  assert_refused(index_file_verify(f, NULL, NULL, NULL, &error), MEDLEY_ERR_CORRUPT, "damaged or cut off");
  close(fd);
  index_file_close(f);
}

static int stop_at_once(void *context, const medley_progress_state *s) {
  ++*(int *)context;
  return s->done > 0 || s->finished;
}

static void test_verify_is_stopped(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES];
  index_file *f;
  int calls = 0;
  medley_progress progress = {.report = stop_at_once, .context = &calls};
  assert_ok(example_write(id, &error));
  assert_ok(index_file_open(path, &f, &error));
  medley_status status = index_file_verify(f, NULL, &progress, NULL, &error);
  assert_true(status == MEDLEY_OK || status == MEDLEY_ERR_CANCELLED); /* it may be through before it asks again */
  assert_true(calls > 0);
  index_file_close(f);
}

static void test_writer_leaves_nothing(void **state) {
  (void)state;
  medley_error error;
  index_file_writer *w;
  char name[32], stray[400];
  unlink(path);
  assert_ok(index_file_writer_create(path, "exact", NULL, &w, &error));
  for (int i = 0; i < INDEX_FILE_SECTIONS_MAX; i++) {
    snprintf(name, sizeof name, "s%d", i);
    assert_ok(index_file_writer_section(w, name, name, 2, &error));
  }
  assert_refused(index_file_writer_section(w, "more", name, 2, &error), MEDLEY_ERR_LIMIT, "one more than the 64");
  index_file_writer_abort(w);
  assert_int_equal(names_in_folder(), 0);
  snprintf(stray, sizeof stray, "%s/absent/x.index", folder);
  assert_refused(index_file_writer_create(stray, "exact", NULL, &w, &error), MEDLEY_ERR_IO, "cannot write");
  /* What a killed writer left is swept, what only looks alike is not. */
  static const char *const left[] = {"an.index.tmp-1", "an.index.tmp-99999", "an.index", "an.index.tmp",
                                     "man.index.tmp-1"};
  for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
    snprintf(stray, sizeof stray, "%s/%s", folder, left[i]);
    assert_ok(file_write(stray, "x", 1, &error));
  }
  file_writer_sweep(path);
  for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
    snprintf(stray, sizeof stray, "%s/%s", folder, left[i]);
    assert_int_equal(file_exists(stray), i >= 2);
    unlink(stray);
  }
}

static void test_allocations_fail(void **state) {
  (void)state;
#ifdef MEDLEY_FAULTS
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES];
  bool struck = true;
  unlink(path);
  for (long n = 1; struck; n++) {
    memory_fault_after(n);
    medley_status status = example_write(id, &error);
    if (status == MEDLEY_OK) status = open_and_verify(&error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    assert_true(names_in_folder() <= 1);
    assert_true(n < 100);
  }
#else
  skip();
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_layout),
      cmocka_unit_test(test_flips),
      cmocka_unit_test(test_lengths),
      cmocka_unit_test(test_forged),
      cmocka_unit_test(test_damage_is_named),
      cmocka_unit_test(test_verify_is_stopped),
      cmocka_unit_test(test_writer_leaves_nothing),
      cmocka_unit_test(test_allocations_fail),
  };
  return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
