/* cli/moment.h: points in time and lengths of it as people type them. */
#ifndef CLI_MOMENT_H
#define CLI_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds since 1970 ("1735689600"), or ISO 8601: "2025-01-01", "2025-01-01T12:30", "2025-01-01 12:30:05Z",
 * "…+08:00"; UTC when no zone is named. False for anything else, for days a month does not have, and outside the years
 * 0 to 9999. */
bool moment_parse(const char *text, int64_t *seconds);
/* A length of time: "90", "90s", "1.5m", "2h", "1d" → seconds above 0. False for anything else. */
bool duration_parse(const char *text, double *seconds);

#endif
