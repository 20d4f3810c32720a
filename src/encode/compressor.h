/* encode/compressor.h: what the encoders `autoencoder` and `vae` share: the modality's descriptor that needs no fitting
 * (pictures: image.descriptor, sound: audio.mfcc, video: video.pooled), standardised on the catalogue and sent through
 * a narrow code. */
#ifndef ENCODE_COMPRESSOR_H
#define ENCODE_COMPRESSOR_H

#include "encode/encoder.h"

#define COMPRESSOR_DIM_DEFAULT 64

/* The code alone, of descriptors whose columns are standardised: rows [count, compressor_width]. out [count, dim] */
size_t compressor_width(const encoder *e);
medley_status compressor_run(const encoder *e, const float *rows, size_t count, float *out,
                             medley_error *err) MEDLEY_CHECK;

/* The members of an encoder_kind. */
medley_status compressor_create(const encoder_kind *kind, bool variational, uint64_t seed, size_t dim, encoder **out,
                                medley_error *err) MEDLEY_CHECK;
medley_status compressor_load(const encoder_kind *kind, bool variational, const safetensors *s, const char *prefix,
                              encoder **out, medley_error *err) MEDLEY_CHECK;
medley_status compressor_fit(encoder *e, const encoder_input *inputs, size_t count, progress_stage *progress,
                             medley_error *err);
void compressor_keep(encoder *e, const char *path);
medley_status compressor_narrow(encoder *e, weight_precision precision, medley_error *err);
weight_precision compressor_precision(const encoder *e);
medley_status compressor_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                medley_error *err);
medley_status compressor_save(const encoder *e, safetensors_writer *w, const char *prefix, medley_error *err);
size_t compressor_dim(const encoder *e);
void compressor_free(encoder *e);

/* Defines encoder_<file>_<modality>, three a file. */
#define COMPRESSOR_KIND(file, modality_word, modality_value, kind_name, text, variational)                   \
  static medley_status modality_word##_create(uint64_t seed, size_t dim, encoder **out, medley_error *err) { \
    return compressor_create(&encoder_##file##_##modality_word, variational, seed, dim, out, err);           \
  }                                                                                                          \
  static medley_status modality_word##_load(const safetensors *s, const char *prefix, encoder **out,         \
                                            medley_error *err) {                                             \
    return compressor_load(&encoder_##file##_##modality_word, variational, s, prefix, out, err);             \
  }                                                                                                          \
  const encoder_kind encoder_##file##_##modality_word = {.name = kind_name,                                  \
                                                         .summary = text,                                    \
                                                         .modality = modality_value,                         \
                                                         .version = 1,                                       \
                                                         .needs_fit = true,                                  \
                                                         .create = modality_word##_create,                   \
                                                         .fit = compressor_fit,                              \
                                                         .keep = compressor_keep,                            \
                                                         .narrow = compressor_narrow,                        \
                                                         .precision = compressor_precision,                  \
                                                         .dim = compressor_dim,                              \
                                                         .encode = compressor_encode,                        \
                                                         .save = compressor_save,                            \
                                                         .load = modality_word##_load,                       \
                                                         .free = compressor_free};

#endif
