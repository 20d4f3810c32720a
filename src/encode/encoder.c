/* encode/encoder.c: the table of encoders. */
#include "encode/encoder.h"

#include <string.h>

const encoder_kind *const encoder_kinds[] = {&encoder_text_lsa, NULL};

const encoder_kind *encoder_kind_find(const char *name) {
  for (size_t i = 0; encoder_kinds[i] != NULL; i++)
    if (strcmp(encoder_kinds[i]->name, name) == 0) return encoder_kinds[i];
  return NULL;
}

const encoder_kind *encoder_kind_default(modality m) {
  for (size_t i = 0; encoder_kinds[i] != NULL; i++)
    if (encoder_kinds[i]->modality == m) return encoder_kinds[i];
  return NULL;
}
