/* medley/encoder.h: which network looks at the texts, pictures, sounds and clips of a workspace.
 *
 * Without anything added, encoders that need no file do (medley list encoder). An added one takes the place of its
 * modality from the next training on: its files are copied into the workspace, below encoders/, so that items and
 * queries are seen with the same weights for as long as a generation serves, whatever becomes of the original.
 * Vectors are kept in the workspace by item, content and weights, as they come: what did not change is not encoded
 * again, and an interrupted training goes on where it was.
 */
#ifndef MEDLEY_ENCODER_H
#define MEDLEY_ENCODER_H

#include <medley/workspace.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct medley_encoder_options { /* zero-initialise */
  /* Fine-tuning: the network learns from the workspace's content before it is kept. "all": all of it; "last=2": the
   * last two layers; "lora=8": a difference of rank 8 beside every matrix of its blocks. NULL: it stays as published.
   */
  const char *tune;
  uint32_t tune_passes; /* over the items; 0: 1 */
  double tune_rate;     /* of learning, at its highest; 0: what suits `tune` */
  uint64_t tune_seed;   /* 0: as medley.conf's train.seed says */
  const char *curves;   /* file for the loss of tuning, .svg or .png; NULL: none */
  /* The rest is for services ("external"). */
  const char *model;        /* what the service calls its model */
  const char *key_variable; /* environment variable that holds the key; read for each request, never stored */
  uint32_t dimensions;      /* asked of the service; 0: whatever it gives */
  uint32_t batch;           /* texts in a request; 0: 64 */
  double timeout_s;         /* of a request; 0: 60 */
  uint32_t attempts;        /* at a request, with growing pauses; 0: 5 */
} medley_encoder_options;

/* Makes `kind` ("mobilenet_v2") the encoder of a modality ("text", "image", "audio", "video"). source: a checkpoint, a
 * folder as models are published, or for a service its address or a file of settings. It is opened, checked as a whole
 * (weights that are no finite numbers are refused), copied, and used from the next medley_train on. options may be
 * NULL. Tuning that was cancelled goes on where it was when the same is asked again and the items did not change. */
MEDLEY_API medley_status medley_encoder_add(medley_workspace *workspace, const char *modality, const char *kind,
                                            const char *source, const medley_encoder_options *options,
                                            const medley_progress *progress, medley_error *err) MEDLEY_CHECK;

/* {"encoders":[{"modality","encoder","from":"added"|"medley.conf"|"default","source","added","model","ok","problem",
 * "precision","serving"}]}, one for each modality: what the next training uses, and what the serving generation was
 * made with ("serving", null when it has none; "model" identifies the files; "precision": f32, bf16 or int8 of a
 * network that is trained on the catalogue, else null). *json is the caller's (medley_free). */
MEDLEY_API medley_status medley_encoder_list(medley_workspace *workspace, char **json, medley_error *err) MEDLEY_CHECK;

/* Back to medley.conf or the default from the next training on. Files that no generation needs are removed. NOT_FOUND
 * when none was added. */
MEDLEY_API medley_status medley_encoder_remove(medley_workspace *workspace, const char *modality,
                                               medley_error *err) MEDLEY_CHECK;

#ifdef __cplusplus
}
#endif
#endif
