#include "cli/client.h"
#include "cli/command.h"
#include "cli/plan_show.h"

static int print_plan(const json_t *plan)
{
    struct buf out = BUF_NULL;
    struct plan_totals totals;
    char writes[SHOW_MAX], places[SHOW_MAX];

    plan_show(plan, &out, &totals);
    if (totals.writes)
        buf_printf(&out, "%s in %s; 'masu apply' makes %s.\n",
                   show_counted(totals.writes, "write", "writes", writes),
                   show_counted(totals.groups, "place", "places", places),
                   totals.writes == 1 ? "it" : "them");
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
            "something to write, with 1 when the policy is not valid",
    .run = run,
};
