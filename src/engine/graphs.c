/* engine/graphs.c: see engine/graphs.h. */
#include "engine/graphs.h"

#include <medley/answer.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "engine/query.h"
#include "engine/workspace.h"
#include "math/vector.h"

#define OPEN_MIN 20000 /* so few items that pass a filter are compared one by one */
#define LEFT_MIN 4     /* candidates that pass a filter, for each result wanted: with fewer, look at everything */
#define MEASURED_QUERIES 50
#define MEASURED_COUNT 10
#define TIE 1e-6
#define RECALL_KEY "recall"

medley_status graphs_from(const config *c, size_t *from, medley_error *err) {
  double value;
  medley_status status = config_number(c, "search.index_from", 0, 1e9, GRAPHS_FROM_USUAL, &value, err);
  if (status == MEDLEY_OK) *from = (size_t)value;
  return status;
}

/* A year is one of a hundred points: there is no neighbourhood to walk through, and nothing to choose by. */
static bool side_can_choose(const space *s, const space_side *side) {
  return s->content->parts[side->item_part].source != PART_YEAR;
}

/* ---- building ---- */

static size_t side_items(const space_side *side, uint32_t items) {
  size_t count = 0;
  for (uint32_t i = 0; i < items; i++) count += side->present[i] != 0;
  return count;
}

static medley_status side_write(const char *path, const space_side *side, uint32_t items, size_t count,
                                const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index_options options = {.dim = side->dim, .storage = "int8", .search_breadth = GRAPHS_CANDIDATES};
  medley_index *index = NULL;
  uint64_t *ids = NULL;
  float *rows = NULL;
  TRY_NEW(ids, count, "a graph of items");
  TRY_NEW(rows, count * side->dim, "a graph of items");
  for (uint32_t i = 0, at = 0; i < items; i++) {
    if (!side->present[i]) continue;
    memcpy(rows + (size_t)at * side->dim, side->rows + (size_t)i * side->dim, side->dim * sizeof *rows);
    ids[at++] = i;
  }
  TRY(medley_index_create(NULL, &options, &index, err));
  TRY(medley_index_add(index, ids, rows, count, progress, err));
  TRY(medley_index_save(index, path, progress, err));
done:
  medley_index_close(index);
  mem_free(ids);
  mem_free(rows);
  return status;
}

medley_status graphs_write(const char *folder, const space *s, size_t from, const medley_progress *progress,
                           json_t *manifest, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[64], *path = NULL;
  json_t *list = json_array();
  if (list == NULL) return error_memory(err, "a manifest");
  for (size_t k = 0; k < s->side_count && from > 0; k++) {
    const space_side *side = &s->sides[k];
    size_t count = side_items(side, s->content->item_count);
    if (!side_can_choose(s, side) || count < from) continue;
    snprintf(name, sizeof name, "graph-%zu.index", k);
    mem_free(path);
    path = path_join(folder, name);
    if (path == NULL ||
        json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:s, s:I}", "side", (json_int_t)k, "file", name, "query",
                                              s->content->parts[side->query_part].name, "item",
                                              s->content->parts[side->item_part].name, "items", (json_int_t)count)) !=
            0) {
      status = error_memory(err, "a manifest");
      goto done;
    }
    TRY(side_write(path, side, s->content->item_count, count, progress, err));
  }
  if (json_array_size(list) > 0 && json_object_set(manifest, "graphs", list) != 0)
    status = error_memory(err, "a manifest");
done:
  json_decref(list);
  mem_free(path);
  return status;
}

/* ---- opening ---- */

static medley_status side_open(graphs *n, const char *folder, const json_t *entry, const space *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  long long k = json_member_integer(entry, "side", -1);
  char name[64], *path = NULL;
  medley_index_info info;
  if (k < 0 || (size_t)k >= s->side_count || n->index[k] != NULL)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s/manifest.json: a graph of side %lld, of which there are %zu", folder, k,
         s->side_count);
  snprintf(name, sizeof name, "graph-%lld.index", k);
  path = path_join(folder, name);
  if (path == NULL) return error_memory(err, "a file name");
  TRY(medley_index_open(path, MEDLEY_INDEX_READ_ONLY, &n->index[k], err));
  n->count++;
  medley_index_get_info(n->index[k], &info);
  if (info.dim != s->sides[k].dim)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: vectors of %zu numbers, the generation's have %zu", path, info.dim,
         s->sides[k].dim);
done:
  mem_free(path);
  return status;
}

medley_status graphs_open(graphs *n, const char *folder, const json_t *manifest, const space *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *list = json_object_get(manifest, "graphs");
  n->recall = -1;
  for (size_t e = 0; e < json_array_size(list); e++) TRY(side_open(n, folder, json_array_get(list, e), s, err));
done:
  return status;
}

void graphs_close(graphs *n) {
  for (size_t k = 0; k < SPACE_SIDES_MAX; k++) medley_index_close(n->index[k]);
  *n = (graphs){0};
}

/* ---- choosing ---- */

typedef struct choice {
  const graphs *n;
  const query *q;
  uint8_t *chosen;
  medley_index_hit *hits; /* [GRAPHS_CANDIDATES] */
  scored *best;           /* [GRAPHS_CANDIDATES] */
} choice;

/* The greatest of values [items]: taste, or words, of which 0 is none. */
static void choose_values(const choice *c, const float *values, const uint8_t *absent, bool positive) {
  size_t found = top_k(values, c->q->g->item_count, absent, GRAPHS_CANDIDATES, c->best);
  for (size_t i = 0; i < found; i++)
    if (!positive || c->best[i].score > 0) c->chosen[c->best[i].index] = 1;
}

static medley_status choose_look(const choice *c, const query_look *look, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const space *s = c->q->g->space;
  uint32_t items = c->q->g->item_count;
  size_t found = 0;
  if (look->side == NULL) {
    choose_values(c, look->values, look->absent, false);
    return MEDLEY_OK;
  }
  if (!side_can_choose(s, look->side)) return MEDLEY_OK;
  medley_index *index = c->n->index[look->side - s->sides];
  if (index == NULL) { /* a side that few items have */
    for (uint32_t i = 0; i < items; i++) c->chosen[i] |= look->side->present[i] != 0;
    return MEDLEY_OK;
  }
  medley_index_query asked = {.vector = look->vector, .k = GRAPHS_CANDIDATES};
  TRY(medley_index_search(index, &asked, c->hits, &found, NULL, err));
  for (size_t h = 0; h < found; h++)
    if (c->hits[h].id < items) c->chosen[c->hits[h].id] = 1;
done:
  return status;
}

/* Whether a part of the query would compare a whole large side, which a graph saves. Parts that the answers should be
 * unlike choose nothing: they only take away. */
static bool graph_serves(const graphs *n, const query *q) {
  for (size_t p = 0; p < q->count; p++)
    for (size_t l = 0; l < q->parts[p].look_count; l++) {
      const space_side *side = q->parts[p].looks[l].side;
      if (q->parts[p].share > 0 && side != NULL && n->index[side - q->g->space->sides] != NULL) return true;
    }
  return false;
}

/* Not when too few of the candidates pass the filter, and not when they are all there is. */
static bool enough_is_left(const choice *c, const uint8_t *skip, size_t open, size_t wanted) {
  size_t left = 0;
  for (uint32_t i = 0; i < c->q->g->item_count; i++) left += c->chosen[i] && !skip[i];
  return left < open && left >= LEFT_MIN * wanted;
}

medley_status graphs_choose(const graphs *n, const query *q, const float *words, const uint8_t *skip, size_t wanted,
                            uint8_t *chosen, bool *narrowed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  choice c = {.n = n, .q = q, .chosen = chosen};
  size_t open = 0;
  *narrowed = false;
  if (!graph_serves(n, q) || wanted * LEFT_MIN > GRAPHS_CANDIDATES) return MEDLEY_OK;
  for (uint32_t i = 0; i < q->g->item_count; i++) open += !skip[i];
  if (open < OPEN_MIN && open < q->g->item_count / 2) return MEDLEY_OK;
  TRY_NEW(c.hits, GRAPHS_CANDIDATES, "candidates");
  TRY_NEW(c.best, GRAPHS_CANDIDATES, "candidates");
  for (size_t p = 0; p < q->count; p++)
    for (size_t l = 0; l < q->parts[p].look_count && q->parts[p].share > 0; l++)
      TRY(choose_look(&c, &q->parts[p].looks[l], err));
  if (words != NULL) choose_values(&c, words, NULL, true);
  *narrowed = enough_is_left(&c, skip, open, wanted);
done:
  mem_free(c.hits);
  mem_free(c.best);
  return status;
}

/* ---- honesty ---- */

static size_t answers_shared(const medley_answer *exact, const medley_answer *found) {
  size_t shared = 0;
  double least = exact->count ? exact->results[exact->count - 1].score : 0;
  for (size_t i = 0; i < found->count; i++) shared += found->results[i].score >= least - TIE;
  return shared < exact->count ? shared : exact->count;
}

/* Adds what one item as the query finds, of what there is to find. An item without content is skipped. */
static medley_status item_measure(medley_workspace *w, const char *key, size_t *found, size_t *there,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_error reason;
  medley_answer *exact = NULL, *near = NULL;
  const char *like[] = {key, NULL};
  medley_search_query query = {.like = like, .count = MEASURED_COUNT, .exact = 1};
  status = medley_search(w, &query, &exact, &reason);
  if (status != MEDLEY_OK)
    return status == MEDLEY_ERR_NOT_FOUND ? MEDLEY_OK : error_set(err, status, "%s", reason.text);
  query.exact = 0;
  TRY(medley_search(w, &query, &near, err));
  *found += answers_shared(exact, near);
  *there += exact->count;
done:
  medley_answer_free(exact);
  medley_answer_free(near);
  return status;
}

static medley_status recall_keep(medley_workspace *w, int64_t generation, double recall, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char text[64];
  snprintf(text, sizeof text, "%lld %.4f", (long long)generation, recall);
  TRY(w->kind->begin(w->store, err));
  status = w->kind->meta_put(w->store, RECALL_KEY, text, err);
  if (status != MEDLEY_OK)
    w->kind->rollback(w->store);
  else
    TRY(w->kind->commit(w->store, err));
done:
  return status;
}

medley_status graphs_measure(medley_workspace *w, const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  generation *g;
  rng r;
  progress_stage stage;
  size_t found = 0, there = 0;
  TRY(medley_workspace_refresh(w, err));
  TRY(workspace_trained(w, &g, err));
  if (g->graphs.count == 0) return MEDLEY_OK;
  rng_seed(&r, (uint64_t)g->number);
  progress_begin(&stage, progress, "measure the recall of searches", MEASURED_QUERIES);
  for (size_t i = 0; i < MEASURED_QUERIES; i++) {
    const catalogue_item *item = generation_item(g, (uint32_t)rng_below(&r, g->item_count));
    if (item != NULL) TRY(item_measure(w, item->key, &found, &there, err));
    TRY(progress_update(&stage, i + 1, err));
  }
  progress_end(&stage, MEASURED_QUERIES);
  if (there == 0) return MEDLEY_OK;
  g->graphs.recall = (double)found / (double)there;
  TRY(recall_keep(w, g->number, g->graphs.recall, err));
done:
  return status;
}

medley_status graphs_recall(graphs *n, medley_workspace *w, int64_t generation, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  long long measured;
  double recall;
  if (n->count == 0) return MEDLEY_OK;
  status = w->kind->meta_get(w->store, RECALL_KEY, &text, err);
  if (status == MEDLEY_OK && sscanf(text.text, "%lld %lf", &measured, &recall) == 2 && measured == generation &&
      recall >= 0 && recall <= 1)
    n->recall = recall;
  strbuf_deinit(&text);
  return status == MEDLEY_ERR_NOT_FOUND ? MEDLEY_OK : status;
}
