/* cli/main.c: the medley command: finds the command, reads its arguments, runs it, tells what went wrong. */
#include <medley/workspace.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/pages.h"

/* --json and the like hold for mistakes on the command line too, so they are looked for before anything is read. */
static bool word_is_given(int argc, char **argv, const char *word) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], word) == 0) return true;
  return false;
}

static void console_start(console *c, int argc, char **argv) {
  console_init(c, word_is_given(argc, argv, "--json"),
               word_is_given(argc, argv, "--quiet") || word_is_given(argc, argv, "-q"),
               word_is_given(argc, argv, "--verbose") || word_is_given(argc, argv, "-v"),
               word_is_given(argc, argv, "--no-color"));
}

static medley_status command_choose(const char *name, const command **out, medley_error *err) {
  *out = command_find(name);
  if (*out != NULL) return MEDLEY_OK;
  const char *near = command_suggest(name);
  if (near != NULL)
    return error_set(err, MEDLEY_ERR_USAGE, "there is no command '%.60s': did you mean %s?", name, near);
  return error_set(err, MEDLEY_ERR_USAGE, "there is no command '%.60s'; 'medley help' lists them", name);
}

static medley_status command_run(const command *chosen, int argc, char **argv, console *c, medley_error *err) {
  medley_status status = MEDLEY_OK;
  arguments a = {0};
  if (word_is_given(argc, argv, "--help") || word_is_given(argc, argv, "-h")) {
    if (c->json)
      schema_command(chosen, &c->text);
    else
      help_command(chosen, &c->text, c->out_columns, c->out_colour);
    return MEDLEY_OK;
  }
  TRY(arguments_parse(chosen, argc - 1, argv + 1, &a, err));
  TRY(chosen->run(&a, c, err));
done:
  arguments_deinit(&a);
  return status;
}

/* argv[0] is the command's name. Returns the exit status. */
static int command_serve(const char *name, int argc, char **argv) {
  medley_status status = MEDLEY_OK, flushed;
  medley_error error = {0};
  console c;
  const command *chosen = NULL;
  console_start(&c, argc, argv);
  status = command_choose(name, &chosen, &error);
  if (status == MEDLEY_OK) status = command_run(chosen, argc, argv, &c, &error);
  /* A command that failed may still have results: an import with too many rejected rows has its report. */
  flushed = console_flush(&c, status == MEDLEY_OK ? &error : NULL);
  if (status == MEDLEY_OK) status = flushed;
  if (status != MEDLEY_OK) {
    error.status = status;
    console_error(&c, chosen ? chosen->name : NULL, &error);
  }
  int exit_status = status == MEDLEY_OK ? c.exit_status : exit_status_of(status);
  console_deinit(&c);
  return exit_status;
}

/* `medley` alone: the overview, but as a mistake. */
static int overview_serve(void) {
  console c;
  console_init(&c, false, false, false, false);
  help_overview(&c.text, c.err_columns, c.err_colour);
  if (!c.text.failed) fputs(c.text.text, stderr);
  console_deinit(&c);
  return EXIT_USAGE;
}

int main(int argc, char **argv) {
  int exit_status;
  /* Ctrl-C reaches every process of the terminal. A worker leaves it to the one that started it: a worker that died of
   * it would look like a file that cannot be decoded. */
  if (argc > 1 && strcmp(argv[1], "media-worker") == 0) signal(SIGINT, SIG_IGN);
  if (medley_worker_main(argc, argv, &exit_status)) return exit_status;
  if (argc < 2) return overview_serve();
  static const char *const shortcuts[][2] = {{"--help", "help"}, {"-h", "help"}, {"--version", "version"}};
  const char *name = argv[1];
  for (size_t i = 0; i < sizeof shortcuts / sizeof *shortcuts; i++)
    if (strcmp(argv[1], shortcuts[i][0]) == 0) name = shortcuts[i][1];
  return command_serve(name, argc - 1, argv + 1);
}
