/*
 * The planner over random trees, random states and random quotas, on the fake: no write meets an errno, no
 * group passes through a state wider than the wider of both ends, what was wanted holds in the end, a second
 * plan is empty, and after masu gives everything back the state is what it was. A failure prints its seed;
 * MASU_SEED=N runs that one alone.
 */

#include "tests/conformance/plan_world.h"
#include <stdlib.h>
#include <string.h>

enum { RUNS = 1500 };

static bool wider(uint64_t now, uint64_t a, uint64_t b)
{
    return now > a && now > b;
}

static uint64_t exact_ratio(const struct fake_group *group)
{
    return group->quota == FAKE_INFINITE ? UINT64_MAX : group->quota * 1000000 / group->period;
}

static void check_width(const struct world *w, const struct fake_group *now, const struct fake_group *a,
                        const struct fake_group *b)
{
    WORLD_CHECK(w, !wider(exact_ratio(now), exact_ratio(a), exact_ratio(b)),
                "%s has a wider ratio on the way", now->path);
    WORLD_CHECK(w, !wider(now->burst, a->burst, b->burst), "%s has a wider burst on the way", now->path);
    WORLD_CHECK(w, !wider(now->limit, a->limit, b->limit), "%s has a wider memory limit on the way",
                now->path);
    WORLD_CHECK(w, !wider(now->memsw, a->memsw, b->memsw), "%s has a wider memsw on the way", now->path);
    WORLD_CHECK(w, !wider(now->swap, a->swap, b->swap), "%s has a wider swap limit on the way", now->path);
    WORLD_CHECK(w, !wider(now->pids, a->pids, b->pids), "%s has a wider pids limit on the way", now->path);
    for (unsigned d = 0; d < FAKE_DEVICES; d++)
        for (unsigned r = 0; r < FAKE_RATES; r++)
            WORLD_CHECK(w, !wider(now->rates[d][r], a->rates[d][r], b->rates[d][r]),
                        "%s has a wider rate on the way", now->path);
}

static void execute(struct world *w, const struct plan *plan)
{
    struct world *end = malloc(sizeof *end);
    struct fake_cgroupfs *start = malloc(sizeof *start);
    assert_non_null(end);
    assert_non_null(start);
    *end = *w;
    *start = w->fs;
    for (uint32_t i = 0; i < plan->row_count; i++)
        world_execute(end, plan, &plan->rows[i]);
    for (uint32_t i = 0; i < plan->row_count; i++) {
        world_execute(w, plan, &plan->rows[i]);
        for (unsigned k = 0; k < start->count; k++)
            check_width(w, &w->fs.groups[k], &start->groups[k], &end->fs.groups[k]);
    }
    WORLD_CHECK(w, w->fs.killed == 0, "the OOM killer ran");
    free(start);
    free(end);
}

static bool refused(const struct plan *plan, const char *path, const struct knob_setting *wanted)
{
    for (uint32_t i = 0; i < plan->refusal_count; i++)
        if (plan->refusals[i].knob == wanted->knob ||
            knobs[wanted->knob].v1.controller == knobs[plan->refusals[i].knob].v1.controller)
            if (strcmp(plan_text(plan, plan->refusals[i].path_off), path) == 0)
                return true;
    return false;
}

/* Each wanted value holds; a throttle may be lower, pushed down from above. */
static void check_wanted(struct world *w, const struct plan *plan)
{
    struct gathered *g = malloc(sizeof *g);
    assert_non_null(g);
    world_gather(w, g);
    struct plan_input input = world_input(w, g, false);
    for (unsigned i = 0; i < g->count; i++) {
        struct knob_set wanted;
        assert_int_equal(plan_wanted(&input, &g->groups[i], &wanted), 0);
        for (uint32_t s = 0; s < wanted.count; s++) {
            const struct knob_setting *setting = &wanted.settings[s];
            const struct knob_setting *have =
                knob_set_get(&g->groups[i].have, setting->knob, setting->device);
            uint64_t value = have ? have->value : KNOB_UNLIMITED;
            bool fits = knobs[setting->knob].per_device ? value <= setting->value : value == setting->value;
            WORLD_CHECK(w, fits || refused(plan, g->groups[i].path, setting), "%s of %s is %llu and not %llu",
                        knobs[setting->knob].key, g->groups[i].path, (unsigned long long)value,
                        (unsigned long long)setting->value);
        }
    }
    free(g);
}

/* Plans and carries out. Returns the rows that there were. */
static uint32_t plan_and_execute(struct world *w, bool release_all, bool *ret_cpu_refused)
{
    struct plan plan;
    world_plan(w, release_all, &plan);
    if (getenv("MASU_SEED"))
        world_print(&plan);
    execute(w, &plan);
    if (!release_all)
        check_wanted(w, &plan);
    *ret_cpu_refused = false;
    for (uint32_t i = 0; i < plan.refusal_count; i++)
        *ret_cpu_refused |= plan.refusals[i].knob <= KNOB_CPU_BURST;
    uint32_t rows = plan.row_count;
    plan_fini(&plan);
    return rows;
}

/* The second plan is empty; but what was refused because of a neighbour may go once the neighbour has moved.
   Returns whether something of the cpu stays refused. */
static bool apply(struct world *w, bool release_all)
{
    bool refused, still;
    (void)plan_and_execute(w, release_all, &refused);
    for (unsigned more = 0; plan_and_execute(w, release_all, &still) > 0; more++)
        WORLD_CHECK(w, refused && more < 3, "plan %u is not empty", more + 2);
    return still;
}

static void check_given_back(const struct world *w, const struct fake_cgroupfs *before)
{
    for (unsigned i = 0; i < before->count; i++) {
        struct fake_group a = before->groups[i], b = w->fs.groups[i];
        b.subtree_control = a.subtree_control;
        WORLD_CHECK(w, w->found[i].count == 0, "%s still has found values", a.path);
        WORLD_CHECK(w, a.quota == b.quota && a.period == b.period && a.burst == b.burst,
                    "cpu of %s did not come back", a.path);
        WORLD_CHECK(w, a.limit == b.limit && a.memsw == b.memsw && a.swap == b.swap,
                    "memory of %s did not come back", a.path);
        WORLD_CHECK(w, memcmp(&a, &b, sizeof a) == 0, "%s did not come back", a.path);
    }
}

static void run(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    world_init(w, seed, 0);
    struct fake_cgroupfs *before = malloc(sizeof *before);
    assert_non_null(before);
    *before = w->fs;
    for (unsigned round = 0; round < 3; round++) {
        static const char *const names[] = {"first policy", "second policy", "third policy"};
        w->stage = names[round];
        world_policy(w);
        (void)apply(w, false);
    }
    w->stage = "release";
    if (!apply(w, true) && w->strict)
        check_given_back(w, before);
    free(before);
    free(w);
}

static void random_plans_meet_no_errno_and_no_wider_state(void **state)
{
    (void)state;
    const char *only = getenv("MASU_SEED");
    if (only) {
        run(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= RUNS; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_plans_meet_no_errno_and_no_wider_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
