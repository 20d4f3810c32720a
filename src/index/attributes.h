/* index/attributes.h: what is known of each slot of an index, for filters: numbers and words by name.
 *
 * A name is a column and holds one kind: numbers (price, year; one for each slot) or words (category, colour, tags; any
 * number for each slot). A column of numbers is an array of doubles in chunks of 65536 slots, NaN where there is none:
 * a comparison is one pass over it. A column of words is held both ways: for each slot its words (to clear it and to
 * show it), for each word the set of its slots (slotset.h), so that a filter never looks at rows without the word. true
 * and false are the numbers 1 and 0. `id` is no column: it is the row's own label (filter.h).
 *
 * Threads: a read-write lock inside, which prefers writers. A write holds it for microseconds, filter_compile for as
 * long as it turns a filter into a bitmap (about a third of a millisecond for a million slots and one number
 * comparison); a search itself holds nothing, it reads the bitmap. So readers never wait for each other, and a writer
 * waits at most for the filters that are being compiled. Every function here may be called by any thread at any time,
 * except create and free.
 *
 * As bytes (attributes_write; one section of the index file, which adds the checksum), numbers little-endian, every
 * part padded with zeros to a multiple of 8 bytes, s = ceil(slots / 64) words of 64 bits:
 *
 *     "MDLYATTR"                       8   what this is
 *     version, columns                 4+4 1; at most 256
 *     slots                            8   no slot at or above it has a value; at most 2^30
 *     then for each column, ascending by the bytes of its name:
 *       kind, name length              4+4 1 numbers, 2 words; 1..128
 *       present                        8   slots with a value
 *       words, text bytes, values      8*3 of the dictionary, of its text, of all slots together; 0 with numbers
 *       name                               without a NUL
 *       presence                       8*s bit i of word w: slot 64 w + i has a value; `present` bits are set
 *       numbers: doubles [present]         finite, in the order of the slots
 *       words:   uint32 ends [words]       where each word of the text ends; ascending
 *                text                      the words without separators, UTF-8, each once
 *                uint32 of [values]        the words of the slots in order; the top bit ends a slot's list
 *
 * Sets of slots are not kept: they follow from the lists, and so can never contradict them.
 */
#ifndef INDEX_ATTRIBUTES_H
#define INDEX_ATTRIBUTES_H

#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

#define ATTRIBUTES_SECTION "attributes"
#define ATTRIBUTES_SLOTS_MAX ((size_t)1 << 30)
#define ATTRIBUTES_COLUMNS_MAX 256
#define ATTRIBUTES_NAME_BYTES_MAX 128
#define ATTRIBUTES_WORD_BYTES_MAX 1024
#define ATTRIBUTES_WORDS_MAX ((size_t)1 << 26) /* different words of a column */
#define ATTRIBUTES_SLOT_WORDS_MAX 256          /* words of one slot in one column */

typedef struct attributes attributes;
struct index_file;

medley_status attributes_create(attributes **out, medley_error *err) MEDLEY_CHECK;
void attributes_free(attributes *a);

/* Sets the slot's number, in the place of an older one. Refuses what is not finite, and a name that holds words. */
medley_status attributes_set_number(attributes *a, uint32_t slot, const char *name, double value,
                                    medley_error *err) MEDLEY_CHECK;
/* Adds a word to those the slot has; one it has already is no error. Refuses a word that is empty, too long or not
 * UTF-8, more than ATTRIBUTES_SLOT_WORDS_MAX of them, and a name that holds numbers. */
medley_status attributes_add_word(attributes *a, uint32_t slot, const char *name, const char *word,
                                  medley_error *err) MEDLEY_CHECK;
/* Replaces all that is known of the slot by the members of a JSON object: numbers, true, false, words, lists of words;
 * null and [] are as good as absent. All or nothing. NULL: the same as an empty object. */
medley_status attributes_set_json(attributes *a, uint32_t slot, const json_t *object, medley_error *err) MEDLEY_CHECK;
/* Forgets the slot; for every removed row, also one without attributes, because the version goes on. */
void attributes_clear(attributes *a, uint32_t slot);

/* The slot's attributes as attributes_set_json takes them, members in order of name, words in the order in which they
 * came; an empty object when there are none. json_decref. */
medley_status attributes_get(const attributes *a, uint32_t slot, json_t **out, medley_error *err) MEDLEY_CHECK;

/* Another one after each write. */
uint64_t attributes_version(const attributes *a);
/* Memory in use. */
size_t attributes_bytes(const attributes *a);

/* All of it as bytes (mem_free) and back. Reading checks every length, offset and number before it trusts it; `name`
 * names the source in the sentence. The version of what was read is 1. */
medley_status attributes_write(const attributes *a, unsigned char **bytes, size_t *length,
                               medley_error *err) MEDLEY_CHECK;
medley_status attributes_read(attributes **out, const void *bytes, size_t length, const char *name,
                              medley_error *err) MEDLEY_CHECK;
/* The section ATTRIBUTES_SECTION of an open file, which is borrowed until attributes_free: its head at once, the rest
 * with its checksums when somebody first asks or writes (a fifth of a second for a million slots), because most who
 * open an index never filter. Damage is refused then, by whatever function needed it, each time. attributes_clear needs
 * nothing of it. */
medley_status attributes_read_later(attributes **out, const struct index_file *f, medley_error *err) MEDLEY_CHECK;
/* Now, unless it is read. */
medley_status attributes_load(const attributes *a, medley_error *err) MEDLEY_CHECK;

#endif
