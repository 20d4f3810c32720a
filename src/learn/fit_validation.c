/* learn/fit_validation.c: see learn/fit_validation.h. */
#include "learn/fit_validation.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

#define VALID_SHARE 0.12      /* of the events of warm items */
#define TIME_SHARE 0.2        /* … by one moment: as many items are new then as in a test */
#define COLD_SHARE 0.1        /* of the items */
#define COLD_ITEMS_MIN 20     /* fewer cold items say nothing */
#define COLD_USERS_MIN 50     /* nor do fewer people who chose them */
#define WARM_EVENTS 10000     /* asked for, if there are so many: with one or two a user they need many users … */
#define WARM_SCORES 2e8       /* … but not more scores than this a trial, beyond those of user_limit */
#define COLD_SALT 0x636f6c64u /* so that the items' draw differs from the events' */

static void choose_cold(const interactions *all, uint64_t seed, uint8_t *made_cold, uint32_t *count) {
  rng r;
  rng_seed(&r, seed ^ COLD_SALT);
  *count = 0;
  for (uint32_t i = 0; i < all->by_user.columns; i++) {
    if (all->popularity[i] == 0 || rng_uniform(&r) >= COLD_SHARE) continue;
    made_cold[i] = 1;
    (*count)++;
  }
}

/* Labellings of the events: what is learned from (and the cut of it), and one for each matrix that is built. */
typedef struct labels {
  uint8_t *base, *cut, *out;
} labels;

static void labels_deinit(labels *l) {
  mem_free(l->base);
  mem_free(l->cut);
  mem_free(l->out);
}

/* Whole items that are held out are the made-cold ones: beside them, models that know nothing of cold items are tuned
 * on what people do at random. Events marked as validation are the importer's affair. The last event of each person is
 * one draw a person, which cannot tell models apart that differ by a tenth; a longer tail asks the same with less
 * noise.
 */
static split_kind kind_of_cut(split_kind validation) {
  switch (validation) {
    case SPLIT_COLD_ITEM:
    case SPLIT_GIVEN: return SPLIT_USER_RANDOM;
    case SPLIT_LEAVE_ONE_OUT: return SPLIT_USER_TIME;
    default: return validation;
  }
}

/* Cuts as asked, or at random where that leaves nothing on one side (all events of one moment), or not at all: then
 * every event is learned from and nothing is tuned. */
static medley_status labels_cut(const fit_input *input, const fit_options *options, labels *l, medley_error *err) {
  const split_kind tried[] = {kind_of_cut(options->validation), SPLIT_USER_RANDOM};
  for (size_t k = 0; k < sizeof tried / sizeof *tried; k++) {
    double share = tried[k] == SPLIT_GLOBAL_TIME ? TIME_SHARE : VALID_SHARE;
    split_options split = {.kind = tried[k], .test_share = share, .seed = options->seed};
    medley_error why = {0};
    medley_status status = split_make(input->log, &split, l->base, l->cut, &why);
    if (status == MEDLEY_OK) return MEDLEY_OK;
    if (status != MEDLEY_ERR_USAGE) return error_set(err, status, "%s", why.text);
  }
  if (input->log->event_count > 0) memcpy(l->cut, l->base, input->log->event_count);
  return MEDLEY_OK;
}

static bool is_mine(const fit_input *input, size_t e) { return input->label == NULL || input->label[e] == LABEL_TRAIN; }

/* Where some events are there to be tuned on, nothing is cut from those to learn from. */
static bool labels_take(const fit_input *input, labels *l) {
  size_t valid = 0, count = input->log->event_count;
  for (size_t e = 0; input->label != NULL && e < count; e++) {
    bool tuned_on = input->label[e] == LABEL_VALID;
    l->cut[e] = tuned_on ? LABEL_TEST : l->base[e];
    valid += tuned_on;
  }
  return valid > 0;
}

static medley_status labels_make(const fit_input *input, const fit_options *options, const uint8_t *made_cold,
                                 labels *l, medley_error *err) {
  const event_log *log = input->log;
  for (size_t e = 0; e < log->event_count; e++)
    l->base[e] = is_mine(input, e) && !made_cold[log->events[e].item] ? LABEL_TRAIN : LABEL_DROP;
  if (labels_take(input, l)) return MEDLEY_OK;
  return labels_cut(input, options, l, err);
}

/* ---- matrices ---- */

/* Which matrix an event belongs to. `drawn`: of a user's events on items made cold, as large a share as of the others.
 */
typedef struct event_view {
  uint8_t cut; /* LABEL_* */
  bool item_is_cold, made_cold, drawn, only_cold_asked;
} event_view;

static bool of_known(event_view v) { return v.cut == LABEL_TRAIN || v.cut == LABEL_HISTORY; }
static bool of_nobody(event_view v) { return (void)v, false; }
static bool of_warm(event_view v) { return v.cut == LABEL_TEST && !v.item_is_cold; }
static bool of_cold(event_view v) { return v.made_cold || (v.cut == LABEL_TEST && v.item_is_cold); }
static bool of_demand(event_view v) {
  if (v.only_cold_asked) return of_cold(v);
  return v.cut == LABEL_TEST || v.drawn;
}

typedef struct matrices {
  const fit_input *input;
  const fit_options *options;
  labels *l;
  fit_validation *out;
  float *asked_share; /* [users] of a user's events, how much the cut asks for; NULL: not known yet */
} matrices;

/* Of items made cold as large a share of a user's events is asked for as of the others: a user of whom nothing else is
 * asked would ask for new items alone. */
static medley_status shares_find(matrices *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const event_log *log = m->input->log;
  uint32_t *events = NULL;
  size_t asked = 0, new = 0;
  TRY_NEW(events, log->user_count, "validation users");
  TRY_NEW(m->asked_share, log->user_count, "validation users");
  for (size_t e = 0; e < log->event_count; e++) {
    events[log->events[e].user] += m->l->cut[e] != LABEL_DROP;
    m->asked_share[log->events[e].user] += m->l->cut[e] == LABEL_TEST;
    asked += m->l->cut[e] == LABEL_TEST;
    new += m->l->cut[e] == LABEL_TEST && m->out->cold_items[log->events[e].item];
  }
  m->out->new_share = asked > 0 ? (double)new / (double)asked : 0;
  for (uint32_t u = 0; u < log->user_count; u++)
    if (events[u] > 0) m->asked_share[u] /= (float)events[u];
done:
  mem_free(events);
  return status;
}

static medley_status matrix_make(const matrices *m, bool (*wanted)(event_view), interactions *out, medley_error *err) {
  const event_log *log = m->input->log;
  rng r;
  rng_seed(&r, m->options->seed ^ (COLD_SALT << 1));
  for (size_t e = 0; e < log->event_count; e++) {
    uint32_t item = log->events[e].item;
    event_view v = {.cut = m->l->cut[e],
                    .item_is_cold = m->out->cold_items[item],
                    .made_cold = is_mine(m->input, e) && m->out->made_cold[item],
                    .only_cold_asked = m->options->validation == SPLIT_COLD_ITEM && m->out->has_cold};
    v.drawn = v.made_cold && m->asked_share != NULL && rng_uniform(&r) < (double)m->asked_share[log->events[e].user];
    m->l->out[e] = wanted(v) ? LABEL_TEST : LABEL_DROP;
  }
  return interactions_build(log, m->input->weights, m->l->out, LABEL_TEST, out, err);
}

/* What nobody ever chose may have come later, or be what a test on cold items is about: there it says nothing. */
static void candidates_mark(const matrices *m, const interactions *all, fit_validation *out) {
  bool later = m->options->validation == SPLIT_GLOBAL_TIME || m->options->validation == SPLIT_COLD_ITEM;
  for (uint32_t i = 0; i < all->by_user.columns; i++) {
    out->warm_asked[i] = !out->cold_items[i];
    out->cold_asked[i] = out->cold_items[i] && all->popularity[i] > 0;
    out->asked[i] = all->popularity[i] > 0 || !later;
  }
}

/* Cuts, and finds what is cold then. */
static medley_status train_make(const matrices *m, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fit_validation *out = m->out;
  interactions_deinit(&out->train);
  TRY(labels_make(m->input, m->options, out->made_cold, m->l, err));
  TRY(interactions_build(m->input->log, m->input->weights, m->l->cut, LABEL_TRAIN, &out->train, err));
  out->cold_count = 0;
  for (uint32_t i = 0; i < out->train.by_user.columns; i++)
    out->cold_count += out->cold_items[i] = out->train.popularity[i] == 0;
done:
  return status;
}

static medley_status cold_make(const matrices *m, size_t user_limit, uint32_t *asked_items, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fit_validation *out = m->out;
  interactions_deinit(&out->cold_test);
  mem_free(out->cold_users);
  out->cold_users = NULL;
  TRY(matrix_make(m, of_cold, &out->cold_test, err));
  out->cold = (measure_task){.history = &out->train, .test = &out->cold_test, .candidate = out->cold_asked};
  TRY(measure_users(&out->cold, user_limit, m->options->seed, &out->cold_users, &out->cold.user_count, err));
  out->cold.users = out->cold_users;
  *asked_items = 0;
  for (uint32_t i = 0; i < out->cold_test.by_user.columns; i++) *asked_items += out->cold_test.popularity[i] > 0;
done:
  return status;
}

/* Items that came after the moment are cold by themselves; without enough of them, and for the other kinds of split,
 * some are made cold. */
static medley_status cold_settle(const matrices *m, const interactions *all, size_t user_limit, medley_error *err) {
  medley_status status = MEDLEY_OK;
  fit_validation *out = m->out;
  uint32_t items = 0, made = 0;
  bool content = m->input->content->count > 0;
  bool by_time = m->options->validation == SPLIT_GLOBAL_TIME;
  if (!content || by_time) {
    TRY(train_make(m, err));
    candidates_mark(m, all, out);
    TRY(cold_make(m, user_limit, &items, err));
    out->has_cold = content && items >= COLD_ITEMS_MIN && out->cold.user_count >= COLD_USERS_MIN;
    if (out->has_cold || !content) goto done;
  }
  choose_cold(all, m->options->seed, out->made_cold, &made);
  out->has_cold = made >= COLD_ITEMS_MIN;
  if (!out->has_cold) memset(out->made_cold, 0, all->by_user.columns);
  TRY(train_make(m, err));
  candidates_mark(m, all, out);
  TRY(cold_make(m, user_limit, &items, err));
  out->has_cold &= out->cold.user_count > 0;
done:
  return status;
}

static medley_status room_make(const fit_input *input, size_t items, labels *l, fit_validation *out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(l->base, input->log->event_count, "event labels");
  TRY_NEW(l->cut, input->log->event_count, "event labels");
  TRY_NEW(l->out, input->log->event_count, "event labels");
  TRY_NEW(out->made_cold, items, "validation items");
  TRY_NEW(out->cold_items, items, "validation items");
  TRY_NEW(out->warm_asked, items, "validation items");
  TRY_NEW(out->cold_asked, items, "validation items");
  TRY_NEW(out->asked, items, "validation items");
done:
  return status;
}

/* user_limit, or more where users have few events each: between settings that differ by a hundredth the chance of who
 * is asked must not decide. */
static size_t warm_users_limit(const interactions *test, size_t user_limit) {
  size_t users = 0;
  double events = (double)sparse_count(&test->by_user);
  for (uint32_t u = 0; u < test->by_user.rows; u++) users += test->by_user.start[u] < test->by_user.start[u + 1];
  double wanted = events > 0 ? WARM_EVENTS * (double)users / events : 0;
  double most = WARM_SCORES / (1 + test->by_user.columns);
  if (wanted > most) wanted = most;
  return wanted > (double)user_limit ? (size_t)wanted : user_limit;
}

medley_status fit_validation_make(const fit_input *input, const fit_options *options, const interactions *all,
                                  size_t user_limit, fit_validation *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  labels l = {0};
  matrices m = {input, options, &l, out, NULL};
  *out = (fit_validation){0};
  TRY(room_make(input, all->by_user.columns, &l, out, err));
  TRY(cold_settle(&m, all, user_limit, err));
  TRY(matrix_make(&m, of_known, &out->known, err));
  TRY(matrix_make(&m, of_nobody, &out->nobody, err));
  TRY(matrix_make(&m, of_warm, &out->warm_test, err));
  TRY(shares_find(&m, err));
  TRY(matrix_make(&m, of_demand, &out->demand_test, err));
  out->cold.history = &out->known;
  /* Cold items have no event in the warm part: ranked there, they would only punish what places them well. */
  out->warm = (measure_task){.history = &out->known, .test = &out->warm_test, .candidate = out->warm_asked};
  out->demand = (measure_task){.history = &out->known, .test = &out->demand_test, .candidate = out->asked};
  out->stranger = (measure_task){.history = &out->nobody, .test = &out->demand_test, .candidate = out->asked};
  TRY(measure_users(&out->warm, warm_users_limit(&out->warm_test, user_limit), options->seed, &out->warm_users,
                    &out->warm.user_count, err));
  out->warm.users = out->warm_users;
done:
  labels_deinit(&l);
  mem_free(m.asked_share);
  if (status != MEDLEY_OK) fit_validation_deinit(out);
  return status;
}

void fit_validation_deinit(fit_validation *v) {
  interactions *all[] = {&v->train, &v->known, &v->nobody, &v->warm_test, &v->cold_test, &v->demand_test};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) interactions_deinit(all[i]);
  mem_free(v->cold_items);
  mem_free(v->made_cold);
  mem_free(v->warm_asked);
  mem_free(v->cold_asked);
  mem_free(v->asked);
  mem_free(v->warm_users);
  mem_free(v->cold_users);
  *v = (fit_validation){0};
}
