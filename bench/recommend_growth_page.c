/* bench/recommend_growth_page.c: what growth_run measured, as tables in Markdown and as plots on one sheet. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/strbuf.h"
#include "bench/recommend_growth.h"
#include "explain/plot.h"

enum { PANEL_WIDTH = 400, PANEL_HEIGHT = 300, PANELS = 3, LINES = PLOT_SERIES, POINTS = 4 };

#define STYLE                                                                                                          \
  ":root{color-scheme:light dark}svg{background:#fff}.plot{font:12px system-ui,sans-serif}.plot text{fill:#1c2430}"    \
  ".plot .tick,.plot .label{fill:#5b6675;font-size:11px}.plot .title{font-weight:600;font-size:13px}"                  \
  ".grid{stroke:#dde2e8}.axis{stroke:#1c2430}polyline{stroke-width:2;fill:none}.l0{stroke:#8fa3b8}.l1{stroke:#0072b2}" \
  ".l2{stroke:#e69f00}.l3{stroke:#009e73}.l4{stroke:#cc79a7}.l5{stroke:#d55e00}"                                       \
  "@media(prefers-color-scheme:dark){svg{background:#14181e}.plot text{fill:#e8ecf1}"                                  \
  ".plot .tick,.plot .label{fill:#9aa7b6}.grid{stroke:#313a45}.axis{stroke:#e8ecf1}}"

/* ---- tables ---- */

typedef enum figure { FIGURE_SECONDS, FIGURE_BYTES, FIGURE_REQUEST, FIGURE_COUNT } figure;

static double figure_of(const growth_cell *c, figure what) {
  double values[] = {c->seconds, c->bytes / 1e6, c->request_ms};
  return c->outcome == GROWTH_FITTED ? fmax(values[what], what == FIGURE_BYTES ? 0.1 : 0.001) : NAN;
}

static void append_figure(strbuf *out, double value) {
  if (value < 10)
    strbuf_printf(out, "%.2g", value);
  else
    strbuf_printf(out, "%.0f", value);
}

static void append_cell(strbuf *out, const growth *g, const growth_cell *c, figure what) {
  switch (c->outcome) {
    case GROWTH_FITTED: append_figure(out, figure_of(c, what)); break;
    case GROWTH_REFUSED: strbuf_append(out, "refused"); break;
    case GROWTH_TOO_LONG: strbuf_printf(out, "> %.0f s", g->options->limit_s); break;
    case GROWTH_TOO_LARGE: strbuf_printf(out, "> %.0f GiB", g->options->memory_gib); break;
    case GROWTH_FAILED: strbuf_append(out, "failed"); break;
    case GROWTH_NOT_TRIED: strbuf_append(out, "–"); break;
  }
}

static bool size_was_run(const growth *g, size_t s) {
  for (size_t k = 0; k < g->kind_count; k++)
    if (g->cell[k][s].outcome != GROWTH_NOT_TRIED) return true;
  return false;
}

static void append_table(strbuf *out, const growth *g, figure what) {
  static const char *const names[] = {"fit, s", "added, MB", "a request, ms"};
  strbuf_printf(out, "| %s |", names[what]);
  for (size_t s = 0; s < GROWTH_SIZES; s++)
    if (size_was_run(g, s))
      strbuf_printf(out, " 10%s × 10%s |",
                    ((const char *[]){"³", "⁴", "⁵", "⁶"})[lround(log10(growth_sizes[s].items)) - 3],
                    ((const char *[]){"⁵", "⁶", "⁷", "⁸"})[lround(log10((double)growth_sizes[s].events)) - 5]);
  strbuf_append(out, "\n|---|");
  for (size_t s = 0; s < GROWTH_SIZES; s++) strbuf_append(out, size_was_run(g, s) ? "---|" : "");
  for (size_t k = 0; k < g->kind_count; k++) {
    strbuf_printf(out, "\n| `%s` |", g->kinds[k]->name);
    for (size_t s = 0; s < GROWTH_SIZES; s++) {
      if (!size_was_run(g, s)) continue;
      strbuf_append_char(out, ' ');
      append_cell(out, g, &g->cell[k][s], what);
      strbuf_append(out, " |");
    }
  }
  strbuf_append(out, "\n\n");
}

/* ---- plots ---- */

typedef struct panel {
  const char *title, *x_label, *y_label;
  figure what;
  size_t size[POINTS]; /* of growth_sizes */
  size_t size_count;
  bool by_items;
} panel;

static const panel panels[PANELS] = {
    {"10⁴ items", "million events", "seconds of a fit", FIGURE_SECONDS, {1, 3, 7}, 3, false},
    {"10⁶ events", "thousand items", "seconds of a fit", FIGURE_SECONDS, {1, 2, 4}, 3, true},
    {"10⁶ events", "thousand items", "MB added", FIGURE_BYTES, {1, 2, 4}, 3, true},
};

static bool line_is_one(const double *y, size_t count) {
  size_t there = 0;
  for (size_t i = 0; i < count; i++) there += isfinite(y[i]);
  return there > 1;
}

/* A row of models on a panel. */
static void append_panel(strbuf *out, const growth *g, const panel *p, size_t first, size_t at) {
  char id[32];
  double x[POINTS], y[LINES][POINTS];
  plot_line lines[LINES];
  size_t count = g->kind_count - first < LINES ? g->kind_count - first : LINES, drawn = 0;
  snprintf(id, sizeof id, "p%zux%zu", first, at);
  for (size_t i = 0; i < p->size_count; i++) {
    const growth_size *size = &growth_sizes[p->size[i]];
    x[i] = p->by_items ? size->items / 1e3 : (double)size->events / 1e6;
    for (size_t l = 0; l < count; l++) y[l][i] = figure_of(&g->cell[first + l][p->size[i]], p->what);
  }
  for (size_t l = 0; l < count; l++)
    if (line_is_one(y[l], p->size_count))
      lines[drawn++] = (plot_line){g->kinds[first + l]->name, x, y[l], p->size_count, (int)l};
  plot_options o = {.id = id,
                    .title = p->title,
                    .description = "both axes logarithmic",
                    .x_label = p->x_label,
                    .y_label = p->y_label,
                    .x_log = true,
                    .y_log = true,
                    .width = PANEL_WIDTH,
                    .height = PANEL_HEIGHT};
  strbuf_printf(out, "<g transform=\"translate(%zu,%zu)\">", at * PANEL_WIDTH, first / LINES * PANEL_HEIGHT);
  plot_lines(out, &o, lines, drawn);
  strbuf_append(out, "</g>\n");
}

static void append_plots(strbuf *out, const growth *g) {
  size_t rows = (g->kind_count + LINES - 1) / LINES;
  strbuf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" width=\"%d\" height=\"%zu\">",
                PANELS * PANEL_WIDTH, rows * PANEL_HEIGHT, PANELS * PANEL_WIDTH, rows * PANEL_HEIGHT);
  strbuf_append(out, "<style>" STYLE "</style>\n");
  for (size_t first = 0; first < g->kind_count; first += LINES)
    for (size_t p = 0; p < PANELS; p++) append_panel(out, g, &panels[p], first, p);
  strbuf_append(out, "</svg>\n");
}

/* ---- files ---- */

static medley_status file_make(const growth *g, const char *ending, strbuf *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char path[1024];
  snprintf(path, sizeof path, "%s%s", g->options->output, ending);
  if (text->failed) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for %s", path);
  TRY(file_write(path, text->text, text->length, err));
done:
  strbuf_deinit(text);
  return status;
}

medley_status growth_page_write(const growth *g, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf tables = {0}, plots = {0};
  for (figure what = 0; what < FIGURE_COUNT; what++) append_table(&tables, g, what);
  append_plots(&plots, g);
  status = file_make(g, ".md", &tables, err);
  if (status == MEDLEY_OK)
    status = file_make(g, ".svg", &plots, err);
  else
    strbuf_deinit(&plots);
  return status;
}
