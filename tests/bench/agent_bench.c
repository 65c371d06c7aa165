/*
 * The whole agent at 500 groups and one second: CPU and memory of all its processes, and how long a new group
 * waits for its quota while the others are sampled. The first figures of each process are left out: maps
 * and caches. So are the archive's files, which a container gets after three minutes: rrd_bench tells what
 * they cost. Usage: agent_bench [GROUPS [WARM_S [MEASURE_S [BIRTHS]]]]; root. Each group holds one sleeping
 * process.
 */

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "tests/bench/bench.h"
#include "tests/system/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { GROUPS_DEFAULT = 500, WARM_S_DEFAULT = 20, MEASURE_S_DEFAULT = 30, BIRTHS_DEFAULT = 200 };

struct bench {
    struct daemon daemon;
    unsigned groups, warm_s, measure_s, births;
    pid_t *sleepers;
    double *births_ms;
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

static void measure_use(struct bench *b)
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
    printf("whole agent  %8.2f us per group and second, %6.1f MiB PSS, %u groups, interval 1 s\n",
           cpu_s / seconds / b->groups * 1e6, pss_kib / 1024, b->groups);
}

static void tell_status(struct bench *b)
{
    json_t *status = api(&b->daemon, "/api/v1/status");
    json_t *sampling = json_object_get(status, "sampling");
    printf(
        "longest turn of core's loop %.2f ms; tick: last %.1f ms, longest %.1f ms; descriptors kept %lld\n",
        1e3 * json_number_value(json_object_get(json_object_get(status, "loop"), "longest_turn")),
        1e3 * json_number_value(json_object_get(sampling, "last")),
        1e3 * json_number_value(json_object_get(sampling, "longest")),
        (long long)json_integer_value(json_object_get(sampling, "fds_kept")));
    json_decref(status);
}

/* From before the first mkdir until the quota can be read, in milliseconds; negative: it could not be
 * measured. */
static double birth(struct daemon *d, unsigned number)
{
    char relative[GROUP_PATH_MAX], file[GROUP_PATH_MAX + 32], text[64];
    int cpu = cgroup_host_find(&d->host, "cpu");
    bool v2 = version_of(d, "cpu") == 2;
    str_format(relative, sizeof relative, ".%s/new%u", d->root, number);
    str_format(file, sizeof file, "%s/%s", relative, v2 ? "cpu.max" : "cpu.cfs_quota_us");
    uint64_t begin_ns = clock_mono_ns();
    for (unsigned h = 0; h < d->host.count; h++)
        if (mkdirat(d->host.hierarchies[h].dirfd, relative, 0755) < 0)
            return -1;
    double ms;
    do {
        if (fs_read_at(d->host.hierarchies[cpu].dirfd, file, text, sizeof text) < 0)
            return -1;
        ms = (double)(clock_mono_ns() - begin_ns) / 1e6;
    } while (strtol(text, NULL, 10) != 20000 && ms < 5000);
    return ms;
}

static void measure_births(struct bench *b)
{
    unsigned count = 0;
    for (unsigned i = 0; i < b->births; i++) {
        double one = birth(&b->daemon, i);
        if (one >= 0)
            b->births_ms[count++] = one;
        usleep(50000);
    }
    if (count < b->births)
        printf("%u of %u births could not be measured\n", b->births - count, b->births);
    if (!count)
        return;
    bench_sort(b->births_ms, count);
    printf("birth        p50 %.2f ms, p99 %.2f ms, worst %.2f ms from mkdir to quota in force, %u births\n",
           b->births_ms[count / 2], b->births_ms[count * 99 / 100], b->births_ms[count - 1], count);
}

static void run(struct bench *b)
{
    char name[32], path[GROUP_PATH_MAX];
    daemon_init(&b->daemon, "bench", policy, archive_settings);
    for (unsigned i = 0; i < b->groups; i++) {
        str_format(name, sizeof name, "g%u", i);
        make_group(&b->daemon, name, path);
        b->sleepers[i] = run_sleeper(&b->daemon, path);
    }
    daemon_start(&b->daemon);
    sleep(b->warm_s);
    measure_use(b);
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
    b.births_ms = calloc(b.births + 1, sizeof *b.births_ms);
    if (b.sleepers && b.births_ms)
        run(&b);
    free(b.sleepers);
    free(b.births_ms);
    return EXIT_SUCCESS;
}
