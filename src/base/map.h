/* base/map.h: hash maps from strings or integers to int64 values (open addressing, linear probing). */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Strings → int64. Keys are copied. Zero-initialise; deinit frees. Reading is thread-safe while nobody writes. */
typedef struct strmap {
  struct strmap_slot *slots;
  size_t slot_count, count;
  struct arena *keys;
} strmap;

/* Borrowed, stays valid until deinit (also across later puts). NULL when absent. */
const int64_t *strmap_get(const strmap *m, const char *key);
const int64_t *strmap_get_bytes(const strmap *m, const char *key, size_t length);
/* Inserts or overwrites; false when memory runs out. */
bool strmap_put(strmap *m, const char *key, int64_t value);
/* The value of key, inserted as `fresh` when absent. *added may be NULL. NULL when memory runs out. */
int64_t *strmap_get_or_put(strmap *m, const char *key, size_t length, int64_t fresh, bool *added);
/* The key under which a value that get or get_or_put returned is kept: NUL-terminated, borrowed like the value. */
const char *strmap_key(const int64_t *value);
size_t strmap_bytes(const strmap *m); /* memory in use */
void strmap_deinit(strmap *m);
/* Walks all entries in slot order: start with *cursor = 0; false at the end. */
bool strmap_next(const strmap *m, size_t *cursor, const char **key, int64_t *value);

/* int64 → int64. */
typedef struct intmap {
  struct intmap_slot *slots;
  size_t slot_count, count;
} intmap;

const int64_t *intmap_get(const intmap *m, int64_t key); /* valid until the next put */
bool intmap_put(intmap *m, int64_t key, int64_t value);
void intmap_deinit(intmap *m);

#endif
