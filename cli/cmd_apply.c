#include "cli/client.h"
#include "cli/command.h"
#include "cli/plan_show.h"

static int print_applied(const json_t *plan)
{
    struct buf out = BUF_NULL;
    struct plan_totals totals;
    char writes[SHOW_MAX];

    plan_show(plan, &out, &totals);
    show_counted(totals.writes, "write", "writes", writes);
    if (totals.failed)
        buf_printf(&out, "%u of %s failed; what else was written in their groups was undone.\n",
                   totals.failed, writes);
    else if (totals.writes)
        buf_printf(&out, "%s made.\n", writes);
    else
        buf_puts(&out, "Nothing to do: the kernel holds what the policy says.\n");
    int code = show_buf(&out);
    return code ? code : totals.failed ? EXIT_FAILED : EXIT_DONE;
}

static int run(const struct args *args)
{
    json_t *plan = client_post("/api/v1/apply");
    int code = EXIT_FAILED;

    if (!plan)
        return code;
    if (args->json)
        code = show_json(json_incref(plan)) || plan_failed(plan) ? EXIT_FAILED : EXIT_DONE;
    else
        code = print_applied(plan);
    json_decref(plan);
    return code;
}

const struct command command_apply = {
    .name = "apply",
    .words = "",
    .help = "Read the policy on disk and write what it says, now; root only. Exits with 1 when a write "
            "failed or the policy is not valid",
    .run = run,
};
