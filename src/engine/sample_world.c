/* engine/sample_world.c: see engine/sample_world.h. The table of attributes, and how things come by their values. */
#include "engine/sample_world.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

#define STOCK_AT_OPENING 0.55 /* share of the things that are there when the shop opens */
#define NEWCOMER_SHARE 0.04   /* came in after the last event: things nobody has tried */

const sample_attribute_row sample_attributes[ATTRIBUTE_COUNT] = {
    [ATTRIBUTE_KIND] = {"kind",
                        SENSE_LOOKS,
                        0.7f,
                        1,
                        8,
                        {{"lamp", "Lamp", "台灯"},
                         {"vase", "Vase", "花瓶"},
                         {"shirt", "Shirt", "衬衫"},
                         {"ship", "Ship", "帆船"},
                         {"guitar", "Guitar", "吉他"},
                         {"bird", "Bird", "小鸟"},
                         {"balloon", "Balloon", "气球"},
                         {"fish", "Fish", "小鱼"}}},
    [ATTRIBUTE_COLOUR] = {"colour",
                          SENSE_LOOKS,
                          1.0f,
                          0.35f,
                          10,
                          {{"red", "Red", "红色"},
                           {"orange", "Orange", "橙色"},
                           {"yellow", "Yellow", "黄色"},
                           {"green", "Green", "绿色"},
                           {"teal", "Teal", "青色"},
                           {"blue", "Blue", "蓝色"},
                           {"purple", "Purple", "紫色"},
                           {"pink", "Pink", "粉色"},
                           {"brown", "Brown", "棕色"},
                           {"silver", "Silver", "银色"}}},
    [ATTRIBUTE_PATTERN] = {"pattern",
                           SENSE_LOOKS,
                           0.8f,
                           0.3f,
                           6,
                           {{"plain", "Plain", "素色"},
                            {"striped", "Striped", "条纹"},
                            {"checked", "Checked", "格子"},
                            {"dotted", "Dotted", "圆点"},
                            {"zigzag", "Zigzag", "折线纹"},
                            {"flowered", "Flowered", "碎花"}}},
    [ATTRIBUTE_FORM] = {"form",
                        SENSE_LOOKS,
                        0.5f,
                        0.2f,
                        3,
                        {{"round", "Round", "圆润"},
                         {"slender", "Slender", "修长"},
                         {"angular", "Angular", "棱角分明"}}},
    [ATTRIBUTE_LIGHT] =
        {"light",
         SENSE_LOOKS,
         0.5f,
         0.1f,
         4,
         {{"dawn", "Dawn", "清晨"}, {"day", "Day", "白天"}, {"dusk", "Dusk", "黄昏"}, {"night", "Night", "夜晚"}}},
    [ATTRIBUTE_TIMBRE] = {"timbre",
                          SENSE_SOUNDS,
                          1.2f,
                          0.35f,
                          6,
                          {{"bell", "Bell", "铃声"},
                           {"flute", "Flute", "笛声"},
                           {"harp", "Harp", "竖琴声"},
                           {"organ", "Organ", "风琴声"},
                           {"marimba", "Marimba", "木琴声"},
                           {"drum", "Drum", "鼓声"}}},
    [ATTRIBUTE_TEMPO] = {"tempo",
                         SENSE_SOUNDS,
                         0.8f,
                         0.2f,
                         3,
                         {{"slow", "Slow", "缓慢"}, {"easy", "Easy", "从容"}, {"quick", "Quick", "轻快"}}},
    [ATTRIBUTE_REGISTER] = {"register",
                            SENSE_SOUNDS,
                            0.6f,
                            0.15f,
                            3,
                            {{"low", "Low", "低沉"}, {"middle", "Middle", "柔和"}, {"high", "High", "清亮"}}},
    [ATTRIBUTE_RHYTHM] = {"rhythm",
                          SENSE_SOUNDS,
                          0.4f,
                          0,
                          3,
                          {{"even", "Even", "平稳"}, {"swinging", "Swinging", "摇摆"}, {"halting", "Halting", "顿挫"}}},
    [ATTRIBUTE_THEME] = {"theme",
                         SENSE_WORDS,
                         1.3f,
                         1,
                         8,
                         {{"sea", "Harbour", "海港"},
                          {"forest", "Forest", "森林"},
                          {"city", "City", "城市"},
                          {"space", "Starlight", "星空"},
                          {"winter", "Winter", "冬日"},
                          {"festival", "Festival", "节庆"},
                          {"tea", "Teahouse", "茶馆"},
                          {"desert", "Desert", "沙漠"}}},
};

static bool chance(rng *r, double share) { return rng_uniform(r) < share; }

/* Some kinds look at home in some lights; everything else is independent, so that nothing can be guessed from the kind.
 */
static uint8_t light_draw(rng *r, unsigned kind) {
  if (kind == KIND_LAMP && chance(r, 0.5)) return chance(r, 0.5) ? LIGHT_DUSK : LIGHT_NIGHT;
  return (uint8_t)rng_below(r, 4);
}

static sample_words words_draw(rng *r) {
  static const struct {
    sample_words words;
    double share;
  } rows[] = {{WORDS_EN, 0.36}, {WORDS_ZH, 0.25}, {WORDS_EN_ZH, 0.2}, {WORDS_ZH_EN, 0.16}};
  double x = rng_uniform(r);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (x < rows[i].share) return rows[i].words;
    x -= rows[i].share;
  }
  return WORDS_NONE;
}

static float price_draw(rng *r, unsigned kind) {
  static const float usual[] = {45, 30, 25, 60, 180, 18, 75, 15};
  double price = usual[kind] * exp(0.35 * rng_normal(r));
  return (float)(floor(price) + (chance(r, 0.5) ? 0.5 : 0));
}

void sample_item_draw(rng *r, sample_item *item) {
  *item = (sample_item){.seed = rng_next(r)};
  for (unsigned a = 0; a < ATTRIBUTE_COUNT; a++) item->value[a] = (uint8_t)rng_below(r, sample_attributes[a].count);
  item->value[ATTRIBUTE_LIGHT] = light_draw(r, item->value[ATTRIBUTE_KIND]);
  item->words = words_draw(r);
  for (unsigned a = 0; a < ATTRIBUTE_COUNT; a++)
    item->told[a] = chance(r, sample_attributes[a].told_share) && item->words != WORDS_NONE;
  item->has_image = chance(r, 0.9);
  item->has_sound = chance(r, 0.75);
  /* Nobody sells a thing that can be neither seen nor read about. */
  if (item->words == WORDS_NONE) item->has_image = true;
  item->price = price_draw(r, item->value[ATTRIBUTE_KIND]);
  item->quality = (float)rng_normal(r);
  item->exposure = (float)exp(0.9 * rng_normal(r));
}

/* Things are numbered by when they came: much of the stock before the shop opened, the rest day by day, and a few that
 * nobody has met. */
static void items_date(sample_world *w, rng *r) {
  uint32_t count = w->options.items, stock = (uint32_t)(STOCK_AT_OPENING * count);
  uint32_t newcomers = (uint32_t)(NEWCOMER_SHARE * count) + 1, arrivals = count - stock - newcomers;
  for (uint32_t i = 0; i < count; i++) {
    double days;
    if (i < stock)
      days = -200.0 + 200.0 * i / stock;
    else if (i < stock + arrivals)
      days = SAMPLE_OPEN_DAYS * (double)(i - stock) / arrivals;
    else
      days = SAMPLE_OPEN_DAYS + 1 + 5.0 * (i - stock - arrivals) / newcomers;
    w->items[i].time_s = SAMPLE_OPENS_S + (int64_t)(days * SAMPLE_DAY_S) + (int64_t)rng_below(r, 600);
  }
}

/* A clip shows a thing that has a picture and a sound. */
static void clips_choose(sample_world *w, rng *r) {
  uint32_t left = (uint32_t)w->options.clips;
  for (uint32_t tries = 50 * left; left > 0 && tries > 0; tries--) {
    sample_item *item = &w->items[rng_below(r, w->options.items)];
    if (item->has_clip || !item->has_image || !item->has_sound) continue;
    item->has_clip = true;
    left--;
  }
}

static medley_status option_check(const char *name, uint32_t *value, uint32_t fallback, uint32_t min, uint32_t max,
                                  medley_error *err) {
  if (*value == 0) *value = fallback;
  if (*value < min || *value > max)
    return error_set(err, MEDLEY_ERR_USAGE, "a sample of %u %s was asked for; choose between %u and %u", *value, name,
                     min, max);
  return MEDLEY_OK;
}

static medley_status options_check(medley_sample_options *o, medley_error *err) {
  medley_status status = MEDLEY_OK;
  TRY(option_check("items", &o->items, MEDLEY_SAMPLE_ITEMS_DEFAULT, MEDLEY_SAMPLE_ITEMS_MIN, MEDLEY_SAMPLE_ITEMS_MAX,
                   err));
  TRY(option_check("users", &o->users, MEDLEY_SAMPLE_USERS_DEFAULT, MEDLEY_SAMPLE_USERS_MIN, MEDLEY_SAMPLE_USERS_MAX,
                   err));
  TRY(option_check("events per user", &o->events_per_user, MEDLEY_SAMPLE_EVENTS_PER_USER_DEFAULT, 1,
                   MEDLEY_SAMPLE_EVENTS_PER_USER_MAX, err));
  /* The default gives way to a small catalogue; a number somebody asked for does not. */
  int32_t most = (int32_t)(o->items / 4);
  if (o->clips == 0) o->clips = MEDLEY_SAMPLE_CLIPS_DEFAULT < most ? MEDLEY_SAMPLE_CLIPS_DEFAULT : most;
  if (o->clips > most)
    FAIL(err, MEDLEY_ERR_USAGE, "a sample with %d clips was asked for; %u items can have at most %d", o->clips,
         o->items, most);
  if (o->clips < 0) o->clips = 0;
  if (o->seed == 0) o->seed = 1;
done:
  return status;
}

medley_status sample_world_init(sample_world *w, const medley_sample_options *options, medley_error *err) {
  medley_status status = MEDLEY_OK;
  rng r;
  *w = (sample_world){0};
  if (options != NULL) w->options = *options;
  TRY(options_check(&w->options, err));
  TRY_NEW(w->items, w->options.items, "sample items");
  TRY_NEW(w->users, w->options.users, "sample users");
  rng_seed(&r, w->options.seed);
  for (uint32_t i = 0; i < w->options.items; i++) sample_item_draw(&r, &w->items[i]);
  items_date(w, &r);
  clips_choose(w, &r);
  TRY(sample_people_live(w, &r, err));
done:
  if (status != MEDLEY_OK) sample_world_deinit(w);
  return status;
}

void sample_world_deinit(sample_world *w) {
  mem_free(w->items);
  mem_free(w->users);
  mem_free(w->events);
  mem_free(w->links);
  *w = (sample_world){0};
}
