/* cli/show_person.c: what a person seems to like, and how one item fits them: the layouts of medley profile and
 * explain. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/show.h"
#include "cli/width.h"

#define BAR_COLUMNS 16
#define ROWS_SHOWN 10 /* of one list; --json has all */

static void paragraph(console *c, const char *text, size_t indent) {
  strbuf clean = {0};
  strbuf_append_printable(&clean, text);
  strbuf_append_wrapped(&c->text, clean.text ? clean.text : "", indent, c->out_columns);
  strbuf_deinit(&clean);
}

static void heading(console *c, const char *text) {
  strbuf_append_char(&c->text, '\n');
  console_line(c, STYLE_BOLD, "%s", text);
}

static void bar(table *t, double value, double largest) {
  strbuf text = {0};
  strbuf_append_bar(&text, value, largest, BAR_COLUMNS);
  table_add(t, text.text, value < 0 ? STYLE_BAD : STYLE_ACCENT);
  strbuf_deinit(&text);
}

static double largest_of(const json_t *list, const char *key) {
  double most = 0;
  size_t i;
  json_t *row;
  json_array_foreach(list, i, row) most = fmax(most, fabs(json_member_number(row, key, 0)));
  return most;
}

static void more_line(console *c, const json_t *list) {
  if (json_array_size(list) > ROWS_SHOWN)
    console_line(c, STYLE_DIM, "  … and %zu more (--json has all)", json_array_size(list) - ROWS_SHOWN);
}

/* ---- profile ---- */

/* Categories, tags or words: how many of the choices, against how many of the catalogue. */
static void interests_show(console *c, const char *title, const json_t *list) {
  size_t i;
  json_t *row;
  table t = {0};
  if (json_array_size(list) == 0) return;
  heading(c, title);
  table_add_column(&t, "", false, true);
  table_add_column(&t, "choices", true, false);
  table_add_column(&t, "catalogue", true, false);
  table_add_column(&t, "strength", false, false);
  table_add_column(&t, "", false, false);
  double most = largest_of(list, "strength");
  json_array_foreach(list, i, row) {
    if (i == ROWS_SHOWN) break;
    table_add(&t, json_member_string(row, "name", ""), STYLE_PLAIN);
    table_add_printf(&t, STYLE_PLAIN, "%.0f %%", 100 * json_member_number(row, "share", 0));
    table_add_printf(&t, STYLE_DIM, "%.0f %%", 100 * json_member_number(row, "background", 0));
    bar(&t, json_member_number(row, "strength", 0), most);
    table_add(&t, json_member_string(row, "trend", ""), STYLE_DIM);
  }
  console_table(c, &t, 2);
  table_deinit(&t);
  more_line(c, list);
}

static void modalities_show(console *c, const json_t *list) {
  size_t i;
  json_t *row;
  table t = {0};
  if (json_array_size(list) == 0) return;
  heading(c, "Modalities: how alike the choices are");
  table_add_column(&t, "", false, true);
  table_add_column(&t, "items", true, false);
  table_add_column(&t, "", false, false);
  table_add_column(&t, "", false, false);
  double most = largest_of(list, "strength");
  json_array_foreach(list, i, row) {
    table_add(&t, json_member_string(row, "modality", ""), STYLE_PLAIN);
    table_add_printf(&t, STYLE_PLAIN, "%lld", json_member_integer(row, "items", 0));
    bar(&t, json_member_number(row, "strength", 0), most);
    table_add(&t, json_member_string(row, "text", ""), STYLE_DIM);
  }
  console_table(c, &t, 2);
  table_deinit(&t);
}

static void items_show(console *c, const json_t *list) {
  size_t i;
  json_t *row;
  table t = {0};
  if (json_array_size(list) == 0) return;
  heading(c, "Typical choices");
  table_add_column(&t, "", false, false);
  table_add_column(&t, "", false, true);
  json_array_foreach(list, i, row) {
    if (i == ROWS_SHOWN) break;
    table_add(&t, json_member_string(row, "item", ""), STYLE_DIM);
    table_add(&t, json_member_string(row, "title", ""), STYLE_PLAIN);
  }
  console_table(c, &t, 2);
  table_deinit(&t);
  more_line(c, list);
}

/* The parts of the day and the days that have most of the events: 24 and 7 numbers say less. */
static void activity_show(console *c, const json_t *activity) {
  static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
  static const char *const parts[] = {"at night (0-6)", "in the morning (6-12)", "in the afternoon (12-18)",
                                      "in the evening (18-24)"};
  const json_t *hours = json_object_get(activity, "hours"), *weekdays = json_object_get(activity, "weekdays");
  long long part[4] = {0}, most_day = -1;
  size_t best_part = 0, best_day = 0;
  for (size_t h = 0; h < json_array_size(hours) && h < 24; h++)
    part[h / 6] += json_integer_value(json_array_get(hours, h));
  for (size_t p = 1; p < 4; p++)
    if (part[p] > part[best_part]) best_part = p;
  for (size_t d = 0; d < json_array_size(weekdays) && d < 7; d++) {
    long long count = json_integer_value(json_array_get(weekdays, d));
    if (count <= most_day) continue;
    most_day = count;
    best_day = d;
  }
  if (json_object_size(activity) == 0) return;
  heading(c, "When");
  console_line(c, STYLE_PLAIN, "  from %s to %s", json_member_string(activity, "first", "?"),
               json_member_string(activity, "last", "?"));
  if (part[best_part] > 0)
    console_line(c, STYLE_PLAIN, "  mostly %s (UTC), most often on a %s", parts[best_part], days[best_day]);
}

void show_profile(console *c, const json_t *report) {
  console_line(c, STYLE_BOLD, "%s", json_member_string(report, "user", ""));
  paragraph(c, json_member_string(report, "summary", ""), 0);
  interests_show(c, "Categories", json_object_get(report, "categories"));
  interests_show(c, "Tags", json_object_get(report, "tags"));
  interests_show(c, "Words", json_object_get(report, "words"));
  modalities_show(c, json_object_get(report, "modalities"));
  items_show(c, json_object_get(report, "typical_items"));
  activity_show(c, json_object_get(report, "activity"));
}

/* ---- explanation ---- */

static void parts_show(console *c, const json_t *list) {
  size_t i;
  json_t *row;
  table t = {0};
  if (json_array_size(list) == 0) return;
  heading(c, "What the score is made of");
  table_add_column(&t, "", false, true);
  table_add_column(&t, "", true, false);
  table_add_column(&t, "", false, false);
  double most = largest_of(list, "value");
  json_array_foreach(list, i, row) {
    table_add(&t, json_member_string(row, "part", ""), STYLE_PLAIN);
    table_add_printf(&t, STYLE_PLAIN, "%+.2f", json_member_number(row, "value", 0));
    bar(&t, json_member_number(row, "value", 0), most);
  }
  console_table(c, &t, 2);
  table_deinit(&t);
}

static void evidence_show(console *c, const json_t *list) {
  size_t i;
  json_t *row;
  table t = {0};
  if (json_array_size(list) == 0) return;
  heading(c, "What the history says of it");
  table_add_column(&t, "", false, false);
  table_add_column(&t, "", false, true);
  table_add_column(&t, "", true, false);
  table_add_column(&t, "", false, false);
  double most = largest_of(list, "value");
  json_array_foreach(list, i, row) {
    if (i == ROWS_SHOWN) break;
    table_add(&t, json_member_string(row, "item", ""), STYLE_DIM);
    table_add(&t, json_member_string(row, "title", ""), STYLE_PLAIN);
    table_add_printf(&t, STYLE_PLAIN, "%.0f %%", 100 * json_member_number(row, "share", 0));
    bar(&t, json_member_number(row, "value", 0), most);
  }
  console_table(c, &t, 2);
  table_deinit(&t);
  more_line(c, list);
}

static void counterfactual_show(console *c, const json_t *report) {
  const json_t *counterfactual = json_object_get(report, "counterfactual");
  double missing = json_member_number(report, "missing_to_first_page", NAN);
  if (counterfactual == NULL || json_is_null(counterfactual)) {
    if (!isfinite(missing) || missing <= 0) return;
    heading(c, "What would have to be different");
    console_line(c, STYLE_PLAIN, "  its score would have to be %.2f higher for the first page", missing);
    return;
  }
  heading(c, "What would have to be different");
  if (json_is_string(counterfactual))
    paragraph(c, json_string_value(counterfactual), 2);
  else
    show_json(c, counterfactual);
}

void show_explanation(console *c, const json_t *report) {
  const char *title = json_member_string(report, "title", "");
  console_line(c, STYLE_BOLD, "%s%s%s", json_member_string(report, "item", ""), title[0] ? "  " : "", title);
  if (json_member_integer(report, "rank", 0) > 0)
    console_line(c, STYLE_PLAIN, "%s: rank %lld of %lld, score %.2f", json_member_string(report, "standing", ""),
                 json_member_integer(report, "rank", 0), json_member_integer(report, "of", 0),
                 json_member_number(report, "score", 0));
  else
    console_line(c, STYLE_PLAIN, "%s", json_member_string(report, "standing", ""));
  if (!json_is_true(json_object_get(report, "user_known")))
    console_line(c, STYLE_DIM, "this user is not known here: it is what a stranger would see");
  paragraph(c, json_member_string(report, "why", ""), 0);
  parts_show(c, json_object_get(report, "parts"));
  evidence_show(c, json_object_get(report, "evidence"));
  counterfactual_show(c, report);
}
