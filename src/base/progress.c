/* base/progress.c: see base/progress.h. */
#include "base/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"

#define REPORT_INTERVAL_S 0.1

static int progress_report(progress_stage *p, uint64_t done, double now, int finished) {
  if (p->sink == NULL || p->sink->report == NULL) return 0;
  double elapsed = now - p->started_s;
  double rate = elapsed > 0 ? (double)done / elapsed : 0;
  bool known = p->total > 0 && rate > 0 && done <= p->total;
  medley_progress_state state = {
      .stage = p->stage,
      .done = done,
      .total = p->total,
      .elapsed_s = elapsed,
      .rate_per_s = rate,
      .remaining_s = known ? (double)(p->total - done) / rate : -1,
      .finished = finished,
      .detail = p->detail[0] != '\0' ? p->detail : NULL,
      .loss = p->loss,
      .learning_rate = p->learning_rate,
  };
  p->reported_s = now;
  return p->sink->report(p->sink->context, &state);
}

void progress_begin(progress_stage *p, const medley_progress *sink, const char *stage, uint64_t total) {
  double now = clock_now_s();
  *p = (progress_stage){
      .sink = sink, .stage = stage, .total = total, .started_s = now, .loss = NAN, .learning_rate = NAN};
  /* An answer to the first report is not lost: the next update asks again. */
  (void)progress_report(p, 0, now, 0);
}

medley_status progress_update(progress_stage *p, uint64_t done, medley_error *err) {
  double now = clock_now_s();
  if (now - p->reported_s < REPORT_INTERVAL_S) return MEDLEY_OK;
  if (progress_report(p, done, now, 0) != 0)
    return error_set(err, MEDLEY_ERR_CANCELLED, "stopped on request during '%s'", p->stage);
  return MEDLEY_OK;
}

void progress_end(progress_stage *p, uint64_t done) { (void)progress_report(p, done, clock_now_s(), 1); }

void progress_note(const medley_progress *sink, const char *format, ...) {
  if (sink == NULL || sink->note == NULL) return;
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  sink->note(sink->context, text);
}
