/* encode/trained.c: see encode/trained.h. */
#include "encode/trained.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "nn/layer.h"
#include "nn/optimiser.h"
#include "nn/schedule.h"
#include "nn/training_log.h"
#include "nn/training_run.h"

#define KEEP_EVERY_S 30.0

typedef struct training {
  optimiser *optimiser;
  tape *tape;
  uint32_t *order; /* [items] */
  training_log log;
  schedule_options schedule;
  rng shuffle;
  size_t at, batch; /* where in order the next batch begins; items a step */
  double kept_s;    /* when the run was kept last */
  bool unkept;      /* keeping has failed, and it was said */
} training;

static void training_deinit(training *r) {
  optimiser_free(r->optimiser);
  tape_free(r->tape);
  mem_free(r->order);
  training_log_deinit(&r->log);
}

void trained_draw_seed(rng *r, uint64_t seed, const tape *t) { rng_seed(r, seed * 0x9e3779b97f4a7c15u + tape_step(t)); }

static size_t steps_of(const trained_plan *plan, size_t items) {
  size_t each = (items + plan->batch - 1) / plan->batch, steps = each * plan->passes;
  if (plan->steps > 0) return plan->steps;
  return steps < TRAINED_STEPS_MIN ? TRAINED_STEPS_MIN : steps > TRAINED_STEPS_MAX ? TRAINED_STEPS_MAX : steps;
}

static medley_status training_step(training *r, const trained_plan *plan, const uint32_t *items, size_t count,
                                   progress_stage *stage, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double rate = schedule_rate(schedule_find("cosine"), &r->schedule, r->log.steps);
  tensor *loss = plan->loss(r->tape, plan->context, items, count);
  TRY(tape_backward(r->tape, loss, err));
  TRY(training_log_step(&r->log, stage, tape_value(loss), rate, err));
  TRY(optimiser_step(r->optimiser, rate, NULL, err));
done:
  tape_reset(r->tape);
  return status;
}

/* The next batch of the order, which is drawn anew for every pass. What is left over at its end is too little to tell
 * items apart. */
static const uint32_t *batch_next(training *r, size_t items) {
  if (r->at + r->batch > items) {
    rng_shuffle(&r->shuffle, r->order, items);
    r->at = 0;
  }
  r->at += r->batch;
  return r->order + r->at - r->batch;
}

/* ---- a run that is taken up again: parameters and moments are in the file, the order of items is drawn again ---- */

static training_run run_of(const training *r, parameters *p, size_t step) {
  return (training_run){.parameters = p, .optimiser = r->optimiser, .epoch = step};
}

static medley_status run_resume(training *r, parameters *p, const trained_plan *plan, size_t items, size_t steps,
                                size_t *step, medley_error *err) {
  medley_status status = MEDLEY_OK;
  training_run run = run_of(r, p, 0);
  r->kept_s = clock_now_s();
  if (plan->state == NULL || !file_exists(plan->state)) return MEDLEY_OK;
  TRY(training_run_load(&run, plan->state, err));
  if (run.epoch > steps)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: stands at step %" PRIu64 " of %zu", plan->state, run.epoch, steps);
  *step = (size_t)run.epoch;
  for (size_t i = 0; i < *step; i++) (void)batch_next(r, items);
  r->log.steps = *step;
  tape_set_step(r->tape, *step);
done:
  return status;
}

/* A full disk is no reason to end a training: it is said once, and the training goes on. */
static void run_keep(training *r, parameters *p, const trained_plan *plan, size_t step, bool now,
                     const progress_stage *stage) {
  medley_error why = {0};
  if (plan->state == NULL || (!now && clock_now_s() - r->kept_s < KEEP_EVERY_S)) return;
  training_run run = run_of(r, p, step);
  r->kept_s = clock_now_s();
  if (training_run_save(&run, plan->state, &why) == MEDLEY_OK || r->unkept) return;
  r->unkept = true;
  progress_note(stage != NULL ? stage->sink : NULL, "the training cannot be kept to be taken up again: %s", why.text);
}

medley_status trained_fit(parameters *p, uint64_t seed, const trained_plan *plan, size_t items, progress_stage *stage,
                          medley_error *err) {
  medley_status status = MEDLEY_OK;
  training r = {0};
  size_t steps = steps_of(plan, items), step = 0;
  r.schedule = (schedule_options){.rate = plan->rate, .total_steps = steps, .warmup_steps = steps / 20, .floor = 0.02};
  r.at = items, r.batch = plan->batch < items ? plan->batch : items;
  TRY_NEW(r.order, items, "a training");
  for (size_t i = 0; i < items; i++) r.order[i] = (uint32_t)i;
  rng_seed(&r.shuffle, seed);
  r.tape = tape_create(seed);
  if (r.tape == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a training");
  TRY(optimiser_create(optimiser_find("adamw"), p, &(optimiser_options){.decay = 0.01, .clip_norm = 1}, &r.optimiser,
                       err));
  if (stage != NULL) stage->total = steps;
  TRY(run_resume(&r, p, plan, items, steps, &step, err));
  for (; step < steps; step++) {
    status = training_step(&r, plan, batch_next(&r, items), r.batch, stage, err);
    if (status == MEDLEY_ERR_CANCELLED) run_keep(&r, p, plan, step, true, stage);
    if (status != MEDLEY_OK) goto done;
    run_keep(&r, p, plan, step + 1, false, stage);
  }
done:
  training_deinit(&r);
  return status;
}

medley_status trained_save(parameters *p, safetensors_writer *w, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  for (size_t i = 0; i < parameters_count(p); i++) {
    const parameter *item = parameters_at(p, i);
    uint64_t shape[TENSOR_RANK_MAX];
    for (int d = 0; d < item->value.rank; d++) shape[d] = item->value.shape[d];
    layer_name(name, prefix, "%s", item->name);
    TRY(safetensors_add(w, name, item->value.dtype, item->value.rank, shape, item->value.data, err));
    if (item->value.scale == NULL) continue;
    layer_name(name, prefix, "%s.scale", item->name);
    TRY(safetensors_add(w, name, DTYPE_F32, 1, shape, item->value.scale, err));
  }
done:
  return status;
}

/* What the first weight of the file is, and so all of them. */
static weight_precision precision_found(parameters *p, const safetensors *s, const char *prefix) {
  char name[SAFETENSORS_NAME_MAX];
  const tensor_view *view = NULL;
  for (size_t i = 0; view == NULL && i < parameters_count(p); i++)
    if (parameters_at(p, i)->role == PARAMETER_WEIGHT)
      view = safetensors_get(s, layer_name(name, prefix, "%s", parameters_at(p, i)->name));
  return view != NULL ? precision_of(view->dtype) : WEIGHT_F32;
}

/* The tensor of the file, of finite numbers, whose bytes go to `to`. */
static medley_status values_load(const safetensors *s, const char *name, const tensor *as, int rank, tensor_dtype dtype,
                                 void *to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint64_t shape[TENSOR_RANK_MAX], bytes = 0;
  const tensor_view *from;
  for (int d = 0; d < rank; d++) shape[d] = as->shape[d];
  TRY(safetensors_need(s, name, dtype, rank, shape, &from, err));
  for (uint64_t k = 0; k < from->count; k++) {
    bool finite = dtype == DTYPE_F32    ? isfinite(((const float *)from->data)[k])
                  : dtype == DTYPE_BF16 ? (((const uint16_t *)from->data)[k] & 0x7f80) != 0x7f80
                                        : true;
    if (!finite)
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' holds a value that is not finite, at %" PRIu64, s->path, name, k);
  }
  (void)dtype_bytes(dtype, from->count, &bytes); /* the file is as large as that */
  memcpy(to, from->data, bytes);
done:
  return status;
}

medley_status trained_load(parameters *p, const safetensors *s, const char *prefix, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[SAFETENSORS_NAME_MAX];
  TRY(parameters_narrow(p, precision_found(p, s, prefix), err));
  for (size_t i = 0; i < parameters_count(p); i++) {
    parameter *item = parameters_at(p, i);
    tensor *x = &item->value;
    TRY(values_load(s, layer_name(name, prefix, "%s", item->name), x, x->rank, x->dtype, x->data, err));
    if (x->scale == NULL) continue;
    layer_name(name, prefix, "%s.scale", item->name);
    TRY(values_load(s, name, x, 1, DTYPE_F32, (float *)(uintptr_t)x->scale, err));
  }
done:
  return status;
}

medley_status trained_rows(const safetensors *s, const char *prefix, const char *name, size_t most, size_t *out,
                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  char full[SAFETENSORS_NAME_MAX];
  const tensor_view *view;
  layer_name(full, prefix, "%s", name);
  view = safetensors_get(s, full);
  tensor_dtype dtype = view != NULL ? precision_dtype(precision_of(view->dtype)) : DTYPE_F32;
  TRY(safetensors_need(s, full, dtype, 2, (uint64_t[]){0, 0}, &view, err));
  if (view->shape[0] == 0 || view->shape[0] > most)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' has %" PRIu64 " rows, expected 1 to %zu", s->path, full, view->shape[0],
         most);
  *out = (size_t)view->shape[0];
done:
  return status;
}
