/* index/filter_compile.c: a filter's tree and the attributes → a bitmap over slots.
 *
 * First the tree becomes a plan: names are bound to columns, words to ids, comparisons to closed ranges, and the
 * members of an `and` are put in order, what looks at few slots first. Then the plan is run for 65536 slots at a time:
 * a bitmap of that many is 8 KiB, so all intermediate ones stay in the first cache, and a block of a word's slots
 * (slotset.h) is the same block. A column of numbers is scanned by 64 slots, and in an `and` only where something is
 * left.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/attributes_parts.h"
#include "index/filter_parts.h"
#include "math/clones.h"

#define BLOCK_WORDS SLOTSET_BLOCK_WORDS
#define FEW_NUMBERS 8 /* up to here each number of a list has its own pass over the column, above a search per slot */

/* ---- kernels: 64 slots → 64 bits ---- */

/* Bits of the numbers in low..high; none of a NaN. x [words * 64]; within NULL: everywhere. */
static inline VECTOR_INLINE void scan_range_body(const double *x, size_t words, double low, double high,
                                                 const uint64_t *within, uint64_t *out) {
  for (size_t w = 0; w < words; w++) {
    uint64_t bits = 0;
    if (within == NULL || within[w] != 0) {
      const double *cells = x + w * 64;
      _Pragma("omp simd reduction(|:bits)") for (uint64_t i = 0; i < 64; i++) bits |=
          (uint64_t)((cells[i] >= low) & (cells[i] <= high)) << i;
    }
    out[w] |= bits;
  }
}
VECTOR_CLONES(static, void, scan_range,
              (const double *x, size_t words, double low, double high, const uint64_t *within, uint64_t *out),
              (x, words, low, high, within, out))

/* Bits of the cells that are not 0. */
static inline VECTOR_INLINE void scan_filled_body(const uint32_t *x, size_t words, const uint64_t *within,
                                                  uint64_t *out) {
  for (size_t w = 0; w < words; w++) {
    uint64_t bits = 0;
    if (within == NULL || within[w] != 0) {
      const uint32_t *cells = x + w * 64;
      _Pragma("omp simd reduction(|:bits)") for (uint64_t i = 0; i < 64; i++) bits |= (uint64_t)(cells[i] != 0) << i;
    }
    out[w] |= bits;
  }
}
VECTOR_CLONES(static, void, scan_filled, (const uint32_t *x, size_t words, const uint64_t *within, uint64_t *out),
              (x, words, within, out))

static inline VECTOR_INLINE size_t count_bits_body(const uint64_t *words, size_t count) {
  size_t bits = 0;
  for (size_t w = 0; w < count; w++) bits += (size_t)__builtin_popcountll(words[w]);
  return bits;
}
VECTOR_CLONES(static, size_t, count_bits, (const uint64_t *words, size_t count), (words, count))

/* ---- the plan ---- */

typedef enum plan_op {
  PLAN_AND,
  PLAN_OR,
  PLAN_NOT,
  PLAN_FILLED, /* has a word */
  PLAN_RANGE,
  PLAN_NUMBERS,
  PLAN_WORDS,
  PLAN_SLOTS
} plan_op;

typedef struct plan {
  plan_op op;
  bool negated; /* a test: has a value, and not this */
  const column *column;
  double low, high; /* range */
  double *numbers;  /* [count] ascending */
  uint32_t *items;  /* [count] ids of words, or slots; ascending, each once */
  size_t count;
  uint64_t cost; /* by which the members of an and are ordered: slots looked at, more or less */
  struct plan *child, *next;
} plan;

typedef struct compilation {
  const attributes *attributes;
  size_t slots;
  const filter_labels *labels;
  arena *memory;
  size_t depth;      /* of the plan */
  uint64_t *scratch; /* [depth + 1, BLOCK_WORDS] */
} compilation;

static int compare_u32(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static size_t unique_u32(uint32_t *items, size_t count) {
  size_t kept = 0;
  qsort(items, count, sizeof *items, compare_u32);
  for (size_t i = 0; i < count; i++)
    if (kept == 0 || items[kept - 1] != items[i]) items[kept++] = items[i];
  return kept;
}

static medley_status mismatch(const filter_node *n, const char *wants, medley_error *err) {
  return error_set(err, MEDLEY_ERR_INPUT, "filter, character %zu: attribute '%s' %s", n->position, n->name, wants);
}

/* Ids → slots, before the attributes are locked: `find` may have a lock of its own. */
static medley_status plan_ids(compilation *c, plan *p, const filter_node *n, medley_error *err) {
  if (c->labels == NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "filter, character %zu: there are no ids to compare with here",
                     n->position);
  p->op = PLAN_SLOTS;
  p->items = arena_alloc(c->memory, n->count, sizeof *p->items);
  if (p->items == NULL) return error_memory(err, "a filter");
  for (size_t i = 0; i < n->count; i++) {
    uint32_t slot;
    medley_status status = c->labels->find(c->labels->context, n->values[i].id, &slot, err);
    if (status != MEDLEY_OK) return status;
    if (slot < c->slots) p->items[p->count++] = slot; /* FILTER_NOBODY is above all */
  }
  p->count = unique_u32(p->items, p->count);
  return MEDLEY_OK;
}

static medley_status plan_create(compilation *c, const filter_node *n, size_t depth, plan **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  plan *p = *out = arena_alloc(c->memory, 1, sizeof *p);
  if (p == NULL) return error_memory(err, "a filter");
  p->negated = n->negated;
  if (depth > c->depth) c->depth = depth;
  if (n->is_id) return plan_ids(c, p, n, err);
  if (n->op > FILTER_NOT) return MEDLEY_OK; /* plan_bind */
  p->op = n->op == FILTER_AND ? PLAN_AND : n->op == FILTER_OR ? PLAN_OR : PLAN_NOT;
  plan **tail = &p->child;
  for (const filter_node *child = n->child; child != NULL; child = child->next) {
    TRY(plan_create(c, child, depth + 1, tail, err));
    tail = &(*tail)->next;
  }
done:
  return status;
}

static void range_of(const filter_node *n, plan *p) {
  double value = n->count > 0 ? n->values[0].number : 0;
  p->op = PLAN_RANGE;
  p->low = -INFINITY;
  p->high = INFINITY;
  switch (n->op) {
    case FILTER_LESS: p->high = nextafter(value, -INFINITY); break;
    case FILTER_LESS_EQUAL: p->high = value; break;
    case FILTER_GREATER: p->low = nextafter(value, INFINITY); break;
    case FILTER_GREATER_EQUAL: p->low = value; break;
    case FILTER_IN: p->low = p->high = value; break;
    case FILTER_BETWEEN:
      p->low = value;
      p->high = n->values[1].number;
      break;
    default: break; /* has: any number */
  }
}

static medley_status bind_numbers(compilation *c, plan *p, const filter_node *n, medley_error *err) {
  for (size_t i = 0; i < n->count; i++)
    if (n->values[i].quoted) return mismatch(n, "holds numbers: write the value without quotes", err);
  p->cost = c->attributes->slots;
  range_of(n, p);
  if (n->op != FILTER_IN || n->count == 1) return MEDLEY_OK;
  p->op = PLAN_NUMBERS;
  p->count = n->count;
  p->cost *= p->count < FEW_NUMBERS ? p->count : FEW_NUMBERS;
  p->numbers = arena_alloc(c->memory, n->count, sizeof *p->numbers);
  if (p->numbers == NULL) return error_memory(err, "a filter");
  for (size_t i = 0; i < n->count; i++) p->numbers[i] = n->values[i].number;
  qsort(p->numbers, p->count, sizeof *p->numbers, compare_double);
  return MEDLEY_OK;
}

static medley_status bind_words(compilation *c, plan *p, const filter_node *n, medley_error *err) {
  p->op = PLAN_FILLED;
  p->cost = c->attributes->slots / 2;
  if (n->op == FILTER_HAS) return MEDLEY_OK;
  if (n->op != FILTER_IN) return mismatch(n, "holds words: they can be compared by =, !=, in and has", err);
  p->op = PLAN_WORDS;
  p->cost = 0;
  p->items = arena_alloc(c->memory, n->count, sizeof *p->items);
  if (p->items == NULL) return error_memory(err, "a filter");
  for (size_t i = 0; i < n->count; i++) {
    const filter_value *v = &n->values[i];
    if (!v->quoted) return mismatch(n, "holds words: write the value in quotes", err);
    uint32_t id = column_word_id(p->column, v->text, v->length);
    if (id != UINT32_MAX) p->items[p->count++] = id;
  }
  p->count = unique_u32(p->items, p->count);
  for (size_t i = 0; i < p->count; i++) p->cost += p->column->words[p->items[i]].slots.count / 64;
  if (p->negated) p->cost += c->attributes->slots;
  return MEDLEY_OK;
}

/* Names as many as fit go into the sentence. */
static medley_status unknown_name(const compilation *c, const filter_node *n, medley_error *err) {
  char known[512] = "";
  size_t length = 0;
  for (size_t i = 0; i < c->attributes->column_count; i++) {
    const char *name = c->attributes->columns[i]->name;
    bool fits = length + strlen(name) + sizeof ", , ..." <= sizeof known;
    length += (size_t)sprintf(known + length, "%s%s", i > 0 ? ", " : "", fits ? name : "...");
    if (!fits) break;
  }
  if (length == 0)
    return error_set(err, MEDLEY_ERR_NOT_FOUND, "filter, character %zu: there is no attribute '%s', nor any other",
                     n->position, n->name);
  return error_set(err, MEDLEY_ERR_NOT_FOUND, "filter, character %zu: there is no attribute '%s'; there are: %s",
                   n->position, n->name, known);
}

/* Members in order of cost; equal ones stay as they were written. */
static void plan_sort(plan *p) {
  plan *sorted = NULL;
  while (p->child != NULL) {
    plan *first = p->child, **at = &sorted;
    p->child = first->next;
    while (*at != NULL && (*at)->cost <= first->cost) at = &(*at)->next;
    first->next = *at;
    *at = first;
  }
  p->child = sorted;
}

/* With the attributes locked. */
static medley_status plan_bind(compilation *c, plan *p, const filter_node *n, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (n->is_id) return MEDLEY_OK;
  if (n->op <= FILTER_NOT) {
    plan *child = p->child;
    for (const filter_node *m = n->child; m != NULL; m = m->next, child = child->next) {
      TRY(plan_bind(c, child, m, err));
      p->cost += child->cost;
    }
    if (p->op == PLAN_AND) plan_sort(p);
    goto done;
  }
  p->column = attributes_column(c->attributes, n->name);
  if (p->column == NULL) return unknown_name(c, n, err);
  return p->column->kind == COLUMN_NUMBERS ? bind_numbers(c, p, n, err) : bind_words(c, p, n, err);
done:
  return status;
}

/* ---- running it ---- */

static bool any_bit(const uint64_t *words) {
  uint64_t all = 0;
  for (size_t w = 0; w < BLOCK_WORDS; w++) all |= words[w];
  return all != 0;
}

static void mark_numbers(const plan *p, const column_chunk *chunk, const uint64_t *within, uint64_t *out) {
  size_t words = chunk->capacity / 64;
  if (p->count <= FEW_NUMBERS) {
    for (size_t i = 0; i < p->count; i++) scan_range(chunk->numbers, words, p->numbers[i], p->numbers[i], within, out);
    return;
  }
  for (size_t w = 0; w < words; w++)
    for (size_t i = 0; i < 64 && (within == NULL || within[w] != 0); i++) {
      const double *value = &chunk->numbers[w * 64 + i];
      if (!isnan(*value) && bsearch(value, p->numbers, p->count, sizeof *value, compare_double) != NULL)
        out[w] |= 1ull << i;
    }
}

static void mark_slots(const plan *p, size_t block, uint64_t *out) {
  uint32_t start = (uint32_t)(block * SLOTSET_BLOCK_SLOTS);
  size_t low = 0, high = p->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (p->items[middle] < start)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < p->count && p->items[low] - start < SLOTSET_BLOCK_SLOTS; low++)
    out[(p->items[low] - start) >> 6] |= 1ull << (p->items[low] & 63);
}

/* Slots of the block that have a value in the column of the test. */
static void mark_filled(const plan *p, size_t block, const uint64_t *within, uint64_t *out) {
  const column_chunk *chunk = block < p->column->chunk_count ? &p->column->chunks[block] : NULL;
  if (chunk == NULL) return;
  if (p->column->kind == COLUMN_NUMBERS)
    scan_range(chunk->numbers, chunk->capacity / 64, -INFINITY, INFINITY, within, out);
  else
    scan_filled(chunk->words, chunk->capacity / 64, within, out);
}

/* The bits of a test, not negated, into out, which is clear. */
static void mark_test(const plan *p, size_t block, const uint64_t *within, uint64_t *out) {
  bool chunked = p->column != NULL && block < p->column->chunk_count;
  switch (p->op) {
    case PLAN_SLOTS: mark_slots(p, block, out); break;
    case PLAN_FILLED: mark_filled(p, block, within, out); break;
    case PLAN_WORDS:
      for (size_t i = 0; i < p->count; i++) slotset_mark(&p->column->words[p->items[i]].slots, (uint32_t)block, out);
      break;
    case PLAN_NUMBERS:
      if (chunked) mark_numbers(p, &p->column->chunks[block], within, out);
      break;
    default:
      if (chunked)
        scan_range(p->column->chunks[block].numbers, p->column->chunks[block].capacity / 64, p->low, p->high, within,
                   out);
  }
}

/* out [BLOCK_WORDS]: who of the block passes. Where `within` has no bit, what out says is of no importance. scratch: a
 * bitmap for each level of the plan from here. */
static void plan_run(const plan *p, size_t block, const uint64_t *within, uint64_t *out, uint64_t *scratch) {
  if (p->op > PLAN_NOT) {
    memset(out, 0, BLOCK_WORDS * sizeof *out);
    mark_test(p, block, within, out);
    if (!p->negated) return;
    memset(scratch, 0, BLOCK_WORDS * sizeof *scratch);
    if (p->op == PLAN_SLOTS)
      memset(scratch, 0xff, BLOCK_WORDS * sizeof *scratch); /* everybody has an id */
    else
      mark_filled(p, block, within, scratch);
    for (size_t w = 0; w < BLOCK_WORDS; w++) out[w] = scratch[w] & ~out[w];
    return;
  }
  plan_run(p->child, block, within, out, scratch);
  if (p->op == PLAN_NOT)
    for (size_t w = 0; w < BLOCK_WORDS; w++) out[w] = ~out[w];
  for (const plan *c = p->child->next; c != NULL; c = c->next) {
    if (p->op == PLAN_AND && !any_bit(out)) return;
    plan_run(c, block, p->op == PLAN_AND ? out : within, scratch, scratch + BLOCK_WORDS);
    for (size_t w = 0; w < BLOCK_WORDS; w++) out[w] = p->op == PLAN_AND ? out[w] & scratch[w] : out[w] | scratch[w];
  }
}

static medley_status set_init(filter_set *s, size_t slots, medley_error *err) {
  *s = (filter_set){.slots = slots};
  if (slots > ATTRIBUTES_SLOTS_MAX)
    return error_set(err, MEDLEY_ERR_LIMIT, "a filter over %zu slots: the limit is %zu", slots, ATTRIBUTES_SLOTS_MAX);
  s->words = mem_alloc((slots + 63) / 64, sizeof *s->words);
  return s->words ? MEDLEY_OK : error_memory(err, "the slots of a filter");
}

/* Clears what is above the last slot, and counts. */
static void set_finish(filter_set *s) {
  size_t words = (s->slots + 63) / 64;
  if (s->slots % 64 != 0) s->words[words - 1] &= (1ull << (s->slots % 64)) - 1;
  s->count = count_bits(s->words, words);
}

static void plan_run_all(const compilation *c, const plan *p, filter_set *out) {
  size_t words = (c->slots + 63) / 64;
  for (size_t block = 0; block * BLOCK_WORDS < words; block++) {
    size_t left = words - block * BLOCK_WORDS;
    plan_run(p, block, NULL, c->scratch, c->scratch + BLOCK_WORDS);
    memcpy(out->words + block * BLOCK_WORDS, c->scratch,
           (left < BLOCK_WORDS ? left : BLOCK_WORDS) * sizeof *c->scratch);
  }
  set_finish(out);
}

medley_status filter_compile(const filter *f, const attributes *a, size_t slots, const filter_labels *labels,
                             filter_set *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  compilation c = {.attributes = a, .slots = slots, .labels = labels, .memory = arena_create(4096)};
  plan *p;
  TRY(set_init(out, slots, err));
  if (c.memory == NULL) {
    status = error_memory(err, "a filter");
    goto done;
  }
  TRY(plan_create(&c, f->root, 1, &p, err));
  /* One bitmap for the answer, one for each level's second member, one for a negated test at the bottom. */
  TRY_NEW(c.scratch, (c.depth + 2) * BLOCK_WORDS, "a filter");
  TRY(attributes_load(a, err));
  attributes_lock_read(a);
  out->version = attributes_version(a);
  status = plan_bind(&c, p, f->root, err);
  if (status == MEDLEY_OK) plan_run_all(&c, p, out);
  attributes_unlock(a);
done:
  mem_free(c.scratch);
  arena_free(c.memory);
  if (status != MEDLEY_OK) filter_set_deinit(out);
  return status;
}

void filter_set_deinit(filter_set *s) {
  mem_free(s->words);
  *s = (filter_set){0};
}
