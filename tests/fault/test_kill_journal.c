/* kill -9 at random moments of changes being accepted and the index being saved: what was acknowledged is there, once.
 *
 * Usage: test_kill_journal [KILLS]   (100 by default; the long suite says 1000)
 *
 * The index is a count and a hash over the changes in their order, so a change that is lost, doubled or out of place
 * shows. The child says a byte on a pipe for each change after its sync, saves every few, and is killed. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "index/journal.h"
#include "test.h"

static int kills_wanted = 100;

typedef struct running {
  uint64_t count, hash;
} running;

static void running_add(running *s, const void *bytes, size_t length) {
  const unsigned char *b = bytes;
  s->count++;
  for (size_t i = 0; i < length; i++) s->hash = (s->hash ^ b[i]) * 0x100000001B3;
}

/* The change of a number: nobody needs to remember them. */
static size_t change_make(uint64_t number, unsigned char out[3000]) {
  rng r;
  rng_seed(&r, number);
  size_t length = rng_below(&r, 8) == 0 ? rng_below(&r, 3000) : rng_below(&r, 100);
  for (size_t i = 0; i < length; i++) out[i] = (unsigned char)rng_next(&r);
  return length;
}

static medley_status running_apply(void *context, const journal_record *record, medley_error *err) {
  running *s = context;
  if (record->sequence != s->count + 1) return error_set(err, MEDLEY_ERR_INTERNAL, "out of order");
  running_add(s, record->bytes, record->length);
  return MEDLEY_OK;
}

static medley_status running_save(const char *path, const running *s, const journal_mark *mark, unsigned char *id,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  index_file_writer *w = NULL;
  TRY(index_file_writer_create(path, "running", mark, &w, err));
  TRY(index_file_writer_section(w, "running", s, sizeof *s, err));
  status = index_file_writer_commit(w, id, err);
  w = NULL;
done:
  index_file_writer_abort(w);
  return status;
}

static medley_status running_open(const char *path, journal **out, running *s, journal_replay_result *result,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  journal *j = NULL;
  index_file *f = NULL;
  unsigned char *bytes;
  TRY(journal_open(path, JOURNAL_WRITE, &j, err));
  TRY(index_file_open(path, &f, err));
  TRY(index_file_array(f, "running", 1, sizeof *s, &bytes, err));
  memcpy(s, bytes, sizeof *s);
  TRY(journal_replay(j, index_file_id(f), index_file_mark(f), running_apply, s, NULL, result, err));
  *out = j;
  j = NULL;
done:
  index_file_close(f);
  journal_close(j);
  return status;
}

/* Batches of one to eight changes, one sync each; every second to twelfth batch a save, which now and then misses a
 * batch that was accepted while it was being written. */
static int write_changes(const char *path, int acknowledge) {
  medley_error error;
  journal_replay_result result;
  journal *j;
  running s, saved;
  rng r;
  rng_seed(&r, (uint64_t)getpid());
  if (running_open(path, &j, &s, &result, &error) != MEDLEY_OK) return 2;
  for (;;) {
    static unsigned char payloads[8][3000];
    journal_record records[8];
    journal_mark mark;
    unsigned char id[INDEX_FILE_ID_BYTES];
    size_t count = rng_below(&r, 8) + 1;
    bool saving = rng_below(&r, 7) == 0, late = rng_below(&r, 2) == 0;
    saved = s;
    journal_position(j, &mark);
    for (size_t i = 0; i < count; i++) {
      size_t length = change_make(s.count + 1, payloads[i]);
      records[i] = (journal_record){.bytes = payloads[i], .length = length};
      running_add(&s, payloads[i], length);
    }
    if (journal_append(j, records, count, &error) != MEDLEY_OK) return 3;
    if (journal_sync(j, records[count - 1].sequence, &error) != MEDLEY_OK) return 4;
    if (write(acknowledge, "++++++++", count) != (ssize_t)count) return 5;
    if (!saving) continue;
    if (!late) {
      saved = s;
      journal_position(j, &mark);
    }
    if (running_save(path, &saved, &mark, id, &error) != MEDLEY_OK) return 6;
    if (journal_reset(j, id, &mark, &error) != MEDLEY_OK) return 7;
  }
}

static uint64_t acknowledged_until_end(int from) {
  char bytes[4096];
  uint64_t count = 0;
  for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;) count += (uint64_t)got;
  return count;
}

/* One child's life; returns how many changes it acknowledged. */
static uint64_t life(const char *path, double seconds) {
  int ends[2], outcome;
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    close(ends[0]);
    _exit(write_changes(path, ends[1]));
  }
  close(ends[1]);
  usleep((useconds_t)(1e6 * seconds));
  kill(child, SIGKILL);
  assert_int_equal(waitpid(child, &outcome, 0), child);
  if (!WIFSIGNALED(outcome)) fail_msg("the writer ended by itself, at step %d", WEXITSTATUS(outcome));
  uint64_t count = acknowledged_until_end(ends[0]);
  close(ends[0]);
  return count;
}

static void test_killed_writer(void **state) {
  (void)state;
  medley_error error;
  char root[256], path[300];
  unsigned char id[INDEX_FILE_ID_BYTES], payload[3000];
  running expected = {0}, found;
  journal_replay_result result;
  journal *j;
  size_t cut = 0, skipped = 0, unasked = 0, strays = 0;
  rng r;
  rng_seed(&r, (uint64_t)getpid());
  test_folder(root);
  snprintf(path, sizeof path, "%s/an.index", root);
  assert_ok(running_save(path, &expected, NULL, id, &error));
  for (int k = 0; k < kills_wanted; k++) {
    uint64_t promised = expected.count + life(path, 0.03 * rng_uniform(&r));
    char **names;
    size_t count;
    assert_ok(folder_list(root, &names, &count, &error));
    strays += count > 2;
    folder_list_free(names, count);
    assert_ok(running_open(path, &j, &found, &result, &error));
    /* The last batch may be there although the child did not live to say so. */
    if (found.count < promised || found.count > promised + 8)
      fail_msg("kill %d: %llu changes were promised, %llu are there", k, (unsigned long long)promised,
               (unsigned long long)found.count);
    while (expected.count < found.count) running_add(&expected, payload, change_make(expected.count + 1, payload));
    assert_true(expected.hash == found.hash);
    cut += result.cut_bytes > 0;
    skipped += result.skipped > 0;
    unasked += found.count > promised;
    journal_close(j);
  }
  fprintf(stderr,
          "%d writers were killed after %llu changes: %zu left a torn end, %zu were between a save and its reset, %zu "
          "left an unfinished file, %zu had written more than they said\n",
          kills_wanted, (unsigned long long)expected.count, cut, skipped, strays, unasked);
  assert_true(expected.count > 0);
  assert_ok(folder_remove(root, &error));
}

int main(int argc, char **argv) {
  if (argc > 1) kills_wanted = atoi(argv[1]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_writer)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
