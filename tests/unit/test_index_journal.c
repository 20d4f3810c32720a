/* The journal of an index: what was accepted comes back, once; a torn end is cut, damage is refused; no moment of a
 * save loses or doubles anything. */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "index/journal_parts.h"

static char folder[256], path[300], journal_path[320];

static int test_begin(void **state) {
  (void)state;
  test_folder(folder);
  snprintf(path, sizeof path, "%s/an.index", folder);
  snprintf(journal_path, sizeof journal_path, "%s.journal", path);
  return 0;
}

static int test_end(void **state) {
  (void)state;
  return folder_remove(folder, NULL) != MEDLEY_OK;
}

/* ---- a set that is nothing but the sum of its changes ---- */

typedef struct tally {
  uint64_t count, last, sum;
} tally;

#define LENGTH_OF(sequence) ((sequence)*37 % 101)

static void payload_make(uint64_t sequence, unsigned char out[128]) {
  for (size_t i = 0; i < 128; i++) out[i] = (unsigned char)(sequence * 11 + i);
}

/* The records of these tests are a function of their number, so whoever gets one knows what it must be. */
static medley_status tally_apply(void *context, const journal_record *r, medley_error *err) {
  tally *t = context;
  unsigned char wanted[128];
  payload_make(r->sequence, wanted);
  if (r->sequence != t->last + 1) return error_set(err, MEDLEY_ERR_INTERNAL, "not the next: %zu", (size_t)r->sequence);
  if (r->type != r->sequence % 5 || r->length != LENGTH_OF(r->sequence) ||
      (r->length > 0 && memcmp(r->bytes, wanted, r->length) != 0))
    return error_set(err, MEDLEY_ERR_INTERNAL, "not what was written: %zu", (size_t)r->sequence);
  t->last = r->sequence;
  t->sum += r->sequence;
  t->count++;
  return MEDLEY_OK;
}

static void append_one(journal *j) {
  medley_error error;
  journal_mark mark;
  unsigned char payload[128];
  journal_position(j, &mark);
  uint64_t next = mark.sequence + 1;
  payload_make(next, payload);
  journal_record record = {.bytes = payload, .length = LENGTH_OF(next), .type = (uint32_t)(next % 5)};
  assert_ok(journal_append(j, &record, 1, &error));
  assert_int_equal(record.sequence, next);
}

static void append_many(journal *j, size_t count) {
  for (size_t i = 0; i < count; i++) append_one(j);
}

static void save(const tally *t, const journal_mark *mark, unsigned char *id) {
  medley_error error;
  index_file_writer *w;
  assert_ok(index_file_writer_create(path, "tally", mark, &w, &error));
  assert_ok(index_file_writer_section(w, "tally", t, sizeof *t, &error));
  assert_ok(index_file_writer_commit(w, id, &error));
}

/* Opens both as a set does; *out NULL: closes again. */
static medley_status both_open(journal_mode mode, journal **out, tally *t, journal_replay_result *result,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  journal *j = NULL;
  index_file *f = NULL;
  unsigned char *bytes;
  TRY(journal_open(path, mode, &j, err));
  TRY(index_file_open(path, &f, err));
  TRY(index_file_array(f, "tally", 1, sizeof *t, &bytes, err));
  memcpy(t, bytes, sizeof *t);
  TRY(journal_replay(j, index_file_id(f), index_file_mark(f), tally_apply, t, NULL, result, err));
  if (out != NULL) {
    *out = j;
    j = NULL;
  }
done:
  index_file_close(f);
  journal_close(j);
  return status;
}

static void tally_check(const tally *t, uint64_t last) {
  assert_int_equal(t->last, last);
  assert_int_equal(t->count, last);
  assert_int_equal(t->sum, last * (last + 1) / 2);
}

static void reopen_and_check(uint64_t last, size_t applied, size_t skipped, uint64_t cut) {
  medley_error error;
  tally t;
  journal_replay_result result;
  for (int again = 0; again < 2; again++) {
    assert_ok(both_open(again ? JOURNAL_WRITE : JOURNAL_READ, NULL, &t, &result, &error));
    tally_check(&t, last);
    assert_int_equal(result.applied, applied);
    assert_int_equal(result.skipped, skipped);
    assert_int_equal(result.cut_bytes, cut);
  }
}

static journal *fresh(size_t changes) {
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES];
  journal *j;
  tally t = {0};
  save(&t, NULL, id);
  assert_ok(both_open(JOURNAL_WRITE, &j, &t, NULL, &error));
  append_many(j, changes);
  return j;
}

/* Without file_write's syncs: these tests write thousands of files. */
static void bytes_put(const char *name, const char *bytes, size_t length) {
  FILE *out = fopen(name, "wb");
  assert_non_null(out);
  assert_int_equal(fwrite(bytes, 1, length, out), length);
  assert_int_equal(fclose(out), 0);
}

static char *journal_bytes_read(size_t *length) {
  medley_error error;
  char *bytes;
  assert_ok(file_read(journal_path, 64 << 20, &bytes, length, &error));
  return bytes;
}

/* ---- the tests ---- */

static void test_comes_back(void **state) {
  (void)state;
  medley_error error;
  tally t;
  journal *j = fresh(0), *second;
  assert_refused(journal_open(path, JOURNAL_WRITE, &second, &error), MEDLEY_ERR_BUSY, "changed by another process");
  append_many(j, 300);
  assert_ok(journal_sync(j, 300, &error));
  append_many(j, 7); /* a kill loses not even these */
  assert_int_equal(journal_bytes(j), j->length);
  /* A reader beside the writer sees all of it, and disturbs nothing. */
  assert_ok(both_open(JOURNAL_READ, NULL, &t, NULL, &error));
  tally_check(&t, 307);
  append_one(j);
  journal_close(j);
  reopen_and_check(308, 308, 0, 0);
  assert_ok(both_open(JOURNAL_WRITE, &j, &t, NULL, &error));
  append_many(j, 2);
  assert_ok(journal_sync(j, UINT64_MAX, &error));
  journal_close(j);
  reopen_and_check(310, 310, 0, 0);
}

typedef struct lengths {
  const size_t *wanted;
  size_t count;
} lengths;

static medley_status lengths_apply(void *context, const journal_record *r, medley_error *err) {
  lengths *l = context;
  if (r->length != l->wanted[l->count] || r->type != l->count || (r->bytes == NULL) != (r->length == 0))
    return error_set(err, MEDLEY_ERR_INTERNAL, "length %zu", r->length);
  for (size_t i = 0; i < r->length; i++)
    if (((const unsigned char *)r->bytes)[i] != (unsigned char)(i >> 3))
      return error_set(err, MEDLEY_ERR_INTERNAL, "byte");
  l->count++;
  return MEDLEY_OK;
}

/* Batches larger than the buffer, records larger than the window. */
static void test_lengths(void **state) {
  (void)state;
  medley_error error;
  static const size_t wanted[] = {0,      1,      (1 << 20) - 20, (1 << 20) - 19,      1 << 20, 0, 3, 5 << 20,
                                  700000, 700000, 700000,         JOURNAL_PAYLOAD_MAX, 1};
  enum { COUNT = sizeof wanted / sizeof *wanted };
  unsigned char *payload = mem_alloc(JOURNAL_PAYLOAD_MAX, 1), id[INDEX_FILE_ID_BYTES] = {1};
  journal_record records[COUNT];
  journal_mark mark = {.sequence = 0};
  journal *j;
  lengths l = {.wanted = wanted};
  for (size_t i = 0; i < JOURNAL_PAYLOAD_MAX; i++) payload[i] = (unsigned char)(i >> 3);
  for (size_t i = 0; i < COUNT; i++)
    records[i] = (journal_record){.bytes = payload, .length = wanted[i], .type = (uint32_t)i};
  assert_ok(journal_open(path, JOURNAL_WRITE, &j, &error));
  assert_ok(journal_replay(j, id, &mark, lengths_apply, &l, NULL, NULL, &error));
  records[3].length = JOURNAL_PAYLOAD_MAX + 1;
  assert_refused(journal_append(j, records, COUNT, &error), MEDLEY_ERR_LIMIT, "a change of 16777217 bytes is too long");
  records[3].length = wanted[3];
  assert_ok(journal_append(j, records, 0, &error));
  assert_ok(journal_append(j, records, COUNT, &error));
  assert_int_equal(records[COUNT - 1].sequence, COUNT);
  journal_close(j);
  assert_ok(journal_open(path, JOURNAL_WRITE, &j, &error));
  assert_ok(journal_replay(j, id, &mark, lengths_apply, &l, NULL, NULL, &error));
  assert_int_equal(l.count, COUNT);
  journal_close(j);
  mem_free(payload);
}

/* The drawing in index/journal.h, by its numbers. */
static void test_layout(void **state) {
  (void)state;
  medley_error error;
  size_t length;
  journal *j = fresh(2);
  assert_ok(journal_sync(j, 2, &error));
  journal_close(j);
  char *b = journal_bytes_read(&length);
  assert_int_equal(length, 128 + 20 + 37 + 20 + 74);
  assert_memory_equal(b, "\x89MIJ\r\n\x1a\n\1\0\0\0\0\0\0\0", 16);
  assert_memory_equal(b + 48, "\0\0\0\0\0\0\0\0", 8);
  assert_memory_equal(b + 60, "\0\0\0\0\x17\1\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 20);
  assert_memory_equal(b + 128, "\x25\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0", 16);
  assert_memory_equal(b + 185, "\x4a\0\0\0\2\0\0\0\2\0\0\0\0\0\0\0", 16);
  mem_free(b);
}

/* kill -9 and power cuts: cut after any byte. What was synced must be there, of the rest what is whole. */
static void test_torn_end(void **state) {
  (void)state;
  medley_error error;
  tally t;
  size_t length;
  journal_replay_result result;
  journal *j = fresh(20);
  assert_ok(journal_sync(j, 20, &error));
  uint64_t synced = j->length;
  append_many(j, 5);
  uint64_t whole = j->length;
  journal_close(j);
  char *bytes = journal_bytes_read(&length);
  assert_int_equal(length, whole);
  for (size_t cut = synced; cut < length; cut++) {
    bytes_put(journal_path, bytes, cut);
    assert_ok(both_open(JOURNAL_WRITE, &j, &t, &result, &error));
    assert_int_equal(result.cut_bytes, cut - j->length);
    assert_true(t.last >= 20 && t.last < 25);
    append_many(j, 2); /* and it goes on from there */
    journal_close(j);
    reopen_and_check(t.last + 2, t.last + 2, 0, 0);
  }
  /* Bytes of an old end that are longer than what was written over them. */
  for (size_t at = synced; at < length; at++) {
    bytes[at] ^= 0x40;
    bytes_put(journal_path, bytes, length);
    assert_ok(both_open(JOURNAL_WRITE, NULL, &t, &result, &error));
    tally_check(&t, t.last);
    assert_true(t.last >= 20 && t.last < 25 && result.cut_bytes > 0);
    bytes[at] ^= 0x40;
  }
  for (size_t cut = 1; cut < synced; cut += 7) {
    bytes_put(journal_path, bytes, cut);
    assert_refused(both_open(JOURNAL_WRITE, NULL, &t, &result, &error), MEDLEY_ERR_CORRUPT,
                   cut < 128 ? "less than its header of 128" : "were accepted but cannot be read");
    assert_refused(both_open(JOURNAL_READ, NULL, &t, &result, &error), MEDLEY_ERR_CORRUPT, "");
  }
  mem_free(bytes);
}

/* Any byte of what was synced: refused, the journal untouched; salvaged, what was before it is kept. */
static void test_damage(void **state) {
  (void)state;
  medley_error error;
  tally t;
  size_t length, now_length;
  journal_replay_result result;
  journal *j = fresh(20);
  assert_ok(journal_sync(j, 20, &error));
  journal_close(j);
  char *bytes = journal_bytes_read(&length);
  for (size_t at = 0; at < length; at += at < 200 ? 1 : 11) {
    bytes[at] ^= (char)(1 << at % 8);
    bytes_put(journal_path, bytes, length);
    medley_status status = both_open(JOURNAL_WRITE, NULL, &t, &result, &error);
    if (status != MEDLEY_ERR_CORRUPT && status != MEDLEY_ERR_UNSUPPORTED)
      fail_msg("byte %zu: %s", at, medley_status_name(status));
    assert_non_null(strstr(error.text, journal_path));
    char *now = journal_bytes_read(&now_length);
    assert_int_equal(now_length, length);
    assert_memory_equal(now, bytes, length);
    mem_free(now);
    if (at >= 128) {
      assert_ok(both_open(JOURNAL_SALVAGE, &j, &t, &result, &error));
      tally_check(&t, t.last);
      assert_true(t.last < 20 && result.applied == t.last && result.cut_bytes > 0);
      append_one(j);
      journal_close(j);
      reopen_and_check(t.last + 1, t.last + 1, 0, 0);
    }
    bytes[at] ^= (char)(1 << at % 8);
  }
  mem_free(bytes);
}

/* A save, with changes coming in while the index is written, and the disk as a kill would leave it between any two
 * steps. */
static void test_windows_of_a_save(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES];
  char *old_file, *new_file, *old_journal, *new_journal;
  size_t old_length, new_length, old_journal_length, new_journal_length;
  journal_mark mark;
  journal *j = fresh(10);
  tally t = {.count = 10, .last = 10, .sum = 55};
  journal_position(j, &mark);
  append_many(j, 4); /* accepted meanwhile: in the old journal, not in the new file */
  assert_ok(journal_sync(j, 14, &error));
  assert_ok(file_read(path, 1 << 20, &old_file, &old_length, &error));
  old_journal = journal_bytes_read(&old_journal_length);
  save(&t, &mark, id);
  assert_ok(file_read(path, 1 << 20, &new_file, &new_length, &error));
  assert_ok(journal_reset(j, id, &mark, &error));
  new_journal = journal_bytes_read(&new_journal_length);
  assert_true(new_journal_length < old_journal_length);
  append_many(j, 2);
  assert_ok(journal_sync(j, 16, &error));
  journal_close(j);
  reopen_and_check(16, 6, 0, 0);

  const struct {
    const char *file, *journal;
    size_t file_length, journal_length, applied, skipped;
    bool refused;
  } windows[] = {
      {old_file, old_journal, old_length, old_journal_length, 14, 0, false},
      {new_file, old_journal, new_length, old_journal_length, 4, 10, false},
      {new_file, new_journal, new_length, new_journal_length, 4, 0, false},
      {old_file, new_journal, old_length, new_journal_length, 0, 0, true}, /* no kill leaves this: a restored backup */
  };
  for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
    char stray[400];
    bytes_put(path, windows[i].file, windows[i].file_length);
    bytes_put(journal_path, windows[i].journal, windows[i].journal_length);
    if (windows[i].refused) {
      assert_refused(both_open(JOURNAL_WRITE, NULL, &t, NULL, &error), MEDLEY_ERR_CORRUPT,
                     "journal of another index or of another save");
      continue;
    }
    snprintf(stray, sizeof stray, "%s.tmp-1", path);
    bytes_put(stray, "half", 4);
    snprintf(stray, sizeof stray, "%s.tmp-1", journal_path);
    bytes_put(stray, "half", 4);
    reopen_and_check(14, windows[i].applied, windows[i].skipped, 0);
    assert_false(file_exists(stray));
    /* Going on, and the next save, from each of them. */
    assert_ok(both_open(JOURNAL_WRITE, &j, &t, NULL, &error));
    append_one(j);
    assert_ok(journal_sync(j, 15, &error));
    t = (tally){15, 15, 120};
    journal_position(j, &mark);
    save(&t, &mark, id);
    assert_ok(journal_reset(j, id, &mark, &error));
    append_one(j);
    journal_close(j);
    reopen_and_check(16, 1, 0, 0);
  }
  mem_free(old_file);
  mem_free(new_file);
  mem_free(old_journal);
  mem_free(new_journal);
}

/* The save was synced, the journal's end was not, and the power went: the file knows more than the journal. */
static void test_file_ahead_of_journal(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES];
  journal_mark mark;
  journal *j = fresh(10);
  assert_ok(journal_sync(j, 10, &error));
  uint64_t synced = j->length;
  append_many(j, 5);
  tally t = {15, 15, 120};
  journal_position(j, &mark);
  save(&t, &mark, id);
  journal_close(j);
  assert_int_equal(truncate(journal_path, (off_t)synced + 3), 0);
  assert_ok(both_open(JOURNAL_WRITE, &j, &t, NULL, &error));
  tally_check(&t, 15);
  append_one(j);
  journal_close(j);
  reopen_and_check(16, 1, 0, 0);
}

/* Two copies of an index that went different ways, and then half of one and half of the other. */
static void test_copies_are_not_mixed(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES];
  size_t length;
  journal_mark mark;
  tally t;
  journal *j = fresh(5);
  journal_close(j);
  char *copy = journal_bytes_read(&length);
  assert_ok(both_open(JOURNAL_WRITE, &j, &t, NULL, &error));
  journal_record other = {.bytes = "different", .length = 9, .type = 1};
  assert_ok(journal_append(j, &other, 1, &error));
  journal_position(j, &mark);
  save(&t, &mark, id);
  journal_close(j);
  char *own = journal_bytes_read(&length);
  bytes_put(journal_path, copy, length - 29);
  j = NULL;
  /* The copy goes its own way, with the same ids and numbers. */
  assert_ok(journal_open(path, JOURNAL_WRITE, &j, &error));
  tally u = {0};
  journal_header h;
  memcpy(&h, copy, sizeof h);
  assert_ok(journal_replay(j, h.file, &(journal_mark){.sequence = 0}, tally_apply, &u, NULL, NULL, &error));
  append_many(j, 3);
  journal_close(j);
  assert_refused(both_open(JOURNAL_WRITE, NULL, &t, NULL, &error), MEDLEY_ERR_CORRUPT,
                 "went different ways before change 6");
  mem_free(own);
  mem_free(copy);
}

static void test_drop(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES];
  tally t = {0};
  journal *j = fresh(5);
  journal_close(j);
  /* Written over on purpose. */
  assert_ok(journal_open(path, JOURNAL_WRITE, &j, &error));
  assert_ok(journal_drop(j, &error));
  save(&t, NULL, id);
  assert_ok(journal_replay(j, id, &(journal_mark){.sequence = 0}, tally_apply, &t, NULL, NULL, &error));
  append_one(j);
  journal_close(j);
  reopen_and_check(1, 1, 0, 0);
  /* Deleted. */
  assert_ok(journal_open(path, JOURNAL_WRITE, &j, &error));
  assert_ok(journal_drop(j, &error));
  unlink(path);
  journal_close(j);
  assert_false(file_exists(journal_path));
  assert_refused(both_open(JOURNAL_WRITE, NULL, &t, NULL, &error), MEDLEY_ERR_NOT_FOUND, "cannot open");
  assert_false(file_exists(journal_path));
  assert_int_equal(mkdir(journal_path, 0777), 0);
  assert_refused(journal_open(path, JOURNAL_READ, &j, &error), MEDLEY_ERR_INPUT, "not a regular file");
  assert_refused(journal_open(path, JOURNAL_WRITE, &j, &error), MEDLEY_ERR_IO, "cannot open");
}

static medley_status refuse_third(void *context, const journal_record *r, medley_error *err) {
  (void)context;
  return r->sequence == 3 ? error_set(err, MEDLEY_ERR_CORRUPT, "no such row") : MEDLEY_OK;
}

static void test_refused_change(void **state) {
  (void)state;
  medley_error error;
  index_file *f;
  journal *j = fresh(5);
  journal_close(j);
  assert_ok(journal_open(path, JOURNAL_WRITE, &j, &error));
  assert_ok(index_file_open(path, &f, &error));
  assert_refused(journal_replay(j, index_file_id(f), index_file_mark(f), refuse_third, NULL, NULL, NULL, &error),
                 MEDLEY_ERR_CORRUPT, "an.index.journal', change 3: no such row");
  index_file_close(f);
  journal_close(j);
  reopen_and_check(5, 5, 0, 0);
}

/* A disk that is full: a limit on the length of files is one. */
static void disk_limit(rlim_t bytes) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_full_disk(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES], big[5000] = {0};
  tally t = {20, 20, 210};
  journal_mark mark;
  signal(SIGXFSZ, SIG_IGN);
  journal *j = fresh(20);
  journal_record records[] = {{.bytes = big, .length = 100}, {.bytes = big, .length = sizeof big}};
  disk_limit(j->length + 1000);
  assert_refused(journal_append(j, records, 2, &error), MEDLEY_ERR_IO, "cannot write");
  disk_limit(RLIM_INFINITY);
  append_many(j, 4);
  journal_position(j, &mark);
  t = (tally){24, 24, 300};
  save(&t, &mark, id);
  disk_limit(100);
  assert_refused(journal_reset(j, id, &mark, &error), MEDLEY_ERR_IO, "cannot write");
  disk_limit(RLIM_INFINITY);
  append_many(j, 2);
  assert_ok(journal_sync(j, UINT64_MAX, &error));
  journal_close(j);
  reopen_and_check(26, 2, 24, 0);
}

/* The disk fails when it is asked to sync: nothing more is taken, the next save mends it. */
static void test_failed_sync(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES];
  tally t = {20, 20, 210};
  journal_mark mark;
  journal_record record = {.length = 0};
  journal *j = fresh(20);
  int ends[2], kept = dup(j->fd);
  assert_int_equal(pipe(ends), 0);
  dup2(ends[1], j->fd); /* a pipe cannot be synced */
  assert_refused(journal_sync(j, 20, &error), MEDLEY_ERR_IO, "takes no more changes until the index was saved");
  dup2(kept, j->fd);
  assert_refused(journal_append(j, &record, 1, &error), MEDLEY_ERR_IO, "takes no more changes");
  assert_refused(journal_sync(j, UINT64_MAX, &error), MEDLEY_ERR_IO, "takes no more changes");
  journal_position(j, &mark);
  save(&t, &mark, id);
  assert_ok(journal_reset(j, id, &mark, &error));
  append_one(j);
  assert_ok(journal_sync(j, 21, &error));
  close(ends[0]);
  close(ends[1]);
  close(kept);
  journal_close(j);
  reopen_and_check(21, 1, 0, 0);
}

/* ---- threads ---- */

typedef struct crowd {
  journal *j;
  pthread_mutex_t writer;
  unsigned acknowledged;
} crowd;

static void *crowd_member(void *context) {
  crowd *c = context;
  for (int i = 0; i < 100; i++) {
    unsigned char payload[128];
    journal_mark mark;
    pthread_mutex_lock(&c->writer);
    journal_position(c->j, &mark);
    payload_make(mark.sequence + 1, payload);
    journal_record record = {
        .bytes = payload, .length = LENGTH_OF(mark.sequence + 1), .type = (uint32_t)((mark.sequence + 1) % 5)};
    bool good = journal_append(c->j, &record, 1, NULL) == MEDLEY_OK;
    pthread_mutex_unlock(&c->writer);
    good = good && journal_sync(c->j, record.sequence, NULL) == MEDLEY_OK;
    pthread_mutex_lock(&c->writer);
    c->acknowledged += good;
    pthread_mutex_unlock(&c->writer);
  }
  return NULL;
}

static void test_group_commit(void **state) {
  (void)state;
  medley_error error;
  unsigned char id[INDEX_FILE_ID_BYTES];
  journal_mark mark;
  pthread_t threads[4];
  crowd c = {.j = fresh(0)};
  pthread_mutex_init(&c.writer, NULL);
  for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, &c), 0);
  for (int saves = 0; saves < 3; saves++) { /* syncs go on beside a save */
    usleep(20000);
    pthread_mutex_lock(&c.writer);
    journal_position(c.j, &mark);
    tally t = {mark.sequence, mark.sequence, mark.sequence * (mark.sequence + 1) / 2};
    save(&t, &mark, id);
    assert_ok(journal_reset(c.j, id, &mark, &error));
    pthread_mutex_unlock(&c.writer);
  }
  for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  pthread_mutex_destroy(&c.writer);
  assert_int_equal(c.acknowledged, 400);
  journal_close(c.j);
  reopen_and_check(400, 400 - (size_t)mark.sequence, 0, 0);
}

/* ---- memory ---- */

static void test_allocations_fail(void **state) {
  (void)state;
#ifdef MEDLEY_FAULTS
  medley_error error;
  journal_mark mark;
  unsigned char id[INDEX_FILE_ID_BYTES];
  journal *j = fresh(10);
  tally t = {5, 5, 15};
  bool struck = true;
  journal_close(j);
  for (long n = 1; struck; n++) {
    memory_fault_after(n);
    medley_status status = both_open(JOURNAL_WRITE, &j, &t, NULL, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    if (status != MEDLEY_OK) assert_true(struck && status == MEDLEY_ERR_MEMORY);
    if (status == MEDLEY_OK && struck) journal_close(j); /* sweeping does without */
    assert_true(n < 100);
  }
  journal_position(j, &mark);
  append_many(j, 3); /* to be copied by the reset */
  save(&t, &mark, id);
  struck = true;
  for (long n = 1; struck; n++) {
    memory_fault_after(n);
    medley_status status = journal_reset(j, id, &mark, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    assert_int_equal(j->sequence, 13);
    assert_true(n < 100);
  }
  unsigned char *payload = mem_zalloc(1, 1 << 18);
  journal_record record = {.bytes = payload, .length = 1 << 18};
  memory_fault_after(1);
  assert_refused(journal_append(j, &record, 1, &error), MEDLEY_ERR_MEMORY, "out of memory");
  memory_fault_after(0);
  mem_free(payload);
  append_one(j);
  journal_close(j);
  reopen_and_check(14, 4, 0, 0);
#else
  skip();
#endif
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_comes_back),
      TEST(test_lengths),
      TEST(test_layout),
      TEST(test_torn_end),
      TEST(test_damage),
      TEST(test_windows_of_a_save),
      TEST(test_file_ahead_of_journal),
      TEST(test_copies_are_not_mixed),
      TEST(test_drop),
      TEST(test_refused_change),
      TEST(test_full_disk),
      TEST(test_failed_sync),
      TEST(test_group_commit),
      TEST(test_allocations_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
