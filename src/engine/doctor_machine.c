/* engine/doctor_machine.c: the half of medley_doctor that looks at the machine and the build; see engine/doctor.h. */
#include <cblas.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <medley/workspace.h>
#include <omp.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uversion.h>
#include <unistd.h>
#include <vips/vips.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/memory.h"
#include "engine/doctor.h"
#include "math/clones.h"
#include "media/fonts.h"
#include "media/worker.h"

#define OPENBLAS_OPENMP 2 /* openblas_get_parallel: 0 one thread, 1 pthreads, 2 OpenMP */

static void machine_check(doctor *d) {
  static const char *const levels[VECTOR_LEVEL_COUNT] = {"baseline", "AVX2", "AVX-512"};
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  doctor_find(d, "medley", true, "version %s", medley_version());
  doctor_find(d, "machine", true, "%ld processors, %.1f GB of memory, vector kernels for %s",
              sysconf(_SC_NPROCESSORS_ONLN), (double)pages * (double)page / 1e9, levels[vector_level_get()]);
}

static void libraries_check(doctor *d) {
  char icu[U_MAX_VERSION_STRING_LENGTH];
  UVersionInfo version;
  unsigned format = avformat_version(), codec = avcodec_version();
  u_getVersion(version);
  u_versionToString(version, icu);
  doctor_find(d, "libraries", true,
              "SQLite %s, libvips %s, libavformat %u.%u, libavcodec %u.%u, ICU %s, jansson %s, libsodium %s, zlib %s, "
              "zstd %s",
              sqlite3_libversion(), vips_version_string(), format >> 16, format >> 8 & 0xff, codec >> 16,
              codec >> 8 & 0xff, icu, jansson_version_str(), sodium_version_string(), zlibVersion(),
              ZSTD_versionString());
}

/* Another flavour than OpenMP brings a second set of threads, which fight with those of our own loops. */
static void blas_check(doctor *d) {
  int flavour = openblas_get_parallel();
  bool ok = flavour == OPENBLAS_OPENMP || openblas_get_num_threads() == 1;
  doctor_find(d, "OpenBLAS", ok, "%s, %s, %d threads; OpenMP may use %d%s", openblas_get_corename(),
              flavour == OPENBLAS_OPENMP ? "OpenMP flavour"
              : flavour == 1             ? "pthreads flavour"
                                         : "one thread",
              openblas_get_num_threads(), omp_get_max_threads(),
              ok ? "" : ": install libopenblas0-openmp, or set OPENBLAS_NUM_THREADS=1");
}

/* ---- workers ---- */

typedef struct worker_answer {
  medley_status status;
  char reason[256];
} worker_answer;

static medley_status worker_take(void *context, size_t index, medley_status status, media_sample *sample,
                                 const char *reason) {
  (void)index;
  worker_answer *a = context;
  a->status = status;
  if (status == MEDLEY_OK)
    media_sample_deinit(sample);
  else
    snprintf(a->reason, sizeof a->reason, "%s", reason);
  return MEDLEY_OK;
}

/* A picture of two pixels through a worker process and back: the way all media go. */
static medley_status worker_try(worker_answer *answer, medley_error *err) {
  static const char picture[] = "P6\n2 1\n255\n\xff\x80\x00\x00\x80\xff";
  medley_status status = MEDLEY_OK;
  const char *base = getenv("TMPDIR");
  char *folder = path_join(base && base[0] ? base : "/tmp", "medley-doctor-XXXXXX"), *path = NULL;
  media_pool *pool = NULL;
  progress_stage silence;
  bool made = false;
  if (folder == NULL) return error_memory(err, "a file name");
  if (mkdtemp(folder) == NULL) FAIL(err, MEDLEY_ERR_IO, "cannot make a folder like '%s'", folder);
  made = true;
  path = path_join(folder, "picture.ppm");
  if (path == NULL) {
    status = error_memory(err, "a file name");
    goto done;
  }
  TRY(file_write(path, picture, sizeof picture - 1, err));
  TRY(media_pool_create(1, NULL, &pool, err));
  media_request request = {.kind = MODALITY_IMAGE, .path = path};
  progress_begin(&silence, NULL, "try a worker", 1);
  TRY(media_pool_run(pool, &request, 1, worker_take, answer, &silence, err));
done:
  media_pool_free(pool);
  if (made) (void)(folder_remove(folder, NULL) == MEDLEY_OK);
  mem_free(path);
  mem_free(folder);
  return status;
}

static void worker_check(doctor *d) {
  medley_error error = {0};
  worker_answer answer = {.status = MEDLEY_ERR_INTERNAL, .reason = "no answer"};
  if (worker_try(&answer, &error) != MEDLEY_OK)
    doctor_find(d, "workers", false, "cannot be started: %s", error.text);
  else if (answer.status != MEDLEY_OK)
    doctor_find(d, "workers", false, "a worker could not decode a test picture: %s", answer.reason);
  else
    doctor_find(d, "workers", true, "a worker decoded a test picture");
}

static void fonts_check(doctor *d) {
  static const struct {
    const char *letters, *name, *package;
  } wanted[] = {{"Aé", "Latin letters", "fonts-dejavu-core"},
                {"的中国红连衣裙", "Chinese", "fonts-droid-fallback"},
                {"あのアン日本", "Japanese", "fonts-droid-fallback"}};
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    bool covered = fonts_cover(wanted[i].letters);
    doctor_find(d, "fonts", covered,
                covered ? "there is a font for %s" : "there is no font for %s: captions will be boxes; install %s",
                wanted[i].name, wanted[i].package);
  }
}

void doctor_machine(doctor *d) {
  machine_check(d);
  libraries_check(d);
  blas_check(d);
  worker_check(d);
  fonts_check(d);
}
