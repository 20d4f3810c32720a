/* nn/weights_tuning.c: see nn/weights_tuning.h. */
#include "nn/weights_tuning.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/strbuf.h"

#define LORA_SCALE 2.0 /* alpha / rank: the usual alpha is twice the rank */

/* ---- choices ---- */

static const char *const part_names[] = {"all", "last", "lora"};

medley_status tuning_choice_read(const char *text, tuning_choice *out, medley_error *err) {
  long long number = 0;
  for (int p = TUNING_ALL; p <= TUNING_LORA; p++) {
    size_t length = strlen(part_names[p]);
    if (strncmp(text, part_names[p], length) != 0) continue;
    bool whole = p == TUNING_ALL ? text[length] == '\0'
                                 : text[length] == '=' && string_to_int64(text + length + 1, &number) && number > 0 &&
                                       number <= 4096;
    if (!whole) continue;
    *out = (tuning_choice){(tuning_part)p, (size_t)number};
    return MEDLEY_OK;
  }
  return error_set(err, MEDLEY_ERR_USAGE,
                   "'%.40s' is no choice of what learns: all, last=LAYERS or lora=RANK, such as lora=8", text);
}

const char *tuning_choice_text(tuning_choice choice, char text[TUNING_TEXT_MAX]) {
  if (choice.part == TUNING_ALL) return strcpy(text, part_names[TUNING_ALL]);
  snprintf(text, TUNING_TEXT_MAX, "%s=%zu", part_names[choice.part], choice.number);
  return text;
}

/* ---- taking ---- */

medley_status weights_tuning_init(weights_tuning *t, tuning_choice choice, medley_error *err) {
  *t = (weights_tuning){.choice = choice, .parameters = parameters_create()};
  return t->parameters != NULL ? MEDLEY_OK : error_memory(err, "what a network learns");
}

void weights_tuning_deinit(weights_tuning *t) {
  parameters_free(t->parameters);
  mem_free(t->sources);
  mem_free(t->lora);
  *t = (weights_tuning){0};
}

void weights_before_layers(weights *w) {
  if (w->tuning != NULL) w->tuning->within = false;
}

void weights_at_layer(weights *w, size_t layer, size_t layers) {
  if (w->tuning == NULL || w->tuning->choice.part != TUNING_LAST || w->status != MEDLEY_OK) return;
  size_t last = w->tuning->choice.number;
  if (last > layers)
    w->status =
        error_set(&w->error, MEDLEY_ERR_USAGE, "%s: last=%zu: the network has %zu layers", w->from->path, last, layers);
  w->tuning->within = layer + last >= layers;
}

bool weights_learn(const weights *w) {
  const weights_tuning *t = w->tuning;
  return t != NULL && (t->choice.part == TUNING_ALL || (t->choice.part == TUNING_LAST && t->within));
}

tensor *weights_parameter(weights *w, const char *name, int rank, const size_t *shape) {
  if (w->status != MEDLEY_OK) return NULL;
  return parameters_add(w->tuning->parameters, NULL, name, rank > 1 ? PARAMETER_WEIGHT : PARAMETER_PLAIN,
                        (initial){INITIAL_ZERO, 0}, rank, shape);
}

void weights_note_source(weights *w, tuning_source source) {
  weights_tuning *t = w->tuning;
  if (t == NULL || source.to == NULL || w->status != MEDLEY_OK) return;
  void *grown = t->sources;
  if (!mem_grow(&grown, &t->source_capacity, t->source_count + 1, sizeof *t->sources)) {
    w->status = error_memory(&w->error, "weights");
    return;
  }
  t->sources = grown;
  t->sources[t->source_count++] = source;
}

tensor *weights_table_learns(weights *w, const tensor_view *view, bool by_rows) {
  if (view == NULL || !weights_learn(w)) return NULL;
  size_t shape[] = {(size_t)view->shape[0], (size_t)view->shape[1]};
  tensor *x = by_rows ? parameters_add(w->tuning->parameters, NULL, view->name, PARAMETER_TABLE,
                                       (initial){INITIAL_ZERO, 0}, 2, shape)
                      : weights_parameter(w, view->name, 2, shape);
  weights_note_source(w, (tuning_source){.view = view, .to = x});
  return x;
}

void weights_add_lora(weights *w, layer_linear *l, const char *stem, const char *part) {
  weights_tuning *t = w->tuning;
  char name[SAFETENSORS_NAME_MAX];
  if (t == NULL || t->choice.part != TUNING_LORA || w->status != MEDLEY_OK || l->weight == NULL) return;
  size_t rank = t->choice.number, least = l->weight->shape[l->weight->shape[1] < l->weight->shape[0]];
  if (rank > least) {
    w->status =
        error_set(&w->error, MEDLEY_ERR_USAGE, "%s: lora=%zu: the matrices have %zu rows or columns: less would do",
                  w->from->path, rank, least);
    return;
  }
  void *grown = t->lora;
  if (!mem_grow(&grown, &t->lora_capacity, t->lora_count + 1, sizeof *t->lora)) {
    w->status = error_memory(&w->error, "weights");
    return;
  }
  t->lora = grown;
  t->lora[t->lora_count++] = l;
  snprintf(name, sizeof name, "%.100s%s", stem, part);
  layer_lora_init(l, t->parameters, name, rank, LORA_SCALE * (double)rank);
}

/* ---- first values ---- */

static void turn(const float *from, size_t rows, size_t columns, float *to) {
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
}

/* The view's numbers to where they belong. */
static medley_status source_read(const tuning_source *s, medley_error *err) {
  medley_status status = MEDLEY_OK;
  float *copy = NULL, *to = (float *)s->to->data + s->at;
  if (s->turned) {
    TRY_NEW(copy, s->view->count, "weights");
    tensor_view_read_rows(s->view, 0, tensor_view_rows(s->view), copy);
    turn(copy, (size_t)s->view->shape[0], (size_t)s->view->shape[1], to);
  } else {
    tensor_view_read_rows(s->view, 0, tensor_view_rows(s->view), to);
  }
done:
  mem_free(copy);
  return status;
}

medley_status weights_tuning_seal(weights *w, uint64_t seed, medley_error *err) {
  medley_status status = MEDLEY_OK;
  weights_tuning *t = w->tuning;
  if (w->from->gguf != NULL)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED,
         "%s: GGUF is made for answering: tune the safetensors files that the model was published in", w->from->path);
  TRY(parameters_seal(t->parameters, seed, err));
  for (size_t i = 0; i < t->source_count; i++)
    if (t->sources[i].to->needs_gradient) TRY(source_read(&t->sources[i], err));
done:
  return status;
}

/* ---- the new file ---- */

/* The weights of a layer with its difference, by a copy that w owns. NULL when memory runs out. */
static float *merged(weights *w, const layer_linear *l) {
  float *data = weights_memory(w, l->weight->count, sizeof *data);
  if (data == NULL) return NULL;
  memcpy(data, l->weight->data, l->weight->count * sizeof *data);
  tensor weight = *l->weight;
  layer_linear copy = *l;
  weight.data = data, copy.weight = &weight;
  layer_lora_merge(&copy);
  return data;
}

/* What a source's tensor holds now; NULL: what the file has. */
static medley_status values_now(weights *w, float *const *with_lora, const tuning_source *s, const float **out,
                                medley_error *err) {
  const float *values = s->to->needs_gradient ? s->to->data : NULL;
  for (size_t k = 0; k < w->tuning->lora_count; k++)
    if (w->tuning->lora[k]->weight == s->to) values = with_lora[k];
  *out = values != NULL ? values + s->at : NULL;
  if (!s->turned || values == NULL) return MEDLEY_OK;
  float *back = weights_memory(w, s->view->count, sizeof *back);
  if (back == NULL) return error_memory(err, "weights");
  turn(*out, (size_t)s->view->shape[1], (size_t)s->view->shape[0], back);
  *out = back;
  return MEDLEY_OK;
}

static medley_status tensor_add(weights *w, safetensors_writer *writer, float *const *with_lora,
                                const tensor_view *view, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const float *values = NULL;
  for (size_t i = 0; i < w->tuning->source_count; i++)
    if (w->tuning->sources[i].view == view) TRY(values_now(w, with_lora, &w->tuning->sources[i], &values, err));
  TRY(safetensors_add(writer, view->name, values != NULL ? DTYPE_F32 : view->dtype, view->rank, view->shape,
                      values != NULL ? values : view->data, err));
done:
  return status;
}

static medley_status metadata_add(const weights *w, safetensors_writer *writer, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char text[TUNING_TEXT_MAX];
  const char *key;
  json_t *value;
  if (w->from->shard_count > 0)
    json_object_foreach(w->from->shards[0].metadata, key, value)
        TRY(safetensors_add_metadata(writer, key, json_string_value(value), err));
  TRY(safetensors_add_metadata(writer, "medley.tuned", tuning_choice_text(w->tuning->choice, text), err));
done:
  return status;
}

medley_status weights_tuning_save(weights *w, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  safetensors_writer writer = {0};
  float **with_lora = NULL;
  TRY_NEW(with_lora, w->tuning->lora_count + 1, "weights");
  for (size_t k = 0; k < w->tuning->lora_count; k++) {
    with_lora[k] = merged(w, w->tuning->lora[k]);
    TRY(weights_status(w, err));
  }
  for (size_t i = 0; i < w->from->count; i++) TRY(tensor_add(w, &writer, with_lora, &w->from->tensors[i], err));
  TRY(metadata_add(w, &writer, err));
  TRY(safetensors_save(&writer, path, err));
done:
  safetensors_writer_deinit(&writer);
  mem_free(with_lora);
  return status;
}
