/* data/import_format_recbole.c: atomic files of RecBole (recbole.io, "Atomic Files"): tables with tabs whose column
 * names carry their type, "user_id:token".
 *
 * .inter are events, .user users, .item items, .net links between users, .link attributes of items (the entity that an
 * item is in a knowledge graph). The graphs themselves (.kg) are about entities that are no items, and are not taken.
 */
#include <string.h>

#include "base/file.h"
#include "data/import_parts.h"

#define TYPED_TABLE .reading = READ_TABLE, .dialect = {.delimiter = "\t", .header = true}, .typed = true

static const struct {
  const char *ending;
  import_part part;
} members[] = {
    {".item", {.kind = IMPORT_ITEMS, TYPED_TABLE}},
    {".link", {.kind = IMPORT_ITEMS, TYPED_TABLE}},
    {".user", {.kind = IMPORT_USERS, TYPED_TABLE}},
    {".inter", {.kind = IMPORT_EVENTS, TYPED_TABLE}},
    {".net", {.kind = IMPORT_LINKS, TYPED_TABLE, .map = "user=source_id,to_user=target_id", .type = "follows"}},
};

static medley_status recbole_plan_file(const import_probe *p, const char *path, const char *name, import_plan *plan,
                                       medley_error *err) {
  (void)p;
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    if (string_ends(name, members[i].ending)) return plan_add(plan, path, &members[i].part, err);
  return MEDLEY_OK;
}

/* Whether the first line of a file has typed names; MMRec's .inter has none. */
static bool is_typed(const char *head) {
  size_t length = strcspn(head, "\n");
  return memmem(head, length, ":token", 6) != NULL || memmem(head, length, ":float", 6) != NULL;
}

static medley_status folder_is_typed(const import_probe *p, bool *typed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char head[256];
  size_t got = 0;
  *typed = false;
  for (size_t i = 0; i < p->file_count && !*typed; i++) {
    stream *in = NULL;
    if (!string_ends(p->files[i], ".inter")) continue;
    char *path = path_join(p->path, p->files[i]);
    status = path ? stream_open(path, &in, err) : error_memory(err, "a plan");
    if (status == MEDLEY_OK) status = stream_read(in, head, sizeof head - 1, &got, err);
    stream_close(in);
    mem_free(path);
    TRY(status);
    head[got] = '\0';
    *typed = is_typed(head);
  }
done:
  return status;
}

static medley_status recbole_plan_folder(const import_probe *p, import_plan *plan, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool typed;
  TRY(folder_is_typed(p, &typed, err));
  for (size_t i = 0; i < p->file_count && typed; i++) {
    char *path = path_join(p->path, p->files[i]);
    status = path ? recbole_plan_file(p, path, p->files[i], plan, err) : error_memory(err, "a plan");
    mem_free(path);
    TRY(status);
  }
done:
  return status;
}

static medley_status recbole_plan(const import_probe *p, import_plan *plan, medley_error *err) {
  if (p->folder) return recbole_plan_folder(p, plan, err);
  if (!is_typed(p->head)) return MEDLEY_OK;
  if (string_ends(p->name, ".kg"))
    return error_set(err, MEDLEY_ERR_UNSUPPORTED,
                     "'%s' is a knowledge graph between entities, which are no items: it is not imported", p->path);
  return recbole_plan_file(p, p->path, p->name, plan, err);
}

const importer_kind importer_recbole = {
    .name = "recbole",
    .summary = "RecBole's .inter, .user, .item, .net and .link with typed column names, one file or a folder of them",
    .plan = recbole_plan,
};
