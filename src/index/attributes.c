/* index/attributes.c: see index/attributes.h. The lock, the table of columns, and rows of attributes. */
#include "index/attributes.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rwlock.h"
#include "base/strbuf.h"
#include "index/attributes_parts.h"

/* ---- life and lock ---- */

medley_status attributes_create(attributes **out, medley_error *err) {
  *out = NULL;
  attributes *a = mem_zalloc(1, sizeof *a);
  if (a == NULL) return error_memory(err, "attributes");
  int failed = rwlock_init(&a->lock);
  if (failed != 0) {
    mem_free(a);
    return error_set_errno(err, MEDLEY_ERR_MEMORY, failed, "cannot make a lock for attributes");
  }
  atomic_init(&a->version, 1);
  *out = a;
  return MEDLEY_OK;
}

void attributes_free(attributes *a) {
  if (a == NULL) return;
  for (size_t i = 0; i < a->column_count; i++) column_free(a->columns[i]);
  mem_free(a->forgotten);
  pthread_rwlock_destroy(&a->lock);
  mem_free(a);
}

void attributes_lock_read(const attributes *a) { pthread_rwlock_rdlock(&((attributes *)a)->lock); }
void attributes_unlock(const attributes *a) { pthread_rwlock_unlock(&((attributes *)a)->lock); }
void attributes_lock_write(const attributes *a) { pthread_rwlock_wrlock(&((attributes *)a)->lock); }

/* With the write lock held. */
static void attributes_changed(attributes *a, size_t slots) {
  if (slots > a->slots) a->slots = slots;
  atomic_fetch_add(&a->version, 1);
}

uint64_t attributes_version(const attributes *a) { return atomic_load(&a->version); }

size_t attributes_bytes(const attributes *a) {
  attributes_lock_read(a);
  size_t bytes = sizeof *a + (a->forgotten ? (a->slots + 63) / 64 * sizeof *a->forgotten : 0);
  for (size_t i = 0; i < a->column_count; i++) bytes += column_bytes(a->columns[i]);
  attributes_unlock(a);
  return bytes;
}

/* ---- what may be written ---- */

medley_status attributes_check_name(const char *name, medley_error *err) {
  size_t length = strlen(name);
  if (length == 0 || length > ATTRIBUTES_NAME_BYTES_MAX)
    return error_set(err, MEDLEY_ERR_INPUT, "an attribute's name has %zu bytes, expected 1 to %d", length,
                     ATTRIBUTES_NAME_BYTES_MAX);
  if (!utf8_valid(name, length)) return error_set(err, MEDLEY_ERR_INPUT, "an attribute's name is not UTF-8");
  for (const char *p = name; *p != '\0'; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7f)
      return error_set(err, MEDLEY_ERR_INPUT, "an attribute's name contains the control character 0x%02x",
                       (unsigned char)*p);
  if (strcmp(name, "id") == 0)
    return error_set(err, MEDLEY_ERR_INPUT, "'id' is the row's own name and cannot be an attribute: call it another");
  return MEDLEY_OK;
}

medley_status attributes_check_word(const char *name, const char *word, size_t length, medley_error *err) {
  if (length == 0 || length > ATTRIBUTES_WORD_BYTES_MAX)
    return error_set(err, MEDLEY_ERR_INPUT, "a word of attribute '%s' has %zu bytes, expected 1 to %d", name, length,
                     ATTRIBUTES_WORD_BYTES_MAX);
  if (!utf8_valid(word, length) || memchr(word, '\0', length) != NULL)
    return error_set(err, MEDLEY_ERR_INPUT, "a word of attribute '%s' is not UTF-8 without NUL", name);
  return MEDLEY_OK;
}

static medley_status check_number(const char *name, double value, medley_error *err) {
  if (isfinite(value)) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "attribute '%s' is %g, expected a finite number", name, value);
}

static medley_status check_slot(uint32_t slot, medley_error *err) {
  if (slot < ATTRIBUTES_SLOTS_MAX) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_LIMIT, "slot %u is above the limit of %zu slots", slot, ATTRIBUTES_SLOTS_MAX);
}

/* ---- columns ---- */

static size_t column_place(const attributes *a, const char *name, bool *found) {
  size_t low = 0, high = a->column_count;
  *found = false;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(a->columns[middle]->name, name);
    if (order == 0) *found = true;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

column *attributes_column(const attributes *a, const char *name) {
  bool found;
  size_t at = column_place(a, name, &found);
  return found ? a->columns[at] : NULL;
}

medley_status attributes_column_open(attributes *a, const char *name, column_kind kind, column **out,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool found;
  size_t at = column_place(a, name, &found);
  if (!found) {
    TRY(attributes_check_name(name, err));
    if (a->column_count == ATTRIBUTES_COLUMNS_MAX)
      FAIL(err, MEDLEY_ERR_LIMIT, "attribute '%s' would be one name more than the limit of %d", name,
           ATTRIBUTES_COLUMNS_MAX);
    column *c;
    TRY(column_create(name, kind, &c, err));
    memmove(a->columns + at + 1, a->columns + at, (a->column_count - at) * sizeof *a->columns);
    a->columns[at] = c;
    a->column_count++;
  }
  *out = a->columns[at];
  if ((*out)->kind != kind) {
    if ((*out)->present > 0)
      FAIL(err, MEDLEY_ERR_INPUT, "attribute '%s' holds %s, so it cannot take %s", name, column_kind_name((*out)->kind),
           column_kind_name(kind));
    column_reset(*out, kind);
  }
  column_tidy(*out);
done:
  return status;
}

/* ---- writing ---- */

medley_status attributes_set_number(attributes *a, uint32_t slot, const char *name, double value, medley_error *err) {
  medley_status status = attributes_load(a, err);
  column *c;
  if (status != MEDLEY_OK) return status;
  attributes_lock_write(a);
  TRY(check_slot(slot, err));
  TRY(check_number(name, value, err));
  TRY(attributes_column_open(a, name, COLUMN_NUMBERS, &c, err));
  TRY(column_reserve_number(c, slot, err));
  column_put_number(c, slot, value);
  attributes_changed(a, (size_t)slot + 1);
done:
  attributes_unlock(a);
  return status;
}

/* The ids of a slot's words, each once. */
typedef struct word_list {
  uint32_t ids[ATTRIBUTES_SLOT_WORDS_MAX];
  size_t count;
} word_list;

static medley_status word_list_add(word_list *list, column *c, const char *word, size_t length, medley_error *err) {
  uint32_t id;
  medley_status status = attributes_check_word(c->name, word, length, err);
  if (status == MEDLEY_OK) status = column_intern(c, word, length, &id, err);
  if (status != MEDLEY_OK) return status;
  for (size_t i = 0; i < list->count; i++)
    if (list->ids[i] == id) return MEDLEY_OK;
  if (list->count == ATTRIBUTES_SLOT_WORDS_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "a row has more than %d words of attribute '%s'", ATTRIBUTES_SLOT_WORDS_MAX,
                     c->name);
  list->ids[list->count++] = id;
  return MEDLEY_OK;
}

medley_status attributes_add_word(attributes *a, uint32_t slot, const char *name, const char *word, medley_error *err) {
  medley_status status = attributes_load(a, err);
  column *c;
  word_list list;
  uint32_t single;
  const uint32_t *ids;
  if (status != MEDLEY_OK) return status;
  attributes_lock_write(a);
  TRY(check_slot(slot, err));
  TRY(attributes_check_word(name, word, strlen(word), err));
  TRY(attributes_column_open(a, name, COLUMN_WORDS, &c, err));
  list.count = column_words(c, slot, &single, &ids);
  memcpy(list.ids, ids, list.count * sizeof *ids);
  TRY(word_list_add(&list, c, word, strlen(word), err));
  TRY(column_reserve_words(c, slot, list.ids, list.count, err));
  column_put_words(c, slot, list.ids, list.count);
  attributes_changed(a, (size_t)slot + 1);
done:
  attributes_unlock(a);
  return status;
}

void attributes_slot_clear(attributes *a, uint32_t slot) {
  for (size_t i = 0; i < a->column_count; i++) {
    if (a->columns[i]->kind == COLUMN_NUMBERS)
      column_put_number(a->columns[i], slot, NAN);
    else
      column_put_words(a->columns[i], slot, NULL, 0);
  }
}

void attributes_clear(attributes *a, uint32_t slot) {
  attributes_lock_write(a);
  if (a->forgotten == NULL)
    attributes_slot_clear(a, slot);
  else if (slot < a->slots)
    a->forgotten[slot / 64] |= (uint64_t)1 << slot % 64;
  attributes_changed(a, 0);
  attributes_unlock(a);
}

/* ---- rows of JSON ---- */

/* A member ready to be put. */
typedef struct member {
  column *column;
  double number;
  size_t first, count; /* of the ids */
} member;

typedef struct row {
  member members[ATTRIBUTES_COLUMNS_MAX];
  size_t count;
  uint32_t *ids;
  size_t id_count, id_capacity;
} row;

static medley_status row_add_number(attributes *a, row *r, const char *name, double value, uint32_t slot,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  member *m = &r->members[r->count];
  *m = (member){.number = value};
  TRY(check_number(name, value, err));
  TRY(attributes_column_open(a, name, COLUMN_NUMBERS, &m->column, err));
  TRY(column_reserve_number(m->column, slot, err));
  r->count++;
done:
  return status;
}

static medley_status row_add_words(attributes *a, row *r, const char *name, const json_t *value, uint32_t slot,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  word_list list = {.count = 0};
  member *m = &r->members[r->count];
  *m = (member){.first = r->id_count};
  TRY(attributes_column_open(a, name, COLUMN_WORDS, &m->column, err));
  size_t count = json_is_array(value) ? json_array_size(value) : 1;
  for (size_t i = 0; i < count; i++) {
    const json_t *word = json_is_array(value) ? json_array_get(value, i) : value;
    if (!json_is_string(word))
      FAIL(err, MEDLEY_ERR_INPUT, "attribute '%s': a list can hold words only, and entry %zu is none", name, i + 1);
    TRY(word_list_add(&list, m->column, json_string_value(word), json_string_length(word), err));
  }
  TRY(column_reserve_words(m->column, slot, list.ids, list.count, err));
  TRY_GROW(r->ids, r->id_capacity, r->id_count + list.count, "words of attributes");
  memcpy(r->ids + r->id_count, list.ids, list.count * sizeof *r->ids);
  m->count = list.count;
  r->id_count += list.count;
  r->count++;
done:
  return status;
}

static medley_status row_add(attributes *a, row *r, const char *name, const json_t *value, uint32_t slot,
                             medley_error *err) {
  if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0)) return MEDLEY_OK;
  if (r->count == ATTRIBUTES_COLUMNS_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "a row has more than %d attributes", ATTRIBUTES_COLUMNS_MAX);
  if (json_is_boolean(value)) return row_add_number(a, r, name, json_is_true(value), slot, err);
  if (json_is_number(value)) return row_add_number(a, r, name, json_number_value(value), slot, err);
  if (json_is_string(value) || json_is_array(value)) return row_add_words(a, r, name, value, slot, err);
  return error_set(err, MEDLEY_ERR_INPUT,
                   "attribute '%s' is an object, expected a number, true, false, a word or a list of words", name);
}

medley_status attributes_set_json(attributes *a, uint32_t slot, const json_t *object, medley_error *err) {
  medley_status status = attributes_load(a, err);
  const char *name;
  json_t *value;
  row *r = NULL;
  if (status != MEDLEY_OK) return status;
  attributes_lock_write(a);
  TRY(check_slot(slot, err));
  if (object != NULL && !json_is_object(object))
    FAIL(err, MEDLEY_ERR_INPUT, "attributes are no JSON object: write {\"name\": value, ...}");
  if ((r = mem_alloc(1, sizeof *r)) == NULL) {
    status = error_memory(err, "attributes of a row");
    goto done;
  }
  r->count = r->id_count = r->id_capacity = 0;
  r->ids = NULL;
  json_object_foreach((json_t *)object, name, value) TRY(row_add(a, r, name, value, slot, err));
  attributes_slot_clear(a, slot);
  for (size_t i = 0; i < r->count; i++) {
    const member *m = &r->members[i];
    if (m->column->kind == COLUMN_NUMBERS)
      column_put_number(m->column, slot, m->number);
    else
      column_put_words(m->column, slot, r->ids + m->first, m->count);
  }
  attributes_changed(a, r->count > 0 ? (size_t)slot + 1 : 0);
done:
  attributes_unlock(a);
  if (r != NULL) mem_free(r->ids);
  mem_free(r);
  return status;
}

/* ---- reading ---- */

static json_t *cell_json(const column *c, uint32_t slot) {
  if (c->kind == COLUMN_NUMBERS) {
    double value = column_number(c, slot);
    bool whole = value == trunc(value) && fabs(value) < 0x1p53;
    return isnan(value) ? NULL : whole ? json_integer((json_int_t)value) : json_real(value);
  }
  uint32_t single;
  const uint32_t *ids;
  size_t count = column_words(c, slot, &single, &ids);
  if (count <= 1) return count == 0 ? NULL : json_string(c->words[ids[0]].text);
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++)
    if (json_array_append_new(list, json_string(c->words[ids[i]].text)) != 0) break;
  return list;
}

medley_status attributes_get(const attributes *a, uint32_t slot, json_t **out, medley_error *err) {
  medley_status status = attributes_load(a, err);
  *out = NULL;
  if (status != MEDLEY_OK) return status;
  attributes_lock_read(a);
  *out = json_object();
  for (size_t i = 0; i < a->column_count && *out != NULL; i++) {
    json_t *value = cell_json(a->columns[i], slot);
    if (value != NULL) json_object_set_new(*out, a->columns[i]->name, value);
  }
  attributes_unlock(a);
  if (*out == NULL) status = error_memory(err, "attributes of a row");
  return status;
}
