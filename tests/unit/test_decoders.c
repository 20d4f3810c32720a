/* Every file of the decoder collection, many of them broken or hostile, through the worker pool: each gives a sample or
 * a reason, no worker exceeds its memory, none hangs. With an argument n only every n-th file, for the short run.
 * Prints a table. */
#include "test.h"

#include <sys/resource.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "media/worker_limits.h"
#include "media/worker_pool.h"

static size_t every = 1;

/* Folders of the collection, and as what their files are asked for when their bytes do not tell. */
static const struct {
  const char *name;
  modality kind;
} folders[] = {
    {"images", MODALITY_IMAGE},          {"image-fuzz", MODALITY_IMAGE}, {"audio", MODALITY_AUDIO},
    {"mp3-conformance", MODALITY_AUDIO}, {"video", MODALITY_VIDEO},
};
#define FOLDERS (sizeof folders / sizeof *folders)

typedef struct collection {
  media_request *requests; /* paths owned */
  size_t *folder_of;
  int *answers;
  size_t count, capacity;
} collection;

static void collect(collection *c, const char *path, size_t folder) {
  medley_error error;
  char **names;
  size_t count;
  assert_ok(folder_list(path, &names, &count, &error));
  for (size_t i = 0; i < count; i++) {
    char *inner = path_join(path, names[i]);
    if (file_is_folder(inner)) {
      collect(c, inner, folder);
      mem_free(inner);
      continue;
    }
    assert_true(c->count < c->capacity);
    modality kind = modality_of_file(inner);
    c->folder_of[c->count] = folder;
    c->requests[c->count++] =
        (media_request){.kind = kind == MODALITY_COUNT ? folders[folder].kind : kind, .path = inner};
  }
  folder_list_free(names, count);
}

static void keep_every(collection *c) {
  size_t kept = 0;
  for (size_t i = 0; i < c->count; i++) {
    if (i % every != 0) {
      mem_free((char *)c->requests[i].path);
      continue;
    }
    c->folder_of[kept] = c->folder_of[i];
    c->requests[kept++] = c->requests[i];
  }
  c->count = kept;
}

typedef struct tally {
  collection *files;
  size_t samples[FOLDERS], reasons[FOLDERS], lost;
} tally;

static medley_status tally_receive(void *context, size_t index, medley_status status, media_sample *sample,
                                   const char *reason) {
  tally *t = context;
  size_t folder = t->files->folder_of[index];
  assert_int_equal(t->files->answers[index]++, 0);
  if (status == MEDLEY_OK) {
    t->samples[folder]++;
    assert_int_equal(sample->kind, t->files->requests[index].kind);
    media_sample_deinit(sample);
    return MEDLEY_OK;
  }
  t->reasons[folder]++;
  assert_true(reason != NULL && reason[0] != '\0');
  bool lost = strstr(reason, "crashed") || strstr(reason, "gave up") || strstr(reason, "took more") ||
              strstr(reason, "nonsense") || strstr(reason, "ended before");
  t->lost += lost;
  if (lost || getenv("MEDLEY_TRIAL_VERBOSE")) printf("  %s: %s\n", t->files->requests[index].path, reason);
  return MEDLEY_OK;
}

static void test_every_file(void **state) {
  (void)state;
  medley_error error;
  collection c = {.capacity = 4096};
  media_pool *pool;
  char path[512];
  tally t = {.files = &c};
  if (test_data("decoders", path) == NULL) skip();
  c.requests = mem_zalloc(c.capacity, sizeof *c.requests);
  c.folder_of = mem_zalloc(c.capacity, sizeof *c.folder_of);
  c.answers = mem_zalloc(c.capacity, sizeof *c.answers);
  for (size_t f = 0; f < FOLDERS; f++) {
    char *inner = path_join(path, folders[f].name);
    collect(&c, inner, f);
    mem_free(inner);
  }
  keep_every(&c);
  double started = clock_now_s();
  assert_ok(media_pool_create(2, NULL, &pool, &error));
  assert_ok(media_pool_run(pool, c.requests, c.count, tally_receive, &t, NULL, &error));
  double took = clock_now_s() - started;
  size_t workers = media_pool_started(pool);
  media_pool_free(pool); /* reaps: the largest worker is known from here on */
  struct rusage usage;
  assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
  printf("%-16s %8s %8s\n", "", "samples", "reasons");
  for (size_t f = 0; f < FOLDERS; f++) printf("%-16s %8zu %8zu\n", folders[f].name, t.samples[f], t.reasons[f]);
  printf("%zu files in %.1f s, %zu workers, of which %zu were lost; the largest took %ld MiB\n", c.count, took, workers,
         t.lost, usage.ru_maxrss >> 10);
  for (size_t i = 0; i < c.count; i++) assert_int_equal(c.answers[i], 1);
  assert_int_equal(t.lost, 0); /* no crash, no hang, no worker at its limits */
  /* In a sanitised build the pool looks every 50 ms, and shadow memory counts: what a worker takes between two looks is
   * above. scripts/check runs this once more with the worker of the optimised build. */
  if (WORKER_LIMITS_ADDRESS_SPACE || getenv("WORKER_IS_OPTIMISED"))
    assert_true((uint64_t)usage.ru_maxrss << 10 <= WORKER_MEMORY_MAX);
  for (size_t i = 0; i < c.count; i++) mem_free((char *)c.requests[i].path);
  mem_free(c.requests);
  mem_free(c.folder_of);
  mem_free(c.answers);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_file)};
  if (argc > 1) every = (size_t)strtoul(argv[1], NULL, 10);
  if (every == 0) every = 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
