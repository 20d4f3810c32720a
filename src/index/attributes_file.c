/* index/attributes_file.c: attributes as one run of bytes, and back; the format is drawn in index/attributes.h.
 *
 * A reader trusts nothing: a length is compared with what is left before it is used, a count with the bits it counts,
 * an id with the dictionary. What passes is built by the same functions that writes go through.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/strbuf.h"
#include "index/attributes_parts.h"
#include "index/file.h"

#define FILE_MAGIC "MDLYATTR"
#define FILE_VERSION 1
#define LIST_END 0x80000000u

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");

typedef struct file_head {
  char magic[8];
  uint32_t version, columns;
  uint64_t slots;
} file_head;

typedef struct column_head {
  uint32_t kind, name_bytes;
  uint64_t present, words, text_bytes, values;
} column_head;

/* ---- writing ---- */

static void append_padding(strbuf *b) {
  static const char zeros[8];
  strbuf_append_bytes(b, zeros, -b->length & 7);
}

static void append_padded(strbuf *b, const void *bytes, size_t length) {
  strbuf_append_bytes(b, bytes, length);
  append_padding(b);
}

static bool cell_present(const column *c, uint32_t slot) {
  uint32_t single;
  const uint32_t *ids;
  return c->kind == COLUMN_NUMBERS ? !isnan(column_number(c, slot)) : column_words(c, slot, &single, &ids) > 0;
}

static void append_presence(strbuf *b, const column *c, size_t slots) {
  for (size_t start = 0; start < slots; start += 64) {
    uint64_t bits = 0;
    for (size_t i = 0; i < 64 && start + i < slots; i++) bits |= (uint64_t)cell_present(c, (uint32_t)(start + i)) << i;
    strbuf_append_bytes(b, &bits, sizeof bits);
  }
}

static void append_numbers(strbuf *b, const column *c, size_t slots) {
  for (size_t slot = 0; slot < slots; slot++) {
    double value = column_number(c, (uint32_t)slot);
    if (!isnan(value)) strbuf_append_bytes(b, &value, sizeof value);
  }
}

/* The words in use get new ids without gaps, in the order of the old: number [word_count]. */
static void append_dictionary(strbuf *b, const column *c, column_head *head, uint32_t *number) {
  for (size_t i = 0; i < c->word_count; i++) {
    if (c->words[i].slots.count == 0) continue;
    number[i] = (uint32_t)head->words++;
    head->text_bytes += strlen(c->words[i].text);
    head->values += c->words[i].slots.count;
    uint32_t end = (uint32_t)head->text_bytes;
    strbuf_append_bytes(b, &end, sizeof end);
  }
  append_padding(b);
  for (size_t i = 0; i < c->word_count; i++)
    if (c->words[i].slots.count > 0) strbuf_append(b, c->words[i].text);
  append_padding(b);
}

static void append_lists(strbuf *b, const column *c, size_t slots, const uint32_t *number) {
  uint32_t single;
  const uint32_t *ids;
  for (size_t slot = 0; slot < slots; slot++) {
    size_t count = column_words(c, (uint32_t)slot, &single, &ids);
    for (size_t i = 0; i < count; i++) {
      uint32_t value = number[ids[i]] | (i + 1 == count ? LIST_END : 0);
      strbuf_append_bytes(b, &value, sizeof value);
    }
  }
  append_padding(b);
}

static medley_status append_column(strbuf *b, const column *c, size_t slots, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *number = NULL;
  size_t at = b->length;
  column_head head = {.kind = c->kind, .name_bytes = (uint32_t)strlen(c->name), .present = c->present};
  strbuf_append_bytes(b, &head, sizeof head);
  append_padded(b, c->name, head.name_bytes);
  append_presence(b, c, slots);
  if (c->kind == COLUMN_NUMBERS) {
    append_numbers(b, c, slots);
  } else {
    TRY_NEW(number, c->word_count, "the dictionary of attributes");
    append_dictionary(b, c, &head, number);
    append_lists(b, c, slots, number);
    if (head.text_bytes > UINT32_MAX)
      FAIL(err, MEDLEY_ERR_LIMIT, "the words of attribute '%s' have %llu bytes together, more than 2^32", c->name,
           (unsigned long long)head.text_bytes);
    if (!b->failed) memcpy(b->text + at, &head, sizeof head); /* the counts are known now */
  }
done:
  mem_free(number);
  return status;
}

medley_status attributes_write(const attributes *a, unsigned char **bytes, size_t *length, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf b = {.limit = PTRDIFF_MAX};
  *bytes = NULL;
  *length = 0;
  status = attributes_load(a, err);
  if (status != MEDLEY_OK) return status;
  attributes_lock_read(a);
  file_head head = {.version = FILE_VERSION, .columns = (uint32_t)a->column_count, .slots = a->slots};
  memcpy(head.magic, FILE_MAGIC, sizeof head.magic);
  strbuf_append_bytes(&b, &head, sizeof head);
  for (size_t i = 0; i < a->column_count; i++) TRY(append_column(&b, a->columns[i], a->slots, err));
  *length = b.length;
  *bytes = (unsigned char *)strbuf_take(&b);
  if (*bytes == NULL) status = error_memory(err, "attributes as bytes");
done:
  attributes_unlock(a);
  strbuf_deinit(&b);
  return status;
}

/* ---- reading ---- */

/* What is left of the bytes. */
typedef struct source {
  const unsigned char *bytes;
  size_t left;
  const char *name;
} source;

#define CORRUPT(...) FAIL(err, MEDLEY_ERR_CORRUPT, __VA_ARGS__)

/* The next count * size bytes, padded to a multiple of 8; NULL when there are fewer. */
static const unsigned char *source_take(source *s, uint64_t count, size_t size) {
  uint64_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || bytes > s->left || (bytes + 7) / 8 * 8 > s->left) return NULL;
  const unsigned char *start = s->bytes;
  bytes = (bytes + 7) / 8 * 8;
  s->bytes += bytes;
  s->left -= bytes;
  return start;
}

static uint32_t load32(const unsigned char *bytes, size_t at) {
  uint32_t value;
  memcpy(&value, bytes + at * sizeof value, sizeof value);
  return value;
}

static uint64_t load64(const unsigned char *bytes, size_t at) {
  uint64_t value;
  memcpy(&value, bytes + at * sizeof value, sizeof value);
  return value;
}

/* One column while it is read. */
typedef struct reading {
  source *source;
  column_head head;
  size_t slots;
  const unsigned char *presence;
  column *column;
} reading;

static medley_status read_presence(reading *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const source *s = r->source;
  size_t words = (r->slots + 63) / 64;
  uint64_t present = 0;
  r->presence = source_take(r->source, words, sizeof(uint64_t));
  if (r->presence == NULL)
    CORRUPT("%s: attribute '%s' ends before its presence of %zu slots", s->name, r->column->name, r->slots);
  for (size_t w = 0; w < words; w++) present += (uint64_t)__builtin_popcountll(load64(r->presence, w));
  if (present != r->head.present)
    CORRUPT("%s: attribute '%s' has %llu slots present, its head says %llu", s->name, r->column->name,
            (unsigned long long)present, (unsigned long long)r->head.present);
  if (r->slots % 64 != 0 && load64(r->presence, words - 1) >> (r->slots % 64) != 0)
    CORRUPT("%s: attribute '%s' has a slot above the %zu there are", s->name, r->column->name, r->slots);
done:
  return status;
}

/* Room for the cells of one chunk up to the last slot with a value, at once. word: the chunk's first of the presence.
 */
static medley_status reserve_chunk(reading *r, size_t word, medley_error *err) {
  size_t words = (r->slots + 63) / 64, last = word + SLOTSET_BLOCK_WORDS < words ? word + SLOTSET_BLOCK_WORDS : words;
  while (last > word && load64(r->presence, last - 1) == 0) last--;
  if (last == word) return MEDLEY_OK;
  uint32_t slot = (uint32_t)(last * 64 - 1 - (size_t)__builtin_clzll(load64(r->presence, last - 1)));
  return r->column->kind == COLUMN_NUMBERS ? column_reserve_number(r->column, slot, err)
                                           : column_reserve_list(r->column, slot, 0, err);
}

static medley_status read_numbers(reading *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t taken = 0;
  const unsigned char *values = source_take(r->source, r->head.present, sizeof(double));
  if (values == NULL)
    CORRUPT("%s: attribute '%s' ends before its %llu numbers", r->source->name, r->column->name,
            (unsigned long long)r->head.present);
  for (size_t w = 0; w * 64 < r->slots; w++) {
    if (w % SLOTSET_BLOCK_WORDS == 0) TRY(reserve_chunk(r, w, err));
    for (uint64_t bits = load64(r->presence, w); bits != 0; bits &= bits - 1) {
      uint32_t slot = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(bits);
      double value;
      memcpy(&value, values + taken++ * sizeof value, sizeof value);
      if (!isfinite(value))
        CORRUPT("%s: attribute '%s' of slot %u is no finite number", r->source->name, r->column->name, slot);
      column_put_number(r->column, slot, value);
    }
  }
done:
  return status;
}

static medley_status read_dictionary(reading *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *name = r->source->name, *attribute = r->column->name;
  const unsigned char *ends = source_take(r->source, r->head.words, sizeof(uint32_t));
  const unsigned char *text = ends ? source_take(r->source, r->head.text_bytes, 1) : NULL;
  uint32_t start = 0, id;
  if (text == NULL)
    CORRUPT("%s: attribute '%s' ends before its %llu words", name, attribute, (unsigned long long)r->head.words);
  for (uint32_t i = 0; i < r->head.words; i++) {
    uint32_t end = load32(ends, i);
    if (end < start || end > r->head.text_bytes)
      CORRUPT("%s: word %u of attribute '%s' ends at byte %u of %llu, and begins at %u", name, i, attribute, end,
              (unsigned long long)r->head.text_bytes, start);
    if (attributes_check_word(attribute, (const char *)text + start, end - start, err) != MEDLEY_OK) {
      status = error_prefix(err, MEDLEY_ERR_CORRUPT, "%s", name);
      goto done;
    }
    TRY(column_intern(r->column, (const char *)text + start, end - start, &id, err));
    if (id != i) CORRUPT("%s: word %u of attribute '%s' is there twice", name, i, attribute);
    start = end;
  }
  if (start != r->head.text_bytes)
    CORRUPT("%s: the words of attribute '%s' end at byte %u of %llu", name, attribute, start,
            (unsigned long long)r->head.text_bytes);
done:
  return status;
}

/* The list that begins at *taken of values, into ids. last [words]: one more than the last slot that had the word. */
static medley_status read_list(reading *r, const unsigned char *values, uint64_t *taken, uint32_t slot, uint32_t *last,
                               uint32_t *ids, size_t *count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *name = r->source->name, *attribute = r->column->name;
  bool more = true;
  for (*count = 0; more; ++*count) {
    if (*taken == r->head.values || *count == ATTRIBUTES_SLOT_WORDS_MAX)
      CORRUPT("%s: the words of slot %u in attribute '%s' have no end", name, slot, attribute);
    uint32_t value = load32(values, (size_t)(*taken)++);
    more = (value & LIST_END) == 0;
    value &= ~LIST_END;
    if (value >= r->head.words)
      CORRUPT("%s: slot %u has word %u of the %llu of attribute '%s'", name, slot, value,
              (unsigned long long)r->head.words, attribute);
    if (last[value] == slot + 1)
      CORRUPT("%s: slot %u has word %u of attribute '%s' twice", name, slot, value, attribute);
    last[value] = slot + 1;
    ids[*count] = value;
  }
done:
  return status;
}

static medley_status read_words(reading *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *last = NULL, ids[ATTRIBUTES_SLOT_WORDS_MAX];
  uint64_t taken = 0;
  size_t count;
  TRY(read_dictionary(r, err));
  const unsigned char *values = source_take(r->source, r->head.values, sizeof(uint32_t));
  if (values == NULL)
    CORRUPT("%s: attribute '%s' ends before its %llu values", r->source->name, r->column->name,
            (unsigned long long)r->head.values);
  TRY_NEW(last, r->head.words, "words of attributes");
  for (size_t w = 0; w * 64 < r->slots; w++) {
    if (w % SLOTSET_BLOCK_WORDS == 0) TRY(reserve_chunk(r, w, err));
    for (uint64_t bits = load64(r->presence, w); bits != 0; bits &= bits - 1) {
      uint32_t slot = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(bits);
      TRY(read_list(r, values, &taken, slot, last, ids, &count, err));
      TRY(column_reserve_list(r->column, slot, count, err));
      column_put_list(r->column, slot, ids, count);
    }
  }
  if (taken != r->head.values)
    CORRUPT("%s: attribute '%s' has %llu values, its slots have %llu", r->source->name, r->column->name,
            (unsigned long long)r->head.values, (unsigned long long)taken);
  TRY(column_build_sets(r->column, r->slots, err));
done:
  mem_free(last);
  return status;
}

static medley_status read_column(attributes *a, source *s, size_t number, medley_error *err) {
  medley_status status = MEDLEY_OK;
  reading r = {.source = s, .slots = a->slots};
  char text[ATTRIBUTES_NAME_BYTES_MAX + 1] = "";
  const unsigned char *head = source_take(s, 1, sizeof r.head);
  if (head == NULL) CORRUPT("%s: attributes end before column %zu", s->name, number);
  memcpy(&r.head, head, sizeof r.head);
  if (r.head.kind != COLUMN_NUMBERS && r.head.kind != COLUMN_WORDS)
    CORRUPT("%s: column %zu of the attributes has kind %u, expected 1 (numbers) or 2 (words)", s->name, number,
            r.head.kind);
  if (r.head.name_bytes > ATTRIBUTES_NAME_BYTES_MAX)
    CORRUPT("%s: column %zu of the attributes has a name of %u bytes, expected 1 to %d", s->name, number,
            r.head.name_bytes, ATTRIBUTES_NAME_BYTES_MAX);
  const unsigned char *name = source_take(s, r.head.name_bytes, 1);
  if (name == NULL) CORRUPT("%s: attributes end in the name of column %zu", s->name, number);
  memcpy(text, name, r.head.name_bytes);
  if (strlen(text) != r.head.name_bytes || attributes_check_name(text, err) != MEDLEY_OK)
    CORRUPT("%s: column %zu of the attributes has no possible name", s->name, number);
  if (number > 0 && strcmp(a->columns[number - 1]->name, text) >= 0)
    CORRUPT("%s: column '%s' of the attributes is out of order", s->name, text);
  if (r.head.kind == COLUMN_NUMBERS && (r.head.words | r.head.text_bytes | r.head.values) != 0)
    CORRUPT("%s: attribute '%s' holds numbers and has words", s->name, text);
  TRY(column_create(text, (column_kind)r.head.kind, &r.column, err));
  a->columns[a->column_count++] = r.column;
  TRY(read_presence(&r, err));
  TRY(r.column->kind == COLUMN_NUMBERS ? read_numbers(&r, err) : read_words(&r, err));
done:
  return status;
}

static medley_status read_head(file_head *head, source *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = s->left;
  const unsigned char *start = source_take(s, 1, sizeof *head);
  if (start == NULL) CORRUPT("%s: attributes have %zu bytes, their head alone has %zu", s->name, length, sizeof *head);
  memcpy(head, start, sizeof *head);
  if (memcmp(head->magic, FILE_MAGIC, sizeof head->magic) != 0)
    CORRUPT("%s: attributes do not begin with " FILE_MAGIC, s->name);
  if (head->version != FILE_VERSION)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: attributes have version %u, this build reads %d", s->name, head->version,
         FILE_VERSION);
  if (head->columns > ATTRIBUTES_COLUMNS_MAX || head->slots > ATTRIBUTES_SLOTS_MAX)
    CORRUPT("%s: attributes claim %u columns and %llu slots, at most %d and %zu are possible", s->name, head->columns,
            (unsigned long long)head->slots, ATTRIBUTES_COLUMNS_MAX, ATTRIBUTES_SLOTS_MAX);
done:
  return status;
}

medley_status attributes_read(attributes **out, const void *bytes, size_t length, const char *name, medley_error *err) {
  medley_status status = MEDLEY_OK;
  source s = {.bytes = bytes, .left = length, .name = name};
  attributes *a = NULL;
  file_head head;
  *out = NULL;
  TRY(read_head(&head, &s, err));
  TRY(attributes_create(&a, err));
  a->slots = (size_t)head.slots;
  for (size_t i = 0; i < head.columns; i++) TRY(read_column(a, &s, i, err));
  if (s.left != 0) CORRUPT("%s: %zu bytes follow the attributes", name, s.left);
  *out = a;
  a = NULL;
done:
  attributes_free(a);
  return status;
}

/* ---- reading when it is needed ---- */

medley_status attributes_read_later(attributes **out, const index_file *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *bytes;
  size_t length;
  attributes *a = NULL;
  file_head head;
  *out = NULL;
  TRY(index_file_section(f, ATTRIBUTES_SECTION, &bytes, &length, err));
  source s = {.bytes = bytes, .left = length, .name = index_file_path(f)};
  TRY(read_head(&head, &s, err));
  if (head.columns == 0) return attributes_read(out, bytes, length, index_file_path(f), err);
  if (head.slots / 8 > s.left) /* a column has a bit for each */
    CORRUPT("%s: attributes claim %llu slots in %zu bytes", s.name, (unsigned long long)head.slots, length);
  TRY(attributes_create(&a, err));
  TRY_NEW(a->forgotten, (head.slots + 63) / 64, "attributes");
  a->slots = (size_t)head.slots;
  atomic_store(&a->later, f);
  *out = a;
  a = NULL;
done:
  attributes_free(a);
  return status;
}

static void forgotten_clear(attributes *a) {
  for (size_t w = 0; w * 64 < a->slots; w++)
    for (uint64_t bits = a->forgotten[w]; bits != 0; bits &= bits - 1)
      attributes_slot_clear(a, (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(bits));
  mem_free(a->forgotten);
  a->forgotten = NULL;
}

static medley_status load_now(attributes *a, const index_file *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *bytes;
  size_t length;
  attributes *read = NULL;
  TRY(index_file_verify(f, ATTRIBUTES_SECTION, NULL, NULL, err));
  TRY(index_file_section(f, ATTRIBUTES_SECTION, &bytes, &length, err));
  TRY(attributes_read(&read, bytes, length, index_file_path(f), err));
  memcpy(a->columns, read->columns, read->column_count * sizeof(column *));
  a->column_count = read->column_count;
  read->column_count = 0;
  forgotten_clear(a);
  atomic_store_explicit(&a->later, NULL, memory_order_release);
done:
  attributes_free(read);
  return status;
}

medley_status attributes_load(const attributes *unread, medley_error *err) {
  medley_status status = MEDLEY_OK;
  attributes *a = (attributes *)unread;
  if (atomic_load_explicit(&a->later, memory_order_acquire) == NULL) return MEDLEY_OK;
  attributes_lock_write(a);
  const index_file *f = atomic_load(&a->later); /* another thread may have been faster */
  if (f != NULL) status = load_now(a, f, err);
  attributes_unlock(a);
  return status;
}
