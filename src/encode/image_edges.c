/* encode/image_edges.c: edge_layout and texture_layout of encode/image_blocks.h. */
#include <math.h>
#include <string.h>

#include "encode/image_blocks.h"

#define SIDE BLOCKS_SIDE
#define CELL (SIDE / EDGE_CELLS)
#define PADDED (EDGE_CELLS + 2) /* a rim of cells takes what leaks over the edge */
#define ENERGY_FLOOR 1e-2f      /* flat cells stay near zero instead of showing noise at full strength */
#define EDGE_CLIP 0.4f          /* one strong edge does not hide the others */
#define TEXTURE_STEP 3          /* a neighbour must be so much brighter: noise of compression is below */

/* ---- edges ---- */

/* The gradient of the channel in which it is strongest. */
static void strongest_gradient(const uint8_t *rgb, int x, int y, float *gx, float *gy) {
  int best = -1;
  for (int c = 0; c < 3; c++) {
    const uint8_t *p = rgb + (y * SIDE + x) * 3 + c;
    int dx = x > 0 && x + 1 < SIDE ? p[3] - p[-3] : 0;
    int dy = y > 0 && y + 1 < SIDE ? p[3 * SIDE] - p[-3 * SIDE] : 0;
    if (dx * dx + dy * dy <= best) continue;
    best = dx * dx + dy * dy;
    *gx = (float)dx / 255;
    *gy = (float)dy / 255;
  }
}

/* Shares one gradient among the two nearest directions and the four nearest cells. */
static void add_gradient(float *cells, int x, int y, float gx, float gy) {
  float strength = sqrtf(gx * gx + gy * gy);
  if (strength == 0) return;
  float turn = atan2f(gy, gx) / (float)M_PI; /* direction without sign: -1 … 1 counts as 0 … 1 twice */
  float at = (turn < 0 ? turn + 1 : turn) * EDGE_BINS - 0.5f, low = floorf(at);
  int bin[2] = {((int)low + EDGE_BINS) % EDGE_BINS, ((int)low + 1) % EDGE_BINS};
  float share[2] = {1 - (at - low), at - low};
  float cx = ((float)x + 0.5f) / CELL + 0.5f, cy = ((float)y + 0.5f) / CELL + 0.5f; /* in padded cells */
  int ix = (int)cx, iy = (int)cy;
  float wx[2] = {1 - (cx - (float)ix), cx - (float)ix}, wy[2] = {1 - (cy - (float)iy), cy - (float)iy};
  for (int j = 0; j < 2; j++)
    for (int i = 0; i < 2; i++) {
      float *cell = cells + ((iy + j) * PADDED + ix + i) * EDGE_BINS;
      for (int b = 0; b < 2; b++) cell[bin[b]] += strength * wx[i] * wy[j] * share[b];
    }
}

static int clamp_cell(int at) { return at < 0 ? 0 : at >= EDGE_CELLS ? EDGE_CELLS - 1 : at; }

/* The mean energy of the 3 × 3 cells around, times four as in blocks of 2 × 2; the rim repeats. */
static float neighbourhood(const float *energy, int x, int y) {
  float sum = 0;
  for (int j = -1; j <= 1; j++)
    for (int i = -1; i <= 1; i++) sum += energy[clamp_cell(y + j) * EDGE_CELLS + clamp_cell(x + i)];
  return sum / 9 * 4;
}

void edge_layout(const uint8_t *rgb, float *out) {
  float cells[PADDED * PADDED * EDGE_BINS] = {0}, energy[EDGE_CELLS * EDGE_CELLS];
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      float gx = 0, gy = 0;
      strongest_gradient(rgb, x, y, &gx, &gy);
      add_gradient(cells, x, y, gx, gy);
    }
  for (int y = 0; y < EDGE_CELLS; y++)
    for (int x = 0; x < EDGE_CELLS; x++) {
      float *cell = out + (y * EDGE_CELLS + x) * EDGE_BINS, sum = 0;
      memcpy(cell, cells + ((y + 1) * PADDED + x + 1) * EDGE_BINS, EDGE_BINS * sizeof *cell);
      for (int b = 0; b < EDGE_BINS; b++) sum += cell[b] * cell[b];
      energy[y * EDGE_CELLS + x] = sum;
    }
  for (int y = 0; y < EDGE_CELLS; y++)
    for (int x = 0; x < EDGE_CELLS; x++) {
      float *cell = out + (y * EDGE_CELLS + x) * EDGE_BINS;
      float scale = 1 / sqrtf(neighbourhood(energy, x, y) + ENERGY_FLOOR);
      for (int b = 0; b < EDGE_BINS; b++) cell[b] = fminf(cell[b] * scale, EDGE_CLIP);
    }
}

/* ---- texture ---- */

/* grey [SIDE, SIDE]: sums of the three channels, so that no division rounds. */
static int pattern_at(const int *grey, int x, int y) {
  static const int around[8] = {-SIDE - 1, -SIDE, -SIDE + 1, 1, SIDE + 1, SIDE, SIDE - 1, -1};
  const int *centre = grey + y * SIDE + x;
  int pattern = 0;
  for (int i = 0; i < 8; i++) pattern |= (centre[around[i]] > *centre + 3 * TEXTURE_STEP) << i;
  return pattern;
}

void texture_layout(const block_tables *t, const uint8_t *rgb, float *out) {
  enum { INNER = SIDE - 2, HALF = INNER / 2 };
  int grey[SIDE * SIDE];
  for (int i = 0; i < SIDE * SIDE; i++) grey[i] = rgb[i * 3] + rgb[i * 3 + 1] + rgb[i * 3 + 2];
  memset(out, 0, TEXTURE_DIM * sizeof *out);
  float *quarters = out + TEXTURE_BINS;
  for (int y = 0; y < INNER; y++)
    for (int x = 0; x < INNER; x++)
      quarters[(y / HALF * 2 + x / HALF) * TEXTURE_BINS + t->pattern_bin[pattern_at(grey, x + 1, y + 1)]] += 1;
  for (int c = 0; c < 4; c++)
    for (int b = 0; b < TEXTURE_BINS; b++) out[b] += quarters[c * TEXTURE_BINS + b];
  for (int b = 0; b < TEXTURE_BINS; b++) out[b] = sqrtf(out[b] / (INNER * INNER));
  for (int i = 0; i < 4 * TEXTURE_BINS; i++) quarters[i] = sqrtf(quarters[i] / (HALF * HALF));
}
