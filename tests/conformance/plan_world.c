#include "tests/conformance/plan_world.h"
#include "base/str.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1048576 };

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
        (void)str_format(path, sizeof path, "%s/%c", parent->parent < 0 ? "" : parent->path,
                         (char)('a' + w->fs.count));
        WORLD_CHECK(w, fake_mkdir(&w->fs, path) == 0, "mkdir %s", path);
    }
    for (unsigned i = 1; i < w->fs.count; i++)
        w->fs.groups[w->fs.groups[i].parent].subtree_control = (1U << FAKE_CONTROLLERS) - 1;
    for (unsigned i = 1; i < w->fs.count; i++)
        w->fs.groups[i].populated = pick(w, 2) && (version == 1 || !w->fs.groups[i].subtree_control);
    w->missing_count = (unsigned)pick(w, 3);
    for (unsigned m = 0; m < w->missing_count; m++) {
        const struct fake_group *parent = &w->fs.groups[pick(w, w->fs.count)];
        bool below = m > 0 && pick(w, 2);
        (void)str_format(w->missing[m], sizeof w->missing[m], "%s/new%u",
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

void world_policy(struct world *w)
{
    for (unsigned q = 0; q < WORLD_QUOTAS; q++) {
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
        w->quota_of[i] = pick(w, 5) < 3 ? (int)pick(w, WORLD_QUOTAS) : -1;
    w->quota_of[0] = -1;
}

/* ---- what the planner is told */

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
                WORLD_CHECK(w, knob_set_put(ret, knob, device, value) == 0, "too many knobs");
        }
    }
}

void world_gather(struct world *w, struct gathered *g)
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
        to->quota = &w->quotas[m % WORLD_QUOTAS];
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

struct plan_input world_input(const struct world *w, const struct gathered *g, bool release_all)
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

static void remember(struct world *w, struct knob_set *found, uint16_t knob, uint32_t device, uint64_t value)
{
    if (!knob_set_get(found, knob, device))
        WORLD_CHECK(w, knob_set_put(found, knob, device, value) == 0, "too many found values");
}

void world_execute(struct world *w, const struct plan *plan, const struct plan_row *row)
{
    const char *path = plan_text(plan, row->path_off);
    int r = 0;
    if (row->kind == PLAN_MAKE_GROUP) {
        r = fake_mkdir(&w->fs, path);
        WORLD_CHECK(w, r == 0 || r == -EEXIST, "mkdir %s: %d", path, r);
        w->ours[fake_find(&w->fs, path) - w->fs.groups] = true;
        for (unsigned m = 0; m < w->missing_count; m++)
            if (strcmp(w->missing[m], path) == 0)
                w->quota_of[fake_find(&w->fs, path) - w->fs.groups] = (int)(m % WORLD_QUOTAS);
        return;
    }
    struct fake_group *group = fake_find(&w->fs, path);
    WORLD_CHECK(w, group, "%s is not there", path);
    struct knob_set *found = &w->found[group - w->fs.groups];
    if (row->kind == PLAN_ENABLE) {
        char controller[32] = "+";
        sscanf(plan_text(plan, row->why_off), "%30[a-z]", controller + 1);
        r = fake_write(&w->fs, path, "cgroup.subtree_control", controller);
        WORLD_CHECK(w, r == 0 && !group->threaded, "enable %s in %s: %d", controller, path, r);
    } else if (row->kind == PLAN_WRITE) {
        r = fake_put(&w->fs, path, row);
        WORLD_CHECK(w, r == 0, "%s of %s: %llu -> %llu, pair %llu -> %llu: errno %d", knobs[row->knob].key,
                    path, (unsigned long long)row->old_value, (unsigned long long)row->value,
                    (unsigned long long)row->old_pair, (unsigned long long)row->pair, -r);
        if (row->old_value != row->value)
            remember(w, found, row->knob, row->device, row->old_value);
        if (row->knob == KNOB_CPU_BANDWIDTH && row->version == 2 && row->old_pair != row->pair)
            remember(w, found, KNOB_CPU_PERIOD, 0, row->old_pair);
    }
    if (row->kind == PLAN_FORGET || row->flags & PLAN_ROW_RESTORE)
        knob_set_remove(found, row->knob, row->device);
}

void world_print(const struct plan *plan)
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

void world_plan(struct world *w, bool release_all, struct plan *ret)
{
    struct gathered *g = malloc(sizeof *g);
    assert_non_null(g);
    world_gather(w, g);
    struct plan_input input = world_input(w, g, release_all);
    assert_int_equal(plan_make(&input, ret), 0);
    free(g);
}

void world_init(struct world *w, uint64_t seed, int version)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->stage = "tree";
    w->random = seed * 0x9e3779b97f4a7c15u + 1;
    w->strict = pick(w, 2);
    if (!version)
        version = 1 + (int)pick(w, 2);
    make_host(w, version);
    make_tree(w, version);
    make_state(w);
}
