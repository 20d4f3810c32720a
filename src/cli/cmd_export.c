/* cli/cmd_export.c: medley export: an encrypted copy of a workspace in one file. */
#include <medley/workspace.h>

#include "cli/passphrase.h"
#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  medley_workspace *w = NULL;
  char passphrase[PASSPHRASE_MAX + 1] = {0};
  const char *file = arguments_text(a, "file");
  TRY(workspace_of(a, &w, err));
  TRY(passphrase_get(a, true, passphrase, err));
  medley_progress progress = console_progress(c);
  TRY(medley_export(w, file, passphrase, &progress, err));
  if (c->json)
    console_json(c, "{\"written\":true}");
  else
    console_line(c, STYLE_PLAIN, "%s; 'medley restore %s FOLDER' makes a workspace of it again", file, file);
done:
  passphrase_wipe(passphrase);
  medley_workspace_close(w);
  return status;
}

const command cmd_export = {
    .name = "export",
    .group = "Care",
    .summary = "an encrypted copy of the whole workspace in one file",
    .about =
        "Catalogue, events, settings and models; not the media that lie elsewhere. The key is made from a passphrase "
        "(Argon2id), the file "
        "is encrypted and sealed (XChaCha20-Poly1305): without the passphrase it says nothing, and no byte of it can "
        "be changed "
        "unnoticed. There is no way back in without the passphrase.",
    .arguments =
        (const argument_spec[]){
            {"workspace", VALUE_FOLDER, "the workspace"}, {"file", VALUE_FILE, "the file to write"}, {0}},
    .options = (const option_spec[]){PASSPHRASE_OPTION, {0}},
    .examples =
        (const command_example[]){{"medley export shop shop.medley", "Asks for the passphrase, twice"},
                                  {"medley export shop shop.medley --passphrase-file ~/.shop-key", "In a script"},
                                  {0}},
    .ends = ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
