/* engine/query.h: what is asked, as vectors.
 *
 * A query has parts: a text, files, items that the answers should be like or unlike. Each part looks at the items
 * through the sides of the space that start from what the part has: words look at texts in the encoder's own space and
 * at pictures in the space of texts and pictures. An item among the query's parts has several modalities itself; each
 * side of the answers is then looked at once, through the nearest modality that the item has.
 */
#ifndef ENGINE_QUERY_H
#define ENGINE_QUERY_H

#include <medley/answer.h>

#include "engine/generation.h"

struct medley_workspace;

#define QUERY_TEXT_MAX 65536 /* bytes */
#define QUERY_LIKE_MAX 100   /* items named in one query, like and unlike each */

/* One look at one side of the items: a vector compared with their rows, or values that were computed already. */
typedef struct query_look {
  const char *name;       /* of the part of the score: "text", "image", "taste" */
  float weight;           /* > 0, before what an item lacks is known */
  const space_side *side; /* NULL: values hold */
  const float *vector;    /* [side->dim] unit */
  const float *values;    /* [items] with mean 0 and deviation 1 */
  const uint8_t *absent;  /* [items] nonzero: the item has no such value */
} query_look;

typedef struct query_part {
  query_look *looks; /* [look_count] */
  size_t look_count;
  float share; /* the positive shares of a query sum to 1; what should be unlike has a negative one */
} query_part;

/* Everything a query owns lives in its arena. */
typedef struct query {
  struct medley_workspace *w; /* borrowed, like all below */
  const generation *g;
  arena *memory;
  uint32_t side;     /* the part of the representation that is looked at; UINT32_MAX: all */
  bool euclidean;    /* distance "l2" */
  query_part *parts; /* [count] */
  size_t count, capacity;
  const char *words;     /* prepared words of the text joined by spaces; "" without */
  float words_share;     /* of BM25 in the score of the text; 0: it is not asked */
  const features *texts; /* of the items, when there is a text in the query */
  size_t text_part;      /* index into parts; SIZE_MAX: words only, or no text */
  float text_share;      /* of the text in the whole query, vectors and words together */
  uint32_t *named;       /* items of like and unlike: they are no answers */
  size_t named_count;    /* at most 2 * QUERY_LIKE_MAX */
} query;

/* side: the name of a modality or of another part of the representation ("tags"); NULL: all. */
medley_status query_init(query *q, struct medley_workspace *w, const generation *g, const char *side,
                         medley_error *err) MEDLEY_CHECK;
void query_deinit(query *q);
/* Reads a whole search request: text, files, like, unlike, distance, words_weight. */
medley_status query_read(query *q, const medley_search_query *asked, medley_error *err) MEDLEY_CHECK;
/* One more part: an item by its key. spare_looks: room for further looks behind look_count. *out may be NULL. */
medley_status query_add_item(query *q, const char *key, float share, size_t spare_looks, query_part **out,
                             medley_error *err) MEDLEY_CHECK;

#endif
