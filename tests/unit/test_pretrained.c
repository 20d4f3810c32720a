/* Published networks over maps, mobilenet_v2 and yamnet: outputs beside the reference run's, what they answer on real
 * pictures and sounds, and files and content that are not as they should be. Needs the real weights; skips without.
 *
 *     test_pretrained [STEP]    looks at every STEP-th picture and sound (1: all) */
#include "test.h"

#include <dirent.h>
#include <omp.h>

#include "base/file.h"
#include "base/memory.h"
#include "encode/mobilenet_v2.h"
#include "encode/yamnet.h"
#include "math/vector.h"
#include "media/image.h"
#include "media/sound.h"

static int every = 1;

static const struct pretrained {
  const encoder_kind *kind;
  const char *file, *golden;
} networks[] = {
    {&encoder_mobilenet_v2, "models/mobilenet_v2.safetensors", "models/mobilenet_v2.golden.safetensors"},
    {&encoder_yamnet, "models/yamnet.safetensors", "models/yamnet.golden.safetensors"},
};
enum { NETWORKS = sizeof networks / sizeof *networks };

static encoder *open_real(const struct pretrained *n) {
  medley_error error = {0};
  char path[512];
  encoder *e;
  if (test_data(n->file, path) == NULL) return NULL;
  assert_ok(n->kind->open(path, &e, &error));
  return e;
}

/* ---- the reference's numbers ---- */

static void test_golden(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512];
  for (int i = 0; i < NETWORKS; i++) {
    encoder *e = open_real(&networks[i]);
    safetensors golden;
    golden_report report = {0};
    if (e == NULL) skip();
    assert_ok(safetensors_open(&golden, test_data(networks[i].golden, path), &error));
    assert_ok(networks[i].kind->check(e, &golden, &report, &error));
    assert_true(report.count >= 2);
    for (size_t k = 0; k < report.count; k++) {
      printf("%s: %s differs by %.2g\n", networks[i].kind->name, report.outputs[k].name, report.outputs[k].difference);
      assert_true(report.outputs[k].difference < 1e-3);
    }
    networks[i].kind->free(e);
    safetensors_close(&golden);
  }
}

/* ---- what they answer ---- */

static size_t largest(const float *x, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

static void test_pictures(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512];
  encoder *e = open_real(&networks[0]);
  if (e == NULL || test_data("models/imagenet100", path) == NULL) skip();
  static float embedding[MOBILENET_V2_DIM], logits[MOBILENET_V2_CLASSES];
  size_t right = 0, seen = 0;
  for (size_t class = 0; class < 1000; class += 10 * (size_t)every) {
    char name[64];
    snprintf(name, sizeof name, "models/imagenet100/%03zu.jpg", class);
    media_request request = encoder_request(e, NULL, path);
    image picture;
    assert_ok(image_load(test_data(name, path), &(image_options){.side = request.image_side}, &picture, &error));
    assert_ok(e->kind->encode(e, &(encoder_input){.image = &picture}, 1, embedding, &error));
    assert_ok(mobilenet_v2_classify(e, embedding, 1, logits, &error));
    right += largest(logits, MOBILENET_V2_CLASSES) == class + 1;
    seen++;
    image_deinit(&picture);
  }
  printf("mobilenet_v2: %zu of %zu photographs right\n", right, seen);
  assert_true((double)right >= 0.78 * (double)seen); /* the reference: 0.79 */
  e->kind->free(e);
}

static void test_sounds(void **state) {
  (void)state;
  medley_error error = {0};
  char folder[512], path[800];
  encoder *e = open_real(&networks[1]);
  if (e == NULL || test_data("speech", folder) == NULL) skip();
  static float scores[YAMNET_CLASSES];
  struct dirent **names;
  int count = scandir(folder, &names, NULL, alphasort), number = 0;
  size_t speech = 0, seen = 0;
  for (int i = 0; i < count; i++) {
    sound s;
    if (strstr(names[i]->d_name, ".wav") != NULL && number++ % (4 * every) == 0) {
      snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
      assert_ok(sound_load(path, &(sound_options){.rate_hz = 16000}, &s, &error));
      assert_ok(yamnet_classify(e, &s, scores, &error));
      speech += largest(scores, YAMNET_CLASSES) == 0;
      seen++;
      sound_deinit(&s);
    }
    free(names[i]);
  }
  free(names);
  printf("yamnet: %zu of %zu spoken digits are speech\n", speech, seen);
  assert_true(seen > 0 && (double)speech >= 0.95 * (double)seen);
  e->kind->free(e);
}

/* In bf16 and int8 the vectors point where those of float32 do. */
static const struct {
  const encoder_kind *kind;
  double cosine;
} precisions[] = {{&encoder_mobilenet_v2_bf16, .999},
                  {&encoder_mobilenet_v2_int8, .99},
                  {&encoder_yamnet_bf16, .999},
                  {&encoder_yamnet_int8, .99}};

static double vectors_apart(const encoder *a, const encoder *b, const encoder_input *in) {
  static float x[MOBILENET_V2_DIM], y[MOBILENET_V2_DIM];
  size_t dim = a->kind->dim(a);
  medley_error error = {0};
  assert_true(dim <= MOBILENET_V2_DIM && b->kind->dim(b) == dim);
  assert_ok(a->kind->encode(a, in, 1, x, &error));
  assert_ok(b->kind->encode(b, in, 1, y, &error));
  return vector_dot(x, y, dim) / sqrt((double)vector_dot(x, x, dim) * vector_dot(y, y, dim));
}

static void test_precision_pictures(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512], name[64];
  encoder *e = open_real(&networks[0]), *small;
  if (e == NULL || test_data("models/imagenet100", path) == NULL) skip();
  for (size_t k = 0; k < 2; k++) {
    assert_ptr_equal(encoder_kind_find(precisions[k].kind->name), precisions[k].kind);
    assert_ok(precisions[k].kind->open(test_data(networks[0].file, path), &small, &error));
    for (size_t class = 0; class < 1000; class += 20 * (size_t)every) {
      image picture;
      snprintf(name, sizeof name, "models/imagenet100/%03zu.jpg", class);
      assert_ok(image_load(test_data(name, path), &(image_options){.side = 336}, &picture, &error));
      assert_true(vectors_apart(e, small, &(encoder_input){.image = &picture}) >= precisions[k].cosine);
      image_deinit(&picture);
    }
    small->kind->free(small);
  }
  e->kind->free(e);
}

static void test_precision_sounds(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512], name[64];
  encoder *e = open_real(&networks[1]), *small;
  if (e == NULL || test_data("speech", path) == NULL) skip();
  for (size_t k = 2; k < 4; k++) {
    assert_ptr_equal(encoder_kind_find(precisions[k].kind->name), precisions[k].kind);
    assert_ok(precisions[k].kind->open(test_data(networks[1].file, path), &small, &error));
    for (int digit = 0; digit < 10; digit++) {
      sound s;
      snprintf(name, sizeof name, "speech/%d_jackson_0.wav", digit);
      if (test_data(name, path) == NULL) continue;
      assert_ok(sound_load(path, &(sound_options){.rate_hz = 16000}, &s, &error));
      double cosine = vectors_apart(e, small, &(encoder_input){.sound = &s});
      if (cosine < precisions[k].cosine) fail_msg("%s: %d: cosine %.5f", precisions[k].kind->name, digit, cosine);
      sound_deinit(&s);
    }
    small->kind->free(small);
  }
  e->kind->free(e);
}

/* ---- content at the edges of what there is ---- */

static void assert_sensible(const float *x, size_t dim) {
  double length = 0;
  for (size_t i = 0; i < dim; i++) {
    assert_true(isfinite(x[i]));
    length += (double)x[i] * x[i];
  }
  assert_true(length > 0);
}

static void test_smallest_content(void **state) {
  (void)state;
  medley_error error = {0};
  encoder *e = open_real(&networks[0]);
  if (e == NULL) skip();
  static float out[2 * MOBILENET_V2_DIM];
  uint8_t pixels[3 * 7] = {10, 200, 30};
  image one = {1, 1, pixels}, strip = {7, 1, pixels};
  assert_ok(e->kind->encode(e, &(encoder_input){.image = &one}, 1, out, &error));
  assert_sensible(out, MOBILENET_V2_DIM);
  assert_ok(e->kind->encode(e, &(encoder_input){.image = &strip}, 1, out, &error));
  assert_sensible(out, MOBILENET_V2_DIM);
  e->kind->free(e);
  e = open_real(&networks[1]);
  static float samples[16000 * 3]; /* silence */
  for (size_t count = 0; count <= 48000; count += count < 2 ? 1 : 47998) {
    sound s = {16000, count, samples};
    assert_ok(e->kind->encode(e, &(encoder_input){.sound = &s}, 1, out, &error));
    assert_sensible(out, YAMNET_DIM);
  }
  samples[5] = NAN, samples[6] = INFINITY;
  sound broken = {16000, 16000, samples};
  assert_ok(e->kind->encode(e, &(encoder_input){.sound = &broken}, 1, out, &error));
  assert_sensible(out, YAMNET_DIM);
  e->kind->free(e);
}

/* One picture by all threads, several by one thread each, any number of threads: the same numbers. */
static void test_same_numbers(void **state) {
  (void)state;
  enum { COUNT = 5 };
  medley_error error = {0};
  encoder *e = open_real(&networks[0]);
  if (e == NULL) skip();
  static uint8_t pixels[COUNT][90 * 70 * 3];
  static float together[COUNT * MOBILENET_V2_DIM], alone[MOBILENET_V2_DIM];
  image pictures[COUNT];
  encoder_input inputs[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    for (size_t k = 0; k < sizeof pixels[i]; k++) pixels[i][k] = (uint8_t)(k * (i + 3) / 7);
    pictures[i] = (image){i % 2 ? 90 : 70, i % 2 ? 70 : 90, pixels[i]};
    inputs[i] = (encoder_input){.image = &pictures[i]};
  }
  assert_ok(e->kind->encode(e, inputs, COUNT, together, &error));
  int threads = omp_get_max_threads();
  for (int k = 1; k <= 5; k += 2) {
    omp_set_num_threads(k);
    assert_ok(e->kind->encode(e, &inputs[k - 1], 1, alone, &error));
    assert_memory_equal(alone, together + (k - 1) * MOBILENET_V2_DIM, sizeof alone);
  }
  omp_set_num_threads(threads);
#ifdef MEDLEY_FAULTS
  for (long n = 1;; n++) {
    memory_fault_after(n);
    medley_status status = e->kind->encode(e, inputs, 2, together, &error);
    bool struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    if (!struck) break;
  }
#endif
  e->kind->free(e);
}

/* ---- files that are not as they should be ---- */

typedef struct damage {
  const char *tensor; /* that it happens to */
  bool leave_out, not_a_number;
  int rank; /* not 0: another shape of as many elements */
  uint64_t shape[2];
  const char *words;
} damage;

/* A copy of the file with one tensor damaged. */
static void write_damaged(const char *from, const char *to, const damage *d) {
  medley_error error = {0};
  safetensors s;
  safetensors_writer w = {0};
  uint16_t *values = NULL;
  assert_ok(safetensors_open(&s, from, &error));
  assert_ok(safetensors_add_metadata(&w, "architecture", json_string_value(json_object_get(s.metadata, "architecture")),
                                     &error));
  for (size_t i = 0; i < s.count; i++) {
    const tensor_view *v = &s.tensors[i];
    bool hit = strcmp(v->name, d->tensor) == 0;
    const void *data = v->data;
    if (hit && d->leave_out) continue;
    if (hit && d->not_a_number) {
      values = mem_alloc(v->count, 2);
      memcpy(values, v->data, v->bytes);
      values[v->count / 2] = 0x7e00;
      data = values;
    }
    assert_ok(safetensors_add(&w, v->name, v->dtype, hit && d->rank ? d->rank : v->rank,
                              hit && d->rank ? d->shape : v->shape, data, &error));
  }
  assert_ok(safetensors_save(&w, to, &error));
  safetensors_writer_deinit(&w);
  safetensors_close(&s);
  mem_free(values);
}

static void test_damaged_files(void **state) {
  (void)state;
  static const damage damages[] = {
      {"conv_head.bias", .leave_out = true, .words = "conv_head.bias"},
      {"blocks.1.0.conv_dw.weight", .rank = 2, .shape = {96, 9}, .words = "blocks.1.0.conv_dw.weight"},
      {"classifier.weight", .rank = 2, .shape = {1280, 1001}, .words = "classifier.weight"},
      {"blocks.5.2.conv_pwl.weight", .not_a_number = true, .words = "blocks.5.2.conv_pwl.weight"},
  };
  medley_error error = {0};
  char path[512], folder[256], copy[300], command[600];
  encoder *e;
  if (test_data(networks[0].file, path) == NULL) skip();
  test_folder(folder);
  snprintf(copy, sizeof copy, "%s/copy.safetensors", folder);
  for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
    write_damaged(path, copy, &damages[i]);
    assert_refused(encoder_mobilenet_v2.open(copy, &e, &error), MEDLEY_ERR_INPUT, damages[i].words);
    assert_null(e);
  }
  write_damaged(path, copy, &(damage){.tensor = ""});
  assert_ok(encoder_mobilenet_v2.open(copy, &e, &error));
  encoder_mobilenet_v2.free(e);
  assert_refused(encoder_yamnet.open(copy, &e, &error), MEDLEY_ERR_INPUT, "family mobilenet_v2, not yamnet");
  FILE *f = fopen(copy, "ab"); /* longer than the header says */
  fputs("more", f);
  fclose(f);
  assert_refused(encoder_mobilenet_v2.open(copy, &e, &error), MEDLEY_ERR_INPUT, "copy.safetensors");
  assert_int_equal(truncate(copy, 3000000), 0);
  assert_refused(encoder_mobilenet_v2.open(copy, &e, &error), MEDLEY_ERR_INPUT, "copy.safetensors");
  assert_refused(encoder_mobilenet_v2.open("nothing/there", &e, &error), MEDLEY_ERR_NOT_FOUND, "nothing/there");
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  assert_int_equal(system(command), 0);
}

#ifdef MEDLEY_FAULTS
static void test_nth_allocation(void **state) {
  (void)state;
  medley_error error = {0};
  char path[512];
  for (int i = 0; i < NETWORKS; i++) {
    encoder *e;
    if (test_data(networks[i].file, path) == NULL) skip();
    for (long n = 1;; n += 23) {
      memory_fault_after(n);
      medley_status status = networks[i].kind->open(path, &e, &error);
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
      if (!struck) break;
      assert_null(e);
    }
    networks[i].kind->free(e);
  }
}
#endif

int main(int argc, char **argv) {
  if (argc > 1) every = atoi(argv[1]);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),
      cmocka_unit_test(test_pictures),
      cmocka_unit_test(test_sounds),
      cmocka_unit_test(test_precision_sounds),
      cmocka_unit_test(test_precision_pictures),
      cmocka_unit_test(test_smallest_content),
      cmocka_unit_test(test_same_numbers),
      cmocka_unit_test(test_damaged_files),
#ifdef MEDLEY_FAULTS
      cmocka_unit_test(test_nth_allocation),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
