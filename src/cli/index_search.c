/* cli/index_search.c: medley index search: the nearest of vectors in a file, or of one that is in the index. */
#include <string.h>

#include "base/json.h"
#include "cli/index_actions.h"

#define SEARCH_QUERIES_MAX 10000 /* rows of one answer for people and pipes; bench measures more */

typedef struct searching {
  const arguments *a;
  medley_index *index;
  medley_vectors file;
  float *own;           /* of --like */
  const float *vectors; /* [count, dim] */
  size_t count, first;  /* first: row of the file */
  uint64_t like;
  bool is_like;
  medley_index_query query;
  medley_index_hit *hits; /* [count, query.k] */
  size_t *found;          /* [count] */
  medley_index_answer answer;
} searching;

/* ---- queries ---- */

static medley_status queries_of_file(searching *s, const char *path, size_t dim, medley_error *err) {
  medley_status status = MEDLEY_OK;
  long long row = arguments_integer(s->a, "row", -1);
  TRY(index_vectors_read(path, dim, "the index", &s->file, err));
  if (row >= (long long)s->file.count)
    FAIL(err, MEDLEY_ERR_USAGE, "--row %lld: '%s' has rows 0 to %zu", row, path, s->file.count - 1);
  s->first = row >= 0 ? (size_t)row : 0;
  s->count = row >= 0 ? 1 : s->file.count;
  if (s->count > SEARCH_QUERIES_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "'%s' has %zu rows, at most %d are searched at once: choose one with --row", path,
         s->count, SEARCH_QUERIES_MAX);
  s->vectors = s->file.values + s->first * dim;
done:
  return status;
}

/* One more is asked for, as it finds itself. */
static medley_status query_of_like(searching *s, const char *text, size_t dim, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(index_id_read("--like", text, &s->like, err));
  TRY_NEW(s->own, dim, "a vector");
  TRY(medley_index_get(s->index, s->like, s->own, err));
  s->vectors = s->own;
  s->count = 1;
  s->is_like = true;
  s->query.k++;
done:
  return status;
}

static medley_status queries_take(searching *s, medley_error *err) {
  const char *path = arguments_text(s->a, "vectors"), *like = arguments_text(s->a, "like");
  medley_index_info info;
  medley_index_get_info(s->index, &info);
  s->query = (medley_index_query){.k = (size_t)arguments_integer(s->a, "nearest", 10),
                                  .filter = arguments_text(s->a, "filter"),
                                  .breadth = (size_t)arguments_integer(s->a, "breadth", 0),
                                  .exact = arguments_has(s->a, "exact")};
  return path != NULL ? queries_of_file(s, path, info.dim, err) : query_of_like(s, like, info.dim, err);
}

static void self_drop(searching *s) {
  size_t kept = 0;
  for (size_t i = 0; i < s->found[0]; i++)
    if (s->hits[i].id != s->like && kept < s->query.k - 1) s->hits[kept++] = s->hits[i];
  s->found[0] = kept;
}

static medley_status search(searching *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(s->hits, s->count * s->query.k, "hits");
  TRY_NEW(s->found, s->count, "hits");
  TRY(medley_index_search_batch(s->index, &s->query, s->vectors, s->count, s->hits, s->found, &s->answer, err));
  if (s->is_like) self_drop(s);
done:
  return status;
}

/* ---- the report ---- */

/* JSON's whole numbers end at 2^63 here; the ids above are written as words. */
static json_t *id_json(uint64_t id) {
  char text[24];
  if (id <= INT64_MAX) return json_integer((json_int_t)id);
  snprintf(text, sizeof text, "%llu", (unsigned long long)id);
  return json_string(text);
}

static medley_status hit_add(json_t *hits, const medley_index *index, const medley_index_hit *hit, medley_error *err) {
  char *text = NULL;
  json_t *attributes = NULL;
  medley_status status = medley_index_get_attributes(index, hit->id, &text, err);
  if (status == MEDLEY_OK) status = json_parse(text, strlen(text), "attributes", &attributes, err);
  if (status == MEDLEY_ERR_NOT_FOUND) status = MEDLEY_OK; /* removed since: it was there when it was found */
  if (status == MEDLEY_OK &&
      json_array_append_new(hits, json_pack("{s:o, s:f, s:o}", "id", id_json(hit->id), "score", (double)hit->score,
                                            "attributes", attributes ? json_incref(attributes) : json_object())) != 0)
    status = error_memory(err, "the report");
  json_decref(attributes);
  medley_index_text_free(text);
  return status;
}

static medley_status query_add(json_t *queries, const searching *s, size_t query, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *hits = json_array();
  json_t *row = s->is_like ? json_pack("{s:o, s:O}", "like", id_json(s->like), "hits", hits)
                           : json_pack("{s:I, s:O}", "row", (json_int_t)(s->first + query), "hits", hits);
  if (json_array_append_new(queries, row) != 0) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the report");
  for (size_t i = 0; i < s->found[query]; i++) TRY(hit_add(hits, s->index, &s->hits[query * s->query.k + i], err));
done:
  json_decref(hits);
  return status;
}

static medley_status search_json(const searching *s, json_t **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const medley_index_answer *r = &s->answer;
  json_t *queries = json_array();
  json_t *report =
      json_pack("{s:b, s:o, s:I, s:o, s:o}", "exact", r->exact, "recall",
                r->recall < 0 ? json_null() : json_real(r->recall), "compared", (json_int_t)r->distances, "passing",
                r->passing == SIZE_MAX ? json_null() : json_integer((json_int_t)r->passing), "queries", queries);
  if (report == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for the report");
  for (size_t q = 0; q < s->count; q++) TRY(query_add(queries, s, q, err));
  *out = report;
  report = NULL;
done:
  json_decref(report);
  return status;
}

static void value_append(strbuf *b, const json_t *value) {
  char *text = json_is_string(value) || json_is_real(value) ? NULL : json_to_text(value);
  if (json_is_real(value))
    strbuf_printf(b, "%.9g", json_real_value(value));
  else
    strbuf_append(b, json_is_string(value) ? json_string_value(value) : text ? text : "");
  mem_free(text);
}

static void attributes_append(strbuf *b, const json_t *attributes) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)attributes, name, value) {
    strbuf_printf(b, "%s%s ", b->length > 0 ? ", " : "", name);
    value_append(b, value);
  }
}

static void hits_add(table *t, const json_t *query, bool many) {
  size_t i;
  json_t *hit;
  json_array_foreach(json_object_get(query, "hits"), i, hit) {
    strbuf text = {0};
    attributes_append(&text, json_object_get(hit, "attributes"));
    if (many) table_add_printf(t, STYLE_DIM, "%lld", json_member_integer(query, "row", 0));
    table_add_printf(t, STYLE_DIM, "%zu", i + 1);
    const json_t *id = json_object_get(hit, "id");
    if (json_is_string(id))
      table_add(t, json_string_value(id), STYLE_BOLD);
    else
      table_add_printf(t, STYLE_BOLD, "%lld", (long long)json_integer_value(id));
    table_add_printf(t, STYLE_PLAIN, "%.6g", json_member_number(hit, "score", 0));
    table_add(t, text.text, STYLE_PLAIN);
    strbuf_deinit(&text);
  }
}

static void answer_line(console *c, const json_t *report, size_t queries) {
  strbuf text = {0};
  const json_t *recall = json_object_get(report, "recall");
  if (json_is_true(json_object_get(report, "exact")))
    strbuf_append(&text, "exact");
  else if (json_is_number(recall))
    strbuf_printf(&text, "approximate, recall ≈ %.2f", json_number_value(recall));
  else
    strbuf_append(&text, "approximate, recall not measured at this breadth");
  strbuf_append(&text, "; ");
  strbuf_append_count(&text, (uint64_t)json_member_integer(report, "compared", 0));
  strbuf_append(&text, " vectors compared");
  if (queries > 1) strbuf_printf(&text, " for %zu queries", queries);
  if (json_is_integer(json_object_get(report, "passing"))) {
    strbuf_append(&text, ", ");
    strbuf_append_count(&text, (uint64_t)json_member_integer(report, "passing", 0));
    strbuf_append(&text, " pass the filter");
  }
  console_line(c, STYLE_DIM, "%s", text.text ? text.text : "");
  strbuf_deinit(&text);
}

static void search_show(console *c, const json_t *report) {
  table t = {0};
  size_t i;
  json_t *query;
  const json_t *queries = json_object_get(report, "queries");
  bool many = json_array_size(queries) > 1;
  if (many) table_add_column(&t, "query", true, false);
  table_add_column(&t, "", true, false);
  table_add_column(&t, "id", true, false);
  table_add_column(&t, "score", true, false);
  table_add_column(&t, "", false, true);
  json_array_foreach(queries, i, query) hits_add(&t, query, many);
  if (t.cell_count > 0)
    console_table(c, &t, 0);
  else
    console_line(c, STYLE_PLAIN, "nothing found");
  answer_line(c, report, json_array_size(queries));
  table_deinit(&t);
}

medley_status index_search_run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  searching s = {.a = a};
  json_t *report = NULL;
  bool vectors = arguments_has(a, "vectors"), like = arguments_has(a, "like");
  if (vectors == like)
    FAIL(err, MEDLEY_ERR_USAGE, "say what to look for: --vectors FILE.npy or --like ID%s", vectors ? ", not both" : "");
  if (like && arguments_has(a, "row")) FAIL(err, MEDLEY_ERR_USAGE, "--row goes with --vectors");
  index_threads_use(a);
  TRY(medley_index_open(arguments_text(a, "file"), MEDLEY_INDEX_READ_ONLY, &s.index, err));
  TRY(queries_take(&s, err));
  TRY(search(&s, err));
  TRY(search_json(&s, &report, err));
  TRY(index_report(c, report, search_show, err));
done:
  medley_index_close(s.index);
  medley_vectors_free(&s.file);
  mem_free(s.own);
  mem_free(s.hits);
  mem_free(s.found);
  return status;
}
