/* cli/console.c: see cli/console.h. */
#include "cli/console.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "cli/width.h"

#define COLUMNS_LEAST 40
#define COLUMNS_MOST 400

static size_t columns_of(int descriptor, bool terminal) {
  struct winsize size;
  long long told = 0;
  const char *environment = getenv("COLUMNS");
  if (environment != NULL && string_to_int64(environment, &told) && told >= COLUMNS_LEAST && told <= COLUMNS_MOST)
    return (size_t)told;
  if (!terminal || ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return CONSOLE_COLUMNS;
  return size.ws_col < COLUMNS_LEAST ? COLUMNS_LEAST : size.ws_col;
}

void console_init(console *c, bool json, bool quiet, bool verbose, bool no_color) {
  const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");
  bool colours =
      !no_color && !(refused != NULL && *refused != '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0;
  *c = (console){.json = json,
                 .quiet = quiet,
                 .verbose = verbose,
                 .out_terminal = isatty(STDOUT_FILENO) == 1,
                 .err_terminal = isatty(STDERR_FILENO) == 1};
  c->out_colour = colours && c->out_terminal && !json;
  c->err_colour = colours && c->err_terminal && !json;
  c->out_columns = columns_of(STDOUT_FILENO, c->out_terminal);
  c->err_columns = columns_of(STDERR_FILENO, c->err_terminal);
}

medley_status console_flush(console *c, medley_error *err) {
  if (c->text.failed) return error_memory(err, "the output");
  bool good = c->text.length == 0 || fwrite(c->text.text, 1, c->text.length, stdout) == c->text.length;
  if (fflush(stdout) != 0) good = false;
  strbuf_reset(&c->text);
  return good ? MEDLEY_OK : error_set_errno(err, MEDLEY_ERR_IO, errno, "standard output");
}

void console_json(console *c, const char *json) {
  strbuf_append(&c->text, json);
  strbuf_append_char(&c->text, '\n');
}

void console_line(console *c, text_style style, const char *format, ...) {
  strbuf line = {0};
  char fixed[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(fixed, sizeof fixed, format, args);
  va_end(args);
  strbuf_append_printable(&line, fixed);
  strbuf_append_styled(&c->text, line.text ? line.text : "", style, c->out_colour);
  strbuf_append_char(&c->text, '\n');
  strbuf_deinit(&line);
}

void console_table(console *c, const table *t, size_t indent) {
  table_append(t, &c->text, indent, c->out_columns, c->out_colour);
}

/* ---- standard error ---- */

/* Written in one piece, so that lines of several processes do not mix. A failing standard error cannot be told
 * anywhere. */
static void err_write(const strbuf *b) {
  if (b->failed || b->length == 0) return;
  if (fwrite(b->text, 1, b->length, stderr) == b->length) fflush(stderr);
}

static void bar_clear(console *c, strbuf *b) {
  if (c->bar_shown) strbuf_append(b, "\r\033[K");
  c->bar_shown = false;
}

/* value is consumed. */
static void err_write_json(console *c, json_t *value) {
  strbuf line = {0};
  char *text = value ? json_to_text(value) : NULL;
  bar_clear(c, &line);
  if (text != NULL) strbuf_printf(&line, "%s\n", text);
  err_write(&line);
  mem_free(text);
  strbuf_deinit(&line);
  json_decref(value);
}

void console_note(console *c, const char *text) {
  strbuf line = {0}, clean = {0};
  if (c->quiet) return;
  strbuf_append_printable(&clean, text);
  if (c->json) {
    err_write_json(c, json_pack("{s:s}", "note", clean.text ? clean.text : ""));
  } else {
    bar_clear(c, &line);
    strbuf_append_styled(&line, "note: ", STYLE_ACCENT, c->err_colour);
    strbuf_printf(&line, "%s\n", clean.text ? clean.text : "");
    err_write(&line);
  }
  strbuf_deinit(&clean);
  strbuf_deinit(&line);
}

void console_error(console *c, const char *name, const medley_error *error) {
  strbuf line = {0}, clean = {0};
  strbuf_append_printable(&clean, error->text);
  const char *text = clean.text ? clean.text : medley_status_name(error->status);
  if (c->json) {
    err_write_json(c, json_pack("{s:{s:s, s:s}}", "error", "status", medley_status_name(error->status), "text", text));
  } else {
    bar_clear(c, &line);
    strbuf_append_styled(&line, "medley", STYLE_BAD, c->err_colour);
    strbuf_printf(&line, "%s%s: %s\n", name ? " " : "", name ? name : "", text);
    err_write(&line);
  }
  strbuf_deinit(&clean);
  strbuf_deinit(&line);
}

void console_deinit(console *c) {
  strbuf line = {0};
  bar_clear(c, &line);
  err_write(&line);
  strbuf_deinit(&line);
  strbuf_deinit(&c->text);
}

/* ---- progress ---- */

/* Set by the signal handler: a process has one Ctrl-C. */
static volatile sig_atomic_t stop_asked;

static void on_stop(int signal_number) {
  (void)signal_number;
  stop_asked = 1;
}

static void stop_handle(void) {
  /* The handler goes after one signal: the second Ctrl-C ends a process that does not come to its next report. */
  struct sigaction action = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

static void rate_append(strbuf *b, double rate) {
  if (rate >= 10000)
    strbuf_append_count(b, (uint64_t)rate);
  else
    strbuf_printf(b, rate >= 100 ? "%.0f" : "%.1f", rate);
  strbuf_append(b, "/s");
}

static void time_left_append(strbuf *b, double seconds) {
  long long s = (long long)(seconds + 0.5);
  if (s >= 3600)
    strbuf_printf(b, "%lld h %02lld min left", s / 3600, s / 60 % 60);
  else if (s >= 60)
    strbuf_printf(b, "%lld min %02lld s left", s / 60, s % 60);
  else
    strbuf_printf(b, "%lld s left", s);
}

static void bar_draw(console *c, const medley_progress_state *s) {
  strbuf text = {0}, line = {0};
  const size_t bar = 20;
  strbuf_append_printable(&text, s->stage);
  if (s->total > 0) {
    uint64_t done = s->done < s->total ? s->done : s->total;
    strbuf_append(&text, "  ");
    size_t filled = (size_t)((double)done / (double)s->total * (double)bar);
    for (size_t i = 0; i < bar; i++) strbuf_append(&text, i < filled ? "█" : "░");
    strbuf_printf(&text, " %3.0f %%", 100 * (double)done / (double)s->total);
  }
  if (s->done > 0 || s->total > 0) {
    strbuf_append(&text, "  ");
    strbuf_append_count(&text, s->done);
    if (s->total > 0) {
      strbuf_append(&text, " of ");
      strbuf_append_count(&text, s->total);
    }
  }
  if (s->rate_per_s > 0) {
    strbuf_append(&text, "  ");
    rate_append(&text, s->rate_per_s);
  }
  if (s->remaining_s >= 0) {
    strbuf_append(&text, "  ");
    time_left_append(&text, s->remaining_s);
  }
  if (s->detail != NULL) strbuf_printf(&text, "  %s", s->detail);
  bar_clear(c, &line);
  strbuf_append_fitted(&line, text.text ? text.text : "", c->err_columns - 1);
  err_write(&line);
  c->bar_shown = true;
  strbuf_deinit(&text);
  strbuf_deinit(&line);
}

static void stage_tell(console *c, const medley_progress_state *s) {
  strbuf line = {0};
  if (c->json) {
    err_write_json(
        c, json_pack("{s:s, s:I, s:f}", "stage", s->stage, "done", (json_int_t)s->done, "seconds", s->elapsed_s));
    return;
  }
  bar_clear(c, &line);
  strbuf_append_printable(&line, s->stage);
  strbuf_append(&line, ": ");
  if (s->done > 0) {
    strbuf_append_count(&line, s->done);
    strbuf_append(&line, " in ");
  }
  strbuf_printf(&line, "%.1f s", s->elapsed_s);
  if (s->done > 1 && s->elapsed_s >= 0.1) {
    strbuf_append(&line, ", ");
    rate_append(&line, s->rate_per_s);
  }
  if (s->detail != NULL) strbuf_printf(&line, ", %s", s->detail);
  strbuf_append_char(&line, '\n');
  err_write(&line);
  strbuf_deinit(&line);
}

static int on_report(void *context, const medley_progress_state *state) {
  console *c = context;
  if (c->quiet) return stop_asked;
  if (state->finished && c->verbose)
    stage_tell(c, state);
  else if (state->finished && c->bar_shown) {
    strbuf line = {0};
    bar_clear(c, &line);
    err_write(&line);
    strbuf_deinit(&line);
  } else if (!state->finished && c->err_terminal)
    bar_draw(c, state);
  return stop_asked;
}

static void on_note(void *context, const char *text) { console_note(context, text); }

medley_progress console_progress(console *c) {
  stop_handle();
  return (medley_progress){.report = on_report, .note = on_note, .context = c};
}
