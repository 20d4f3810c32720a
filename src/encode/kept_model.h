/* encode/kept_model.h: a published model inside a workspace, known by its content.
 *
 *   encoders/<id>/           id: the hash of all its files and their names, 32 hex digits
 *     kept.json              {"format": 1, "source": where it came from, "added": when, "opens": "." or a file's name,
 *                             "files": [{"name", "size", "modified_ns", "hash"}]}
 *     model.safetensors …    copies
 *
 * Copies, because vectors of items and of queries must come from the same weights for as long as a generation serves:
 * a file in a download folder is gone or replaced by then. The id is part of the key under which vectors are kept, and
 * of a generation's manifest. A copy whose size or time is not what was written down is hashed again before it is used.
 */
#ifndef ENCODE_KEPT_MODEL_H
#define ENCODE_KEPT_MODEL_H

#include "base/hash.h"
#include "encode/encoder.h"

#define KEPT_MODEL_FOLDER "encoders"
#define KEPT_MODEL_ID_BYTES HASH_HEX_BYTES

/* Copies a checkpoint, with the configuration and tokenizer files beside it when it is a published folder, below
 * workspace/encoders. checkpoint_files false: path is one file of any kind. source: what people are told it is; NULL:
 * path. One that is there already stays, and is written anew only when it is damaged. */
medley_status kept_model_add(const char *workspace, const char *path, bool checkpoint_files, const char *source,
                             const medley_progress *progress, char id[KEPT_MODEL_ID_BYTES],
                             medley_error *err) MEDLEY_CHECK;
/* What lies beside the weights in a published folder (configuration, tokenizer) into another folder, by name. */
medley_status kept_model_companions(const char *folder, const char *into, medley_error *err) MEDLEY_CHECK;
/* Opens the encoder of a kind from the copies. NOT_FOUND and CORRUPT name the file and say what to do. */
medley_status kept_model_open(const char *workspace, const char *id, const encoder_kind *kind, encoder **out,
                              medley_error *err) MEDLEY_CHECK;
/* Every file is there and unchanged. deep: hashes all, otherwise only those whose time differs. */
medley_status kept_model_check(const char *workspace, const char *id, bool deep, medley_error *err) MEDLEY_CHECK;
/* kept.json (json_decref). */
medley_status kept_model_record(const char *workspace, const char *id, json_t **out, medley_error *err) MEDLEY_CHECK;

#endif
