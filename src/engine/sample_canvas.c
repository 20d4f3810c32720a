/* engine/sample_canvas.c: see engine/sample_canvas.h.
 *
 * Filling follows the accumulation-buffer method of font rasterisers (Levien, font-rs): every edge adds the change of
 * covered area it makes in the pixels it crosses, and a running sum along the row gives the coverage. It needs no
 * sorted edge lists, costs a few operations per pixel of outline, and is exact for one contour.
 */
#include "engine/sample_canvas.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

#define PI 3.14159265358979f
#define CURVE_STEPS 10 /* straight pieces between two points of a curve: below a quarter pixel at 256 pixels */

static float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }
static float fraction(float x) { return x - floorf(x); }

/* ---- colours ---- */

static float srgb_from_linear(float x) {
  x = clamp(x, 0, 1);
  return x <= 0.0031308f ? 12.92f * x : 1.055f * powf(x, 1 / 2.4f) - 0.055f;
}

colour colour_oklch(float lightness, float chroma, float hue_degrees) {
  float a = chroma * cosf(hue_degrees * PI / 180), b = chroma * sinf(hue_degrees * PI / 180);
  float l = lightness + 0.3963377774f * a + 0.2158037573f * b;
  float m = lightness - 0.1055613458f * a - 0.0638541728f * b;
  float s = lightness - 0.0894841775f * a - 1.2914855480f * b;
  l = l * l * l, m = m * m * m, s = s * s * s;
  return (colour){srgb_from_linear(4.0767416621f * l - 3.3077115913f * m + 0.2309699292f * s),
                  srgb_from_linear(-1.2684380046f * l + 2.6097574011f * m - 0.3413193965f * s),
                  srgb_from_linear(-0.0041960863f * l - 0.7034186147f * m + 1.7076147010f * s)};
}

colour colour_mix(colour a, colour b, float t) {
  return (colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

/* ---- paths ---- */

void path_clear(path *p) { p->count = p->contours = 0; }

static void path_add(path *p, float x, float y) {
  if (p->count < PATH_POINT_MAX) p->points[p->count++] = (point){x, y};
}

static void path_close(path *p) {
  if (p->contours < PATH_CONTOUR_MAX) p->ends[p->contours++] = p->count;
}

void path_ellipse(path *p, float x, float y, float radius_x, float radius_y) {
  int steps = radius_x + radius_y > 0.2f ? 64 : 20;
  for (int i = 0; i < steps; i++) {
    float angle = 2 * PI * (float)i / (float)steps;
    path_add(p, x + radius_x * cosf(angle), y + radius_y * sinf(angle));
  }
  path_close(p);
}

void path_box(path *p, float left, float top, float right, float bottom) {
  path_add(p, left, top);
  path_add(p, right, top);
  path_add(p, right, bottom);
  path_add(p, left, bottom);
  path_close(p);
}

/* Catmull–Rom between b and c. */
static point curve_at(point a, point b, point c, point d, float t) {
  float t2 = t * t, t3 = t2 * t;
  float wa = -t3 + 2 * t2 - t, wb = 3 * t3 - 5 * t2 + 2, wc = -3 * t3 + 4 * t2 + t, wd = t3 - t2;
  return (point){(wa * a.x + wb * b.x + wc * c.x + wd * d.x) / 2, (wa * a.y + wb * b.y + wc * c.y + wd * d.y) / 2};
}

void path_closed(path *p, const point *through, unsigned count, bool smooth) {
  int steps = smooth ? CURVE_STEPS : 1;
  for (unsigned i = 0; i < count; i++) {
    for (int s = 0; s < steps; s++) {
      point at = curve_at(through[(i + count - 1) % count], through[i], through[(i + 1) % count],
                          through[(i + 2) % count], (float)s / (float)steps);
      path_add(p, at.x, at.y);
    }
  }
  path_close(p);
}

/* The i-th of the points an open curve is cut into; the ends are doubled. */
static point open_curve_at(const point *through, unsigned count, unsigned step, unsigned steps) {
  unsigned i = step / steps;
  if (i + 1 >= count) return through[count - 1];
  return curve_at(through[i > 0 ? i - 1 : 0], through[i], through[i + 1], through[i + 2 < count ? i + 2 : count - 1],
                  (float)(step % steps) / (float)steps);
}

void path_profile(path *p, float centre, const point *half, unsigned count, bool smooth) {
  unsigned steps = smooth ? CURVE_STEPS : 1, last = (count - 1) * steps;
  for (unsigned s = 0; s <= last; s++) {
    point at = open_curve_at(half, count, s, steps);
    path_add(p, centre + at.x, at.y);
  }
  for (unsigned s = last + 1; s-- > 0;) {
    point at = open_curve_at(half, count, s, steps);
    path_add(p, centre - at.x, at.y);
  }
  path_close(p);
}

/* Pieces and joints all turn the same way round, so that their overlaps add up instead of cutting holes. */
void path_stroke(path *p, const point *through, unsigned count, bool smooth, float width) {
  unsigned steps = smooth ? CURVE_STEPS : 1, last = (count - 1) * steps;
  float half = width / 2;
  point before = through[0];
  for (unsigned s = 1; s <= last; s++) {
    point at = open_curve_at(through, count, s, steps);
    float dx = at.x - before.x, dy = at.y - before.y, length = hypotf(dx, dy);
    if (length > 0) {
      float nx = -dy / length * half, ny = dx / length * half;
      path_add(p, before.x - nx, before.y - ny);
      path_add(p, at.x - nx, at.y - ny);
      path_add(p, at.x + nx, at.y + ny);
      path_add(p, before.x + nx, before.y + ny);
      path_close(p);
    }
    if (s == last || !smooth) path_ellipse(p, at.x, at.y, half, half);
    before = at;
  }
  path_ellipse(p, through[0].x, through[0].y, half, half);
}

/* ---- the canvas ---- */

medley_status canvas_init(canvas *c, unsigned side, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *c = (canvas){.picture = {.width = side, .height = side}};
  TRY_NEW(c->picture.rgb, (size_t)side * side * 3, "a picture");
  TRY_NEW(c->area, (size_t)side * (side + 2), "a picture");
  canvas_place(c, 0, 0, 1, 1, 0);
done:
  if (status != MEDLEY_OK) canvas_deinit(c);
  return status;
}

void canvas_deinit(canvas *c) {
  image_deinit(&c->picture);
  mem_free(c->area);
  *c = (canvas){0};
}

void canvas_place(canvas *c, float x, float y, float scale_x, float scale_y, float turn) {
  float half = (float)c->picture.width / 2, co = cosf(turn) * half, si = sinf(turn) * half;
  c->m = (matrix){co * scale_x, -si * scale_y, si * scale_x, co * scale_y, half * (1 + x), half * (1 + y)};
}

static point matrix_apply(const matrix *m, point p) {
  return (point){m->xx * p.x + m->xy * p.y + m->x, m->yx * p.x + m->yy * p.y + m->y};
}

static matrix matrix_invert(const matrix *m) {
  float scale = 1 / (m->xx * m->yy - m->xy * m->yx);
  matrix r = {m->yy * scale, -m->xy * scale, -m->yx * scale, m->xx * scale, 0, 0};
  r.x = -(r.xx * m->x + r.xy * m->y);
  r.y = -(r.yx * m->x + r.yy * m->y);
  return r;
}

/* One row's share of an edge: it enters at x0 and leaves at x1 while the height changes by d (signed by direction). */
static void area_add_row(float *row, float x0, float x1, float d) {
  if (x0 > x1) {
    float held = x0;
    x0 = x1, x1 = held;
  }
  int first = (int)x0, end = (int)ceilf(x1);
  if (end <= first + 1) { /* within one pixel */
    float middle = (x0 + x1) / 2 - (float)first;
    row[first] += d * (1 - middle);
    row[first + 1] += d * middle;
    return;
  }
  /* Across several: in pixel k the part before it is covered wholly and the part in it from where the edge is. */
  float slope = d / (x1 - x0), before = 0;
  for (int k = first; k < end; k++) {
    float from = k == first ? x0 : (float)k, to = k + 1 == end ? x1 : (float)(k + 1);
    float covered = slope * ((from - x0) + (to - from) * ((float)(k + 1) - (from + to) / 2));
    row[k] += covered - before;
    before = covered;
  }
  row[end] += d - before;
}

static void area_add_edge(canvas *c, point a, point b) {
  float sign = 1, width = (float)c->picture.width, height = (float)c->picture.height;
  if (a.y == b.y) return;
  if (a.y > b.y) {
    point held = a;
    a = b, b = held;
    sign = -1;
  }
  float slope = (b.x - a.x) / (b.y - a.y), top = fmaxf(a.y, 0), bottom = fminf(b.y, height);
  for (int y = (int)top; (float)y < bottom; y++) {
    float from = fmaxf((float)y, top), to = fminf((float)(y + 1), bottom);
    if (to <= from) continue;
    float x0 = clamp(a.x + (from - a.y) * slope, 0, width), x1 = clamp(a.x + (to - a.y) * slope, 0, width);
    area_add_row(c->area + (size_t)y * (c->picture.width + 2), x0, x1, sign * (to - from));
  }
}

/* ---- paints ---- */

/* How much ink the pattern has at (u, v), both in periods; soft is a pixel's width in periods. */
static float pattern_ink(pattern kind, float u, float v, float soft) {
  float row = floorf(v), shifted = u + ((int)row & 1 ? 0.5f : 0), dx = fraction(shifted) - 0.5f,
        dy = fraction(v) - 0.5f;
  float inside = -1; /* distance inside the inked part */
  switch (kind) {
    case PATTERN_PLAIN: return 0;
    case PATTERN_STRIPES: inside = 0.25f - fabsf(dy); break;
    case PATTERN_CHECKS: {
      float a = clamp((0.25f - fabsf(fraction(u) - 0.5f)) / soft, -0.5f, 0.5f);
      float b = clamp((0.25f - fabsf(dy)) / soft, -0.5f, 0.5f);
      return 0.5f + 2 * a * b;
    }
    case PATTERN_DOTS: inside = 0.28f - hypotf(dx, dy); break;
    case PATTERN_ZIGZAG: inside = 0.22f - fabsf(fraction(v + fabsf(fraction(u) - 0.5f)) - 0.5f); break;
    case PATTERN_FLOWERS: {
      float radius = hypotf(dx, dy);
      if (radius < 0.09f) return 0.25f; /* the eye of the flower */
      inside = 0.25f + 0.11f * cosf(5 * atan2f(dy, dx)) - radius;
      break;
    }
  }
  return clamp(inside / soft + 0.5f, 0, 1);
}

static colour lit(colour c, float light, float shine) {
  return (colour){clamp(c.r * light + shine, 0, 1), clamp(c.g * light + shine, 0, 1), clamp(c.b * light + shine, 0, 1)};
}

/* The colour at a place of the path's coordinates; *alpha is how much of it. */
static colour paint_at(const paint *p, point at, float pixel, float *alpha) {
  colour c = p->base;
  *alpha = 1 - p->transparency;
  if (p->fade_radius > 0) {
    float t = clamp(1 - hypotf(at.x - p->from.x, at.y - p->from.y) / p->fade_radius, 0, 1);
    *alpha *= t * t * (3 - 2 * t);
  } else {
    float dx = p->to.x - p->from.x, dy = p->to.y - p->from.y, square = dx * dx + dy * dy;
    if (square > 0)
      c = colour_mix(c, p->end, clamp(((at.x - p->from.x) * dx + (at.y - p->from.y) * dy) / square, 0, 1));
  }
  if (p->pattern != PATTERN_PLAIN) {
    float co = cosf(p->slant), si = sinf(p->slant);
    float u = (co * at.x - si * at.y) / p->period, v = (si * at.x + co * at.y) / p->period;
    c = colour_mix(c, p->ink, pattern_ink(p->pattern, u, v, 1.3f * pixel / p->period));
  }
  if (p->gloss > 0) {
    float n = clamp((at.x - p->centre) / p->half_width, -1, 1), off = n + 0.35f;
    float shine = expf(-25 * (n + 0.42f) * (n + 0.42f)) * 0.14f;
    c = lit(c, 1 + p->gloss * (0.1f - 0.32f * off * off), p->gloss * shine);
  }
  return c;
}

static void blend(uint8_t *rgb, colour c, float alpha) {
  const float over[3] = {c.r, c.g, c.b};
  for (int k = 0; k < 3; k++) rgb[k] = (uint8_t)((float)rgb[k] * (1 - alpha) + over[k] * 255 * alpha + 0.5f);
}

static void fill_row(canvas *c, unsigned y, const paint *with, const matrix *back, float pixel) {
  unsigned width = c->picture.width;
  float *row = c->area + (size_t)y * (width + 2), sum = 0;
  for (unsigned x = 0; x < width; x++) {
    sum += row[x];
    float cover = fminf(fabsf(sum), 1), alpha;
    if (cover < 0.002f) continue;
    colour found = paint_at(with, matrix_apply(back, (point){(float)x + 0.5f, (float)y + 0.5f}), pixel, &alpha);
    blend(c->picture.rgb + ((size_t)y * width + x) * 3, found, cover * alpha);
  }
  memset(row, 0, (width + 2) * sizeof *row);
}

void canvas_fill(canvas *c, const path *p, const paint *with) {
  matrix back = matrix_invert(&c->m);
  float pixel = sqrtf(fabsf(back.xx * back.yy - back.xy * back.yx)), top = (float)c->picture.height, bottom = 0;
  unsigned start = 0;
  for (unsigned k = 0; k < p->contours; start = p->ends[k++]) {
    for (unsigned i = start; i < p->ends[k]; i++) {
      point a = matrix_apply(&c->m, p->points[i]);
      point b = matrix_apply(&c->m, p->points[i + 1 < p->ends[k] ? i + 1 : start]);
      area_add_edge(c, a, b);
      top = fminf(top, a.y);
      bottom = fmaxf(bottom, a.y);
    }
  }
  unsigned first = (unsigned)fmaxf(top, 0), end = (unsigned)clamp(ceilf(bottom), 0, (float)c->picture.height);
  for (unsigned y = first; y < end; y++) fill_row(c, y, with, &back, pixel);
}
