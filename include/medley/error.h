/* medley/error.h: how every Medley call says what went wrong.
 *
 * A fallible call returns a medley_status and, when it is not MEDLEY_OK, writes one sentence for people into the
 * caller's medley_error: what was expected, what was found, and what to do. Passing NULL for the error is allowed.
 * After an error the object acted on is as it was before the call. No call prints, exits or throws.
 */
#ifndef MEDLEY_ERROR_H
#define MEDLEY_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define MEDLEY_API __attribute__((visibility("default")))
#define MEDLEY_CHECK __attribute__((warn_unused_result))

typedef enum medley_status {
  MEDLEY_OK = 0,
  MEDLEY_ERR_USAGE,       /* the caller asked for something that makes no sense: a bad option, an impossible pair */
  MEDLEY_ERR_INPUT,       /* a file or a value from outside is malformed */
  MEDLEY_ERR_NOT_FOUND,   /* a file, item, user, model or name does not exist */
  MEDLEY_ERR_EXISTS,      /* something that should be new is there already */
  MEDLEY_ERR_IO,          /* the operating system refused a read, write or rename */
  MEDLEY_ERR_MEMORY,      /* an allocation failed */
  MEDLEY_ERR_LIMIT,       /* a size is above a bound that protects the process; the sentence names the bound */
  MEDLEY_ERR_BUSY,        /* another process holds the workspace for writing */
  MEDLEY_ERR_CANCELLED,   /* the progress callback asked to stop; what was accepted before is kept */
  MEDLEY_ERR_UNSUPPORTED, /* known, but not handled by this build */
  MEDLEY_ERR_CORRUPT,     /* our own file fails its checks */
  MEDLEY_ERR_REJECTED,    /* an import finished, but more rows were rejected than allowed */
  MEDLEY_ERR_INTERNAL     /* a defect in Medley */
} medley_status;

#define MEDLEY_ERROR_TEXT_MAX 1024

/* Owned by the caller; needs no cleaning up. Zero-initialise it, or let the call that fails fill it. */
typedef struct medley_error {
  medley_status status;
  char text[MEDLEY_ERROR_TEXT_MAX]; /* UTF-8, NUL-terminated, no newline at the end */
} medley_error;

/* A short stable name such as "not_found", for logs and JSON. Never NULL. Thread-safe. */
MEDLEY_API const char *medley_status_name(medley_status status);

#ifdef __cplusplus
}
#endif
#endif
