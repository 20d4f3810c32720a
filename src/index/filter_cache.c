/* index/filter_cache.c: the bitmaps of the filters used last, by their text.
 *
 * A hash table with chains beside a list in order of use, both under one mutex that is held for a look-up, never while
 * a filter is compiled. An entry counts who holds it; the cache is one of them, so dropping an entry is giving it back.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "index/filter.h"

#define CACHE_BUCKETS 1024
#define CACHE_ENTRIES_MAX 4096

/* What an entry was made from. */
typedef struct cache_key {
  const char *text;
  uint64_t hash;
  uint64_t version, labels_version; /* of attributes; of labels, 0 without ids */
  size_t slots;
} cache_key;

typedef struct cache_entry {
  filter_set set; /* first: what callers hold is the entry */
  cache_key key;  /* text: own */
  size_t bytes;
  atomic_size_t holders;
  struct cache_entry *chain;         /* of the bucket */
  struct cache_entry *newer, *older; /* by use */
} cache_entry;

struct filter_cache {
  pthread_mutex_t lock;
  cache_entry *buckets[CACHE_BUCKETS];
  cache_entry *newest, *oldest;
  size_t limit_bytes;
  filter_cache_stats stats;
};

medley_status filter_cache_create(size_t limit_bytes, filter_cache **out, medley_error *err) {
  filter_cache *c = *out = mem_zalloc(1, sizeof *c);
  if (c == NULL) return error_memory(err, "a cache of filters");
  c->limit_bytes = limit_bytes;
  pthread_mutex_init(&c->lock, NULL);
  return MEDLEY_OK;
}

static void entry_give_back(cache_entry *e) {
  if (atomic_fetch_sub(&e->holders, 1) > 1) return;
  filter_set_deinit(&e->set);
  mem_free((char *)e->key.text);
  mem_free(e);
}

/* ---- with the lock held ---- */

static void use_unlink(filter_cache *c, cache_entry *e) {
  *(e->newer ? &e->newer->older : &c->newest) = e->older;
  *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void use_link(filter_cache *c, cache_entry *e) {
  e->newer = NULL;
  e->older = c->newest;
  *(c->newest ? &c->newest->newer : &c->oldest) = e;
  c->newest = e;
}

static cache_entry **entry_place(filter_cache *c, const cache_key *key) {
  cache_entry **at = &c->buckets[key->hash % CACHE_BUCKETS];
  while (*at != NULL && ((*at)->key.hash != key->hash || strcmp((*at)->key.text, key->text) != 0)) at = &(*at)->chain;
  return at;
}

static void entry_drop(filter_cache *c, cache_entry *e) {
  *entry_place(c, &e->key) = e->chain;
  use_unlink(c, e);
  c->stats.entries--;
  c->stats.bytes -= e->bytes;
  entry_give_back(e);
}

/* An older entry with the same text is of an older version, or another thread's of just now: either way it goes. */
static void entry_keep(filter_cache *c, cache_entry *e) {
  cache_entry *same = *entry_place(c, &e->key);
  if (same != NULL) entry_drop(c, same);
  if (e->bytes > c->limit_bytes) return;
  while (c->oldest != NULL && (c->stats.bytes + e->bytes > c->limit_bytes || c->stats.entries == CACHE_ENTRIES_MAX))
    entry_drop(c, c->oldest);
  cache_entry **at = entry_place(c, &e->key);
  e->chain = NULL;
  *at = e;
  use_link(c, e);
  c->stats.entries++;
  c->stats.bytes += e->bytes;
  atomic_fetch_add(&e->holders, 1);
}

static cache_entry *entry_find(filter_cache *c, const cache_key *key) {
  cache_entry *e = *entry_place(c, key);
  if (e == NULL || e->key.version != key->version || e->key.labels_version != key->labels_version ||
      e->key.slots != key->slots) {
    c->stats.misses++;
    return NULL;
  }
  c->stats.hits++;
  use_unlink(c, e);
  use_link(c, e);
  atomic_fetch_add(&e->holders, 1);
  return e;
}

/* ---- */

static uint64_t hash_text(const char *text) {
  uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */
  for (; *text != '\0'; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
  return hash;
}

static medley_status entry_create(const filter *f, const attributes *a, cache_key key, const filter_labels *labels,
                                  cache_entry **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  cache_entry *e = mem_zalloc(1, sizeof *e);
  if (e == NULL || (key.text = mem_strdup(key.text)) == NULL) {
    mem_free(e);
    return error_memory(err, "a filter");
  }
  e->key = key;
  atomic_init(&e->holders, 1);
  TRY(filter_compile(f, a, key.slots, labels, &e->set, err));
  e->key.version = e->set.version; /* may be newer than asked for */
  e->bytes = sizeof *e + strlen(key.text) + 1 + (key.slots + 63) / 64 * sizeof *e->set.words;
  *out = e;
done:
  if (status != MEDLEY_OK) entry_give_back(e);
  return status;
}

medley_status filter_cache_get(filter_cache *c, const filter *f, const attributes *a, size_t slots,
                               const filter_labels *labels, const filter_set **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  cache_key key = {.text = filter_text(f), .version = attributes_version(a), .slots = slots};
  key.hash = hash_text(key.text);
  if (filter_uses_ids(f) && labels != NULL) key.labels_version = labels->version;
  *out = NULL;
  pthread_mutex_lock(&c->lock);
  cache_entry *e = entry_find(c, &key);
  pthread_mutex_unlock(&c->lock);
  if (e == NULL) {
    TRY(entry_create(f, a, key, labels, &e, err));
    pthread_mutex_lock(&c->lock);
    entry_keep(c, e);
    pthread_mutex_unlock(&c->lock);
  }
  *out = &e->set;
done:
  return status;
}

void filter_cache_release(const filter_set *set) {
  if (set != NULL) entry_give_back((cache_entry *)set);
}

void filter_cache_get_stats(filter_cache *c, filter_cache_stats *out) {
  pthread_mutex_lock(&c->lock);
  *out = c->stats;
  pthread_mutex_unlock(&c->lock);
}

void filter_cache_free(filter_cache *c) {
  if (c == NULL) return;
  while (c->oldest != NULL) entry_drop(c, c->oldest);
  pthread_mutex_destroy(&c->lock);
  mem_free(c);
}
