/* nn/op.c: the table of ops, from OP_LIST in nn/op.h. */
#include "nn/op.h"

#include <string.h>

#include "nn/op_kind.h"

#define OP_DECLARE(name) extern const op_kind op_kind_##name;
OP_LIST(OP_DECLARE)

#define OP_ENTRY(name) &op_kind_##name,
const op_kind *const op_kinds[] = {OP_LIST(OP_ENTRY) NULL};

const op_kind *op_kind_find(const char *name) {
  for (const op_kind *const *kind = op_kinds; *kind != NULL; kind++)
    if (strcmp((*kind)->name, name) == 0) return *kind;
  return NULL;
}
