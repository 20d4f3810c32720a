/* media/language.c: see media/language.h.
 *
 * Three witnesses, the cheapest first. The script settles most of the world at once. Within Latin and Cyrillic, stop
 * words make up half of any running text and cost one look-up a word. Only what they leave open goes to n-grams (Cavnar
 * and Trenkle 1994, by libexttextcat), which take half a millisecond a text and are wrong about half of all product
 * titles: their word counts for a short text only when it is the only one, and "" is an honest answer.
 */
#include "media/language.h"

#include <libexttextcat/textcat.h>
#include <stdio.h>
#include <string.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include "base/file.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/strbuf.h"
#include "media/stopwords.h"

#define SAMPLE_BYTES ((size_t)4096) /* of the text that are counted by script */
#define NGRAM_BYTES ((size_t)512)   /* of the text that n-grams see: more changes no answer, but costs */
#define SHORT_BYTES ((size_t)40)    /* below, n-grams alone settle nothing: they find Basque in film titles */
#define LONG_BYTES ((size_t)200)    /* from here on the best of several n-gram answers is trusted */
#define CANDIDATE_MAX 8
#define WORDS_MAX ((size_t)200) /* words that are looked up */

static const char *const model_folders[] = {"/usr/share/libexttextcat", "/usr/local/share/libexttextcat"};

struct language_guesser {
  strmap stop_bits; /* word → bits */
  char *model_folder;
  void *ngrams; /* textcat handle, NULL until needed or when there are no models */
  bool ngrams_tried;
};

/* Scripts that settle the language (n-grams are not asked), or at least name the likeliest one. */
static const struct {
  UScriptCode script;
  char language[4];
  bool shared; /* by several languages */
} scripts[] = {
    {USCRIPT_LATIN, "", true},        {USCRIPT_CYRILLIC, "ru", true},  {USCRIPT_ARABIC, "ar", true},
    {USCRIPT_DEVANAGARI, "hi", true}, {USCRIPT_HAN, "zh", false},      {USCRIPT_HANGUL, "ko", false},
    {USCRIPT_THAI, "th", false},      {USCRIPT_LAO, "lo", false},      {USCRIPT_KHMER, "km", false},
    {USCRIPT_MYANMAR, "my", false},   {USCRIPT_HEBREW, "he", false},   {USCRIPT_GREEK, "el", false},
    {USCRIPT_BENGALI, "bn", false},   {USCRIPT_TAMIL, "ta", false},    {USCRIPT_TELUGU, "te", false},
    {USCRIPT_GUJARATI, "gu", false},  {USCRIPT_GURMUKHI, "pa", false}, {USCRIPT_KANNADA, "kn", false},
    {USCRIPT_MALAYALAM, "ml", false}, {USCRIPT_SINHALA, "si", false},  {USCRIPT_GEORGIAN, "ka", false},
    {USCRIPT_ARMENIAN, "hy", false},  {USCRIPT_ETHIOPIC, "am", false}, {USCRIPT_TIBETAN, "bo", false},
};
#define SCRIPT_COUNT (sizeof scripts / sizeof *scripts)

/* Languages of shared scripts other than Latin, beside the defaults above. */
static const struct {
  char language[4];
  UScriptCode script;
} shared_script_languages[] = {
    {"uk", USCRIPT_CYRILLIC}, {"be", USCRIPT_CYRILLIC},   {"bg", USCRIPT_CYRILLIC},   {"sr", USCRIPT_CYRILLIC},
    {"mk", USCRIPT_CYRILLIC}, {"kk", USCRIPT_CYRILLIC},   {"mn", USCRIPT_CYRILLIC},   {"ru", USCRIPT_CYRILLIC},
    {"tt", USCRIPT_CYRILLIC}, {"ky", USCRIPT_CYRILLIC},   {"ar", USCRIPT_ARABIC},     {"fa", USCRIPT_ARABIC},
    {"ur", USCRIPT_ARABIC},   {"hi", USCRIPT_DEVANAGARI}, {"mr", USCRIPT_DEVANAGARI}, {"ne", USCRIPT_DEVANAGARI},
    {"ja", USCRIPT_HAN},
};

static UScriptCode language_script(const char *language) {
  for (size_t i = 0; i < sizeof shared_script_languages / sizeof *shared_script_languages; i++)
    if (strcmp(shared_script_languages[i].language, language) == 0) return shared_script_languages[i].script;
  for (size_t i = 1; i < SCRIPT_COUNT; i++)
    if (strcmp(scripts[i].language, language) == 0) return scripts[i].script;
  return USCRIPT_LATIN;
}

bool language_is_latin(const char *language) { return language_script(language) == USCRIPT_LATIN; }

/* ---- stop words ---- */

static bool add_stop_list(strmap *bits, const char *words, uint32_t bit) {
  while (*words != '\0') {
    size_t length = strcspn(words, " ");
    int64_t *value = strmap_get_or_put(bits, words, length, 0, NULL);
    if (value == NULL) return false;
    *value |= bit;
    words += length;
    words += *words == ' ';
  }
  return true;
}

medley_status language_guesser_create(const char *model_folder, language_guesser **out, medley_error *err) {
  medley_status status = MEDLEY_OK;
  language_guesser *g;
  TRY_NEW(g, 1, "the language guesser");
  for (size_t i = 0; i < stop_list_count; i++)
    if (!add_stop_list(&g->stop_bits, stop_lists[i].words, (uint32_t)1 << i)) TRY(error_memory(err, "the stop words"));
  if (model_folder != NULL && (g->model_folder = mem_strdup(model_folder)) == NULL)
    TRY(error_memory(err, "the language guesser"));
done:
  if (status != MEDLEY_OK) {
    language_guesser_free(g);
    g = NULL;
  }
  *out = g;
  return status;
}

void language_guesser_free(language_guesser *g) {
  if (g == NULL) return;
  strmap_deinit(&g->stop_bits);
  if (g->ngrams != NULL) textcat_Done(g->ngrams);
  mem_free(g->model_folder);
  mem_free(g);
}

uint32_t language_bit(const char *language) {
  for (size_t i = 0; i < stop_list_count; i++)
    if (strcmp(stop_lists[i].language, language) == 0) return (uint32_t)1 << i;
  return 0;
}

uint32_t language_stop_bits(const language_guesser *g, const char *word, size_t length) {
  const int64_t *bits = strmap_get_bytes(&g->stop_bits, word, length);
  return bits != NULL ? (uint32_t)*bits : 0;
}

typedef struct stop_evidence {
  double best, second;  /* a word shared by n languages counts 1/n for each */
  const char *language; /* of the best; NULL when there was no stop word at all */
} stop_evidence;

/* Among the languages of one script. */
static stop_evidence count_stop_words(const language_guesser *g, const char *text, const word_span *words,
                                      size_t word_count, UScriptCode script) {
  double score[STOP_LIST_MAX] = {0};
  for (size_t w = 0; w < word_count && w < WORDS_MAX; w++) {
    uint32_t bits = language_stop_bits(g, text + words[w].start, words[w].end - words[w].start);
    double share = bits != 0 ? 1.0 / __builtin_popcount(bits) : 0;
    for (; bits != 0; bits &= bits - 1) score[__builtin_ctz(bits)] += share;
  }
  stop_evidence e = {0};
  for (size_t i = 0; i < stop_list_count; i++) {
    if (score[i] <= e.second || language_script(stop_lists[i].language) != script) continue;
    if (score[i] > e.best) {
      e = (stop_evidence){score[i], e.best, stop_lists[i].language};
    } else {
      e.second = score[i];
    }
  }
  return e;
}

/* ---- n-grams ---- */

/* The models, or NULL. textcat_Init prints when a file is missing, so that is looked at before. */
static void *guesser_ngrams(language_guesser *g) {
  if (g->ngrams_tried) return g->ngrams;
  g->ngrams_tried = true;
  size_t count = g->model_folder != NULL ? 1 : sizeof model_folders / sizeof *model_folders;
  for (size_t i = 0; i < count && g->ngrams == NULL; i++) {
    strbuf prefix = {0}, list = {0};
    strbuf_printf(&prefix, "%s/", g->model_folder != NULL ? g->model_folder : model_folders[i]);
    strbuf_printf(&list, "%sfpdb.conf", prefix.failed ? "" : prefix.text);
    if (!prefix.failed && !list.failed && file_exists(list.text))
      g->ngrams = special_textcat_Init(list.text, prefix.text);
    strbuf_deinit(&prefix);
    strbuf_deinit(&list);
  }
  return g->ngrams;
}

/* Latin languages that n-grams may propose. The models also know Manx, Bislama, Interlingua and their like, which in
 * catalogues are nearly always misread titles. */
static const char latin_languages[][4] = {"en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "fi",
                                          "pl", "cs", "sk", "hu", "ro", "hr", "sl", "sq", "et", "lv", "lt",
                                          "tr", "az", "uz", "vi", "id", "ms", "sw", "ca", "eu", "is"};

static bool is_proposable(const char *language, UScriptCode script) {
  if (language_script(language) != script) return false;
  bool known = script != USCRIPT_LATIN;
  for (size_t i = 0; i < sizeof latin_languages / sizeof *latin_languages && !known; i++)
    known = strcmp(latin_languages[i], language) == 0;
  return known;
}

/* The candidates of this script, best first, as two-letter codes: "[sco--utf8][en--utf8][nb--utf8]" gives en, no. */
static size_t ngram_candidates(language_guesser *g, const char *text, size_t length, UScriptCode script,
                               char candidates[CANDIDATE_MAX][LANGUAGE_SIZE]) {
  void *ngrams = guesser_ngrams(g);
  if (ngrams == NULL) return 0;
  size_t take = length < NGRAM_BYTES ? length : NGRAM_BYTES, count = 0;
  while (take < length && take > 0 && U8_IS_TRAIL((uint8_t)text[take])) take--;
  const char *answer = textcat_Classify(ngrams, text, take);
  for (; answer != NULL && *answer == '[' && count < CANDIDATE_MAX; answer = strchr(answer + 1, '[')) {
    size_t code = strcspn(answer + 1, "-]");
    if (code != 2)
      continue; /* regional tongues that catalogues are rarely in, and that are taken for their neighbours */
    char *name = candidates[count];
    snprintf(name, LANGUAGE_SIZE, "%.2s", answer + 1);
    if (strcmp(name, "nb") == 0 || strcmp(name, "nn") == 0) memcpy(name, "no", 3);
    if (is_proposable(name, script) && (count == 0 || strcmp(candidates[count - 1], name) != 0)) count++;
  }
  return count;
}

/* ---- the verdict ---- */

typedef struct script_counts {
  uint32_t weight[SCRIPT_COUNT];
  uint32_t kana;
} script_counts;

static void count_character(script_counts *counts, UChar32 c) {
  UErrorCode code = U_ZERO_ERROR;
  UScriptCode script = uscript_getScript(c, &code);
  bool kana = script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA;
  /* One character of these is half a word or more. */
  uint32_t weight = kana || script == USCRIPT_HAN ? 3 : script == USCRIPT_HANGUL ? 2 : 1;
  if (kana) {
    counts->kana += weight;
    script = USCRIPT_HAN;
  }
  for (size_t i = 0; i < SCRIPT_COUNT; i++)
    if (scripts[i].script == script) counts->weight[i] += weight;
}

static script_counts count_scripts(const char *text, size_t length) {
  script_counts counts = {0};
  int32_t end = (int32_t)(length < SAMPLE_BYTES ? length : SAMPLE_BYTES);
  for (int32_t i = 0; i < end;) {
    unsigned char byte = (unsigned char)text[i];
    if (byte < 0x80) {
      counts.weight[0] += (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
      i++;
      continue;
    }
    UChar32 c;
    U8_NEXT(text, i, end, c);
    if (c >= 0) count_character(&counts, c);
  }
  return counts;
}

/* English needs one sure word; other languages two, or one with the n-grams' consent, since their stop words are often
 * English nouns ("war", "men", "door") and titles are short. */
static const char *weigh(const stop_evidence *e, char candidates[CANDIDATE_MAX][LANGUAGE_SIZE], size_t count,
                         size_t length) {
  bool ahead = e->language != NULL && e->best >= 1.5 * e->second;
  if (ahead && e->best >= 1)
    for (size_t i = 0; i < count; i++)
      if (strcmp(candidates[i], e->language) == 0) return e->language;
  if ((count == 1 && length >= SHORT_BYTES) || (count > 1 && length >= LONG_BYTES)) return candidates[0];
  return NULL;
}

void language_guess(language_guesser *g, const char *text, size_t length, const word_span *words, size_t word_count,
                    char language[LANGUAGE_SIZE]) {
  language[0] = '\0';
  script_counts counts = count_scripts(text, length);
  size_t top = 0;
  for (size_t i = 1; i < SCRIPT_COUNT; i++)
    if (counts.weight[i] > counts.weight[top]) top = i;
  if (counts.weight[top] == 0) return;
  const char *verdict = scripts[top].language;
  char candidates[CANDIDATE_MAX][LANGUAGE_SIZE];
  if (scripts[top].script == USCRIPT_HAN && counts.kana * 16 >= counts.weight[top]) verdict = "ja";
  if (scripts[top].shared) {
    stop_evidence e = count_stop_words(g, text, words, word_count, scripts[top].script);
    double need = e.language != NULL && strcmp(e.language, "en") == 0 ? 1 : 2;
    const char *better = e.best >= need && e.best >= 1.5 * e.second ? e.language : NULL;
    /* Russian is the only Cyrillic stop list, so it would win every comparison with its neighbours. */
    bool askable = length >= SHORT_BYTES || e.best >= 1; /* else no answer of theirs would count */
    if (askable && (better == NULL || scripts[top].script == USCRIPT_CYRILLIC)) {
      size_t count = ngram_candidates(g, text, length, scripts[top].script, candidates);
      better = weigh(&e, candidates, count, length);
    }
    if (better != NULL) verdict = better;
  }
  snprintf(language, LANGUAGE_SIZE, "%.3s", verdict);
}
