/* base/error.h: filling the caller's error, and the one way to leave a function early.
 *
 * Every fallible function in Medley has the same shape: `medley_status status = MEDLEY_OK;`, TRY on each fallible
 * call, and one `done:` label that frees what must be freed and returns status.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <medley/error.h>

/* Writes the sentence into err (which may be NULL) and returns status, so that `return error_set(...)` reads well. */
medley_status error_set(medley_error *err, medley_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with ": <strerror(error_number)>" added. */
medley_status error_set_errno(medley_error *err, medley_status status, int error_number, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "<prefix>: " before the sentence that is already in err; returns err's status (INTERNAL when err is NULL). */
medley_status error_prefix(medley_error *err, medley_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "out of memory for <what>" with MEDLEY_ERR_MEMORY. */
medley_status error_memory(medley_error *err, const char *what);

/* Needs a local `medley_status status` and a label `done`. */
#define TRY(call)                       \
  do {                                  \
    status = (call);                    \
    if (status != MEDLEY_OK) goto done; \
  } while (0)

/* TRY for a call that must set the error itself: FAIL(err, MEDLEY_ERR_INPUT, "line %zu: ...", line). */
#define FAIL(...)                    \
  do {                               \
    status = error_set(__VA_ARGS__); \
    goto done;                       \
  } while (0)

#endif
