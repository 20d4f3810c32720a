/* explain/trials_page.c: see explain/trials_page.h. */
#include "explain/trials_page.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "explain/plot.h"
#include "explain/report_style.h"

#define LINES_MAX 16     /* models drawn into one plot: the best */
#define TRIALS_MAX 4096  /* drawn of one model */
#define RATIO_SHOWN 20.0 /* values that differ by more are drawn by their logarithm */

static const char *name_of(const json_t *model) { return json_member_string(model, "model", "?"); }
static const json_t *trials_of(const json_t *model) { return json_object_get(model, "trials"); }
static double objective_of(const json_t *row, const char *key) { return json_member_number(row, key, NAN); }
static bool is_whole(const json_t *t) { return json_member_number(t, "share", 1) >= 1; }

/* ---- how far each model came ---- */

/* x: seconds since its search began, y: the best so far, of trials with everybody. Returns how many. */
static size_t course_read(const json_t *trials, double *x, double *y) {
  size_t i, count = 0;
  double spent = 0, best = -INFINITY;
  const json_t *t;
  json_array_foreach(trials, i, t) {
    spent += json_member_number(t, "seconds", 0);
    double reached = objective_of(t, "objective");
    if (is_whole(t) && isfinite(reached)) best = fmax(best, reached);
    if (!isfinite(best) || count == TRIALS_MAX) continue;
    x[count] = fmax(spent, 1e-3);
    y[count++] = best;
  }
  return count;
}

static size_t models_best(const json_t *models, const json_t *best[LINES_MAX]) {
  size_t i, count = 0;
  const json_t *model;
  json_array_foreach(models, i, model) {
    double reached = objective_of(model, "validation");
    if (!isfinite(reached) || json_array_size(trials_of(model)) == 0) continue;
    size_t at = count < LINES_MAX ? count++ : LINES_MAX;
    for (; at > 0 && objective_of(best[at - 1], "validation") < reached; at--)
      if (at < LINES_MAX) best[at] = best[at - 1];
    if (at < LINES_MAX) best[at] = model;
  }
  return count;
}

static medley_status courses_write(strbuf *out, const json_t *models, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *best[LINES_MAX];
  plot_line lines[LINES_MAX];
  size_t count = models_best(models, best), drawn = 0;
  double *room = NULL;
  TRY_NEW(room, LINES_MAX * 2 * TRIALS_MAX, "a page of trials");
  for (size_t l = 0; l < count; l++) {
    double *x = room + l * 2 * TRIALS_MAX, *y = x + TRIALS_MAX;
    size_t points = course_read(trials_of(best[l]), x, y);
    if (points > 1) {
      lines[drawn] = (plot_line){name_of(best[l]), x, y, points, (int)(1 + drawn % (PLOT_SERIES - 1))};
      drawn++;
    }
  }
  if (drawn == 0) goto done;
  plot_options options = {.id = "courses",
                          .title = "Best so far",
                          .description = "A line a model: the best objective reached, over the seconds spent on it.",
                          .x_label = "seconds spent on the model",
                          .y_label = "(recall@20 + ndcg@20) / 2",
                          .x_log = true,
                          .width = 760,
                          .quiet = true};
  strbuf_append(
      out, "<section aria-labelledby=\"far\"><h2 id=\"far\">How far each model came</h2>\n<figure class=\"wide\">");
  plot_lines(out, &options, lines, drawn);
  strbuf_append(out, "</figure></section>\n");
done:
  mem_free(room);
  return status;
}

/* ---- the table ---- */

static size_t trials_counted(const json_t *model, double *seconds, double *first) {
  size_t i;
  const json_t *t;
  *seconds = 0;
  *first = NAN;
  json_array_foreach(trials_of(model), i, t) {
    *seconds += json_member_number(t, "seconds", 0);
    if (i == 0) *first = objective_of(t, "objective");
  }
  return json_array_size(trials_of(model));
}

static void value_cell(strbuf *out, double value) {
  strbuf_append(out, "<td>");
  if (isfinite(value))
    plot_append_value(out, value);
  else
    strbuf_append(out, "–");
  strbuf_append(out, "</td>");
}

static void settings_cell(strbuf *out, const json_t *model) {
  const char *name;
  json_t *value;
  bool first = true;
  strbuf_append(out, "<td class=\"text\">");
  json_object_foreach(json_object_get(model, "settings"), name, value) {
    strbuf_append(out, first ? "" : ", ");
    strbuf_append_escaped(out, name);
    strbuf_append(out, " = ");
    plot_append_value(out, json_number_value(value));
    first = false;
  }
  const char *skipped = json_member_string(model, "skipped", "");
  if (*skipped != '\0') {
    strbuf_append(out, first ? "" : "; ");
    strbuf_append_escaped(out, skipped);
  }
  strbuf_append(out, "</td>");
}

static void table_write(strbuf *out, const json_t *models) {
  size_t i;
  const json_t *model;
  strbuf_append(out,
                "<section aria-labelledby=\"found\"><h2 id=\"found\">What was found</h2>\n<div class=\"scroll\"><table>"
                "<thead><tr><th scope=\"col\">model</th><th scope=\"col\">trials</th><th scope=\"col\">seconds</th>"
                "<th scope=\"col\">first</th><th scope=\"col\">best</th><th scope=\"col\">settings</th></tr></thead>\n"
                "<tbody>\n");
  json_array_foreach(models, i, model) {
    double seconds, first;
    size_t count = trials_counted(model, &seconds, &first);
    strbuf_append(out, "<tr><th scope=\"row\">");
    strbuf_append_escaped(out, name_of(model));
    strbuf_printf(out, "</th><td>%zu</td>", count);
    value_cell(out, seconds);
    value_cell(out, first);
    value_cell(out, objective_of(model, "validation"));
    settings_cell(out, model);
    strbuf_append(out, "</tr>\n");
  }
  strbuf_append(out,
                "</tbody><caption>The objective, (recall@20 + ndcg@20) / 2, is taken on events held out for "
                "validation; “first” is what the settings reach that the search began with.</caption></table></div>"
                "</section>\n");
}

/* ---- what each setting does ---- */

typedef struct cloud {
  plot_point points[TRIALS_MAX];
  size_t count;
  double least, most, first;
} cloud;

static void cloud_read(const json_t *trials, const char *setting, cloud *c) {
  size_t i;
  const json_t *t;
  *c = (cloud){.least = INFINITY, .most = -INFINITY};
  json_array_foreach(trials, i, t) {
    double value = json_member_number(json_object_get(t, "settings"), setting, NAN);
    double reached = objective_of(t, "objective");
    if (!isfinite(value) || !isfinite(reached) || c->count == TRIALS_MAX) continue;
    c->points[c->count++] = (plot_point){"", value, reached, NAN, NAN, is_whole(t) ? 1 : 0};
    c->least = fmin(c->least, value);
    c->most = fmax(c->most, value);
  }
}

static void setting_plot(strbuf *out, const json_t *model, const char *setting, size_t number, cloud *c) {
  char id[32];
  cloud_read(trials_of(model), setting, c);
  if (c->count < 3 || !(c->most > c->least)) return;
  snprintf(id, sizeof id, "setting%zu", number);
  plot_options options = {.id = id,
                          .title = setting,
                          .description = "A point a trial: the objective over the value of the setting.",
                          .x_label = setting,
                          .x_log = c->least > 0 && c->most / c->least > RATIO_SHOWN,
                          .width = 400,
                          .height = 240,
                          .quiet = true};
  strbuf_append(out, "<figure>");
  plot_scatter(out, &options, c->points, c->count);
  strbuf_append(out, "</figure>\n");
}

static medley_status settings_write(strbuf *out, const json_t *models, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t i, number = 0;
  const json_t *model;
  cloud *c = NULL;
  TRY_NEW(c, 1, "a page of trials");
  json_array_foreach(models, i, model) {
    const char *setting;
    json_t *value;
    if (json_array_size(trials_of(model)) < 3) continue;
    strbuf_printf(out, "<section aria-labelledby=\"model%zu\"><h2 id=\"model%zu\">", i, i);
    strbuf_append_escaped(out, name_of(model));
    strbuf_append(out, "</h2>\n<div class=\"plots\">\n");
    json_object_foreach(json_object_get(model, "settings"), setting, value)
        setting_plot(out, model, setting, number++, c);
    strbuf_append(out, "</div></section>\n");
  }
done:
  mem_free(c);
  return status;
}

/* ---- the whole ---- */

medley_status trials_page_html(const json_t *report, strbuf *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *models = json_object_get(report, "models");
  if (!json_is_array(models)) FAIL(err, MEDLEY_ERR_INPUT, "a report of a search needs an array \"models\"");
  strbuf_append(out,
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>Search over settings"
                "</title>\n<style>" REPORT_STYLE
                "</style></head>\n<body><header><h1>Search over settings</h1>\n"
                "<p class=\"soft\">Chosen by <b>");
  strbuf_append_escaped(out, json_member_string(report, "search", "?"));
  strbuf_append(out, "</b> on events held out for validation, in ");
  plot_append_value(out, json_member_number(report, "seconds", 0));
  strbuf_append(out, " seconds. Pale points are trials on a share of the people.</p></header>\n<main>\n");
  table_write(out, models);
  TRY(courses_write(out, models, err));
  TRY(settings_write(out, models, err));
  strbuf_append(out, "</main></body></html>\n");
  if (out->failed) status = error_memory(err, "a page of trials");
done:
  return status;
}
