/* learn/fit_validation.c: see learn/fit.h for why there are two parts. */
#include "learn/fit_validation.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

#define VALID_SHARE 0.12      /* of the events of warm items */
#define COLD_SHARE 0.1        /* of the items */
#define COLD_ITEMS_MIN 20     /* fewer items made cold say nothing */
#define COLD_SALT 0x636f6c64u /* so that the items' draw differs from the events' */

static medley_status choose_cold(const interactions *all, uint64_t seed, uint8_t **out, uint32_t *count,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  rng_seed(&r, seed ^ COLD_SALT);
  TRY_NEW(*out, all->by_user.columns, "validation items");
  *count = 0;
  for (uint32_t i = 0; i < all->by_user.columns; i++) {
    if (all->popularity[i] == 0 || rng_uniform(&r) >= COLD_SHARE) continue;
    (*out)[i] = 1;
    (*count)++;
  }
done:
  return status;
}

/* Three labellings of the events: what is learned from and the warm part; the cold part; both parts in natural
 * proportion. */
typedef struct labels {
  uint8_t *base, *tune, *cold, *both;
} labels;

static void labels_deinit(labels *l) {
  mem_free(l->base);
  mem_free(l->tune);
  mem_free(l->cold);
  mem_free(l->both);
}

/* Cuts the warm part as asked, or at random where that leaves nothing on one side (all events of one moment), or not at
 * all: then every event is learned from and nothing is tuned. */
static medley_status warm_cut(const fit_input *input, const fit_options *options, labels *l, medley_error *err) {
  const split_kind tried[] = {options->validation, SPLIT_USER_RANDOM};
  for (size_t k = 0; k < sizeof tried / sizeof *tried; k++) {
    split_options split = {.kind = tried[k], .test_share = VALID_SHARE, .seed = options->seed};
    medley_error why = {0};
    medley_status status = split_make(input->log, &split, l->base, l->tune, &why);
    if (status == MEDLEY_OK) return MEDLEY_OK;
    if (status != MEDLEY_ERR_USAGE) return error_set(err, status, "%s", why.text);
  }
  if (input->log->event_count > 0) memcpy(l->tune, l->base, input->log->event_count);
  return MEDLEY_OK;
}

static medley_status labels_make(const fit_input *input, const fit_options *options, const uint8_t *made_cold,
                                 labels *l, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const event_log *log = input->log;
  rng r;
  rng_seed(&r, options->seed ^ (COLD_SALT << 1));
  TRY_NEW(l->base, log->event_count, "event labels");
  TRY_NEW(l->tune, log->event_count, "event labels");
  TRY_NEW(l->cold, log->event_count, "event labels");
  TRY_NEW(l->both, log->event_count, "event labels");
  for (size_t e = 0; e < log->event_count; e++) {
    bool mine = input->label == NULL || input->label[e] == LABEL_TRAIN;
    bool is_cold = mine && made_cold[log->events[e].item];
    l->base[e] = mine && !is_cold ? LABEL_TRAIN : LABEL_DROP;
    l->cold[e] = is_cold ? LABEL_TEST : LABEL_DROP;
  }
  TRY(warm_cut(input, options, l, err));
  for (size_t e = 0; e < log->event_count; e++) {
    bool drawn = l->cold[e] == LABEL_TEST && rng_uniform(&r) < VALID_SHARE;
    l->both[e] = l->tune[e] == LABEL_TEST || drawn ? LABEL_TEST : LABEL_DROP;
  }
done:
  return status;
}

static medley_status matrices_make(const fit_input *input, const labels *l, fit_validation *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(interactions_build(input->log, input->weights, l->tune, LABEL_TRAIN, &out->train, err));
  TRY(interactions_build(input->log, input->weights, l->tune, LABEL_TEST, &out->warm_test, err));
  TRY(interactions_build(input->log, input->weights, l->cold, LABEL_TEST, &out->cold_test, err));
  TRY(interactions_build(input->log, input->weights, l->both, LABEL_TEST, &out->both_test, err));
  TRY_NEW(out->cold_items, out->train.by_user.columns, "validation items");
  for (uint32_t i = 0; i < out->train.by_user.columns; i++)
    out->cold_count += out->cold_items[i] = out->train.popularity[i] == 0;
done:
  return status;
}

medley_status fit_validation_make(const fit_input *input, const fit_options *options, const interactions *all,
                                  size_t user_limit, fit_validation *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  labels l = {0};
  uint32_t made = 0;
  *out = (fit_validation){0};
  TRY(choose_cold(all, options->seed, &out->made_cold, &made, err));
  out->has_cold = input->content->count > 0 && made >= COLD_ITEMS_MIN;
  if (!out->has_cold) memset(out->made_cold, 0, all->by_user.columns);
  TRY(labels_make(input, options, out->made_cold, &l, err));
  TRY(matrices_make(input, &l, out, err));
  TRY_NEW(out->warm_items, out->train.by_user.columns, "validation items");
  for (uint32_t i = 0; i < out->train.by_user.columns; i++) out->warm_items[i] = !out->made_cold[i];
  /* Items made cold have no event in the warm part: ranked there, they would only punish what places them well. */
  out->warm = (measure_task){.history = &out->train, .test = &out->warm_test, .candidate = out->warm_items};
  out->both = (measure_task){.history = &out->train, .test = &out->both_test};
  out->cold = (measure_task){.history = &out->train, .test = &out->cold_test, .candidate = out->made_cold};
  TRY(measure_users(&out->warm, user_limit, options->seed, &out->warm_users, &out->warm.user_count, err));
  out->warm.users = out->warm_users;
  if (out->has_cold) {
    TRY(measure_users(&out->cold, user_limit, options->seed, &out->cold_users, &out->cold.user_count, err));
    out->cold.users = out->cold_users;
    out->has_cold = out->cold.user_count > 0;
  }
done:
  labels_deinit(&l);
  if (status != MEDLEY_OK) fit_validation_deinit(out);
  return status;
}

void fit_validation_deinit(fit_validation *v) {
  interactions_deinit(&v->train);
  interactions_deinit(&v->warm_test);
  interactions_deinit(&v->cold_test);
  interactions_deinit(&v->both_test);
  mem_free(v->cold_items);
  mem_free(v->made_cold);
  mem_free(v->warm_items);
  mem_free(v->warm_users);
  mem_free(v->cold_users);
  *v = (fit_validation){0};
}
