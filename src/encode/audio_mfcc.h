/* encode/audio_mfcc.h: audio.mfcc as a function, for encoders of things that hold sound. */
#ifndef ENCODE_AUDIO_MFCC_H
#define ENCODE_AUDIO_MFCC_H

#include "base/error.h"
#include "media/sample.h"

#define AUDIO_MFCC_COEFFICIENTS 20
#define AUDIO_MFCC_SHAPES 5
#define AUDIO_MFCC_THIRDS 3
/* Mean, deviation and movement of coefficients and shapes; both over thirds of the time; chroma twice; rhythm. */
#define AUDIO_MFCC_DIM ((3 + AUDIO_MFCC_THIRDS) * (AUDIO_MFCC_COEFFICIENTS + AUDIO_MFCC_SHAPES) + 2 * 12 + 6)

/* out [AUDIO_MFCC_DIM], finite for any finite sound, silence and an empty one too. */
medley_status audio_mfcc_describe(const sound *s, float *out, medley_error *err) MEDLEY_CHECK;

#endif
