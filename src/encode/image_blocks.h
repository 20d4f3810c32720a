/* encode/image_blocks.h: the three blocks of image.descriptor. Each looks at a square picture of fixed side and writes
 * values that are already comparable between pictures of any size: shares, square-rooted or clipped. */
#ifndef ENCODE_IMAGE_BLOCKS_H
#define ENCODE_IMAGE_BLOCKS_H

#include <stdint.h>

/* Both sides of the picture that edges and texture look at; colour looks at half of it. */
#define BLOCKS_SIDE 96
#define BLOCKS_COLOUR_SIDE 48

#define COLOUR_HUES 12
#define COLOUR_LIGHTNESSES 3
#define COLOUR_GREYS 6
#define COLOUR_BINS (COLOUR_HUES * COLOUR_LIGHTNESSES + COLOUR_GREYS)
#define COLOUR_CELLS (1 + 4 + 9) /* grids of 1 × 1, 2 × 2 and 3 × 3 */
#define COLOUR_DIM (COLOUR_CELLS * COLOUR_BINS)

#define EDGE_CELLS 8 /* along a side */
#define EDGE_BINS 9
#define EDGE_DIM (EDGE_CELLS * EDGE_CELLS * EDGE_BINS)

#define TEXTURE_BINS 59
#define TEXTURE_CELLS (1 + 4)
#define TEXTURE_DIM (TEXTURE_CELLS * TEXTURE_BINS)

/* Linear light of each sRGB value, and the bin of each 8-neighbour pattern: made once per thread. */
typedef struct block_tables {
  float linear[256];
  uint8_t pattern_bin[256];
} block_tables;
void block_tables_init(block_tables *t);

/* Where which colours are: CIELAB hue in 12 soft bins by lightness in 3, weighted by chroma, beside 6 greys weighted by
 * its absence; a pyramid of cells; square roots of shares (Hellinger). rgb [48, 48, 3], out [COLOUR_DIM]. */
void colour_layout(const block_tables *t, const uint8_t *rgb, float *out);
/* Where which edges are: histograms of oriented gradients (Dalal & Triggs 2005) over 8 × 8 cells, each scaled by the
 * energy of its neighbourhood. rgb [96, 96, 3], out [EDGE_DIM]. */
void edge_layout(const uint8_t *rgb, float *out);
/* What surfaces look like: uniform local binary patterns (Ojala, Pietikäinen & Mäenpää 2002), whole and in quarters,
 * square roots of shares. rgb [96, 96, 3], out [TEXTURE_DIM]. */
void texture_layout(const block_tables *t, const uint8_t *rgb, float *out);

#endif
