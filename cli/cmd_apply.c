#include "cli/client.h"
#include "cli/command.h"
#include "cli/plan_show.h"

static int print_applied(const json_t *plan)
{
    struct buf out = BUF_NULL;
    struct plan_totals totals;

    plan_show(plan, &out, &totals);
    if (totals.failed)
        buf_printf(&out, "%u of %u writes failed; what else was written in their groups was undone.\n",
                   totals.failed, totals.writes);
    else if (totals.writes)
        buf_printf(&out, "%u %s made.\n", totals.writes, totals.writes == 1 ? "write" : "writes");
    else
        buf_puts(&out, "Nothing to do: the kernel holds what the policy says.\n");
    int code = show_buf(&out);
    return code ? code : totals.failed ? EXIT_FAILED : EXIT_DONE;
}

static bool any_failed(const json_t *plan)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(plan, "rows"), i,
                       row) if (*show_text(row, "outcome.error")) return true;
    return false;
}

static int run(const struct args *args)
{
    json_t *plan = client_post("/api/v1/apply");
    int code = EXIT_FAILED;

    if (!plan)
        return code;
    if (args->json)
        code = show_json(json_incref(plan)) || any_failed(plan) ? EXIT_FAILED : EXIT_DONE;
    else
        code = print_applied(plan);
    json_decref(plan);
    return code;
}

const struct command command_apply = {
    .name = "apply",
    .words = "",
    .help =
        "Read the policy on disk and write what it says, now; root only. Exits with 1 when a write failed",
    .run = run,
};
