/* media/fonts.h: whether this machine has letters for a language: captions in other scripts are boxes without them. */
#ifndef MEDIA_FONTS_H
#define MEDIA_FONTS_H

#include <stdbool.h>

/* language: ISO 639-1, with a country where scripts differ ("zh-cn"). Starts fontconfig on first use. */
bool fonts_cover(const char *language);

#endif
