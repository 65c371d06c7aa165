/*
 * The whole agent at 500 groups and one second: CPU and memory of all its processes, and how long a new group
 * waits for its quota while the others are sampled. The first figures of each process are left out: maps,
 * caches and the archive's first files.
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

enum { GROUPS = 500, BIRTHS = 200, WARM_S = 20, MEASURE_S = 30 };

static const char policy[] =
    "quotas:\n"
    "  g:   { match: { path: \"%s/g*\" },   cpu: { bandwidth: 0.5 }, memory: { limit: 256MiB }, pids: 100 }\n"
    "  new: { match: { path: \"%s/new*\" }, cpu: { bandwidth: 0.2 }, memory: { limit: 64MiB }, pids: 100 }\n";

struct use {
    double cpu_s;
    double pss_kib;
};

/* utime + stime of /proc/PID/stat, and Pss of smaps_rollup. */
static struct use use_of(pid_t pid)
{
    struct use use = {0};
    char path[64], text[4096];
    str_format(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (fs_read_at(AT_FDCWD, path, text, sizeof text) > 0) {
        char *at = strrchr(text, ')');
        for (int field = 2; at && field < 13; field++)
            at = strchr(at + 1, ' ');
        unsigned long utime = 0, stime = 0;
        if (at) {
            utime = strtoul(at + 1, &at, 10);
            stime = strtoul(at + 1, NULL, 10);
        }
        use.cpu_s = (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK);
    }
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

static void measure_use(struct daemon *d)
{
    pid_t pids[16];
    char names[16][24];
    struct use before[16];
    unsigned count = processes(d, pids, names);
    for (unsigned i = 0; i < count; i++)
        before[i] = use_of(pids[i]);
    uint64_t begin_ns = clock_mono_ns();
    sleep(MEASURE_S);
    double seconds = (double)(clock_mono_ns() - begin_ns) / 1e9, cpu_s = 0, pss_kib = 0;
    for (unsigned i = 0; i < count; i++) {
        struct use now = use_of(pids[i]);
        double us = (now.cpu_s - before[i].cpu_s) / seconds / GROUPS * 1e6;
        printf("  %-9s %6.2f us per group and second, %6.1f MiB PSS\n", names[i], us, now.pss_kib / 1024);
        cpu_s += now.cpu_s - before[i].cpu_s;
        pss_kib += now.pss_kib;
    }
    printf("whole agent, %d groups, 1 s: %.1f us per group and second (target 40), %.1f MiB PSS\n", GROUPS,
           cpu_s / seconds / GROUPS * 1e6, pss_kib / 1024);
}

/* From before the first mkdir until the quota can be read, in milliseconds. */
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

static void measure_births(struct daemon *d)
{
    static double ms[BIRTHS];
    unsigned count = 0;
    for (unsigned i = 0; i < BIRTHS; i++) {
        double one = birth(d, i);
        if (one >= 0)
            ms[count++] = one;
        usleep(50000);
    }
    bench_sort(ms, count);
    printf("mkdir to quota in force, %u births beside %d sampled groups: p50 %.2f ms, p99 %.2f ms, worst "
           "%.2f ms (target p99 10)\n",
           count, GROUPS, ms[count / 2], ms[count * 99 / 100], ms[count - 1]);
}

int main(void)
{
    struct daemon d;
    char name[32], path[GROUP_PATH_MAX];
    daemon_init(&d, "bench", policy, NULL);
    for (unsigned i = 0; i < GROUPS; i++) {
        str_format(name, sizeof name, "g%u", i);
        make_group(&d, name, path);
    }
    daemon_start(&d);
    sleep(WARM_S);
    measure_use(&d);
    measure_births(&d);
    daemon_fini(&d);
    return 0;
}
