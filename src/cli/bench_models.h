/* cli/bench_models.h: evaluations of the same models on several catalogues with several seeds, as one table. */
#ifndef CLI_BENCH_MODELS_H
#define CLI_BENCH_MODELS_H

#include <jansson.h>

#include "cli/console.h"

/* reports: what medley_evaluate said of one catalogue, a report a seed. Returns
 * {"workspace":…,"split":…,"users":…,"items":…,"interactions":…,"models":[{"model":…,"seeds":…,"metrics":{"recall@20":{
 * "mean":…,"lo":…,"hi":…,"least":…,"most":…},…},"cold":{"recall@20":…,…},"p_value":{…},"baseline":…,"seconds":{"fit":…,
 * "per_user":…},"peak_memory_bytes":…},…]}: means over seeds of means and of the ends of their intervals, least and
 * most of the means; of the p values the greatest; of the seconds the median; of the memory the greatest. NULL when
 * memory runs out. */
json_t *bench_models_merge(const char *workspace, const json_t *reports);

/* A table a catalogue, best model first. */
void bench_models_show(console *c, const json_t *report);
/* The same as Markdown, or as CSV with a line for each model and catalogue. */
void bench_models_markdown(strbuf *out, const json_t *report);
void bench_models_csv(strbuf *out, const json_t *report);

#endif
