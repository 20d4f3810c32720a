/* cli/show_evaluation.c: the table of an evaluation: figures with intervals, marks of significance, cost, slices.
 *
 * Models are rows; metrics are columns, in as many tables as the width of the terminal asks for. "±" is the larger half
 * of the 95 % bootstrap interval. Marks come from the paired test against the baseline: * p < .05, ** p < .01, *** p <
 * .001.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/show.h"
#include "cli/width.h"

#define METRICS_MAX 64
#define FIGURE_COLUMNS 18 /* "0.2811 ±0.0043 ***" with its gap */
#define MODEL_COLUMNS 20

typedef struct evaluation_view {
  console *c;
  const json_t *report, *models;
  const char *metrics[METRICS_MAX]; /* in the order of the report, the ones to look at first in front */
  size_t metric_count;
} evaluation_view;

static void metric_add(evaluation_view *v, const char *name) {
  for (size_t i = 0; i < v->metric_count; i++)
    if (strcmp(v->metrics[i], name) == 0) return;
  if (v->metric_count < METRICS_MAX) v->metrics[v->metric_count++] = name;
}

static void metrics_collect(evaluation_view *v) {
  static const char *const first[] = {"recall@20", "ndcg@20", "recall@10", "ndcg@10"};
  size_t i;
  json_t *model, *value;
  const char *key;
  json_array_foreach(v->models, i, model) {
    json_t *metrics = json_object_get(model, "metrics");
    for (size_t n = 0; i == 0 && n < sizeof first / sizeof *first; n++)
      if (json_object_get(metrics, first[n]) != NULL) metric_add(v, first[n]);
    json_object_foreach(metrics, key, value) metric_add(v, key);
  }
}

static const char *mark_of(const json_t *model, const char *metric) {
  const json_t *p = json_object_get(json_object_get(model, "p_value"), metric);
  if (!json_is_number(p)) return "";
  double value = json_number_value(p);
  return value < 0.001 ? " ***" : value < 0.01 ? " **" : value < 0.05 ? " *" : "";
}

static double mean_of(const json_t *metrics, const char *name) {
  return json_member_number(json_object_get(metrics, name), "mean", NAN);
}

/* The best mean of a metric; for those where more is not better it means nothing, so only accuracy is marked. */
static bool more_is_better(const char *name) {
  static const char *const accuracy[] = {"recall", "ndcg", "precision", "f1", "hit", "map", "mrr", "auc"};
  for (size_t i = 0; i < sizeof accuracy / sizeof *accuracy; i++)
    if (string_starts(name, accuracy[i])) return true;
  return false;
}

static bool is_best(const evaluation_view *v, const json_t *model, const char *name) {
  size_t i;
  json_t *other;
  double mine = mean_of(json_object_get(model, "metrics"), name);
  if (!more_is_better(name) || !isfinite(mine)) return false;
  json_array_foreach(v->models, i, other) if (mean_of(json_object_get(other, "metrics"), name) > mine) return false;
  return true;
}

static void figure_cell(table *t, const evaluation_view *v, const json_t *model, const char *name) {
  const json_t *figure = json_object_get(json_object_get(model, "metrics"), name);
  double mean = json_member_number(figure, "mean", NAN), lo = json_member_number(figure, "lo", NAN),
         hi = json_member_number(figure, "hi", NAN);
  text_style style = is_best(v, model, name) ? STYLE_BOLD : STYLE_PLAIN;
  if (!isfinite(mean))
    table_add(t, "–", STYLE_DIM);
  else if (isfinite(lo) && isfinite(hi))
    table_add_printf(t, style, "%.4f ±%.4f%s", mean, fmax(hi - mean, mean - lo), mark_of(model, name));
  else
    table_add_printf(t, style, "%.4f%s", mean, mark_of(model, name));
}

static void figures_show(const evaluation_view *v, size_t from, size_t to) {
  table t = {0};
  size_t i;
  json_t *model;
  table_add_column(&t, "model", false, true);
  for (size_t m = from; m < to; m++) table_add_column(&t, v->metrics[m], false, false);
  json_array_foreach(v->models, i, model) {
    table_add(&t, json_member_string(model, "model", ""), STYLE_PLAIN);
    for (size_t m = from; m < to; m++) figure_cell(&t, v, model, v->metrics[m]);
  }
  console_table(v->c, &t, 0);
  strbuf_append_char(&v->c->text, '\n');
  table_deinit(&t);
}

/* ---- cost and slices ---- */

static void slice_cells(table *t, const json_t *model, const char *slice, const char *const *names, size_t count) {
  const json_t *metrics = json_object_get(json_object_get(json_object_get(model, "slices"), slice), "metrics");
  for (size_t i = 0; i < count; i++) {
    double mean = mean_of(metrics, names[i]);
    table_add_printf(t, STYLE_PLAIN, isfinite(mean) ? "%.4f" : "–", mean);
  }
}

static size_t slice_users(const evaluation_view *v, const char *slice) {
  const json_t *first = json_array_get(v->models, 0);
  return (size_t)json_member_integer(json_object_get(json_object_get(first, "slices"), slice), "users", 0);
}

static void cost_show(const evaluation_view *v) {
  static const char *const slices[] = {"warm", "cold", "stranger"};
  enum { SLICES = sizeof slices / sizeof *slices };
  char headings[SLICES][2][48];
  size_t i, count = v->metric_count < 2 ? v->metric_count : 2;
  json_t *model;
  table t = {0};
  table_add_column(&t, "model", false, true);
  table_add_column(&t, "fit s", true, false);
  table_add_column(&t, "score s", true, false);
  table_add_column(&t, "ms/user", true, false);
  table_add_column(&t, "peak memory", true, false);
  for (size_t s = 0; s < SLICES; s++) {
    for (size_t m = 0; slice_users(v, slices[s]) > 0 && m < count; m++) {
      snprintf(headings[s][m], sizeof headings[s][m], "%s %s", slices[s], v->metrics[m]);
      table_add_column(&t, headings[s][m], true, false);
    }
  }
  json_array_foreach(v->models, i, model) {
    const json_t *seconds = json_object_get(model, "seconds");
    strbuf memory = {0};
    strbuf_append_bytes_size(&memory, json_member_number(model, "peak_memory_bytes", 0));
    table_add(&t, json_member_string(model, "model", ""), STYLE_PLAIN);
    table_add_printf(&t, STYLE_PLAIN, "%.2f", json_member_number(seconds, "fit", 0));
    table_add_printf(&t, STYLE_PLAIN, "%.2f", json_member_number(seconds, "score", 0));
    table_add_printf(&t, STYLE_PLAIN, "%.3f", 1000 * json_member_number(seconds, "per_user", 0));
    table_add(&t, memory.text, STYLE_PLAIN);
    for (size_t s = 0; s < SLICES; s++)
      if (slice_users(v, slices[s]) > 0) slice_cells(&t, model, slices[s], v->metrics, count);
    strbuf_deinit(&memory);
  }
  console_table(v->c, &t, 0);
  table_deinit(&t);
  static const char *const meaning[] = {"test items that training has seen", "test items that training has not seen",
                                        "all test items, asked for without the history"};
  for (size_t s = 0; s < SLICES; s++)
    if (slice_users(v, slices[s]) > 0)
      console_line(v->c, STYLE_DIM, "%s: %s, over %zu users", slices[s], meaning[s], slice_users(v, slices[s]));
}

/* The blend's weights, so that it is clear what the first row is made of. */
static void weights_show(const evaluation_view *v) {
  size_t i;
  json_t *model;
  strbuf line = {0};
  json_array_foreach(json_object_get(json_object_get(v->report, "fit"), "models"), i, model) {
    double warm = json_member_number(model, "weight_warm", 0), cold = json_member_number(model, "weight_cold", 0);
    if (warm == 0 && cold == 0) continue;
    strbuf_printf(&line, "%s%s %.3f", line.length > 0 ? ", " : "", json_member_string(model, "model", ""), warm);
    if (cold != warm) strbuf_printf(&line, " (cold %.3f)", cold);
  }
  if (line.text != NULL) {
    strbuf whole = {0};
    const json_t *ensemble = json_object_get(json_object_get(v->report, "fit"), "ensemble");
    strbuf_printf(&whole, "blend (%s): %s", json_member_string(ensemble, "kind", ""), line.text);
    strbuf_append_wrapped(&v->c->text, whole.text ? whole.text : "", 0, v->c->out_columns);
    strbuf_deinit(&whole);
  }
  strbuf_deinit(&line);
}

/* What is lost without each modality and each model, on the metric that the table shows first. */
static void importance_show(const evaluation_view *v) {
  size_t i;
  json_t *row;
  if (v->metric_count == 0) return;
  const char *metric = v->metrics[0];
  json_array_foreach(json_object_get(v->report, "importance"), i, row) {
    const json_t *m = json_object_get(json_object_get(row, "metrics"), metric);
    if (m == NULL) continue;
    if (i == 0) console_line(v->c, STYLE_BOLD, "what the blend loses on %s without", metric);
    console_line(v->c, STYLE_PLAIN, "  %-20s %+.4f  (%+.4f to %+.4f)", json_member_string(row, "without", ""),
                 json_member_number(m, "difference", 0), json_member_number(m, "lo", 0),
                 json_member_number(m, "hi", 0));
  }
}

static void head_show(const evaluation_view *v) {
  strbuf line = {0};
  strbuf_printf(&line, "split %s: ", json_member_string(v->report, "split", "?"));
  strbuf_append_count(&line, (uint64_t)json_member_integer(v->report, "users", 0));
  strbuf_append(&line, " users");
  long long tested = json_member_integer(v->report, "test_interactions", 0);
  long long cold = json_member_integer(v->report, "cold_items", 0);
  if (tested > 0) {
    strbuf_append(&line, ", ");
    strbuf_append_count(&line, (uint64_t)tested);
    strbuf_append(&line, " test interactions");
  }
  if (cold > 0) {
    strbuf_append(&line, ", ranking only ");
    strbuf_append_count(&line, (uint64_t)cold);
    strbuf_append(&line, " items that training did not see");
  }
  console_line(v->c, STYLE_BOLD, "%s", line.text ? line.text : "");
  strbuf_deinit(&line);
}

void show_evaluation(console *c, const json_t *report) {
  evaluation_view v = {.c = c, .report = report, .models = json_object_get(report, "models")};
  metrics_collect(&v);
  head_show(&v);
  size_t room = c->out_columns > MODEL_COLUMNS + FIGURE_COLUMNS ? c->out_columns - MODEL_COLUMNS : FIGURE_COLUMNS;
  size_t step = room / (FIGURE_COLUMNS + 2);
  if (step == 0) step = 1;
  for (size_t m = 0; m < v.metric_count; m += step)
    figures_show(&v, m, m + step < v.metric_count ? m + step : v.metric_count);
  cost_show(&v);
  weights_show(&v);
  importance_show(&v);
  const char *baseline = NULL; /* on every model but the baseline itself */
  for (size_t m = 0; baseline == NULL && m < 2; m++)
    baseline = json_member_string(json_array_get(v.models, m), "baseline", NULL);
  if (baseline != NULL)
    console_line(c, STYLE_DIM,
                 "± half of the 95 %% interval; paired test against %s: * p < .05, ** p < .01, *** p < .001", baseline);
  console_line(c, STYLE_DIM, "%.1f s in all", json_member_number(report, "total_seconds", 0));
}
