/* encode/external_http.c: one request to a service, again when that may help. The only file that knows libcurl. See
 * encode/external.h.
 *
 * Redirections are not followed: the key would go along to whoever the answer names. */
#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "encode/external.h"

#define CONNECT_TIMEOUT_MAX_S 15.0
#define PAUSE_FIRST_S 0.5
#define PAUSE_MAX_S 60.0
#define PAUSE_SLICE_S 0.2
#define RETRY_AFTER_MAX_S 600.0 /* who is told to wait longer hears so at once */
#define KEY_MAX 4096

struct external_client {
  const external_settings *settings; /* borrowed */
  CURL *curl;
  rng pauses;
};

/* What came of one attempt. */
typedef struct attempt {
  strbuf *answer;
  size_t limit;
  bool overflow;
  progress_stage *stage; /* of the whole request */
  bool stopped;          /* because it was asked to */
  long code;             /* HTTP status; 0: there was none */
  double retry_after_s;  /* 0: nothing said */
  bool again;            /* another attempt may help */
  char reason[512];      /* why not, as the end of a sentence */
} attempt;

/* ---- the client ---- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void curl_start(void) { (void)curl_global_init(CURL_GLOBAL_DEFAULT); }

medley_status external_client_create(const external_settings *s, external_client **out, medley_error *err) {
  *out = NULL;
  pthread_once(&curl_once, curl_start);
  external_client *c = mem_zalloc(1, sizeof *c);
  if (c == NULL) return error_memory(err, "a connection");
  c->settings = s;
  c->curl = curl_easy_init();
  /* Several processes that were turned away together should not all come back together. */
  rng_seed(&c->pauses, (uint64_t)(clock_now_s() * 1e9));
  if (c->curl == NULL) {
    mem_free(c);
    return error_memory(err, "a connection");
  }
  *out = c;
  return MEDLEY_OK;
}

void external_client_free(external_client *c) {
  if (c == NULL) return;
  curl_easy_cleanup(c->curl);
  mem_free(c);
}

/* ---- waiting ---- */

/* Seconds are what is counted. */
static medley_status waiting_update(progress_stage *stage, medley_error *err) {
  return progress_update(stage, (uint64_t)(clock_now_s() - stage->started_s), err);
}

/* Sleeps in slices, between which it is asked whether to stop. */
static medley_status pause_s(double seconds, progress_stage *stage, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (double now = clock_now_s(), end = now + seconds; status == MEDLEY_OK && now < end; now = clock_now_s()) {
    struct timespec rest = {0, (long)(fmin(end - now, PAUSE_SLICE_S) * 1e9)};
    (void)nanosleep(&rest, NULL);
    status = waiting_update(stage, err);
  }
  return status;
}

/* ---- one attempt ---- */

static size_t answer_take(char *bytes, size_t size, size_t count, void *context) {
  attempt *a = context;
  if (a->answer->length + size * count > a->limit) {
    a->overflow = true;
    return 0; /* ends the transfer */
  }
  strbuf_append_bytes(a->answer, bytes, size * count);
  return a->answer->failed ? 0 : size * count;
}

/* "Authorization: Bearer …" from the environment, for this request only. */
static medley_status key_add(const external_settings *s, struct curl_slist **headers, medley_error *err) {
  char line[KEY_MAX + 64];
  if (s->key_variable[0] == '\0') return MEDLEY_OK;
  const char *key = getenv(s->key_variable);
  if (key == NULL || key[0] == '\0')
    return error_set(err, MEDLEY_ERR_USAGE,
                     "the environment variable %s, which should hold the key for '%s', is not set", s->key_variable,
                     s->url);
  if (strlen(key) > KEY_MAX || strpbrk(key, "\r\n") != NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "the key in %s is longer than %d bytes or has a line break in it",
                     s->key_variable, KEY_MAX);
  snprintf(line, sizeof line, "Authorization: Bearer %s", key);
  struct curl_slist *longer = curl_slist_append(*headers, line);
  explicit_bzero(line, sizeof line);
  if (longer == NULL) return error_memory(err, "a request");
  *headers = longer;
  return MEDLEY_OK;
}

/* Some time of waiting has passed; whoever listens may have enough of it. */
static int answer_wait(void *context, curl_off_t all_down, curl_off_t down, curl_off_t all_up, curl_off_t up) {
  attempt *a = context;
  (void)all_down, (void)down, (void)all_up, (void)up;
  a->stopped = waiting_update(a->stage, NULL) != MEDLEY_OK;
  return a->stopped;
}

static void request_prepare(external_client *c, const char *body, struct curl_slist *headers, attempt *a) {
  double timeout_s = c->settings->timeout_s;
  curl_easy_reset(c->curl); /* keeps the connection */
  curl_easy_setopt(c->curl, CURLOPT_URL, c->settings->url);
  curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
  curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "medley/" MEDLEY_VERSION);
  curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L); /* other threads run */
  curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)(timeout_s * 1000));
  curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(fmin(timeout_s, CONNECT_TIMEOUT_MAX_S) * 1000));
  curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, answer_take);
  curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, a);
  curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, answer_wait);
  curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, a);
}

/* What no second attempt changes: an address that is none, a certificate that is not trusted. */
static bool failure_stays(CURLcode code) {
  return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_PEER_FAILED_VERIFICATION ||
         code == CURLE_SSL_CACERT_BADFILE || code == CURLE_OUT_OF_MEMORY || code == CURLE_WRITE_ERROR ||
         code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_WEIRD_SERVER_REPLY;
}

static bool code_passes(long code) { return code == 408 || code == 425 || code == 429 || code >= 500; }

static void outcome_read(external_client *c, CURLcode code, attempt *a) {
  curl_off_t wait_s = 0;
  strbuf said = {0};
  (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &a->code);
  if (curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &wait_s) == CURLE_OK) a->retry_after_s = (double)wait_s;
  if (a->overflow) {
    snprintf(a->reason, sizeof a->reason, "answers with more than %zu bytes", a->limit);
  } else if (code != CURLE_OK) {
    a->again = !failure_stays(code);
    snprintf(a->reason, sizeof a->reason, "cannot be asked: %s", curl_easy_strerror(code));
  } else if (a->code != 200) {
    a->again = code_passes(a->code);
    external_answer_reason(a->answer->text ? a->answer->text : "", a->answer->length, &said);
    snprintf(a->reason, sizeof a->reason, "answers %ld%s%s%s", a->code, said.length ? ": " : "",
             said.text ? said.text : "", a->code == 401 || a->code == 403 ? " (is the key right?)" : "");
  }
  strbuf_deinit(&said);
}

static medley_status attempt_run(external_client *c, const char *body, attempt *a, medley_error *err) {
  medley_status status = MEDLEY_OK;
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  strbuf_reset(a->answer);
  if (headers == NULL) return error_memory(err, "a request");
  TRY(key_add(c->settings, &headers, err));
  request_prepare(c, body, headers, a);
  outcome_read(c, curl_easy_perform(c->curl), a);
  if (a->answer->failed) status = error_memory(err, "an answer");
  if (a->stopped)
    status = error_set(err, MEDLEY_ERR_CANCELLED, "stopped on request while '%s' was asked", c->settings->url);
done:
  curl_slist_free_all(headers);
  return status;
}

/* ---- attempts ---- */

/* Doubling, with a random half, so that many clients spread out; or what the service asked for. */
static double pause_after(external_client *c, const attempt *a, uint32_t tried) {
  double growing = fmin(PAUSE_FIRST_S * pow(2, tried), PAUSE_MAX_S) * (0.5 + 0.5 * rng_uniform(&c->pauses));
  return a->retry_after_s > 0 ? a->retry_after_s : growing;
}

medley_status external_client_post(external_client *c, const char *body, size_t limit, const medley_progress *progress,
                                   strbuf *answer, medley_error *err) {
  medley_status status = MEDLEY_OK;
  /* Neither begun nor ended: a request that is answered at once is no stage that anybody need hear of. */
  progress_stage stage = {.sink = progress, .stage = "wait for the service", .started_s = clock_now_s()};
  stage.reported_s = stage.started_s;
  for (uint32_t tried = 0;; tried++) {
    attempt a = {.answer = answer, .limit = limit, .stage = &stage};
    TRY(attempt_run(c, body, &a, err));
    if (a.code == 200 && a.reason[0] == '\0') break;
    if (a.again && a.retry_after_s > RETRY_AFTER_MAX_S)
      FAIL(err, MEDLEY_ERR_IO, "the service '%s' %s, and asks to be left alone for %.0f s: try again then",
           c->settings->url, a.reason, a.retry_after_s);
    if (!a.again)
      FAIL(err, a.code == 0 ? MEDLEY_ERR_IO : MEDLEY_ERR_INPUT, "the service '%s' %s", c->settings->url, a.reason);
    if (tried + 1 >= c->settings->attempts)
      FAIL(err, MEDLEY_ERR_IO, "the service '%s' %s (%u attempt%s)", c->settings->url, a.reason, tried + 1,
           tried == 0 ? "" : "s");
    TRY(pause_s(pause_after(c, &a, tried), &stage, err));
  }
done:
  return status;
}
