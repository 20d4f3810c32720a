/* medley/answer.h: recommendations, similar items, search, profiles; each result with its reasons.
 *
 * A result's score is the sum of its named parts: the parts are the explanation, and they add up (to 1e-5).
 */
#ifndef MEDLEY_ANSWER_H
#define MEDLEY_ANSWER_H

#include <medley/workspace.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct medley_part {
  const char *name; /* "taste", "text", "image", "audio", "video", "tags", "pairs", "popularity", "freshness", "words",
                       "rule" … */
  double value;
} medley_part;

/* An item of the user's history that speaks for the result. */
typedef struct medley_because {
  const char *item, *title;
  double share; /* of the evidence from the history, 0 to 1 */
} medley_because;

typedef struct medley_result {
  const char *item;  /* key */
  const char *title; /* "" when unknown */
  double score;      /* = the sum of the parts */
  const medley_part *parts;
  size_t part_count;
  int pinned;
  const medley_because *because; /* only with `why` */
  size_t because_count;
  const char *why; /* only with `why`: sentences for people */
  const char
      *counterfactual; /* only with `why`: "Without … you would not see this."; NULL when no single item decides */
} medley_result;

/* Owned by the caller (medley_answer_free). All strings live as long as the answer. */
typedef struct medley_answer {
  const medley_result *results;
  size_t count;
  const char *next;   /* hand it back as `after` for the next page; NULL at the end */
  int64_t generation; /* 0: answered without a trained generation */
  const char *note;   /* how the answer was made when that matters: "no history: popular items"; NULL */
  const char *recall; /* "exact" or "approximate, recall ≈ 0.97" */
} medley_answer;

typedef struct medley_rule {
  const char *item;     /* key, or NULL */
  const char *category; /* or all items of a category or tag, or NULL */
  double amount;        /* boost: added to the score, in units of the score's spread; bury: subtracted */
} medley_rule;

typedef struct medley_recommend_query { /* zero-initialise */
  const char *user;                     /* key; NULL or unknown: a stranger, unless history is given */
  const char *const *history;           /* item keys in place of the stored history, oldest first, NULL-terminated */
  size_t count;                         /* 0: 10; at most 1000 */
  const char *after;                    /* page token of the answer before */
  double diversity;                     /* 0 (only relevance) to 1 (MMR, Carbonell & Goldstein 1998) */
  const char *const *categories;        /* only items of these categories or tags; NULL-terminated */
  const char *const *exclude;           /* never these item keys */
  const char *const *pin; /* these first, in this order; also items newer than the training, then with score 0 */
  const medley_rule *boost, *bury; /* ended by a row with neither item nor category; NULL: none */
  int include_seen;                /* items of the history may come again */
  int why;
} medley_recommend_query;

MEDLEY_API medley_status medley_recommend(medley_workspace *workspace, const medley_recommend_query *query,
                                          medley_answer **answer, medley_error *err) MEDLEY_CHECK;

/* Each part of a query is compared with every side of the items that it can be compared with, its own modality or
 * another one in the space of both. Similarities are counted in deviations above an item met at random, pooled over the
 * sides an item has, so that 0 is chance, and an item gains or loses nothing by lacking a side. The parts of the query
 * share the score evenly; items to be unlike take away, half as much. Items named in like and unlike are no answers,
 * nor is what no part of the query can reach. */
typedef struct medley_search_query { /* zero-initialise; at least one part */
  const char *text;                  /* words in any language */
  const char *image, *audio, *video; /* files */
  const char *const *like;           /* item keys, NULL-terminated */
  const char *const *unlike;
  const char *answer_with; /* "text", "image", "audio", "video": look only at this side of the items; NULL: all sides */
  size_t count;            /* 0: 10; at most 1000 */
  const char *after;
  const char *const *categories;
  /* "cosine" (default), "dot", "l2". All vectors have unit length: dot is the cosine; l2 gives the same order within a
   * side, but weighs a very near side more against the others. */
  const char *distance;
  double words_weight; /* share of BM25 beside the vectors, 0 to 1; 0: the default 0.5; negative: none */
  int why;
  int exact; /* nonzero: compare with every item, also where a graph would answer faster (medley.conf, search) */
} medley_search_query;

MEDLEY_API medley_status medley_search(medley_workspace *workspace, const medley_search_query *query,
                                       medley_answer **answer, medley_error *err) MEDLEY_CHECK;

/* Items like this one, by content and by what people do together with it. */
typedef struct medley_similar_query {
  const char *item;
  size_t count;
  const char *after;
  const char *modality; /* only this side, and not what people choose; NULL: all */
  const char *const *categories;
  int why;
  int exact; /* as in a search */
} medley_similar_query;
MEDLEY_API medley_status medley_similar(medley_workspace *workspace, const medley_similar_query *query,
                                        medley_answer **answer, medley_error *err) MEDLEY_CHECK;

/* A readable interest profile as JSON: tags, words, categories and modalities with weights, activity over time. */
MEDLEY_API medley_status medley_profile(medley_workspace *workspace, const char *user, char **json,
                                        medley_error *err) MEDLEY_CHECK;

/* Why this user (NULL: a stranger) would, or would not, see this item: rank, parts, share of each history item, nearest
 * counterfactual, share of each modality. As JSON. MEDLEY_ERR_NOT_FOUND for a user or item that is not there, and for
 * an item newer than the training. */
MEDLEY_API medley_status medley_explain(medley_workspace *workspace, const char *user, const char *item, char **json,
                                        medley_error *err) MEDLEY_CHECK;

/* The answer as JSON, one object; *json is the caller's (medley_free). */
MEDLEY_API medley_status medley_answer_to_json(const medley_answer *answer, char **json,
                                               medley_error *err) MEDLEY_CHECK;
MEDLEY_API void medley_answer_free(medley_answer *answer);

#ifdef __cplusplus
}
#endif
#endif
