/* tests/unit/planted.c: see planted.h. */
#include "planted.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"

planted *planted_create(uint32_t users, uint32_t items, size_t per_user, bool timed, bool with_content) {
  planted *p = calloc(1, sizeof *p);
  rng r;
  rng_seed(&r, 11);
  p->catalogue.count = items;
  p->catalogue.items = calloc(items + 1, sizeof *p->catalogue.items);
  for (uint32_t i = 0; i < items; i++) p->catalogue.items[i].time_s = STORE_TIME_UNKNOWN;
  p->log = (event_log){.user_count = users,
                       .item_count = items,
                       .has_time = timed,
                       .events = calloc(users * per_user + 1, sizeof(event))};
  for (uint32_t u = 0; u < users; u++)
    for (size_t k = 0; k < per_user && items > 0; k++) {
      uint32_t item = (uint32_t)((double)items * rng_uniform(&r) * rng_uniform(&r)); /* some are popular */
      if (rng_below(&r, 10) < 8) item = item - item % PLANTED_GROUPS + u % PLANTED_GROUPS;
      if (item >= items) item = items - 1;
      p->log.events[p->log.event_count++] =
          (event){.user = u,
                  .item = item,
                  .value = 1,
                  .time_s = timed ? 1600000000 + (int64_t)rng_below(&r, 100 * 86400) : STORE_TIME_UNKNOWN};
    }
  event_weights_default(&p->log, &p->weights);
  p->content.item_count = items;
  if (!with_content) return p;
  representation_part *part = &p->content.parts[p->content.count++];
  snprintf(part->name, sizeof part->name, "text");
  part->features = (features){.name = part->name,
                              .count = items,
                              .dim = PLANTED_DIM,
                              .values = mem_zalloc_aligned(items * PLANTED_DIM, sizeof(float)),
                              .present = mem_zalloc_aligned(items, 1)};
  for (uint32_t i = 0; i < items; i++) {
    double norm = 0;
    float *row = part->features.values + i * PLANTED_DIM;
    part->features.present[i] = i % 13 != 7;
    if (!part->features.present[i]) continue;
    for (int d = 0; d < PLANTED_DIM; d++) {
      row[d] = (float)(0.25 * rng_normal(&r) + (d == (int)(i % PLANTED_GROUPS)));
      norm += (double)row[d] * (double)row[d];
    }
    for (int d = 0; d < PLANTED_DIM; d++) row[d] /= (float)sqrt(norm);
  }
  return p;
}

void planted_free(planted *p) {
  for (size_t i = 0; i < p->content.count; i++) features_deinit(&p->content.parts[i].features);
  free(p->catalogue.items);
  free(p->log.events);
  free(p);
}

fit_input planted_input(const planted *p, const uint8_t *label) {
  return (fit_input){
      .items = &p->catalogue, .log = &p->log, .weights = &p->weights, .content = &p->content, .label = label};
}
