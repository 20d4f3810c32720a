/* index/filter_parts.h: a filter as a tree, for filter.c, which grows it, filter_compile.c, which walks it, and the
 * slow twin in the tests. */
#ifndef INDEX_FILTER_PARTS_H
#define INDEX_FILTER_PARTS_H

#include "base/memory.h"
#include "index/filter.h"

typedef enum filter_op {
  FILTER_AND,
  FILTER_OR,
  FILTER_NOT,
  FILTER_HAS,
  FILTER_IN, /* = and !=, too: a list of one */
  FILTER_LESS,
  FILTER_LESS_EQUAL,
  FILTER_GREATER,
  FILTER_GREATER_EQUAL,
  FILTER_BETWEEN
} filter_op;

typedef struct filter_value {
  const char *text; /* the word, or the number as it was written */
  size_t length;
  double number;
  uint64_t id;
  bool quoted; /* a word */
  bool whole;  /* digits only, and it fits: an id */
} filter_value;

typedef struct filter_node {
  filter_op op;
  bool negated;     /* a test: has a value, but this does not hold */
  size_t position;  /* the character of the text where it begins, from 1 */
  const char *name; /* a test */
  bool is_id;       /* the name is the id, not an attribute */
  filter_value *values;
  size_t count;
  struct filter_node *child, *next; /* of and, or (two and more), not (one) */
} filter_node;

struct filter {
  arena *memory;
  filter_node *root;
  const char *text; /* in one spelling */
  bool uses_ids;
};

#endif
