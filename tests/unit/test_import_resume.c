/* An import that is killed, runs out of memory or is cancelled goes on where it stopped, and ends as if nothing had
 * been.
 *
 * Usage: test_import_resume [KILLS]   (20 by default; the long suite says 200) */
#include <signal.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "import_fixture.h"

#define ROWS 6000
static int kills_wanted = 20;

/* ---- files with everything that can go wrong ---- */

static void append_events(strbuf *text, uint64_t seed) {
  rng r;
  rng_seed(&r, seed);
  for (int i = 0; i < ROWS; i++) {
    uint64_t user = rng_below(&r, 300), item = rng_below(&r, 500), fault = rng_below(&r, 50);
    if (fault == 0)
      strbuf_printf(text, "%llu,%llu,bad,%d\n", (unsigned long long)user, (unsigned long long)item, i);
    else if (fault == 1)
      strbuf_printf(text, "%llu\n", (unsigned long long)user);
    else
      strbuf_printf(text, "u%llu,i%llu,%d,%d\n", (unsigned long long)user, (unsigned long long)item, i % 5, i);
  }
}

/* The same rows so many times. */
static void write_events(const import_fixture *f, uint64_t seed, int copies, char path[512]) {
  strbuf text = {0};
  strbuf_append(&text, "user,item,rating,timestamp\n");
  for (int i = 0; i < copies; i++) append_events(&text, seed);
  import_file(f, "events.csv", text.text, text.length, path);
  strbuf_deinit(&text);
}

/* Items that come again and again, some with a picture, with an error here and there. */
static void write_items(const import_fixture *f, uint64_t seed, char path[512]) {
  rng r;
  strbuf text = {0};
  char picture[512], name[32];
  for (int i = 0; i < 300; i += 3) {
    snprintf(name, sizeof name, "img/k%d.jpg", i);
    import_file(f, name, "x", 1, picture);
  }
  rng_seed(&r, seed);
  for (int i = 0; i < ROWS / 4; i++) {
    if (rng_below(&r, 40) == 0)
      strbuf_printf(&text, "{\"id\":\"k%d\",\"time\":\"never\"}\n", i % 300);
    else
      strbuf_printf(&text, "{\"id\":\"k%llu\",\"text\":\"line %d\"}\n", (unsigned long long)rng_below(&r, 300), i);
  }
  import_file(f, "items.jsonl", text.text, text.length, path);
  strbuf_deinit(&text);
}

static const char *const patterns[] = {"img/{item}.jpg"};

static import_options options_for(import_kind kind, const char *path, const char *errors) {
  import_options o = {
      .kind = kind, .path = path, .errors = errors, .allow_rejects = ROWS, .batch_rows = 150, .append_text = true};
  o.patterns[MODALITY_IMAGE] = patterns;
  o.pattern_count[MODALITY_IMAGE] = kind == IMPORT_ITEMS;
  return o;
}

/* What an import left: the store, the rejects file, the counts. */
typedef struct outcome {
  char *dump, *rejects;
  strbuf report;
} outcome;

static void outcome_take(outcome *o, store *s, const char *errors, import_report report) {
  medley_error error;
  size_t length;
  report.seconds = 0;
  report.resumed_from = 0;
  o->dump = import_dump(s);
  assert_ok(file_read(errors, 1 << 24, &o->rejects, &length, &error));
  import_report_json(&report, &o->report);
}

static void outcome_deinit(outcome *o) {
  mem_free(o->dump);
  mem_free(o->rejects);
  strbuf_deinit(&o->report);
}

static void assert_same_outcome(const outcome *a, const outcome *b) {
  assert_string_equal(a->rejects, b->rejects);
  assert_string_equal(a->report.text, b->report.text);
  assert_true(strcmp(a->dump, b->dump) == 0);
}

/* What is imported. EVENTS_AGAIN: a file of events twice as long as when it was imported before. */
typedef enum world { WORLD_EVENTS, WORLD_ITEMS, WORLD_AGAIN, WORLD_COUNT } world;

static import_options world_make(world which, import_fixture *f, uint64_t seed, char path[512], char errors[512]) {
  medley_error error;
  import_report report;
  snprintf(errors, 512, "%s/rejects.jsonl", f->folder);
  if (which == WORLD_ITEMS) {
    write_items(f, seed, path);
    return options_for(IMPORT_ITEMS, path, errors);
  }
  write_events(f, seed, 1, path);
  import_options options = options_for(IMPORT_EVENTS, path, errors);
  if (which == WORLD_EVENTS) return options;
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  write_events(f, seed, 2, path);
  return options;
}

static void outcome_in_one_go(outcome *o, world which, uint64_t seed) {
  medley_error error;
  import_fixture *f;
  import_report report;
  char path[512], errors[512];
  import_setup((void **)&f);
  import_options options = world_make(which, f, seed, path, errors);
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_true(report.rejected > 10 && report.accepted > 1000);
  assert_int_equal(report.again, which == WORLD_AGAIN);
  if (which == WORLD_AGAIN) assert_int_equal(report.events_known, report.events);
  outcome_take(o, f->s, errors, report);
  import_teardown((void **)&f);
}

/* ---- interruptions ---- */

/* A child imports and is killed after some milliseconds; true when it had finished before. */
static bool import_killed(const import_fixture *f, const import_options *options, unsigned after_us) {
  pid_t child = fork();
  if (child == 0) {
    store *s;
    import_report report;
    if (store_sqlite.open(f->database, false, 1000, &s, NULL) != MEDLEY_OK) _exit(3);
    medley_status status = import_run(&store_sqlite, s, options, NULL, &report, NULL);
    /* The kill before may have hit between the last commit and the end of the process: then all is in already. */
    _exit(status == MEDLEY_OK || status == MEDLEY_ERR_EXISTS ? 0 : 4);
  }
  int result = 0;
  usleep(after_us);
  kill(child, SIGKILL);
  assert_int_equal(waitpid(child, &result, 0), child);
  if (WIFEXITED(result)) assert_int_equal(WEXITSTATUS(result), 0);
  return WIFEXITED(result);
}

/* The database opens, is sound, and has at least what it had. */
static uint64_t assert_sound(import_fixture *f, uint64_t events_before) {
  medley_error error;
  strbuf findings = {0};
  store_counts counts;
  assert_ok(store_sqlite.open(f->database, false, 1000, &f->s, &error));
  assert_ok(store_sqlite.check(f->s, &findings, &error));
  if (findings.length > 0) fail_msg("after a kill: %s", findings.text);
  assert_ok(store_sqlite.counts(f->s, &counts, &error));
  uint64_t rows = counts.events + counts.items;
  assert_true(rows >= events_before);
  strbuf_deinit(&findings);
  store_sqlite.close(f->s);
  f->s = NULL;
  return rows;
}

/* Returns the number of kills that hit. */
static int run_with_kills(world which, uint64_t seed, rng *r, const outcome *expected) {
  medley_error error;
  import_fixture *f;
  import_report report;
  char path[512], errors[512];
  int kills = 0;
  uint64_t rows = 0;
  import_setup((void **)&f);
  import_options options = world_make(which, f, seed, path, errors);
  store_sqlite.close(f->s); /* SQLite handles must not cross a fork */
  f->s = NULL;
  while (kills < kills_wanted && !import_killed(f, &options, 2000 + (unsigned)rng_below(r, 60000))) {
    kills++;
    rows = assert_sound(f, rows);
  }
  assert_ok(store_sqlite.open(f->database, false, 1000, &f->s, &error));
  medley_status status = import_run(&store_sqlite, f->s, &options, NULL, &report, &error);
  if (status != MEDLEY_OK && status != MEDLEY_ERR_EXISTS) fail_msg("%s", error.text);
  outcome got = {0};
  outcome_take(&got, f->s, errors, report);
  assert_same_outcome(expected, &got);
  outcome_deinit(&got);
  import_teardown((void **)&f);
  return kills;
}

static void test_kills(void **state) {
  (void)state;
  rng r;
  rng_seed(&r, 11);
  for (int which = 0, kills = 0; which < WORLD_COUNT; which++, kills = 0) {
    outcome expected = {0};
    outcome_in_one_go(&expected, (world)which, 5);
    for (int round = 0; kills < kills_wanted / WORLD_COUNT && round < kills_wanted * 5; round++)
      kills += run_with_kills((world)which, 5, &r, &expected);
    assert_true(kills >= kills_wanted / WORLD_COUNT);
    outcome_deinit(&expected);
  }
}

/* Failing allocations stop the import at known places: the same property, many times faster than by kills. */
static void test_resume_after_faults(void **state) {
#ifdef MEDLEY_FAULTS
  (void)state;
  rng r;
  int stops = 0;
  rng_seed(&r, 3);
  for (int round = 0; round < 2 * WORLD_COUNT; round++) {
    world which = (world)(round % WORLD_COUNT);
    medley_error error;
    import_fixture *f;
    import_report report;
    outcome expected = {0}, got = {0};
    char path[512], errors[512];
    outcome_in_one_go(&expected, which, (uint64_t)round);
    import_setup((void **)&f);
    import_options options = world_make(which, f, (uint64_t)round, path, errors);
    medley_status status = MEDLEY_ERR_MEMORY;
    for (int run = 0; status == MEDLEY_ERR_MEMORY; run++) {
      /* Reading a row allocates nothing most of the time, so early and late faults need other numbers. */
      memory_fault_after(run < 20 ? 20 + (long)rng_below(&r, 60u << run % 7) : 0);
      status = import_run(&store_sqlite, f->s, &options, NULL, &report, &error);
      memory_fault_after(0);
      stops += status == MEDLEY_ERR_MEMORY;
    }
    assert_ok(status);
    outcome_take(&got, f->s, errors, report);
    assert_same_outcome(&expected, &got);
    outcome_deinit(&expected);
    outcome_deinit(&got);
    import_teardown((void **)&f);
  }
  assert_true(stops > 4);
#else
  (void)state;
  skip();
#endif
}

/* ---- cancelling, and doing it twice ---- */

static int cancel_report(void *context, const medley_progress_state *state) {
  (void)context;
  return state->done > 0;
}

static void test_cancel(void **state) {
  import_fixture *f = *state;
  medley_error error;
  import_report report;
  store_counts counts;
  char path[512];
  strbuf text = {0};
  strbuf_append(&text, "user,item\n");
  for (int i = 0; i < 200000; i++) strbuf_printf(&text, "u%d,i%d\n", i % 1000, i % 777);
  import_file(f, "e.csv", text.text, text.length, path);
  strbuf_deinit(&text);
  import_options options = {.kind = IMPORT_EVENTS, .path = path, .batch_rows = 1000};
  medley_progress progress = {.report = cancel_report};
  assert_refused(import_run(&store_sqlite, f->s, &options, &progress, &report, &error), MEDLEY_ERR_CANCELLED,
                 "stopped on request during 'import events'");
  assert_true(report.accepted > 0 && report.accepted < 200000);
  assert_ok(store_sqlite.counts(f->s, &counts, &error));
  assert_int_equal(counts.events, report.accepted);
  uint64_t before = report.accepted;
  assert_ok(import_run(&store_sqlite, f->s, &options, NULL, &report, &error));
  assert_int_equal(report.resumed_from, before);
  assert_int_equal(report.accepted, 200000);
  assert_ok(store_sqlite.counts(f->s, &counts, &error));
  assert_int_equal(counts.events, 200000);
}

/* Imports one after another into one store: what each adds, what was there already, and how many events there are
 * then. */
static const struct {
  const char *name, *text, *type;
  bool again, dry_run;
  medley_status status;
  uint64_t added, known, total;
} editions[] = {
    {"e.csv", "user,item\nu,i\nu,i\nu,j\n", NULL, false, false, MEDLEY_OK, 3, 0, 3},
    {"e.csv", NULL, NULL, false, false, MEDLEY_ERR_EXISTS, 0, 0, 3},
    {"e.csv", NULL, NULL, true, false, MEDLEY_OK, 0, 3, 3},
    /* The file has grown: what stands in it a third time is new. */
    {"e.csv", "user,item\nu,i\nu,i\nu,j\nu,i\nv,i\n", NULL, false, true, MEDLEY_OK, 2, 3, 3},
    {"e.csv", NULL, NULL, false, false, MEDLEY_OK, 2, 3, 5},
    {"e.csv", NULL, NULL, false, false, MEDLEY_ERR_EXISTS, 0, 0, 5},
    /* And become shorter: what is gone from it stays. */
    {"e.csv", "user,item\nu,j\n", NULL, false, false, MEDLEY_OK, 0, 1, 5},
    /* Other options are another import, of other events where they say so. */
    {"e.csv", NULL, "other", false, false, MEDLEY_OK, 1, 0, 6},
    /* Another file is another matter, unless the user says that it is the same one. */
    {"moved/e.csv", "user,item\nu,j\n", NULL, false, false, MEDLEY_OK, 1, 0, 7},
    {"again/e.csv", "user,item\nu,j\nu,j\nu,j\n", NULL, true, false, MEDLEY_OK, 1, 2, 8},
    /* All fields count. */
    {"t.csv", "user,item,time,rating,split,place\nu,i,5,1,train,a\n", NULL, false, false, MEDLEY_OK, 1, 0, 9},
    {"t.csv",
     "user,item,time,rating,split,place\nu,i,5,1,train,a\nu,i,6,1,train,a\nu,i,5,2,train,a\nu,i,5,1,test,a\n"
     "u,i,5,1,train,b\nu,i,5,1,train,\n",
     NULL, false, false, MEDLEY_OK, 5, 1, 14},
};

static void test_again(void **state) {
  import_fixture *f = *state;
  for (size_t i = 0; i < sizeof editions / sizeof *editions; i++) {
    medley_error error = {0};
    import_report report;
    store_counts counts;
    char path[512];
    if (editions[i].text != NULL)
      import_file(f, editions[i].name, editions[i].text, strlen(editions[i].text), path);
    else
      snprintf(path, sizeof path, "%s/%s", f->folder, editions[i].name);
    import_options options = {.kind = IMPORT_EVENTS,
                              .path = path,
                              .type = editions[i].type,
                              .again = editions[i].again,
                              .dry_run = editions[i].dry_run};
    medley_status status = import_run(&store_sqlite, f->s, &options, NULL, &report, &error);
    assert_int_equal(status, editions[i].status);
    if (status != MEDLEY_OK)
      assert_non_null(strstr(error.text,
                             "was imported already and has not changed since: --dry-run --errors FILE lists"
                             " what was rejected, --again"));
    assert_ok(store_sqlite.counts(f->s, &counts, &error));
    if (status == MEDLEY_OK && (report.events != editions[i].added || report.events_known != editions[i].known))
      fail_msg("import %zu added %d and found %d", i, (int)report.events, (int)report.events_known);
    if (counts.events != editions[i].total) fail_msg("after import %zu there are %d", i, (int)counts.events);
  }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, import_setup, import_teardown)

int main(int argc, char **argv) {
  if (argc > 1) kills_wanted = atoi(argv[1]);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kills),
      cmocka_unit_test(test_resume_after_faults),
      TEST(test_cancel),
      TEST(test_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
