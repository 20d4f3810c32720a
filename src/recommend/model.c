/* recommend/model.c: see recommend/model.h. */
#include "recommend/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static void name_join(char out[128], const char *prefix, const char *name) {
  snprintf(out, 128, "%s.%s", prefix, name);
}

medley_status model_add_f32(safetensors_writer *w, const char *prefix, const char *name, uint64_t rows,
                            uint64_t columns, const float *data, medley_error *err) {
  char full[128];
  name_join(full, prefix, name);
  return safetensors_add_f32(w, full, rows, columns, data, err);
}

medley_status model_add_u32(safetensors_writer *w, const char *prefix, const char *name, uint64_t count,
                            const uint32_t *data, medley_error *err) {
  char full[128];
  name_join(full, prefix, name);
  return safetensors_add(w, full, DTYPE_I32, 1, (const uint64_t[]){count}, data, err);
}

medley_status model_add_f64(safetensors_writer *w, const char *prefix, const char *name, uint64_t count,
                            const double *data, medley_error *err) {
  char full[128];
  name_join(full, prefix, name);
  return safetensors_add(w, full, DTYPE_F64, 1, (const uint64_t[]){count}, data, err);
}

medley_status model_add_sparse(safetensors_writer *w, const char *prefix, const char *name, const sparse *a,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  char full[128], part[64];
  uint64_t count = sparse_count(a);
  snprintf(part, sizeof part, "%s.start", name);
  name_join(full, prefix, part);
  TRY(safetensors_add(w, full, DTYPE_I64, 1, (const uint64_t[]){(uint64_t)a->rows + 1}, a->start, err));
  snprintf(part, sizeof part, "%s.column", name);
  TRY(model_add_u32(w, prefix, part, count, a->column, err));
  snprintf(part, sizeof part, "%s.value", name);
  TRY(model_add_f32(w, prefix, part, 1, count, a->value, err));
  /* The number of columns cannot be read off the entries. */
  snprintf(part, sizeof part, "%s.columns.%" PRIu32, name, a->columns);
  TRY(model_add_u32(w, prefix, part, 0, NULL, err));
done:
  return status;
}

medley_status model_get_f32(const safetensors *s, const char *prefix, const char *name, uint64_t rows, uint64_t columns,
                            const float **data, uint64_t *rows_out, uint64_t *columns_out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char full[128];
  const tensor_view *view;
  name_join(full, prefix, name);
  TRY(safetensors_need(s, full, DTYPE_F32, 2, (const uint64_t[]){rows, columns}, &view, err));
  *data = view->data;
  if (rows_out != NULL) *rows_out = view->shape[0];
  if (columns_out != NULL) *columns_out = view->shape[1];
done:
  return status;
}

medley_status model_check_items(const safetensors *s, const char *prefix, const recommender_data *data, uint64_t count,
                                medley_error *err) {
  if (count < UINT32_MAX && (data->item_count == 0 || count == data->item_count)) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_CORRUPT, "%s: '%s' scores %" PRIu64 " items, %" PRIu32 " were expected", s->path,
                   prefix, count, data->item_count);
}

medley_status model_get_u32(const safetensors *s, const char *prefix, const char *name, uint64_t count, uint32_t bound,
                            const uint32_t **data, uint64_t *count_out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char full[128];
  const tensor_view *view;
  name_join(full, prefix, name);
  TRY(safetensors_need(s, full, DTYPE_I32, 1, (const uint64_t[]){count}, &view, err));
  const uint32_t *values = view->data;
  for (uint64_t i = 0; i < view->count; i++)
    if (values[i] >= bound)
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: entry %" PRIu64 " of '%s' is %" PRIu32 ", it must be below %" PRIu32, s->path,
           i, full, values[i], bound);
  *data = values;
  if (count_out != NULL) *count_out = view->count;
done:
  return status;
}

medley_status model_get_f64(const safetensors *s, const char *prefix, const char *name, uint64_t count, double *out,
                            medley_error *err) {
  medley_status status = MEDLEY_OK;
  char full[128];
  const tensor_view *view;
  name_join(full, prefix, name);
  TRY(safetensors_need(s, full, DTYPE_F64, 1, (const uint64_t[]){count}, &view, err));
  memcpy(out, view->data, count * sizeof *out);
  for (uint64_t i = 0; i < count; i++)
    if (!isfinite(out[i]))
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: entry %" PRIu64 " of '%s' is no finite number", s->path, i, full);
done:
  return status;
}

medley_status model_get_settings(const safetensors *s, const char *prefix, const recommender_setting *settings,
                                 double *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = 0;
  while (settings[count].name != NULL) count++;
  TRY(model_get_f64(s, prefix, "settings", count, out, err));
  for (size_t i = 0; i < count; i++)
    if (!(out[i] >= settings[i].min && out[i] <= settings[i].max))
      FAIL(err, MEDLEY_ERR_CORRUPT, "%s: %s of '%s' is %g", s->path, settings[i].name, prefix, out[i]);
done:
  return status;
}

/* The number of columns is in the name of an empty tensor; looked for among all names with that beginning. */
static bool columns_find(const safetensors *s, const char *prefix, const char *name, uint32_t *columns) {
  char beginning[160];
  snprintf(beginning, sizeof beginning, "%s.%s.columns.", prefix, name);
  for (size_t t = 0; t < s->count; t++)
    if (strncmp(s->tensors[t].name, beginning, strlen(beginning)) == 0)
      return sscanf(s->tensors[t].name + strlen(beginning), "%" SCNu32, columns) == 1;
  return false;
}

static medley_status sparse_check(const sparse *a, uint64_t count, const char *path, const char *name,
                                  medley_error *err) {
  bool fine = a->start[0] == 0 && a->start[a->rows] == count;
  for (uint32_t r = 0; fine && r < a->rows; r++) fine = a->start[r] <= a->start[r + 1];
  for (uint32_t r = 0; fine && r < a->rows; r++)
    for (uint64_t e = a->start[r] + 1; fine && e < a->start[r + 1]; e++) fine = a->column[e - 1] < a->column[e];
  return fine ? MEDLEY_OK : error_set(err, MEDLEY_ERR_CORRUPT, "%s: the entries of '%s' are out of order", path, name);
}

medley_status model_get_sparse(const safetensors *s, const char *prefix, const char *name, sparse *out,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  char part[64], full[128];
  const tensor_view *start;
  const uint32_t *column;
  const float *value;
  uint64_t count;
  *out = (sparse){0};
  if (!columns_find(s, prefix, name, &out->columns))
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s.%s' is incomplete", s->path, prefix, name);
  snprintf(part, sizeof part, "%s.start", name);
  name_join(full, prefix, part);
  TRY(safetensors_need(s, full, DTYPE_I64, 1, (const uint64_t[]){0}, &start, err));
  snprintf(part, sizeof part, "%s.column", name);
  TRY(model_get_u32(s, prefix, part, 0, out->columns, &column, &count, err));
  snprintf(part, sizeof part, "%s.value", name);
  TRY(model_get_f32(s, prefix, part, 1, count, &value, NULL, NULL, err));
  if (start->count == 0 || start->count > UINT32_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: '%s' has no rows", s->path, full);
  out->rows = (uint32_t)(start->count - 1);
  TRY_NEW(out->start, start->count, "a matrix");
  TRY_NEW(out->column, count, "a matrix");
  TRY_NEW(out->value, count, "a matrix");
  memcpy(out->start, start->data, start->count * sizeof *out->start);
  if (count > 0) {
    memcpy(out->column, column, count * sizeof *column);
    memcpy(out->value, value, count * sizeof *value);
  }
  TRY(sparse_check(out, count, s->path, full, err));
done:
  if (status != MEDLEY_OK) sparse_deinit(out);
  return status;
}

medley_status active_items_from(const uint32_t *item, uint64_t count, uint32_t item_count, active_items *out,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (active_items){.count = (uint32_t)count};
  TRY_NEW(out->item, count, "items");
  TRY_NEW(out->position, item_count, "items");
  memset(out->position, 0xFF, item_count * sizeof *out->position);
  for (uint32_t a = 0; a < count; a++) {
    out->item[a] = item[a];
    out->position[item[a]] = a;
  }
done:
  return status;
}

medley_status active_items_find(const interactions *train, active_items *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t *list = NULL, count = 0, n = train->by_user.columns;
  TRY_NEW(list, n, "items");
  for (uint32_t i = 0; i < n; i++)
    if (train->popularity[i] > 0) list[count++] = i;
  TRY(active_items_from(list, count, n, out, err));
done:
  mem_free(list);
  return status;
}

void active_items_deinit(active_items *a) {
  mem_free(a->item);
  mem_free(a->position);
  *a = (active_items){0};
}

medley_status active_rows(const interactions *train, const active_items *active, sparse *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const sparse *x = &train->by_user;
  uint64_t kept = 0;
  TRY(sparse_create(x->rows, active->count, sparse_count(x), out, err));
  for (uint32_t u = 0; u < x->rows; u++) {
    for (uint64_t e = x->start[u]; e < x->start[u + 1]; e++) {
      if (active->position[x->column[e]] == UINT32_MAX) continue;
      out->column[kept] = active->position[x->column[e]];
      out->value[kept++] = x->value[e];
    }
    out->start[u + 1] = kept;
  }
done:
  return status;
}

void model_row_powers(const sparse *a, double exponent, float *out) {
  for (uint32_t r = 0; r < a->rows; r++) {
    double count = (double)(a->start[r + 1] - a->start[r]);
    out[r] = count > 0 ? (float)pow(count, exponent) : 0;
  }
}
