/* nn/tokenizer_protobuf.c: see nn/tokenizer_protobuf.h. */
#include "nn/tokenizer_protobuf.h"

static bool varint_read(protobuf *m, uint64_t *value) {
  *value = 0;
  for (int shift = 0; shift < 64 && m->at < m->end; shift += 7) {
    unsigned char byte = *m->at++;
    *value |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

static bool fixed_read(protobuf *m, size_t size, uint64_t *value) {
  if ((size_t)(m->end - m->at) < size) return false;
  *value = 0;
  for (size_t i = size; i-- > 0;) *value = *value << 8 | m->at[i];
  m->at += size;
  return true;
}

static bool bytes_read(protobuf *m, protobuf_field *field) {
  uint64_t length;
  if (!varint_read(m, &length) || length > (uint64_t)(m->end - m->at)) return false;
  field->bytes = m->at;
  field->length = (size_t)length;
  m->at += length;
  return true;
}

bool protobuf_next(protobuf *m, protobuf_field *field) {
  uint64_t key;
  bool read = false;
  *field = (protobuf_field){0};
  if (m->broken || m->at == m->end) return false;
  if (varint_read(m, &key) && key >> 3 > 0 && key >> 3 <= UINT32_MAX) {
    field->number = (uint32_t)(key >> 3);
    field->wire = (int)(key & 7);
    switch (field->wire) {
      case 0: read = varint_read(m, &field->integer); break;
      case 1: read = fixed_read(m, 8, &field->integer); break;
      case 2: read = bytes_read(m, field); break;
      case 5: read = fixed_read(m, 4, &field->integer); break;
      default: break; /* groups are in no file that was made in this century */
    }
  }
  m->broken = !read;
  return read;
}
