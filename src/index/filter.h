/* index/filter.h: from `category = "shoes" and price < 50` to the set of slots that a search may answer.
 *
 * The language (docs/filters.md), words of it in any case:
 *
 *     filter  = all {"or" all}                      all = one {"and" one}
 *     one     = "not" one | "(" filter ")" | test
 *     test    = "has" name
 *             | name ("=" | "==" | "!=" | "<" | "<=" | ">" | ">=") value
 *             | name ["not"] "in" "(" value {"," value} ")"
 *             | name ["not"] "between" number "and" number       both ends belong to it
 *     value   = number | true | false | "word" | 'word'          \ before a quote or a \ in it
 *     name    = letters, digits, _ . - and all beyond ASCII, no digit or - or . first; or `anything`; or id
 *
 * A test of what a slot does not have is false, also with != and the two forms of `not`: they ask for slots that have a
 * value, but another one. `not (...)` is the plain opposite: `not (price < 5)` holds for a slot without a price. There
 * is no third truth value. A slot with several words passes `=` when one of them is it, `!=` when none is.
 *
 * A filter is compiled into a bitmap over all slots rather than asked row by row inside the search: the walk through a
 * graph then pays one bit test, the number of rows that pass is known exactly before the search begins (it decides
 * between the walk and looking at the few), and the bitmap can be kept for the next query (filter_cache).
 */
#ifndef INDEX_FILTER_H
#define INDEX_FILTER_H

#include <stdbool.h>

#include "index/attributes.h"

#define FILTER_TEXT_MAX ((size_t)1 << 20) /* bytes */
#define FILTER_DEPTH_MAX 32               /* of parentheses and nots */
#define FILTER_TESTS_MAX 256
#define FILTER_VALUES_MAX 65536 /* in all lists together */

/* ---- text → filter ---- */

typedef struct filter filter;

/* Refuses with the character (the first is 1) where the text is wrong, what stands there, and what was expected. A
 * filter never changes, so any number of threads may use it. */
medley_status filter_parse(const char *text, filter **out, medley_error *err) MEDLEY_CHECK;
void filter_free(filter *f);
/* The filter in one spelling whatever the spaces, capitals, quotes and needless parentheses of its text. Borrowed. */
const char *filter_text(const filter *f);
/* True when it names ids, so that it depends on labels. */
bool filter_uses_ids(const filter *f);

/* ---- filter → slots ---- */

/* Who has which id. `find` is called by the thread that compiles, with no lock of ours held; its errors are passed on.
 */
#define FILTER_NOBODY UINT32_MAX
typedef struct filter_labels {
  medley_status (*find)(void *context, uint64_t id, uint32_t *slot, medley_error *err); /* or FILTER_NOBODY */
  void *context;
  uint64_t version; /* another one after each change of an id, for filter_cache */
} filter_labels;

/* Zero-initialise. Its bits are what index_allow (index.h) borrows. */
typedef struct filter_set {
  uint64_t *words; /* a bit per slot, [(slots + 63) / 64]; bits from `slots` on are 0 */
  size_t slots;
  size_t count;     /* bits set */
  uint64_t version; /* of the attributes it was made from */
} filter_set;

/* Slots below `slots` that pass. labels may be NULL for a filter without ids. Refuses a name that no slot ever had
 * (MEDLEY_ERR_NOT_FOUND: a misspelt name would else quietly find nothing) and a test that does not suit the name's
 * kind. A word or an id that nobody has is no error. Holds the attributes' read lock while it looks at them. */
medley_status filter_compile(const filter *f, const attributes *a, size_t slots, const filter_labels *labels,
                             filter_set *out, medley_error *err) MEDLEY_CHECK;
void filter_set_deinit(filter_set *s);

/* ---- filters used again ---- */

/* The sets of the filters used last. An entry holds as long as attributes, slots and (with ids) labels are the same:
 * after any write it is made anew, so the cache pays when searches are many and writes few. All functions but create
 * and free may be called by any thread. */
typedef struct filter_cache filter_cache;

typedef struct filter_cache_stats {
  size_t entries, bytes, hits, misses;
} filter_cache_stats;

/* limit_bytes bounds what is kept, sets and texts together; a set larger than that is made and handed out all the same.
 */
medley_status filter_cache_create(size_t limit_bytes, filter_cache **out, medley_error *err) MEDLEY_CHECK;
/* When every set was given back. */
void filter_cache_free(filter_cache *c);
/* As filter_compile. *out stays valid until it is given back by filter_cache_release, also when the cache has dropped
 * it meanwhile. Two threads that ask for the same new filter at once may both compile it. */
medley_status filter_cache_get(filter_cache *c, const filter *f, const attributes *a, size_t slots,
                               const filter_labels *labels, const filter_set **out, medley_error *err) MEDLEY_CHECK;
void filter_cache_release(const filter_set *set); /* NULL is allowed */
void filter_cache_get_stats(filter_cache *c, filter_cache_stats *out);

#endif
