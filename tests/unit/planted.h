/* tests/unit/planted.h: events with a planted structure, in memory: people of a group like items of their group; an
 * item's content tells its group, more or less. */
#ifndef TESTS_PLANTED_H
#define TESTS_PLANTED_H

#include "learn/fit.h"

#define PLANTED_GROUPS 5
#define PLANTED_DIM 8

typedef struct planted {
  uint32_t users, items;
  catalogue catalogue;
  event_log log;
  event_weights weights;
  representation content;
} planted;

/* Item i is of group i % 5, user u likes group u % 5. */
planted *planted_create(uint32_t users, uint32_t items, size_t per_user, bool timed, bool with_content);
void planted_free(planted *p);
fit_input planted_input(const planted *p, const uint8_t *label);

#endif
