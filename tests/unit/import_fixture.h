/* tests/unit/import_fixture.h: a fresh store and folder for tests of importers, and the store's content as one text. */
#ifndef TESTS_IMPORT_FIXTURE_H
#define TESTS_IMPORT_FIXTURE_H

#include "data/import.h"
#include "test.h"

typedef struct import_fixture {
  char folder[256], database[300];
  store *s;
} import_fixture;

int import_setup(void **state);
int import_teardown(void **state);
/* Writes a file into the fixture's folder (folders in its name are made); its full path into path[512]. */
const char *import_file(const import_fixture *f, const char *name, const void *bytes, size_t length, char path[512]);
/* As gzip or zstd. */
const char *import_file_gzip(const import_fixture *f, const char *name, const char *text, char path[512]);
const char *import_file_zstd(const import_fixture *f, const char *name, const char *text, char path[512]);
/* All items, users, events, links and vectors, a line each, with keys instead of numbers; events in order of users.
 * mem_free. */
char *import_dump(store *s);

#endif
