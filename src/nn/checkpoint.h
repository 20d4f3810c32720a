/* nn/checkpoint.h: a published model, whatever it lies in: one .safetensors file, shards with an index, a .gguf file,
 * or a folder that holds one of these beside its config.json.
 *
 * Tensors stay mapped; who needs float32 gets a copy or reads rows (tensor_view_read_rows). A checkpoint that is open
 * is read-only and may be used by several threads. */
#ifndef NN_CHECKPOINT_H
#define NN_CHECKPOINT_H

#include "base/error.h"
#include "base/json.h"
#include "base/map.h"
#include "base/progress.h"
#include "nn/gguf.h"
#include "nn/safetensors.h"

#define CHECKPOINT_CONFIG_BYTES_MAX ((size_t)16 << 20)

typedef struct checkpoint {
  char *path;   /* the file that was opened: model.safetensors, the index, model.gguf */
  char *folder; /* where config.json and tokenizer files lie: the folder itself, or the file's when the file has a
                   published name (model.safetensors); NULL for a file that stands alone */
  safetensors *shards; /* [shard_count]; 0 for GGUF */
  size_t shard_count;
  gguf *gguf;           /* NULL for safetensors */
  tensor_view *tensors; /* in the order of their names, numbers by value */
  size_t count;
  strmap names;   /* → index into tensors */
  json_t *config; /* config.json, an object; NULL when there is none */
} checkpoint;

/* path: a file (told by its first bytes, not its name) or a folder. In a folder: model.safetensors, else
 * model.safetensors.index.json, else the only .safetensors or .gguf file. */
medley_status checkpoint_open(checkpoint *c, const char *path, medley_error *err) MEDLEY_CHECK;
void checkpoint_close(checkpoint *c); /* harmless on a zeroed one */

/* "safetensors", "sharded safetensors" or "GGUF" */
const char *checkpoint_format(const checkpoint *c);
/* A text from the file's own metadata (safetensors' __metadata__ of the first shard, GGUF's values); NULL when absent.
 */
const char *checkpoint_metadata(const checkpoint *c, const char *key);

/* NULL when absent. */
const tensor_view *checkpoint_get(const checkpoint *c, const char *name);
/* The tensor, which must be there with these sizes (0: any), in whatever dtype. */
medley_status checkpoint_need(const checkpoint *c, const char *name, int rank, const uint64_t *shape,
                              const tensor_view **out, medley_error *err) MEDLEY_CHECK;
/* The same as float32 [product of sizes] in *out (mem_free); numbers that are not finite are refused. */
medley_status checkpoint_copy_f32(const checkpoint *c, const char *name, int rank, const uint64_t *shape, float **out,
                                  medley_error *err) MEDLEY_CHECK;

/* A full pass over all weights: how many values of each tensor are infinite or no number, into bad [count]. */
medley_status checkpoint_count_bad(const checkpoint *c, uint64_t *bad, const medley_progress *progress,
                                   medley_error *err) MEDLEY_CHECK;

#endif
