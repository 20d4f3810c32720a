/* media/fonts.c: see media/fonts.h. Fontconfig is what libvips draws text with (through Pango), so its answer is the
 * one that counts. It is asked for letters, not for a language: what fontconfig calls a language are all characters of
 * an official list, which grows from version to version, and a small font that draws every caption misses some. */
#include "media/fonts.h"

#include <fontconfig/fontconfig.h>
#include <stddef.h>
#include <string.h>

static bool charset_add_text(FcCharSet *set, const char *letters) {
  int left = (int)strlen(letters);
  const FcChar8 *at = (const FcChar8 *)letters;
  while (left > 0) {
    FcChar32 letter;
    int bytes = FcUtf8ToUcs4(at, &letter, left);
    if (bytes <= 0 || !FcCharSetAddChar(set, letter)) return false;
    at += bytes;
    left -= bytes;
  }
  return true;
}

bool fonts_cover(const char *letters) {
  FcPattern *pattern = FcPatternCreate();
  FcCharSet *set = FcCharSetCreate();
  FcObjectSet *wanted = FcObjectSetBuild(FC_FAMILY, (char *)NULL);
  FcFontSet *found = NULL;
  if (pattern != NULL && set != NULL && wanted != NULL && charset_add_text(set, letters) &&
      FcPatternAddCharSet(pattern, FC_CHARSET, set))
    found = FcFontList(NULL, pattern, wanted);
  bool covered = found != NULL && found->nfont > 0;
  if (found != NULL) FcFontSetDestroy(found);
  if (wanted != NULL) FcObjectSetDestroy(wanted);
  if (set != NULL) FcCharSetDestroy(set);
  if (pattern != NULL) FcPatternDestroy(pattern);
  return covered;
}
