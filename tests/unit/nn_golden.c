/* tests/unit/nn_golden.c: see tests/unit/nn_golden.h. */
#include "test.h"

#include "nn_golden.h"

void nn_golden_open(safetensors *s, const char *file) {
  medley_error error = {0};
  const char *source = getenv("MEDLEY_SOURCE");
  char path[512];
  snprintf(path, sizeof path, "%s/tests/golden/%s", source ? source : ".", file);
  assert_ok(safetensors_open(s, path, &error));
}

const tensor_view *nn_golden(const safetensors *s, const char *name, const char *field) {
  char full[2 * SAFETENSORS_NAME_MAX];
  snprintf(full, sizeof full, "%s.%s", name, field);
  const tensor_view *v = safetensors_get(s, full);
  if (v == NULL) fail_msg("%s is not in %s", full, s->path);
  return v;
}

void nn_golden_compare(const char *name, const char *what, const real *got, const tensor_view *want, double share) {
  double largest = 1e-3;
  for (uint64_t i = 0; i < want->count; i++) largest = fmax(largest, fabs((double)((const float *)want->data)[i]));
  for (uint64_t i = 0; i < want->count; i++) {
    double expected = ((const float *)want->data)[i];
    if (!(fabs(got[i] - expected) <= share * largest + 1e-6 * fabs(expected)))
      fail_msg("%s: %s at %llu is %.9g, PyTorch says %.9g", name, what, (unsigned long long)i, got[i], expected);
  }
}
