/* nn/safetensors.h: reading and writing the safetensors format: an 8-byte little-endian header length, a JSON header,
 * the data. https://huggingface.co/docs/safetensors — the format of every model file Medley writes. */
#ifndef NN_SAFETENSORS_H
#define NN_SAFETENSORS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "nn/tensor_view.h"

#define SAFETENSORS_HEADER_MAX ((size_t)100 << 20)
#define SAFETENSORS_DTYPE_COUNT (DTYPE_BOOL + 1) /* the dtypes of this format come first in tensor_dtype */
#define SAFETENSORS_NAME_MAX 192                 /* bytes of a name that Medley builds from a prefix and a field */

typedef struct safetensors { /* a file that is open for reading */
  file_map map;
  json_t *metadata;     /* object of strings, or NULL; borrowed */
  tensor_view *tensors; /* in order of their data */
  size_t count;
  strmap names; /* → index into tensors */
  json_t *header;
  char *path;
} safetensors;

/* Maps the file and checks the header wholly before trust: lengths, dtypes, shapes, names (none twice), no overlap, no
 * gap, within the file. Tensors may be misaligned: the format asks for no alignment, and published files have such
 * tensors (writers before 2023 did not pad the header). They can be read as float32 (tensor_view_is_aligned), but
 * safetensors_need refuses them. */
medley_status safetensors_open(safetensors *s, const char *path, medley_error *err) MEDLEY_CHECK;
/* The same over bytes that the caller keeps alive (name is for sentences): for tests and fuzzing. */
medley_status safetensors_open_bytes(safetensors *s, const void *bytes, size_t length, const char *name,
                                     medley_error *err) MEDLEY_CHECK;
void safetensors_close(safetensors *s);
/* NULL when absent. */
const tensor_view *safetensors_get(const safetensors *s, const char *name);
/* The tensor, which must be there, aligned, with this dtype and this many dimensions; a size of 0 in shape [rank] means
 * any. */
medley_status safetensors_need(const safetensors *s, const char *name, tensor_dtype dtype, int rank,
                               const uint64_t *shape, const tensor_view **out, medley_error *err) MEDLEY_CHECK;

/* A copy of the F32 matrix "<prefix>.<field>" into *out (mem_free), which must have these sizes (0: any, but not none)
 * and hold finite numbers only. found, when not NULL, gets its sizes. */
medley_status safetensors_copy_f32(const safetensors *s, const char *prefix, const char *field, uint64_t rows,
                                   uint64_t columns, float **out, uint64_t found[2], medley_error *err) MEDLEY_CHECK;

/* Collects tensors (data borrowed until save), then writes them, aligned to 64 bytes, beside and renamed. */
typedef struct safetensors_writer {
  tensor_view *tensors;
  size_t count, capacity;
  json_t *metadata;
} safetensors_writer;
medley_status safetensors_add(safetensors_writer *w, const char *name, tensor_dtype dtype, int rank,
                              const uint64_t *shape, const void *data, medley_error *err) MEDLEY_CHECK;
medley_status safetensors_add_f32(safetensors_writer *w, const char *name, uint64_t rows, uint64_t columns,
                                  const float *data, medley_error *err) MEDLEY_CHECK;
/* The same as "<prefix>.<field>". */
medley_status safetensors_add_field(safetensors_writer *w, const char *prefix, const char *field, uint64_t rows,
                                    uint64_t columns, const float *data, medley_error *err) MEDLEY_CHECK;
medley_status safetensors_add_metadata(safetensors_writer *w, const char *key, const char *value,
                                       medley_error *err) MEDLEY_CHECK;
medley_status safetensors_save(safetensors_writer *w, const char *path, medley_error *err) MEDLEY_CHECK;
void safetensors_writer_deinit(safetensors_writer *w);

#endif
