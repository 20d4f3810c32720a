/* tests/test.h: cmocka with the headers it wants, and the few things every test needs. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first. */
#include <cmocka.h>
#include <medley/error.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The call must succeed; its sentence is printed when it does not. Needs a local `medley_error error`. */
#define assert_ok(call)                                                                          \
  do {                                                                                           \
    medley_status got_ = (call);                                                                 \
    if (got_ != MEDLEY_OK) fail_msg("%s: %s (%s)", #call, error.text, medley_status_name(got_)); \
  } while (0)

/* The call must fail with this status, and its sentence must contain the words. */
#define assert_refused(call, expected, words)                                                                    \
  do {                                                                                                           \
    memset(&error, 0, sizeof error);                                                                             \
    medley_status got_ = (call);                                                                                 \
    if (got_ != (expected))                                                                                      \
      fail_msg("%s: got %s (%s), expected %s", #call, medley_status_name(got_), error.text,                      \
               medley_status_name(expected));                                                                    \
    if (strstr(error.text, (words)) == NULL) fail_msg("%s: '%s' does not say '%s'", #call, error.text, (words)); \
  } while (0)

/* |a - b| <= tolerance, both told when it is not so. */
#define assert_near(a, b, tolerance)                                                   \
  do {                                                                                 \
    double a_ = (a), b_ = (b);                                                         \
    if (!(fabs(a_ - b_) <= (tolerance)))                                               \
      fail_msg("%s = %.9g, expected %.9g within %g", #a, a_, b_, (double)(tolerance)); \
  } while (0)

/* A fresh folder under $TMPDIR, into path[256]; remove it with `rm -rf` or base/file.h. */
static inline void test_folder(char path[256]) {
  const char *base = getenv("TMPDIR");
  snprintf(path, 256, "%s/medley-test-XXXXXX", base ? base : "/tmp");
  if (mkdtemp(path) == NULL) fail_msg("cannot make a folder like %s", path);
}

/* A path inside the folder of real data, or NULL when that folder is not there: then call skip() after saying so. */
static inline const char *test_data(const char *name, char path[512]) {
  const char *data = getenv("MEDLEY_DATA");
  snprintf(path, 512, "%s/%s", data ? data : "../shared/data", name);
  if (access(path, R_OK) == 0) return path;
  fprintf(stderr, "skipped: %s is not there\n", path);
  return NULL;
}

#endif
