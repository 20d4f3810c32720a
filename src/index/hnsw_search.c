/* index/hnsw_search.c: answering (Algorithm 5), with filters.
 *
 * Without a filter the beam of the lowest layer holds the answers. Algorithm 5 asks for ef >= k; but who is expanded
 * and who is answered are two things, and ten answers out of a hundred that were compared anyway are mostly right when
 * only the five nearest were expanded (PERFORMANCE.md). So the beam has k places and `breadth` of them are followed
 * (hnsw_walk.h), where a query asks for that; what an index does by itself follows k at least.
 *
 * With a filter, the walk goes through nodes that do not pass, as through any other, and ends when `breadth` (k at
 * least) nodes that pass are known and nothing nearer is left to expand. That costs some comparisons for each of
 * breadth / share, where a scan of those that pass costs share * count; so few are scanned at once, and a walk that has
 * compared more than the scan would (the filter lies far from the query, say) gives up for the scan. No filter costs
 * more than twice the better of both, and none loses recall for being narrow.
 */
#include "index/hnsw_walk.h"

/* The walk's random reads take about so many times a scan's (measured, PERFORMANCE.md). */
#define WALK_COST 2
/* Rows compared for each place of the beam: 12 at a breadth of 10, 8 from 200 on. */
#define WALK_COMPARISONS 8

/* The lowest layer is entered at several nodes at once: a quarter of what the beam has beyond so many places. A cluster
 * with more nodes than the beam has places keeps what lies behind it from being found; the layer above has a 1/M of its
 * nodes and walks past. On patches of pictures with 800 nearly blank ones recall at breadth 512 went from .963 to .998.
 * Narrow beams, whose comparisons count most, enter at one, as Algorithm 5 does: a few starts do not get past anything.
 */
#define STARTS_FROM 24
#define STARTS_SHARE 4

static size_t starts(size_t breadth) {
  return breadth < STARTS_FROM + STARTS_SHARE ? 1 : (breadth - STARTS_FROM) / STARTS_SHARE;
}

static medley_status scan(const index_structure *s, const index_query *q, scored *out, size_t *found,
                          index_effort *effort, medley_error *err) {
  index_structure exact = {&index_exact, s->rows, 0};
  return index_exact.search(&exact, q, out, found, effort, err);
}

static medley_status search_filtered(const hnsw *h, hnsw_scratch *s, const index_query *q, size_t breadth,
                                     size_t passing, scored *out, size_t *found, index_effort *effort,
                                     medley_error *err) {
  size_t kept =
      hnsw_walk_filtered(h, s, q->query, q->allow, breadth, passing / WALK_COST + 1, rows_count(h->base.rows));
  if (kept == SIZE_MAX) {
    medley_status status = scan(&h->base, q, out, found, effort, err);
    effort->distances += s->distances;
    return status;
  }
  *found = kept < q->k ? kept : q->k;
  for (size_t i = 0; i < *found; i++) out[i] = s->found[i];
  *effort = (index_effort){false, s->distances};
  return MEDLEY_OK;
}

/* ---- without a filter ---- */

static size_t beam_answers(const hnsw *h, const hnsw_scratch *s, size_t k, scored *out) {
  size_t found = 0;
  for (size_t i = 0; i < s->beam_count && found < k; i++)
    if (rows_alive(h->base.rows, s->beam[i].slot)) out[found++] = (scored){s->beam[i].score, s->beam[i].slot};
  return found;
}

medley_status hnsw_search(const index_structure *structure, const index_query *q, scored *out, size_t *found,
                          index_effort *effort, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const hnsw *h = (const hnsw *)structure;
  hnsw_scratch *s = NULL;
  uint32_t top, entry = hnsw_entry(h, &top);
  size_t slots = rows_count(structure->rows), alive = atomic_load(&structure->rows->alive_count);
  size_t breadth = q->breadth ? q->breadth : h->base.breadth, wide = breadth > q->k ? breadth : q->k;
  size_t passing = q->allow != NULL && q->allow->count < alive ? q->allow->count : alive;
  if (q->breadth == 0) breadth = wide;
  *found = 0;
  *effort = (index_effort){entry == HNSW_NOBODY, 0};
  if (q->k == 0 || entry == HNSW_NOBODY) goto done;
  /* A walk has to have breadth / share nodes in sight for `breadth` of them to pass. A graph is scanned for being small
   * only when it is tiny: without a filter walks are all it is there for. */
  size_t each = q->allow != NULL ? WALK_COMPARISONS : 2;
  if (q->exact || (double)passing * passing <= (double)each * WALK_COST * (double)wide * slots) {
    status = scan(structure, q, out, found, effort, err);
    goto done;
  }
  TRY(hnsw_scratch_take(h, wide, &s, err));
  hnsw_descend(h, s, q->query, entry, top, 0, starts(breadth), slots);
  if (q->allow == NULL) {
    hnsw_walk_lowest(h, s, q->query, q->k, breadth, slots);
    *found = beam_answers(h, s, q->k, out);
    effort->distances = s->distances;
  }
  /* The beam may hold dead nodes; when they are so many that answers are missing, they are a filter like any other. */
  if (q->allow != NULL || (*found < q->k && *found < alive))
    status = search_filtered(h, s, q, wide, passing, out, found, effort, err);
done:
  hnsw_scratch_give(h, s);
  return status;
}
