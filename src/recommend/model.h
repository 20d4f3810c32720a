/* recommend/model.h: what several recommenders share: saving and loading arrays under a prefix, checking what was
 * loaded. */
#ifndef RECOMMEND_MODEL_H
#define RECOMMEND_MODEL_H

#include "recommend/recommender.h"

/* Tensors are named "<prefix>.<name>". Data are borrowed until the writer saves. */
medley_status model_add_f32(safetensors_writer *w, const char *prefix, const char *name, uint64_t rows,
                            uint64_t columns, const float *data, medley_error *err) MEDLEY_CHECK;
medley_status model_add_u32(safetensors_writer *w, const char *prefix, const char *name, uint64_t count,
                            const uint32_t *data,
                            medley_error *err) MEDLEY_CHECK; /* stored as I32: the format has no U32 */
medley_status model_add_f64(safetensors_writer *w, const char *prefix, const char *name, uint64_t count,
                            const double *data, medley_error *err) MEDLEY_CHECK;
medley_status model_add_sparse(safetensors_writer *w, const char *prefix, const char *name, const sparse *a,
                               medley_error *err) MEDLEY_CHECK;

/* rows or columns 0: any; NULL pointers are not told. The array is borrowed from the mapped file, which outlives the
 * model. */
medley_status model_get_f32(const safetensors *s, const char *prefix, const char *name, uint64_t rows, uint64_t columns,
                            const float **data, uint64_t *rows_out, uint64_t *columns_out,
                            medley_error *err) MEDLEY_CHECK;
/* That a file's number of items is the one the caller knows of (data->item_count), before anything of that size is
 * made.
 */
medley_status model_check_items(const safetensors *s, const char *prefix, const recommender_data *data, uint64_t count,
                                medley_error *err) MEDLEY_CHECK;
/* Checked to be below `bound`. */
medley_status model_get_u32(const safetensors *s, const char *prefix, const char *name, uint64_t count, uint32_t bound,
                            const uint32_t **data, uint64_t *count_out, medley_error *err) MEDLEY_CHECK;
/* Copies, finite. */
medley_status model_get_f64(const safetensors *s, const char *prefix, const char *name, uint64_t count, double *out,
                            medley_error *err) MEDLEY_CHECK;
/* What model_add_f64 kept as "settings": a copy, each value within its bounds. */
medley_status model_get_settings(const safetensors *s, const char *prefix, const recommender_setting *settings,
                                 double *out, medley_error *err) MEDLEY_CHECK;
/* A copy, owned by out (sparse_deinit); starts and columns are checked before trust. */
medley_status model_get_sparse(const safetensors *s, const char *prefix, const char *name, sparse *out,
                               medley_error *err) MEDLEY_CHECK;

/* Items with at least one event in training: active [count] ascending, and position [items] in it (UINT32_MAX: not
 * active). */
typedef struct active_items {
  uint32_t count;
  uint32_t *item;     /* [count] */
  uint32_t *position; /* [items] */
} active_items;
medley_status active_items_find(const interactions *train, active_items *out, medley_error *err) MEDLEY_CHECK;
/* From a loaded list (copied). */
medley_status active_items_from(const uint32_t *item, uint64_t count, uint32_t item_count, active_items *out,
                                medley_error *err) MEDLEY_CHECK;
void active_items_deinit(active_items *a);
/* Users × active items, a copy; `active` may list fewer items than have events, ascending. */
medley_status active_rows(const interactions *train, const active_items *active, sparse *out,
                          medley_error *err) MEDLEY_CHECK;

/* out [rows] = how many entries a row has, to the power `exponent`; 0 for a row without any. */
void model_row_powers(const sparse *a, double exponent, float *out);

#endif
