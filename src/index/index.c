/* index/index.c: the table of index kinds. */
#include "index/index.h"

#include <string.h>

const index_kind *const index_kinds[] = {&index_exact, &index_hnsw, &index_ivfpq, NULL};

const index_kind *index_kind_find(const char *name) {
  for (size_t i = 0; index_kinds[i] != NULL; i++)
    if (strcmp(index_kinds[i]->name, name) == 0) return index_kinds[i];
  return NULL;
}
