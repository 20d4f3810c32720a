/* Any bytes as the file of an index: opened, its sections walked to their last byte, verified. Once as they are, and
 * once with the header's checksum mended, which chance would not find. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "index/file_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sections_walk(const index_file *f) {
  unsigned char *bytes;
  size_t length, seen = 0;
  for (size_t i = 0; index_file_section_name(f, i) != NULL; i++) {
    if (index_file_section(f, index_file_section_name(f, i), &bytes, &length, NULL) != MEDLEY_OK) abort();
    for (size_t b = 0; b < length; b++) seen += bytes[b]++;
    index_file_soon(f, index_file_section_name(f, i));
  }
  (void)seen;
  (void)!index_file_verify(f, NULL, NULL, NULL, NULL);
}

static void bytes_open(const uint8_t *data, size_t size) {
  char path[64];
  index_file *f;
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  if (fd < 0) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (write(fd, data, size) == (ssize_t)size && index_file_open(path, &f, NULL) == MEDLEY_OK) {
    sections_walk(f);
    index_file_close(f);
  }
  close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  file_page page;
  bytes_open(data, size);
  if (size < sizeof page) return 0;
  memcpy(&page, data, sizeof page);
  if (page.header.sections > INDEX_FILE_SECTIONS_MAX) return 0;
  uint8_t *mended = mem_alloc(size, 1);
  if (mended == NULL) return 0;
  memcpy(mended, data, size);
  page.header.crc = file_page_crc(&page);
  memcpy(mended, &page, sizeof page);
  bytes_open(mended, size);
  mem_free(mended);
  return 0;
}
