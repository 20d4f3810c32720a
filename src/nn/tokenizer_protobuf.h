/* nn/tokenizer_protobuf.h: reading the wire format of Protocol Buffers, as much as a sentencepiece model needs.
 *
 * https://protobuf.dev/programming-guides/encoding. A message is a row of fields: varint(number << 3 | wire type), then
 * a varint, 8 bytes, a length with that many bytes, or 4 bytes. Every length is checked against what is left. */
#ifndef NN_TOKENIZER_PROTOBUF_H
#define NN_TOKENIZER_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct protobuf {
  const unsigned char *at, *end;
  bool broken; /* the message is cut off or malformed; there are no further fields */
} protobuf;

typedef struct protobuf_field {
  uint32_t number;
  int wire;         /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
  uint64_t integer; /* of wire 0, 1 and 5 */
  const unsigned char *bytes;
  size_t length; /* of wire 2 */
} protobuf_field;

/* False after the last field, or when the message is broken. */
bool protobuf_next(protobuf *message, protobuf_field *field);
/* A field that has no bytes (of another wire) is an empty message. */
static inline protobuf protobuf_inner(const protobuf_field *field) {
  static const unsigned char none[1];
  const unsigned char *bytes = field->bytes != NULL ? field->bytes : none;
  return (protobuf){.at = bytes, .end = bytes + field->length};
}

#endif
