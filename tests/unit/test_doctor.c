/* The doctor: what is well is told, and each kind of damage is found and named. */
#include "test.h"

#include <medley/medley.h>

#include "base/file.h"
#include "base/json.h"
#include "media/fonts.h"

typedef struct fixture {
  char folder[256], path[300];
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  medley_error error;
  test_folder(f->folder);
  snprintf(f->path, sizeof f->path, "%s/shop", f->folder);
  assert_ok(medley_workspace_create(f->path, &error));
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  (void)!folder_remove(f->folder, NULL);
  free(f);
  return 0;
}

static json_t *doctor(const char *path) {
  medley_error error;
  char *text;
  json_t *value;
  assert_ok(medley_doctor(path, &text, &error));
  assert_ok(json_parse(text, strlen(text), "doctor", &value, &error));
  medley_free(text);
  return value;
}

/* Whether a finding of this check, ok or not, says the words. */
static bool found(const json_t *report, const char *check, bool ok, const char *words) {
  size_t i;
  const json_t *finding;
  json_array_foreach(json_object_get(report, "findings"), i, finding) {
    if (strcmp(json_member_string(finding, "check", ""), check) != 0) continue;
    if (json_is_true(json_object_get(finding, "ok")) != ok) continue;
    if (strstr(json_member_string(finding, "text", ""), words) != NULL) return true;
  }
  return false;
}

static void write_inside(const fixture *f, const char *name, const char *text) {
  medley_error error;
  char path[600];
  snprintf(path, sizeof path, "%s/%s", f->path, name);
  assert_ok(file_write(path, text, strlen(text), &error));
}

static void test_machine(void **state) {
  (void)state;
  json_t *report = doctor(NULL);
  assert_true(found(report, "medley", true, medley_version()));
  assert_true(found(report, "machine", true, "processors"));
  assert_true(found(report, "libraries", true, "SQLite 3."));
  assert_true(found(report, "workers", true, "decoded a test picture"));
  assert_true(found(report, "OpenBLAS", true, "threads") || found(report, "OpenBLAS", false, "threads"));
  assert_true(found(report, "fonts", true, "Latin") || found(report, "fonts", false, "Latin"));
  assert_false(fonts_cover("\U0010FFFD")); /* private use: no font */
  assert_false(fonts_cover("\xff"));
  json_decref(report);
}

static void test_well(void **state) {
  fixture *f = *state;
  json_t *report = doctor(f->path);
  assert_true(found(report, "settings", true, "0 set, all known"));
  assert_true(found(report, "database", true, "0 items, 0 users, 0 events; sound"));
  assert_true(found(report, "generations", true, "nothing has been trained"));
  assert_true(found(report, "media", true, "0 files"));
  assert_true(found(report, "folder", true, "can be written"));
  json_decref(report);
}

static void test_settings(void **state) {
  fixture *f = *state;
  write_inside(f, "medley.conf",
               "[train]\nseed = 7\nthreads = many\n[encode]\nimage = image.nothing\ntext = none\nsmell = x\n"
               "[encode.normalise]\nimage = zscore\naudio = loud\n"
               "[prepare]\nimage.crop = left\ntext.stem = no\naudio.smell = yes\n"
               "[model.bpr]\nbalance = 2\ndraws = 3\nsmell = 1\n[model.smell]\nrate = 1\n");
  json_t *report = doctor(f->path);
  assert_true(json_is_false(json_object_get(report, "ok")));
  assert_true(found(report, "settings", false, "train.threads is 'many', expected a whole number"));
  assert_true(found(report, "settings", false, "encode.image is 'image.nothing', expected an encoder"));
  assert_true(found(report, "settings", false, "there is no setting 'encode.smell'"));
  assert_true(found(report, "settings", false, "encode.normalise.audio is 'loud'"));
  assert_false(found(report, "settings", false, "seed"));
  assert_false(found(report, "settings", false, "zscore"));
  assert_true(found(report, "settings", false, "prepare.image.crop is 'left', expected none, centre or attention"));
  assert_true(found(report, "settings", false, "there is no setting 'prepare.audio.smell'"));
  assert_false(found(report, "settings", false, "stem"));
  assert_true(found(report, "settings", false, "model.bpr.balance is '2', expected a number from 0 to 1"));
  assert_true(found(report, "settings", false, "there is no setting 'model.bpr.smell'"));
  assert_true(found(report, "settings", false, "there is no setting 'model.smell.rate'"));
  assert_false(found(report, "settings", false, "model.bpr.draws"));
  json_decref(report);
  write_inside(f, "medley.conf", "[train\n");
  report = doctor(f->path);
  assert_true(found(report, "workspace", false, "line 1"));
  json_decref(report);
}

static void test_media(void **state) {
  fixture *f = *state;
  medley_error error;
  medley_workspace *w;
  char path[600];
  snprintf(path, sizeof path, "%s/a.png", f->folder);
  assert_ok(file_write(path, "x", 1, &error));
  assert_ok(medley_workspace_open(f->path, &w, &error));
  const char *paths[] = {path, NULL};
  medley_item item = {.key = "k", .image = paths};
  assert_ok(medley_put_item(w, &item, &error));
  medley_workspace_close(w);
  json_t *report = doctor(f->path);
  assert_true(found(report, "media", true, "1 files looked at"));
  json_decref(report);
  assert_int_equal(unlink(path), 0);
  report = doctor(f->path);
  assert_true(found(report, "media", false, "1 of 1 files looked at cannot be read, the first is"));
  json_decref(report);
}

static void test_generations(void **state) {
  fixture *f = *state;
  medley_error error;
  char folder[600];
  static const char *const names[] = {"3", "4.tmp-99"};
  for (size_t i = 0; i < 2; i++) {
    snprintf(folder, sizeof folder, "%s/models/%s", f->path, names[i]);
    assert_ok(folder_create(folder, &error));
  }
  write_inside(f, "current", "5\n");
  json_t *report = doctor(f->path);
  assert_true(found(report, "generations", false, "generation 3 is broken"));
  assert_true(found(report, "generations", true, "'4.tmp-99' is left"));
  assert_true(found(report, "generations", false, "5 should serve and is not there"));
  json_decref(report);
  write_inside(f, "models/3/manifest.json", "{}");
  write_inside(f, "models/3/content.safetensors", "short");
  write_inside(f, "current", "five");
  report = doctor(f->path);
  assert_true(found(report, "generations", false, "content.safetensors"));
  assert_true(found(report, "generations", false, "number of a generation"));
  json_decref(report);
}

static void test_no_workspace(void **state) {
  fixture *f = *state;
  json_t *report = doctor("/nowhere/at all");
  assert_true(found(report, "workspace", false, "is no folder"));
  json_decref(report);
  report = doctor(f->folder);
  assert_true(found(report, "workspace", false, "is no workspace"));
  json_decref(report);
  write_inside(f, "medley.db", "this is no database at all, but long enough to be looked at as if it were one.......");
  report = doctor(f->path);
  assert_true(json_is_false(json_object_get(report, "ok")));
  json_decref(report);
}

int main(int argc, char **argv) {
  int exit_status;
  if (medley_worker_main(argc, argv, &exit_status)) return exit_status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_machine),
      cmocka_unit_test_setup_teardown(test_well, setup, teardown),
      cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
      cmocka_unit_test_setup_teardown(test_media, setup, teardown),
      cmocka_unit_test_setup_teardown(test_generations, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_workspace, setup, teardown),
  };
  return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
