/* nn/layer_text_cnn.c: filters over neighbouring words, and the most that each says anywhere.
 *
 * A filter over w words is a linear layer over w rows side by side: so the embedding, shifted by 0 to w - 1 words, is
 * joined along its numbers. That copies the words w times, and is one product a width.
 */
#include <string.h>

#include "nn/layer.h"
#include "nn/op_kind.h"
#include "nn/packed_int8.h"

enum { NARROWEST = 2, CODE_ZERO = 128 };

void layer_text_cnn_init(layer_text_cnn *l, parameters *p, const char *prefix, size_t words, size_t dim,
                         size_t filters) {
  char name[SAFETENSORS_NAME_MAX];
  layer_embedding_init(&l->words, p, layer_name(name, prefix, "words"), words, dim, 0.1, true);
  for (size_t width = NARROWEST; width <= LAYER_TEXT_CNN_WIDEST; width++)
    layer_linear_init(&l->filters[width - NARROWEST], p, layer_name(name, prefix, "filters.%zu", width), width * dim,
                      filters, true);
}

/* ids with negative ones at the end until the widest filter fits, in the tape's memory. */
static tensor *padded(tape *t, tensor *ids) {
  if (ids->shape[1] >= LAYER_TEXT_CNN_WIDEST) return ids;
  size_t shape[] = {ids->shape[0], LAYER_TEXT_CNN_WIDEST};
  tensor *room = tape_empty(t, 2, shape); /* real is at least as wide as int32_t */
  if (room == NULL) return NULL;
  int32_t *to = room->data;
  for (size_t b = 0; b < shape[0]; b++)
    for (size_t i = 0; i < shape[1]; i++)
      to[b * shape[1] + i] = i < ids->shape[1] ? index_data(ids)[b * ids->shape[1] + i] : -1;
  return tape_indices(t, 2, shape, to);
}

/* [batch, places, 1]: 1 where all words that a filter sees are there; the first place always. */
static tensor *mask_of(tape *t, const tensor *ids, size_t width) {
  size_t batch = ids->shape[0], length = ids->shape[1], places = length - width + 1;
  tensor *mask = tape_empty(t, 3, (size_t[]){batch, places, 1});
  for (size_t b = 0; mask != NULL && b < batch; b++)
    for (size_t i = 0; i < places; i++)
      real_data(mask)[b * places + i] = i == 0 || index_data(ids)[b * length + i + width - 1] >= 0;
  return mask;
}

/* ---- answering in int8 ----
 *
 * A filter over w words is a product with w rows of bytes that lie behind one another: nothing is joined, and a text
 * costs what it is long, whatever stands beside it. Its words share one scale. */

typedef struct text_room {
  size_t most;    /* words */
  float *words;   /* [most, dim] */
  uint8_t *codes; /* [most, dim] */
  float *said;    /* [most, filters, whole registers] */
} text_room;

/* The most that each filter says of a text of `count` words, 0 or more. */
static void filter_most(const packed_int8 *filter, const text_room *room, size_t count, size_t width, size_t dim,
                        float scale, float *out) {
  size_t places = count < width ? 1 : count - width + 1, step = maps_round(filter->outs);
  packed_int8_multiply(filter, &(packed_int8_rows){room->codes, dim, places, CODE_ZERO, NULL, scale, room->said, step});
  memset(out, 0, filter->outs * sizeof *out);
  for (size_t i = 0; i < places; i++) {
    const float *said = room->said + i * step;
    _Pragma("omp simd") for (size_t f = 0; f < filter->outs; f++) out[f] = said[f] > out[f] ? said[f] : out[f];
  }
}

static void text_answer(const layer_text_cnn *l, const packed_int8 *filters, const text_room *room, const int32_t *ids,
                        size_t length, float *out) {
  size_t dim = l->words.weight->shape[1], count = 0;
  float scale = 0;
  for (; count < length && ids[count] >= 0; count++)
    memcpy(room->words + count * dim, real_data(l->words.weight) + (size_t)ids[count] * dim, dim * sizeof(float));
  memset(room->codes, CODE_ZERO, room->most * dim);
  if (count > 0) maps_int8_quantise(room->words, count * dim, 1, count * dim, room->codes, count * dim, &scale);
  for (size_t k = 0; k < LAYER_TEXT_CNN_WIDEST - 1; k++, out += filters[0].outs)
    filter_most(&filters[k], room, count, k + NARROWEST, dim, scale, out);
}

static bool answers_in_int8(const tape *t, const layer_text_cnn *l) {
  return packed_int8_is_wanted(t, l->filters[0].weight) && l->words.weight->shape[1] % MAPS_LANES == 0;
}

static tensor *answer_forward(tape *t, const layer_text_cnn *l, const tensor *ids) {
  packed_int8 filters[LAYER_TEXT_CNN_WIDEST - 1] = {{0}};
  size_t batch = ids->shape[0], length = ids->shape[1], dim = l->words.weight->shape[1];
  size_t outs = l->filters[0].weight->shape[0], wide = (LAYER_TEXT_CNN_WIDEST - 1) * outs;
  text_room room = {.most = length > LAYER_TEXT_CNN_WIDEST ? length : LAYER_TEXT_CNN_WIDEST};
  tensor *y = tape_empty(t, 2, (size_t[]){batch, wide});
  room.words = tape_scratch(t, room.most * dim, sizeof(float));
  room.codes = tape_scratch(t, room.most * dim, 1);
  room.said = tape_scratch(t, room.most * maps_round(outs), sizeof(float));
  bool there = y != NULL && room.words != NULL && room.codes != NULL && room.said != NULL;
  for (size_t k = 0; there && k < LAYER_TEXT_CNN_WIDEST - 1; k++) {
    const layer_linear *f = &l->filters[k];
    there = packed_int8_take(t, f->weight->data, f->weight->scale, real_data(f->bias), outs, f->weight->shape[1],
                             &filters[k]);
  }
  for (size_t b = 0; there && b < batch; b++)
    text_answer(l, filters, &room, index_data(ids) + b * length, length, real_data(y) + b * wide);
  for (size_t k = LAYER_TEXT_CNN_WIDEST - 1; k-- > 0;) packed_int8_give(t, &filters[k]);
  tape_scratch_give(t, room.said, room.most * maps_round(outs), sizeof(float));
  tape_scratch_give(t, room.codes, room.most * dim, 1);
  tape_scratch_give(t, room.words, room.most * dim, sizeof(float));
  return there ? y : NULL;
}

tensor *layer_text_cnn_forward(tape *t, const layer_text_cnn *l, tensor *ids) {
  if (ids == NULL) return NULL;
  if (ids->rank != 2 || ids->shape[1] == 0) {
    char text[TENSOR_TEXT_MAX];
    return op_fail(t, "text_cnn: ids are %s, not [batch, length]", tensor_text(ids, text));
  }
  if (answers_in_int8(t, l)) return answer_forward(t, l, ids);
  ids = padded(t, ids);
  tensor *words = layer_embedding_forward(t, &l->words, ids), *most[LAYER_TEXT_CNN_WIDEST - 1];
  for (size_t width = NARROWEST; words != NULL && width <= LAYER_TEXT_CNN_WIDEST; width++) {
    tensor *seen[LAYER_TEXT_CNN_WIDEST];
    for (size_t k = 0; k < width; k++) seen[k] = op_slice(t, words, 1, k, words->shape[1] - width + 1);
    tensor *said =
        op_relu(t, layer_linear_forward(t, &l->filters[width - NARROWEST], op_concat(t, seen, (int)width, 2)));
    most[width - NARROWEST] = op_max(t, op_mul(t, said, mask_of(t, ids, width)), 1); /* nothing said is 0 */
  }
  return words == NULL ? NULL : op_concat(t, most, LAYER_TEXT_CNN_WIDEST - 1, 1);
}
