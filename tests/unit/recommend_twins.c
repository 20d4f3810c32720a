/* tests/unit/recommend_twins.c: see recommend_twins.h. */
#include "recommend_twins.h"

#include "base/memory.h"
#include "base/rng.h"
#include "recommend/communities.h"
#include "recommend/content_fuse.h"
#include "recommend/content_map.h"
#include "recommend/ease_fit.h"
#include "recommend/fold_in.h"
#include "test.h"

static double count_of(const world *w, uint32_t user) {
  return (double)(w->train.by_user.start[user + 1] - w->train.by_user.start[user]);
}

/* x_ui as a dense number. */
static double x_of(const world *w, uint32_t user, uint32_t item) {
  const sparse *x = &w->train.by_user;
  return sparse_has(x, user, item) ? (double)x->value[sparse_find(x, user, item)] : 0;
}

/* ---- slow twins: scores [items] by the definition, in double ---- */

void twin_popular(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)values, (void)r, (void)h;
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = 0;
    for (uint32_t u = 0; u < w->users; u++) scores[i] += x_of(w, u, i) > 0;
  }
}

void twin_demographic(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  for (uint32_t i = 0; i < w->items; i++) {
    double all = 0, people = 0;
    for (uint32_t u = 0; u < w->users; u++) {
      all += x_of(w, u, i) > 0;
      people += count_of(w, u) > 0;
    }
    scores[i] = values[2] * log(fmax(all, 0.5) / 0.5);
    for (size_t k = 0; k < h->trait_count && all > 0; k++) {
      double mine = 0, same = 0;
      for (uint32_t u = 0; u < w->users; u++)
        if (sparse_has(&w->traits.rows, u, h->trait[k])) mine += x_of(w, u, i) > 0;
      for (size_t j = 0; j < h->trait_count; j++) same += (h->trait[j] < 2) == (h->trait[k] < 2);
      scores[i] += values[1] / same * log(1 + mine / (values[0] * all / people));
    }
  }
}

void twin_trending(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r, (void)h;
  int64_t newest = 0;
  for (size_t e = 0; e < w->event_count; e++)
    if (w->event[e].time_s > newest) newest = w->event[e].time_s;
  memset(scores, 0, w->items * sizeof *scores);
  for (size_t e = 0; e < w->event_count; e++)
    scores[w->event[e].item] += pow(0.5, (double)(newest - w->event[e].time_s) / DAY / values[0]);
}

void twin_latest(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)values, (void)r, (void)h;
  int64_t born[ITEMS], newest = INT64_MIN;
  double oldest = 0;
  for (uint32_t i = 0; i < w->items; i++) {
    born[i] = w->born[i];
    for (size_t e = 0; e < w->event_count && w->born[i] == STORE_TIME_UNKNOWN; e++)
      if (w->event[e].item == i && (born[i] == STORE_TIME_UNKNOWN || w->event[e].time_s < born[i]))
        born[i] = w->event[e].time_s;
    if (born[i] > newest) newest = born[i];
  }
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = born[i] == STORE_TIME_UNKNOWN ? NAN : -log2(1 + (double)(newest - born[i]) / (7.0 * DAY));
    if (scores[i] < oldest) oldest = scores[i];
  }
  for (uint32_t i = 0; i < w->items; i++)
    if (isnan(scores[i])) scores[i] = oldest;
}

void twin_itemknn(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  for (uint32_t t = 0; t < w->items; t++) {
    scores[t] = 0;
    for (size_t j = 0; j < h->count; j++) {
      uint32_t other = h->item[j];
      double together = 0;
      if (other == t || w->train.popularity[t] == 0 || w->train.popularity[other] == 0) continue;
      for (uint32_t u = 0; u < w->users; u++)
        together += x_of(w, u, t) * x_of(w, u, other) * (count_of(w, u) > 0 ? pow(count_of(w, u), -2 * values[0]) : 0);
      scores[t] += (double)h->weight[j] * together * pow((double)w->train.popularity[t], -values[1]) *
                   pow((double)w->train.popularity[other], values[1] - 1);
    }
  }
}

/* Neighbours are taken one at a time, the most alike first, the smaller number first among equals. */
void twin_userknn(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  double alike[USERS], best = 0;
  memset(scores, 0, w->items * sizeof *scores);
  for (uint32_t u = 0; u < w->users; u++) {
    alike[u] = 0;
    for (size_t j = 0; j < h->count; j++)
      if (x_of(w, u, h->item[j]) > 0) alike[u] += (double)h->weight[j] / sqrt((double)w->train.popularity[h->item[j]]);
    alike[u] *= count_of(w, u) > 0 ? pow(count_of(w, u), -values[1]) : 0;
  }
  for (int n = 0; n < (int)values[0] && n < (int)w->users; n++) {
    uint32_t nearest = 0;
    for (uint32_t u = 1; u < w->users; u++)
      if (alike[u] > alike[nearest] * (1 + 1e-6)) nearest = u;
    if (!(alike[nearest] > 0)) break;
    if (n == 0) best = alike[nearest];
    for (uint32_t i = 0; i < w->items; i++)
      if (x_of(w, nearest, i) > 0) scores[i] += pow(alike[nearest] / best, values[2]);
    alike[nearest] = 0;
  }
}

/* The trust between two people, rows summing to one. */
static double trust_of(const world *w, uint32_t from, uint32_t to) {
  double sum = 0, mine = 0;
  for (uint64_t e = w->social.start[from]; e < w->social.start[from + 1]; e++) {
    sum += (double)w->social.value[e];
    if (w->social.column[e] == to) mine = (double)w->social.value[e];
  }
  return sum > 0 ? mine / sum : 0;
}

/* Every path of trust from `at` on, walked by itself. */
static void trust_paths(const world *w, const double *values, uint32_t at, int hop, double weight, double *reach) {
  reach[at] += weight * pow(values[1], hop - 1);
  for (uint32_t to = 0; to < w->users && hop < (int)values[0]; to++)
    if (trust_of(w, at, to) > 0) trust_paths(w, values, to, hop + 1, weight * trust_of(w, at, to), reach);
}

void twin_trust(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  double reach[USERS] = {0}, sum = 0;
  for (size_t f = 0; f < h->friend_count; f++) sum += (double)h->trust[f];
  for (size_t f = 0; f < h->friend_count; f++)
    trust_paths(w, values, h->friends[f], 1, (double)h->trust[f] / sum, reach);
  for (uint32_t i = 0; i < w->items; i++) {
    double count = (double)w->train.popularity[i];
    scores[i] = 0;
    for (uint32_t u = 0; u < w->users; u++)
      if (count_of(w, u) > 0) scores[i] += reach[u] * x_of(w, u, i) * pow(count_of(w, u), -values[2]);
    scores[i] *= count > 0 ? pow(count, -values[3]) : 0;
  }
}

/* The symmetric graph of communities: who follows whom, either way, added up. */
static void community_graph(const world *w, sparse *out) {
  medley_error error;
  sparse_entry *entries = calloc((size_t)w->users * w->users, sizeof *entries);
  size_t count = 0;
  for (uint32_t a = 0; a < w->users; a++)
    for (uint32_t b = 0; b < w->users; b++) {
      float one = sparse_has(&w->social, a, b) ? w->social.value[sparse_find(&w->social, a, b)] : 0;
      float other = sparse_has(&w->social, b, a) ? w->social.value[sparse_find(&w->social, b, a)] : 0;
      if (a != b && one + other > 0) entries[count++] = (sparse_entry){a, b, one + other};
    }
  assert_ok(sparse_from_entries(w->users, w->users, entries, count, SPARSE_SUM, out, &error));
  free(entries);
}

void twin_community(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  medley_error error;
  sparse graph;
  uint32_t label[USERS], communities;
  double members[USERS][ITEMS] = {{0}}, size[USERS] = {0}, by_friends[USERS] = {0}, by_history[USERS] = {0};
  double friends = 0, chosen = 0, people = 0;
  community_graph(w, &graph);
  assert_ok(communities_find(&graph, values[0], w->data.seed, label, &communities, &error));
  sparse_deinit(&graph);
  for (uint32_t u = 0; u < w->users; u++) {
    size[label[u]] += 1;
    people += 1;
    for (uint32_t i = 0; i < w->items; i++) members[label[u]][i] += x_of(w, u, i) > 0;
  }
  for (size_t f = 0; f < h->friend_count; f++) {
    by_friends[label[h->friends[f]]] += (double)h->trust[f];
    friends += (double)h->trust[f];
  }
  for (size_t j = 0; j < h->count; j++)
    for (uint32_t c = 0; c < communities && w->train.popularity[h->item[j]] > 0; c++) {
      double beyond = members[c][h->item[j]] / (double)w->train.popularity[h->item[j]] - size[c] / people;
      if (members[c][h->item[j]] == 0 || beyond <= 0) continue;
      by_history[c] += (double)h->weight[j] * beyond;
      chosen += (double)h->weight[j] * beyond;
    }
  for (uint32_t i = 0; i < w->items; i++) {
    double q = (double)w->train.popularity[i] / people, sum = 0, share = chosen > 0 ? values[3] : 1;
    for (uint32_t c = 0; c < communities; c++) {
      double belongs = share * by_friends[c] / friends + (chosen > 0 ? (1 - share) * by_history[c] / chosen : 0);
      sum += belongs * (members[c][i] + values[1] * q) / (size[c] + values[1]);
    }
    scores[i] = q > 0 ? (sum - q) * pow(q, -values[2]) : 0;
  }
}

/* out [items] = Xᵀ diag(d_u^−2a) X z */
static void graph_hop(const world *w, double exponent, const double *z, double *out) {
  memset(out, 0, w->items * sizeof *out);
  for (uint32_t u = 0; u < w->users; u++) {
    double sum = 0;
    for (uint32_t i = 0; i < w->items; i++) sum += x_of(w, u, i) * z[i];
    for (uint32_t i = 0; i < w->items && count_of(w, u) > 0; i++)
      out[i] += x_of(w, u, i) * sum * pow(count_of(w, u), -2 * exponent);
  }
}

static double deviation_of(const double *values, size_t count) {
  double sum = 0, square = 0;
  for (size_t i = 0; i < count; i++) sum += values[i] / (double)count;
  for (size_t i = 0; i < count; i++) square += (values[i] - sum) * (values[i] - sum) / (double)count;
  return sqrt(square);
}

/* out_i = Σ_j G_ij^sharpness z_j */
static void graph_sharp_hop(const world *w, double exponent, double sharpness, const double *z, double *out) {
  for (uint32_t i = 0; i < w->items; i++) {
    out[i] = 0;
    for (uint32_t j = 0; j < w->items; j++) {
      double together = 0;
      for (uint32_t u = 0; u < w->users; u++)
        together += count_of(w, u) > 0 ? x_of(w, u, i) * x_of(w, u, j) * pow(count_of(w, u), -2 * exponent) : 0;
      if (together > 0) out[i] += pow(together, sharpness) * z[j];
    }
  }
}

/* Places of graph_filter's settings. */
enum { SHARPNESS, USERS_BY, ITEMS_BY, HOP_4, HOP_2, HOP_3, CONTENT, NEIGHBOURS, OUTPUT_BY };

/* Terms of a history: four hops and content, each before its weight. */
static void graph_terms(const world *w, const double *values, const double *x, double terms[5][ITEMS],
                        double alike[ITEMS][ITEMS]) {
  double z[ITEMS], next[ITEMS], lambda = 0;
  for (uint32_t i = 0; i < w->items; i++) z[i] = w->train.popularity[i] > 0 ? 1.0 / (double)w->event_count : 0;
  graph_hop(w, values[USERS_BY], z, next);
  for (uint32_t i = 0; i < w->items; i++) lambda += next[i];
  for (uint32_t i = 0; i < w->items; i++)
    z[i] = w->train.popularity[i] > 0 ? x[i] * pow((double)w->train.popularity[i], -values[ITEMS_BY]) : 0;
  for (int k = 0; k < 4; k++) {
    double first[ITEMS];
    if (k == 0) graph_sharp_hop(w, values[USERS_BY], values[SHARPNESS], z, first);
    graph_hop(w, values[USERS_BY], z, next);
    for (uint32_t i = 0; i < w->items; i++) {
      double count = (double)w->train.popularity[i];
      terms[k][i] = count > 0 ? (k == 0 ? first : next)[i] * pow(count, -values[OUTPUT_BY]) : 0;
      z[i] = count > 0 ? next[i] / count / lambda : 0;
    }
  }
  for (uint32_t i = 0; i < w->items; i++) {
    terms[4][i] = 0;
    for (uint32_t j = 0; j < w->items; j++) terms[4][i] += x[j] * (alike[i][j] + alike[j][i]);
  }
}

/* cosine [items][items] of one modality, centred; 0 with itself and with what lacks it. */
static void graph_cosines(const features *f, double cosine[ITEMS][ITEMS]) {
  double rows[ITEMS][TEXT_DIM + TAGS_DIM] = {0}, mean[TEXT_DIM + TAGS_DIM] = {0}, present = 0;
  for (size_t i = 0; i < f->count; i++) present += f->present[i];
  for (size_t i = 0; i < f->count; i++)
    for (size_t d = 0; f->present[i] && d < f->dim; d++) mean[d] += (double)f->values[i * f->dim + d] / present;
  for (size_t i = 0; i < f->count; i++)
    for (size_t d = 0; f->present[i] && d < f->dim; d++) rows[i][d] = (double)f->values[i * f->dim + d] - mean[d];
  for (size_t i = 0; i < f->count; i++)
    for (size_t j = 0; j < f->count; j++) {
      double dot = 0, a = 0, b = 0;
      for (size_t d = 0; d < f->dim; d++) {
        dot += rows[i][d] * rows[j][d];
        a += rows[i][d] * rows[i][d];
        b += rows[j][d] * rows[j][d];
      }
      cosine[i][j] = i != j && a > 0 && b > 0 ? dot / sqrt(a * b) : 0;
    }
}

/* near [items][items]: of each row the k greatest cosines above zero, summing to one. */
static void graph_nearest(const features *f, size_t k, double near[ITEMS][ITEMS]) {
  double cosine[ITEMS][ITEMS];
  graph_cosines(f, cosine);
  for (size_t i = 0; i < f->count; i++) {
    double sum = 0;
    for (size_t j = 0; j < f->count; j++) {
      size_t better = 0;
      for (size_t o = 0; o < f->count; o++) better += cosine[i][o] > cosine[i][j];
      near[i][j] = cosine[i][j] > 0 && better < k ? cosine[i][j] : 0;
      sum += near[i][j];
    }
    for (size_t j = 0; j < f->count && sum > 0; j++) near[i][j] /= sum;
  }
}

/* How much more often neighbours are chosen by the same people than chance would have it. */
static double graph_lift(const world *w, double near[ITEMS][ITEMS]) {
  double together[ITEMS][ITEMS] = {0}, sums[ITEMS] = {0}, all = 0, seen = 0, expected = 0;
  for (uint32_t u = 0; u < w->users; u++)
    for (uint32_t i = 0; i < w->items; i++)
      for (uint32_t j = 0; j < w->items; j++)
        if (i != j && x_of(w, u, i) > 0 && x_of(w, u, j) > 0) together[i][j] += 1 / count_of(w, u);
  for (uint32_t i = 0; i < w->items; i++)
    for (uint32_t j = 0; j < w->items; j++) sums[i] += together[i][j];
  for (uint32_t i = 0; i < w->items; i++) all += sums[i];
  for (uint32_t i = 0; i < w->items; i++)
    for (uint32_t j = 0; j < w->items; j++) {
      seen += near[i][j] * together[i][j];
      expected += near[i][j] * sums[i] * sums[j] / all;
    }
  return seen / expected;
}

/* alike [items][items]: modalities weighted by lift - 1. */
static void graph_alike(const world *w, size_t k, double alike[ITEMS][ITEMS]) {
  double near[2][ITEMS][ITEMS], share[2], sum = 0;
  for (int m = 0; m < 2; m++) {
    graph_nearest(&w->features[m], k, near[m]);
    share[m] = fmax(0, graph_lift(w, near[m]) - 1);
    sum += share[m];
  }
  for (uint32_t i = 0; i < w->items; i++)
    for (uint32_t j = 0; j < w->items; j++)
      alike[i][j] = sum > 0 ? (share[0] * near[0][i][j] + share[1] * near[1][i][j]) / sum : 0;
}

void twin_graph_filter(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  double x[ITEMS] = {0}, terms[5][ITEMS], alike[ITEMS][ITEMS], sum[5] = {0}, asked = 0;
  const double weight[5] = {1, values[HOP_2], values[HOP_3], values[HOP_4], values[CONTENT]};
  graph_alike(w, (size_t)values[NEIGHBOURS], alike);
  for (uint32_t u = 0; u < w->users; u++) {
    double own[ITEMS];
    if (count_of(w, u) == 0) continue;
    for (uint32_t i = 0; i < w->items; i++) own[i] = x_of(w, u, i);
    graph_terms(w, values, own, terms, alike);
    for (int k = 0; k < 5; k++) sum[k] += deviation_of(terms[k], w->items);
    asked++;
  }
  for (size_t j = 0; j < h->count; j++) x[h->item[j]] = (double)h->weight[j];
  graph_terms(w, values, x, terms, alike);
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = 0;
    for (int k = 0; k < 5; k++)
      if (weight[k] > 0 && sum[k] > 0) scores[i] += weight[k] * asked / sum[k] * terms[k][i];
  }
}

/* g [items, items] = Xᵀ diag(d_u^−2a) X */
static void gram_of(const world *w, double exponent, double g[ITEMS][ITEMS]) {
  for (uint32_t k = 0; k < w->items; k++) {
    double own[ITEMS] = {0};
    own[k] = 1;
    graph_hop(w, exponent, own, g[k]);
  }
}

/* Coordinate descent until nothing moves, over all items but the one itself. */
void twin_slim(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  double g[ITEMS][ITEMS] = {{0}}, mean = 0, chosen = 0;
  gram_of(w, values[0], g);
  for (uint32_t k = 0; k < w->items; k++) mean += g[k][k], chosen += g[k][k] > 0;
  mean = chosen > 0 ? mean / chosen : 1;
  for (uint32_t j = 0; j < w->items; j++) {
    double weight[ITEMS] = {0};
    for (int pass = 0; pass < 1000; pass++)
      for (uint32_t k = 0; k < w->items; k++) {
        double left = g[k][j] - values[2] * mean;
        for (uint32_t l = 0; l < w->items; l++) left -= l == k ? 0 : g[k][l] * weight[l];
        weight[k] = k == j || left <= 0 ? 0 : left / (g[k][k] + values[1] * mean + values[5] * g[k][k]);
      }
    scores[j] = 0;
    for (size_t e = 0; e < h->count; e++)
      if (g[j][j] > 0) scores[j] += (double)h->weight[e] * weight[h->item[e]] * pow(g[j][j] / mean, -values[3]);
  }
}

/* Eigenvectors of a symmetric [n, n] into the columns of v, values on the diagonal of a, by Jacobi's rotations. */
static void eigen_of(double a[ITEMS][ITEMS], double v[ITEMS][ITEMS], uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = 0; j < n; j++) v[i][j] = i == j;
  for (int sweep = 0; sweep < 60; sweep++)
    for (uint32_t p = 0; p < n; p++)
      for (uint32_t q = p + 1; q < n; q++) {
        if (fabs(a[p][q]) < 1e-300) continue;
        double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
        for (uint32_t k = 0; k < n; k++) {
          double one = a[k][p], other = a[k][q];
          a[k][p] = c * one - s * other;
          a[k][q] = s * one + c * other;
        }
        for (uint32_t k = 0; k < n; k++) {
          double one = a[p][k], other = a[q][k];
          a[p][k] = c * one - s * other;
          a[q][k] = s * one + c * other;
        }
        for (uint32_t k = 0; k < n; k++) {
          double one = v[k][p], other = v[k][q];
          v[k][p] = c * one - s * other;
          v[k][q] = s * one + c * other;
        }
      }
}

void twin_gfcf(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  double g[ITEMS][ITEMS] = {{0}}, a[ITEMS][ITEMS], v[ITEMS][ITEMS], root[ITEMS], greatest = 0;
  gram_of(w, values[0], g);
  for (uint32_t i = 0; i < w->items; i++) root[i] = pow((double)w->train.popularity[i], values[1]);
  for (uint32_t i = 0; i < w->items; i++)
    for (uint32_t j = 0; j < w->items; j++)
      a[i][j] = g[i][j] = root[i] > 0 && root[j] > 0 ? g[i][j] / root[i] / root[j] : 0;
  eigen_of(a, v, w->items);
  for (uint32_t k = 0; k < w->items; k++) greatest = fmax(greatest, a[k][k]);
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = 0;
    for (size_t j = 0; j < h->count; j++) {
      uint32_t from = h->item[j];
      double low = 0;
      if (root[i] == 0 || root[from] == 0) continue;
      for (uint32_t k = 0; k < w->items; k++) {
        size_t better = 0;
        for (uint32_t o = 0; o < w->items; o++) better += a[o][o] > a[k][k];
        if (better < values[3] && a[k][k] > 1e-9) low += v[i][k] * v[from][k];
      }
      scores[i] += (double)h->weight[j] * (g[i][from] / greatest + values[2] * low * root[i] / root[from]);
    }
  }
}

/* a [n, n] becomes its inverse, by Gauss and Jordan with pivots. */
static void invert(double *a, size_t n) {
  double *b = calloc(n * n, sizeof *b);
  for (size_t i = 0; i < n; i++) b[i * n + i] = 1;
  for (size_t c = 0; c < n; c++) {
    size_t pivot = c;
    for (size_t i = c; i < n; i++)
      if (fabs(a[i * n + c]) > fabs(a[pivot * n + c])) pivot = i;
    for (size_t k = 0; k < n; k++) {
      double swap = a[c * n + k];
      a[c * n + k] = a[pivot * n + k];
      a[pivot * n + k] = swap;
      swap = b[c * n + k];
      b[c * n + k] = b[pivot * n + k];
      b[pivot * n + k] = swap;
    }
    double scale = 1 / a[c * n + c];
    for (size_t k = 0; k < n; k++) {
      a[c * n + k] *= scale;
      b[c * n + k] *= scale;
    }
    for (size_t i = 0; i < n; i++) {
      double factor = a[i * n + c];
      if (i == c || factor == 0) continue;
      for (size_t k = 0; k < n; k++) {
        a[i * n + k] -= factor * a[c * n + k];
        b[i * n + k] -= factor * b[c * n + k];
      }
    }
  }
  memcpy(a, b, n * n * sizeof *a);
  free(b);
}

static double dot_of(const features *f, uint32_t a, uint32_t b) {
  double sum = 0;
  if (!f->present[a] || !f->present[b]) return 0;
  for (size_t d = 0; d < f->dim; d++) sum += (double)f->values[a * f->dim + d] * (double)f->values[b * f->dim + d];
  return sum;
}

void score_of(const recommender *model, const history *h, float *scores) {
  medley_error error;
  recommender_scratch scratch = {0};
  memset(scores, 0xA5, model->item_count * sizeof *scores); /* every score must be written */
  assert_ok(model->kind->score(model, h, &scratch, scores, &error));
  recommender_scratch_deinit(&scratch);
}

/* b [items, items] row j: what history item j adds to each item; zero rows and columns for items without events. */
static void ease_by_definition(const world *w, double user_exponent, double ridge, double output_exponent,
                               double content, double dropout, double *b) {
  uint32_t n = w->items, a = 0, item[ITEMS];
  double *p = calloc((size_t)n * n, sizeof *p), diagonal[ITEMS], mean = 0;
  for (uint32_t i = 0; i < n; i++)
    if (w->train.popularity[i] > 0) item[a++] = i;
  for (uint32_t i = 0; i < a; i++)
    for (uint32_t j = 0; j < a; j++)
      for (uint32_t u = 0; u < w->users; u++)
        if (count_of(w, u) > 0)
          p[i * a + j] += x_of(w, u, item[i]) * x_of(w, u, item[j]) * pow(count_of(w, u), -2 * user_exponent);
  for (uint32_t i = 0; i < a; i++) mean += (diagonal[i] = p[i * a + i]) / a;
  for (uint32_t i = 0; i < a; i++)
    for (uint32_t j = 0; j < a; j++)
      for (size_t f = 0; f < 2; f++)
        p[i * a + j] +=
            content * mean * (double)content_share(w->features[f].name) * dot_of(&w->features[f], item[i], item[j]);
  for (uint32_t i = 0; i < a; i++) p[i * a + i] += ridge * mean + dropout * diagonal[i];
  invert(p, a);
  memset(b, 0, (size_t)n * n * sizeof *b);
  for (uint32_t j = 0; j < a; j++)
    for (uint32_t i = 0; i < a; i++)
      if (i != j) b[item[j] * n + item[i]] = -p[j * a + i] / p[i * a + i] * pow(diagonal[i] / mean, -output_exponent);
  free(p);
}

void twin_ease(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  double *b = calloc(ITEMS * ITEMS, sizeof *b);
  ease_by_definition(w, values[0], values[1], values[2], values[3], values[4], b);
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = 0;
    for (size_t j = 0; j < h->count; j++) scores[i] += (double)h->weight[j] * b[h->item[j] * w->items + i];
  }
  free(b);
}

void ials_row(const double *factors, size_t count, size_t dim, double unobserved, double ridge, const double *c,
              int steps, double *x) {
  double *a = calloc(dim * dim, sizeof *a), *left = calloc(dim, sizeof *left), *p = calloc(dim, sizeof *p);
  for (size_t k = 0; k < count; k++)
    for (size_t d = 0; d < dim; d++) {
      left[d] += c[k] * factors[k * dim + d];
      for (size_t e = 0; e < dim; e++)
        a[d * dim + e] += (unobserved + c[k]) * factors[k * dim + d] * factors[k * dim + e];
    }
  for (size_t d = 0; d < dim; d++) a[d * dim + d] += ridge;
  if (steps == 0) {
    invert(a, dim);
    for (size_t d = 0; d < dim; d++) {
      x[d] = 0;
      for (size_t e = 0; e < dim; e++) x[d] += a[d * dim + e] * left[e];
    }
  }
  for (size_t d = 0; steps > 0 && d < dim; d++)
    for (size_t e = 0; e < dim; e++) left[d] -= a[d * dim + e] * x[e];
  memcpy(p, left, dim * sizeof *p);
  for (int s = 0; s < steps; s++) {
    double square = 0, along = 0, next = 0;
    for (size_t d = 0; d < dim; d++) {
      square += left[d] * left[d];
      for (size_t e = 0; e < dim; e++) along += p[d] * a[d * dim + e] * p[e];
    }
    for (size_t d = 0; d < dim; d++) {
      x[d] += square / along * p[d];
      for (size_t e = 0; e < dim; e++) left[d] -= square / along * a[d * dim + e] * p[e];
      next += left[d] * left[d];
    }
    for (size_t d = 0; d < dim; d++) p[d] = left[d] + next / square * p[d];
  }
  free(a);
  free(left);
  free(p);
}

/* The whole training, then the fold-in, for each start; the mean of their scores. Both sides count only rows with
 * events, as the sums of the objective do. */
void twin_ials(const world *w, const double *values, const recommender *model, const history *h, double *scores) {
  (void)model;
  size_t dim = (size_t)values[2], starts = values[5] > 1 ? (size_t)values[5] : 1;
  double unobserved = values[1], lambda = values[0], c[USERS + ITEMS], x[512];
  double *items = calloc(ITEMS * dim, sizeof *items), *users = calloc(USERS * dim, sizeof *users);
  uint32_t active = 0, busy = 0;
  int steps = (int)values[4];
  rng r;
  rng_seed(&r, w->data.seed);
  for (uint32_t i = 0; i < w->items; i++) active += w->train.popularity[i] > 0;
  for (uint32_t u = 0; u < w->users; u++) busy += count_of(w, u) > 0;
  if (unobserved == 0) unobserved = fmin(0.5, 2 / (lambda * active));
  memset(scores, 0, w->items * sizeof *scores);
  for (size_t s = 0; s < starts; s++) {
    memset(users, 0, USERS * dim * sizeof *users);
    for (uint32_t i = 0; i < w->items; i++)
      for (size_t d = 0; d < dim; d++) {
        double start = 0.1 / sqrt((double)dim) * rng_normal(&r);
        items[i * dim + d] = w->train.popularity[i] > 0 ? start : 0;
      }
    for (int sweep = 0; sweep < (int)values[3]; sweep++) {
      for (uint32_t u = 0; u < w->users; u++) {
        for (uint32_t i = 0; i < w->items; i++) c[i] = x_of(w, u, i);
        if (count_of(w, u) > 0)
          ials_row(items, w->items, dim, unobserved, lambda * (count_of(w, u) + unobserved * active), c, steps,
                   users + u * dim);
      }
      for (uint32_t i = 0; i < w->items; i++) {
        double count = (double)w->train.popularity[i];
        for (uint32_t u = 0; u < w->users; u++) c[u] = x_of(w, u, i);
        if (count > 0)
          ials_row(users, w->users, dim, unobserved, lambda * (count + unobserved * busy), c, steps, items + i * dim);
      }
    }
    memset(c, 0, sizeof c);
    for (size_t j = 0; j < h->count; j++) c[h->item[j]] = (double)h->weight[j];
    ials_row(items, w->items, dim, unobserved, lambda * ((double)h->count + unobserved * active), c, 0, x);
    for (uint32_t i = 0; i < w->items; i++)
      for (size_t d = 0; d < dim; d++) scores[i] += x[d] * items[i * dim + d] / (double)starts;
  }
  free(items);
  free(users);
}

void twin_fold_in(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)values;
  const fold_in *m = (const fold_in *)r;
  size_t dim = m->dim, known = 0;
  double *items = calloc(w->items * dim, sizeof *items), *x = calloc(dim, sizeof *x), c[ITEMS] = {0};
  for (uint32_t i = 0; i < w->items; i++) {
    bool any = false;
    for (size_t d = 0; d < dim; d++) any |= (items[i * dim + d] = (double)m->factors[i * dim + d]) != 0;
    known += any;
  }
  for (size_t j = 0; j < h->count; j++) c[h->item[j]] = (double)h->weight[j];
  double alpha = (double)m->unobserved;
  ials_row(items, w->items, dim, alpha, (double)m->regularisation * ((double)h->count + alpha * (double)known), c, 0,
           x);
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = (double)m->bias[i];
    for (size_t d = 0; d < dim; d++) scores[i] += (double)m->scale * x[d] * items[i * dim + d];
  }
  free(items);
  free(x);
}

static double sides_at(const world *w, uint32_t item) { return w->has_text[item] + w->has_tags[item]; }

void twin_content(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)values, (void)r;
  double mass = 0;
  for (size_t j = 0; j < h->count; j++) mass += (double)h->weight[j];
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = 0;
    for (size_t j = 0; j < h->count; j++)
      for (size_t p = 0; p < 2; p++) {
        double sides = sides_at(w, i) * sides_at(w, h->item[j]);
        if (sides > 0) scores[i] += (double)h->weight[j] / mass * dot_of(&w->features[p], h->item[j], i) / sqrt(sides);
      }
  }
}

/* Ridge regression in its dual form, over every item with events; of the values of λ that are tried, the one that the
 * fit chose. */
static void popular_by_definition(const world *w, double lambda, double *scores) {
  uint32_t a = 0, item[ITEMS];
  double k[ITEMS * ITEMS] = {0}, alpha[ITEMS] = {0}, mean = 0;
  for (uint32_t i = 0; i < w->items; i++)
    if (w->train.popularity[i] > 0) item[a++] = i;
  for (uint32_t i = 0; i < a; i++) mean += log(1 + (double)w->train.popularity[item[i]]) / a;
  for (uint32_t i = 0; i < a; i++)
    for (uint32_t j = 0; j < a; j++) {
      k[i * a + j] = 1 + (i == j ? lambda : 0);
      for (size_t p = 0; p < 2; p++)
        k[i * a + j] += (double)content_share(w->features[p].name) * dot_of(&w->features[p], item[i], item[j]);
    }
  invert(k, a);
  for (uint32_t i = 0; i < a; i++)
    for (uint32_t j = 0; j < a; j++) alpha[i] += k[i * a + j] * (log(1 + (double)w->train.popularity[item[j]]) - mean);
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = 0;
    for (uint32_t j = 0; j < a; j++) {
      double near = 1;
      for (size_t p = 0; p < 2; p++)
        near += (double)content_share(w->features[p].name) * dot_of(&w->features[p], i, item[j]);
      scores[i] += alpha[j] * near;
    }
  }
}

/* The mean of the history's fused vectors with every item's. */
void twin_content_fused(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  medley_error error;
  features fused;
  float weight[FEATURES_MAX];
  double mass = 0;
  assert_ok(content_fuse(&w->data, &fuser_kinds[(int)values[0]], weight, &fused, &error));
  for (size_t j = 0; j < h->count; j++) mass += (double)h->weight[j];
  for (uint32_t i = 0; i < w->items; i++) {
    scores[i] = 0;
    for (size_t j = 0; j < h->count; j++)
      for (size_t d = 0; d < fused.dim; d++)
        scores[i] += (double)h->weight[j] / mass * (double)fused.values[i * fused.dim + d] *
                     (double)fused.values[h->item[j] * fused.dim + d];
  }
  features_deinit(&fused);
}

void twin_content_popular(const world *w, const double *values, const recommender *r, const history *h,
                          double *scores) {
  (void)values;
  static const double lambdas[] = {0.3, 1, 3, 10, 30};
  float given[ITEMS];
  double tried[ITEMS], closest = INFINITY;
  score_of(r, h, given);
  for (size_t l = 0; l < sizeof lambdas / sizeof *lambdas; l++) {
    double away = 0;
    popular_by_definition(w, lambdas[l], tried);
    for (uint32_t i = 0; i < w->items; i++) away += fabs(tried[i] - (double)given[i]);
    if (away >= closest) continue;
    closest = away;
    memcpy(scores, tried, w->items * sizeof *scores);
  }
}

#define MAP_DIM (TEXT_DIM + TAGS_DIM + 1)

/* S φ(i): text, tags and the constant. */
static void map_row(const world *w, const content_map_fit *f, uint32_t item, double row[MAP_DIM]) {
  memset(row, 0, MAP_DIM * sizeof *row);
  for (size_t m = 0; m < 2; m++)
    for (size_t d = 0; d < w->features[m].dim && w->features[m].present[item]; d++)
      row[m * TEXT_DIM + d] = sqrt((double)f->weight[m]) * (double)w->features[m].values[item * w->features[m].dim + d];
  row[MAP_DIM - 1] = sqrt((double)f->weight[2]);
}

/* K(a, b) = φ(a) S A Aᵀ S φ(b), A as the fit found it, with pairs; else the identity. */
static double map_kernel(const world *w, const content_map_fit *f, uint32_t a, uint32_t b) {
  double x[MAP_DIM], y[MAP_DIM], k = 0;
  map_row(w, f, a, x);
  map_row(w, f, b, y);
  for (size_t e = 0; e < MAP_DIM; e++) {
    double u = 0, v = 0;
    for (size_t d = 0; d < MAP_DIM; d++) {
      double turn = f->root != NULL ? (double)f->root[d * MAP_DIM + e] : d == e;
      u += x[d] * turn;
      v += y[d] * turn;
    }
    k += u * v;
  }
  return k;
}

/* K₂, from K(i, i) [items]. */
static double map_kernel_pairs(const world *w, const content_map_fit *f, const double *squares, double share,
                               uint32_t a, uint32_t b) {
  double k = map_kernel(w, f, a, b);
  return k + share * k * k / (squares[a] * squares[b]);
}

/* Kernel ridge in its dual form, with the weights, the metric, the share of pairs and λ that the fit found: score(i) =
 * x B (K₂ + λI)⁻¹ k₂(i) exp(g p (K₂ + λI)⁻¹ k₂(i)), p: log(1 + people) less its mean. */
void twin_content_map(const world *w, const double *values, const recommender *r, const history *h, double *scores) {
  (void)r;
  medley_error error;
  active_items active;
  content_parts parts;
  content_map_fit found;
  content_map_settings settings = {
      .ridge = values[0], .output_exponent = values[1], .popularity = values[2], .seed = w->data.seed};
  content_parts_init(&parts, w->features, 2);
  assert_ok(active_items_find(&w->train, &active, &error));
  assert_ok(content_map_solve(&w->train, &active, &parts, &settings, &found, &error));
  uint32_t a = active.count;
  double *b = calloc(ITEMS * ITEMS, sizeof *b), *one = calloc(ITEMS * ITEMS, sizeof *one),
         *k = calloc((size_t)a * a, sizeof *k), right[ITEMS] = {0}, dual[ITEMS], people[ITEMS], popular[ITEMS],
         mean = 0;
  for (size_t f = 0; f < CONTENT_MAP_RIDGES; f++) {
    ease_by_definition(w, 0.35, values[0] * content_map_fan[f], values[1], 0, 0.33, one);
    for (size_t e = 0; e < ITEMS * ITEMS; e++) b[e] += one[e] / CONTENT_MAP_RIDGES;
  }
  double squares[ITEMS], share = 0;
  for (uint32_t i = 0; i < w->items; i++) squares[i] = map_kernel(w, &found, i, i);
  for (uint32_t p = 0; p < a; p++) share += (double)found.pairs * squares[active.item[p]] / a;
  for (uint32_t p = 0; p < a; p++) {
    for (uint32_t q = 0; q < a; q++)
      k[p * a + q] = map_kernel_pairs(w, &found, squares, share, active.item[p], active.item[q]);
    k[p * a + p] += (double)found.lambda;
    for (size_t j = 0; j < h->count; j++) right[p] += (double)h->weight[j] * b[h->item[j] * w->items + active.item[p]];
  }
  invert(k, a);
  for (uint32_t p = 0; p < a; p++) {
    people[p] = log(1 + (double)w->train.popularity[active.item[p]]);
    mean += people[p] / a;
  }
  for (uint32_t p = 0; p < a; p++) {
    dual[p] = popular[p] = 0;
    for (uint32_t q = 0; q < a; q++) {
      dual[p] += k[p * a + q] * right[q];
      popular[p] += k[p * a + q] * (people[q] - mean);
    }
  }
  for (uint32_t i = 0; i < w->items; i++) {
    double told = 0;
    scores[i] = 0;
    for (uint32_t p = 0; p < a; p++) {
      double near = map_kernel_pairs(w, &found, squares, share, active.item[p], i);
      scores[i] += dual[p] * near;
      told += popular[p] * near;
    }
    scores[i] *= exp(values[2] * told);
  }
  free(b);
  free(one);
  free(k);
  active_items_deinit(&active);
  content_map_fit_deinit(&found);
}
