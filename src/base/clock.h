/* base/clock.h: time and memory of this process. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

double clock_now_s(void);         /* monotonic seconds, for durations */
int64_t clock_wall_s(void);       /* seconds since 1970 UTC */
uint64_t memory_peak_bytes(void); /* largest resident size since the last reset (Linux VmHWM), or since the start */
void memory_peak_reset(void);     /* where the kernel allows it (/proc/self/clear_refs); otherwise nothing happens */
/* "2026-11-22T17:34:00Z" into out[21]. */
void clock_format_utc(int64_t wall_s, char out[32]);

#endif
