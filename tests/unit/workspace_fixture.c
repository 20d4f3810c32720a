/* tests/unit/workspace_fixture.c: see workspace_fixture.h. */
#include "workspace_fixture.h"

#include "base/rng.h"
#include "engine/workspace.h"
#include "test.h"

static const char *const words[WORKSPACE_GROUPS][4] = {{"lamp", "light", "bright", "glow"},
                                                       {"guitar", "song", "chord", "string"},
                                                       {"boat", "river", "sail", "wind"},
                                                       {"bread", "oven", "flour", "crust"}};
static const char *const group_tags[WORKSPACE_GROUPS] = {"lighting", "music", "water", "kitchen"};

void workspace_fill(const char *path, uint32_t users, uint32_t items, size_t per_user) {
  medley_error error;
  medley_workspace *w;
  rng r;
  int32_t type;
  rng_seed(&r, 3);
  assert_ok(medley_workspace_create(path, &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  assert_ok(w->kind->begin(w->store, &error));
  int64_t item_id[WORKSPACE_ITEMS_MAX];
  for (uint32_t i = 0; i < items; i++) {
    char key[16], title[64], text[64];
    const char *tags[] = {group_tags[i % WORKSPACE_GROUPS], i % 3 == 0 ? "new" : "old"};
    snprintf(key, sizeof key, "i%u", i);
    snprintf(title, sizeof title, "No%u %s %s", i, words[i % WORKSPACE_GROUPS][i % 3], words[i % WORKSPACE_GROUPS][3]);
    snprintf(text, sizeof text, "a %s with %s", words[i % WORKSPACE_GROUPS][(i + 1) % 4],
             words[i % WORKSPACE_GROUPS][(i + 2) % 4]);
    store_item item = {.key = key,
                       .title = title,
                       .text = text,
                       .tags = tags,
                       .tag_count = 2,
                       .category = group_tags[i % WORKSPACE_GROUPS],
                       .time_s = STORE_TIME_UNKNOWN};
    assert_ok(w->kind->put_item(w->store, &item, &item_id[i], &error));
  }
  assert_ok(w->kind->event_type(w->store, "click", &type, &error));
  for (uint32_t u = 0; u < users; u++) {
    char key[16];
    int64_t user_id;
    snprintf(key, sizeof key, "u%u", u);
    assert_ok(w->kind->put_user(w->store, &(store_user){.key = key, .time_s = STORE_TIME_UNKNOWN}, &user_id, &error));
    for (size_t k = 0; k < per_user; k++) {
      uint32_t i = (uint32_t)rng_below(&r, items > 12 ? items - 8 : items);
      if (rng_below(&r, 10) < 8 && items > WORKSPACE_GROUPS) i = i - i % WORKSPACE_GROUPS + u % WORKSPACE_GROUPS;
      if (i >= items) i = 0;
      store_event event = {.user_id = user_id,
                           .item_id = item_id[i],
                           .type = type,
                           .value = 1,
                           .time_s = 1600000000 + (int64_t)(u * 7919 + k * 104729) % 8640000};
      assert_ok(w->kind->put_events(w->store, &event, 1, &error));
    }
  }
  assert_ok(w->kind->commit(w->store, &error));
  medley_workspace_close(w);
}
