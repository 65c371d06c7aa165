/* The enforcer on the running kernel, in groups of its own: whatever hierarchies this host has. */

#include "agent/enforcer.h"
#include "base/fs.h"
#include "base/str.h"
#include "cgroup/knob.h"
#include "cgroup/subtree.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BASE "/masu-test-planner-enforcer"
#define MIB UINT64_C(1048576)
#define UNLIMITED KNOB_UNLIMITED

static struct cgroup_host host;
static char dir[64];

static unsigned place(enum knob_id knob)
{
    const struct knob_file *v2 = knob_file(knob, 2);
    int h = cgroup_host_find(&host, v2->controller);
    assert_true(h >= 0);
    return (unsigned)h;
}

static const enum knob_id used[] = {KNOB_CPU_BANDWIDTH, KNOB_MEMORY_LIMIT, KNOB_PIDS};

static void make(const char *path)
{
    uint64_t id;
    for (unsigned k = 0; k < ARRAY_LEN(used); k++) {
        unsigned h = place(used[k]);
        if (host.hierarchies[h].version == 2) {
            char above[256];
            (void)str_copy(above, sizeof above, path);
            char *slash = strrchr(above, '/');
            slash[slash == above] = '\0';
            assert_int_equal(subtree_enable(&host, h, above, knob_file(used[k], 2)->controller), GROUP_OK);
        }
        int r = group_make(&host, h, path, &id);
        assert_true(r == GROUP_OK || r == GROUP_EXISTS);
    }
}

static void unmake(const char *path)
{
    for (unsigned h = 0; h < host.count; h++)
        for (unsigned tries = 0; group_remove(&host, h, path) == GROUP_BUSY && tries < 100; tries++)
            usleep(10000);
}

/* A row of an existing group, from what the kernel holds to @value. */
static void row_add(struct plan *plan, const char *path, enum knob_id knob, uint64_t value, unsigned flags)
{
    unsigned h = place(knob);
    struct plan_row row = {.kind = PLAN_WRITE,
                           .flags = (uint16_t)flags,
                           .knob = (uint16_t)knob,
                           .version = (uint16_t)host.hierarchies[h].version,
                           .hierarchy = host.hierarchies[h].device,
                           .value = value,
                           .path_off = plan_string(plan, path)};
    assert_int_equal(group_id(&host, h, path, &row.cgroup_id), 0);
    assert_int_equal(knob_read(&host, h, path, knob, 0, &row.old_value, &row.old_pair), 0);
    row.pair = row.old_pair;
    assert_int_equal(plan_add(plan, &row), 0);
}

static uint64_t held(const char *path, enum knob_id knob)
{
    uint64_t value, pair;
    assert_int_equal(knob_read(&host, place(knob), path, knob, 0, &value, &pair), 0);
    return value;
}

static struct enforcer *open_with(const struct enforcer_options *options)
{
    struct enforcer *e;
    assert_int_equal(enforcer_open(&host, dir, options, &e), 0);
    return e;
}

static struct plan_outcomes execute(const struct plan *plan, const struct enforcer_options *options)
{
    struct plan_outcomes outcomes;
    struct enforcer *e = open_with(options);
    assert_int_equal(enforcer_execute(e, plan, &outcomes), 0);
    enforcer_close(e);
    return outcomes;
}

static unsigned found_count(void)
{
    struct plan found;
    struct enforcer *e = open_with(NULL);
    assert_int_equal(enforcer_found(e, &found), 0);
    unsigned count = found.row_count;
    plan_fini(&found);
    enforcer_close(e);
    return count;
}

static void forget_files(void)
{
    static const char *const names[] = {"found", "journal"};
    char path[128];
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
}

static int begin(void **state)
{
    (void)state;
    forget_files();
    make(BASE);
    make(BASE "/a");
    make(BASE "/b");
    return 0;
}

static int end(void **state)
{
    (void)state;
    unmake(BASE "/a/c");
    unmake(BASE "/a");
    unmake(BASE "/b");
    unmake(BASE);
    return 0;
}

/* ---- stories */

static void a_plan_is_in_force_and_read_back(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    row_add(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 50000, 0);
    row_add(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 64 * MIB, 0);
    row_add(&plan, BASE "/b", KNOB_PIDS, 20, 0);
    struct plan_outcomes outcomes = execute(&plan, NULL);
    assert_int_equal(outcomes.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes.items[i].error, 0);
        assert_int_equal(outcomes.items[i].undone, 0);
        assert_int_equal(outcomes.items[i].read_back, plan.rows[i].value);
    }
    assert_int_equal(held(BASE "/a", KNOB_CPU_BANDWIDTH), 50000);
    assert_int_equal(held(BASE "/a", KNOB_MEMORY_LIMIT), 64 * MIB);
    assert_int_equal(held(BASE "/b", KNOB_PIDS), 20);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void a_row_that_the_kernel_refuses_undoes_its_group_and_no_other(void **state)
{
    (void)state;
    static const struct {
        enum knob_id knob;
        uint64_t value;
    } good[] = {{KNOB_CPU_BANDWIDTH, 50000}, {KNOB_MEMORY_LIMIT, 64 * MIB}, {KNOB_PIDS, 20}};
    for (unsigned k = 0; k <= ARRAY_LEN(good); k++) { /* the refused one stands at place k */
        struct plan plan = PLAN_NULL;
        for (unsigned i = 0; i <= ARRAY_LEN(good); i++) {
            if (i == k)
                row_add(&plan, BASE "/a", KNOB_CPU_PERIOD, 1000001, 0);
            if (i < ARRAY_LEN(good))
                row_add(&plan, BASE "/a", good[i].knob, good[i].value, 0);
        }
        row_add(&plan, BASE "/b", KNOB_PIDS, 30 + k, 0);
        struct plan_outcomes outcomes = execute(&plan, NULL);
        for (unsigned i = 0; i < k; i++)
            assert_true(outcomes.items[i].error == 0 && outcomes.items[i].undone);
        assert_int_equal(outcomes.items[k].error, -EINVAL);
        for (unsigned i = k + 1; i <= ARRAY_LEN(good); i++)
            assert_int_equal(outcomes.items[i].error, -ECANCELED);
        assert_int_equal(held(BASE "/a", KNOB_CPU_BANDWIDTH), UNLIMITED);
        assert_int_equal(held(BASE "/a", KNOB_MEMORY_LIMIT), UNLIMITED);
        assert_int_equal(held(BASE "/a", KNOB_PIDS), UNLIMITED);
        assert_int_equal(held(BASE "/b", KNOB_PIDS), 30 + k);
        assert_int_equal(found_count(), 1); /* only what was really overwritten */
        plan_outcomes_fini(&outcomes);
        plan_fini(&plan);
    }
}

static void another_group_under_the_same_path_is_not_touched(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    row_add(&plan, BASE "/a", KNOB_PIDS, 20, 0);
    unmake(BASE "/a");
    make(BASE "/a");
    struct plan_outcomes outcomes = execute(&plan, NULL);
    assert_int_equal(outcomes.items[0].error, -ESTALE);
    assert_int_equal(held(BASE "/a", KNOB_PIDS), UNLIMITED);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void remove_at(void *context, uint32_t row)
{
    if (row == *(const uint32_t *)context)
        unmake(BASE "/a");
}

static void a_group_may_vanish_at_each_step(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 4; k++) {
        struct plan plan = PLAN_NULL;
        row_add(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 50000, 0);
        row_add(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 64 * MIB, 0);
        row_add(&plan, BASE "/a", KNOB_PIDS, 20, 0);
        row_add(&plan, BASE "/b", KNOB_PIDS, 30 + k, 0);
        struct plan_outcomes outcomes =
            execute(&plan, &(struct enforcer_options){.before_row = remove_at, .context = &k});
        if (k < 3)
            assert_int_equal(outcomes.items[k].error, -ENOENT);
        assert_int_equal(outcomes.items[3].error, 0);
        assert_int_equal(held(BASE "/b", KNOB_PIDS), 30 + k);
        assert_int_equal(found_count(), 1);
        plan_outcomes_fini(&outcomes);
        plan_fini(&plan);
        make(BASE "/a");
    }
}

static void what_was_there_is_remembered_until_it_is_given_back(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL, found;
    row_add(&plan, BASE "/a", KNOB_PIDS, 20, 0);
    struct plan_outcomes outcomes = execute(&plan, NULL);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
    row_add(&plan, BASE "/a", KNOB_PIDS, 30, 0); /* a second write does not change what was there first */
    outcomes = execute(&plan, NULL);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);

    struct enforcer *e = open_with(NULL);
    assert_int_equal(enforcer_found(e, &found), 0);
    assert_int_equal(found.row_count, 1);
    assert_string_equal(plan_text(&found, found.rows[0].path_off), BASE "/a");
    assert_int_equal(found.rows[0].old_value, UNLIMITED);
    plan_fini(&found);
    enforcer_close(e);

    row_add(&plan, BASE "/a", KNOB_PIDS, UNLIMITED, PLAN_ROW_RESTORE);
    outcomes = execute(&plan, NULL);
    assert_int_equal(outcomes.items[0].error, 0);
    assert_int_equal(held(BASE "/a", KNOB_PIDS), UNLIMITED);
    assert_int_equal(found_count(), 0);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void what_was_there_goes_with_its_group(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    row_add(&plan, BASE "/a", KNOB_PIDS, 20, 0);
    row_add(&plan, BASE "/b", KNOB_PIDS, 20, 0);
    struct plan_outcomes outcomes = execute(&plan, NULL);
    assert_int_equal(found_count(), 2);
    unmake(BASE "/a");
    make(BASE "/a");
    assert_int_equal(found_count(), 1);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void die_at(void *context, uint32_t row)
{
    if (row == *(const uint32_t *)context)
        _exit(9);
}

static void a_killed_enforcer_leaves_a_group_whole(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 4; k++) {
        struct plan plan = PLAN_NULL;
        row_add(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 50000, 0);
        row_add(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 64 * MIB, 0);
        row_add(&plan, BASE "/a", KNOB_PIDS, 20, 0);
        row_add(&plan, BASE "/b", KNOB_PIDS, 30 + k, 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct plan_outcomes outcomes =
                execute(&plan, &(struct enforcer_options){.before_row = die_at, .context = &k});
            _exit(outcomes.count > 0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), 9);

        struct enforcer *e = open_with(NULL);
        bool whole = k == 3;
        assert_int_equal(enforcer_undone_at_start(e), k == 1 || k == 2);
        assert_int_equal(held(BASE "/a", KNOB_CPU_BANDWIDTH), whole ? 50000 : UNLIMITED);
        assert_int_equal(held(BASE "/a", KNOB_MEMORY_LIMIT), whole ? 64 * MIB : UNLIMITED);
        assert_int_equal(held(BASE "/a", KNOB_PIDS), whole ? 20 : UNLIMITED);
        enforcer_close(e);
        assert_int_equal(found_count(), whole ? 3 : 0);
        plan_fini(&plan);
    }
}

static void groups_are_made_filled_and_taken_away_with_their_failure(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    unsigned h = place(KNOB_PIDS);
    if (host.hierarchies[h].version == 2)
        assert_int_equal(subtree_enable(&host, h, BASE "/a", "pids"), GROUP_OK);
    struct plan_row row = {.kind = PLAN_MAKE_GROUP,
                           .version = (uint16_t)host.hierarchies[h].version,
                           .hierarchy = host.hierarchies[h].device,
                           .path_off = plan_string(&plan, BASE "/a/c")};
    assert_int_equal(plan_add(&plan, &row), 0);
    row.kind = PLAN_WRITE;
    row.flags = PLAN_ROW_CREATED;
    row.knob = KNOB_PIDS;
    row.old_value = UNLIMITED;
    row.value = 20;
    assert_int_equal(plan_add(&plan, &row), 0);
    struct plan_outcomes outcomes = execute(&plan, NULL);
    assert_int_equal(outcomes.items[0].error, 0);
    assert_int_equal(outcomes.items[1].error, 0);
    assert_int_equal(held(BASE "/a/c", KNOB_PIDS), 20);
    plan_outcomes_fini(&outcomes);

    unmake(BASE "/a/c");
    plan.rows[1].value = 4194305; /* more than the kernel takes */
    outcomes = execute(&plan, NULL);
    assert_int_equal(outcomes.items[0].undone, 1);
    assert_int_equal(outcomes.items[1].error, -EINVAL);
    assert_false(fs_exists_at(host.hierarchies[h].dirfd, cgroup_below(BASE "/a/c")));
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void a_parent_that_fails_takes_its_widened_child_along_on_v1(void **state)
{
    (void)state;
    if (host.hierarchies[place(KNOB_CPU_BANDWIDTH)].version != 1)
        skip();
    struct plan plan = PLAN_NULL;
    make(BASE "/a/c");
    row_add(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 100000, 0);
    row_add(&plan, BASE "/a/c", KNOB_CPU_BANDWIDTH, 100000, 0);
    struct plan_outcomes outcomes = execute(&plan, NULL);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
    row_add(&plan, BASE "/a", KNOB_CPU_BANDWIDTH, 200000, 0);
    row_add(&plan, BASE "/a/c", KNOB_CPU_BANDWIDTH, 200000, 0);
    row_add(&plan, BASE "/a", KNOB_PIDS, 4194305, 0); /* refused */
    outcomes = execute(&plan, NULL);
    assert_true(outcomes.items[0].undone && outcomes.items[1].undone);
    assert_int_equal(held(BASE "/a", KNOB_CPU_BANDWIDTH), 100000);
    assert_int_equal(held(BASE "/a/c", KNOB_CPU_BANDWIDTH), 100000);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

/* A process in @path that holds memory: pages of its own, or of @file. */
static pid_t hold(const char *path, uint64_t bytes, int file)
{
    int ready[2];
    char done;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        static char block[65536];
        if (group_attach(&host, path, getpid()) != GROUP_OK)
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

static void end_holder(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* it lives: nobody was killed */
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

static void memory_that_cannot_be_taken_back_is_lowered_as_far_as_it_goes(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    pid_t pid = hold(BASE "/a", 32 * MIB, -1);
    row_add(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 8 * MIB, PLAN_ROW_SHRINK);
    row_add(&plan, BASE "/a", KNOB_PIDS, 20, 0);
    struct plan_outcomes outcomes = execute(&plan, NULL);
    assert_true(outcomes.items[0].error == -EBUSY || outcomes.items[0].error == -ETIMEDOUT);
    assert_false(outcomes.items[0].undone);
    assert_in_range(outcomes.items[0].read_back, 32 * MIB, 48 * MIB);
    assert_int_equal(held(BASE "/a", KNOB_MEMORY_LIMIT), outcomes.items[0].read_back);
    assert_int_equal(held(BASE "/a", KNOB_PIDS), 20); /* the rest of the group goes on */
    assert_int_equal(found_count(), 2);
    end_holder(pid);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void page_cache_is_taken_back(void **state)
{
    (void)state;
    struct plan plan = PLAN_NULL;
    char path[] = MASU_BINARY_DIR "/enforcer-test-XXXXXX";
    static char block[65536];
    int file = mkstemp(path);
    if (file < 0) {
        print_message("skipped: no disk under %s whose pages could be taken back\n", MASU_BINARY_DIR);
        plan_fini(&plan);
        skip();
    }
    unlink(path);
    for (uint64_t at = 0; at < 32 * MIB; at += sizeof block)
        assert_int_equal(write(file, block, sizeof block), sizeof block);
    assert_int_equal(fdatasync(file), 0);
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0); /* so that the reader is charged */
    pid_t pid = hold(BASE "/a", 32 * MIB, file);
    row_add(&plan, BASE "/a", KNOB_MEMORY_LIMIT, 8 * MIB, PLAN_ROW_SHRINK);
    struct plan_outcomes outcomes = execute(&plan, &(struct enforcer_options){.shrink_ns = 30000000000});
    assert_int_equal(outcomes.items[0].error, 0);
    assert_int_equal(held(BASE "/a", KNOB_MEMORY_LIMIT), 8 * MIB);
    end_holder(pid);
    close(file);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static int open_host(void **state)
{
    (void)state;
    (void)str_copy(dir, sizeof dir, "/tmp/masu-enforcer-test-XXXXXX");
    return geteuid() != 0 || !mkdtemp(dir) ? -1 : cgroup_host_open("", &host);
}

static int close_host(void **state)
{
    (void)state;
    forget_files();
    rmdir(dir);
    cgroup_host_close(&host);
    return 0;
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_plan_is_in_force_and_read_back),
        STORY(a_row_that_the_kernel_refuses_undoes_its_group_and_no_other),
        STORY(another_group_under_the_same_path_is_not_touched),
        STORY(a_group_may_vanish_at_each_step),
        STORY(what_was_there_is_remembered_until_it_is_given_back),
        STORY(what_was_there_goes_with_its_group),
        STORY(a_killed_enforcer_leaves_a_group_whole),
        STORY(groups_are_made_filled_and_taken_away_with_their_failure),
        STORY(a_parent_that_fails_takes_its_widened_child_along_on_v1),
        STORY(memory_that_cannot_be_taken_back_is_lowered_as_far_as_it_goes),
        STORY(page_cache_is_taken_back),
    };
    return cmocka_run_group_tests(tests, open_host, close_host);
}
