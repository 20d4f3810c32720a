/* cli/cmd_man.c: medley man: manual pages, one to standard output or all into a folder. */
#include <medley/workspace.h>
#include <string.h>

#include "base/file.h"
#include "cli/pages.h"
#include "cli/show.h"

static medley_status page_write(const char *folder, const char *name, strbuf *page, medley_error *err) {
  medley_status status = MEDLEY_OK;
  char *path = page->failed ? NULL : path_join(folder, name);
  if (path == NULL) {
    status = error_memory(err, "a page");
    goto done;
  }
  TRY(file_write(path, page->text, page->length, err));
done:
  mem_free(path);
  strbuf_reset(page);
  return status;
}

/* medley.1, medley-<command>.1 and the completions under the names they are installed as. */
static medley_status pages_write(const char *folder, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf page = {0};
  char name[80];
  TRY(folder_create(folder, err));
  manual_overview(&page, medley_version());
  TRY(page_write(folder, "medley.1", &page, err));
  for (const command *const *c = commands; *c != NULL; c++) {
    if ((*c)->hidden) continue;
    snprintf(name, sizeof name, "medley-%s.1", (*c)->name);
    manual_command(*c, &page, medley_version());
    TRY(page_write(folder, name, &page, err));
  }
  completion_bash(&page);
  TRY(page_write(folder, "medley", &page, err));
  completion_zsh(&page);
  TRY(page_write(folder, "_medley", &page, err));
done:
  strbuf_deinit(&page);
  return status;
}

static medley_status page_print(const arguments *a, strbuf *out, medley_error *err) {
  const char *name = arguments_text(a, "command");
  const command *about = name ? command_find(name) : NULL;
  if (name != NULL && about == NULL) return error_set(err, MEDLEY_ERR_USAGE, "there is no command '%.60s'", name);
  if (arguments_has(a, "markdown"))
    markdown_reference(out);
  else if (about != NULL)
    manual_command(about, out, medley_version());
  else
    manual_overview(out, medley_version());
  return MEDLEY_OK;
}

static medley_status run(const arguments *a, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  strbuf page = {0};
  const char *folder = arguments_text(a, "write");
  if (folder == NULL) {
    TRY(page_print(a, c->json ? &page : &c->text, err));
    if (c->json) schema_text("page", &page, &c->text);
  } else {
    TRY(pages_write(folder, err));
    strbuf_append(&page, folder);
    if (c->json) schema_text("written", &page, &c->text);
  }
done:
  strbuf_deinit(&page);
  return status;
}

const command cmd_man = {
    .name = "man",
    .group = "Help",
    .summary = "prints a manual page, in the language of man",
    .about =
        "make install puts the pages where man finds them (man medley, man medley-recommend); this prints them where "
        "nothing is installed.",
    .arguments = (const argument_spec[]){{"command", VALUE_COMMAND, "the name of a command", .optional = true}, {0}},
    .options =
        (const option_spec[]){
            {"markdown", 0, VALUE_FLAG, NULL, "all commands as one document in Markdown instead"},
            {"write", 0, VALUE_FOLDER, "FOLDER", "write all pages and the completions into this folder"},
            {0}},
    .examples = (const command_example[]){{"medley man recommend | man -l -", "Read the page of recommend"}, {0}},
    .run = run,
};
