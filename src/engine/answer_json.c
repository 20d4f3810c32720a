/* engine/answer_json.c: an answer as JSON, for programs: parts are an object by name, what is not there is left out. */
#include <medley/answer.h>

#include "base/json.h"
#include "base/memory.h"

static json_t *parts_to_json(const medley_result *r) {
  json_t *parts = json_object();
  for (size_t p = 0; p < r->part_count; p++)
    if (json_object_set_new(parts, r->parts[p].name, json_real(r->parts[p].value)) != 0) {
      json_decref(parts);
      return NULL;
    }
  return parts;
}

static json_t *because_to_json(const medley_result *r) {
  json_t *list = json_array();
  for (size_t b = 0; b < r->because_count; b++)
    if (json_array_append_new(list, json_pack("{s:s, s:s, s:f}", "item", r->because[b].item, "title",
                                              r->because[b].title, "share", r->because[b].share)) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *result_to_json(const medley_result *r) {
  return json_pack("{s:s, s:s, s:f, s:o, s:o*, s:o*, s:s*, s:s*}", "item", r->item, "title", r->title ? r->title : "",
                   "score", r->score, "parts", parts_to_json(r), "pinned", r->pinned ? json_true() : NULL, "because",
                   r->because_count > 0 ? because_to_json(r) : NULL, "why", r->why, "counterfactual",
                   r->counterfactual);
}

medley_status medley_answer_to_json(const medley_answer *answer, char **json, medley_error *err) {
  json_t *results = json_array(), *out = NULL;
  *json = NULL;
  for (size_t i = 0; i < answer->count; i++)
    if (json_array_append_new(results, result_to_json(&answer->results[i])) != 0) goto done;
  out = json_pack("{s:I, s:s*, s:s*, s:s*, s:O}", "generation", (json_int_t)answer->generation, "note", answer->note,
                  "recall", answer->recall, "next", answer->next, "results", results);
  *json = out ? json_to_text(out) : NULL;
done:
  json_decref(results);
  json_decref(out);
  return *json ? MEDLEY_OK : error_memory(err, "an answer as JSON");
}
