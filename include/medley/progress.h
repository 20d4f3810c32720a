/* medley/progress.h: long work tells how far it is, and can be stopped.
 *
 * Every long call takes a const medley_progress *; NULL means silence. The library calls `report` from the thread that
 * made the call, at most some ten times a second and once at the start and end of each stage.
 */
#ifndef MEDLEY_PROGRESS_H
#define MEDLEY_PROGRESS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct medley_progress_state {
  const char *stage;  /* what is being done: "import events", "fit ease"; valid during the callback only */
  uint64_t done;      /* units finished in this stage */
  uint64_t total;     /* units in this stage, 0 when unknown */
  double elapsed_s;   /* seconds since the stage began */
  double rate_per_s;  /* units per second, smoothed over the stage */
  double remaining_s; /* estimated seconds left in the stage, negative when unknown */
  int finished;       /* 1 on the last report of a stage */
  const char
      *detail; /* how it goes, "loss 0.4312": valid during the callback only; NULL when there is nothing to say */
  double loss; /* of a network in training, mean over the last steps; NAN when none is trained */
  double learning_rate; /* of its last step; NAN */
} medley_progress_state;

typedef struct medley_progress {
  /* Return 0 to go on, anything else to cancel: the call then ends with MEDLEY_ERR_CANCELLED, keeping what it had
   * accepted. May be NULL. */
  int (*report)(void *context, const medley_progress_state *state);
  /* Remarks that are no errors ("627 items have no image file"). May be NULL. The text ends with the call. */
  void (*note)(void *context, const char *text);
  void *context;
} medley_progress;

#ifdef __cplusplus
}
#endif
#endif
