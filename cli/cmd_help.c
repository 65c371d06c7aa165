#include "cli/command.h"
#include "cli/show.h"
#include "model/event.h"
#include "model/metric.h"
#include <stdio.h>
#include <string.h>

static void put_options(struct buf *out, const struct option_row *rows)
{
    for (; rows->name; rows++) {
        char left[64], letter[8] = "    ";
        if (rows->letter)
            snprintf(letter, sizeof letter, "-%c, ", rows->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, rows->name, rows->value ? " " : "",
                 rows->value ? rows->value : "");
        buf_printf(out, "  %-24s %s\n", left, rows->help);
    }
}

static int help_all(void)
{
    struct buf out = BUF_NULL;

    buf_puts(&out, "Usage: masu [--socket PATH] COMMAND [OPTIONS] ...\n\n");
    for (size_t i = 0; commands[i]; i++) {
        char name[32];
        snprintf(name, sizeof name, "  %-9s", commands[i]->name);
        paint_put(&out, PAINT_BOLD, name);
        buf_printf(&out, " %s\n", commands[i]->help);
    }
    buf_puts(&out, "\nOptions of every command:\n");
    put_options(&out, common_options);
    buf_puts(&out, "\nExit status: 0 done, 1 failed, 2 check: a file is not valid, 3 plan: there is "
                   "something to write, 64 wrong usage. See masu(1).\n");
    return show_buf(&out);
}

static void put_metrics(struct buf *out)
{
    buf_puts(out, "\nMetrics:\n");
    for (unsigned i = 0; i < METRIC_N; i++)
        if (metrics[i].rrd)
            buf_printf(out, "  %-24s %s\n", metrics[i].name, metrics[i].help);
}

static void put_event_types(struct buf *out)
{
    buf_puts(out, "\nTypes:\n");
    for (unsigned i = 0; i < EVENT_N; i++)
        buf_printf(out, "  %-24s %s\n", event_kinds[i].name, event_kinds[i].help);
}

static int help_one(const struct command *command)
{
    struct buf out = BUF_NULL;
    char usage[256];

    command_usage(command, usage, sizeof usage);
    buf_printf(&out, "Usage: %s\n%s.\n\n", usage, command->help);
    put_options(&out, command->options);
    put_options(&out, common_options);
    if (command == &command_graph)
        put_metrics(&out);
    if (command == &command_events)
        put_event_types(&out);
    return show_buf(&out);
}

/* The tables, for whoever wants to read them by program. */
static json_t *options_json(const struct option_row *rows)
{
    json_t *list = json_array();

    for (; rows->name; rows++)
        json_array_append_new(list, json_pack("{s:s, s:s?, s:s}", "name", rows->name, "value", rows->value,
                                              "help", rows->help));
    return list;
}

static int help_json(void)
{
    json_t *list = json_array();

    for (size_t i = 0; commands[i]; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", commands[i]->name, "words",
                                              commands[i]->words, "help", commands[i]->help, "options",
                                              options_json(commands[i]->options)));
    return show_json(json_pack("{s:o, s:o}", "commands", list, "options", options_json(common_options)));
}

static int run(const struct args *args)
{
    if (args->json)
        return help_json();
    if (!args->count)
        return help_all();
    const struct command *command = command_find(args->words[0]);
    if (command)
        return help_one(command);
    fprintf(stderr, "masu help: there is no command '%s'\n", args->words[0]);
    return EXIT_WRONG_USAGE;
}

const struct command command_help = {
    .name = "help",
    .words = "[COMMAND]",
    .most = 1,
    .help = "Show the commands, or what one does and takes",
    .run = run,
};
