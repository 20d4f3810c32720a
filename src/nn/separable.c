/* nn/separable.c: see nn/separable.h; the kernels are math/maps.h's. How a network is read: separable_read.c.
 *
 * Strips: a thread that owns some rows of a layer's output goes down them `strip` rows at a time. The widened rows that
 * the windows of a strip look at lie in a ring, so that the two rows which a strip shares with the next are made once;
 * each row is made by one product over its pixels. Threads that share a picture make the one or two rows at their
 * common edge twice, and wait for each other between layers only.
 */
#include "nn/separable_parts.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"

/* ---- working memory: kept between calls, because new pages cost a tenth of a small picture's time ---- */

struct separable_space {
  size_t ranks;   /* threads that can work in it */
  float *input;   /* [height + 1, (width + 1) * channels] the picture, a row and a
                     column of zeros behind, or before it when padding is centred */
  float *maps[2]; /* [map_floats] what a layer reads and what it writes */
  float *strips;  /* [ranks, strip_floats] */
  separable_space *next;
};

static void space_free(separable_space *s) {
  if (s == NULL) return;
  mem_free(s->input);
  mem_free(s->maps[0]);
  mem_free(s->maps[1]);
  mem_free(s->strips);
  mem_free(s);
}

void separable_spaces_free(separable *net) {
  while (net->spaces != NULL) {
    separable_space *next = net->spaces->next;
    space_free(net->spaces);
    net->spaces = next;
  }
}

static size_t input_row(const separable *net) { return (net->width + 1) * net->channels; }

static separable_space *space_create(const separable *net, size_t ranks) {
  separable_space *s = mem_zalloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->ranks = ranks;
  /* A window's run of three pixels at the last column reads the padding, nothing beyond it. */
  s->input = mem_zalloc_aligned((net->height + 1) * input_row(net), sizeof(float));
  s->maps[0] = mem_zalloc_aligned(net->map_floats, sizeof(float));
  s->maps[1] = mem_zalloc_aligned(net->map_floats, sizeof(float));
  s->strips = mem_zalloc_aligned(ranks * net->strip_floats, sizeof(float));
  if (s->input != NULL && s->maps[0] != NULL && s->maps[1] != NULL && s->strips != NULL) return s;
  space_free(s);
  return NULL;
}

static separable_space *space_take(const separable *net, size_t ranks) {
  separable *owner = (separable *)(uintptr_t)net; /* the list has a lock of its own */
  separable_space *s = NULL;
  pthread_mutex_lock(&owner->lock);
  for (separable_space **at = &owner->spaces; *at != NULL && s == NULL; at = s == NULL ? &(*at)->next : at)
    if ((*at)->ranks >= ranks) {
      s = *at;
      *at = s->next;
    }
  pthread_mutex_unlock(&owner->lock);
  return s != NULL ? s : space_create(net, ranks);
}

static void space_give(const separable *net, separable_space *s) {
  separable *owner = (separable *)(uintptr_t)net;
  pthread_mutex_lock(&owner->lock);
  s->next = owner->spaces;
  owner->spaces = s;
  pthread_mutex_unlock(&owner->lock);
}

/* ---- one layer ---- */

/* Room for pixels in int8. */
typedef struct codes {
  float *scale;
  uint8_t *codes;
} codes;

/* One thread's share of one layer of one picture. */
typedef struct layer_pass {
  const separable *net;
  const separable_stage *stage;
  const float *x; /* [in_height, in_width, in_step] */
  float *y;       /* [out_height, out_width, out_step] */
  float *ring;    /* [ring_rows, in_width, middle] widened rows: row r at r %
                     ring_rows */
  float *slid;    /* [strip, out_width, middle]; in int8: codes */
  codes codes;    /* room for code_pixels of the input */
} layer_pass;

static maps_product product_of(const separable_product *p) {
  return (maps_product){.segments = 1,
                        .depth = p->depth,
                        .weight = p->weight,
                        .weight_bf16 = p->small,
                        .bias = p->bias,
                        .panels = p->panels,
                        .y_step = p->panels * MAPS_LANES,
                        .low = p->low,
                        .high = p->high};
}

/* Begins at a later panel's weights. */
static void weights_skip(maps_product *p, size_t panel) {
  size_t count = panel * MAPS_LANES * p->depth;
  if (p->weight != NULL)
    p->weight += count;
  else
    p->weight_bf16 += count;
}

/* The same product with int8 weights, of pixels that are codes; what a code stands for is still to be said. */
static maps_product_int8 coded_of(const separable_product *q, const maps_product *p, const uint8_t *x, size_t x_step) {
  return (maps_product_int8){.x = x,
                             .x_step = x_step,
                             .depth = q->depth,
                             .pixels = p->pixels,
                             .weight = q->codes,
                             .weight_scale = q->code_scale,
                             .weight_sum = q->code_sum,
                             .bias = p->bias,
                             .panels = p->panels,
                             .y = p->y,
                             .y_step = p->y_step,
                             .add = p->add,
                             .add_step = p->add_step,
                             .low = p->low,
                             .high = p->high};
}

/* … of pixels that are float32 still. */
static void multiply_coded(const separable_product *q, const maps_product *p, const codes *room) {
  size_t step = maps_round(q->depth);
  maps_product_int8 coded = coded_of(q, p, room->codes, step);
  maps_int8_quantise(p->x, p->x_step, p->pixels, q->depth, room->codes, step, room->scale);
  coded.zero = 128;
  coded.x_scale = room->scale;
  maps_int8_multiply(&coded);
}

static void multiply(const separable_product *q, const maps_product *p, const codes *room) {
  if (q->codes != NULL)
    multiply_coded(q, p, room);
  else
    maps_multiply(p);
}

/* A row of the picture seen through windows of 3 × 3 that move by two: three runs of three pixels. */
static void stem_row(const layer_pass *l, size_t row, float *to) {
  const separable *net = l->net;
  maps_product p = product_of(&l->stage->expand);
  p.segments = 3, p.segment_step = input_row(net), p.depth = 3 * net->channels;
  p.x = l->x + 2 * row * p.segment_step, p.x_step = 2 * net->channels;
  p.pixels = l->stage->in_width, p.y = to;
  maps_multiply(&p);
}

/* Widened rows [from, to) into the ring. */
static void expand_rows(const layer_pass *l, size_t from, size_t to) {
  const separable_stage *s = l->stage;
  size_t row_floats = s->in_width * s->middle;
  for (size_t row = from, count; row < to; row += count) {
    size_t at = row % s->ring_rows;
    float *y = l->ring + at * row_floats;
    count = 1;
    if (s->stem) {
      stem_row(l, row, y);
      continue;
    }
    count = to - row < s->ring_rows - at ? to - row : s->ring_rows - at;
    maps_product p = product_of(&s->expand);
    p.x = l->x + row * s->in_width * s->in_step, p.x_step = s->in_step;
    p.pixels = count * s->in_width, p.y = y;
    multiply(&s->expand, &p, &l->codes);
  }
}

static const float *window_row(const layer_pass *l, size_t row) {
  const separable_stage *s = l->stage;
  if (!separable_product_is_there(&s->expand)) return l->x + row * s->in_width * s->in_step;
  return l->ring + row % s->ring_rows * s->in_width * s->middle;
}

/* Below a ceiling one scale does for all that lies slid, so that it is never a float; otherwise each pixel gets its own
 * when the strip is done. */
static bool slides_to_codes(const layer_pass *l) {
  return l->stage->project.codes != NULL && isfinite(l->net->ceiling);
}

/* A row of windows into row `at` of what lies slid. Between 0 and the ceiling 255 steps do for int8. */
static void slide_row(const layer_pass *l, size_t out_row, size_t at) {
  const separable_stage *s = l->stage;
  size_t first = at * s->out_width * s->middle;
  maps_window w = {.width = s->in_width,
                   .channels = s->middle,
                   .stride = s->stride,
                   .before = s->before_wide,
                   .out = s->out_width,
                   .weight = s->window,
                   .bias = s->window_bias,
                   .high = l->net->ceiling};
  if (slides_to_codes(l))
    w.codes = (uint8_t *)l->slid + first, w.code_rate = 255 / l->net->ceiling;
  else
    w.y = l->slid + first;
  for (size_t k = 0; k < 3; k++) {
    size_t row = out_row * s->stride + k; /* counted from the padding on */
    bool inside = row >= s->before_high && row - s->before_high < s->in_height;
    w.row[k] = inside ? window_row(l, row - s->before_high) : NULL;
  }
  maps_slide(&w);
}

static void project_coded(const layer_pass *l, const maps_product *p) {
  maps_product_int8 coded = coded_of(&l->stage->project, p, (const uint8_t *)l->slid, l->stage->middle);
  coded.x_scale_of_all = l->net->ceiling / 255;
  maps_int8_multiply(&coded);
}

static void project_rows(const layer_pass *l, size_t from, size_t count) {
  const separable_stage *s = l->stage;
  maps_product p = product_of(&s->project);
  p.x = l->slid, p.x_step = s->middle;
  p.pixels = count * s->out_width;
  p.y = l->y + from * s->out_width * p.y_step;
  if (s->residual) p.add = l->x + from * s->in_width * s->in_step, p.add_step = s->in_step;
  if (slides_to_codes(l))
    project_coded(l, &p);
  else
    multiply(&s->project, &p, &l->codes);
}

/* Rows [from, to) of the layer's output. */
static void layer_rows(const layer_pass *l, size_t from, size_t to) {
  const separable_stage *s = l->stage;
  size_t made = 0; /* widened rows below this are in the ring, or were */
  for (size_t row = from; row < to; row += s->strip) {
    size_t count = to - row < s->strip ? to - row : s->strip;
    size_t top = row * s->stride, bottom = (row + count - 1) * s->stride + 3;
    top = top > s->before_high ? top - s->before_high : 0;
    bottom = bottom - s->before_high < s->in_height ? bottom - s->before_high : s->in_height;
    if (made < top) made = top;
    if (separable_product_is_there(&s->expand) && made < bottom) expand_rows(l, made, bottom);
    made = bottom;
    for (size_t k = 0; k < count; k++) slide_row(l, row + k, k);
    project_rows(l, row, count);
  }
}

/* ---- the end of the network ---- */

/* Means over the places of channels of `panels` panels, which lie y_step apart.
 */
static void average(const float *map, size_t places, size_t step, size_t channels, float *mean) {
  for (size_t c = 0; c < channels; c++) mean[c] = 0;
  for (size_t i = 0; i < places; i++)
    _Pragma("omp simd") for (size_t c = 0; c < channels; c++) mean[c] += map[i * step + c];
  for (size_t c = 0; c < channels; c++) mean[c] /= (float)places;
}

enum { HEAD_PANELS = 2 }; /* at once: their map stays in the first cache until it is averaged */

/* The last map through `count` panels of the head from `panel` on, into scratch [places, count * MAPS_LANES]. */
static void head_map(const separable *net, const maps_product *whole, size_t panel, size_t count, const codes *room,
                     float *scratch) {
  maps_product p = *whole;
  p.panels = count, p.y = scratch, p.y_step = count * MAPS_LANES;
  p.bias += panel * MAPS_LANES;
  if (net->head.codes == NULL) {
    weights_skip(&p, panel);
    maps_multiply(&p);
    return;
  }
  const separable_product *q = &net->head;
  size_t first = panel * MAPS_LANES;
  maps_int8_multiply(&(maps_product_int8){.x = room->codes,
                                          .x_step = maps_round(q->depth),
                                          .depth = q->depth,
                                          .pixels = p.pixels,
                                          .zero = 128,
                                          .x_scale = room->scale,
                                          .weight = q->codes + first * q->depth,
                                          .weight_scale = q->code_scale + first,
                                          .weight_sum = q->code_sum + first,
                                          .bias = p.bias,
                                          .panels = count,
                                          .y = p.y,
                                          .y_step = p.y_step,
                                          .low = p.low,
                                          .high = p.high});
}

/* Panels [from, to) of the embedding. scratch: the strip of this thread. */
static void embed_panels(const separable *net, const float *x, float *scratch, size_t from, size_t to, float *out) {
  const separable_stage *last = &net->stages[net->stage_count - 1];
  size_t places = last->out_height * last->out_width, step = last->project.panels * MAPS_LANES;
  codes room = {scratch + places * HEAD_PANELS * MAPS_LANES, NULL};
  room.codes = (uint8_t *)(room.scale + places);
  maps_product whole = product_of(&net->head);
  whole.x = x, whole.x_step = step, whole.pixels = places;
  if (net->head.codes != NULL && from < to)
    maps_int8_quantise(x, step, places, net->head.depth, room.codes, maps_round(net->head.depth), room.scale);
  for (size_t panel = from, count; panel < to; panel += count) {
    count = to - panel < HEAD_PANELS ? to - panel : HEAD_PANELS;
    size_t first = panel * MAPS_LANES, channels = count * MAPS_LANES;
    if (channels > net->dim - first) channels = net->dim - first;
    if (!separable_product_is_there(&net->head)) {
      average(x + first, places, step, channels, out + first);
      continue;
    }
    head_map(net, &whole, panel, count, &room, scratch);
    average(scratch, places, count * MAPS_LANES, channels, out + first);
  }
}

/* ---- a picture, by one thread or by a team ---- */

static void team_wait(size_t size) {
  if (size > 1) {
#pragma omp barrier
  }
}

static size_t share(size_t count, size_t rank, size_t size) { return count * rank / size; }

/* The picture in the space's input becomes an embedding. All `size` threads of a team call it. */
static void run_picture(const separable *net, separable_space *space, size_t rank, size_t size, float *embedding) {
  const float *x = space->input;
  for (size_t i = 0; i < net->stage_count; i++) {
    const separable_stage *s = &net->stages[i];
    float *strip = space->strips + rank * net->strip_floats;
    layer_pass l = {net, s, x, space->maps[i % 2], strip, NULL, {NULL, NULL}};
    l.slid = l.ring + s->ring_rows * s->in_width * s->middle;
    l.codes.scale = l.slid + s->strip * s->out_width * s->middle;
    l.codes.codes = (uint8_t *)(l.codes.scale + s->code_pixels);
    layer_rows(&l, share(s->out_height, rank, size), share(s->out_height, rank + 1, size));
    team_wait(size);
    x = l.y;
  }
  size_t pairs = (maps_round(net->dim) / MAPS_LANES + HEAD_PANELS - 1) / HEAD_PANELS;
  size_t from = share(pairs, rank, size) * HEAD_PANELS, to = share(pairs, rank + 1, size) * HEAD_PANELS;
  if (to * MAPS_LANES > net->dim) to = maps_round(net->dim) / MAPS_LANES;
  embed_panels(net, x, space->strips + rank * net->strip_floats, from, to, embedding);
  team_wait(size);
}

typedef struct embed_job {
  const separable *net;
  separable_fill *fill;
  void *context;
  size_t count;
  float *embedding;
} embed_job;

/* Where the picture begins in a space's input. */
static float *picture_at(const separable *net, const separable_space *s) {
  return s->input + (net->centred ? input_row(net) + net->channels : 0);
}

/* All threads at one picture after the other. */
static medley_status embed_together(const embed_job *j, size_t threads, medley_error *err) {
  medley_status status = MEDLEY_OK;
  separable_space *space = space_take(j->net, threads);
  if (space == NULL) return error_memory(err, "a network's maps");
  for (size_t i = 0; i < j->count; i++) {
    float *embedding = j->embedding + i * j->net->dim;
    TRY(j->fill(j->context, i, picture_at(j->net, space), input_row(j->net), err));
#pragma omp parallel num_threads((int)threads)
    run_picture(j->net, space, (size_t)omp_get_thread_num(), (size_t)omp_get_num_threads(), embedding);
  }
done:
  space_give(j->net, space);
  return status;
}

/* A picture a thread. Of several errors the first picture's is told. */
static medley_status embed_apart(const embed_job *j, size_t threads, medley_error *err) {
  size_t failed = j->count;
  medley_error first = {0};
#pragma omp parallel num_threads((int)threads)
  {
    separable_space *space = space_take(j->net, 1);
#pragma omp for schedule(dynamic, 1)
    for (size_t i = 0; i < j->count; i++) {
      medley_error own = {0};
      medley_status status = space == NULL ? error_memory(&own, "a network's maps")
                                           : j->fill(j->context, i, picture_at(j->net, space), input_row(j->net), &own);
      if (status == MEDLEY_OK) {
        run_picture(j->net, space, 0, 1, j->embedding + i * j->net->dim);
        continue;
      }
      own.status = status;
#pragma omp critical(separable_failure)
      if (i < failed) failed = i, first = own;
    }
    if (space != NULL) space_give(j->net, space);
  }
  if (failed < j->count && err != NULL) *err = first;
  return failed < j->count ? first.status : MEDLEY_OK;
}

medley_status separable_embed(const separable *net, separable_fill *fill, void *context, size_t count, float *embedding,
                              medley_error *err) {
  embed_job j = {net, fill, context, count, embedding};
  size_t threads = omp_in_parallel() ? 1 : (size_t)omp_get_max_threads();
  if (threads == 1 || count >= threads) return embed_apart(&j, threads, err);
  return embed_together(&j, threads, err);
}

medley_status separable_classify(const separable *net, const float *embedding, size_t count, float *logits,
                                 medley_error *err) {
  size_t step = net->classifier.panels * MAPS_LANES;
  float *padded = mem_alloc(count * step, sizeof *padded);
  if (padded == NULL) return error_memory(err, "a network's answers");
#pragma omp parallel for schedule(static)
  for (size_t panel = 0; panel < net->classifier.panels; panel += HEAD_PANELS) {
    maps_product p = product_of(&net->classifier);
    p.x = embedding, p.x_step = net->dim, p.pixels = count;
    weights_skip(&p, panel);
    p.bias += panel * MAPS_LANES;
    p.panels = p.panels - panel < HEAD_PANELS ? p.panels - panel : HEAD_PANELS;
    p.y = padded + panel * MAPS_LANES, p.y_step = step;
    maps_multiply(&p);
  }
  for (size_t i = 0; i < count; i++)
    memcpy(logits + i * net->classes, padded + i * step, net->classes * sizeof *logits);
  mem_free(padded);
  return MEDLEY_OK;
}
