/* The sampler on the running kernel, over groups of this test alone (/masu-test-coll-PID). */

#include "base/str.h"
#include "collectors/sampler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAME_SIZE = 64, WRITTEN_BYTES = 8 << 20 };

struct place {
    struct cgroup_host host;
    char name[NAME_SIZE]; /* relative to each mount */
    char path[NAME_SIZE + 1];
    struct sampler *sampler;
    struct sampler_group *group;
};

/* Only where metrics come from; cpuset for one would not take processes without cpus. */
static bool wanted(const struct place *p, unsigned hierarchy)
{
    static const char *const controllers[] = {"cpu", "cpuacct", "memory", "blkio", "io", "pids", ""};
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        if (cgroup_host_find(&p->host, controllers[i]) == (int)hierarchy)
            return true;
    return false;
}

static int hierarchy_of(const struct place *p, const char *controller, const char *v2_controller)
{
    int hierarchy = cgroup_host_find(&p->host, controller);
    return hierarchy >= 0 ? hierarchy : cgroup_host_find(&p->host, v2_controller);
}

static void group_make_in(const struct place *p, unsigned hierarchy)
{
    assert_int_equal(mkdirat(p->host.hierarchies[hierarchy].dirfd, p->name, 0755), 0);
}

static void group_make_all(const struct place *p)
{
    for (unsigned h = 0; h < p->host.count; h++)
        if (wanted(p, h))
            group_make_in(p, h);
}

/* A process that was killed leaves its group a moment after it was waited for. */
static void group_remove_in(const struct place *p, unsigned hierarchy)
{
    int dirfd = p->host.hierarchies[hierarchy].dirfd;
    for (int tries = 0; unlinkat(dirfd, p->name, AT_REMOVEDIR) < 0 && errno == EBUSY && tries < 2000; tries++)
        usleep(1000);
}

static void group_remove_all(const struct place *p)
{
    for (unsigned h = 0; h < p->host.count; h++)
        if (wanted(p, h))
            group_remove_in(p, h);
}

static void put_process(const struct place *p, pid_t pid)
{
    char file[NAME_SIZE + 32];
    for (unsigned h = 0; h < p->host.count; h++) {
        if (!wanted(p, h))
            continue;
        assert_true(str_format(file, sizeof file, "%s/cgroup.procs", p->name));
        int fd = openat(p->host.hierarchies[h].dirfd, file, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_true(dprintf(fd, "%d", (int)pid) > 0);
        close(fd);
    }
}

/* The number in one file of the group, as the kernel prints it. */
static uint64_t file_number(const struct place *p, int hierarchy, const char *name, const char *key)
{
    char path[NAME_SIZE + 64], line[256];
    uint64_t value = UINT64_MAX;
    size_t key_len = strlen(key);
    assert_true(str_format(path, sizeof path, "%s/%s", p->name, name));
    FILE *file = fdopen(openat(p->host.hierarchies[hierarchy].dirfd, path, O_RDONLY | O_CLOEXEC), "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, key_len) == 0 && (!key_len || line[key_len] == ' '))
            value = strtoull(line + key_len, NULL, 10);
    fclose(file);
    return value;
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    *state = p;
    if (geteuid() != 0 || cgroup_host_open("", &p->host) != 0)
        return 0;
    assert_true(str_format(p->name, sizeof p->name, "masu-test-coll-%d", (int)getpid()));
    assert_true(str_format(p->path, sizeof p->path, "/%s", p->name));
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    sampler_group_close(p->sampler, p->group);
    sampler_close(p->sampler);
    group_remove_all(p);
    cgroup_host_close(&p->host);
    free(p);
    return 0;
}

static void follow(struct place *p, unsigned fd_budget)
{
    if (p->host.count == 0) {
        print_message("skipped: needs root and a cgroup hierarchy\n");
        skip();
    }
    group_make_all(p);
    assert_int_equal(sampler_open(&p->host, fd_budget, "", &p->sampler), 0);
    assert_int_equal(sampler_group_open(p->sampler, p->path, &p->group), 0);
}

static char more_memory[4 << 20];

/* The worker takes more memory, and its own child comes into being. */
static void on_move_please(int number)
{
    (void)number;
    memset(more_memory, 1, sizeof more_memory);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
}

/* A child that burns CPU, fills memory, and then waits; SIGUSR1 makes it move. */
static pid_t worker_start(const struct place *p)
{
    int gate[2], done[2];
    char byte = 0;
    assert_int_equal(pipe(gate) | pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGUSR1, on_move_please);
        if (read(gate[0], &byte, 1) != 1)
            _exit(1);
        char *memory = malloc(WRITTEN_BYTES);
        for (size_t i = 0; memory && i < WRITTEN_BYTES; i += 512)
            memory[i] = (char)i;
        if (write(done[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    put_process(p, pid);
    assert_int_equal(write(gate[1], &byte, 1), 1);
    assert_int_equal(read(done[0], &byte, 1), 1);
    close(gate[0]);
    close(gate[1]);
    close(done[0]);
    close(done[1]);
    return pid;
}

static void worker_stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void numbers_equal_what_the_files_say_within(void **state, unsigned fd_budget)
{
    struct place *p = *state;
    struct row row = {.mono_ns = 0};
    follow(p, fd_budget);
    pid_t worker = worker_start(p);
    /* stopped, so that nothing moves between the sampler's look and ours */
    kill(worker, SIGSTOP);
    usleep(100000);
    for (int tick = 0; tick < 2; tick++)
        assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);

    int memory = hierarchy_of(p, "memory", "");
    bool v1_memory = p->host.hierarchies[memory].version == 1;
    const char *anon = v1_memory ? "total_rss" : "anon";
    assert_true(row_has(&row, METRIC_MEMORY_ANON));
    assert_int_equal(row.values[METRIC_MEMORY_ANON], file_number(p, memory, "memory.stat", anon));
    assert_true(row.values[METRIC_MEMORY_ANON] >= WRITTEN_BYTES);
    assert_int_equal(row.values[METRIC_MEMORY_USAGE],
                     file_number(p, memory, v1_memory ? "memory.usage_in_bytes" : "memory.current", ""));
    assert_int_equal(row.values[METRIC_PIDS], 1);
    int cpu = cgroup_host_find(&p->host, "cpuacct");
    uint64_t usec = cpu >= 0 ? file_number(p, cpu, "cpuacct.usage", "") / 1000
                             : file_number(p, cgroup_host_find(&p->host, ""), "cpu.stat", "usage_usec");
    assert_true(usec > 0);
    assert_int_equal(row.values[METRIC_CPU_USAGE], usec);
    if (cgroup_host_find(&p->host, "") >= 0)
        assert_true(row_has(&row, METRIC_MEMORY_PRESSURE_SOME));
    if (fd_budget)
        assert_in_range(sampler_stats(p->sampler).fds_kept, 1, fd_budget);
    worker_stop(worker);
}

static void numbers_equal_what_the_files_say(void **state)
{
    numbers_equal_what_the_files_say_within(state, 0);
}

static void so_they_do_with_five_descriptors(void **state)
{
    numbers_equal_what_the_files_say_within(state, 5);
}

/* While nothing moves, fewer files are read; the first movement shows in every number. */
static void a_movement_after_a_long_sleep_shows_in_every_number(void **state)
{
    struct place *p = *state;
    struct row row = {.mono_ns = 0};
    uint64_t read[6];
    follow(p, 0);
    pid_t worker = worker_start(p);
    usleep(100000);
    for (int tick = 0; tick < 6; tick++) {
        uint64_t before = sampler_stats(p->sampler).files_read;
        assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);
        read[tick] = sampler_stats(p->sampler).files_read - before;
        assert_int_equal(row.values[METRIC_PIDS], 1);
        usleep(20000);
    }
    assert_true(read[5] < read[0]);
    uint64_t peak_before = row.values[METRIC_MEMORY_PEAK];
    kill(worker, SIGUSR1);
    usleep(100000);
    assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);
    assert_int_equal(row.values[METRIC_PIDS], 2);
    assert_true(row.values[METRIC_MEMORY_PEAK] >= peak_before + sizeof more_memory / 2);
    worker_stop(worker);
}

static void a_group_removed_everywhere_is_gone_within(void **state, unsigned fd_budget)
{
    struct place *p = *state;
    struct row row = {.mono_ns = 0};
    follow(p, fd_budget);
    assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);
    group_remove_all(p);
    assert_int_equal(sampler_read(p->sampler, p->group, &row), GROUP_GONE);
    assert_false(row_has(&row, METRIC_MEMORY_USAGE));
    assert_int_equal(sampler_read(p->sampler, p->group, &row), GROUP_GONE);
    assert_int_equal(sampler_stats(p->sampler).fds_kept, 0);
}

static void a_group_removed_everywhere_is_gone(void **state)
{
    a_group_removed_everywhere_is_gone_within(state, 0);
}

static void it_is_gone_with_one_descriptor_too(void **state)
{
    a_group_removed_everywhere_is_gone_within(state, 1);
}

static void a_group_removed_from_one_hierarchy_keeps_the_other_numbers(void **state)
{
    struct place *p = *state;
    struct row row = {.mono_ns = 0};
    follow(p, 0);
    int memory = cgroup_host_find(&p->host, "memory");
    if (p->host.hierarchies[memory].version != 1) {
        print_message("skipped: one hierarchy holds everything here\n");
        skip();
    }
    assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);
    assert_true(row_has(&row, METRIC_MEMORY_USAGE));
    group_remove_in(p, (unsigned)memory);
    assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);
    assert_false(row_has(&row, METRIC_MEMORY_USAGE));
    assert_false(row_has(&row, METRIC_MEMORY_ANON));
    assert_true(row_has(&row, METRIC_PIDS));
    assert_true(row_has(&row, METRIC_CPU_USAGE));
}

static void a_group_made_anew_is_read_by_who_opens_it_anew(void **state)
{
    struct place *p = *state;
    struct row row = {.mono_ns = 0};
    follow(p, 0);
    pid_t worker = worker_start(p);
    assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);
    uint64_t before = row.values[METRIC_CPU_USAGE];
    assert_true(before > 0);
    worker_stop(worker);
    group_remove_all(p);
    group_make_all(p);
    p->group = sampler_group_close(p->sampler, p->group);
    assert_int_equal(sampler_group_open(p->sampler, p->path, &p->group), 0);
    assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);
    assert_true(row_has(&row, METRIC_CPU_USAGE));
    assert_int_equal(row.values[METRIC_CPU_USAGE], 0);
}

static void what_is_made_anew_under_an_open_group_shows_nothing_of_the_old(void **state)
{
    struct place *p = *state;
    struct row row = {.mono_ns = 0};
    follow(p, 0);
    assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);
    group_remove_all(p);
    group_make_all(p);
    assert_int_equal(sampler_read(p->sampler, p->group, &row), 0);
    assert_false(row_has(&row, METRIC_MEMORY_USAGE));
    assert_false(row_has(&row, METRIC_CPU_USAGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_equal_what_the_files_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_they_do_with_five_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_movement_after_a_long_sleep_shows_in_every_number, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_group_removed_everywhere_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_gone_with_one_descriptor_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_removed_from_one_hierarchy_keeps_the_other_numbers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_group_made_anew_is_read_by_who_opens_it_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_made_anew_under_an_open_group_shows_nothing_of_the_old,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
