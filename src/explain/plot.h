/* explain/plot.h: plots as inline SVG (F82): bars with intervals, points with intervals, lines. No script, no font, no
 * colour of their own: the page's style sheet gives the classes below their looks, in light and in dark.
 *
 *   svg.plot      every picture         .grid    lines behind         .axis  the line of zero or of the frame
 *   .tick .label  numbers, axis names   .name    names of rows, points, series
 *   .s0 … .s5     fill of a series      .l0 … .l5  stroke of a series   .whisker  intervals
 *
 * Every picture has a title and a description for those who listen to it. Values that are not finite are left out.
 */
#ifndef EXPLAIN_PLOT_H
#define EXPLAIN_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

#define PLOT_SERIES 6 /* looks there are; series beyond begin again */
#define PLOT_TICKS_MAX 16

typedef struct plot_options {
  const char *id;    /* unique in the page, letters and digits: the title and description are found by it */
  const char *title; /* stands above the plot too, unless quiet */
  const char *description;
  const char *x_label, *y_label; /* NULL: none */
  bool x_log, y_log;
  double width, height; /* px; 0: 640 × 360, bars choose their height by the rows */
  bool quiet;           /* the title is only for listeners */
} plot_options;

/* A row of a bar chart. lo and hi NAN: no interval. */
typedef struct plot_bar {
  const char *name; /* "" for a further bar of the row above */
  double value, lo, hi;
  int series;
} plot_bar;
/* Horizontal bars from zero, the value written behind each. */
void plot_bars(strbuf *out, const plot_options *options, const plot_bar *bars, size_t count);

typedef struct plot_point {
  const char *name;
  double x, y, lo, hi; /* interval of y */
  int series;
} plot_point;
/* Points with their names beside them, moved so that names do not lie over each other as far as there is room. */
void plot_scatter(strbuf *out, const plot_options *options, const plot_point *points, size_t count);

typedef struct plot_line {
  const char *name;    /* at the end of the line */
  const double *x, *y; /* [count] */
  size_t count;
  int series;
} plot_line;
void plot_lines(strbuf *out, const plot_options *options, const plot_line *lines, size_t count);

/* Round numbers (1, 2 or 5 times a power of ten) within [min, max], about `wanted` of them; returns how many. */
size_t plot_ticks(double min, double max, size_t wanted, double ticks[PLOT_TICKS_MAX]);
/* Powers of ten within [min, max], and 2 and 5 times them when that gives no more than the room for it. min > 0. */
size_t plot_ticks_log(double min, double max, double ticks[PLOT_TICKS_MAX]);
/* A number for people, with so many digits as its size is worth: 0.0412, 1.27, 318. Decimal point in every locale. */
void plot_append_value(strbuf *out, double value);

#endif
