#include "cli/client.h"
#include "cli/command.h"
#include "cli/plan_show.h"

static int print_plan(const json_t *plan)
{
    struct buf out = BUF_NULL;
    struct plan_totals totals;

    plan_show(plan, &out, &totals);
    if (totals.writes)
        buf_printf(&out, "%u %s in %u %s; 'masu apply' makes them.\n", totals.writes,
                   totals.writes == 1 ? "write" : "writes", totals.groups,
                   totals.groups == 1 ? "place" : "places");
    else
        buf_puts(&out, "Nothing to do: the kernel holds what the policy says.\n");
    return show_buf(&out);
}

static int run(const struct args *args)
{
    json_t *plan = client_get("/api/v1/plan");

    if (!plan)
        return EXIT_FAILED;
    bool writes = show_number(plan, "writes", 0) > 0;
    int code = args->json ? show_json(json_incref(plan)) : print_plan(plan);
    json_decref(plan);
    return code ? code : writes ? EXIT_WRITES : EXIT_DONE;
}

const struct command command_plan = {
    .name = "plan",
    .words = "",
    .help = "Show what the policy on disk would change now, each write and why. Exits with 3 when there is "
            "something to write",
    .run = run,
};
