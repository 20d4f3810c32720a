/* cli/command.h: what a command is: one row of data.
 *
 * The parser, --help, the manual pages and the completions of bash and zsh all read the same rows, so that they cannot
 * disagree. A new command is one file cmd_<name>.c with one `const command`, and one line in commands.c.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct arguments;
struct console;

typedef enum value_type {
  VALUE_FLAG, /* takes no value */
  VALUE_TEXT,
  VALUE_FILE,
  VALUE_FOLDER, /* a workspace too */
  VALUE_INTEGER,
  VALUE_NUMBER,
  VALUE_CHOICE,  /* one of `choices` */
  VALUE_COMMAND, /* the name of a command */
} value_type;

typedef struct option_spec { /* a table of them ends with a row without a name */
  const char *name;          /* "count" for --count */
  char letter;               /* 'n' for -n; 0: none */
  value_type type;
  const char *value; /* how help calls the value: "N", "FILE"; NULL for a flag */
  const char *help;  /* a phrase without a full stop */
  double min, max;   /* bounds of a number, both ends included; equal: none */
  const char *const *choices;
  bool many;   /* may be given again; the values are collected */
  bool commas; /* one value may hold several, separated by commas */
  bool required;
} option_spec;

typedef struct argument_spec { /* ends with a row without a name */
  const char *name;            /* "workspace"; shown in capitals */
  value_type type;
  const char *help;
  const char *const *choices;
  bool optional; /* filled from left to right with what the required ones leave */
} argument_spec;

typedef struct command_example { /* ends with a row without a line */
  const char *line;              /* as typed */
  const char *text;              /* what it does */
} command_example;

/* Exit statuses besides 0, 1 and 2 that a command can end with. */
enum { ENDS_REJECTED = 1, ENDS_NOT_FOUND = 2, ENDS_CANCELLED = 4 };

#define EXIT_USAGE 2
#define EXIT_REJECTED 3
#define EXIT_NOT_FOUND 4
#define EXIT_CANCELLED 130

typedef struct command {
  const char *name;
  const char *group;   /* heading in the overview */
  const char *summary; /* a phrase without a full stop */
  const char *about;   /* paragraphs separated by empty lines */
  const argument_spec *arguments;
  const option_spec *options;
  const command_example *examples;
  unsigned ends;
  bool hidden;
  medley_status (*run)(const struct arguments *arguments, struct console *console, medley_error *err);
} command;

/* All commands in the order of the overview, ended by NULL. */
extern const command *const commands[];
/* Options of every command. */
extern const option_spec common_options[];

/* NULL when there is none. */
const command *command_find(const char *name);
/* The name closest to what was typed, hidden ones left out; NULL when none is close. */
const char *command_suggest(const char *typed);
/* The exit status that goes with a status, and its meaning in words (NULL for a number no command ends with). */
int exit_status_of(medley_status status);
const char *exit_status_text(int exit_status);
/* The exit statuses of a command, ascending; returns how many. */
#define EXIT_STATUSES_MAX 8
size_t command_exits(const command *c, int exits[EXIT_STATUSES_MAX]);

#endif
