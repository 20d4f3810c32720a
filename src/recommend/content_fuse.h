/* recommend/content_fuse.h: the parts of the catalogue as one vector an item, by a fuser (F27), for the recommender
 * `content`. */
#ifndef RECOMMEND_CONTENT_FUSE_H
#define RECOMMEND_CONTENT_FUSE_H

#include "fuse/fuser.h"
#include "recommend/recommender.h"

/* Numbers of fusers as the setting `fuse` of content counts them: an index into fuser_kinds. */
#define CONTENT_FUSE_USUAL 2 /* fuse.concat */
#define CONTENT_FUSE_LAST 3

/* out: a fresh table of unit rows, one per item; weight: what each part counted. A sum needs all parts in one space:
 * each is then mapped by align.ridge into the space of the text, or without text of the part that most items have.
 * Weights are how much more alike two items of one person are than two at random, in deviations; equal where nothing
 * shows that, and for fuse.sum. */
medley_status content_fuse(const recommender_data *data, const fuser_kind *fuser, float weight[FEATURES_MAX],
                           features *out, medley_error *err) MEDLEY_CHECK;

#endif
