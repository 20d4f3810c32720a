/* nn/weights.c: see nn/weights.h. */
#include "nn/weights.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "nn/batch_fold.h"
#include "nn/weights_tuning.h"

#define NAME_MAX_BYTES 256

void weights_deinit(weights *w) {
  for (size_t i = 0; i < w->owned_count; i++) mem_free(w->owned[i]);
  mem_free(w->owned);
  w->owned = NULL;
  w->owned_count = w->owned_capacity = 0;
}

medley_status weights_status(const weights *w, medley_error *err) {
  return w->status == MEDLEY_OK ? MEDLEY_OK : error_set(err, w->status, "%s", w->error.text);
}

/* ---- memory ---- */

void *weights_memory(weights *w, size_t count, size_t size) {
  if (w->status != MEDLEY_OK) return NULL;
  void *grown = w->owned;
  void *block = NULL;
  if (mem_grow(&grown, &w->owned_capacity, w->owned_count + 1, sizeof *w->owned)) {
    w->owned = grown;
    block = mem_zalloc(count, size);
  }
  if (block == NULL)
    w->status = error_memory(&w->error, "weights");
  else
    w->owned[w->owned_count++] = block;
  return block;
}

static tensor *tensor_new(weights *w, tensor_dtype dtype, int rank, const size_t *shape, void *data) {
  tensor *x = weights_memory(w, 1, sizeof *x);
  if (x == NULL) return NULL;
  tensor_init(x, dtype, rank, shape, data);
  x->keep = true;
  return x;
}

/* ---- finding ---- */

static const char *name_write(const weights *w, char name[NAME_MAX_BYTES], const char *format, va_list arguments) {
  int length = snprintf(name, NAME_MAX_BYTES, "%s", w->prefix);
  vsnprintf(name + length, (size_t)(NAME_MAX_BYTES - length), format, arguments);
  return name;
}

#define NAME_FROM(format)                 \
  char name[NAME_MAX_BYTES];              \
  va_list arguments;                      \
  va_start(arguments, format);            \
  name_write(w, name, format, arguments); \
  va_end(arguments)

bool weights_has(const weights *w, const char *format, ...) {
  NAME_FROM(format);
  return checkpoint_get(w->from, name) != NULL;
}

/* A piece at a time: no copy of it all for types that must be converted. */
static medley_status finite_check(const checkpoint *c, const tensor_view *view, medley_error *err) {
  enum { PIECE = 16384 }; /* whole blocks of every dtype */
  float piece[PIECE];
  bool direct = view->dtype == DTYPE_F32 && tensor_view_is_aligned(view);
  for (uint64_t at = 0, count, offset; at < view->count; at += count) {
    count = view->count - at < PIECE ? view->count - at : PIECE;
    const float *values = direct ? (const float *)view->data + at : piece;
    if (!direct && dtype_bytes(view->dtype, at, &offset))
      dtype_to_float(view->dtype, (const unsigned char *)view->data + offset, (size_t)count, piece);
    float zero = 0;
    _Pragma("omp simd reduction(+:zero)") for (uint64_t i = 0; i < count; i++) zero += values[i] * 0;
    for (uint64_t i = 0; zero != 0 && i < count; i++) /* NaN differs from 0, too */
      if (!isfinite(values[i]))
        return error_set(err, MEDLEY_ERR_INPUT, "%s: value %" PRIu64 " of tensor '%s' is not a finite number", c->path,
                         at + i, view->name);
  }
  return MEDLEY_OK;
}

static const tensor_view *view_find(weights *w, const char *name, int rank, const size_t *shape) {
  const tensor_view *view = NULL;
  uint64_t sizes[TENSOR_RANK_MAX];
  if (w->status != MEDLEY_OK) return NULL;
  for (int d = 0; d < rank; d++) sizes[d] = shape[d];
  w->status = checkpoint_need(w->from, name, rank, sizes, &view, &w->error);
  if (w->status == MEDLEY_OK && !dtype_is_float(view->dtype))
    w->status = error_set(&w->error, MEDLEY_ERR_INPUT, "%s: tensor '%s' has elements of type %s, not a float type",
                          w->from->path, name, dtype_name(view->dtype));
  if (w->status == MEDLEY_OK) w->status = finite_check(w->from, view, &w->error);
  return w->status == MEDLEY_OK ? view : NULL;
}

/* The numbers of a view that was checked: in the file, or a copy. */
static float *view_numbers(weights *w, const tensor_view *view) {
  if (view->dtype == DTYPE_F32 && tensor_view_is_aligned(view)) return (float *)(uintptr_t)view->data;
  float *copy = weights_memory(w, view->count, sizeof *copy);
  if (copy == NULL) return NULL;
  tensor_view_read_rows(view, 0, tensor_view_rows(view), copy);
  return copy;
}

/* The tensor of a name, which has a shape in the file and another, of as many numbers, for the layer. */
static tensor *tensor_as(weights *w, const char *name, int rank, const size_t *shape, int as_rank,
                         const size_t *as_shape) {
  tensor *x = NULL;
  const tensor_view *view = view_find(w, name, rank, shape);
  if (view != NULL && weights_learn(w)) {
    x = weights_parameter(w, name, as_rank, as_shape);
  } else if (view != NULL) {
    float *data = view_numbers(w, view);
    x = data != NULL ? tensor_new(w, DTYPE_F32, as_rank, as_shape, data) : NULL;
  }
  weights_note_source(w, (tuning_source){.view = view, .to = x});
  return x;
}

static tensor *tensor_named(weights *w, const char *name, int rank, const size_t *shape) {
  return tensor_as(w, name, rank, shape, rank, shape);
}

tensor *weights_get(weights *w, int rank, const size_t *shape, const char *format, ...) {
  NAME_FROM(format);
  return tensor_named(w, name, rank, shape);
}

tensor *weights_vector(weights *w, size_t size, const char *format, ...) {
  NAME_FROM(format);
  return tensor_named(w, name, 1, &size);
}

/* The shape in which the file has so many numbers; a vector where it has another number of them. */
static int shape_of(const weights *w, const char *name, size_t count, size_t shape[TENSOR_RANK_MAX]) {
  const tensor_view *view = checkpoint_get(w->from, name);
  shape[0] = count;
  if (view == NULL || view->rank > TENSOR_RANK_MAX || view->count != count) return 1;
  for (int d = 0; d < view->rank; d++) shape[d] = (size_t)view->shape[d];
  return view->rank;
}

tensor *weights_constant(weights *w, size_t count, const char *format, ...) {
  NAME_FROM(format);
  size_t shape[TENSOR_RANK_MAX];
  int rank = shape_of(w, name, count, shape);
  const tensor_view *view = view_find(w, name, rank, shape);
  float *data = view != NULL ? view_numbers(w, view) : NULL;
  return data != NULL ? tensor_new(w, DTYPE_F32, rank, shape, data) : NULL;
}

tensor *weights_numbers(weights *w, size_t count, const char *format, ...) {
  NAME_FROM(format);
  size_t shape[TENSOR_RANK_MAX];
  int rank = shape_of(w, name, count, shape);
  return tensor_named(w, name, rank, shape);
}

const tensor_view *weights_table(weights *w, size_t rows, size_t columns, const char *format, ...) {
  NAME_FROM(format);
  return view_find(w, name, 2, (size_t[]){rows, columns});
}

/* ---- precision ---- */

/* x [rows, columns] float32 → itself or another tensor of the precision that is wanted. */
static tensor *in_precision(weights *w, tensor *x) {
  if (x == NULL || w->precision == WEIGHT_F32) return x;
  size_t rows = x->shape[0], columns = x->shape[1];
  bool half = w->precision == WEIGHT_BF16;
  void *data = weights_memory(w, x->count, half ? sizeof(uint16_t) : sizeof(int8_t));
  float *scale = half || data == NULL ? NULL : weights_memory(w, rows, sizeof *scale);
  if (data == NULL || (!half && scale == NULL)) return NULL;
  precision_narrow(w->precision, x->data, rows, columns, data, scale);
  tensor *y = tensor_new(w, precision_dtype(w->precision), 2, x->shape, data);
  if (y != NULL) y->scale = scale;
  return y;
}

/* A block of ours is of no use any more; any other is left alone. */
static void owned_drop(weights *w, const void *block) {
  for (size_t i = w->owned_count; i-- > 0;)
    if (w->owned[i] == block) {
      mem_free(w->owned[i]);
      w->owned[i] = w->owned[--w->owned_count];
      return;
    }
}

/* The same, and the float32 copy it was made from is given back. */
static tensor *in_precision_from_copy(weights *w, tensor *x) {
  tensor *y = in_precision(w, x);
  if (y != x && x != NULL) owned_drop(w, x->data); /* not ours when it lies in the file */
  return y;
}

tensor *weights_matrix(weights *w, size_t rows, size_t columns, const char *format, ...) {
  NAME_FROM(format);
  const tensor_view *view = checkpoint_get(w->from, name);
  size_t shape[TENSOR_RANK_MAX] = {rows, columns};
  int rank = 2;
  if (view != NULL && view->rank > 2 && view->rank <= TENSOR_RANK_MAX && view->shape[0] == rows &&
      view->count == (uint64_t)rows * columns) {
    rank = view->rank;
    for (int d = 0; d < rank; d++) shape[d] = (size_t)view->shape[d];
  }
  return in_precision_from_copy(w, tensor_as(w, name, rank, shape, 2, (size_t[]){rows, columns}));
}

tensor *weights_matrix_transposed(weights *w, size_t rows, size_t columns, const char *format, ...) {
  NAME_FROM(format);
  size_t shape[] = {rows, columns};
  const tensor_view *view = view_find(w, name, 2, (size_t[]){columns, rows});
  if (view != NULL && weights_learn(w)) {
    tensor *x = weights_parameter(w, name, 2, shape);
    weights_note_source(w, (tuning_source){.view = view, .to = x, .turned = true});
    return x;
  }
  const float *from = view != NULL ? view_numbers(w, view) : NULL;
  float *turned = from != NULL ? weights_memory(w, rows * columns, sizeof *turned) : NULL;
  if (turned == NULL) return NULL;
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) turned[r * columns + c] = from[c * rows + r];
  return in_precision_from_copy(w, tensor_new(w, DTYPE_F32, 2, shape, turned));
}

tensor *weights_stack(weights *w, const char *stem, const char *const *names, size_t count, const char *end,
                      size_t rows, size_t columns) {
  size_t part = rows * (columns ? columns : 1), shape[] = {rows, columns}, whole[] = {count * rows, columns};
  int rank = columns ? 2 : 1;
  char name[NAME_MAX_BYTES];
  snprintf(name, sizeof name, "%s%s%s%s", w->prefix, stem, names[0], end);
  float *all = weights_learn(w) ? NULL : weights_memory(w, count * part, sizeof *all);
  tensor *x = weights_learn(w) ? weights_parameter(w, name, rank, whole) : NULL;
  if (all != NULL) x = tensor_new(w, DTYPE_F32, rank, whole, all);
  if (x == NULL) return NULL;
  for (size_t i = 0; i < count; i++) {
    if (names[i] == NULL) continue;
    snprintf(name, sizeof name, "%s%s%s%s", w->prefix, stem, names[i], end);
    const tensor_view *view = view_find(w, name, rank, shape);
    if (view == NULL) return NULL;
    if (all != NULL) tensor_view_read_rows(view, 0, tensor_view_rows(view), all + i * part);
    weights_note_source(w, (tuning_source){.view = view, .to = x, .at = i * part});
  }
  return columns ? in_precision_from_copy(w, x) : x;
}

/* ---- convolutions ---- */

/* Rank 4, a square window with a middle, the channels that come in. */
static const tensor_view *window_find(weights *w, const char *conv, size_t ins) {
  char name[NAME_MAX_BYTES];
  snprintf(name, sizeof name, "%s%s.weight", w->prefix, conv);
  const tensor_view *view = checkpoint_get(w->from, name);
  size_t shape[4] = {0, ins, 0, 0};
  for (int d = 0; view != NULL && view->rank == 4 && d < 4; d++)
    if (d != 1) shape[d] = (size_t)view->shape[d];
  view = view_find(w, name, 4, shape);
  if (view == NULL || (view->shape[2] == view->shape[3] && view->shape[2] % 2 == 1 && view->shape[0] > 0)) return view;
  w->status = error_set(&w->error, MEDLEY_ERR_INPUT,
                        "%s: the window of '%s' is %" PRIu64 " × %" PRIu64 ": a square with a middle is expected",
                        w->from->path, name, view->shape[2], view->shape[3]);
  return NULL;
}

tensor *weights_convolution(weights *w, const char *conv, const char *norm, size_t ins, double epsilon, size_t *kernel,
                            tensor **bias) {
  const tensor_view *view = window_find(w, conv, ins);
  const float *from = view != NULL ? view_numbers(w, view) : NULL;
  size_t outs = view != NULL ? (size_t)view->shape[0] : 1,
         places = view != NULL ? (size_t)(view->shape[2] * view->shape[3]) : 1;
  const tensor *scale = weights_vector(w, outs, "%s.weight", norm), *shift = weights_vector(w, outs, "%s.bias", norm);
  const tensor *mean = weights_vector(w, outs, "%s.running_mean", norm),
               *variance = weights_vector(w, outs, "%s.running_var", norm);
  float *weight = weights_memory(w, outs * places * ins, sizeof *weight),
        *added = weights_memory(w, outs, sizeof *added);
  double *factor = weights_memory(w, outs, sizeof *factor);
  *bias = NULL;
  if (w->status != MEDLEY_OK || from == NULL) return NULL;
  *kernel = (size_t)view->shape[2];
  batch_figures figures = {real_data(scale), real_data(shift), real_data(mean), real_data(variance), outs, epsilon};
  w->status = batch_fold(&figures, w->from->path, norm, factor, added, &w->error);
  if (w->status != MEDLEY_OK) return NULL;
  for (size_t o = 0; o < outs; o++)
    for (size_t i = 0; i < ins; i++)
      for (size_t k = 0; k < places; k++)
        weight[(o * places + k) * ins + i] = (float)(from[(o * ins + i) * places + k] * factor[o]);
  owned_drop(w, factor);
  *bias = tensor_new(w, DTYPE_F32, 1, &outs, added);
  return in_precision_from_copy(w, tensor_new(w, DTYPE_F32, 2, (size_t[]){outs, places * ins}, weight));
}
