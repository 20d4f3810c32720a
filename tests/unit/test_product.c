/* What inverted lists are made of: sums of table entries in every version against the definition, codes, rotations, the
 * shortlist. */
#include "base/memory.h"
#include "base/rng.h"
#include "index/product.h"
#include "index/rotation.h"
#include "index/shortlist.h"
#include "math/vector.h"
#include "test.h"

/* x [count, dim], normal, dimension d with deviation `spread` to the power of -d / dim. */
static float *normal(size_t count, size_t dim, double spread, uint64_t seed) {
  rng r;
  rng_seed(&r, seed);
  float *x = mem_alloc(count * dim, sizeof *x);
  for (size_t i = 0; i < count * dim; i++)
    x[i] = (float)(rng_normal(&r) * pow(spread, -(double)(i % dim) / (double)dim));
  return x;
}

/* ---- sums of table entries ---- */

static void tables_draw(rng *r, size_t parts, code_tables *t) {
  t->entries = mem_alloc(parts * 256, sizeof *t->entries);
  t->planes = mem_alloc(parts * 512, 1);
  for (size_t i = 0; i < parts * 256; i++)
    t->entries[i] = rng_below(r, 8) ? (uint16_t)rng_next(r) : 65535; /* the greatest sums there can be, too */
  code_tables_split(t, parts);
}

/* Lists of every length around the group, some with room behind the last entry; what is read and what is summed. */
static void test_code_sums(void **state) {
  (void)state;
  static const size_t parts_of[] = {1, 2, 3, 4, 16, 31, 256};
  static const size_t counts[] = {0, 1, 15, 16, 63, 64, 65, 80, 256, 257, 330, 512};
  rng r;
  rng_seed(&r, 1);
  for (size_t a = 0; a < sizeof parts_of / sizeof *parts_of; a++)
    for (size_t b = 0; b < sizeof counts / sizeof *counts; b++) {
      size_t parts = parts_of[a], count = counts[b], capacity = (count + 15 + rng_below(&r, 3) * 16) / 16 * 16;
      code_tables t;
      uint8_t *codes = mem_alloc(capacity * parts + 1, 1), *rows = mem_alloc(count * parts + 1, 1),
              back[CODE_PARTS_MAX];
      tables_draw(&r, parts, &t);
      for (size_t i = 0; i < count * parts; i++) rows[i] = (uint8_t)rng_next(&r);
      for (size_t i = 0; i < count; i++) code_put(codes, capacity, parts, i, rows + i * parts);
      for (size_t i = 0; i < count; i++) {
        code_get(codes, capacity, parts, i, back);
        assert_memory_equal(back, rows + i * parts, parts);
      }
      for (int level = 0; level < 2; level++) {
        uint32_t sums[576];
        if (code_sums_at(level) == NULL) continue;
        code_sums_at(level)(codes, capacity, count, parts, &t, sums);
        for (size_t i = 0; i < count; i++) {
          uint32_t expected = 0;
          for (size_t j = 0; j < parts; j++) expected += t.entries[j * 256 + rows[i * parts + j]];
          if (sums[i] != expected)
            fail_msg("level %d, %zu parts, entry %zu of %zu: %u, not %u", level, parts, i, count, sums[i], expected);
        }
      }
      mem_free(codes), mem_free(rows), mem_free(t.entries), mem_free(t.planes);
    }
}

static void test_code_estimates(void **state) {
  (void)state;
  rng r;
  rng_seed(&r, 2);
  for (size_t count = 0; count < 70; count++) {
    uint32_t sums[70], at[70];
    float norms[70], value[70];
    for (size_t i = 0; i < count; i++) {
      sums[i] = (uint32_t)rng_below(&r, 1 << 24);
      norms[i] = i % 9 == 8 ? NAN : (float)rng_uniform(&r);
    }
    for (int subtract = 0; subtract < 2; subtract++) {
      float base = -3, step = 6e-7f, bar = (float)rng_normal(&r);
      size_t kept = code_estimates(sums, norms, count, base, step, subtract, bar, at, value), next = 0;
      for (uint32_t i = 0; i < count; i++) {
        double sum = base + (double)step * sums[i], expected = subtract ? sum - norms[i] : sum * norms[i];
        bool there = next < kept && at[next] == i;
        if (there) assert_near(value[next], expected, 1e-5);
        if (isnan(expected)) assert_false(there);
        if (expected > bar + 1e-5) assert_true(there);
        if (expected < bar - 1e-5) assert_false(there);
        next += there;
      }
      assert_int_equal(next, kept);
    }
  }
}

/* ---- the quantiser ---- */

#define COUNT 2000

static double squared(const float *a, const float *b, size_t dim) {
  double sum = 0;
  for (size_t d = 0; d < dim; d++) sum += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
  return sum;
}

static double error_left(const product *p, const float *x, size_t count) {
  size_t dim = p->parts * p->part_dim;
  double left = 0;
  float *back = mem_alloc(dim, sizeof *back);
  uint8_t code[CODE_PARTS_MAX];
  for (size_t i = 0; i < count; i++) {
    product_encode(p, x + i * dim, code);
    product_decode(p, code, back);
    left += squared(x + i * dim, back, dim);
  }
  mem_free(back);
  return left / (double)count;
}

/* The code is the nearest centre of each part; the tables give the dot product with what the code stands for, the
 * rounded ones within their half step. */
static void test_product(void **state) {
  (void)state;
  medley_error error = {0};
  static const size_t shapes[][2] = {{1, 3}, {2, 4}, {4, 8}, {6, 5}, {8, 1}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    product p;
    size_t parts = shapes[s][0], part_dim = shapes[s][1], dim = parts * part_dim;
    float *x = normal(COUNT, dim, 4, s), *q = normal(20, dim, 4, 50 + s), *back = mem_alloc(dim, sizeof *back);
    float *tables = mem_alloc(parts * PRODUCT_CODES, sizeof *tables);
    code_tables rounded = {mem_alloc(parts * 256, 2), mem_alloc(parts * 512, 1)};
    double all = 0;
    assert_ok(product_init(&p, parts, part_dim, &error));
    assert_ok(product_train(&p, x, COUNT, 3, NULL, &error));
    for (size_t i = 0; i < COUNT; i++) all += vector_dot(x + i * dim, x + i * dim, dim);
    if (error_left(&p, x, COUNT) > 0.5 * all / COUNT) fail_msg("error %g", error_left(&p, x, COUNT));
    for (size_t i = 0; i < 50; i++) {
      uint8_t code[CODE_PARTS_MAX];
      product_encode(&p, x + i * dim, code);
      product_decode(&p, code, back);
      for (size_t j = 0; j < parts; j++) {
        uint8_t other[CODE_PARTS_MAX];
        float there[64];
        double got = squared(x + i * dim + j * part_dim, back + j * part_dim, part_dim);
        memcpy(other, code, parts);
        for (int c = 0; c < PRODUCT_CODES; c++) {
          other[j] = (uint8_t)c;
          product_decode(&p, other, there);
          assert_true(squared(x + i * dim + j * part_dim, there + j * part_dim, part_dim) >= got - 1e-5);
        }
      }
      const float *query = q + i % 20 * dim;
      float low, step;
      product_tables(&p, query, tables);
      product_tables_round(&p, tables, &rounded, &low, &step);
      double sum = 0, dot = 0;
      for (size_t j = 0; j < parts; j++) {
        sum += rounded.entries[j * 256 + code[j]];
        dot += tables[j * 256 + code[j]];
      }
      assert_near(dot, vector_dot(query, back, dim), 1e-4);
      assert_near(low + step * sum, dot, 0.51 * step * (double)parts + 1e-5);
    }
    product_deinit(&p);
    mem_free(x), mem_free(q), mem_free(back), mem_free(tables), mem_free(rounded.entries), mem_free(rounded.planes);
  }
}

/* ---- rotations ---- */

static void orthonormal_check(const rotation *r) {
  for (size_t a = 0; a < r->out_dim; a++)
    for (size_t b = 0; b <= a; b++) {
      double dot = vector_dot(r->matrix + a * r->dim, r->matrix + b * r->dim, r->dim);
      bool zero = vector_dot(r->matrix + a * r->dim, r->matrix + a * r->dim, r->dim) < 1e-6; /* beyond the dimensions */
      assert_near(dot, a == b && !zero ? 1 : 0, 1e-4);
    }
}

/* As many dimensions, more and fewer: distances stay where none are given up; one row alone gives what many give. */
static void test_rotation(void **state) {
  (void)state;
  medley_error error = {0};
  static const struct {
    size_t dim, out_dim, parts;
    bool centred;
  } cases[] = {{16, 16, 4, true}, {16, 16, 4, false}, {10, 12, 4, true}, {64, 24, 6, true}, {1, 1, 1, true}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    size_t dim = cases[c].dim, out_dim = cases[c].out_dim, count = 500;
    rotation r;
    float *x = normal(count, dim, 1e4, c), *used = mem_alloc(count * dim, sizeof *used);
    float *y = mem_alloc(count * out_dim, sizeof *y), *turn = mem_zalloc(out_dim * out_dim, sizeof *turn);
    for (size_t i = 0; i < count; i++) x[i * dim] += 5;
    memcpy(used, x, count * dim * sizeof *x);
    assert_ok(rotation_init(&r, dim, out_dim, &error));
    assert_ok(rotation_fit(&r, used, count, cases[c].centred, 7, &error));
    orthonormal_check(&r);
    for (int turned = 0; turned < 2; turned++) {
      rotation_apply(&r, x, count, y);
      for (size_t i = 0; i < count; i += 17) {
        float one[64];
        rotation_apply_one(&r, x + i * dim, one);
        for (size_t d = 0; d < out_dim; d++) assert_near(one[d], y[i * out_dim + d], 1e-4);
        double before = squared(x + i * dim, x, dim), after = squared(y + i * out_dim, y, out_dim);
        assert_near(after, before, out_dim < dim ? 0.1 * before + 0.1 : 1e-3);
      }
      if (turned) break;
      assert_ok(rotation_allocate(y, count, out_dim, cases[c].parts, turn, &error));
      assert_ok(rotation_turn(&r, turn, &error));
    }
    orthonormal_check(&r);
    rotation_deinit(&r);
    mem_free(x), mem_free(used), mem_free(y), mem_free(turn);
  }
}

/* What it is for: with very unequal variances the same number of bytes leaves less error behind. */
static void test_rotation_helps(void **state) {
  (void)state;
  medley_error error = {0};
  size_t dim = 16, parts = 4;
  rotation r;
  product p;
  float *x = normal(COUNT, dim, 1e3, 3), *used = mem_alloc(COUNT * dim, sizeof *used), turn[16 * 16];
  double left[2];
  for (int turned = 0; turned < 2; turned++) {
    assert_ok(product_init(&p, parts, dim / parts, &error));
    memcpy(used, x, COUNT * dim * sizeof *x);
    if (turned) {
      assert_ok(rotation_init(&r, dim, dim, &error));
      assert_ok(rotation_fit(&r, used, COUNT, false, 1, &error));
      assert_ok(rotation_allocate(x, COUNT, dim, parts, turn, &error));
      assert_ok(rotation_turn(&r, turn, &error));
      rotation_apply(&r, x, COUNT, used);
      rotation_deinit(&r);
    }
    assert_ok(product_train(&p, used, COUNT, 1, NULL, &error));
    left[turned] = error_left(&p, used, COUNT);
    product_deinit(&p);
  }
  if (left[1] > 0.7 * left[0]) fail_msg("error %g turned, %g as it was", left[1], left[0]);
  mem_free(x), mem_free(used);
}

/* ---- the shortlist ---- */

static int descending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x < y) - (x > y);
}

/* The best `keep` of any stream are there, and not many more; ties and ascending streams too. */
static void test_shortlist(void **state) {
  (void)state;
  static const size_t keeps[] = {1, 2, 7, 100, 333};
  static const size_t counts[] = {0, 1, 5, 99, 100, 1000, 5000};
  rng r;
  rng_seed(&r, 1);
  for (size_t a = 0; a < sizeof keeps / sizeof *keeps; a++)
    for (size_t b = 0; b < sizeof counts / sizeof *counts; b++)
      for (int kind = 0; kind < 4; kind++) {
        size_t keep = keeps[a], count = counts[b];
        float scores[SHORTLIST_ROOM(333)], all[5000];
        uint32_t slots[SHORTLIST_ROOM(333)];
        uint8_t there[5000] = {0};
        shortlist s = {.scores = scores, .slots = slots};
        shortlist_begin(&s, keep);
        for (uint32_t i = 0; i < count; i++) {
          all[i] = kind == 0   ? (float)rng_normal(&r)
                   : kind == 1 ? (float)rng_below(&r, 3)
                   : kind == 2 ? (float)i
                               : 1e30f * (float)rng_normal(&r) + (float)rng_below(&r, 2);
          if (all[i] > s.bar) shortlist_push(&s, all[i], i);
        }
        shortlist_thin(&s);
        assert_true(s.count >= (keep < count ? keep : count) && s.count <= keep + keep / 4);
        for (size_t i = 0; i < s.count; i++) {
          assert_true(s.slots[i] < count && !there[s.slots[i]]++);
          assert_near(s.scores[i], all[s.slots[i]], 0);
        }
        qsort(all, count, sizeof *all, descending);
        qsort(scores, s.count, sizeof *scores, descending);
        for (size_t i = 0; i < keep && i < count; i++) assert_near(scores[i], all[i], 0);
      }
}

#ifdef MEDLEY_FAULTS
static void test_memory(void **state) {
  (void)state;
  medley_error error = {0};
  float *x = normal(600, 8, 10, 3), *used = mem_alloc(600 * 8, sizeof *used), turn[36];
  for (long n = 1;; n++) {
    product p = {0};
    rotation r = {0};
    memcpy(used, x, 600 * 8 * sizeof *x);
    memory_fault_after(n);
    medley_status status = rotation_init(&r, 8, 6, &error);
    if (status == MEDLEY_OK) status = rotation_fit(&r, used, 600, true, 1, &error);
    if (status == MEDLEY_OK) status = rotation_allocate(x, 600, 6, 2, turn, &error);
    if (status == MEDLEY_OK) status = rotation_turn(&r, turn, &error);
    if (status == MEDLEY_OK) status = product_init(&p, 2, 3, &error);
    if (status == MEDLEY_OK) status = product_train(&p, x, 600, 1, NULL, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    product_deinit(&p);
    rotation_deinit(&r);
    if (!struck) break;
  }
  mem_free(x), mem_free(used);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_code_sums), cmocka_unit_test(test_code_estimates), cmocka_unit_test(test_product),
      cmocka_unit_test(test_rotation),  cmocka_unit_test(test_rotation_helps), cmocka_unit_test(test_shortlist),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
