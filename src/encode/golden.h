/* encode/golden.h: outputs of a network beside those of a reference run, kept in a safetensors file together with the
 * inputs ("golden" files). */
#ifndef ENCODE_GOLDEN_H
#define ENCODE_GOLDEN_H

#include "base/error.h"
#include "nn/safetensors.h"

#define GOLDEN_OUTPUTS_MAX 32
#define GOLDEN_NAME_MAX 64

typedef struct golden_output {
  char name[GOLDEN_NAME_MAX];
  size_t values;
  /* The largest |ours - reference| over the largest |reference| of the tensor: relative to the scale of the output, so
   * that an element that happens to be near zero decides nothing. NaN when a value of ours is no number. */
  double difference;
} golden_output;

typedef struct golden_report {
  golden_output outputs[GOLDEN_OUTPUTS_MAX];
  size_t count;
} golden_report;

/* The tensor (an input, say), of floats or integers, which must be there with these sizes (0: any) and finite, as
 * float32 into *out (mem_free). found [rank], when not NULL, gets its sizes. */
medley_status golden_read(const safetensors *golden, const char *name, int rank, const uint64_t *shape, float **out,
                          uint64_t *found, medley_error *err) MEDLEY_CHECK;
/* Adds a row to the report. values [count]; the file's tensor must be there with as many values, all finite. */
medley_status golden_compare(golden_report *report, const safetensors *golden, const char *name, const float *values,
                             size_t count, medley_error *err) MEDLEY_CHECK;
/* The largest difference of all; NaN when there is one, or no output at all. */
double golden_largest(const golden_report *report);

#endif
