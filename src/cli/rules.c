/* cli/rules.c: see cli/rules.h. */
#include "cli/rules.h"

#include <string.h>

#include "base/error.h"
#include "base/strbuf.h"

#define CATEGORY "category:"

static medley_status rule_parse(const char *option, char *text, medley_rule *out, medley_error *err) {
  char *equals = strrchr(text, '=');
  *out = (medley_rule){.amount = 1};
  if (equals != NULL && !string_to_double(equals + 1, &out->amount))
    return error_set(err, MEDLEY_ERR_USAGE,
                     "--%s %.100s: the amount '%.60s' is no number (where '%.100s' is a key, say %.100s=1)", option,
                     text, equals + 1, text, text);
  if (equals != NULL) *equals = '\0';
  bool category = string_starts(text, CATEGORY);
  if (*text == '\0' || (category && text[strlen(CATEGORY)] == '\0'))
    return error_set(err, MEDLEY_ERR_USAGE, "--%s wants ITEM[=AMOUNT] or category:NAME[=AMOUNT]", option);
  if (category)
    out->category = text + strlen(CATEGORY);
  else
    out->item = text;
  return MEDLEY_OK;
}

medley_status rules_parse(const char *option, const char *const *texts, arena *memory, medley_rule **out,
                          medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t count = 0;
  *out = NULL;
  if (texts == NULL) return MEDLEY_OK;
  while (texts[count] != NULL) count++;
  medley_rule *rules = arena_alloc(memory, count + 1, sizeof *rules);
  if (rules == NULL) return error_memory(err, "the rules");
  for (size_t i = 0; i < count; i++) {
    char *text = arena_strdup(memory, texts[i]);
    if (text == NULL) return error_memory(err, "the rules");
    TRY(rule_parse(option, text, &rules[i], err));
  }
  *out = rules;
done:
  return status;
}
