/* cli/table.c: see cli/table.h. */
#include "cli/table.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/width.h"

#define GAP 2           /* spaces between columns */
#define SHRUNK_LEAST 12 /* columns that a shrinking column keeps */

void strbuf_append_styled(strbuf *b, const char *text, text_style style, bool colour) {
  static const char *const codes[] = {"", "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[36m"};
  bool dress = colour && style != STYLE_PLAIN && *text != '\0';
  if (dress) strbuf_append(b, codes[style]);
  strbuf_append(b, text);
  if (dress) strbuf_append(b, "\033[0m");
}

void table_add_column(table *t, const char *heading, bool right, bool shrinks) {
  assert(t->column_count < TABLE_COLUMNS_MAX && t->cell_count == 0);
  t->columns[t->column_count++] = (table_column){heading, right, shrinks};
}

static const char *cell_text(table *t, const char *text) {
  strbuf clean = {0};
  if (t->memory == NULL) t->memory = arena_create(0);
  strbuf_append_printable(&clean, text);
  const char *copy = t->memory == NULL || clean.failed ? NULL : arena_strdup(t->memory, clean.text ? clean.text : "");
  strbuf_deinit(&clean);
  return copy;
}

void table_add(table *t, const char *text, text_style style) {
  void *cells = t->cells;
  const char *copy = t->failed ? NULL : cell_text(t, text ? text : "");
  if (copy == NULL || !mem_grow(&cells, &t->cell_capacity, t->cell_count + 1, sizeof *t->cells)) {
    t->failed = true;
    return;
  }
  t->cells = cells;
  t->cells[t->cell_count++] = (table_cell){copy, style};
}

void table_add_printf(table *t, text_style style, const char *format, ...) {
  strbuf text = {0};
  char fixed[512];
  va_list args;
  va_start(args, format);
  vsnprintf(fixed, sizeof fixed, format, args);
  va_end(args);
  /* A cut in the middle of a character would show as a replacement character at the end. */
  strbuf_append_utf8_repaired(&text, fixed, strlen(fixed));
  table_add(t, text.text ? text.text : "", style);
  strbuf_deinit(&text);
}

/* ---- layout ---- */

static void widths_measure(const table *t, size_t *widths) {
  for (size_t c = 0; c < t->column_count; c++) widths[c] = display_width(t->columns[c].heading);
  for (size_t i = 0; i < t->cell_count; i++) {
    size_t c = i % t->column_count, width = display_width(t->cells[i].text);
    if (width > widths[c]) widths[c] = width;
  }
}

/* The widest shrinking column gives way, one column of the terminal after the other, until the table fits. */
static void widths_shrink(const table *t, size_t *widths, size_t columns) {
  for (;;) {
    size_t total = GAP * (t->column_count - 1), widest = SIZE_MAX;
    for (size_t c = 0; c < t->column_count; c++) {
      total += widths[c];
      if (!t->columns[c].shrinks || widths[c] <= SHRUNK_LEAST) continue;
      if (widest == SIZE_MAX || widths[c] > widths[widest]) widest = c;
    }
    if (total <= columns || widest == SIZE_MAX) return;
    widths[widest]--;
  }
}

static void cell_append(const table *t, size_t c, const char *text, text_style style, size_t width, bool colour,
                        strbuf *b) {
  strbuf fitted = {0};
  strbuf_append_fitted(&fitted, text, width);
  const char *shown = fitted.text ? fitted.text : "";
  size_t spare = width - display_width(shown);
  bool last = c + 1 == t->column_count;
  if (t->columns[c].right) strbuf_append_spaces(b, spare);
  strbuf_append_styled(b, shown, style, colour);
  if (!t->columns[c].right && !last) strbuf_append_spaces(b, spare);
  if (!last) strbuf_append_spaces(b, GAP);
  if (fitted.failed) b->failed = true;
  strbuf_deinit(&fitted);
}

static bool has_headings(const table *t) {
  for (size_t c = 0; c < t->column_count; c++)
    if (*t->columns[c].heading != '\0') return true;
  return false;
}

static void line_end(strbuf *b) {
  while (b->length > 0 && b->text[b->length - 1] == ' ') b->text[--b->length] = '\0';
  strbuf_append_char(b, '\n');
}

void table_append(const table *t, strbuf *b, size_t indent, size_t columns, bool colour) {
  size_t widths[TABLE_COLUMNS_MAX] = {0};
  if (t->failed) b->failed = true;
  if (b->failed || t->column_count == 0) return;
  assert(t->cell_count % t->column_count == 0);
  widths_measure(t, widths);
  if (columns > indent) widths_shrink(t, widths, columns - indent);
  if (has_headings(t)) {
    strbuf_append_spaces(b, indent);
    for (size_t c = 0; c < t->column_count; c++)
      cell_append(t, c, t->columns[c].heading, STYLE_DIM, widths[c], colour, b);
    line_end(b);
  }
  for (size_t i = 0; i < t->cell_count; i++) {
    size_t c = i % t->column_count;
    if (c == 0) strbuf_append_spaces(b, indent);
    cell_append(t, c, t->cells[i].text, t->cells[i].style, widths[c], colour, b);
    if (c + 1 == t->column_count && !b->failed) line_end(b);
  }
}

void table_deinit(table *t) {
  mem_free(t->cells);
  arena_free(t->memory);
  *t = (table){0};
}

void strbuf_append_bar(strbuf *b, double value, double largest, size_t columns) {
  static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  if (!isfinite(value) || !(largest > 0) || value == 0) return;
  double share = fmin(fabs(value) / largest, 1);
  size_t units = (size_t)lround(share * (double)columns * 8);
  if (units == 0) units = 1; /* something is there */
  if (value < 0) {
    for (size_t i = 0; i < (units + 7) / 8; i++) strbuf_append(b, "░");
    return;
  }
  for (size_t i = 0; i < units / 8; i++) strbuf_append(b, "█");
  strbuf_append(b, eighths[units % 8]);
}

void strbuf_append_count(strbuf *b, uint64_t value) {
  char digits[32];
  int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) strbuf_append_char(b, ',');
    strbuf_append_char(b, digits[i]);
  }
}

void strbuf_append_bytes_size(strbuf *b, double bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++) bytes /= 1024;
  strbuf_printf(b, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}
