/* media/image.c: owns decoding, preparing and saving pictures (see media/image.h); image_resize is in resize.c.
 *
 * One path for all: the header is read and its size judged, then vips_thumbnail decodes at the smallest size the format
 * offers (a JPEG at 1/8, one page of a TIFF pyramid), turns by EXIF, and converts by the embedded profile to sRGB. What
 * it yields is streamed into the sample strip by strip. Full size is the same call with a side no picture has. A file
 * that is cut off is an error, not half a picture: half a picture teaches nothing true about its item.
 */
#include "media/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "media/raster.h"
#include "media/vips.h"

#define FULL_SIZE 10000000 /* VIPS_MAX_COORD */
#define SMALL_FILE_BYTES ((size_t)32 << 20)
#define FRAME_DEFAULT_MS 100
#define FRAME_FAST_MS 10 /* browsers, too, take frames of 10 ms or less for files that left the time open */
#define ANIMATION_FRAMES_MAX 1000

static const image_options plain_options;

/* ---- sources ---- */

typedef struct picture_source {
  const char *path;  /* or, when NULL: */
  const void *bytes; /* borrowed */
  size_t length;
} picture_source;

/* A new stream each time: libvips reads a source once. Not by name, since vips_image_new_from_file takes "a[b].jpg"
 * apart. */
static medley_status open_source(const picture_source *from, VipsSource **out, medley_error *err) {
  *out = from->path != NULL ? vips_source_new_from_file(from->path)
                            : vips_source_new_from_memory(from->bytes, from->length);
  if (*out == NULL) return vips_bridge_error(err, MEDLEY_ERR_IO, "the picture cannot be opened");
  return MEDLEY_OK;
}

/* Fills from with the file at path. Small files are read at once into *held (mem_free): every loader that libvips asks
 * whether it knows the file would open it again, which takes longer than decoding a poster. */
static medley_status find_file(const char *path, picture_source *from, char **held, medley_error *err) {
  uint64_t bytes;
  int64_t modified;
  *from = (picture_source){.path = path};
  if (!file_stat(path, &bytes, &modified)) return error_set(err, MEDLEY_ERR_NOT_FOUND, "there is no file %s", path);
  if (file_is_folder(path)) return error_set(err, MEDLEY_ERR_INPUT, "%s is a folder, not a picture", path);
  if (bytes > SMALL_FILE_BYTES) return MEDLEY_OK;
  medley_status status = file_read(path, SMALL_FILE_BYTES, held, &from->length, err);
  from->path = NULL;
  from->bytes = *held;
  return status;
}

static medley_status check_source(const picture_source *from, const image_options *o, medley_error *err) {
  if (o->side > IMAGE_SIDE_MAX)
    return error_set(err, MEDLEY_ERR_USAGE, "pictures of side %u are asked for; at most %d", o->side, IMAGE_SIDE_MAX);
  if (from->path == NULL && from->length == 0) return error_set(err, MEDLEY_ERR_INPUT, "the picture is empty");
  return MEDLEY_OK;
}

static medley_status check_size(int64_t width, int64_t height, const image_options *o, medley_error *err) {
  uint64_t limit = o->pixel_limit != 0 ? o->pixel_limit : IMAGE_PIXEL_LIMIT_DEFAULT;
  if (width <= 0 || height <= 0) return error_set(err, MEDLEY_ERR_INPUT, "the picture has no pixels");
  if ((uint64_t)width > limit / (uint64_t)height)
    return error_set(err, MEDLEY_ERR_LIMIT, "the picture has %lld x %lld pixels, more than the limit of %llu",
                     (long long)width, (long long)height, (unsigned long long)limit);
  return MEDLEY_OK;
}

/* ---- scaling and cropping ---- */

static VipsInteresting interest(const image_options *o) {
  if (o->side == 0 || o->crop == IMAGE_CROP_NONE) return VIPS_INTERESTING_NONE;
  return o->crop == IMAGE_CROP_CENTRE ? VIPS_INTERESTING_CENTRE : VIPS_INTERESTING_ATTENTION;
}

static VipsSize size_rule(const image_options *o) {
  return interest(o) == VIPS_INTERESTING_NONE ? VIPS_SIZE_DOWN : VIPS_SIZE_BOTH;
}

static int wanted_side(const image_options *o) { return o->side != 0 ? (int)o->side : FULL_SIZE; }

static medley_status scale_view(VipsImage *view, const image_options *o, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  VipsImage *scaled = NULL;
  int side = wanted_side(o);
  if (vips_thumbnail_image(view, &scaled, side, "height", side, "size", size_rule(o), "crop", interest(o), NULL) != 0)
    TRY(vips_bridge_error(err, MEDLEY_ERR_INPUT, "the picture cannot be scaled"));
  TRY(vips_bridge_take(scaled, out, err));
done:
  vips_bridge_release(&scaled);
  return status;
}

/* ---- decoding ---- */

/* Formats of media/raster.h: the whole file is decoded, then scaled as a picture in memory. */
static medley_status decode_raster(VipsSource *source, const image_options *o, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  raster r = {0};
  VipsImage *view = NULL;
  size_t length;
  const void *bytes = vips_source_map(source, &length);
  if (bytes == NULL) TRY(vips_bridge_error(err, MEDLEY_ERR_IO, "the picture cannot be read"));
  TRY(raster_decode(bytes, length, o->pixel_limit != 0 ? o->pixel_limit : IMAGE_PIXEL_LIMIT_DEFAULT, &r, err));
  view = vips_image_new_from_memory(r.rgba, (size_t)r.width * r.height * 4, (int)r.width, (int)r.height, 4,
                                    VIPS_FORMAT_UCHAR);
  if (view == NULL) TRY(vips_bridge_error(err, MEDLEY_ERR_MEMORY, "the picture cannot be held"));
  view->Type = VIPS_INTERPRETATION_sRGB;
  TRY(scale_view(view, o, out, err));
done:
  vips_bridge_release(&view);
  mem_free(r.rgba);
  return status;
}

/* The only loaders of libvips that see a file. Blocking is not enough: a blocked loader's own constructor still runs,
 * and that of PDF parses the document. */
static const struct {
  const char *loader;
  bool animated; /* several pages are frames in time */
} loaders[] = {
    {"jpegload_source", false}, {"pngload_source", false},  {"webpload_source", true},
    {"gifload_source", true},   {"tiffload_source", false}, {"heifload_source", false},
};

/* The header of the picture, or of all frames of an animation. */
static medley_status open_header(const picture_source *from, bool frames, VipsImage **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  VipsSource *source = NULL;
  *out = NULL;
  TRY(open_source(from, &source, err));
  const char *type = vips_foreign_find_load_source(source);
  const char *loader = type != NULL ? vips_nickname_find(g_type_from_name(type)) : "";
  size_t i = 0, count = sizeof loaders / sizeof *loaders;
  while (i < count && strcmp(loaders[i].loader, loader) != 0) i++;
  if (i == count)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED,
         "this is not a picture of a kind that is read here (JPEG, PNG, WebP, GIF, TIFF, AVIF …)");
  *out = vips_image_new_from_source(source, frames && loaders[i].animated ? "n=-1" : "", "access",
                                    VIPS_ACCESS_SEQUENTIAL, NULL);
  if (*out == NULL) TRY(vips_bridge_error(err, MEDLEY_ERR_INPUT, "the picture's header cannot be read"));
done:
  if (source != NULL) g_object_unref(source);
  vips_error_clear();
  return status;
}

static medley_status decode_with_profile(const picture_source *from, const image_options *o, int page,
                                         const char *profile, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  VipsSource *source = NULL;
  VipsImage *scaled = NULL;
  int side = wanted_side(o);
  char option[48];
  /* Loaders of still pictures know no pages; vips_thumbnail_source's own "fail_on" does not reach the loader. */
  snprintf(option, sizeof option, page > 0 ? "fail_on=error,page=%d" : "fail_on=error", page);
  TRY(open_source(from, &source, err));
  if (vips_thumbnail_source(source, &scaled, side, "option_string", option, "height", side, "size", size_rule(o),
                            "crop", interest(o), profile != NULL ? "export_profile" : NULL, profile, NULL) != 0)
    TRY(vips_bridge_error(err, MEDLEY_ERR_INPUT, "the picture cannot be decoded"));
  TRY(vips_bridge_take(scaled, out, err));
done:
  vips_bridge_release(&scaled);
  if (source != NULL) g_object_unref(source);
  vips_error_clear(); /* decoders leave warnings behind; the next failure must not be told with them */
  return status;
}

/* A picture with a profile, or in CMYK, ends in "srgb", libvips's own copy of that profile. One without is sRGB
 * already, and asking for the profile would only add its rounding (greys would get a tint). A broken profile does not
 * spoil the picture: its numbers are then taken as they are. */
static medley_status decode_page(const picture_source *from, const image_options *o, VipsImage *header, int page,
                                 image *out, medley_error *err) {
  bool managed = header->Type == VIPS_INTERPRETATION_CMYK || vips_image_get_typeof(header, VIPS_META_ICC_NAME) != 0;
  medley_error second;
  medley_status status = decode_with_profile(from, o, page, managed ? "srgb" : NULL, out, err);
  if (managed && status == MEDLEY_ERR_INPUT && decode_with_profile(from, o, page, NULL, out, &second) == MEDLEY_OK)
    status = MEDLEY_OK;
  return status;
}

static medley_status decode(const picture_source *from, const image_options *o, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  VipsSource *source = NULL;
  VipsImage *header = NULL;
  *out = (image){0};
  TRY(vips_bridge_start(err));
  TRY(check_source(from, o, err));
  TRY(open_source(from, &source, err));
  const void *head = vips_source_sniff(source, RASTER_SNIFF_BYTES);
  vips_error_clear();
  if (head != NULL && raster_recognises(head, RASTER_SNIFF_BYTES)) {
    TRY(decode_raster(source, o, out, err));
  } else {
    TRY(open_header(from, false, &header, err));
    TRY(check_size(header->Xsize, vips_image_get_page_height(header), o, err));
    TRY(decode_page(from, o, header, 0, out, err));
  }
done:
  vips_bridge_release(&header);
  if (source != NULL) g_object_unref(source);
  return status;
}

/* ---- enhancing ---- */

/* A step reads one image of libvips and makes another; all are sRGB of three bands. */
typedef int (*enhance_step)(VipsImage *in, VipsImage **out);

static int median(VipsImage *in, VipsImage **out) { return vips_median(in, out, 3, NULL); }

static int stretch(VipsImage *in, VipsImage **out) {
  VipsImage *grey = NULL, *stretched = NULL;
  int low, high;
  int failed = vips_colourspace(in, &grey, VIPS_INTERPRETATION_B_W, NULL) || vips_percent(grey, 1, &low, NULL) ||
               vips_percent(grey, 99, &high, NULL);
  if (!failed && high <= low)
    failed = vips_copy(in, out, NULL); /* one flat colour: nothing to stretch */
  else if (!failed) {
    double scale = 255.0 / (high - low);
    failed = vips_linear1(in, &stretched, scale, -low * scale, "uchar", TRUE, NULL) || vips_copy(stretched, out, NULL);
  }
  vips_bridge_release(&grey);
  vips_bridge_release(&stretched);
  return failed;
}

/* Histogram equalisation of L* in 256 steps; a* and b* stay. */
static int equalise(VipsImage *in, VipsImage **out) {
  VipsImage *t[7] = {NULL};
  int failed = vips_colourspace(in, &t[0], VIPS_INTERPRETATION_LAB, NULL) || vips_extract_band(t[0], &t[1], 0, NULL) ||
               vips_linear1(t[1], &t[2], 2.55, 0, "uchar", TRUE, NULL) || vips_hist_equal(t[2], &t[3], NULL) ||
               vips_linear1(t[3], &t[4], 1 / 2.55, 0, NULL) || vips_extract_band(t[0], &t[5], 1, "n", 2, NULL) ||
               vips_bandjoin2(t[4], t[5], &t[6], NULL);
  if (!failed) {
    t[6]->Type = VIPS_INTERPRETATION_LAB;
    failed = vips_colourspace(t[6], out, VIPS_INTERPRETATION_sRGB, NULL);
  }
  for (size_t i = 0; i < 7; i++) vips_bridge_release(&t[i]);
  return failed;
}

static int sharpen(VipsImage *in, VipsImage **out) { return vips_sharpen(in, out, "sigma", 1.0, NULL); }

/* Replaces *sample by what the step makes of it. */
static medley_status enhance(image *sample, enhance_step step, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image better = {0};
  VipsImage *view = vips_bridge_view(sample), *stepped = NULL;
  if (view == NULL || step(view, &stepped) != 0)
    TRY(vips_bridge_error(err, MEDLEY_ERR_INTERNAL, "the picture cannot be enhanced"));
  TRY(vips_bridge_take(stepped, &better, err));
  vips_bridge_release(&stepped);
  vips_bridge_release(&view);
  image_deinit(sample);
  *sample = better;
done:
  vips_bridge_release(&stepped);
  vips_bridge_release(&view);
  return status;
}

static medley_status enhance_all(image *sample, const image_options *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (o->denoise) TRY(enhance(sample, median, err));
  if (o->contrast) TRY(enhance(sample, stretch, err));
  if (o->equalise) TRY(enhance(sample, equalise, err));
  if (o->sharpen) TRY(enhance(sample, sharpen, err));
done:
  if (status != MEDLEY_OK) image_deinit(sample);
  return status;
}

/* ---- the public calls ---- */

static medley_status load(const picture_source *from, const image_options *options, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const image_options *o = options != NULL ? options : &plain_options;
  TRY(decode(from, o, out, err));
  TRY(enhance_all(out, o, err));
done:
  return status;
}

medley_status image_load(const char *path, const image_options *options, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  picture_source from;
  char *held = NULL;
  *out = (image){0};
  TRY(find_file(path, &from, &held, err));
  TRY(load(&from, options, out, err));
done:
  mem_free(held);
  return status;
}

medley_status image_load_bytes(const void *bytes, size_t length, const image_options *options, image *out,
                               medley_error *err) {
  return load(&(picture_source){.bytes = bytes, .length = length}, options, out, err);
}

medley_status image_process(const image *in, const image_options *options, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const image_options *o = options != NULL ? options : &plain_options;
  VipsImage *view = NULL;
  *out = (image){0};
  TRY(vips_bridge_start(err));
  if (in->width == 0 || in->height == 0 || o->side > IMAGE_SIDE_MAX)
    FAIL(err, MEDLEY_ERR_USAGE, "cannot make a picture of side %u from one of %u x %u", o->side, in->width, in->height);
  view = vips_bridge_view(in);
  if (view == NULL) TRY(vips_bridge_error(err, MEDLEY_ERR_MEMORY, "the picture cannot be held"));
  TRY(scale_view(view, o, out, err));
  TRY(enhance_all(out, o, err));
done:
  vips_bridge_release(&view);
  return status;
}

/* ---- animations ---- */

/* The frames' times: delay_ms is [count], or NULL when the file says nothing. times_s: [count + 1], the last is the
 * end. */
static void frame_times(const int *delay_ms, int count, double *times_s) {
  times_s[0] = 0;
  for (int i = 0; i < count; i++) {
    int ms = delay_ms != NULL && delay_ms[i] > FRAME_FAST_MS ? delay_ms[i] : FRAME_DEFAULT_MS;
    times_s[i + 1] = times_s[i] + ms * 1e-3;
  }
}

static medley_status decode_frames(const picture_source *from, const image_options *o, VipsImage *header,
                                   const double *times_s, int pages, video *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint32_t wanted = out->frame_count;
  out->frame_count = 0; /* counts what is filled, so that a failure frees just that */
  for (uint32_t i = 0; i < wanted; i++) {
    int page = (int)((uint64_t)i * (uint64_t)pages / wanted);
    TRY(decode_page(from, o, header, page, &out->frames[i], err));
    out->frame_count = i + 1;
    TRY(enhance_all(&out->frames[i], o, err));
    out->frame_time_s[i] = times_s[page];
  }
  out->poster = wanted / 2;
done:
  return status;
}

medley_status image_load_animation(const char *path, const image_options *options, uint32_t frame_max, video *out,
                                   medley_error *err) {
  medley_status status = MEDLEY_OK;
  const image_options *o = options != NULL ? options : &plain_options;
  picture_source from;
  char *held = NULL;
  VipsImage *header = NULL;
  double *times_s = NULL;
  *out = (video){0};
  TRY(vips_bridge_start(err));
  TRY(find_file(path, &from, &held, err));
  TRY(check_source(&from, o, err));
  TRY(open_header(&from, true, &header, err));
  TRY(check_size(header->Xsize, vips_image_get_page_height(header), o, err));
  int pages = header->Ysize / vips_image_get_page_height(header), *delay_ms = NULL, delay_count = 0;
  if (vips_image_get_typeof(header, "delay") != 0 &&
      (vips_image_get_array_int(header, "delay", &delay_ms, &delay_count) != 0 || delay_count < pages))
    delay_ms = NULL;
  TRY_NEW(times_s, (size_t)pages + 1, "an animation");
  frame_times(delay_ms, pages, times_s);
  out->duration_s = times_s[pages];
  out->frame_count = frame_max == 0 || frame_max > ANIMATION_FRAMES_MAX ? ANIMATION_FRAMES_MAX : frame_max;
  if (out->frame_count > (uint32_t)pages) out->frame_count = (uint32_t)pages;
  uint32_t wanted = out->frame_count;
  TRY_NEW(out->frames, wanted, "an animation");
  TRY_NEW(out->frame_time_s, wanted, "an animation");
  TRY(decode_frames(&from, o, header, times_s, pages, out, err));
done:
  if (status != MEDLEY_OK) video_deinit(out);
  mem_free(times_s);
  vips_bridge_release(&header);
  mem_free(held);
  vips_error_clear();
  return status;
}

/* ---- saving ---- */

static int write_png(VipsImage *view, void **bytes, size_t *length) {
  return vips_pngsave_buffer(view, bytes, length, NULL);
}
static int write_jpeg(VipsImage *view, void **bytes, size_t *length) {
  return vips_jpegsave_buffer(view, bytes, length, "Q", 90, "optimize_coding", TRUE, NULL);
}
static int write_webp(VipsImage *view, void **bytes, size_t *length) {
  return vips_webpsave_buffer(view, bytes, length, "Q", 85, NULL);
}

static const struct {
  const char *extension;
  int (*write)(VipsImage *view, void **bytes, size_t *length);
} writers[] = {{"png", write_png}, {"jpg", write_jpeg}, {"jpeg", write_jpeg}, {"webp", write_webp}};

medley_status image_save(const image *in, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  VipsImage *view = NULL;
  void *bytes = NULL;
  size_t length = 0, i = 0, count = sizeof writers / sizeof *writers;
  TRY(vips_bridge_start(err));
  while (i < count && strcasecmp(writers[i].extension, path_extension(path)) != 0) i++;
  if (i == count) FAIL(err, MEDLEY_ERR_USAGE, "%s does not end in .png, .jpg or .webp, so its format is open", path);
  if (in->width == 0 || in->height == 0) FAIL(err, MEDLEY_ERR_USAGE, "%s: the picture to save has no pixels", path);
  view = vips_bridge_view(in);
  if (view == NULL || writers[i].write(view, &bytes, &length) != 0)
    TRY(vips_bridge_error(err, MEDLEY_ERR_INPUT, "the picture cannot be encoded"));
  TRY(file_write(path, bytes, length, err));
done:
  vips_bridge_release(&view);
  g_free(bytes);
  return status;
}
