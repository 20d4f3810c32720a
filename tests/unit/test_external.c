/* The service encoder without a service: its settings, its answers, and every allocation failing once. What happens on
 * the wire is tests/e2e/test_encoder.py's. */
#include "encode/external.h"

#include "base/memory.h"
#include "encode/encoder.h"
#include "test.h"

/* ---- answers ---- */

static medley_status answer_read(const char *body, size_t count, size_t *dim, float **out, medley_error *err) {
  return external_answer_read(body, strlen(body), count, dim, out, err);
}

static void test_answers(void **state) {
  (void)state;
  medley_error error = {0};
  size_t dim = 0;
  float *rows;
  assert_ok(
      answer_read("{\"data\":[{\"index\":1,\"embedding\":[3,4]},{\"index\":0,\"embedding\":[1,-2.5]}],\"usage\":{}}", 2,
                  &dim, &rows, &error));
  assert_int_equal(dim, 2);
  assert_memory_equal(rows, ((const float[]){1, -2.5f, 3, 4}), 4 * sizeof(float)); /* in the order of the texts */
  mem_free(rows);
  assert_ok(answer_read("{\"data\":[{\"embedding\":[1,2]},{\"embedding\":[3,4]}]}", 2, &dim, &rows, &error));
  assert_near(rows[2], 3, 0); /* without an index: as they stand */
  mem_free(rows);
}

static void test_answers_of_no_use(void **state) {
  (void)state;
  static const struct {
    const char *body;
    size_t count, dim;
    const char *says;
  } rows[] = {
      {"", 1, 0, "the answer"},
      {"[]", 1, 0, "no list 'data'"},
      {"{\"data\":{}}", 1, 0, "no list 'data'"},
      {"{\"data\":[]}", 1, 0, "0 vectors for 1 texts"},
      {"{\"data\":[1]}", 1, 3, "entry 0 of data has no list"},
      {"{\"data\":[{\"embedding\":\"AAAA\"}]}", 1, 3, "entry 0 of data has no list"},
      {"{\"data\":[{\"embedding\":[]}]}", 1, 0, "vectors of 0 dimensions"},
      {"{\"data\":[{\"embedding\":[1,2]}]}", 1, 3, "vector 0 has 2 dimensions, expected 3"},
      {"{\"data\":[{\"embedding\":[1,2]},{\"embedding\":[1]}]}", 2, 0, "vector 1 has 1 dimensions, expected 2"},
      {"{\"data\":[{\"embedding\":[1,true]}]}", 1, 0, "value 1 of vector 0 is no finite number"},
      {"{\"data\":[{\"embedding\":[1e39]}]}", 1, 0, "value 0 of vector 0 is no finite number"},
      {"{\"data\":[{\"index\":1,\"embedding\":[1]}]}", 1, 0, "below 1"},
      {"{\"data\":[{\"index\":-1,\"embedding\":[1]}]}", 1, 0, "below 1"},
      {"{\"data\":[{\"index\":0.5,\"embedding\":[1]}]}", 1, 0, "below 1"},
      {"{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]}]}", 2, 0, "two vectors of index 0"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    medley_error error;
    size_t dim = rows[i].dim;
    float *out;
    assert_refused(answer_read(rows[i].body, rows[i].count, &dim, &out, &error), MEDLEY_ERR_INPUT, rows[i].says);
    assert_null(out);
  }
}

static void test_reasons_of_services(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"{\"error\":{\"message\":\"no\\nroom\"}}", "no room"},
      {"{\"error\":\"busy\"}", "busy"},
      {"{\"detail\":\"not found\"}", "not found"},
      {"<html>", ""},
      {"{\"error\":{\"message\":7}}", ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    strbuf out = {0};
    external_answer_reason(rows[i][0], strlen(rows[i][0]), &out);
    assert_string_equal(out.text ? out.text : "", rows[i][1]);
    strbuf_deinit(&out);
  }
  strbuf body = {0}, out = {0};
  strbuf_append(&body, "{\"error\":\"");
  for (int i = 0; i < 500; i++) strbuf_append(&body, "…");
  strbuf_append(&body, "\"}");
  external_answer_reason(body.text, body.length, &out);
  assert_true(out.length > 150 && out.length <= 200 && utf8_valid(out.text, out.length)); /* cut between characters */
  strbuf_deinit(&body);
  strbuf_deinit(&out);
}

/* ---- waiting ---- */

static int stop_at_once(void *context, const medley_progress_state *state) {
  ++*(int *)context;
  return strcmp(state->stage, "wait for the service") == 0;
}

/* Nobody listens at the address, so that a pause follows, which is left as soon as somebody asks for it. */
static void test_pause_is_cancelled(void **state) {
  (void)state;
  medley_error error = {0};
  external_client *client;
  strbuf answer = {0};
  int asked = 0;
  const medley_progress progress = {.report = stop_at_once, .context = &asked};
  char url[] = "http://127.0.0.1:1/", none[] = "";
  const external_settings s = {.url = url, .model = none, .key_variable = none, .attempts = 20, .timeout_s = 5};
  assert_ok(external_client_create(&s, &client, &error));
  assert_refused(external_client_post(client, "{}", 100, &progress, &answer, &error), MEDLEY_ERR_CANCELLED,
                 "stopped on request");
  assert_int_equal(asked, 1);
  external_client_free(client);
  strbuf_deinit(&answer);
}

/* ---- settings ---- */

static medley_status settings(const char *text, external_settings *out, medley_error *err) {
  json_t *value = NULL;
  medley_status status = json_parse(text, strlen(text), "test", &value, err);
  if (status == MEDLEY_OK) status = external_settings_read(value, "test", out, err);
  json_decref(value);
  return status;
}

static void test_addresses(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"http://host", "http://host/v1/embeddings"},
      {"https://host:8080/", "https://host:8080/v1/embeddings"},
      {"http://host/v1", "http://host/v1/embeddings"},
      {"http://host/v1//", "http://host/v1/embeddings"},
      {"http://host/openai/embeddings", "http://host/openai/embeddings"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    medley_error error = {0};
    external_settings s;
    char text[200];
    snprintf(text, sizeof text, "{\"url\":\"%s\"}", rows[i][0]);
    assert_ok(settings(text, &s, &error));
    assert_string_equal(s.url, rows[i][1]);
    json_t *value = external_settings_to_json(&s);
    external_settings again;
    assert_ok(external_settings_read(value, "again", &again, &error)); /* what is written can be read */
    assert_string_equal(again.url, s.url);
    assert_int_equal(again.batch, EXTERNAL_BATCH_DEFAULT);
    json_decref(value);
    external_settings_deinit(&again);
    external_settings_deinit(&s);
  }
}

static void test_settings_refused(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"{}", "http:// or https://"},
      {"{\"url\":7}", "url should be a text"},
      {"{\"url\":\"file:///etc/passwd\"}", "http:// or https://"},
      {"{\"url\":\"http:///x\"}", "names no host"},
      {"{\"url\":\"http://h/\\u000aX: y\"}", "control character"},
      {"{\"url\":\"http://h\",\"key_variable\":\"A=B\"}", "without '='"},
      {"{\"url\":\"http://h\",\"batch\":2.5}", "whole number from 1 to 2048"},
      {"{\"url\":\"http://h\",\"dimensions\":70000}", "dimensions should be a number from 1 to 65536"},
      {"{\"url\":\"http://h\",\"attempts\":0}", "attempts"},
      {"{\"url\":\"http://h\",\"timeout_s\":1e9}", "timeout_s should be a number from 0.1 to 3600"},
      {"{\"url\":\"http://h\",\"key\":\"secret\"}", "no setting 'key'"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    medley_error error;
    external_settings s;
    assert_refused(settings(rows[i][0], &s, &error), MEDLEY_ERR_INPUT, rows[i][1]);
    assert_null(s.url);
  }
}

/* ---- memory ---- */

static void test_memory(void **state) {
  (void)state;
#ifdef MEDLEY_FAULTS
  static const char answer[] = "{\"data\":[{\"embedding\":[1,2]},{\"embedding\":[3,4]}]}";
  static const char service[] = "{\"url\":\"http://h\",\"dim\":2}";
  char path[256];
  medley_error error;
  snprintf(path, sizeof path, "/tmp/medley-service-%ld.json", (long)getpid());
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(service, f);
  fclose(f);
  for (long n = 1, struck = 1; struck; n++) {
    float *rows = NULL;
    encoder *e = NULL;
    size_t dim = 0;
    memory_fault_after(n);
    medley_status status = answer_read(answer, 2, &dim, &rows, &error);
    if (status == MEDLEY_OK) status = encoder_external.open(path, &e, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    mem_free(rows);
    if (e != NULL) e->kind->free(e);
  }
  unlink(path);
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_answers),
      cmocka_unit_test(test_answers_of_no_use),
      cmocka_unit_test(test_addresses),
      cmocka_unit_test(test_reasons_of_services),
      cmocka_unit_test(test_pause_is_cancelled),
      cmocka_unit_test(test_memory),
      cmocka_unit_test(test_settings_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
