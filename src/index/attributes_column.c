/* index/attributes_column.c: one column of attributes: cells by slot, and with words their dictionary, their lists and
 * their sets of slots.
 *
 * Writing goes in two steps, reserve and put, so that a row of many attributes is taken wholly or not at all: only
 * reserve can fail, and what it leaves behind is room.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/strbuf.h"
#include "index/attributes_parts.h"

#define CHUNK_CAPACITY_MIN 64 /* a whole word of a filter's bitmap */
#define UNUSED_WORDS_MIN 1024 /* below, words that nobody has any more cost less than tidying */

const char *column_kind_name(column_kind kind) { return kind == COLUMN_NUMBERS ? "numbers" : "words"; }

static size_t cell_size(const column *c) { return c->kind == COLUMN_NUMBERS ? sizeof(double) : sizeof(uint32_t); }

medley_status column_create(const char *name, column_kind kind, column **out, medley_error *err) {
  column *c = mem_zalloc(1, sizeof *c);
  if (c == NULL || (c->name = mem_strdup(name)) == NULL) {
    mem_free(c);
    return error_memory(err, "a column of attributes");
  }
  c->kind = kind;
  c->bytes = sizeof *c + strlen(name) + 1;
  *out = c;
  return MEDLEY_OK;
}

void column_reset(column *c, column_kind kind) {
  for (size_t i = 0; i < c->chunk_count; i++) mem_free(c->chunks[i].numbers);
  for (size_t i = 0; i < c->word_count; i++) slotset_deinit(&c->words[i].slots, &c->bytes);
  mem_free(c->chunks);
  strmap_deinit(&c->ids);
  mem_free(c->words);
  mem_free(c->free_ids);
  mem_free(c->lists);
  *c = (column){.name = c->name, .kind = kind, .bytes = sizeof *c + strlen(c->name) + 1};
}

void column_free(column *c) {
  if (c == NULL) return;
  column_reset(c, c->kind);
  mem_free(c->name);
  mem_free(c);
}

size_t column_bytes(const column *c) { return c->bytes + strmap_bytes(&c->ids); }

/* ---- cells ---- */

static medley_status chunks_reserve(column *c, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t before = c->chunk_capacity;
  TRY_GROW(c->chunks, c->chunk_capacity, count, "a column of attributes");
  c->bytes += (c->chunk_capacity - before) * sizeof *c->chunks;
  while (c->chunk_count < count) c->chunks[c->chunk_count++] = (column_chunk){0};
done:
  return status;
}

static medley_status cell_reserve(column *c, uint32_t slot, medley_error *err) {
  size_t at = slot / SLOTSET_BLOCK_SLOTS, cell = slot % SLOTSET_BLOCK_SLOTS;
  if (at >= c->chunk_count) {
    medley_status status = chunks_reserve(c, at + 1, err);
    if (status != MEDLEY_OK) return status;
  }
  column_chunk *chunk = &c->chunks[at];
  if (cell < chunk->capacity) return MEDLEY_OK;
  uint32_t capacity = chunk->capacity ? chunk->capacity : CHUNK_CAPACITY_MIN;
  while (capacity <= cell) capacity *= 2;
  unsigned char *cells = mem_zalloc_aligned(capacity, cell_size(c));
  if (cells == NULL) return error_memory(err, "a column of attributes");
  if (chunk->capacity > 0) memcpy(cells, chunk->numbers, chunk->capacity * cell_size(c));
  mem_free(chunk->numbers);
  chunk->numbers = (double *)cells;
  if (c->kind == COLUMN_NUMBERS)
    for (uint32_t i = chunk->capacity; i < capacity; i++) chunk->numbers[i] = NAN;
  c->bytes += (capacity - chunk->capacity) * cell_size(c);
  chunk->capacity = capacity;
  return MEDLEY_OK;
}

static const column_chunk *chunk_of(const column *c, uint32_t slot) {
  size_t at = slot / SLOTSET_BLOCK_SLOTS;
  return at < c->chunk_count && slot % SLOTSET_BLOCK_SLOTS < c->chunks[at].capacity ? &c->chunks[at] : NULL;
}

medley_status column_reserve_number(column *c, uint32_t slot, medley_error *err) { return cell_reserve(c, slot, err); }

void column_put_number(column *c, uint32_t slot, double value) {
  const column_chunk *chunk = chunk_of(c, slot);
  if (chunk == NULL) return; /* nothing there, and nothing was reserved: NaN */
  double *cell = &chunk->numbers[slot % SLOTSET_BLOCK_SLOTS];
  c->present += !isnan(value);
  c->present -= !isnan(*cell);
  *cell = value;
}

double column_number(const column *c, uint32_t slot) {
  const column_chunk *chunk = chunk_of(c, slot);
  return chunk ? chunk->numbers[slot % SLOTSET_BLOCK_SLOTS] : NAN;
}

/* ---- lists of ids, for slots with more than one word ---- */

static uint32_t list_class(size_t count) {
  uint32_t class = 0;
  while (count + 1 > (size_t)4 << class) class ++;
  return class;
}

static medley_status list_reserve(column *c, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t class = list_class(count);
  if (c->list_free[class] != 0) return MEDLEY_OK;
  size_t before = c->list_capacity, start = c->list_cells ? c->list_cells : 1; /* place 0 is nobody's */
  if (start + ((size_t)4 << class) > COLUMN_LIST)
    return error_set(err, MEDLEY_ERR_LIMIT, "attribute '%s' has more words than a column can hold (2^31)", c->name);
  TRY_GROW(c->lists, c->list_capacity, start + ((size_t)4 << class), "words of attributes");
  c->bytes += (c->list_capacity - before) * sizeof *c->lists;
  c->list_cells = start;
done:
  return status;
}

static uint32_t list_take(column *c, const uint32_t *ids, size_t count) {
  uint32_t class = list_class(count), place = c->list_free[class];
  if (place != 0) {
    c->list_free[class] = c->lists[place];
  } else {
    place = (uint32_t)c->list_cells;
    c->list_cells += (size_t)4 << class;
  }
  c->lists[place] = class << 16 | (uint32_t)count;
  memcpy(c->lists + place + 1, ids, count * sizeof *ids);
  return place;
}

static void list_release(column *c, uint32_t place) {
  uint32_t class = c->lists[place] >> 16;
  c->lists[place] = c->list_free[class];
  c->list_free[class] = place;
}

/* ---- words ---- */

medley_status column_intern(column *c, const char *word, size_t length, uint32_t *id, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const int64_t *known = strmap_get_bytes(&c->ids, word, length);
  if (known != NULL) {
    *id = (uint32_t)*known;
    return MEDLEY_OK;
  }
  if (c->word_count - c->free_count >= ATTRIBUTES_WORDS_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "attribute '%s' has more different words than the limit of %zu", c->name,
         ATTRIBUTES_WORDS_MAX);
  size_t before = c->word_capacity;
  if (c->free_count == 0) TRY_GROW(c->words, c->word_capacity, c->word_count + 1, "words of attributes");
  c->bytes += (c->word_capacity - before) * sizeof *c->words;
  uint32_t fresh = c->free_count > 0 ? c->free_ids[c->free_count - 1] : (uint32_t)c->word_count;
  const int64_t *entry = strmap_get_or_put(&c->ids, word, length, fresh, NULL);
  if (entry == NULL) {
    status = error_memory(err, "words of attributes");
    goto done;
  }
  if (c->free_count > 0)
    c->free_count--;
  else
    c->word_count++;
  c->words[fresh] = (column_word){.text = strmap_key(entry)};
  c->unused++;
  *id = fresh;
done:
  return status;
}

uint32_t column_word_id(const column *c, const char *word, size_t length) {
  const int64_t *known = strmap_get_bytes(&c->ids, word, length);
  return known != NULL && c->words[*known].slots.count > 0 ? (uint32_t)*known : UINT32_MAX;
}

/* The dictionary can only grow, so it is made anew from the words in use; their ids stay, for they stand in the cells.
 * When memory is short all stays as it is. */
void column_tidy(column *c) {
  if (c->unused < UNUSED_WORDS_MIN || c->unused * 2 < c->word_count) return;
  strmap ids = {0};
  void *free_ids = c->free_ids;
  size_t before = c->free_capacity;
  if (!mem_grow(&free_ids, &c->free_capacity, c->free_count + c->unused, sizeof *c->free_ids)) return;
  c->free_ids = free_ids;
  c->bytes += (c->free_capacity - before) * sizeof *c->free_ids;
  for (size_t i = 0; i < c->word_count; i++)
    if (c->words[i].slots.count > 0 && !strmap_put(&ids, c->words[i].text, (int64_t)i)) {
      strmap_deinit(&ids);
      return;
    }
  for (size_t i = 0; i < c->word_count; i++) {
    column_word *w = &c->words[i];
    if (w->slots.count > 0) {
      w->text = strmap_key(strmap_get(&ids, w->text));
    } else if (w->text != NULL) {
      slotset_deinit(&w->slots, &c->bytes);
      w->text = NULL;
      c->free_ids[c->free_count++] = (uint32_t)i;
    }
  }
  strmap_deinit(&c->ids);
  c->ids = ids;
  c->unused = 0;
}

size_t column_words(const column *c, uint32_t slot, uint32_t *single, const uint32_t **ids) {
  const column_chunk *chunk = chunk_of(c, slot);
  uint32_t cell = chunk ? chunk->words[slot % SLOTSET_BLOCK_SLOTS] : 0;
  *ids = single;
  if (cell & COLUMN_LIST) {
    const uint32_t *list = c->lists + (cell & ~COLUMN_LIST);
    *ids = list + 1;
    return list[0] & 0xffff;
  }
  *single = cell - 1;
  return cell != 0;
}

medley_status column_reserve_list(column *c, uint32_t slot, size_t count, medley_error *err) {
  medley_status status = cell_reserve(c, slot, err);
  return status == MEDLEY_OK && count > 1 ? list_reserve(c, count, err) : status;
}

medley_status column_reserve_words(column *c, uint32_t slot, const uint32_t *ids, size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(column_reserve_list(c, slot, count, err));
  for (size_t i = 0; i < count; i++)
    if (!slotset_reserve(&c->words[ids[i]].slots, slot, &c->bytes)) {
      status = error_memory(err, "words of attributes");
      goto done;
    }
done:
  return status;
}

static bool ids_have(const uint32_t *ids, size_t count, uint32_t id) {
  for (size_t i = 0; i < count; i++)
    if (ids[i] == id) return true;
  return false;
}

/* The sets of slots, from one list of words to another. Most writes add one word to a list: what both begin with is
 * passed over. */
static void sets_change(column *c, uint32_t slot, const uint32_t *old, size_t old_count, const uint32_t *ids,
                        size_t count) {
  size_t same = 0;
  while (same < old_count && same < count && old[same] == ids[same]) same++;
  for (size_t i = same; i < old_count; i++) {
    slotset *s = &c->words[old[i]].slots;
    if (ids_have(ids, count, old[i])) continue;
    slotset_remove(s, slot, &c->bytes);
    c->unused += s->count == 0;
  }
  for (size_t i = same; i < count; i++) {
    slotset *s = &c->words[ids[i]].slots;
    c->unused -= s->count == 0;
    /* Cannot fail after the reserve. */
    if (!slotset_add(s, slot, &c->bytes)) c->unused += s->count == 0;
  }
}

void column_put_list(column *c, uint32_t slot, const uint32_t *ids, size_t count) {
  const column_chunk *chunk = chunk_of(c, slot);
  if (chunk == NULL) return; /* nothing there, and nothing was reserved: no words */
  uint32_t *cell = &chunk->words[slot % SLOTSET_BLOCK_SLOTS];
  uint32_t next = count == 0 ? 0 : count == 1 ? ids[0] + 1 : COLUMN_LIST | list_take(c, ids, count);
  c->present += count > 0;
  c->present -= *cell != 0;
  if (*cell & COLUMN_LIST) list_release(c, *cell & ~COLUMN_LIST);
  *cell = next;
}

void column_put_words(column *c, uint32_t slot, const uint32_t *ids, size_t count) {
  uint32_t single;
  const uint32_t *old;
  size_t old_count = column_words(c, slot, &single, &old);
  sets_change(c, slot, old, old_count, ids, count);
  column_put_list(c, slot, ids, count);
}

/* A transposition by counting: how many slots each word has, where its slots begin, the slots. */
medley_status column_build_sets(column *c, size_t slots, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t single, *of_words = NULL;
  const uint32_t *ids;
  size_t *ends = NULL, total = 0;
  TRY_NEW(ends, c->word_count + 1, "words of attributes");
  for (size_t slot = 0; slot < slots; slot++) {
    size_t count = column_words(c, (uint32_t)slot, &single, &ids);
    for (size_t i = 0; i < count; i++) ends[ids[i]]++;
  }
  for (size_t i = 0; i < c->word_count; i++) {
    size_t count = ends[i];
    ends[i] = total;
    total += count;
  }
  if ((of_words = mem_alloc(total, sizeof *of_words)) == NULL) {
    status = error_memory(err, "words of attributes");
    goto done;
  }
  for (size_t slot = 0; slot < slots; slot++) {
    size_t count = column_words(c, (uint32_t)slot, &single, &ids);
    for (size_t i = 0; i < count; i++) of_words[ends[ids[i]]++] = (uint32_t)slot;
  }
  c->unused = 0;
  for (size_t i = 0; i < c->word_count; i++) {
    size_t start = i > 0 ? ends[i - 1] : 0;
    c->unused += ends[i] == start;
    if (!slotset_init_sorted(&c->words[i].slots, of_words + start, ends[i] - start, &c->bytes)) {
      status = error_memory(err, "words of attributes");
      goto done;
    }
  }
done:
  mem_free(ends);
  mem_free(of_words);
  return status;
}
