/* index/file_parts.h: the bytes of index/file.h as structs, shared by reading, verifying and writing. */
#ifndef INDEX_FILE_PARTS_H
#define INDEX_FILE_PARTS_H

#include <assert.h>
#include <stdbool.h>

#include "index/file.h"
#include "index/pages.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the files of an index are mapped as they are: little endian"
#endif

#define FILE_MAGIC "\x89MIX\r\n\x1a\n"
#define FILE_BYTE_ORDER 0x0A0B0C0Du
#define FILE_HEADER_CHECKED 124 /* bytes of the header under its checksum */

typedef struct file_header {
  unsigned char magic[8];
  uint32_t version, byte_order;
  char kind[INDEX_FILE_NAME_MAX + 1];
  unsigned char id[INDEX_FILE_ID_BYTES], journal[INDEX_FILE_ID_BYTES];
  uint64_t sequence;
  uint32_t chain, sections;
  uint64_t length, sums_offset;
  uint32_t block_bytes, sums_crc;
  unsigned char zero[20];
  uint32_t crc;
} file_header;

typedef struct file_entry {
  char name[INDEX_FILE_NAME_MAX + 1];
  uint64_t offset, length;
} file_entry;

typedef struct file_page {
  file_header header;
  file_entry section[INDEX_FILE_SECTIONS_MAX];
  unsigned char zero[INDEX_FILE_PAGE_BYTES - sizeof(file_header) - INDEX_FILE_SECTIONS_MAX * sizeof(file_entry)];
} file_page;

static_assert(sizeof(file_header) == 128 && offsetof(file_header, sequence) == 64 &&
                  offsetof(file_header, length) == 80 && offsetof(file_header, crc) == FILE_HEADER_CHECKED,
              "the header as drawn in file.h");
static_assert(sizeof(file_entry) == 32 && sizeof(file_page) == INDEX_FILE_PAGE_BYTES, "the table as drawn in file.h");

struct index_file {
  char *path;
  int fd;
  unsigned char *bytes; /* the mapping, `length` bytes */
  size_t length;
  pages *pages; /* NULL: warm */
  journal_mark mark;
  file_page page;
};

uint32_t file_page_crc(const file_page *page);
/* ASCII that can be printed, 1…15 bytes, NUL to the end. */
bool file_name_valid(const char name[INDEX_FILE_NAME_MAX + 1]);
bool file_is_zero(const void *bytes, size_t length);
/* The place in the table, or -1. */
int file_section_find(const file_page *page, const char *name);

static inline uint64_t file_page_round(uint64_t offset) {
  return (offset + INDEX_FILE_PAGE_BYTES - 1) & ~(uint64_t)(INDEX_FILE_PAGE_BYTES - 1);
}
static inline uint64_t file_blocks(uint64_t length) {
  return (length + INDEX_FILE_BLOCK_BYTES - 1) / INDEX_FILE_BLOCK_BYTES;
}

#endif
