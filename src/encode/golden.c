/* encode/golden.c: see encode/golden.h. */
#include "encode/golden.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"

/* Once NaN, always NaN. */
static double larger(double a, double b) { return isnan(a) || isnan(b) ? NAN : fmax(a, b); }

static medley_status view_copy(const safetensors *golden, const tensor_view *view, float **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = NULL;
  TRY_NEW(*out, view->count, "a golden tensor");
  dtype_to_float(view->dtype, view->data, view->count, *out);
  for (size_t i = 0; i < view->count; i++)
    if (!isfinite((*out)[i]))
      FAIL(err, MEDLEY_ERR_INPUT, "'%s': value %zu of '%s' is no finite number", golden->path, i, view->name);
done:
  if (status != MEDLEY_OK) {
    mem_free(*out);
    *out = NULL;
  }
  return status;
}

static medley_status view_find(const safetensors *golden, const char *name, const tensor_view **out,
                               medley_error *err) {
  *out = safetensors_get(golden, name);
  if (*out != NULL) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "'%s' has no tensor '%s'", golden->path, name);
}

medley_status golden_read(const safetensors *golden, const char *name, int rank, const uint64_t *shape, float **out,
                          uint64_t *found, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tensor_view *view;
  char text[TENSOR_VIEW_SHAPE_TEXT_MAX];
  *out = NULL;
  TRY(view_find(golden, name, &view, err));
  bool fits = view->rank == rank;
  for (int d = 0; fits && d < rank; d++) fits = shape[d] == 0 || view->shape[d] == shape[d];
  tensor_view_shape_text(view, text);
  if (!fits)
    FAIL(err, MEDLEY_ERR_INPUT, "'%s': '%s' is %s, which is not what the network takes", golden->path, name, text);
  TRY(view_copy(golden, view, out, err));
  for (int d = 0; found != NULL && d < rank; d++) found[d] = view->shape[d];
done:
  return status;
}

medley_status golden_compare(golden_report *report, const safetensors *golden, const char *name, const float *values,
                             size_t count, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const tensor_view *view;
  float *reference = NULL;
  double scale = 0, away = 0;
  if (report->count == GOLDEN_OUTPUTS_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "more than %d outputs to compare", GOLDEN_OUTPUTS_MAX);
  TRY(view_find(golden, name, &view, err));
  if (view->count != count)
    FAIL(err, MEDLEY_ERR_INPUT, "'%s': '%s' has %llu values, the network gives %zu", golden->path, name,
         (unsigned long long)view->count, count);
  if (count == 0) FAIL(err, MEDLEY_ERR_INPUT, "'%s': '%s' has no values to compare with", golden->path, name);
  TRY(view_copy(golden, view, &reference, err));
  for (size_t i = 0; i < count; i++) {
    scale = fmax(scale, fabs((double)reference[i]));
    away = larger(away, fabs((double)values[i] - (double)reference[i]));
  }
  golden_output *output = &report->outputs[report->count++];
  snprintf(output->name, sizeof output->name, "%s", name);
  output->values = count;
  output->difference = away == 0 ? 0 : away / (scale > 0 ? scale : 1);
done:
  mem_free(reference);
  return status;
}

double golden_largest(const golden_report *report) {
  double largest = report->count > 0 ? 0 : NAN;
  for (size_t i = 0; i < report->count; i++) largest = larger(largest, report->outputs[i].difference);
  return largest;
}
