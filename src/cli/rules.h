/* cli/rules.h: boosts and buries as they are typed. */
#ifndef CLI_RULES_H
#define CLI_RULES_H

#include <medley/answer.h>

#include "base/memory.h"

/* "i7", "i7=2.5", "category:lamps=0.5" → rules in `memory`, ended by an empty row; NULL for no texts. An item whose own
 * key ends in "=<number>" needs its amount written out ("a=1=1"). option: for the sentence. */
medley_status rules_parse(const char *option, const char *const *texts, arena *memory, medley_rule **out,
                          medley_error *err) MEDLEY_CHECK;

#endif
