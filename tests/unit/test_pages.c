/* A file that is not in memory: what is asked for comes, a stretch behind each answer, until all of it is there; and a
 * cold index answers what a warm one does. */
#include <fcntl.h>
#include <medley/index.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "index/pages.h"
#include "test.h"

#define FILE_BYTES ((size_t)40 << 20)
#define DIM 64
#define ROWS 9000 /* more than a chunk */

static char folder[256], path[300];
static int file; /* that is mapped */

/* The system is asked to forget the file; a file system that lives in memory does not. */
static void file_drop(void) {
  int fd = open(path, O_RDONLY);
  assert_true(fd >= 0 && fsync(fd) == 0);
  assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  close(fd);
}

static unsigned char *file_mapped(void) {
  file = open(path, O_RDONLY);
  unsigned char *bytes = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  assert_ptr_not_equal(bytes, MAP_FAILED);
  return bytes;
}

/* How many of `count` pages, `step` apart, are there; waits a while for `wanted` of them. They are hints: the system
 * may leave one out, or drop it again. */
static size_t pages_there(const unsigned char *bytes, size_t step, size_t count, size_t wanted) {
  size_t there = 0;
  for (int tries = 0; tries < 3000; tries++) {
    there = 0;
    for (size_t i = 0; i < count; i++) there += pages_here(bytes + i * step * PAGES_BYTES);
    if (there >= wanted) break;
    usleep(1000);
  }
  return there;
}

static pages *opened_cold(unsigned char *bytes) {
  medley_error error = {0};
  pages *p;
  assert_ok(pages_open(file, bytes, FILE_BYTES, &p, &error));
  if (p != NULL) return p;
  printf("skipped: the file system of %s keeps its files in memory\n", folder);
  skip();
  return NULL;
}

static void file_make(void) {
  medley_error error = {0};
  char *content = mem_zalloc(FILE_BYTES, 1);
  for (size_t at = 0; at < FILE_BYTES; at += PAGES_BYTES) content[at] = (char)(at / PAGES_BYTES % 251);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/file", folder);
  assert_ok(file_write(path, content, FILE_BYTES, &error));
  mem_free(content);
}

static void asked_for(bool unwritten) {
  medley_error error = {0};
  file_make();
  file_drop();
  unsigned char *bytes = file_mapped();
  pages *p = opened_cold(bytes);
  assert_true(pages_cold(p));
  for (size_t i = 0; i < 60; i++) /* ends in the next page */
    pages_want(p, bytes + 5 * i * PAGES_BYTES + 4000, 200);
  assert_true(pages_there(bytes, 5, 60, 50) >= 50 && pages_there(bytes + PAGES_BYTES, 5, 60, 50) >= 50);
  assert_true(pages_there(bytes + 3 * PAGES_BYTES, 5, 60, 0) < 10);
  /* Beyond the mapping, before it, nothing: nothing happens. */
  pages_want(p, bytes + FILE_BYTES, 1);
  pages_want(p, bytes - 1, 2);
  pages_want(p, bytes + FILE_BYTES - 1, 2);
  pages_want(p, bytes, 0);
  if (unwritten) pages_unwritten(p);
  size_t answers = 0;
  for (; pages_cold(p); answers++) pages_go_on(p);
  assert_int_equal(answers, 6); /* nothing, 4, 4, 8, 16 MiB, and what is left */
  pages_go_on(p);
  size_t count = FILE_BYTES / PAGES_BYTES;
  assert_true(pages_there(bytes, 1, count, count * 9 / 10) >= count * 9 / 10);
  pages_close(p);
  for (size_t at = 0; at < FILE_BYTES; at += PAGES_BYTES) assert_int_equal(bytes[at], at / PAGES_BYTES % 251);
  assert_ok(pages_open(file, bytes, FILE_BYTES, &p, &error));
  assert_false(pages_cold(p));
  pages_close(p);
  munmap(bytes, FILE_BYTES);
  close(file);
  assert_ok(folder_remove(folder, &error));
}

static void test_asked_for(void **state) {
  (void)state;
  asked_for(false);
  asked_for(true);
}

/* Opened cold and opened warm: the same answers, of each kind. */
static void test_same_answers(void **state) {
  (void)state;
  medley_error error = {0};
  static const medley_index_options table[] = {
      {.kind = "hnsw", .links = 6, .build_breadth = 30},
      {.kind = "hnsw", .links = 6, .build_breadth = 30, .storage = "int8", .rerank = "f32"},
      {.kind = "ivfpq", .lists = 20, .code_bytes = 8}};
  float *vectors = mem_alloc((size_t)ROWS * DIM, sizeof *vectors);
  uint64_t *ids = mem_alloc(ROWS, sizeof *ids);
  rng r;
  rng_seed(&r, 4);
  for (size_t i = 0; i < ROWS; i++) {
    ids[i] = 3 * i;
    for (size_t d = 0; d < DIM; d++) vectors[i * DIM + d] = (float)(i % 40 * (d + 3) % 17) + (float)rng_normal(&r);
  }
  test_folder(folder);
  for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
    medley_index_hit hits[2][40][5];
    size_t found[2][40];
    medley_index *index;
    medley_index_options o = table[t];
    o.dim = DIM;
    snprintf(path, sizeof path, "%s/index-%zu", folder, t);
    assert_ok(medley_index_create(path, &o, &index, &error));
    assert_ok(medley_index_add(index, ids, vectors, ROWS, NULL, &error));
    assert_ok(medley_index_save(index, NULL, NULL, &error));
    medley_index_close(index);
    memset(hits, 0, sizeof hits);
    for (int warm = 0; warm < 2; warm++) {
      if (!warm) file_drop();
      assert_ok(medley_index_open(path, warm == 1 ? 0 : MEDLEY_INDEX_READ_ONLY, &index, &error));
      for (size_t q = 0; q < 40; q++) {
        medley_index_query query = {.vector = vectors + 7 * q * DIM, .k = 5};
        assert_ok(medley_index_search(index, &query, hits[warm][q], &found[warm][q], NULL, &error));
      }
      medley_index_close(index);
    }
    assert_memory_equal(hits[0], hits[1], sizeof hits[0]);
    assert_memory_equal(found[0], found[1], sizeof found[0]);
  }
  mem_free(vectors);
  mem_free(ids);
  assert_ok(folder_remove(folder, &error));
}

#ifdef MEDLEY_FAULTS
static void test_memory(void **state) {
  (void)state;
  medley_error error = {0};
  file_make();
  file_drop();
  unsigned char *bytes = file_mapped();
  pages_close(opened_cold(bytes));
  for (long n = 1; n <= 2; n++) {
    pages *p;
    memory_fault_after(n);
    assert_refused(pages_open(file, bytes, FILE_BYTES, &p, &error), MEDLEY_ERR_MEMORY, "");
    memory_fault_after(0);
    assert_null(p);
  }
  munmap(bytes, FILE_BYTES);
  close(file);
  assert_ok(folder_remove(folder, &error));
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_asked_for),
      cmocka_unit_test(test_same_answers),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
