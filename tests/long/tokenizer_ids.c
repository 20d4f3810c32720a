/* The ids of many texts, for comparing them with a reference in another process (tests/long/test_tokenizers.py).
 *
 *     tokenizer_ids TOKENIZER RECORDS [ids|plain|time]
 *
 * RECORDS holds texts of any bytes, each after its length (32 bits, little-endian). `ids` (the default) prints for each
 * a line of id:begin:end; `plain` leaves special tokens and offsets out; `time` encodes all of them repeatedly and
 * prints the tokens and seconds of the fastest round. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "nn/tokenizer.h"

#define ROUNDS 5

typedef struct records {
  char *bytes;
  size_t length, at;
} records;

static bool record_next(records *r, tokenizer_bytes *text) {
  if (r->length - r->at < 4) return false;
  const unsigned char *p = (const unsigned char *)r->bytes + r->at;
  text->length = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
  text->bytes = r->bytes + r->at + 4;
  if (text->length > r->length - r->at - 4) return false;
  r->at += 4 + text->length;
  return true;
}

static bool records_print(const tokenizer *t, records *r, const tokenizer_options *options, medley_error *err) {
  token_list list = {0};
  tokenizer_bytes text;
  bool ok = true;
  while (ok && record_next(r, &text)) {
    ok = tokenizer_encode(t, text.bytes, text.length, options, &list, err) == MEDLEY_OK;
    for (size_t i = 0; ok && i < list.count; i++)
      if (options->offsets)
        printf("%d:%u:%u ", (int)list.ids[i], list.offsets[i].begin, list.offsets[i].end);
      else
        printf("%d ", (int)list.ids[i]);
    printf("\n");
  }
  token_list_deinit(&list);
  return ok;
}

static bool records_time(const tokenizer *t, records *r, medley_error *err) {
  const tokenizer_options options = {.tokens_max = TOKENIZER_NO_LIMIT};
  token_list list = {0};
  tokenizer_bytes text;
  double best = 1e9;
  size_t tokens = 0;
  for (int round = 0; round < ROUNDS; round++) {
    double start = clock_now_s();
    tokens = r->at = 0;
    while (record_next(r, &text)) {
      if (tokenizer_encode(t, text.bytes, text.length, &options, &list, err) != MEDLEY_OK) return false;
      tokens += list.count;
    }
    double seconds = clock_now_s() - start;
    if (seconds < best) best = seconds;
  }
  printf("%zu %.6f\n", tokens, best);
  token_list_deinit(&list);
  return true;
}

int main(int argc, char **argv) {
  medley_error error = {0};
  tokenizer *t = NULL;
  records r = {0};
  const char *mode = argc > 3 ? argv[3] : "ids";
  bool plain = strcmp(mode, "plain") == 0;
  tokenizer_options options = {.plain = plain, .offsets = !plain, .tokens_max = TOKENIZER_NO_LIMIT};
  bool ok = argc > 2 && tokenizer_load(argv[1], &t, &error) == MEDLEY_OK &&
            file_read(argv[2], (size_t)1 << 30, &r.bytes, &r.length, &error) == MEDLEY_OK;
  if (ok) ok = strcmp(mode, "time") == 0 ? records_time(t, &r, &error) : records_print(t, &r, &options, &error);
  if (!ok) fprintf(stderr, "%s\n", argc > 2 ? error.text : "usage: tokenizer_ids TOKENIZER RECORDS [ids|plain|time]");
  mem_free(r.bytes);
  tokenizer_free(t);
  return ok ? 0 : 1;
}
