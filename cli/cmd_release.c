#include "cli/client.h"
#include "cli/command.h"
#include "cli/plan_show.h"
#include <stdio.h>

static int print_released(const json_t *plan)
{
    struct buf out = BUF_NULL;
    struct plan_totals totals;
    char limits[SHOW_MAX];

    plan_show(plan, &out, &totals);
    if (totals.writes)
        buf_printf(&out, "%s given back; nothing is managed until 'masu apply'.\n",
                   show_counted(totals.writes, "limit", "limits", limits));
    else
        buf_puts(&out, "Nothing to give back; nothing is managed until 'masu apply'.\n");
    int code = show_buf(&out);
    return code ? code : totals.failed ? EXIT_FAILED : EXIT_DONE;
}

static int run(const struct args *args)
{
    if (!args_value(args, &command_release, "all")) {
        fprintf(stderr, "masu release: say --all to give back every limit that masu wrote\n");
        return EXIT_WRONG_USAGE;
    }
    json_t *plan = client_post("/api/v1/release");
    if (!plan)
        return EXIT_FAILED;
    int code = EXIT_DONE;
    if (args->json)
        code = show_json(json_incref(plan)) || plan_failed(plan) ? EXIT_FAILED : EXIT_DONE;
    else
        code = print_released(plan);
    json_decref(plan);
    return code;
}

const struct command command_release = {
    .name = "release",
    .words = "",
    .help = "Give back every limit that masu wrote: what was there before it is there again; root only",
    .options = {{"all", 0, NULL, "Every limit of every group"}},
    .run = run,
};
