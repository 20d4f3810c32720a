/* encode/external.h: what the files of `external` share: the settings of a service, its answers, one request.
 *
 * The interface is OpenAI's: POST <url> with {"model", "input": [texts], "encoding_format": "float"}, answered by
 * {"data": [{"index", "embedding": [numbers]}]}. https://platform.openai.com/docs/api-reference/embeddings
 */
#ifndef ENCODE_EXTERNAL_H
#define ENCODE_EXTERNAL_H

#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/strbuf.h"

#define EXTERNAL_DIM_MAX 65536
#define EXTERNAL_BATCH_DEFAULT 64
#define EXTERNAL_BATCH_MAX 2048
#define EXTERNAL_ATTEMPTS_DEFAULT 5
#define EXTERNAL_ATTEMPTS_MAX 20
#define EXTERNAL_TIMEOUT_DEFAULT_S 60.0
#define EXTERNAL_TEXT_MAX 32768 /* bytes of a text that are sent; no model reads more */

/* ---- settings (external_settings.c) ---- */

typedef struct external_settings {
  char *url;           /* http:// or https://, of the embeddings call itself */
  char *model;         /* "" : none is named */
  char *key_variable;  /* the environment variable with the key; "": none is sent */
  uint32_t dimensions; /* asked of the service; 0: not asked */
  uint32_t dim;        /* of the vectors it gives; 0: not known yet */
  uint32_t batch, attempts;
  double timeout_s;
} external_settings;

/* Every member is checked; one that is not known is refused by its name. name is for sentences. */
medley_status external_settings_read(const json_t *value, const char *name, external_settings *out,
                                     medley_error *err) MEDLEY_CHECK;
json_t *external_settings_to_json(const external_settings *s);
void external_settings_deinit(external_settings *s);
/* The settings that a user named: an address or a JSON file, and what given (an object or NULL) says besides. */
medley_status external_settings_gather(const char *source, const json_t *given, external_settings *out,
                                       medley_error *err) MEDLEY_CHECK;

/* ---- answers (external_answer.c) ---- */

/* The vectors in an answer for count texts, in the order of the texts, as out [count, *dim] (mem_free). *dim is what
 * they must have, or 0: then it is set. Anything missing, doubled, uneven or not finite is MEDLEY_ERR_INPUT. */
medley_status external_answer_read(const char *body, size_t length, size_t count, size_t *dim, float **out,
                                   medley_error *err) MEDLEY_CHECK;
/* What a service says of its own error, cut to some 200 bytes on one line; "" when it says nothing. */
void external_answer_reason(const char *body, size_t length, strbuf *out);
/* Bytes that an answer for count texts may have. */
size_t external_answer_limit(size_t count, size_t dim);

/* ---- one request (external_http.c) ---- */

typedef struct external_client external_client; /* holds its connection open between requests; one thread at a time */
medley_status external_client_create(const external_settings *s, external_client **out, medley_error *err) MEDLEY_CHECK;
void external_client_free(external_client *c);
/* Posts body and collects at most limit bytes of an answer of status 200. What may pass by itself (429, 5xx, broken
 * connections, time-outs) is tried again, with growing pauses or as long as Retry-After says. `progress` is asked in
 * pauses, and while an answer is waited for, whether to stop (MEDLEY_ERR_CANCELLED); may be NULL. */
medley_status external_client_post(external_client *c, const char *body, size_t limit, const medley_progress *progress,
                                   strbuf *answer, medley_error *err) MEDLEY_CHECK;

#endif
