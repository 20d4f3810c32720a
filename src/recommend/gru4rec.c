/* recommend/gru4rec.c: what comes next, by a gated recurrent network that reads the history from the first event on.
 *
 * Hidasi et al., "Session-based recommendations with recurrent neural networks", ICLR 2016, and Hidasi & Karatzoglou,
 * "Recurrent neural networks with top-k gains", CIKM 2018: a GRU over item vectors, trained against sampled items, one
 * vector an item for both sides ("constrained embedding"). What differs: a history is one sequence rather than many
 * sessions in parallel, read whole; the loss is the softmax over samples drawn half evenly and half by popularity, with
 * the correction for the draw (or BCE), rather than BPR-max; items with content are known by it (sequence_model.h).
 */
#include "recommend/kinds.h"
#include "recommend/sequence_model.h"

static const recommender_setting gru4rec_settings[] = {
    SEQUENCE_SETTINGS(0.3, 40, 1),
    {NULL},
};

static void gru4rec_init(sequence_layers *l, parameters *p, size_t length) {
  (void)length;
  layer_gru_init(&l->gru, p, "gru",
                 &(layer_recurrent_options){.in = l->dim, .hidden = l->dim, .layers = l->count, .dropout = l->dropout});
}

/* Sequences [from, to) of about one length as [sequences, steps, dim] through the network, and back into rows. */
static tensor *gru4rec_group(tape *t, const sequence_layers *l, tensor *x, const int32_t *start, size_t from,
                             size_t to) {
  size_t count = to - from, steps = (size_t)(start[from + 1] - start[from]), rows = (size_t)(start[to] - start[from]);
  tensor *padded = tape_indices_new(t, count * steps), *lengths = tape_indices_new(t, count);
  tensor *packed = tape_indices_new(t, rows);
  if (padded == NULL || lengths == NULL || packed == NULL) return NULL;
  int32_t *in = padded->data, *out = packed->data;
  for (size_t s = 0; s < count; s++) {
    int32_t length = start[from + s + 1] - start[from + s];
    ((int32_t *)lengths->data)[s] = length;
    for (size_t k = 0; k < steps; k++) in[s * steps + k] = (int32_t)k < length ? start[from + s] + (int32_t)k : -1;
    for (int32_t k = 0; k < length; k++) *out++ = (int32_t)(s * steps) + k;
  }
  tensor *y = op_embedding(t, x, padded);
  y = y != NULL ? op_reshape(t, y, 3, (size_t[]){count, steps, l->dim}) : NULL;
  y = y != NULL ? layer_recurrent_forward(t, &l->gru, y, lengths) : NULL;
  y = y != NULL ? op_reshape(t, y, 2, (size_t[]){count * steps, l->dim}) : NULL;
  return op_embedding(t, y, packed);
}

/* The longest come first, so a group is what is more than half as long as its first. */
static tensor *gru4rec_forward(tape *t, const sequence_layers *l, tensor *x, tensor *starts) {
  enum { GROUPS = 8 };
  tensor *part[GROUPS];
  if (x == NULL || starts == NULL) return NULL;
  const int32_t *start = index_data(starts);
  size_t sequences = starts->count - 1, groups = 0;
  for (size_t from = 0, to; from < sequences; from = to) {
    for (to = from + 1; to < sequences; to++)
      if (groups + 1 < GROUPS && 2 * (start[to + 1] - start[to]) <= start[from + 1] - start[from]) break;
    part[groups++] = gru4rec_group(t, l, x, start, from, to);
  }
  return groups == 1 ? part[0] : op_concat(t, part, (int)groups, 0);
}

static const sequence_network network = {&recommender_gru4rec, gru4rec_init, gru4rec_forward};

static medley_status gru4rec_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                 recommender **out, medley_error *err) {
  return sequence_fit(&network, data, values, progress, out, err);
}

static medley_status gru4rec_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                  recommender **out, medley_error *err) {
  return sequence_load(&network, s, prefix, data, out, err);
}

const recommender_kind recommender_gru4rec = {
    .name = "gru4rec",
    .summary = "what comes next, by a recurrent network over the history and by content",
    .source = "Hidasi et al. 2016, 2018",
    .part = "sequence",
    .settings = gru4rec_settings,
    .scores_cold_items = true,
    .needs_history = true,
    .may_read_features = true,
    .needs_time = true,
    .by_itself = recommender_only_named,
    .fit = gru4rec_fit,
    .score = sequence_score,
    .save = sequence_save,
    .load = gru4rec_load,
    .free = sequence_free,
};
