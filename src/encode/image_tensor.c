/* encode/image_tensor.c: see encode/image_tensor.h.
 *
 * Scaling is Pillow's: a filter as wide as the shrinking asks for, first along the rows, then along the columns. Pillow
 * rounds to bytes between and behind; here values stay as they are, within 0 to 255. */
#include "encode/image_tensor.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define RESAMPLE_CUBIC 3 /* Pillow's number of the filter */

/* ---- settings ---- */

static void numbers_read(const json_t *list, float out[3]) {
  for (size_t i = 0; i < 3 && json_array_size(list) == 3; i++)
    if (json_is_number(json_array_get(list, i))) out[i] = (float)json_number_value(json_array_get(list, i));
}

/* 224, {"shortest_edge": 224} or {"height": 224, "width": 224}; 0: not said. */
static long long edge_of(const json_t *size, bool *shortest) {
  if (json_is_integer(size)) return json_integer_value(size);
  long long edge = json_member_integer(size, "shortest_edge", 0);
  *shortest = edge != 0;
  return edge != 0 ? edge : json_member_integer(size, "height", 0);
}

static medley_status settings_read(image_preparation *p, const json_t *config, const char *path, medley_error *err) {
  bool shortest = p->resize != 0, cut_shortest = false;
  long long edge = edge_of(json_object_get(config, "size"), &shortest), cut = 0;
  if (json_is_integer(json_object_get(config, "size"))) shortest = p->resize != 0;
  if (!json_is_false(json_object_get(config, "do_center_crop")))
    cut = edge_of(json_object_get(config, "crop_size"), &cut_shortest);
  long long side = cut != 0 ? cut : edge;
  if (side != 0 && side != (long long)p->side)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: pictures of %lld pixels are prepared for a network that takes %zu",
                     path, side, p->side);
  if (edge < 0 || edge > 8192) return error_set(err, MEDLEY_ERR_INPUT, "%s: a size of %lld pixels", path, edge);
  if (edge != 0) p->resize = shortest ? (size_t)edge : 0;
  p->cubic = json_member_integer(config, "resample", p->cubic ? RESAMPLE_CUBIC : 2) == RESAMPLE_CUBIC;
  numbers_read(json_object_get(config, "image_mean"), p->mean);
  numbers_read(json_object_get(config, "image_std"), p->deviation);
  for (int i = 0; i < 3; i++)
    if (!(p->deviation[i] > 0))
      return error_set(err, MEDLEY_ERR_INPUT, "%s: image_std has %g, which nothing can be divided by", path,
                       p->deviation[i]);
  return MEDLEY_OK;
}

medley_status image_preparation_load(image_preparation *p, const checkpoint *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = NULL;
  json_t *config = NULL;
  if (c->folder == NULL) return MEDLEY_OK;
  path = path_join(c->folder, "preprocessor_config.json");
  if (path == NULL) FAIL(err, MEDLEY_ERR_MEMORY, "out of memory for a path");
  if (!file_exists(path)) goto done;
  TRY(json_parse_file(path, FILE_BYTES_MAX, &config, err));
  TRY(settings_read(p, config, path, err));
done:
  json_decref(config);
  mem_free(path);
  return status;
}

/* ---- scaling ---- */

static double filter_value(bool cubic, double x) {
  x = fabs(x);
  if (!cubic) return x < 1 ? 1 - x : 0;
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/* What one output is made of: inputs [from, from + count) by weight. */
typedef struct filter_tap {
  size_t from, count;
  float *weight;
} filter_tap;

/* taps for outputs [first, first + count) of `made` that are made of `given` inputs; one block, mem_free(*block). */
static medley_status taps_create(size_t given, size_t made, size_t first, size_t count, bool cubic, filter_tap **taps,
                                 float **block, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double step = (double)given / (double)made, stretch = step > 1 ? step : 1, reach = (cubic ? 2 : 1) * stretch;
  size_t most = (size_t)ceil(reach) * 2 + 1;
  TRY_NEW(*taps, count, "a scaled picture");
  TRY_NEW(*block, count * most, "a scaled picture");
  for (size_t i = 0; i < count; i++) {
    filter_tap *tap = &(*taps)[i];
    double centre = ((double)(first + i) + 0.5) * step, sum = 0;
    double low = floor(centre - reach + 0.5), high = floor(centre + reach + 0.5);
    tap->from = low > 0 ? (size_t)low : 0;
    size_t end = high < (double)given ? (size_t)high : given;
    tap->count = end - tap->from < most ? end - tap->from : most;
    tap->weight = *block + i * most;
    for (size_t k = 0; k < tap->count; k++) {
      double value = filter_value(cubic, ((double)(tap->from + k) - centre + 0.5) / stretch);
      tap->weight[k] = (float)value;
      sum += value;
    }
    for (size_t k = 0; k < tap->count; k++) tap->weight[k] /= (float)sum;
  }
done:
  return status;
}

/* Row r of the picture, its columns brought to `side`: [side, 3]. */
static void row_scale_columns(const image *in, size_t r, const filter_tap *taps, size_t side, float *out) {
  const uint8_t *row = in->rgb + r * in->width * 3;
  for (size_t x = 0; x < side; x++)
    for (size_t c = 0; c < 3; c++) {
      float sum = 0;
      for (size_t k = 0; k < taps[x].count; k++) sum += taps[x].weight[k] * (float)row[(taps[x].from + k) * 3 + c];
      out[x * 3 + c] = sum < 0 ? 0 : sum > 255 ? 255 : sum;
    }
}

static void columns_write(const image_preparation *p, const float *rows, size_t first, const filter_tap *tap, size_t y,
                          float *out) {
  for (size_t x = 0; x < p->side; x++)
    for (size_t c = 0; c < 3; c++) {
      float sum = 0;
      for (size_t k = 0; k < tap->count; k++)
        sum += tap->weight[k] * rows[((tap->from + k - first) * p->side + x) * 3 + c];
      sum = sum < 0 ? 0 : sum > 255 ? 255 : sum;
      out[(c * p->side + y) * p->side + x] = (sum / 255 - p->mean[c]) / p->deviation[c];
    }
}

medley_status image_prepare(const image_preparation *p, const image *in, float *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  filter_tap *across = NULL, *down = NULL;
  float *across_block = NULL, *down_block = NULL, *rows = NULL;
  if (in->width == 0 || in->height == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "a picture of %u x %u pixels", in->width, in->height);
  double shorter = in->width < in->height ? in->width : in->height;
  size_t wide = p->resize ? (size_t)((double)in->width * (double)p->resize / shorter) : p->side;
  size_t high = p->resize ? (size_t)((double)in->height * (double)p->resize / shorter) : p->side;
  if (wide < p->side) wide = p->side; /* a resize that is smaller than the square, or a rounding */
  if (high < p->side) high = p->side;
  TRY(taps_create(in->width, wide, (wide - p->side) / 2, p->side, p->cubic, &across, &across_block, err));
  TRY(taps_create(in->height, high, (high - p->side) / 2, p->side, p->cubic, &down, &down_block, err));
  size_t first = down[0].from, end = down[p->side - 1].from + down[p->side - 1].count;
  TRY_NEW(rows, (end - first) * p->side * 3, "a scaled picture");
  for (size_t r = first; r < end; r++) row_scale_columns(in, r, across, p->side, rows + (r - first) * p->side * 3);
  for (size_t y = 0; y < p->side; y++) columns_write(p, rows, first, &down[y], y, out);
done:
  mem_free(across);
  mem_free(across_block);
  mem_free(down);
  mem_free(down_block);
  mem_free(rows);
  return status;
}
