#pragma once
/*
 * Commands: one const row and one file each. A row names its arguments and options, so that parsing, the
 * usage line, help and the shell's completion come from one place.
 */

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_INVALID = 2, /* masu check: a file is not valid */
    EXIT_WRITES = 3,  /* masu plan: there is something to write */
    EXIT_WRONG_USAGE = 64,
};

enum { COMMAND_OPTIONS_MAX = 8, COMMAND_ARGUMENTS_MAX = 64 };

struct option_row {
    const char *name;  /* "follow"; NULL ends the list */
    char letter;       /* 'f', or 0 */
    const char *value; /* what it takes: "FILE"; NULL: nothing */
    const char *help;  /* one sentence without full stop */
};

struct args {
    const char *words[COMMAND_ARGUMENTS_MAX]; /* what is no option */
    unsigned count;
    const char *values[COMMAND_OPTIONS_MAX]; /* of the row's options, in its order: "" for those without a
                                                value, NULL: not given */
    bool json, help;
    const char *socket;
};

struct command {
    const char *name;
    const char *words; /* "CONTAINER METRIC", "FILE..."; "" for none */
    unsigned least, most;
    const char *help;
    struct option_row options[COMMAND_OPTIONS_MAX];
    int (*run)(const struct args *args); /* the exit code */
};

/* The options that every command has. */
extern const struct option_row common_options[];
extern const struct command *const commands[]; /* ends with NULL */

/* The command called @name, or NULL. */
const struct command *command_find(const char *name);
/* Reads what follows the command's name. False with a sentence in @why. */
bool args_parse(const struct command *command, int argc, char *const argv[], struct args *ret, char *why,
                size_t why_size);
/* The value of the option, "" for one that takes none, NULL when it was not given. */
const char *args_value(const struct args *args, const struct command *command, const char *option);
/* "masu graph [OPTIONS] CONTAINER METRIC" */
void command_usage(const struct command *command, char *buf, size_t size);

extern const struct command command_apply, command_check, command_events, command_explain, command_graph,
    command_help, command_plan, command_release, command_status, command_top, command_tree;
