/* explain/why.h: parts and evidence in words (F83). Everything said is computed; nothing is guessed. */
#ifndef EXPLAIN_WHY_H
#define EXPLAIN_WHY_H

#include "base/strbuf.h"

typedef struct why_part {
  const char *name; /* "taste", "image", … */
  double value;
  size_t friends; /* how many of those whom the reader follows it stands for; 0: none, or not known */
} why_part;

typedef struct why_item {
  const char *title;
  double share; /* of the evidence from the history */
} why_item;

/* What the parts are held against: the reader's history, what they searched for, an item they look at. */
typedef enum why_subject { WHY_HISTORY, WHY_QUERY, WHY_ITEM } why_subject;

/* What is told of a part: everything, for an item that is not shown ("why not"), or only what speaks for the item
 * beside the others, for one that is. Parts of a blend have mean 0 over all items, so what is above 0 does. */
typedef enum why_telling { WHY_FOR, WHY_FOR_AND_AGAINST } why_telling;

/* Sentences such as: Because you chose “Alien” (41 %) and “Aliens” (22 %). It is chosen by people with your taste
 * (+1.82) and its text is close to your history (+0.40). parts in any order; evidence best first. */
void why_sentences(why_subject subject, why_telling telling, const why_part *parts, size_t part_count,
                   const why_item *evidence, size_t evidence_count, strbuf *out);

#endif
