/* cli/cmd_restore.c: medley restore: a workspace from an exported file. */
#include <medley/workspace.h>

#include "base/file.h"
#include "cli/passphrase.h"
#include "cli/show.h"

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char passphrase[PASSPHRASE_MAX + 1] = {0};
  const char *file = arguments_text(a, "file"), *folder = arguments_text(a, "workspace");
  /* Nobody should have to think of a passphrase for a file that is not there. */
  if (!file_exists(file)) FAIL(err, MEDLEY_ERR_NOT_FOUND, "%s: there is no such file", file);
  TRY(passphrase_get(a, false, passphrase, err));
  medley_progress progress = console_progress(c);
  TRY(medley_restore(file, folder, passphrase, &progress, err));
  if (c->json)
    console_json(c, "{\"restored\":true}");
  else
    console_line(c, STYLE_PLAIN, "%s is a workspace again", folder);
done:
  passphrase_wipe(passphrase);
  return status;
}

const command cmd_restore = {
    .name = "restore",
    .group = "Care",
    .summary = "makes a workspace of an exported file again",
    .about = "A wrong passphrase or a changed file is refused and leaves nothing behind.",
    .arguments = (const argument_spec[]){{"file", VALUE_FILE, "a file that medley export wrote"},
                                         {"workspace", VALUE_FOLDER, "the folder to make"},
                                         {0}},
    .options = (const option_spec[]){PASSPHRASE_OPTION, {0}},
    .examples = (const command_example[]){{"medley restore shop.medley shop-again", "Asks for the passphrase"}, {0}},
    .ends = ENDS_NOT_FOUND | ENDS_CANCELLED,
    .run = run,
};
