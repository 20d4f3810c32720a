/* media/sound_save.c: samples → 16-bit PCM RIFF/WAVE (Microsoft, Multimedia Programming Interface 1.0). */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "media/sound.h"

#define WAV_HEADER_BYTES 44
#define BLOCK_SAMPLES 4096

static void put_u32(unsigned char *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (unsigned char)(value >> (8 * i));
}

/*  0 "RIFF" | 4 size - 8 | 8 "WAVE" | 12 "fmt " | 16: 16 | 20 PCM 1, channels 1 | 24 rate | 28 bytes a second
 * 32 block 2, bits 16 | 36 "data" | 40 size of the data. Numbers are little-endian. */
static void wav_header(unsigned char header[WAV_HEADER_BYTES], uint32_t rate_hz, uint32_t data_bytes) {
  memcpy(header, "RIFF....WAVEfmt ", 16);
  put_u32(header + 4, data_bytes + WAV_HEADER_BYTES - 8);
  put_u32(header + 16, 16);
  put_u32(header + 20, 1 | 1 << 16);
  put_u32(header + 24, rate_hz);
  put_u32(header + 28, rate_hz * 2);
  put_u32(header + 32, 2 | 16 << 16);
  memcpy(header + 36, "data", 4);
  put_u32(header + 40, data_bytes);
}

static void wav_samples(FILE *stream, const float *samples, size_t count) {
  unsigned char block[BLOCK_SAMPLES * 2];
  for (size_t i = 0; i < count; i++) {
    float scaled = samples[i] * 32768.0f;
    long value = lrintf(scaled < -32768.0f ? -32768.0f : scaled > 32767.0f ? 32767.0f : scaled);
    block[2 * i] = (unsigned char)(value & 0xFF);
    block[2 * i + 1] = (unsigned char)(value >> 8 & 0xFF);
  }
  fwrite(block, 2, count, stream);
}

medley_status sound_save_wav(const sound *in, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  unsigned char header[WAV_HEADER_BYTES];
  file_writer w = {0};
  if (in->count > (UINT32_MAX - WAV_HEADER_BYTES) / 2)
    FAIL(err, MEDLEY_ERR_LIMIT, "%zu samples do not fit into a WAV file of 4 GiB", in->count);
  TRY(file_writer_open(&w, path, err));
  wav_header(header, in->rate_hz, (uint32_t)(in->count * 2));
  fwrite(header, 1, sizeof header, w.stream);
  for (size_t at = 0; at < in->count; at += BLOCK_SAMPLES)
    wav_samples(w.stream, in->samples + at, in->count - at < BLOCK_SAMPLES ? in->count - at : BLOCK_SAMPLES);
  TRY(file_writer_commit(&w, err)); /* sees what fwrite could not write */
done:
  file_writer_abort(&w);
  return status;
}
