/* base/json.h: jansson with limits, and getters that say what is wrong.
 *
 * Texts from outside are bounded in bytes (by the caller) and in nesting (JSON_DEPTH_MAX) before jansson sees them. All
 * json_t are jansson's, with its reference counts: use json_decref.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

#define JSON_DEPTH_MAX 64

/* One JSON value. `name` names the source in the sentence ("items.jsonl line 7"). */
medley_status json_parse(const char *text, size_t length, const char *name, json_t **out,
                         medley_error *err) MEDLEY_CHECK;
/* A file of at most limit bytes. */
medley_status json_parse_file(const char *path, size_t limit, json_t **out, medley_error *err) MEDLEY_CHECK;
/* Sorted keys, indented; written beside and renamed. */
medley_status json_write_file(const char *path, const json_t *value, medley_error *err) MEDLEY_CHECK;
/* Compact text, keys in insertion order; mem_free. NULL when memory runs out. */
char *json_to_text(const json_t *value);

/* Borrowed members of an object, with a fallback when absent or of another type. */
const char *json_member_string(const json_t *object, const char *key, const char *fallback);
double json_member_number(const json_t *object, const char *key, double fallback);
long long json_member_integer(const json_t *object, const char *key, long long fallback);

#endif
