/* base/map.c: see base/map.h.
 *
 * Keys of catalogues are short and come from outside, so the hash is seeded FNV-1a with a strong finish rather than a
 * keyed cryptographic one: an attacker who can import a million colliding keys can as well import a million rows. */
#include "base/map.h"

#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

struct strmap_slot {
  const char *key; /* NULL: empty */
  uint32_t length;
  uint32_t hash;
  int64_t *value; /* in the arena, so that it never moves */
};

static uint32_t hash_bytes(const char *bytes, size_t length) {
  uint64_t h = 0xcbf29ce484222325ULL;
  for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3ULL;
  return (uint32_t)hash_finish(h);
}

static struct strmap_slot *strmap_find(struct strmap_slot *slots, size_t slot_count, const char *key, size_t length,
                                       uint32_t hash) {
  size_t mask = slot_count - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    struct strmap_slot *slot = &slots[i];
    if (slot->key == NULL) return slot;
    if (slot->hash == hash && slot->length == length && memcmp(slot->key, key, length) == 0) return slot;
  }
}

static bool strmap_grow(strmap *m) {
  size_t wanted = m->slot_count ? m->slot_count * 2 : 64;
  struct strmap_slot *slots = mem_zalloc(wanted, sizeof *slots);
  if (slots == NULL) return false;
  for (size_t i = 0; i < m->slot_count; i++) {
    const struct strmap_slot *old = &m->slots[i];
    if (old->key != NULL) *strmap_find(slots, wanted, old->key, old->length, old->hash) = *old;
  }
  mem_free(m->slots);
  m->slots = slots;
  m->slot_count = wanted;
  return true;
}

const int64_t *strmap_get_bytes(const strmap *m, const char *key, size_t length) {
  if (m->slot_count == 0 || length > UINT32_MAX) return NULL;
  const struct strmap_slot *slot = strmap_find(m->slots, m->slot_count, key, length, hash_bytes(key, length));
  return slot->key ? slot->value : NULL;
}

const int64_t *strmap_get(const strmap *m, const char *key) { return strmap_get_bytes(m, key, strlen(key)); }

int64_t *strmap_get_or_put(strmap *m, const char *key, size_t length, int64_t fresh, bool *added) {
  if (added != NULL) *added = false;
  if (length > UINT32_MAX) return NULL;
  if ((m->count + 1) * 4 > m->slot_count * 3 && !strmap_grow(m)) return NULL;
  uint32_t hash = hash_bytes(key, length);
  struct strmap_slot *slot = strmap_find(m->slots, m->slot_count, key, length, hash);
  if (slot->key != NULL) return slot->value;
  if (m->keys == NULL && (m->keys = arena_create(0)) == NULL) return NULL;
  int64_t *value = arena_alloc(m->keys, 1, sizeof *value + length + 1);
  if (value == NULL) return NULL;
  *value = fresh;
  char *copy = (char *)(value + 1);
  memcpy(copy, key, length);
  *slot = (struct strmap_slot){.key = copy, .length = (uint32_t)length, .hash = hash, .value = value};
  m->count++;
  if (added != NULL) *added = true;
  return value;
}

bool strmap_put(strmap *m, const char *key, int64_t value) {
  int64_t *slot = strmap_get_or_put(m, key, strlen(key), value, NULL);
  if (slot == NULL) return false;
  *slot = value;
  return true;
}

const char *strmap_key(const int64_t *value) { return (const char *)(value + 1); }

size_t strmap_bytes(const strmap *m) {
  return m->slot_count * sizeof *m->slots + (m->keys != NULL ? arena_bytes(m->keys) : 0);
}

bool strmap_next(const strmap *m, size_t *cursor, const char **key, int64_t *value) {
  while (*cursor < m->slot_count) {
    const struct strmap_slot *slot = &m->slots[(*cursor)++];
    if (slot->key == NULL) continue;
    *key = slot->key;
    *value = *slot->value;
    return true;
  }
  return false;
}

void strmap_deinit(strmap *m) {
  mem_free(m->slots);
  arena_free(m->keys);
  *m = (strmap){0};
}

struct intmap_slot {
  int64_t key, value;
  bool used;
};

static struct intmap_slot *intmap_find(struct intmap_slot *slots, size_t slot_count, int64_t key) {
  size_t mask = slot_count - 1;
  for (size_t i = hash_finish((uint64_t)key) & mask;; i = (i + 1) & mask)
    if (!slots[i].used || slots[i].key == key) return &slots[i];
}

const int64_t *intmap_get(const intmap *m, int64_t key) {
  if (m->slot_count == 0) return NULL;
  const struct intmap_slot *slot = intmap_find(m->slots, m->slot_count, key);
  return slot->used ? &slot->value : NULL;
}

bool intmap_put(intmap *m, int64_t key, int64_t value) {
  if ((m->count + 1) * 4 > m->slot_count * 3) {
    size_t wanted = m->slot_count ? m->slot_count * 2 : 64;
    struct intmap_slot *slots = mem_zalloc(wanted, sizeof *slots);
    if (slots == NULL) return false;
    for (size_t i = 0; i < m->slot_count; i++)
      if (m->slots[i].used) *intmap_find(slots, wanted, m->slots[i].key) = m->slots[i];
    mem_free(m->slots);
    m->slots = slots;
    m->slot_count = wanted;
  }
  struct intmap_slot *slot = intmap_find(m->slots, m->slot_count, key);
  if (!slot->used) m->count++;
  *slot = (struct intmap_slot){.key = key, .value = value, .used = true};
  return true;
}

void intmap_deinit(intmap *m) {
  mem_free(m->slots);
  *m = (intmap){0};
}
