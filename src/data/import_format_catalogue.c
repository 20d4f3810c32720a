/* data/import_format_catalogue.c: a whole catalogue in one folder, as medley sample writes it: tables or JSON Lines
 * whose names say what their rows are.
 *
 * Asked before folders of media, to which items.jsonl would be a file of captions. Items alone, without what people did
 * with them, are left to that format: then it may well be one. */
#include <string.h>

#include "data/import_parts.h"

/* "items.jsonl" → IMPORT_ITEMS; a name that says nothing: IMPORT_AUTO. */
static import_kind kind_of_name(const char *name) {
  for (import_kind kind = IMPORT_ITEMS; kind <= IMPORT_LINKS; kind++) {
    size_t length = strlen(import_kind_name(kind));
    if (strncmp(name, import_kind_name(kind), length) == 0 && name[length] == '.') return kind;
  }
  return IMPORT_AUTO;
}

/* As if the user had named the file and its kind. */
static medley_status catalogue_plan_file(const import_probe *p, import_plan *plan, medley_error *err) {
  static const importer_kind *const readings[] = {&importer_jsonl, &importer_tsv, &importer_csv};
  medley_status status = MEDLEY_OK;
  size_t before = plan->count;
  import_probe file = *p;
  file.kind = kind_of_name(p->name);
  if (file.kind == IMPORT_AUTO) return MEDLEY_OK;
  for (size_t i = 0; i < sizeof readings / sizeof *readings && plan->count == before; i++)
    TRY(readings[i]->plan(&file, plan, err));
done:
  return status;
}

static medley_status catalogue_plan(const import_probe *p, import_plan *plan, medley_error *err) {
  bool there[IMPORT_KIND_COUNT] = {false};
  if (!p->folder) return MEDLEY_OK;
  for (size_t i = 0; i < p->file_count; i++) there[kind_of_name(p->files[i])] = true;
  bool whole = there[IMPORT_ITEMS] && (there[IMPORT_USERS] || there[IMPORT_EVENTS] || there[IMPORT_LINKS]);
  return whole || p->named ? plan_each_file(p, plan, catalogue_plan_file, err) : MEDLEY_OK;
}

const importer_kind importer_catalogue = {
    .name = "catalogue",
    .summary = "a folder with items.jsonl and users, events or links beside it, each .jsonl, .csv or .tsv",
    .plan = catalogue_plan,
};
