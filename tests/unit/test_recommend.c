/* Every recommender against a slow twin in double precision, written from the formula in its file; and what all of them
 * promise: reasons that add up, files that load as they were saved, tampered files refused, no leak when memory runs
 * out. A kind without a row in `rows` fails the first test. */
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "math/vector.h"
#include "recommend/blend.h"
#include "recommend/bpr_sgd.h"
#include "recommend/content_map.h"
#include "recommend/content_map_solve.h"
#include "recommend_rows.h"
#include "test.h"

static void test_every_kind_has_a_row(void **state) {
  (void)state;
  size_t kinds = 0;
  for (const recommender_kind *const *kind = recommender_kinds; *kind != NULL; kind++, kinds++) {
    size_t found = 0;
    for (size_t i = 0; i < recommend_row_count; i++) found += strcmp(recommend_rows[i].name, (*kind)->name) == 0;
    if (found == 0) fail_msg("recommender '%s' has no row in this test", (*kind)->name);
    assert_ptr_equal(recommender_kind_find((*kind)->name), *kind);
    assert_true((*kind)->summary[0] && (*kind)->source[0] && (*kind)->part[0]);
    for (const recommender_setting *s = (*kind)->settings; s != NULL && s->name != NULL; s++) {
      bool among = s->grid_count == 0;
      assert_true(s->min <= s->fallback && s->fallback <= s->max);
      for (size_t g = 0; g < s->grid_count; g++) {
        assert_true(s->min <= s->grid[g] && s->grid[g] <= s->max);
        among |= s->grid[g] == s->fallback;
      }
      if (!among) fail_msg("%s: the default of %s is not among the values that are tried", (*kind)->name, s->name);
    }
  }
  assert_true(kinds <= BLEND_PARTS_MAX); /* or the last would never take part */
  assert_null(recommender_kind_find("nothing"));
}

static void test_slow_twins(void **state) {
  (void)state;
  world *w = world_create(USERS, ITEMS, WARM);
  for (size_t i = 0; i < recommend_row_count; i++) {
    double values[RECOMMENDER_SETTINGS_MAX] = {0}, expected[ITEMS], largest = 0;
    float scores[ITEMS];
    row_values(&recommend_rows[i], values);
    recommender *model = row_fit(&recommend_rows[i], w);
    for (size_t count = 1; count <= 5; count += 2) {
      history h = history_of(count);
      score_of(model, &h, scores);
      recommend_rows[i].by_definition(w, values, model, &h, expected);
      for (uint32_t k = 0; k < ITEMS; k++)
        if (fabs(expected[k]) > largest) largest = fabs(expected[k]);
      for (uint32_t k = 0; k < ITEMS; k++)
        if (!(fabs((double)scores[k] - expected[k]) <= recommend_rows[i].tolerance * largest))
          fail_msg("%s (row %zu), %zu in the history: item %u has %g, by definition %g", recommend_rows[i].name, i,
                   count, k, (double)scores[k], expected[k]);
    }
    model->kind->free(model);
  }
  world_free(w);
}

static double map_quality(const world *w, const features *list, size_t count, float *last_weight) {
  medley_error error;
  active_items active;
  content_parts parts;
  content_map_fit found;
  content_parts_init(&parts, list, count);
  assert_ok(active_items_find(&w->train, &active, &error));
  assert_ok(
      content_map_solve(&w->train, &active, &parts, &(content_map_settings){.ridge = 10, .seed = 3}, &found, &error));
  if (last_weight != NULL) *last_weight = found.weight[count - 1];
  double quality = found.quality;
  content_map_fit_deinit(&found);
  active_items_deinit(&active);
  return quality;
}

/* Modalities together are, on the validation part, no worse than each alone; one of noise gets no say, or does no harm.
 */
static void test_modalities_never_lower_the_fit(void **state) {
  (void)state;
  world *w = world_create(USERS, ITEMS, ITEMS);
  float noise[ITEMS * TEXT_DIM];
  uint8_t present[ITEMS];
  features list[3] = {w->features[0], w->features[1], {"image", ITEMS, TEXT_DIM, noise, present}};
  for (uint64_t seed = 1; seed <= 8; seed++) {
    rng r;
    rng_seed(&r, seed);
    memset(present, 1, sizeof present);
    for (size_t i = 0; i < ITEMS * TEXT_DIM; i++) noise[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < ITEMS; i++) vector_normalise(noise + i * TEXT_DIM, TEXT_DIM);
    float weight;
    double both = map_quality(w, list, 2, NULL), all = map_quality(w, list, 3, &weight);
    assert_true(both > 0);
    for (size_t p = 0; p < 3; p++) {
      double alone = map_quality(w, &list[p], 1, NULL);
      if (alone > all) fail_msg("seed %d: %s alone reaches %g, all together %g", (int)seed, list[p].name, alone, all);
    }
    if (all < both) fail_msg("seed %d: noise of weight %g lowers %g to %g", (int)seed, (double)weight, both, all);
  }
  world_free(w);
}

/* In this world two modalities tell together what is liked and neither does alone: their pairs come into the kernel, so
 * that the other tests see them too. */
static void test_pairs_are_found(void **state) {
  (void)state;
  world *w = world_create(USERS, ITEMS, WARM);
  recommender *model = row_fit(&(struct recommend_row){"content_map", NULL, {0}, 0}, w);
  json_t *told = model->kind->describe(model);
  assert_true(json_real_value(json_object_get(told, "pairs")) > 0);
  json_decref(told);
  model->kind->free(model);
  world_free(w);
}

#define METRIC_DIM 5

static void matrix_product(const double *a, const double *b, double *out) {
  for (size_t r = 0; r < METRIC_DIM; r++)
    for (size_t c = 0; c < METRIC_DIM; c++) {
      out[r * METRIC_DIM + c] = 0;
      for (size_t k = 0; k < METRIC_DIM; k++) out[r * METRIC_DIM + c] += a[r * METRIC_DIM + k] * b[k * METRIC_DIM + c];
    }
}

/* M [dim, dim] = W Wᵀ with (S G S + λ) W = S R, by Jacobi's steps, which end where the system is dominated by λ. */
static void map_by_definition(const float *gram, const float *right, const float *scale, double lambda, double *m) {
  double w[METRIC_DIM * METRIC_DIM] = {0};
  for (int step = 0; step < 2000; step++)
    for (size_t r = 0; r < METRIC_DIM; r++)
      for (size_t c = 0; c < METRIC_DIM; c++) {
        double left = (double)(scale[r] * right[r * METRIC_DIM + c]), own = lambda;
        for (size_t k = 0; k < METRIC_DIM; k++) {
          double a = (double)(scale[r] * scale[k] * gram[r * METRIC_DIM + k]);
          if (k == r)
            own += a;
          else
            left -= a * w[k * METRIC_DIM + c];
        }
        w[r * METRIC_DIM + c] = left / own;
      }
  for (size_t a = 0; a < METRIC_DIM; a++)
    for (size_t b = 0; b < METRIC_DIM; b++) {
      m[a * METRIC_DIM + b] = 0;
      for (size_t k = 0; k < METRIC_DIM; k++) m[a * METRIC_DIM + b] += w[a * METRIC_DIM + k] * w[b * METRIC_DIM + k];
    }
}

/* With D = A Aᵀ: D⁴ is a multiple of (W Wᵀ)³, and the mean of K(i, i) stays. */
static void test_metric_by_definition(void **state) {
  (void)state;
  medley_error error;
  enum { ROWS = 9, CELLS = METRIC_DIM * METRIC_DIM };
  float phi[ROWS * METRIC_DIM], right[CELLS], scale[METRIC_DIM], gram[CELLS] = {0}, outer[CELLS] = {0}, *root;
  double m[CELLS], square[CELLS], cube[CELLS], d[CELLS], fourth[CELLS], before = 0, after = 0, most = 0, share = 0;
  rng r;
  rng_seed(&r, 4);
  for (size_t i = 0; i < ROWS * METRIC_DIM; i++) phi[i] = (float)rng_normal(&r);
  for (size_t i = 0; i < CELLS; i++) right[i] = (float)rng_normal(&r);
  for (size_t i = 0; i < METRIC_DIM; i++) scale[i] = 0.5f + (float)rng_uniform(&r);
  for (size_t a = 0; a < METRIC_DIM; a++)
    for (size_t b = 0; b < METRIC_DIM; b++) {
      for (size_t i = 0; i < ROWS; i++) gram[a * METRIC_DIM + b] += phi[i * METRIC_DIM + a] * phi[i * METRIC_DIM + b];
      for (size_t k = 0; k < METRIC_DIM; k++)
        outer[a * METRIC_DIM + b] += right[a * METRIC_DIM + k] * right[b * METRIC_DIM + k];
    }
  assert_ok(content_metric(gram, outer, scale, 2, METRIC_DIM, &root, &error));
  map_by_definition(gram, right, scale, 2, m);
  for (size_t a = 0; a < METRIC_DIM; a++)
    for (size_t b = 0; b < METRIC_DIM; b++) {
      d[a * METRIC_DIM + b] = 0;
      for (size_t k = 0; k < METRIC_DIM; k++)
        d[a * METRIC_DIM + b] += (double)root[a * METRIC_DIM + k] * (double)root[b * METRIC_DIM + k];
      double cell = (double)(scale[a] * scale[b] * gram[a * METRIC_DIM + b]);
      before += a == b ? cell : 0;
      after += d[a * METRIC_DIM + b] * cell;
    }
  assert_near(after / before, 1, 1e-4);
  matrix_product(m, m, square);
  matrix_product(square, m, cube);
  matrix_product(d, d, square);
  matrix_product(square, square, fourth);
  for (size_t i = 0; i < CELLS; i++)
    if (fabs(cube[i]) > most) most = fabs(cube[i]), share = fourth[i] / cube[i];
  for (size_t i = 0; i < CELLS; i++) assert_near(fourth[i] / share / most, cube[i] / most, 1e-4);
  mem_free(root);
}

/* What the whole history decides together cannot be shared out among its entries. */
static bool is_undivided(const char *name) {
  return strstr("userknn trust community sasrec gru4rec multvae autoencoder deepfm shared_bottom mmoe ple esmm", name);
}

/* Score minus trace is the same for every history. */
static void test_traces_sum_to_the_score(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  for (size_t i = 0; i < recommend_row_count; i++) {
    recommender *model = row_fit(&recommend_rows[i], w);
    recommender_scratch scratch = {0};
    double constant[ITEMS] = {0};
    if (model->kind->trace == NULL) assert_false(model->kind->needs_history && !is_undivided(recommend_rows[i].name));
    for (size_t count = 1; model->kind->trace != NULL && count <= 5; count++) {
      history h = history_of(count);
      float scores[ITEMS], traced[5];
      score_of(model, &h, scores);
      for (uint32_t k = 0; k < ITEMS; k++) {
        double sum = 0;
        assert_ok(model->kind->trace(model, &h, k, &scratch, traced, &error));
        for (size_t j = 0; j < count; j++) sum += (double)traced[j];
        if (count == 1) constant[k] = (double)scores[k] - sum;
        if (!(fabs((double)scores[k] - sum - constant[k]) <= 1e-5 * (1 + fabs((double)scores[k]))))
          fail_msg("%s: item %u scores %g, its trace sums to %g + %g", recommend_rows[i].name, k, (double)scores[k],
                   sum, constant[k]);
      }
    }
    recommender_scratch_deinit(&scratch);
    model->kind->free(model);
  }
  world_free(w);
}

/* Score minus the sides is the same for every item. */
static void test_splits_sum_to_the_score(void **state) {
  (void)state;
  world *w = world_create(USERS, ITEMS, WARM);
  for (size_t i = 0; i < recommend_row_count; i++) {
    /* A sum compares a part of one item with another part of another, so that it has one voice. */
    if (recommend_rows[i].by_definition == twin_content_fused && recommend_rows[i].values[0] < 2) continue;
    recommender *model = row_fit(&recommend_rows[i], w);
    recommender_scratch scratch = {0};
    history h = history_of(4);
    float scores[ITEMS], values[FEATURES_MAX];
    const char *names[FEATURES_MAX];
    double constant = 0;
    score_of(model, &h, scores);
    for (uint32_t k = 0; model->kind->split != NULL && k < ITEMS; k++) {
      double sum = 0;
      size_t count = model->kind->split(model, &h, k, &scratch, names, values, FEATURES_MAX);
      assert_true(count <= 4);
      assert_int_equal(model->kind->split(model, &h, k, &scratch, names, values, 1), count < 1 ? count : 1);
      count = model->kind->split(model, &h, k, &scratch, names, values, FEATURES_MAX);
      for (size_t s = 0; s < count; s++) {
        assert_non_null(strstr("text tags pairs popularity people", names[s]));
        sum += (double)values[s];
      }
      if (k == 0) constant = (double)scores[0] - sum;
      assert_near((double)scores[k] - sum, constant, 1e-5);
    }
    recommender_scratch_deinit(&scratch);
    model->kind->free(model);
  }
  world_free(w);
}

/* ---- files ---- */

static void model_save(const recommender *model, const char *path) {
  medley_error error;
  safetensors_writer out = {0};
  assert_ok(model->kind->save(model, &out, "model.0", &error));
  assert_ok(safetensors_save(&out, path, &error));
  safetensors_writer_deinit(&out);
}

/* What a model is loaded with: no interactions. */
static recommender_data loading_data(const world *w) {
  recommender_data data = w->data;
  data.train = NULL;
  data.item_time_s = NULL;
  data.item_count = w->items;
  return data;
}

static void test_saved_and_loaded(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  recommender_data data = loading_data(w);
  char folder[256], path[512];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  for (size_t i = 0; i < recommend_row_count; i++) {
    recommender *model = row_fit(&recommend_rows[i], w), *again = row_fit(&recommend_rows[i], w), *loaded = NULL;
    safetensors file = {0};
    history h = history_of(5);
    float before[ITEMS], after[ITEMS], repeated[ITEMS];
    model_save(model, path);
    assert_ok(safetensors_open(&file, path, &error));
    assert_ok(model->kind->load(&file, "model.0", &data, &loaded, &error));
    assert_int_equal(loaded->item_count, ITEMS);
    score_of(model, &h, before);
    score_of(loaded, &h, after);
    score_of(again, &h, repeated);
    if (memcmp(before, after, sizeof before) != 0) fail_msg("%s scores otherwise once loaded", recommend_rows[i].name);
    if (memcmp(before, repeated, sizeof before) != 0)
      fail_msg("%s is another one for the same seed", recommend_rows[i].name);
    model->kind->free(model);
    again->kind->free(again);
    loaded->kind->free(loaded);
    safetensors_close(&file);
  }
  assert_ok(folder_remove(folder, &error));
  world_free(w);
}

/* ---- tampering ---- */

typedef enum tamper_kind {
  TAMPER_ABSENT,
  TAMPER_DTYPE,
  TAMPER_RANK,
  TAMPER_SHORTER,
  TAMPER_LONGER,
  TAMPER_FIRST,
  TAMPER_LAST,
  TAMPER_NAN,
  TAMPER_COUNT
} tamper_kind;

/* The tensors of `from` once more, one of them changed. */
static void tampered_write(const safetensors *from, size_t which, tamper_kind how, const char *path) {
  medley_error error;
  safetensors_writer out = {0};
  unsigned char *changed = NULL;
  for (size_t t = 0; t < from->count; t++) {
    tensor_view v = from->tensors[t];
    size_t size = dtype_size(v.dtype), bytes = v.count * size;
    if (t == which) {
      changed = calloc(2 * bytes + 64, 1);
      if (bytes > 0) memcpy(changed, v.data, bytes);
      v.data = changed;
      switch (how) {
        case TAMPER_ABSENT: continue;
        case TAMPER_DTYPE: v.dtype = v.dtype == DTYPE_F64 ? DTYPE_I64 : size == 4 ? DTYPE_F16 : DTYPE_F64; break;
        case TAMPER_RANK: v.shape[v.rank++] = 1; break;
        case TAMPER_SHORTER: v.shape[v.rank - 1] -= v.shape[v.rank - 1] > 0; break;
        case TAMPER_LONGER: v.shape[v.rank - 1] += 1; break;
        case TAMPER_FIRST: memset(changed, 0xFF, size); break;
        case TAMPER_LAST: memset(changed + (bytes ? bytes - size : 0), 0x7E, size); break;
        default: /* no number, or a huge integer */
          for (size_t b = 0; b < bytes; b += size)
            memcpy(changed + b, size == 4 ? (const void *)&(uint32_t){0x7FC00000u} : &(uint64_t){0x7FF8000000000000u},
                   size < 8 ? (size < 4 ? 1 : 4) : 8);
      }
    }
    uint64_t count = dtype_size(v.dtype);
    for (int d = 0; d < v.rank; d++) count *= v.shape[d];
    if (t == which && count > 2 * bytes + 64) changed = realloc(changed, count), v.data = changed;
    assert_ok(safetensors_add(&out, v.name, v.dtype, v.rank, v.shape, v.data, &error));
  }
  assert_ok(safetensors_save(&out, path, &error));
  safetensors_writer_deinit(&out);
  free(changed);
}

static void test_tampered_files(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  recommender_data data = loading_data(w);
  char folder[256], path[512], broken[512];
  size_t refused = 0, taken = 0;
  test_folder(folder);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  snprintf(broken, sizeof broken, "%s/broken.safetensors", folder);
  for (size_t i = 0; i < recommend_row_count; i++) {
    recommender *model = row_fit(&recommend_rows[i], w);
    safetensors file = {0};
    model_save(model, path);
    assert_ok(safetensors_open(&file, path, &error));
    for (size_t t = 0; t < file.count; t++)
      for (int how = 0; how < TAMPER_COUNT; how++) {
        safetensors tampered = {0};
        recommender *loaded = NULL;
        error = (medley_error){0};
        tampered_write(&file, t, (tamper_kind)how, broken);
        assert_ok(safetensors_open(&tampered, broken, &error));
        medley_status status = model->kind->load(&tampered, "model.0", &data, &loaded, &error);
        bool must_refuse = how <= TAMPER_DTYPE && file.tensors[t].count > 0;
        if (status == MEDLEY_OK && must_refuse)
          fail_msg("%s takes '%s' tampered with (%d)", recommend_rows[i].name, file.tensors[t].name, how);
        if (status != MEDLEY_OK) {
          assert_null(loaded);
          if (status != MEDLEY_ERR_CORRUPT || strstr(error.text, "model") == NULL)
            fail_msg("%s, '%s' tampered with (%d): %s (%s)", recommend_rows[i].name, file.tensors[t].name, how,
                     error.text, medley_status_name(status));
          refused++;
        } else {
          /* Other numbers of the right shape make another model, but none that reads or writes where it must not. */
          recommender_scratch scratch = {0};
          history h = history_of(5);
          float scores[ITEMS];
          assert_int_equal(loaded->item_count, ITEMS);
          (void)!loaded->kind->score(loaded, &h, &scratch, scores, &error);
          recommender_scratch_deinit(&scratch);
          loaded->kind->free(loaded);
          taken++;
        }
        safetensors_close(&tampered);
      }
    model->kind->free(model);
    safetensors_close(&file);
  }
  assert_true(refused > taken);
  assert_ok(folder_remove(folder, &error));
  world_free(w);
}

/* ---- edges ---- */

static void test_cold_items_and_strangers(void **state) {
  (void)state;
  world *w = world_create(USERS, ITEMS, WARM);
  for (size_t i = 0; i < recommend_row_count; i++) {
    recommender *model = row_fit(&recommend_rows[i], w);
    history nobody = {.now_s = STORE_TIME_UNKNOWN}, somebody = history_of(4);
    float scores[ITEMS], largest = 0, cold = 0;
    score_of(model, &nobody, scores);
    for (uint32_t k = 0; k < ITEMS; k++) largest = fmaxf(largest, fabsf(scores[k]));
    if (model->kind->needs_history)
      assert_true(largest == 0);
    else
      assert_true(largest > 0);
    score_of(model, &somebody, scores);
    for (uint32_t k = WARM; k < ITEMS; k++) cold = fmaxf(cold, fabsf(scores[k]));
    if (model->kind->scores_cold_items != (cold > 0))
      fail_msg("%s: the table says scores_cold_items = %d, a cold item has %g", recommend_rows[i].name,
               model->kind->scores_cold_items, (double)cold);
    model->kind->free(model);
  }
  world_free(w);
}

static float largest_of(const float *scores) {
  float largest = 0;
  for (uint32_t k = 0; k < ITEMS; k++) largest = fmaxf(largest, fabsf(scores[k]));
  return largest;
}

/* What is known of somebody who has chosen nothing is read by the kinds that say so, and by those alone. */
static void stranger_ask(const recommender *model, const history *h, bool reads, const char *what,
                         const float *nobody) {
  float scores[ITEMS];
  score_of(model, h, scores);
  if (reads) assert_true(largest_of(scores) > 0);
  if (reads != (memcmp(scores, nobody, sizeof scores) != 0))
    fail_msg("%s %s %s", model->kind->name, reads ? "does not read" : "reads", what);
}

static void test_strangers_with_friends_and_traits(void **state) {
  (void)state;
  world *w = world_create(USERS, ITEMS, WARM);
  for (size_t i = 0; i < recommend_row_count; i++) {
    recommender *model = row_fit(&recommend_rows[i], w);
    const recommender_kind *kind = model->kind;
    history nobody = {.now_s = STORE_TIME_UNKNOWN}, h = history_of(0), friends = h, known = h;
    float before[ITEMS], after[ITEMS];
    score_of(model, &nobody, before);
    friends.trait_count = 0, known.friend_count = 0;
    stranger_ask(model, &friends, kind->reads_friends, "friends", before);
    stranger_ask(model, &known, kind->reads_traits, "traits", before);
    /* Who came after the training has no row, and what no file knows of is nothing. */
    history late = {.friends = &(uint32_t){USERS}, .trust = &(float){1}, .friend_count = 1};
    late.trait = &(uint32_t){TRAITS}, late.trait_count = 1;
    score_of(model, &late, after);
    if (memcmp(before, after, sizeof before) != 0) fail_msg("%s knows somebody it has never seen", kind->name);
    for (uint32_t k = 0; kind->count_friends != NULL && k < ITEMS; k++) {
      size_t expected = 0;
      for (size_t f = 0; f < h.friend_count; f++) expected += sparse_has(&w->train.by_user, h.friends[f], k);
      assert_int_equal(kind->count_friends(model, &h, k), expected);
      assert_int_equal(kind->count_friends(model, &late, k), 0);
    }
    model->kind->free(model);
  }
  world_free(w);
}

/* Nobody, one person, one thing, nothing chosen: what accepts the data must fit, score and save. */
static void test_tiny_worlds(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    uint32_t users, items, warm;
  } sizes[] = {{1, 1, 1}, {1, 1, 0}, {0, 1, 0}, {2, 1, 1}, {1, 4, 4}, {USERS, 1, 1}, {3, 2, 1}, {0, 5, 0}};
  char folder[256], path[512];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    world *w = world_create(sizes[s].users, sizes[s].items, sizes[s].warm);
    for (size_t i = 0; i < recommend_row_count; i++) {
      double values[RECOMMENDER_SETTINGS_MAX] = {0};
      const recommender_kind *kind = row_values(&recommend_rows[i], values);
      uint32_t item = 0;
      float weight = 1, scores[ITEMS];
      history h = {.item = &item, .weight = &weight, .count = 1, .now_s = STORE_TIME_UNKNOWN};
      if (kind->accepts != NULL && kind->accepts(&w->data, &error) != MEDLEY_OK) continue;
      recommender *model = row_fit(&recommend_rows[i], w), *loaded = NULL;
      recommender_data data = loading_data(w);
      safetensors file = {0};
      score_of(model, &h, scores);
      for (uint32_t k = 0; k < w->items; k++)
        if (!isfinite(scores[k])) fail_msg("%s: %u × %u: no number", kind->name, w->users, w->items);
      model_save(model, path);
      assert_ok(safetensors_open(&file, path, &error));
      if (kind->load(&file, "model.0", &data, &loaded, &error) != MEDLEY_OK)
        fail_msg("%s of %u × %u does not load: %s", kind->name, w->users, w->items, error.text);
      loaded->kind->free(loaded);
      model->kind->free(model);
      safetensors_close(&file);
    }
    world_free(w);
  }
  assert_ok(folder_remove(folder, &error));
}

/* People like items of their own half: after training, items of a history's half stand before those of the other; cold
 * ones too where their content tells the half. */
static void test_pairs_are_put_in_order(void **state) {
  (void)state;
  static const struct recommend_row wanted[] = {{"bpr", NULL, {0.01, 1, 0, 0.1, 8, 200}, 0},
                                                {"bpr", NULL, {0.01, 4, 0.5, 0.1, 8, 200}, 0},
                                                {"vbpr", NULL, {0.01, 0.05, 1, 0, 0.1, 8, 8, 200}, 0}};
  world *w = world_create(USERS, ITEMS, WARM);
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    recommender *model = row_fit(&wanted[i], w);
    for (uint32_t half = 0; half < 2; half++) {
      const uint32_t item[] = {half, 4 + half, 8 + half, 12 + half};
      const float weight[] = {1, 1, 1, 1};
      history h = {.item = item, .weight = weight, .count = 4, .now_s = STORE_TIME_UNKNOWN};
      float scores[ITEMS];
      double right = 0, pairs = 0;
      score_of(model, &h, scores);
      for (uint32_t a = half; a < WARM; a += 2)
        for (uint32_t b = 1 - half; b < WARM; b += 2) right += scores[a] > scores[b], pairs++;
      if (right < 0.9 * pairs) fail_msg("%s (%zu): %g of %g pairs in order", wanted[i].name, i, right, pairs);
    }
    model->kind->free(model);
  }
  world_free(w);
}

/* Of an item that more than the median of people chose, (median / c)^exponent of the events are kept. */
static void test_events_are_balanced(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  bpr_training t;
  double median = 0;
  assert_ok(bpr_training_init(&t, &w->train, 8, 0, 1, &error));
  assert_ok(bpr_balance(&t, 0, &error));
  assert_null(t.keep);
  assert_ok(bpr_balance(&t, 0.5, &error));
  for (uint32_t i = 0; i < WARM; i++) {
    uint32_t below = 0, equal = 0;
    for (uint32_t k = 0; k < WARM; k++) below += w->train.popularity[k] < w->train.popularity[i];
    for (uint32_t k = 0; k < WARM; k++) equal += w->train.popularity[k] == w->train.popularity[i];
    if (below <= (WARM - 1) / 2 && (WARM - 1) / 2 < below + equal) median = (double)w->train.popularity[i];
  }
  for (uint32_t i = 0; i < ITEMS; i++) {
    double count = (double)w->train.popularity[i];
    assert_near(t.keep[i] / 4294967295.0, count > median ? sqrt(median / count) : 1, 1e-6);
  }
  bpr_training_deinit(&t);
  world_free(w);
}

/* Beyond DENSE_ITEMS_MAX the matrix is sparse, and says the same. */
static void test_slim_of_a_large_catalogue(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  interactions large = w->train;
  uint32_t items = 9000;
  history h = history_of(5);
  recommender *small = row_fit(&(struct recommend_row){"slim", NULL, {0}, 0}, w), *model = NULL;
  recommender_data data = {.train = &large, .seed = 5};
  double values[RECOMMENDER_SETTINGS_MAX];
  float *scores = malloc(items * sizeof *scores), expected[ITEMS];
  large.by_user.columns = large.by_item.rows = items;
  large.by_item.start = malloc((items + 1) * sizeof *large.by_item.start);
  for (uint32_t i = 0; i <= items; i++) large.by_item.start[i] = w->train.by_item.start[i < ITEMS ? i : ITEMS];
  recommender_defaults(small->kind, values);
  assert_ok(small->kind->fit(&data, values, NULL, &model, &error));
  score_of(small, &h, expected);
  score_of(model, &h, scores);
  for (uint32_t i = 0; i < items; i++)
    assert_near((double)scores[i], i < ITEMS ? (double)expected[i] : 0, 1e-5 * (1 + fabs((double)scores[i])));
  free(large.by_item.start);
  free(scores);
  model->kind->free(model);
  small->kind->free(small);
  world_free(w);
}

static void test_ease_declines_what_does_not_fit(void **state) {
  (void)state;
  medley_error error;
  uint32_t items = 20001;
  float *popularity = malloc(items * sizeof *popularity);
  for (uint32_t i = 0; i < items; i++) popularity[i] = 1;
  interactions train = {.by_user = {.columns = items}, .popularity = popularity};
  recommender_data data = {.train = &train};
  assert_refused(recommender_kind_find("ease")->accepts(&data, &error), MEDLEY_ERR_LIMIT, "20000 items");
  popularity[7] = 0;
  assert_ok(recommender_kind_find("ease")->accepts(&data, &error));
  free(popularity);
}

/* ---- memory that runs out ---- */

#ifdef MEDLEY_FAULTS
/* Runs `step` with the n-th allocation failing, for n = 1, 2, … until it gets through. A step may do without what
 * failed (a thread that has no work left), but then its result is checked by itself to be the same. */
static void with_faults(const char *what, medley_status (*step)(void *context, medley_error *err), void *context) {
  for (long n = 1;; n = n < 60 ? n + 1 : n + n / 7) {
    medley_error error = {0};
    memory_fault_after(n);
    medley_status status = step(context, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    if (!struck) {
      if (status != MEDLEY_OK) fail_msg("%s: %s", what, error.text);
      return;
    }
    if (status == MEDLEY_OK) continue;
    if (status != MEDLEY_ERR_MEMORY || strstr(error.text, "memory") == NULL)
      fail_msg("%s: allocation %ld failed: '%s' (%s)", what, n, error.text, medley_status_name(status));
  }
}

typedef struct fault_case {
  const struct recommend_row *row;
  world *w;
  recommender *model;
  const char *path;
  safetensors file;
  float expected[ITEMS];
} fault_case;

static medley_status fault_fit(void *context, medley_error *err) {
  fault_case *c = context;
  double values[RECOMMENDER_SETTINGS_MAX] = {0};
  recommender *model = NULL;
  medley_status status = row_values(c->row, values)->fit(&c->w->data, values, NULL, &model, err);
  if (status != MEDLEY_OK) {
    assert_null(model);
    return status;
  }
  float scores[ITEMS];
  history h = history_of(5);
  if (!memory_fault_struck()) memory_fault_after(0);
  score_of(model, &h, scores);
  if (memcmp(scores, c->expected, sizeof scores) != 0) fail_msg("%s: another model, and no error", c->row->name);
  model->kind->free(model);
  return status;
}

static medley_status fault_score(void *context, medley_error *err) {
  fault_case *c = context;
  recommender_scratch scratch = {0};
  history h = history_of(5);
  float scores[ITEMS], traced[5];
  medley_status status = c->model->kind->score(c->model, &h, &scratch, scores, err);
  if (status == MEDLEY_OK && c->model->kind->trace != NULL)
    status = c->model->kind->trace(c->model, &h, 3, &scratch, traced, err);
  recommender_scratch_deinit(&scratch);
  return status;
}

static medley_status fault_save(void *context, medley_error *err) {
  fault_case *c = context;
  safetensors_writer out = {0};
  medley_status status = c->model->kind->save(c->model, &out, "model.0", err);
  safetensors_writer_deinit(&out);
  return status;
}

static medley_status fault_load(void *context, medley_error *err) {
  fault_case *c = context;
  recommender_data data = loading_data(c->w);
  recommender *loaded = NULL;
  medley_status status = c->model->kind->load(&c->file, "model.0", &data, &loaded, err);
  if (status == MEDLEY_OK)
    loaded->kind->free(loaded);
  else
    assert_null(loaded);
  return status;
}

static void test_memory_runs_out(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  char folder[256], path[512];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  for (size_t i = 0; i < recommend_row_count; i++) {
    if (i > 0 && strcmp(recommend_rows[i].name, recommend_rows[i - 1].name) == 0) continue;
    fault_case c = {.row = &recommend_rows[i], .w = w, .path = path};
    history h = history_of(5);
    c.model = row_fit(&recommend_rows[i], w);
    score_of(c.model, &h, c.expected);
    with_faults(recommend_rows[i].name, fault_fit, &c);
    with_faults(recommend_rows[i].name, fault_score, &c);
    with_faults(recommend_rows[i].name, fault_save, &c);
    model_save(c.model, path);
    assert_ok(safetensors_open(&c.file, path, &error));
    with_faults(recommend_rows[i].name, fault_load, &c);
    safetensors_close(&c.file);
    c.model->kind->free(c.model);
  }
  assert_ok(folder_remove(folder, &error));
  world_free(w);
}
#endif

/* ---- the blend ---- */

static blend *blend_of(world *w, bool with_cold) {
  medley_error error;
  static const char *const names[] = {"popular", "ease", "content"};
  blend *b = mem_zalloc_aligned(1, sizeof *b);
  b->item_count = w->items;
  b->cold = mem_zalloc_aligned(w->items, 1);
  for (uint32_t i = 0; with_cold && i < w->items; i++) b->cold_count += b->cold[i] = w->train.popularity[i] == 0;
  b->cold_shift = -0.75f;
  for (size_t p = 0; p < 3; p++) {
    blend_part *part = &b->parts[b->count];
    const recommender_kind *kind = recommender_kind_find(names[p]);
    recommender_defaults(kind, part->values);
    assert_ok(kind->fit(&w->data, part->values, NULL, &part->model, &error));
    part->weight[BLEND_WARM] = 0.2f + 0.3f * (float)p;
    part->weight[BLEND_COLD] = kind->scores_cold_items ? 0.9f : 0;
    part->weight[BLEND_STRANGER] = kind->needs_history ? 0 : 0.4f;
    b->count++;
  }
  return b;
}

/* Σ_p w_p (s − μ)/σ, in double, with moments over all items for strangers and for models that score cold items, else
 * over the warm ones. */
static void blend_by_definition(const blend *b, const history *h, double *total) {
  float scores[ITEMS];
  bool stranger = h->count == 0;
  for (uint32_t i = 0; i < b->item_count; i++) total[i] = b->cold[i] && !stranger ? (double)b->cold_shift : 0;
  for (size_t p = 0; p < b->count; p++) {
    bool whole = stranger || b->parts[p].model->kind->scores_cold_items;
    double sum = 0, square = 0, count = 0;
    score_of(b->parts[p].model, h, scores);
    for (uint32_t i = 0; i < b->item_count; i++) {
      if (b->cold[i] && !whole) continue;
      sum += (double)scores[i];
      square += (double)scores[i] * (double)scores[i];
      count++;
    }
    double mean = count > 0 ? sum / count : 0, variance = count > 0 ? square / count - mean * mean : 0;
    for (uint32_t i = 0; i < b->item_count; i++) {
      double weight = (double)b->parts[p].weight[stranger ? BLEND_STRANGER : b->cold[i] ? BLEND_COLD : BLEND_WARM];
      if (variance > 1e-9 && weight > 0) total[i] += weight * ((double)scores[i] - mean) / sqrt(variance);
    }
  }
}

static void test_blend_parts_add_up(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  for (int with_cold = 0; with_cold < 2; with_cold++) {
    blend *b = blend_of(w, with_cold);
    for (size_t count = 0; count <= 5; count++) {
      history h = history_of(count);
      recommender_scratch scratch = {0};
      float total[ITEMS], parts[5 * ITEMS], scales[6], alone[ITEMS];
      double expected[ITEMS];
      assert_ok(blend_score(b, &h, &scratch, total, parts, scales, &error));
      assert_ok(blend_score(b, &h, &scratch, alone, NULL, NULL, &error));
      assert_memory_equal(total, alone, sizeof total);
      blend_by_definition(b, &h, expected);
      for (uint32_t i = 0; i < ITEMS; i++) {
        double sum = 0;
        for (size_t p = 0; p <= b->count; p++) sum += (double)parts[p * ITEMS + i];
        assert_near(sum, (double)total[i], 1e-5);
        assert_near((double)total[i], expected[i], 1e-4);
        assert_near((double)parts[3 * ITEMS + i], b->cold[i] && count > 0 ? (double)b->cold_shift : 0, 0);
      }
      recommender_scratch_deinit(&scratch);
    }
    blend_free(b);
  }
  world_free(w);
}

/* A history of which no model knows anything is answered as none is. */
static void test_silent_histories_are_strangers(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  blend *b = blend_of(w, true);
  uint32_t item = 0;
  const float weight = 1;
  while (!b->cold[item]) item++;
  b->parts[2].weight[BLEND_WARM] = b->parts[2].weight[BLEND_COLD] = 0; /* what reads content */
  history known = {.item = &item, .weight = &weight, .count = 1, .now_s = STORE_TIME_UNKNOWN}, none = history_of(0);
  recommender_scratch scratch = {0};
  float silent[ITEMS], stranger[ITEMS];
  assert_ok(blend_score(b, &known, &scratch, silent, NULL, NULL, &error));
  assert_ok(blend_score(b, &none, &scratch, stranger, NULL, NULL, &error));
  assert_memory_equal(silent, stranger, sizeof silent);
  recommender_scratch_deinit(&scratch);
  blend_free(b);
  world_free(w);
}

static void test_blend_saved_loaded_and_refused(void **state) {
  (void)state;
  medley_error error;
  world *w = world_create(USERS, ITEMS, WARM);
  blend *b = blend_of(w, true), *loaded = NULL;
  char folder[256], path[512];
  json_t *manifest = json_object();
  safetensors_writer out = {0};
  safetensors file = {0};
  recommender_data data = loading_data(w);
  data.item_count = 0; /* the blend knows it itself */
  test_folder(folder);
  snprintf(path, sizeof path, "%s/models.safetensors", folder);
  assert_ok(blend_save(b, &out, manifest, &error));
  assert_ok(safetensors_save(&out, path, &error));
  safetensors_writer_deinit(&out);
  assert_ok(safetensors_open(&file, path, &error));
  assert_ok(blend_load(&file, manifest, &data, &loaded, &error));
  history h = history_of(5);
  recommender_scratch scratch = {0};
  float before[ITEMS], after[ITEMS];
  assert_ok(blend_score(b, &h, &scratch, before, NULL, NULL, &error));
  assert_ok(blend_score(loaded, &h, &scratch, after, NULL, NULL, &error));
  assert_memory_equal(before, after, sizeof before);
  recommender_scratch_deinit(&scratch);
  blend_free(loaded);

  static const struct {
    const char *manifest;
    medley_status status;
    const char *words;
  } refusals[] = {
      {"{\"blend\":[{\"model\":\"oracle\"}]}", MEDLEY_ERR_UNSUPPORTED, "oracle"},
      {"{\"blend\":[{}]}", MEDLEY_ERR_UNSUPPORTED, "'?'"},
      {"{\"blend\":[7]}", MEDLEY_ERR_UNSUPPORTED, "'?'"},
      {"{\"blend\":[{\"model\":\"ease\",\"weight_warm\":1}]}", MEDLEY_ERR_CORRUPT, "model.0"},
      {"{\"blend\":[{\"model\":\"popular\",\"weight_warm\":1e300}]}", MEDLEY_ERR_CORRUPT, "no number"},
      {"{\"blend\":[],\"cold_shift\":1e300}", MEDLEY_ERR_CORRUPT, "no number"},
      {"{\"blend\":[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1]}",
       MEDLEY_ERR_CORRUPT, "41 models"},
  };
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    json_t *bad = NULL;
    assert_ok(json_parse(refusals[i].manifest, strlen(refusals[i].manifest), "manifest", &bad, &error));
    loaded = NULL;
    assert_refused(blend_load(&file, bad, &data, &loaded, &error), refusals[i].status, refusals[i].words);
    assert_null(loaded);
    json_decref(bad);
  }
  safetensors_close(&file);
  json_decref(manifest);
  blend_free(b);
  assert_ok(folder_remove(folder, &error));
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_kind_has_a_row),
      cmocka_unit_test(test_slow_twins),
      cmocka_unit_test(test_modalities_never_lower_the_fit),
      cmocka_unit_test(test_pairs_are_found),
      cmocka_unit_test(test_metric_by_definition),
      cmocka_unit_test(test_traces_sum_to_the_score),
      cmocka_unit_test(test_splits_sum_to_the_score),
      cmocka_unit_test(test_saved_and_loaded),
      cmocka_unit_test(test_tampered_files),
      cmocka_unit_test(test_cold_items_and_strangers),
      cmocka_unit_test(test_strangers_with_friends_and_traits),
      cmocka_unit_test(test_tiny_worlds),
      cmocka_unit_test(test_pairs_are_put_in_order),
      cmocka_unit_test(test_events_are_balanced),
      cmocka_unit_test(test_slim_of_a_large_catalogue),
      cmocka_unit_test(test_ease_declines_what_does_not_fit),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_memory_runs_out),
#endif
      cmocka_unit_test(test_blend_parts_add_up),
      cmocka_unit_test(test_silent_histories_are_strangers),
      cmocka_unit_test(test_blend_saved_loaded_and_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
