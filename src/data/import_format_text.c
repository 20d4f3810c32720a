/* data/import_format_text.c: tables and JSON Lines of anybody's: what the rows are, the user says. */
#include <string.h>

#include "data/import_parts.h"

static bool is_text(const import_probe *p) {
  return !p->folder && p->head_length > 0 && memchr(p->head, '\0', p->head_length) == NULL;
}

/* ---- tables ---- */

static medley_status csv_plan(const import_probe *p, import_plan *plan, medley_error *err) {
  if (!is_text(p)) return MEDLEY_OK;
  import_part part = {.kind = p->kind, .reading = READ_TABLE, .dialect = table_sniff(p->head, p->head_length)};
  part.dialect.quotes = part.dialect.delimiter[0] != ' ';
  return plan_add(plan, p->path, &part, err);
}

static medley_status tsv_plan(const import_probe *p, import_plan *plan, medley_error *err) {
  if (!is_text(p)) return MEDLEY_OK;
  import_part part = {.kind = p->kind, .reading = READ_TABLE, .dialect = table_sniff(p->head, p->head_length)};
  bool tabs = part.dialect.delimiter[0] == '\t' && !string_ends(p->name, ".csv");
  if (!p->named && !tabs && !string_ends(p->name, ".tsv")) return MEDLEY_OK;
  part.dialect = (table_dialect){.delimiter = "\t", .header = part.dialect.header};
  return plan_add(plan, p->path, &part, err);
}

const importer_kind importer_csv = {
    .name = "csv",
    .summary = "a table with , ; tab or | between columns and RFC 4180 quotes, named by its first line",
    .plan = csv_plan,
};

const importer_kind importer_tsv = {
    .name = "tsv",
    .summary = "a table with tabs between columns, in which quotes mean nothing",
    .plan = tsv_plan,
};

/* ---- JSON Lines ---- */

static medley_status jsonl_plan(const import_probe *p, import_plan *plan, medley_error *err) {
  if (!is_text(p)) return MEDLEY_OK;
  if (p->object == NULL && probe_begins(p, "[") && (p->named || string_ends(p->name, ".json")))
    return error_set(err, MEDLEY_ERR_INPUT,
                     "'%s' is one JSON array: write an object per line, for example with jq -c '.[]'", p->path);
  if (p->object == NULL && !p->named) return MEDLEY_OK;
  import_part part = {.kind = p->kind, .reading = READ_JSON};
  return plan_add(plan, p->path, &part, err);
}

const importer_kind importer_jsonl = {
    .name = "jsonl",
    .summary = "a JSON object per line; members of inner objects are named with dots, as in name.en",
    .plan = jsonl_plan,
};
