/* engine/sample_world.h: the made-up world behind `medley sample`: things with attributes, people with tastes over
 * them, and what the people did. Pictures, sounds and words are then only renderings of the attributes.
 *
 * Every attribute belongs to a sense, and a thing shows it only where it has the medium: a thing without a picture has
 * no colour that anybody could like, and a colour that no word tells is found in the picture alone. That is what makes
 * media worth something to a recommender here, most of all for things nobody has tried yet.
 */
#ifndef ENGINE_SAMPLE_WORLD_H
#define ENGINE_SAMPLE_WORLD_H

#include <medley/sample.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "media/sample.h"

/* ---- attributes ---- */

typedef enum sample_sense { SENSE_LOOKS, SENSE_SOUNDS, SENSE_WORDS, SENSE_COUNT } sample_sense;

typedef enum sample_attribute {
  ATTRIBUTE_KIND,
  ATTRIBUTE_COLOUR,
  ATTRIBUTE_PATTERN,
  ATTRIBUTE_FORM,
  ATTRIBUTE_LIGHT,
  ATTRIBUTE_TIMBRE,
  ATTRIBUTE_TEMPO,
  ATTRIBUTE_REGISTER,
  ATTRIBUTE_RHYTHM,
  ATTRIBUTE_THEME,
  ATTRIBUTE_COUNT
} sample_attribute;

#define SAMPLE_VALUE_MAX 10 /* values of one attribute */

typedef struct sample_value {
  const char *tag;     /* "striped": in tags, categories and English sentences */
  const char *english; /* as a word of a title: "Striped"; "" is left out */
  const char *chinese; /* "条纹" */
} sample_value;

typedef struct sample_attribute_row {
  const char *name;
  sample_sense sense;
  float weight;     /* how much people care, before their own leaning */
  float told_share; /* how often words tell it */
  unsigned count;
  sample_value values[SAMPLE_VALUE_MAX];
} sample_attribute_row;

extern const sample_attribute_row sample_attributes[ATTRIBUTE_COUNT];

enum { KIND_LAMP, KIND_VASE, KIND_SHIRT, KIND_SHIP, KIND_GUITAR, KIND_BIRD, KIND_BALLOON, KIND_FISH };
enum { FORM_ROUND, FORM_SLENDER, FORM_ANGULAR };
enum { LIGHT_DAWN, LIGHT_DAY, LIGHT_DUSK, LIGHT_NIGHT };
enum { COLOUR_BLUE = 5 };
enum { TIMBRE_BELL = 0 };
enum { TEMPO_QUICK = 2 };
enum { REGISTER_HIGH = 2 };

/* ---- things and people ---- */

#define SAMPLE_DAY_S 86400
#define SAMPLE_OPENS_S 1735689600LL /* 2025-01-01, when the shop opens: fixed, so that the sample never changes */
#define SAMPLE_OPEN_DAYS 300        /* during which people come */

typedef enum sample_words { WORDS_NONE, WORDS_EN, WORDS_ZH, WORDS_EN_ZH, WORDS_ZH_EN } sample_words;

typedef struct sample_item {
  uint8_t value[ATTRIBUTE_COUNT];
  bool told[ATTRIBUTE_COUNT]; /* the words tell it */
  bool has_image, has_sound, has_clip;
  sample_words words;
  float price;
  float quality;  /* mean 0, variance 1: liked by everybody */
  float exposure; /* how often it is met; positive, skewed */
  int64_t time_s; /* when it came into the shop; things are numbered in this order */
  uint64_t seed;  /* of its renderings */
} sample_item;

typedef enum sample_language { LANGUAGE_EN, LANGUAGE_ZH } sample_language;

typedef struct sample_user {
  float taste[ATTRIBUTE_COUNT][SAMPLE_VALUE_MAX];
  float leaning[SENSE_COUNT]; /* eyes, ears, reader */
  float activity;
  uint8_t age_group;
  sample_language language;
} sample_user;

typedef enum sample_event_type {
  EVENT_VIEW,
  EVENT_LIKE,
  EVENT_BUY,
  EVENT_RATE,
  EVENT_SKIP,
  EVENT_DISLIKE
} sample_event_type;

typedef struct sample_event {
  uint32_t user, item; /* from 0 */
  sample_event_type type;
  float value; /* stars of a rating, otherwise 1 */
  int64_t time_s;
} sample_event;

typedef struct sample_link {
  uint32_t from, to; /* users: from follows to */
  float weight;
} sample_link;

typedef struct sample_world {
  medley_sample_options options; /* with the defaults filled in; clips 0 when none */
  sample_item *items;
  sample_user *users;
  sample_event *events; /* in order of time */
  size_t event_count, event_capacity;
  sample_link *links;
  size_t link_count, link_capacity;
} sample_world;

/* options NULL: the defaults. MEDLEY_ERR_USAGE out of bounds. deinit is harmless on a zeroed world. */
medley_status sample_world_init(sample_world *w, const medley_sample_options *options, medley_error *err) MEDLEY_CHECK;
void sample_world_deinit(sample_world *w);

/* The truth that recommenders try to guess: how much the user likes the item, about mean 0 and variance 1. */
float sample_utility(const sample_world *w, uint32_t user, uint32_t item);

/* The parts of sample_world_init that have their own files. */
void sample_item_draw(rng *r, sample_item *item);                                          /* sample_world.c */
medley_status sample_people_live(sample_world *w, rng *r, medley_error *err) MEDLEY_CHECK; /* sample_people.c */

extern const char *const sample_event_names[];
extern const char *const sample_age_groups[];

/* ---- renderings: the same item gives the same bytes ---- */

#define SAMPLE_PICTURE_SIDE 224
#define SAMPLE_CLIP_SIDE 160
#define SAMPLE_CLIP_FRAMES 24
#define SAMPLE_CLIP_FRAMES_PER_S 12
#define SAMPLE_SOUND_RATE_HZ 16000

/* phase: 0 for the picture; 0 to 1 through one swing of the clip. out owns its pixels. */
medley_status sample_picture_draw(const sample_item *item, unsigned side, float phase, image *out,
                                  medley_error *err) MEDLEY_CHECK;
/* seconds 0: a length of its own, 1.4 to 1.9 s. out owns its samples. */
medley_status sample_sound_play(const sample_item *item, float seconds, sound *out, medley_error *err) MEDLEY_CHECK;
/* Title and description; both stay empty when the item has no words. */
void sample_text_write(const sample_item *item, strbuf *title, strbuf *text);
/* "en" or "zh", the language the title begins with; NULL without words. */
const char *sample_text_language(const sample_item *item);

#endif
