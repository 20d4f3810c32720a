/* Import of events: rows a second from a plain and a gzip table of a million made-up rows, into an empty workspace and
 * once more into the full one, and of items from JSON Lines. The bar for events is 200,000 a second. */
#include <medley/medley.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/strbuf.h"

enum { EVENTS = 1000000, ITEMS = 100000, USERS = 20000 };

static medley_status events_make(strbuf *out, medley_error *err) {
  rng r;
  rng_seed(&r, 1);
  strbuf_append(out, "user,item,type,time\n");
  for (int i = 0; i < EVENTS; i++) {
    /* Few items get most events, as everywhere. */
    double share = rng_uniform(&r);
    strbuf_printf(out, "u%d,i%d,watch,%d\n", (int)rng_below(&r, USERS), (int)(share * share * share * 10000),
                  1600000000 + i);
  }
  return out->failed ? error_memory(err, "rows") : MEDLEY_OK;
}

static medley_status items_make(strbuf *out, medley_error *err) {
  for (int i = 0; i < ITEMS; i++)
    strbuf_printf(out,
                  "{\"item\":\"i%d\",\"title\":\"thing number %d\",\"text\":\"a thing with some words about "
                  "it\",\"tags\":[\"t%d\"]}\n",
                  i, i, i % 100);
  return out->failed ? error_memory(err, "rows") : MEDLEY_OK;
}

static medley_status gzip_write(const char *path, const strbuf *text, medley_error *err) {
  gzFile file = gzopen(path, "wb1");
  bool good = file != NULL && gzwrite(file, text->text, (unsigned)text->length) == (int)text->length;
  if (file != NULL && gzclose(file) != Z_OK) good = false;
  return good ? MEDLEY_OK : error_set(err, MEDLEY_ERR_IO, "cannot write '%s'", path);
}

static medley_status bench_run(medley_workspace *w, const char *file, const char *name, medley_import_options options,
                               int rows, medley_error *err) {
  medley_status status = MEDLEY_OK;
  double started = clock_now_s();
  TRY(medley_import(w, file, &options, NULL, NULL, err));
  double took = clock_now_s() - started;
  printf("%-24s %8d rows  %5.2f s  %8.0f a second\n", name, rows, took, rows / took);
done:
  return status;
}

/* Into a workspace of its own. */
static medley_status bench_file(const char *folder, const char *name, medley_import_kind kind, int rows,
                                medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  char path[512], file[512];
  snprintf(path, sizeof path, "%s/w-%s", folder, name);
  snprintf(file, sizeof file, "%s/%s", folder, name);
  TRY(medley_workspace_create(path, err));
  TRY(medley_workspace_open(path, &w, err));
  TRY(bench_run(w, file, name, (medley_import_options){.kind = kind}, rows, err));
  if (kind != MEDLEY_IMPORT_EVENTS) goto done;
  snprintf(path, sizeof path, "%s again", name);
  TRY(bench_run(w, file, path, (medley_import_options){.kind = kind, .again = 1}, rows, err));
done:
  medley_workspace_close(w);
  return status;
}

static medley_status bench_all(const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf events = {.limit = (size_t)256 << 20}, items = {.limit = (size_t)256 << 20};
  char path[512];
  TRY(events_make(&events, err));
  TRY(items_make(&items, err));
  snprintf(path, sizeof path, "%s/events.csv", folder);
  TRY(file_write(path, events.text, events.length, err));
  snprintf(path, sizeof path, "%s/events.csv.gz", folder);
  TRY(gzip_write(path, &events, err));
  snprintf(path, sizeof path, "%s/items.jsonl", folder);
  TRY(file_write(path, items.text, items.length, err));
  TRY(bench_file(folder, "events.csv", MEDLEY_IMPORT_EVENTS, EVENTS, err));
  TRY(bench_file(folder, "events.csv.gz", MEDLEY_IMPORT_EVENTS, EVENTS, err));
  TRY(bench_file(folder, "items.jsonl", MEDLEY_IMPORT_ITEMS, ITEMS, err));
done:
  strbuf_deinit(&events);
  strbuf_deinit(&items);
  return status;
}

int main(void) {
  medley_error error = {0};
  char folder[] = "/tmp/medley-bench-XXXXXX";
  if (mkdtemp(folder) == NULL) return 1;
  medley_status status = bench_all(folder, &error);
  if (status != MEDLEY_OK) fprintf(stderr, "bench_import: %s\n", error.text);
  (void)!folder_remove(folder, NULL);
  return status != MEDLEY_OK;
}
