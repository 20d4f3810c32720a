/* media/preparation.h: which steps texts, pictures and sounds go through before an encoder sees them (F03, F04, F05),
 * as medley.conf says it.
 *
 * A plain value: it travels to the worker processes in a request, stands in the signature of kept vectors, and in the
 * manifest of a generation, since a query must be prepared as the items were. One row of the table is one setting. */
#ifndef MEDIA_PREPARATION_H
#define MEDIA_PREPARATION_H

#include <stdbool.h>

#include "base/config.h"
#include "base/json.h"
#include "media/sample.h"
#include "media/text.h"

typedef enum preparation_step {
  STEP_TEXT_NFKC,
  STEP_TEXT_FOLD_CASE,
  STEP_TEXT_STRIP_HTML,
  STEP_TEXT_STRIP_URLS,
  STEP_TEXT_STRIP_EMOJI,
  STEP_TEXT_SEGMENT,
  STEP_TEXT_STOP_WORDS,
  STEP_TEXT_STEM,
  STEP_IMAGE_CROP,
  STEP_IMAGE_DENOISE,
  STEP_IMAGE_CONTRAST,
  STEP_IMAGE_EQUALISE,
  STEP_IMAGE_SHARPEN,
  STEP_AUDIO_DENOISE,
  STEP_AUDIO_TRIM,
  STEP_AUDIO_SEGMENTS,
  STEP_AUDIO_LOUDNESS,
  STEP_COUNT
} preparation_step;

/* Zero is the usual preparation. */
typedef struct preparation {
  uint8_t unusual[STEP_COUNT]; /* how many choices after the usual one, wrapping round */
  char language[8];            /* of all texts; "": detected per text */
} preparation;

#define PREPARATION_PREFIX "prepare."

/* Reads the keys prepare.*; absent ones are usual. A value that is no choice is INPUT, naming key, value and choices.
 * Keys that are no step are left to whoever checks the settings. */
medley_status preparation_read(const config *c, preparation *out, medley_error *err) MEDLEY_CHECK;
/* Whether there is such a key, and whether it takes the value; expected (may be NULL) gets "yes or no". */
bool preparation_knows(const char *key, const char *value, bool *takes, strbuf *expected);
/* {"prepare.text.stem":"no"}: what is unusual, and back. json NULL: usual. */
json_t *preparation_to_json(const preparation *p);
medley_status preparation_from_json(const json_t *json, preparation *out, medley_error *err) MEDLEY_CHECK;
/* Appends what is unusual for a modality (a video's is that of pictures and sounds): nothing for the usual. */
void preparation_sign(const preparation *p, modality m, strbuf *out);

/* p NULL: the usual one. language is borrowed from p. */
text_options preparation_text(const preparation *p);

#endif
