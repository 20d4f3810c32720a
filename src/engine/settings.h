/* engine/settings.h: what medley.conf may hold, as one table: doctor and training tell what is in it and means nothing.
 */
#ifndef ENGINE_SETTINGS_H
#define ENGINE_SETTINGS_H

#include "base/config.h"

#define SETTINGS_AUTO "auto" /* of fuse.kind: chosen on validation */

/* Hands a sentence to `tell` for each key that is no setting and each value that its setting does not take; returns how
 * many. */
size_t settings_look(const config *c, void (*tell)(void *context, const char *sentence), void *context);

#endif
