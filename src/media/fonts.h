/* media/fonts.h: whether this machine has letters for a text: captions in other scripts are boxes without them. */
#ifndef MEDIA_FONTS_H
#define MEDIA_FONTS_H

#include <stdbool.h>

/* letters: a few of the script's own, UTF-8. True when one installed font holds all of them; false also for broken
 * UTF-8. Starts fontconfig on first use. */
bool fonts_cover(const char *letters);

#endif
