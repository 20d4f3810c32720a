/* index/nearest.c: a bounded binary heap. */
#include "index/nearest.h"

/* Moves the entry at `at` down until no child ranks after it. */
static void nearest_sink(scored *entries, size_t count, size_t at) {
  scored moved = entries[at];
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && nearest_before(entries[child], entries[child + 1])) child++;
    if (!nearest_before(moved, entries[child])) break;
    entries[at] = entries[child];
  }
  entries[at] = moved;
}

void nearest_push(nearest *n, scored entry) {
  if (n->count == n->k) {
    if (n->k == 0 || !nearest_before(entry, n->entries[0])) return;
    n->entries[0] = entry;
    nearest_sink(n->entries, n->count, 0);
    return;
  }
  size_t at = n->count++;
  for (; at > 0 && nearest_before(n->entries[(at - 1) / 2], entry); at = (at - 1) / 2)
    n->entries[at] = n->entries[(at - 1) / 2];
  n->entries[at] = entry;
}

size_t nearest_finish(nearest *n) {
  for (size_t left = n->count; left > 1; left--) {
    scored worst = n->entries[0];
    n->entries[0] = n->entries[left - 1];
    nearest_sink(n->entries, left - 1, 0);
    n->entries[left - 1] = worst;
  }
  return n->count;
}
