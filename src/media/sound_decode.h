/* media/sound_decode.h: the decoding half of sound, private to the media folder: what sound_load and video_load share,
 * and what the tests compare with reference PCM before anything is mixed or resampled. */
#ifndef MEDIA_SOUND_DECODE_H
#define MEDIA_SOUND_DECODE_H

#include "base/error.h"
#include "media/av_input.h"
#include "media/sample.h"
#include "media/sound.h"

typedef struct sound_pcm {
  uint32_t rate_hz, channels;
  size_t frames;
  float *samples; /* [frames, channels], finite, within ±SOUND_PEAK_MAX; mem_free */
} sound_pcm;

#define SOUND_PEAK_MAX 4.0f /* 12 dB of room above full scale, which lossy codecs and float files use */
#define SOUND_RATE_MIN 1000
#define SOUND_RATE_MAX 192000
#define SOUND_SECONDS_DEFAULT 60.0
#define SOUND_SECONDS_MAX 86400.0
#define SOUND_RATE_DEFAULT 22050

/* Decodes the best sound stream. rate_hz 0: as stored; channels 0: as stored, 1: mixed to mono (the mean of a stereo
 * pair, FFmpeg's down-mix of surround scaled so that it cannot clip). Encoder delay and padding are left out where the
 * container states them (LAME and iTunes tags, edit lists, Opus pre-skip, Vorbis granules). Stops after `seconds`. A
 * stream whose rate or channels change midway is brought to the form it began with. NOT_FOUND: no sound stream; INPUT:
 * nothing could be decoded. */
medley_status sound_decode(av_input *in, uint32_t rate_hz, uint32_t channels, double seconds, sound_pcm *out,
                           medley_error *err) MEDLEY_CHECK;
void sound_pcm_deinit(sound_pcm *p);

/* sound_load for bytes in memory, for tests and fuzzing; name gives the extension as a hint. */
medley_status sound_load_bytes(const void *bytes, size_t length, const char *name, const sound_options *options,
                               sound *out, medley_error *err) MEDLEY_CHECK;

#endif
