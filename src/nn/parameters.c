/* nn/parameters.c: see nn/parameters.h. */
#include "nn/parameters.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/map.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/strbuf.h"

struct parameters {
  parameter **items;
  size_t count, capacity;
  strmap names;
  real *data, *gradient; /* all but tables; each tensor begins on a multiple of 64 bytes. Narrowed: not only reals */
  bool sealed;
  medley_status status;
  medley_error error;
};

parameters *parameters_create(void) { return mem_zalloc(1, sizeof(parameters)); }

static void table_free(tensor *x) {
  if (x->rows == NULL) return;
  mem_free(x->rows->slot);
  mem_free(x->rows->row);
  mem_free(x->rows->value);
  mem_free(x->rows);
  mem_unmap(x->data, x->count * sizeof(real));
}

void parameters_free(parameters *p) {
  if (p == NULL) return;
  for (size_t i = 0; i < p->count; i++) {
    if (p->items[i]->role == PARAMETER_TABLE) table_free(&p->items[i]->value);
    mem_free(p->items[i]->name);
    mem_free(p->items[i]);
  }
  mem_free(p->items);
  strmap_deinit(&p->names);
  mem_free(p->data);
  mem_free(p->gradient);
  mem_free(p);
}

/* ---- declaring ---- */

static char *full_name(const char *prefix, const char *name) {
  strbuf b = {.limit = SAFETENSORS_NAME_MAX};
  if (prefix != NULL && *prefix) strbuf_printf(&b, "%s.", prefix);
  strbuf_append(&b, name);
  char *text = strbuf_take(&b);
  strbuf_deinit(&b);
  return text;
}

static medley_status parameter_add(parameters *p, parameter *item, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (item->name == NULL) return error_memory(err, "the name of a parameter");
  if (strmap_get(&p->names, item->name) != NULL)
    return error_set(err, MEDLEY_ERR_INPUT, "two parameters are called %s", item->name);
  TRY_GROW(p->items, p->capacity, p->count + 1, "parameters");
  if (!strmap_put(&p->names, item->name, (int64_t)p->count)) return error_memory(err, "parameters");
  p->items[p->count++] = item;
done:
  return status;
}

tensor *parameters_add(parameters *p, const char *prefix, const char *name, parameter_role role, initial start,
                       int rank, const size_t *shape) {
  assert(!p->sealed);
  if (p->status != MEDLEY_OK) return NULL;
  size_t count;
  char text[TENSOR_TEXT_MAX];
  if (!shape_count(rank, shape, &count) || (role == PARAMETER_TABLE && (rank != 2 || shape[0] >= INT32_MAX))) {
    p->status =
        error_set(&p->error, MEDLEY_ERR_LIMIT, "parameter %s cannot be %s", name, shape_text(rank, shape, text));
    return NULL;
  }
  parameter *item = mem_zalloc(1, sizeof *item);
  if (item == NULL) {
    p->status = error_memory(&p->error, "a parameter");
    return NULL;
  }
  *item = (parameter){.name = full_name(prefix, name), .role = role, .start = start};
  tensor_init(&item->value, DTYPE_REAL, rank, shape, NULL);
  item->value.needs_gradient = role != PARAMETER_FROZEN;
  p->status = parameter_add(p, item, &p->error);
  if (p->status == MEDLEY_OK) return &item->value;
  mem_free(item->name);
  mem_free(item);
  return NULL;
}

size_t parameters_freeze(parameters *p, const char *prefix) {
  assert(!p->sealed);
  size_t length = prefix != NULL ? strlen(prefix) : 0, frozen = 0;
  for (size_t i = 0; i < p->count; i++) {
    const char *name = p->items[i]->name;
    if (length > 0 && (strncmp(name, prefix, length) != 0 || (name[length] != '.' && name[length] != 0))) continue;
    p->items[i]->role = PARAMETER_FROZEN;
    p->items[i]->value.needs_gradient = false;
    frozen++;
  }
  return frozen;
}

/* ---- sealing ---- */

static size_t padded(size_t count) { return (count + 15) & ~(size_t)15; }

/* What a weight [outputs, inputs, ...] multiplies and makes; a kernel's window counts with both. */
static void fans(const tensor *x, double *inputs, double *outputs) {
  double window = 1;
  for (int d = 2; d < x->rank; d++) window *= (double)x->shape[d];
  *outputs = x->rank > 0 ? (double)x->shape[0] * window : 1;
  *inputs = x->rank > 1 ? (double)x->shape[1] * window : *outputs;
}

static double initial_bound(const parameter *item) {
  double inputs, outputs, scale = item->start.scale;
  fans(&item->value, &inputs, &outputs);
  switch (item->start.kind) {
    case INITIAL_FAN_IN: return 1 / sqrt(inputs);
    case INITIAL_XAVIER: return (scale > 0 ? scale : 1) * sqrt(6 / (inputs + outputs));
    default: return scale;
  }
}

/* Blocks of numbers, each from a generator of its own, so that threads can share them. */
static void parameter_start(parameter *item, uint64_t seed, size_t number) {
  enum { BLOCK = 1 << 16 };
  real *data = real_data(&item->value);
  size_t count = item->value.count;
  double bound = initial_bound(item);
  initial_kind kind = item->start.kind;
#pragma omp parallel for schedule(static) if (count > 4 * BLOCK)
  for (size_t from = 0; from < count; from += BLOCK) {
    rng r;
    rng_seed(&r, (seed * 0x9e3779b97f4a7c15u + number) * 0xbf58476d1ce4e5b9u + from);
    for (size_t i = from; i < from + BLOCK && i < count; i++)
      data[i] = (real)(kind == INITIAL_ZERO       ? 0
                       : kind == INITIAL_CONSTANT ? bound
                       : kind == INITIAL_NORMAL   ? bound * rng_normal(&r)
                                                  : bound * (2 * rng_uniform(&r) - 1));
  }
}

/* Zeroed lazily by the system: a page of a table's slots or of its optimiser's state that no batch touches costs
 * nothing. The table itself is written whole at once, so it may lie in huge pages: its rows are found anywhere. */
enum { TABLE_HUGE_BYTES = 64 << 20 };
static medley_status table_create(tensor *x, medley_error *err) {
  x->rows = mem_zalloc(1, sizeof *x->rows);
  if (x->rows == NULL) return error_memory(err, "a table");
  x->rows->slot = mem_zalloc(x->shape[0], sizeof *x->rows->slot);
  x->data = mem_map(x->count * sizeof(real), x->count * sizeof(real) >= TABLE_HUGE_BYTES);
  return x->rows->slot == NULL || x->data == NULL ? error_memory(err, "a table") : MEDLEY_OK;
}

medley_status parameters_seal(parameters *p, uint64_t seed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  assert(!p->sealed);
  if (p->status != MEDLEY_OK) return error_set(err, p->status, "%s", p->error.text);
  size_t all = 0, trained = 0;
  for (size_t i = 0; i < p->count; i++) {
    size_t count = p->items[i]->role == PARAMETER_TABLE ? 0 : padded(p->items[i]->value.count);
    all += count;
    trained += p->items[i]->role == PARAMETER_FROZEN ? 0 : count;
  }
  TRY_NEW(p->data, all, "parameters");
  TRY_NEW(p->gradient, trained, "the gradients of parameters");
  real *data = p->data, *gradient = p->gradient;
  for (size_t i = 0; i < p->count; i++) {
    tensor *x = &p->items[i]->value;
    if (p->items[i]->role == PARAMETER_TABLE) {
      TRY(table_create(x, err));
    } else {
      x->data = data;
      data += padded(x->count);
      if (x->needs_gradient) {
        x->gradient = gradient;
        gradient += padded(x->count);
      }
    }
    parameter_start(p->items[i], seed, i);
  }
  p->sealed = true;
done:
  return status;
}

/* ---- answering only ---- */

/* Bytes of a parameter that is not a table, in whole lines of the cache; *scale: where its scale begins. */
static size_t narrow_bytes(const parameter *item, weight_precision precision, size_t *scale) {
  enum { LINE = 64 };
  size_t bytes = item->value.count * sizeof(real);
  if (item->role == PARAMETER_WEIGHT && precision == WEIGHT_BF16) bytes = item->value.count * sizeof(uint16_t);
  if (item->role == PARAMETER_WEIGHT && precision == WEIGHT_INT8) {
    *scale = (item->value.count + sizeof(float) - 1) / sizeof(float) * sizeof(float);
    bytes = *scale + item->value.shape[0] * sizeof(float);
  }
  return (bytes + LINE - 1) / LINE * LINE;
}

medley_status parameters_narrow(parameters *p, weight_precision precision, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char *block = NULL;
  size_t all = 0, scale = 0;
  assert(p->sealed);
  if (precision == WEIGHT_F32) return MEDLEY_OK;
  for (size_t i = 0; i < p->count; i++)
    if (p->items[i]->role != PARAMETER_TABLE) all += narrow_bytes(p->items[i], precision, &scale);
  TRY_NEW(block, all, "parameters");
  unsigned char *to = block;
  for (size_t i = 0; i < p->count; i++) {
    tensor *x = &p->items[i]->value;
    x->needs_gradient = x->has_gradient = false;
    x->gradient = NULL;
    if (p->items[i]->role == PARAMETER_TABLE) continue;
    size_t bytes = narrow_bytes(p->items[i], precision, &scale);
    if (p->items[i]->role == PARAMETER_WEIGHT) {
      assert(x->dtype == DTYPE_F32);
      x->dtype = precision_dtype(precision);
      x->scale = precision == WEIGHT_INT8 ? (float *)(void *)(to + scale) : NULL;
      precision_narrow(precision, x->data, x->shape[0], x->count / x->shape[0], to, (float *)(uintptr_t)x->scale);
    } else {
      memcpy(to, x->data, x->count * sizeof(real));
    }
    x->data = to;
    to += bytes;
  }
  mem_free(p->data);
  mem_free(p->gradient);
  p->data = (real *)(void *)block;
  p->gradient = NULL;
done:
  return status;
}

weight_precision parameters_precision(const parameters *p) {
  for (size_t i = 0; i < p->count; i++)
    if (p->items[i]->role == PARAMETER_WEIGHT) return precision_of(p->items[i]->value.dtype);
  return WEIGHT_F32;
}

/* ---- looking ---- */

size_t parameters_count(const parameters *p) { return p->count; }
parameter *parameters_at(parameters *p, size_t index) { return p->items[index]; }

tensor *parameters_get(parameters *p, const char *name) {
  const int64_t *at = strmap_get(&p->names, name);
  return at != NULL ? &p->items[*at]->value : NULL;
}

size_t parameters_elements(const parameters *p) {
  size_t sum = 0;
  for (size_t i = 0; i < p->count; i++) sum += p->items[i]->value.count;
  return sum;
}

void parameters_clear_gradients(parameters *p) {
  for (size_t i = 0; i < p->count; i++) {
    tensor *x = &p->items[i]->value;
    x->has_gradient = false;
    if (x->rows == NULL) continue;
    for (size_t k = 0; k < x->rows->count; k++) x->rows->slot[x->rows->row[k]] = 0;
    x->rows->count = 0;
  }
}
