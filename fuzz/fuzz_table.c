/* Any bytes as a table: every dialect of the formats, the sniffed one, and RecBole's typed header through the importer.
 */
#include <string.h>

#include "data/import_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is written into a rejects file or the store can be read again. */
static void check_json(const char *text) {
  json_t *value = NULL;
  if (text != NULL && json_parse(text, strlen(text), "row", &value, NULL) != MEDLEY_OK) __builtin_trap();
  json_decref(value);
}

static void read_rows(const import_part *part, const uint8_t *data, size_t size) {
  import_options options = {.kind = part->kind, .path = "fuzz"};
  import_reader r = {.kind = &import_rows_table, .part = part, .options = &options};
  import_draft d = {0};
  bool more = true;
  medley_error error;
  if (mapping_init(&r.mapping, part->kind, NULL, 0, part->map, &error) == MEDLEY_OK &&
      draft_init(&d, &error) == MEDLEY_OK && stream_open_memory("fuzz", data, size, &r.in, &error) == MEDLEY_OK &&
      r.kind->open(&r, &error) == MEDLEY_OK)
    while (more && r.kind->next(&r, &d, &more, &error) == MEDLEY_OK) {
      strbuf row = {0};
      if (more) r.kind->describe(&r, &d, &row);
      check_json(row.text);
      check_json(more ? draft_attributes(&d) : NULL);
      strbuf_deinit(&row);
    }
  draft_deinit(&d);
  import_reader_close(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  import_part part = {.path = "fuzz", .kind = IMPORT_ITEMS, .reading = READ_TABLE, .map = "item=1,title=2"};
  part.dialect = table_sniff((const char *)data, size);
  read_rows(&part, data, size);
  part.dialect = (table_dialect){.delimiter = "::"};
  part.latin1 = true;
  read_rows(&part, data, size);
  read_rows(&(import_part){.path = "fuzz",
                           .kind = IMPORT_EVENTS,
                           .reading = READ_TABLE,
                           .typed = true,
                           .dialect = {.delimiter = "\t", .header = true}},
            data, size);
  return 0;
}
