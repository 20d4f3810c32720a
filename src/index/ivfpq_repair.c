/* index/ivfpq_repair.c: lists swept of dead entries, and the validator. */
#include <stdio.h>

#include "base/memory.h"
#include "index/ivfpq.h"
#include "math/code_sums.h"

void ivf_sweep_again(ivf_index *x) {
  x->sweep_list = 0;
  x->sweeps_left = ivf_model_now(x)->lists;
}

void ivf_remove(index_structure *s, uint32_t slot) {
  ivf_index *x = (ivf_index *)s;
  (void)slot;
  x->sweeps_left = ivf_model_now(x)->lists;
}

static size_t dead_count(const rows *r, const ivf_block *b) {
  size_t dead = 0, count = ivf_block_count(b);
  for (size_t i = 0; i < count; i++) dead += !rows_alive(r, b->slots[i]);
  return dead;
}

/* The alive entries of `from`, in their order, into `to`; the slots of the others are freed. */
static size_t block_sweep(const rows *r, const ivf_block *from, ivf_block *to, size_t code_bytes, uint32_t *freed) {
  uint8_t code[CODE_PARTS_MAX];
  size_t kept = 0, dead = 0, count = ivf_block_count(from);
  for (size_t i = 0; i < count; i++) {
    if (!rows_alive(r, from->slots[i])) {
      freed[dead++] = from->slots[i];
      continue;
    }
    if (code_bytes > 0) {
      code_get(from->codes, from->capacity, code_bytes, i, code);
      code_put(to->codes, to->capacity, code_bytes, kept, code);
      to->norms[kept] = from->norms[i];
    }
    to->slots[kept++] = from->slots[i];
  }
  atomic_init(&to->count, (uint32_t)kept);
  return dead;
}

medley_status ivf_repair(index_structure *s, size_t budget, uint32_t *out, size_t *freed, medley_error *err) {
  ivf_index *x = (ivf_index *)s;
  ivf_model *m = ivf_model_now(x);
  size_t looked = 0;
  *freed = 0;
  for (; x->sweeps_left > 0 && looked < budget; x->sweeps_left--, x->sweep_list++) {
    if (x->sweep_list >= m->lists) x->sweep_list = 0;
    const ivf_block *b = ivf_block_now(m, x->sweep_list);
    size_t dead = dead_count(s->rows, b), kept = ivf_block_count(b) - dead;
    looked += ivf_block_count(b) + 1;
    if (dead == 0) continue;
    ivf_block *swept = ivf_block_create((kept + IVF_ENTRIES - 1) / IVF_ENTRIES * IVF_ENTRIES, m->code_bytes);
    if (swept == NULL) return error_memory(err, "inverted lists");
    *freed += block_sweep(s->rows, b, swept, m->code_bytes, out + *freed);
    m->entries -= dead;
    ivf_block_replace(s->rows, m, x->sweep_list, swept);
  }
  return MEDLEY_OK;
}

/* ---- the validator ---- */

static void fault(index_check *c, size_t list, uint32_t slot, const char *what) {
  if (c->broken++ == 0) snprintf(c->fault, sizeof c->fault, "list %zu names slot %u, which %s", list, slot, what);
}

static void check_list(const ivf_index *x, size_t list, uint8_t *named, size_t slots, index_check *c) {
  const ivf_block *b = ivf_block_now(ivf_model_now(x), list);
  size_t count = ivf_block_count(b);
  for (size_t i = 0; i < count; i++) {
    uint32_t slot = b->slots[i];
    if (slot >= slots)
      fault(c, list, slot, "is none");
    else if (named[slot]++)
      fault(c, list, slot, "was named before");
    else if (rows_alive(x->base.rows, slot))
      c->reachable++;
    else
      c->dead_links++;
  }
  if (list == 0 || count < c->degree_min) c->degree_min = count;
  if (count > c->degree_max) c->degree_max = count;
}

medley_status ivf_check(const index_structure *s, index_check *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const ivf_index *x = (const ivf_index *)s;
  const ivf_model *m = ivf_model_now(x);
  size_t slots = rows_count(s->rows);
  uint8_t *named = NULL;
  *out = (index_check){.alive = atomic_load(&s->rows->alive_count)};
  TRY_NEW(named, slots, "check of the index");
  for (size_t l = 0; l < m->lists; l++) check_list(x, l, named, slots, out);
  out->degree_mean = (double)m->entries / (double)m->lists;
  if (out->reachable != out->alive && out->broken++ == 0)
    snprintf(out->fault, sizeof out->fault, "%zu rows are alive, %zu of them in a list", out->alive, out->reachable);
done:
  mem_free(named);
  return status;
}
