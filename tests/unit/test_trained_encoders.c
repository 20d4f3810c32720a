/* Encoders that are trained on the catalogue: each learns a small set, keeps what it learnt in a file, gives the same
 * bits again, and refuses what it cannot do. */
#include "test.h"

#include "base/memory.h"
#include "base/rng.h"
#include "encode/encoder.h"
#include "encode/trained.h"
#include "math/vector.h"
#include "nn/layer.h"

/* ---- a small catalogue: texts that differ, pictures and sounds of four kinds ---- */

enum { TOPICS = 4, EACH = 4, ITEMS = TOPICS * EACH };

typedef struct catalogue {
  encoder_input inputs[ITEMS];
  char texts[ITEMS][200];
  image pictures[ITEMS];
  sound sounds[ITEMS];
  video clips[ITEMS];
  size_t count; /* of sounds, whose networks are the slowest, half will do */
} catalogue;

/* Seven of 144 words, of which three hundred items could not share the same five. */
static void text_fill(catalogue *c, int i, rng *r) {
  static const char *const syllables[] = {"ba", "do", "ki", "lu", "me", "no", "pa", "ri", "su", "ta", "vo", "zu"};
  strcpy(c->texts[i], "");
  for (int k = 0; k < 7; k++)
    snprintf(c->texts[i] + strlen(c->texts[i]), 16, "%s%srk ", syllables[rng_below(r, 12)],
             syllables[rng_below(r, 12)]);
  c->inputs[i].text = c->texts[i];
}

/* A colour and a direction of stripes per topic, and noise. */
static void picture_fill(image *to, int topic, rng *r) {
  *to = (image){48, 48, mem_alloc(48 * 48 * 3, 1)};
  for (int y = 0; y < 48; y++)
    for (int x = 0; x < 48; x++) {
      bool on = (topic & 1 ? x + y : x - y + 48) / 6 % 2;
      for (int k = 0; k < 3; k++)
        to->rgb[(y * 48 + x) * 3 + k] = (uint8_t)((on ? 60 : 120) + (k == topic % 3 ? 90 : 0) + (int)rng_below(r, 40));
    }
}

static void sound_fill(sound *to, int topic, rng *r) {
  *to = (sound){16000, 8000, mem_alloc(8000, sizeof(float))};
  double pitch = 220 * pow(1.8, topic) * (1 + 0.02 * rng_uniform(r));
  for (size_t i = 0; i < to->count; i++)
    to->samples[i] = (float)(0.4 * sin(2 * M_PI * pitch * (double)i / 16000) + 0.02 * rng_normal(r));
}

/* Three frames of a topic; every other clip has its sound, too. */
static void clip_fill(video *to, int topic, bool heard, rng *r) {
  *to = (video){.duration_s = 3, .frame_count = 3, .frames = mem_alloc(3, sizeof(image))};
  for (int i = 0; i < 3; i++) picture_fill(&to->frames[i], topic, r);
  if (heard) sound_fill(&to->sound, topic, r);
}

static void catalogue_fill(catalogue *c, modality m) {
  rng r;
  rng_seed(&r, 4);
  memset(c, 0, sizeof *c);
  c->count = m == MODALITY_AUDIO ? ITEMS / 2 : ITEMS;
  for (int i = 0; i < (int)c->count; i++) {
    if (m == MODALITY_TEXT) text_fill(c, i, &r);
    if (m == MODALITY_IMAGE) picture_fill(&c->pictures[i], i % TOPICS, &r), c->inputs[i].image = &c->pictures[i];
    if (m == MODALITY_AUDIO) sound_fill(&c->sounds[i], i % TOPICS, &r), c->inputs[i].sound = &c->sounds[i];
    if (m == MODALITY_VIDEO) clip_fill(&c->clips[i], i % TOPICS, i % 8 < TOPICS, &r), c->inputs[i].video = &c->clips[i];
  }
}

static void catalogue_deinit(catalogue *c) {
  for (int i = 0; i < ITEMS; i++) {
    image_deinit(&c->pictures[i]);
    sound_deinit(&c->sounds[i]);
    video_deinit(&c->clips[i]);
  }
}

/* ---- the table's promises ---- */

/* Share of items whose nearest other is of their topic, after the mean is taken away. */
static double purity(const float *vectors, size_t count, size_t dim) {
  float *rows = mem_alloc(count * dim, sizeof *rows);
  memcpy(rows, vectors, count * dim * sizeof *rows);
  for (size_t k = 0; k < dim; k++) {
    double mean = 0;
    for (size_t i = 0; i < count; i++) mean += rows[i * dim + k] / (double)count;
    for (size_t i = 0; i < count; i++) rows[i * dim + k] -= (float)mean;
  }
  int right = 0;
  for (size_t i = 0; i < count; i++) {
    double best = -INFINITY;
    size_t nearest = 0;
    for (size_t j = 0; j < count; j++) {
      double length = sqrt(vector_dot(rows + j * dim, rows + j * dim, dim)) + 1e-12;
      double score = vector_dot(rows + i * dim, rows + j * dim, dim) / length;
      if (j != i && score > best) best = score, nearest = j;
    }
    right += nearest % TOPICS == i % TOPICS;
  }
  mem_free(rows);
  return right / (double)count;
}

/* Share of texts that are found by five of their words. */
static double found_by_part(const encoder *e, const catalogue *c, const float *vectors, size_t dim) {
  medley_error error = {0};
  int right = 0;
  float *asked = mem_alloc(dim, sizeof *asked);
  for (size_t i = 0; i < ITEMS; i++) {
    char part[200];
    snprintf(part, sizeof part, "%s", c->texts[i]);
    for (int words = 0, k = 0; part[k] != 0; k++)
      if (part[k] == ' ' && ++words == 5) part[k + 1] = 0;
    assert_ok(e->kind->encode(e, &(encoder_input){.text = part}, 1, asked, &error));
    double best = -INFINITY;
    size_t nearest = 0;
    for (size_t j = 0; j < ITEMS; j++) {
      double score = vector_dot(asked, vectors + j * dim, dim);
      if (score > best) best = score, nearest = j;
    }
    right += nearest == i;
  }
  mem_free(asked);
  return (double)right / ITEMS;
}

/* most: what the loss has to come down to. */
static float *fit_and_encode(const encoder_kind *kind, const catalogue *c, size_t dim, double most, encoder **out) {
  medley_error error = {0};
  encoder *e = NULL;
  assert_ok(kind->create(7, dim, &e, &error));
  float *vectors = mem_alloc(ITEMS * (dim ? dim : 1024), sizeof *vectors);
  char words[80];
  snprintf(words, sizeof words, "%s must be fitted", kind->name);
  assert_refused(kind->encode(e, c->inputs, 1, vectors, &error), MEDLEY_ERR_USAGE, words);
  safetensors_writer w = {0};
  assert_refused(kind->save(e, &w, "x", &error), MEDLEY_ERR_USAGE, words);
  safetensors_writer_deinit(&w);
  progress_stage stage;
  progress_begin(&stage, NULL, "fit", 0);
  assert_ok(kind->fit(e, c->inputs, c->count, &stage, &error));
  double loss = INFINITY;
  assert_true(stage.total > 0 && sscanf(stage.detail, "loss %lf", &loss) == 1);
  if (!(loss <= most)) fail_msg("%s: the loss is %g after training, above %g", kind->name, loss, most);
  assert_ok(kind->encode(e, c->inputs, c->count, vectors, &error));
  *out = e;
  return vectors;
}

/* The encoder in a file, as "part", opened; told otherwise by `lie` unless that is NULL. */
static void saved_open(const encoder_kind *kind, const encoder *e, void (*lie)(safetensors_writer *),
                       safetensors *out) {
  medley_error error = {0};
  char folder[256], path[300];
  safetensors_writer w = {0};
  test_folder(folder);
  snprintf(path, sizeof path, "%s/encoder.safetensors", folder);
  assert_ok(kind->save(e, &w, "part", &error));
  if (lie != NULL) lie(&w);
  assert_ok(safetensors_save(&w, path, &error));
  safetensors_writer_deinit(&w);
  assert_ok(safetensors_open(out, path, &error));
  unlink(path), rmdir(folder); /* the mapping stays */
}

static void loads_again(const encoder_kind *kind, const encoder *e, const catalogue *c, const float *vectors) {
  medley_error error = {0};
  safetensors s = {0};
  encoder *again = NULL;
  size_t dim = kind->dim(e);
  float *other = mem_alloc(c->count * dim, sizeof *other);
  saved_open(kind, e, NULL, &s);
  assert_int_not_equal(kind->load(&s, "other", &again, &error), MEDLEY_OK);
  assert_null(again);
  assert_ok(kind->load(&s, "part", &again, &error));
  safetensors_close(&s);
  assert_int_equal(kind->dim(again), dim);
  assert_ok(kind->encode(again, c->inputs, c->count, other, &error));
  assert_memory_equal(vectors, other, c->count * dim * sizeof *other);
  kind->free(again);
  mem_free(other);
}

/* ---- in bf16 and int8 ---- */

static encoder *opened(const encoder_kind *kind, const encoder *e, uint64_t *bytes) {
  medley_error error = {0};
  safetensors s = {0};
  encoder *again = NULL;
  saved_open(kind, e, NULL, &s);
  *bytes = s.map.length;
  assert_ok(kind->load(&s, "part", &again, &error));
  safetensors_close(&s);
  return again;
}

/* What was trained answers nearly the same in fewer bits, alone as beside others, and from its file to the same bits.
 */
static void narrows(const encoder_kind *kind, const encoder *e, const catalogue *c, const float *vectors) {
  medley_error error = {0};
  size_t dim = kind->dim(e);
  float *out = mem_alloc(c->count * dim, sizeof *out), *again = mem_alloc(c->count * dim, sizeof *again);
  uint64_t whole, small[3] = {0};
  for (int k = WEIGHT_F32; k <= WEIGHT_INT8; k++) {
    encoder *narrow = opened(kind, e, &whole);
    assert_ok(kind->narrow(narrow, (weight_precision)k, &error));
    assert_ok(kind->encode(narrow, c->inputs, c->count, out, &error));
    double least = 1, alone = 1;
    for (size_t i = 0; i < c->count; i++) {
      const float *a = vectors + i * dim, *b = out + i * dim;
      assert_ok(kind->encode(narrow, &c->inputs[i], 1, again, &error));
      double size = sqrt((double)vector_dot(b, b, dim)) + 1e-12;
      least = fmin(least, vector_dot(a, b, dim) / (sqrt((double)vector_dot(a, a, dim)) * size));
      alone = fmin(alone, vector_dot(again, b, dim) / (sqrt((double)vector_dot(again, again, dim)) * size));
    }
    printf("%s, %s: cosine %.6f to float32\n", kind->name, precision_name((weight_precision)k), least);
    if (least < (k == WEIGHT_INT8 ? 0.99 : 0.999) || alone < 0.9999)
      fail_msg("%s in %s: cosine %.5f to float32, %.5f alone to beside others", kind->name,
               precision_name((weight_precision)k), least, alone);
    encoder *kept = opened(kind, narrow, &small[k]);
    assert_ok(kind->encode(kept, c->inputs, c->count, again, &error));
    assert_memory_equal(out, again, c->count * dim * sizeof *out);
    kind->free(kept), kind->free(narrow);
  }
  assert_int_equal(small[WEIGHT_F32], whole);
  assert_true(small[WEIGHT_INT8] < small[WEIGHT_BF16] && small[WEIGHT_BF16] < whole);
  mem_free(out), mem_free(again);
}

/* Saves, lets `lie` change one tensor, and expects the sentence when it is loaded. */
static void refuses_lie(const encoder_kind *kind, const encoder *e, void (*lie)(safetensors_writer *w),
                        const char *words) {
  medley_error error = {0};
  safetensors s = {0};
  encoder *again = NULL;
  saved_open(kind, e, lie, &s);
  assert_refused(kind->load(&s, "part", &again, &error), MEDLEY_ERR_CORRUPT, words);
  assert_null(again);
  safetensors_close(&s);
}

static tensor_view *first_matrix(safetensors_writer *w) {
  for (size_t i = 0; i < w->count; i++)
    if (w->tensors[i].rank >= 2 && w->tensors[i].shape[0] != w->tensors[i].shape[1]) return &w->tensors[i];
  fail_msg("nothing but vectors was saved");
  return NULL;
}

/* The first number of the last tensor is none. */
static void lie_nan(safetensors_writer *w) {
  static float numbers[1 << 20];
  tensor_view *last = &w->tensors[w->count - 1];
  assert_true(last->count <= sizeof numbers / sizeof *numbers);
  memcpy(numbers, last->data, last->count * sizeof *numbers);
  numbers[0] = NAN;
  last->data = numbers;
}

/* The scale of an int8 weight is none; one of its neighbours is not int8. */
static void lie_scale(safetensors_writer *w) {
  static float none[4096];
  for (size_t i = 0; i < w->count; i++)
    if (strstr(w->tensors[i].name, ".scale") != NULL) {
      none[w->tensors[i].count - 1] = INFINITY;
      w->tensors[i].data = none;
      return;
    }
  fail_msg("no scale was saved");
}
static void lie_mixed(safetensors_writer *w) {
  for (size_t i = w->count; i-- > 0;)
    if (w->tensors[i].dtype == DTYPE_I8) {
      w->tensors[i].dtype = DTYPE_U8;
      return;
    }
}

static void lie_turned(safetensors_writer *w) {
  tensor_view *matrix = first_matrix(w);
  uint64_t rows = matrix->shape[0];
  matrix->shape[0] = matrix->shape[1], matrix->shape[1] = rows;
}

static void lie_missing(safetensors_writer *w) { ((char *)w->tensors[w->count - 1].name)[0] = 'q'; }

static void refuses_lies(const encoder_kind *kind, const encoder *e) {
  refuses_lie(kind, e, lie_nan, "holds a value that is not finite, at 0");
  refuses_lie(kind, e, lie_turned, "part.");
  refuses_lie(kind, e, lie_missing, "part.");
}

static void refuses_narrow_lies(const encoder_kind *kind, const encoder *e) {
  medley_error error = {0};
  uint64_t bytes;
  encoder *narrow = opened(kind, e, &bytes);
  assert_ok(kind->narrow(narrow, WEIGHT_INT8, &error));
  refuses_lie(kind, narrow, lie_scale, "holds a value that is not finite");
  refuses_lie(kind, narrow, lie_mixed, "part.");
  refuses_lie(kind, narrow, lie_turned, "part.");
  kind->free(narrow);
}

#ifdef MEDLEY_FAULTS
/* Every allocation of loading fails once; what was half loaded is gone. */
static void loads_without_memory(const encoder_kind *kind, const encoder *e) {
  medley_error error = {0};
  safetensors s = {0};
  saved_open(kind, e, NULL, &s);
  bool struck = true;
  for (long n = 1; struck; n++) {
    encoder *again = NULL;
    memory_fault_after(n);
    medley_status status = kind->load(&s, "part", &again, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    assert_int_equal(status, struck ? MEDLEY_ERR_MEMORY : MEDLEY_OK);
    assert_true((again == NULL) == struck);
    if (again != NULL) kind->free(again);
  }
  safetensors_close(&s);
}
#endif

/* Allocations of encoding, creating and fitting fail, the first ones each: texts make thousands. */
static void fails_without_memory(const encoder_kind *kind, const encoder *e, const catalogue *c) {
#ifdef MEDLEY_FAULTS
  enum { FEW = 2 };
  loads_without_memory(kind, e);
  medley_error error = {0};
  size_t dim = kind->dim(e);
  float *vectors = mem_alloc(FEW * dim, sizeof *vectors);
  for (int what = 0; what < 2; what++) {
    for (long n = 1;; n *= 2) {
      encoder *other = NULL;
      memory_fault_after(n);
      medley_status status =
          what == 0 ? kind->encode(e, c->inputs, FEW, vectors, &error) : kind->create(7, dim, &other, &error);
      if (other != NULL) status = kind->fit(other, c->inputs, FEW, NULL, &error);
      bool struck = memory_fault_struck();
      memory_fault_after(0);
      if (other != NULL) kind->free(other);
      if (!struck) break;
      if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY); /* some can be done without */
    }
  }
  mem_free(vectors);
#else
  (void)kind, (void)e, (void)c;
#endif
}

static void narrow_fails_without_memory(const encoder_kind *kind, const encoder *e, const catalogue *c) {
#ifdef MEDLEY_FAULTS
  enum { FEW = 2 };
  medley_error error = {0};
  float *vectors = mem_alloc(FEW * kind->dim(e), sizeof *vectors);
  uint64_t bytes;
  encoder *narrow = opened(kind, e, &bytes);
  memory_fault_after(1);
  assert_int_equal(kind->narrow(narrow, WEIGHT_INT8, &error), MEDLEY_ERR_MEMORY);
  memory_fault_after(0);
  assert_ok(kind->encode(narrow, c->inputs, FEW, vectors, &error)); /* is as it was */
  assert_ok(kind->narrow(narrow, WEIGHT_INT8, &error));
  loads_without_memory(kind, narrow);
  for (long n = 1, struck = true; struck; n++) {
    memory_fault_after(n);
    medley_status status = kind->encode(narrow, c->inputs, FEW, vectors, &error);
    struck = memory_fault_struck();
    memory_fault_after(0);
    if (status != MEDLEY_OK) assert_int_equal(status, MEDLEY_ERR_MEMORY);
  }
  kind->free(narrow);
  mem_free(vectors);
#else
  (void)kind, (void)e, (void)c;
#endif
}

typedef struct trained_row {
  const char *name;
  modality modality;
  size_t dim;
  double right; /* share of nearest items that are, at least */
  double loss;  /* after training, at most; two views of one among 16 items begin at log 16 = 2.8, and
                   pictures and clips of one topic differ in noise alone: log 4 = 1.4; of sounds there are 8,
                   two of a topic: from log 8 = 2.1 to log 2 = .7 */
} trained_row;

/* One line an encoder; the other modalities of the last two differ in the descriptor alone. */
static const trained_row trained_rows_of[] = {
    {"text.cnn", MODALITY_TEXT, 24, 0.85, 0.2},
    {"text.gru", MODALITY_TEXT, 24, 0.85, 0.2},
    {"text.transformer", MODALITY_TEXT, 24, 0.85, 0.2},
    {"image.cnn", MODALITY_IMAGE, 12, 0.9, 2},
    {"image.vit", MODALITY_IMAGE, 12, 0.9, 2},
    {"audio.cnn", MODALITY_AUDIO, 12, 0.9, 1.2},
    {"video.attention", MODALITY_VIDEO, 12, 0.9, 2},
    {"autoencoder", MODALITY_IMAGE, 12, 0.9, 0.5},
    {"vae", MODALITY_AUDIO, 12, 0.95, 1.2},
};

/* From the command line: the only kind of content to try; NULL: all. */
static const char *only;

static void test_all(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof trained_rows_of / sizeof *trained_rows_of; k++) {
    const trained_row *row = &trained_rows_of[k];
    const encoder_kind *kind = encoder_kind_for(row->modality, row->name);
    if (only != NULL && strcmp(only, modality_name(row->modality)) != 0) continue;
    assert_non_null(kind);
    static catalogue c;
    catalogue_fill(&c, row->modality);
    encoder *e;
    float *vectors = fit_and_encode(kind, &c, row->dim, row->loss, &e);
    assert_int_equal(kind->dim(e), row->dim);
    double right =
        row->modality == MODALITY_TEXT ? found_by_part(e, &c, vectors, row->dim) : purity(vectors, c.count, row->dim);
    if (right < row->right)
      fail_msg("%s, %s: %.3f of the nearest are the right ones", row->name, modality_name(row->modality), right);
    loads_again(kind, e, &c, vectors);
    refuses_lies(kind, e);
    narrows(kind, e, &c, vectors);
    refuses_narrow_lies(kind, e);
    fails_without_memory(kind, e, &c);
    narrow_fails_without_memory(kind, e, &c);
    kind->free(e);
    mem_free(vectors);
    catalogue_deinit(&c);
  }
}

static void test_same_again(void **state) {
  (void)state;
  static catalogue c;
  encoder *e[2];
  float *vectors[2];
  catalogue_fill(&c, MODALITY_TEXT);
  for (int k = 0; k < 2; k++) vectors[k] = fit_and_encode(&encoder_text_cnn, &c, 16, 0.2, &e[k]);
  assert_memory_equal(vectors[0], vectors[1], ITEMS * 16 * sizeof(float));
  /* a text of unknown words is no text; one word is enough, and a text says the same in every batch */
  medley_error error = {0};
  float out[3 * 16];
  encoder_input odd[] = {{.text = ""}, {.text = "gymnasium thermostat"}, {.text = c.texts[3]}};
  assert_ok(e[0]->kind->encode(e[0], odd, 3, out, &error));
  for (int i = 0; i < 32; i++) assert_true(out[i] == 0);
  assert_near(vector_dot(out + 32, out + 32, 16), 1, 1e-5);
  for (int k = 0; k < 2; k++) e[k]->kind->free(e[k]), mem_free(vectors[k]);
}

static void test_refusals(void **state) {
  (void)state;
  medley_error error = {0};
  encoder *e = NULL;
  assert_refused(encoder_text_gru.create(1, 5000, &e, &error), MEDLEY_ERR_USAGE,
                 "text.gru gives at most 1024 dimensions, not 5000");
  assert_refused(encoder_vae_image.create(1, 5000, &e, &error), MEDLEY_ERR_USAGE, "vae gives at most 1024 dimensions");
  assert_ok(encoder_text_gru.create(1, 0, &e, &error));
  encoder_input one[] = {{.text = "a boat"}, {.text = "..."}};
  assert_refused(e->kind->fit(e, one, 2, NULL, &error), MEDLEY_ERR_INPUT, "1 texts with words are too few");
  e->kind->free(e);
  assert_ok(encoder_autoencoder_image.create(1, 0, &e, &error));
  assert_refused(e->kind->fit(e, one, 0, NULL, &error), MEDLEY_ERR_INPUT, "0 items are too few");
  e->kind->free(e);
}

/* ---- a run that is stopped goes on to the same bits ---- */

typedef struct line_fit {
  layer_linear layer;
  real x[7 * 3];
  uint64_t stop;
} line_fit;

static tensor *line_loss(tape *t, void *context, const uint32_t *items, size_t count) {
  line_fit *f = context;
  if (tape_step(t) + 1 == f->stop) usleep(110000); /* progress is told ten times a second */
  for (size_t i = 0; i < count * 3; i++) f->x[i] = (real)sin((double)(items[i / 3] * 3 + i % 3));
  tensor *x = op_dropout(t, tape_input(t, 2, (size_t[]){count, 3}, f->x), 0.2);
  return op_mean(t, op_square(t, op_affine(t, layer_linear_forward(t, &f->layer, x), 1, -0.7)), OP_ALL);
}

static int stop_at_step(void *context, const medley_progress_state *at) {
  return at->done >= *(const uint64_t *)context;
}

/* Trains up to `stop` steps (0: to the end). */
static parameters *line_train(const char *path, uint64_t stop, medley_status expected) {
  medley_error error = {0};
  line_fit fit = {.stop = stop};
  parameters *p = parameters_create();
  layer_linear_init(&fit.layer, p, "line", 3, 2, true);
  assert_ok(parameters_seal(p, 5, &error));
  medley_progress receiver = {.report = stop > 0 ? stop_at_step : NULL, .context = &stop};
  progress_stage stage;
  progress_begin(&stage, &receiver, "learn", 0);
  trained_plan plan = {.batch = 4, .passes = 1, .rate = 1e-2, .loss = line_loss, .context = &fit, .state = path};
  assert_int_equal(trained_fit(p, 3, &plan, 7, &stage, &error), expected);
  return p;
}

static void test_resumes(void **state) {
  (void)state;
  char folder[256], path[300];
  test_folder(folder);
  snprintf(path, sizeof path, "%s/run.safetensors", folder);
  parameters *whole = line_train(NULL, 0, MEDLEY_OK), *parts = NULL;
  for (uint64_t stop = 40; stop <= 120; stop += 40) {
    parts = line_train(path, stop, MEDLEY_ERR_CANCELLED);
    assert_memory_not_equal(real_data(parameters_get(parts, "line.weight")),
                            real_data(parameters_get(whole, "line.weight")), 6 * sizeof(real));
    parameters_free(parts);
  }
  parts = line_train(path, 0, MEDLEY_OK);
  for (size_t i = 0; i < parameters_count(whole); i++)
    assert_memory_equal(parameters_at(whole, i)->value.data, parameters_at(parts, i)->value.data,
                        parameters_at(whole, i)->value.count * sizeof(real));
  parameters_free(whole), parameters_free(parts);
  unlink(path), rmdir(folder);
}

/* Stopped, every encoder's fit goes on to the bits of one that was not. A few items do: the steps are as many. */
static void fit_goes_on(const trained_row *row) {
  medley_error error = {0};
  static catalogue c;
  char folder[256], path[300];
  const encoder_kind *kind = encoder_kind_for(row->modality, row->name);
  enum { SOME = ITEMS / 4 };
  float *vectors[2];
  size_t stops = 0;
  catalogue_fill(&c, row->modality);
  test_folder(folder);
  snprintf(path, sizeof path, "%s/run.safetensors", folder);
  for (int parts = 0; parts < 2; parts++) {
    encoder *e = NULL;
    medley_status status = MEDLEY_ERR_CANCELLED;
    for (uint64_t stop = 60; status != MEDLEY_OK; stop = UINT64_MAX) {
      medley_progress receiver = {.report = stop_at_step, .context = &stop};
      progress_stage stage;
      if (e != NULL) kind->free(e);
      assert_ok(kind->create(7, 8, &e, &error));
      if (parts) kind->keep(e, path);
      progress_begin(&stage, parts ? &receiver : NULL, "fit", 0);
      status = kind->fit(e, c.inputs, SOME, &stage, &error);
      assert_true(status == MEDLEY_OK || (parts && status == MEDLEY_ERR_CANCELLED));
      stops += status != MEDLEY_OK;
    }
    vectors[parts] = mem_alloc(SOME * 8, sizeof *vectors[parts]);
    assert_ok(kind->encode(e, c.inputs, SOME, vectors[parts], &error));
    kind->free(e);
  }
  assert_memory_equal(vectors[0], vectors[1], SOME * 8 * sizeof **vectors);
  printf("%s: stopped %zu times\n", row->name, stops);
  mem_free(vectors[0]), mem_free(vectors[1]);
  catalogue_deinit(&c);
  unlink(path), rmdir(folder);
}

static void test_fits_go_on(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof trained_rows_of / sizeof *trained_rows_of; k++) {
    const trained_row *row = &trained_rows_of[k];
    /* of those that share a training, the quickest */
    static const char *const slow[] = {"image.vit", "text.transformer", "video.attention"};
    bool quick = true;
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) quick &= strcmp(row->name, slow[i]) != 0;
    if (quick && (only == NULL || strcmp(only, modality_name(row->modality)) == 0)) fit_goes_on(row);
  }
}

/* Pictures of one pixel, silence, hardly a sound, samples that are no number, a clip of one frame: each is content, and
 * says the same alone as beside others. */
static void test_odd_media(void **state) {
  (void)state;
  medley_error error = {0};
  static catalogue c;
  uint8_t pixel[3] = {200, 30, 40};
  float silent[4000] = {0}, broken[4000], one = 0.5f;
  for (int i = 0; i < 4000; i++) broken[i] = i % 7 == 0 ? NAN : i % 11 == 0 ? INFINITY : 0.1f;
  image dot = {1, 1, pixel}, none = {0, 0, pixel};
  sound sounds[] = {{16000, 4000, silent}, {16000, 0, NULL}, {16000, 1, &one}, {22050, 4000, broken}, {0, 0, NULL}};
  video clips[] = {{.frame_count = 1, .frames = &dot}, {.frame_count = 1, .frames = &dot, .sound = sounds[3]}, {0}};
  const encoder_input odd[3][5] = {{{.image = &dot}},
                                   {{.sound = &sounds[0]},
                                    {.sound = &sounds[1]},
                                    {.sound = &sounds[2]},
                                    {.sound = &sounds[3]},
                                    {.sound = &sounds[4]}},
                                   {{.video = &clips[0]}, {.video = &clips[1]}}};
  const encoder_input refused[] = {{.image = &none}, {0}, {.video = &clips[2]}};
  const encoder_kind *kinds[] = {&encoder_image_cnn, &encoder_audio_cnn, &encoder_video_attention};
  static const size_t counts[] = {1, 5, 2};
  enum { DIM = 8 };
  for (int k = 0; k < 3; k++) {
    if (only != NULL && strcmp(only, modality_name(kinds[k]->modality)) != 0) continue;
    encoder *e;
    float together[5 * DIM], alone[DIM];
    catalogue_fill(&c, kinds[k]->modality);
    assert_ok(kinds[k]->create(7, DIM, &e, &error));
    assert_refused(kinds[k]->fit(e, c.inputs, 1, NULL, &error), MEDLEY_ERR_INPUT, "1 items are too few to learn from");
    assert_ok(kinds[k]->fit(e, c.inputs, 2, NULL, &error));
    assert_ok(kinds[k]->encode(e, odd[k], counts[k], together, &error));
    for (size_t i = 0; i < counts[k]; i++) {
      assert_near(vector_dot(together + i * DIM, together + i * DIM, DIM), 1, 1e-4);
      assert_ok(kinds[k]->encode(e, &odd[k][i], 1, alone, &error));
      for (size_t d = 0; d < DIM; d++) assert_near(alone[d], together[i * DIM + d], 1e-4);
    }
    if (refused[k].image != NULL || refused[k].video != NULL)
      assert_refused(kinds[k]->encode(e, &refused[k], 1, alone, &error), MEDLEY_ERR_INPUT,
                     k == 0 ? "a picture of 0 x 0 pixels" : "a clip without a frame");
    kinds[k]->free(e);
    catalogue_deinit(&c);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_resumes),  cmocka_unit_test(test_all),       cmocka_unit_test(test_same_again),
      cmocka_unit_test(test_refusals), cmocka_unit_test(test_odd_media), cmocka_unit_test(test_fits_go_on),
  };
  only = argc > 1 ? argv[1] : NULL;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
