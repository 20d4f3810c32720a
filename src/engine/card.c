/* engine/card.c: medley_card: the caption card of an item (F10). The picture comes from outside, so it is decoded in a
 * worker process; only the pixels that come back are drawn on here. */
#include <medley/content.h>
#include <string.h>

#include "base/file.h"
#include "engine/workspace.h"
#include "media/card.h"
#include "media/image.h"
#include "media/worker.h"

typedef struct card_item {
  char *title, *subtitle;
  char *path; /* of the picture, or of the video that has one; NULL: neither */
  modality kind;
} card_item;

static void card_item_deinit(card_item *c) {
  mem_free(c->title);
  mem_free(c->subtitle);
  mem_free(c->path);
}

static medley_status card_item_take(void *context, const store_item *item, medley_error *err) {
  card_item *c = context;
  const store_media *chosen = NULL;
  /* A picture before a video: media are in order of modality. */
  for (size_t i = 0; i < item->media_count && chosen == NULL; i++)
    if (item->media[i].modality == MODALITY_IMAGE || item->media[i].modality == MODALITY_VIDEO)
      chosen = &item->media[i];
  c->title = mem_strdup(item->title && item->title[0] ? item->title : item->key);
  c->subtitle = mem_strdup(item->category ? item->category : "");
  if (chosen != NULL) {
    c->kind = (modality)chosen->modality;
    c->path = mem_strdup(chosen->path);
  }
  bool whole = c->title != NULL && c->subtitle != NULL && (chosen == NULL || c->path != NULL);
  return whole ? MEDLEY_OK : error_memory(err, "a card");
}

typedef struct card_sample {
  media_sample sample;
  medley_status status;
  char reason[256];
} card_sample;

static medley_status card_receive(void *context, size_t index, medley_status status, media_sample *sample,
                                  const char *reason) {
  (void)index;
  card_sample *c = context;
  c->status = status;
  if (status == MEDLEY_OK)
    c->sample = *sample;
  else
    strncat(c->reason, reason, sizeof c->reason - 1);
  return MEDLEY_OK;
}

static medley_status picture_decode(medley_workspace *w, const card_item *item, uint32_t side, card_sample *out,
                                    medley_error *err) {
  medley_status status = MEDLEY_OK;
  progress_stage silence;
  media_pool *pool;
  char *path = workspace_path(w, item->path);
  if (path == NULL) return error_memory(err, "a media path");
  media_request request = {.kind = item->kind, .path = path, .image_side = side};
  progress_begin(&silence, NULL, "decode picture", 1);
  TRY(workspace_pool(w, &pool, err));
  TRY(media_pool_run(pool, &request, 1, card_receive, out, &silence, err));
  if (out->status != MEDLEY_OK) FAIL(err, out->status, "'%s': %s", item->path, out->reason);
done:
  mem_free(path);
  return status;
}

static const image *picture_of(const card_sample *c) {
  if (c->sample.kind == MODALITY_IMAGE && c->sample.image.rgb != NULL) return &c->sample.image;
  if (c->sample.kind == MODALITY_VIDEO && c->sample.video.frame_count > 0)
    return &c->sample.video.frames[c->sample.video.poster];
  return NULL;
}

static medley_status file_check(const char *file, medley_error *err) {
  static const char *const endings[] = {"png", "jpg", "jpeg", "webp"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
    if (strcasecmp(path_extension(file), endings[i]) == 0) return MEDLEY_OK;
  return error_set(err, MEDLEY_ERR_USAGE, "'%s': a card is written as .png, .jpg or .webp", file);
}

medley_status medley_card(medley_workspace *workspace, const char *item, const medley_card_options *options,
                          const char *file, medley_error *err) {
  medley_status status = MEDLEY_OK;
  card_item about = {0};
  card_sample decoded = {0};
  image card = {0};
  card_options wanted = {0};
  int64_t id;
  if (options != NULL) wanted = (card_options){options->width, options->height, options->grey, options->opacity};
  TRY(file_check(file, err));
  TRY(workspace_item_id(workspace, item, &id, err));
  TRY(workspace->kind->get_item(workspace->store, id, card_item_take, &about, err));
  uint32_t side = wanted.width > wanted.height ? wanted.width : wanted.height;
  /* Twice the side: a picture of another shape is cut, and must not be blown up then. */
  if (about.path != NULL) TRY(picture_decode(workspace, &about, side ? 2 * side : 1200, &decoded, err));
  TRY(card_render(picture_of(&decoded), about.title, about.subtitle[0] ? about.subtitle : NULL, &wanted, &card, err));
  TRY(image_save(&card, file, err));
done:
  image_deinit(&card);
  media_sample_deinit(&decoded.sample);
  card_item_deinit(&about);
  return status;
}
