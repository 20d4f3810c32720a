/* The catalogue as vectors: a missing modality stays missing, kept vectors are used again only while nothing changed,
 * what cannot be read is counted, and what is only tested on teaches nothing. */
#include "learn/represent.h"

#include <medley/medley.h>

#include "base/file.h"
#include "base/memory.h"
#include "engine/workspace.h"
#include "media/image.h"
#include "test.h"

#define ITEMS 8

static char root[256];

static const char *path_of(const char *name, char path[512]) {
  snprintf(path, 512, "%s/%s", root, name);
  return path;
}

/* A picture of one colour with a bar across. */
static void picture_write(const char *name, unsigned char red, unsigned char green) {
  medley_error error;
  char path[512];
  uint8_t rgb[32 * 32 * 3];
  for (size_t p = 0; p < (size_t)32 * 32; p++) {
    rgb[3 * p] = p / 32 > 12 && p / 32 < 20 ? 255 : red;
    rgb[3 * p + 1] = green;
    rgb[3 * p + 2] = 90;
  }
  image picture = {.width = 32, .height = 32, .rgb = rgb};
  assert_ok(image_save(&picture, path_of(name, path), &error));
}

typedef struct notes {
  size_t count;
  char last[512];
} notes;

static void note(void *context, const char *text) {
  notes *n = context;
  n->count++;
  snprintf(n->last, sizeof n->last, "%s", text);
}

/* Items 0 to 5 have a picture, that of item 5 is broken and that of 4 is not there; 6 and 7 have none; 7 has no words.
 */
static void catalogue_fill(medley_workspace *w, catalogue *items) {
  medley_error error;
  char path[512];
  for (int i = 0; i < 4; i++) {
    char name[16];
    snprintf(name, sizeof name, "p%d.png", i);
    picture_write(name, (unsigned char)(60 * i), (unsigned char)(200 - 40 * i));
  }
  assert_ok(file_write(path_of("p5.png", path), "\x89PNG\r\n\x1a\nand then nothing", 24, &error));
  assert_ok(w->kind->begin(w->store, &error));
  for (int i = 0; i < ITEMS; i++) {
    char key[16], picture[512], name[16], title[32];
    snprintf(key, sizeof key, "i%d", i);
    snprintf(name, sizeof name, "p%d.png", i);
    snprintf(title, sizeof title, "thing number%d (19%d0)", i, i + 1);
    store_media media = {.modality = MODALITY_IMAGE, .path = path_of(name, picture)};
    store_item item = {
        .key = key, .title = i < 7 ? title : NULL, .time_s = STORE_TIME_UNKNOWN, .media = &media, .media_count = i < 6};
    assert_ok(w->kind->put_item(w->store, &item, NULL, &error));
  }
  assert_ok(w->kind->commit(w->store, &error));
  assert_ok(catalogue_load(w->kind, w->store, NULL, items, &error));
}

static representation *represent(medley_workspace *w, const catalogue *items, const uint8_t *fit_items, bool fresh,
                                 notes *said) {
  medley_error error;
  representation *r = NULL;
  represent_options options = {.fit_items = fit_items, .seed = 1, .fresh = fresh, .root = w->path, .workers = 1};
  medley_progress progress = {.note = note, .context = said};
  *said = (notes){0};
  assert_ok(represent_catalogue(items, w->kind, w->store, &options, &progress, &r, &error));
  return r;
}

/* Rows of present items have unit length, all others are zero. */
static void rows_check(const representation *r) {
  for (size_t p = 0; p < r->count; p++) {
    const features *f = &r->parts[p].features;
    assert_int_equal(f->count, ITEMS);
    assert_string_equal(f->name, r->parts[p].name);
    for (size_t i = 0; i < f->count; i++) {
      double sum = 0;
      for (size_t d = 0; d < f->dim; d++) sum += (double)f->values[i * f->dim + d] * (double)f->values[i * f->dim + d];
      assert_near(sum, f->present[i], 1e-4);
    }
  }
}

static medley_status vector_count(void *context, const store_vector *v, medley_error *err) {
  (void)v, (void)err;
  ++*(size_t *)context;
  return MEDLEY_OK;
}

static size_t kept_count(medley_workspace *w, const char *space) {
  medley_error error;
  size_t count = 0;
  assert_ok(w->kind->each_vector(w->store, space, vector_count, &count, &error));
  return count;
}

static void test_missing_kept_and_unreadable(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w;
  catalogue items;
  notes said;
  char path[512];
  test_folder(root);
  assert_ok(medley_workspace_create(path_of("w", path), &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  catalogue_fill(w, &items);

  representation *r = represent(w, &items, NULL, false, &said);
  rows_check(r);
  representation_part *text = representation_find(r, "text"), *image = representation_find(r, "image");
  assert_non_null(text);
  assert_non_null(image);
  assert_null(representation_find(r, "audio"));
  for (int i = 0; i < ITEMS; i++) {
    assert_int_equal(text->features.present[i], i < 7);
    assert_int_equal(image->features.present[i], i < 4);
  }
  assert_int_equal(image->unreadable, 2);
  assert_int_equal(said.count, 3); /* both by name, and how many */
  assert_non_null(strstr(said.last, "2 of 6 image files could not be read"));
  const char *space = image->encoder->kind->name;
  assert_int_equal(kept_count(w, space), 4);

  /* Once more: nothing that can be read is read again, and the vectors are the same. */
  representation *again = represent(w, &items, NULL, false, &said);
  const features *before = &image->features, *after = &representation_find(again, "image")->features;
  assert_non_null(strstr(said.last, "2 of 2 image files"));
  assert_memory_equal(before->values, after->values, ITEMS * before->dim * sizeof(float));
  representation_free(again);

  /* Another picture under the same name is seen; the others are still not read. */
  picture_write("p2.png", 250, 250);
  again = represent(w, &items, NULL, false, &said);
  assert_non_null(strstr(said.last, "2 of 3 image files"));
  rows_check(again);
  representation_free(again);

  /* Fresh: everything is read. */
  again = represent(w, &items, NULL, true, &said);
  assert_non_null(strstr(said.last, "2 of 6 image files"));
  representation_free(again);

  /* Items that are only asked about teach nothing, and are brought to the scale of the others all the same. */
  uint8_t fit_items[ITEMS] = {1, 1, 0, 0, 0, 0, 1, 1};
  again = represent(w, &items, fit_items, false, &said);
  rows_check(again);
  assert_non_null(representation_find(again, "image"));
  representation_free(again);
  uint8_t without_pictures[ITEMS] = {0, 0, 0, 0, 0, 0, 1, 1};
  again = represent(w, &items, without_pictures, false, &said);
  rows_check(again);
  assert_null(representation_find(again, "image")); /* nothing is known about pictures then */
  assert_non_null(representation_find(again, "text"));
  representation_free(again);
  uint8_t nothing[ITEMS] = {0};
  again = represent(w, &items, nothing, false, &said);
  assert_int_equal(again->count, 0);
  representation_free(again);

  representation_free(r);
  catalogue_deinit(&items);
  medley_workspace_close(w);
  assert_ok(folder_remove(root, &error));
}

/* ---- what is learnt from ---- */

static medley_status inputs_look(void *context, const encoder_input *inputs, size_t count,
                                 const medley_progress *progress, medley_error *err) {
  bool with_texts = *(const bool *)context;
  (void)progress, (void)err;
  assert_int_equal(count, 4);
  for (size_t i = 0; i < count; i++) {
    char title[64];
    snprintf(title, sizeof title, "thing number%zu (19%zu0)", i, i + 1);
    assert_int_equal(inputs[i].image->rgb[0], 60 * i); /* in the catalogue's order, whichever is decoded first */
    if (with_texts)
      assert_string_equal(inputs[i].text, title);
    else
      assert_null(inputs[i].text);
  }
  return MEDLEY_OK;
}

static void test_inputs_to_learn_from(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w;
  catalogue items;
  char path[512];
  encoder *e = NULL;
  test_folder(root);
  assert_ok(medley_workspace_create(path_of("w", path), &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  catalogue_fill(w, &items);
  assert_ok(encoder_image_descriptor.create(0, 0, &e, &error));
  for (int texts = 0; texts < 2; texts++) {
    represent_options options = {.root = w->path, .workers = 3, .with_texts = texts == 1};
    assert_ok(represent_inputs(&items, e, &options, NULL, inputs_look, &options.with_texts, &error));
  }
  e->kind->free(e);
  catalogue_deinit(&items);
  medley_workspace_close(w);
  assert_ok(folder_remove(root, &error));
}

/* ---- interrupted ---- */

#define MANY 300

static int stop_after_some(void *context, const medley_progress_state *state) {
  bool *stopped = context;
  if (strcmp(state->stage, "encode images") == 0 && state->done >= 70 && state->done < MANY) *stopped = true;
  return *stopped;
}

/* What was encoded before Ctrl-C is there the next time. */
static void test_interrupted_goes_on(void **state) {
  (void)state;
  medley_error error;
  medley_workspace *w;
  catalogue items;
  notes said;
  char path[512], key[16];
  bool stopped = false;
  representation *r = NULL;
  test_folder(root);
  assert_ok(medley_workspace_create(path_of("w", path), &error));
  assert_ok(medley_workspace_open(path, &w, &error));
  assert_ok(w->kind->begin(w->store, &error));
  for (int i = 0; i < MANY; i++) {
    snprintf(key, sizeof key, "p%03d.png", i);
    picture_write(key, (unsigned char)(i % 256), (unsigned char)(i / 2));
    store_media media = {.modality = MODALITY_IMAGE, .path = path_of(key, path)};
    store_item item = {.key = key, .time_s = STORE_TIME_UNKNOWN, .media = &media, .media_count = 1};
    assert_ok(w->kind->put_item(w->store, &item, NULL, &error));
  }
  assert_ok(w->kind->commit(w->store, &error));
  assert_ok(catalogue_load(w->kind, w->store, NULL, &items, &error));
  represent_options options = {.seed = 1, .root = w->path, .workers = 1};
  medley_progress progress = {.report = stop_after_some, .context = &stopped};
  medley_status status = represent_catalogue(&items, w->kind, w->store, &options, &progress, &r, &error);
  size_t kept = kept_count(w, "image.descriptor");
  if (stopped) { /* a machine so fast that nobody was asked in between proves nothing, and breaks nothing */
    assert_int_equal(status, MEDLEY_ERR_CANCELLED);
    assert_null(r);
    assert_true(kept >= 64 && kept < MANY);
    assert_int_equal(kept % 64, 0); /* whole batches */
  }
  representation_free(r);
  r = represent(w, &items, NULL, false, &said);
  assert_int_equal(features_present_count(&representation_find(r, "image")->features), MANY);
  assert_int_equal(kept_count(w, "image.descriptor"), MANY);
  representation_free(r);
  catalogue_deinit(&items);
  medley_workspace_close(w);
  assert_ok(folder_remove(root, &error));
}

/* Parts of different lengths in one file would be read beyond their ends. */
static void test_parts_of_different_lengths_are_refused(void **state) {
  (void)state;
  medley_error error;
  safetensors_writer out = {0};
  safetensors file = {0};
  representation *r = NULL, *loaded = NULL;
  json_t *manifest = json_object();
  char path[512];
  test_folder(root);
  r = mem_zalloc_aligned(1, sizeof *r);
  r->count = 2;
  r->item_count = 5;
  for (size_t p = 0; p < 2; p++) {
    representation_part *part = &r->parts[p];
    size_t count = p == 0 ? 5 : 3;
    snprintf(part->name, sizeof part->name, "part%zu", p);
    part->source = PART_VECTORS;
    part->features = (features){.name = part->name,
                                .count = count,
                                .dim = 2,
                                .values = mem_zalloc_aligned(count * 2, sizeof(float)),
                                .present = mem_zalloc_aligned(count, 1)};
    assert_ok(normaliser_kind_find("l2")->fit((float[]){1, 0, 0, 1}, 2, 2, 0, &part->normaliser, &error));
  }
  assert_ok(representation_save(r, &out, manifest, &error));
  assert_ok(safetensors_save(&out, path_of("parts.safetensors", path), &error));
  safetensors_writer_deinit(&out);
  assert_ok(safetensors_open(&file, path, &error));
  assert_refused(representation_load(&file, manifest, root, &loaded, &error), MEDLEY_ERR_CORRUPT, "parts.safetensors");
  assert_null(loaded);
  json_array_remove(json_object_get(manifest, "representation"), 1);
  assert_ok(representation_load(&file, manifest, root, &loaded, &error));
  assert_int_equal(loaded->item_count, 5);
  representation_free(loaded);
  safetensors_close(&file);
  json_decref(manifest);
  representation_free(r);
  assert_ok(folder_remove(root, &error));
}

int main(int argc, char **argv) {
  int status;
  if (medley_worker_main(argc, argv, &status)) return status;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_missing_kept_and_unreadable),
      cmocka_unit_test(test_inputs_to_learn_from),
      cmocka_unit_test(test_interrupted_goes_on),
      cmocka_unit_test(test_parts_of_different_lengths_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
