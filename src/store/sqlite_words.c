/* store/sqlite_words.c: full-text search over prepared words, by FTS5 with BM25.
 *
 * The words come segmented, folded and stemmed from media/text, joined by spaces, so the tokenizer's only work is to
 * cut at spaces: every letter, mark, number, punctuation and symbol counts as part of a word (the default categories
 * would cut Thai and Hindi words at their vowel signs). */
#include <string.h>

#include "base/memory.h"
#include "store/sqlite.h"

#define QUERY_WORDS_MAX 512 /* further words of a query change the order of results no more */

medley_status sqlite_put_words(store *s, int64_t item_id, const char *words, medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  TRY(store_text_check("item", "words", "list of words", words, err));
  TRY(savepoint_begin(s, err));
  status = statement_run_id(s, "DELETE FROM words WHERE rowid = ?1", item_id, err);
  if (status == MEDLEY_OK) status = statement_take(s, "INSERT INTO words (rowid, content) VALUES (?1, ?2)", &st, err);
  if (status == MEDLEY_OK) {
    sqlite3_bind_int64(st, 1, item_id);
    bind_text(st, 2, words);
    status = statement_run(s, st, err);
  }
  statement_give(s, st);
  status = savepoint_end(s, status, err);
done:
  return status;
}

/* "a b" becomes "a" OR "b", each word once and quoted, so that nothing in it is read as FTS5 syntax. */
static medley_status query_build(const char *query, strbuf *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strmap seen = {0};
  for (const char *word = query + strspn(query, " "); *word && seen.count < QUERY_WORDS_MAX;) {
    size_t length = strcspn(word, " ");
    bool added;
    if (strmap_get_or_put(&seen, word, length, 0, &added) == NULL) {
      status = error_memory(err, "a query");
      goto done;
    }
    if (added) {
      strbuf_append(out, out->length > 0 ? " OR \"" : "\"");
      for (size_t i = 0; i < length; i++) {
        if (word[i] == '"') strbuf_append_char(out, '"');
        strbuf_append_char(out, word[i]);
      }
      strbuf_append_char(out, '"');
    }
    word += length;
    word += strspn(word, " ");
  }
  if (out->failed) status = error_memory(err, "a query");
done:
  strmap_deinit(&seen);
  return status;
}

medley_status sqlite_search_words(store *s, const char *query, size_t limit, store_hit *hits, size_t *count,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  sqlite3_stmt *st = NULL;
  strbuf expression = {.limit = STORE_TEXT_MAX};
  *count = 0;
  TRY(store_text_check("query", "", "text", query, err));
  TRY(query_build(query, &expression, err));
  if (expression.length == 0) goto done;
  /* FTS5's bm25 is the smaller the better, with k1 = 1.2 and b = 0.75; rowid settles ties. The order names the result
   * column, so that bm25, by far the costliest step, is computed once a row. */
  TRY(statement_take(
      s, "SELECT rowid, bm25(words) AS score FROM words WHERE words MATCH ?1 ORDER BY score, rowid LIMIT ?2", &st,
      err));
  bind_text(st, 1, expression.text);
  sqlite3_bind_int64(st, 2, limit > INT64_MAX ? -1 : (int64_t)limit);
  while (*count < limit) {
    bool row;
    TRY(statement_step(s, st, &row, err));
    if (!row) break;
    hits[(*count)++] = (store_hit){.item_id = sqlite3_column_int64(st, 0), .score = -sqlite3_column_double(st, 1)};
  }
done:
  statement_give(s, st);
  strbuf_deinit(&expression);
  return status;
}
