/* explain/report.c: see explain/report.h. The page answers, in this order: which model is best and is that certain, on
 * which measures, at what cost, for new items too, what the blend is made of, and how to get the same figures again. */
#include "explain/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "eval/metric.h"
#include "explain/plot.h"
#include "explain/report_style.h"

#define MODELS_MAX 64
#define METRICS_MAX 32
#define CERTAIN 0.05 /* p values below this are told as a difference */
#define BLEND_SERIES 1
#define OTHER_SERIES 0

typedef struct page {
  strbuf *out;
  const json_t *report, *fit;
  const json_t *models[MODELS_MAX]; /* best first by the main metric */
  size_t model_count;
  const char *metrics[METRICS_MAX]; /* in the order of the first model that has them */
  size_t metric_count;
  const char *main_metric;
  const char *baseline;
} page;

/* ---- reading the report ---- */

static const char *model_name(const json_t *model) { return json_member_string(model, "model", "?"); }

static double seconds_of(const json_t *model, const char *what) {
  return json_member_number(json_object_get(model, "seconds"), what, NAN);
}

static const json_t *estimate_of(const json_t *model, const char *metric) {
  return json_object_get(json_object_get(model, "metrics"), metric);
}

static double mean_of(const json_t *model, const char *metric) {
  return json_member_number(estimate_of(model, metric), "mean", NAN);
}

/* "recall" of "recall@20", in the table of metrics. Coverage and gini are figures of all lists together, not of a user,
 * and not in it. */
static const metric_kind *metric_of(const char *metric) {
  char name[32] = "";
  size_t length = strcspn(metric, "@");
  if (length < sizeof name) memcpy(name, metric, length);
  return metric_find(name);
}

static bool higher_is_better(const char *metric) {
  const metric_kind *kind = metric_of(metric);
  return kind != NULL ? kind->higher_is_better : strncmp(metric, "gini", 4) != 0;
}

static void metrics_collect(page *p) {
  const char *name;
  json_t *value;
  for (size_t m = 0; m < p->model_count; m++)
    json_object_foreach(json_object_get(p->models[m], "metrics"), name, value) {
      bool known = p->metric_count == METRICS_MAX;
      for (size_t i = 0; i < p->metric_count; i++) known |= strcmp(p->metrics[i], name) == 0;
      if (!known) p->metrics[p->metric_count++] = name;
    }
}

/* The page's own pointer to the name; NULL when nobody has this metric. */
static const char *find_metric(const page *p, const char *name) {
  for (size_t i = 0; i < p->metric_count; i++)
    if (strcmp(p->metrics[i], name) == 0) return p->metrics[i];
  return NULL;
}

static void main_metric_choose(page *p) {
  static const char *const wanted[] = {"ndcg@20", "ndcg@10", "recall@20", "recall@10"};
  p->main_metric = p->metric_count > 0 ? p->metrics[0] : "";
  for (size_t i = sizeof wanted / sizeof *wanted; i-- > 0;)
    if (find_metric(p, wanted[i]) != NULL) p->main_metric = find_metric(p, wanted[i]);
}

static bool is_better(double a, double b, const char *metric) {
  if (isnan(b)) return !isnan(a);
  return higher_is_better(metric) ? a > b : a < b;
}

/* Best first; few enough for sorting by insertion, which keeps equal ones in order. */
static void models_sort(page *p) {
  for (size_t i = 1; i < p->model_count; i++)
    for (size_t j = i; j > 0; j--) {
      const json_t *a = p->models[j - 1], *b = p->models[j];
      if (!is_better(mean_of(b, p->main_metric), mean_of(a, p->main_metric), p->main_metric)) break;
      p->models[j - 1] = b;
      p->models[j] = a;
    }
}

static medley_status page_read(page *p, medley_error *err) {
  const json_t *models = json_object_get(p->report, "models"), *model;
  size_t index;
  if (!json_is_array(models) || json_array_size(models) == 0)
    return error_set(err, MEDLEY_ERR_INPUT, "an evaluation report needs an array \"models\" with at least one model");
  json_array_foreach(models, index, model) if (p->model_count < MODELS_MAX) p->models[p->model_count++] = model;
  p->fit = json_object_get(p->report, "fit");
  p->baseline = "blend";
  for (size_t i = 0; i < p->model_count; i++) p->baseline = json_member_string(p->models[i], "baseline", p->baseline);
  metrics_collect(p);
  main_metric_choose(p);
  models_sort(p);
  return MEDLEY_OK;
}

/* ---- small pieces ---- */

static int series_of_model(const page *p, const json_t *model) {
  return strcmp(model_name(model), p->baseline) == 0 ? BLEND_SERIES : OTHER_SERIES;
}

static void append_seconds(strbuf *out, double s) {
  if (!isfinite(s))
    strbuf_append(out, "–");
  else if (s >= 120)
    strbuf_printf(out, "%.0f min", s / 60);
  else if (s >= 1)
    strbuf_printf(out, "%.0f s", s);
  else if (s <= 0)
    strbuf_append(out, "0 s");
  else if (s >= 1e-3)
    strbuf_printf(out, "%.0f ms", s * 1e3);
  else
    strbuf_printf(out, "%.0f µs", s * 1e6);
}

static void append_bytes(strbuf *out, double bytes) {
  if (!isfinite(bytes) || bytes <= 0)
    strbuf_append(out, "–");
  else if (bytes >= 1e9)
    strbuf_printf(out, "%.0f.%.0f GB", floor(bytes / 1e9), floor(fmod(bytes, 1e9) / 1e8));
  else
    strbuf_printf(out, "%.0f MB", bytes / 1e6);
}

/* 12,345 */
static void append_count(strbuf *out, long long count) {
  char digits[32];
  int length = snprintf(digits, sizeof digits, "%lld", count);
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-') strbuf_append_char(out, ',');
    strbuf_append_char(out, digits[i]);
  }
}

static void append_interval(strbuf *out, const json_t *estimate) {
  double lo = json_member_number(estimate, "lo", NAN), hi = json_member_number(estimate, "hi", NAN);
  if (!isfinite(lo) || !isfinite(hi)) return;
  strbuf_append(out, "<small>");
  plot_append_value(out, lo);
  strbuf_append(out, " – ");
  plot_append_value(out, hi);
  strbuf_append(out, "</small>");
}

static void fact(strbuf *out, const char *name, long long value) {
  if (value <= 0) return;
  strbuf_append(out, "<li><b>");
  append_count(out, value);
  strbuf_printf(out, "</b><span>%s</span></li>\n", name);
}

static void section(strbuf *out, const char *id, const char *title) {
  strbuf_printf(out, "<section aria-labelledby=\"%s\"><h2 id=\"%s\">%s</h2>\n", id, id, title);
}

/* ---- head ---- */

/* "ease reaches ndcg@20 0.2213, the best of 9 models …" in words, from the first two rows. */
static void summary_write(const page *p) {
  strbuf *out = p->out;
  const json_t *best = p->models[0];
  double mean = mean_of(best, p->main_metric);
  if (!isfinite(mean)) return;
  strbuf_append(out, "<p>Of ");
  append_count(out, (long long)p->model_count);
  strbuf_append(out, p->model_count == 1 ? " model, <b>" : " models, <b>");
  strbuf_append_escaped(out, model_name(best));
  strbuf_append(out, "</b> ranks best by ");
  strbuf_append_escaped(out, p->main_metric);
  strbuf_append(out, ": <b>");
  plot_append_value(out, mean);
  strbuf_append(out, "</b>");
  if (p->model_count > 1 && isfinite(mean_of(p->models[1], p->main_metric))) {
    strbuf_append(out, "; next is ");
    strbuf_append_escaped(out, model_name(p->models[1]));
    strbuf_append(out, " with ");
    plot_append_value(out, mean_of(p->models[1], p->main_metric));
  }
  strbuf_append(out, json_member_integer(p->report, "cold_items", 0) > 0
                         ? ". The items hidden from training were ranked among themselves for every user.</p>\n"
                         : ". Every item of the catalogue was ranked for every user; nothing was sampled.</p>\n");
}

static void head_write(const page *p) {
  strbuf *out = p->out;
  const char *split = json_member_string(p->report, "split", "?");
  strbuf_append(out,
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>Evaluation: ");
  strbuf_append_escaped(out, split);
  strbuf_append(out, " split</title>\n<style>" REPORT_STYLE "</style></head>\n<body><header><h1>Evaluation</h1>\n");
  strbuf_append(out, "<p class=\"soft\">Split <b>");
  strbuf_append_escaped(out, split);
  strbuf_append(out, "</b>: models learned from the training part and are measured on the test part.</p>\n");
  strbuf_append(out, "<ul class=\"facts\">\n");
  fact(out, "users measured", json_member_integer(p->report, "users", 0));
  fact(out, "items ranked", json_member_integer(p->fit, "items", 0));
  fact(out, "interactions learned from", json_member_integer(p->fit, "interactions", 0));
  fact(out, "test interactions", json_member_integer(p->report, "test_interactions", 0));
  fact(out, "items hidden from training", json_member_integer(p->report, "cold_items", 0));
  strbuf_append(out, "</ul>\n");
  summary_write(p);
  strbuf_append(out, "</header>\n<main>\n");
}

/* ---- the table of models ---- */

/* ▲ better and ▼ worse than the baseline, with certainty; ≈ when chance may explain it. */
static void significance_write(const page *p, const json_t *model, const char *metric) {
  double chance = json_member_number(json_object_get(model, "p_value"), metric, NAN);
  const json_t *base = NULL;
  if (!isfinite(chance)) return;
  for (size_t i = 0; i < p->model_count; i++)
    if (strcmp(model_name(p->models[i]), p->baseline) == 0) base = p->models[i];
  bool better = is_better(mean_of(model, metric), mean_of(base, metric), metric);
  bool certain = chance < CERTAIN;
  const char *class = !certain ? "soft" : better ? "good" : "bad";
  const char *word = !certain ? "not certainly different"
                     : better ? "better"
                              : "worse",
             *sign = !certain ? "≈"
                     : better ? "▲"
                              : "▼";
  strbuf_printf(p->out, " <span class=\"%s\" role=\"img\" aria-label=\"%s, p = %.3g\" title=\"p = %.3g\">%s</span>",
                class, word, chance, chance, sign);
}

static bool is_best(const page *p, const json_t *model, const char *metric) {
  for (size_t i = 0; i < p->model_count; i++)
    if (is_better(mean_of(p->models[i], metric), mean_of(model, metric), metric)) return false;
  return isfinite(mean_of(model, metric));
}

static void metric_cell(const page *p, const json_t *model, const char *metric) {
  strbuf_append(p->out, "<td>");
  strbuf_append(p->out, is_best(p, model, metric) ? "<span class=\"best\">" : "<span>");
  plot_append_value(p->out, mean_of(model, metric));
  strbuf_append(p->out, "</span>");
  significance_write(p, model, metric);
  append_interval(p->out, estimate_of(model, metric));
  strbuf_append(p->out, "</td>");
}

/* The main metric and what it costs come first: the others may need scrolling. */
static void model_row_write(const page *p, const json_t *model) {
  strbuf *out = p->out;
  strbuf_append(out, strcmp(model_name(model), p->baseline) == 0 ? "<tr class=\"main\"><th scope=\"row\">"
                                                                 : "<tr><th scope=\"row\">");
  strbuf_append_escaped(out, model_name(model));
  strbuf_append(out, "</th>");
  metric_cell(p, model, p->main_metric);
  strbuf_append(out, "<td>");
  append_seconds(out, seconds_of(model, "fit"));
  strbuf_append(out, "</td><td>");
  append_seconds(out, seconds_of(model, "per_user"));
  strbuf_append(out, "</td><td>");
  append_bytes(out, json_member_number(model, "peak_memory_bytes", NAN));
  strbuf_append(out, "</td>");
  for (size_t i = 0; i < p->metric_count; i++)
    if (p->metrics[i] != p->main_metric) metric_cell(p, model, p->metrics[i]);
  strbuf_append(out, "</tr>\n");
}

static void metric_heading(const page *p, const char *metric) {
  strbuf_append(p->out, "<th scope=\"col\">");
  strbuf_append_escaped(p->out, metric);
  strbuf_append(p->out, "</th>");
}

static void models_write(const page *p) {
  strbuf *out = p->out;
  section(out, "models", "Models");
  strbuf_append(out,
                "<div class=\"scroll\" tabindex=\"0\"><table><caption>Mean over users with a 95 % bootstrap interval. "
                "Underlined: best of the column. ▲ better, ▼ worse than ");
  strbuf_append_escaped(out, p->baseline);
  strbuf_append(out,
                " in a paired permutation test (p &lt; 0.05), ≈ may be chance.</caption>\n"
                "<thead><tr><th scope=\"col\">Model</th>");
  metric_heading(p, p->main_metric);
  strbuf_append(out,
                "<th scope=\"col\">Fitting</th><th scope=\"col\">Scoring a user</th>"
                "<th scope=\"col\">Peak memory</th>");
  for (size_t i = 0; i < p->metric_count; i++)
    if (p->metrics[i] != p->main_metric) metric_heading(p, p->metrics[i]);
  strbuf_append(out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < p->model_count; i++) model_row_write(p, p->models[i]);
  strbuf_append(out, "</tbody></table></div></section>\n");
}

/* ---- plots ---- */

static void metric_plot(const page *p, size_t metric) {
  plot_bar bars[MODELS_MAX];
  char id[32];
  size_t count = 0;
  for (size_t i = 0; i < p->model_count; i++) {
    const json_t *e = estimate_of(p->models[i], p->metrics[metric]);
    if (e == NULL) continue;
    bars[count++] =
        (plot_bar){model_name(p->models[i]), json_member_number(e, "mean", NAN), json_member_number(e, "lo", NAN),
                   json_member_number(e, "hi", NAN), series_of_model(p, p->models[i])};
  }
  snprintf(id, sizeof id, "metric%zu", metric);
  plot_options options = {.id = id,
                          .title = p->metrics[metric],
                          .description =
                              "One bar a model: the mean over users, with its 95 % interval. The same "
                              "figures stand in the table of models.",
                          .width = 400};
  strbuf_append(p->out, "<figure>");
  plot_bars(p->out, &options, bars, count);
  strbuf_append(p->out, "</figure>\n");
}

static void metrics_write(const page *p) {
  section(p->out, "measures", "Measure by measure");
  strbuf_append(p->out, "<div class=\"plots\">\n");
  for (size_t i = 0; i < p->metric_count; i++) metric_plot(p, i);
  strbuf_append(p->out, "</div></section>\n");
}

static void cost_write(const page *p) {
  plot_point points[MODELS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < p->model_count; i++) {
    const json_t *e = estimate_of(p->models[i], p->main_metric);
    double seconds = seconds_of(p->models[i], "fit");
    if (e == NULL || !(seconds >= 0)) continue;
    /* A model without anything to fit stands at the left edge of what can be timed. */
    points[count++] = (plot_point){model_name(p->models[i]),           seconds > 1e-3 ? seconds : 1e-3,
                                   json_member_number(e, "mean", NAN), json_member_number(e, "lo", NAN),
                                   json_member_number(e, "hi", NAN),   series_of_model(p, p->models[i])};
  }
  if (count == 0) return;
  section(p->out, "cost", "Accuracy and cost");
  plot_options options = {.id = "costplot",
                          .title = "Accuracy against seconds of fitting",
                          .description =
                              "One point a model: seconds of fitting across, on a logarithmic scale, accuracy "
                              "upwards with its 95 % interval. Up and to the left is better.",
                          .x_label = "seconds of fitting (logarithmic)",
                          .y_label = p->main_metric,
                          .x_log = true,
                          .width = 800,
                          .height = 420,
                          .quiet = true};
  strbuf_append(p->out, "<figure class=\"wide\">");
  plot_scatter(p->out, &options, points, count);
  strbuf_append(p->out,
                "<figcaption>Up and to the left is better: more accurate, sooner fitted.</figcaption></figure>"
                "</section>\n");
}

/* ---- likes and dislikes ---- */

#define ROC_MODELS (PLOT_SERIES - 1) /* the best ones; series 0 is chance */
#define ROC_CORNERS_MAX 256          /* more than medley_evaluate tells */

typedef struct roc_curve {
  double x[ROC_CORNERS_MAX], y[ROC_CORNERS_MAX];
  size_t count;
} roc_curve;

static bool roc_read(const json_t *roc, roc_curve *out) {
  const json_t *x = json_object_get(roc, "false_positive_rate"), *y = json_object_get(roc, "true_positive_rate");
  out->count = json_array_size(x);
  if (out->count == 0 || out->count > ROC_CORNERS_MAX || json_array_size(y) != out->count) return false;
  for (size_t i = 0; i < out->count; i++) {
    out->x[i] = json_number_value(json_array_get(x, i));
    out->y[i] = json_number_value(json_array_get(y, i));
  }
  return true;
}

/* All curves end in the same corner: their names stand below the plot. */
static void roc_keys(const page *p, const json_t *const models[], size_t count) {
  strbuf_append(p->out, "<figcaption>");
  for (size_t i = 0; i < count; i++) {
    strbuf_printf(p->out, "<span class=\"key k%zu\"></span>", i + 1);
    strbuf_append_escaped(p->out, model_name(models[i]));
    strbuf_append(p->out, " ");
    plot_append_value(p->out, json_member_number(json_object_get(models[i], "roc"), "area", NAN));
  }
  strbuf_append(p->out, "<span class=\"key k0\"></span>chance 0.5</figcaption>");
}

static void roc_write(const page *p) {
  static const double diagonal[] = {0, 1};
  plot_line lines[PLOT_SERIES] = {{.name = "", .x = diagonal, .y = diagonal, .count = 2}};
  const json_t *models[ROC_MODELS];
  roc_curve curves[ROC_MODELS];
  size_t count = 0;
  for (size_t i = 0; i < p->model_count && count < ROC_MODELS; i++) {
    roc_curve *c = &curves[count];
    if (!roc_read(json_object_get(p->models[i], "roc"), c)) continue;
    models[count++] = p->models[i];
    lines[count] = (plot_line){.name = "", .x = c->x, .y = c->y, .count = c->count, .series = (int)count};
  }
  if (count == 0) return;
  section(p->out, "roc", "Likes from dislikes");
  strbuf_append(p->out,
                "<p>Of what people judged in the test part: the share of dislikes (across) and of likes "
                "(upwards) that a model puts above a threshold, for every threshold; and the area under it, "
                "1 when all likes stand above all dislikes.</p>\n");
  plot_options options = {.id = "rocplot",
                          .title = "ROC curves",
                          .description =
                              "One line a model, from the lower left to the upper right; the higher it "
                              "bends above the diagonal, the better it tells likes from dislikes.",
                          .x_label = "share of dislikes taken for likes",
                          .y_label = "share of likes found",
                          .width = 480,
                          .height = 420,
                          .quiet = true};
  strbuf_append(p->out, "<figure class=\"wide\">");
  plot_lines(p->out, &options, lines, count + 1);
  roc_keys(p, models, count);
  strbuf_append(p->out, "</figure></section>\n");
}

/* ---- warm and cold items, strangers ---- */

static const char *const slices[] = {"warm", "cold", "stranger"};
#define SLICES (sizeof slices / sizeof *slices)

static const json_t *slice_of(const json_t *model, const char *slice) {
  return json_object_get(json_object_get(model, "slices"), slice);
}

static void slice_cell(const page *p, const json_t *slice, const char *metric) {
  const json_t *e = json_object_get(json_object_get(slice, "metrics"), metric);
  strbuf_append(p->out, "<td>");
  plot_append_value(p->out, json_member_number(e, "mean", NAN));
  append_interval(p->out, e);
  strbuf_append(p->out, "</td>");
}

static void slices_table(const page *p, const char *const *metrics, size_t metric_count) {
  strbuf *out = p->out;
  strbuf_append(out,
                "<div class=\"scroll\" tabindex=\"0\"><table><caption>Warm: test items with events in training. "
                "Cold: items nobody had met then. Stranger: all test items, asked for without the "
                "history.</caption><thead><tr><th scope=\"col\">Model</th>");
  for (size_t s = 0; s < SLICES; s++)
    for (size_t i = 0; i < metric_count; i++) {
      strbuf_printf(out, "<th scope=\"col\">%s ", slices[s]);
      strbuf_append_escaped(out, metrics[i]);
      strbuf_append(out, "</th>");
    }
  strbuf_append(out, "</tr></thead><tbody>\n");
  for (size_t m = 0; m < p->model_count; m++) {
    strbuf_append(out, strcmp(model_name(p->models[m]), p->baseline) == 0 ? "<tr class=\"main\"><th scope=\"row\">"
                                                                          : "<tr><th scope=\"row\">");
    strbuf_append_escaped(out, model_name(p->models[m]));
    strbuf_append(out, "</th>");
    for (size_t s = 0; s < SLICES; s++)
      for (size_t i = 0; i < metric_count; i++) slice_cell(p, slice_of(p->models[m], slices[s]), metrics[i]);
    strbuf_append(out, "</tr>\n");
  }
  strbuf_append(out, "</tbody></table></div>\n");
}

static void slices_write(const page *p) {
  static const char *const wanted[] = {"recall@10", "recall@20", "ndcg@10", "ndcg@20"};
  const char *metrics[4];
  size_t count = 0;
  size_t there = 0;
  for (size_t s = 0; s < SLICES; s++) {
    long long users = 0;
    for (size_t m = 0; m < p->model_count; m++)
      users |= json_member_integer(slice_of(p->models[m], slices[s]), "users", 0);
    there += users > 0;
  }
  if (there < 2) return; /* one slice alone is the whole, which was told above */
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    if (find_metric(p, wanted[i]) != NULL) metrics[count++] = wanted[i];
  if (count == 0) metrics[count++] = p->main_metric;
  section(p->out, "slices", "New items and new people");
  strbuf_append(
      p->out,
      "<p>What a model is worth for items that people know, for items that nobody has met yet, and for people "
      "who have not done anything yet.</p>\n");
  slices_table(p, metrics, count);
  strbuf_append(p->out, "</section>\n");
}

/* ---- the blend ---- */

static void weights_plot(const page *p, const json_t *models) {
  plot_bar bars[2 * MODELS_MAX];
  size_t count = 0, index;
  const json_t *model;
  json_array_foreach(models, index, model) {
    double warm = json_member_number(model, "weight_warm", 0), cold = json_member_number(model, "weight_cold", 0);
    if ((warm == 0 && cold == 0) || count + 2 > 2 * MODELS_MAX) continue;
    bars[count++] = (plot_bar){model_name(model), warm, NAN, NAN, 1};
    bars[count++] = (plot_bar){"", cold, NAN, NAN, 2};
  }
  if (count == 0) return;
  plot_options options = {.id = "weights",
                          .title = "Weights of the blend",
                          .description = "Two bars a model: its weight for items with events, and for new items.",
                          .x_label = "weight of the standardised score",
                          .quiet = true};
  strbuf_append(p->out, "<figure class=\"wide\">");
  plot_bars(p->out, &options, bars, count);
  strbuf_append(p->out,
                "<figcaption><span class=\"key k1\"></span>items with events"
                "<span class=\"key k2\"></span>new items</figcaption></figure>\n");
}

static void settings_write(const page *p, const json_t *settings) {
  const char *name;
  json_t *value;
  bool first = true;
  json_object_foreach((json_t *)settings, name, value) {
    strbuf_append(p->out, first ? "" : ", ");
    strbuf_append_escaped(p->out, name);
    strbuf_printf(p->out, " = %g", json_number_value(value));
    first = false;
  }
  if (first) strbuf_append(p->out, "–");
}

static void settings_row(const page *p, const json_t *model) {
  strbuf *out = p->out;
  const char *skipped = json_member_string(model, "skipped", "");
  strbuf_append(out, "<tr><th scope=\"row\">");
  strbuf_append_escaped(out, model_name(model));
  strbuf_append(out, "</th><td class=\"text\">");
  strbuf_append_escaped(out, json_member_string(model, "part", "–"));
  strbuf_append(out, "</td><td class=\"text\">");
  if (skipped[0] != '\0') {
    strbuf_append(out, "left out: ");
    strbuf_append_escaped(out, skipped);
    strbuf_append(out, "</td><td>–</td><td>–</td><td>–</td><td>–</td></tr>\n");
    return;
  }
  settings_write(p, json_object_get(model, "settings"));
  strbuf_append(out, "</td><td>");
  plot_append_value(out, json_member_number(model, "validation", NAN));
  strbuf_append(out, "<small>");
  strbuf_append_escaped(out, json_member_string(model, "tuned_on", ""));
  strbuf_append(out, "</small></td><td>");
  plot_append_value(out, json_member_number(model, "weight_warm", NAN));
  strbuf_append(out, "</td><td>");
  plot_append_value(out, json_member_number(model, "weight_cold", NAN));
  strbuf_append(out, "</td><td>");
  append_seconds(out, json_member_number(model, "fit_seconds", NAN));
  strbuf_append(out, "</td></tr>\n");
}

static void blend_write(const page *p) {
  strbuf *out = p->out;
  const json_t *models = json_object_get(p->fit, "models"), *model;
  size_t index;
  if (json_array_size(models) == 0) return;
  section(out, "blend", "What the blend is made of");
  strbuf_append(out,
                "<p>Each model’s score is standardised and weighted; a result’s score is the sum. Settings and weights "
                "were chosen on a part of the training data, never on the test part.</p>\n");
  weights_plot(p, models);
  strbuf_append(out,
                "<h2>Settings chosen</h2><div class=\"scroll\" tabindex=\"0\"><table><caption>Validation: "
                "(recall@20 + ndcg@20) / 2 on the part named beneath.</caption><thead><tr><th scope=\"col\">Model</th>"
                "<th scope=\"col\">Part of the score</th><th scope=\"col\">Settings</th>"
                "<th scope=\"col\">Validation</th><th scope=\"col\">Weight, known items</th>"
                "<th scope=\"col\">Weight, new items</th><th scope=\"col\">Fitting</th></tr></thead><tbody>\n");
  json_array_foreach(models, index, model) settings_row(p, model);
  strbuf_append(out, "</tbody></table></div></section>\n");
}

/* ---- importance ---- */

static void importance_row(const page *p, const json_t *row) {
  const json_t *m = json_object_get(json_object_get(row, "metrics"), p->metrics[0]);
  if (m == NULL) return;
  strbuf_append(p->out, "<tr><th scope=\"row\">");
  strbuf_append_escaped(p->out, json_member_string(row, "without", ""));
  strbuf_append(p->out, "</th><td class=\"text\">");
  strbuf_append_escaped(p->out, json_member_string(row, "kind", ""));
  strbuf_printf(p->out, "</td><td>%+.4f</td><td>%+.4f … %+.4f</td></tr>\n", json_member_number(m, "difference", 0),
                json_member_number(m, "lo", 0), json_member_number(m, "hi", 0));
}

static void importance_write(const page *p) {
  const json_t *rows = json_object_get(p->report, "importance"), *row;
  size_t index;
  if (json_array_size(rows) == 0 || p->metric_count == 0) return;
  section(p->out, "importance", "What counts");
  strbuf_append(
      p->out,
      "<p>Measured again on the test part without each modality (models that read content are fitted anew) and "
      "without each model (the others keep their weights). Above zero: the blend is better with it.</p>\n");
  strbuf_append(p->out,
                "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">Without</th>"
                "<th scope=\"col\">Kind</th><th scope=\"col\">The blend loses, ");
  strbuf_append_escaped(p->out, p->metrics[0]);
  strbuf_append(p->out, "</th><th scope=\"col\">95 % interval</th></tr></thead><tbody>\n");
  json_array_foreach(rows, index, row) importance_row(p, row);
  strbuf_append(p->out, "</tbody></table></div></section>\n");
}

/* ---- foot ---- */

static void definitions_write(const page *p) {
  strbuf *out = p->out;
  section(out, "meaning", "What the measures mean");
  strbuf_append(out, "<dl>\n");
  for (size_t i = 0; i < p->metric_count; i++) {
    const metric_kind *kind = metric_of(p->metrics[i]);
    bool told = kind == NULL;
    for (size_t j = 0; j < i; j++) told |= metric_of(p->metrics[j]) == kind;
    if (told) continue;
    strbuf_append(out, "<dt>");
    strbuf_append_escaped(out, kind->name);
    strbuf_append(out, kind->higher_is_better ? "" : " <span class=\"soft\">(lower is better)</span>");
    strbuf_append(out, "</dt><dd>");
    strbuf_append_escaped(out, kind->definition);
    strbuf_append(out, "</dd>\n");
  }
  strbuf_append(out,
                "<dt>coverage, gini</dt><dd>Share of the catalogue that is recommended to anybody at all; how "
                "unevenly it is shown, 0 for all alike.</dd></dl></section>\n");
}

static void foot_write(const page *p) {
  strbuf *out = p->out;
  section(out, "again", "To get the same figures again");
  strbuf_printf(out, "<p>Seed %lld, %lld threads", json_member_integer(p->report, "seed", 0),
                json_member_integer(p->report, "threads", 0));
  strbuf_append(out, "; everything took ");
  append_seconds(out, json_member_number(p->report, "total_seconds", NAN));
  strbuf_append(
      out, ". The same data, seed and number of threads give the same figures.</p></section>\n</main></body></html>\n");
}

medley_status report_html(const json_t *report, strbuf *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  page *p = NULL;
  TRY_NEW(p, 1, "a report");
  p->out = out;
  p->report = report;
  TRY(page_read(p, err));
  head_write(p);
  models_write(p);
  metrics_write(p);
  cost_write(p);
  roc_write(p);
  slices_write(p);
  blend_write(p);
  importance_write(p);
  definitions_write(p);
  foot_write(p);
  if (out->failed) status = error_memory(err, "a report");
done:
  mem_free(p);
  return status;
}
