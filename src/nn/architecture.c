/* nn/architecture.c: see nn/architecture.h. The families are in nn/architecture_kinds.c. */
#include "nn/architecture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"

#define DIMENSION_MAX ((int64_t)1 << 40)
#define PATH_MAX_BYTES 128

const architecture_kind *architecture_kind_find(const char *name) {
  for (const architecture_kind *const *k = architecture_kinds; *k != NULL; k++)
    if (strcmp((*k)->name, name) == 0) return *k;
  return NULL;
}

static bool list_has(const char *const *list, const char *name) {
  for (; list != NULL && *list != NULL; list++)
    if (strcmp(*list, name) == 0) return true;
  return false;
}

/* ---- names of tensors ---- */

/* The name ends with `end`, at its beginning or behind a dot. */
static bool name_ends(const char *name, const char *end) {
  size_t length = strlen(name), tail = strlen(end);
  return length >= tail && strcmp(name + length - tail, end) == 0 && (length == tail || name[length - tail - 1] == '.');
}

static bool layout_has_rest(const checkpoint *c, const architecture_layout *layout, const char *prefix) {
  char name[2 * ARCHITECTURE_PREFIX_MAX];
  for (int i = 1; i < 4 && layout->ends[i] != NULL; i++) {
    snprintf(name, sizeof name, "%s%s", prefix, layout->ends[i]);
    if (checkpoint_get(c, name) == NULL) return false;
  }
  snprintf(name, sizeof name, "%s%s", prefix, layout->absent ? layout->absent : "");
  return layout->absent == NULL || checkpoint_get(c, name) == NULL;
}

static bool layout_match(const checkpoint *c, const architecture_layout *layout, model_architecture *a) {
  for (size_t t = 0; t < c->count; t++) {
    const tensor_view *view = &c->tensors[t];
    if (!name_ends(view->name, layout->ends[0])) continue;
    size_t length = strlen(view->name) - strlen(layout->ends[0]);
    if (length >= sizeof a->prefix || (layout->first > 0 && (view->rank == 0 || view->shape[0] != layout->first)))
      continue;
    memcpy(a->prefix, view->name, length);
    a->prefix[length] = '\0';
    if (!layout_has_rest(c, layout, a->prefix)) continue;
    a->layout = layout->name;
    return true;
  }
  a->prefix[0] = '\0';
  return false;
}

static bool kind_match(const checkpoint *c, const architecture_kind *kind, model_architecture *a) {
  for (const architecture_layout *layout = kind->layouts; layout->name != NULL; layout++)
    if (layout_match(c, layout, a)) return true;
  return false;
}

/* ---- which family ---- */

static medley_status refuse(const checkpoint *c, const char *member, const char *name, medley_error *err) {
  strbuf known = {0};
  for (const architecture_kind *const *k = architecture_kinds; *k != NULL; k++)
    strbuf_printf(&known, "%s%s", known.length > 0 ? ", " : "", (*k)->name);
  if (name != NULL)
    error_set(err, MEDLEY_ERR_UNSUPPORTED, "%s: the architecture '%.100s' (%s) is not known; known are %s", c->path,
              name, member, known.text ? known.text : "");
  else
    error_set(err, MEDLEY_ERR_UNSUPPORTED,
              "%s: neither config.json, nor metadata, nor the tensors' names tell a known architecture; known are %s",
              c->path, known.text ? known.text : "");
  strbuf_deinit(&known);
  return MEDLEY_ERR_UNSUPPORTED;
}

/* The first word of "mobilenet_v2 1.0 224" is the family. */
static const architecture_kind *kind_of_words(const char *words) {
  char word[64];
  snprintf(word, sizeof word, "%.*s", (int)strcspn(words, " "), words);
  return architecture_kind_find(word);
}

static medley_status kind_choose(const checkpoint *c, model_architecture *a, medley_error *err) {
  const char *type = json_member_string(c->config, "model_type", NULL);
  const char *words = c->gguf ? NULL : checkpoint_metadata(c, "architecture");
  const char *name = c->gguf ? checkpoint_metadata(c, "general.architecture") : NULL;
  if (name != NULL || type != NULL) {
    const char *said = c->gguf && name ? name : type;
    a->told_by = said == type ? "model_type in config.json" : "general.architecture";
    for (const architecture_kind *const *k = architecture_kinds; *k != NULL; k++)
      if (list_has(said == type ? (*k)->model_types : (*k)->gguf_names, said)) a->kind = *k;
    return a->kind ? MEDLEY_OK : refuse(c, a->told_by, said, err);
  }
  if (words != NULL && (a->kind = kind_of_words(words)) != NULL) {
    a->told_by = "metadata";
    return MEDLEY_OK;
  }
  for (const architecture_kind *const *k = architecture_kinds; *k != NULL && a->kind == NULL; k++)
    if (kind_match(c, *k, a)) a->kind = *k;
  a->told_by = "tensor names";
  return a->kind ? MEDLEY_OK : refuse(c, "metadata", words, err);
}

/* ---- dimensions ---- */

/* What one place says, for the sentence when another disagrees. */
typedef struct finding {
  int64_t value; /* negative: nothing yet */
  char where[PATH_MAX_BYTES + 64];
} finding;

static medley_status finding_add(finding *f, const char *dimension, int64_t value, const char *what, const char *where,
                                 const checkpoint *c, medley_error *err) {
  if (f->value >= 0 && f->value != value)
    return error_set(err, MEDLEY_ERR_INPUT, "%s: the dimension '%s' is %" PRId64 " by %s and %" PRId64 " by %s '%s'",
                     c->path, dimension, f->value, f->where, value, what, where);
  if (f->value < 0) {
    f->value = value;
    snprintf(f->where, sizeof f->where, "%s '%.*s'", what, PATH_MAX_BYTES, where);
  }
  return MEDLEY_OK;
}

/* The next of "a|b|c" into part; false at the end. */
static bool alternative_next(const char **list, char part[PATH_MAX_BYTES]) {
  if (*list == NULL || **list == '\0') return false;
  size_t length = strcspn(*list, "|");
  snprintf(part, PATH_MAX_BYTES, "%.*s", (int)length, *list);
  *list += length + ((*list)[length] == '|');
  return true;
}

static const json_t *member_at(const json_t *object, const char *path) {
  char part[PATH_MAX_BYTES];
  while (object != NULL && *path != '\0') {
    size_t length = strcspn(path, ".");
    snprintf(part, sizeof part, "%.*s", (int)length, path);
    object = json_object_get(object, part);
    path += length + (path[length] == '.');
  }
  return object;
}

static medley_status config_find(const checkpoint *c, const architecture_dimension *d, finding *f, medley_error *err) {
  char path[PATH_MAX_BYTES];
  medley_status status = MEDLEY_OK;
  for (const char *list = d->config; status == MEDLEY_OK && alternative_next(&list, path);) {
    const json_t *member = member_at(c->config, path);
    if (member == NULL || json_is_null(member)) continue;
    if (!json_is_integer(member) || json_integer_value(member) < 1 || json_integer_value(member) > DIMENSION_MAX)
      return error_set(err, MEDLEY_ERR_INPUT, "%s/config.json: '%s' must be a positive whole number", c->folder, path);
    status = finding_add(f, d->name, json_integer_value(member), "config.json's", path, c, err);
  }
  return status;
}

/* A number, or the length of a list (of tokens). */
static medley_status gguf_find(const checkpoint *c, const architecture_dimension *d, finding *f, medley_error *err) {
  char key[PATH_MAX_BYTES], full[2 * PATH_MAX_BYTES];
  medley_status status = MEDLEY_OK;
  for (const char *list = c->gguf ? d->gguf : NULL; status == MEDLEY_OK && alternative_next(&list, key);) {
    bool whole = string_starts(key, "tokenizer.");
    snprintf(full, sizeof full, "%s%s%s", whole ? "" : gguf_string(c->gguf, "general.architecture", ""),
             whole ? "" : ".", key);
    const gguf_value *value = gguf_get_value(c->gguf, full);
    int64_t number;
    if (value == NULL || (value->type == GGUF_ARRAY && !whole)) continue; /* one for each layer: no single dimension */
    number = (int64_t)value->count;
    if (value->type != GGUF_ARRAY && !gguf_value_integer(value, &number)) number = -1;
    if (number < 1 || number > DIMENSION_MAX)
      return error_set(err, MEDLEY_ERR_INPUT, "%s: '%s' must be a positive whole number", c->path, full);
    status = finding_add(f, d->name, number, "the metadata's", full, c, err);
  }
  return status;
}

/* Heads often stand beside the body's prefix: "vit.encoder…", but "classifier.weight". */
static const tensor_view *tensor_behind(const checkpoint *c, const char *prefix, const char *end) {
  char name[2 * ARCHITECTURE_PREFIX_MAX];
  snprintf(name, sizeof name, "%s%s", prefix, end);
  const tensor_view *view = checkpoint_get(c, name);
  return view ? view : checkpoint_get(c, end);
}

static medley_status sizes_find(const checkpoint *c, const model_architecture *a, const architecture_dimension *d,
                                finding *f, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (int i = 0; status == MEDLEY_OK && i < ARCHITECTURE_PLACES_MAX && d->sizes[i].end != NULL; i++) {
    const tensor_view *view = tensor_behind(c, a->prefix, d->sizes[i].end);
    int axis = d->sizes[i].axis;
    if (view == NULL || axis >= view->rank || view->shape[axis] > (uint64_t)DIMENSION_MAX) continue;
    status = finding_add(f, d->name, (int64_t)view->shape[axis], "tensor", view->name, c, err);
  }
  return status;
}

/* The number behind `start`, -1 when none stands there. At most nine digits. */
static int64_t number_behind(const char *name, const char *start) {
  size_t length = strlen(start), digits = 0;
  if (strncmp(name, start, length) != 0) return -1;
  int64_t number = 0;
  for (; digits < 9 && name[length + digits] >= '0' && name[length + digits] <= '9'; digits++)
    number = 10 * number + (name[length + digits] - '0');
  return digits > 0 ? number : -1;
}

static medley_status layers_find(const checkpoint *c, const model_architecture *a, const architecture_dimension *d,
                                 finding *f, medley_error *err) {
  char start[2 * ARCHITECTURE_PREFIX_MAX];
  medley_status status = MEDLEY_OK;
  for (int i = 0; status == MEDLEY_OK && i < ARCHITECTURE_PLACES_MAX && d->counted[i] != NULL; i++) {
    int64_t largest = -1;
    snprintf(start, sizeof start, "%s%s", a->prefix, d->counted[i]);
    for (size_t t = 0; t < c->count; t++) {
      int64_t number = number_behind(c->tensors[t].name, start);
      if (number > largest) largest = number;
    }
    if (largest >= 0) status = finding_add(f, d->name, largest + 1, "the tensors named", start, c, err);
  }
  return status;
}

static medley_status dimensions_find(const checkpoint *c, model_architecture *a, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (const architecture_dimension *d = a->kind->dimensions; d->name != NULL; d++) {
    finding f = {.value = -1};
    TRY(config_find(c, d, &f, err));
    TRY(gguf_find(c, d, &f, err));
    TRY(sizes_find(c, a, d, &f, err));
    TRY(layers_find(c, a, d, &f, err));
    if (f.value < 0 || a->count == ARCHITECTURE_DIMENSIONS_MAX) continue;
    a->dimensions[a->count].name = d->name;
    a->dimensions[a->count++].value = f.value;
  }
done:
  return status;
}

medley_status architecture_recognise(const checkpoint *c, model_architecture *a, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *a = (model_architecture){0};
  TRY(kind_choose(c, a, err));
  if (a->layout == NULL && c->count > 0 && !kind_match(c, a->kind, a))
    FAIL(err, MEDLEY_ERR_INPUT, "%s: is %s by its %s, but its tensors have other names than any %s (the first is '%s')",
         c->path, a->kind->name, a->told_by, a->kind->name, c->tensors[0].name);
  TRY(dimensions_find(c, a, err));
done:
  return status;
}

int64_t architecture_dimension_get(const model_architecture *a, const char *name, int64_t fallback) {
  for (size_t i = 0; i < a->count; i++)
    if (strcmp(a->dimensions[i].name, name) == 0) return a->dimensions[i].value;
  return fallback;
}

medley_status architecture_need(const checkpoint *c, const char *name, medley_error *err) {
  model_architecture a;
  medley_status status = architecture_recognise(c, &a, err);
  if (status != MEDLEY_OK || strcmp(a.kind->name, name) == 0) return status;
  return error_set(err, MEDLEY_ERR_INPUT, "'%s' holds a network of the family %s, not %s", c->path, a.kind->name, name);
}
