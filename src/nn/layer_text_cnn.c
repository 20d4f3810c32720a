/* nn/layer_text_cnn.c: filters over neighbouring words, and the most that each says anywhere.
 *
 * A filter over w words is a linear layer over w rows side by side: so the embedding, shifted by 0 to w - 1 words, is
 * joined along its numbers. That copies the words w times, and is one product a width.
 */
#include <string.h>

#include "nn/layer.h"
#include "nn/op_kind.h"

enum { NARROWEST = 2 };

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

tensor *layer_text_cnn_forward(tape *t, const layer_text_cnn *l, tensor *ids) {
  if (ids == NULL) return NULL;
  if (ids->rank != 2 || ids->shape[1] == 0) {
    char text[TENSOR_TEXT_MAX];
    return op_fail(t, "text_cnn: ids are %s, not [batch, length]", tensor_text(ids, text));
  }
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
