/* engine/dataset.c: see engine/dataset.h. */
#include "engine/dataset.h"

#include <string.h>

#include "engine/encoders.h"
#include "engine/settings.h"

medley_status dataset_load(medley_workspace *w, const medley_progress *progress, dataset *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *out = (dataset){0};
  /* One transaction around both walks: an import that goes on beside us must not give one of them items the other has
   * not seen. */
  TRY(w->kind->begin(w->store, err));
  status = catalogue_load(w->kind, w->store, progress, &out->items, err);
  if (status == MEDLEY_OK) status = event_log_load(w->kind, w->store, progress, &out->log, err);
  w->kind->rollback(w->store);
  if (status != MEDLEY_OK) goto done;
  if (out->items.count != out->log.item_count)
    FAIL(err, MEDLEY_ERR_INTERNAL, "%u items and %u numbered ones", out->items.count, out->log.item_count);
  event_weights_default(&out->log, &out->weights);
done:
  if (status != MEDLEY_OK) dataset_deinit(out);
  return status;
}

medley_status dataset_represent(medley_workspace *w, dataset *data, const uint8_t *fit_items, uint64_t seed, bool fresh,
                                const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  encoder_choice added[MODALITY_COUNT];
  represent_options options = {
      .fit_items = fit_items, .seed = seed, .fresh = fresh, .config = &w->config, .added = added, .root = w->path};
  if (!data->models.held) TRY(encoders_hold_take(w, &data->models, err));
  TRY(encoders_chosen(w, added, err));
  representation_free(data->content);
  data->content = NULL;
  TRY(represent_catalogue(&data->items, w->kind, w->store, &options, progress, &data->content, err));
done:
  return status;
}

medley_status dataset_settings(const medley_workspace *w, uint64_t *seed, int *threads, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double value;
  if (*seed == 0) {
    TRY(config_number(&w->config, "train.seed", 1, 9e15, 1, &value, err));
    *seed = (uint64_t)value;
  }
  if (*threads == 0) {
    TRY(config_number(&w->config, "train.threads", 0, 1024, 0, &value, err));
    *threads = (int)value;
  }
done:
  return status;
}

medley_status dataset_fingerprint(const catalogue *items, const preparation *prepare, char out[HASH_HEX_BYTES],
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf text = {0};
  unsigned char rolling[2 * HASH_BYTES] = {0};
  preparation_sign(prepare, MODALITY_TEXT, &text);
  if (text.length > 0) hash_buffer(text.text, text.length, rolling);
  for (uint32_t i = 0; i < items->count; i++) {
    TRY(represent_item_text(items, i, &text, err));
    strbuf_printf(&text, "\n%lld", (long long)items->items[i].id);
    hash_buffer(text.text, text.length, rolling + HASH_BYTES);
    hash_buffer(rolling, sizeof rolling, rolling);
  }
  hash_to_hex(rolling, out);
done:
  strbuf_deinit(&text);
  return status;
}

medley_status dataset_ensemble(const medley_workspace *w, const char *asked, const char **name, medley_error *err) {
  *name = asked ? asked : config_string(&w->config, "train.ensemble", NULL);
  if (*name == NULL || ensemble_kind_find(*name) != NULL) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "%sthere is no ensemble '%.60s' (medley list ensemble)",
                   asked ? "" : "medley.conf: train.ensemble: ", *name);
}

medley_status dataset_new_items(const medley_workspace *w, double asked, double *share, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *share = asked;
  if (asked > 0.5) FAIL(err, MEDLEY_ERR_USAGE, "finding new items may cost half of the demand at most, not %g", asked);
  if (asked != 0 || config_string(&w->config, "train.new_items", NULL) == NULL) goto done;
  TRY(config_number(&w->config, "train.new_items", 0, 0.5, 0, share, err));
  if (*share == 0) *share = -1;
done:
  return status;
}

const char *dataset_fuser(const medley_workspace *w) {
  const char *name = config_string(&w->config, "fuse.kind", SETTINGS_AUTO);
  return strcmp(name, SETTINGS_AUTO) == 0 ? NULL : name;
}

const char *dataset_aligners(const medley_workspace *w) { return config_string(&w->config, "align.kinds", NULL); }

split_kind dataset_validation(const dataset *data) {
  return data->log.has_time ? SPLIT_GLOBAL_TIME : SPLIT_USER_RANDOM;
}

fit_input dataset_fit_input(const dataset *data, const uint8_t *label) {
  return (fit_input){
      .items = &data->items, .log = &data->log, .weights = &data->weights, .content = data->content, .label = label};
}

void dataset_deinit(dataset *data) {
  encoders_hold_release(&data->models);
  representation_free(data->content);
  event_log_deinit(&data->log);
  catalogue_deinit(&data->items);
  *data = (dataset){0};
}
