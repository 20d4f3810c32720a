/* medley/sample.h: a small catalogue to try everything on, made up from nothing.
 *
 * Things of eight kinds (lamps, vases, shirts, ships, guitars, birds, balloons, fish) get a drawn picture, a
 * synthesised jingle, sometimes a short clip, and words in English, Chinese or both; made-up people look, listen, read,
 * buy and rate according to tastes that the recommenders have to find out. All of it is synthetic, and its README.txt
 * says so.
 */
#ifndef MEDLEY_SAMPLE_H
#define MEDLEY_SAMPLE_H

#include <medley/error.h>
#include <medley/progress.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MEDLEY_SAMPLE_ITEMS_DEFAULT 600
#define MEDLEY_SAMPLE_ITEMS_MIN 20
#define MEDLEY_SAMPLE_ITEMS_MAX 20000
#define MEDLEY_SAMPLE_USERS_DEFAULT 400
#define MEDLEY_SAMPLE_USERS_MIN 2
#define MEDLEY_SAMPLE_USERS_MAX 100000
#define MEDLEY_SAMPLE_EVENTS_PER_USER_DEFAULT 60
#define MEDLEY_SAMPLE_EVENTS_PER_USER_MAX 1000
#define MEDLEY_SAMPLE_CLIPS_DEFAULT 60

/* Zero-initialise: every zero means its default. */
typedef struct medley_sample_options {
  uint32_t items;           /* things in the catalogue */
  uint32_t users;           /* people */
  uint32_t events_per_user; /* on average; activity is uneven, and nobody exhausts a small catalogue */
  int32_t clips;            /* items with a clip, at most a quarter of the items; negative: none */
  uint64_t seed;            /* the same seed and options give the same catalogue; 0: 1 */
} medley_sample_options;

typedef struct medley_sample_report {
  uint32_t items, users, images, sounds, clips;
  uint64_t events, links;
  double seconds;
} medley_sample_report;

/* Fills `folder` with items.jsonl, users.csv, events.csv, links.csv, images/, sounds/, clips/, queries/ and README.txt.
 * All media paths in items.jsonl are relative to the folder.
 *
 * The folder must be empty or not exist (MEDLEY_ERR_EXISTS). It is made beside its name and renamed, so it is never
 * seen half-written; after an error or a cancelled call nothing is left. options, progress, report and err may be NULL.
 * MEDLEY_ERR_USAGE for options out of bounds. Threads: safe; uses all OpenMP threads. */
MEDLEY_API medley_status medley_sample_create(const char *folder, const medley_sample_options *options,
                                              const medley_progress *progress, medley_sample_report *report,
                                              medley_error *err) MEDLEY_CHECK;

#ifdef __cplusplus
}
#endif
#endif
