/* media/preparation_media.h: a preparation as the options of pictures and sounds, for whoever decodes; private to the
 * media folder. */
#ifndef MEDIA_PREPARATION_MEDIA_H
#define MEDIA_PREPARATION_MEDIA_H

#include "media/image.h"
#include "media/preparation.h"
#include "media/sound.h"

image_options preparation_image(const preparation *p);
sound_options preparation_sound(const preparation *p);
/* The steps for pictures and sounds on the frames and the track of a decoded clip. side: as in image_options. */
medley_status preparation_clip(const preparation *p, uint32_t side, video *clip, medley_error *err) MEDLEY_CHECK;

#endif
