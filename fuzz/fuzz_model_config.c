/* Any bytes as config.json beside weights without names: an architecture with sensible dimensions, or a sentence. */
#include <assert.h>
#include <stdint.h>

#include "nn/architecture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  checkpoint c = {.path = (char *)(uintptr_t) "fuzz", .folder = (char *)(uintptr_t) "fuzz"};
  model_architecture a;
  medley_error error;
  if (json_parse((const char *)data, size, "fuzz", &c.config, NULL) != MEDLEY_OK) return 0;
  if (architecture_recognise(&c, &a, &error) == MEDLEY_OK)
    for (size_t i = 0; i < a.count; i++) assert(a.dimensions[i].value > 0);
  json_decref(c.config);
  return 0;
}
