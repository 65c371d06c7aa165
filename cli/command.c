#include "cli/command.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

/* In the order in which help shows them. */
const struct command *const commands[] = {
    &command_status,  &command_top,     &command_tree,  &command_check,  &command_plan, &command_apply,
    &command_release, &command_explain, &command_graph, &command_events, &command_help, NULL,
};

const struct option_row common_options[] = {
    {"json", 'j', NULL, "Print JSON, as the API gives it"},
    {"socket", 0, "PATH", "Where masud listens; default $MASU_SOCKET, else /run/masu/masu.sock"},
    {"help", 'h', NULL, "Show what the command does and takes"},
    {0},
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

void command_usage(const struct command *command, char *buf, size_t size)
{
    str_format(buf, size, "masu %s [OPTIONS]%s%s", command->name, *command->words ? " " : "", command->words);
}

/* One option as it is written on the command line. */
struct given {
    const char *name; /* of a long one, up to '=' */
    size_t len;
    char letter;
    const char *attached; /* the value that came with it, or NULL */
};

static struct given read_option(const char *word)
{
    if (word[1] != '-')
        return (struct given){.letter = word[1], .attached = word[2] ? word + 2 : NULL};
    size_t len = strcspn(word + 2, "=");
    return (struct given){
        .name = word + 2, .len = len, .attached = word[2 + len] ? word + 2 + len + 1 : NULL};
}

static const struct option_row *option_find(const struct option_row *rows, const struct given *given)
{
    for (; rows->name; rows++)
        if (given->name ? strlen(rows->name) == given->len && !strncmp(rows->name, given->name, given->len)
                        : rows->letter && rows->letter == given->letter)
            return rows;
    return NULL;
}

/* Puts a common option where it belongs. */
static void set_common(struct args *args, const struct option_row *row, const char *value)
{
    if (!strcmp(row->name, "json"))
        args->json = true;
    else if (!strcmp(row->name, "socket"))
        args->socket = value;
    else if (!strcmp(row->name, "help"))
        args->help = true;
}

static bool refuse(char *why, size_t size, const char *what, const char *word)
{
    snprintf(why, size, "%s '%.60s'", what, word);
    return false;
}

/* Takes the option at argv[*at] and its value. */
static bool take_option(const struct command *command, int argc, char *const argv[], int *at,
                        struct args *args, char *why, size_t why_size)
{
    const char *word = argv[*at];
    struct given given = read_option(word);
    const struct option_row *own = option_find(command->options, &given);
    const struct option_row *row = own ? own : option_find(common_options, &given);
    const char *value = given.attached;

    if (!row)
        return refuse(why, why_size, "unknown option", word);
    if (!row->value && value)
        return refuse(why, why_size, given.name ? "no value is taken by" : "unknown option", word);
    if (row->value && !value) {
        if (*at + 1 >= argc)
            return refuse(why, why_size, "a value is missing after", word);
        value = argv[++*at];
    }
    if (own)
        args->values[own - command->options] = value ? value : "";
    else
        set_common(args, row, value);
    return true;
}

bool args_parse(const struct command *command, int argc, char *const argv[], struct args *ret, char *why,
                size_t why_size)
{
    bool words_only = false;

    for (int at = 0; at < argc; at++) {
        if (!words_only && !strcmp(argv[at], "--")) {
            words_only = true;
        } else if (!words_only && argv[at][0] == '-' && argv[at][1]) {
            if (!take_option(command, argc, argv, &at, ret, why, why_size))
                return false;
        } else if (ret->count == command->most) {
            return refuse(why, why_size, "unexpected", argv[at]);
        } else {
            ret->words[ret->count++] = argv[at];
        }
    }
    if (ret->count < command->least && !ret->help)
        return refuse(why, why_size, "what is missing is", command->words);
    return true;
}

const char *args_value(const struct args *args, const struct command *command, const char *option)
{
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && command->options[i].name; i++)
        if (!strcmp(command->options[i].name, option))
            return args->values[i];
    return NULL;
}
