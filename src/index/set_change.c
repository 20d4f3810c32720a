/* index/set_change.c: writers: add, remove, attributes, repair, and the journal's records of them.
 *
 * A change is checked, given all memory it needs, written to the journal and synced, and only then made: so what a
 * caller is told was accepted is on disk, and what is refused has left nothing behind. A change that cannot be made
 * although it is in the journal (memory ran out while linking) closes the index for writers and saves; opening it again
 * makes the change. One that was made and the journal cannot take closes it for writers until it is saved.
 *
 * Records, numbers little endian:
 *   1 add         8 bytes id, dim floats
 *   2 remove      8 bytes id
 *   3 attributes  8 bytes id, JSON text (empty: forgotten)
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/progress.h"
#include "index/set.h"

enum { RECORD_ADD = 1, RECORD_REMOVE = 2, RECORD_ATTRIBUTES = 3 };

#define ATTRIBUTES_BYTES_MAX ((size_t)1 << 20)
#define RECORD_BATCH 256     /* records written at once */
#define LIMBO_SPARE 64       /* places kept for slots that will be let go */
#define REPAIR_SHARE 20      /* a sweep begins when one row in so many is removed */
#define REPAIR_ROWS_MIN 1024 /* rows looked at in one go */
#define REPAIR_STRETCH 65536 /* rows between two reports of progress */

medley_status set_trouble_tell(const medley_index *set, medley_error *err) {
  if (set->trouble == SET_SOUND) return MEDLEY_OK;
  return error_set(err, set->trouble_error.status,
                   set->trouble == SET_MEMORY_BEHIND
                       ? "an earlier change was accepted and could not be made, close the index and open it again: %s"
                       : "an earlier change is not in the journal, save the index: %s",
                   set->trouble_error.text);
}

/* What was journaled must be made, and what was made be journaled; otherwise nothing more is accepted for now. */
static medley_status settled(medley_index *set, medley_status status, set_trouble trouble, const medley_error *why) {
  if (status == MEDLEY_OK || set->journal == NULL || status == MEDLEY_ERR_CANCELLED) return status;
  if (trouble > set->trouble) {
    set->trouble = trouble;
    set->trouble_error = *why;
    set->trouble_error.status = status;
  }
  return status;
}

static medley_status set_lock(medley_index *set, medley_error *err) {
  if (set->read_only) return error_set(err, MEDLEY_ERR_USAGE, "%s was opened for reading only", set->path);
  pthread_mutex_lock(&set->write);
  medley_status status = set_trouble_tell(set, err);
  if (status != MEDLEY_OK) pthread_mutex_unlock(&set->write);
  return status;
}

/* ---- slots ---- */

static medley_status limbo_reserve(medley_index *set, size_t more, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (set->limbo_at > set->limbo_count / 2) { /* the front was used up */
    set->limbo_count -= set->limbo_at;
    memmove(set->limbo, set->limbo + set->limbo_at, set->limbo_count * sizeof *set->limbo);
    set->limbo_at = 0;
  }
  TRY_GROW(set->limbo, set->limbo_capacity, set->limbo_count + more, "index slots");
done:
  return status;
}

/* Room that only a failure would have needed goes. */
static void limbo_trim(medley_index *set) {
  size_t wanted = set->limbo_count + LIMBO_SPARE;
  if (set->limbo_capacity < 2 * wanted) return;
  set_limbo *less = mem_resize(set->limbo, wanted, sizeof *less);
  if (less == NULL) return;
  set->limbo = less;
  set->limbo_capacity = wanted;
}

void set_release_slot(medley_index *set, uint32_t slot) {
  set->limbo[set->limbo_count++] = (set_limbo){slot, guard_close(set->guard)};
}

/* One that nobody reads any more, or SIZE_MAX. */
static size_t slot_take(medley_index *set) {
  if (set->limbo_at == set->limbo_count || !guard_passed(set->guard, set->limbo[set->limbo_at].epoch)) return SIZE_MAX;
  return set->limbo[set->limbo_at++].slot;
}

/* ---- repair ---- */

static medley_status repair_run(medley_index *set, size_t budget, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *freed = NULL;
  size_t count = 0, room = rows_count(&set->rows);
  TRY_NEW(freed, room, "index repair");
  TRY(limbo_reserve(set, room, err));
  status = set->kind->repair(set->structure, budget, freed, &count, err);
  for (size_t i = 0; i < count; i++) set_release_slot(set, freed[i]);
  limbo_trim(set);
done:
  mem_free(freed);
  return status;
}

static size_t removed_count(const medley_index *set) {
  size_t used = rows_count(&set->rows) - set_unused(set), alive = set->rows.alive_count;
  return used > alive ? used - alive : 0;
}

/* Each change pays for a stretch of the sweep, so that a whole one is done before as many rows again are removed. What
 * cannot be mended now (memory) is mended later. */
static void repair_go_along(medley_index *set, size_t changes) {
  size_t slots = rows_count(&set->rows), removed = removed_count(set);
  if (set->kind->repair == NULL || removed * REPAIR_SHARE < slots) {
    set->repair_debt = 0;
    return;
  }
  set->repair_debt += changes * 2 * REPAIR_SHARE;
  if (set->repair_debt < REPAIR_ROWS_MIN) return;
  if (repair_run(set, set->repair_debt, NULL) == MEDLEY_OK) set->repair_debt = 0;
}

/* To the end of a sweep that had begun, and through a whole one: then nothing removed is linked to. The last call links
 * to what no walk reaches. (Lists count like rows; there are no more of them.) */
static medley_status repair_all(medley_index *set, const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage stage;
  uint64_t slots = rows_count(&set->rows), looked = 0, stretches = 2 * (2 * slots / REPAIR_STRETCH + 1);
  progress_begin(&stage, progress, "mend links", slots);
  for (uint64_t i = 0; i < stretches && removed_count(set) > 0; i++) {
    TRY(repair_run(set, REPAIR_STRETCH, err));
    looked += REPAIR_STRETCH;
    TRY(progress_update(&stage, looked < slots ? looked : slots, err));
  }
  TRY(repair_run(set, SIZE_MAX, err));
  progress_end(&stage, slots);
done:
  return status;
}

medley_status medley_index_repair(medley_index *set, const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(set_lock(set, err));
  if (set->kind->repair != NULL) status = repair_all(set, progress, err);
  pthread_mutex_unlock(&set->write);
done:
  return status;
}

/* ---- add ---- */

typedef struct addition {
  const uint64_t *ids;
  const float *vectors;
  size_t count;
  uint32_t *slots, *old; /* [count] new ones; those the ids had, or LABELS_NONE */
  uint32_t *order;       /* [count] the slots as the kind reorders them */
  uint64_t *sorted;      /* [count] the ids; after a stop, those that came to nothing */
  size_t undone;         /* of them */
  bool reserved;         /* slots are taken, from: */
  size_t limbo_at;
  uint32_t rows;
} addition;

static int id_order(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static medley_status addition_check(const medley_index *set, addition *a, medley_error *err) {
  size_t dim = set->rows.dim;
  for (size_t i = 0; i < a->count; i++) {
    medley_status status = rows_check(&set->rows, a->vectors + i * dim, err);
    if (status == MEDLEY_OK && set->full.dim > 0) status = rows_check(&set->full, a->vectors + i * dim, err);
    if (status != MEDLEY_OK) return error_prefix(err, status, "vector %zu (id %llu)", i, (unsigned long long)a->ids[i]);
  }
  memcpy(a->sorted, a->ids, a->count * sizeof *a->ids);
  qsort(a->sorted, a->count, sizeof *a->sorted, id_order);
  for (size_t i = 1; i < a->count; i++)
    if (a->sorted[i] == a->sorted[i - 1])
      return error_set(err, MEDLEY_ERR_INPUT, "id %llu is there twice", (unsigned long long)a->sorted[i]);
  return MEDLEY_OK;
}

/* About what another row takes of our own memory: its vectors, unless they lie in a file, its links or code, not its
 * attributes. */
static size_t row_own_bytes(const medley_index *set) {
  const rows *held[] = {&set->rows, &set->full};
  size_t bytes = set->kind->each_bytes ? set->kind->each_bytes(set->structure) : 0;
  for (size_t i = 0; i < 2; i++)
    if (held[i]->dim > 0 && held[i]->scratch.folder == NULL) bytes += held[i]->stride_bytes;
  return bytes;
}

static medley_status memory_check(const medley_index *set, size_t count, medley_error *err) {
  size_t per_row = row_own_bytes(set);
  size_t now = set_own_bytes(set), free_slots = set_unused(set);
  size_t more = count > free_slots ? (count - free_slots) * per_row : 0;
  if (set->memory_limit_bytes == 0 || now + more <= set->memory_limit_bytes) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_LIMIT,
                   "%zu more vectors would need about %zu MiB beside the %zu MiB in use; the limit is %llu MiB", count,
                   more >> 20, now >> 20, (unsigned long long)set->memory_limit_bytes >> 20);
}

/* Slots for all of them, and memory for everything that is to come; what is known of the old ones is read. Whatever
 * fails from here on and before addition_make: addition_give_back. */
static medley_status addition_reserve(medley_index *set, addition *a, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t slots = rows_count(&set->rows);
  bool plain = true, replaces = false;
  memset(a->old, 0xff, a->count * sizeof *a->old);
  TRY(limbo_reserve(set, a->count, err));
  a->rows = (uint32_t)slots;
  a->limbo_at = set->limbo_at;
  a->reserved = true;
  for (size_t i = 0; i < a->count; i++) {
    size_t slot = slot_take(set);
    a->slots[i] = (uint32_t)(slot == SIZE_MAX ? slots++ : slot);
    plain = plain && a->slots[i] == a->ids[i];
    TRY(labels_slot(&set->labels, a->ids[i], &a->old[i], err));
    replaces = replaces || a->old[i] != LABELS_NONE;
  }
  if (replaces) TRY(attributes_load(set->attributes, err));
  TRY(rows_reserve(&set->rows, slots, err));
  if (set->full.dim > 0) TRY(rows_reserve(&set->full, slots, err));
  TRY(labels_reserve(&set->labels, a->count, slots, plain && !replaces, err));
done:
  return status;
}

/* What was known of the id is known of its new slot. */
static medley_status attributes_move(medley_index *set, uint32_t from, uint32_t to, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *known = NULL;
  TRY(attributes_get(set->attributes, from, &known, err));
  if (json_object_size(known) > 0) TRY(attributes_set_json(set->attributes, to, known, err));
done:
  json_decref(known);
  return status;
}

static void slot_retire(medley_index *set, uint32_t slot) {
  rows_set_alive(&set->rows, slot, false);
  attributes_clear(set->attributes, slot);
  if (set->kind->remove != NULL) set->kind->remove(set->structure, slot);
  if (set->kind->repair == NULL) set_release_slot(set, slot);
}

/* Rows and attributes into the slots, where nobody sees them yet. */
static medley_status addition_fill(medley_index *set, addition *a, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = set->rows.dim;
  for (size_t i = 0; i < a->count; i++) {
    TRY(rows_set(&set->rows, a->slots[i], a->vectors + i * dim, err));
    if (set->full.dim > 0) TRY(rows_set(&set->full, a->slots[i], a->vectors + i * dim, err));
    if (a->old[i] != LABELS_NONE) TRY(attributes_move(set, a->old[i], a->slots[i], err));
  }
done:
  return status;
}

/* As if it had not been tried. */
static void addition_give_back(medley_index *set, addition *a) {
  if (!a->reserved) return;
  for (size_t i = 0; i < a->count; i++)
    if (a->old[i] != LABELS_NONE) attributes_clear(set->attributes, a->slots[i]);
  set->limbo_at = a->limbo_at;
  rows_cut(&set->rows, a->rows);
  if (set->full.dim > 0) rows_cut(&set->full, a->rows);
}

/* Links, ids; then the old slots of ids that had one go. */
static medley_status addition_make(medley_index *set, addition *a, const medley_progress *progress, medley_error *err) {
  size_t linked = 0;
  uint32_t *order = a->order;
  memcpy(order, a->slots, a->count * sizeof *order);
  atomic_store(&set->updating, true);
  for (size_t i = 0; i < a->count; i++) {
    labels_put(&set->labels, a->ids[i], a->slots[i]);
    rows_set_alive(&set->rows, a->slots[i], true);
  }
  medley_status status = set->kind->insert(set->structure, order, a->count, progress, &linked, err);
  for (size_t i = linked; i < a->count; i++) rows_set_alive(&set->rows, order[i], false);
  for (size_t i = 0; i < a->count; i++) {
    bool alive = rows_alive(&set->rows, a->slots[i]);
    if (a->old[i] != LABELS_NONE && alive) slot_retire(set, a->old[i]);
    if (alive) continue;
    labels_remove(&set->labels, a->ids[i]);
    if (a->old[i] != LABELS_NONE)
      labels_put(&set->labels, a->ids[i], a->old[i]);
    else
      a->sorted[a->undone++] = a->ids[i];
    attributes_clear(set->attributes, a->slots[i]);
    set_release_slot(set, a->slots[i]);
  }
  atomic_fetch_add(&set->ids_version, 1); /* before: a search that sees no update under way sees that there was one */
  atomic_store(&set->updating, false);
  return status;
}

static void addition_deinit(addition *a) {
  mem_free(a->order);
  mem_free(a->slots);
  mem_free(a->old);
  mem_free(a->sorted);
}

static medley_status addition_init(addition *a, const uint64_t *ids, const float *vectors, size_t count,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  *a = (addition){.ids = ids, .vectors = vectors, .count = count};
  TRY_NEW(a->slots, count, "index slots");
  TRY_NEW(a->old, count, "index slots");
  TRY_NEW(a->order, count, "index slots");
  TRY_NEW(a->sorted, count, "index slots");
done:
  return status;
}

/* ---- the journal ---- */

/* Records of one type: an id and `tail` bytes each, a batch at a time through one buffer; all or none. */
static medley_status journal_many(medley_index *set, uint32_t type, const uint64_t *ids, size_t count,
                                  const void *tails, size_t tail, medley_error *err) {
  medley_status status = MEDLEY_OK;
  journal_record *records = NULL;
  unsigned char *bytes = NULL;
  size_t batch = count < RECORD_BATCH ? count : RECORD_BATCH, size = sizeof *ids + tail;
  journal_place before;
  if (set->journal == NULL || count == 0) return MEDLEY_OK;
  journal_tell(set->journal, &before);
  TRY_NEW(records, batch, "index journal");
  TRY_NEW(bytes, batch * size, "index journal");
  for (size_t done = 0; done < count; done += batch) {
    if (batch > count - done) batch = count - done;
    for (size_t i = 0; i < batch; i++) {
      unsigned char *at = bytes + i * size;
      memcpy(at, &ids[done + i], sizeof *ids);
      if (tail > 0) memcpy(at + sizeof *ids, (const unsigned char *)tails + (done + i) * tail, tail);
      records[i] = (journal_record){.bytes = at, .length = size, .type = type};
    }
    TRY(journal_append(set->journal, records, batch, err));
  }
  TRY(journal_sync(set->journal, UINT64_MAX, err));
done:
  if (status != MEDLEY_OK) (void)!journal_cut(set->journal, &before, NULL); /* it takes no more then, and says why */
  mem_free(records);
  mem_free(bytes);
  return status;
}

medley_status medley_index_add(medley_index *set, const uint64_t *ids, const float *vectors, size_t count,
                               const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  addition a = {0};
  bool locked = false;
  medley_error own;
  if (err == NULL) err = &own; /* what went wrong may have to be told again */
  TRY(addition_init(&a, ids, vectors, count, err));
  TRY(addition_check(set, &a, err));
  TRY(set_lock(set, err));
  locked = true;
  TRY(memory_check(set, count, err));
  TRY(addition_reserve(set, &a, err));
  TRY(addition_fill(set, &a, err));
  TRY(journal_many(set, RECORD_ADD, ids, count, vectors, set->rows.dim * sizeof *vectors, err));
  a.reserved = false;
  TRY(settled(set, addition_make(set, &a, progress, err), SET_MEMORY_BEHIND, err));
  repair_go_along(set, count);
done:
  /* A stop takes back what the journal says of new ids; one that had a vector gets the new one when it is replayed. */
  if (locked && status == MEDLEY_ERR_CANCELLED && a.undone > 0) {
    medley_error back;
    (void)settled(set, journal_many(set, RECORD_REMOVE, a.sorted, a.undone, NULL, 0, &back), SET_JOURNAL_BEHIND, &back);
  }
  if (locked) addition_give_back(set, &a);
  if (locked) limbo_trim(set);
  if (locked) pthread_mutex_unlock(&set->write);
  addition_deinit(&a);
  return status;
}

/* ---- remove ---- */

static medley_status removal_make(medley_index *set, const uint64_t *ids, size_t count, size_t *removed,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(limbo_reserve(set, count, err));
  for (size_t i = 0; i < count; i++) {
    uint32_t slot;
    TRY(labels_slot(&set->labels, ids[i], &slot, err));
    if (slot == LABELS_NONE) continue;
    labels_remove(&set->labels, ids[i]);
    slot_retire(set, slot);
    ++*removed;
  }
  atomic_fetch_add(&set->ids_version, 1);
done:
  return status;
}

medley_status medley_index_remove(medley_index *set, const uint64_t *ids, size_t count, size_t *removed,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t gone = 0;
  medley_error own;
  if (err == NULL) err = &own;
  TRY(set_lock(set, err));
  status = limbo_reserve(set, count, err);
  if (status == MEDLEY_OK) status = journal_many(set, RECORD_REMOVE, ids, count, NULL, 0, err);
  if (status == MEDLEY_OK) status = settled(set, removal_make(set, ids, count, &gone, err), SET_MEMORY_BEHIND, err);
  repair_go_along(set, gone);
  pthread_mutex_unlock(&set->write);
  if (removed != NULL) *removed = gone;
done:
  return status;
}

/* ---- attributes ---- */

static medley_status attributes_make(medley_index *set, uint64_t id, const char *json, size_t length,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t slot;
  json_t *object = NULL;
  TRY(labels_slot(&set->labels, id, &slot, err));
  if (slot == LABELS_NONE)
    FAIL(err, MEDLEY_ERR_NOT_FOUND, "the index has no vector with id %llu", (unsigned long long)id);
  if (length > 0) TRY(json_parse(json, length, "attributes", &object, err));
  TRY(attributes_set_json(set->attributes, slot, object, err));
done:
  json_decref(object);
  return status;
}

/* bytes: room for the longest of the texts behind an id. Made first: what is wrong in them is refused and leaves all as
 * it was; written when it was right. */
static medley_status attributes_accept(medley_index *set, uint64_t id, const char *json, unsigned char *bytes,
                                       medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = json ? strlen(json) : 0;
  TRY(attributes_make(set, id, json, length, err));
  if (set->journal == NULL) return MEDLEY_OK;
  memcpy(bytes, &id, sizeof id);
  if (length > 0) memcpy(bytes + sizeof id, json, length);
  journal_record record = {.bytes = bytes, .length = sizeof id + length, .type = RECORD_ATTRIBUTES};
  TRY(settled(set, journal_append(set->journal, &record, 1, err), SET_JOURNAL_BEHIND, err));
done:
  return status;
}

medley_status medley_index_set_attributes_batch(medley_index *set, const uint64_t *ids, const char *const *json,
                                                size_t count, size_t *accepted, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t longest = 0, done = 0;
  unsigned char *bytes = NULL;
  bool locked = false;
  medley_error own;
  if (err == NULL) err = &own;
  for (size_t i = 0; i < count; i++) {
    size_t length = json[i] ? strlen(json[i]) : 0;
    if (length > ATTRIBUTES_BYTES_MAX)
      FAIL(err, MEDLEY_ERR_LIMIT, "attributes of %zu bytes (id %llu): at most %zu are possible", length,
           (unsigned long long)ids[i], ATTRIBUTES_BYTES_MAX);
    if (length > longest) longest = length;
  }
  TRY_NEW(bytes, sizeof *ids + longest, "index attributes");
  TRY(set_lock(set, err));
  locked = true;
  for (; done < count; done++) TRY(attributes_accept(set, ids[done], json[done], bytes, err));
done:
  if (locked && done > 0 && set->journal != NULL) {
    medley_error why;
    medley_status synced = settled(set, journal_sync(set->journal, UINT64_MAX, &why), SET_JOURNAL_BEHIND, &why);
    if (status == MEDLEY_OK && synced != MEDLEY_OK) *err = why;
    if (status == MEDLEY_OK) status = synced;
  }
  if (locked) pthread_mutex_unlock(&set->write);
  if (accepted != NULL) *accepted = done;
  mem_free(bytes);
  return status;
}

medley_status medley_index_set_attributes(medley_index *set, uint64_t id, const char *json, medley_error *err) {
  return medley_index_set_attributes_batch(set, &id, &json, 1, NULL, err);
}

/* ---- replay ---- */

/* Adds are gathered and made together, over all threads: one by one, forty thousand took eight seconds. */
#define REPLAY_BATCH ((size_t)4096)
#define REPLAY_BYTES ((size_t)4 << 20) /* or fewer, when they are long */

struct set_replay {
  uint64_t *ids;  /* [room] */
  float *vectors; /* [room, dim] */
  size_t count, room;
};

medley_status set_replay_flush(medley_index *set, medley_error *err) {
  medley_status status = MEDLEY_OK;
  set_replay *r = set->replay;
  addition a = {0};
  if (r == NULL || r->count == 0) return MEDLEY_OK;
  TRY(addition_init(&a, r->ids, r->vectors, r->count, err));
  TRY(addition_check(set, &a, err));
  TRY(addition_reserve(set, &a, err));
  TRY(addition_fill(set, &a, err));
  TRY(addition_make(set, &a, NULL, err));
  repair_go_along(set, r->count);
  r->count = 0;
done:
  addition_deinit(&a);
  return status;
}

void set_replay_free(medley_index *set) {
  if (set->replay == NULL) return;
  mem_free(set->replay->ids);
  mem_free(set->replay->vectors);
  mem_free(set->replay);
  set->replay = NULL;
}

static medley_status replay_gather(medley_index *set, uint64_t id, const void *vector, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t dim = set->rows.dim;
  if (set->replay == NULL) {
    TRY_NEW(set->replay, 1, "index journal");
    size_t room = REPLAY_BYTES / (dim * sizeof *set->replay->vectors);
    set->replay->room = room < 1 ? 1 : room < REPLAY_BATCH ? room : REPLAY_BATCH;
    TRY_NEW(set->replay->ids, set->replay->room, "index journal");
    TRY_NEW(set->replay->vectors, set->replay->room * dim, "index journal");
  }
  set_replay *r = set->replay;
  bool there = r->count == r->room;
  for (size_t i = 0; i < r->count && !there; i++) there = r->ids[i] == id; /* a later vector of the same id */
  if (there) TRY(set_replay_flush(set, err));
  r->ids[r->count] = id;
  memcpy(r->vectors + r->count++ * dim, vector, dim * sizeof *r->vectors);
done:
  return status;
}

medley_status set_apply(void *context, const journal_record *record, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_index *set = context;
  uint64_t id;
  size_t removed = 0, tail = record->length - sizeof id;
  const unsigned char *rest = (const unsigned char *)record->bytes + sizeof id;
  if (record->length < sizeof id) FAIL(err, MEDLEY_ERR_CORRUPT, "the journal has a change without an id");
  memcpy(&id, record->bytes, sizeof id);
  if (record->type == RECORD_ADD) {
    if (tail != set->rows.dim * sizeof(float))
      FAIL(err, MEDLEY_ERR_CORRUPT, "the journal has a vector of %zu bytes, the index takes %zu dimensions", tail,
           set->rows.dim);
    TRY(replay_gather(set, id, rest, err));
    goto done;
  }
  TRY(set_replay_flush(set, err));
  if (record->type == RECORD_REMOVE) {
    TRY(removal_make(set, &id, 1, &removed, err));
    repair_go_along(set, removed);
  } else if (record->type == RECORD_ATTRIBUTES) {
    TRY(attributes_make(set, id, (const char *)rest, tail, err));
  } else {
    FAIL(err, MEDLEY_ERR_CORRUPT, "the journal has a change of the unknown type %u", record->type);
  }
done:
  return status;
}
