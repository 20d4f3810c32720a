/* encode/encoder.c: the table of encoders. */
#include "encode/encoder.h"

#include <string.h>

#include "base/memory.h"

const encoder_kind *const encoder_kinds[] = {
    &encoder_text_lsa,
    &encoder_image_descriptor,
    &encoder_audio_mfcc,
    &encoder_video_pooled,
    &encoder_external,
    &encoder_bert,
    &encoder_bert_bf16,
    &encoder_bert_int8,
    &encoder_mobilenet_v2,
    &encoder_yamnet,
    &encoder_yamnet_bf16,
    &encoder_yamnet_int8,
    &encoder_vit,
    &encoder_vit_bf16,
    &encoder_vit_int8,
    &encoder_clip_image,
    &encoder_clip_bf16_image,
    &encoder_clip_int8_image,
    &encoder_clip_text,
    &encoder_clip_bf16_text,
    &encoder_clip_int8_text,
    &encoder_whisper,
    &encoder_whisper_bf16,
    &encoder_whisper_int8,
    &encoder_mobilenet_v2_bf16,
    &encoder_mobilenet_v2_int8,
    &encoder_resnet,
    &encoder_resnet_bf16,
    &encoder_resnet_int8,
    &encoder_text_cnn,
    &encoder_text_gru,
    &encoder_text_transformer,
    &encoder_image_cnn,
    &encoder_image_patches,
    &encoder_audio_cnn,
    &encoder_video_attention,
    &encoder_autoencoder_image,
    &encoder_autoencoder_audio,
    &encoder_autoencoder_video,
    &encoder_vae_image,
    &encoder_vae_audio,
    &encoder_vae_video,
    NULL,
};

const encoder_kind *encoder_kind_find(const char *name) {
  for (size_t i = 0; encoder_kinds[i] != NULL; i++)
    if (strcmp(encoder_kinds[i]->name, name) == 0) return encoder_kinds[i];
  return NULL;
}

const encoder_kind *encoder_kind_for(modality m, const char *name) {
  for (size_t i = 0; encoder_kinds[i] != NULL; i++)
    if (encoder_kinds[i]->modality == m && strcmp(encoder_kinds[i]->name, name) == 0) return encoder_kinds[i];
  return NULL;
}

const encoder_kind *encoder_kind_default(modality m) {
  for (size_t i = 0; encoder_kinds[i] != NULL; i++)
    if (encoder_kinds[i]->modality == m) return encoder_kinds[i];
  return NULL;
}

const char *encoder_precision(const encoder *e) {
  return e != NULL && e->kind->precision != NULL ? precision_name(e->kind->precision(e)) : NULL;
}

media_request encoder_request(const encoder *e, const preparation *p, const char *path) {
  media_request request = {.kind = e->kind->modality, .path = path, .prepare = p};
  if (e->kind->wish != NULL) e->kind->wish(e, &request);
  return request;
}

medley_status encoder_create_fixed(const encoder_kind *kind, size_t dim, encoder **out, medley_error *err) {
  *out = NULL;
  encoder *e = mem_zalloc(1, sizeof *e);
  if (e == NULL) return error_memory(err, kind->name);
  e->kind = kind;
  if (dim != 0 && dim != kind->dim(e)) {
    size_t own = kind->dim(e);
    mem_free(e);
    return error_set(err, MEDLEY_ERR_USAGE, "%s gives %zu dimensions, not %zu", kind->name, own, dim);
  }
  *out = e;
  return MEDLEY_OK;
}

medley_status encoder_save_nothing(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err) {
  (void)e, (void)w, (void)prefix, (void)err;
  return MEDLEY_OK;
}

void encoder_free_fixed(encoder *e) { mem_free(e); }
