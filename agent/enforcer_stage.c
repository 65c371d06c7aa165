#include "agent/enforcer_stage.h"
#include "base/fs.h"
#include "base/str.h"
#include "cgroup/subtree.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct cgroup_host stage_host;
char stage_dir[64];

unsigned stage_place(enum knob_id knob)
{
    const struct knob_file *v2 = knob_file(knob, 2);
    int h = cgroup_host_find(&stage_host, v2->controller);
    assert_true(h >= 0);
    return (unsigned)h;
}

static const enum knob_id used[] = {KNOB_CPU_BANDWIDTH, KNOB_MEMORY_LIMIT, KNOB_PIDS};

void stage_make(const char *path)
{
    uint64_t id;
    for (unsigned k = 0; k < ARRAY_LEN(used); k++) {
        unsigned h = stage_place(used[k]);
        if (stage_host.hierarchies[h].version == 2) {
            char above[256];
            (void)str_copy(above, sizeof above, path);
            char *slash = strrchr(above, '/');
            slash[slash == above] = '\0';
            assert_int_equal(subtree_enable(&stage_host, h, above, knob_file(used[k], 2)->controller),
                             GROUP_OK);
        }
        int r = group_make(&stage_host, h, path, &id);
        assert_true(r == GROUP_OK || r == GROUP_EXISTS);
    }
}

void stage_unmake(const char *path)
{
    for (unsigned h = 0; h < stage_host.count; h++)
        for (unsigned tries = 0; group_remove(&stage_host, h, path) == GROUP_BUSY && tries < 100; tries++)
            usleep(10000);
}

void stage_row(struct plan *plan, const char *path, enum knob_id knob, uint64_t value, unsigned flags)
{
    unsigned h = stage_place(knob);
    struct plan_row row = {.kind = PLAN_WRITE,
                           .flags = (uint16_t)flags,
                           .knob = (uint16_t)knob,
                           .version = (uint16_t)stage_host.hierarchies[h].version,
                           .hierarchy = stage_host.hierarchies[h].device,
                           .value = value,
                           .path_off = plan_string(plan, path)};
    assert_int_equal(group_id(&stage_host, h, path, &row.cgroup_id), 0);
    assert_int_equal(knob_read(&stage_host, h, path, knob, 0, &row.old_value, &row.old_pair), 0);
    row.pair = row.old_pair;
    assert_int_equal(plan_add(plan, &row), 0);
}

uint64_t stage_held(const char *path, enum knob_id knob)
{
    uint64_t value, pair;
    assert_int_equal(knob_read(&stage_host, stage_place(knob), path, knob, 0, &value, &pair), 0);
    return value;
}

struct enforcer *stage_open(const struct enforcer_options *options)
{
    struct enforcer *e;
    assert_int_equal(enforcer_open(&stage_host, stage_dir, options, &e), 0);
    return e;
}

struct plan_outcomes stage_execute(const struct plan *plan, const struct enforcer_options *options)
{
    struct plan_outcomes outcomes;
    struct enforcer *e = stage_open(options);
    assert_int_equal(enforcer_execute(e, plan, &outcomes), 0);
    enforcer_close(e);
    return outcomes;
}

unsigned stage_found_count(void)
{
    struct plan found;
    struct enforcer *e = stage_open(NULL);
    assert_int_equal(enforcer_found(e, &found), 0);
    unsigned count = found.row_count;
    plan_fini(&found);
    enforcer_close(e);
    return count;
}

void stage_forget(void)
{
    static const char *const names[] = {"found", "journal"};
    char path[128];
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", stage_dir, names[i]);
        unlink(path);
    }
}

/* A process in @path that holds memory: pages of its own, or of @file. */
pid_t stage_hold(const char *path, uint64_t bytes, int file)
{
    int ready[2];
    char done;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        static char block[65536];
        if (group_attach(&stage_host, path, getpid()) != GROUP_OK)
            _exit(1);
        if (file >= 0)
            for (uint64_t at = 0; at < bytes; at += sizeof block)
                (void)!pread(file, block, sizeof block, (off_t)at);
        else
            memset(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, bytes);
        (void)!write(ready[1], "", 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &done, 1), 1);
    close(ready[0]);
    return pid;
}

uint64_t stage_memory_used(const char *path)
{
    const struct hierarchy *h = &stage_host.hierarchies[stage_place(KNOB_MEMORY_LIMIT)];
    char name[256], text[64];
    (void)str_format(name, sizeof name, "%s/%s", cgroup_below(path),
                     h->version == 1 ? "memory.usage_in_bytes" : "memory.current");
    assert_true(fs_read_at(h->dirfd, name, text, sizeof text) > 0);
    return strtoull(text, NULL, 10);
}

void stage_end_holder(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* it lives: nobody was killed */
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

int stage_setup(void **state)
{
    (void)state;
    (void)str_copy(stage_dir, sizeof stage_dir, "/tmp/masu-enforcer-test-XXXXXX");
    return geteuid() != 0 || !mkdtemp(stage_dir) ? -1 : cgroup_host_open("", &stage_host);
}

int stage_teardown(void **state)
{
    (void)state;
    stage_forget();
    rmdir(stage_dir);
    cgroup_host_close(&stage_host);
    return 0;
}
