/* Models kept in a workspace: what is copied, that changed and lost files are found, and that nothing leads outside. */
#include "encode/kept_model.h"

#include <medley/medley.h>
#include <time.h>
#include <sys/stat.h>
#include <utime.h>

#include "base/file.h"
#include "base/memory.h"
#include "engine/encoders.h"
#include "nn/checkpoint.h"
#include "test.h"

static char root[256];

static const char *path_of(const char *name, char path[512]) {
  snprintf(path, 512, "%s/%s", root, name);
  return path;
}

static void text_write(const char *name, const char *text) {
  medley_error error;
  char path[512];
  assert_ok(file_write(path_of(name, path), text, strlen(text), &error));
}

static void weights_write(const char *name, float first) {
  medley_error error;
  char path[512];
  const float values[4] = {first, 2, 3, 4};
  safetensors_writer w = {0};
  assert_ok(safetensors_add_f32(&w, "weight", 2, 2, values, &error));
  assert_ok(safetensors_save(&w, path_of(name, path), &error));
  safetensors_writer_deinit(&w);
}

/* A kind that only looks whether its weights are there. */
static void opened_free(encoder *e) { mem_free(e); }
static medley_status opened_open(const char *path, encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  static const encoder_kind kind = {"test.opened", .modality = MODALITY_IMAGE, .needs_file = true, .free = opened_free};
  checkpoint c = {0};
  const tensor_view *view;
  *out = NULL;
  TRY(checkpoint_open(&c, path, err));
  TRY(checkpoint_need(&c, "weight", 2, (const uint64_t[]){2, 2}, &view, err));
  *out = mem_zalloc(1, sizeof **out);
  if (*out == NULL) status = error_memory(err, "an encoder");
  if (*out != NULL) (*out)->kind = &kind;
done:
  checkpoint_close(&c);
  return status;
}
static const encoder_kind opened = {"test.opened", .modality = MODALITY_IMAGE, .needs_file = true, .open = opened_open,
                                    .free = opened_free};

static void opens(const char *id) {
  medley_error error;
  encoder *e;
  assert_ok(kept_model_open(root, id, &opened, &e, &error));
  e->kind->free(e);
}

static int start(void **state) {
  (void)state;
  test_folder(root);
  return 0;
}

static int stop(void **state) {
  (void)state;
  return folder_remove(root, NULL) == MEDLEY_OK ? 0 : 1;
}

static void test_file_and_folder(void **state) {
  (void)state;
  medley_error error;
  char path[512], id[KEPT_MODEL_ID_BYTES], same[KEPT_MODEL_ID_BYTES], other[KEPT_MODEL_ID_BYTES], name[128];
  json_t *record;
  weights_write("alone.safetensors", 1);
  assert_ok(kept_model_add(root, path_of("alone.safetensors", path), true, NULL, NULL, id, &error));
  opens(id);
  assert_ok(kept_model_add(root, path, true, NULL, NULL, same, &error));
  assert_string_equal(id, same); /* the same content is the same model */
  weights_write("alone.safetensors", 1.5f);
  opens(id); /* the copy is not the original */
  assert_ok(kept_model_add(root, path, true, NULL, NULL, other, &error));
  assert_string_not_equal(id, other);

  assert_ok(folder_create(path_of("published/1_Pooling", path), &error));
  weights_write("published/model.safetensors", 1);
  text_write("published/config.json", "{\"model_type\": \"test\"}");
  text_write("published/1_Pooling/config.json", "{}");
  text_write("published/holiday.json", "{}"); /* nothing of ours */
  assert_ok(kept_model_add(root, path_of("published", path), true, "from afar", NULL, id, &error));
  opens(id);
  assert_ok(kept_model_record(root, id, &record, &error));
  assert_string_equal(json_member_string(record, "source", ""), "from afar");
  assert_int_equal(json_array_size(json_object_get(record, "files")), 3);
  json_decref(record);
  snprintf(name, sizeof name, "encoders/%s/1_Pooling/config.json", id);
  assert_true(file_exists(path_of(name, path)));
  snprintf(name, sizeof name, "encoders/%s/holiday.json", id);
  assert_false(file_exists(path_of(name, path)));
}

/* Shards under a name of their own: the folder alone would not say which file to open. */
static void test_index_by_name(void **state) {
  (void)state;
  medley_error error;
  char path[512], id[KEPT_MODEL_ID_BYTES];
  json_t *record;
  assert_ok(folder_create(path_of("odd", path), &error));
  weights_write("odd/foo-1.safetensors", 1);
  text_write("odd/foo-2.safetensors", "nothing of ours");
  text_write("odd/foo.safetensors.index.json", "{\"weight_map\": {\"weight\": \"foo-1.safetensors\"}}");
  assert_ok(kept_model_add(root, path_of("odd/foo.safetensors.index.json", path), true, NULL, NULL, id, &error));
  opens(id);
  assert_ok(kept_model_record(root, id, &record, &error));
  assert_string_equal(json_member_string(record, "opens", ""), "foo.safetensors.index.json");
  json_decref(record);
}

/* What is there and sound is not touched: somebody may be reading it. */
static void test_added_again(void **state) {
  (void)state;
  medley_error error;
  char path[512], id[KEPT_MODEL_ID_BYTES], name[128];
  struct stat before, after;
  weights_write("a.safetensors", 1);
  assert_ok(kept_model_add(root, path_of("a.safetensors", path), true, NULL, NULL, id, &error));
  snprintf(name, sizeof name, "encoders/%s/a.safetensors", id);
  assert_int_equal(stat(path_of(name, path), &before), 0);
  assert_ok(kept_model_add(root, path_of("a.safetensors", path), true, NULL, NULL, id, &error));
  assert_int_equal(stat(path_of(name, path), &after), 0);
  assert_true(before.st_ino == after.st_ino);
  /* Damaged: written anew, and nothing is left lying beside it. */
  weights_write(name, 7);
  assert_ok(kept_model_add(root, path_of("a.safetensors", path), true, NULL, NULL, id, &error));
  assert_ok(kept_model_check(root, id, true, &error));
  char **names;
  size_t count;
  assert_ok(folder_list(path_of("encoders", path), &names, &count, &error));
  assert_int_equal(count, 1);
  folder_list_free(names, count);
}

static void test_changed_and_lost(void **state) {
  (void)state;
  medley_error error;
  encoder *e;
  char path[512], id[KEPT_MODEL_ID_BYTES], name[128];
  struct utimbuf early = {.actime = 1000, .modtime = 1000};
  weights_write("a.safetensors", 1);
  assert_ok(kept_model_add(root, path_of("a.safetensors", path), true, NULL, NULL, id, &error));
  snprintf(name, sizeof name, "encoders/%s/a.safetensors", id);
  assert_int_equal(utime(path_of(name, path), &early), 0); /* another time alone is no change: restored from a backup */
  opens(id);
  weights_write(name, 7);
  assert_refused(kept_model_open(root, id, &opened, &e, &error), MEDLEY_ERR_CORRUPT, "was changed after it was added");
  assert_refused(kept_model_check(root, id, true, &error), MEDLEY_ERR_CORRUPT, "a.safetensors");
  text_write(name, "short");
  assert_refused(kept_model_open(root, id, &opened, &e, &error), MEDLEY_ERR_CORRUPT, "has 5 bytes");
  unlink(path_of(name, path));
  assert_refused(kept_model_open(root, id, &opened, &e, &error), MEDLEY_ERR_NOT_FOUND, "is gone");
  /* Adding it again mends it. */
  weights_write("a.safetensors", 1);
  assert_ok(kept_model_add(root, path_of("a.safetensors", path), true, NULL, NULL, id, &error));
  opens(id);
  assert_ok(folder_remove(path_of("encoders", path), &error));
  assert_refused(kept_model_open(root, id, &opened, &e, &error), MEDLEY_ERR_NOT_FOUND, "add it again");
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error;
  encoder *e;
  char path[512], id[KEPT_MODEL_ID_BYTES], name[128];
  weights_write("nan.safetensors", NAN);
  assert_refused(kept_model_add(root, path_of("nan.safetensors", path), true, NULL, NULL, id, &error), MEDLEY_ERR_INPUT,
                 "'weight' has 1 values that are no finite numbers");
  assert_refused(kept_model_add(root, path_of("none", path), false, NULL, NULL, id, &error), MEDLEY_ERR_NOT_FOUND,
                 "there is no file");
  assert_refused(kept_model_open(root, "../../etc", &opened, &e, &error), MEDLEY_ERR_CORRUPT, "no id of a model");
  /* A record that leads elsewhere. */
  weights_write("a.safetensors", 1);
  assert_ok(kept_model_add(root, path_of("a.safetensors", path), true, NULL, NULL, id, &error));
  snprintf(name, sizeof name, "encoders/%s/kept.json", id);
  text_write(name, "{\"format\":1,\"opens\":\"../../a.safetensors\",\"files\":[]}");
  assert_refused(kept_model_open(root, id, &opened, &e, &error), MEDLEY_ERR_CORRUPT, "outside");
  text_write(name, "{\"format\":1,\"opens\":\".\",\"files\":[{\"name\":\"/etc/passwd\",\"size\":1}]}");
  assert_refused(kept_model_open(root, id, &opened, &e, &error), MEDLEY_ERR_CORRUPT, "outside");
  text_write(name, "{\"format\":9}");
  assert_refused(kept_model_open(root, id, &opened, &e, &error), MEDLEY_ERR_UNSUPPORTED, "format 9");
#ifdef MEDLEY_FAULTS
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status status = kept_model_add(root, path_of("a.safetensors", path), true, NULL, NULL, id, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (!struck) break;
    /* Failing to look at the one that is there only means that it is written anew. */
    assert_true(status != MEDLEY_OK || kept_model_check(root, id, true, &error) == MEDLEY_OK);
  }
#endif
}

/* ---- in a workspace ---- */

static void test_tidy(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w;
  char path[512], id[KEPT_MODEL_ID_BYTES], used[KEPT_MODEL_ID_BYTES], name[128], manifest[128];
  encoder_choice chosen[MODALITY_COUNT];
  assert_ok(medley_workspace_create(path_of("w", path), &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  weights_write("a.safetensors", 1);
  weights_write("b.safetensors", 2);
  assert_ok(kept_model_add(w->path, path_of("a.safetensors", path), true, NULL, NULL, id, &error));
  assert_ok(kept_model_add(w->path, path_of("b.safetensors", path), true, NULL, NULL, used, &error));
  /* A generation that serves was made with the second. */
  assert_ok(folder_create(path_of("w/models/1", path), &error));
  snprintf(manifest, sizeof manifest, "{\"representation\":[{\"model\":\"%s\"}]}", used);
  text_write("w/models/1/manifest.json", manifest);
  /* What killed additions left. */
  assert_ok(folder_create(path_of("w/encoders/service.tmp-999999999", path), &error));
  assert_ok(folder_create(path_of("w/encoders/old.tmp-999999999", path), &error));
  /* Somebody trains, or adds another: nothing goes. */
  encoders_hold hold = {0};
  assert_ok(encoders_hold_take(w, &hold, &error));
  encoders_tidy(w);
  snprintf(name, sizeof name, "w/encoders/%s", id);
  assert_true(file_exists(path_of(name, path)));
  encoders_hold_release(&hold);
  encoders_tidy(w);
  assert_false(file_exists(path_of(name, path)));
  assert_false(file_exists(path_of("w/encoders/service.tmp-999999999", path)));
  assert_false(file_exists(path_of("w/encoders/old.tmp-999999999", path)));
  snprintf(name, sizeof name, "w/encoders/%s", used);
  assert_true(file_exists(path_of(name, path)));
  /* When one cannot be read, nobody knows what it needs. */
  text_write("w/models/1/manifest.json", "{");
  encoders_tidy(w);
  assert_true(file_exists(path_of(name, path)));
  assert_ok(encoders_chosen(w, chosen, &error));
  for (int m = 0; m < MODALITY_COUNT; m++) assert_null(chosen[m].kind);
  assert_refused(medley_encoder_remove(w, "image", &error), MEDLEY_ERR_NOT_FOUND, "no encoder was added");
  assert_refused(medley_encoder_remove(w, "smell", &error), MEDLEY_ERR_USAGE, "no modality 'smell'");
  assert_refused(medley_encoder_add(w, "image", "image.descriptor", "x", NULL, NULL, &error), MEDLEY_ERR_USAGE,
                 "needs no file");
  assert_refused(medley_encoder_add(w, "image", "none such", "x", NULL, NULL, &error), MEDLEY_ERR_USAGE, "there are");
  const medley_encoder_options odd = {.model = "caf\xe9"};
  assert_refused(medley_encoder_add(w, "text", "external", "http://localhost:9", &odd, NULL, &error), MEDLEY_ERR_USAGE,
                 "the setting 'model' is no UTF-8");
  medley_workspace_close(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_file_and_folder, start, stop),
      cmocka_unit_test_setup_teardown(test_index_by_name, start, stop),
      cmocka_unit_test_setup_teardown(test_added_again, start, stop),
      cmocka_unit_test_setup_teardown(test_changed_and_lost, start, stop),
      cmocka_unit_test_setup_teardown(test_refusals, start, stop),
      cmocka_unit_test_setup_teardown(test_tidy, start, stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
