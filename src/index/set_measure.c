/* index/set_measure.c: what an index says about itself: its recall against the exact search, its memory, its health. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/progress.h"
#include "index/nearest.h"
#include "index/set.h"

#define MEASURE_DEFAULT 200
#define MEASURE_MAX 100000

typedef struct measurement {
  medley_index *set;
  float *vectors;           /* [count, dim] */
  uint32_t *self;           /* [count] the slot the query is, which is no answer; LABELS_NONE */
  size_t count, k, breadth; /* breadth 0: the index's own */
  double sum, square;       /* of the recalls */
  double seconds[2];        /* index, exact */
} measurement;

/* Queries that were asked; else alive rows evenly over the slots. */
static medley_status sample_take(measurement *m, bool *real, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index *set = m->set;
  size_t dim = set->rows.dim, slots = rows_count(&set->rows), alive = set->rows.alive_count;
  size_t taken = asked_take(&set->asked, m->count, m->vectors), passed = 0;
  *real = taken > 0;
  if (*real) {
    m->count = taken;
    return MEDLEY_OK;
  }
  if (m->count > alive) m->count = alive;
  for (size_t slot = 0; slot < slots && taken < m->count; slot++) {
    if (!rows_alive(&set->rows, (uint32_t)slot)) continue;
    if (passed++ * m->count < taken * alive) continue;
    m->self[taken] = (uint32_t)slot;
    rows_get(set->full.dim ? &set->full : &set->rows, (uint32_t)slot, m->vectors + taken++ * dim);
  }
  if (taken == 0) FAIL(err, MEDLEY_ERR_USAGE, "an empty index has no recall to measure");
  m->count = taken;
done:
  return status;
}

/* The truth of an index that ranks again: what it is held to are the full vectors, not the rounded ones' best. */
static medley_status scan_full(const medley_index *set, const float *vector, size_t k, medley_index_hit *hits,
                               size_t *found, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const rows *full = &set->full;
  row_query q = {0};
  scored *best = NULL;
  size_t cell = guard_enter(set->guard);
  TRY_NEW(best, k, "index recall");
  TRY(row_query_init(&q, full, vector, err));
  nearest n = {best, 0, k};
  for (uint32_t slot = 0, count = rows_count(full); slot < count; slot++)
    if (rows_alive(&set->rows, slot))
      nearest_push(&n, (scored){full->score_stream(&q, rows_at(full, slot), full->dim), slot});
  *found = nearest_finish(&n);
  for (size_t i = 0; i < *found; i++)
    hits[i] = (medley_index_hit){labels_id(&set->labels, best[i].index), best[i].score};
done:
  guard_leave(set->guard, cell);
  row_query_deinit(&q);
  mem_free(best);
  return status;
}

static medley_status ask(const measurement *m, size_t i, bool exact, medley_index_hit *hits, size_t *found,
                         double *seconds, medley_error *err) {
  medley_index_query query = {
      .vector = m->vectors + i * m->set->rows.dim, .k = m->k + 1, .breadth = m->breadth, .exact = exact};
  double before = clock_now_s();
  medley_status status = exact && m->set->full.dim > 0 ? scan_full(m->set, query.vector, query.k, hits, found, err)
                                                       : set_search_unnoticed(m->set, &query, hits, found, err);
  *seconds += clock_now_s() - before;
  uint64_t self = m->self[i] == LABELS_NONE ? 0 : labels_id(&m->set->labels, m->self[i]);
  for (size_t h = 0; m->self[i] != LABELS_NONE && h < *found; h++)
    if (hits[h].id == self) {
      memmove(&hits[h], &hits[h + 1], (*found - h - 1) * sizeof *hits);
      --*found;
      break;
    }
  if (*found > m->k) *found = m->k;
  return status;
}

/* Equal vectors are equally right: what scores no less than the exact k-th counts. */
static medley_status compare(measurement *m, const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  medley_index_hit *hits = NULL;
  size_t found, truth;
  TRY_NEW(hits, 2 * (m->k + 1), "index recall");
  medley_index_hit *exact = hits + m->k + 1;
  progress_begin(&stage, progress, "measure recall", m->count);
  for (size_t i = 0; i < m->count; i++) {
    size_t good = 0;
    TRY(ask(m, i, true, exact, &truth, &m->seconds[1], err));
    TRY(ask(m, i, false, hits, &found, &m->seconds[0], err));
    float worst = truth > 0 ? exact[truth - 1].score : 0;
    for (size_t h = 0; h < found; h++) good += hits[h].score >= worst - 1e-6f * fabsf(worst);
    double recall = truth == 0 ? 1 : good < truth ? (double)good / (double)truth : 1;
    m->sum += recall;
    m->square += recall * recall;
    TRY(progress_update(&stage, i + 1, err));
  }
  progress_end(&stage, m->count);
done:
  mem_free(hits);
  return status;
}

medley_status medley_index_measure(medley_index *set, const float *vectors, size_t count, size_t k, size_t breadth,
                                   const medley_progress *progress, medley_index_recall *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  measurement m = {.set = set, .count = count ? count : MEASURE_DEFAULT, .k = k, .breadth = breadth};
  bool real = true;
  if (m.count > MEASURE_MAX) FAIL(err, MEDLEY_ERR_USAGE, "%zu queries to measure with: at most %d", count, MEASURE_MAX);
  if (vectors != NULL && count == 0) FAIL(err, MEDLEY_ERR_USAGE, "no queries to measure with");
  if (k == 0 || k >= MEDLEY_INDEX_K_MAX) FAIL(err, MEDLEY_ERR_USAGE, "the recall of the %zu nearest", k);
  TRY_NEW(m.vectors, m.count * set->rows.dim, "index recall");
  TRY_NEW(m.self, m.count, "index recall");
  memset(m.self, 0xff, m.count * sizeof *m.self);
  if (vectors != NULL)
    memcpy(m.vectors, vectors, m.count * set->rows.dim * sizeof *vectors);
  else
    TRY(sample_take(&m, &real, err));
  TRY(compare(&m, progress, err));
  double n = (double)m.count, mean = m.sum / n, spread = sqrt(fmax(m.square / n - mean * mean, 0) / n);
  *out = (medley_index_recall){.recall = mean,
                               .low = fmax(mean - 1.96 * spread, 0),
                               .high = fmin(mean + 1.96 * spread, 1),
                               .queries = m.count,
                               .k = k,
                               .breadth = breadth ? breadth : set->structure->breadth,
                               .seconds_index = m.seconds[0],
                               .seconds_exact = m.seconds[1],
                               .real = real};
  if (breadth == 0 || (breadth == set->structure->breadth && breadth >= k * (set->full.dim > 0 ? SET_RERANK : 1))) {
    atomic_store(&set->recall_breadth, set->structure->breadth);
    atomic_store(&set->recall, mean);
  }
done:
  mem_free(m.vectors);
  mem_free(m.self);
  return status;
}

void medley_index_get_info(const medley_index *set, medley_index_info *out) {
  size_t cell = guard_enter(set->guard); /* a kind may replace what it measures */
  size_t vectors = set->rows.bytes + set->full.bytes, own = set_own_bytes(set);
  uint32_t slots = rows_count(&set->rows), alive = set->rows.alive_count;
  size_t unused = set_unused(set);
  *out = (medley_index_info){
      .kind = set->kind->name,
      .distance = index_distance_name(set->rows.distance),
      .storage = row_storage_name(set->rows.storage),
      .rerank = set->full.dim ? row_storage_name(set->full.storage) : "",
      .dim = set->rows.dim,
      .vectors = alive,
      .removed = slots - alive > unused ? slots - alive - unused : 0,
      .search_breadth = set->structure->breadth,
      .vector_bytes = vectors,
      .structure_bytes = own - vectors,
      .mapped_bytes = (set->file ? index_file_bytes(set->file) : 0) + set->rows.scratch.bytes + set->full.scratch.bytes,
      .journal_bytes = set->journal && !set->read_only ? journal_bytes(set->journal) : 0,
      .recall = set->kind->exact && set->full.dim == 0 ? 1 : (double)set->recall,
      .read_only = set->read_only};
  index_options in_use = {0};
  if (set->kind->describe != NULL) set->kind->describe(set->structure, &in_use);
  out->links = in_use.links;
  out->build_breadth = in_use.build_breadth;
  out->lists = in_use.lists;
  out->code_bytes = in_use.code_bytes;
  guard_leave(set->guard, cell);
}

medley_status medley_index_check(const medley_index *set, const medley_progress *progress, medley_index_health *out,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  index_file *file = NULL;
  index_check found = {.alive = set->rows.alive_count, .reachable = set->rows.alive_count};
  *out = (medley_index_health){0};
  if (set->kind->check != NULL) TRY(set->kind->check(set->structure, &found, err));
  *out = (medley_index_health){.vectors = found.alive,
                               .reachable = found.reachable,
                               .one_way_links = found.one_way,
                               .dead_links = found.dead_links,
                               .broken = found.broken,
                               .degree_min = found.degree_min,
                               .degree_max = found.degree_max,
                               .degree_mean = found.degree_mean};
  memcpy(out->fault, found.fault, sizeof out->fault);
  if (found.broken > 0)
    FAIL(err, MEDLEY_ERR_CORRUPT, "the index is broken in %zu places: %s", found.broken, found.fault);
  if (set->path != NULL) { /* what lies there now: after a save it is another file than was opened */
    TRY(index_file_open(set->path, &file, err));
    TRY(index_file_verify(file, NULL, progress, NULL, err));
  }
  TRY(attributes_load(set->attributes, err));
done:
  index_file_close(file);
  return status;
}
