/* encode/rows.c: see encode/rows.h. */
#include "encode/rows.h"

#include <omp.h>
#include <stdbool.h>

#include "base/memory.h"

/* What one thread met first. */
typedef struct row_failure {
  size_t row;
  medley_error error;
} row_failure;

static void failure_keep(row_failure *kept, size_t row, const medley_error *error) {
#pragma omp critical(row_failure)
  if (kept->error.status == MEDLEY_OK || row < kept->row) *kept = (row_failure){row, *error};
}

static bool failure_before(row_failure *kept, size_t row) {
  bool before;
#pragma omp critical(row_failure)
  before = kept->error.status != MEDLEY_OK && kept->row < row;
  return before;
}

medley_status rows_run(const row_work *w, size_t count, medley_error *err) {
  row_failure kept = {0};
  int threads = count < (size_t)omp_get_max_threads() ? (int)count : omp_get_max_threads();
  if (count == 0) return MEDLEY_OK;
#pragma omp parallel num_threads(threads)
  {
    void *scratch = NULL;
    medley_error error = {0};
    bool ready = w->scratch_create == NULL || w->scratch_create(w->context, &scratch, &error) == MEDLEY_OK;
    if (!ready) failure_keep(&kept, 0, &error);
#pragma omp for schedule(dynamic, 4)
    for (size_t i = 0; i < count; i++) {
      if (!ready || failure_before(&kept, i)) continue;
      medley_status status = w->row(w->context, scratch, i, &error);
      if (status == MEDLEY_OK) continue;
      error.status = status;
      failure_keep(&kept, i, &error);
    }
    if (ready && w->scratch_free != NULL) w->scratch_free(w->context, scratch);
  }
  if (kept.error.status != MEDLEY_OK && err != NULL) *err = kept.error;
  return kept.error.status;
}
