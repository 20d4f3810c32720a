/* tests/unit/recommend_twins_trained.c: what models that are trained say, once more in double precision from the
 * parameters in their files. What training does to them is held by test_recommend_trained.c. */
#include "base/file.h"
#include "recommend/feature_model.h"
#include "recommend_twins.h"
#include "test.h"

/* ---- a model's parameters ---- */

typedef struct kept {
  safetensors file;
  char folder[256];
} kept;

static void kept_open(kept *k, const recommender *model) {
  medley_error error;
  char path[512];
  safetensors_writer out = {0};
  test_folder(k->folder);
  snprintf(path, sizeof path, "%s/model.safetensors", k->folder);
  assert_ok(model->kind->save(model, &out, "m", &error));
  assert_ok(safetensors_save(&out, path, &error));
  safetensors_writer_deinit(&out);
  assert_ok(safetensors_open(&k->file, path, &error));
}

static void kept_close(kept *k) {
  medley_error error;
  safetensors_close(&k->file);
  assert_ok(folder_remove(k->folder, &error));
}

static const float *kept_get(const kept *k, const char *name) {
  char full[128];
  snprintf(full, sizeof full, "m.%s", name);
  for (size_t t = 0; t < k->file.count; t++)
    if (strcmp(k->file.tensors[t].name, full) == 0) return k->file.tensors[t].data;
  fail_msg("no tensor %s", full);
  return NULL;
}

#define WIDE 64

/* y [out] = W x + b for "<name>.weight" [out, in] and "<name>.bias"; bias NULL: none. */
static void linear_of(const kept *k, const char *weight, const char *bias, const double *x, size_t in, double *y,
                      size_t out) {
  const float *w = kept_get(k, weight), *b = bias != NULL ? kept_get(k, bias) : NULL;
  for (size_t o = 0; o < out; o++) {
    y[o] = b != NULL ? (double)b[o] : 0;
    for (size_t i = 0; i < in; i++) y[o] += (double)w[o * in + i] * x[i];
  }
}

static void norm_of(const kept *k, const char *weight, const char *bias, const double *x, size_t dim, double *y) {
  const float *w = kept_get(k, weight), *b = kept_get(k, bias);
  double mean = 0, square = 0;
  for (size_t d = 0; d < dim; d++) mean += x[d] / (double)dim;
  for (size_t d = 0; d < dim; d++) square += (x[d] - mean) * (x[d] - mean) / (double)dim;
  for (size_t d = 0; d < dim; d++) y[d] = (x[d] - mean) / sqrt(square + 1e-5) * (double)w[d] + (double)b[d];
}

/* ---- over the graph ---- */

/* Messages as dense sums from the factors alone: what the file says of them is not read. */
void twin_tag_cf(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  kept k;
  size_t dim = (size_t)values[4];
  kept_open(&k, r);
  const float *kept_factors = kept_get(&k, "factors"), *bias = kept_get(&k, "bias");
  double unobserved = (double)kept_get(&k, "unobserved")[0], lambda = (double)kept_get(&k, "regularisation")[0];
  double scale = (double)kept_get(&k, "scale")[0], active = 0, c[ITEMS], x[WIDE], known[ITEMS] = {0};
  double factors[ITEMS * WIDE], found[ITEMS * WIDE];
  for (size_t i = 0; i < w->items * dim; i++) found[i] = factors[i] = (double)kept_factors[i];
  for (uint32_t i = 0; i < w->items; i++) {
    for (size_t d = 0; d < dim; d++) known[i] += fabs(factors[i * dim + d]);
    active += known[i] > 0;
  }
  for (uint32_t u = 0; u < w->users; u++) {
    const sparse *by_user = &w->train.by_user;
    double count = (double)(by_user->start[u + 1] - by_user->start[u]);
    memset(c, 0, sizeof c);
    for (uint64_t e = by_user->start[u]; e < by_user->start[u + 1]; e++)
      c[by_user->column[e]] = (double)by_user->value[e];
    ials_row(factors, w->items, dim, unobserved, lambda * (count + unobserved * active), c, 0, x);
    for (uint32_t i = 0; i < w->items; i++)
      for (size_t d = 0; c[i] > 0 && d < dim; d++)
        found[i * dim + d] +=
            values[0] * c[i] * pow((double)w->train.popularity[i], values[1]) * pow(count, values[2]) * scale * x[d];
  }
  memset(c, 0, sizeof c);
  for (size_t j = 0; j < h->count; j++) c[h->item[j]] = (double)h->weight[j];
  ials_row(factors, w->items, dim, unobserved, lambda * ((double)h->count + unobserved * active), c, 0, x);
  for (size_t d = 0; d < dim; d++) {
    x[d] *= scale;
    for (uint32_t i = 0; i < w->items; i++)
      if (w->train.popularity[i] > 0)
        x[d] += values[0] * c[i] * pow((double)h->count, values[1]) * pow((double)w->train.popularity[i], values[2]) *
                factors[i * dim + d];
  }
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = (double)bias[i];
    for (size_t d = 0; d < dim; d++) scores[i] += x[d] * found[i * dim + d];
  }
  kept_close(&k);
}

void twin_graph_model(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  kept k;
  size_t dim = (size_t)values[4];
  double mass = 0;
  kept_open(&k, r);
  const float *said = kept_get(&k, "said"), *own = kept_get(&k, "own");
  for (size_t j = 0; j < h->count; j++) mass += (double)h->weight[j];
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = 0;
    for (size_t j = 0; j < h->count; j++)
      for (size_t d = 0; d < dim; d++)
        scores[i] += (double)h->weight[j] / sqrt(mass) * (double)said[h->item[j] * dim + d] * (double)own[i * dim + d];
  }
  kept_close(&k);
}

/* ---- sequences ---- */

/* scores = m y; nothing is unknown in the world's histories. */
static void items_score(const kept *k, uint32_t items, size_t dim, const double *y, double *scores) {
  const float *m = kept_get(k, "vectors");
  double least = INFINITY;
  for (uint32_t i = 0; i < items; i++) {
    double length = 0;
    scores[i] = 0;
    for (size_t d = 0; d < dim; d++) scores[i] += (double)m[i * dim + d] * y[d], length += fabs((double)m[i * dim + d]);
    if (length == 0)
      scores[i] = NAN;
    else if (scores[i] < least)
      least = scores[i];
  }
  for (uint32_t i = 0; i < items; i++)
    if (isnan(scores[i])) scores[i] = least;
}

/* x [count, dim] of what the network reads of a history, which is in order of time; returns count. */
static size_t sequence_rows(const kept *k, const double *values, const history *h, bool places, double x[][WIDE]) {
  size_t dim = (size_t)values[6], longest = (size_t)values[7], count = 0;
  uint32_t item[8];
  int64_t time_s[8];
  const float *m = kept_get(k, "vectors");
  for (size_t j = 0; j < h->count; j++) {
    double length = 0;
    for (size_t d = 0; d < dim; d++) length += fabs((double)m[h->item[j] * dim + d]);
    if (length > 0) item[count] = h->item[j], time_s[count++] = h->time_s[j];
  }
  size_t skip = count > longest ? count - longest : 0;
  for (size_t j = skip; j < count; j++) {
    size_t gap = 0;
    if (j > skip) gap = (size_t)(1 + log2(1 + (double)(time_s[j] - time_s[j - 1]) / 60));
    for (size_t d = 0; d < dim; d++) {
      x[j - skip][d] = sqrt((double)dim) * (double)m[item[j] * dim + d];
      if (places) x[j - skip][d] += (double)kept_get(k, "place.weight")[(count - 1 - j) * dim + d];
      if (values[10] > 0) x[j - skip][d] += (double)kept_get(k, "gap.weight")[gap * dim + d];
    }
  }
  return count - skip;
}

/* One block on the rows x [count, dim]. */
static void sasrec_block(const kept *k, const char *block, size_t count, size_t dim, size_t heads, double x[][WIDE]) {
  double normed[8][WIDE], qkv[8][3 * WIDE], said[WIDE], y[WIDE], wide[WIDE];
  char a[64], b[64];
  size_t each = dim / heads;
#define NAMES(what, first, second) \
  (snprintf(a, sizeof a, "%s.%s%s", block, what, first), snprintf(b, sizeof b, "%s.%s%s", block, what, second), a)
  for (size_t i = 0; i < count; i++) {
    NAMES("norm1", ".weight", ".bias");
    norm_of(k, a, b, x[i], dim, normed[i]);
    NAMES("self_attn", ".in_proj_weight", ".in_proj_bias");
    linear_of(k, a, b, normed[i], dim, qkv[i], 3 * dim);
  }
  for (size_t i = 0; i < count; i++) {
    for (size_t head = 0; head < heads; head++) {
      double share[8], sum = 0;
      for (size_t j = 0; j <= i; j++) {
        share[j] = 0;
        for (size_t d = head * each; d < (head + 1) * each; d++) share[j] += qkv[i][d] * qkv[j][dim + d];
        sum += share[j] = exp(share[j] / sqrt((double)each));
      }
      for (size_t d = head * each; d < (head + 1) * each; d++) {
        said[d] = 0;
        for (size_t j = 0; j <= i; j++) said[d] += share[j] / sum * qkv[j][2 * dim + d];
      }
    }
    NAMES("self_attn.out_proj", ".weight", ".bias");
    linear_of(k, a, b, said, dim, y, dim);
    for (size_t d = 0; d < dim; d++) x[i][d] += y[d];
  }
  for (size_t i = 0; i < count; i++) {
    NAMES("norm2", ".weight", ".bias");
    norm_of(k, a, b, x[i], dim, y);
    NAMES("linear1", ".weight", ".bias");
    linear_of(k, a, b, y, dim, wide, dim);
    for (size_t d = 0; d < dim; d++) wide[d] = wide[d] > 0 ? wide[d] : 0;
    NAMES("linear2", ".weight", ".bias");
    linear_of(k, a, b, wide, dim, y, dim);
    for (size_t d = 0; d < dim; d++) x[i][d] += y[d];
  }
#undef NAMES
}

void twin_sasrec(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  kept k;
  double x[8][WIDE], y[WIDE];
  char block[32];
  kept_open(&k, r);
  size_t dim = (size_t)values[6], count = sequence_rows(&k, values, h, true, x);
  for (int layer = 0; layer < (int)values[2]; layer++) {
    snprintf(block, sizeof block, "blocks.%d", layer);
    sasrec_block(&k, block, count, dim, (size_t)values[11], x);
  }
  norm_of(&k, "norm.weight", "norm.bias", x[count - 1], dim, y);
  items_score(&k, w->items, dim, y, scores);
  kept_close(&k);
}

void twin_gru4rec(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  kept k;
  double x[8][WIDE];
  kept_open(&k, r);
  size_t dim = (size_t)values[6], count = sequence_rows(&k, values, h, false, x);
  for (int layer = 0; layer < (int)values[2]; layer++) {
    double state[WIDE] = {0}, in[3 * WIDE], own[3 * WIDE];
    char name[4][32];
    static const char *const parts[] = {"gru.weight_ih_l%d", "gru.bias_ih_l%d", "gru.weight_hh_l%d", "gru.bias_hh_l%d"};
    for (int i = 0; i < 4; i++) snprintf(name[i], sizeof name[i], parts[i], layer);
    for (size_t s = 0; s < count; s++) {
      linear_of(&k, name[0], name[1], x[s], dim, in, 3 * dim);
      linear_of(&k, name[2], name[3], state, dim, own, 3 * dim);
      for (size_t d = 0; d < dim; d++) {
        double reset = 1 / (1 + exp(-in[d] - own[d])), update = 1 / (1 + exp(-in[dim + d] - own[dim + d]));
        double new = tanh(in[2 * dim + d] + reset * own[2 * dim + d]);
        x[s][d] = state[d] = new + update *(state[d] - new);
      }
    }
  }
  items_score(&k, w->items, dim, x[count - 1], scores);
  kept_close(&k);
}

/* ---- multvae, autoencoder ---- */

void twin_multvae(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  kept k;
  size_t hidden = (size_t)values[2], code = (size_t)values[3];
  double inner[WIDE], z[WIDE], wide[WIDE], logits[ITEMS], square = 0, least = INFINITY;
  kept_open(&k, r);
  const float *rows = kept_get(&k, "items.weight"), *bias = kept_get(&k, "items.bias");
  for (size_t j = 0; j < h->count; j++)
    if (w->train.popularity[h->item[j]] > 0) square += (double)h->weight[j] * (double)h->weight[j];
  for (size_t d = 0; d < hidden; d++) {
    inner[d] = (double)bias[d];
    for (size_t j = 0; j < h->count; j++)
      if (w->train.popularity[h->item[j]] > 0)
        inner[d] += (double)h->weight[j] / sqrt(square) * (double)rows[h->item[j] * hidden + d];
    inner[d] = tanh(inner[d]);
  }
  linear_of(&k, "mean.weight", "mean.bias", inner, hidden, z, code);
  linear_of(&k, "wide.weight", "wide.bias", z, code, wide, hidden);
  for (size_t d = 0; d < hidden; d++) wide[d] = tanh(wide[d]);
  linear_of(&k, "logits.weight", "logits.bias", wide, hidden, logits, w->items);
  for (uint32_t i = 0; i < w->items; i++)
    if (w->train.popularity[i] > 0 && logits[i] < least) least = logits[i];
  for (uint32_t i = 0; i < w->items; i++) scores[i] = w->train.popularity[i] > 0 ? logits[i] - least : 0;
  kept_close(&k);
}

/* ---- features and several goals ---- */

enum { WORLD_GOALS = 2, SIDES = WORLD_GOALS + 1, EXPERTS = 9 }; /* the world's people click and buy */

/* One pair of a person and an item, as every network of the family reads it. */
typedef struct pair {
  const kept *k;
  size_t dim, hidden, person_width, item_width;
  double person[WIDE], item[WIDE], person_sum[WIDE], item_sum[WIDE], product[WIDE];
} pair;

static bool item_known(const float *vectors, uint32_t item, size_t width) {
  for (size_t d = 0; d < width; d++)
    if (vectors[item * width + d] != 0) return true;
  return false;
}

static void person_of(pair *x, const history *h, size_t bags) {
  const float *heard = kept_get(x->k, "heard"), *vectors = kept_get(x->k, "vectors");
  double sum[WORLD_GOALS] = {0};
  size_t count = 0, class = 0;
  memset(x->person, 0, sizeof x->person);
  for (size_t j = 0; j < h->count; j++) {
    if (!item_known(vectors, h->item[j], x->item_width)) continue;
    size_t g = bags > 1 && h->weight[j] >= 3 ? 1 : 0;
    for (size_t d = 0; d < x->dim; d++)
      x->person[g * x->dim + d] += (double)h->weight[j] * (double)heard[h->item[j] * x->dim + d];
    sum[g] += (double)h->weight[j];
    count++;
  }
  while (count >> (class + 1) != 0) class ++;
  for (size_t d = 0; d < x->dim; d++) {
    for (size_t g = 0; g < bags; g++) x->person[g * x->dim + d] /= sum[g] > 0 ? sum[g] : 1;
    x->person[bags * x->dim + d] = (double)kept_get(x->k, "sizes.weight")[class * x->dim + d];
  }
  x->person_width = (bags + 3) * x->dim;
  for (size_t k = 0; k < h->trait_count; k++) {
    size_t field = h->trait[k] >= 2, same = 0;
    for (size_t j = 0; j < h->trait_count; j++) same += (h->trait[j] >= 2) == field;
    for (size_t d = 0; d < x->dim; d++)
      x->person[(bags + 1 + field) * x->dim + d] +=
          (double)kept_get(x->k, "traits.weight")[h->trait[k] * x->dim + d] / (double)same;
  }
}

static void item_of(pair *x, uint32_t item) {
  const float *vectors = kept_get(x->k, "vectors");
  for (size_t d = 0; d < x->item_width; d++) x->item[d] = (double)vectors[item * x->item_width + d];
  memset(x->person_sum, 0, sizeof x->person_sum);
  memset(x->item_sum, 0, sizeof x->item_sum);
  for (size_t d = 0; d < x->person_width; d++) x->person_sum[d % x->dim] += x->person[d];
  for (size_t d = 0; d < x->item_width; d++) x->item_sum[d % x->dim] += x->item[d];
  for (size_t d = 0; d < x->dim; d++) x->product[d] = x->person_sum[d] * x->item_sum[d];
}

/* A layer called "<form><number>.<end>", form with a %zu. */
static void named_linear(const kept *k, const char *form, size_t number, const char *end, bool bias, const double *x,
                         size_t in, double *y, size_t out) {
  char name[64], weight[96], shift[96];
  snprintf(name, sizeof name, "%s%zu", form, number);
  if (form[strlen(form) - 1] != '.') snprintf(name, sizeof name, "%s", form);
  snprintf(weight, sizeof weight, "%s%s.weight", name, end);
  snprintf(shift, sizeof shift, "%s%s.bias", name, end);
  linear_of(k, weight, bias ? shift : NULL, x, in, y, out);
}

static void relu_all(double *x, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] = fmax(0, x[i]);
}

/* What both sides give to a layer [out]; form and number as above. */
static void sides_of(const pair *x, const char *form, size_t number, double *y, size_t out) {
  double side[WIDE];
  named_linear(x->k, form, number, ".item", true, x->item, x->item_width, y, out);
  named_linear(x->k, form, number, ".person", false, x->person, x->person_width, side, out);
  for (size_t o = 0; o < out; o++) y[o] += side[o];
}

static void tower_of(const pair *x, const char *form, size_t number, double *y) {
  double inner[WIDE], product[WIDE];
  sides_of(x, form, number, inner, x->hidden);
  named_linear(x->k, form, number, ".product", false, x->product, x->dim, product, x->hidden);
  for (size_t o = 0; o < x->hidden; o++) inner[o] += product[o];
  relu_all(inner, x->hidden);
  named_linear(x->k, form, number, ".next", true, inner, x->hidden, y, x->hidden / 2);
  relu_all(y, x->hidden / 2);
}

/* y [width] = the mean of experts [count] by softmax of gate [count]. */
static void mix_of(const double *gate, double expert[][WIDE], const size_t *which, size_t count, size_t width,
                   double *y) {
  double sum = 0;
  for (size_t e = 0; e < count; e++) sum += exp(gate[e]);
  for (size_t d = 0; d < width; d++) {
    y[d] = 0;
    for (size_t e = 0; e < count; e++) y[d] += exp(gate[e]) / sum * expert[which[e]][d];
  }
}

static double head_of(const pair *x, size_t goal, const double *inputs) {
  double inner[WIDE], y;
  size_t width = x->hidden / 2;
  named_linear(x->k, "heads.", goal, "", true, inputs, width, inner, width);
  relu_all(inner, width);
  named_linear(x->k, "outs.", goal, "", true, inner, width, &y, 1);
  return y;
}

/* Logits of the goals by the family's networks. */
typedef void (*goals_twin)(const pair *x, const double *values, double logit[WORLD_GOALS]);

static void twin_goals(const world *w, const double *values, const recommender *r, const history *h, size_t bags,
                       goals_twin by_definition, double *scores) {
  kept k;
  double least = INFINITY, logit[WORLD_GOALS], weight[] = {values[FEATURE_CLICK], values[FEATURE_BUY]};
  kept_open(&k, r);
  pair x = {.k = &k, .dim = (size_t)values[2], .hidden = (size_t)values[3]};
  x.item_width = x.dim * (values[6] > 0 ? 1 + w->data.feature_count : 1);
  person_of(&x, h, bags);
  for (uint32_t i = 0; i < w->items; i++) {
    double prior = (double)kept_get(&k, "prior")[i];
    double even = 0.5 + 0.5 * w->items * (double)w->train.popularity[i] / (double)sparse_count(&w->train.by_user);
    assert_near(prior, log(even), 1e-5);
    item_of(&x, i);
    by_definition(&x, values, logit);
    scores[i] = 0;
    for (size_t g = 0; g < bags; g++) scores[i] += (bags > 1 ? weight[g] : 1) * (logit[g] + prior);
    if (!item_known(kept_get(&k, "vectors"), i, x.item_width))
      scores[i] = NAN;
    else if (scores[i] < least)
      least = scores[i];
  }
  for (uint32_t i = 0; i < w->items; i++)
    if (isnan(scores[i])) scores[i] = least;
  kept_close(&k);
}

static void deepfm_logit(const pair *x, const double *values, double *logit) {
  double deep[WIDE], order, fields[2 * WIDE];
  (void)values;
  size_t count = (x->person_width + x->item_width) / x->dim;
  memcpy(fields, x->person, x->person_width * sizeof *fields);
  memcpy(fields + x->person_width, x->item, x->item_width * sizeof *fields);
  tower_of(x, "deep", 0, deep);
  named_linear(x->k, "out", 0, "", true, deep, x->hidden / 2, logit, 1);
  sides_of(x, "order", 0, &order, 1);
  *logit += order;
  for (size_t a = 0; a < count; a++)
    for (size_t b = 0; b < a; b++)
      for (size_t d = 0; d < x->dim; d++) *logit += fields[a * x->dim + d] * fields[b * x->dim + d];
}

static void shared_bottom_logits(const pair *x, const double *values, double *logit) {
  double bottom[WIDE];
  (void)values;
  tower_of(x, "bottom", 0, bottom);
  for (size_t g = 0; g < WORLD_GOALS; g++) logit[g] = head_of(x, g, bottom);
}

static void mmoe_logits(const pair *x, const double *values, double *logit) {
  static const size_t all[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  double expert[EXPERTS][WIDE], gate[EXPERTS], heard[WIDE];
  size_t experts = (size_t)values[FEATURE_EXPERTS];
  for (size_t e = 0; e < experts; e++) tower_of(x, "experts.", e, expert[e]);
  for (size_t g = 0; g < WORLD_GOALS; g++) {
    sides_of(x, "gates.", g, gate, experts);
    mix_of(gate, expert, all, experts, x->hidden / 2, heard);
    logit[g] = head_of(x, g, heard);
  }
}

static void ple_logits(const pair *x, const double *values, double *logit) {
  static const size_t all[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  double expert[EXPERTS][WIDE], inner[EXPERTS][WIDE], gate[EXPERTS], side[SIDES][WIDE], heard[WIDE];
  size_t experts = (size_t)values[FEATURE_EXPERTS], width = x->hidden / 2, seen[EXPERTS];
  for (size_t e = 0; e < SIDES * experts; e++) tower_of(x, "experts.", e, expert[e]);
  for (size_t s = 0; s < SIDES; s++) {
    for (size_t e = 0; e < experts; e++) seen[e] = s * experts + e, seen[experts + e] = WORLD_GOALS * experts + e;
    size_t count = s < WORLD_GOALS ? 2 * experts : SIDES * experts;
    sides_of(x, "gates.", s, gate, count);
    mix_of(gate, expert, s < WORLD_GOALS ? seen : all, count, width, side[s]);
  }
  for (size_t e = 0; e < SIDES * experts; e++) {
    named_linear(x->k, "inner.", e, "", true, side[e / experts], width, inner[e], width);
    relu_all(inner[e], width);
  }
  for (size_t g = 0; g < WORLD_GOALS; g++) {
    for (size_t e = 0; e < experts; e++) seen[e] = g * experts + e, seen[experts + e] = WORLD_GOALS * experts + e;
    named_linear(x->k, "inner_gates.", g, "", true, side[g], width, gate, 2 * experts);
    mix_of(gate, inner, seen, 2 * experts, width, heard);
    logit[g] = head_of(x, g, heard);
  }
}

static void esmm_logits(const pair *x, const double *values, double *logit) {
  double inner[WIDE], step, chance = 1;
  (void)values;
  for (size_t g = 0; g < WORLD_GOALS; g++) {
    tower_of(x, "steps.", g, inner);
    named_linear(x->k, "outs.", g, "", true, inner, x->hidden / 2, &step, 1);
    chance /= 1 + exp(-step);
    logit[g] = log(chance / (1 - chance));
  }
}

#define GOALS_TWIN(name, bags, logits)                                                                             \
  void twin_##name(const world *w, const double *values, const recommender *r, const history *h, double *scores) { \
    twin_goals(w, values, r, h, bags, logits, scores);                                                             \
  }
GOALS_TWIN(deepfm, 1, deepfm_logit)
GOALS_TWIN(shared_bottom, WORLD_GOALS, shared_bottom_logits)
GOALS_TWIN(mmoe, WORLD_GOALS, mmoe_logits)
GOALS_TWIN(ple, WORLD_GOALS, ple_logits)
GOALS_TWIN(esmm, WORLD_GOALS, esmm_logits)
