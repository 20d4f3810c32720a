/* encode/open_clip.c: see encode/open_clip.h. Members and their defaults are those of open_clip's CLIPVisionCfg and
 * CLIPTextCfg. */
#include "encode/open_clip.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define SIZE_LARGEST 65536
enum { HEAD_WIDTH = 64, TEXT_HEADS = 8 };

/* Members that change what the tensors mean; those of which the tensors have other names are not among them. */
static const struct {
  const char *side, *name;
  const char *usual; /* a word that changes nothing; NULL: none does */
} unusual[] = {
    {"vision_cfg", "timm_model_name", NULL}, {"vision_cfg", "attentional_pool", NULL},
    {"vision_cfg", "input_patchnorm", NULL}, {"vision_cfg", "global_average_pool", NULL},
    {"vision_cfg", "no_ln_pre", NULL},       {"vision_cfg", "final_ln_after_pool", NULL},
    {"vision_cfg", "ls_init_value", NULL},   {"vision_cfg", "pool_type", "tok"},
    {"vision_cfg", "act_kwargs", NULL},      {"vision_cfg", "norm_kwargs", NULL},
    {"text_cfg", "hf_model_name", NULL},     {"text_cfg", "no_causal_mask", NULL},
    {"text_cfg", "embed_cls", NULL},         {"text_cfg", "pool_type", "argmax"},
    {"text_cfg", "ls_init_value", NULL},     {"text_cfg", "proj_bias", NULL},
    {"text_cfg", "proj_type", "linear"},     {"text_cfg", "act_kwargs", NULL},
    {"text_cfg", "norm_kwargs", NULL},
};

static bool is_usual(const json_t *value, const char *word) {
  if (value == NULL || json_is_null(value) || json_is_false(value)) return true;
  if (json_is_object(value)) return json_object_size(value) == 0;
  return word != NULL && json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

static medley_status unusual_refuse(const json_t *model, const char *path, medley_error *err) {
  for (size_t i = 0; i < sizeof unusual / sizeof *unusual; i++)
    if (!is_usual(json_object_get(json_object_get(model, unusual[i].side), unusual[i].name), unusual[i].usual))
      return error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: %s says '%s', which is not known here", path, unusual[i].side,
                       unusual[i].name);
  return MEDLEY_OK;
}

/* *out stays where nothing is said. */
static medley_status size_read(const json_t *config, const char *name, const char *path, size_t *out,
                               medley_error *err) {
  const json_t *value = json_object_get(config, name);
  if (value == NULL) return MEDLEY_OK;
  if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > SIZE_LARGEST)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: '%s' should be an integer from 1 to %d", path, name, SIZE_LARGEST);
  *out = (size_t)json_integer_value(value);
  return MEDLEY_OK;
}

/* Pictures have heads of a width, texts a number of them. */
static medley_status towers_read(open_clip_config *o, const json_t *model, const char *path, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *image = json_object_get(model, "vision_cfg"), *text = json_object_get(model, "text_cfg");
  size_t head = HEAD_WIDTH;
  o->text.heads = TEXT_HEADS;
  TRY(size_read(image, "width", path, &o->image.width, err));
  TRY(size_read(image, "layers", path, &o->image.layers, err));
  TRY(size_read(image, "head_width", path, &head, err));
  TRY(size_read(text, "width", path, &o->text.width, err));
  TRY(size_read(text, "layers", path, &o->text.layers, err));
  TRY(size_read(text, "heads", path, &o->text.heads, err));
  o->image.heads = o->image.width / head;
done:
  return status;
}

medley_status open_clip_config_load(open_clip_config *o, const checkpoint *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *config = NULL;
  char *path = NULL;
  *o = (open_clip_config){0};
  if (c->folder == NULL) return MEDLEY_OK;
  path = path_join(c->folder, "open_clip_config.json");
  if (path == NULL) return error_memory(err, "a path");
  if (!file_exists(path)) goto done;
  TRY(json_parse_file(path, FILE_BYTES_MAX, &config, err));
  const json_t *model = json_object_get(config, "model_cfg");
  if (!json_is_object(model)) FAIL(err, MEDLEY_ERR_INPUT, "%s: has no object model_cfg", path);
  TRY(unusual_refuse(model, path, err));
  TRY(towers_read(o, model, path, err));
  o->activation = json_is_true(json_object_get(model, "quick_gelu")) ? "quick_gelu" : "gelu";
  o->there = true;
done:
  json_decref(config);
  mem_free(path);
  return status;
}
