/* The made-up catalogue: the same every time, complete where it should be and incomplete where it should be, with
 * tastes that can really be found in pictures, sounds and events. */
#include "test.h"

#include <medley/sample.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "engine/sample_canvas.h"
#include "engine/sample_world.h"
#include "media/image.h"
#include "media/sound.h"
#include "media/video.h"

static sample_world world_of(uint32_t items, uint32_t users, uint64_t seed) {
  medley_error error;
  sample_world w;
  assert_ok(sample_world_init(&w, &(medley_sample_options){.items = items, .users = users, .seed = seed}, &error));
  return w;
}

/* ---- painting ---- */

static double ink_of(const canvas *c) {
  double sum = 0;
  for (size_t i = 0; i < (size_t)c->picture.width * c->picture.height; i++) sum += c->picture.rgb[3 * i];
  return sum / 255;
}

/* Coverage adds up to the area of the shape, wherever it lies and however it is turned. */
static void test_coverage_is_area(void **state) {
  (void)state;
  static const struct {
    float x, y, turn;
    bool ellipse;
    double area;
  } rows[] = {
      {0, 0, 0, true, 3.14159 * 0.3 * 0.2},
      {0.137f, -0.211f, 0.7f, true, 3.14159 * 0.3 * 0.2},
      {0, 0, 0, false, 0.6 * 0.4},
      {0.1f, 0.05f, 1.1f, false, 0.6 * 0.4},
      {1, 0, 0, false, 0.3 * 0.4},                /* half of it is beyond the right edge, */
      {-1, 0, 0, false, 0.3 * 0.4},               /* the left edge, */
      {-1, -1, 0, true, 3.14159 * 0.3 * 0.2 / 4}, /* a corner */
  };
  medley_error error;
  path *p = mem_zalloc(1, sizeof *p);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    canvas c;
    assert_ok(canvas_init(&c, 128, &error));
    canvas_place(&c, rows[i].x, rows[i].y, 1, 1, rows[i].turn);
    path_clear(p);
    if (rows[i].ellipse)
      path_ellipse(p, 0, 0, 0.3f, 0.2f);
    else
      path_box(p, -0.3f, -0.2f, 0.3f, 0.2f);
    canvas_fill(&c, p, &(paint){.base = {1, 1, 1}});
    assert_near(ink_of(&c), rows[i].area * 64 * 64, 0.006 * 64 * 64 * rows[i].area + 1);
    for (size_t k = 0; k < 128 * 130; k++) assert_true(c.area[k] == 0);
    canvas_deinit(&c);
  }
  mem_free(p);
}

static void test_colours(void **state) {
  (void)state;
  /* Golden values: OKLCH of pure sRGB red, green and white from Ottosson's page. */
  static const struct {
    float l, c, h;
    colour want;
  } rows[] = {
      {0.62796f, 0.25768f, 29.234f, {1, 0, 0}}, {0.86644f, 0.29483f, 142.495f, {0, 1, 0}}, {1, 0, 0, {1, 1, 1}}};
  for (size_t i = 0; i < 3; i++) {
    colour got = colour_oklch(rows[i].l, rows[i].c, rows[i].h);
    assert_near(got.r, rows[i].want.r, 0.01);
    assert_near(got.g, rows[i].want.g, 0.01);
    assert_near(got.b, rows[i].want.b, 0.01);
  }
}

/* ---- the world ---- */

static void test_same_seed_same_world(void **state) {
  (void)state;
  sample_world a = world_of(100, 40, 7), b = world_of(100, 40, 7), c = world_of(100, 40, 8);
  assert_int_equal(a.event_count, b.event_count);
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(a.items[i].seed, b.items[i].seed);
  for (size_t k = 0; k < a.event_count; k++) {
    assert_int_equal(a.events[k].item, b.events[k].item);
    assert_int_equal(a.events[k].time_s, b.events[k].time_s);
  }
  assert_int_not_equal(a.items[0].seed, c.items[0].seed);
  sample_world_deinit(&a);
  sample_world_deinit(&b);
  sample_world_deinit(&c);
}

static void test_missing_modalities(void **state) {
  (void)state;
  sample_world w = world_of(0, 0, 0);
  uint32_t images = 0, sounds = 0, clips = 0, words[5] = {0};
  for (uint32_t i = 0; i < w.options.items; i++) {
    const sample_item *item = &w.items[i];
    images += item->has_image;
    sounds += item->has_sound;
    clips += item->has_clip;
    words[item->words]++;
    assert_true(item->has_image || item->words != WORDS_NONE);
    if (item->has_clip) assert_true(item->has_image && item->has_sound);
  }
  assert_int_equal(w.options.items, 600);
  assert_int_equal(w.options.users, 400);
  assert_in_range(images, 500, 570);
  assert_in_range(sounds, 400, 500);
  assert_int_equal(clips, 60);
  for (int k = 0; k < 5; k++) assert_in_range(words[k], 5, 300);
  sample_world_deinit(&w);
}

static void test_events_make_sense(void **state) {
  (void)state;
  sample_world w = world_of(0, 0, 0);
  uint32_t count[6] = {0}, by_item[600] = {0};
  for (size_t k = 0; k < w.event_count; k++) {
    const sample_event *e = &w.events[k];
    assert_true(e->user < 400 && e->item < 600);
    assert_true(k == 0 || w.events[k - 1].time_s <= e->time_s);
    assert_true(e->time_s >= w.items[e->item].time_s); /* nobody meets what is not there yet */
    assert_true(e->type == EVENT_RATE ? e->value >= 1 && e->value <= 5 : e->value == 1);
    count[e->type]++;
    if (e->type == EVENT_VIEW) by_item[e->item]++;
  }
  for (int t = 0; t < 6; t++) assert_true(count[t] > 100);
  assert_in_range(w.event_count, 18000, 32000);
  assert_in_range(w.link_count, 300, 1600);
  /* The newest were never met; the most met tenth has more than its share. */
  for (uint32_t i = 580; i < 600; i++) assert_int_equal(by_item[i], 0);
  uint32_t top = 0, all = 0;
  for (int n = 0; n < 60; n++) {
    uint32_t best = 0;
    for (uint32_t i = 0; i < 600; i++)
      if (by_item[i] > by_item[best]) best = i;
    top += by_item[best];
    by_item[best] = 0;
  }
  for (uint32_t i = 0; i < 600; i++) all += by_item[i];
  assert_true(top > (top + all) / 4);
  for (size_t k = 0; k < w.link_count; k++) assert_true(w.links[k].from != w.links[k].to);
  sample_world_deinit(&w);
}

/* ---- tastes are real ---- */

/* Recall@20 on the events after the moment `cut`, of a ranking by score(user, item), over items not seen before. */
static double recall_at_20(const sample_world *w, size_t cut, const float *popularity, double oracle_weight) {
  double sum = 0;
  uint32_t users = 0;
  for (uint32_t u = 0; u < w->options.users; u++) {
    uint8_t seen[600] = {0}, wanted[600] = {0};
    uint32_t relevant = 0, hit = 0;
    for (size_t k = 0; k < w->event_count; k++) {
      const sample_event *e = &w->events[k];
      if (e->user != u) continue;
      if (k < cut)
        seen[e->item] = 1;
      else if (!seen[e->item] && !wanted[e->item] && e->type == EVENT_LIKE)
        wanted[e->item] = 1, relevant++;
    }
    if (relevant == 0) continue;
    for (int n = 0; n < 20; n++) {
      int best = -1;
      double best_score = -INFINITY;
      for (uint32_t i = 0; i < 600; i++) {
        double score = oracle_weight * sample_utility(w, u, i) + (1 - oracle_weight) * popularity[i];
        if (!seen[i] && score > best_score) best = (int)i, best_score = score;
      }
      seen[best] = 1;
      hit += wanted[best];
    }
    sum += (double)hit / (relevant < 20 ? relevant : 20);
    users++;
  }
  return sum / users;
}

static void test_taste_beats_popularity(void **state) {
  (void)state;
  sample_world w = world_of(0, 0, 0);
  float popularity[600] = {0};
  size_t cut = w.event_count * 8 / 10;
  for (size_t k = 0; k < cut; k++)
    if (w.events[k].type == EVENT_VIEW) popularity[w.events[k].item]++;
  double popular = recall_at_20(&w, cut, popularity, 0), oracle = recall_at_20(&w, cut, popularity, 1);
  print_message("recall@20 of later likes: popularity %.3f, true taste %.3f\n", popular, oracle);
  assert_true(oracle > 2 * popular);
  assert_true(popular > 20.0 / 600); /* fashion is real too */
  sample_world_deinit(&w);
}

#define BINS 64
/* The crudest description of looks: 4 × 4 × 4 colours. */
static void colour_histogram(const image *picture, float out[BINS]) {
  memset(out, 0, BINS * sizeof *out);
  for (size_t i = 0; i < (size_t)picture->width * picture->height; i++) {
    const uint8_t *p = picture->rgb + 3 * i;
    out[(p[0] >> 6) * 16 + (p[1] >> 6) * 4 + (p[2] >> 6)] += 1;
  }
}

/* What looks alike is liked alike: the truth about an item agrees with that about its nearest neighbour by colours. */
static void test_looks_carry_taste(void **state) {
  (void)state;
  enum { N = 160 };
  medley_error error;
  sample_world w = world_of(N, 60, 3);
  static float histogram[N][BINS];
  for (uint32_t i = 0; i < N; i++) {
    image picture;
    w.items[i].has_image = true;
    assert_ok(sample_picture_draw(&w.items[i], 64, 0, &picture, &error));
    colour_histogram(&picture, histogram[i]);
    image_deinit(&picture);
  }
  uint32_t same_colour = 0;
  double xy = 0, xx = 0, yy = 0;
  for (uint32_t i = 0; i < N; i++) {
    uint32_t nearest = i;
    float best = INFINITY;
    for (uint32_t j = 0; j < N; j++) {
      float d = 0;
      for (int b = 0; b < BINS; b++) d += fabsf(histogram[i][b] - histogram[j][b]);
      if (j != i && d < best) best = d, nearest = j;
    }
    same_colour += w.items[i].value[ATTRIBUTE_COLOUR] == w.items[nearest].value[ATTRIBUTE_COLOUR];
    for (uint32_t u = 0; u < 60; u++) {
      double x = sample_utility(&w, u, i), y = sample_utility(&w, u, nearest);
      xy += x * y, xx += x * x, yy += y * y;
    }
  }
  double correlation = xy / sqrt(xx * yy);
  print_message("nearest by colours: same colour %.2f, correlation of liking %.3f\n", (double)same_colour / N,
                correlation);
  assert_true(same_colour > N / 4); /* chance is a tenth */
  assert_true(correlation > 0.12);
  sample_world_deinit(&w);
}

static double crossings_per_s(const sound *s) {
  size_t count = 0;
  for (size_t i = 1; i < s->count; i++) count += (s->samples[i - 1] < 0) != (s->samples[i] < 0);
  return (double)count * s->rate_hz / (double)s->count;
}

static void test_sounds(void **state) {
  (void)state;
  medley_error error;
  rng r;
  sample_item item;
  rng_seed(&r, 5);
  sample_item_draw(&r, &item);
  for (unsigned t = 0; t < sample_attributes[ATTRIBUTE_TIMBRE].count; t++) {
    double crossings[3];
    for (unsigned k = 0; k < 3; k++) {
      sound s;
      item.value[ATTRIBUTE_TIMBRE] = (uint8_t)t;
      item.value[ATTRIBUTE_REGISTER] = (uint8_t)k;
      assert_ok(sample_sound_play(&item, 0, &s, &error));
      assert_in_range(s.count, 22400, 30400);
      float peak = 0;
      for (size_t i = 0; i < s.count; i++) peak = fmaxf(peak, fabsf(s.samples[i]));
      assert_near(peak, 0.7, 1e-4);
      crossings[k] = crossings_per_s(&s);
      sound_deinit(&s);
    }
    assert_true(crossings[0] < crossings[1] && crossings[1] < crossings[2]);
  }
}

/* Words say what is told and nothing that is not. */
static void test_words(void **state) {
  (void)state;
  sample_world w = world_of(300, 2, 2);
  for (uint32_t i = 0; i < 300; i++) {
    const sample_item *item = &w.items[i];
    strbuf title = {0}, text = {0};
    sample_text_write(item, &title, &text);
    if (item->words == WORDS_NONE) {
      assert_true(title.length == 0 && text.length == 0 && sample_text_language(item) == NULL);
    } else {
      assert_true(utf8_valid(title.text, title.length) && utf8_valid(text.text, text.length));
      const sample_value *colour = &sample_attributes[ATTRIBUTE_COLOUR].values[item->value[ATTRIBUTE_COLOUR]];
      bool says = strstr(title.text, colour->english) != NULL || strstr(title.text, colour->chinese) != NULL;
      assert_int_equal(says, item->told[ATTRIBUTE_COLOUR]);
      const sample_value *timbre = &sample_attributes[ATTRIBUTE_TIMBRE].values[item->value[ATTRIBUTE_TIMBRE]];
      if (item->told[ATTRIBUTE_TIMBRE])
        assert_true(strstr(text.text, timbre->tag) != NULL || strstr(text.text, timbre->chinese) != NULL);
      assert_null(strstr(text.text, "a easy"));
      assert_null(strstr(text.text, "a organ"));
    }
    strbuf_deinit(&title);
    strbuf_deinit(&text);
  }
  sample_world_deinit(&w);
}

static void test_pictures_differ_by_attribute(void **state) {
  (void)state;
  static const sample_attribute looks[] = {ATTRIBUTE_KIND, ATTRIBUTE_COLOUR, ATTRIBUTE_PATTERN, ATTRIBUTE_FORM,
                                           ATTRIBUTE_LIGHT};
  medley_error error;
  rng r;
  sample_item item;
  rng_seed(&r, 9);
  sample_item_draw(&r, &item);
  for (size_t a = 0; a < sizeof looks / sizeof *looks; a++) {
    unsigned char seen[SAMPLE_VALUE_MAX][HASH_BYTES], again[HASH_BYTES];
    uint8_t held = item.value[looks[a]];
    for (unsigned v = 0; v < sample_attributes[looks[a]].count; v++) {
      image picture;
      item.value[looks[a]] = (uint8_t)v;
      for (int twice = 0; twice < 2; twice++) {
        assert_ok(sample_picture_draw(&item, 64, 0, &picture, &error));
        hash_buffer(picture.rgb, 64 * 64 * 3, twice ? again : seen[v]);
        image_deinit(&picture);
      }
      assert_memory_equal(seen[v], again, HASH_BYTES);
      for (unsigned other = 0; other < v; other++) assert_memory_not_equal(seen[v], seen[other], HASH_BYTES);
    }
    item.value[looks[a]] = held;
  }
}

static void test_world_refusals(void **state) {
  (void)state;
  static const struct {
    medley_sample_options options;
    const char *words;
  } rows[] = {
      {{.items = 5}, "5 items was asked for; choose between 20 and 20000"},
      {{.items = 50000}, "50000 items"},
      {{.users = 1}, "1 users was asked for; choose between 2"},
      {{.events_per_user = 5000}, "5000 events per user"},
      {{.items = 40, .clips = 11}, "11 clips was asked for; 40 items can have at most 10"},
  };
  medley_error error;
  sample_world w;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_refused(sample_world_init(&w, &rows[i].options, &error), MEDLEY_ERR_USAGE, rows[i].words);
  assert_ok(sample_world_init(&w, &(medley_sample_options){.items = 40, .clips = -1}, &error));
  assert_int_equal(w.options.clips, 0);
  sample_world_deinit(&w);
}

#ifdef MEDLEY_FAULTS
static void test_world_memory(void **state) {
  (void)state;
  medley_error error;
  medley_sample_options options = {.items = 40, .users = 10, .seed = 1};
  for (long n = 1;; n++) {
    sample_world w;
    image picture = {0};
    memory_fault_after(n);
    medley_status status = sample_world_init(&w, &options, &error);
    if (status == MEDLEY_OK) status = sample_picture_draw(&w.items[0], 32, 0, &picture, &error);
    memory_fault_after(0);
    image_deinit(&picture);
    sample_world_deinit(&w);
    if (status == MEDLEY_OK) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
}
#endif

/* ---- the folder ---- */

static const medley_sample_options small = {.items = 24, .users = 6, .events_per_user = 12, .clips = 2, .seed = 11};

typedef struct listing {
  strbuf lines;
  uint32_t files;
} listing;

/* Every file below the folder with the hash of its bytes, in order of names. */
static void folder_hash(const char *folder, const char *prefix, listing *out) {
  medley_error error;
  char **names;
  size_t count;
  assert_ok(folder_list(folder, &names, &count, &error));
  for (size_t i = 0; i < count; i++) {
    char *path = path_join(folder, names[i]), below[128], hex[HASH_HEX_BYTES];
    unsigned char hash[HASH_BYTES];
    snprintf(below, sizeof below, "%s/%s", prefix, names[i]);
    if (file_is_folder(path)) {
      folder_hash(path, below, out);
    } else {
      assert_ok(hash_file(path, hash, &error));
      hash_to_hex(hash, hex);
      strbuf_printf(&out->lines, "%s %s\n", below, hex);
      out->files++;
    }
    mem_free(path);
  }
  folder_list_free(names, count);
}

/* Every path of items.jsonl leads to a file that decodes. Returns how many there are. */
static uint32_t media_check(const char *folder) {
  medley_error error;
  char *path = path_join(folder, "items.jsonl"), *bytes, *rest = NULL;
  size_t length;
  uint32_t found = 0;
  assert_ok(file_read(path, 1 << 20, &bytes, &length, &error));
  for (char *line = strtok_r(bytes, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    json_t *row;
    image picture = {0};
    sound jingle = {0};
    video clip = {0};
    assert_ok(json_parse(line, strlen(line), "items.jsonl", &row, &error));
    char *files[3];
    static const char *const keys[] = {"image", "audio", "video"};
    for (int k = 0; k < 3; k++) {
      const char *name = json_member_string(row, keys[k], NULL);
      files[k] = name ? path_join(folder, name) : NULL;
      found += name != NULL;
    }
    if (files[0] != NULL) assert_ok(image_load(files[0], &(image_options){0}, &picture, &error));
    if (files[1] != NULL) assert_ok(sound_load(files[1], &(sound_options){0}, &jingle, &error));
    if (files[2] != NULL) {
      assert_ok(video_load(files[2], &(video_options){0}, &clip, &error));
      assert_true(clip.sound.count > 0 && clip.frame_count > 0);
    }
    image_deinit(&picture);
    sound_deinit(&jingle);
    video_deinit(&clip);
    for (int k = 0; k < 3; k++) mem_free(files[k]);
    json_decref(row);
  }
  mem_free(bytes);
  mem_free(path);
  return found;
}

/* The folder's parent holds this many entries: nothing temporary was left beside it. */
static void assert_entries(const char *folder, size_t expected) {
  medley_error error;
  char **names;
  size_t count;
  assert_ok(folder_list(folder, &names, &count, &error));
  assert_int_equal(count, expected);
  folder_list_free(names, count);
}

static void test_folder_is_whole_and_repeats(void **state) {
  (void)state;
  medley_error error;
  char base[256];
  test_folder(base);
  medley_sample_report report;
  char *one = path_join(base, "one"), *two = path_join(base, "deeper/two"), *slashed = path_join(base, "deeper/two///");
  listing a = {0}, b = {0};
  assert_ok(folder_create(one, &error)); /* an empty folder will do */
  assert_ok(medley_sample_create(one, &small, NULL, &report, &error));
  assert_ok(medley_sample_create(slashed, &small, NULL, NULL, &error));
  assert_entries(base, 2);
  folder_hash(one, "", &a);
  folder_hash(two, "", &b);
  assert_string_equal(a.lines.text, b.lines.text);
  uint32_t media = report.images + report.sounds + report.clips;
  assert_int_equal(report.items, 24);
  assert_int_equal(report.clips, 2);
  assert_int_equal(media_check(one), media);
  assert_int_equal(a.files, media + 5 + 3); /* four tables and the README, three queries */
  assert_ok(folder_remove(base, &error));
  strbuf_deinit(&a.lines);
  strbuf_deinit(&b.lines);
  mem_free(one);
  mem_free(two);
  mem_free(slashed);
}

static int stop_at_once(void *context, const medley_progress_state *at) {
  (void)context;
  return at->done > 0;
}

static void test_folder_refusals(void **state) {
  (void)state;
  medley_error error;
  char base[256];
  test_folder(base);
  char *file = path_join(base, "file"), *fresh = path_join(base, "fresh"), *inside = path_join(base, "file/inside");
  assert_ok(file_write(file, "x", 1, &error));
  assert_refused(medley_sample_create(base, &small, NULL, NULL, &error), MEDLEY_ERR_EXISTS,
                 "is not empty (1 entries, the first is 'file')");
  assert_refused(medley_sample_create(file, &small, NULL, NULL, &error), MEDLEY_ERR_EXISTS, "is a file");
  assert_refused(medley_sample_create(inside, &small, NULL, NULL, &error), MEDLEY_ERR_IO, "cannot create folder");
  assert_refused(medley_sample_create("", &small, NULL, NULL, &error), MEDLEY_ERR_USAGE, "a folder of its own name");
  assert_refused(medley_sample_create(NULL, NULL, NULL, NULL, &error), MEDLEY_ERR_USAGE, "a folder of its own name");
  assert_refused(medley_sample_create(".", &small, NULL, NULL, &error), MEDLEY_ERR_USAGE, "not '.'");
  assert_refused(medley_sample_create(fresh, &(medley_sample_options){.items = 1}, NULL, NULL, &error),
                 MEDLEY_ERR_USAGE, "1 items");
  medley_progress stop = {.report = stop_at_once};
  assert_refused(medley_sample_create(fresh, &(medley_sample_options){.items = 200}, &stop, NULL, &error),
                 MEDLEY_ERR_CANCELLED, "draw and play");
  assert_entries(base, 1); /* only the file of the start: nothing half-written */
  assert_ok(folder_remove(base, &error));
  mem_free(file);
  mem_free(fresh);
  mem_free(inside);
}

#ifdef MEDLEY_FAULTS
/* Whatever allocation fails, nothing is left behind. The n-th of a few hundred is tried in growing steps. */
static void test_folder_memory(void **state) {
  (void)state;
  medley_error error;
  char base[256];
  test_folder(base);
  char *folder = path_join(base, "shop");
  medley_sample_options tiny = {.items = 20, .users = 2, .events_per_user = 2, .clips = 1, .seed = 1};
  for (long n = 1; n < 100000; n += 1 + n / 6) {
    memory_fault_after(n);
    medley_status status = medley_sample_create(folder, &tiny, NULL, NULL, &error);
    memory_fault_after(0);
    if (status == MEDLEY_OK) break;
    assert_int_equal(status, MEDLEY_ERR_MEMORY);
    assert_entries(base, 0);
  }
  assert_entries(base, 1);
  assert_ok(folder_remove(base, &error));
  mem_free(folder);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_coverage_is_area),
      cmocka_unit_test(test_colours),
      cmocka_unit_test(test_same_seed_same_world),
      cmocka_unit_test(test_missing_modalities),
      cmocka_unit_test(test_events_make_sense),
      cmocka_unit_test(test_taste_beats_popularity),
      cmocka_unit_test(test_looks_carry_taste),
      cmocka_unit_test(test_sounds),
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_pictures_differ_by_attribute),
      cmocka_unit_test(test_world_refusals),
      cmocka_unit_test(test_folder_is_whole_and_repeats),
      cmocka_unit_test(test_folder_refusals),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_world_memory),
      cmocka_unit_test(test_folder_memory),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
