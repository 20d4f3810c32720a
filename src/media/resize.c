/* media/resize.c: image_resize of media/image.h: two passes of weighted sums, in plain C so that encoders need no
 * libvips.
 *
 * Along each axis an output pixel is the mean of the input it covers when shrinking (weights by overlap, so nothing
 * aliases and nothing is lost) and the linear blend of its two neighbours when enlarging.
 */
#include <math.h>

#include "base/memory.h"
#include "media/image.h"

#define SIDE_MAX 65535

/* The inputs of each output pixel along one axis: weights[i * span .. ] for the inputs from first[i] on. */
typedef struct axis {
  uint32_t in, out, span;
  uint32_t *first; /* [out] */
  float *weights;  /* [out, span], each row adds up to 1 */
} axis;

static void axis_deinit(axis *a) {
  mem_free(a->first);
  mem_free(a->weights);
}

static void fill_shrinking(axis *a, uint32_t i) {
  double scale = (double)a->in / a->out, start = i * scale, end = start + scale;
  a->first[i] = (uint32_t)start;
  double sum = 0;
  for (uint32_t k = 0; k < a->span; k++) {
    double low = fmax(start, a->first[i] + k), high = fmin(fmin(end, a->first[i] + k + 1.0), a->in);
    a->weights[(size_t)i * a->span + k] = (float)fmax(0, high - low);
    sum += fmax(0, high - low);
  }
  for (uint32_t k = 0; k < a->span; k++) a->weights[(size_t)i * a->span + k] /= (float)sum;
}

static void fill_enlarging(axis *a, uint32_t i) {
  double centre = fmax(0, (i + 0.5) * a->in / a->out - 0.5);
  uint32_t low = (uint32_t)centre;
  double part = low + 1 < a->in ? centre - low : 0;
  a->first[i] = low;
  a->weights[(size_t)i * a->span] = (float)(1 - part);
  if (a->span > 1) a->weights[(size_t)i * a->span + 1] = (float)part;
}

static medley_status axis_init(axis *a, uint32_t in, uint32_t out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *a = (axis){.in = in, .out = out};
  a->span = out >= in ? 2 : (uint32_t)ceil((double)in / out) + 1;
  if (a->span > in) a->span = in;
  TRY_NEW(a->first, out, "a picture");
  TRY_NEW(a->weights, (size_t)out * a->span, "a picture");
  for (uint32_t i = 0; i < out; i++) {
    if (out < in)
      fill_shrinking(a, i);
    else
      fill_enlarging(a, i);
    /* The last inputs may reach beyond the edge with weight 0: move the window back inside. */
    while (a->first[i] + a->span > in) {
      float *w = a->weights + (size_t)i * a->span;
      for (uint32_t k = a->span - 1; k > 0; k--) w[k] = w[k - 1];
      w[0] = 0;
      a->first[i]--;
    }
  }
done:
  return status;
}

/* row: [in, 3] → out: [out, 3] */
static void resize_row(const axis *a, const uint8_t *row, float *out) {
  for (uint32_t i = 0; i < a->out; i++) {
    const float *w = a->weights + (size_t)i * a->span;
    const uint8_t *p = row + (size_t)a->first[i] * 3;
    float r = 0, g = 0, b = 0;
    for (uint32_t k = 0; k < a->span; k++, p += 3) {
      r += w[k] * p[0];
      g += w[k] * p[1];
      b += w[k] * p[2];
    }
    out[i * 3] = r;
    out[i * 3 + 1] = g;
    out[i * 3 + 2] = b;
  }
}

/* Rows are narrowed when the window of the output row reaches them and kept in a ring of `span` rows. */
static void resize_rows(const image *in, const axis *x, const axis *y, float *ring, float *sum, uint8_t *rgb) {
  size_t row_floats = (size_t)x->out * 3;
  uint32_t narrowed = 0; /* rows of `in` that went into the ring so far */
  for (uint32_t i = 0; i < y->out; i++) {
    uint32_t end = y->first[i] + y->span;
    if (narrowed < y->first[i]) narrowed = y->first[i];
    for (; narrowed < end; narrowed++)
      resize_row(x, in->rgb + (size_t)narrowed * in->width * 3, ring + narrowed % y->span * row_floats);
    for (size_t c = 0; c < row_floats; c++) sum[c] = 0;
    for (uint32_t k = 0; k < y->span; k++) {
      float w = y->weights[(size_t)i * y->span + k];
      const float *row = ring + (y->first[i] + k) % y->span * row_floats;
      for (size_t c = 0; c < row_floats; c++) sum[c] += w * row[c];
    }
    for (size_t c = 0; c < row_floats; c++) rgb[i * row_floats + c] = (uint8_t)fminf(255, sum[c] + 0.5f);
  }
}

medley_status image_resize(const image *in, uint32_t width, uint32_t height, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  axis x = {0}, y = {0};
  float *ring = NULL, *sum = NULL;
  *out = (image){0};
  if (width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX || in->width == 0 || in->height == 0)
    FAIL(err, MEDLEY_ERR_USAGE, "cannot resize a picture of %u x %u to %u x %u; sides are 1 to %d", in->width,
         in->height, width, height, SIDE_MAX);
  TRY(axis_init(&x, in->width, width, err));
  TRY(axis_init(&y, in->height, height, err));
  TRY_NEW(ring, (size_t)y.span * width * 3, "a picture");
  TRY_NEW(sum, (size_t)width * 3, "a picture");
  TRY_NEW(out->rgb, (size_t)width * height * 3, "a picture");
  out->width = width;
  out->height = height;
  resize_rows(in, &x, &y, ring, sum, out->rgb);
done:
  axis_deinit(&x);
  axis_deinit(&y);
  mem_free(ring);
  mem_free(sum);
  return status;
}
