/* cli/index_bench_show.c: what medley index bench found, as tables. */
#include <math.h>

#include "base/json.h"
#include "cli/index_actions.h"

static void count_cell(table *t, double value) {
  strbuf text = {0};
  if (value >= 1000)
    strbuf_append_count(&text, (uint64_t)(value + 0.5));
  else
    strbuf_printf(&text, value >= 100 || value == floor(value) ? "%.0f" : "%.1f", value);
  table_add(t, text.text, STYLE_PLAIN);
  strbuf_deinit(&text);
}

/* recall, ±, queries/s, compared, p50, p99: the columns all tables here end with. */
static void run_columns(table *t) {
  table_add_column(t, "recall", true, false);
  table_add_column(t, "±", true, false);
  table_add_column(t, "queries/s", true, false);
  table_add_column(t, "× exact", true, false);
  table_add_column(t, "compared", true, false);
  table_add_column(t, "p50 ms", true, false);
  table_add_column(t, "p99 ms", true, false);
}

static void run_cells(table *t, const json_t *r, double exact_rate) {
  double recall = json_member_number(r, "recall", 0), rate = json_member_number(r, "queries_per_second", 0);
  table_add_printf(t, recall >= 0.95 ? STYLE_GOOD : STYLE_PLAIN, "%.4f", recall);
  table_add_printf(t, STYLE_DIM, "%.4f", json_member_number(r, "high", 0) - recall);
  count_cell(t, rate);
  table_add_printf(t, STYLE_PLAIN, "%.1f", rate / fmax(exact_rate, 1e-9));
  count_cell(t, json_member_number(r, "compared", 0));
  table_add_printf(t, STYLE_PLAIN, "%.3f", json_member_number(r, "p50_ms", 0));
  table_add_printf(t, STYLE_PLAIN, "%.3f", json_member_number(r, "p99_ms", 0));
}

static void head_show(console *c, const json_t *report) {
  strbuf text = {0};
  const json_t *info = json_object_get(report, "index"), *build = json_object_get(report, "build");
  double vectors = json_member_number(report, "vectors", 1);
  strbuf_append_count(&text, (uint64_t)vectors);
  strbuf_printf(&text, " vectors of %lld dimensions, ", json_member_integer(info, "dim", 0));
  strbuf_append_count(&text, (uint64_t)json_member_integer(report, "queries", 0));
  strbuf_printf(&text, " queries%s for the %lld nearest; %s, %s, %s; threads: %lld\nbuilt in %.2f s (",
                json_is_true(json_object_get(report, "held_out")) ? " held out" : "",
                json_member_integer(report, "k", 0), json_member_string(info, "kind", ""),
                json_member_string(info, "distance", ""), json_member_string(info, "storage", ""),
                json_member_integer(report, "threads", 0), json_member_number(build, "seconds", 0));
  strbuf_append_count(&text, (uint64_t)json_member_number(build, "vectors_per_second", 0));
  strbuf_printf(&text, " vectors/s); memory: %.0f bytes a vector and %.0f beside it, together ",
                json_member_number(info, "vector_bytes", 0) / vectors,
                json_member_number(info, "structure_bytes", 0) / vectors);
  strbuf_append_bytes_size(
      &text, json_member_number(info, "vector_bytes", 0) + json_member_number(info, "structure_bytes", 0));
  strbuf_append(&text, "\n\n");
  strbuf_append(&c->text, text.text ? text.text : "");
  strbuf_deinit(&text);
}

static void runs_show(console *c, const json_t *report, double exact_rate) {
  table t = {0};
  size_t i;
  json_t *r;
  const json_t *exact = json_object_get(report, "exact");
  table_add_column(&t, "breadth", true, false);
  run_columns(&t);
  json_array_foreach(json_object_get(report, "runs"), i, r) {
    long long breadth = json_member_integer(r, "breadth", 0);
    if (breadth > 0)
      table_add_printf(&t, STYLE_BOLD, "%lld", breadth);
    else
      table_add(&t, "all", STYLE_BOLD);
    run_cells(&t, r, exact_rate);
  }
  table_add(&t, "exact f32", STYLE_DIM);
  run_cells(&t, exact, exact_rate);
  console_table(c, &t, 0);
  table_deinit(&t);
}

static void reached_show(console *c, const json_t *report) {
  static const char *const goals[] = {"0.95", "0.99"};
  strbuf text = {0};
  strbuf_append(&text, "\n");
  for (size_t i = 0; i < sizeof goals / sizeof *goals; i++) {
    const json_t *r = json_object_get(json_object_get(report, "reached"), goals[i]);
    strbuf_printf(&text, "recall %s: ", goals[i]);
    if (r == NULL) {
      strbuf_append(&text, "not reached with these breadths\n");
      continue;
    }
    if (json_member_integer(r, "breadth", 0) > 0)
      strbuf_printf(&text, "from breadth %lld on, ", json_member_integer(r, "breadth", 0));
    strbuf_append_count(&text, (uint64_t)json_member_number(r, "queries_per_second", 0));
    strbuf_append(&text, " queries/s\n");
  }
  strbuf_append(&text, "exact search of many queries at once: ");
  strbuf_append_count(&text,
                      (uint64_t)json_member_number(json_object_get(report, "exact"), "batch_queries_per_second", 0));
  strbuf_append(&text, " queries/s\n");
  strbuf_append(&c->text, text.text ? text.text : "");
  strbuf_deinit(&text);
}

static void filters_show(console *c, const json_t *report) {
  table t = {0};
  size_t i;
  json_t *r;
  const json_t *rows = json_object_get(report, "filters");
  if (json_array_size(rows) == 0) return;
  table_add_column(&t, "filter", true, false);
  table_add_column(&t, "pass", true, false);
  table_add_column(&t, "breadth", true, false);
  run_columns(&t);
  table_add_column(&t, "", false, false);
  json_array_foreach(rows, i, r) {
    table_add_printf(&t, STYLE_BOLD, "%g %%", 100 * json_member_number(r, "share", 0));
    count_cell(&t, json_member_number(r, "passing", 0));
    table_add_printf(&t, STYLE_PLAIN, "%lld", json_member_integer(r, "breadth", 0));
    run_cells(&t, r, json_member_number(r, "exact_queries_per_second", 0));
    table_add(&t, json_is_true(json_object_get(r, "exact")) ? "exact" : "", STYLE_DIM);
  }
  strbuf_append(&c->text, "\nwith a filter (× exact: an exact search of many queries at once, same filter)\n");
  console_table(c, &t, 0);
  table_deinit(&t);
}

void index_bench_show(console *c, const json_t *report) {
  double exact_rate = json_member_number(json_object_get(report, "exact"), "queries_per_second", 0);
  head_show(c, report);
  runs_show(c, report, exact_rate);
  reached_show(c, report);
  filters_show(c, report);
}
