/* nn/optimiser.c: see nn/optimiser.h. */
#include "nn/optimiser.h"

#include <string.h>

#include "base/memory.h"
#include "math/clones.h"
#include "nn/op_kind.h"
#include "nn/rows.h"

/* ---- updates ----
 *
 * Each is the body of a loop over elements: x the parameter, g its gradient (clipped, which a NaN outlasts, and
 * scaled), a and b the states.
 */

#define UPDATE(name, statement)                                                                                       \
  static inline VECTOR_INLINE void name##_update_body(const optimiser_numbers *numbers, real *restrict parameter,     \
                                                      const real *restrict gradient, real *restrict first,            \
                                                      real *restrict second, size_t count) {                          \
    const optimiser_numbers s = *numbers;                                                                             \
    (void)first, (void)second;                                                                                        \
    _Pragma("omp simd") for (size_t i = 0; i < count; i++) {                                                          \
      real x = parameter[i], g = real_min(s.clip_value, real_max(-s.clip_value, gradient[i])) * s.scale;              \
      statement;                                                                                                      \
      parameter[i] = x;                                                                                               \
    }                                                                                                                 \
  }                                                                                                                   \
  VECTOR_CLONES(static, void, name##_update,                                                                          \
                (const optimiser_numbers *s, real *x, const real *gradient, real *first, real *second, size_t count), \
                (s, x, gradient, first, second, count))

UPDATE(sgd, {
  g += s.decay * x;
  x -= s.rate * g;
})

UPDATE(momentum, {
  g += s.decay * x;
  first[i] = s.momentum * first[i] + g;
  x -= s.rate * first[i];
})

UPDATE(nesterov, {
  g += s.decay * x;
  first[i] = s.momentum * first[i] + g;
  x -= s.rate * (g + s.momentum * first[i]);
})

UPDATE(adagrad, {
  g += s.decay * x;
  first[i] += g * g;
  x -= s.rate * g / (real_sqrt(first[i]) + s.epsilon);
})

UPDATE(adam, {
  g += s.decay * x;
  first[i] = s.beta1 * first[i] + (1 - s.beta1) * g;
  second[i] = s.beta2 * second[i] + (1 - s.beta2) * g * g;
  x -= s.rate / s.correction1 * first[i] / (real_sqrt(second[i]) * (1 / s.correction2) + s.epsilon);
})

UPDATE(adamw, {
  x -= s.rate * s.decay * x;
  first[i] = s.beta1 * first[i] + (1 - s.beta1) * g;
  second[i] = s.beta2 * second[i] + (1 - s.beta2) * g * g;
  x -= s.rate / s.correction1 * first[i] / (real_sqrt(second[i]) * (1 / s.correction2) + s.epsilon);
})

const optimiser_kind optimiser_kinds[] = {
    {"sgd", "x -= rate g", 0, sgd_update},
    {"momentum", "m = mu m + g; x -= rate m (Polyak 1964)", 1, momentum_update},
    {"nesterov", "m = mu m + g; x -= rate (g + mu m) (Sutskever et al. 2013)", 1, nesterov_update},
    {"adagrad", "s += g^2; x -= rate g / (sqrt s + eps) (Duchi et al. 2011)", 1, adagrad_update},
    {"adam", "moments of g, corrected; x -= rate m / (sqrt v + eps) (Kingma & Ba 2015)", 2, adam_update},
    {"adamw", "adam; decay shrinks x itself (Loshchilov & Hutter 2019)", 2, adamw_update},
    {NULL},
};

const optimiser_kind *optimiser_find(const char *name) {
  for (const optimiser_kind *kind = optimiser_kinds; kind->name != NULL; kind++)
    if (strcmp(kind->name, name) == 0) return kind;
  return NULL;
}

/* ---- the optimiser ---- */

struct optimiser {
  const optimiser_kind *kind;
  parameters *over;
  optimiser_options options;
  uint64_t steps;
  real **states; /* [parameters, OPTIMISER_STATES_MAX] */
};

static medley_status options_check(optimiser_options *o, const optimiser_kind *kind, medley_error *err) {
  if (o->momentum == 0) o->momentum = 0.9;
  if (o->beta1 == 0) o->beta1 = 0.9;
  if (o->beta2 == 0) o->beta2 = 0.999;
  if (o->epsilon == 0) o->epsilon = strcmp(kind->name, "adagrad") == 0 ? 1e-10 : 1e-8;
  const struct {
    const char *name;
    double value, below;
  } bounds[] = {{"momentum", o->momentum, 1},
                {"beta1", o->beta1, 1},
                {"beta2", o->beta2, 1},
                {"epsilon", o->epsilon, 1},
                {"decay", o->decay, INFINITY},
                {"clip_norm", o->clip_norm, INFINITY},
                {"clip_value", o->clip_value, INFINITY}};
  for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
    if (!(bounds[i].value >= 0 && bounds[i].value < bounds[i].below))
      return error_set(err, MEDLEY_ERR_USAGE, "optimiser %s: %s is %g; it must be at least 0 and below %g", kind->name,
                       bounds[i].name, bounds[i].value, bounds[i].below);
  return MEDLEY_OK;
}

static size_t state_bytes(parameters *p, size_t parameter) {
  return parameters_at(p, parameter)->value.count * sizeof(real);
}

medley_status optimiser_create(const optimiser_kind *kind, parameters *p, const optimiser_options *options,
                               optimiser **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  optimiser *o = mem_zalloc(1, sizeof *o);
  if (o == NULL) return error_memory(err, "an optimiser");
  *o = (optimiser){.kind = kind, .over = p, .options = *options};
  TRY(options_check(&o->options, kind, err));
  TRY_NEW(o->states, parameters_count(p) * OPTIMISER_STATES_MAX, "an optimiser");
  for (size_t i = 0; i < parameters_count(p); i++)
    for (int k = 0; k < kind->states && parameters_at(p, i)->role != PARAMETER_FROZEN; k++) {
      real *state =
          mem_map(state_bytes(p, i), false); /* pages not touched cost nothing, and rows begin on cache lines */
      if (state == NULL) {
        status = error_memory(err, "the state of an optimiser");
        goto done;
      }
      o->states[i * OPTIMISER_STATES_MAX + (size_t)k] = state;
    }
  *out = o;
  o = NULL;
done:
  optimiser_free(o);
  return status;
}

void optimiser_free(optimiser *o) {
  if (o == NULL) return;
  for (size_t i = 0; o->states != NULL && i < parameters_count(o->over) * OPTIMISER_STATES_MAX; i++)
    mem_unmap(o->states[i], state_bytes(o->over, i / OPTIMISER_STATES_MAX));
  mem_free(o->states);
  mem_free(o);
}

const optimiser_kind *optimiser_kind_of(const optimiser *o) { return o->kind; }
uint64_t optimiser_steps(const optimiser *o) { return o->steps; }
void optimiser_set_steps(optimiser *o, uint64_t steps) { o->steps = steps; }

real *optimiser_state(optimiser *o, size_t parameter, int state) {
  return o->states[parameter * OPTIMISER_STATES_MAX + (size_t)state];
}

/* ---- the length of all gradients ---- */

enum { BLOCK = 4096 };

typedef struct norm_pass {
  const real *gradient;
  size_t count;
  real limit;
  double *squares; /* [blocks] */
} norm_pass;

static inline VECTOR_INLINE real squares_body(const real *x, size_t count, real limit) {
  real sum = 0;
  _Pragma("omp simd reduction(+:sum)") for (size_t i = 0; i < count; i++) {
    real g = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i]; /* a NaN stays */
    sum += g * g;
  }
  return sum;
}
VECTOR_CLONES(static, real, squares, (const real *x, size_t count, real limit), (x, count, limit))

/* Blocks of fixed size, added in order: the rounding does not depend on threads. */
static double gradient_squares(const real *gradient, size_t count, real limit) {
  double total = 0;
  size_t blocks = (count + BLOCK - 1) / BLOCK;
  double parts[64];
  for (size_t first = 0; first < blocks; first += 64) {
    size_t last = blocks - first < 64 ? blocks : first + 64;
#pragma omp parallel for schedule(static) if (last - first >= 8)
    for (size_t k = first; k < last; k++)
      parts[k - first] = squares(gradient + k * BLOCK, count - k * BLOCK < BLOCK ? count - k * BLOCK : BLOCK, limit);
    for (size_t k = first; k < last; k++) total += parts[k - first];
  }
  return total;
}

static medley_status norm_measure(const optimiser *o, double *norm, medley_error *err) {
  double total = 0;
  real limit = o->options.clip_value > 0 ? (real)o->options.clip_value : INFINITY;
  for (size_t i = 0; i < parameters_count(o->over); i++) {
    const parameter *item = parameters_at(o->over, i);
    const tensor *x = &item->value;
    if (!x->has_gradient) continue;
    double square = x->rows ? gradient_squares(x->rows->value, x->rows->count * x->shape[1], limit)
                            : gradient_squares(x->gradient, x->count, limit);
    if (!isfinite(square))
      return error_set(err, MEDLEY_ERR_INPUT,
                       "the gradient of %s is not finite; a smaller rate or clipping may help, and the data may hold "
                       "values that are not numbers",
                       item->name);
    total += square;
  }
  *norm = sqrt(total);
  return MEDLEY_OK;
}

/* ---- a step ---- */

typedef struct update_pass {
  const optimiser_kind *kind;
  const optimiser_numbers *numbers;
  tensor *x;
  real *states[OPTIMISER_STATES_MAX];
} update_pass;

static real *at(real *state, size_t place) { return state != NULL ? state + place : NULL; }

static void update_range(void *context, size_t from, size_t to) {
  const update_pass *u = context;
  u->kind->update(u->numbers, real_data(u->x) + from, u->x->gradient + from, at(u->states[0], from),
                  at(u->states[1], from), to - from);
}

static void update_rows(void *context, size_t from, size_t to) {
  const update_pass *u = context;
  const tensor_rows *rows = u->x->rows;
  size_t dim = u->x->shape[1];
  for (size_t k = from; k < to; k++) {
    size_t place = rows->row[k] * dim, ahead = k + ROWS_AHEAD < to ? rows->row[k + ROWS_AHEAD] * dim : place;
    row_prefetch(real_data(u->x) + ahead, dim);
    for (int s = 0; s < OPTIMISER_STATES_MAX && u->states[s] != NULL; s++) row_prefetch(u->states[s] + ahead, dim);
    u->kind->update(u->numbers, real_data(u->x) + place, rows->value + k * dim, at(u->states[0], place),
                    at(u->states[1], place), dim);
  }
}

static optimiser_numbers numbers_of(const optimiser *o, double rate, double norm) {
  const optimiser_options *p = &o->options;
  double clip = p->clip_norm > 0 ? p->clip_norm / (norm + 1e-6) : 1; /* PyTorch's clip_grad_norm_ */
  return (optimiser_numbers){.rate = (real)rate,
                             .decay = (real)p->decay,
                             .scale = (real)(clip < 1 ? clip : 1),
                             .clip_value = p->clip_value > 0 ? (real)p->clip_value : INFINITY,
                             .momentum = (real)p->momentum,
                             .beta1 = (real)p->beta1,
                             .beta2 = (real)p->beta2,
                             .epsilon = (real)p->epsilon,
                             .correction1 = (real)(1 - pow(p->beta1, (double)o->steps)),
                             .correction2 = (real)sqrt(1 - pow(p->beta2, (double)o->steps))};
}

medley_status optimiser_step(optimiser *o, double rate, double *norm, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double length = 0;
  if (norm != NULL || o->options.clip_norm > 0) TRY(norm_measure(o, &length, err));
  if (norm != NULL) *norm = length;
  o->steps++;
  optimiser_numbers decayed = numbers_of(o, rate, length), plain = decayed;
  plain.decay = 0;
  for (size_t i = 0; i < parameters_count(o->over); i++) {
    parameter *item = parameters_at(o->over, i);
    update_pass u = {o->kind,
                     item->role == PARAMETER_PLAIN ? &plain : &decayed,
                     &item->value,
                     {optimiser_state(o, i, 0), optimiser_state(o, i, 1)}};
    if (!item->value.has_gradient) continue;
    if (item->value.rows != NULL)
      op_parallel(item->value.rows->count, 1 + OP_GRAIN / (item->value.shape[1] + 1), update_rows, &u);
    else
      op_parallel(item->value.count, OP_GRAIN, update_range, &u);
  }
done:
  parameters_clear_gradients(o->over);
  return status;
}
