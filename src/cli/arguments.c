/* cli/arguments.c: see cli/arguments.h. */
#include "cli/arguments.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "cli/moment.h"
#include "cli/suggest.h"
#include "cli/table.h"

#define VALUES_MAX 100000 /* of one option */

/* ---- the rows ---- */

static size_t options_count(const option_spec *options) {
  size_t count = 0;
  while (options != NULL && options[count].name != NULL) count++;
  return count;
}

static size_t positionals_count(const argument_spec *rows) {
  size_t count = 0;
  while (rows != NULL && rows[count].name != NULL) count++;
  return count;
}

static const option_spec *option_at(const arguments *a, size_t slot) {
  return slot < a->option_count ? &a->command->options[slot] : &common_options[slot - a->option_count];
}

#define NO_SLOT ((size_t)-1)

static size_t option_slot(const arguments *a, const char *name, size_t length) {
  for (size_t slot = 0; slot < a->option_count + a->common_count; slot++) {
    const char *known = option_at(a, slot)->name;
    if (strlen(known) == length && memcmp(known, name, length) == 0) return slot;
  }
  return NO_SLOT;
}

static size_t letter_slot(const arguments *a, char letter) {
  for (size_t slot = 0; slot < a->option_count + a->common_count; slot++)
    if (option_at(a, slot)->letter == letter) return slot;
  return NO_SLOT;
}

/* ---- checking values ---- */

/* 1000, 0.5, 9,007,199,254,740,992. */
static void bound_append(strbuf *b, double bound) {
  if (bound >= 1e4 && bound < 1e18 && floor(bound) == bound)
    strbuf_append_count(b, (uint64_t)bound);
  else
    strbuf_printf(b, "%.15g", bound);
}

static void bounds_append(strbuf *b, const option_spec *row) {
  if (row->min == row->max) return;
  strbuf_append(b, isfinite(row->max) ? " from " : " of at least ");
  bound_append(b, row->min);
  if (!isfinite(row->max)) return;
  strbuf_append(b, " to ");
  bound_append(b, row->max);
}

static medley_status number_check(const char *what, const option_spec *row, const char *text, medley_error *err) {
  long long whole;
  double value;
  bool is_whole = row->type == VALUE_INTEGER;
  bool good = is_whole ? string_to_int64(text, &whole) : string_to_double(text, &value);
  if (good && is_whole) value = (double)whole;
  bool bounded = row->min != row->max;
  if (good && (!bounded || (value >= row->min && value <= row->max))) return MEDLEY_OK;
  strbuf bounds = {0};
  bounds_append(&bounds, row);
  medley_status status = error_set(err, MEDLEY_ERR_USAGE, "%s wants a %s%s, not '%.100s'", what,
                                   is_whole ? "whole number" : "number", bounds.text ? bounds.text : "", text);
  strbuf_deinit(&bounds);
  return status;
}

static medley_status choice_check(const char *what, const char *const *choices, const char *text, medley_error *err) {
  strbuf known = {0};
  suggestion near = suggestion_for(text);
  for (const char *const *c = choices; *c != NULL; c++) {
    if (strcmp(*c, text) == 0) {
      strbuf_deinit(&known);
      return MEDLEY_OK;
    }
    strbuf_printf(&known, "%s%s", c == choices ? "" : c[1] == NULL ? " or " : ", ", *c);
    suggestion_try(&near, *c);
  }
  medley_status status =
      error_set(err, MEDLEY_ERR_USAGE, "%s wants %s, not '%.100s'%s%s%s", what, known.text ? known.text : "", text,
                near.name ? ": did you mean " : "", near.name ? near.name : "", near.name ? "?" : "");
  strbuf_deinit(&known);
  return status;
}

static medley_status value_check(const option_spec *row, const char *what, const char *text, medley_error *err) {
  if (!utf8_valid(text, strlen(text)) && row->type != VALUE_FILE && row->type != VALUE_FOLDER)
    return error_set(err, MEDLEY_ERR_USAGE, "the value of %s is not UTF-8", what);
  if (row->type == VALUE_INTEGER || row->type == VALUE_NUMBER) return number_check(what, row, text, err);
  if (row->type == VALUE_CHOICE) return choice_check(what, row->choices, text, err);
  if (text[0] == '\0') return error_set(err, MEDLEY_ERR_USAGE, "the value of %s is empty", what);
  return MEDLEY_OK;
}

/* ---- collecting ---- */

static medley_status values_add(argument_values *v, const char *text, medley_error *err) {
  medley_status status = MEDLEY_OK;
  if (v->count >= VALUES_MAX) FAIL(err, MEDLEY_ERR_LIMIT, "more than %d values for one option", VALUES_MAX);
  TRY_GROW(v->values, v->capacity, v->count + 2, "the command line");
  v->values[v->count++] = text;
  v->values[v->count] = NULL;
done:
  return status;
}

static medley_status values_add_checked(arguments *a, size_t slot, const char *what, const char *text,
                                        medley_error *err) {
  medley_status status = MEDLEY_OK;
  const option_spec *row = option_at(a, slot);
  if (!row->commas) {
    TRY(value_check(row, what, text, err));
    return values_add(&a->options[slot], text, err);
  }
  char *rest = arena_strdup(a->memory, text);
  if (rest == NULL) return error_memory(err, "the command line");
  for (char *one; (one = strsep(&rest, ",")) != NULL;) {
    one = string_trim(one);
    TRY(value_check(row, what, one, err));
    TRY(values_add(&a->options[slot], one, err));
  }
done:
  return status;
}

static medley_status option_add(arguments *a, size_t slot, const char *value, medley_error *err) {
  const option_spec *row = option_at(a, slot);
  char what[80];
  snprintf(what, sizeof what, "--%s", row->name);
  if (row->type == VALUE_FLAG) return a->options[slot].count > 0 ? MEDLEY_OK : values_add(&a->options[slot], "", err);
  if (!row->many && a->options[slot].count > 0)
    return error_set(err, MEDLEY_ERR_USAGE, "%s is given twice, as '%.100s' and as '%.100s'", what,
                     a->options[slot].values[0], value);
  return values_add_checked(a, slot, what, value, err);
}

/* ---- reading ---- */

typedef struct reader {
  arguments *a;
  int argc, at;
  char **argv;
  argument_values positional;
} reader;

static medley_status unknown_option(const reader *r, const char *typed, size_t length, medley_error *err) {
  char name[SUGGEST_LENGTH_MAX + 1];
  snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), typed);
  suggestion near = suggestion_for(name);
  for (size_t slot = 0; slot < r->a->option_count + r->a->common_count; slot++)
    suggestion_try(&near, option_at(r->a, slot)->name);
  if (near.name != NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "there is no option --%s: did you mean --%s?", name, near.name);
  return error_set(err, MEDLEY_ERR_USAGE, "there is no option --%s; 'medley %s --help' lists them", name,
                   r->a->command->name);
}

/* The word after an option is its value, unless it is clearly the next option: then the value was forgotten. */
static medley_status option_value_next(reader *r, const option_spec *row, const char **value, medley_error *err) {
  const char *next = r->at + 1 < r->argc ? r->argv[r->at + 1] : NULL;
  if (next == NULL || (string_starts(next, "--") && option_slot(r->a, next + 2, strcspn(next + 2, "=")) != NO_SLOT))
    return error_set(err, MEDLEY_ERR_USAGE, "--%s needs a value: --%s %s", row->name, row->name, row->value);
  r->at++;
  *value = next;
  return MEDLEY_OK;
}

static medley_status long_option_read(reader *r, const char *word, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t length = strcspn(word, "=");
  const char *value = word[length] == '=' ? word + length + 1 : NULL;
  size_t slot = option_slot(r->a, word, length);
  if (slot == NO_SLOT) return unknown_option(r, word, length, err);
  const option_spec *row = option_at(r->a, slot);
  if (row->type == VALUE_FLAG && value != NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "--%s takes no value, but has '%.100s'", row->name, value);
  if (row->type != VALUE_FLAG && value == NULL) TRY(option_value_next(r, row, &value, err));
  TRY(option_add(r->a, slot, value, err));
done:
  return status;
}

static medley_status letters_read(reader *r, const char *letters, medley_error *err) {
  medley_status status = MEDLEY_OK;
  for (const char *c = letters; *c != '\0'; c++) {
    size_t slot = letter_slot(r->a, *c);
    if (slot == NO_SLOT)
      return error_set(err, MEDLEY_ERR_USAGE,
                       "there is no option -%.*s; 'medley %s --help' lists them (put -- before a word that begins "
                       "with a dash)",
                       (unsigned char)*c < 0x80 ? 1 : 4, c, r->a->command->name);
    const option_spec *row = option_at(r->a, slot);
    const char *value = NULL;
    if (row->type != VALUE_FLAG) {
      value = c[1] == '=' ? c + 2 : c + 1;
      if (c[1] == '\0') TRY(option_value_next(r, row, &value, err));
    }
    TRY(option_add(r->a, slot, value, err));
    if (row->type != VALUE_FLAG) break;
  }
done:
  return status;
}

static medley_status words_read(reader *r, medley_error *err) {
  medley_status status = MEDLEY_OK;
  bool options_over = false;
  for (r->at = 0; r->at < r->argc; r->at++) {
    const char *word = r->argv[r->at];
    if (!options_over && strcmp(word, "--") == 0)
      options_over = true;
    else if (!options_over && string_starts(word, "--"))
      TRY(long_option_read(r, word + 2, err));
    else if (!options_over && word[0] == '-' && word[1] != '\0')
      TRY(letters_read(r, word + 1, err));
    else
      TRY(values_add(&r->positional, word, err));
  }
done:
  return status;
}

/* ---- positionals ---- */

static void name_in_capitals(const char *name, char out[40]) {
  size_t i = 0;
  for (; name[i] != '\0' && i < 39; i++) out[i] = (char)toupper((unsigned char)name[i]);
  out[i] = '\0';
}

void command_usage(const command *c, char *text, size_t size) {
  char name[40];
  size_t used = (size_t)snprintf(text, size, "medley %s", c->name);
  for (const argument_spec *row = c->arguments; row != NULL && row->name != NULL && used < size; row++) {
    name_in_capitals(row->name, name);
    used += (size_t)snprintf(text + used, size - used, row->optional ? " [%s]" : " %s", name);
  }
  for (const option_spec *row = c->options; row != NULL && row->name != NULL && used < size; row++)
    if (row->required) used += (size_t)snprintf(text + used, size - used, " --%s %s", row->name, row->value);
  if (used < size) snprintf(text + used, size - used, " [OPTION...]");
}

static medley_status positional_add(arguments *a, size_t index, const char *value, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char name[40];
  const argument_spec *row = &a->command->arguments[index];
  const option_spec as_option = {.name = row->name, .type = row->type, .choices = row->choices};
  name_in_capitals(row->name, name);
  TRY(value_check(&as_option, name, value, err));
  TRY(values_add(&a->options[a->option_count + a->common_count + index], value, err));
done:
  return status;
}

static medley_status positionals_assign(arguments *a, const argument_values *given, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char usage[256], name[40];
  size_t required = 0, taken = 0;
  command_usage(a->command, usage, sizeof usage);
  for (size_t i = 0; i < a->positional_count; i++) required += !a->command->arguments[i].optional;
  size_t spare = given->count > required ? given->count - required : 0;
  for (size_t i = 0; i < a->positional_count; i++) {
    bool optional = a->command->arguments[i].optional;
    if (optional && spare == 0) continue;
    if (taken == given->count) {
      name_in_capitals(a->command->arguments[i].name, name);
      FAIL(err, MEDLEY_ERR_USAGE, "%s is missing: %s", name, usage);
    }
    TRY(positional_add(a, i, given->values[taken++], err));
    spare -= optional;
  }
  if (taken < given->count)
    FAIL(err, MEDLEY_ERR_USAGE, "'%.100s' is one argument too many: %s", given->values[taken], usage);
done:
  return status;
}

static medley_status required_check(const arguments *a, medley_error *err) {
  for (size_t slot = 0; slot < a->option_count; slot++)
    if (a->command->options[slot].required && a->options[slot].count == 0)
      return error_set(err, MEDLEY_ERR_USAGE, "--%s %s is missing", a->command->options[slot].name,
                       a->command->options[slot].value);
  return MEDLEY_OK;
}

medley_status arguments_parse(const command *c, int argc, char **argv, arguments *a, medley_error *err) {
  medley_status status = MEDLEY_OK;
  *a = (arguments){.command = c,
                   .option_count = options_count(c->options),
                   .common_count = options_count(common_options),
                   .positional_count = positionals_count(c->arguments)};
  assert(a->option_count + a->common_count + a->positional_count <= ARGUMENT_ROWS_MAX);
  reader r = {.a = a, .argc = argc, .argv = argv};
  a->memory = arena_create(0);
  if (a->memory == NULL) {
    status = error_memory(err, "the command line");
    goto done;
  }
  TRY(words_read(&r, err));
  if (arguments_has(a, "help")) goto done;
  TRY(positionals_assign(a, &r.positional, err));
  TRY(required_check(a, err));
done:
  mem_free(r.positional.values);
  if (status != MEDLEY_OK) arguments_deinit(a);
  return status;
}

void arguments_deinit(arguments *a) {
  for (size_t slot = 0; slot < ARGUMENT_ROWS_MAX; slot++) mem_free(a->options[slot].values);
  arena_free(a->memory);
  *a = (arguments){0};
}

/* ---- looking up ---- */

static const argument_values *values_of(const arguments *a, const char *name) {
  size_t slot = option_slot(a, name, strlen(name));
  for (size_t i = 0; slot == NO_SLOT && i < a->positional_count; i++)
    if (strcmp(a->command->arguments[i].name, name) == 0) slot = a->option_count + a->common_count + i;
  assert(slot != NO_SLOT);
  return &a->options[slot];
}

bool arguments_has(const arguments *a, const char *name) { return values_of(a, name)->count > 0; }

const char *arguments_text(const arguments *a, const char *name) {
  const argument_values *v = values_of(a, name);
  return v->count > 0 ? v->values[0] : NULL;
}

medley_status arguments_duration(const arguments *a, const char *name, double *seconds, medley_error *err) {
  const char *text = arguments_text(a, name);
  if (text == NULL || duration_parse(text, seconds)) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "--%s takes a length of time such as 90s, 10m or 2h, not '%.60s'", name,
                   text);
}

const char *const *arguments_list(const arguments *a, const char *name) { return values_of(a, name)->values; }

long long arguments_integer(const arguments *a, const char *name, long long fallback) {
  long long value = fallback;
  const char *text = arguments_text(a, name);
  /* The text was checked when it was read. */
  if (text != NULL && !string_to_int64(text, &value)) value = fallback;
  return value;
}

double arguments_number(const arguments *a, const char *name, double fallback) {
  double value = fallback;
  const char *text = arguments_text(a, name);
  if (text != NULL && !string_to_double(text, &value)) value = fallback;
  return value;
}
