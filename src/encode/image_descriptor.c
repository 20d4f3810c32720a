/* encode/image_descriptor.c: a picture → where its colours, edges and textures are. Needs no fitting, so raw vectors
 * can be kept for as long as the file stays the same.
 *
 * The picture is squeezed into a square: catalogues mix portrait and landscape, and what stands left, middle or right
 * matters more than the proportions. The three blocks are scaled to about the same variance, measured on the shop and
 * photo packs, so that none drowns the others where a later step does not scale by column.
 */
#include <string.h>

#include "base/memory.h"
#include "encode/encoder.h"
#include "encode/image_blocks.h"
#include "encode/image_descriptor.h"
#include "encode/rows.h"
#include "math/vector.h"
#include "media/image.h"

static const struct {
  size_t first, dim;
  float scale;
} blocks[] = {
    {0, COLOUR_DIM, 0.5f},
    {COLOUR_DIM, EDGE_DIM, 0.5f},
    {COLOUR_DIM + EDGE_DIM, TEXTURE_DIM, 1.75f},
};

_Static_assert(COLOUR_DIM + EDGE_DIM + TEXTURE_DIM == IMAGE_DESCRIPTOR_DIM, "the blocks fill the descriptor");

typedef struct descriptor_job {
  block_tables tables;
  const encoder_input *inputs;
  float *out;
} descriptor_job;

/* out [48, 48, 3]: means of 2 × 2 pixels of rgb [96, 96, 3]. */
static void halve(const uint8_t *rgb, uint8_t *out) {
  for (int y = 0; y < BLOCKS_COLOUR_SIDE; y++)
    for (int x = 0; x < BLOCKS_COLOUR_SIDE; x++)
      for (int c = 0; c < 3; c++) {
        const uint8_t *p = rgb + (2 * y * BLOCKS_SIDE + 2 * x) * 3 + c;
        int sum = p[0] + p[3] + p[3 * BLOCKS_SIDE] + p[3 * BLOCKS_SIDE + 3];
        out[(y * BLOCKS_COLOUR_SIDE + x) * 3 + c] = (uint8_t)((sum + 2) / 4);
      }
}

static medley_status describe(const block_tables *tables, const image *picture, float *out, medley_error *err) {
  image square = {0};
  uint8_t small[BLOCKS_COLOUR_SIDE * BLOCKS_COLOUR_SIDE * 3];
  medley_status status = image_resize(picture, BLOCKS_SIDE, BLOCKS_SIDE, &square, err);
  if (status != MEDLEY_OK) return status;
  halve(square.rgb, small);
  colour_layout(tables, small, out + blocks[0].first);
  edge_layout(square.rgb, out + blocks[1].first);
  texture_layout(tables, square.rgb, out + blocks[2].first);
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
    vector_scale(out + blocks[i].first, blocks[i].scale, blocks[i].dim);
  image_deinit(&square);
  return MEDLEY_OK;
}

static medley_status describe_row(void *context, void *scratch, size_t row, medley_error *err) {
  (void)scratch;
  descriptor_job *job = context;
  return describe(&job->tables, job->inputs[row].image, job->out + row * IMAGE_DESCRIPTOR_DIM, err);
}

static medley_status descriptor_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                       medley_error *err) {
  (void)e;
  descriptor_job job = {.inputs = inputs, .out = out};
  block_tables_init(&job.tables);
  return rows_run(&(row_work){&job, NULL, NULL, describe_row}, count, err);
}

medley_status image_descriptor_frames(const image *frames, size_t count, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  block_tables tables;
  block_tables_init(&tables);
  for (size_t i = 0; i < count; i++) TRY(describe(&tables, &frames[i], out + i * IMAGE_DESCRIPTOR_DIM, err));
done:
  return status;
}

static size_t descriptor_dim(const encoder *e) {
  (void)e;
  return IMAGE_DESCRIPTOR_DIM;
}

static medley_status descriptor_create(uint64_t seed, size_t dim, encoder **out, medley_error *err) {
  (void)seed;
  return encoder_create_fixed(&encoder_image_descriptor, dim, out, err);
}

static medley_status descriptor_load(const safetensors *s, const char *prefix, encoder **out, medley_error *err) {
  (void)s, (void)prefix;
  return encoder_create_fixed(&encoder_image_descriptor, 0, out, err);
}

const encoder_kind encoder_image_descriptor = {
    .name = "image.descriptor",
    .summary = "layout of colours, edges and textures; needs no fitting",
    .modality = MODALITY_IMAGE,
    .version = 1,
    .create = descriptor_create,
    .dim = descriptor_dim,
    .encode = descriptor_encode,
    .save = encoder_save_nothing,
    .load = descriptor_load,
    .free = encoder_free_fixed,
};
