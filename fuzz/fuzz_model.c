/* Any bytes as a model file: the loaders of text.lsa, of normalisers and of alignments refuse it or give something that
 * works. */
#include <stdint.h>
#include <string.h>

#include "align/aligner.h"
#include "base/memory.h"
#include "encode/encoder.h"
#include "encode/normaliser.h"

#define DIM_MAX 4096 /* a small file cannot hold more, but a row of it must fit the buffers below */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_encoder(const safetensors *s, float *out) {
  encoder *e;
  if (encoder_text_lsa.load(s, "m", &e, NULL) != MEDLEY_OK) return;
  const encoder_input input = {.text = "red dress \xE7\xBA\xA2\xE8\xA3\x99"};
  if (encoder_text_lsa.dim(e) <= DIM_MAX && encoder_text_lsa.encode(e, &input, 1, out, NULL) != MEDLEY_OK)
    memset(out, 0, sizeof *out);
  encoder_text_lsa.free(e);
}

static void try_normaliser(const safetensors *s, const float *row, float *out) {
  normaliser n;
  if (normaliser_load(s, "m", &n, NULL) != MEDLEY_OK) return;
  if (n.in_dim <= DIM_MAX && n.out_dim <= DIM_MAX) normaliser_apply(&n, row, 1, out);
  normaliser_deinit(&n);
}

static void try_alignment(const safetensors *s, const float *row, float *out) {
  alignment a;
  if (alignment_load(s, "m", &a, NULL) != MEDLEY_OK) return;
  for (int side = 0; side < 2; side++)
    if (a.x_dim <= DIM_MAX && a.y_dim <= DIM_MAX && a.dim <= DIM_MAX) alignment_apply(&a, side, row, 1, out);
  alignment_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char *aligned = mem_zalloc_aligned(size + 1, 1);
  float *row = mem_zalloc_aligned(2 * DIM_MAX, sizeof *row);
  safetensors s;
  if (aligned != NULL && row != NULL) {
    memcpy(aligned, data, size);
    if (safetensors_open_bytes(&s, aligned, size, "fuzz", NULL) == MEDLEY_OK) {
      try_encoder(&s, row);
      try_normaliser(&s, row, row + DIM_MAX);
      try_alignment(&s, row, row + DIM_MAX);
      safetensors_close(&s);
    }
  }
  mem_free(aligned);
  mem_free(row);
  return 0;
}
