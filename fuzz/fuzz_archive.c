/* Any bytes as the header of an archive and as its table of files: refused or wholly sane. What is sealed cannot be
 * guessed by a fuzzer, so the table is fed as it stands behind the seal: 4 bytes count, 8 bytes contents, the table. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  archive_header header;
  archive_table table;
  uint32_t count;
  uint64_t contents, sum = 0;
  if (size >= ARCHIVE_HEADER_BYTES && archive_header_parse(data, "fuzz", &header, NULL) == MEDLEY_OK &&
      header.cost.memory_bytes > ARCHIVE_MEMORY_MAX)
    abort();
  if (size < 12) return 0;
  memcpy(&count, data, 4);
  memcpy(&contents, data + 4, 8);
  if (archive_table_parse(data + 12, size - 12, count, contents, "fuzz", &table, NULL) != MEDLEY_OK) return 0;
  for (size_t i = 0; i < table.count; i++) {
    sum += table.entries[i].length;
    if (table.entries[i].name[0] == '/' || strstr(table.entries[i].name, "../") != NULL) {
      /* "a../b" is a fine name; only a whole part of two dots is not. */
      const char *at = strstr(table.entries[i].name, "../");
      if (at == NULL || at == table.entries[i].name || at[-1] == '/') abort();
    }
  }
  if (sum != contents) abort();
  archive_table_deinit(&table);
  return 0;
}
