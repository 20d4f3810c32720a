/* nn/training_run.c: see nn/training_run.h. Parameters are tensors by their own names, what the optimiser remembers of
 * them is "optimiser.<number>.<name>", everything else is metadata; numbers that must come back exactly are in
 * hexadecimal.
 */
#include "nn/training_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "nn/safetensors.h"

enum { NUMBER_TEXT_MAX = 64 };
#define STEPS_MAX ((uint64_t)1 << 53) /* whole in a double, and far from wrapping */

static const char *state_name(char text[SAFETENSORS_NAME_MAX + 32], int state, const char *name) {
  snprintf(text, SAFETENSORS_NAME_MAX + 32, "optimiser.%d.%s", state, name);
  return text;
}

static void shape_wide(const tensor *x, uint64_t shape[TENSOR_RANK_MAX]) {
  for (int d = 0; d < x->rank; d++) shape[d] = x->shape[d];
}

static medley_status finite_check(const char *path, const char *name, const real *data, size_t count,
                                  medley_error *err) {
  for (size_t i = 0; i < count; i++)
    if (!isfinite(data[i]))
      return error_set(err, MEDLEY_ERR_INPUT, "%s: %s holds a value that is not finite, at %zu", path, name, i);
  return MEDLEY_OK;
}

/* ---- saving ---- */

static medley_status add_tensor(safetensors_writer *w, const char *name, const tensor *like, const real *data,
                                medley_error *err) {
  uint64_t shape[TENSOR_RANK_MAX];
  shape_wide(like, shape);
  return safetensors_add(w, name, DTYPE_F32, like->rank, shape, data, err);
}

static medley_status add_number(safetensors_writer *w, const char *key, uint64_t value, medley_error *err) {
  char text[NUMBER_TEXT_MAX];
  snprintf(text, sizeof text, "%" PRIx64, value);
  return safetensors_add_metadata(w, key, text, err);
}

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* A number of the run, and where it stands. */
typedef struct place {
  const char *key;
  uint64_t value;
} place;

enum { PLACES = 12 };

/* What there is to remember besides tensors; fills out and returns how many. */
static size_t places_of(const training_run *c, place out[PLACES]) {
  static const char *const order[] = {"order.0", "order.1", "order.2", "order.3"};
  size_t count = 0;
  out[count++] = (place){"epoch", c->epoch};
  out[count++] = (place){"batch", c->batch};
  if (c->optimiser != NULL) out[count++] = (place){"optimiser.steps", optimiser_steps(c->optimiser)};
  if (c->tape != NULL) out[count++] = (place){"tape.step", tape_step(c->tape)};
  for (int i = 0; c->order != NULL && i < 4; i++) out[count++] = (place){order[i], c->order->state[i]};
  if (c->stopping != NULL) {
    out[count++] = (place){"stopping.best", bits_of(c->stopping->best)};
    out[count++] = (place){"stopping.looks", c->stopping->looks};
    out[count++] = (place){"stopping.best_look", c->stopping->best_look};
  }
  return count;
}

/* A run that has gone astray is not written over one that can be taken up again. */
static medley_status add_parameter(const training_run *c, safetensors_writer *w, const char *path, size_t index,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX + 32];
  const parameter *item = parameters_at(c->parameters, index);
  TRY(finite_check(path, item->name, real_data(&item->value), item->value.count, err));
  TRY(add_tensor(w, item->name, &item->value, real_data(&item->value), err));
  for (int k = 0; c->optimiser != NULL && k < optimiser_kind_of(c->optimiser)->states; k++) {
    const real *state = optimiser_state(c->optimiser, index, k);
    if (state == NULL) continue;
    state_name(name, k, item->name);
    TRY(finite_check(path, name, state, item->value.count, err));
    TRY(add_tensor(w, name, &item->value, state, err));
  }
done:
  return status;
}

medley_status training_run_save(const training_run *c, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  safetensors_writer w = {0};
  place places[PLACES];
  size_t count = places_of(c, places);
  for (size_t i = 0; i < parameters_count(c->parameters); i++) TRY(add_parameter(c, &w, path, i, err));
  for (size_t i = 0; i < count; i++) TRY(add_number(&w, places[i].key, places[i].value, err));
  if (c->optimiser != NULL) TRY(safetensors_add_metadata(&w, "optimiser", optimiser_kind_of(c->optimiser)->name, err));
  TRY(safetensors_save(&w, path, err));
done:
  safetensors_writer_deinit(&w);
  return status;
}

/* ---- loading: first everything is looked at, then everything is copied ---- */

static medley_status find_tensor(const safetensors *s, const char *name, const tensor *like, const tensor_view **out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t shape[TENSOR_RANK_MAX];
  shape_wide(like, shape);
  TRY(safetensors_need(s, name, DTYPE_F32, like->rank, shape, out, err));
  TRY(finite_check(s->path, name, (*out)->data, like->count, err));
done:
  return status;
}

/* Looks (copy false), or copies what was looked at. */
static medley_status take_parameter(const training_run *c, const safetensors *s, size_t index, bool copy,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX + 32];
  parameter *item = parameters_at(c->parameters, index);
  const tensor_view *view = safetensors_get(s, item->name);
  if (!copy) TRY(find_tensor(s, item->name, &item->value, &view, err));
  if (copy) memcpy(item->value.data, view->data, item->value.count * sizeof(real));
  for (int k = 0; c->optimiser != NULL && k < optimiser_kind_of(c->optimiser)->states; k++) {
    real *state = optimiser_state(c->optimiser, index, k);
    if (state == NULL) continue;
    view = safetensors_get(s, state_name(name, k, item->name));
    if (!copy) TRY(find_tensor(s, name, &item->value, &view, err));
    if (copy) memcpy(state, view->data, item->value.count * sizeof(real));
  }
done:
  return status;
}

static medley_status find_number(const safetensors *s, place *p, medley_error *err) {
  const char *text = json_string_value(json_object_get(s->metadata, p->key));
  char *end;
  if (text == NULL) return error_set(err, MEDLEY_ERR_INPUT, "%s: the metadata have no %s", s->path, p->key);
  p->value = strtoull(text, &end, 16);
  if (*text == '\0' || *end != '\0')
    return error_set(err, MEDLEY_ERR_INPUT, "%s: %s in the metadata is \"%s\", not a number in hexadecimal", s->path,
                     p->key, text);
  return MEDLEY_OK;
}

/* Numbers that a run cannot go on from. */
static medley_status places_check(const training_run *c, const char *path, const place *places, size_t count,
                                  medley_error *err) {
  uint64_t order = 0;
  for (size_t i = 0; i < count; i++) {
    if (string_starts(places[i].key, "order.")) order |= places[i].value;
    if (strcmp(places[i].key, "optimiser.steps") == 0 && places[i].value > STEPS_MAX)
      return error_set(err, MEDLEY_ERR_INPUT,
                       "%s: optimiser.steps is %" PRIu64 ", at most %" PRIu64 " can be gone on from", path,
                       places[i].value, STEPS_MAX);
  }
  if (c->order != NULL && order == 0)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: order.0 to order.3 are all 0, from which nothing can be drawn", path);
  return MEDLEY_OK;
}

/* The numbers in the order of places_of, back to where they came from. */
static void places_restore(training_run *c, const place *places) {
  c->epoch = (places++)->value;
  c->batch = (places++)->value;
  if (c->optimiser != NULL) optimiser_set_steps(c->optimiser, (places++)->value);
  if (c->tape != NULL) tape_set_step(c->tape, (places++)->value);
  for (int i = 0; c->order != NULL && i < 4; i++) c->order->state[i] = (places++)->value;
  if (c->stopping == NULL) return;
  memcpy(&c->stopping->best, &(places++)->value, sizeof c->stopping->best);
  c->stopping->looks = (places++)->value;
  c->stopping->best_look = (places++)->value;
}

static medley_status optimiser_agrees(const training_run *c, const safetensors *s, medley_error *err) {
  if (c->optimiser == NULL) return MEDLEY_OK;
  const char *name = json_string_value(json_object_get(s->metadata, "optimiser"));
  const char *own = optimiser_kind_of(c->optimiser)->name;
  if (name != NULL && strcmp(name, own) == 0) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "%s was trained with %s, this run is with %s", s->path,
                   name ? name : "no optimiser", own);
}

medley_status training_run_load(training_run *c, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  safetensors s = {0};
  place places[PLACES];
  size_t count = places_of(c, places);
  TRY(safetensors_open(&s, path, err));
  TRY(optimiser_agrees(c, &s, err));
  for (size_t i = 0; i < count; i++) TRY(find_number(&s, &places[i], err));
  TRY(places_check(c, path, places, count, err));
  for (int copy = 0; copy < 2; copy++)
    for (size_t i = 0; i < parameters_count(c->parameters); i++) TRY(take_parameter(c, &s, i, copy, err));
  places_restore(c, places);
done:
  safetensors_close(&s);
  return status;
}
