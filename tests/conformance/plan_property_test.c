/*
 * The planner over random trees, random states and random quotas, on the fake: no write meets an errno, no
 * group passes through a state wider than the wider of both ends, what was wanted holds in the end, a second
 * plan is empty, and after masu gives everything back the state is what it was. A failure prints its seed;
 * MASU_SEED=N runs that one alone.
 */

#include "base/str.h"
#include "policy/plan_make.h"
#include "tests/conformance/fake_cgroupfs.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RUNS = 1500, QUOTAS = 3, MIB = 1048576 };

struct world {
    uint64_t seed, random;
    struct cgroup_host host;
    struct knob_support support[KNOB_N];
    struct fake_cgroupfs fs;
    struct knob_set found[FAKE_GROUPS_MAX];
    bool ours[FAKE_GROUPS_MAX];     /* groups that the policy makes */
    char missing[4][FAKE_PATH_MAX]; /* ... and that are not there yet */
    unsigned missing_count;
    struct quota quotas[QUOTAS];
    int quota_of[FAKE_GROUPS_MAX]; /* -1: none */
    bool strict;                   /* release: restore everywhere, so that all comes back */
};

static const char *here;
static uint64_t seed_now;
#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_message("seed %llu, %s: ", (unsigned long long)seed_now, here);                            \
            print_message(__VA_ARGS__);                                                                      \
            print_message("\n");                                                                             \
            fail();                                                                                          \
        }                                                                                                    \
    } while (0)

static uint64_t pick(struct world *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

#define PICK(w, ...)                                                                                         \
    ((const uint64_t[]){__VA_ARGS__})[pick(w, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))]

/* ---- a host and a tree */

static void make_host(struct world *w, int version)
{
    static const char *const v1[] = {"cpu", "memory", "blkio", "pids"};
    w->host.mode = version == 1 ? CGROUP_LEGACY : CGROUP_UNIFIED;
    w->host.count = version == 1 ? ARRAY_LEN(v1) : 1;
    for (unsigned h = 0; h < w->host.count; h++) {
        struct hierarchy *hierarchy = &w->host.hierarchies[h];
        hierarchy->version = version;
        hierarchy->dirfd = -1;
        hierarchy->device = 100 + h;
        (void)str_copy(hierarchy->controllers, sizeof hierarchy->controllers,
                       version == 1 ? v1[h] : "cpu,io,memory,pids");
    }
    for (unsigned id = 0; id < KNOB_N; id++) {
        const char *controller = knob_file((enum knob_id)id, version)->controller;
        w->support[id].hierarchy = 0;
        for (unsigned h = 0; version == 1 && h < ARRAY_LEN(v1); h++)
            if (strcmp(v1[h], controller) == 0)
                w->support[id].hierarchy = (int)h;
    }
}

static void make_tree(struct world *w, int version)
{
    fake_init(&w->fs, version);
    w->fs.groups[0].subtree_control = (1U << FAKE_CONTROLLERS) - 1;
    unsigned wanted = 3 + (unsigned)pick(w, 12);
    while (w->fs.count < wanted) {
        const struct fake_group *parent = &w->fs.groups[pick(w, w->fs.count)];
        char path[FAKE_PATH_MAX];
        snprintf(path, sizeof path, "%s/%c", parent->parent < 0 ? "" : parent->path,
                 (char)('a' + w->fs.count));
        CHECK(fake_mkdir(&w->fs, path) == 0, "mkdir %s", path);
    }
    for (unsigned i = 1; i < w->fs.count; i++)
        w->fs.groups[w->fs.groups[i].parent].subtree_control = (1U << FAKE_CONTROLLERS) - 1;
    for (unsigned i = 1; i < w->fs.count; i++)
        w->fs.groups[i].populated = pick(w, 2) && (version == 1 || !w->fs.groups[i].subtree_control);
    w->missing_count = (unsigned)pick(w, 3);
    for (unsigned m = 0; m < w->missing_count; m++) {
        const struct fake_group *parent = &w->fs.groups[pick(w, w->fs.count)];
        bool below = m > 0 && pick(w, 2);
        snprintf(w->missing[m], sizeof w->missing[m], "%s/new%u",
                 below                ? w->missing[m - 1]
                 : parent->parent < 0 ? ""
                                      : parent->path,
                 m);
    }
}

static uint64_t random_value(struct world *w, enum knob_id knob)
{
    switch (knob) {
    case KNOB_CPU_BANDWIDTH: /* millionths of a core */
        return PICK(w, 200000, 500000, 500000, 1000000, 1500000, 2000000, 4000000, 123457, KNOB_UNLIMITED);
    case KNOB_CPU_PERIOD:
        return PICK(w, 10000, 50000, 100000, 100000, 200000, 33333);
    case KNOB_CPU_BURST:
        return PICK(w, 0, 1000, 5000, 20000, 50000);
    case KNOB_CPU_WEIGHT:
        return PICK(w, 1, 50, 100, 200, 10000);
    case KNOB_MEMORY_LIMIT:
        return PICK(w, 16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB, 10000001, KNOB_UNLIMITED);
    case KNOB_MEMORY_SWAP:
        return PICK(w, 0, 16 * MIB, 64 * MIB, KNOB_UNLIMITED);
    case KNOB_PIDS:
        return PICK(w, 1, 10, 200, 4194304, KNOB_UNLIMITED);
    case KNOB_IO_READ:
    case KNOB_IO_WRITE:
    case KNOB_IO_READ_IOPS:
    case KNOB_IO_WRITE_IOPS:
        return PICK(w, 2, 1000, 5000, 1000000, KNOB_UNLIMITED);
    case KNOB_N:
        break;
    }
    return 0;
}

static int fake_put(struct fake_cgroupfs *fs, const char *path, const struct plan_row *row)
{
    char text[96];
    int len = knob_encode((enum knob_id)row->knob, fs->version, row->device, row->value, row->pair, text,
                          sizeof text);
    if (len < 0)
        return len;
    return fake_write(fs, path, knob_file((enum knob_id)row->knob, fs->version)->file, text);
}

/* Others wrote here before masu came. */
static void make_state(struct world *w)
{
    for (unsigned n = 0; n < 60; n++) {
        struct fake_group *group = &w->fs.groups[pick(w, w->fs.count)];
        enum knob_id knob = (enum knob_id)pick(w, KNOB_N);
        uint64_t value = random_value(w, knob), pair = 0;
        if (knob == KNOB_CPU_BANDWIDTH && value != KNOB_UNLIMITED)
            value = value * group->period / 1000000;
        if (knob == KNOB_CPU_BANDWIDTH)
            pair = group->period;
        else if (knob == KNOB_CPU_PERIOD)
            pair = group->quota;
        else if (knob == KNOB_MEMORY_SWAP)
            pair = group->limit;
        value = knob == KNOB_CPU_BANDWIDTH ? value : knob_normalise(knob, w->fs.version, value);
        struct plan_row row = {.knob = (uint16_t)knob, .value = value, .pair = pair};
        row.device = knobs[knob].per_device ? fake_device((unsigned)pick(w, FAKE_DEVICES)) : 0;
        (void)!fake_put(&w->fs, group->path, &row); /* what the kernel refuses did not happen */
    }
}

static void make_policy(struct world *w)
{
    for (unsigned q = 0; q < QUOTAS; q++) {
        struct quota *quota = &w->quotas[q];
        memset(quota, 0, sizeof *quota);
        snprintf(quota->name, sizeof quota->name, "q%u", q);
        quota->file = "/etc/masu/policy.d/random.yaml";
        quota->release = w->strict ? RELEASE_RESTORE : (enum policy_release)pick(w, 3);
        quota->io_per_leaf = pick(w, 2);
        for (unsigned id = 0; id < KNOB_N; id++) {
            if (pick(w, 2))
                continue;
            struct policy_setting *setting = &quota->settings[quota->setting_count++];
            *setting =
                (struct policy_setting){.knob = (enum knob_id)id, .value = random_value(w, (enum knob_id)id)};
            if (knobs[id].per_device)
                snprintf(setting->device, sizeof setting->device, "/dev/fake%u",
                         (unsigned)pick(w, FAKE_DEVICES + 1));
        }
    }
    for (unsigned i = 0; i < FAKE_GROUPS_MAX; i++)
        w->quota_of[i] = pick(w, 5) < 3 ? (int)pick(w, QUOTAS) : -1;
    w->quota_of[0] = -1;
}

/* ---- what the planner is told */

struct gathered {
    struct plan_group groups[FAKE_GROUPS_MAX];
    char controllers[FAKE_GROUPS_MAX][64];
    unsigned count;
};

static void read_knobs(struct world *w, const char *path, struct knob_set *ret)
{
    ret->count = 0;
    for (unsigned id = 0; id < KNOB_N; id++) {
        enum knob_id knob = (enum knob_id)id;
        char text[512];
        uint64_t value, pair;
        if (fake_read(&w->fs, path, knob_file(knob, w->fs.version)->file, text, sizeof text) != 0)
            continue;
        for (unsigned d = 0; d < (knobs[id].per_device ? FAKE_DEVICES : 1); d++) {
            uint32_t device = knobs[id].per_device ? fake_device(d) : 0;
            if (knob_decode(knob, w->fs.version, device, text, &value, &pair) != 0)
                continue;
            if (knob == KNOB_MEMORY_SWAP && w->fs.version == 1 && value != KNOB_UNLIMITED)
                value -= fake_find(&w->fs, path)->limit;
            if (!knobs[id].per_device || value != KNOB_UNLIMITED)
                CHECK(knob_set_put(ret, knob, device, value) == 0, "too many knobs");
        }
    }
}

static void gather(struct world *w, struct gathered *g)
{
    memset(g, 0, sizeof *g);
    for (unsigned i = 0; i < w->fs.count; i++) {
        const struct fake_group *group = &w->fs.groups[i];
        struct plan_group *to = &g->groups[g->count++];
        to->path = group->path;
        to->parent = group->parent;
        for (unsigned h = 0; h < w->host.count; h++)
            to->ids[h] = i + 1;
        to->quota = w->quota_of[i] >= 0 ? &w->quotas[w->quota_of[i]] : NULL;
        to->managed = to->quota != NULL;
        to->masu_made = w->ours[i];
        to->populated = group->populated;
        fake_controllers(&w->fs, group, g->controllers[i], sizeof g->controllers[i]);
        to->controllers = w->fs.version == 2 ? g->controllers[i] : NULL;
        to->found = w->found[i];
        read_knobs(w, group->path, &to->have);
    }
    for (unsigned m = 0; m < w->missing_count; m++) {
        if (fake_find(&w->fs, w->missing[m]))
            continue;
        struct plan_group *to = &g->groups[g->count++];
        char parent[FAKE_PATH_MAX];
        (void)str_copy(parent, sizeof parent, w->missing[m]);
        char *slash = strrchr(parent, '/');
        slash[slash == parent] = '\0';
        to->path = w->missing[m];
        for (unsigned i = 0; i + 1 < g->count; i++)
            if (strcmp(g->groups[i].path, parent) == 0)
                to->parent = (int)i;
        to->missing = to->masu_made = to->managed = true;
        to->quota = &w->quotas[m % QUOTAS];
    }
}

static int find_device(void *context, const char *path, uint32_t *ret_device, char *why, size_t why_size)
{
    (void)context;
    unsigned index = (unsigned)(path[strlen(path) - 1] - '0');
    if (index >= FAKE_DEVICES) {
        (void)str_copy(why, why_size, "there is no such device");
        return -ENODEV;
    }
    *ret_device = fake_device(index);
    return 0;
}

static struct plan_input input_of(const struct world *w, const struct gathered *g, bool release_all)
{
    return (struct plan_input){
        .host = &w->host,
        .support = w->support,
        .groups = g->groups,
        .group_count = g->count,
        .release_all = release_all,
        .device = find_device,
    };
}

/* ---- carrying it out */

static void remember(struct knob_set *found, uint16_t knob, uint32_t device, uint64_t value)
{
    if (!knob_set_get(found, knob, device))
        CHECK(knob_set_put(found, knob, device, value) == 0, "too many found values");
}

static void execute_row(struct world *w, const struct plan *plan, const struct plan_row *row)
{
    const char *path = plan_text(plan, row->path_off);
    int r = 0;
    if (row->kind == PLAN_MAKE_GROUP) {
        r = fake_mkdir(&w->fs, path);
        CHECK(r == 0 || r == -EEXIST, "mkdir %s: %d", path, r);
        w->ours[fake_find(&w->fs, path) - w->fs.groups] = true;
        for (unsigned m = 0; m < w->missing_count; m++)
            if (strcmp(w->missing[m], path) == 0)
                w->quota_of[fake_find(&w->fs, path) - w->fs.groups] = (int)(m % QUOTAS);
        return;
    }
    struct fake_group *group = fake_find(&w->fs, path);
    CHECK(group, "%s is not there", path);
    struct knob_set *found = &w->found[group - w->fs.groups];
    if (row->kind == PLAN_ENABLE) {
        char controller[32] = "+";
        sscanf(plan_text(plan, row->why_off), "%30[a-z]", controller + 1);
        r = fake_write(&w->fs, path, "cgroup.subtree_control", controller);
        CHECK(r == 0 && !group->threaded, "enable %s in %s: %d", controller, path, r);
    } else if (row->kind == PLAN_WRITE) {
        r = fake_put(&w->fs, path, row);
        CHECK(r == 0, "%s of %s: %llu -> %llu, pair %llu -> %llu: errno %d", knobs[row->knob].key, path,
              (unsigned long long)row->old_value, (unsigned long long)row->value,
              (unsigned long long)row->old_pair, (unsigned long long)row->pair, -r);
        if (row->old_value != row->value)
            remember(found, row->knob, row->device, row->old_value);
        if (row->knob == KNOB_CPU_BANDWIDTH && row->old_pair != row->pair)
            remember(found, KNOB_CPU_PERIOD, 0, row->old_pair);
    }
    if (row->kind == PLAN_FORGET || row->flags & PLAN_ROW_RESTORE)
        knob_set_remove(found, row->knob, row->device);
}

static bool wider(uint64_t now, uint64_t a, uint64_t b)
{
    return now > a && now > b;
}

static uint64_t exact_ratio(const struct fake_group *group)
{
    return group->quota == FAKE_INFINITE ? UINT64_MAX : group->quota * 1000000 / group->period;
}

static void check_width(const struct fake_group *now, const struct fake_group *a, const struct fake_group *b)
{
    CHECK(!wider(exact_ratio(now), exact_ratio(a), exact_ratio(b)), "%s has a wider ratio on the way",
          now->path);
    CHECK(!wider(now->burst, a->burst, b->burst), "%s has a wider burst on the way", now->path);
    CHECK(!wider(now->limit, a->limit, b->limit), "%s has a wider memory limit on the way", now->path);
    CHECK(!wider(now->memsw, a->memsw, b->memsw), "%s has a wider memsw on the way", now->path);
    CHECK(!wider(now->swap, a->swap, b->swap), "%s has a wider swap limit on the way", now->path);
    CHECK(!wider(now->pids, a->pids, b->pids), "%s has a wider pids limit on the way", now->path);
    for (unsigned d = 0; d < FAKE_DEVICES; d++)
        for (unsigned r = 0; r < FAKE_RATES; r++)
            CHECK(!wider(now->rates[d][r], a->rates[d][r], b->rates[d][r]), "%s has a wider rate on the way",
                  now->path);
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
        execute_row(end, plan, &plan->rows[i]);
    for (uint32_t i = 0; i < plan->row_count; i++) {
        execute_row(w, plan, &plan->rows[i]);
        for (unsigned k = 0; k < start->count; k++)
            check_width(&w->fs.groups[k], &start->groups[k], &end->fs.groups[k]);
    }
    CHECK(w->fs.killed == 0, "the OOM killer ran");
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
    gather(w, g);
    struct plan_input input = input_of(w, g, false);
    for (unsigned i = 0; i < g->count; i++) {
        struct knob_set wanted;
        assert_int_equal(plan_wanted(&input, &g->groups[i], &wanted), 0);
        for (uint32_t s = 0; s < wanted.count; s++) {
            const struct knob_setting *setting = &wanted.settings[s];
            const struct knob_setting *have =
                knob_set_get(&g->groups[i].have, setting->knob, setting->device);
            uint64_t value = have ? have->value : KNOB_UNLIMITED;
            bool fits = knobs[setting->knob].per_device ? value <= setting->value : value == setting->value;
            CHECK(fits || refused(plan, g->groups[i].path, setting), "%s of %s is %llu and not %llu",
                  knobs[setting->knob].key, g->groups[i].path, (unsigned long long)value,
                  (unsigned long long)setting->value);
        }
    }
    free(g);
}

static void print_plan(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->row_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        print_message("%u %s %s %x: %lld,%lld -> %lld,%lld flags %u (%s)\n", row->kind, knobs[row->knob].key,
                      plan_text(plan, row->path_off), row->device, (long long)row->old_value,
                      (long long)row->old_pair, (long long)row->value, (long long)row->pair, row->flags,
                      plan_text(plan, row->why_off));
    }
    for (uint32_t i = 0; i < plan->refusal_count; i++)
        print_message("refused %s: %s\n", plan_text(plan, plan->refusals[i].path_off),
                      plan_text(plan, plan->refusals[i].why_off));
}

/* Plans and carries out. Returns the rows that there were. */
static uint32_t plan_and_execute(struct world *w, bool release_all, bool *ret_cpu_refused)
{
    struct gathered *g = malloc(sizeof *g);
    assert_non_null(g);
    struct plan plan;
    gather(w, g);
    struct plan_input input = input_of(w, g, release_all);
    assert_int_equal(plan_make(&input, &plan), 0);
    free(g);
    if (getenv("MASU_SEED"))
        print_plan(&plan);
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
    unsigned more = 0;
    for (still = refused; plan_and_execute(w, release_all, &still) > 0; more++)
        CHECK(refused && more < 3, "plan %u is not empty", more + 2);
    return still;
}

static void check_given_back(const struct world *w, const struct fake_cgroupfs *before)
{
    for (unsigned i = 0; i < before->count; i++) {
        struct fake_group a = before->groups[i], b = w->fs.groups[i];
        b.subtree_control = a.subtree_control;
        CHECK(w->found[i].count == 0, "%s still has found values", a.path);
        CHECK(a.quota == b.quota && a.period == b.period && a.burst == b.burst, "cpu of %s did not come back",
              a.path);
        CHECK(a.limit == b.limit && a.memsw == b.memsw && a.swap == b.swap, "memory of %s did not come back",
              a.path);
        CHECK(memcmp(&a, &b, sizeof a) == 0, "%s did not come back", a.path);
    }
}

static void run(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    seed_now = seed;
    w->seed = seed;
    w->random = seed * 0x9e3779b97f4a7c15u + 1;
    w->strict = pick(w, 2);
    int version = 1 + (int)pick(w, 2);
    here = "tree";
    make_host(w, version);
    make_tree(w, version);
    make_state(w);
    struct fake_cgroupfs *before = malloc(sizeof *before);
    assert_non_null(before);
    *before = w->fs;
    for (unsigned round = 0; round < 3; round++) {
        static const char *const names[] = {"first policy", "second policy", "third policy"};
        here = names[round];
        make_policy(w);
        (void)apply(w, false);
    }
    here = "release";
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
