/* recommend/autoencoder.c: a denoising autoencoder of histories, with a multinomial likelihood (Mult-DAE of Liang et
 * al., WWW 2018, after Wu et al., "Collaborative denoising auto-encoders", WSDM 2016; history_coder.h has the
 * equations). A person has no vector of their own here, unlike in Wu et al.: the history says who they are. */
#include "recommend/history_coder.h"

static const double epoch_counts[] = {10, 20, 40};
static const recommender_setting autoencoder_settings[] = {
    HISTORY_CODER_SETTINGS(20, epoch_counts, 3),
    {NULL},
};

static medley_status autoencoder_fit(const recommender_data *data, const double *values, progress_stage *progress,
                                     recommender **out, medley_error *err) {
  return history_coder_fit(&recommender_autoencoder, data, values, progress, out, err);
}

static medley_status autoencoder_load(const safetensors *s, const char *prefix, const recommender_data *data,
                                      recommender **out, medley_error *err) {
  return history_coder_load(&recommender_autoencoder, s, prefix, data, out, err);
}

const recommender_kind recommender_autoencoder = {
    .name = "autoencoder",
    .summary = "a denoising autoencoder of histories with a softmax over all items",
    .source = "Liang et al. 2018; Wu et al. 2016",
    .part = "taste",
    .settings = autoencoder_settings,
    .needs_history = true,
    .accepts = history_coder_accepts,
    .by_itself = recommender_only_named,
    .fit = autoencoder_fit,
    .score = history_coder_score,
    .save = history_coder_save,
    .load = autoencoder_load,
    .free = history_coder_free,
};
