/* text.lsa: what it counts, that likeness of texts shows in four languages, files, faults. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "encode/encoder.h"
#include "encode/text_lsa.h"
#include "encode/text_terms.h"
#include "math/vector.h"

/* ---- terms ---- */

static bool join_term(void *context, const char *term, size_t length) {
  strbuf_append_bytes(context, term, length);
  strbuf_append_char(context, '|');
  return true;
}

static void test_terms(void **state) {
  (void)state;
  static const struct {
    const char *text, *has, *lacks;
  } rows[] = {
      {"Red dress", "|g red|", "|gd d"},
      {"Red dress", "|gress |", "|g r|"},
      {"ab", "|g ab |", "|gab|"},
      {"红色连衣裙", "|g连衣裙|", "|g |"},
      {"红色连衣裙", "|g色连|", "|g红色连衣|"},
      {"リュック, 赤", "|gュック|", "|gク赤|"},
      {"iPhone手机壳", "|ghone |", "|ge手|"},
      {"<b>Über</b> alles", "|güber|", "|gb|"},
      {"", "", "g"},
      {" \n\t", "", "g"},
  };
  medley_error error = {0};
  text_preparer *p;
  assert_ok(text_preparer_create(&(text_options){0}, &p, &error));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    strbuf terms = {0};
    strbuf_append_char(&terms, '|');
    assert_ok(text_terms(p, rows[i].text, join_term, &terms, &error));
    if (strstr(terms.text, rows[i].has) == NULL)
      fail_msg("'%s' gives %s without %s", rows[i].text, terms.text, rows[i].has);
    if (strstr(terms.text, rows[i].lacks)) fail_msg("'%s' gives %s with %s", rows[i].text, terms.text, rows[i].lacks);
    strbuf_deinit(&terms);
  }
  /* A text far above the bound is cut, in the middle of a character too. */
  char *longest = mem_zalloc(3 * TERM_TEXT_MAX + 2, 1);
  for (size_t i = 0; i < TERM_TEXT_MAX; i++) memcpy(longest + 3 * i + 1, "红", 3);
  longest[0] = 'a';
  strbuf terms = {0};
  assert_ok(text_terms(p, longest, join_term, &terms, &error));
  assert_true(terms.length < 100 * TERM_TEXT_MAX);
  strbuf_deinit(&terms);
  mem_free(longest);
  text_preparer_free(p);
}

/* ---- the encoder ---- */

static const char *const catalogue[] = {
    "Red cotton dress for women\nsummer dress",
    "Blue cotton dress for women\nevening dress",
    "Red running shoes for men\nsport shoes",
    "Black running shoes for men\nsport shoes",
    "红色连衣裙 夏季女装",
    "蓝色连衣裙 晚礼服女装",
    "红色跑步鞋 男鞋运动",
    "黑色跑步鞋 男鞋运动",
    "赤いワンピース 夏の婦人服",
    "青いワンピース 夜の婦人服",
    "赤いランニングシューズ メンズ",
    "黒いランニングシューズ メンズ",
    "Dress 连衣裙 red",
    "Shoes 跑步鞋 black",
};
#define CATALOGUE_COUNT (sizeof catalogue / sizeof *catalogue)

static void catalogue_inputs(encoder_input inputs[CATALOGUE_COUNT]) {
  for (size_t i = 0; i < CATALOGUE_COUNT; i++) inputs[i] = (encoder_input){.text = catalogue[i]};
}

static encoder *fitted(size_t dim) {
  medley_error error = {0};
  encoder_input inputs[CATALOGUE_COUNT];
  encoder *e;
  catalogue_inputs(inputs);
  assert_ok(encoder_text_lsa.create(1, dim, &e, &error));
  assert_ok(encoder_text_lsa.fit(e, inputs, CATALOGUE_COUNT, NULL, &error));
  return e;
}

static float likeness(const encoder *e, const char *a, const char *b) {
  medley_error error = {0};
  float rows[2 * 64];
  size_t dim = e->kind->dim(e);
  assert_true(dim <= 64);
  assert_ok(e->kind->encode(e, (encoder_input[]){{.text = a}, {.text = b}}, 2, rows, &error));
  vector_normalise(rows, dim);
  vector_normalise(rows + dim, dim);
  return vector_dot(rows, rows + dim, dim);
}

static void test_likeness(void **state) {
  (void)state;
  static const struct {
    const char *query, *near, *far;
  } rows[] = {
      {"cotton dresses", "Blue cotton dress for women", "Black running shoes for men"},
      {"runing shoe", "Black running shoes for men", "Blue cotton dress for women"},
      {"连衣裙", "蓝色连衣裙 晚礼服女装", "黑色跑步鞋 男鞋运动"},
      {"ランニングシューズ", "黒いランニングシューズ メンズ", "青いワンピース 夜の婦人服"},
      {"连衣裙 dress", "Dress 连衣裙 red", "黒いランニングシューズ メンズ"},
  };
  encoder *e = fitted(8);
  assert_int_equal(e->kind->dim(e), 8);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    float near = likeness(e, rows[i].query, rows[i].near), far = likeness(e, rows[i].query, rows[i].far);
    if (!(near > far + 0.2f)) fail_msg("'%s': near %g, far %g", rows[i].query, near, far);
  }
  e->kind->free(e);
}

static void test_unknown_is_zero(void **state) {
  (void)state;
  medley_error error = {0};
  encoder *e = fitted(0);
  size_t dim = e->kind->dim(e);
  assert_true(dim <= CATALOGUE_COUNT && dim > 4);
  float row[3 * CATALOGUE_COUNT];
  const encoder_input inputs[] = {{.text = ""}, {.text = "ζζζ ξξξ"}, {.text = "\xFF\xFE"}};
  assert_ok(e->kind->encode(e, inputs, 3, row, &error));
  for (size_t i = 0; i < 3 * dim; i++) assert_true(row[i] == 0);
  e->kind->free(e);
}

static void test_same_rows_any_threads(void **state) {
  (void)state;
  medley_error error = {0};
  encoder_input inputs[CATALOGUE_COUNT];
  catalogue_inputs(inputs);
  encoder *a = fitted(6), *b = fitted(6);
  float together[6 * CATALOGUE_COUNT], alone[6];
  assert_ok(a->kind->encode(a, inputs, CATALOGUE_COUNT, together, &error));
  for (size_t i = 0; i < CATALOGUE_COUNT; i++) {
    assert_ok(b->kind->encode(b, &inputs[i], 1, alone, &error));
    assert_memory_equal(alone, together + 6 * i, sizeof alone);
  }
  a->kind->free(a);
  b->kind->free(b);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  encoder *e;
  float row[16];
  assert_refused(encoder_text_lsa.create(1, 99999, &e, &error), MEDLEY_ERR_USAGE, "at most");
  assert_ok(encoder_text_lsa.create(1, 0, &e, &error));
  assert_refused(e->kind->encode(e, &(encoder_input){.text = "a"}, 1, row, &error), MEDLEY_ERR_USAGE, "fitted");
  assert_refused(e->kind->fit(e, &(encoder_input){.text = ""}, 1, NULL, &error), MEDLEY_ERR_INPUT, "no word in common");
  assert_refused(e->kind->fit(e, NULL, 0, NULL, &error), MEDLEY_ERR_INPUT, "no word in common");
  e->kind->free(e);
}

/* ---- files ---- */

typedef enum tampering {
  KEEP,
  OFFSET_BACK,
  OFFSET_FAR,
  OFFSET_END,
  BLOCK_LETTER,
  TWICE,
  NOT_FINITE,
  SHORT_IDF,
  TAMPERINGS
} tampering;

static void tamper(safetensors_writer *w, tampering kind) {
  for (size_t i = 0; i < w->count; i++) {
    tensor_view *v = &w->tensors[i];
    if (strstr(v->name, ".offsets")) {
      int64_t *offsets = (int64_t *)(uintptr_t)v->data;
      if (kind == OFFSET_BACK) offsets[3] = offsets[2] - 1;
      if (kind == OFFSET_FAR) offsets[3] = INT64_MIN; /* whose distance from the one before is no int64 */
      if (kind == OFFSET_END) offsets[v->count - 1] += 1;
      if (kind == TWICE) offsets[2] = offsets[1] + (offsets[1] - offsets[0]);
    }
    if (strstr(v->name, ".terms")) {
      uint8_t *bytes = (uint8_t *)(uintptr_t)v->data;
      if (kind == BLOCK_LETTER) bytes[0] = 'x';
    }
    if (strstr(v->name, ".projection") && kind == NOT_FINITE) ((float *)(uintptr_t)v->data)[5] = NAN;
    if (strstr(v->name, ".idf") && kind == SHORT_IDF) v->shape[1] = v->count -= 1;
  }
}

static void test_files(void **state) {
  (void)state;
  static const char *const words[TAMPERINGS] = {
      [OFFSET_BACK] = "malformed",  [OFFSET_FAR] = "malformed", [OFFSET_END] = "do not span",
      [BLOCK_LETTER] = "malformed", [NOT_FINITE] = "finite",    [SHORT_IDF] = "expected"};
  medley_error error = {0};
  char folder[256];
  test_folder(folder);
  char *path = path_join(folder, "lsa.safetensors");
  for (int kind = KEEP; kind < TAMPERINGS; kind++) {
    if (kind != KEEP && words[kind] == NULL) continue;
    encoder *e = fitted(6), *back = NULL;
    float before[6], after[6];
    const encoder_input input = {.text = "red dress 红色连衣裙"};
    assert_ok(e->kind->encode(e, &input, 1, before, &error));
    safetensors_writer w = {0};
    safetensors s;
    assert_ok(e->kind->save(e, &w, "text", &error));
    tamper(&w, (tampering)kind);
    assert_ok(safetensors_save(&w, path, &error));
    safetensors_writer_deinit(&w);
    e->kind->free(e);
    assert_ok(safetensors_open(&s, path, &error));
    if (kind != KEEP) {
      assert_refused(encoder_text_lsa.load(&s, "text", &back, &error), MEDLEY_ERR_CORRUPT, words[kind]);
      assert_null(back);
      safetensors_close(&s);
      continue;
    }
    assert_refused(encoder_text_lsa.load(&s, "other", &back, &error), MEDLEY_ERR_CORRUPT, "missing");
    assert_ok(encoder_text_lsa.load(&s, "text", &back, &error));
    safetensors_close(&s);
    assert_ok(back->kind->encode(back, &input, 1, after, &error));
    assert_memory_equal(before, after, sizeof before);
    back->kind->free(back);
  }
  mem_free(path);
  assert_ok(folder_remove(folder, &error));
}

#ifdef MEDLEY_FAULTS
/* Some allocations of OpenMP threads come in another order each time; whatever fails, the encoder stays usable. */
static void test_faults(void **state) {
  (void)state;
  encoder_input inputs[CATALOGUE_COUNT];
  catalogue_inputs(inputs);
  encoder *e = fitted(6);
  float before[6], after[6 * CATALOGUE_COUNT];
  medley_error error = {0};
  assert_ok(e->kind->encode(e, inputs, 1, before, &error));
  for (long n = 1;; n += n < 400 ? 7 : 97) {
    encoder *other = NULL;
    memory_fault_after(n);
    medley_status status = encoder_text_lsa.create(1, 6, &other, &error);
    if (status == MEDLEY_OK) status = other->kind->fit(other, inputs, CATALOGUE_COUNT, NULL, &error);
    if (status == MEDLEY_OK) status = e->kind->encode(e, inputs, CATALOGUE_COUNT, after, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (other != NULL) other->kind->free(other);
    if (!struck) break;
  }
  assert_ok(e->kind->encode(e, inputs, 1, after, &error));
  assert_memory_equal(before, after, sizeof before);
  e->kind->free(e);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_terms),           cmocka_unit_test(test_likeness),
      cmocka_unit_test(test_unknown_is_zero), cmocka_unit_test(test_same_rows_any_threads),
      cmocka_unit_test(test_refusals),        cmocka_unit_test(test_files),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_faults),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
