/* nn/dequantise.c: see nn/dequantise.h.
 *
 * One function a layout, plain loops over whole blocks that the compiler turns into vector code. Reading a row costs
 * less than reading its float32 twin from memory would, so nothing here is written by hand for a processor. */
#include "nn/dequantise.h"

#include <stdint.h>
#include <string.h>

#include "math/vector.h"

static float half_at(const unsigned char *bytes) {
  uint16_t half;
  float value;
  memcpy(&half, bytes, sizeof half);
  float_from_half(&value, &half, 1);
  return value;
}

/* ---- 32 values a block: a scale, in the _1 layouts also a minimum; low nibbles are values 0–15, high ones 16–31 ----
 */

void dequantise_q4_0(const unsigned char *blocks, size_t count, float *out) {
  for (const unsigned char *b = blocks; count > 0; count--, b += 18, out += 32) {
    float d = half_at(b);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)((b[2 + i] & 15) - 8);
      out[i + 16] = d * (float)((b[2 + i] >> 4) - 8);
    }
  }
}

void dequantise_q4_1(const unsigned char *blocks, size_t count, float *out) {
  for (const unsigned char *b = blocks; count > 0; count--, b += 20, out += 32) {
    float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < 16; i++) {
      out[i] = d * (float)(b[4 + i] & 15) + m;
      out[i + 16] = d * (float)(b[4 + i] >> 4) + m;
    }
  }
}

/* Five bits: the fifth of value i is bit i of a 32-bit word before the nibbles. */
static void five_bits(const unsigned char *fifth, const unsigned char *nibbles, int32_t q[32]) {
  uint32_t high;
  memcpy(&high, fifth, sizeof high);
  for (int i = 0; i < 16; i++) {
    q[i] = (int32_t)((nibbles[i] & 15u) | (high >> i & 1) << 4);
    q[i + 16] = (int32_t)(((uint32_t)nibbles[i] >> 4) | (high >> (i + 16) & 1) << 4);
  }
}

void dequantise_q5_0(const unsigned char *blocks, size_t count, float *out) {
  int32_t q[32];
  for (const unsigned char *b = blocks; count > 0; count--, b += 22, out += 32) {
    float d = half_at(b);
    five_bits(b + 2, b + 6, q);
    for (int i = 0; i < 32; i++) out[i] = d * (float)(q[i] - 16);
  }
}

void dequantise_q5_1(const unsigned char *blocks, size_t count, float *out) {
  int32_t q[32];
  for (const unsigned char *b = blocks; count > 0; count--, b += 24, out += 32) {
    float d = half_at(b), m = half_at(b + 2);
    five_bits(b + 4, b + 8, q);
    for (int i = 0; i < 32; i++) out[i] = d * (float)q[i] + m;
  }
}

void dequantise_q8_0(const unsigned char *blocks, size_t count, float *out) {
  for (const unsigned char *b = blocks; count > 0; count--, b += 34, out += 32) {
    float d = half_at(b);
    for (int i = 0; i < 32; i++) out[i] = d * (float)(int8_t)b[2 + i];
  }
}

/* ---- 256 values a block ---- */

/* Eight scales and eight minima of six bits each in twelve bytes: 0–3 lie in the low bits of bytes 0–3 (scales) and 4–7
 * (minima); 4–7 have their low four bits in the nibbles of bytes 8–11 and their high two on top of bytes 0–7. */
static void scales_of_k(const unsigned char s[12], uint8_t scale[8], uint8_t minimum[8]) {
  for (int i = 0; i < 4; i++) {
    scale[i] = s[i] & 63;
    minimum[i] = s[i + 4] & 63;
    scale[i + 4] = (uint8_t)((s[i + 8] & 15) | (s[i] >> 6) << 4);
    minimum[i + 4] = (uint8_t)((s[i + 8] >> 4) | (s[i + 4] >> 6) << 4);
  }
}

void dequantise_q4_k(const unsigned char *blocks, size_t count, float *out) {
  uint8_t scale[8], minimum[8];
  for (const unsigned char *b = blocks; count > 0; count--, b += 144, out += 256) {
    float d = half_at(b), m = half_at(b + 2);
    scales_of_k(b + 4, scale, minimum);
    for (int part = 0; part < 8; part++) {
      /* Two parts share 32 bytes: the even one has the low nibbles. */
      const unsigned char *q = b + 16 + part / 2 * 32;
      int shift = part % 2 * 4;
      float step = d * (float)scale[part], low = m * (float)minimum[part];
      for (int i = 0; i < 32; i++) out[32 * part + i] = step * (float)(q[i] >> shift & 15) - low;
    }
  }
}

void dequantise_q5_k(const unsigned char *blocks, size_t count, float *out) {
  uint8_t scale[8], minimum[8];
  for (const unsigned char *b = blocks; count > 0; count--, b += 176, out += 256) {
    float d = half_at(b), m = half_at(b + 2);
    scales_of_k(b + 4, scale, minimum);
    for (int part = 0; part < 8; part++) {
      const unsigned char *fifth = b + 16, *q = b + 48 + part / 2 * 32; /* bit `part` of fifth[i] belongs to value i */
      int shift = part % 2 * 4;
      float step = d * (float)scale[part], low = m * (float)minimum[part];
      for (int i = 0; i < 32; i++)
        out[32 * part + i] = step * (float)((q[i] >> shift & 15) | (fifth[i] >> part & 1) << 4) - low;
    }
  }
}

void dequantise_q6_k(const unsigned char *blocks, size_t count, float *out) {
  for (const unsigned char *b = blocks; count > 0; count--, b += 210, out += 256) {
    float d = half_at(b + 208);
    for (int part = 0; part < 8; part++) {
      /* Each half of 128 values: 64 bytes of low nibbles, in which parts 0 and 2, 1 and 3 share 32 bytes; 32 bytes of
       * two more bits, four parts to the byte; a signed scale for every 16 values. */
      int half = part / 4, quarter = part % 4;
      const unsigned char *low = b + 64 * half + quarter % 2 * 32, *high = b + 128 + 32 * half;
      const unsigned char *scale = b + 192 + 2 * part;
      float step[2] = {d * (float)(int8_t)scale[0], d * (float)(int8_t)scale[1]};
      for (int i = 0; i < 32; i++) {
        int q = (low[i] >> (quarter / 2 * 4) & 15) | (high[i] >> (2 * quarter) & 3) << 4;
        out[32 * part + i] = step[i / 16] * (float)(q - 32);
      }
    }
  }
}
