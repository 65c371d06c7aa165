/*
 * What a tick costs per group: the sampler beside plain pread of the very same files through kept
 * descriptors, in one run, the two taking turns. Each group holds one process, which has just run when the
 * figures of the first kind are taken, and sleeps for those of the second: of a group that stands still the
 * sampler reads only what could have moved by itself. Usage: sampler_bench [GROUPS [ROUNDS]]; root.
 */

#include "base/clock.h"
#include "base/str.h"
#include "collectors/file_plan.h"
#include "collectors/sampler.h"
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GROUPS_DEFAULT = 500, ROUNDS_DEFAULT = 15, NAME_MAX_LEN = 64, TEXT_SIZE = 65536 };

struct bench {
    struct cgroup_host host;
    struct file_plan plan;
    unsigned groups, rounds;
    char top[NAME_MAX_LEN];
    pid_t *sleepers;
    int *fds; /* the raw ones, groups * plan.file_count, -1 where the file is absent */
    struct sampler *sampler;
    struct sampler_group **followed;
};

static void group_name(const struct bench *b, unsigned index, char *ret)
{
    (void)str_format(ret, NAME_MAX_LEN, "%s/g%u", b->top, index);
}

/* Whether anything is read in this hierarchy. */
static bool used(const struct bench *b, unsigned hierarchy)
{
    return (b->plan.hierarchies >> hierarchy) & 1;
}

static void put_pid(int dirfd, const char *group, pid_t pid)
{
    char path[NAME_MAX_LEN + 32];
    if (!str_format(path, sizeof path, "%s/cgroup.procs", group))
        return;
    int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (dprintf(fd, "%d", (int)pid) < 0)
        perror(path);
    close(fd);
}

static pid_t sleeper_start(void)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

static void groups_make(struct bench *b)
{
    char name[NAME_MAX_LEN];
    for (unsigned h = 0; h < b->host.count; h++)
        if (used(b, h) && mkdirat(b->host.hierarchies[h].dirfd, b->top, 0755) < 0)
            perror(b->top);
    for (unsigned i = 0; i < b->groups; i++) {
        group_name(b, i, name);
        b->sleepers[i] = sleeper_start();
        for (unsigned h = 0; h < b->host.count; h++) {
            if (!used(b, h))
                continue;
            if (mkdirat(b->host.hierarchies[h].dirfd, name, 0755) < 0)
                perror(name);
            put_pid(b->host.hierarchies[h].dirfd, name, b->sleepers[i]);
        }
    }
}

static void groups_remove(struct bench *b)
{
    char name[NAME_MAX_LEN];
    for (unsigned i = 0; i < b->groups; i++) {
        if (b->sleepers[i] > 0) {
            kill(b->sleepers[i], SIGKILL);
            waitpid(b->sleepers[i], NULL, 0);
        }
    }
    for (unsigned h = 0; h < b->host.count; h++) {
        if (!used(b, h))
            continue;
        for (unsigned i = 0; i < b->groups; i++) {
            group_name(b, i, name);
            /* A killed process leaves its group a moment after it was waited for. */
            for (int tries = 0; unlinkat(b->host.hierarchies[h].dirfd, name, AT_REMOVEDIR) < 0 && tries < 100;
                 tries++)
                usleep(1000);
        }
        unlinkat(b->host.hierarchies[h].dirfd, b->top, AT_REMOVEDIR);
    }
}

static unsigned raw_open(struct bench *b)
{
    char path[NAME_MAX_LEN + 64], name[NAME_MAX_LEN];
    unsigned opened = 0;
    for (unsigned i = 0; i < b->groups; i++) {
        group_name(b, i, name);
        for (unsigned f = 0; f < b->plan.file_count; f++) {
            const struct file_plan_file *file = &b->plan.files[f];
            (void)str_format(path, sizeof path, "%s/%s", name, file->name);
            int fd = openat(b->host.hierarchies[file->hierarchy].dirfd, path, O_RDONLY | O_CLOEXEC);
            b->fds[i * b->plan.file_count + f] = fd;
            opened += fd >= 0;
        }
    }
    return opened;
}

static double raw_round(const struct bench *b)
{
    static char text[TEXT_SIZE];
    uint64_t begin = bench_cpu_ns();
    for (unsigned i = 0; i < b->groups * b->plan.file_count; i++)
        if (b->fds[i] >= 0 && pread(b->fds[i], text, sizeof text, 0) < 0)
            perror("pread");
    return (double)(bench_cpu_ns() - begin) / b->groups;
}

static double sampler_round(struct bench *b)
{
    static struct row row;
    uint64_t begin = bench_cpu_ns();
    for (unsigned i = 0; i < b->groups; i++)
        if (sampler_read(b->sampler, b->followed[i], &row) != 0)
            fprintf(stderr, "group %u could not be read\n", i);
    return (double)(bench_cpu_ns() - begin) / b->groups;
}

static int followed_open(struct bench *b)
{
    char name[NAME_MAX_LEN], path[NAME_MAX_LEN + 1];
    int error = sampler_open(&b->host, 0, "", &b->sampler);
    for (unsigned i = 0; i < b->groups && !error; i++) {
        group_name(b, i, name);
        (void)str_format(path, sizeof path, "/%s", name);
        error = sampler_group_open(b->sampler, path, &b->followed[i]);
    }
    return error;
}

struct figures {
    double raw_ns, sampler_ns, files;
};

/* @poke: every group moves before each round. */
static struct figures rounds_run(struct bench *b, double *raw, double *sampled, bool poke)
{
    raw_round(b);
    for (int settling = 0; settling < 3; settling++) /* the first round opens and allocates */
        sampler_round(b);
    uint64_t read_before = sampler_stats(b->sampler).files_read;
    for (unsigned r = 0; r < b->rounds; r++) {
        if (poke) {
            bench_poke(b->sleepers, b->groups);
            usleep(200000);
        }
        raw[r] = raw_round(b);
        sampled[r] = sampler_round(b);
    }
    double reads = (double)(sampler_stats(b->sampler).files_read - read_before);
    return (struct figures){bench_median(raw, b->rounds), bench_median(sampled, b->rounds),
                            reads / b->groups / b->rounds};
}

static int measure(struct bench *b)
{
    double *raw = calloc(b->rounds, sizeof *raw), *sampled = calloc(b->rounds, sizeof *sampled);
    int error = raw && sampled ? followed_open(b) : -1;
    unsigned files = raw_open(b);
    if (!error) {
        struct figures moving = rounds_run(b, raw, sampled, true);
        struct figures still = rounds_run(b, raw, sampled, false);
        struct sampler_stats stats = sampler_stats(b->sampler);
        printf("groups %u, files per group %.1f, descriptors kept %u of %u\n", b->groups,
               (double)files / b->groups, stats.fds_kept, stats.fds_budget);
        printf("raw pread  %8.0f ns of CPU per group and tick\n", moving.raw_ns);
        printf("sampler    %8.0f ns of CPU per group and tick, %.1f files\n", moving.sampler_ns,
               moving.files);
        printf("ratio      %8.2f\n", moving.sampler_ns / moving.raw_ns);
        printf("still raw  %8.0f ns, no group moves\n", still.raw_ns);
        printf("still      %8.0f ns, %.1f files\n", still.sampler_ns, still.files);
    }
    for (unsigned i = 0; i < b->groups; i++)
        sampler_group_close(b->sampler, b->followed[i]);
    sampler_close(b->sampler);
    free(raw);
    free(sampled);
    return error;
}

int main(int argc, char **argv)
{
    struct bench b = {.groups = GROUPS_DEFAULT, .rounds = ROUNDS_DEFAULT};
    if (argc > 1)
        b.groups = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        b.rounds = (unsigned)strtoul(argv[2], NULL, 10);
    if (!b.groups || !b.rounds || cgroup_host_open("", &b.host) != 0) {
        fprintf(stderr, "usage: sampler_bench [GROUPS [ROUNDS]], on a host with cgroups\n");
        return EXIT_FAILURE;
    }
    file_plan_make(&b.host, &b.plan);
    (void)str_format(b.top, sizeof b.top, "masu-test-bench-%d", (int)getpid());
    b.sleepers = calloc(b.groups, sizeof *b.sleepers);
    b.followed = calloc(b.groups, sizeof *b.followed);
    b.fds = calloc((size_t)b.groups * b.plan.file_count, sizeof *b.fds);
    int error = -1;
    bench_pokable();
    if (b.sleepers && b.followed && b.fds) {
        groups_make(&b);
        error = measure(&b);
        for (unsigned i = 0; i < b.groups * b.plan.file_count; i++)
            if (b.fds[i] >= 0)
                close(b.fds[i]);
        groups_remove(&b);
    }
    free(b.sleepers);
    free(b.followed);
    free(b.fds);
    cgroup_host_close(&b.host);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
