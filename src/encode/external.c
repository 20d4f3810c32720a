/* encode/external.c: a text → the vector that a service gives for it: any server with OpenAI's embeddings call, be it
 * far away or on the same machine (llama.cpp, Ollama, vLLM, text-embeddings-inference).
 *
 * What open reads is a small JSON file of settings, written by adopt, which also asks the service once, so that the
 * length of the vectors is known from then on: an answer of another length is a changed model, and refused. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "encode/encoder.h"
#include "encode/external.h"

#define SETTINGS_BYTES_MAX ((size_t)64 << 10)
#define PROBE_TEXT "medley"

typedef struct external {
  encoder base;
  external_settings settings;
  pthread_mutex_t lock; /* one connection, so one request at a time */
  external_client *client;
  const medley_progress *progress; /* whom to ask while waiting; NULL: nobody */
} external;

/* ---- asking ---- */

/* Appends a text as the service may have it: well-formed UTF-8, and not longer than any model reads. */
static void text_append(strbuf *body, const char *text, strbuf *whole) {
  size_t length = strlen(text);
  if (length > EXTERNAL_TEXT_MAX)
    for (length = EXTERNAL_TEXT_MAX; length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80;) length--;
  strbuf_reset(whole);
  strbuf_append_utf8_repaired(whole, text, length);
  strbuf_append_json(body, whole->text ? whole->text : "");
}

static medley_status request_make(const external_settings *s, const encoder_input *inputs, size_t count, strbuf *body,
                                  medley_error *err) {
  strbuf whole = {0};
  strbuf_append(body, "{\"input\":[");
  for (size_t i = 0; i < count; i++) {
    if (i > 0) strbuf_append_char(body, ',');
    text_append(body, inputs[i].text, &whole);
  }
  strbuf_append(body, "],\"encoding_format\":\"float\"");
  if (s->model[0] != '\0') {
    strbuf_append(body, ",\"model\":");
    strbuf_append_json(body, s->model);
  }
  if (s->dimensions > 0) strbuf_printf(body, ",\"dimensions\":%u", s->dimensions);
  strbuf_append_char(body, '}');
  bool failed = body->failed || whole.failed;
  strbuf_deinit(&whole);
  return failed ? error_memory(err, "a request") : MEDLEY_OK;
}

/* *dim as in external_answer_read; *rows [count, *dim] (mem_free). */
static medley_status ask(const external_settings *s, external_client *client, const medley_progress *progress,
                         const encoder_input *inputs, size_t count, size_t *dim, float **rows, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf body = {0}, answer = {0};
  *rows = NULL;
  TRY(request_make(s, inputs, count, &body, err));
  TRY(external_client_post(client, body.text, external_answer_limit(count, *dim), progress, &answer, err));
  status = external_answer_read(answer.text ? answer.text : "", answer.length, count, dim, rows, err);
  if (status != MEDLEY_OK) status = error_prefix(err, status, "the service '%s' gives an answer of no use", s->url);
done:
  strbuf_deinit(&body);
  strbuf_deinit(&answer);
  return status;
}

static medley_status external_encode(const encoder *e, const encoder_input *inputs, size_t count, float *out,
                                     medley_error *err) {
  medley_status status = MEDLEY_OK;
  external *x = (external *)e; /* the connection is the lock's, not the encoder's state */
  size_t dim = x->settings.dim;
  pthread_mutex_lock(&x->lock);
  if (x->client == NULL) TRY(external_client_create(&x->settings, &x->client, err));
  for (size_t from = 0; from < count; from += x->settings.batch) {
    float *rows = NULL;
    size_t part = count - from < x->settings.batch ? count - from : x->settings.batch;
    TRY(ask(&x->settings, x->client, x->progress, inputs + from, part, &dim, &rows, err));
    memcpy(out + from * dim, rows, part * dim * sizeof *rows);
    mem_free(rows);
  }
done:
  pthread_mutex_unlock(&x->lock);
  return status;
}

/* ---- making one ---- */

static void external_free(encoder *e) {
  external *x = (external *)e;
  external_client_free(x->client);
  external_settings_deinit(&x->settings);
  pthread_mutex_destroy(&x->lock);
  mem_free(x);
}

static medley_status external_open(const char *path, encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *value = NULL;
  external_settings settings = {0};
  *out = NULL;
  TRY(json_parse_file(path, SETTINGS_BYTES_MAX, &value, err));
  TRY(external_settings_read(value, path, &settings, err));
  if (settings.dim == 0) FAIL(err, MEDLEY_ERR_INPUT, "%s: there is no 'dim': add the encoder again", path);
  external *x = mem_zalloc(1, sizeof *x);
  if (x == NULL) {
    status = error_memory(err, "an encoder");
    goto done;
  }
  x->base.kind = &encoder_external;
  x->settings = settings;
  settings = (external_settings){0};
  pthread_mutex_init(&x->lock, NULL);
  *out = &x->base;
done:
  external_settings_deinit(&settings);
  json_decref(value);
  return status;
}

static medley_status external_adopt(const char *source, const json_t *given, const char *path,
                                    const medley_progress *progress, medley_error *err) {
  medley_status status = MEDLEY_OK;
  external_settings settings = {0};
  external_client *client = NULL;
  json_t *value = NULL;
  float *rows = NULL;
  TRY(external_settings_gather(source, given, &settings, err));
  TRY(external_client_create(&settings, &client, err));
  size_t dim = settings.dimensions;
  TRY(ask(&settings, client, progress, &(encoder_input){.text = PROBE_TEXT}, 1, &dim, &rows, err));
  settings.dim = (uint32_t)dim;
  value = external_settings_to_json(&settings);
  status = value ? json_write_file(path, value, err) : error_memory(err, "settings");
done:
  mem_free(rows);
  json_decref(value);
  external_client_free(client);
  external_settings_deinit(&settings);
  return status;
}

/* Neither batches nor patience change what comes back. */
static void external_identity(const encoder *e, strbuf *out) {
  const external_settings *s = &((const external *)e)->settings;
  strbuf_printf(out, "%s %s %u %u", s->url, s->model, s->dimensions, s->dim);
}

static void external_listen(encoder *e, const medley_progress *progress) { ((external *)e)->progress = progress; }

static size_t external_dim(const encoder *e) { return ((const external *)e)->settings.dim; }

const encoder_kind encoder_external = {
    .name = "external",
    .summary = "asks a service that speaks OpenAI's embeddings interface",
    .modality = MODALITY_TEXT,
    .version = 1,
    .needs_file = true,
    .open = external_open,
    .adopt = external_adopt,
    .identity = external_identity,
    .listen = external_listen,
    .dim = external_dim,
    .encode = external_encode,
    .free = external_free,
};
