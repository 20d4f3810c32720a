/* bench/nn_works.h: what `make bench-nn` measures: a table of works, each the same as in bench/nn_peers.py.
 *
 * A new one: a struct with what it needs, create, step, free, a line in nn_works (bench_nn.c), and in nn_peers.py a
 * function of the same name that gives back a step in PyTorch (or ONNX Runtime). The frame does the rest: rounds,
 * ratios, memory, limits.
 */
#ifndef BENCH_NN_WORKS_H
#define BENCH_NN_WORKS_H

#include "base/error.h"

typedef struct nn_work {
  const char *name;
  const char *summary;
  double flops; /* of a step, a multiplication and an addition counting as two; 0: memory is the limit */
  double bytes; /* of memory traffic a step cannot avoid */
  int warm;     /* steps before anything counts */
  medley_status (*create)(void **state, medley_error *err);
  medley_status (*step)(void *state, double *value,
                        medley_error *err); /* *value: the loss, or something of the result */
  void (*free)(void *state);                /* NULL is allowed */
} nn_work;

/* Files of works, each its own functions. */
extern const nn_work nn_work_gru, nn_work_lstm;                                /* nn_works_recurrent.c */
extern const nn_work nn_work_transformer, nn_work_minilm, nn_work_minilm_int8; /* nn_works_transformer.c */
extern const nn_work nn_work_bags;                                             /* nn_works_bags.c */
extern const nn_work nn_work_mobilenet_1, nn_work_mobilenet_32, nn_work_mobilenet_int8_1,
    nn_work_mobilenet_int8_32; /* nn_works_mobilenet.c */

#endif
