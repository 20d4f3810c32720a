/* Any bytes through cleaning, language and words, with everything on and with everything off. */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "media/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *context, const char *word, size_t length, size_t position) {
  (void)position;
  *(size_t *)context += length > 0 && word[0] != '\0';
  return true;
}

static void prepare(text_preparer *p, const char *text) {
  strbuf out = {0};
  char language[8];
  size_t words = 0;
  if (text_clean(p, text, &out, NULL) == MEDLEY_OK && !utf8_valid(out.text, out.length)) __builtin_trap();
  (void)!text_language(p, text, language, NULL);
  (void)!text_words(p, text, take, &words, NULL);
  strbuf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const text_options options[] = {
      {0},
      {.keep_compatibility = true, .keep_html = true, .keep_emoji = true, .language = "fr"},
      {.keep_case = true, .keep_urls = true, .keep_stop_words = true, .keep_endings = true},
  };
  /* Made once: loading the language models takes longer than a thousand runs. */
  static text_preparer *preparers[sizeof options / sizeof *options];
  char *text = mem_strndup((const char *)data, size);
  for (size_t i = 0; text != NULL && i < sizeof options / sizeof *options; i++)
    if (preparers[i] != NULL || text_preparer_create(&options[i], &preparers[i], NULL) == MEDLEY_OK)
      prepare(preparers[i], text);
  mem_free(text);
  return 0;
}
