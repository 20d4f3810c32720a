/* engine/sample_text.c: titles and descriptions in English and Chinese, put together from tables of sentences.
 *
 * The theme lives in the words alone; looks and sounds are told only where the item says so. Sentences vary, so that a
 * theme has to be recognised from several words and not from one.
 */
#include "engine/sample_world.h"

#include <string.h>

#define THEME_LINES 5
#define CLOSING_LINES 8

typedef struct theme_row {
  const char *titles_en[3], *titles_zh[3]; /* how a title names the theme */
  const char *en[THEME_LINES], *zh[THEME_LINES];
} theme_row;

/* In the order of the themes in sample_world.c. */
static const theme_row themes[] = {
    {{"Harbour", "Tidal", "Lighthouse"},
     {"海港", "潮汐", "灯塔"},
     {"Salt wind and gulls come to mind at once.", "It remembers the harbour at high tide.",
      "Made for a window that looks out on the waves.", "Sailors used to take one along on long voyages.",
      "Like a shell, it seems to keep the sound of the surf."},
     {"让人立刻想起海风与海鸥。", "它记得涨潮时的港口。", "适合放在面朝大海的窗边。", "从前的水手远航时总会带上一件。",
      "像贝壳一样，仿佛收藏着浪花的声音。"}},
    {{"Forest", "Mossy", "Fern"},
     {"森林", "青苔", "蕨叶"},
     {"It smells faintly of pine and rain.", "Inspired by a path under old oaks.",
      "Moss, ferns and a quiet stream were the model.", "Deer would not be frightened by it.",
      "A piece of the woods for people who live far from trees."},
     {"带着淡淡的松木与雨水的气息。", "灵感来自老橡树下的小径。", "以青苔、蕨叶和安静的溪流为蓝本。",
      "连林中的小鹿也不会被它惊扰。", "送给住得离树木很远的人的一片森林。"}},
    {{"City", "Metro", "Rooftop"},
     {"城市", "地铁", "屋顶"},
     {"Made between tram lines and neon signs.", "It feels at home on the twentieth floor.",
      "For people who like streets, crowds and late trains.", "The avenue at rush hour was the inspiration.",
      "Concrete, glass and a little coffee are in its character."},
     {"诞生在电车轨道与霓虹灯之间。", "放在二十层的公寓里也很自在。", "送给喜欢街道、人群和末班车的人。",
      "灵感来自高峰时段的大街。", "带着混凝土、玻璃和一点咖啡的性格。"}},
    {{"Starlight", "Orbit", "Comet"},
     {"星空", "轨道", "彗星"},
     {"Drawn after the charts of an old observatory.", "It would look well on a spaceship.",
      "For everyone who has waited for a comet.", "Planets and moons circle in its design.",
      "Astronauts would pack it first."},
     {"照着旧天文台的星图画成。", "放在宇宙飞船里也很合适。", "送给每一个等待过彗星的人。",
      "行星与卫星在设计中缓缓旋转。", "宇航员会最先把它装进行李。"}},
    {{"Winter", "Frost", "Snowfall"},
     {"冬日", "霜花", "初雪"},
     {"Best enjoyed while snow falls outside.", "It goes with wool blankets and cold noses.",
      "Frost on the window gave the idea.", "Made in a mountain village during the long nights.",
      "A companion for skaters and people who love the cold."},
     {"最适合在窗外飘雪的时候欣赏。", "与羊毛毯和冻红的鼻尖很相配。", "窗上的霜花给了设计者灵感。",
      "在山村漫长的冬夜里制成。", "溜冰者和喜欢寒冷的人的好伙伴。"}},
    {{"Festival", "Lantern", "Parade"},
     {"节庆", "花灯", "巡游"},
     {"It brings the fair into the room.", "Made for dancing, fireworks and guests.",
      "Last seen on a parade float under paper lanterns.", "Children ask for it on every holiday.",
      "Nobody stays serious while it is around."},
     {"把热闹的集市带进房间。", "为舞蹈、烟花和宾客而做。", "曾在巡游花车的纸灯笼下亮相。", "每逢节日孩子们都想要它。",
      "有它在，谁也严肃不起来。"}},
    {{"Teahouse", "Jasmine", "Porcelain"},
     {"茶馆", "茉莉", "青瓷"},
     {"It belongs beside a steaming pot of jasmine tea.", "Made for slow afternoons and long talks.",
      "An old teahouse by the canal keeps one like it.", "Quiet, patient, a little old-fashioned.",
      "Guests notice it between the second and the third cup."},
     {"适合摆在一壶热腾腾的茉莉花茶旁。", "为悠长的午后和慢慢的交谈而做。", "运河边的老茶馆里也有这样一件。",
      "安静、耐心，还有一点旧时光的味道。", "客人常在第二杯与第三杯茶之间注意到它。"}},
    {{"Desert", "Dune", "Oasis"},
     {"沙漠", "沙丘", "绿洲"},
     {"Sand and noon heat shaped its idea.", "Caravans carried things like it between wells.",
      "It looks best in hard, clear sunlight.", "Cactus, clay and wide horizons are its relatives.",
      "For people who miss the silence of the dunes."},
     {"灵感来自黄沙与正午的热浪。", "从前的驼队带着它走过一口口水井。", "在强烈而清澈的阳光下最好看。",
      "与仙人掌、陶土和辽阔的地平线是亲戚。", "送给想念沙丘寂静的人。"}},
};

static const char *const closing_en[CLOSING_LINES] = {
    "Easy to clean.",         "Comes in a plain box.", "Each one is a little different.", "A good present.",
    "Made in small numbers.", "Light enough to post.", "Repairs are free for two years.", "Fits on any shelf."};
static const char *const closing_zh[CLOSING_LINES] = {"容易清洁。",       "朴素纸盒包装。", "每一件都略有不同。",
                                                      "送礼佳品。",       "小批量制作。",   "轻便，适合邮寄。",
                                                      "两年内免费维修。", "适合任何书架。"};

/* The choices that both languages share, so that a bilingual text says the same thing twice. */
typedef struct text_choice {
  unsigned title, first, second, closing;
  bool looks_first;
} text_choice;

static text_choice choice_draw(const sample_item *item) {
  rng r;
  rng_seed(&r, item->seed ^ 0x7e87);
  text_choice c = {.title = (unsigned)rng_below(&r, 3), .first = (unsigned)rng_below(&r, THEME_LINES)};
  c.second = (c.first + 1 + (unsigned)rng_below(&r, THEME_LINES - 1)) % THEME_LINES;
  c.closing = (unsigned)rng_below(&r, CLOSING_LINES);
  c.looks_first = rng_uniform(&r) < 0.5;
  return c;
}

static const sample_value *value_of(const sample_item *item, sample_attribute a) {
  return &sample_attributes[a].values[item->value[a]];
}

/* "Blue Striped Harbour Lamp": what is told of colour and pattern, then theme and kind. */
static void title_english(const sample_item *item, const text_choice *c, strbuf *out) {
  static const sample_attribute order[] = {ATTRIBUTE_COLOUR, ATTRIBUTE_PATTERN};
  for (size_t i = 0; i < 2; i++)
    if (item->told[order[i]]) strbuf_printf(out, "%s ", value_of(item, order[i])->english);
  strbuf_printf(out, "%s %s", themes[item->value[ATTRIBUTE_THEME]].titles_en[c->title],
                value_of(item, ATTRIBUTE_KIND)->english);
}

static void title_chinese(const sample_item *item, const text_choice *c, strbuf *out) {
  strbuf_append(out, themes[item->value[ATTRIBUTE_THEME]].titles_zh[c->title]);
  if (item->told[ATTRIBUTE_COLOUR]) strbuf_append(out, value_of(item, ATTRIBUTE_COLOUR)->chinese);
  if (item->told[ATTRIBUTE_PATTERN]) strbuf_append(out, value_of(item, ATTRIBUTE_PATTERN)->chinese);
  strbuf_append(out, value_of(item, ATTRIBUTE_KIND)->chinese);
}

static const char *article_for(const char *word) { return strchr("aeiou", word[0]) ? "an" : "a"; }

static void looks_english(const sample_item *item, strbuf *out) {
  const char *kind = value_of(item, ATTRIBUTE_KIND)->tag;
  if (item->told[ATTRIBUTE_FORM]) {
    const char *form = value_of(item, ATTRIBUTE_FORM)->tag;
    strbuf_printf(out, "This is %s %s %s. ", article_for(form), form, kind);
  }
  if (item->told[ATTRIBUTE_COLOUR] && item->told[ATTRIBUTE_PATTERN])
    strbuf_printf(out, "The %s is %s and %s. ", kind, value_of(item, ATTRIBUTE_COLOUR)->tag,
                  value_of(item, ATTRIBUTE_PATTERN)->tag);
  else if (item->told[ATTRIBUTE_COLOUR])
    strbuf_printf(out, "Its colour is %s. ", value_of(item, ATTRIBUTE_COLOUR)->tag);
  else if (item->told[ATTRIBUTE_PATTERN])
    strbuf_printf(out, "The surface is %s. ", value_of(item, ATTRIBUTE_PATTERN)->tag);
  if (item->told[ATTRIBUTE_LIGHT])
    strbuf_printf(out, "Photographed at %s. ",
                  item->value[ATTRIBUTE_LIGHT] == LIGHT_DAY ? "midday" : value_of(item, ATTRIBUTE_LIGHT)->tag);
}

static void looks_chinese(const sample_item *item, strbuf *out) {
  const char *kind = value_of(item, ATTRIBUTE_KIND)->chinese;
  if (item->told[ATTRIBUTE_FORM]) strbuf_printf(out, "造型%s。", value_of(item, ATTRIBUTE_FORM)->chinese);
  if (item->told[ATTRIBUTE_COLOUR] && item->told[ATTRIBUTE_PATTERN])
    strbuf_printf(out, "这件%s是%s的，带%s。", kind, value_of(item, ATTRIBUTE_COLOUR)->chinese,
                  value_of(item, ATTRIBUTE_PATTERN)->chinese);
  else if (item->told[ATTRIBUTE_COLOUR])
    strbuf_printf(out, "颜色为%s。", value_of(item, ATTRIBUTE_COLOUR)->chinese);
  else if (item->told[ATTRIBUTE_PATTERN])
    strbuf_printf(out, "表面是%s。", value_of(item, ATTRIBUTE_PATTERN)->chinese);
  if (item->told[ATTRIBUTE_LIGHT]) strbuf_printf(out, "拍摄于%s。", value_of(item, ATTRIBUTE_LIGHT)->chinese);
}

static void sounds_english(const sample_item *item, strbuf *out) {
  bool tempo = item->told[ATTRIBUTE_TEMPO], pitch = item->told[ATTRIBUTE_REGISTER];
  if (!item->told[ATTRIBUTE_TIMBRE] && !tempo && !pitch) return;
  const char *voice = item->told[ATTRIBUTE_TIMBRE] ? value_of(item, ATTRIBUTE_TIMBRE)->tag : "melody";
  const char *tempo_word = value_of(item, ATTRIBUTE_TEMPO)->tag, *pitch_word = value_of(item, ATTRIBUTE_REGISTER)->tag;
  strbuf_printf(out, "It plays %s ", article_for(tempo ? tempo_word : pitch ? pitch_word : voice));
  if (tempo) strbuf_printf(out, "%s%s", tempo_word, pitch ? ", " : " ");
  if (pitch) strbuf_printf(out, "%s ", pitch_word);
  strbuf_printf(out, "%s%s. ", voice, item->told[ATTRIBUTE_TIMBRE] ? " tune" : "");
}

static void sounds_chinese(const sample_item *item, strbuf *out) {
  bool tempo = item->told[ATTRIBUTE_TEMPO], pitch = item->told[ATTRIBUTE_REGISTER];
  if (!item->told[ATTRIBUTE_TIMBRE] && !tempo && !pitch) return;
  strbuf_append(out, "它奏出");
  if (tempo) strbuf_append(out, value_of(item, ATTRIBUTE_TEMPO)->chinese);
  if (tempo && pitch) strbuf_append(out, "而");
  if (pitch) strbuf_append(out, value_of(item, ATTRIBUTE_REGISTER)->chinese);
  if (tempo || pitch) strbuf_append(out, "的");
  strbuf_printf(out, "%s。", item->told[ATTRIBUTE_TIMBRE] ? value_of(item, ATTRIBUTE_TIMBRE)->chinese : "旋律");
}

static void text_english(const sample_item *item, const text_choice *c, strbuf *out) {
  const theme_row *theme = &themes[item->value[ATTRIBUTE_THEME]];
  if (c->looks_first) looks_english(item, out);
  strbuf_printf(out, "%s ", theme->en[c->first]);
  if (!c->looks_first) looks_english(item, out);
  sounds_english(item, out);
  strbuf_printf(out, "%s %s", theme->en[c->second], closing_en[c->closing]);
}

static void text_chinese(const sample_item *item, const text_choice *c, strbuf *out) {
  const theme_row *theme = &themes[item->value[ATTRIBUTE_THEME]];
  if (c->looks_first) looks_chinese(item, out);
  strbuf_append(out, theme->zh[c->first]);
  if (!c->looks_first) looks_chinese(item, out);
  sounds_chinese(item, out);
  strbuf_printf(out, "%s%s", theme->zh[c->second], closing_zh[c->closing]);
}

void sample_text_write(const sample_item *item, strbuf *title, strbuf *text) {
  text_choice c = choice_draw(item);
  bool first_english = item->words == WORDS_EN || item->words == WORDS_EN_ZH;
  bool first_chinese = item->words == WORDS_ZH || item->words == WORDS_ZH_EN;
  if (first_english) {
    title_english(item, &c, title);
    text_english(item, &c, text);
  }
  if (item->words == WORDS_EN_ZH) {
    strbuf_append(title, " · ");
    strbuf_append(text, "\n");
  }
  if (first_chinese || item->words == WORDS_EN_ZH) {
    title_chinese(item, &c, title);
    text_chinese(item, &c, text);
  }
  if (item->words == WORDS_ZH_EN) {
    strbuf_append(title, " · ");
    strbuf_append(text, "\n");
    title_english(item, &c, title);
    text_english(item, &c, text);
  }
}

const char *sample_text_language(const sample_item *item) {
  switch (item->words) {
    case WORDS_EN:
    case WORDS_EN_ZH: return "en";
    case WORDS_ZH:
    case WORDS_ZH_EN: return "zh";
    default: return NULL;
  }
}
