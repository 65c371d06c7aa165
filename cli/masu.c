/* masu: the operator's hand on masud. It talks to the API on the unix socket, and to nothing else. */

#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong_usage(const char *why)
{
    const char *names[32];
    size_t count = 0;

    fprintf(stderr, "masu: %s\n", why);
    for (; commands[count] && count < ARRAY_LEN(names) - 1; count++)
        names[count] = commands[count]->name;
    names[count] = NULL;
    const char *quote = strchr(why, '\''), *end = quote ? strchr(quote + 1, '\'') : NULL;
    char word[80] = "";
    if (end)
        str_format(word, sizeof word, "%.*s", (int)(end - quote - 1), quote + 1);
    const char *near = str_starts(why, "unknown command") ? str_nearest(word, names) : NULL;
    if (near)
        fprintf(stderr, "Did you mean 'masu %s'?\n", near);
    else
        fprintf(stderr, "Try 'masu help'.\n");
    return EXIT_WRONG_USAGE;
}

static int wrong_arguments(const struct command *command, const char *why)
{
    char usage[256];

    command_usage(command, usage, sizeof usage);
    fprintf(stderr, "masu %s: %s\nUsage: %s\n", command->name, why, usage);
    return EXIT_WRONG_USAGE;
}

static int run(const struct command *command, int argc, char *const argv[], const char *socket)
{
    struct args args = {.socket = socket};
    char why[160] = "";

    if (!args_parse(command, argc, argv, &args, why, sizeof why))
        return wrong_arguments(command, why);
    client_use_socket(args.socket);
    if (args.help) {
        args = (struct args){.words = {command->name}, .count = 1};
        return command_help.run(&args);
    }
    int code = command->run(&args);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "masu: cannot write to standard output\n");
        return code ? code : EXIT_FAILED;
    }
    return code;
}

/* What may stand before the command: --socket, --help, --version. Returns the index of the command, or 0 with
 * *ret_code set. */
static int leading_options(int argc, char **argv, const char **ret_socket, int *ret_code)
{
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "--version")) {
            printf("masu " MASU_VERSION "\n");
            *ret_code = EXIT_DONE;
            return 0;
        }
        if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h")) {
            *ret_code = command_help.run(&(struct args){0});
            return 0;
        }
        if (str_starts(argv[at], "--socket=")) {
            *ret_socket = argv[at] + strlen("--socket=");
        } else if (!strcmp(argv[at], "--socket") && at + 1 < argc) {
            *ret_socket = argv[++at];
        } else {
            char why[120];
            str_format(why, sizeof why, "unknown option '%.60s' before the command", argv[at]);
            *ret_code = wrong_usage(why);
            return 0;
        }
    }
    if (at < argc)
        return at;
    *ret_code = wrong_usage("a command is missing");
    return 0;
}

int main(int argc, char **argv)
{
    const char *socket = NULL;
    int code = 0;

    setlocale(LC_CTYPE, "");
    int at = leading_options(argc, argv, &socket, &code);
    if (!at)
        return code;
    const struct command *command = command_find(argv[at]);
    if (!command) {
        char why[120];
        str_format(why, sizeof why, "unknown command '%.60s'", argv[at]);
        return wrong_usage(why);
    }
    return run(command, argc - at - 1, argv + at + 1, socket);
}
