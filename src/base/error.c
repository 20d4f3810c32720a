/* base/error.c: see base/error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const status_names[] = {
    [MEDLEY_OK] = "ok",
    [MEDLEY_ERR_USAGE] = "usage",
    [MEDLEY_ERR_INPUT] = "input",
    [MEDLEY_ERR_NOT_FOUND] = "not_found",
    [MEDLEY_ERR_EXISTS] = "exists",
    [MEDLEY_ERR_IO] = "io",
    [MEDLEY_ERR_MEMORY] = "memory",
    [MEDLEY_ERR_LIMIT] = "limit",
    [MEDLEY_ERR_BUSY] = "busy",
    [MEDLEY_ERR_CANCELLED] = "cancelled",
    [MEDLEY_ERR_UNSUPPORTED] = "unsupported",
    [MEDLEY_ERR_CORRUPT] = "corrupt",
    [MEDLEY_ERR_REJECTED] = "rejected",
    [MEDLEY_ERR_INTERNAL] = "internal",
};

const char *medley_status_name(medley_status status) {
  size_t count = sizeof status_names / sizeof *status_names;
  return (size_t)status < count ? status_names[status] : "unknown";
}

medley_status error_set(medley_error *err, medley_status status, const char *format, ...) {
  if (err == NULL) return status;
  va_list args;
  va_start(args, format);
  err->status = status;
  vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  return status;
}

medley_status error_set_errno(medley_error *err, medley_status status, int error_number, const char *format, ...) {
  if (err == NULL) return status;
  va_list args;
  va_start(args, format);
  err->status = status;
  vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  size_t length = strlen(err->text);
  char reason[128];
  /* The GNU strerror_r may return a static string instead of filling the buffer. */
  const char *words = strerror_r(error_number, reason, sizeof reason);
  snprintf(err->text + length, sizeof err->text - length, ": %s", words);
  return status;
}

medley_status error_prefix(medley_error *err, medley_status status, const char *format, ...) {
  if (err == NULL) return status;
  char before[MEDLEY_ERROR_TEXT_MAX];
  memcpy(before, err->text, sizeof before);
  va_list args;
  va_start(args, format);
  int length = vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  if (length >= 0 && (size_t)length < sizeof err->text)
    snprintf(err->text + length, sizeof err->text - (size_t)length, ": %.*s", MEDLEY_ERROR_TEXT_MAX - 4, before);
  err->status = status;
  return status;
}

medley_status error_memory(medley_error *err, const char *what) {
  return error_set(err, MEDLEY_ERR_MEMORY, "out of memory for %s", what);
}
