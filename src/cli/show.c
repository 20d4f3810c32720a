/* cli/show.c: any JSON for people, and the short reports. Answers are in show_answer.c, evaluations in
 * show_evaluation.c. */
#include "cli/show.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/width.h"

#define BAR_COLUMNS 16
#define TABLE_KEYS_MAX 10
#define TEXT_ROWS_MAX 200 /* of one array; all of them are in --json */

medley_status workspace_of(const arguments *a, medley_workspace **out, medley_error *err) {
  return medley_workspace_open(arguments_text(a, "workspace"), out, err);
}

medley_status show_report(console *c, char *json, void (*show)(console *c, const json_t *report), medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *report = NULL;
  if (c->json) {
    console_json(c, json);
    goto done;
  }
  TRY(json_parse(json, strlen(json), "the report", &report, err));
  show(c, report);
done:
  json_decref(report);
  medley_free(json);
  return status;
}

/* ---- scalars ---- */

/* "peak_memory_bytes" → "peak memory": the unit stands beside the value. */
static void label_append(strbuf *b, const char *key) {
  size_t length = strlen(key);
  if (string_ends(key, "_bytes")) length -= strlen("_bytes");
  if (string_ends(key, "time_s") || string_ends(key, "created_s")) length -= strlen("_s");
  for (size_t i = 0; i < length; i++) strbuf_append_char(b, key[i] == '_' ? ' ' : key[i]);
}

static void real_append(strbuf *b, const char *key, double value) {
  if (string_ends(key, "seconds"))
    strbuf_printf(b, "%.2f s", value);
  else if (string_ends(key, "_bytes"))
    strbuf_append_bytes_size(b, value);
  else if (fabs(value) >= 1e-3 && fabs(value) < 1e6)
    strbuf_printf(b, "%.3f", value);
  else
    strbuf_printf(b, "%.3g", value);
}

static void integer_append(strbuf *b, const char *key, json_int_t value) {
  char date[32];
  if (string_ends(key, "_bytes")) {
    strbuf_append_bytes_size(b, (double)value);
  } else if (string_ends(key, "time_s") || string_ends(key, "created_s")) {
    clock_format_utc(value, date);
    strbuf_append(b, date);
  } else if (value >= 10000) {
    strbuf_append_count(b, (uint64_t)value);
  } else {
    strbuf_printf(b, "%lld", (long long)value);
  }
}

static bool is_scalar(const json_t *value) { return !json_is_object(value) && !json_is_array(value); }

static void scalar_append(strbuf *b, const char *key, const json_t *value) {
  switch (json_typeof(value)) {
    case JSON_STRING: strbuf_append(b, json_string_value(value)); break;
    case JSON_INTEGER: integer_append(b, key, json_integer_value(value)); break;
    case JSON_REAL: real_append(b, key, json_real_value(value)); break;
    case JSON_TRUE: strbuf_append(b, "yes"); break;
    case JSON_FALSE: strbuf_append(b, "no"); break;
    default: strbuf_append(b, "–");
  }
}

static void scalar_cell(table *t, const char *key, const json_t *value, text_style style) {
  strbuf text = {0};
  if (value == NULL)
    ;
  else if (is_scalar(value))
    scalar_append(&text, key, value);
  else
    strbuf_printf(&text, "(%zu)", json_is_array(value) ? json_array_size(value) : json_object_size(value));
  if (text.failed) t->failed = true;
  table_add(t, text.text, style);
  strbuf_deinit(&text);
}

static bool is_share(const char *key) {
  static const char *const names[] = {"weight", "share", "score", "value", "part"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(key, names[i]) == 0) return true;
  return false;
}

/* ---- arrays and objects ---- */

static void value_show(console *c, const char *key, const json_t *value, size_t indent);

static void heading_show(console *c, const char *key, size_t indent) {
  strbuf label = {0};
  label_append(&label, key);
  strbuf_append_spaces(&c->text, indent);
  strbuf_append_styled(&c->text, label.text ? label.text : "", STYLE_BOLD, c->out_colour);
  strbuf_append_char(&c->text, '\n');
  strbuf_deinit(&label);
}

static void bar_cell(table *t, double value, double largest) {
  strbuf bar = {0};
  strbuf_append_bar(&bar, value, largest, BAR_COLUMNS);
  table_add(t, bar.text, STYLE_ACCENT);
  strbuf_deinit(&bar);
}

/* {"taste": 1.2, "text": 0.4}: names, numbers, bars. */
static void numbers_show(console *c, const json_t *object, size_t indent) {
  table t = {0};
  double largest = 0;
  const char *key;
  json_t *value;
  bool whole = true;
  json_object_foreach((json_t *)object, key, value) {
    largest = fmax(largest, fabs(json_number_value(value)));
    whole = whole && json_is_integer(value);
  }
  table_add_column(&t, "", false, true);
  table_add_column(&t, "", true, false);
  table_add_column(&t, "", false, false);
  json_object_foreach((json_t *)object, key, value) {
    table_add(&t, key, STYLE_PLAIN);
    scalar_cell(&t, key, value, STYLE_PLAIN);
    bar_cell(&t, whole ? 0 : json_number_value(value), largest);
  }
  console_table(c, &t, indent);
  table_deinit(&t);
}

typedef struct key_list {
  const char *keys[TABLE_KEYS_MAX];
  bool number[TABLE_KEYS_MAX];
  size_t count;
  const char *share; /* the key that gets a bar; NULL: none */
  double largest;
} key_list;

static void keys_collect(const json_t *array, key_list *k) {
  size_t i;
  json_t *row, *value;
  const char *key;
  json_array_foreach(array, i, row) json_object_foreach(row, key, value) {
    size_t at = 0;
    while (at < k->count && strcmp(k->keys[at], key) != 0) at++;
    if (at == k->count && k->count < TABLE_KEYS_MAX) {
      k->keys[k->count] = key;
      k->number[k->count++] = json_is_number(value);
    }
    if (json_is_number(value) && is_share(key) && (k->share == NULL || strcmp(k->share, key) == 0)) {
      k->share = key;
      k->largest = fmax(k->largest, fabs(json_number_value(value)));
    }
  }
}

static void rows_show(console *c, const json_t *array, size_t indent) {
  table t = {0};
  key_list k = {0};
  strbuf heading[TABLE_KEYS_MAX] = {0};
  size_t i;
  json_t *row;
  keys_collect(array, &k);
  for (size_t n = 0; n < k.count; n++) {
    label_append(&heading[n], k.keys[n]);
    table_add_column(&t, heading[n].text ? heading[n].text : "", k.number[n], !k.number[n]);
  }
  if (k.share != NULL) table_add_column(&t, "", false, false);
  json_array_foreach(array, i, row) {
    if (i == TEXT_ROWS_MAX) break;
    for (size_t n = 0; n < k.count; n++) scalar_cell(&t, k.keys[n], json_object_get(row, k.keys[n]), STYLE_PLAIN);
    if (k.share != NULL) bar_cell(&t, json_member_number(row, k.share, 0), k.largest);
  }
  console_table(c, &t, indent);
  if (json_array_size(array) > TEXT_ROWS_MAX)
    console_line(c, STYLE_DIM, "%*s… and %zu more (--json has all)", (int)indent, "",
                 json_array_size(array) - TEXT_ROWS_MAX);
  table_deinit(&t);
  for (size_t n = 0; n < k.count; n++) strbuf_deinit(&heading[n]);
}

static void words_show(console *c, const char *key, const json_t *array, size_t indent) {
  strbuf line = {0}, clean = {0};
  size_t i;
  json_t *value;
  json_array_foreach(array, i, value) {
    if (i > 0) strbuf_append(&line, ", ");
    if (is_scalar(value))
      scalar_append(&line, key, value);
    else
      strbuf_append(&line, "…");
  }
  strbuf_append_printable(&clean, line.text ? line.text : "–");
  strbuf_append_wrapped(&c->text, clean.text ? clean.text : "", indent, c->out_columns);
  strbuf_deinit(&line);
  strbuf_deinit(&clean);
}

static bool all_are(const json_t *value, bool (*is)(const json_t *)) {
  size_t i;
  const char *key;
  json_t *member;
  if (json_is_array(value)) {
    json_array_foreach(value, i, member) if (!is(member)) return false;
    return json_array_size(value) > 0;
  }
  json_object_foreach((json_t *)value, key, member) if (!is(member)) return false;
  return json_object_size(value) > 0;
}

static bool is_object(const json_t *value) { return json_is_object(value); }
static bool is_number(const json_t *value) { return json_is_number(value); }

/* Scalars first, aligned with each other; then what has an inside. */
static void object_show(console *c, const json_t *object, size_t indent) {
  table t = {0};
  const char *key;
  json_t *value;
  table_add_column(&t, "", false, false);
  table_add_column(&t, "", false, true);
  json_object_foreach((json_t *)object, key, value) {
    if (!is_scalar(value)) continue;
    strbuf label = {0};
    label_append(&label, key);
    table_add(&t, label.text, STYLE_DIM);
    scalar_cell(&t, key, value, STYLE_PLAIN);
    strbuf_deinit(&label);
  }
  console_table(c, &t, indent);
  table_deinit(&t);
  json_object_foreach((json_t *)object, key, value) if (!is_scalar(value)) value_show(c, key, value, indent);
}

static void value_show(console *c, const char *key, const json_t *value, size_t indent) {
  size_t i;
  json_t *member;
  if (json_is_array(value) ? json_array_size(value) == 0 : json_object_size(value) == 0) return;
  heading_show(c, key, indent);
  if (json_is_object(value) && all_are(value, is_number))
    numbers_show(c, value, indent + 2);
  else if (json_is_object(value))
    object_show(c, value, indent + 2);
  else if (all_are(value, is_object))
    rows_show(c, value, indent + 2);
  else if (all_are(value, is_scalar))
    words_show(c, key, value, indent + 2);
  else
    json_array_foreach(value, i, member) if (!is_scalar(member)) value_show(c, key, member, indent + 2);
}

void show_json(console *c, const json_t *value) {
  if (json_is_object(value))
    object_show(c, value, 0);
  else if (json_is_array(value) && all_are(value, is_object))
    rows_show(c, value, 0);
  else if (json_is_array(value))
    words_show(c, "", value, 0);
}

/* ---- short reports ---- */

/* "3,256 found, 627 missing" from {"found": 3256, "missing": 627}; zeros are left out. */
static void counts_append(strbuf *b, const json_t *object) {
  const char *key, *comma = "";
  json_t *value;
  json_object_foreach((json_t *)object, key, value) {
    if (json_integer_value(value) <= 0) continue;
    strbuf_append(b, comma);
    strbuf_append_count(b, (uint64_t)json_integer_value(value));
    strbuf_printf(b, " %s", key);
    comma = ", ";
  }
}

static void counts_line(console *c, const char *label, const json_t *object) {
  strbuf text = {0};
  counts_append(&text, object);
  if (text.text != NULL) console_line(c, STYLE_PLAIN, "%s: %s", label, text.text);
  strbuf_deinit(&text);
}

static uint64_t member_count(const json_t *object, const char *key) {
  long long value = json_member_integer(object, key, 0);
  return value > 0 ? (uint64_t)value : 0;
}

void show_import(console *c, const json_t *report) {
  strbuf line = {0};
  double seconds = json_member_number(report, "seconds", 0);
  uint64_t read = member_count(report, "rows_read"), rejected = member_count(report, "rejected");
  const char *key;
  json_t *value;
  strbuf_append_count(&line, read);
  strbuf_printf(&line, " rows read in %.1f s", seconds);
  if (seconds >= 0.1) {
    strbuf_append(&line, " (");
    strbuf_append_count(&line, (uint64_t)((double)read / seconds));
    strbuf_append(&line, "/s)");
  }
  strbuf_append(&line, ": ");
  strbuf_append_count(&line, member_count(report, "accepted"));
  strbuf_append(&line, " accepted, ");
  strbuf_append_count(&line, rejected);
  strbuf_append(&line, " rejected");
  console_line(c, rejected > 0 ? STYLE_BAD : STYLE_PLAIN, "%s", line.text ? line.text : "");
  strbuf_deinit(&line);
  if (member_count(report, "resumed_at") > 0)
    console_line(c, STYLE_PLAIN, "went on at row %llu, where it was interrupted before",
                 (unsigned long long)member_count(report, "resumed_at"));
  if (member_count(report, "events_known") > 0) {
    strbuf known = {0};
    strbuf_append_count(&known, member_count(report, "events_known"));
    console_line(c, STYLE_PLAIN, "%s events were there already and do not count twice", known.text ? known.text : "");
    strbuf_deinit(&known);
  }
  counts_line(c, "created", json_object_get(report, "created"));
  json_object_foreach(json_object_get(report, "media"), key, value) counts_line(c, key, value);
  value = json_object_get(report, "reasons");
  if (json_object_size(value) > 0) {
    console_line(c, STYLE_BOLD, "rejected because");
    numbers_show(c, value, 2);
  }
}

void show_doctor(console *c, const json_t *report) {
  size_t i;
  json_t *finding;
  table t = {0};
  table_add_column(&t, "", false, false);
  table_add_column(&t, "", false, false);
  table_add_column(&t, "", false, false);
  json_array_foreach(json_object_get(report, "findings"), i, finding) {
    bool good = json_is_true(json_object_get(finding, "ok"));
    table_add(&t, good ? "ok" : "BAD", good ? STYLE_GOOD : STYLE_BAD);
    table_add(&t, json_member_string(finding, "check", ""), STYLE_BOLD);
    table_add(&t, json_member_string(finding, "text", ""), STYLE_PLAIN);
  }
  console_table(c, &t, 0);
  table_deinit(&t);
  bool good = json_is_true(json_object_get(report, "ok"));
  console_line(c, good ? STYLE_GOOD : STYLE_BAD, good ? "all is well" : "something needs attention");
}

void show_models(console *c, const json_t *report) {
  size_t i;
  json_t *model;
  json_array_foreach(report, i, model) {
    strbuf settings = {0};
    size_t n;
    json_t *setting;
    console_line(c, STYLE_BOLD, "%s", json_member_string(model, "name", ""));
    strbuf_append_wrapped(&c->text, json_member_string(model, "summary", ""), 4, c->out_columns);
    const char *source = json_member_string(model, "source", "");
    if (*source != '\0') strbuf_append_wrapped(&c->text, source, 4, c->out_columns);
    json_array_foreach(json_object_get(model, "settings"), n, setting) {
      const char *name = json_is_string(setting) ? json_string_value(setting) : json_member_string(setting, "name", "");
      strbuf_printf(&settings, "%s%s", n ? ", " : "settings: ", name);
    }
    if (settings.text != NULL) strbuf_append_wrapped(&c->text, settings.text, 4, c->out_columns);
    strbuf_deinit(&settings);
  }
}

void show_encoder(table *t, const json_t *row, text_style style) {
  const char *name = json_member_string(row, "encoder", ""), *precision = json_member_string(row, "precision", "f32");
  if (strcmp(precision, "f32") == 0)
    table_add(t, name, style);
  else
    table_add_printf(t, style, "%s, %s", name, precision);
}

void show_training(console *c, const json_t *report) {
  const json_t *fit = json_object_get(report, "fit"), *models = json_object_get(fit, "models");
  strbuf memory = {0};
  size_t i;
  json_t *row;
  table content = {0}, fitted = {0};
  table_add_column(&content, "content", false, true);
  table_add_column(&content, "encoder", false, true);
  table_add_column(&content, "items", true, false);
  table_add_column(&content, "unreadable", true, false);
  table_add_column(&content, "dimensions", true, false);
  table_add_column(&content, "seconds", true, false);
  json_array_foreach(json_object_get(report, "content"), i, row) {
    table_add(&content, json_member_string(row, "name", ""), STYLE_PLAIN);
    show_encoder(&content, row, STYLE_PLAIN);
    table_add_printf(&content, STYLE_PLAIN, "%lld", json_member_integer(row, "items", 0));
    long long unreadable = json_member_integer(row, "unreadable", 0);
    table_add_printf(&content, unreadable > 0 ? STYLE_BAD : STYLE_PLAIN, "%lld", unreadable);
    table_add_printf(&content, STYLE_PLAIN, "%lld", json_member_integer(row, "dim", 0));
    table_add_printf(&content, STYLE_PLAIN, "%.1f", json_member_number(row, "seconds", 0));
  }
  if (content.cell_count > 0) console_table(c, &content, 0);
  table_add_column(&fitted, "model", false, true);
  table_add_column(&fitted, "validation", true, false);
  table_add_column(&fitted, "weight warm", true, false);
  table_add_column(&fitted, "weight cold", true, false);
  table_add_column(&fitted, "seconds", true, false);
  table_add_column(&fitted, "", false, true);
  json_array_foreach(models, i, row) {
    const json_t *objective = json_object_get(row, "validation");
    table_add(&fitted, json_member_string(row, "model", ""), STYLE_PLAIN);
    table_add_printf(&fitted, STYLE_PLAIN, json_is_number(objective) ? "%.4f" : "–", json_number_value(objective));
    table_add_printf(&fitted, STYLE_PLAIN, "%.3f", json_member_number(row, "weight_warm", 0));
    table_add_printf(&fitted, STYLE_PLAIN, "%.3f", json_member_number(row, "weight_cold", 0));
    table_add_printf(&fitted, STYLE_PLAIN, "%.1f", json_member_number(row, "fit_seconds", 0));
    table_add(&fitted, json_member_string(row, "skipped", ""), STYLE_DIM);
  }
  if (fitted.cell_count > 0) {
    if (content.cell_count > 0) strbuf_append_char(&c->text, '\n');
    console_table(c, &fitted, 0);
  }
  table_deinit(&content);
  table_deinit(&fitted);
  strbuf_append_bytes_size(&memory, json_member_number(report, "peak_memory_bytes", 0));
  console_line(c, STYLE_GOOD, "generation %lld serves; %.1f s, peak memory %s",
               json_member_integer(report, "generation", 0), json_member_number(report, "seconds", 0),
               memory.text ? memory.text : "?");
  strbuf_deinit(&memory);
}

/* "ridge 300, content 0.1" */
static void settings_append(strbuf *out, const json_t *settings) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)settings, name, value)
      strbuf_printf(out, "%s%s %.4g", out->length > 0 ? ", " : "", name, json_number_value(value));
}

void show_tuning(console *c, const json_t *report) {
  size_t i, n;
  json_t *row, *trial;
  table found = {0};
  table_add_column(&found, "model", false, false);
  table_add_column(&found, "trials", true, false);
  table_add_column(&found, "seconds", true, false);
  table_add_column(&found, "first", true, false);
  table_add_column(&found, "best", true, false);
  table_add_column(&found, "settings", false, true);
  json_array_foreach(json_object_get(report, "models"), i, row) {
    const json_t *trials = json_object_get(row, "trials"), *best = json_object_get(row, "validation");
    const json_t *first = json_object_get(json_array_get(trials, 0), "objective");
    strbuf settings = {0};
    double seconds = 0;
    json_array_foreach(trials, n, trial) seconds += json_member_number(trial, "seconds", 0);
    settings_append(&settings, json_object_get(row, "settings"));
    const char *skipped = json_member_string(row, "skipped", NULL);
    table_add(&found, json_member_string(row, "model", ""), STYLE_PLAIN);
    table_add_printf(&found, STYLE_PLAIN, "%zu", json_array_size(trials));
    table_add_printf(&found, STYLE_PLAIN, "%.1f", seconds);
    table_add_printf(&found, STYLE_PLAIN, json_is_number(first) ? "%.4f" : "–", json_number_value(first));
    bool better = json_is_number(best) && json_number_value(best) > json_number_value(first);
    table_add_printf(&found, better ? STYLE_GOOD : STYLE_PLAIN, json_is_number(best) ? "%.4f" : "–",
                     json_number_value(best));
    table_add(&found, skipped ? skipped : settings.text, skipped ? STYLE_DIM : STYLE_PLAIN);
    strbuf_deinit(&settings);
  }
  console_table(c, &found, 0);
  table_deinit(&found);
  console_line(c, STYLE_GOOD, "kept for later trainings; %s, %.1f s", json_member_string(report, "search", ""),
               json_member_number(report, "seconds", 0));
}
