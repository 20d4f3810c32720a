/* nn/architecture.h: which network a checkpoint holds, and its dimensions.
 *
 * A checkpoint says what it is in one of four ways, asked in this order: model_type in config.json;
 * general.architecture in GGUF; `architecture` in the metadata of a safetensors file; the names of its tensors. One
 * that is not known is refused by its name. Dimensions come from the same places, and all places that know one must
 * agree: a config.json that lies beside the wrong weights is found here, not in the middle of a matrix product.
 */
#ifndef NN_ARCHITECTURE_H
#define NN_ARCHITECTURE_H

#include "nn/checkpoint.h"

#define ARCHITECTURE_DIMENSIONS_MAX 16
#define ARCHITECTURE_PREFIX_MAX 128
#define ARCHITECTURE_PLACES_MAX 4

/* The size of a tensor on one axis. */
typedef struct architecture_size {
  const char *end; /* of the tensor's name: behind the layout's prefix, or the whole name */
  int axis;
} architecture_size;

/* Where a dimension can be found. Members may be NULL. */
typedef struct architecture_dimension { /* a table of them ends with a row without a name */
  const char *name;                     /* "width" */
  const char *config; /* members of config.json, '|' between several, '.' into objects: "d_model|text_config.width" */
  const char *gguf;   /* keys, '|' between several: behind "<architecture>." unless they begin with "tokenizer." */
  architecture_size sizes[ARCHITECTURE_PLACES_MAX]; /* one for each layout of names */
  const char *counted[ARCHITECTURE_PLACES_MAX]; /* "encoder.layer.": one more than the largest number that follows */
} architecture_dimension;

/* All of these ends of names behind one common prefix are this layout of the family. */
typedef struct architecture_layout { /* a table of them ends with a row without a name */
  const char *name;                  /* "transformers", "openclip", "timm" */
  const char *ends[4];
  uint64_t first;     /* the size on axis 0 of the first one; 0: any */
  const char *absent; /* an end that only a similar family has; NULL: none */
} architecture_layout;

typedef struct architecture_kind {
  const char *name;
  const char *summary;
  const char *modality;           /* "text", "image, text" */
  const char *const *model_types; /* as config.json names it; ends with NULL */
  const char *const *gguf_names;  /* as general.architecture names it; NULL: not published so */
  const architecture_layout *layouts;
  const architecture_dimension *dimensions;
} architecture_kind;

extern const architecture_kind *const architecture_kinds[];        /* ends with NULL */
const architecture_kind *architecture_kind_find(const char *name); /* NULL: unknown */

typedef struct model_architecture {
  const architecture_kind *kind;
  const char *told_by; /* "config.json", "general.architecture", "metadata", "tensor names" */
  const char *layout;  /* of the tensors' names; NULL when none is known (a vocabulary alone has no tensors) */
  char prefix[ARCHITECTURE_PREFIX_MAX]; /* before the layout's names: "bert." */
  struct {
    const char *name;
    int64_t value;
  } dimensions[ARCHITECTURE_DIMENSIONS_MAX];
  size_t count; /* of the dimensions that are known */
} model_architecture;

/* MEDLEY_ERR_UNSUPPORTED with its name when unknown; MEDLEY_ERR_INPUT when the places contradict each other, or the
 * tensors do not fit the family. */
medley_status architecture_recognise(const checkpoint *c, model_architecture *a, medley_error *err) MEDLEY_CHECK;
/* MEDLEY_ERR_INPUT unless it is one of the family `name`. */
medley_status architecture_need(const checkpoint *c, const char *name, medley_error *err) MEDLEY_CHECK;
int64_t architecture_dimension_get(const model_architecture *a, const char *name, int64_t fallback);

#endif
