/* engine/match.c: see engine/match.h. */
#include "engine/match.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/workspace.h"
#include "math/vector.h"

/* Below so many multiplications the start of a thread team costs more than it saves. */
#define PARALLEL_WORK ((size_t)1 << 20)
#define WORDS_TOLD 5
/* How far the sides of an item agree by themselves: the text of a red shirt and its picture tell partly the same. With
 * 0 (independent) items with many sides push out exact matches that have one, with 1 (the mean) a second side that fits
 * is worth nothing. PERFORMANCE.md, "Search through the engine". */
#define SIDES_CORRELATION 0.5

/* ---- one item ---- */

static bool look_reaches(const query_look *look, uint32_t item) {
  return look->side != NULL ? look->side->present[item] != 0 : look->absent == NULL || !look->absent[item];
}

/* Vectors have unit length, so the dot product is the cosine. The Euclidean distance is sqrt(2 - 2 cos): the same order
 * within one side, but its scale opens towards the nearest, so that one very near side weighs more than several
 * middling ones. Mean and deviation follow to first order. */
static double look_value(const query *q, const query_look *look, uint32_t item) {
  const space_side *side = look->side;
  if (side == NULL) return look->values[item];
  double z = space_side_score(side, look->vector, item);
  if (!q->euclidean) return z;
  double middle = sqrt(fmax(2 - 2 * (double)side->mean, 1e-6));
  double distance = sqrt(fmax(2 - 2 * ((double)side->mean + z * (double)side->deviation), 0));
  return (middle - distance) * middle / side->deviation;
}

static double match_look(const query *q, const query_look *look, uint32_t item, double *weight) {
  *weight = look_reaches(look, item) ? look->weight : 0;
  return *weight > 0 ? *weight * look_value(q, look, item) : 0;
}

/* The deviation of a weighted sum of z values, which the sum is divided by. */
static double pool_deviation(double sum, double squares) {
  return squares > 0 ? sqrt((1 - SIDES_CORRELATION) * squares + SIDES_CORRELATION * sum * sum) : 1;
}

static double match_part(const query *q, const query_part *part, uint32_t item) {
  double score = 0, sum = 0, squares = 0, weight;
  for (size_t l = 0; l < part->look_count; l++) {
    score += match_look(q, &part->looks[l], item, &weight);
    sum += weight;
    squares += weight * weight;
  }
  return score / pool_deviation(sum, squares);
}

/* The share of a part in the score of this item. Words take theirs from the text's vectors; an item without any text
 * keeps as much as gives it the same deviation as the others: it does not lose by lacking words. */
static double part_share(const match *m, size_t p, uint32_t item) {
  const query *q = m->q;
  double share = q->parts[p].share, words = q->words_share;
  if (p != q->text_part || words == 0) return share;
  return share * (q->texts->present[item] ? 1 - words : pool_deviation(1, (1 - words) * (1 - words) + words * words));
}

static double item_score(const match *m, uint32_t item) {
  double score = m->words != NULL ? m->words[item] : 0;
  for (size_t p = 0; p < m->q->count; p++) score += part_share(m, p, item) * match_part(m->q, &m->q->parts[p], item);
  return score;
}

/* Whether anything in the query can tell something of the item. */
static bool item_is_reached(const match *m, uint32_t item) {
  if (m->words != NULL && m->words[item] > 0) return true;
  for (size_t p = 0; p < m->q->count; p++)
    for (size_t l = 0; l < m->q->parts[p].look_count; l++)
      if (look_reaches(&m->q->parts[p].looks[l], item)) return true;
  return false;
}

/* ---- all items ---- */

static size_t work_per_item(const query *q) {
  size_t work = 0;
  for (size_t p = 0; p < q->count; p++)
    for (size_t l = 0; l < q->parts[p].look_count; l++)
      work += q->parts[p].looks[l].side ? q->parts[p].looks[l].side->dim : 1;
  return work;
}

/* Narrowed: only what b->seen marks. */
static void match_all(const match *m, bool narrowed) {
  size_t n = m->q->g->item_count;
#pragma omp parallel for schedule(static) if (!narrowed && n * work_per_item(m->q) > PARALLEL_WORK)
  for (uint32_t i = 0; i < n; i++) {
    if (m->b->skip[i]) continue;
    m->b->skip[i] = (narrowed && !m->b->seen[i]) || !item_is_reached(m, i);
    if (!m->b->skip[i]) m->b->total[i] = (float)item_score(m, i);
  }
}

/* ---- one result ---- */

static medley_status parts_add(const match *m, uint32_t item, answer_builder *out, medley_result *result,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t p = 0; p < m->q->count; p++) {
    const query_part *part = &m->q->parts[p];
    double sum = 0, squares = 0, weight;
    for (size_t l = 0; l < part->look_count; l++) {
      match_look(m->q, &part->looks[l], item, &weight);
      sum += weight;
      squares += weight * weight;
    }
    double share = part_share(m, p, item) / pool_deviation(sum, squares);
    for (size_t l = 0; l < part->look_count; l++)
      TRY(answer_add_part(out, result, part->looks[l].name, share * match_look(m->q, &part->looks[l], item, &weight),
                          err));
  }
  if (m->words != NULL) TRY(answer_add_part(out, result, "words", m->words[item], err));
done:
  return status;
}

/* The words of the query that stand in the item. */
typedef struct words_found {
  strmap wanted; /* word → 1, or 0 once told */
  strbuf *out;
  size_t told;
} words_found;

static bool word_take(void *context, const char *word, size_t length, size_t position) {
  (void)position;
  words_found *f = context;
  int64_t *wanted = (int64_t *)strmap_get_bytes(&f->wanted, word, length);
  if (wanted == NULL || *wanted == 0) return true;
  *wanted = 0;
  strbuf_append(f->out, f->told++ ? ", “" : " It contains “");
  strbuf_append_bytes(f->out, word, length);
  strbuf_append(f->out, "”");
  return f->told < WORDS_TOLD;
}

static medley_status words_why(const match *m, uint32_t item, strbuf *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  text_preparer *preparer;
  strbuf text = {0};
  words_found found = {.out = out};
  if (m->words == NULL || !(m->words[item] > 0)) return MEDLEY_OK;
  TRY(workspace_preparer(m->q->w, &m->q->g->content->prepare, &preparer, err));
  TRY(represent_item_text(&m->q->g->items, m->q->g->catalogue_at[item], &text, err));
  for (const char *word = m->q->words; *word != '\0';) {
    size_t length = strcspn(word, " ");
    if (length > 0 && strmap_get_or_put(&found.wanted, word, length, 1, NULL) == NULL) {
      status = error_memory(err, "words");
      goto done;
    }
    word += length + (word[length] == ' ');
  }
  TRY(text_words(preparer, text.text, word_take, &found, err));
  if (found.told > 0) strbuf_append(out, ".");
done:
  strmap_deinit(&found.wanted);
  strbuf_deinit(&text);
  return status;
}

static medley_status result_why(const match *m, uint32_t item, answer_builder *out, medley_result *result,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  why_part parts[ANSWER_PARTS_MAX];
  for (size_t p = 0; p < result->part_count; p++)
    parts[p] = (why_part){.name = result->parts[p].name, .value = result->parts[p].value};
  why_sentences(m->subject, WHY_FOR_AND_AGAINST, parts, result->part_count, NULL, 0, &text);
  TRY(words_why(m, item, &text, err));
  result->why = text.failed ? NULL : answer_keep(out, text.text ? text.text : "");
  if (result->why == NULL) status = error_memory(err, "an answer");
done:
  strbuf_deinit(&text);
  return status;
}

static medley_status result_fill(const match *m, uint32_t item, answer_builder *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const catalogue_item *entry = generation_item(m->q->g, item);
  medley_result *result = answer_add(out, entry->key, entry->title);
  if (result == NULL) return error_memory(err, "an answer");
  TRY(parts_add(m, item, out, result, err));
  if (m->why) TRY(result_why(m, item, out, result, err));
done:
  return status;
}

/* ---- the page ---- */

static const char *match_note(const match *m, const page *at, size_t found) {
  if (at->generation != 0 && at->generation != m->q->g->number) return "the models changed since the page before";
  if (found == 0 && at->offset == 0) return "nothing in this catalogue answers that";
  if (m->q->words[0] != '\0' && m->q->count == 0 && m->q->words_share < 1)
    return "no word of the text means anything to the models: only items that contain one are found";
  return NULL;
}

/* "exact", or how much of the exact answer such answers hold. */
static char *recall_told(const match *m, bool narrowed, answer_builder *out) {
  char text[64];
  double recall = m->q->g->graphs.recall;
  if (!narrowed) return answer_keep(out, "exact");
  if (recall < 0) return answer_keep(out, "approximate, recall not measured");
  snprintf(text, sizeof text, "approximate, recall ≈ %.2f", recall);
  return answer_keep(out, text);
}

static medley_status answer_make(const match *m, const page *at, size_t found, bool narrowed, medley_answer **answer,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  answer_builder out;
  char next[64];
  size_t left = found > at->offset ? found - at->offset : 0, count = left < m->count ? left : m->count;
  TRY(answer_builder_init(&out, count, err));
  for (size_t i = 0; i < count; i++) TRY(result_fill(m, m->b->ranked[at->offset + i].index, &out, err));
  out.answer->generation = m->q->g->number;
  out.answer->recall = recall_told(m, narrowed, &out);
  if (out.answer->recall == NULL) status = error_memory(err, "an answer");
  const char *note = match_note(m, at, found);
  if (note != NULL && (out.answer->note = answer_keep(&out, note)) == NULL) status = error_memory(err, "an answer");
  if (left > m->count) {
    snprintf(next, sizeof next, "%lld.%zu.0", (long long)m->q->g->number, (size_t)at->offset + count);
    if ((out.answer->next = answer_keep(&out, next)) == NULL) status = error_memory(err, "an answer");
  }
  if (status == MEDLEY_OK) *answer = answer_builder_take(&out);
done:
  answer_builder_deinit(&out);
  return status;
}

medley_status match_answer(const match *m, medley_answer **answer, medley_error *err) {
  medley_status status = MEDLEY_OK;
  page at;
  bool narrowed = false;
  size_t n = m->q->g->item_count;
  TRY(page_parse(m->after, &at, err));
  TRY(filter_categories(m->q->g, m->categories, m->b->skip, err));
  for (size_t i = 0; i < m->q->named_count; i++) m->b->skip[m->q->named[i]] = 1;
  size_t wanted = at.offset + m->count + 1; /* one more tells whether there is a next page */
  if (!m->exact) TRY(graphs_choose(&m->q->g->graphs, m->q, m->words, m->b->skip, wanted, m->b->seen, &narrowed, err));
  match_all(m, narrowed);
  size_t found = top_k(m->b->total, n, m->b->skip, wanted < n ? wanted : n, m->b->ranked);
  TRY(answer_make(m, &at, found, narrowed, answer, err));
done:
  return status;
}
