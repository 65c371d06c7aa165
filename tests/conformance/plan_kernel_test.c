/*
 * The same random worlds on the running kernel: what the planner plans is carried out by the enforcer in
 * groups of this test, no write fails, and afterwards each knob reads as in the fake. Block devices are left
 * out: the fake's are not this host's.
 */

#include "agent/enforcer.h"
#include "base/str.h"
#include "cgroup/subtree.h"
#include "tests/conformance/plan_world.h"
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BASE "/masu-test-planner-world"

enum { RUNS = 40, PATH_BYTES = 256 };

static const enum knob_id used[] = {KNOB_CPU_BANDWIDTH, KNOB_CPU_PERIOD,  KNOB_CPU_BURST, KNOB_CPU_WEIGHT,
                                    KNOB_MEMORY_LIMIT,  KNOB_MEMORY_SWAP, KNOB_PIDS};

static struct cgroup_host host;
static struct knob_support support[KNOB_N];
static char dir[64];

static const char *real_path(const char *path, char buf[static PATH_BYTES])
{
    (void)str_format(buf, PATH_BYTES, "%s%s", BASE, strcmp(path, "/") == 0 ? "" : path);
    return buf;
}

static unsigned place(enum knob_id knob)
{
    assert_true(support[knob].hierarchy >= 0);
    return (unsigned)support[knob].hierarchy;
}

static void make(const char *path, bool parent)
{
    for (unsigned k = 0; k < ARRAY_LEN(used); k++) {
        uint64_t id;
        unsigned h = place(used[k]);
        int r = group_make(&host, h, path, &id);
        assert_true(r == GROUP_OK || r == GROUP_EXISTS);
        if (parent && host.hierarchies[h].version == 2)
            assert_int_equal(subtree_enable(&host, h, path, knobs[used[k]].v2.controller), GROUP_OK);
    }
}

static int remove_dir(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)where;
    if (type == FTW_DP)
        (void)!rmdir(path);
    return 0;
}

static void unmake(void)
{
    char path[CGROUP_MOUNT_MAX + PATH_BYTES];
    for (unsigned h = 0; h < host.count; h++) {
        (void)str_format(path, sizeof path, "%s" BASE, host.hierarchies[h].mount);
        (void)nftw(path, remove_dir, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    }
}

/* What the world began with, in an order that both versions take. */
static void copy_state(const struct world *w)
{
    for (unsigned i = 1; i < w->fs.count; i++) {
        const struct fake_group *g = &w->fs.groups[i];
        int version = w->fs.version;
        char path[PATH_BYTES];
        real_path(g->path, path);
        make(path, g->subtree_control != 0);
        uint64_t swap = version == 2                ? g->swap
                        : g->memsw == FAKE_INFINITE ? FAKE_INFINITE
                                                    : g->memsw - g->limit;
        const struct {
            enum knob_id knob;
            uint64_t value, pair;
        } writes[] = {
            {KNOB_CPU_PERIOD, g->period, KNOB_UNLIMITED},
            {KNOB_CPU_BANDWIDTH, g->quota, g->period},
            {KNOB_CPU_BURST, g->burst, 0},
            {KNOB_CPU_WEIGHT, g->weight, 0},
            {KNOB_MEMORY_LIMIT, g->limit, 0},
            {KNOB_MEMORY_SWAP, swap, g->limit},
            {KNOB_PIDS, g->pids, 0},
        };
        for (unsigned k = 0; k < ARRAY_LEN(writes); k++)
            assert_int_equal(knob_write(&host, place(writes[k].knob), path, writes[k].knob, 0,
                                        writes[k].value, writes[k].pair),
                             0);
    }
}

/* The plan with this host's hierarchies, ids and paths; rows of block devices and of groups that are there
 * already left out. */
static void translate(const struct plan *from, struct plan *to)
{
    *to = PLAN_NULL;
    for (uint32_t i = 0; i < from->row_count; i++) {
        struct plan_row row = from->rows[i];
        char path[PATH_BYTES];
        enum knob_id knob = row.kind == PLAN_WRITE || row.kind == PLAN_FORGET ? row.knob : KNOB_PIDS;
        if (knobs[knob].per_device)
            continue;
        unsigned h = place(knob);
        real_path(plan_text(from, row.path_off), path);
        if (row.kind == PLAN_MAKE_GROUP)
            make(path, false);
        if (row.kind == PLAN_MAKE_GROUP || row.kind == PLAN_ENABLE)
            for (unsigned k = 0; row.kind == PLAN_ENABLE && k < ARRAY_LEN(used); k++)
                (void)!subtree_enable(&host, place(used[k]), path, knobs[used[k]].v2.controller);
        if (row.kind == PLAN_MAKE_GROUP || row.kind == PLAN_ENABLE)
            continue;
        row.hierarchy = host.hierarchies[h].device;
        row.flags &= (uint16_t)~PLAN_ROW_CREATED;
        assert_int_equal(group_id(&host, h, path, &row.cgroup_id), 0);
        row.path_off = plan_string(to, path);
        row.why_off = 0;
        assert_int_equal(plan_add(to, &row), 0);
    }
}

static void compare(struct world *w)
{
    struct gathered *g = malloc(sizeof *g);
    assert_non_null(g);
    world_gather(w, g);
    for (unsigned i = 1; i < w->fs.count; i++)
        for (unsigned k = 0; k < ARRAY_LEN(used); k++) {
            char path[PATH_BYTES];
            uint64_t value, pair;
            const struct knob_setting *fake = knob_set_get(&g->groups[i].have, used[k], 0);
            if (!fake) /* v2: the group has no such controller in the fake */
                continue;
            real_path(g->groups[i].path, path);
            assert_int_equal(knob_read(&host, place(used[k]), path, used[k], 0, &value, &pair), 0);
            WORLD_CHECK(w, value == fake->value, "%s of %s is %llu, in the fake %llu", knobs[used[k]].key,
                        path, (unsigned long long)value, (unsigned long long)fake->value);
        }
    free(g);
}

static void apply(struct world *w, struct enforcer *enforcer, bool release_all)
{
    struct plan plan, real;
    struct plan_outcomes outcomes;
    world_plan(w, release_all, &plan);
    if (getenv("MASU_SEED"))
        world_print(&plan);
    for (uint32_t i = 0; i < plan.row_count; i++)
        world_execute(w, &plan, &plan.rows[i]);
    translate(&plan, &real);
    assert_int_equal(enforcer_execute(enforcer, &real, &outcomes), 0);
    for (uint32_t i = 0; i < outcomes.count; i++)
        WORLD_CHECK(w, outcomes.items[i].error == 0, "%s of %s: %llu -> %llu: errno %d",
                    knobs[real.rows[i].knob].key, plan_text(&real, real.rows[i].path_off),
                    (unsigned long long)real.rows[i].old_value, (unsigned long long)real.rows[i].value,
                    -outcomes.items[i].error);
    plan_outcomes_fini(&outcomes);
    plan_fini(&real);
    plan_fini(&plan);
    compare(w);
}

static void run(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    struct enforcer *enforcer;
    assert_non_null(w);
    world_init(w, seed, host.hierarchies[place(KNOB_CPU_BANDWIDTH)].version);
    assert_int_equal(enforcer_open(&host, dir, NULL, &enforcer), 0);
    unmake();
    make(BASE, true);
    copy_state(w);
    compare(w);
    for (unsigned round = 0; round < 4; round++) {
        static const char *const names[] = {"first policy", "second policy", "third policy", "release"};
        w->stage = names[round];
        world_policy(w);
        apply(w, enforcer, round == 3);
    }
    enforcer_close(enforcer);
    unmake();
    free(w);
}

static void the_kernel_takes_what_the_planner_plans(void **state)
{
    (void)state;
    const char *only = getenv("MASU_SEED");
    for (uint64_t seed = 1; !only && seed <= RUNS; seed++)
        run(seed);
    if (only)
        run(strtoull(only, NULL, 10));
}

static int open_host(void **state)
{
    (void)state;
    (void)str_copy(dir, sizeof dir, "/tmp/masu-world-test-XXXXXX");
    if (geteuid() != 0 || !mkdtemp(dir) || cgroup_host_open("", &host) != 0)
        return -1;
    knob_support_probe(&host, NULL, support);
    int version = 0;
    for (unsigned k = 0; k < ARRAY_LEN(used); k++) {
        int index = support[used[k]].hierarchy;
        if (index < 0 || (version && version != host.hierarchies[index].version)) {
            print_message("skipped: the knobs are not all in hierarchies of one version here\n");
            exit(0);
        }
        version = host.hierarchies[index].version;
        if (version == 2)
            (void)!subtree_enable(&host, (unsigned)index, "/", knobs[used[k]].v2.controller);
    }
    return 0;
}

static int close_host(void **state)
{
    (void)state;
    unmake();
    static const char *const names[] = {"found", "journal"};
    char path[128];
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        (void)str_format(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
    cgroup_host_close(&host);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_takes_what_the_planner_plans),
    };
    return cmocka_run_group_tests(tests, open_host, close_host);
}
