/* engine/answer_buffers.h: memory that one handle's requests share, so that answering does not allocate once warm;
 * building answers; and the history of a request. */
#ifndef ENGINE_ANSWER_BUFFERS_H
#define ENGINE_ANSWER_BUFFERS_H

#include <medley/answer.h>

#include "engine/generation.h"
#include "recommend/blend.h"
#include "math/vector.h"

struct medley_workspace;

typedef struct answer_buffers {
  recommender_scratch scratch;
  size_t items; /* what the arrays below have room for */
  size_t parts;
  float *total;   /* [items] */
  float *columns; /* [parts, items] what each part adds */
  float *rule;    /* [items] what rules add; for similar items: what people choose together */
  uint8_t *skip;  /* [items] */
  scored *ranked; /* [items] */
  /* the history */
  history_buffer history;
  uint32_t trait[TRAITS_PERSON_MAX]; /* what else is known of the user */
  uint32_t *friends;                 /* [friend_capacity] whom the user follows, and … */
  float *trust;                      /* … how much */
  size_t friend_capacity, trust_capacity;
  uint8_t *seen; /* [items] anything the user met, also what they disliked */
  intmap
      type_index; /* store event type → index into generation.type_weight, or -1 - (2 · weight + rating) of its name */
  int64_t type_generation; /* the generation type_index was made for */
} answer_buffers;

void answer_buffers_free(answer_buffers *b);
/* Room for g's items, and `parts` columns. */
medley_status answer_buffers_reserve(struct medley_workspace *w, const generation *g, size_t parts,
                                     answer_buffers **out, medley_error *err) MEDLEY_CHECK;

#define HISTORY_ALL UINT64_MAX
/* What the user did, as the models want it. user NULL or unknown: empty. Only the first limit_events events (for stable
 * pages) or HISTORY_ALL; *event_count is how many there were, *untrained (may be NULL) how many of them are with items
 * that came after the training. Marks b->seen. */
medley_status history_of_user(struct medley_workspace *w, const generation *g, const char *user, uint64_t limit_events,
                              answer_buffers *b, history *out, uint64_t *event_count, uint64_t *untrained, bool *known,
                              medley_error *err) MEDLEY_CHECK;
/* Item keys in place of a user. Unknown keys are an error. */
medley_status history_of_keys(struct medley_workspace *w, const generation *g, const char *const *keys,
                              answer_buffers *b, history *out, uint64_t *untrained, medley_error *err) MEDLEY_CHECK;

/* ---- building answers ---- */

#define ANSWER_PARTS_MAX 40

typedef struct answer_builder {
  arena *memory;
  medley_answer *answer;
  medley_result *results;
  size_t capacity;
} answer_builder;

medley_status answer_builder_init(answer_builder *b, size_t capacity, medley_error *err) MEDLEY_CHECK;
/* The next result, with room for part_max parts; fill its parts through answer_add_part. NULL when memory runs out. */
medley_result *answer_add(answer_builder *b, const char *item, const char *title);
/* Adds to the part of that name, or opens it. Zero is not told. */
medley_status answer_add_part(answer_builder *b, medley_result *result, const char *name, double value,
                              medley_error *err) MEDLEY_CHECK;
char *answer_keep(answer_builder *b, const char *text);
medley_answer *answer_builder_take(answer_builder *b);
void answer_builder_deinit(answer_builder *b);

/* Marks in skip what is outside the wanted categories and tags (NULL: all are wanted). A name nobody uses is an error.
 */
medley_status filter_categories(const generation *g, const char *const *categories, uint8_t *skip,
                                medley_error *err) MEDLEY_CHECK;

/* How many results a page has when 0 or so many were asked for; more than the maximum is an error. */
#define ANSWER_COUNT_USUAL 10
#define ANSWER_COUNT_MAX 1000
medley_status answer_count(size_t asked, size_t *count, medley_error *err) MEDLEY_CHECK;

/* Page tokens: "<generation>.<offset>.<events>", all decimal. */
typedef struct page {
  int64_t generation;
  uint64_t offset, events;
} page;
medley_status page_parse(const char *after, page *out, medley_error *err) MEDLEY_CHECK;

#endif
