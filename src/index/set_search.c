/* index/set_search.c: readers: a query through filter, kind and re-ranking to ids. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "index/nearest.h"
#include "index/pages.h"
#include "index/set.h"

/* What all queries of a call share. */
typedef struct set_asking {
  const medley_index *set;
  const filter_set *passing; /* NULL without a filter */
  index_allow allow;
  size_t k, wanted; /* wanted: of the kind, more than k when the full vectors rank again */
  size_t breadth;
  bool exact;
  bool measuring; /* not asked by a user: not remembered */
  size_t guard_cell;
  uint64_t ids_version; /* when it began */
  bool updating;
} set_asking;

static medley_status asking_filter(set_asking *a, const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const medley_index *set = a->set;
  filter *f = NULL;
  filter_labels ids = {set_finds, (medley_index *)set, atomic_load(&set->ids_version)};
  if (strlen(text) > MEDLEY_INDEX_FILTER_BYTES_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "a filter of %zu bytes: at most %d are possible", strlen(text),
         MEDLEY_INDEX_FILTER_BYTES_MAX);
  TRY(filter_parse(text, &f, err));
  TRY(filter_cache_get(set->filters, f, set->attributes, rows_count(&set->rows), &ids, &a->passing, err));
  a->allow = (index_allow){a->passing->words, a->passing->slots, a->passing->count};
done:
  filter_free(f);
  return status;
}

static medley_status asking_init(set_asking *a, const medley_index *set, const medley_index_query *query,
                                 medley_error *err) {
  *a = (set_asking){.set = set, .k = query->k, .wanted = query->k, .breadth = query->breadth, .exact = query->exact};
  if (query->k == 0 || query->k > MEDLEY_INDEX_K_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "%zu nearest: 1 to %d can be asked for", query->k, MEDLEY_INDEX_K_MAX);
  if (set->full.dim > 0) a->wanted = query->k * SET_RERANK;
  a->guard_cell = guard_enter(set->guard);
  a->ids_version = atomic_load(&set->ids_version);
  a->updating = atomic_load(&set->updating);
  medley_status status = query->filter != NULL && *query->filter ? asking_filter(a, query->filter, err) : MEDLEY_OK;
  if (status != MEDLEY_OK) guard_leave(set->guard, a->guard_cell);
  return status;
}

static void asking_deinit(set_asking *a) {
  filter_cache_release(a->passing);
  guard_leave(a->set->guard, a->guard_cell);
}

/* ---- one query ---- */

static int nearest_first(const void *a, const void *b) {
  return nearest_before(*(const scored *)a, *(const scored *)b) ? -1 : 1;
}

/* The candidates of a coarse storage, by their full vectors. */
static medley_status rank_again(const medley_index *set, const float *vector, scored *found, size_t count,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  pages *cold = pages_cold(set->full.pages) ? set->full.pages : NULL;
  for (size_t i = 0; cold != NULL && i < count; i++)
    pages_want(cold, rows_at(&set->full, found[i].index), set->full.stride_bytes);
  row_query q = {0};
  TRY(row_query_init(&q, &set->full, vector, err));
  for (size_t i = 0; i < count; i++)
    found[i].score = set->full.score(&q, rows_at(&set->full, found[i].index), set->full.dim);
  qsort(found, count, sizeof *found, nearest_first);
done:
  row_query_deinit(&q);
  return status;
}

/* While an update is on its way an id can be found in its old and in its new slot: the nearer one is told. It may have
 * been on its way before, after, or in between. */
static size_t hits_write(const set_asking *a, const scored *found, size_t count, medley_index_hit *hits) {
  const medley_index *set = a->set;
  size_t written = 0;
  bool updating = a->updating || atomic_load(&set->updating) || atomic_load(&set->ids_version) != a->ids_version;
  for (size_t i = 0; i < count && written < a->k; i++) {
    medley_index_hit hit = {labels_id(&set->labels, found[i].index), found[i].score};
    bool twice = false;
    for (size_t j = 0; updating && j < written; j++) twice = twice || hits[j].id == hit.id;
    if (!twice) hits[written++] = hit;
  }
  return written;
}

static void effort_add(index_effort *sum, index_effort more) {
  sum->exact = sum->exact && more.exact;
  sum->distances += more.distances;
}

static medley_status ask_one(const set_asking *a, const float *vector, medley_index_hit *hits, size_t *found,
                             index_effort *effort, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const medley_index *set = a->set;
  row_query q = {0};
  scored few[128], *candidates = few;
  size_t count;
  index_effort own = {0};
  if (a->wanted > sizeof few / sizeof *few) TRY_NEW(candidates, a->wanted, "index search");
  TRY(row_query_init(&q, &set->rows, vector, err));
  index_query query = {&q, a->passing ? &a->allow : NULL, a->wanted, a->breadth, a->exact};
  TRY(set->kind->search(set->structure, &query, candidates, &count, &own, err));
  if (set->full.dim > 0) TRY(rank_again(set, vector, candidates, count, err));
  pages *cold = pages_cold(set->rows.pages) ? set->rows.pages : NULL;
  for (size_t i = 0; cold != NULL && i < count; i++) labels_want(&set->labels, candidates[i].index, cold);
  *found = hits_write(a, candidates, count, hits);
  if (cold != NULL) pages_go_on(cold);
  effort_add(effort, own);
  if (!a->measuring) asked_remember(&((medley_index *)set)->asked, vector, rows_count(&set->rows));
done:
  row_query_deinit(&q);
  if (candidates != few) mem_free(candidates);
  return status;
}

/* Rounded rows cannot promise that nothing nearer was overlooked: then the scan is exact over what is held. */
static void answer_write(const set_asking *a, index_effort effort, medley_index_answer *answer) {
  const medley_index *set = a->set;
  if (answer == NULL) return;
  *answer = (medley_index_answer){
      .exact = effort.exact && set->full.dim == 0,
      .recall = -1,
      .distances = effort.distances,
      .passing = a->passing ? rows_alive_allowed(&set->rows, a->allow.words, a->allow.slots) : SIZE_MAX};
  if (answer->exact)
    answer->recall = 1;
  else if (a->breadth == 0 || (a->breadth == atomic_load(&set->recall_breadth) && a->breadth >= a->wanted))
    answer->recall = atomic_load(&set->recall);
}

static medley_status search(const medley_index *set, const medley_index_query *query, bool measuring,
                            medley_index_hit *hits, size_t *found, medley_index_answer *answer, medley_error *err) {
  medley_status status = MEDLEY_OK;
  set_asking a;
  index_effort effort = {.exact = true};
  *found = 0;
  status = asking_init(&a, set, query, err);
  if (status != MEDLEY_OK) return status;
  a.measuring = measuring;
  TRY(ask_one(&a, query->vector, hits, found, &effort, err));
  answer_write(&a, effort, answer);
done:
  asking_deinit(&a);
  return status;
}

medley_status medley_index_search(const medley_index *set, const medley_index_query *query, medley_index_hit *hits,
                                  size_t *found, medley_index_answer *answer, medley_error *err) {
  return search(set, query, false, hits, found, answer, err);
}

medley_status set_search_unnoticed(const medley_index *set, const medley_index_query *query, medley_index_hit *hits,
                                   size_t *found, medley_error *err) {
  return search(set, query, true, hits, found, NULL, err);
}

/* ---- many ---- */

/* A kind that takes batches (a scan) shares each row among all queries. */
static medley_status ask_batch(const set_asking *a, const float *vectors, size_t count, medley_index_hit *hits,
                               size_t *found, index_effort *effort, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const medley_index *set = a->set;
  const index_kind *kind = a->exact ? &index_exact : set->kind;
  index_structure scan = {&index_exact, &set->rows, 0};
  row_query *queries = NULL;
  scored *candidates = NULL;
  TRY_NEW(queries, count, "index search");
  TRY_NEW(candidates, count * a->wanted, "index search");
  for (size_t i = 0; i < count; i++) TRY(row_query_init(&queries[i], &set->rows, vectors + i * set->rows.dim, err));
  index_query query = {NULL, a->passing ? &a->allow : NULL, a->wanted, a->breadth, a->exact};
  TRY(kind->search_batch(a->exact ? &scan : set->structure, &query, queries, count, candidates, found, effort, err));
  for (size_t i = 0; i < count; i++) {
    scored *own = candidates + i * a->wanted;
    if (set->full.dim > 0) TRY(rank_again(set, vectors + i * set->rows.dim, own, found[i], err));
    found[i] = hits_write(a, own, found[i], hits + i * a->k);
    asked_remember(&((medley_index *)set)->asked, vectors + i * set->rows.dim, rows_count(&set->rows));
  }
  if (pages_cold(set->rows.pages)) pages_go_on(set->rows.pages);
done:
  for (size_t i = 0; queries != NULL && i < count; i++) row_query_deinit(&queries[i]);
  mem_free(queries);
  mem_free(candidates);
  return status;
}

/* One by one over all threads; the first error is told. */
static medley_status ask_each(const set_asking *a, const float *vectors, size_t count, medley_index_hit *hits,
                              size_t *found, index_effort *effort, medley_error *err) {
  medley_status first = MEDLEY_OK;
#pragma omp parallel for schedule(dynamic, 4) if (count > 4)
  for (size_t i = 0; i < count; i++) {
    medley_error own_error = {0};
    index_effort own = {.exact = true};
    medley_status status = ask_one(a, vectors + i * a->set->rows.dim, hits + i * a->k, &found[i], &own, &own_error);
#pragma omp critical(set_search)
    {
      effort_add(effort, own);
      if (status != MEDLEY_OK && first == MEDLEY_OK) {
        first = status;
        if (err != NULL) *err = own_error;
      }
    }
  }
  return first;
}

medley_status medley_index_search_batch(const medley_index *set, const medley_index_query *query, const float *vectors,
                                        size_t count, medley_index_hit *hits, size_t *found,
                                        medley_index_answer *answer, medley_error *err) {
  set_asking a;
  index_effort effort = {.exact = true};
  medley_status status = asking_init(&a, set, query, err);
  if (status != MEDLEY_OK) return status;
  bool together = set->kind->search_batch != NULL || query->exact;
  status = together ? ask_batch(&a, vectors, count, hits, found, &effort, err)
                    : ask_each(&a, vectors, count, hits, found, &effort, err);
  if (status == MEDLEY_OK) answer_write(&a, effort, answer);
  asking_deinit(&a);
  return status;
}

/* ---- get ---- */

static medley_status slot_of(const medley_index *set, uint64_t id, uint32_t *slot, medley_error *err) {
  medley_status status = labels_slot((labels *)&set->labels, id, slot, err);
  if (status == MEDLEY_OK && *slot == LABELS_NONE)
    return error_set(err, MEDLEY_ERR_NOT_FOUND, "the index has no vector with id %llu", (unsigned long long)id);
  return status;
}

medley_status medley_index_get(const medley_index *set, uint64_t id, float *out, medley_error *err) {
  uint32_t slot;
  size_t cell = guard_enter(set->guard);
  medley_status status = slot_of(set, id, &slot, err);
  if (status == MEDLEY_OK) rows_get(set->full.dim > 0 ? &set->full : &set->rows, slot, out);
  guard_leave(set->guard, cell);
  return status;
}

medley_status medley_index_get_attributes(const medley_index *set, uint64_t id, char **json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t slot, after;
  json_t *object = NULL;
  size_t cell = guard_enter(set->guard); /* the slot is nobody else's meanwhile */
  *json = NULL;
  TRY(slot_of(set, id, &slot, err));
  for (;; slot = after) { /* an update moves them to another slot */
    TRY(attributes_get(set->attributes, slot, &object, err));
    TRY(slot_of(set, id, &after, err));
    if (after == slot) break;
    json_decref(object);
    object = NULL;
  }
  *json = json_to_text(object);
  if (*json == NULL) status = error_memory(err, "index attributes");
done:
  guard_leave(set->guard, cell);
  json_decref(object);
  return status;
}

void medley_index_text_free(char *text) { mem_free(text); }
