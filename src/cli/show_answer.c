/* cli/show_answer.c: recommendations, similar items and search results. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/show.h"
#include "cli/width.h"

#define PART_BAR_COLUMNS 8
#define WHY_INDENT 5
#define PARTS_TOLD 3 /* beside a result without --why */

/* ---- short: one line a result ---- */

static int part_compare(const void *a, const void *b) {
  const medley_part *x = *(const medley_part *const *)a, *y = *(const medley_part *const *)b;
  return fabs(x->value) < fabs(y->value) ? 1 : fabs(x->value) > fabs(y->value) ? -1 : strcmp(x->name, y->name);
}

#define PARTS_SORTED_MAX 64

static size_t parts_sort(const medley_result *r, const medley_part *sorted[PARTS_SORTED_MAX]) {
  size_t count = r->part_count < PARTS_SORTED_MAX ? r->part_count : PARTS_SORTED_MAX;
  for (size_t i = 0; i < count; i++) sorted[i] = &r->parts[i];
  qsort(sorted, count, sizeof *sorted, part_compare);
  return count;
}

static void parts_cell(table *t, const medley_result *r) {
  const medley_part *sorted[PARTS_SORTED_MAX];
  strbuf text = {0};
  size_t count = parts_sort(r, sorted);
  if (r->pinned) strbuf_append(&text, "pinned");
  for (size_t i = 0; i < count && i < PARTS_TOLD; i++)
    strbuf_printf(&text, "%s%s %+.2f", text.length > 0 ? ", " : "", sorted[i]->name, sorted[i]->value);
  table_add(t, text.text, STYLE_DIM);
  strbuf_deinit(&text);
}

static void results_table(console *c, const medley_answer *answer) {
  table t = {0};
  table_add_column(&t, "", true, false);
  table_add_column(&t, "item", false, true);
  table_add_column(&t, "title", false, true);
  table_add_column(&t, "score", true, false);
  table_add_column(&t, "mostly", false, true);
  for (size_t i = 0; i < answer->count; i++) {
    const medley_result *r = &answer->results[i];
    table_add_printf(&t, STYLE_DIM, "%zu", i + 1);
    table_add(&t, r->item, STYLE_PLAIN);
    table_add(&t, r->title, STYLE_BOLD);
    table_add_printf(&t, STYLE_PLAIN, "%.3f", r->score);
    parts_cell(&t, r);
  }
  console_table(c, &t, 0);
  table_deinit(&t);
}

/* ---- long: with the reasons ---- */

/* "taste ██████▌ +1.204   text █▊ +0.311": as many on a line as fit; bars on one scale for the whole answer. */
static void parts_line(console *c, const medley_result *r, double largest) {
  const medley_part *sorted[PARTS_SORTED_MAX];
  size_t count = parts_sort(r, sorted), column = 0;
  for (size_t i = 0; i < count; i++) {
    strbuf piece = {0}, bar = {0};
    strbuf_append_bar(&bar, sorted[i]->value, largest, PART_BAR_COLUMNS);
    strbuf_append_printable(&piece, sorted[i]->name);
    strbuf_append_char(&piece, ' ');
    size_t width = display_width(piece.text ? piece.text : "") + display_width(bar.text ? bar.text : "") + 7;
    if (column > 0 && column + 3 + width > c->out_columns) {
      strbuf_append_char(&c->text, '\n');
      column = 0;
    }
    strbuf_append_spaces(&c->text, column == 0 ? WHY_INDENT : 3);
    column += (column == 0 ? WHY_INDENT : 3) + width;
    strbuf_append(&c->text, piece.text ? piece.text : "");
    strbuf_append_styled(&c->text, bar.text ? bar.text : "", STYLE_ACCENT, c->out_colour);
    strbuf_printf(&c->text, " %+.3f", sorted[i]->value);
    strbuf_deinit(&piece);
    strbuf_deinit(&bar);
  }
  if (count > 0) strbuf_append_char(&c->text, '\n');
}

static void sentence_show(console *c, const char *text) {
  strbuf clean = {0};
  if (text == NULL || *text == '\0') return;
  strbuf_append_printable(&clean, text);
  strbuf_append_wrapped(&c->text, clean.text ? clean.text : "", WHY_INDENT, c->out_columns);
  strbuf_deinit(&clean);
}

static void result_with_reasons(console *c, const medley_result *r, size_t number, double largest) {
  table t = {0};
  table_add_column(&t, "", true, false);
  table_add_column(&t, "", false, true);
  table_add_column(&t, "", false, true);
  table_add_column(&t, "", true, false);
  table_add_printf(&t, STYLE_DIM, "%3zu", number);
  table_add(&t, r->item, STYLE_PLAIN);
  table_add(&t, r->title, STYLE_BOLD);
  table_add_printf(&t, STYLE_PLAIN, "%s%.3f", r->pinned ? "pinned " : "", r->score);
  console_table(c, &t, 0);
  table_deinit(&t);
  parts_line(c, r, largest);
  sentence_show(c, r->why);
  sentence_show(c, r->counterfactual);
}

static double largest_part(const medley_answer *answer) {
  double largest = 0;
  for (size_t i = 0; i < answer->count; i++)
    for (size_t k = 0; k < answer->results[i].part_count; k++)
      largest = fmax(largest, fabs(answer->results[i].parts[k].value));
  return largest;
}

static medley_status answer_json(console *c, const medley_answer *answer, medley_error *err) {
  char *json = NULL;
  medley_status status = medley_answer_to_json(answer, &json, err);
  if (status == MEDLEY_OK) console_json(c, json);
  medley_free(json);
  return status;
}

medley_status show_answer(console *c, const medley_answer *answer, bool why, medley_error *err) {
  if (c->json) return answer_json(c, answer, err);
  if (answer->note != NULL) console_note(c, answer->note);
  if (answer->recall != NULL && (c->verbose || strcmp(answer->recall, "exact") != 0)) console_note(c, answer->recall);
  if (answer->count == 0) {
    console_note(c, "nothing was found");
    return MEDLEY_OK;
  }
  if (why) {
    double largest = largest_part(answer);
    for (size_t i = 0; i < answer->count; i++) result_with_reasons(c, &answer->results[i], i + 1, largest);
  } else {
    results_table(c, answer);
  }
  if (answer->next != NULL && (c->out_terminal || c->verbose))
    console_line(c, STYLE_DIM, "more: --after %s", answer->next);
  return MEDLEY_OK;
}
