#include "cli/command.h"
#include "cli/show.h"
#include "policy/check.h"
#include <stdio.h>

static json_t *error_object(const struct diag *diag)
{
    return json_pack("{s:s, s:i, s:i, s:s, s:s}", "file", diag->file, "line", (int)diag->line, "column",
                     (int)diag->column, "key", diag->key, "message", diag->text);
}

static int print_json(const struct diags *diags, bool valid)
{
    json_t *errors = json_array();

    for (size_t i = 0; i < diags->count; i++)
        json_array_append_new(errors, error_object(&diags->items[i]));
    int code = show_json(json_pack("{s:b, s:o}", "valid", valid, "errors", errors));
    return code ? code : valid ? EXIT_DONE : EXIT_INVALID;
}

static void print(const struct diags *diags, const struct args *args, bool valid)
{
    char line[DIAG_FILE_MAX + DIAG_TEXT_MAX + 64];

    for (size_t i = 0; i < diags->count; i++)
        fprintf(stderr, "%s\n", diag_format(&diags->items[i], line, sizeof line));
    if (diags->dropped)
        fprintf(stderr, "... and %zu more\n", diags->dropped);
    for (unsigned i = 0; valid && i < args->count; i++)
        printf("%s: valid\n", args->words[i]);
}

static int run(const struct args *args)
{
    struct diags diags = DIAGS_NULL;
    int code = EXIT_INVALID;

    bool valid = !check_files(args->words, args->count, &diags);
    if (args->json) {
        code = print_json(&diags, valid);
    } else {
        print(&diags, args, valid);
        code = valid ? EXIT_DONE : EXIT_INVALID;
    }
    diags_fini(&diags);
    return code;
}

const struct command command_check = {
    .name = "check",
    .words = "FILE...",
    .least = 1,
    .most = COMMAND_ARGUMENTS_MAX,
    .help = "Validate policy and settings files; needs no daemon. Exits with 2 when one is not valid",
    .run = run,
};
