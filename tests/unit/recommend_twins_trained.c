/* tests/unit/recommend_twins_trained.c: what models that are trained say, once more in double precision from the
 * parameters in their files. What training does to them is held by test_recommend_trained.c. */
#include "base/file.h"
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

/* y [out] = W x + b for "<name>.weight" [out, in] and "<name>.bias". */
static void linear_of(const kept *k, const char *weight, const char *bias, const double *x, size_t in, double *y,
                      size_t out) {
  const float *w = kept_get(k, weight), *b = kept_get(k, bias);
  for (size_t o = 0; o < out; o++) {
    y[o] = (double)b[o];
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

/* ---- multvae ---- */

void twin_multvae(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  kept k;
  size_t hidden = (size_t)values[3], code = (size_t)values[4];
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
