/* Any bytes as the journal of an index: replayed by a reader, by a writer, salvaged, and appended to. Once as they are,
 * and once with checksums and chains mended as far as the lengths lead, which chance would not find. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "index/journal_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static medley_status record_look(void *context, const journal_record *r, medley_error *err) {
  size_t *seen = context;
  (void)err;
  for (size_t i = 0; i < r->length; i++) *seen += ((const unsigned char *)r->bytes)[i];
  return r->type == 0xDEAD ? MEDLEY_ERR_CORRUPT : MEDLEY_OK;
}

static void bytes_replay(const char *index_path, const char *path, const uint8_t *data, size_t size) {
  journal_header h = {.sequence = 0};
  size_t seen = 0;
  if (file_write(path, data, size, NULL) != MEDLEY_OK) return;
  memcpy(&h, data, size < sizeof h ? size : sizeof h);
  /* The last byte says how the file knows the journal, and how much of it. */
  unsigned way = size > 0 ? data[size - 1] : 0;
  journal_mark mark = {.sequence = h.sequence + (way & 3)};
  if (way & 4) memcpy(mark.journal, h.id, sizeof mark.journal);
  static const unsigned char other[INDEX_FILE_ID_BYTES];
  static const journal_mode modes[] = {JOURNAL_READ, JOURNAL_WRITE, JOURNAL_SALVAGE};
  for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
    journal *j;
    journal_record record = {.bytes = "more", .length = 4};
    if (journal_open(index_path, modes[m], &j, NULL) != MEDLEY_OK) continue;
    if (journal_replay(j, way & 4 ? other : h.file, &mark, record_look, &seen, NULL, NULL, NULL) == MEDLEY_OK &&
        modes[m] != JOURNAL_READ && journal_append(j, &record, 1, NULL) != MEDLEY_OK)
      abort();
    journal_close(j);
  }
}

/* Each record gets the number and the chain that it must have. */
static void bytes_mend(uint8_t *bytes, size_t size) {
  journal_header h;
  memcpy(&h, bytes, sizeof h);
  h.crc = journal_header_crc(&h);
  h.synced.crc = journal_synced_crc(&h.synced);
  memcpy(bytes, &h, sizeof h);
  uint64_t sequence = h.sequence;
  uint32_t chain = h.crc;
  for (size_t at = sizeof h; size - at >= JOURNAL_HEAD_BYTES;) {
    journal_head head;
    memcpy(&head, bytes + at, sizeof head);
    if (head.length > size - at - JOURNAL_HEAD_BYTES) break;
    head.sequence = ++sequence;
    chain = journal_chain(chain, &head, bytes + at + JOURNAL_HEAD_BYTES);
    memcpy(bytes + at, &head, sizeof head);
    memcpy(bytes + at + sizeof head, &chain, sizeof chain);
    at += JOURNAL_HEAD_BYTES + head.length;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char folder[] = "/dev/shm/medley-fuzz-XXXXXX", index_path[64], path[96];
  if (mkdtemp(folder) == NULL) return 0;
  snprintf(index_path, sizeof index_path, "%s/x", folder);
  snprintf(path, sizeof path, "%s.journal", index_path);
  bytes_replay(index_path, path, data, size);
  uint8_t *mended = size >= sizeof(journal_header) ? mem_alloc(size, 1) : NULL;
  if (mended != NULL) {
    memcpy(mended, data, size);
    bytes_mend(mended, size);
    bytes_replay(index_path, path, mended, size);
  }
  mem_free(mended);
  (void)!folder_remove(folder, NULL);
  return 0;
}
