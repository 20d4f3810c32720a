/* nn/tokenizer_template.c: the post-processors of tokenizer.json, all brought to one form: a list of special tokens and
 * the texts between them, one for a single text and one for a pair. */
#include <string.h>

#include "nn/tokenizer_parts.h"

#define TEMPLATE_ITEMS_MAX 1024

static medley_status item_add(template_item **items, size_t *count, size_t *capacity, template_item item,
                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (*count >= TEMPLATE_ITEMS_MAX)
    FAIL(err, MEDLEY_ERR_LIMIT, "the template has more than %d parts", TEMPLATE_ITEMS_MAX);
  TRY_GROW(*items, *capacity, *count + 1, "a template");
  (*items)[(*count)++] = item;
done:
  return status;
}

static medley_status single_add(token_template *t, template_item item, medley_error *err) {
  return item_add(&t->single, &t->single_count, &t->single_capacity, item, err);
}

static medley_status pair_add(token_template *t, template_item item, medley_error *err) {
  return item_add(&t->pair, &t->pair_count, &t->pair_capacity, item, err);
}

medley_status template_set(token_template *t, int32_t begin, int32_t end, bool twice_between, bool segments,
                           medley_error *err) {
  medley_status status = MEDLEY_OK;
  uint8_t second = segments ? 1 : 0;
  const template_item start = {TEMPLATE_SPECIAL, begin, 0}, stop = {TEMPLATE_SPECIAL, end, 0};
  t->said = true;
  if (begin >= 0) TRY(single_add(t, start, err));
  TRY(single_add(t, (template_item){TEMPLATE_FIRST, -1, 0}, err));
  if (end >= 0) TRY(single_add(t, stop, err));
  if (begin >= 0) TRY(pair_add(t, start, err));
  TRY(pair_add(t, (template_item){TEMPLATE_FIRST, -1, 0}, err));
  if (end >= 0) TRY(pair_add(t, stop, err));
  if (end >= 0 && twice_between) TRY(pair_add(t, stop, err));
  if (begin >= 0 && end < 0) TRY(pair_add(t, start, err));
  TRY(pair_add(t, (template_item){TEMPLATE_SECOND, -1, second}, err));
  if (end >= 0) TRY(pair_add(t, (template_item){TEMPLATE_SPECIAL, end, second}, err));
done:
  return status;
}

/* A member like "sep": ["[SEP]", 102]. */
static medley_status special_read(const json_t *config, const char *key, const tokenizer_vocabulary *v, int32_t *id,
                                  medley_error *err) {
  const json_t *value = json_array_get(json_object_get(config, key), 1);
  if (!json_is_integer(value) || !vocabulary_has(v, json_integer_value(value)))
    return error_set(err, MEDLEY_ERR_INPUT, "\"%s\" names no token of the vocabulary of %zu", key, v->count);
  *id = (int32_t)json_integer_value(value);
  return MEDLEY_OK;
}

static medley_status around_read(token_template *t, const tokenizer_vocabulary *v, const json_t *config, bool roberta,
                                 medley_error *err) {
  medley_status status = MEDLEY_OK;
  int32_t begin, end;
  TRY(special_read(config, "cls", v, &begin, err));
  TRY(special_read(config, "sep", v, &end, err));
  TRY(template_set(t, begin, end, roberta, !roberta, err));
  if (roberta) {
    t->trim_offsets = json_member_flag(config, "trim_offsets", true);
    t->trim_prefix_space = json_member_flag(config, "add_prefix_space", true);
  }
done:
  return status;
}

static medley_status bert_read(token_template *t, const tokenizer_vocabulary *v, const json_t *config,
                               medley_error *err) {
  return around_read(t, v, config, false, err);
}

static medley_status roberta_read(token_template *t, const tokenizer_vocabulary *v, const json_t *config,
                                  medley_error *err) {
  return around_read(t, v, config, true, err);
}

static medley_status byte_level_read(token_template *t, const tokenizer_vocabulary *v, const json_t *config,
                                     medley_error *err) {
  (void)v, (void)err;
  t->trim_offsets = json_member_flag(config, "trim_offsets", true);
  t->trim_prefix_space = json_member_flag(config, "add_prefix_space", true);
  return MEDLEY_OK;
}

/* ---- TemplateProcessing ---- */

typedef struct template_list {
  template_item **items;
  size_t *count, *capacity;
} template_list;

static medley_status special_ids_add(template_list list, const tokenizer_vocabulary *v, const json_t *special,
                                     const char *name, uint8_t segment, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *ids = json_object_get(json_object_get(special, name), "ids");
  if (json_array_size(ids) == 0)
    FAIL(err, MEDLEY_ERR_INPUT, "the special token '%.60s' of the template has no ids", name);
  for (size_t i = 0; i < json_array_size(ids); i++) {
    const json_t *id = json_array_get(ids, i);
    if (!json_is_integer(id) || !vocabulary_has(v, json_integer_value(id)))
      FAIL(err, MEDLEY_ERR_INPUT, "the special token '%.60s' of the template is id %lld, the vocabulary has %zu tokens",
           name, (long long)json_integer_value(id), v->count);
    template_item item = {TEMPLATE_SPECIAL, (int32_t)json_integer_value(id), segment};
    TRY(item_add(list.items, list.count, list.capacity, item, err));
  }
done:
  return status;
}

static medley_status items_read(template_list list, const tokenizer_vocabulary *v, const json_t *items,
                                const json_t *special, bool pair, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (size_t i = 0; i < json_array_size(items); i++) {
    const json_t *item = json_array_get(items, i), *token = json_object_get(item, "SpecialToken");
    const json_t *text = json_object_get(item, "Sequence");
    const char *name = json_member_string(token != NULL ? token : text, "id", "?");
    uint8_t segment = json_member_integer(token != NULL ? token : text, "type_id", 0) != 0;
    if (token != NULL) {
      TRY(special_ids_add(list, v, special, name, segment, err));
      continue;
    }
    bool second = strcmp(name, "B") == 0;
    if (text == NULL || (!second && strcmp(name, "A") != 0) || (second && !pair))
      FAIL(err, MEDLEY_ERR_INPUT, "part %zu of the template is neither a SpecialToken nor a Sequence of A or B", i);
    template_item part = {second ? TEMPLATE_SECOND : TEMPLATE_FIRST, -1, segment};
    TRY(item_add(list.items, list.count, list.capacity, part, err));
  }
done:
  return status;
}

/* How many ids a template gives is computed before it is laid out, so each text stands in it once. */
static medley_status items_check(const template_item *items, size_t count, bool pair, medley_error *err) {
  size_t named[2] = {0};
  for (size_t i = 0; i < count; i++)
    if (items[i].part != TEMPLATE_SPECIAL) named[items[i].part == TEMPLATE_SECOND]++;
  if (named[0] == 1 && named[1] == (pair ? 1 : 0)) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_UNSUPPORTED, "\"%s\" names A %zu times and B %zu times, not %s",
                   pair ? "pair" : "single", named[0], named[1], pair ? "each once" : "A once");
}

static medley_status template_processing_read(token_template *t, const tokenizer_vocabulary *v, const json_t *config,
                                              medley_error *err) {
  medley_status status = MEDLEY_OK;
  const json_t *special = json_object_get(config, "special_tokens");
  template_list single = {&t->single, &t->single_count, &t->single_capacity};
  template_list pair = {&t->pair, &t->pair_count, &t->pair_capacity};
  t->said = true;
  TRY(items_read(single, v, json_object_get(config, "single"), special, false, err));
  TRY(items_read(pair, v, json_object_get(config, "pair"), special, true, err));
  TRY(items_check(t->single, t->single_count, false, err));
  if (t->pair_count > 0) TRY(items_check(t->pair, t->pair_count, true, err)); /* without one, pairs are refused */
done:
  return status;
}

/* ---- the table ---- */

typedef struct template_kind {
  const char *name;
  bool template; /* says what stands around the ids; at most one of those */
  medley_status (*read)(token_template *t, const tokenizer_vocabulary *v, const json_t *config, medley_error *err);
} template_kind;

static const template_kind text_templates[] = {
    {"BertProcessing", true, bert_read},
    {"ByteLevel", false, byte_level_read},
    {"RobertaProcessing", true, roberta_read},
    {"TemplateProcessing", true, template_processing_read},
};

medley_status template_read(token_template *t, const tokenizer_vocabulary *v, const json_t *config, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *type = json_member_string(config, "type", "?");
  const size_t kinds = sizeof text_templates / sizeof *text_templates;
  size_t i = 0;
  if (config == NULL || json_is_null(config)) return MEDLEY_OK;
  if (strcmp(type, "Sequence") == 0) {
    const json_t *inner = json_object_get(config, "processors");
    for (size_t n = 0; n < json_array_size(inner); n++) TRY(template_read(t, v, json_array_get(inner, n), err));
    goto done;
  }
  while (i < kinds && strcmp(text_templates[i].name, type) != 0) i++;
  if (i == kinds) FAIL(err, MEDLEY_ERR_UNSUPPORTED, "the post-processor '%.60s' is not known here", type);
  if (text_templates[i].template && t->said)
    FAIL(err, MEDLEY_ERR_UNSUPPORTED, "two post-processors put special tokens around the ids");
  status = text_templates[i].read(t, v, config, err);
  if (status != MEDLEY_OK) error_prefix(err, status, "the post-processor %s", type);
done:
  return status;
}

void template_deinit(token_template *t) {
  mem_free(t->single);
  mem_free(t->pair);
  *t = (token_template){0};
}
