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
#define EDGE_MAX 8192
enum { RESAMPLE_LINEAR = 2, RESAMPLE_CUBIC = 3 }; /* Pillow's numbers of the filters */

/* ---- settings ---- */

/* Three finite numbers, or nothing at all: then *out stays. */
static medley_status numbers_read(const json_t *config, const char *name, const char *path, float out[3],
                                  medley_error *err) {
  const json_t *list = json_object_get(config, name);
  bool usable = json_array_size(list) == 3;
  if (list == NULL || json_is_null(list)) return MEDLEY_OK;
  for (size_t i = 0; usable && i < 3; i++) {
    out[i] = (float)json_number_value(json_array_get(list, i));
    usable = json_is_number(json_array_get(list, i)) && isfinite(out[i]);
  }
  return usable ? MEDLEY_OK : error_set(err, MEDLEY_ERR_INPUT, "%s: %s should be three finite numbers", path, name);
}

static medley_status colours_read(image_preparation *p, const json_t *config, const char *mean, const char *deviation,
                                  const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(numbers_read(config, mean, path, p->mean, err));
  TRY(numbers_read(config, deviation, path, p->deviation, err));
  for (int i = 0; i < 3; i++)
    if (!(p->deviation[i] > 0))
      FAIL(err, MEDLEY_ERR_INPUT, "%s: %s has %g, which nothing can be divided by", path, deviation, p->deviation[i]);
done:
  return status;
}

static medley_status side_check(image_preparation *p, long long side, const char *path, medley_error *err) {
  if (p->side == 0) p->side = (size_t)side;
  if (side == 0 || side == (long long)p->side) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_INPUT, "%s: pictures of %lld pixels are prepared for a network that takes %zu", path,
                   side, p->side);
}

/* The filter by its name, as OpenCLIP and timm have it. */
static medley_status filter_read(image_preparation *p, const json_t *config, const char *path, medley_error *err) {
  const char *name = json_member_string(config, "interpolation", p->cubic ? "bicubic" : "bilinear");
  p->cubic = strcmp(name, "bicubic") == 0;
  if (p->cubic || strcmp(name, "bilinear") == 0) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: interpolation is '%.40s'; there are bicubic and bilinear", path,
                   name);
}

/* ---- preprocessor_config.json: transformers ---- */

/* 224, {"shortest_edge": 224} or {"height": 224, "width": 224}; 0: not said, -1: no square. */
static long long edge_of(const json_t *size, bool *shortest) {
  if (json_is_integer(size)) return json_integer_value(size);
  long long edge = json_member_integer(size, "shortest_edge", 0), high = json_member_integer(size, "height", 0);
  *shortest = edge != 0;
  return edge != 0 ? edge : high == json_member_integer(size, "width", high) ? high : -1;
}

/* Steps that are done here, or are not, whatever the file says: saying otherwise is refused. */
static medley_status steps_check(const json_t *config, const char *path, medley_error *err) {
  static const struct {
    const char *name;
    bool done;
  } steps[] = {{"do_resize", true},
               {"do_rescale", true},
               {"do_pad", false},
               {"do_flip_channel_order", false},
               {"rescale_offset", false}};
  double factor = json_member_number(config, "rescale_factor", 1.0 / 255);
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    const json_t *said = json_object_get(config, steps[i].name);
    if (json_is_boolean(said) && json_is_true(said) != steps[i].done)
      return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: %s is %s, which cannot be done here", path, steps[i].name,
                       steps[i].done ? "false" : "true");
  }
  if (!(fabs(factor * 255 - 1) < 1e-4))
    return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: rescale_factor is %g; only 1/255 can be done here", path,
                     factor);
  return MEDLEY_OK;
}

static medley_status sizes_read(image_preparation *p, const json_t *config, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool shortest = p->resize != 0, cut_shortest = false;
  const json_t *size = json_object_get(config, "size");
  long long edge = edge_of(size, &shortest), cut = 0;
  if (json_is_integer(size)) shortest = p->resize != 0;
  if (!json_is_false(json_object_get(config, "do_center_crop")))
    cut = edge_of(json_object_get(config, "crop_size"), &cut_shortest);
  if (edge < 0 || edge > EDGE_MAX || cut < 0)
    FAIL(err, MEDLEY_ERR_INPUT, "%s: a size that is no square of 1 to %d pixels", path, EDGE_MAX);
  TRY(side_check(p, cut != 0 ? cut : edge, path, err));
  if (edge != 0) p->resize = shortest ? (size_t)edge : 0;
  double part = json_member_number(config, "crop_pct", 1); /* ConvNext's: the square is cut from something larger */
  if (!(part > 0.1 && part <= 1)) FAIL(err, MEDLEY_ERR_INPUT, "%s: crop_pct is %g, not 0.1 to 1", path, part);
  if (shortest && cut == 0) p->resize = (size_t)((double)edge / part);
done:
  return status;
}

static medley_status settings_read(image_preparation *p, const json_t *config, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  long long filter = json_member_integer(config, "resample", p->cubic ? RESAMPLE_CUBIC : RESAMPLE_LINEAR);
  TRY(steps_check(config, path, err));
  TRY(sizes_read(p, config, path, err));
  if (filter != RESAMPLE_CUBIC && filter != RESAMPLE_LINEAR)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: resample is %lld; there are %d (linear) and %d (cubic)", path, filter,
         RESAMPLE_LINEAR, RESAMPLE_CUBIC);
  p->cubic = filter == RESAMPLE_CUBIC;
  TRY(colours_read(p, config, "image_mean", "image_std", path, err));
  if (json_is_false(json_object_get(config, "do_normalize")))
    for (int i = 0; i < 3; i++) p->mean[i] = 0, p->deviation[i] = 1;
done:
  return status;
}

/* ---- open_clip_config.json: preprocess_cfg; timm's config.json: pretrained_cfg ---- */

static medley_status open_clip_read(image_preparation *p, const json_t *config, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *size = json_object_get(config, "size");
  const char *mode = json_member_string(config, "resize_mode", "shortest");
  bool squash = strcmp(mode, "squash") == 0;
  if (!squash && strcmp(mode, "shortest") != 0)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: resize_mode is '%.40s'; there are shortest and squash", path, mode);
  if (json_is_array(size) && !json_equal(json_array_get(size, 0), json_array_get(size, 1)))
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: size is no square", path);
  TRY(side_check(p, json_integer_value(json_is_array(size) ? json_array_get(size, 0) : size), path, err));
  p->resize = squash ? 0 : p->side;
  TRY(filter_read(p, config, path, err));
  TRY(colours_read(p, config, "mean", "std", path, err));
done:
  return status;
}

/* crop_pct: the square as a part of the shorter side it is cut from. */
static medley_status timm_read(image_preparation *p, const json_t *config, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *mode = json_member_string(config, "crop_mode", "center");
  double part = json_member_number(config, "crop_pct", 1);
  if (strcmp(mode, "center") != 0 || !(part > 0.1 && part <= 1))
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: crop_mode '%.40s' of crop_pct %g; there is center of 0.1 to 1", path, mode,
         part);
  TRY(side_check(p, json_integer_value(json_array_get(json_object_get(config, "input_size"), 1)), path, err));
  p->resize = (size_t)((double)p->side / part);
  TRY(filter_read(p, config, path, err));
  TRY(colours_read(p, config, "mean", "std", path, err));
done:
  return status;
}

/* ---- which file ---- */

static medley_status beside_read(const checkpoint *c, const char *name, char **path, json_t **out, medley_error *err) {
  *path = path_join(c->folder, name);
  if (*path == NULL) return error_memory(err, "a path");
  return file_exists(*path) ? json_parse_file(*path, FILE_BYTES_MAX, out, err) : MEDLEY_OK;
}

medley_status image_preparation_load(image_preparation *p, const checkpoint *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = NULL, *other = NULL;
  json_t *config = NULL, *open_clip = NULL;
  if (c->folder == NULL) return MEDLEY_OK;
  TRY(beside_read(c, "preprocessor_config.json", &path, &config, err));
  TRY(beside_read(c, "open_clip_config.json", &other, &open_clip, err));
  const json_t *published = json_object_get(open_clip, "preprocess_cfg");
  const json_t *timm = json_object_get(c->config, "pretrained_cfg");
  if (config != NULL)
    TRY(settings_read(p, config, path, err));
  else if (published != NULL)
    TRY(open_clip_read(p, published, other, err));
  else if (timm != NULL)
    TRY(timm_read(p, timm, "config.json", err));
done:
  json_decref(config);
  json_decref(open_clip);
  mem_free(path);
  mem_free(other);
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
