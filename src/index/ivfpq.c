/* index/ivfpq.c: the row of the table, and the life of an index; what it is made of is ivfpq.h. */
#include "index/ivfpq.h"

#include "base/memory.h"

static void ivf_free(index_structure *s) {
  ivf_index *x = (ivf_index *)s;
  if (x == NULL) return;
  ivf_model_free(ivf_model_now(x));
  mem_free(x);
}

medley_status ivf_index_create(const rows *rows, const index_options *o, ivf_model *model, index_structure **out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_index *x = NULL;
  if (o->lists > IVF_LISTS_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "%zu inverted lists: at most %zu are possible", o->lists, IVF_LISTS_MAX);
  if (o->code_bytes > IVF_CODE_BYTES_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "%zu bytes a code: at most %d are possible", o->code_bytes, IVF_CODE_BYTES_MAX);
  TRY_NEW(x, 1, "index");
  x->base = (index_structure){&index_ivfpq, rows, o->search_breadth ? o->search_breadth : IVF_BREADTH_DEFAULT};
  x->options = *o;
  atomic_init(&x->model, model);
  x->sweeps_left = model->lists;
  *out = &x->base;
done:
  return status;
}

static medley_status ivf_create(const rows *rows, const index_options *o, index_structure **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  ivf_model *model = NULL;
  *out = NULL;
  TRY(ivf_model_create(rows->dim, 1, 0, true, &model, err));
  TRY(ivf_index_create(rows, o, model, out, err));
  model = NULL;
done:
  ivf_model_free(model);
  return status;
}

static void ivf_describe(const index_structure *s, index_options *out) {
  const ivf_model *m = ivf_model_now((const ivf_index *)s);
  out->lists = ivf_trained(m) ? m->lists : 0;
  out->code_bytes = m->code_bytes;
}

static size_t ivf_bytes(const index_structure *s) {
  return sizeof(ivf_index) + ivf_model_now((const ivf_index *)s)->bytes;
}

/* A list has an eighth of its room empty on average, and up to a quarter. */
static size_t ivf_each_bytes(const index_structure *s) {
  size_t entry = ivf_code_bytes_for(&((const ivf_index *)s)->options, s->rows->dim) + sizeof(uint32_t) + sizeof(float);
  return entry + entry / 4;
}

const index_kind index_ivfpq = {
    .name = "ivfpq",
    .summary = "lists of product codes: for sets whose vectors do not fit in memory, a measured recall below 1",
    .rows_on_disk = true,
    .create = ivf_create,
    .insert = ivf_insert,
    .remove = ivf_remove,
    .repair = ivf_repair,
    .search = ivf_search,
    .search_batch = ivf_search_batch,
    .describe = ivf_describe,
    .bytes = ivf_bytes,
    .each_bytes = ivf_each_bytes,
    .check = ivf_check,
    .write = ivf_write,
    .open = ivf_open,
    .free = ivf_free,
};
