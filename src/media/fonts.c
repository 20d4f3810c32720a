/* media/fonts.c: see media/fonts.h. Fontconfig is what libvips draws text with (through Pango), so its answer is the
 * one that counts. */
#include "media/fonts.h"

#include <fontconfig/fontconfig.h>
#include <stddef.h>

bool fonts_cover(const char *language) {
  FcPattern *pattern = FcPatternCreate();
  FcLangSet *languages = FcLangSetCreate();
  FcObjectSet *wanted = FcObjectSetBuild(FC_FAMILY, (char *)NULL);
  FcFontSet *found = NULL;
  if (pattern != NULL && languages != NULL && wanted != NULL && FcLangSetAdd(languages, (const FcChar8 *)language) &&
      FcPatternAddLangSet(pattern, FC_LANG, languages))
    found = FcFontList(NULL, pattern, wanted);
  bool covered = found != NULL && found->nfont > 0;
  if (found != NULL) FcFontSetDestroy(found);
  if (wanted != NULL) FcObjectSetDestroy(wanted);
  if (languages != NULL) FcLangSetDestroy(languages);
  if (pattern != NULL) FcPatternDestroy(pattern);
  return covered;
}
