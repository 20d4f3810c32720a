/* recommend/kinds.h: every recommender there is; each in a file of its own. The table is in recommender.c. */
#ifndef RECOMMEND_KINDS_H
#define RECOMMEND_KINDS_H

#include "recommend/recommender.h"

extern const recommender_kind recommender_popular;
extern const recommender_kind recommender_demographic;
extern const recommender_kind recommender_trending;
extern const recommender_kind recommender_latest;
extern const recommender_kind recommender_itemknn;
extern const recommender_kind recommender_userknn;
extern const recommender_kind recommender_ease;
extern const recommender_kind recommender_ials;
extern const recommender_kind recommender_graph_filter;
extern const recommender_kind recommender_slim;
extern const recommender_kind recommender_gfcf;
extern const recommender_kind recommender_bpr;
extern const recommender_kind recommender_vbpr;
extern const recommender_kind recommender_tag_cf;
extern const recommender_kind recommender_lightgcn;
extern const recommender_kind recommender_freedom;
extern const recommender_kind recommender_bm3;
extern const recommender_kind recommender_mgcn;
extern const recommender_kind recommender_mentor;
extern const recommender_kind recommender_sasrec;
extern const recommender_kind recommender_gru4rec;
extern const recommender_kind recommender_multvae;
extern const recommender_kind recommender_autoencoder;
extern const recommender_kind recommender_deepfm;
extern const recommender_kind recommender_shared_bottom;
extern const recommender_kind recommender_mmoe;
extern const recommender_kind recommender_ple;
extern const recommender_kind recommender_esmm;
extern const recommender_kind recommender_trust;
extern const recommender_kind recommender_community;
extern const recommender_kind recommender_content;
extern const recommender_kind recommender_content_map;
extern const recommender_kind recommender_content_popular;

#endif
