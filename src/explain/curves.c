/* explain/curves.c: see explain/curves.h. The SVG is two plots of explain/plot.h on one sheet; the PNG is drawn with
 * the same ticks, since libvips reads no SVG here (media/vips.c blocks that loader). */
#include "explain/curves.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "explain/plot.h"
#include "media/draw.h"
#include "media/image.h"

enum { WIDTH = 720, HEIGHT = 320, LINES = 2 };

/* The reader's own colours, as in the report. */
#define STYLE                                                                                                          \
  ":root{color-scheme:light dark}svg{background:#fff}.plot{font:12px system-ui,sans-serif}.plot text{fill:#1c2430}"    \
  ".plot .tick,.plot .label{fill:#5b6675;font-size:11px}.plot .title{font-weight:600;font-size:13px}"                  \
  ".grid{stroke:#dde2e8}.axis{stroke:#1c2430}polyline{stroke-width:2;fill:none}.l1{stroke:#0072b2}.l2{stroke:#e69f00}" \
  ".l3{stroke:#009e73}@media(prefers-color-scheme:dark){svg{background:#14181e}.plot text{fill:#e8ecf1}"               \
  ".plot .tick,.plot .label{fill:#9aa7b6}.grid{stroke:#313a45}.axis{stroke:#e8ecf1}.l1{stroke:#56b4e9}"                \
  ".l2{stroke:#f0b73d}.l3{stroke:#35c796}}"

/* One of the two plots. */
typedef struct sheet {
  const char *id, *title, *y_label;
  plot_line lines[LINES];
  size_t count;
  bool y_log;
} sheet;

static bool falls_far(const double *values, size_t count) {
  double most = -INFINITY, least = INFINITY;
  for (size_t i = 0; i < count; i++) most = fmax(most, values[i]), least = fmin(least, values[i]);
  return least > 0 && most > 10 * least;
}

static void sheets_make(const training_log *log, const char *title, sheet out[2]) {
  out[0] = (sheet){"loss", title, "loss", {{"loss", log->step, log->loss, log->count, 1}}, 1, false};
  out[0].y_log = falls_far(log->loss, log->count);
  for (size_t i = 0; i < log->look_count; i++) out[0].y_log = out[0].y_log && log->look[i] > 0;
  if (log->look_count > 0)
    out[0].lines[out[0].count++] = (plot_line){"held-out", log->look_step, log->look, log->look_count, 2};
  out[1] = (sheet){"rate", "rate", "rate", {{"", log->step, log->rate, log->count, 3}}, 1, false};
}

/* ---- SVG ---- */

static medley_status svg_save(const sheet sheets[2], const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf out = {0};
  strbuf_printf(&out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\"><style>",
                WIDTH, 2 * HEIGHT, WIDTH, 2 * HEIGHT);
  strbuf_append(&out, STYLE "</style>\n");
  for (int k = 0; k < 2; k++) {
    const sheet *s = &sheets[k];
    plot_options o = {.id = s->id,
                      .title = s->title,
                      .description = "over the steps of a training",
                      .x_label = "step",
                      .y_label = s->y_label,
                      .y_log = s->y_log,
                      .width = WIDTH,
                      .height = HEIGHT};
    strbuf_printf(&out, "<g transform=\"translate(0,%d)\">", k * HEIGHT);
    plot_lines(&out, &o, s->lines, s->count);
    strbuf_append(&out, "</g>\n");
  }
  strbuf_append(&out, "</svg>\n");
  if (out.failed) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a training curve");
  TRY(file_write(path, out.text, out.length, err));
done:
  strbuf_deinit(&out);
  return status;
}

/* ---- PNG ---- */

static const uint8_t paper[3] = {255, 255, 255}, ink[3] = {28, 36, 48}, soft[3] = {91, 102, 117},
                     grid[3] = {221, 226, 232};
static const uint8_t series[][3] = {{143, 163, 184}, {0, 114, 178}, {230, 159, 0}, {0, 158, 115}};

typedef struct frame {
  double left, right, top, bottom; /* px */
  double x_min, x_max, y_min, y_max;
  bool y_log;
} frame;

static double share_of(double value, double min, double max) { return max > min ? (value - min) / (max - min) : 0.5; }
static double place_x(const frame *f, double x) {
  return f->left + share_of(x, f->x_min, f->x_max) * (f->right - f->left);
}
static double place_y(const frame *f, double y) {
  double share = f->y_log ? share_of(log(y), log(f->y_min), log(f->y_max)) : share_of(y, f->y_min, f->y_max);
  return f->bottom - share * (f->bottom - f->top);
}

static frame frame_of(const sheet *s, int at) {
  frame f = {70,       WIDTH - 20, at * HEIGHT + 34, (at + 1) * HEIGHT - 46, INFINITY, -INFINITY,
             INFINITY, -INFINITY,  s->y_log};
  for (size_t l = 0; l < s->count; l++)
    for (size_t i = 0; i < s->lines[l].count; i++) {
      double x = s->lines[l].x[i], y = s->lines[l].y[i];
      if (!isfinite(y)) continue;
      f.x_min = fmin(f.x_min, x), f.x_max = fmax(f.x_max, x);
      f.y_min = fmin(f.y_min, y), f.y_max = fmax(f.y_max, y);
    }
  return f;
}

static void tick_text(char text[32], double value) {
  snprintf(text, 32, "%.4g", value);
  for (char *c = text; *c != '\0'; c++)
    if (*c == ',') *c = '.'; /* in every locale */
}

static medley_status frame_draw(image *on, const frame *f, const sheet *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double ticks[PLOT_TICKS_MAX];
  char text[32];
  size_t count = f->y_log ? plot_ticks_log(f->y_min, f->y_max, ticks) : plot_ticks(f->y_min, f->y_max, 6, ticks);
  for (size_t i = 0; i < count; i++) {
    double y = place_y(f, ticks[i]);
    draw_line(on, f->left, y, f->right, y, 1, grid);
    tick_text(text, ticks[i]);
    TRY(draw_label(on, text, f->left - 8, y, 1, 11, soft, err));
  }
  count = plot_ticks(f->x_min, f->x_max, 8, ticks);
  for (size_t i = 0; i < count; i++) {
    double x = place_x(f, ticks[i]);
    draw_line(on, x, f->top, x, f->bottom, 1, grid);
    tick_text(text, ticks[i]);
    TRY(draw_label(on, text, x, f->bottom + 12, 0.5, 11, soft, err));
  }
  draw_line(on, f->left, f->top, f->left, f->bottom, 1, ink);
  draw_line(on, f->left, f->bottom, f->right, f->bottom, 1, ink);
  TRY(draw_label(on, s->title, f->left, f->top - 18, 0, 14, ink, err));
  TRY(draw_label(on, "step", (f->left + f->right) / 2, f->bottom + 30, 0.5, 11, soft, err));
done:
  return status;
}

static medley_status sheet_draw(image *on, const sheet *s, int at, medley_error *err) {
  medley_status status = MEDLEY_OK;
  frame f = frame_of(s, at);
  TRY(frame_draw(on, &f, s, err));
  for (size_t l = 0; l < s->count; l++) {
    const plot_line *line = &s->lines[l];
    for (size_t i = 0; i + 1 < line->count; i++)
      draw_line(on, place_x(&f, line->x[i]), place_y(&f, line->y[i]), place_x(&f, line->x[i + 1]),
                place_y(&f, line->y[i + 1]), 2, series[line->series]);
    TRY(draw_label(on, line->name, f.right - 90 * (double)l, f.top - 18, 1, 12, series[line->series], err));
  }
done:
  return status;
}

static medley_status png_save(const sheet sheets[2], const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image canvas = {0};
  TRY(draw_ground(WIDTH, 2 * HEIGHT, paper, &canvas, err));
  for (int k = 0; k < 2; k++) TRY(sheet_draw(&canvas, &sheets[k], k, err));
  TRY(image_save(&canvas, path, err));
done:
  image_deinit(&canvas);
  return status;
}

medley_status curves_save(const training_log *log, const char *title, const char *path, medley_error *err) {
  sheet sheets[2];
  const char *extension = path_extension(path);
  if (log->count < 2)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: a training of %zu points has no curve; two are the least", path,
                     log->count);
  sheets_make(log, title, sheets);
  if (strcasecmp(extension, "svg") == 0) return svg_save(sheets, path, err);
  if (strcasecmp(extension, "png") == 0) return png_save(sheets, path, err);
  return error_set(err, MEDLEY_ERR_USAGE, "%s ends neither in .svg nor in .png", path);
}
