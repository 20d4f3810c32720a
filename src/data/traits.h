/* data/traits.h: what is known of people besides what they did: the attributes of users (age group, country, plan) as
 * traits, each one value of a field, or one range of a field of numbers.
 *
 * A trait that few people share says nothing of anybody else and much of those few, so it is left out; so is a field
 * that hardly anybody shares a value of (names, keys). What is left is small and the same for everybody, so that a
 * generation can keep it and know people whom it has never seen.
 */
#ifndef DATA_TRAITS_H
#define DATA_TRAITS_H

#include "base/json.h"
#include "base/map.h"
#include "math/sparse.h"
#include "store/store.h"

#define TRAIT_FIELDS_MAX 16
#define TRAIT_VALUES_MAX 64   /* of one field */
#define TRAIT_PEOPLE_MIN 10   /* who share a value that is told from others */
#define TRAIT_LENGTH_MAX 64   /* bytes of a value; longer ones are texts */
#define TRAITS_PERSON_MAX 128 /* of one person; what a list tells beyond them is left out */

typedef struct trait_field {
  char *name;
  uint32_t first, count; /* its traits */
  char **value;          /* [count] ascending by strcmp; NULL: ranges of numbers */
  double *bound;         /* [count - 1] ascending: trait k is of numbers from bound[k - 1] up to below bound[k] */
} trait_field;

typedef struct traits {
  trait_field *field; /* [field_count] ascending by name */
  uint32_t field_count, count;
  sparse rows; /* [users, count] 1 where a person has the trait; no rows: out of a manifest */
} traits;

/* What the users of a store are told apart by. user_index: store id → row. No fields where nothing is known. */
medley_status traits_load(const store_kind *kind, store *s, const intmap *user_index, uint32_t user_count, traits *out,
                          medley_error *err) MEDLEY_CHECK;
void traits_deinit(traits *t);

/* A person's traits by their attributes, a JSON object or NULL: out [*count] ascending, without repeats. What cannot be
 * read tells nothing. Thread-safe. */
medley_status traits_of(const traits *t, const char *attributes, uint32_t out[TRAITS_PERSON_MAX], size_t *count,
                        medley_error *err) MEDLEY_CHECK;
/* Which field a trait belongs to. */
uint32_t traits_field(const traits *t, uint32_t trait);

/* Fields, values and bounds, for a manifest; a new array, NULL when memory runs out. */
json_t *traits_to_json(const traits *t);
/* Whoever wrote it. path is for sentences; json NULL: no fields. */
medley_status traits_from_json(const json_t *json, const char *path, traits *out, medley_error *err) MEDLEY_CHECK;

#endif
