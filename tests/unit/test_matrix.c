/* Sparse matrices and dense linear algebra beside slow, obvious twins. */
#include "test.h"

#include "base/memory.h"
#include "math/linear.h"

static rng numbers;

static float *random_matrix(size_t m, size_t n) {
  float *x = mem_alloc(m * n, sizeof *x);
  for (size_t i = 0; i < m * n; i++) x[i] = (float)rng_normal(&numbers);
  return x;
}

/* About a tenth of the cells, some of them twice. */
static sparse random_sparse(uint32_t rows, uint32_t columns) {
  medley_error error;
  size_t count = rows * columns / 10;
  sparse_entry *entries = mem_alloc(count, sizeof *entries);
  for (size_t i = 0; i < count; i++)
    entries[i] = (sparse_entry){(uint32_t)rng_below(&numbers, rows), (uint32_t)rng_below(&numbers, columns),
                                (float)rng_normal(&numbers)};
  sparse a;
  assert_ok(sparse_from_entries(rows, columns, entries, count, SPARSE_SUM, &a, &error));
  mem_free(entries);
  return a;
}

static float *dense_of(const sparse *a) {
  float *x = mem_zalloc((size_t)a->rows * a->columns, sizeof *x);
  for (uint32_t r = 0; r < a->rows; r++)
    for (uint64_t i = a->start[r]; i < a->start[r + 1]; i++) x[(size_t)r * a->columns + a->column[i]] = a->value[i];
  return x;
}

/* c [m, n] = op(a) op(b), in double. */
static float *twin_multiply(bool ta, bool tb, size_t m, size_t n, size_t k, const float *a, const float *b) {
  float *c = mem_alloc(m * n, sizeof *c);
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      double sum = 0;
      for (size_t l = 0; l < k; l++) sum += (double)a[ta ? l * m + i : i * k + l] * b[tb ? j * k + l : l * n + j];
      c[i * n + j] = (float)sum;
    }
  return c;
}

static void assert_same(const float *a, const float *b, size_t count, double tolerance) {
  for (size_t i = 0; i < count; i++)
    if (!(fabs((double)a[i] - b[i]) <= tolerance)) fail_msg("element %zu: %g and %g", i, (double)a[i], (double)b[i]);
}

static void test_entries(void **state) {
  (void)state;
  medley_error error;
  static const sparse_entry entries[] = {{2, 1, 5}, {0, 3, 1}, {2, 1, 3}, {2, 0, 7}, {0, 0, 2}, {2, 1, 4}};
  static const struct {
    sparse_duplicates how;
    float joined;
  } rows[] = {{SPARSE_SUM, 12}, {SPARSE_MAX, 5}, {SPARSE_LAST, 4}};
  for (int i = 0; i < 3; i++) {
    sparse a;
    assert_ok(sparse_from_entries(4, 4, entries, 6, rows[i].how, &a, &error));
    assert_int_equal(sparse_count(&a), 4);
    static const uint64_t start[] = {0, 2, 2, 4, 4};
    static const uint32_t column[] = {0, 3, 0, 1};
    assert_memory_equal(a.start, start, sizeof start);
    assert_memory_equal(a.column, column, sizeof column);
    assert_true(a.value[3] == rows[i].joined && a.value[2] == 7);
    assert_true(sparse_has(&a, 2, 1) && !sparse_has(&a, 2, 3) && !sparse_has(&a, 1, 0));
    sparse_deinit(&a);
  }
  sparse a;
  assert_refused(sparse_from_entries(2, 4, entries, 6, SPARSE_SUM, &a, &error), MEDLEY_ERR_INPUT,
                 "entry 0 of a sparse matrix is at row 2");
  assert_ok(sparse_from_entries(0, 0, NULL, 0, SPARSE_SUM, &a, &error));
  assert_int_equal(sparse_count(&a), 0);
  sparse_deinit(&a);
}

static void test_sparse_algebra(void **state) {
  (void)state;
  medley_error error;
  enum { M = 120, N = 170, DIM = 37 };
  sparse a = random_sparse(M, N), turned, copy;
  assert_ok(sparse_transpose(&a, &turned, &error));
  assert_ok(sparse_copy(&a, &copy, &error));
  float *dense = dense_of(&a), *dense_turned = dense_of(&turned), *x = random_matrix(N, DIM);
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) assert_true(dense[i * N + j] == dense_turned[j * M + i]);

  float *product = mem_alloc(M * DIM, 4), *expected = twin_multiply(false, false, M, DIM, N, dense, x);
  sparse_multiply_dense(&a, x, DIM, product);
  assert_same(product, expected, M * DIM, 1e-4);
  mem_free(expected);

  expected = twin_multiply(false, false, M, 1, N, dense, x);
  sparse_multiply_vector(&a, x, product);
  assert_same(product, expected, M, 1e-4);
  mem_free(expected);
  expected = twin_multiply(true, false, N, 1, M, dense, x);
  sparse_transpose_multiply_vector(&a, x, product);
  assert_same(product, expected, N, 1e-4);
  mem_free(expected);

  float *gram = mem_zalloc(N * N, 4);
  expected = twin_multiply(true, false, N, N, M, dense, dense);
  for (int i = 0; i < N; i++) gram[i * N + i] = 2, expected[i * N + i] += 2;
  sparse_gram(&a, gram);
  assert_same(gram, expected, N * N, 1e-4);
  mem_free(expected);

  float rows[M], columns[N];
  uint32_t counts[N];
  sparse_row_sums(&a, rows);
  sparse_column_sums(&a, columns);
  sparse_column_counts(&a, counts);
  double all_rows = 0, all_columns = 0;
  uint64_t all = 0;
  for (int i = 0; i < M; i++) all_rows += rows[i];
  for (int j = 0; j < N; j++) all_columns += columns[j], all += counts[j];
  assert_near(all_rows, all_columns, 1e-3);
  assert_int_equal(all, sparse_count(&a));
  sparse_scale(&copy, rows, columns);
  sparse_scale(&turned, NULL, rows);
  for (int i = 0; i < M; i++)
    for (uint64_t k = a.start[i]; k < a.start[i + 1]; k++) {
      assert_near(copy.value[k], (double)a.value[k] * rows[i] * columns[a.column[k]], 1e-4);
      assert_near(turned.value[sparse_find(&turned, a.column[k], (uint32_t)i)], (double)a.value[k] * rows[i], 1e-4);
    }
  mem_free(gram);
  mem_free(product);
  mem_free(x);
  mem_free(dense);
  mem_free(dense_turned);
  sparse_deinit(&a);
  sparse_deinit(&turned);
  sparse_deinit(&copy);
}

/* The twin: every kept entry equals the dense product, and no left-out one is greater than a kept one of its row. */
static void check_product(const sparse *a, const sparse *b, size_t row_limit) {
  medley_error error;
  sparse c;
  assert_ok(sparse_multiply(a, b, row_limit, &c, &error));
  float *x = dense_of(a), *y = dense_of(b), *full = twin_multiply(false, false, a->rows, b->columns, a->columns, x, y);
  for (uint32_t r = 0; r < c.rows; r++) {
    float *row = full + (size_t)r * c.columns, least = INFINITY;
    uint64_t count = c.start[r + 1] - c.start[r];
    if (row_limit) assert_true(count <= row_limit);
    for (uint64_t i = c.start[r]; i < c.start[r + 1]; i++) {
      if (i > c.start[r]) assert_true(c.column[i] > c.column[i - 1]);
      assert_near(c.value[i], row[c.column[i]], 1e-4);
      least = fminf(least, c.value[i]);
      row[c.column[i]] = -INFINITY;
    }
    for (uint32_t j = 0; j < c.columns; j++)
      if (row[j] > -INFINITY && row[j] != 0) assert_true(row_limit && count == row_limit && row[j] <= least + 1e-4f);
  }
  mem_free(x);
  mem_free(y);
  mem_free(full);
  sparse_deinit(&c);
}

static void test_sparse_multiply(void **state) {
  (void)state;
  medley_error error;
  sparse a = random_sparse(150, 60), b = random_sparse(60, 200), thin = random_sparse(60, 5000), c;
  check_product(&a, &b, 0);
  check_product(&a, &b, 7);
  check_product(&a, &b, 199);
  check_product(&a, &thin, 20);
  assert_refused(sparse_multiply(&b, &a, 0, &c, &error), MEDLEY_ERR_USAGE, "inner sizes differ");
  sparse_deinit(&a);
  sparse_deinit(&b);
  sparse_deinit(&thin);
}

static void test_dense(void **state) {
  (void)state;
  static const struct {
    bool ta, tb;
    size_t m, n, k;
  } rows[] = {
      {false, false, 5, 7, 3},     {true, false, 5, 7, 3},      {false, true, 40, 33, 65},
      {true, true, 5, 7, 3},       {false, false, 1, 9, 1},     {false, false, 1203, 70, 40},
      {true, false, 70, 1203, 40}, {false, true, 70, 1203, 40}, {true, true, 1203, 70, 40}, /* in strips */
      {false, true, 2100, 9, 20},  {false, false, 9, 2100, 20}, {true, false, 20, 20, 900},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    size_t m = rows[i].m, n = rows[i].n, k = rows[i].k;
    float *a = random_matrix(m, k), *b = random_matrix(k, n), *c = random_matrix(m, n), *held = mem_alloc(m * n, 4);
    memcpy(held, c, m * n * 4);
    float *expected = twin_multiply(rows[i].ta, rows[i].tb, m, n, k, a, b);
    for (size_t j = 0; j < m * n; j++) expected[j] = 2 * expected[j] + 0.5f * held[j];
    matrix_multiply(rows[i].ta, rows[i].tb, m, n, k, 2, a, b, 0.5f, c);
    assert_same(c, expected, m * n, 1e-3);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(held);
    mem_free(expected);
  }
  float c[2] = {1, NAN};
  matrix_multiply(false, false, 1, 2, 0, 1, NULL, NULL, 0, c);
  assert_true(c[0] == 0 && c[1] == 0);
  for (size_t order = 70; order <= 333; order += 263) { /* whole, in strips */
    float *a = random_matrix(50, order), *gram = mem_zalloc(order * order, 4);
    float *expected = twin_multiply(true, false, order, order, 50, a, a);
    matrix_gram(50, order, 2, a, 0, gram);
    matrix_gram(50, order, 1, a, -0.5f, gram); /* − ½ 2 aᵀa + aᵀa */
    for (size_t i = 0; i < order * order; i++) assert_true(fabsf(gram[i]) < 1e-4f);
    matrix_gram(50, order, 1, a, 0, gram);
    assert_same(gram, expected, order * order, 1e-4);
    mem_free(a);
    mem_free(gram);
    mem_free(expected);
  }
}

/* A well-conditioned positive definite matrix. */
static float *random_definite(size_t n) {
  float *x = random_matrix(2 * n, n), *a = twin_multiply(true, false, n, n, 2 * n, x, x);
  mem_free(x);
  for (size_t i = 0; i < n; i++) a[i * n + i] += (float)n / 4;
  return a;
}

static void test_definite(void **state) {
  (void)state;
  medley_error error;
  static const size_t sizes[] = {1, 2, 17, 64, 130, 300}; /* the last: several blocks, and threads */
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    size_t n = sizes[k], wide = n == 17 ? 150 : 3;
    float *a = random_definite(n), *copy = mem_alloc(n * n, 4), *x = random_matrix(n, wide);
    float *b = twin_multiply(false, false, n, wide, n, a, x), *one = mem_alloc(n, 4);
    memcpy(copy, a, n * n * 4);
    for (size_t i = 0; i < n; i++) one[i] = b[i * wide];
    assert_ok(matrix_solve_spd(copy, n, b, wide, &error));
    assert_same(b, x, n * wide, 1e-3);
    memcpy(copy, a, n * n * 4);
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < i; j++) copy[i * n + j] = NAN; /* only the upper triangle counts */
    assert_ok(matrix_solve_spd_small(copy, n, one, &error));
    for (size_t i = 0; i < n; i++) assert_near(one[i], x[i * wide], 1e-3);
    memcpy(copy, a, n * n * 4);
    assert_ok(matrix_invert_spd(copy, n, &error));
    float *unit = twin_multiply(false, false, n, n, n, a, copy);
    for (size_t i = 0; i < n * n; i++) assert_near(unit[i], i % (n + 1) == 0, 1e-3);
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < i; j++) assert_true(copy[i * n + j] == copy[j * n + i]);
    if (n == 300) {
      a[289 * n + 289] = -1;
      assert_refused(matrix_invert_spd(a, n, &error), MEDLEY_ERR_INPUT, "order 300, at 290");
    }
    mem_free(a);
    mem_free(copy);
    mem_free(x);
    mem_free(b);
    mem_free(one);
    mem_free(unit);
  }
  float bad[4] = {1, 2, 2, 1}, side[2] = {1, 1}, nan[4] = {1, NAN, NAN, 1};
  assert_refused(matrix_solve_spd_small(bad, 2, side, &error), MEDLEY_ERR_INPUT, "order 2, at 2");
  memcpy(bad, (float[]){1, 2, 2, 1}, sizeof bad);
  assert_refused(matrix_invert_spd(bad, 2, &error), MEDLEY_ERR_INPUT, "add more regularisation");
  assert_refused(matrix_solve_spd(nan, 2, side, 1, &error), MEDLEY_ERR_INPUT, "not a number");
  assert_ok(matrix_invert_spd(bad, 0, &error));
}

static void test_eigen(void **state) {
  (void)state;
  medley_error error;
  enum { N = 40 };
  float *a = random_definite(N), *vectors = mem_alloc(N * N, 4), values[N];
  memcpy(vectors, a, N * N * 4);
  assert_ok(matrix_eigen_symmetric(vectors, N, values, &error));
  float *image = twin_multiply(false, true, N, N, N, vectors, a); /* a is symmetric: row i is a v_i */
  for (int i = 0; i < N; i++) {
    if (i > 0) assert_true(values[i] >= values[i - 1]);
    for (int j = 0; j < N; j++) assert_near(image[i * N + j], values[i] * vectors[i * N + j], 2e-3);
  }
  mem_free(a);
  mem_free(vectors);
  mem_free(image);
}

static void test_svd(void **state) {
  (void)state;
  medley_error error;
  static const struct { size_t m, n; } rows[] = {{30, 12}, {12, 30}, {9, 9}, {1, 5}, {5, 1}};
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    size_t m = rows[k].m, n = rows[k].n, r = m < n ? m : n;
    float *a = random_matrix(m, n), *copy = mem_alloc(m * n, 4), *u = mem_alloc(m * r, 4), *vt = mem_alloc(r * n, 4),
          s[9 + 3], only[12];
    memcpy(copy, a, m * n * 4);
    assert_ok(matrix_svd(copy, m, n, u, s, vt, &error));
    for (size_t i = 0; i < m; i++)
      for (size_t j = 0; j < r; j++) u[i * r + j] *= s[j];
    float *again = twin_multiply(false, false, m, n, r, u, vt);
    assert_same(again, a, m * n, 1e-4);
    memcpy(copy, a, m * n * 4);
    assert_ok(matrix_svd(copy, m, n, NULL, only, NULL, &error));
    assert_same(only, s, r, 1e-4);
    memcpy(copy, a, m * n * 4);
    assert_ok(matrix_svd(copy, m, n, NULL, only, vt, &error));
    assert_same(only, s, r, 1e-4);
    mem_free(a);
    mem_free(copy);
    mem_free(u);
    mem_free(vt);
    mem_free(again);
  }
}

/* Columns that are nearly dependent, dependent, or zero. */
static void test_orthonormal(void **state) {
  (void)state;
  medley_error error;
  enum { M = 3000, N = 24 };
  float *a = random_matrix(M, N), *from = mem_alloc(M * N, 4);
  for (int i = 0; i < M; i++) {
    a[i * N + 5] = a[i * N + 4] + 1e-4f * a[i * N + 5];
    a[i * N + 6] = 1e-12f * a[i * N + 6];
    a[i * N + 9] = a[i * N + 1] - 3 * a[i * N + 2];
    a[i * N + 20] = 0;
    a[i * N + 23] *= 1e9f;
  }
  memcpy(from, a, M * N * 4);
  assert_ok(matrix_orthonormalise(a, M, N, &error));
  float *gram = twin_multiply(true, false, N, N, M, a, a), *inside = twin_multiply(true, false, N, N, M, a, from);
  float *again = twin_multiply(false, false, M, N, N, a, inside); /* what the basis keeps of the columns */
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) assert_near(gram[i * N + j], i == j && i != 9 && i != 20, 1e-5);
  for (int j = 0; j < N; j++) {
    double lost = 0, all = 0;
    for (int i = 0; i < M; i++) {
      lost += pow((double)again[i * N + j] - from[i * N + j], 2);
      all += pow(from[i * N + j], 2);
    }
    assert_true(lost <= 1e-10 * all);
  }
  a[7] = NAN;
  assert_refused(matrix_orthonormalise(a, M, N, &error), MEDLEY_ERR_INPUT, "not a finite number");
  mem_free(a);
  mem_free(from);
  mem_free(gram);
  mem_free(inside);
  mem_free(again);
}

/* A matrix of rank 3 asked for 8 values. */
static void test_truncated_deficient(void **state) {
  (void)state;
  medley_error error;
  enum { M = 90, N = 70 };
  float *left = random_matrix(M, 3), *right = random_matrix(3, N),
        *a = twin_multiply(false, false, M, N, 3, left, right);
  float u[M * 8], s[8], v[N * 8];
  size_t rank;
  assert_ok(matrix_svd_truncated(a, M, N, 8, 0, 1, u, s, v, &rank, &error));
  for (int k = 3; k < 8; k++) assert_true(s[k] < 1e-4f * s[0]);
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) {
      double x = 0;
      for (int k = 0; k < 8; k++) x += (double)u[i * 8 + k] * s[k] * v[j * 8 + k];
      assert_near(x, a[i * N + j], 1e-4);
    }
  mem_free(left);
  mem_free(right);
  mem_free(a);
}

/* The first values against LAPACK's, and u s vᵀ as good an approximation as the exact one. */
static void test_truncated(void **state) {
  (void)state;
  medley_error error;
  enum { M = 200, N = 150, RANK = 10 };
  sparse a = random_sparse(M, N);
  float *dense = dense_of(&a), *copy = mem_alloc(M * N, 4), exact[N];
  memcpy(copy, dense, M * N * 4);
  assert_ok(matrix_svd(copy, M, N, NULL, exact, NULL, &error));
  float u[2][M * RANK], s[2][RANK], v[2][N * RANK];
  size_t rank;
  assert_ok(sparse_svd(&a, RANK, 12, 5, u[0], s[0], v[0], &rank, &error));
  assert_int_equal(rank, RANK);
  assert_ok(matrix_svd_truncated(dense, M, N, RANK, 12, 5, u[1], s[1], v[1], &rank, &error));
  for (int which = 0; which < 2; which++) {
    double tail = 0, error_square = 0;
    for (int k = 0; k < RANK; k++) assert_near(s[which][k] / exact[k], 1, 1e-3);
    for (int k = RANK; k < N; k++) tail += (double)exact[k] * exact[k];
    for (int i = 0; i < M; i++)
      for (int j = 0; j < N; j++) {
        double x = dense[i * N + j];
        for (int k = 0; k < RANK; k++) x -= (double)u[which][i * RANK + k] * s[which][k] * v[which][j * RANK + k];
        error_square += x * x;
      }
    assert_near(error_square / tail, 1, 1e-3);
  }
  /* The same seed, the same result; a rank beyond the matrix is cut. */
  assert_ok(sparse_svd(&a, RANK, 12, 5, NULL, s[1], v[1], &rank, &error));
  assert_memory_equal(v[0], v[1], sizeof v[0]);
  sparse small = random_sparse(6, 9);
  float s6[6], v6[9 * 6];
  assert_ok(sparse_svd(&small, 50, 0, 1, NULL, s6, v6, &rank, &error));
  assert_int_equal(rank, 6);
  mem_free(dense);
  mem_free(copy);
  sparse_deinit(&a);
  sparse_deinit(&small);
}

#ifdef MEDLEY_FAULTS
/* Whatever allocation fails: the call says so, leaves nothing behind, and works the next time. */
static void test_faults(void **state) {
  (void)state;
  medley_error error;
  sparse a = random_sparse(200, 60), out;
  float s[4], v[60 * 4], *x = random_matrix(20, 20), values[20];
  size_t rank;
  for (int what = 0; what < 4; what++) {
    for (long n = 1;; n++) {
      medley_status status;
      out = (sparse){0};
      memory_fault_after(n);
      switch (what) {
        case 0: status = sparse_multiply(&a, &a, 0, &out, &error); break; /* refused before anything else */
        case 1: status = sparse_transpose(&a, &out, &error); break;
        case 2: status = sparse_svd(&a, 4, 1, 1, NULL, s, v, &rank, &error); break;
        default: status = matrix_svd(x, 20, 20, NULL, values, x, &error); break;
      }
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      sparse_deinit(&out);
      if (!struck) break;
      assert_int_equal(status, MEDLEY_ERR_MEMORY);
    }
  }
  sparse turned;
  assert_ok(sparse_transpose(&a, &turned, &error));
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status status = sparse_multiply(&turned, &a, 5, &out, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    sparse_deinit(&out);
    if (!struck) break;
    /* A thread that got no memory harms nobody when the others had done all rows before it came. */
    assert_true(status == MEDLEY_ERR_MEMORY || status == MEDLEY_OK);
  }
  sparse_entry entry = {0, 0, 1};
  for (long n = 1; n <= 5; n++) {
    memory_fault_after(n);
    assert_int_equal(sparse_from_entries(1, 1, &entry, 1, SPARSE_SUM, &out, &error), MEDLEY_ERR_MEMORY);
    memory_fault_after(0);
  }
  mem_free(x);
  sparse_deinit(&a);
  sparse_deinit(&turned);
}
#endif

static int group_setup(void **state) {
  (void)state;
  rng_seed(&numbers, 20);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_entries),
      cmocka_unit_test(test_sparse_algebra),
      cmocka_unit_test(test_sparse_multiply),
      cmocka_unit_test(test_dense),
      cmocka_unit_test(test_definite),
      cmocka_unit_test(test_eigen),
      cmocka_unit_test(test_svd),
      cmocka_unit_test(test_orthonormal),
      cmocka_unit_test(test_truncated_deficient),
      cmocka_unit_test(test_truncated),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_faults),
#endif
  };
  return cmocka_run_group_tests(tests, group_setup, NULL);
}
