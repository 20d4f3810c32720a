/* learn/represent_parts.h: what represent.c, represent_tables.c and represent_save.c share. */
#ifndef LEARN_REPRESENT_PARTS_H
#define LEARN_REPRESENT_PARTS_H

#include "learn/represent.h"

/* Builds the raw features of one table of facts (tags, years); features.count stays 0 when the catalogue has none. */
typedef medley_status (*represent_table)(const catalogue *items, const represent_options *options,
                                         representation_part *part, medley_error *err);
extern const represent_table represent_tables[]; /* ended by NULL */

/* Adds one part for every space of imported vectors. */
medley_status represent_spaces(const catalogue *items, const store_kind *kind, store *s,
                               const represent_options *options, representation *r, medley_error *err) MEDLEY_CHECK;

/* Fits the normaliser on the fit items, applies it to all, leaves unit rows. */
medley_status represent_normalise(representation_part *part, const char *name, const uint8_t *fit_items,
                                  medley_error *err) MEDLEY_CHECK;
/* Normalises the part and moves it into r, or frees it when no item has it (or r is full). *part must not be used
 * afterwards. */
medley_status representation_keep(representation *r, const represent_options *options, representation_part *part,
                                  const char *normaliser, medley_error *err) MEDLEY_CHECK;
void representation_part_deinit(representation_part *part);

#endif
