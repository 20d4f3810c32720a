/* The steps before encoding: each can be switched in medley.conf, reaches the worker, is kept beside what was made with
 * it, and makes vectors anew. */
#include "media/preparation.h"

#include <medley/medley.h>

#include "base/file.h"
#include "base/memory.h"
#include "engine/workspace.h"
#include "learn/represent.h"
#include "media/image.h"
#include "media/sound.h"
#include "media/video.h"
#include "media/worker.h"
#include "test.h"

static char folder[256];

static const char *path_of(const char *name) {
  static char paths[8][512];
  static int turn;
  char *path = paths[turn++ % 8];
  snprintf(path, 512, "%s/%s", folder, name);
  return path;
}

/* A wide picture, dark on the left, bright on the right; a tone, a pause of two seconds, a tone, with silence about. */
static int make_files(void **state) {
  (void)state;
  medley_error error;
  static uint8_t rgb[32 * 64 * 3];
  test_folder(folder);
  for (size_t p = 0; p < (size_t)32 * 64; p++) {
    rgb[3 * p] = (uint8_t)(60 + p % 64);
    rgb[3 * p + 1] = (uint8_t)(p % 7 == 0 ? 200 : 90);
    rgb[3 * p + 2] = (uint8_t)(40 + 2 * (p / 64));
  }
  assert_ok(image_save(&(image){64, 32, rgb}, path_of("a.png"), &error));
  sound s = {.rate_hz = 22050, .count = 22050 * 6, .samples = mem_zalloc(22050 * 6, sizeof(float))};
  for (size_t i = 0; i < s.count; i++) {
    double at = (double)i / 22050;
    if ((at > 1 && at < 2) || (at > 4 && at < 5)) s.samples[i] = (float)(0.1 * sin(0.2 * (double)i));
  }
  assert_ok(sound_save_wav(&s, path_of("a.wav"), &error));
  sound_deinit(&s);
  return 0;
}

static int remove_files(void **state) {
  (void)state;
  return folder_remove(folder, NULL) == MEDLEY_OK ? 0 : -1;
}

static config settings(const char *text) {
  medley_error error;
  config c;
  assert_ok(file_write(path_of("medley.conf"), text, strlen(text), &error));
  assert_ok(config_load(&c, path_of("medley.conf"), &error));
  return c;
}

static preparation prepared_by(const char *text) {
  medley_error error;
  preparation p;
  config c = settings(text);
  assert_ok(preparation_read(&c, &p, &error));
  config_deinit(&c);
  return p;
}

/* ---- settings ---- */

static void test_usual_and_unusual(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    const char *conf, *text, *words; /* a text, and its words under the setting */
  } rows[] = {
      {"", "<b>Watches</b> of http://a.bc/d the ﬁne \xe2\x98\x95", "watch fine"},
      {"[prepare]\ntext.stem = no\n", "Watches", "watches"},
      {"[prepare]\ntext.drop_stop_words = no\n", "of the watches", "of the watch"},
      {"[prepare]\ntext.strip_html = no\n", "<b>red</b>", "b red b"},
      {"[prepare]\ntext.strip_urls = no\n", "see www.example.org", "see www exampl org"},
      {"[prepare]\ntext.strip_emoji = no\n", "tea \xe2\x98\x95", "tea \xe2\x98\x95"},
      {"[prepare]\ntext.fold_case = no\n", "Red Tea", "Red Tea"},
      {"[prepare]\ntext.nfkc = no\n", "\xef\xac\x81ne", "fine"}, /* case folding takes the ligature apart as well */
      {"[prepare]\ntext.nfkc = no\ntext.fold_case = no\n", "\xef\xac\x81ne", "\xef\xac\x81ne"},
      {"[prepare]\ntext.segment = no\n", "红色连衣裙 red", "红色连衣裙 red"},
      {"[prepare]\ntext.language = de\n", "Häuser die", "haus"},
      {"[prepare]\ntext.language = auto\n", "watches", "watch"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    preparation p = prepared_by(rows[i].conf), again;
    text_options options = preparation_text(&p);
    text_preparer *preparer;
    strbuf words = {0}, first = {0}, second = {0};
    assert_ok(text_preparer_create(&options, &preparer, &error));
    assert_ok(text_words_joined(preparer, rows[i].text, &words, &error));
    if (strcmp(words.text, rows[i].words) != 0) fail_msg("row %zu: '%s', expected '%s'", i, words.text, rows[i].words);
    json_t *kept = preparation_to_json(&p);
    assert_ok(preparation_from_json(kept, &again, &error));
    assert_memory_equal(&p, &again, sizeof p);
    preparation_sign(&p, MODALITY_TEXT, &first);
    preparation_sign(&p, MODALITY_IMAGE, &second);
    assert_int_equal(first.length > 0, json_object_size(kept) > 0);
    assert_int_equal(second.length, 0);
    json_decref(kept);
    strbuf_deinit(&words);
    strbuf_deinit(&first);
    text_preparer_free(preparer);
  }
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error;
  static const struct {
    const char *conf, *words;
  } rows[] = {
      {"[prepare]\nimage.crop = left\n", "prepare.image.crop is 'left', expected none, centre or attention"},
      {"[prepare]\ntext.stem = 1\n", "prepare.text.stem is '1', expected no or yes"},
      {"[prepare]\ntext.language = English\n", "prepare.text.language is 'English', expected auto or a code"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    preparation p;
    config c = settings(rows[i].conf);
    assert_refused(preparation_read(&c, &p, &error), MEDLEY_ERR_INPUT, rows[i].words);
    config_deinit(&c);
  }
  bool takes;
  assert_false(preparation_knows("prepare.image.smell", "yes", &takes, NULL)); /* doctor and train tell it */
  assert_true(preparation_knows("prepare.audio.trim", "yes", &takes, NULL));
  assert_true(takes);
}

/* ---- through a worker ---- */

typedef struct arrived {
  media_sample samples[2];
} arrived;

static medley_status take(void *context, size_t index, medley_status status, media_sample *sample, const char *reason) {
  if (status != MEDLEY_OK) fail_msg("%s", reason);
  ((arrived *)context)->samples[index] = *sample;
  return MEDLEY_OK;
}

/* The picture and the sound of the folder, prepared. */
static arrived decode(const char *conf) {
  medley_error error;
  arrived a = {0};
  media_pool *pool;
  preparation p = prepared_by(conf);
  media_request requests[] = {{.kind = MODALITY_IMAGE, .path = path_of("a.png"), .image_side = 32, .prepare = &p},
                              {.kind = MODALITY_AUDIO, .path = path_of("a.wav"), .prepare = &p}};
  assert_ok(media_pool_create(1, NULL, &pool, &error));
  assert_ok(media_pool_run(pool, requests, 2, take, &a, NULL, &error));
  media_pool_free(pool);
  return a;
}

static void test_pictures_and_sounds(void **state) {
  (void)state;
  static const struct {
    const char *conf;
    uint32_t width, height;
    double seconds;
    bool other_pixels; /* than an unprepared picture of the same size */
  } rows[] = {
      {"", 32, 16, 6, false},
      {"[prepare]\nimage.crop = centre\n", 32, 32, 6, true},
      {"[prepare]\nimage.crop = attention\n", 32, 32, 6, true},
      {"[prepare]\nimage.denoise = yes\n", 32, 16, 6, true},
      {"[prepare]\nimage.contrast = yes\n", 32, 16, 6, true},
      {"[prepare]\nimage.equalise = yes\n", 32, 16, 6, true},
      {"[prepare]\nimage.sharpen = yes\n", 32, 16, 6, true},
      {"[prepare]\naudio.trim = yes\n", 32, 16, 4, false},
      {"[prepare]\naudio.segments = yes\n", 32, 16, 2, false},
      {"[prepare]\naudio.loudness = yes\naudio.denoise = yes\n", 32, 16, 6, false},
  };
  arrived plain = decode("");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    arrived a = decode(rows[i].conf);
    const image *picture = &a.samples[0].image;
    const sound *s = &a.samples[1].sound;
    assert_int_equal(picture->width, rows[i].width);
    assert_int_equal(picture->height, rows[i].height);
    assert_near((double)s->count / s->rate_hz, rows[i].seconds, 0.3);
    bool other = picture->height != 16 || memcmp(picture->rgb, plain.samples[0].image.rgb, (size_t)32 * 16 * 3) != 0;
    assert_int_equal(other, rows[i].other_pixels);
    if (strstr(rows[i].conf, "loudness")) assert_near(sound_loudness_lufs(s), -23, 1);
    media_sample_deinit(&a.samples[0]);
    media_sample_deinit(&a.samples[1]);
  }
  media_sample_deinit(&plain.samples[0]);
  media_sample_deinit(&plain.samples[1]);
}

/* The steps for pictures and sounds hold for clips. */
static void test_clips(void **state) {
  (void)state;
  medley_error error;
  arrived a = {0};
  media_pool *pool;
  static uint8_t rgb[2][32 * 64 * 3];
  for (size_t b = 0; b < sizeof rgb[0]; b++) rgb[0][b] = (uint8_t)(b % 90), rgb[1][b] = (uint8_t)(255 - b % 60);
  image frames[4] = {{64, 32, rgb[0]}, {64, 32, rgb[0]}, {64, 32, rgb[1]}, {64, 32, rgb[1]}};
  preparation p = prepared_by("[prepare]\nimage.crop = centre\naudio.trim = yes\n");
  media_request request = {.kind = MODALITY_VIDEO, .path = path_of("a.mp4"), .image_side = 32, .prepare = &p};
  assert_ok(video_save_mp4(frames, 4, 2, NULL, path_of("a.mp4"), &error));
  assert_ok(media_pool_create(1, NULL, &pool, &error));
  assert_ok(media_pool_run(pool, &request, 1, take, &a, NULL, &error));
  assert_int_equal(a.samples[0].video.frames[0].width, 32);
  assert_int_equal(a.samples[0].video.frames[0].height, 32);
  media_sample_deinit(&a.samples[0]);
  media_pool_free(pool);
}

/* ---- kept vectors ---- */

static representation *represent(medley_workspace *w, const catalogue *items, const char *conf) {
  medley_error error;
  representation *r = NULL;
  config c = settings(conf);
  represent_options options = {.seed = 1, .root = w->path, .workers = 1, .config = &c};
  assert_ok(represent_catalogue(items, w->kind, w->store, &options, NULL, &r, &error));
  config_deinit(&c);
  return r;
}

static medley_status hash_take(void *context, const store_vector *v, medley_error *err) {
  (void)err;
  memcpy(context, v->content_hash, HASH_BYTES);
  return MEDLEY_OK;
}

static void test_another_setting_encodes_anew(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w;
  catalogue items;
  unsigned char hash[3][HASH_BYTES];
  static const char *const conf[3] = {"", "[prepare]\nimage.crop = centre\n", ""};
  assert_ok(medley_workspace_create(path_of("w"), &error));
  assert_ok(medley_workspace_open(path_of("w"), &w, &error));
  const char *picture[] = {path_of("a.png"), NULL};
  assert_ok(medley_put_item(w, &(medley_item){.key = "a", .title = "one", .image = picture}, &error));
  assert_ok(medley_put_item(w, &(medley_item){.key = "b", .title = "two words", .image = picture}, &error));
  assert_ok(catalogue_load(w->kind, w->store, NULL, &items, &error));
  for (int i = 0; i < 3; i++) {
    representation *r = represent(w, &items, conf[i]);
    assert_ok(w->kind->each_vector(w->store, "image.descriptor", hash_take, hash[i], &error));
    representation_free(r);
  }
  assert_memory_not_equal(hash[0], hash[1], HASH_BYTES);
  assert_memory_equal(hash[0], hash[2], HASH_BYTES);

  /* A generation says how it was prepared, so that queries are. */
  representation *r = represent(w, &items, "[prepare]\ntext.stem = no\n"), *loaded = NULL;
  safetensors_writer out = {0};
  safetensors file;
  json_t *manifest = json_object();
  assert_ok(representation_save(r, &out, manifest, &error));
  assert_ok(safetensors_save(&out, path_of("r.safetensors"), &error));
  safetensors_writer_deinit(&out);
  assert_ok(safetensors_open(&file, path_of("r.safetensors"), &error));
  assert_ok(representation_load(&file, manifest, w->path, &loaded, &error));
  assert_true(preparation_text(&loaded->prepare).keep_endings);
  representation_free(loaded);
  json_object_set_new(json_object_get(manifest, "prepare"), "prepare.text.stem", json_string("perhaps"));
  assert_refused(representation_load(&file, manifest, w->path, &loaded, &error), MEDLEY_ERR_INPUT, "prepare.text.stem");
  safetensors_close(&file);
  json_decref(manifest);
  representation_free(r);
  catalogue_deinit(&items);
  medley_workspace_close(w);
}

int main(int argc, char **argv) {
  int status;
  if (medley_worker_main(argc, argv, &status)) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_usual_and_unusual),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_pictures_and_sounds),
      cmocka_unit_test(test_clips),
      cmocka_unit_test(test_another_setting_encodes_anew),
  };
  return cmocka_run_group_tests(tests, make_files, remove_files);
}
