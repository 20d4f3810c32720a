/* medley/model.h: published models: what a checkpoint holds, and which networks this build recognises.
 *
 * A checkpoint is a .safetensors file, shards with model.safetensors.index.json, a .gguf file, or a folder with one of
 * these and a config.json. Nothing is loaded beyond the header unless a full pass is asked for.
 */
#ifndef MEDLEY_MODEL_H
#define MEDLEY_MODEL_H

#include <medley/error.h>
#include <medley/progress.h>
#include <medley/workspace.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Without a workspace (NULL): {"architectures":[{"name","modality","summary","model_types":[…]}]}, the networks that
 * are recognised. With one: {"generations":[{"generation","serves","made","items","recommenders":[…],"encoders":[…],
 * "parameters","size_bytes"}]}, the models trained there, oldest first. *json is the caller's (medley_free). */
MEDLEY_API medley_status medley_model_list(medley_workspace *workspace, char **json, medley_error *err) MEDLEY_CHECK;

typedef struct medley_model_options { /* zero: the summary only */
  int tensors;                        /* not 0: list every tensor */
  int check;                          /* not 0: read all weights and count infinities and values that are no numbers */
} medley_model_options;

/* What is inside a file or folder (JSON):
 *   "file", "format", "size_bytes"
 *   "architecture": {"name", "modality", "summary", "told_by", "layout", "dimensions": {"width": 384, …}}, or null
 *   "parameters"    values of all tensors of floating-point or quantised type
 *   "dtypes": [{"dtype", "tensors", "values", "size_bytes"}]
 *   "tokenizer": {"kind", "tokens", "file"}, or null
 *   "metadata": {…} of the file itself
 *   "tensors": [{"name", "dtype", "shape", "size_bytes"}]   when asked for
 *   "bad_values": count, "bad_tensors": [{"name", "values"}]  when checked
 *   "remarks": ["…"]  sentences about what is unusual: an architecture that is not known, misaligned tensors …
 * A damaged or self-contradicting checkpoint is MEDLEY_ERR_INPUT. progress (may be NULL) is for the check. *json is the
 * caller's (medley_free). */
MEDLEY_API medley_status medley_model_describe(const char *path, const medley_model_options *options,
                                               const medley_progress *progress, char **json,
                                               medley_error *err) MEDLEY_CHECK;

/* The tokenizer in a file or folder (tokenizer.json, vocab.txt, vocab.json with merges.txt, *.model, *.gguf, CLIP's
 * merges): "file", "kind", "tokens", "tokens_max" (when the file says one), "special": {"begin": {"id", "token"}, …}
 * and, when text is not NULL, what becomes of it:
 *   "ids": [{"id", "token", "begin", "end", "special"}]  begin and end are bytes of the text; 0 and 0 for special
 * tokens "dropped"  tokens beyond tokens_max,  "decoded"  the ids turned back into text A kind that is not known is
 * MEDLEY_ERR_UNSUPPORTED, named. *json is the caller's (medley_free). */
MEDLEY_API medley_status medley_model_tokens(const char *path, const char *text, char **json,
                                             medley_error *err) MEDLEY_CHECK;

/* Runs an encoder ("mobilenet_v2") from a checkpoint on the inputs in a golden file (safetensors: inputs, and the
 * outputs of a reference run), and compares: {"encoder", "file", "golden", "tolerance", "agrees", "largest",
 * "outputs": [{"modality", "name", "values", "difference"}]}. A difference is the largest |ours - reference| of a
 * tensor over the largest |reference|; null when ours is no number, which never agrees. tolerance 0: 1e-3. *json is the
 * caller's (medley_free). */
MEDLEY_API medley_status medley_model_check(const char *name, const char *path, const char *golden, double tolerance,
                                            char **json, medley_error *err) MEDLEY_CHECK;

#ifdef __cplusplus
}
#endif
#endif
