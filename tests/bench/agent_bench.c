/*
 * The whole agent at 500 groups and one second: CPU and memory of all its processes, and how long a new group
 * waits for its quota while the others are sampled. It is measured when they are older than a minute: who
 * lives in a younger one is asked more often. Measured twice: the processes of all groups asleep, and each of
 * them running a moment twice a second. The first figures of each process are left out: maps and caches. So
 * are the archive's files, which a container gets after three minutes: rrd_bench tells what they cost. Usage:
 * agent_bench [GROUPS [WARM_S [MEASURE_S [BIRTHS]]]]; root. Each group holds one process.
 */

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "collectors/file_plan.h"
#include "tests/bench/bench.h"
#include "tests/system/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { GROUPS_DEFAULT = 500, WARM_S_DEFAULT = 75, MEASURE_S_DEFAULT = 30, BIRTHS_DEFAULT = 200, RAW_S = 10 };

struct bench {
    struct daemon daemon;
    unsigned groups, warm_s, measure_s, births;
    pid_t *sleepers;
    double *after_ms, *whole_ms;
};

static const char policy[] =
    "quotas:\n"
    "  g:   { match: { path: \"%s/g*\" },   cpu: { bandwidth: 0.5 }, memory: { limit: 256MiB }, pids: 100 }\n"
    "  new: { match: { path: \"%s/new*\" }, cpu: { bandwidth: 0.2 }, memory: { limit: 64MiB }, pids: 100 }\n";

/* As by default, which the harness shortens. */
static const char archive_settings[] = "archive: { after: 3m }\n";

struct use {
    double cpu_s;
    double pss_kib;
};

/* The first number of schedstat, nanoseconds on a CPU (each process has one thread), and Pss of smaps_rollup.
 */
static struct use use_of(pid_t pid)
{
    struct use use = {0};
    char path[64], text[4096];
    str_format(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    if (fs_read_at(AT_FDCWD, path, text, sizeof text) > 0)
        use.cpu_s = strtod(text, NULL) / 1e9;
    str_format(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (fs_read_at(AT_FDCWD, path, text, sizeof text) > 0) {
        const char *at = strstr(text, "Pss:");
        use.pss_kib = at ? strtod(at + 4, NULL) : 0;
    }
    return use;
}

static unsigned processes(struct daemon *d, pid_t pids[16], char names[16][24])
{
    json_t *status = api(d, "/api/v1/status"), *process;
    size_t i;
    unsigned count = 0;
    json_array_foreach(json_object_get(status, "processes"), i,
                       process) if (json_integer_value(json_object_get(process, "pid")) > 0 && count < 16)
    {
        pids[count] = (pid_t)json_integer_value(json_object_get(process, "pid"));
        str_copy(names[count++], 24, json_string_value(json_object_get(process, "role")));
    }
    json_decref(status);
    return count;
}

/* A process of its own, so that the measuring one can sleep. */
static pid_t poker_start(const struct bench *b)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        bench_poke(b->sleepers, b->groups);
        usleep(500000);
    }
}

static void measure_use(struct bench *b, const char *how)
{
    pid_t pids[16];
    char names[16][24];
    struct use before[16];
    unsigned count = processes(&b->daemon, pids, names);
    for (unsigned i = 0; i < count; i++)
        before[i] = use_of(pids[i]);
    uint64_t begin_ns = clock_mono_ns();
    sleep(b->measure_s);
    double seconds = (double)(clock_mono_ns() - begin_ns) / 1e9, cpu_s = 0, pss_kib = 0;
    for (unsigned i = 0; i < count; i++) {
        struct use now = use_of(pids[i]);
        double us = (now.cpu_s - before[i].cpu_s) / seconds / b->groups * 1e6;
        printf("%-12s %8.2f us per group and second, %6.1f MiB PSS\n", names[i], us, now.pss_kib / 1024);
        cpu_s += now.cpu_s - before[i].cpu_s;
        pss_kib += now.pss_kib;
    }
    printf("whole agent, %s %8.2f us per group and second, %6.1f MiB PSS, %u groups, interval 1 s\n", how,
           cpu_s / seconds / b->groups * 1e6, pss_kib / 1024, b->groups);
}

static void tell_status(struct bench *b)
{
    json_t *status = api(&b->daemon, "/api/v1/status");
    json_t *sampling = json_object_get(status, "sampling");
    printf("longest turn of core's loop %.2f ms, of CPU %.2f ms; tick: last %.1f ms, longest %.1f ms; "
           "descriptors kept %lld\n",
           1e3 * json_number_value(json_object_get(json_object_get(status, "loop"), "longest_turn")),
           1e3 * json_number_value(json_object_get(json_object_get(status, "loop"), "longest_turn_cpu")),
           1e3 * json_number_value(json_object_get(sampling, "last")),
           1e3 * json_number_value(json_object_get(sampling, "longest")),
           (long long)json_integer_value(json_object_get(sampling, "fds_kept")));
    json_decref(status);
}

/* The three limits of the policy, as the kernel shows them. */
static const struct {
    const char *controller, *v1, *v2;
    long long value;
} limits[] = {
    {"cpu", "cpu.cfs_quota_us", "cpu.max", 20000},
    {"memory", "memory.limit_in_bytes", "memory.max", 64 << 20},
    {"pids", "pids.max", "pids.max", 100},
};

static bool in_force(const struct daemon *d, const char *relative)
{
    char file[GROUP_PATH_MAX + 32], text[64];
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        int h = cgroup_host_find(&d->host, limits[i].controller);
        if (h < 0)
            continue;
        str_format(file, sizeof file, "%s/%s", relative,
                   d->host.hierarchies[h].version == 2 ? limits[i].v2 : limits[i].v1);
        if (fs_read_at(d->host.hierarchies[h].dirfd, file, text, sizeof text) < 0 ||
            strtoll(text, NULL, 10) != limits[i].value)
            return false;
    }
    return true;
}

/* Milliseconds from the end of the last mkdir until all three limits hold, and from before the first one. */
struct birth {
    double after_ms, whole_ms;
};

static bool birth(struct daemon *d, unsigned number, struct birth *ret)
{
    char relative[GROUP_PATH_MAX];
    str_format(relative, sizeof relative, ".%s/new%u", d->root, number);
    uint64_t begin_ns = clock_mono_ns();
    for (unsigned h = 0; h < d->host.count; h++)
        if (mkdirat(d->host.hierarchies[h].dirfd, relative, 0755) < 0)
            return false;
    uint64_t made_ns = clock_mono_ns(), now_ns = made_ns;
    while (!in_force(d, relative)) {
        if (now_ns > made_ns + 5 * NSEC_PER_SEC)
            return false;
        usleep(50);
        now_ns = clock_mono_ns();
    }
    *ret = (struct birth){.after_ms = (double)(now_ns - made_ns) / 1e6,
                          .whole_ms = (double)(now_ns - begin_ns) / 1e6};
    return true;
}

/* The clock must not wait for its turn on a busy machine: what is measured is masu. */
static void be_prompt(void)
{
    const struct sched_param first = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO, &first) < 0)
        printf("no real-time priority here: births are measured beside everything else\n");
}

static void tell_births(const char *label, double *ms, unsigned count, const char *what)
{
    bench_sort(ms, count);
    printf("%-12s p50 %.2f ms, p99 %.2f ms, worst %.2f ms %s, %u births\n", label, ms[count / 2],
           ms[count * 99 / 100], ms[count - 1], what, count);
}

static void measure_births(struct bench *b)
{
    struct birth one;
    unsigned count = 0;
    be_prompt();
    for (unsigned i = 0; i < b->births; i++) {
        if (birth(&b->daemon, i, &one)) {
            b->after_ms[count] = one.after_ms;
            b->whole_ms[count++] = one.whole_ms;
        }
        usleep(50000);
    }
    if (count < b->births)
        printf("%u of %u births could not be measured\n", b->births - count, b->births);
    if (!count)
        return;
    tell_births("birth", b->after_ms, count, "from the last mkdir to all limits in force");
    tell_births("with mkdir", b->whole_ms, count, "from before the first mkdir");
}

/* ---- the floor: the sampler's files, read bare, once a second as the agent does ---- */

static unsigned raw_open(const struct bench *b, const struct file_plan *plan, int *fds)
{
    char path[GROUP_PATH_MAX + 64];
    unsigned count = 0;
    for (unsigned i = 0; i < b->groups; i++)
        for (unsigned f = 0; f < plan->file_count; f++) {
            int dirfd = b->daemon.host.hierarchies[plan->files[f].hierarchy].dirfd;
            str_format(path, sizeof path, ".%s/g%u/%s", b->daemon.root, i, plan->files[f].name);
            int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
            if (fd >= 0)
                fds[count++] = fd;
        }
    return count;
}

static void measure_raw(const struct bench *b)
{
    static char text[65536];
    double us[RAW_S];
    struct rlimit limit;
    struct file_plan plan;
    file_plan_make(&b->daemon.host, &plan);
    int *fds = calloc((size_t)b->groups * plan.file_count, sizeof *fds);
    if (!fds || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    unsigned count = raw_open(b, &plan, fds);
    for (unsigned r = 0; r < RAW_S; r++) {
        sleep(1);
        uint64_t begin_ns = bench_cpu_ns();
        for (unsigned i = 0; i < count; i++)
            if (pread(fds[i], text, sizeof text, 0) < 0)
                perror("pread");
        us[r] = (double)(bench_cpu_ns() - begin_ns) / 1e3 / b->groups;
    }
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    free(fds);
    printf("raw pread    %8.2f us per group and second, %.1f files per group, once a second\n",
           bench_median(us, RAW_S), (double)count / b->groups);
}

static void run(struct bench *b)
{
    char name[32], path[GROUP_PATH_MAX];
    daemon_init(&b->daemon, "bench", policy, archive_settings);
    bench_pokable();
    for (unsigned i = 0; i < b->groups; i++) {
        str_format(name, sizeof name, "g%u", i);
        make_group(&b->daemon, name, path);
        b->sleepers[i] = run_sleeper(&b->daemon, path);
    }
    measure_raw(b);
    daemon_start(&b->daemon);
    sleep(b->warm_s);
    measure_use(b, "asleep");
    pid_t poker = poker_start(b);
    sleep(2);
    measure_use(b, "moving");
    end_child(poker);
    measure_births(b);
    tell_status(b);
    daemon_stop(&b->daemon);
    for (unsigned i = 0; i < b->groups; i++)
        end_child(b->sleepers[i]);
    daemon_fini(&b->daemon);
}

int main(int argc, char **argv)
{
    static struct bench b = {.groups = GROUPS_DEFAULT,
                             .warm_s = WARM_S_DEFAULT,
                             .measure_s = MEASURE_S_DEFAULT,
                             .births = BIRTHS_DEFAULT};
    unsigned *const arguments[] = {&b.groups, &b.warm_s, &b.measure_s, &b.births};
    for (int i = 1; i < argc && i <= (int)ARRAY_LEN(arguments); i++)
        *arguments[i - 1] = (unsigned)strtoul(argv[i], NULL, 10);
    if (!b.groups || !b.measure_s) {
        fprintf(stderr, "usage: agent_bench [GROUPS [WARM_S [MEASURE_S [BIRTHS]]]]\n");
        return EXIT_FAILURE;
    }
    b.sleepers = calloc(b.groups, sizeof *b.sleepers);
    b.after_ms = calloc(b.births + 1, sizeof *b.after_ms);
    b.whole_ms = calloc(b.births + 1, sizeof *b.whole_ms);
    if (b.sleepers && b.after_ms && b.whole_ms)
        run(&b);
    free(b.sleepers);
    free(b.after_ms);
    free(b.whole_ms);
    return EXIT_SUCCESS;
}
