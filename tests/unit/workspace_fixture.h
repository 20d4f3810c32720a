/* tests/unit/workspace_fixture.h: a workspace with a planted taste, for the tests of the engine. */
#ifndef TESTS_WORKSPACE_FIXTURE_H
#define TESTS_WORKSPACE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#define WORKSPACE_GROUPS 4
#define WORKSPACE_ITEMS_MAX 60

/* Makes the workspace with items i0 … (item i is of group i % 4, told by its words, a tag and its category) and users
 * u0 … (user u likes group u % 4), who click per_user times each. The last items of more than twelve have no event. */
void workspace_fill(const char *path, uint32_t users, uint32_t items, size_t per_user);

#endif
