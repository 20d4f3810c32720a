/* engine/sample_canvas.h: a small anti-aliased painter for the sample catalogue's pictures.
 *
 * Shapes are paths of straight pieces in unit coordinates (x to the right and y down, both -1 to 1 over the picture);
 * a matrix carries them to pixels. Coverage is the exact area of the path in each pixel, so edges are smooth without
 * drawing at several sizes. A paint says the colour at each place: gradient, pattern, roundness, light.
 * Nothing here allocates once the canvas is made. A canvas is used by one thread at a time.
 */
#ifndef ENGINE_SAMPLE_CANVAS_H
#define ENGINE_SAMPLE_CANVAS_H

#include <stdbool.h>

#include "base/error.h"
#include "media/sample.h"

typedef struct colour {
  float r, g, b;
} colour; /* sRGB, 0 to 1 */
typedef struct point {
  float x, y;
} point;

/* Ottosson's OKLCH (2020): equal steps look equal, so a palette made in it hangs together. Out of gamut is clipped. */
colour colour_oklch(float lightness, float chroma, float hue_degrees);
colour colour_mix(colour a, colour b, float share_of_b);

#define PATH_POINT_MAX 2048
#define PATH_CONTOUR_MAX 96

/* Closed contours; where they overlap the inside stays inside. What does not fit is left out. Zero-initialise. */
typedef struct path {
  point points[PATH_POINT_MAX];
  unsigned ends[PATH_CONTOUR_MAX]; /* one past the last point of each contour */
  unsigned count, contours;
} path;

void path_clear(path *p);
void path_ellipse(path *p, float x, float y, float radius_x, float radius_y);
void path_box(path *p, float left, float top, float right, float bottom);
/* A closed curve through the points (Catmull–Rom), or a polygon when not smooth. */
void path_closed(path *p, const point *through, unsigned count, bool smooth);
/* Half a silhouette, {half width, y} from top to bottom, mirrored about x = centre. */
void path_profile(path *p, float centre, const point *half, unsigned count, bool smooth);
/* A line of some width with round joints and ends. */
void path_stroke(path *p, const point *through, unsigned count, bool smooth, float width);

typedef enum pattern {
  PATTERN_PLAIN,
  PATTERN_STRIPES,
  PATTERN_CHECKS,
  PATTERN_DOTS,
  PATTERN_ZIGZAG,
  PATTERN_FLOWERS
} pattern;

/* Zero is a black, opaque, flat paint. All lengths in the coordinates of the path. */
typedef struct paint {
  colour base, end; /* end is used from `from` to `to` when these differ */
  point from, to;
  float transparency; /* 0: opaque, 1: nothing to see */
  float fade_radius;  /* above 0: from `from` outwards the paint fades to nothing at this distance */
  pattern pattern;
  colour ink;   /* of the pattern */
  float period; /* of the pattern */
  float slant;  /* radians by which the pattern is turned */
  float gloss;  /* 0: flat; 1: lit from the left like a cylinder about x = centre */
  float centre, half_width;
} paint;

typedef struct matrix {
  float xx, xy, yx, yy, x, y;
} matrix;

typedef struct canvas {
  image picture;
  float *area; /* [height, width + 2] signed area differences along each row; all zero between fills */
  matrix m;    /* path → pixels */
} canvas;

/* A square picture. deinit frees; it is harmless on a zeroed canvas. */
medley_status canvas_init(canvas *c, unsigned side, medley_error *err) MEDLEY_CHECK;
void canvas_deinit(canvas *c);
/* From now on paths are scaled, turned about the origin, then moved, all in unit coordinates. */
void canvas_place(canvas *c, float x, float y, float scale_x, float scale_y, float turn);
void canvas_fill(canvas *c, const path *p, const paint *with);

#endif
