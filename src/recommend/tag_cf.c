/* recommend/tag_cf.c: factors trained without a graph, and one step along its edges when all is trained.
 *
 * Ju et al., "How does message passing improve collaborative filtering?", NeurIPS 2024 (TAG-CF): what message passing
 * adds is there without training through it. With trained vectors u of people and v of items,
 *
 *   u* = u + α Σ_{i ∈ N_u} |N_u|^m |N_i|^n v_i,    v* = v + α Σ_{u ∈ N_i} |N_i|^m |N_u|^n u,    score = u*·v* + b_i
 *
 * What differs from the paper: the factors are those of bpr or ials, as `base` says. No vector of a person is kept, so
 * u is the least-squares vector of the history (fold_in.h), for the people who were trained on, too; u* is as linear in
 * the history as u is, and a score divides among its entries. α is 1 there; here it is searched, since such a u is as
 * long as λ makes it. The paper passes messages on for people of few events only (TAG-CF+), which saves time and is
 * left out: a step costs one sparse product.
 *
 * An item without events has no vector and no neighbour: zero. Content is not read.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "math/linear.h"
#include "math/vector.h"
#include "recommend/bpr_sgd.h"
#include "recommend/kinds.h"

enum { SHARE, OWN, OTHER, BASE, DIM, REGULARISATION, UNOBSERVED, SETTINGS };

typedef struct tag_cf {
  recommender base;
  fold_in *trained;
  const float *found;  /* [items, dim] v* */
  const float *passed; /* [items] α |N_i|^n, what an item of the history passes on */
  const float *own;    /* [1] m */
  float *owned;        /* the three, of a model that was fitted */
} tag_cf;

static const double shares[] = {0.1, 1, 3};
static const double owns[] = {-0.5, 0};
static const double others[] = {-1, -0.5};
static const double bases[] = {0, 1};
static const double regularisations[] = {0.01, 0.04, 0.08};
static const double unobserveds[] = {0.004, 0.008, 0.03};
static const recommender_setting tag_cf_settings[] = {
    {"share", "weight α of what the neighbours say", 1, 0, 100, shares, 3},
    {"own", "exponent m of how many neighbours one has", -0.5, -2, 1, owns, 2},
    {"other", "exponent n of how many neighbours a neighbour has", -0.5, -2, 1, others, 2},
    {"base", "whose factors: 0 bpr, 1 ials", 1, 0, 1, bases, 2},
    {"dim", "dimensions of the factors", 64, 8, FOLD_IN_DIM_MAX, NULL, 0},
    {"regularisation", "λ of the factors", 0.04, 1e-6, 10, regularisations, 3},
    {"unobserved", "weight α₀ of pairs without an event, for ials", 0.008, 1e-5, 10, unobserveds, 3},
    {NULL},
};

static void tag_cf_free(recommender *r) {
  if (r == NULL) return;
  tag_cf *m = (tag_cf *)r;
  fold_in_free(m->trained ? &m->trained->base : NULL);
  mem_free(m->owned);
  mem_free(m);
}

/* ---- training ---- */

/* The base's defaults, except for what is set here by the same name; of what costs much the cheap value, so one set of
 * factors. */
static void base_settings(const recommender_kind *kind, const double *values, double *its) {
  size_t count = recommender_defaults(kind, its);
  for (size_t s = 0; s < count; s++) {
    if (kind->settings[s].meanwhile != 0) its[s] = kind->settings[s].meanwhile;
    for (size_t own = DIM; own < SETTINGS; own++)
      if (strcmp(kind->settings[s].name, tag_cf_settings[own].name) == 0) its[s] = values[own];
  }
}

static medley_status factors_train(tag_cf *m, const recommender_data *data, const double *values,
                                   progress_stage *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const recommender_kind *kind = values[BASE] < 0.5 ? &recommender_bpr : &recommender_ials;
  double its[RECOMMENDER_SETTINGS_MAX];
  recommender *r = NULL;
  base_settings(kind, values, its);
  TRY(kind->fit(data, its, progress, &r, err));
  m->trained = (fold_in *)r;
  if (m->trained->bias == NULL) {
    TRY_NEW(m->trained->owned_bias, r->item_count + (size_t)1, "item factors");
    m->trained->bias = m->trained->owned_bias;
  }
done:
  return status;
}

/* people [users, dim]: u of everybody. */
static medley_status people_solve(const fold_in *m, const sparse *x, float *people, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = m->dim;
#pragma omp parallel shared(status)
  {
    float *room = mem_zalloc_aligned(fold_in_room(dim), sizeof *room);
    medley_error mine = {0};
    medley_status my_status = room ? MEDLEY_OK : error_memory(&mine, "factors");
#pragma omp for schedule(dynamic, 32)
    for (uint32_t u = 0; u < x->rows; u++) {
      uint64_t from = x->start[u];
      history h = {.item = x->column + from, .weight = x->value + from, .count = (size_t)(x->start[u + 1] - from)};
      if (my_status != MEDLEY_OK || h.count == 0) continue;
      my_status = fold_in_person(m, &h, room, people + u * dim, &mine);
      vector_scale(people + u * dim, m->scale, dim);
    }
    mem_free(room);
    if (my_status != MEDLEY_OK) {
#pragma omp critical(tag_cf_failure)
      {
        if (err != NULL) *err = mine;
        status = my_status;
      }
    }
  }
  return status;
}

/* found and passed from the trained factors. */
static medley_status messages_pass(const tag_cf *m, const interactions *train, const double *values, float *found,
                                   float *passed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const fold_in *f = m->trained;
  uint32_t items = m->base.item_count, users = train->by_user.rows;
  float *people = NULL, *row_powers = NULL, *column_powers = NULL;
  sparse edges = {0};
  TRY_NEW(people, (size_t)users * f->dim + 1, "vectors of people");
  TRY_NEW(row_powers, (size_t)items + 1, "degrees");
  TRY_NEW(column_powers, (size_t)users + 1, "degrees");
  TRY(people_solve(f, &train->by_user, people, err));
  TRY(sparse_copy(&train->by_item, &edges, err));
  model_row_powers(&train->by_item, values[OWN], row_powers);
  model_row_powers(&train->by_user, values[OTHER], column_powers);
  sparse_scale(&edges, row_powers, column_powers);
  sparse_multiply_dense(&edges, people, f->dim, found);
  vector_scale(found, (float)values[SHARE], (size_t)items * f->dim);
  vector_add_scaled(found, 1, f->factors, (size_t)items * f->dim);
  model_row_powers(&train->by_item, values[OTHER], passed);
  vector_scale(passed, (float)values[SHARE], items);
done:
  mem_free(people);
  mem_free(row_powers);
  mem_free(column_powers);
  sparse_deinit(&edges);
  return status;
}

static medley_status tag_cf_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tag_cf *m = NULL;
  float *found, *passed;
  size_t items = data->train->by_user.columns;
  TRY_NEW(m, 1, "a model");
  m->base = (recommender){&recommender_tag_cf, (uint32_t)items};
  TRY(factors_train(m, data, values, progress, err));
  TRY_NEW(m->owned, items * (m->trained->dim + 1) + 1, "item factors");
  m->found = found = m->owned;
  m->passed = passed = found + items * m->trained->dim;
  m->own = passed + items;
  passed[items] = (float)values[OWN];
  TRY(messages_pass(m, data->train, values, found, passed, err));
  *out = &m->base;
  m = NULL;
done:
  tag_cf_free(m ? &m->base : NULL);
  return status;
}

/* ---- answers ---- */

/* What a history's messages are multiplied by: |N_u|^m. */
static float own_scale(const tag_cf *m, const history *h) { return powf((float)h->count, *m->own); }

static medley_status tag_cf_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tag_cf *m = (const tag_cf *)r;
  const fold_in *f = m->trained;
  size_t dim = f->dim;
  if (h->count == 0) {
    memset(scores, 0, r->item_count * sizeof *scores);
    return MEDLEY_OK;
  }
  float *room = recommender_scratch_floats(scratch, fold_in_room(dim) + dim), *person;
  if (room == NULL) return error_memory(err, "factors");
  person = room + fold_in_room(dim);
  TRY(fold_in_person(f, h, room, person, err));
  vector_scale(person, f->scale, dim);
  for (size_t j = 0; j < h->count; j++)
    vector_add_scaled(person, own_scale(m, h) * h->weight[j] * m->passed[h->item[j]],
                      f->factors + (size_t)h->item[j] * dim, dim);
  matrix_times_vector(r->item_count, dim, m->found, person, scores);
  vector_add_scaled(scores, 1, f->bias, r->item_count);
done:
  return status;
}

static medley_status tag_cf_trace(const recommender *r, const history *h, uint32_t item, recommender_scratch *scratch,
                                  float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tag_cf *m = (const tag_cf *)r;
  const fold_in *f = m->trained;
  size_t dim = f->dim;
  const float *row = m->found + (size_t)item * dim;
  float *room = recommender_scratch_floats(scratch, fold_in_room(dim) + dim);
  if (room == NULL) return error_memory(err, "factors");
  TRY(fold_in_divide(f, h, row, room, out, err));
  for (size_t j = 0; j < h->count; j++)
    out[j] += own_scale(m, h) * h->weight[j] * m->passed[h->item[j]] *
              vector_dot(f->factors + (size_t)h->item[j] * dim, row, dim);
done:
  return status;
}

static json_t *tag_cf_describe(const recommender *r) { return bpr_describe(&((const tag_cf *)r)->trained->base); }

/* ---- files ---- */

static medley_status tag_cf_save(const recommender *r, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tag_cf *m = (const tag_cf *)r;
  TRY(fold_in_save(&m->trained->base, w, prefix, err));
  TRY(model_add_f32(w, prefix, "found", r->item_count, m->trained->dim, m->found, err));
  TRY(model_add_f32(w, prefix, "passed", 1, r->item_count, m->passed, err));
  TRY(model_add_f32(w, prefix, "own", 1, 1, m->own, err));
done:
  return status;
}

static medley_status tag_cf_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                 recommender **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  tag_cf *m = NULL;
  recommender *trained = NULL;
  TRY_NEW(m, 1, "a model");
  TRY(fold_in_load(&recommender_bpr, true, s, prefix, data, &trained, err));
  m->trained = (fold_in *)trained;
  m->base = (recommender){&recommender_tag_cf, trained->item_count};
  TRY(model_get_f32(s, prefix, "found", trained->item_count, m->trained->dim, &m->found, NULL, NULL, err));
  TRY(model_get_f32(s, prefix, "passed", 1, trained->item_count, &m->passed, NULL, NULL, err));
  TRY(model_get_f32(s, prefix, "own", 1, 1, &m->own, NULL, NULL, err));
  *out = &m->base;
  m = NULL;
done:
  tag_cf_free(m ? &m->base : NULL);
  return status;
}

const recommender_kind recommender_tag_cf = {
    .name = "tag_cf",
    .summary = "factors trained without a graph, and one step along its edges at the end",
    .source = "Ju et al. 2024",
    .part = "taste",
    .settings = tag_cf_settings,
    .needs_history = true,
    .by_itself = recommender_only_named,
    .fit = tag_cf_fit,
    .score = tag_cf_score,
    .trace = tag_cf_trace,
    .describe = tag_cf_describe,
    .save = tag_cf_save,
    .load = tag_cf_load,
    .free = tag_cf_free,
};
