/* data/traits.c: see data/traits.h. */
#include "data/traits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/strbuf.h"

#define FIELDS_SEEN_MAX 256       /* attributes by so many names are looked at */
#define VALUES_SEEN_MAX (1 << 16) /* values of one field that are counted */
#define DISTINCT_MOST 24          /* a field with more different numbers is told in ranges */
#define RANGES 8

void traits_deinit(traits *t) {
  for (uint32_t f = 0; f < t->field_count; f++) {
    mem_free(t->field[f].name);
    for (uint32_t v = 0; t->field[f].value != NULL && v < t->field[f].count; v++) mem_free(t->field[f].value[v]);
    mem_free(t->field[f].value);
    mem_free(t->field[f].bound);
  }
  mem_free(t->field);
  sparse_deinit(&t->rows);
  *t = (traits){0};
}

/* ---- what an attribute says ---- */

/* One value as text, the same for 25, 25.0 and "25"; "" when it is none. */
static void value_text(const json_t *json, char out[TRAIT_LENGTH_MAX + 1], bool *is_number, double *number) {
  const char *text = json_string_value(json);
  *out = '\0';
  *is_number =
      json_is_number(json) || (text != NULL && strlen(text) <= TRAIT_LENGTH_MAX && string_to_double(text, number));
  if (json_is_number(json)) *number = json_number_value(json);
  if (*is_number && isfinite(*number))
    snprintf(out, TRAIT_LENGTH_MAX + 1, "%.9g", *number);
  else if (json_is_boolean(json))
    snprintf(out, TRAIT_LENGTH_MAX + 1, "%s", json_is_true(json) ? "true" : "false");
  else if (text != NULL && strlen(text) <= TRAIT_LENGTH_MAX)
    snprintf(out, TRAIT_LENGTH_MAX + 1, "%s", text);
}

/* The values of an attribute: itself, or those of a list. */
static size_t value_count(const json_t *json) { return json_is_array(json) ? json_array_size(json) : 1; }
static const json_t *value_at(const json_t *json, size_t k) {
  return json_is_array(json) ? json_array_get(json, k) : json;
}

/* *out NULL where there is nothing to read. */
static medley_status attributes_read(const char *attributes, json_t **out, medley_error *err) {
  *out = NULL;
  if (attributes == NULL) return MEDLEY_OK;
  medley_status status = json_parse(attributes, strlen(attributes), "attributes", out, NULL);
  return status == MEDLEY_ERR_MEMORY ? error_memory(err, "attributes") : MEDLEY_OK;
}

static medley_status text_keep(const char *text, char **out, medley_error *err) {
  *out = mem_strdup(text);
  return *out != NULL ? MEDLEY_OK : error_memory(err, "attributes");
}

/* ---- what there is ---- */

typedef struct field_seen {
  char *name;
  strmap values; /* value → how many people */
  double *number;
  size_t number_count, number_capacity, people, told;
  bool words; /* some value is no number */
} field_seen;

typedef struct people_seen {
  field_seen field[FIELDS_SEEN_MAX];
  size_t field_count, people;
} people_seen;

static void people_seen_free(people_seen *p) {
  if (p == NULL) return;
  for (size_t f = 0; f < p->field_count; f++) {
    mem_free(p->field[f].name);
    strmap_deinit(&p->field[f].values);
    mem_free(p->field[f].number);
  }
  mem_free(p);
}

static field_seen *field_find(people_seen *p, const char *name) {
  for (size_t f = 0; f < p->field_count; f++)
    if (strcmp(p->field[f].name, name) == 0) return &p->field[f];
  return NULL;
}

static medley_status value_see(field_seen *f, const json_t *json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char text[TRAIT_LENGTH_MAX + 1];
  bool is_number;
  double number;
  value_text(json, text, &is_number, &number);
  if (*text == '\0') return MEDLEY_OK;
  f->words |= !is_number;
  f->told++;
  if (is_number) {
    TRY_GROW(f->number, f->number_capacity, f->number_count + 1, "attributes");
    f->number[f->number_count++] = number;
  }
  if (f->values.count >= VALUES_SEEN_MAX && strmap_get(&f->values, text) == NULL) return MEDLEY_OK;
  int64_t *count = strmap_get_or_put(&f->values, text, strlen(text), 0, NULL);
  if (count == NULL) return error_memory(err, "attributes");
  ++*count;
done:
  return status;
}

static medley_status field_see(people_seen *p, const char *name, const json_t *json, medley_error *err) {
  medley_status status = MEDLEY_OK;
  field_seen *f = field_find(p, name);
  if (f == NULL && p->field_count == FIELDS_SEEN_MAX) return MEDLEY_OK;
  if (f == NULL) {
    f = &p->field[p->field_count];
    TRY(text_keep(name, &f->name, err));
    p->field_count++;
  }
  size_t before = f->told;
  for (size_t k = 0; k < value_count(json) && k < TRAITS_PERSON_MAX; k++) TRY(value_see(f, value_at(json, k), err));
  f->people += f->told > before;
done:
  return status;
}

static medley_status person_see(void *context, const store_user *user, medley_error *err) {
  medley_status status = MEDLEY_OK;
  people_seen *p = context;
  json_t *json, *value;
  const char *name;
  TRY(attributes_read(user->attributes, &json, err));
  p->people++;
  json_object_foreach(json, name, value) TRY(field_see(p, name, value, err));
done:
  json_decref(json);
  return status;
}

/* ---- what is worth telling apart ---- */

static int number_compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static int text_compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* As many people in each range as can be. */
static medley_status ranges_choose(field_seen *f, trait_field *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t ranges = f->number_count / TRAIT_PEOPLE_MIN, bounds = 0;
  if (ranges > RANGES) ranges = RANGES;
  if (ranges < 2) return MEDLEY_OK;
  TRY_NEW(out->bound, ranges, "attributes");
  qsort(f->number, f->number_count, sizeof *f->number, number_compare);
  for (size_t k = 1; k < ranges; k++) {
    double bound = f->number[k * f->number_count / ranges];
    if (bound > (bounds > 0 ? out->bound[bounds - 1] : f->number[0])) out->bound[bounds++] = bound;
  }
  if (bounds > 0) out->count = (uint32_t)bounds + 1;
done:
  return status;
}

typedef struct value_held {
  const char *text;
  int64_t people;
} value_held;

static int held_compare(const void *a, const void *b) {
  const value_held *x = a, *y = b;
  if (x->people != y->people) return x->people < y->people ? 1 : -1;
  return strcmp(x->text, y->text);
}

static medley_status values_keep(const value_held *held, size_t count, trait_field *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(out->value, count, "attributes");
  for (; out->count < count; out->count++) TRY(text_keep(held[out->count].text, &out->value[out->count], err));
  qsort(out->value, count, sizeof *out->value, text_compare);
done:
  return status;
}

/* The values that most people have, if together they say something of half of those who have any. */
static medley_status values_choose(const field_seen *f, size_t people, trait_field *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  value_held *held = NULL;
  size_t count = 0, cursor = 0, kept = 0;
  int64_t told = 0, number;
  const char *text;
  TRY_NEW(held, f->values.count, "attributes");
  while (strmap_next(&f->values, &cursor, &text, &number)) held[count++] = (value_held){text, number};
  qsort(held, count, sizeof *held, held_compare);
  while (kept < count && kept < TRAIT_VALUES_MAX && held[kept].people >= TRAIT_PEOPLE_MIN) told += held[kept++].people;
  bool same = kept == 1 && (size_t)held[0].people == people;
  if (kept > 0 && !same && 2 * (size_t)told >= f->told) TRY(values_keep(held, kept, out, err));
done:
  mem_free(held);
  return status;
}

static int people_compare(const void *a, const void *b) {
  const field_seen *x = a, *y = b;
  if (x->people != y->people) return x->people < y->people ? 1 : -1;
  return strcmp(x->name, y->name);
}

static int field_compare(const void *a, const void *b) {
  return strcmp(((const trait_field *)a)->name, ((const trait_field *)b)->name);
}

static void fields_number(traits *t) {
  t->count = 0;
  for (uint32_t f = 0; f < t->field_count; f++) {
    t->field[f].first = t->count;
    t->count += t->field[f].count;
  }
}

/* seen's names move to what is kept. */
static medley_status fields_choose(people_seen *seen, traits *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY_NEW(out->field, TRAIT_FIELDS_MAX, "attributes");
  qsort(seen->field, seen->field_count, sizeof *seen->field, people_compare);
  for (size_t k = 0; k < seen->field_count && out->field_count < TRAIT_FIELDS_MAX; k++) {
    field_seen *f = &seen->field[k];
    trait_field *to = &out->field[out->field_count++]; /* so that deinit frees what it has */
    *to = (trait_field){0};
    if (!f->words && f->values.count > DISTINCT_MOST)
      TRY(ranges_choose(f, to, err));
    else
      TRY(values_choose(f, seen->people, to, err));
    if (to->count > 0) {
      to->name = f->name;
      f->name = NULL;
    } else {
      mem_free(to->bound);
      out->field_count--;
    }
  }
  qsort(out->field, out->field_count, sizeof *out->field, field_compare);
  fields_number(out);
done:
  return status;
}

/* ---- a person's ---- */

/* UINT32_MAX: none. */
static uint32_t trait_find(const trait_field *f, const json_t *json) {
  char text[TRAIT_LENGTH_MAX + 1];
  bool is_number;
  double number;
  value_text(json, text, &is_number, &number);
  if (*text == '\0') return UINT32_MAX;
  if (f->value != NULL) {
    const char *key = text;
    char **found = bsearch(&key, f->value, f->count, sizeof *f->value, text_compare);
    return found != NULL ? f->first + (uint32_t)(found - f->value) : UINT32_MAX;
  }
  if (!is_number) return UINT32_MAX;
  uint32_t range = 0;
  while (range + 1 < f->count && number >= f->bound[range]) range++;
  return f->first + range;
}

static int trait_compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

medley_status traits_of(const traits *t, const char *attributes, uint32_t out[TRAITS_PERSON_MAX], size_t *found,
                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = 0;
  json_t *json = NULL;
  *found = 0;
  if (t->count > 0) TRY(attributes_read(attributes, &json, err));
  for (uint32_t f = 0; f < t->field_count; f++) {
    const json_t *value = json_object_get(json, t->field[f].name);
    for (size_t k = 0; value != NULL && k < value_count(value) && count < TRAITS_PERSON_MAX; k++) {
      uint32_t trait = trait_find(&t->field[f], value_at(value, k));
      if (trait != UINT32_MAX) out[count++] = trait;
    }
  }
  qsort(out, count, sizeof *out, trait_compare);
  for (size_t k = 0; k < count; k++)
    if (k == 0 || out[k] != out[k - 1]) out[(*found)++] = out[k];
done:
  json_decref(json);
  return status;
}

uint32_t traits_field(const traits *t, uint32_t trait) {
  uint32_t f = 0;
  while (f + 1 < t->field_count && trait >= t->field[f + 1].first) f++;
  return f;
}

/* ---- everybody's ---- */

typedef struct rows_reader {
  const traits *t;
  const intmap *user_index;
  uint32_t user_count;
  sparse_entry *entries;
  size_t count, capacity;
} rows_reader;

static medley_status row_read(void *context, const store_user *user, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rows_reader *r = context;
  uint32_t found[TRAITS_PERSON_MAX];
  const int64_t *row = intmap_get(r->user_index, user->id);
  if (row == NULL || *row >= r->user_count) return MEDLEY_OK;
  size_t count;
  TRY(traits_of(r->t, user->attributes, found, &count, err));
  TRY_GROW(r->entries, r->capacity, r->count + count, "attributes");
  for (size_t k = 0; k < count; k++) r->entries[r->count++] = (sparse_entry){(uint32_t)*row, found[k], 1};
done:
  return status;
}

medley_status traits_load(const store_kind *kind, store *s, const intmap *user_index, uint32_t user_count, traits *out,
                          medley_error *err) {
  medley_status status = MEDLEY_OK;
  people_seen *seen = NULL;
  rows_reader r = {.t = out, .user_index = user_index, .user_count = user_count};
  *out = (traits){0};
  TRY_NEW(seen, 1, "attributes");
  TRY(kind->each_user(s, 0, 0, person_see, seen, err));
  if (seen->field_count > 0) TRY(fields_choose(seen, out, err));
  if (out->count == 0) goto done;
  TRY(kind->each_user(s, 0, 0, row_read, &r, err));
  TRY(sparse_from_entries(user_count, out->count, r.entries, r.count, SPARSE_MAX, &out->rows, err));
done:
  if (status != MEDLEY_OK) traits_deinit(out);
  people_seen_free(seen);
  mem_free(r.entries);
  return status;
}

/* ---- manifests ---- */

static json_t *field_to_json(const trait_field *f) {
  json_t *list = json_array();
  for (uint32_t v = 0; v + (f->value == NULL) < f->count; v++)
    json_array_append_new(list, f->value != NULL ? json_string(f->value[v]) : json_real(f->bound[v]));
  return json_pack("{s:s, s:o}", "field", f->name, f->value != NULL ? "values" : "bounds", list);
}

json_t *traits_to_json(const traits *t) {
  json_t *out = json_array();
  for (uint32_t f = 0; f < t->field_count; f++)
    if (json_array_append_new(out, field_to_json(&t->field[f])) != 0) {
      json_decref(out);
      return NULL;
    }
  return out;
}

static bool values_good(const json_t *list) {
  size_t count = json_array_size(list);
  for (size_t k = 0; k < count; k++) {
    const char *text = json_string_value(json_array_get(list, k));
    if (text == NULL || (k > 0 && strcmp(json_string_value(json_array_get(list, k - 1)), text) >= 0)) return false;
  }
  return count > 0 && count <= TRAIT_VALUES_MAX;
}

static bool bounds_good(const json_t *list) {
  size_t count = json_array_size(list);
  for (size_t k = 0; k < count; k++) {
    const json_t *bound = json_array_get(list, k), *before = k > 0 ? json_array_get(list, k - 1) : NULL;
    if (!json_is_number(bound) || (before != NULL && !(json_number_value(before) < json_number_value(bound))))
      return false;
  }
  return count > 0 && count < TRAIT_VALUES_MAX;
}

static bool field_good(const json_t *field, const char *before) {
  const char *name = json_string_value(json_object_get(field, "field"));
  const json_t *values = json_object_get(field, "values");
  if (name == NULL || (before != NULL && strcmp(before, name) >= 0)) return false;
  return values != NULL ? values_good(values) : bounds_good(json_object_get(field, "bounds"));
}

static medley_status field_read(const json_t *field, trait_field *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *values = json_object_get(field, "values"), *bounds = json_object_get(field, "bounds");
  TRY(text_keep(json_string_value(json_object_get(field, "field")), &out->name, err));
  if (values != NULL) {
    TRY_NEW(out->value, json_array_size(values), "attributes");
    for (; out->count < json_array_size(values); out->count++)
      TRY(text_keep(json_string_value(json_array_get(values, out->count)), &out->value[out->count], err));
  } else {
    TRY_NEW(out->bound, json_array_size(bounds), "attributes");
    for (size_t k = 0; k < json_array_size(bounds); k++) out->bound[k] = json_number_value(json_array_get(bounds, k));
    out->count = (uint32_t)json_array_size(bounds) + 1;
  }
done:
  return status;
}

medley_status traits_from_json(const json_t *json, const char *path, traits *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = json_array_size(json);
  *out = (traits){0};
  if (json == NULL) return MEDLEY_OK;
  if (!json_is_array(json) || count > TRAIT_FIELDS_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: 'people' should list at most %d fields", path, TRAIT_FIELDS_MAX);
  TRY_NEW(out->field, count + 1, "attributes");
  for (size_t k = 0; k < count; k++) {
    const json_t *field = json_array_get(json, k);
    if (!field_good(field, k > 0 ? out->field[k - 1].name : NULL))
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: field %zu of 'people' should have a name, and values or bounds, all ascending",
           path, k + 1);
    TRY(field_read(field, &out->field[out->field_count++], err));
  }
  fields_number(out);
done:
  if (status != MEDLEY_OK) traits_deinit(out);
  return status;
}
