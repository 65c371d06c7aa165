/*
 * Plan and apply of many quotas, beside the raw writes of the same values to the same files (open, write,
 * close by path), in one run. Makes groups of its own, /masu-test-bench-plan/*, and removes them.
 */

#include "agent/enforcer.h"
#include "base/clock.h"
#include "base/str.h"
#include "cgroup/group.h"
#include "cgroup/knob.h"
#include "cgroup/subtree.h"
#include "policy/plan_make.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BASE "/masu-test-bench-plan"
#define MIB UINT64_C(1048576)

enum { GROUPS_DEFAULT = 1000, KNOBS = 6, ROUNDS = 10, PATH_BYTES = 64 };

static const enum knob_id used[KNOBS] = {KNOB_CPU_BANDWIDTH, KNOB_CPU_BURST,   KNOB_CPU_WEIGHT,
                                         KNOB_MEMORY_LIMIT,  KNOB_MEMORY_SWAP, KNOB_PIDS};
/* Two sets of values to go to and fro between. */
static const uint64_t values[2][KNOBS] = {{500000, 5000, 100, 64 * MIB, 32 * MIB, 100},
                                          {1500000, 20000, 200, 128 * MIB, 64 * MIB, 200}};

struct bench {
    struct cgroup_host host;
    struct knob_support support[KNOB_N];
    struct quota quotas[2];
    unsigned count;
    char (*paths)[PATH_BYTES];
    struct plan_group *groups;
    struct enforcer *enforcer;
};

static void must(int r, const char *what)
{
    if (r == 0)
        return;
    fprintf(stderr, "plan_bench: %s: %s\n", what, strerror(r < 0 ? -r : r));
    exit(1);
}

static void each_hierarchy(const struct bench *b, bool made[static HIERARCHIES_MAX])
{
    for (unsigned k = 0; k < KNOBS; k++)
        if (b->support[used[k]].hierarchy >= 0)
            made[b->support[used[k]].hierarchy] = true;
}

static void make(const struct bench *b, const char *path, bool parent)
{
    bool wanted[HIERARCHIES_MAX] = {false};
    uint64_t id;
    each_hierarchy(b, wanted);
    for (unsigned h = 0; h < b->host.count; h++) {
        if (!wanted[h])
            continue;
        must(group_make(&b->host, h, path, &id), path);
        for (unsigned k = 0; parent && b->host.hierarchies[h].version == 2 && k < KNOBS; k++)
            must(subtree_enable(&b->host, h, path, knobs[used[k]].v2.controller), "subtree_control");
    }
}

static void clean(const struct bench *b)
{
    for (unsigned h = 0; h < b->host.count; h++) {
        for (unsigned i = 0; i < b->count; i++)
            (void)!group_remove(&b->host, h, b->paths[i]);
        (void)!group_remove(&b->host, h, BASE);
    }
}

static void open_bench(struct bench *b, unsigned count, const char *dir)
{
    must(cgroup_host_open("", &b->host), "cgroups");
    knob_support_probe(&b->host, NULL, b->support);
    b->count = count;
    b->paths = calloc(count, sizeof *b->paths);
    b->groups = calloc(count, sizeof *b->groups);
    if (!b->paths || !b->groups)
        must(ENOMEM, "memory");
    for (unsigned i = 0; i < count; i++)
        (void)str_format(b->paths[i], PATH_BYTES, BASE "/g%04u", i);
    clean(b);
    for (unsigned h = 0; h < b->host.count; h++)
        for (unsigned k = 0; b->host.hierarchies[h].version == 2 && k < KNOBS; k++)
            (void)!subtree_enable(&b->host, h, "/", knobs[used[k]].v2.controller);
    make(b, BASE, true);
    for (unsigned q = 0; q < 2; q++) {
        (void)str_copy(b->quotas[q].name, sizeof b->quotas[q].name, "bench");
        b->quotas[q].file = "bench.yaml";
        for (unsigned k = 0; k < KNOBS; k++)
            if (!b->support[used[k]].refusal)
                b->quotas[q].settings[b->quotas[q].setting_count++] =
                    (struct policy_setting){.knob = used[k], .value = values[q][k], .line = k + 1};
    }
    for (unsigned i = 0; i < count; i++) {
        struct plan_group *group = &b->groups[i];
        make(b, b->paths[i], false);
        *group = (struct plan_group){.path = b->paths[i], .parent = -1, .managed = true};
        for (unsigned h = 0; h < b->host.count; h++)
            if (group_id(&b->host, h, b->paths[i], &group->ids[h]) != 0)
                group->ids[h] = 0;
    }
    must(enforcer_open(&b->host, dir, NULL, &b->enforcer), dir);
}

static void read_all(struct bench *b)
{
    for (unsigned i = 0; i < b->count; i++)
        must(knob_read_all(&b->host, b->support, b->paths[i], &b->groups[i].have), b->paths[i]);
}

struct text {
    char path[CGROUP_MOUNT_MAX + PATH_BYTES + 64];
    char bytes[64];
    size_t len;
};

/* The writes of a plan as files and texts. */
static struct text *texts_of(const struct bench *b, const struct plan *plan)
{
    struct text *texts = calloc(plan->row_count + 1, sizeof *texts);
    if (!texts)
        must(ENOMEM, "memory");
    for (uint32_t i = 0; i < plan->row_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        const struct hierarchy *h = &b->host.hierarchies[cgroup_host_by_device(&b->host, row->hierarchy)];
        int len = knob_encode(row->knob, row->version, row->device, row->value, row->pair, texts[i].bytes,
                              sizeof texts[i].bytes);
        must(len < 0 ? len : 0, "encode");
        texts[i].len = (size_t)len;
        (void)str_format(texts[i].path, sizeof texts[i].path, "%s%s/%s", h->mount,
                         plan_text(plan, row->path_off), knob_file(row->knob, row->version)->file);
    }
    return texts;
}

static uint64_t write_raw(const struct text *texts, uint32_t count)
{
    uint64_t began = clock_mono_ns();
    for (uint32_t i = 0; i < count; i++) {
        int fd = open(texts[i].path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, texts[i].bytes, texts[i].len) < 0)
            must(errno, texts[i].path);
        close(fd);
    }
    return clock_mono_ns() - began;
}

struct times {
    uint64_t raw, plan, apply;
    uint32_t writes;
};

static void plan_to(struct bench *b, unsigned which, struct plan *ret)
{
    struct plan_input input = {
        .host = &b->host, .support = b->support, .groups = b->groups, .group_count = b->count};
    for (unsigned i = 0; i < b->count; i++)
        b->groups[i].quota = &b->quotas[which];
    must(plan_make(&input, ret), "plan");
}

/* Goes to the second set by raw writes and back, then the same by masu. */
static struct times round_trip(struct bench *b)
{
    struct times t = {0};
    struct plan plan;
    for (unsigned leg = 0; leg < 4; leg++) {
        read_all(b);
        uint64_t began = clock_mono_ns();
        plan_to(b, leg % 2, &plan);
        uint64_t planned = clock_mono_ns();
        if (leg < 2) {
            struct text *texts = texts_of(b, &plan);
            t.raw += write_raw(texts, plan.row_count);
            free(texts);
        } else {
            struct plan_outcomes outcomes;
            must(enforcer_execute(b->enforcer, &plan, &outcomes), "execute");
            t.apply += clock_mono_ns() - planned;
            t.plan += planned - began;
            t.writes += plan.row_count;
            for (uint32_t i = 0; i < outcomes.count; i++)
                must(outcomes.items[i].error, "a row");
            plan_outcomes_fini(&outcomes);
        }
        plan_fini(&plan);
    }
    return t;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    char dir[] = "/tmp/masu-plan-bench-XXXXXX";
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : GROUPS_DEFAULT;
    uint64_t least = UINT64_MAX, raw = 0, plan = 0, apply = 0;
    uint32_t writes = 1;
    if (!mkdtemp(dir))
        must(errno, dir);
    open_bench(&b, count, dir);
    (void)round_trip(&b);
    for (unsigned i = 0; i < ROUNDS; i++) { /* the round with the least noise */
        struct times t = round_trip(&b);
        if (t.raw + t.plan + t.apply >= least)
            continue;
        least = t.raw + t.plan + t.apply;
        raw = t.raw;
        plan = t.plan;
        apply = t.apply;
        writes = t.writes;
    }
    printf("%u groups, %u writes: raw %.2f us, plan %.2f us, apply %.2f us per write; plan + apply = %.2f x "
           "raw\n",
           count, writes, (double)raw / writes / 1e3, (double)plan / writes / 1e3,
           (double)apply / writes / 1e3, (double)(plan + apply) / (double)raw);
    enforcer_close(b.enforcer);
    clean(&b);
    cgroup_host_close(&b.host);
    char file[64];
    (void)str_format(file, sizeof file, "%s/found", dir);
    unlink(file);
    (void)str_format(file, sizeof file, "%s/journal", dir);
    unlink(file);
    rmdir(dir);
    free(b.paths);
    free(b.groups);
    return 0;
}
