/* data/import_format_gorse.c: what Gorse exports (gorse.io, "Data objects"): items, users and feedback as JSON Lines.
 */
#include "data/import_parts.h"

static const import_part items = {
    .kind = IMPORT_ITEMS,
    .reading = READ_JSON,
    .map = "item=ItemId,hidden=IsHidden,category=Categories,time=Timestamp,tags=Labels,title=Comment",
};
static const import_part users = {.kind = IMPORT_USERS, .reading = READ_JSON, .map = "user=UserId"};
static const import_part feedback = {
    .kind = IMPORT_EVENTS,
    .reading = READ_JSON,
    .map = "user=UserId,item=ItemId,type=FeedbackType,time=Timestamp,value=Value",
};

static medley_status gorse_plan_file(const import_probe *p, import_plan *plan, medley_error *err) {
  bool user = probe_member(p, "UserId") != NULL, item = probe_member(p, "ItemId") != NULL;
  if (user && item && probe_member(p, "FeedbackType") != NULL) return plan_add(plan, p->path, &feedback, err);
  bool labelled = probe_member(p, "Labels") != NULL || probe_member(p, "Comment") != NULL;
  if (item && !user && (labelled || probe_member(p, "IsHidden") != NULL || probe_member(p, "Categories") != NULL))
    return plan_add(plan, p->path, &items, err);
  if (user && !item && labelled) return plan_add(plan, p->path, &users, err);
  return MEDLEY_OK;
}

static medley_status gorse_plan(const import_probe *p, import_plan *plan, medley_error *err) {
  return p->folder ? plan_each_file(p, plan, gorse_plan_file, err) : gorse_plan_file(p, plan, err);
}

const importer_kind importer_gorse = {
    .name = "gorse",
    .summary = "JSON Lines of Gorse: objects with ItemId, UserId or FeedbackType, one file or a folder of them",
    .plan = gorse_plan,
};
