/* encode/image_colour.c: colour_layout of encode/image_blocks.h.
 *
 * A joint histogram of Lab in 5 × 8 × 8 boxes was tried first and finds a third less (PERFORMANCE.md): most of its
 * boxes are empty, and people name colours by hue. */
#include <math.h>
#include <string.h>

#include "encode/image_blocks.h"

/* Cells are summed on a 6 × 6 grid, of which the pyramid's 1 × 1, 2 × 2 and 3 × 3 cells are unions. */
#define BASE_CELLS 6
#define BASE_PIXELS (BLOCKS_COLOUR_SIDE / BASE_CELLS)
/* Below CHROMA_LOW a colour is grey to the eye, above CHROMA_HIGH it is a hue; between, it counts as both in part. */
#define CHROMA_LOW 6.0f
#define CHROMA_HIGH 20.0f

void block_tables_init(block_tables *t) {
  for (int v = 0; v < 256; v++) {
    float x = (float)v / 255;
    t->linear[v] = x <= 0.04045f ? x / 12.92f : powf((x + 0.055f) / 1.055f, 2.4f);
  }
  uint8_t next = 0;
  for (int v = 0; v < 256; v++) {
    int changes = __builtin_popcount((unsigned)(v ^ ((v >> 1) | ((v & 1) << 7))));
    t->pattern_bin[v] = changes <= 2 ? next++ : TEXTURE_BINS - 1;
  }
}

static float lab_curve(float v) { return v > 0.008856f ? cbrtf(v) : 7.787f * v + 16.0f / 116; }

/* CIELAB under D65. */
static void to_lab(const block_tables *t, const uint8_t *rgb, float *lightness, float *a, float *b) {
  float r = t->linear[rgb[0]], g = t->linear[rgb[1]], bl = t->linear[rgb[2]];
  float x = lab_curve((0.4124f * r + 0.3576f * g + 0.1805f * bl) / 0.9505f);
  float y = lab_curve(0.2126f * r + 0.7152f * g + 0.0722f * bl);
  float z = lab_curve((0.0193f * r + 0.1192f * g + 0.9505f * bl) / 1.089f);
  *lightness = 116 * y - 16;
  *a = 500 * (x - y);
  *b = 200 * (y - z);
}

/* A value between two bins counts for both, so that a slightly other shade changes the histogram slightly. */
typedef struct soft_bin {
  int bin[2];
  float share[2];
} soft_bin;

static soft_bin soft_bounded(float at, int bins) {
  at = fminf(fmaxf(at, 0), (float)(bins - 1));
  int low = (int)at;
  return (soft_bin){{low, low + 1 < bins ? low + 1 : low}, {1 - (at - (float)low), at - (float)low}};
}

static soft_bin soft_circular(float at, int bins) {
  float low = floorf(at);
  int first = ((int)low % bins + bins) % bins;
  return (soft_bin){{first, (first + 1) % bins}, {1 - (at - low), at - low}};
}

static void add_pixel(const block_tables *t, const uint8_t *rgb, float *cell) {
  float lightness, a, b;
  to_lab(t, rgb, &lightness, &a, &b);
  float chroma = hypotf(a, b), hue = atan2f(b, a) / (2 * (float)M_PI);
  float coloured = fminf(fmaxf((chroma - CHROMA_LOW) / (CHROMA_HIGH - CHROMA_LOW), 0), 1);
  if (coloured > 0) {
    soft_bin h = soft_circular(hue * COLOUR_HUES - 0.5f, COLOUR_HUES);
    soft_bin l = soft_bounded((lightness - 10) / 80 * COLOUR_LIGHTNESSES - 0.5f, COLOUR_LIGHTNESSES);
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++) cell[h.bin[i] * COLOUR_LIGHTNESSES + l.bin[j]] += coloured * h.share[i] * l.share[j];
  }
  if (coloured < 1) {
    soft_bin l = soft_bounded(lightness / 100 * COLOUR_GREYS - 0.5f, COLOUR_GREYS);
    for (int i = 0; i < 2; i++) cell[COLOUR_HUES * COLOUR_LIGHTNESSES + l.bin[i]] += (1 - coloured) * l.share[i];
  }
}

/* The grid × grid cells of one level, each the mean of the base cells in it. */
static void add_level(const float *base, int grid, float *out) {
  int span = BASE_CELLS / grid;
  float pixels = (float)(span * span * BASE_PIXELS * BASE_PIXELS);
  memset(out, 0, (size_t)(grid * grid) * COLOUR_BINS * sizeof *out);
  for (int y = 0; y < BASE_CELLS; y++)
    for (int x = 0; x < BASE_CELLS; x++) {
      float *cell = out + (y / span * grid + x / span) * COLOUR_BINS;
      const float *part = base + (y * BASE_CELLS + x) * COLOUR_BINS;
      for (int i = 0; i < COLOUR_BINS; i++) cell[i] += part[i];
    }
  for (int i = 0; i < grid * grid * COLOUR_BINS; i++) out[i] = sqrtf(out[i] / pixels);
}

void colour_layout(const block_tables *t, const uint8_t *rgb, float *out) {
  float base[BASE_CELLS * BASE_CELLS * COLOUR_BINS] = {0};
  for (int y = 0; y < BLOCKS_COLOUR_SIDE; y++)
    for (int x = 0; x < BLOCKS_COLOUR_SIDE; x++) {
      int cell = y / BASE_PIXELS * BASE_CELLS + x / BASE_PIXELS;
      add_pixel(t, rgb + (y * BLOCKS_COLOUR_SIDE + x) * 3, base + cell * COLOUR_BINS);
    }
  add_level(base, 1, out);
  add_level(base, 2, out + COLOUR_BINS);
  add_level(base, 3, out + 5 * COLOUR_BINS);
}
