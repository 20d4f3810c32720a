/* cli/bench_models.c: see cli/bench_models.h. */
#include "cli/bench_models.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

#define SEEDS_MAX 64
#define METRICS_SHOWN 3

/* ---- merging ---- */

static const json_t *model_of(const json_t *report, const char *name) {
  size_t i;
  json_t *model;
  json_array_foreach(json_object_get(report, "models"), i, model) {
    if (strcmp(json_member_string(model, "model", ""), name) == 0) return model;
  }
  return NULL;
}

/* Some number of the same model in each report, where it is there. */
typedef double reader(const json_t *model, const char *name);

static double read_mean(const json_t *m, const char *name) {
  return json_member_number(json_object_get(json_object_get(m, "metrics"), name), "mean", NAN);
}
static double read_lo(const json_t *m, const char *name) {
  return json_member_number(json_object_get(json_object_get(m, "metrics"), name), "lo", NAN);
}
static double read_hi(const json_t *m, const char *name) {
  return json_member_number(json_object_get(json_object_get(m, "metrics"), name), "hi", NAN);
}
static double read_cold(const json_t *m, const char *name) {
  const json_t *cold = json_object_get(json_object_get(m, "slices"), "cold");
  return json_member_number(json_object_get(json_object_get(cold, "metrics"), name), "mean", NAN);
}
static double read_p(const json_t *m, const char *name) {
  return json_member_number(json_object_get(m, "p_value"), name, NAN);
}
static double read_seconds(const json_t *m, const char *name) {
  return json_member_number(json_object_get(m, "seconds"), name, NAN);
}
static double read_bytes(const json_t *m, const char *name) { return json_member_number(m, name, NAN); }

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Ascending, finite ones only; returns how many. */
static size_t values_of(const json_t *reports, const char *model, reader *read, const char *name,
                        double values[SEEDS_MAX]) {
  size_t i, count = 0;
  json_t *report;
  json_array_foreach(reports, i, report) {
    const json_t *m = model_of(report, model);
    double value = m != NULL ? read(m, name) : NAN;
    if (isfinite(value) && count < SEEDS_MAX) values[count++] = value;
  }
  qsort(values, count, sizeof *values, by_size);
  return count;
}

static double mean_of(const json_t *reports, const char *model, reader *read, const char *name) {
  double values[SEEDS_MAX], sum = 0;
  size_t count = values_of(reports, model, read, name, values);
  for (size_t i = 0; i < count; i++) sum += values[i];
  return count > 0 ? sum / (double)count : NAN;
}

static double median_of(const json_t *reports, const char *model, reader *read, const char *name) {
  double values[SEEDS_MAX];
  size_t count = values_of(reports, model, read, name, values);
  return count > 0 ? (values[(count - 1) / 2] + values[count / 2]) / 2 : NAN;
}

static double most_of(const json_t *reports, const char *model, reader *read, const char *name) {
  double values[SEEDS_MAX];
  size_t count = values_of(reports, model, read, name, values);
  return count > 0 ? values[count - 1] : NAN;
}

static void number_put(json_t *object, const char *name, double value) {
  if (isfinite(value)) json_object_set_new(object, name, json_real(value));
}

static json_t *metric_merge(const json_t *reports, const char *model, const char *metric) {
  json_t *out = json_object();
  double values[SEEDS_MAX];
  size_t count = values_of(reports, model, read_mean, metric, values);
  number_put(out, "mean", mean_of(reports, model, read_mean, metric));
  number_put(out, "lo", mean_of(reports, model, read_lo, metric));
  number_put(out, "hi", mean_of(reports, model, read_hi, metric));
  if (count > 0) number_put(out, "least", values[0]);
  if (count > 0) number_put(out, "most", values[count - 1]);
  return out;
}

static json_t *model_merge(const json_t *reports, const json_t *first) {
  const char *name = json_member_string(first, "model", ""), *metric;
  double values[SEEDS_MAX];
  json_t *metrics = json_object(), *cold = json_object(), *p = json_object(), *seconds = json_object(), *value;
  json_t *out = json_pack("{s:s, s:I}", "model", name, "seeds",
                          (json_int_t)values_of(reports, name, read_seconds, "score", values));
  json_object_foreach(json_object_get(first, "metrics"), metric, value) {
    json_object_set_new(metrics, metric, metric_merge(reports, name, metric));
    number_put(cold, metric, mean_of(reports, name, read_cold, metric));
    number_put(p, metric, most_of(reports, name, read_p, metric));
  }
  number_put(seconds, "fit", median_of(reports, name, read_seconds, "fit"));
  number_put(seconds, "per_user", median_of(reports, name, read_seconds, "per_user"));
  json_object_set_new(out, "metrics", metrics);
  json_object_set_new(out, "cold", cold);
  json_object_set_new(out, "p_value", p);
  json_object_set_new(out, "seconds", seconds);
  number_put(out, "fit_memory_bytes", most_of(reports, name, read_bytes, "fit_memory_bytes"));
  number_put(out, "peak_memory_bytes", most_of(reports, name, read_bytes, "peak_memory_bytes"));
  return out;
}

static double leading(const json_t *model) {
  const json_t *metrics = json_object_get(model, "metrics");
  void *first = json_object_iter((json_t *)metrics);
  return first != NULL ? json_member_number(json_object_iter_value(first), "mean", -INFINITY) : -INFINITY;
}

/* By the first metric, best first; few enough for insertion. */
static json_t *models_sort(json_t *models) {
  json_t *sorted = json_array(), *model;
  size_t i;
  json_array_foreach(models, i, model) {
    size_t at = 0;
    while (at < json_array_size(sorted) && leading(json_array_get(sorted, at)) >= leading(model)) at++;
    json_array_insert(sorted, at, model);
  }
  json_decref(models);
  return sorted;
}

json_t *bench_models_merge(const char *workspace, const json_t *reports) {
  json_t *models = json_array(), *names = json_object(), *report, *model;
  const json_t *first = json_array_get(reports, 0), *fit = json_object_get(first, "fit");
  size_t r, i;
  json_array_foreach(reports, r, report) {
    json_array_foreach(json_object_get(report, "models"), i, model) {
      const char *name = json_member_string(model, "model", "");
      if (json_object_get(names, name) != NULL) continue;
      json_object_set_new(names, name, json_true());
      json_array_append_new(models, model_merge(reports, model));
    }
  }
  json_decref(names);
  return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "workspace", workspace, "split",
                   json_member_string(first, "split", ""), "users", (json_int_t)json_member_integer(first, "users", 0),
                   "items", (json_int_t)json_member_integer(fit, "items", 0), "interactions",
                   (json_int_t)json_member_integer(fit, "interactions", 0), "test_interactions",
                   (json_int_t)json_member_integer(first, "test_interactions", 0), "models", models_sort(models));
}

/* ---- the table ---- */

/* A row of cells, whatever they become. */
typedef struct row_cells {
  char text[4 + 2 * METRICS_SHOWN + 4][64];
  size_t count;
} row_cells;

static void cell(row_cells *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void cell(row_cells *row, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(row->text[row->count++], sizeof row->text[0], format, args);
  va_end(args);
}

static void cell_number(row_cells *row, const char *format, double value) {
  if (isfinite(value))
    cell(row, format, value);
  else
    cell(row, "–");
}

/* The metrics that are shown: the first ones of the first model. */
static size_t metrics_of(const json_t *set, const char *names[METRICS_SHOWN]) {
  size_t count = 0;
  const char *name;
  json_t *value;
  json_object_foreach(json_object_get(json_array_get(json_object_get(set, "models"), 0), "metrics"), name, value) {
    if (count < METRICS_SHOWN && !string_starts(name, "coverage") && !string_starts(name, "gini"))
      names[count++] = name;
  }
  return count;
}

static double coverage_of(const json_t *model) {
  const char *name;
  json_t *value;
  json_object_foreach(json_object_get(model, "metrics"), name, value) {
    if (string_starts(name, "coverage")) return json_member_number(value, "mean", NAN);
  }
  return NAN;
}

static void headings(const json_t *set, row_cells *row) {
  const char *names[METRICS_SHOWN];
  size_t count = metrics_of(set, names);
  *row = (row_cells){.count = 0};
  cell(row, "model");
  for (size_t m = 0; m < count; m++) {
    cell(row, "%s", names[m]);
    cell(row, "seeds");
  }
  cell(row, "p");
  cell(row, "cold %s", count > 0 ? names[0] : "");
  cell(row, "coverage");
  cell(row, "fit s");
  cell(row, "ms/user");
  cell(row, "fit MiB");
  cell(row, "peak MiB");
}

static void cells_of(const json_t *set, const json_t *model, row_cells *row) {
  const char *names[METRICS_SHOWN];
  size_t count = metrics_of(set, names);
  const json_t *seconds = json_object_get(model, "seconds");
  *row = (row_cells){.count = 0};
  cell(row, "%s", json_member_string(model, "model", ""));
  for (size_t m = 0; m < count; m++) {
    const json_t *figure = json_object_get(json_object_get(model, "metrics"), names[m]);
    double mean = json_member_number(figure, "mean", NAN), lo = json_member_number(figure, "lo", NAN);
    double hi = json_member_number(figure, "hi", NAN);
    if (isfinite(lo) && isfinite(hi))
      cell(row, "%.4f ±%.4f", mean, fmax(hi - mean, mean - lo));
    else
      cell_number(row, "%.4f", mean);
    double least = json_member_number(figure, "least", NAN), most = json_member_number(figure, "most", NAN);
    if (json_member_integer(model, "seeds", 1) > 1 && isfinite(least))
      cell(row, "%.4f–%.4f", least, most);
    else
      cell(row, "–");
  }
  double p = count > 0 ? json_member_number(json_object_get(model, "p_value"), names[0], NAN) : NAN;
  cell_number(row, "%.3f", p);
  cell_number(row, "%.4f", count > 0 ? json_member_number(json_object_get(model, "cold"), names[0], NAN) : NAN);
  cell_number(row, "%.3f", coverage_of(model));
  cell_number(row, "%.2f", json_member_number(seconds, "fit", NAN));
  cell_number(row, "%.3f", 1e3 * json_member_number(seconds, "per_user", NAN));
  cell_number(row, "%.0f", json_member_number(model, "fit_memory_bytes", NAN) / (1 << 20));
  cell_number(row, "%.0f", json_member_number(model, "peak_memory_bytes", NAN) / (1 << 20));
}

static void title_of(const json_t *set, strbuf *out) {
  strbuf_printf(out, "%s, split %s: %lld users, %lld items, %lld events to learn from, %lld to find",
                json_member_string(set, "workspace", ""), json_member_string(set, "split", ""),
                json_member_integer(set, "users", 0), json_member_integer(set, "items", 0),
                json_member_integer(set, "interactions", 0), json_member_integer(set, "test_interactions", 0));
}

void bench_models_show(console *c, const json_t *report) {
  size_t i, m;
  json_t *set, *model;
  json_array_foreach(json_object_get(report, "sets"), i, set) {
    table t = {0};
    row_cells row, head; /* the table borrows its headings */
    strbuf title = {0};
    title_of(set, &title);
    console_line(c, STYLE_BOLD, "%s", title.text ? title.text : "");
    strbuf_deinit(&title);
    headings(set, &head);
    for (size_t k = 0; k < head.count; k++) table_add_column(&t, head.text[k], k > 0, k == 0);
    json_array_foreach(json_object_get(set, "models"), m, model) {
      cells_of(set, model, &row);
      for (size_t k = 0; k < row.count; k++) table_add(&t, row.text[k], m == 0 ? STYLE_BOLD : STYLE_PLAIN);
    }
    console_table(c, &t, 0);
    table_deinit(&t);
    strbuf_append_char(&c->text, '\n');
  }
  console_line(c, STYLE_DIM,
               "± is the larger half of the 95 %% bootstrap interval over users; seeds: the least and the most of the "
               "means; p: of the paired test against the best model, the greatest of the seeds.");
}

void bench_models_markdown(strbuf *out, const json_t *report) {
  size_t i, m;
  json_t *set, *model;
  json_array_foreach(json_object_get(report, "sets"), i, set) {
    row_cells row;
    strbuf_append(out, i > 0 ? "\n## " : "## ");
    title_of(set, out);
    strbuf_append(out, "\n\n");
    headings(set, &row);
    for (size_t k = 0; k < row.count; k++) strbuf_printf(out, "| %s ", row.text[k]);
    strbuf_append(out, "|\n");
    for (size_t k = 0; k < row.count; k++) strbuf_append(out, k > 0 ? "|---:" : "|---");
    strbuf_append(out, "|\n");
    json_array_foreach(json_object_get(set, "models"), m, model) {
      cells_of(set, model, &row);
      for (size_t k = 0; k < row.count; k++) strbuf_printf(out, k > 0 ? "| %s " : "| `%s` ", row.text[k]);
      strbuf_append(out, "|\n");
    }
  }
}

static void csv_text(strbuf *out, const char *text) {
  strbuf_append_char(out, '"');
  for (; *text != '\0'; text++) {
    if (*text == '"') strbuf_append_char(out, '"');
    strbuf_append_char(out, *text);
  }
  strbuf_append_char(out, '"');
}

static void csv_number(strbuf *out, const json_t *object, const char *key) {
  double value = json_member_number(object, key, NAN);
  strbuf_append_char(out, ',');
  if (isfinite(value)) strbuf_printf(out, "%.9g", value);
}

void bench_models_csv(strbuf *out, const json_t *report) {
  size_t i, m;
  json_t *set, *model, *figure;
  const char *metric;
  strbuf_append(out,
                "workspace,split,model,metric,mean,lo,hi,least,most,cold,p_value,fit_seconds,seconds_per_user,"
                "fit_memory_bytes,peak_memory_bytes\n");
  json_array_foreach(json_object_get(report, "sets"), i, set) {
    json_array_foreach(json_object_get(set, "models"), m, model) {
      json_object_foreach(json_object_get(model, "metrics"), metric, figure) {
        csv_text(out, json_member_string(set, "workspace", ""));
        strbuf_printf(out, ",%s,%s,%s", json_member_string(set, "split", ""), json_member_string(model, "model", ""),
                      metric);
        csv_number(out, figure, "mean");
        csv_number(out, figure, "lo");
        csv_number(out, figure, "hi");
        csv_number(out, figure, "least");
        csv_number(out, figure, "most");
        csv_number(out, json_object_get(model, "cold"), metric);
        csv_number(out, json_object_get(model, "p_value"), metric);
        csv_number(out, json_object_get(model, "seconds"), "fit");
        csv_number(out, json_object_get(model, "seconds"), "per_user");
        csv_number(out, model, "fit_memory_bytes");
        csv_number(out, model, "peak_memory_bytes");
        strbuf_append_char(out, '\n');
      }
    }
  }
}
