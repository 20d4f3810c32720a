/* recommend/history_coder.h: what autoencoders of histories share.
 *
 * Liang et al., "Variational autoencoders for collaborative filtering", WWW 2018: a history x, of unit length and with
 * a share of it left out in training, goes through tanh to a code z, and z through tanh to a softmax over all items:
 *
 *   loss = −Σ_i x_i log π_i(z)
 *
 * Mult-DAE takes the code as it comes; Mult-VAE^PR draws it from N(μ, σ²), both read off the history, and adds
 * β KL(N(μ, σ²) ‖ N(0, 1)), β from 0 to `kl` over the first half of the steps. The answer to a history is log π, of μ
 * where the code is drawn, up to a constant. What differs: layers are narrower by default than the paper's 600 and 200,
 * which costs little and trains in a fraction of the time; AdamW with half a cosine (encode/trained.h). The first layer
 * is a sum of rows and the likelihood is taken where there is an event, so neither walks all items twice; the softmax
 * does: a step costs batch × items × hidden. Items that nobody chose score zero; so does every item for an empty
 * history. Content is not read.
 */
#ifndef RECOMMEND_HISTORY_CODER_H
#define RECOMMEND_HISTORY_CODER_H

#include "recommend/kinds.h"

/* Settings of a kind in this order; without the last one its code is not drawn. */
enum { CODER_EPOCHS, CODER_DROPOUT, CODER_HIDDEN, CODER_CODE, CODER_RATE, CODER_BATCH, CODER_KL, CODER_SETTINGS };
#define HISTORY_CODER_SETTINGS(epochs, grid, grid_count)                                     \
  {"epochs", "times that every history is trained on", epochs, 1, 10000, grid, grid_count},  \
      {"dropout", "share of a history that is left out in training", 0.5, 0, 0.95, NULL, 0}, \
      {"hidden", "width of the layers between", 256, 4, 4096, NULL, 0},                      \
      {"code", "numbers of the code", 128, 2, 1024, NULL, 0},                                \
      {"rate", "the highest learning rate", 2e-3, 1e-6, 1, NULL, 0}, {                       \
    "batch", "histories a step", 256, 1, 65536, NULL, 0                                      \
  }

/* As in recommender_kind; kind: whose model it becomes. */
medley_status history_coder_accepts(const recommender_data *data, medley_error *err) MEDLEY_CHECK;
medley_status history_coder_fit(const recommender_kind *kind, const recommender_data *data, const double *values,
                                progress_stage *progress, recommender **out, medley_error *err) MEDLEY_CHECK;
medley_status history_coder_score(const recommender *r, const history *h, recommender_scratch *scratch, float *scores,
                                  medley_error *err) MEDLEY_CHECK;
medley_status history_coder_save(const recommender *r, safetensors_writer *w, const char *prefix,
                                 medley_error *err) MEDLEY_CHECK;
medley_status history_coder_load(const recommender_kind *kind, const safetensors *s, const char *prefix,
                                 const recommender_data *data, recommender **out, medley_error *err) MEDLEY_CHECK;
void history_coder_free(recommender *r);

#endif
