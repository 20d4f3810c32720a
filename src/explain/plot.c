/* explain/plot.c: see explain/plot.h. A plot is a frame (pixels) and two scales (values → pixels); what is drawn on it
 * are a few SVG elements each. */
#include "explain/plot.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WIDTH_USUAL 640.0
#define HEIGHT_USUAL 360.0
#define TITLE_HEIGHT 28.0
#define AXIS_HEIGHT 46.0
#define ROW_HEIGHT 20.0
#define LETTER_WIDTH 6.7 /* of the 12 px system font, on average; wide scripts take twice that */
#define TEXT_HEIGHT 13.0
#define LABELS_MAX 128

/* From values to pixels. */
typedef struct scale {
  double min, max; /* values; logarithms when log */
  double from, to; /* pixels */
  bool log;
} scale;

typedef struct frame {
  strbuf *out;
  const plot_options *options;
  double width, height, left, right, top, bottom;
  scale x, y;
} frame;

/* ---- numbers ---- */

static void append_fixed(strbuf *out, double value, int decimals) {
  char text[64];
  snprintf(text, sizeof text, "%.*f", decimals, value);
  /* The process may run in a locale with a decimal comma; SVG and readers of tables want a point. */
  for (char *c = text; *c != '\0'; c++)
    if ((*c < '0' || *c > '9') && *c != '-') *c = '.';
  strbuf_append(out, text);
}

static void append_px(strbuf *out, double value) { append_fixed(out, value, 1); }

/* name="12.3" */
static void append_attribute(strbuf *out, const char *name, double px) {
  strbuf_printf(out, " %s=\"", name);
  append_px(out, px);
  strbuf_append_char(out, '"');
}

void plot_append_value(strbuf *out, double value) {
  double size = fabs(value);
  if (!isfinite(value))
    strbuf_append(out, "–");
  else
    append_fixed(out, value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 4);
}

/* A tick is told with the digits its step needs. */
static void append_tick(strbuf *out, double value, double step) {
  int decimals = step > 0 && step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
  append_fixed(out, fabs(value) < step * 1e-9 ? 0 : value, decimals < 9 ? decimals : 9);
}

size_t plot_ticks(double min, double max, size_t wanted, double ticks[PLOT_TICKS_MAX]) {
  if (!(max > min) || !isfinite(min) || !isfinite(max) || wanted == 0) return 0;
  double raw = (max - min) / (double)wanted, power = pow(10, floor(log10(raw))), rest = raw / power;
  double step = power * (rest < 1.5 ? 1 : rest < 3.5 ? 2 : rest < 7.5 ? 5 : 10);
  size_t count = 0;
  if (!(step > 0) || !isfinite(step)) return 0;
  for (double i = ceil(min / step - 1e-9); i * step <= max + step * 1e-9 && count < PLOT_TICKS_MAX; i++)
    ticks[count++] = i * step + 0.0; /* no negative zero */
  return count;
}

static size_t decade_ticks(double min, double max, const double *steps, size_t step_count, double *ticks) {
  size_t count = 0;
  for (double power = pow(10, floor(log10(min))); power <= max; power *= 10)
    for (size_t s = 0; s < step_count; s++) {
      double tick = power * steps[s];
      if (tick < min * (1 - 1e-9) || tick > max * (1 + 1e-9)) continue;
      if (count == PLOT_TICKS_MAX) return PLOT_TICKS_MAX + 1;
      ticks[count++] = tick;
    }
  return count;
}

size_t plot_ticks_log(double min, double max, double ticks[PLOT_TICKS_MAX]) {
  static const double steps[] = {1, 2, 5};
  /* Below 1e-300 a power of ten may be zero, and the walk over them would not end. */
  if (!(min > 1e-300) || !(max >= min) || !isfinite(max)) return 0;
  size_t count = decade_ticks(min, max, steps, 3, ticks);
  if (count <= 9) return count;
  count = decade_ticks(min, max, steps, 1, ticks);
  return count <= PLOT_TICKS_MAX ? count : PLOT_TICKS_MAX;
}

/* ---- scales and frames ---- */

static double scale_px(const scale *s, double value) {
  double v = s->log ? log10(value) : value;
  return s->from + (v - s->min) / (s->max - s->min) * (s->to - s->from);
}

/* A range of values with some air around it; never empty. */
static scale scale_make(double min, double max, bool logarithmic, double air) {
  if (!(min <= max)) min = max = logarithmic ? 1 : 0;
  scale s = {.min = logarithmic ? log10(min) : min, .max = logarithmic ? log10(max) : max, .log = logarithmic};
  double room = (s.max - s.min) * air;
  if (room < 1e-12) room = logarithmic ? 0.3 : fabs(max) > 0 ? fabs(max) * 0.1 : 1;
  s.min -= room;
  s.max += room;
  return s;
}

static void range_add(double *min, double *max, double value, bool logarithmic) {
  if (!isfinite(value) || (logarithmic && value <= 0)) return;
  if (value < *min) *min = value;
  if (value > *max) *max = value;
}

static void frame_open(frame *f) {
  const plot_options *o = f->options;
  strbuf *out = f->out;
  strbuf_printf(out, "<svg class=\"plot\" role=\"img\" aria-labelledby=\"%s-t %s-d\" viewBox=\"0 0 ", o->id, o->id);
  append_px(out, f->width);
  strbuf_append_char(out, ' ');
  append_px(out, f->height);
  strbuf_append(out, "\"");
  append_attribute(out, "width", f->width);
  append_attribute(out, "height", f->height);
  strbuf_printf(out, "><title id=\"%s-t\">", o->id);
  strbuf_append_escaped(out, o->title);
  strbuf_printf(out, "</title><desc id=\"%s-d\">", o->id);
  strbuf_append_escaped(out, o->description ? o->description : "");
  strbuf_append(out, "</desc>\n");
}

static void frame_close(frame *f) { strbuf_append(f->out, "</svg>\n"); }

static void text_at(frame *f, const char *class, double x, double y, const char *anchor, const char *text) {
  strbuf_printf(f->out, "<text class=\"%s\"", class);
  append_attribute(f->out, "x", x);
  append_attribute(f->out, "y", y);
  strbuf_printf(f->out, " text-anchor=\"%s\">", anchor);
  strbuf_append_escaped(f->out, text);
  strbuf_append(f->out, "</text>\n");
}

static void line_at(frame *f, const char *class, double x1, double y1, double x2, double y2) {
  strbuf_printf(f->out, "<line class=\"%s\"", class);
  append_attribute(f->out, "x1", x1);
  append_attribute(f->out, "y1", y1);
  append_attribute(f->out, "x2", x2);
  append_attribute(f->out, "y2", y2);
  strbuf_append(f->out, "/>\n");
}

static void title_draw(frame *f) {
  if (!f->options->quiet) text_at(f, "label title", 0, 16, "start", f->options->title);
}

static void tick_draw(frame *f, bool is_x, double value, double step) {
  const scale *s = is_x ? &f->x : &f->y;
  double px = scale_px(s, value);
  if (is_x)
    line_at(f, "grid", px, f->top, px, f->height - f->bottom);
  else
    line_at(f, "grid", f->left, px, f->width - f->right, px);
  strbuf_append(f->out, "<text class=\"tick\"");
  append_attribute(f->out, "x", is_x ? px : f->left - 6);
  append_attribute(f->out, "y", is_x ? f->height - f->bottom + 15 : px + 4);
  strbuf_printf(f->out, " text-anchor=\"%s\">", is_x ? "middle" : "end");
  append_tick(f->out, value, step);
  strbuf_append(f->out, "</text>\n");
}

static void axis_draw(frame *f, bool is_x) {
  const scale *s = is_x ? &f->x : &f->y;
  double ticks[PLOT_TICKS_MAX], length = fabs(s->to - s->from);
  size_t count = s->log ? plot_ticks_log(pow(10, s->min), pow(10, s->max), ticks)
                        : plot_ticks(s->min, s->max, (size_t)(length / (is_x ? 80 : 45)) + 1, ticks);
  for (size_t i = 0; i < count; i++)
    tick_draw(f, is_x, ticks[i], s->log ? ticks[i] : count > 1 ? ticks[1] - ticks[0] : fabs(ticks[i]));
  if (is_x && f->options->x_label != NULL)
    text_at(f, "label", (f->left + f->width - f->right) / 2, f->height - 8, "middle", f->options->x_label);
  if (!is_x && f->options->y_label != NULL)
    text_at(f, "label", 0, f->options->quiet ? 12 : TITLE_HEIGHT + 8, "start", f->options->y_label);
}

/* Pixels of a text in the page's usual font, about. */
static double text_width(const char *text) {
  double width = 0;
  for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
    if ((*c & 0xc0) == 0x80) continue;
    width += *c >= 0xe3 ? 2 * LETTER_WIDTH : LETTER_WIDTH; /* from U+3000 on: mostly wide */
  }
  return width;
}

static int series_of(int series) { return series < 0 ? 0 : series % PLOT_SERIES; }

/* A vertical or horizontal interval with its end strokes. */
static void whisker_draw(frame *f, double at, double lo, double hi, bool horizontal) {
  const double end = 3;
  if (horizontal) {
    line_at(f, "whisker", lo, at, hi, at);
    line_at(f, "whisker", lo, at - end, lo, at + end);
    line_at(f, "whisker", hi, at - end, hi, at + end);
  } else {
    line_at(f, "whisker", at, lo, at, hi);
    line_at(f, "whisker", at - end, lo, at + end, lo);
    line_at(f, "whisker", at - end, hi, at + end, hi);
  }
}

/* ---- bars ---- */

static void bar_draw(frame *f, const plot_bar *bar, double y) {
  double zero = scale_px(&f->x, 0), end = scale_px(&f->x, bar->value), behind = end > zero ? end : zero;
  strbuf_printf(f->out, "<rect class=\"s%d\"", series_of(bar->series));
  append_attribute(f->out, "x", end < zero ? end : zero);
  append_attribute(f->out, "y", y + 3);
  append_attribute(f->out, "width", fabs(end - zero));
  append_attribute(f->out, "height", ROW_HEIGHT - 6);
  strbuf_append(f->out, " rx=\"1.5\"/>\n");
  if (isfinite(bar->lo) && isfinite(bar->hi)) {
    double hi = scale_px(&f->x, bar->hi);
    whisker_draw(f, y + ROW_HEIGHT / 2, scale_px(&f->x, bar->lo), hi, true);
    if (hi > behind) behind = hi;
  }
  strbuf_append(f->out, "<text class=\"tick\"");
  append_attribute(f->out, "x", behind + 6);
  append_attribute(f->out, "y", y + ROW_HEIGHT / 2 + 4);
  strbuf_append(f->out, ">");
  plot_append_value(f->out, bar->value);
  strbuf_append(f->out, "</text>\n");
}

void plot_bars(strbuf *out, const plot_options *options, const plot_bar *bars, size_t count) {
  double min = 0, max = 0, names = 40;
  for (size_t i = 0; i < count; i++) {
    range_add(&min, &max, bars[i].value, false);
    range_add(&min, &max, bars[i].lo, false);
    range_add(&min, &max, bars[i].hi, false);
    if (text_width(bars[i].name) > names) names = text_width(bars[i].name);
  }
  frame f = {.out = out, .options = options};
  f.width = options->width > 0 ? options->width : WIDTH_USUAL;
  f.top = options->quiet ? 4 : TITLE_HEIGHT;
  f.bottom = options->x_label != NULL ? AXIS_HEIGHT : AXIS_HEIGHT - 22;
  f.height = options->height > 0 ? options->height : f.top + ROW_HEIGHT * (double)count + f.bottom;
  f.left = names + 12 < f.width / 2 ? names + 12 : f.width / 2;
  f.right = 52; /* room for the value behind the longest bar */
  f.x = (scale){min, max > min ? max : 1, f.left, f.width - f.right, false};
  frame_open(&f);
  title_draw(&f);
  axis_draw(&f, true);
  for (size_t i = 0; i < count; i++) {
    double y = f.top + ROW_HEIGHT * (double)i;
    text_at(&f, "name", f.left - 8, y + ROW_HEIGHT / 2 + 4, "end", bars[i].name);
    if (isfinite(bars[i].value)) bar_draw(&f, &bars[i], y);
  }
  double zero = scale_px(&f.x, 0);
  line_at(&f, "axis", zero, f.top, zero, f.height - f.bottom);
  frame_close(&f);
}

/* ---- points and lines ---- */

static void frame_usual(frame *f, double x_min, double x_max, double y_min, double y_max) {
  const plot_options *o = f->options;
  f->width = o->width > 0 ? o->width : WIDTH_USUAL;
  f->height = o->height > 0 ? o->height : HEIGHT_USUAL;
  f->left = 56;
  f->right = 16;
  f->top = (o->quiet ? 4 : TITLE_HEIGHT) + (o->y_label != NULL ? 18 : 0);
  f->bottom = AXIS_HEIGHT;
  f->x = scale_make(x_min, x_max, o->x_log, 0.08);
  f->y = scale_make(y_min, y_max, o->y_log, 0.08);
  f->x.from = f->left;
  f->x.to = f->width - f->right;
  f->y.from = f->height - f->bottom;
  f->y.to = f->top;
}

static void frame_draw(frame *f) {
  frame_open(f);
  title_draw(f);
  axis_draw(f, true);
  axis_draw(f, false);
  line_at(f, "axis", f->left, f->height - f->bottom, f->width - f->right, f->height - f->bottom);
}

typedef struct box {
  double left, top, right, bottom;
} box;

static bool boxes_meet(const box *a, const box *b) {
  return a->left < b->right && b->left < a->right && a->top < b->bottom && b->top < a->bottom;
}

/* The first of some places around a point where its name meets no name or point before it; the first when all do. */
static box name_place(const frame *f, const box *taken, size_t taken_count, double x, double y, double width) {
  static const double places[][2] = {{8, -6}, {-1, -6}, {8, 8},   {-1, 8},   {8, -20}, {-1, -20},
                                     {8, 22}, {-1, 22}, {8, -34}, {-1, -34}, {8, 36},  {-1, 36}};
  box first = {0};
  for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
    double left = places[p][0] > 0 ? x + places[p][0] : x - 8 - width, top = y + places[p][1];
    box b = {left, top, left + width, top + TEXT_HEIGHT};
    bool fits = b.left >= f->left && b.right <= f->width && b.top >= f->top && b.bottom <= f->height - f->bottom;
    for (size_t t = 0; t < taken_count; t++) fits &= !boxes_meet(&b, &taken[t]);
    if (fits) return b;
    if (p == 0) first = b;
  }
  return first;
}

static bool point_is_drawn(const frame *f, const plot_point *p) {
  return isfinite(p->x) && isfinite(p->y) && (!f->x.log || p->x > 0) && (!f->y.log || p->y > 0);
}

static void points_draw(frame *f, const plot_point *points, size_t count) {
  box taken[2 * LABELS_MAX];
  size_t taken_count = 0;
  for (size_t i = 0; i < count; i++) {
    if (!point_is_drawn(f, &points[i])) continue;
    double x = scale_px(&f->x, points[i].x), y = scale_px(&f->y, points[i].y);
    if (isfinite(points[i].lo) && isfinite(points[i].hi))
      whisker_draw(f, x, scale_px(&f->y, points[i].lo), scale_px(&f->y, points[i].hi), false);
    strbuf_printf(f->out, "<circle class=\"s%d\"", series_of(points[i].series));
    append_attribute(f->out, "cx", x);
    append_attribute(f->out, "cy", y);
    strbuf_append(f->out, " r=\"4.5\"/>\n");
    if (taken_count < LABELS_MAX) taken[taken_count++] = (box){x - 5, y - 5, x + 5, y + 5};
  }
  for (size_t i = 0; i < count && taken_count < 2 * LABELS_MAX; i++) {
    if (!point_is_drawn(f, &points[i])) continue;
    double x = scale_px(&f->x, points[i].x), y = scale_px(&f->y, points[i].y);
    box b = name_place(f, taken, taken_count, x, y, text_width(points[i].name));
    taken[taken_count++] = b;
    bool left = b.right <= x;
    text_at(f, "name", left ? b.right : b.left, b.bottom - 3, left ? "end" : "start", points[i].name);
  }
}

void plot_scatter(strbuf *out, const plot_options *options, const plot_point *points, size_t count) {
  double x_min = INFINITY, x_max = -INFINITY, y_min = INFINITY, y_max = -INFINITY;
  for (size_t i = 0; i < count; i++) {
    range_add(&x_min, &x_max, points[i].x, options->x_log);
    range_add(&y_min, &y_max, points[i].y, options->y_log);
    range_add(&y_min, &y_max, points[i].lo, options->y_log);
    range_add(&y_min, &y_max, points[i].hi, options->y_log);
  }
  frame f = {.out = out, .options = options};
  frame_usual(&f, x_min, x_max, y_min, y_max);
  frame_draw(&f);
  points_draw(&f, points, count);
  frame_close(&f);
}

/* Points that are not finite break the line. */
static void line_draw(frame *f, const plot_line *line) {
  bool open = false;
  double x = NAN, y = NAN;
  for (size_t i = 0; i < line->count; i++) {
    plot_point p = {.x = line->x[i], .y = line->y[i]};
    if (!point_is_drawn(f, &p)) {
      if (open) strbuf_append(f->out, "\"/>\n");
      open = false;
      continue;
    }
    x = scale_px(&f->x, p.x);
    y = scale_px(&f->y, p.y);
    if (!open) strbuf_printf(f->out, "<polyline class=\"l%d\" fill=\"none\" points=\"", series_of(line->series));
    open = true;
    append_px(f->out, x);
    strbuf_append_char(f->out, ',');
    append_px(f->out, y);
    strbuf_append_char(f->out, ' ');
  }
  if (open) strbuf_append(f->out, "\"/>\n");
  if (isfinite(x)) text_at(f, "name", x, y - 6, "end", line->name);
}

void plot_lines(strbuf *out, const plot_options *options, const plot_line *lines, size_t count) {
  double x_min = INFINITY, x_max = -INFINITY, y_min = INFINITY, y_max = -INFINITY;
  for (size_t l = 0; l < count; l++)
    for (size_t i = 0; i < lines[l].count; i++) {
      range_add(&x_min, &x_max, lines[l].x[i], options->x_log);
      range_add(&y_min, &y_max, lines[l].y[i], options->y_log);
    }
  frame f = {.out = out, .options = options};
  frame_usual(&f, x_min, x_max, y_min, y_max);
  frame_draw(&f);
  for (size_t l = 0; l < count; l++) line_draw(&f, &lines[l]);
  frame_close(&f);
}
