/*
 * What holding many groups to their quota costs beside the bare writes. One side goes the whole way: load the
 * policy, read what each group holds, plan, execute with read-back and undo journal. The other opens, writes
 * and closes the same files with the same texts, by full path, in the same order. Both start from equally
 * fresh groups and take turns in going first. Usage: apply_bench [GROUPS [ROUNDS]]; root.
 */

#include "agent/enforcer.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "cgroup/group.h"
#include "cgroup/subtree.h"
#include "policy/plan_make.h"
#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUPS_DEFAULT = 1000, ROUNDS_DEFAULT = 3, PATH_SIZE = 128, TEXT_SIZE = 96 };

/* Six knobs, each to a value that no new group has. */
static const char policy_text[] = "quotas:\n"
                                  "  bench:\n"
                                  "    match: { path: \"%s/planned/*\" }\n"
                                  "    cpu: { bandwidth: 0.5, period: 50ms, weight: 200%s }\n"
                                  "    memory: { limit: 256MiB%s }\n"
                                  "    pids: 100\n";

static const enum knob_id knobs_used[] = {KNOB_CPU_BANDWIDTH, KNOB_CPU_PERIOD,  KNOB_CPU_BURST,
                                          KNOB_CPU_WEIGHT,    KNOB_MEMORY_SWAP, KNOB_MEMORY_LIMIT,
                                          KNOB_PIDS};

struct raw_write {
    char file[CGROUP_MOUNT_MAX + PATH_SIZE + 64];
    char text[TEXT_SIZE];
    size_t len;
};

enum part { PART_LOAD, PART_READ, PART_PLAN, PART_APPLY, PART_N };
static const char *const part_names[PART_N] = {"policy_load", "reading", "plan_make", "enforcer_execute"};

struct bench {
    struct cgroup_host host;
    struct knob_support support[KNOB_N];
    uint32_t hierarchies; /* bit per hierarchy that holds one of the knobs */
    bool unified;         /* on v2 the planner asks who sits where */
    unsigned groups, rounds;
    char top[64], dir[96], policy_file[128];
    char (*paths)[PATH_SIZE];
    struct plan_group *input;
    struct raw_write *writes; /* the planned rows, for the other set of groups */
    uint32_t write_count;
    double *parts[PART_N], *whole, *raw; /* per round, ns of CPU */
};

/* ---- groups */

static int make_in_all(const struct bench *b, const char *path)
{
    for (unsigned h = 0; h < b->host.count; h++)
        if ((b->hierarchies >> h & 1) &&
            mkdirat(b->host.hierarchies[h].dirfd, cgroup_below(path), 0755) < 0 && errno != EEXIST)
            return -errno;
    return 0;
}

static void remove_in_all(const struct bench *b, const char *path)
{
    for (unsigned h = 0; h < b->host.count; h++)
        if (b->hierarchies >> h & 1)
            unlinkat(b->host.hierarchies[h].dirfd, cgroup_below(path), AT_REMOVEDIR);
}

/* On v2, hands every controller that is used down to the children of @path. */
static int hand_down(const struct bench *b, const char *path)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(knobs_used); i++) {
        int h = b->support[knobs_used[i]].hierarchy;
        if (h >= 0 && b->host.hierarchies[h].version == 2)
            r = subtree_enable(&b->host, (unsigned)h, path, knobs[knobs_used[i]].v2.controller);
    }
    return r;
}

static const char *parents[] = {"", "/planned", "/raw"};

static int groups_make(const struct bench *b)
{
    char path[PATH_SIZE];
    int r = hand_down(b, "/");
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(parents); i++) {
        str_format(path, sizeof path, "%s%s", b->top, parents[i]);
        r = make_in_all(b, path);
        if (r == 0)
            r = hand_down(b, path);
    }
    for (unsigned i = 0; r == 0 && i < b->groups; i++) {
        r = make_in_all(b, b->paths[i]);
        str_format(path, sizeof path, "%s/raw/g%u", b->top, i);
        if (r == 0)
            r = make_in_all(b, path);
    }
    return r;
}

static void groups_remove(const struct bench *b)
{
    char path[PATH_SIZE];
    for (unsigned i = 0; i < b->groups; i++) {
        remove_in_all(b, b->paths[i]);
        str_format(path, sizeof path, "%s/raw/g%u", b->top, i);
        remove_in_all(b, path);
    }
    for (size_t i = ARRAY_LEN(parents); i-- > 0;) {
        str_format(path, sizeof path, "%s%s", b->top, parents[i]);
        remove_in_all(b, path);
    }
}

/* ---- the whole way */

static int load(const struct bench *b, struct policy *ret)
{
    const char *const files[] = {b->policy_file};
    struct diags diags = DIAGS_NULL;
    char text[1024];
    int r = policy_load(files, 1, ret, &diags);
    for (size_t i = 0; r != 0 && i < diags.count; i++)
        fprintf(stderr, "%s\n", diag_format(&diags.items[i], text, sizeof text));
    diags_fini(&diags);
    return r;
}

/* What core gathers of each group before it plans. */
static int read_groups(struct bench *b, const struct policy *policy)
{
    struct group_identity identity = {.kind = SUBJECT_GROUP, .runtime = "cgroup"};
    uint32_t wanted = policy_knobs(policy);
    pid_t pid;
    for (unsigned i = 0; i < b->groups; i++) {
        struct plan_group *group = &b->input[i];
        str_copy(identity.path, sizeof identity.path, group->path);
        str_copy(identity.name, sizeof identity.name, group->path);
        group->quota = policy_find(policy, &identity);
        group->managed = group->quota != NULL;
        int r = knob_read_some(&b->host, b->support, wanted, group->path, &group->have);
        if (r != 0)
            return r;
        if (b->unified)
            group->populated = group_first_pid(&b->host, group->path, &pid) == 0;
    }
    return 0;
}

static int make_plan(const struct bench *b, struct plan *ret)
{
    const struct plan_input input = {
        .host = &b->host, .support = b->support, .groups = b->input, .group_count = b->groups};
    return plan_make(&input, ret);
}

static int check_outcomes(const struct bench *b, const struct plan *plan,
                          const struct plan_outcomes *outcomes)
{
    if (plan->row_count < b->groups) {
        fprintf(stderr, "the plan has %u rows for %u groups\n", plan->row_count, b->groups);
        return -EIO;
    }
    for (uint32_t i = 0; i < outcomes->count; i++)
        if (outcomes->items[i].error) {
            fprintf(stderr, "%s of %s: %s\n", knobs[plan->rows[i].knob].key,
                    plan_text(plan, plan->rows[i].path_off), strerror(-outcomes->items[i].error));
            return outcomes->items[i].error;
        }
    return 0;
}

static int planned_round(struct bench *b, struct enforcer *enforcer, unsigned round)
{
    struct policy policy = POLICY_NULL;
    struct plan plan = PLAN_NULL;
    struct plan_outcomes outcomes = PLAN_OUTCOMES_NULL;
    uint64_t at[PART_N + 1];
    at[0] = bench_cpu_ns();
    int r = load(b, &policy);
    at[PART_READ] = bench_cpu_ns();
    if (r == 0)
        r = read_groups(b, &policy);
    at[PART_PLAN] = bench_cpu_ns();
    if (r == 0)
        r = make_plan(b, &plan);
    at[PART_APPLY] = bench_cpu_ns();
    if (r == 0)
        r = enforcer_execute(enforcer, &plan, &outcomes);
    at[PART_N] = bench_cpu_ns();
    for (unsigned p = 0; p < PART_N; p++)
        b->parts[p][round] = (double)(at[p + 1] - at[p]);
    b->whole[round] = (double)(at[PART_N] - at[0]);
    if (r == 0)
        r = check_outcomes(b, &plan, &outcomes);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
    policy_fini(&policy);
    return r;
}

/* ---- the bare writes */

/* The rows of a plan as files and texts, with the other set's groups in place of the planned ones. */
static int raw_prepare(struct bench *b)
{
    struct policy policy = POLICY_NULL;
    struct plan plan = PLAN_NULL;
    size_t prefix = strlen(b->top) + strlen("/planned");
    int r = load(b, &policy);
    if (r == 0)
        r = read_groups(b, &policy);
    if (r == 0)
        r = make_plan(b, &plan);
    if (r == 0 && !(b->writes = calloc(plan.row_count + 1, sizeof *b->writes)))
        r = -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < plan.row_count; i++) {
        const struct plan_row *row = &plan.rows[i];
        struct raw_write *w = &b->writes[b->write_count++];
        const struct hierarchy *h = &b->host.hierarchies[cgroup_host_by_device(&b->host, row->hierarchy)];
        str_format(w->file, sizeof w->file, "%s%s/raw%s/%s", h->mount, b->top,
                   plan_text(&plan, row->path_off) + prefix,
                   knob_file((enum knob_id)row->knob, row->version)->file);
        int len = knob_encode((enum knob_id)row->knob, row->version, row->device, row->value, row->pair,
                              w->text, sizeof w->text);
        w->len = len < 0 ? 0 : (size_t)len;
        r = len < 0 ? len : 0;
    }
    plan_fini(&plan);
    policy_fini(&policy);
    return r;
}

static int raw_round(struct bench *b, unsigned round)
{
    uint64_t begin_ns = bench_cpu_ns();
    for (uint32_t i = 0; i < b->write_count; i++) {
        const struct raw_write *w = &b->writes[i];
        int fd = open(w->file, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, w->text, w->len) < 0) {
            int r = -errno;
            fprintf(stderr, "%s: %s\n", w->file, strerror(errno));
            fd_close(fd);
            return r;
        }
        close(fd);
    }
    b->raw[round] = (double)(bench_cpu_ns() - begin_ns);
    return 0;
}

/* ---- */

static int run_round(struct bench *b, struct enforcer *enforcer, unsigned round)
{
    int r = groups_make(b);
    for (unsigned i = 0; r == 0 && i < b->groups; i++) {
        struct plan_group *group = &b->input[i];
        *group = (struct plan_group){.path = b->paths[i], .parent = -1};
        for (unsigned h = 0; r == 0 && h < b->host.count; h++)
            if (b->hierarchies >> h & 1)
                r = group_id(&b->host, h, group->path, &group->ids[h]);
    }
    if (r == 0 && !b->writes)
        r = raw_prepare(b);
    if (r == 0 && round % 2)
        r = raw_round(b, round);
    if (r == 0)
        r = planned_round(b, enforcer, round);
    if (r == 0 && round % 2 == 0)
        r = raw_round(b, round);
    groups_remove(b);
    return r;
}

static void report(struct bench *b)
{
    double scale = 1e3 * b->groups, whole = bench_median(b->whole, b->rounds),
           raw = bench_median(b->raw, b->rounds);
    printf("groups %u, writes per group %.1f, rounds %u\n", b->groups, (double)b->write_count / b->groups,
           b->rounds);
    for (unsigned p = 0; p < PART_N; p++)
        printf("%-16s %8.2f us of CPU per group\n", part_names[p],
               bench_median(b->parts[p], b->rounds) / scale);
    printf("plan+apply       %8.2f us of CPU per group\n", whole / scale);
    printf("raw writes       %8.2f us of CPU per group\n", raw / scale);
    printf("ratio            %8.2f\n", whole / raw);
}

static int write_policy(const struct bench *b)
{
    bool swap = b->support[KNOB_MEMORY_SWAP].hierarchy >= 0;
    char text[1024];
    str_format(text, sizeof text, policy_text, b->top, swap ? "" : ", burst: 10ms",
               swap ? ", swap: 64MiB" : "");
    return fs_replace_at(AT_FDCWD, b->policy_file, text, strlen(text), 0600);
}

static int measure(struct bench *b)
{
    char enforcer_dir[128];
    struct enforcer *enforcer = NULL;
    str_format(b->dir, sizeof b->dir, "/run%s", b->top);
    str_format(b->policy_file, sizeof b->policy_file, "%s/policy.yaml", b->dir);
    str_format(enforcer_dir, sizeof enforcer_dir, "%s/enforcer", b->dir);
    int r = fs_make_dirs(b->dir, 0700);
    if (r == 0)
        r = write_policy(b);
    if (r == 0)
        r = enforcer_open(&b->host, enforcer_dir, NULL, &enforcer);
    for (unsigned i = 0; r == 0 && i < b->rounds; i++)
        r = run_round(b, enforcer, i);
    enforcer_close(enforcer);
    bench_remove_dir(b->dir);
    if (r == 0)
        report(b);
    else
        fprintf(stderr, "apply_bench: %s\n", r < 0 ? strerror(-r) : "a group vanished or is in use");
    return r;
}

static bool prepare(struct bench *b)
{
    bool complete = true;
    str_format(b->top, sizeof b->top, "/masu-test-bench-%d", (int)getpid());
    knob_support_probe(&b->host, NULL, b->support);
    for (size_t i = 0; i < ARRAY_LEN(knobs_used); i++)
        if (b->support[knobs_used[i]].hierarchy >= 0) {
            b->hierarchies |= UINT32_C(1) << b->support[knobs_used[i]].hierarchy;
            b->unified |= b->host.hierarchies[b->support[knobs_used[i]].hierarchy].version == 2;
        }
    b->paths = calloc(b->groups, sizeof *b->paths);
    b->input = calloc(b->groups, sizeof *b->input);
    b->whole = calloc(b->rounds, sizeof *b->whole);
    b->raw = calloc(b->rounds, sizeof *b->raw);
    for (unsigned p = 0; p < PART_N; p++)
        complete = (b->parts[p] = calloc(b->rounds, sizeof *b->parts[p])) && complete;
    for (unsigned i = 0; b->paths && i < b->groups; i++)
        str_format(b->paths[i], PATH_SIZE, "%s/planned/g%u", b->top, i);
    return complete && b->paths && b->input && b->whole && b->raw;
}

int main(int argc, char **argv)
{
    static struct bench b = {.groups = GROUPS_DEFAULT, .rounds = ROUNDS_DEFAULT};
    if (argc > 1)
        b.groups = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        b.rounds = (unsigned)strtoul(argv[2], NULL, 10);
    if (!b.groups || !b.rounds || cgroup_host_open("", &b.host) != 0) {
        fprintf(stderr, "usage: apply_bench [GROUPS [ROUNDS]], on a host with cgroups\n");
        return EXIT_FAILURE;
    }
    int r = prepare(&b) ? measure(&b) : -ENOMEM;
    free(b.paths);
    free(b.input);
    free(b.writes);
    free(b.whole);
    free(b.raw);
    for (unsigned p = 0; p < PART_N; p++)
        free(b.parts[p]);
    cgroup_host_close(&b.host);
    return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
