/* data/import_known.c: events that the store has already, for a file that is taken once more.
 *
 * All fields of an event are hashed to 64 bits, and the hashes counted. Asking the database for each row instead would
 * read all events of its user where times are unknown. Two different events share a hash in one of some ten million
 * imports of a million events: then one is left out that should not be, as if it had been there.
 */
#include <string.h>

#include "data/import_parts.h"

static uint64_t hash_add(uint64_t h, uint64_t word) { return hash_finish(h * 31 + word); }

static int64_t event_hash(const store_event *e) {
  unsigned char context[HASH_BYTES];
  uint64_t words[HASH_BYTES / sizeof(uint64_t)] = {0};
  uint32_t value;
  memcpy(&value, &e->value, sizeof value);
  if (e->context != NULL) {
    hash_buffer(e->context, strlen(e->context), context);
    memcpy(words, context, sizeof words);
  }
  uint64_t h = hash_add((uint64_t)e->user_id, (uint64_t)e->item_id);
  h = hash_add(h, (uint64_t)e->time_s);
  h = hash_add(h, (uint64_t)value << 32 | (uint64_t)(uint32_t)e->type << 2 | e->split);
  if (e->context != NULL) h = hash_add(h, words[0] ^ words[1]);
  return (int64_t)h;
}

static medley_status events_count(void *context, const store_event *events, size_t count, medley_error *err) {
  known_events *k = context;
  for (size_t i = 0; i < count; i++) {
    int64_t hash = event_hash(&events[i]);
    const int64_t *before = intmap_get(&k->counts, hash);
    if (!intmap_put(&k->counts, hash, before ? *before + 1 : 1)) return error_memory(err, "the events that are there");
  }
  return MEDLEY_OK;
}

medley_status known_load(known_events *k, const store_kind *kind, store *s, medley_error *err) {
  known_deinit(k);
  return kind->each_event(s, 0, NULL, events_count, k, err);
}

medley_status known_claim(known_events *k, const store_event *event, bool *found, medley_error *err) {
  int64_t hash = event_hash(event);
  const int64_t *left = intmap_get(&k->counts, hash);
  *found = left != NULL && *left > 0;
  if (*found && !intmap_put(&k->counts, hash, *left - 1)) return error_memory(err, "the events that are there");
  return MEDLEY_OK;
}

void known_deinit(known_events *k) { intmap_deinit(&k->counts); }
