/* Any bytes as JSON Lines and as Python literals; whatever becomes a draft has finished attributes. */
#include <string.h>

#include "data/import_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_rows(const import_part *part, const uint8_t *data, size_t size) {
  static const char *const maps[] = {"title=name.en,text=a.b.c"};
  import_options options = {.kind = part->kind, .path = "fuzz"};
  import_reader r = {.kind = &import_rows_json, .part = part, .options = &options};
  import_draft d = {0};
  bool more = true;
  medley_error error;
  if (mapping_init(&r.mapping, part->kind, maps, part->kind == IMPORT_ITEMS, NULL, &error) == MEDLEY_OK &&
      draft_init(&d, &error) == MEDLEY_OK && stream_open_memory("fuzz", data, size, &r.in, &error) == MEDLEY_OK &&
      r.kind->open(&r, &error) == MEDLEY_OK)
    while (more && r.kind->next(&r, &d, &more, &error) == MEDLEY_OK) {
      json_t *value = NULL;
      const char *attributes = more ? draft_attributes(&d) : NULL;
      if (attributes != NULL && json_parse(attributes, strlen(attributes), "row", &value, &error) == MEDLEY_ERR_INPUT)
        __builtin_trap();
      json_decref(value);
    }
  draft_deinit(&d);
  import_reader_close(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  read_rows(&(import_part){.path = "fuzz", .kind = IMPORT_ITEMS, .reading = READ_JSON}, data, size);
  read_rows(&(import_part){.path = "fuzz", .kind = IMPORT_VECTORS, .reading = READ_JSON, .loose = true}, data, size);
  int64_t time_s;
  char text[128] = {0};
  memcpy(text, data, size < sizeof text ? size : sizeof text - 1);
  (void)value_time(text, &time_s);
  return 0;
}
