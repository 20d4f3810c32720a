/* A sound index file with any bytes changed, as a whole index: opened, searched, validated, and with the first byte's
 * highest bit set opened for writing and changed. Whole files of chance would be refused at the header; so the target
 * keeps a small file of each kind, some of its rows removed, and the input says which one and what is changed: a byte
 * for the kind, then five for each change, the place (4, little endian) and the new byte. */
#include <fcntl.h>
#include <medley/index.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "index/file_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DIM 3
#define ROWS 1100 /* enough for lists to be trained */
#define WRITES 0x80

static const medley_index_options kinds[] = {
    {.dim = DIM, .kind = "ivfpq", .lists = 6, .code_bytes = 2, .distance = "l2", .storage = "int8"},
    {.dim = DIM, .kind = "hnsw", .links = 2, .build_breadth = 4, .storage = "f16"},
    {.dim = DIM, .kind = "exact"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void need(medley_status status) {
  if (status != MEDLEY_OK) abort();
}

/* The file of an index, made once; it stays until the process ends. */
static const char *sound_file(size_t kind, size_t *length) {
  static char *bytes[KINDS];
  static size_t lengths[KINDS];
  if (bytes[kind] == NULL) {
    char folder[] = "/tmp/medley-fuzz-XXXXXX", path[64];
    float vectors[ROWS * DIM];
    uint64_t ids[ROWS];
    medley_index *index;
    rng r;
    rng_seed(&r, kind);
    for (size_t i = 0; i < ROWS * DIM; i++) vectors[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < ROWS; i++) ids[i] = 2 * i;
    if (mkdtemp(folder) == NULL) abort();
    snprintf(path, sizeof path, "%s/index", folder);
    need(medley_index_create(NULL, &kinds[kind], &index, NULL));
    need(medley_index_add(index, ids, vectors, ROWS, NULL, NULL));
    need(medley_index_set_attributes(index, 4, "{\"price\": 3}", NULL));
    need(medley_index_remove(index, ids + 10, 8, NULL, NULL));
    need(medley_index_repair(index, NULL, NULL));
    need(medley_index_remove(index, ids + 20, 8, NULL, NULL));
    need(medley_index_save(index, path, NULL, NULL));
    medley_index_close(index);
    need(file_read(path, SIZE_MAX, &bytes[kind], &lengths[kind], NULL));
    need(folder_remove(folder, NULL));
  }
  *length = lengths[kind];
  return bytes[kind];
}

static void index_use(medley_index *index) {
  medley_index_hit hits[5];
  medley_index_health health;
  size_t found;
  for (int i = 0; i < 3; i++) {
    float vector[DIM] = {1, (float)i, -1};
    medley_index_query query = {.vector = vector, .k = 5, .breadth = 3, .filter = i == 2 ? "price < 4" : NULL};
    (void)!medley_index_search(index, &query, hits, &found, NULL, NULL);
    (void)!medley_index_get(index, (uint64_t)i, vector, NULL);
  }
  (void)!medley_index_check(index, NULL, &health, NULL);
}

/* Updates, new ones, removals, repair: every link and slot of the file is followed by a writer. */
static void index_change(medley_index *index) {
  float vectors[60 * DIM];
  uint64_t ids[100];
  rng r;
  rng_seed(&r, 9);
  for (size_t i = 0; i < 60 * DIM; i++) vectors[i] = (float)rng_normal(&r);
  for (size_t i = 0; i < 100; i++) ids[i] = 7 * i;
  (void)!medley_index_add(index, ids, vectors, 30, NULL, NULL);
  (void)!medley_index_remove(index, ids, 100, NULL, NULL);
  (void)!medley_index_add(index, ids, vectors, 60, NULL, NULL);
  (void)!medley_index_set_attributes(index, 7, "{\"price\": 2}", NULL);
  (void)!medley_index_repair(index, NULL, NULL);
  (void)!medley_index_add(index, ids, vectors, 60, NULL, NULL);
  (void)!medley_index_save(index, NULL, NULL, NULL);
}

/* In a folder in memory, where syncing costs nothing; a journal lies beside the file. */
static void bytes_change(const uint8_t *bytes, size_t length) {
  char folder[] = "/dev/shm/medley-fuzz-XXXXXX", path[64];
  medley_index *index;
  if (mkdtemp(folder) == NULL) return;
  snprintf(path, sizeof path, "%s/index", folder);
  if (file_write(path, bytes, length, NULL) == MEDLEY_OK && medley_index_open(path, 0, &index, NULL) == MEDLEY_OK) {
    index_change(index);
    index_use(index);
    medley_index_close(index);
  }
  (void)!folder_remove(folder, NULL);
}

static void bytes_open(const uint8_t *bytes, size_t length) {
  char path[64];
  medley_index *index;
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  if (fd < 0) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (write(fd, bytes, length) == (ssize_t)length &&
      medley_index_open(path, MEDLEY_INDEX_READ_ONLY, &index, NULL) == MEDLEY_OK) {
    index_use(index);
    medley_index_close(index);
  }
  close(fd);
}

/* The header's checksum is made good again: chance would not find it. */
static void header_mend(uint8_t *bytes, size_t length) {
  file_page page;
  if (length < sizeof page) return;
  memcpy(&page, bytes, sizeof page);
  if (page.header.sections > INDEX_FILE_SECTIONS_MAX) return;
  page.header.crc = file_page_crc(&page);
  memcpy(bytes, &page, sizeof page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t length;
  if (size < 1) return 0;
  const char *sound = sound_file((data[0] & ~WRITES) % KINDS, &length);
  uint8_t *changed = mem_alloc(length, 1);
  if (changed == NULL) return 0;
  memcpy(changed, sound, length);
  for (size_t i = 1; i + 5 <= size; i += 5) {
    uint32_t at;
    memcpy(&at, data + i, sizeof at);
    changed[at % length] = data[i + 4];
  }
  header_mend(changed, length);
  if (data[0] & WRITES)
    bytes_change(changed, length);
  else
    bytes_open(changed, length);
  mem_free(changed);
  return 0;
}
