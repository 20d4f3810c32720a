/* encode/open_clip.h: open_clip_config.json, which OpenCLIP publishes beside its weights: what their tensors do not
 * say. Its preprocess_cfg is read by encode/image_tensor.h. */
#ifndef ENCODE_OPEN_CLIP_H
#define ENCODE_OPEN_CLIP_H

#include "nn/checkpoint.h"

typedef struct open_clip_tower {
  size_t width, layers, heads; /* 0: not said */
} open_clip_tower;

typedef struct open_clip_config {
  bool there;
  open_clip_tower image, text;
  const char *activation; /* "gelu" or "quick_gelu", of both towers */
} open_clip_config;

/* Nothing is said where the file is not there. Members that would make another network of the same tensors are refused
 * with MEDLEY_ERR_UNSUPPORTED. */
medley_status open_clip_config_load(open_clip_config *o, const checkpoint *c, medley_error *err) MEDLEY_CHECK;

#endif
