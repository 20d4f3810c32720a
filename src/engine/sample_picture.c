/* engine/sample_picture.c: draws a thing: a background in one of four lights, and the thing in its colour, pattern and
 * form.
 *
 * One function draws one kind, in a box from about -0.7 to 0.7 with its foot at y = 0.62. Form is a matter of width and
 * of whether outlines are curved, so that it can be seen across kinds.
 */
#include "base/memory.h"
#include "engine/sample_canvas.h"
#include "engine/sample_world.h"

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define GROUND_Y 0.62f

/* Everything the drawing functions need to know of the thing. */
typedef struct sketch {
  canvas *c;
  const sample_item *item;
  rng r;      /* small accidents of shape and place */
  float sway; /* -1 to 1: where a clip's movement is; 0 in pictures */
  float jitter_x, jitter_y, jitter_size;
  bool smooth; /* curved outlines */
  bool at_sea, in_air, under_water;
  colour main, dark, pale, ink, cream, wood;
  paint cloth; /* main colour with the pattern, for the part that shows it best */
  path p;      /* reused by every shape */
} sketch;

/* ---- colours ---- */

typedef struct palette_row {
  float lightness, chroma, hue;
} palette_row;

/* In the order of the colours in sample_world.c. */
static const palette_row palette[] = {
    {0.58f, 0.21f, 26},  {0.73f, 0.17f, 55}, {0.86f, 0.165f, 94}, {0.63f, 0.16f, 146}, {0.68f, 0.11f, 196},
    {0.55f, 0.18f, 258}, {0.52f, 0.2f, 301}, {0.75f, 0.14f, 355}, {0.47f, 0.085f, 52}, {0.78f, 0.012f, 250}};

typedef struct light_row {
  palette_row top, bottom, ground, far_ground;
  float sun_x, sun_y; /* of the sun or the moon */
} light_row;

static const light_row lights[] = {
    [LIGHT_DAWN] = {{0.85f, 0.06f, 350}, {0.94f, 0.06f, 80}, {0.83f, 0.05f, 75}, {0.78f, 0.05f, 20}, -0.5f, 0.15f},
    [LIGHT_DAY] = {{0.8f, 0.09f, 238}, {0.95f, 0.03f, 215}, {0.87f, 0.07f, 125}, {0.77f, 0.09f, 145}, 0.6f, -0.62f},
    [LIGHT_DUSK] = {{0.42f, 0.12f, 298}, {0.77f, 0.14f, 48}, {0.48f, 0.08f, 330}, {0.38f, 0.09f, 305}, 0.45f, 0.2f},
    [LIGHT_NIGHT] = {{0.2f, 0.06f, 272}, {0.36f, 0.085f, 266}, {0.28f, 0.05f, 262}, {0.24f, 0.05f, 270}, -0.55f, -0.6f},
};

static colour row_colour(palette_row row) { return colour_oklch(row.lightness, row.chroma, row.hue); }

static float around(sketch *s, float spread) { return spread * (2 * (float)rng_uniform(&s->r) - 1); }

static void colours_choose(sketch *s) {
  palette_row row = palette[s->item->value[ATTRIBUTE_COLOUR]];
  row.lightness += around(s, 0.035f);
  row.chroma *= 1 + around(s, 0.1f);
  row.hue += around(s, 7);
  s->main = row_colour(row);
  s->dark = colour_oklch(row.lightness * 0.62f, row.chroma * 0.85f, row.hue - 6);
  s->pale = colour_oklch(0.5f + row.lightness / 2, row.chroma * 0.45f, row.hue + 8);
  s->cream = colour_oklch(0.96f, 0.025f, 90);
  s->wood = colour_oklch(0.5f + around(s, 0.06f), 0.07f, 60);
  /* Light things take dark ink; others one or the other. */
  bool dark_ink = row.lightness > 0.8f || rng_uniform(&s->r) < 0.3;
  s->ink = dark_ink ? colour_oklch(row.lightness * 0.5f, row.chroma * 0.9f, row.hue - 10) : s->cream;
  float slants[] = {0, 0.785f, 1.571f};
  s->cloth = (paint){.base = s->main,
                     .pattern = (pattern)s->item->value[ATTRIBUTE_PATTERN],
                     .ink = s->ink,
                     .period = 0.17f * (1 + around(s, 0.15f)),
                     .slant = s->item->value[ATTRIBUTE_PATTERN] == PATTERN_STRIPES ? slants[rng_below(&s->r, 3)] : 0,
                     .gloss = 1,
                     .half_width = 0.5f};
}

static paint flat(colour c) { return (paint){.base = c}; }
static paint seen_through(colour c, float transparency) { return (paint){.base = c, .transparency = transparency}; }
static paint round_paint(colour c, float centre, float half_width) {
  return (paint){.base = c, .gloss = 1, .centre = centre, .half_width = half_width};
}
static paint gradient(colour a, colour b, float top, float bottom) {
  return (paint){.base = a, .end = b, .from = {0, top}, .to = {0, bottom}};
}
static paint cloth_round(const sketch *s, float centre, float half_width) {
  paint p = s->cloth;
  p.centre = centre;
  p.half_width = half_width;
  return p;
}

/* ---- one shape at a time ---- */

static void fill(sketch *s, paint with) {
  canvas_fill(s->c, &s->p, &with);
  path_clear(&s->p);
}

static void fill_ellipse(sketch *s, float x, float y, float rx, float ry, paint with) {
  path_ellipse(&s->p, x, y, rx, ry);
  fill(s, with);
}

static void fill_box(sketch *s, float left, float top, float right, float bottom, paint with) {
  path_box(&s->p, left, top, right, bottom);
  fill(s, with);
}

static void fill_closed(sketch *s, const point *through, unsigned count, bool smooth, paint with) {
  path_closed(&s->p, through, count, smooth);
  fill(s, with);
}

static void fill_profile(sketch *s, const point *half, unsigned count, bool smooth, paint with) {
  path_profile(&s->p, 0, half, count, smooth);
  fill(s, with);
}

static void draw_line(sketch *s, const point *through, unsigned count, bool smooth, float width, colour c) {
  path_stroke(&s->p, through, count, smooth, width);
  fill(s, flat(c));
}

static void glow(sketch *s, float x, float y, float radius, colour c, float transparency) {
  fill_ellipse(s, x, y, radius, radius,
               (paint){.base = c, .from = {x, y}, .fade_radius = radius, .transparency = transparency});
}

/* ---- backgrounds ---- */

static void place_background(sketch *s) { canvas_place(s->c, 0, 0, 1, 1, 0); }

/* The thing, moved and sized by chance and by its form. */
static void place_thing(sketch *s, float dx, float dy, float turn) {
  static const float wide[] = {1.04f, 0.76f, 0.98f}, high[] = {0.97f, 1.06f, 1};
  unsigned form = s->item->value[ATTRIBUTE_FORM];
  float size = s->jitter_size, foot = GROUND_Y * (1 - size * high[form]); /* the foot stays on the ground */
  if (s->in_air || s->under_water || s->at_sea) foot = 0;
  canvas_place(s->c, s->jitter_x + dx, foot + s->jitter_y + dy, size * wide[form], size * high[form], turn);
}

static void stars_draw(sketch *s) {
  colour white = colour_oklch(0.97f, 0.03f, 95);
  for (int i = 0; i < 26; i++) {
    float x = around(s, 1), y = -0.98f + 1.2f * (float)rng_uniform(&s->r),
          size = 0.005f + 0.008f * (float)rng_uniform(&s->r);
    fill_ellipse(s, x, y, size, size, seen_through(white, 0.2f + 0.5f * (float)rng_uniform(&s->r)));
  }
}

/* The outer arc down the left, the inner one back up. */
static void crescent_draw(sketch *s, float x, float y, colour c) {
  point arc[26];
  for (int i = 0; i < 13; i++) {
    float angle = 0.7f + 4.2f * (float)i / 12 - 0.3f, back = 4.55f - 3.85f * (float)i / 12;
    arc[i] = (point){x + 0.13f * cosf(angle), y + 0.13f * sinf(angle)};
    arc[13 + i] = (point){x + 0.05f + 0.105f * cosf(back), y - 0.03f + 0.105f * sinf(back)};
  }
  fill_closed(s, arc, 26, false, flat(c));
}

static void sun_draw(sketch *s, const light_row *light) {
  unsigned kind = s->item->value[ATTRIBUTE_LIGHT];
  float x = light->sun_x + around(s, 0.15f), y = light->sun_y + around(s, 0.06f);
  if (kind == LIGHT_NIGHT) {
    glow(s, x, y, 0.45f, colour_oklch(0.8f, 0.05f, 250), 0.55f);
    crescent_draw(s, x, y, colour_oklch(0.95f, 0.03f, 95));
    return;
  }
  colour c =
      kind == LIGHT_DAY ? colour_oklch(0.97f, 0.08f, 98) : colour_oklch(0.9f, 0.12f, kind == LIGHT_DUSK ? 60 : 85);
  glow(s, x, y, 0.6f, c, 0.35f);
  fill_ellipse(s, x, y, 0.15f, 0.15f, flat(c));
}

static void cloud_draw(sketch *s, float x, float y, float size, colour c, float transparency) {
  path_ellipse(&s->p, x, y, 0.2f * size, 0.075f * size);
  path_ellipse(&s->p, x - 0.12f * size, y + 0.02f * size, 0.13f * size, 0.06f * size);
  path_ellipse(&s->p, x + 0.13f * size, y + 0.025f * size, 0.14f * size, 0.06f * size);
  path_ellipse(&s->p, x + 0.03f * size, y - 0.055f * size, 0.12f * size, 0.08f * size);
  fill(s, seen_through(c, transparency));
}

static void hills_draw(sketch *s, float y, float height, colour c) {
  float a = around(s, 0.5f);
  const point hill[] = {{-1.3f, y},
                        {-0.8f + a, y - height},
                        {-0.2f + a / 2, y - 0.35f * height},
                        {0.5f - a / 2, y - 0.85f * height},
                        {1.3f, y - 0.1f * height},
                        {1.3f, 1.2f},
                        {-1.3f, 1.2f}};
  fill_closed(s, hill, COUNT(hill), true, flat(c));
}

static void sky_draw(sketch *s, const light_row *light) {
  fill_box(s, -1, -1, 1, 1, gradient(row_colour(light->top), row_colour(light->bottom), -1, 0.6f));
  if (s->item->value[ATTRIBUTE_LIGHT] == LIGHT_NIGHT) stars_draw(s);
  sun_draw(s, light);
  colour cloud = colour_mix(row_colour(light->bottom), (colour){1, 1, 1}, 0.55f);
  int clouds = (s->in_air ? 3 : 1) + (int)rng_below(&s->r, 2);
  for (int i = 0; i < clouds; i++)
    cloud_draw(s, around(s, 0.9f), -0.75f + 0.8f * (float)rng_uniform(&s->r), 0.8f + 0.6f * (float)rng_uniform(&s->r),
               cloud, s->item->value[ATTRIBUTE_LIGHT] == LIGHT_NIGHT ? 0.8f : 0.3f);
}

static void meadow_draw(sketch *s, const light_row *light) {
  hills_draw(s, 0.48f, 0.22f, row_colour(light->far_ground));
  colour ground = row_colour(light->ground);
  const point edge[] = {{-1.3f, 0.5f}, {-0.5f, 0.45f}, {0.4f, 0.49f}, {1.3f, 0.44f}, {1.3f, 1.3f}, {-1.3f, 1.3f}};
  fill_closed(s, edge, COUNT(edge), true,
              gradient(ground, colour_mix(ground, row_colour(light->top), 0.3f), 0.4f, 1.1f));
  if (s->item->value[ATTRIBUTE_KIND] == KIND_BIRD) return; /* on its branch, it throws no shadow */
  float x = s->jitter_x + s->sway * 0.05f;
  canvas_place(s->c, x, GROUND_Y + s->jitter_y, 0.62f * s->jitter_size, 0.1f, 0);
  fill_ellipse(s, 0, 0, 1, 1, (paint){.base = colour_oklch(0.2f, 0.03f, 280), .fade_radius = 1, .transparency = 0.45f});
  place_background(s);
}

static void sea_draw(sketch *s, const light_row *light, float phase_sway) {
  colour near = colour_mix(colour_oklch(0.5f, 0.1f, 240), row_colour(light->top), 0.35f);
  for (int band = 0; band < 4; band++) {
    point wave[16];
    float y = 0.4f + 0.16f * (float)band, shift = phase_sway * (band & 1 ? -0.06f : 0.06f) + around(s, 0.1f);
    for (int i = 0; i < 14; i++)
      wave[i] = (point){-1.3f + 0.2f * (float)i + shift, y + (i & 1 ? 0.022f : -0.022f) * (1 + (float)band / 2)};
    wave[14] = (point){1.3f, 1.4f};
    wave[15] = (point){-1.3f, 1.4f};
    fill_closed(s, wave, 16, true, flat(colour_mix(row_colour(light->bottom), near, 0.4f + 0.2f * (float)band)));
  }
}

static void depths_draw(sketch *s, const light_row *light) {
  colour top = colour_mix(colour_oklch(0.78f, 0.1f, 205), row_colour(light->top), 0.4f);
  colour bottom = colour_mix(colour_oklch(0.4f, 0.1f, 235), row_colour(light->ground), 0.15f);
  fill_box(s, -1, -1, 1, 1, gradient(top, bottom, -1, 0.9f));
  for (int i = 0; i < 3; i++) { /* rays of light */
    float x = -0.7f + 0.6f * (float)i + around(s, 0.2f);
    const point ray[] = {{x, -1.1f}, {x + 0.16f, -1.1f}, {x - 0.15f, 0.9f}, {x - 0.5f, 0.9f}};
    fill_closed(s, ray, COUNT(ray), false, seen_through((colour){1, 1, 1}, 0.9f));
  }
  for (int i = 0; i < 4; i++) { /* weeds */
    float x = around(s, 0.95f), height = 0.3f + 0.3f * (float)rng_uniform(&s->r), lean = 0.06f * s->sway;
    const point weed[] = {{x, 1.05f},
                          {x + 0.05f, 0.95f - height / 3},
                          {x - 0.04f + lean, 0.9f - 2 * height / 3},
                          {x + 0.03f + 2 * lean, 0.9f - height}};
    draw_line(s, weed, COUNT(weed), true, 0.035f, colour_mix(colour_oklch(0.5f, 0.1f, 160), bottom, 0.35f));
  }
  hills_draw(s, 0.95f, 0.14f, colour_mix(colour_oklch(0.85f, 0.07f, 88), bottom, 0.35f));
}

static void background_draw(sketch *s) {
  const light_row *light = &lights[s->item->value[ATTRIBUTE_LIGHT]];
  place_background(s);
  if (s->under_water) {
    depths_draw(s, light);
    return;
  }
  sky_draw(s, light);
  if (s->at_sea)
    sea_draw(s, light, 0);
  else if (s->in_air)
    hills_draw(s, 0.95f, 0.25f, row_colour(light->far_ground));
  else
    meadow_draw(s, light);
}

/* ---- the kinds ---- */

static void lamp_draw(sketch *s) {
  static const point shades[3][4] = {{{0.2f, -0.62f}, {0.36f, -0.5f}, {0.46f, -0.25f}, {0.49f, -0.02f}},
                                     {{0.3f, -0.62f}, {0.36f, -0.42f}, {0.42f, -0.22f}, {0.46f, -0.02f}},
                                     {{0.2f, -0.62f}, {0.3f, -0.42f}, {0.4f, -0.22f}, {0.5f, -0.02f}}};
  static const point round_stem[] = {{0.03f, -0.05f}, {0.03f, 0.12f}, {0.14f, 0.26f}, {0.15f, 0.36f},
                                     {0.05f, 0.5f},   {0.24f, 0.59f}, {0.25f, 0.62f}};
  static const point straight_stem[] = {{0.035f, -0.05f}, {0.035f, 0.54f}, {0.26f, 0.56f}, {0.26f, 0.62f}};
  bool shines = s->item->value[ATTRIBUTE_LIGHT] != LIGHT_DAY;
  place_thing(s, 0, 0, 0.06f * s->sway);
  colour warm = colour_oklch(0.93f, 0.1f, 90);
  if (shines) glow(s, 0, -0.2f, 1.15f, warm, 0.35f);
  paint metal = round_paint(colour_mix(s->dark, s->wood, 0.5f), 0, 0.2f);
  if (s->smooth)
    fill_profile(s, round_stem, COUNT(round_stem), true, metal);
  else
    fill_profile(s, straight_stem, COUNT(straight_stem), false, metal);
  fill_ellipse(s, 0, -0.02f, 0.12f, 0.05f, flat(warm));
  fill_profile(s, shades[s->item->value[ATTRIBUTE_FORM]], 4, s->smooth, cloth_round(s, 0, 0.5f));
  if (shines) glow(s, 0, -0.1f, 0.4f, warm, 0.55f);
  const point rim[] = {{-0.47f, -0.025f}, {0.47f, -0.025f}};
  draw_line(s, rim, 2, false, 0.03f, s->dark);
}

static void blossom_draw(sketch *s, float x, float y, float size, colour petal) {
  for (int k = 0; k < 5; k++) {
    float angle = 1.2566f * (float)k + 0.3f;
    path_ellipse(&s->p, x + size * cosf(angle), y + size * sinf(angle), 0.8f * size, 0.8f * size);
  }
  fill(s, flat(petal));
  fill_ellipse(s, x, y, 0.55f * size, 0.55f * size, flat(colour_oklch(0.85f, 0.15f, 85)));
}

static void vase_draw(sketch *s) {
  static const point curved[] = {{0.2f, -0.3f}, {0.13f, -0.2f}, {0.16f, -0.08f}, {0.38f, 0.14f},
                                 {0.4f, 0.34f}, {0.26f, 0.55f}, {0.2f, 0.62f}};
  static const point straight[] = {{0.22f, -0.3f}, {0.14f, -0.16f}, {0.42f, 0.16f}, {0.2f, 0.62f}};
  place_thing(s, 0, 0, 0.05f * s->sway);
  colour leaf = colour_oklch(0.5f, 0.11f, 145), petals[] = {s->cream, s->pale, colour_oklch(0.8f, 0.1f, 20)};
  colour petal = petals[rng_below(&s->r, 3)];
  for (int k = -1; k <= 1; k++) {
    float x = 0.24f * (float)k + around(s, 0.06f) + 0.03f * s->sway,
          y = -0.66f + 0.1f * (float)(k * k) + around(s, 0.06f);
    const point stem[] = {{0, -0.2f}, {0.4f * x, -0.42f}, {x, y}};
    draw_line(s, stem, 3, true, 0.022f, leaf);
    fill_ellipse(s, 0.45f * x + 0.05f, -0.43f, 0.06f, 0.025f, flat(leaf));
    blossom_draw(s, x, y, 0.075f, petal);
  }
  if (s->smooth)
    fill_profile(s, curved, COUNT(curved), true, cloth_round(s, 0, 0.42f));
  else
    fill_profile(s, straight, COUNT(straight), false, cloth_round(s, 0, 0.42f));
  fill_ellipse(s, 0, -0.3f, 0.21f, 0.035f, flat(s->dark));
}

static void shirt_draw(sketch *s) {
  const point curved[] = {{-0.17f, -0.5f},  {-0.4f, -0.42f}, {-0.7f, -0.1f},  {-0.56f, 0.06f},
                          {-0.37f, -0.08f}, {-0.35f, 0.2f},  {-0.37f, 0.52f}, {0, 0.57f},
                          {0.37f, 0.52f},   {0.35f, 0.2f},   {0.37f, -0.08f}, {0.56f, 0.06f},
                          {0.7f, -0.1f},    {0.4f, -0.42f},  {0.17f, -0.5f},  {0, -0.44f}};
  const point straight[] = {{-0.17f, -0.52f}, {-0.42f, -0.44f}, {-0.74f, -0.12f}, {-0.56f, 0.06f},
                            {-0.38f, -0.1f},  {-0.38f, 0.56f},  {0.38f, 0.56f},   {0.38f, -0.1f},
                            {0.56f, 0.06f},   {0.74f, -0.12f},  {0.42f, -0.44f},  {0.17f, -0.52f}};
  place_thing(s, 0.03f * s->sway, -0.02f, 0.08f * s->sway);
  const point hook[] = {{0, -0.56f}, {0, -0.66f}, {0.06f, -0.72f}, {0.02f, -0.79f}, {-0.06f, -0.75f}};
  draw_line(s, hook, COUNT(hook), true, 0.025f, s->wood);
  const point bar[] = {{-0.34f, -0.42f}, {0, -0.56f}, {0.34f, -0.42f}};
  draw_line(s, bar, 3, false, 0.04f, s->wood);
  paint cloth = cloth_round(s, 0, 0.8f);
  cloth.gloss = 0.7f;
  if (s->smooth)
    fill_closed(s, curved, COUNT(curved), true, cloth);
  else
    fill_closed(s, straight, COUNT(straight), false, cloth);
  const point left[] = {{-0.18f, -0.5f}, {0, -0.42f}, {-0.08f, -0.27f}, {-0.25f, -0.42f}};
  const point right[] = {{0.18f, -0.5f}, {0, -0.42f}, {0.08f, -0.27f}, {0.25f, -0.42f}};
  fill_closed(s, left, 4, false, flat(s->pale));
  fill_closed(s, right, 4, false, flat(s->pale));
  for (int k = 0; k < 4; k++) fill_ellipse(s, 0, -0.2f + 0.19f * (float)k, 0.022f, 0.022f, flat(s->dark));
  const point fold_left[] = {{-0.37f, -0.1f}, {-0.3f, 0.08f}}, fold_right[] = {{0.37f, -0.1f}, {0.3f, 0.08f}};
  draw_line(s, fold_left, 2, false, 0.012f, s->dark);
  draw_line(s, fold_right, 2, false, 0.012f, s->dark);
}

static void ship_draw(sketch *s) {
  static const point round_hull[] = {{-0.68f, 0.3f}, {-0.3f, 0.36f}, {0.3f, 0.36f},  {0.72f, 0.25f},
                                     {0.55f, 0.52f}, {0.2f, 0.62f},  {-0.3f, 0.62f}, {-0.56f, 0.52f}};
  static const point sharp_hull[] = {{-0.64f, 0.32f}, {0.74f, 0.32f}, {0.5f, 0.62f}, {-0.5f, 0.62f}};
  place_thing(s, 0.04f * s->sway, 0.02f * s->sway, 0.07f * s->sway);
  const point mast[] = {{0.02f, 0.36f}, {0.02f, -0.74f}};
  draw_line(s, mast, 2, false, 0.035f, s->wood);
  const point flag[] = {{0.02f, -0.76f}, {0.2f, -0.71f}, {0.02f, -0.65f}};
  fill_closed(s, flag, 3, false, flat(s->dark));
  float belly = s->smooth ? 0.1f : 0;
  const point main_sail[] = {{0.06f, -0.64f}, {0.36f + belly, -0.25f}, {0.6f, 0.2f}, {0.3f, 0.22f}, {0.06f, 0.2f}};
  const point fore_sail[] = {
      {-0.03f, -0.54f}, {-0.26f - belly, -0.2f}, {-0.48f, 0.2f}, {-0.25f, 0.22f}, {-0.03f, 0.2f}};
  fill_closed(s, main_sail, COUNT(main_sail), false, cloth_round(s, 0.3f, 0.6f));
  fill_closed(s, fore_sail, COUNT(fore_sail), false, gradient(s->cream, s->pale, -0.5f, 0.25f));
  colour hull = colour_mix(s->dark, s->wood, 0.3f);
  if (s->smooth)
    fill_closed(s, round_hull, COUNT(round_hull), true,
                gradient(hull, colour_mix(hull, (colour){0, 0, 0}, 0.35f), 0.25f, 0.65f));
  else
    fill_closed(s, sharp_hull, COUNT(sharp_hull), false,
                gradient(hull, colour_mix(hull, (colour){0, 0, 0}, 0.35f), 0.25f, 0.65f));
  for (int k = -1; k <= 1; k++) fill_ellipse(s, 0.22f * (float)k, 0.43f, 0.04f, 0.04f, flat(s->cream));
  /* Water before the hull, so that it floats. */
  canvas_place(s->c, 0, 0, 1, 1, 0);
  const light_row *light = &lights[s->item->value[ATTRIBUTE_LIGHT]];
  colour water = colour_mix(row_colour(light->bottom),
                            colour_mix(colour_oklch(0.5f, 0.1f, 240), row_colour(light->top), 0.35f), 0.75f);
  point wave[16];
  for (int i = 0; i < 14; i++)
    wave[i] = (point){-1.3f + 0.2f * (float)i - 0.05f * s->sway, 0.56f + s->jitter_y + (i & 1 ? 0.03f : -0.02f)};
  wave[14] = (point){1.3f, 1.4f};
  wave[15] = (point){-1.3f, 1.4f};
  fill_closed(s, wave, 16, true, seen_through(water, 0.15f));
}

static void guitar_draw(sketch *s) {
  static const point body[] = {{0.06f, -0.1f}, {0.23f, -0.06f}, {0.27f, 0.06f}, {0.2f, 0.19f},
                               {0.34f, 0.34f}, {0.33f, 0.53f},  {0.16f, 0.62f}, {0, 0.63f}};
  static const point sharp[] = {{0.07f, -0.1f}, {0.3f, -0.08f}, {0.2f, 0.18f},
                                {0.38f, 0.44f}, {0.2f, 0.63f},  {0, 0.63f}};
  place_thing(s, 0.03f * s->sway, 0, 0.14f + 0.08f * s->sway);
  if (s->smooth)
    fill_profile(s, body, COUNT(body), true, flat(s->dark));
  else
    fill_profile(s, sharp, COUNT(sharp), false, flat(s->dark));
  /* The top is the same shape, a little smaller, so that a rim stays. */
  place_thing(s, 0.03f * s->sway, 0.01f - 0.02f * s->jitter_size, 0.14f + 0.08f * s->sway);
  s->c->m.xx *= 0.93f, s->c->m.yx *= 0.93f, s->c->m.xy *= 0.965f, s->c->m.yy *= 0.965f;
  if (s->smooth)
    fill_profile(s, body, COUNT(body), true, cloth_round(s, 0, 0.4f));
  else
    fill_profile(s, sharp, COUNT(sharp), false, cloth_round(s, 0, 0.4f));
  colour neck = colour_mix(s->wood, (colour){0, 0, 0}, 0.35f), black = colour_oklch(0.22f, 0.02f, 60);
  fill_ellipse(s, 0, 0.17f, 0.115f, 0.115f, flat(s->wood));
  fill_ellipse(s, 0, 0.17f, 0.09f, 0.09f, flat(black));
  fill_box(s, -0.045f, -0.66f, 0.045f, 0.12f, flat(neck));
  const point head[] = {{-0.06f, -0.66f}, {-0.085f, -0.86f}, {0.085f, -0.86f}, {0.06f, -0.66f}};
  fill_closed(s, head, 4, false, flat(s->dark));
  for (int k = 0; k < 6; k++)
    fill_ellipse(s, k & 1 ? 0.1f : -0.1f, -0.83f + 0.055f * (float)(k / 2), 0.022f, 0.016f, flat(s->cream));
  for (int k = 0; k < 7; k++)
    fill_box(s, -0.045f, -0.6f + 0.095f * (float)k, 0.045f, -0.592f + 0.095f * (float)k, flat(s->cream));
  fill_box(s, -0.12f, 0.4f, 0.12f, 0.44f, flat(black));
  for (int k = -1; k <= 1; k++)
    fill_box(s, 0.024f * (float)k - 0.004f, -0.84f, 0.024f * (float)k + 0.004f, 0.42f, flat(s->cream));
}

static void bird_draw(sketch *s) {
  static const point body[] = {{-0.42f, -0.12f}, {-0.28f, -0.38f}, {-0.02f, -0.38f}, {0.16f, -0.14f},
                               {0.44f, 0.04f},   {0.34f, 0.26f},   {0.02f, 0.36f},   {-0.3f, 0.2f}};
  static const point sharp[] = {{-0.42f, -0.14f}, {-0.26f, -0.4f}, {0.02f, -0.36f},
                                {0.48f, 0.06f},   {0.22f, 0.34f},  {-0.24f, 0.3f}};
  float hop = -0.04f * fabsf(s->sway);
  place_thing(s, 0, 0, 0);
  const point branch[] = {{-0.9f, 0.52f}, {-0.3f, 0.47f}, {0.35f, 0.49f}, {0.95f, 0.4f}};
  draw_line(s, branch, COUNT(branch), true, 0.06f, colour_mix(s->wood, (colour){0, 0, 0}, 0.2f));
  for (int k = 0; k < 4; k++) {
    float x = -0.75f + 0.45f * (float)k + around(s, 0.08f);
    fill_ellipse(s, x, 0.42f + around(s, 0.03f), 0.085f, 0.04f, flat(colour_oklch(0.6f, 0.12f, 135)));
  }
  place_thing(s, 0, hop, 0.06f * s->sway);
  const point leg_a[] = {{-0.06f, 0.3f}, {-0.08f, 0.48f}}, leg_b[] = {{0.08f, 0.3f}, {0.08f, 0.48f}};
  colour beak = colour_oklch(0.75f, 0.16f, 65);
  draw_line(s, leg_a, 2, false, 0.025f, beak);
  draw_line(s, leg_b, 2, false, 0.025f, beak);
  const point tail[] = {{0.3f, 0.0f}, {0.78f, 0.06f}, {0.7f, 0.17f}, {0.74f, 0.26f}, {0.28f, 0.22f}};
  fill_closed(s, tail, COUNT(tail), false, flat(s->dark));
  const point bill[] = {{-0.38f, -0.23f}, {-0.6f, -0.12f}, {-0.38f, -0.07f}};
  fill_closed(s, bill, 3, false, flat(beak));
  paint feathers = gradient(s->main, colour_mix(s->main, s->pale, 0.6f), -0.3f, 0.35f);
  if (s->smooth)
    fill_closed(s, body, COUNT(body), true, feathers);
  else
    fill_closed(s, sharp, COUNT(sharp), false, feathers);
  float lift = 0.1f * s->sway;
  const point wing[] = {{-0.12f, -0.1f},     {0.12f, -0.16f - lift}, {0.52f, 0.06f - 2 * lift},
                        {0.4f, 0.2f - lift}, {0.1f, 0.24f},          {-0.1f, 0.12f}};
  paint feather = cloth_round(s, 0.15f, 0.7f);
  if (feather.pattern == PATTERN_PLAIN) feather.base = s->dark;
  feather.period *= 0.75f;
  fill_closed(s, wing, COUNT(wing), s->smooth, feather);
  fill_ellipse(s, -0.25f, -0.18f, 0.06f, 0.06f, flat(s->cream));
  fill_ellipse(s, -0.265f, -0.18f, 0.034f, 0.034f, flat(colour_oklch(0.2f, 0.02f, 60)));
}

static void balloon_draw(sketch *s) {
  static const point envelope[] = {{0, -0.74f},    {0.3f, -0.66f}, {0.5f, -0.42f},
                                   {0.5f, -0.16f}, {0.34f, 0.12f}, {0.12f, 0.34f}};
  static const point sharp[] = {{0.14f, -0.74f}, {0.44f, -0.6f}, {0.54f, -0.26f}, {0.34f, 0.1f}, {0.12f, 0.34f}};
  place_thing(s, 0.06f * s->sway, -0.08f * s->sway, 0.05f * s->sway);
  for (int k = -1; k <= 1; k += 2) {
    const point rope[] = {{0.11f * (float)k, 0.33f}, {0.085f * (float)k, 0.52f}};
    draw_line(s, rope, 2, false, 0.012f, s->wood);
  }
  const point basket[] = {{-0.11f, 0.5f}, {0.11f, 0.5f}, {0.09f, 0.68f}, {-0.09f, 0.68f}};
  fill_closed(s, basket, 4, false,
              (paint){.base = s->wood,
                      .pattern = PATTERN_CHECKS,
                      .ink = colour_mix(s->wood, (colour){0, 0, 0}, 0.25f),
                      .period = 0.06f});
  if (s->smooth)
    fill_profile(s, envelope, COUNT(envelope), true, cloth_round(s, 0, 0.54f));
  else
    fill_profile(s, sharp, COUNT(sharp), false, cloth_round(s, 0, 0.54f));
  /* Seams make it a balloon. */
  for (int k = -1; k <= 1; k++) {
    float x = 0.3f * (float)k;
    const point seam[] = {{0, -0.735f}, {0.72f * x, -0.6f}, {1.1f * x, -0.3f}, {0.75f * x, 0.1f}, {0.25f * x, 0.33f}};
    path_stroke(&s->p, seam, COUNT(seam), true, 0.012f);
    fill(s, seen_through(s->dark, 0.35f));
  }
  fill_box(s, -0.125f, 0.31f, 0.125f, 0.355f, flat(s->dark));
}

static void fish_draw(sketch *s) {
  static const point body[] = {{-0.62f, 0.02f}, {-0.4f, -0.2f}, {-0.05f, -0.3f}, {0.3f, -0.14f},
                               {0.48f, 0},      {0.3f, 0.16f},  {-0.05f, 0.3f},  {-0.4f, 0.22f}};
  static const point sharp[] = {{-0.64f, 0.02f}, {-0.15f, -0.34f}, {0.46f, -0.02f}, {0.46f, 0.05f}, {-0.15f, 0.34f}};
  place_thing(s, -0.1f * s->sway, 0.04f * s->sway, 0.1f * s->sway);
  float flick = 0.1f * s->sway;
  const point tail[] = {{0.36f, 0},
                        {0.6f, -0.26f + flick},
                        {0.76f, -0.28f + flick},
                        {0.66f, 0.01f + flick},
                        {0.76f, 0.3f + flick},
                        {0.6f, 0.27f + flick}};
  fill_closed(s, tail, COUNT(tail), s->smooth, gradient(s->main, s->dark, -0.3f, 0.3f));
  const point upper[] = {{-0.3f, -0.2f}, {0.0f, -0.52f}, {0.26f, -0.42f}, {0.28f, -0.12f}};
  const point lower[] = {{-0.1f, 0.22f}, {0.1f, 0.46f}, {0.28f, 0.4f}, {0.22f, 0.14f}};
  fill_closed(s, upper, 4, s->smooth, flat(s->dark));
  fill_closed(s, lower, 4, s->smooth, flat(s->dark));
  paint scales = s->cloth;
  scales.gloss = 0;
  if (s->smooth)
    fill_closed(s, body, COUNT(body), true, scales);
  else
    fill_closed(s, sharp, COUNT(sharp), false, scales);
  /* Belly light and face over the pattern. */
  const point face[] = {{-0.62f, 0.02f}, {-0.44f, -0.17f}, {-0.32f, -0.1f},
                        {-0.28f, 0.04f}, {-0.34f, 0.17f},  {-0.46f, 0.17f}};
  fill_closed(s, face, COUNT(face), s->smooth, flat(colour_mix(s->main, s->pale, 0.6f)));
  fill_ellipse(s, -0.43f, -0.04f, 0.06f, 0.06f, flat(s->cream));
  fill_ellipse(s, -0.44f, -0.04f, 0.034f, 0.034f, flat(colour_oklch(0.2f, 0.02f, 60)));
  const point fin[] = {{-0.12f, 0.02f}, {0.12f, 0.0f + flick}, {0.08f, 0.14f + flick}};
  fill_closed(s, fin, 3, s->smooth, flat(s->dark));
  for (int k = 0; k < 4; k++) {
    float x = -0.66f - 0.05f * (float)k + around(s, 0.05f), y = -0.18f - 0.17f * (float)k - 0.05f * s->sway,
          size = 0.022f + 0.01f * (float)(k % 3);
    fill_ellipse(s, x, y, size, size, seen_through((colour){1, 1, 1}, 0.55f));
  }
}

static void (*const draws[])(sketch *) = {
    [KIND_LAMP] = lamp_draw,     [KIND_VASE] = vase_draw, [KIND_SHIRT] = shirt_draw,     [KIND_SHIP] = ship_draw,
    [KIND_GUITAR] = guitar_draw, [KIND_BIRD] = bird_draw, [KIND_BALLOON] = balloon_draw, [KIND_FISH] = fish_draw};

medley_status sample_picture_draw(const sample_item *item, unsigned side, float phase, image *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  canvas c = {0};
  sketch *s = NULL;
  unsigned kind = item->value[ATTRIBUTE_KIND];
  TRY(canvas_init(&c, side, err));
  TRY_NEW(s, 1, "a picture"); /* a path is too large for every stack */
  *s = (sketch){.c = &c, .item = item, .sway = sinf(phase * 6.2831853f)};
  rng_seed(&s->r, item->seed ^ 0x91c7);
  s->smooth = item->value[ATTRIBUTE_FORM] != FORM_ANGULAR;
  s->at_sea = kind == KIND_SHIP;
  s->in_air = kind == KIND_BALLOON;
  s->under_water = kind == KIND_FISH;
  s->jitter_x = around(s, 0.1f);
  s->jitter_y = around(s, 0.05f);
  s->jitter_size = 0.96f + around(s, 0.09f);
  if (kind == KIND_GUITAR) s->jitter_size *= 0.88f; /* the longest thing has to fit too */
  colours_choose(s);
  background_draw(s);
  draws[kind](s);
  *out = c.picture;
  c.picture = (image){0};
done:
  mem_free(s);
  canvas_deinit(&c);
  return status;
}
