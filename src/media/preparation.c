/* media/preparation.c: see media/preparation.h. */
#include "media/preparation.h"

#include <stdio.h>
#include <string.h>

#include "media/preparation_media.h"

#define CHOICES_MAX 3
#define LANGUAGE_KEY PREPARATION_PREFIX "text.language"
#define LANGUAGE_DETECTED "auto"

typedef struct step_row {
  const char *key; /* after "prepare." */
  modality modality;
  const char *choices[CHOICES_MAX]; /* the number of a choice is what the code below reads */
  uint8_t usual;
} step_row;

#define OFF_ON \
  { "no", "yes" }

static const step_row rows[STEP_COUNT] = {
    [STEP_TEXT_NFKC] = {"text.nfkc", MODALITY_TEXT, OFF_ON, 1},
    [STEP_TEXT_FOLD_CASE] = {"text.fold_case", MODALITY_TEXT, OFF_ON, 1},
    [STEP_TEXT_STRIP_HTML] = {"text.strip_html", MODALITY_TEXT, OFF_ON, 1},
    [STEP_TEXT_STRIP_URLS] = {"text.strip_urls", MODALITY_TEXT, OFF_ON, 1},
    [STEP_TEXT_STRIP_EMOJI] = {"text.strip_emoji", MODALITY_TEXT, OFF_ON, 1},
    [STEP_TEXT_SEGMENT] = {"text.segment", MODALITY_TEXT, OFF_ON, 1},
    [STEP_TEXT_STOP_WORDS] = {"text.drop_stop_words", MODALITY_TEXT, OFF_ON, 1},
    [STEP_TEXT_STEM] = {"text.stem", MODALITY_TEXT, OFF_ON, 1},
    [STEP_IMAGE_CROP] = {"image.crop", MODALITY_IMAGE, {"none", "centre", "attention"}, IMAGE_CROP_NONE},
    [STEP_IMAGE_DENOISE] = {"image.denoise", MODALITY_IMAGE, OFF_ON, 0},
    [STEP_IMAGE_CONTRAST] = {"image.contrast", MODALITY_IMAGE, OFF_ON, 0},
    [STEP_IMAGE_EQUALISE] = {"image.equalise", MODALITY_IMAGE, OFF_ON, 0},
    [STEP_IMAGE_SHARPEN] = {"image.sharpen", MODALITY_IMAGE, OFF_ON, 0},
    [STEP_AUDIO_DENOISE] = {"audio.denoise", MODALITY_AUDIO, OFF_ON, 0},
    [STEP_AUDIO_TRIM] = {"audio.trim", MODALITY_AUDIO, OFF_ON, 0},
    [STEP_AUDIO_SEGMENTS] = {"audio.segments", MODALITY_AUDIO, OFF_ON, 0},
    [STEP_AUDIO_LOUDNESS] = {"audio.loudness", MODALITY_AUDIO, OFF_ON, 0},
};

static uint8_t choice_count(const step_row *row) {
  uint8_t count = 0;
  while (count < CHOICES_MAX && row->choices[count] != NULL) count++;
  return count;
}

/* What comes over a socket may hold any byte, hence the remainder. */
static uint8_t choice_of(const preparation *p, preparation_step step) {
  const step_row *row = &rows[step];
  return p == NULL ? row->usual : (uint8_t)((row->usual + p->unusual[step]) % choice_count(row));
}

/* ---- settings ---- */

/* STEP_COUNT: no step has this key. */
static preparation_step step_find(const char *key) {
  int step = 0;
  if (!string_starts(key, PREPARATION_PREFIX)) return STEP_COUNT;
  while (step < STEP_COUNT && strcmp(rows[step].key, key + strlen(PREPARATION_PREFIX)) != 0) step++;
  return (preparation_step)step;
}

static bool step_set(preparation *p, preparation_step step, const char *value) {
  const step_row *row = &rows[step];
  uint8_t count = choice_count(row);
  for (uint8_t i = 0; i < count; i++) {
    if (strcmp(row->choices[i], value) != 0) continue;
    p->unusual[step] = (uint8_t)((i + count - row->usual) % count);
    return true;
  }
  return false;
}

static bool language_set(preparation *p, const char *value) {
  size_t length = strlen(value);
  bool detected = strcmp(value, LANGUAGE_DETECTED) == 0;
  if (!detected && (length < 2 || length > 3 || strspn(value, "abcdefghijklmnopqrstuvwxyz") != length)) return false;
  snprintf(p->language, sizeof p->language, "%s", detected ? "" : value);
  return true;
}

static void expect(preparation_step step, strbuf *out) {
  if (out == NULL) return;
  if (step == STEP_COUNT) {
    strbuf_append(out, "auto or a code of ISO 639, such as en or zh");
    return;
  }
  uint8_t count = choice_count(&rows[step]);
  for (uint8_t i = 0; i < count; i++)
    strbuf_printf(out, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", rows[step].choices[i]);
}

bool preparation_knows(const char *key, const char *value, bool *takes, strbuf *expected) {
  preparation p = {0};
  preparation_step step = step_find(key);
  if (step == STEP_COUNT && strcmp(key, LANGUAGE_KEY) != 0) return false;
  *takes = step == STEP_COUNT ? language_set(&p, value) : step_set(&p, step, value);
  expect(step, expected);
  return true;
}

static medley_status preparation_set(preparation *p, const char *key, const char *value, medley_error *err) {
  preparation_step step = step_find(key);
  strbuf expected = {0};
  if (step == STEP_COUNT && strcmp(key, LANGUAGE_KEY) != 0) return MEDLEY_OK;
  if (step == STEP_COUNT ? language_set(p, value) : step_set(p, step, value)) return MEDLEY_OK;
  expect(step, &expected);
  medley_status status = error_set(err, MEDLEY_ERR_INPUT, "medley.conf: %s is '%.60s', expected %s", key, value,
                                   expected.text ? expected.text : "another value");
  strbuf_deinit(&expected);
  return status;
}

medley_status preparation_read(const config *c, preparation *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  size_t cursor = 0;
  const char *key;
  int64_t index;
  *out = (preparation){0};
  while (c != NULL && strmap_next(&c->keys, &cursor, &key, &index))
    TRY(preparation_set(out, key, c->values[index], err));
done:
  return status;
}

/* ---- kept beside what was made with it ---- */

json_t *preparation_to_json(const preparation *p) {
  json_t *out = json_object();
  char key[64];
  for (int s = 0; out != NULL && s < STEP_COUNT; s++) {
    if (p->unusual[s] == 0) continue;
    snprintf(key, sizeof key, PREPARATION_PREFIX "%s", rows[s].key);
    json_object_set_new(out, key, json_string(rows[s].choices[choice_of(p, (preparation_step)s)]));
  }
  if (out != NULL && p->language[0] != '\0') json_object_set_new(out, LANGUAGE_KEY, json_string(p->language));
  return out;
}

medley_status preparation_from_json(const json_t *json, preparation *out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  const char *key;
  json_t *value;
  *out = (preparation){0};
  json_object_foreach((json_t *)json, key, value) {
    if (!json_is_string(value)) FAIL(err, MEDLEY_ERR_CORRUPT, "'%.60s' of a generation is no text", key);
    TRY(preparation_set(out, key, json_string_value(value), err));
  }
done:
  return status;
}

void preparation_sign(const preparation *p, modality m, strbuf *out) {
  for (int s = 0; s < STEP_COUNT; s++) {
    bool applies = rows[s].modality == m || (m == MODALITY_VIDEO && rows[s].modality != MODALITY_TEXT);
    if (applies && p->unusual[s] != 0)
      strbuf_printf(out, "\n%s=%s", rows[s].key, rows[s].choices[choice_of(p, (preparation_step)s)]);
  }
  if (m == MODALITY_TEXT && p->language[0] != '\0') strbuf_printf(out, "\nlanguage=%s", p->language);
}

/* ---- as the steps' own options ---- */

text_options preparation_text(const preparation *p) {
  return (text_options){
      .keep_compatibility = !choice_of(p, STEP_TEXT_NFKC),
      .keep_case = !choice_of(p, STEP_TEXT_FOLD_CASE),
      .keep_html = !choice_of(p, STEP_TEXT_STRIP_HTML),
      .keep_urls = !choice_of(p, STEP_TEXT_STRIP_URLS),
      .keep_emoji = !choice_of(p, STEP_TEXT_STRIP_EMOJI),
      .keep_together = !choice_of(p, STEP_TEXT_SEGMENT),
      .keep_stop_words = !choice_of(p, STEP_TEXT_STOP_WORDS),
      .keep_endings = !choice_of(p, STEP_TEXT_STEM),
      .language = p != NULL && p->language[0] != '\0' ? p->language : NULL,
  };
}

image_options preparation_image(const preparation *p) {
  return (image_options){
      .crop = (image_crop)choice_of(p, STEP_IMAGE_CROP),
      .denoise = choice_of(p, STEP_IMAGE_DENOISE),
      .contrast = choice_of(p, STEP_IMAGE_CONTRAST),
      .equalise = choice_of(p, STEP_IMAGE_EQUALISE),
      .sharpen = choice_of(p, STEP_IMAGE_SHARPEN),
  };
}

sound_options preparation_sound(const preparation *p) {
  return (sound_options){
      .denoise = choice_of(p, STEP_AUDIO_DENOISE),
      .trim = choice_of(p, STEP_AUDIO_TRIM),
      .segments = choice_of(p, STEP_AUDIO_SEGMENTS),
      .normalise = choice_of(p, STEP_AUDIO_LOUDNESS),
  };
}

static bool any_step(const preparation *p, modality m) {
  for (int s = 0; s < STEP_COUNT; s++)
    if (rows[s].modality == m && p->unusual[s] != 0) return true;
  return false;
}

medley_status preparation_clip(const preparation *p, uint32_t side, video *clip, medley_error *err) {
  medley_status status = MEDLEY_OK;
  image_options picture = preparation_image(p);
  sound_options track = preparation_sound(p);
  picture.side = side;
  for (uint32_t f = 0; any_step(p, MODALITY_IMAGE) && f < clip->frame_count; f++) {
    image done_picture;
    TRY(image_process(&clip->frames[f], &picture, &done_picture, err));
    image_deinit(&clip->frames[f]);
    clip->frames[f] = done_picture;
  }
  if (any_step(p, MODALITY_AUDIO) && clip->sound.count > 0) {
    sound done_sound;
    TRY(sound_process(&clip->sound, &track, &done_sound, err));
    sound_deinit(&clip->sound);
    clip->sound = done_sound;
  }
done:
  return status;
}
