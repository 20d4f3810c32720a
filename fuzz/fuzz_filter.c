/* Any bytes as a filter, and as attributes: refused, or as good as its own writing read again. */
#include <string.h>

#include "base/memory.h"
#include "index/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLOTS 130

static medley_status label_find(void *context, uint64_t id, uint32_t *slot, medley_error *err) {
  (void)context;
  (void)err;
  *slot = id < SLOTS ? (uint32_t)id : FILTER_NOBODY;
  return MEDLEY_OK;
}

static const filter_labels labels = {.find = label_find};

/* a number, b words, c both absent and present */
static attributes *attributes_fixed(void) {
  static const char *const words[] = {"x", "shoes", "schön"};
  attributes *a;
  if (attributes_create(&a, NULL) != MEDLEY_OK) __builtin_trap();
  for (uint32_t slot = 0; slot < SLOTS - 1; slot++)
    if (attributes_set_number(a, slot, "a", slot % 7, NULL) != MEDLEY_OK ||
        attributes_add_word(a, slot, "b", words[slot % 3], NULL) != MEDLEY_OK ||
        (slot % 5 == 0 && attributes_add_word(a, slot, "b", words[slot % 2], NULL) != MEDLEY_OK))
      __builtin_trap();
  return a;
}

/* Its one spelling is a filter, is its own spelling, and finds the same. */
static void check_filter(const filter *f, const attributes *a) {
  filter *again;
  filter_set set, same;
  if (filter_parse(filter_text(f), &again, NULL) != MEDLEY_OK) {
    if (strlen(filter_text(f)) > FILTER_TEXT_MAX) return;
    __builtin_trap();
  }
  if (strcmp(filter_text(f), filter_text(again)) != 0) __builtin_trap();
  medley_status status = filter_compile(f, a, SLOTS, &labels, &set, NULL);
  if (filter_compile(again, a, SLOTS, &labels, &same, NULL) != status) __builtin_trap();
  if (status == MEDLEY_OK) {
    if (set.count != same.count || memcmp(set.words, same.words, (SLOTS + 63) / 64 * sizeof *set.words) != 0)
      __builtin_trap();
    filter_set_deinit(&set);
    filter_set_deinit(&same);
  }
  filter_free(again);
}

/* What was read can be written, and that is read as the same. */
static void check_attributes(const attributes *a) {
  unsigned char *bytes, *twice;
  size_t length, twice_length;
  attributes *again;
  if (attributes_write(a, &bytes, &length, NULL) != MEDLEY_OK ||
      attributes_read(&again, bytes, length, "again", NULL) != MEDLEY_OK ||
      attributes_write(again, &twice, &twice_length, NULL) != MEDLEY_OK)
    __builtin_trap();
  if (length != twice_length || memcmp(bytes, twice, length) != 0) __builtin_trap();
  attributes_free(again);
  mem_free(bytes);
  mem_free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  attributes *a = attributes_fixed(), *read;
  char *text = mem_strndup((const char *)data, size);
  filter *f;
  if (text != NULL && filter_parse(text, &f, NULL) == MEDLEY_OK) {
    check_filter(f, a);
    filter_free(f);
  }
  if (attributes_read(&read, data, size, "fuzz", NULL) == MEDLEY_OK) {
    check_attributes(read);
    attributes_clear(read, 0);
    check_attributes(read);
    attributes_free(read);
  }
  mem_free(text);
  attributes_free(a);
  return 0;
}
