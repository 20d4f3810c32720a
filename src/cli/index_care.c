/* cli/index_care.c: medley index show, check, repair and save, and how an index's figures are written. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/index_actions.h"

/* ---- figures ---- */

json_t *index_recall_json(const medley_index_recall *r) {
  return json_pack("{s:f, s:f, s:f, s:I, s:I, s:I, s:b, s:f, s:f}", "recall", r->recall, "low", r->low, "high", r->high,
                   "k", (json_int_t)r->k, "queries", (json_int_t)r->queries, "breadth", (json_int_t)r->breadth, "real",
                   r->real, "seconds_index", r->seconds_index, "seconds_exact", r->seconds_exact);
}

void index_recall_append(strbuf *b, const json_t *recall) {
  double queries = fmax(json_member_number(recall, "queries", 1), 1);
  if (!json_is_object(recall)) {
    strbuf_append(b, "exact: nothing nearer is overlooked\n");
    return;
  }
  strbuf_printf(b,
                "recall@%lld %.3f (%.3f to %.3f), measured with %lld %s at breadth %lld\n"
                "%.3f ms a query, the exact search %.3f ms\n",
                json_member_integer(recall, "k", 0), json_member_number(recall, "recall", 0),
                json_member_number(recall, "low", 0), json_member_number(recall, "high", 0),
                json_member_integer(recall, "queries", 0),
                json_is_true(json_object_get(recall, "real")) ? "queries" : "of its own vectors",
                json_member_integer(recall, "breadth", 0),
                1e3 * json_member_number(recall, "seconds_index", 0) / queries,
                1e3 * json_member_number(recall, "seconds_exact", 0) / queries);
}

json_t *index_info_json(const medley_index_info *i) {
  return json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "kind",
                   i->kind, "distance", i->distance, "storage", i->storage, "rerank",
                   i->rerank && *i->rerank ? json_string(i->rerank) : json_null(), "dim", (json_int_t)i->dim, "vectors",
                   (json_int_t)i->vectors, "removed", (json_int_t)i->removed, "links", (json_int_t)i->links,
                   "build_breadth", (json_int_t)i->build_breadth, "lists", (json_int_t)i->lists, "code_bytes",
                   (json_int_t)i->code_bytes, "breadth", (json_int_t)i->search_breadth, "vector_bytes",
                   (json_int_t)i->vector_bytes, "structure_bytes", (json_int_t)i->structure_bytes, "mapped_bytes",
                   (json_int_t)i->mapped_bytes, "journal_bytes", (json_int_t)i->journal_bytes, "recall",
                   i->recall < 0 ? json_null() : json_real(i->recall));
}

medley_status index_report(console *c, json_t *report, void (*show)(console *c, const json_t *report),
                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *text = report && c->json ? json_to_text(report) : NULL;
  if (report == NULL || (c->json && text == NULL))
    status = error_memory(err, "the report");
  else if (c->json)
    console_json(c, text);
  else
    show(c, report);
  mem_free(text);
  json_decref(report);
  return status;
}

/* ---- show ---- */

static void fact_add(table *t, const char *label, strbuf *text) {
  table_add(t, label, STYLE_DIM);
  table_add(t, text->text, STYLE_PLAIN);
  strbuf_deinit(text);
}

static void bytes_fact(table *t, const char *label, const json_t *info, const char *key) {
  strbuf text = {0};
  double bytes = json_member_number(info, key, 0), vectors = json_member_number(info, "vectors", 0);
  if (bytes == 0) return;
  strbuf_append_bytes_size(&text, bytes);
  if (vectors > 0) strbuf_printf(&text, ", %.0f bytes a vector", bytes / vectors);
  fact_add(t, label, &text);
}

static void kind_facts(table *t, const json_t *info) {
  strbuf text = {0};
  const char *rerank = json_member_string(info, "rerank", NULL);
  strbuf_append(&text, json_member_string(info, "kind", ""));
  if (json_member_integer(info, "links", 0) > 0)
    strbuf_printf(&text, ", %lld links, build breadth %lld", json_member_integer(info, "links", 0),
                  json_member_integer(info, "build_breadth", 0));
  if (json_member_integer(info, "lists", 0) > 0)
    strbuf_printf(&text, ", %lld lists, %lld bytes a code", json_member_integer(info, "lists", 0),
                  json_member_integer(info, "code_bytes", 0));
  if (json_member_integer(info, "breadth", 0) > 0)
    strbuf_printf(&text, ", search breadth %lld", json_member_integer(info, "breadth", 0));
  fact_add(t, "kind", &text);
  strbuf_printf(&text, "%s, held as %s%s%s", json_member_string(info, "distance", ""),
                json_member_string(info, "storage", ""), rerank ? ", ranked again with " : "", rerank ? rerank : "");
  fact_add(t, "distance", &text);
}

static bool info_is_exact(const json_t *info) {
  return strcmp(json_member_string(info, "kind", ""), "exact") == 0 && !json_member_string(info, "rerank", NULL);
}

static void info_show(console *c, const json_t *report) {
  table t = {0};
  strbuf text = {0};
  const json_t *info = json_object_get(report, "index"), *measured = json_object_get(report, "recall");
  double recall = json_member_number(info, "recall", -1);
  table_add_column(&t, "", false, false);
  table_add_column(&t, "", false, true);
  strbuf_append(&text, json_member_string(report, "file", ""));
  fact_add(&t, "file", &text);
  strbuf_append_count(&text, (uint64_t)json_member_integer(info, "vectors", 0));
  strbuf_printf(&text, " of %lld dimensions", json_member_integer(info, "dim", 0));
  if (json_member_integer(info, "removed", 0) > 0)
    strbuf_printf(&text, ", %lld removed ones wait for repair", json_member_integer(info, "removed", 0));
  fact_add(&t, "vectors", &text);
  kind_facts(&t, info);
  bytes_fact(&t, "vectors take", info, "vector_bytes");
  bytes_fact(&t, "beside them", info, "structure_bytes");
  bytes_fact(&t, "file", info, "mapped_bytes");
  strbuf_append_bytes_size(&text, json_member_number(report, "journal_bytes", 0));
  fact_add(&t, "journal", &text);
  if (info_is_exact(info))
    strbuf_append(&text, "exact: nothing nearer is overlooked");
  else if (recall >= 0)
    strbuf_printf(&text, "approximate, recall ≈ %.3f when it was measured", recall);
  else
    strbuf_append(&text, "approximate, recall not measured: --measure does");
  fact_add(&t, "answers", &text);
  console_table(c, &t, 0);
  table_deinit(&t);
  if (measured == NULL) return;
  index_recall_append(&c->text, measured);
}

static medley_status show_measure(const arguments *a, console *c, medley_index *index, size_t dim, json_t *report,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "queries");
  medley_vectors queries = {0};
  medley_index_recall recall;
  medley_progress progress = console_progress(c);
  size_t count = (size_t)arguments_integer(a, "count", 0);
  if (path != NULL) {
    TRY(index_vectors_read(path, dim, "the index", &queries, err));
    if (count == 0 || count > queries.count) count = queries.count;
  }
  TRY(medley_index_measure(index, queries.values, count, (size_t)arguments_integer(a, "nearest", 10),
                           (size_t)arguments_integer(a, "breadth", 0), &progress, &recall, err));
  if (json_object_set_new(report, "recall", index_recall_json(&recall)) != 0) status = error_memory(err, "the report");
done:
  medley_vectors_free(&queries);
  return status;
}

medley_status index_show_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "file");
  medley_index *index = NULL;
  medley_index_info info;
  json_t *report = NULL;
  char journal[4096];
  uint64_t journal_bytes = 0;
  bool measure = arguments_has(a, "measure");
  for (size_t i = 0; !measure && i < 4; i++) {
    static const char *const names[] = {"queries", "count", "nearest", "breadth"};
    if (arguments_has(a, names[i])) FAIL(err, MEDLEY_ERR_USAGE, "--%s goes with show --measure", names[i]);
  }
  TRY(medley_index_open(path, MEDLEY_INDEX_READ_ONLY, &index, err));
  medley_index_get_info(index, &info);
  snprintf(journal, sizeof journal, "%s.journal", path);
  (void)file_stat(journal, &journal_bytes, &(int64_t){0});
  report = json_pack("{s:s, s:o, s:I}", "file", path, "index", index_info_json(&info), "journal_bytes",
                     (json_int_t)journal_bytes);
  if (report != NULL && measure) TRY(show_measure(a, c, index, info.dim, report, err));
  status = index_report(c, report, info_show, err);
  report = NULL;
done:
  json_decref(report);
  medley_index_close(index);
  return status;
}

/* ---- check ---- */

static void health_show(console *c, const json_t *h) {
  bool good = json_is_true(json_object_get(h, "ok"));
  long long reachable = json_member_integer(h, "reachable", 0), vectors = json_member_integer(h, "vectors", 0);
  bool lists = strcmp(json_member_string(h, "kind", ""), "ivfpq") == 0;
  if (json_object_get(h, "vectors") != NULL)
    console_line(c, STYLE_PLAIN, "%lld vectors, %lld reachable; %.1f %s on average, from %lld to %lld", vectors,
                 reachable, json_member_number(h, "degree_mean", 0), lists ? "in a list" : "links each",
                 json_member_integer(h, "degree_min", 0), json_member_integer(h, "degree_max", 0));
  if (json_member_integer(h, "dead_links", 0) > 0)
    console_line(c, STYLE_PLAIN, "%lld links lead to removed vectors: medley index repair mends them",
                 json_member_integer(h, "dead_links", 0));
  if (reachable < vectors)
    console_line(c, STYLE_ACCENT, "%lld vectors are never found by walking: medley index repair links them again",
                 vectors - reachable);
  if (good)
    console_line(c, STYLE_GOOD, "sound: every link and every checksum is as it should be");
  else
    console_line(c, STYLE_BAD, "%s", json_member_string(h, "fault", ""));
}

static json_t *health_json(const char *path, const char *kind, const medley_index_health *h, const char *fault) {
  if (fault != NULL && h->vectors == 0) return json_pack("{s:s, s:b, s:s}", "file", path, "ok", 0, "fault", fault);
  return json_pack("{s:s, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "file", path, "kind", kind, "ok",
                   fault == NULL, "fault", fault ? fault : "", "vectors", (json_int_t)h->vectors, "reachable",
                   (json_int_t)h->reachable, "one_way_links", (json_int_t)h->one_way_links, "dead_links",
                   (json_int_t)h->dead_links, "broken", (json_int_t)h->broken, "degree_min", (json_int_t)h->degree_min,
                   "degree_max", (json_int_t)h->degree_max, "degree_mean", h->degree_mean);
}

/* A broken index is a result here, told on standard output, with exit status 1. */
medley_status index_check_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "file");
  medley_index *index = NULL;
  medley_index_health health = {0};
  medley_index_info info = {0};
  medley_error fault = {0};
  medley_progress progress = console_progress(c);
  status = medley_index_open(path, MEDLEY_INDEX_READ_ONLY, &index, &fault);
  if (status == MEDLEY_OK) status = medley_index_check(index, &progress, &health, &fault);
  bool broken = status == MEDLEY_ERR_CORRUPT;
  if (status == MEDLEY_OK || broken) {
    c->exit_status = broken ? 1 : 0;
    if (index != NULL) medley_index_get_info(index, &info);
    status = index_report(c, health_json(path, info.kind, &health, broken ? fault.text : NULL), health_show, err);
  } else {
    *err = fault;
  }
  medley_index_close(index);
  return status;
}

/* ---- repair, save ---- */

static void saved_show(console *c, const json_t *report) {
  strbuf text = {0};
  strbuf_append_count(&text, (uint64_t)json_member_integer(report, "vectors", 0));
  strbuf_append(&text, " vectors, ");
  strbuf_append_bytes_size(&text, json_member_number(report, "file_bytes", 0));
  if (json_object_get(report, "mended") != NULL)
    strbuf_printf(&text, "; %lld removed ones unlinked", json_member_integer(report, "mended", 0));
  console_line(c, STYLE_PLAIN, "%s: %s", json_member_string(report, "file", ""), text.text ? text.text : "");
  strbuf_deinit(&text);
}

static medley_status saved_report(console *c, const char *path, const medley_index *index, json_t *mended,
                                  medley_error *err) {
  medley_index_info info;
  uint64_t bytes = 0;
  medley_index_get_info(index, &info);
  (void)file_stat(path, &bytes, &(int64_t){0});
  return index_report(c,
                      json_pack("{s:s, s:I, s:I, s:o*}", "file", path, "vectors", (json_int_t)info.vectors,
                                "file_bytes", (json_int_t)bytes, "mended", mended),
                      saved_show, err);
}

medley_status index_repair_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "file");
  medley_index *index = NULL;
  medley_index_info info;
  medley_progress progress = console_progress(c);
  TRY(medley_index_open(path, arguments_has(a, "salvage") ? MEDLEY_INDEX_SALVAGE : 0, &index, err));
  medley_index_get_info(index, &info);
  TRY(medley_index_repair(index, &progress, err));
  TRY(medley_index_save(index, NULL, &progress, err));
  TRY(saved_report(c, path, index, json_integer((json_int_t)info.removed), err));
done:
  medley_index_close(index);
  return status;
}

medley_status index_save_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *path = arguments_text(a, "file"), *copy = arguments_text(a, "output");
  medley_index *index = NULL;
  medley_progress progress = console_progress(c);
  if (copy != NULL && file_exists(copy))
    FAIL(err, MEDLEY_ERR_EXISTS, "%s is there already: remove it first, or choose another name", copy);
  /* A copy needs no lock: it may be taken beside the one who writes. */
  TRY(medley_index_open(path, copy ? MEDLEY_INDEX_READ_ONLY : 0, &index, err));
  TRY(medley_index_save(index, copy, &progress, err));
  TRY(saved_report(c, copy ? copy : path, index, NULL, err));
done:
  medley_index_close(index);
  return status;
}
