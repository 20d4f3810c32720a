/* learn/represent_save.c: a representation into a generation's files and back; freeing it. */
#include <stdio.h>
#include <string.h>

#include "learn/represent_parts.h"

void representation_part_deinit(representation_part *part) {
  if (part->encoder != NULL) part->encoder->kind->free(part->encoder);
  normaliser_deinit(&part->normaliser);
  features_deinit(&part->features);
  *part = (representation_part){0};
}

void representation_free(representation *r) {
  if (r == NULL) return;
  for (size_t i = 0; i < r->count; i++) representation_part_deinit(&r->parts[i]);
  mem_free(r->root);
  mem_free(r);
}

representation_part *representation_find(representation *r, const char *name) {
  for (size_t i = 0; i < r->count; i++)
    if (strcmp(r->parts[i].name, name) == 0) return &r->parts[i];
  return NULL;
}

/* A query is encoded, normalised and compared: the three must fit together. */
static medley_status encoder_fits(const representation_part *part, const char *where, medley_error *err) {
  if (part->kind->dim(part->encoder) == part->normaliser.in_dim && part->normaliser.out_dim == part->features.dim)
    return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_CORRUPT, "%s: encoder, normaliser and vectors of '%s' do not fit together", where,
                   part->name);
}

medley_status representation_encoder(representation *r, size_t index, const encoder **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  representation_part *part = &r->parts[index];
  *out = part->encoder;
  if (part->encoder != NULL) return MEDLEY_OK;
  TRY(kept_model_open(r->root, part->model, part->kind, &part->encoder, err));
  TRY(encoder_fits(part, part->kind->name, err));
  *out = part->encoder;
done:
  if (status != MEDLEY_OK && part->encoder != NULL) {
    part->kind->free(part->encoder);
    part->encoder = NULL;
  }
  return status;
}

size_t representation_features(const representation *r, features out[FEATURES_MAX]) {
  for (size_t i = 0; i < r->count; i++) out[i] = r->parts[i].features;
  return r->count;
}

static medley_status part_save(const representation_part *part, size_t index, safetensors_writer *w, json_t *list,
                               medley_error *err) {
  medley_status status = MEDLEY_OK;
  char prefix[64], name[96];
  snprintf(prefix, sizeof prefix, "part.%zu", index);
  snprintf(name, sizeof name, "%s.values", prefix);
  TRY(safetensors_add_f32(w, name, part->features.count, part->features.dim, part->features.values, err));
  snprintf(name, sizeof name, "%s.present", prefix);
  TRY(safetensors_add(w, name, DTYPE_U8, 1, (const uint64_t[]){part->features.count}, part->features.present, err));
  snprintf(name, sizeof name, "%s.normaliser", prefix);
  TRY(normaliser_save(&part->normaliser, w, name, err));
  snprintf(name, sizeof name, "%s.encoder", prefix);
  if (part->kind != NULL && part->kind->save != NULL) TRY(part->kind->save(part->encoder, w, name, err));
  json_t *entry =
      json_pack("{s:s, s:i, s:i, s:s, s:s, s:I, s:I, s:I, s:f}", "name", part->name, "source", (int)part->source,
                "modality", (int)part->modality, "encoder", part->kind ? part->kind->name : "", "model", part->model,
                "dim", (json_int_t)part->features.dim, "present", (json_int_t)features_present_count(&part->features),
                "unreadable", (json_int_t)part->unreadable, "seconds", part->seconds);
  if (entry == NULL || json_array_append_new(list, entry) != 0) return error_memory(err, "a manifest");
done:
  return status;
}

medley_status representation_save(const representation *r, safetensors_writer *w, json_t *manifest, medley_error *err) {
  medley_status status = MEDLEY_OK;
  json_t *list = json_array(), *prepared = preparation_to_json(&r->prepare);
  if (list == NULL || prepared == NULL) {
    status = error_memory(err, "a manifest");
    goto done;
  }
  for (size_t i = 0; i < r->count; i++) TRY(part_save(&r->parts[i], i, w, list, err));
  if (json_object_set(manifest, "representation", list) != 0 || json_object_set(manifest, "prepare", prepared) != 0)
    status = error_memory(err, "a manifest");
done:
  json_decref(list);
  json_decref(prepared);
  return status;
}

static medley_status part_load_encoder(const safetensors *s, const json_t *entry, const char *prefix,
                                       const preparation *prepare, representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[96];
  const char *encoder = json_member_string(entry, "encoder", "");
  if (encoder[0] == '\0') goto done;
  part->kind = encoder_kind_for(part->modality, encoder);
  if (part->kind == NULL)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "%s: was made with the encoder '%s', which this Medley has not", s->path,
         encoder);
  snprintf(part->model, sizeof part->model, "%s", json_member_string(entry, "model", ""));
  if (part->kind->needs_file) goto done; /* opened when it is needed */
  snprintf(name, sizeof name, "%s.encoder", prefix);
  TRY(part->kind->load(s, name, &part->encoder, err));
  if (part->kind->prepare != NULL) part->kind->prepare(part->encoder, prepare);
  TRY(encoder_fits(part, s->path, err));
done:
  return status;
}

static medley_status part_load(const safetensors *s, const json_t *entry, size_t index, const representation *r,
                               representation_part *part, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char prefix[64], name[96];
  const tensor_view *values, *present;
  snprintf(part->name, sizeof part->name, "%s", json_member_string(entry, "name", "?"));
  long long source = json_member_integer(entry, "source", -1), m = json_member_integer(entry, "modality", -1);
  if (source < PART_MEDIA || source > PART_VECTORS || m < 0 || m >= MODALITY_COUNT)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: part '%s' has an unknown source or modality", s->path, part->name);
  part->source = (part_source)source;
  part->modality = (modality)m;
  snprintf(prefix, sizeof prefix, "part.%zu", index);
  snprintf(name, sizeof name, "%s.values", prefix);
  TRY(safetensors_need(s, name, DTYPE_F32, 2, (const uint64_t[]){r->item_count, 0}, &values, err));
  if (values->shape[0] == 0 || values->shape[0] >= UINT32_MAX || values->shape[1] == 0)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: part '%s' has no vectors", s->path, part->name);
  snprintf(name, sizeof name, "%s.present", prefix);
  TRY(safetensors_need(s, name, DTYPE_U8, 1, (const uint64_t[]){values->shape[0]}, &present, err));
  part->features = (features){.count = values->shape[0], .dim = values->shape[1]};
  TRY_NEW(part->features.values, values->count, "vectors");
  TRY_NEW(part->features.present, present->count, "vectors");
  memcpy(part->features.values, values->data, values->count * sizeof(float));
  memcpy(part->features.present, present->data, present->count);
  snprintf(name, sizeof name, "%s.normaliser", prefix);
  TRY(normaliser_load(s, name, &part->normaliser, err));
  TRY(part_load_encoder(s, entry, prefix, &r->prepare, part, err));
done:
  return status;
}

medley_status representation_load(const safetensors *s, const json_t *manifest, const char *root, representation **out,
                                  medley_error *err) {
  medley_status status = MEDLEY_OK;
  representation *r = NULL;
  const json_t *list = json_object_get(manifest, "representation");
  if (json_array_size(list) > FEATURES_MAX)
    FAIL(err, MEDLEY_ERR_CORRUPT, "%s: more than %d parts", s->path, FEATURES_MAX);
  TRY_NEW(r, 1, "a representation");
  r->root = mem_strdup(root);
  if (r->root == NULL) {
    status = error_memory(err, "a representation");
    goto done;
  }
  TRY(preparation_from_json(json_object_get(manifest, "prepare"), &r->prepare, err));
  for (size_t i = 0; i < json_array_size(list); i++) {
    status = part_load(s, json_array_get(list, i), i, r, &r->parts[i], err);
    r->count = i + 1;
    if (status != MEDLEY_OK) goto done;
    r->item_count = (uint32_t)r->parts[i].features.count;
    r->parts[i].features.name = r->parts[i].name;
  }
  *out = r;
  r = NULL;
done:
  representation_free(r);
  return status;
}
