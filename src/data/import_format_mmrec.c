/* data/import_format_mmrec.c: data sets of MMRec (github.com/enoche/MMRec): a table .inter with the split in x_label (0
 * train, 1 validation, 2 test), and matrices *_feat.npy whose rows are the items by number. */
#include <string.h>

#include "base/file.h"
#include "data/import_parts.h"

static const import_part interactions = {
    .kind = IMPORT_EVENTS, .reading = READ_TABLE, .dialect = {.delimiter = "\t", .header = true}};
static const import_part features = {.kind = IMPORT_VECTORS, .reading = READ_NPY};

static bool is_interactions(const char *head) {
  size_t length = strcspn(head, "\n");
  return memmem(head, length, "x_label", 7) != NULL && memchr(head, '\t', length) != NULL;
}

static medley_status mmrec_plan_folder(const import_probe *p, import_plan *plan, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool table = false;
  for (size_t i = 0; i < p->file_count; i++) table |= string_ends(p->files[i], ".inter");
  for (size_t i = 0; i < p->file_count && table; i++) {
    bool inter = string_ends(p->files[i], ".inter"), vectors = string_ends(p->files[i], "_feat.npy");
    if (!inter && !vectors) continue;
    char *path = path_join(p->path, p->files[i]);
    status = path ? plan_add(plan, path, inter ? &interactions : &features, err) : error_memory(err, "a plan");
    mem_free(path);
    TRY(status);
  }
done:
  return status;
}

static medley_status mmrec_plan(const import_probe *p, import_plan *plan, medley_error *err) {
  if (p->folder) return mmrec_plan_folder(p, plan, err);
  return is_interactions(p->head) ? plan_add(plan, p->path, &interactions, err) : MEDLEY_OK;
}

const importer_kind importer_mmrec = {
    .name = "mmrec",
    .summary = "MMRec's .inter with x_label, alone or in a folder with *_feat.npy",
    .plan = mmrec_plan,
};
