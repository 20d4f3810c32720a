/* store/store.c: the table of store kinds; a new one is a file and a line here. */
#include "store/store.h"

#include <string.h>

static const store_kind *const kinds[] = {&store_sqlite};

const store_kind *store_kind_find(const char *name) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i]->name, name) == 0) return kinds[i];
  return NULL;
}
