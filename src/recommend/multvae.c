/* recommend/multvae.c: a variational autoencoder of histories, with a multinomial likelihood (Mult-VAE^PR of Liang et
 * al., WWW 2018; history_coder.h has the equations). */
#include "recommend/history_coder.h"

static const double epoch_counts[] = {20, 40, 80};
static const double kl_weights[] = {0.1, 0.3};
static const recommender_setting multvae_settings[] = {
    HISTORY_CODER_SETTINGS(40, epoch_counts, 3),
    {"kl", "weight β of the code's distance from a normal one, at the end", 0.1, 0, 10, kl_weights, 2},
    {NULL},
};

static medley_status multvae_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                 recommender **out, medley_error *err) {
  return history_coder_fit(&recommender_multvae, data, values, progress, out, err);
}

static medley_status multvae_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                  recommender **out, medley_error *err) {
  return history_coder_load(&recommender_multvae, s, prefix, data, out, err);
}

const recommender_kind recommender_multvae = {
    .name = "multvae",
    .summary = "a variational autoencoder of histories with a softmax over all items",
    .source = "Liang et al. 2018",
    .part = "taste",
    .settings = multvae_settings,
    .needs_history = true,
    .accepts = history_coder_accepts,
    .by_itself = recommender_only_named,
    .fit = multvae_fit,
    .score = history_coder_score,
    .save = history_coder_save,
    .load = multvae_load,
    .free = history_coder_free,
};
