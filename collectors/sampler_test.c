/* The sampler over the files of three kernels, as they were captured while a container ran in /web. */

#include "collectors/sampler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define KERNEL(name) MASU_SOURCE_DIR "/tests/fixtures/kernels/" name

struct fixture {
    struct cgroup_host host;
    struct sampler *sampler;
};

static void fixture_open(struct fixture *f, const char *root, unsigned fd_budget)
{
    assert_int_equal(cgroup_host_open(root, &f->host), 0);
    assert_int_equal(sampler_open(&f->host, fd_budget, root, &f->sampler), 0);
}

static void fixture_close(struct fixture *f)
{
    f->sampler = sampler_close(f->sampler);
    cgroup_host_close(&f->host);
}

static struct row read_path(struct sampler *sampler, const char *path)
{
    struct sampler_group *group = NULL;
    struct row row = {.mono_ns = 0};
    assert_int_equal(sampler_group_open(sampler, path, &group), 0);
    assert_int_equal(sampler_read(sampler, group, &row), 0);
    sampler_group_close(sampler, group);
    return row;
}

/* What one kernel's /web holds; ABSENT for what it does not tell. */
#define ABSENT UINT64_MAX
struct expected {
    enum metric_id metric;
    uint64_t value;
};

static void assert_row(const struct row *row, const struct expected *expected, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum metric_id id = expected[i].metric;
        if (expected[i].value == ABSENT && row_has(row, id))
            fail_msg("%s is %lu, should be absent", metrics[id].name, (unsigned long)row->values[id]);
        if (expected[i].value != ABSENT && (!row_has(row, id) || row->values[id] != expected[i].value))
            fail_msg("%s is %lu (%d), should be %lu", metrics[id].name, (unsigned long)row->values[id],
                     row_has(row, id), (unsigned long)expected[i].value);
    }
}

static const struct expected hybrid_web[] = {
    {METRIC_CPU_USAGE, 2486502}, /* cpuacct's nanoseconds as microseconds */
    {METRIC_CPU_USER, 2036000},
    {METRIC_CPU_PERIODS, 124},
    {METRIC_CPU_THROTTLED, 7146339},
    {METRIC_MEMORY_USAGE, 26218496},
    {METRIC_MEMORY_PEAK, 27713536},
    {METRIC_MEMORY_ANON, 86016},
    {METRIC_MEMORY_FILE, 25407488},
    {METRIC_MEMORY_KERNEL, 704512},
    {METRIC_MEMORY_TCP, 0},
    {METRIC_MEMORY_INACTIVE_FILE, 25169920},
    {METRIC_MEMORY_REFAULTS, 37},
    {METRIC_MEMORY_PAGE_FAULTS, 1190},
    {METRIC_MEMORY_SCANNED, ABSENT}, /* v1 does not tell */
    {METRIC_MEMORY_OOM_KILLS, 0},
    {METRIC_PIDS, 1},
    {METRIC_IO_READ_BYTES, 25403392},
    {METRIC_IO_WRITES, 9},
    {METRIC_CPU_PRESSURE_SOME, 9029905}, /* from the unified tree */
    {METRIC_IO_PRESSURE_FULL, 19805},
    {METRIC_CPU_LIMIT, ABSENT},
    {METRIC_NETWORK_RECEIVE_BYTES, ABSENT},
};

static const struct expected v2_web[] = {
    {METRIC_CPU_USAGE, 2588818},         {METRIC_CPU_SYSTEM, 643851},
    {METRIC_CPU_THROTTLED_PERIODS, 128}, {METRIC_CPU_THROTTLED, 10276573},
    {METRIC_MEMORY_USAGE, 8544256},      {METRIC_MEMORY_PEAK, 16777216},
    {METRIC_MEMORY_ANON, 16384},         {METRIC_MEMORY_SHMEM, 8388608},
    {METRIC_MEMORY_KERNEL, 24576},       {METRIC_MEMORY_SWAP, 0},
    {METRIC_MEMORY_SCANNED, 3675},       {METRIC_MEMORY_LIMIT_HITS, 75},
    {METRIC_MEMORY_OOM_KILLS, 0},        {METRIC_PIDS, 1},
    {METRIC_IO_READ_BYTES, 22020096},    {METRIC_IO_READS, 21},
    {METRIC_IO_WRITE_BYTES, 0},          {METRIC_MEMORY_PRESSURE_SOME, 157924},
};

/* No controller is enabled below /web: its child has the core's files only. */
static const struct expected v2_bare[] = {
    {METRIC_CPU_USAGE, 0},         {METRIC_CPU_PERIODS, ABSENT},
    {METRIC_MEMORY_USAGE, ABSENT}, {METRIC_MEMORY_ANON, ABSENT},
    {METRIC_PIDS, ABSENT},         {METRIC_IO_READ_BYTES, ABSENT},
    {METRIC_CPU_PRESSURE_SOME, 0}, {METRIC_MEMORY_LIMIT_HITS, ABSENT},
};

static const struct expected v1_web[] = {
    {METRIC_CPU_USAGE, 2936124},        {METRIC_CPU_THROTTLED_PERIODS, 145},
    {METRIC_MEMORY_USAGE, 8540160},     {METRIC_MEMORY_LIMIT_HITS, 3725},
    {METRIC_MEMORY_SHMEM, 8388608},     {METRIC_PIDS_LIMIT_HITS, 0},
    {METRIC_IO_READ_BYTES, 22020096},   {METRIC_IO_WRITE_BYTES, 0},
    {METRIC_CPU_PRESSURE_SOME, ABSENT}, /* no cgroup2 is mounted */
};

static const struct {
    const char *root, *path;
    const struct expected *expected;
    size_t count;
} kernels[] = {
    {KERNEL("v6.18-hybrid"), "/web", hybrid_web, ARRAY_LEN(hybrid_web)},
    {KERNEL("v6.1-v2"), "/web", v2_web, ARRAY_LEN(v2_web)},
    {KERNEL("v6.1-v2"), "/web/bare", v2_bare, ARRAY_LEN(v2_bare)},
    {KERNEL("v6.1-v1"), "/web", v1_web, ARRAY_LEN(v1_web)},
};

static void each_kernel_gives_what_its_files_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
        struct fixture f = {.host = CGROUP_HOST_NULL};
        fixture_open(&f, kernels[i].root, 0);
        struct row row = read_path(f.sampler, kernels[i].path);
        assert_row(&row, kernels[i].expected, kernels[i].count);
        assert_true(row.mono_ns > 0 && row.wall_ns > 0);
        fixture_close(&f);
    }
}

static void a_budget_of_five_descriptors_still_gives_every_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
        struct fixture f = {.host = CGROUP_HOST_NULL};
        struct sampler_group *group = NULL;
        struct row row = {.mono_ns = 0};
        fixture_open(&f, kernels[i].root, 5);
        assert_int_equal(sampler_group_open(f.sampler, kernels[i].path, &group), 0);
        for (int tick = 0; tick < 3; tick++) {
            assert_int_equal(sampler_read(f.sampler, group, &row), 0);
            assert_row(&row, kernels[i].expected, kernels[i].count);
            assert_in_range(sampler_stats(f.sampler).fds_kept, 1, 5);
        }
        sampler_group_close(f.sampler, group);
        assert_int_equal(sampler_stats(f.sampler).fds_kept, 0);
        fixture_close(&f);
    }
}

static void after_the_first_tick_nothing_is_opened_any_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
        struct fixture f = {.host = CGROUP_HOST_NULL};
        struct sampler_group *group = NULL;
        struct row row = {.mono_ns = 0};
        fixture_open(&f, kernels[i].root, 1000);
        assert_int_equal(sampler_group_open(f.sampler, kernels[i].path, &group), 0);
        assert_int_equal(sampler_read(f.sampler, group, &row), 0);
        struct sampler_stats first = sampler_stats(f.sampler);
        assert_int_equal(sampler_read(f.sampler, group, &row), 0);
        struct sampler_stats second = sampler_stats(f.sampler);
        assert_int_equal(second.opens, first.opens);
        assert_int_equal(second.files_read, 2 * first.files_read);
        assert_int_equal(second.fds_kept, first.files_read);
        sampler_group_close(f.sampler, group);
        fixture_close(&f);
    }
}

static void of_a_group_that_stands_still_less_is_read_and_nothing_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
        struct fixture f = {.host = CGROUP_HOST_NULL};
        struct sampler_group *group = NULL;
        uint64_t read[4];
        fixture_open(&f, kernels[i].root, 0);
        assert_int_equal(sampler_group_open(f.sampler, kernels[i].path, &group), 0);
        for (int tick = 0; tick < 4; tick++) {
            struct row row = {.mono_ns = 0};
            uint64_t before = sampler_stats(f.sampler).files_read;
            assert_int_equal(sampler_read(f.sampler, group, &row), 0);
            read[tick] = sampler_stats(f.sampler).files_read - before;
            assert_row(&row, kernels[i].expected, kernels[i].count);
        }
        assert_int_equal(read[1], read[0]); /* once more after the last movement */
        assert_int_equal(read[3], read[2]);
        if (kernels[i].expected != v2_bare) /* all it has moves by itself */
            assert_true(read[2] < read[0]);
        sampler_group_close(f.sampler, group);
        fixture_close(&f);
    }
}

static void metrics_of_netlink_and_of_the_agent_are_left_as_they_are(void **state)
{
    (void)state;
    struct fixture f = {.host = CGROUP_HOST_NULL};
    struct sampler_group *group = NULL;
    struct row row = {.mono_ns = 0};
    fixture_open(&f, KERNEL("v6.1-v2"), 0);
    row_set(&row, METRIC_MEMORY_LIMIT, 16777216);
    row_set(&row, METRIC_NETWORK_RECEIVE_BYTES, 1500);
    row_set(&row, METRIC_MEMORY_USAGE, 1);
    assert_int_equal(sampler_group_open(f.sampler, "/web/bare", &group), 0);
    assert_int_equal(sampler_read(f.sampler, group, &row), 0);
    assert_int_equal(row.values[METRIC_MEMORY_LIMIT], 16777216);
    assert_int_equal(row.values[METRIC_NETWORK_RECEIVE_BYTES], 1500);
    assert_false(row_has(&row, METRIC_MEMORY_USAGE));
    sampler_group_close(f.sampler, group);
    fixture_close(&f);
}

static void a_group_in_one_hierarchy_only_has_that_ones_numbers(void **state)
{
    (void)state;
    static const struct expected narrow[] = {{METRIC_CPU_PERIODS, 3},
                                             {METRIC_CPU_USAGE, ABSENT},
                                             {METRIC_MEMORY_USAGE, ABSENT},
                                             {METRIC_PIDS, ABSENT}};
    struct fixture f = {.host = CGROUP_HOST_NULL};
    fixture_open(&f, KERNEL("v6.18-hybrid"), 0);
    struct row row = read_path(f.sampler, "/narrow");
    assert_row(&row, narrow, ARRAY_LEN(narrow));
    fixture_close(&f);
}

static void blkio_without_a_throttle_rule_is_absent_not_zero(void **state)
{
    (void)state;
    struct fixture f = {.host = CGROUP_HOST_NULL};
    fixture_open(&f, KERNEL("v6.18-hybrid"), 0);
    struct row row = read_path(f.sampler, "/idle");
    assert_false(row_has(&row, METRIC_IO_READ_BYTES));
    assert_false(row_has(&row, METRIC_IO_WRITES));
    fixture_close(&f);
}

static void bytes_that_passed_a_logical_volume_are_counted_once(void **state)
{
    (void)state;
    struct fixture f = {.host = CGROUP_HOST_NULL};
    fixture_open(&f, KERNEL("v6.1-v2"), 0);
    struct row row = read_path(f.sampler, "/on-lvm");
    assert_int_equal(row.values[METRIC_IO_READ_BYTES], 4096);
    assert_int_equal(row.values[METRIC_IO_WRITES], 2);
    fixture_close(&f);
}

static void the_roots_memory_stat_is_never_read(void **state)
{
    (void)state;
    struct fixture f = {.host = CGROUP_HOST_NULL};
    fixture_open(&f, KERNEL("v6.1-v1"), 0); /* the fixture's root has one */
    struct row row = read_path(f.sampler, "/");
    assert_false(row_has(&row, METRIC_MEMORY_ANON));
    assert_true(row_has(&row, METRIC_MEMORY_USAGE));
    fixture_close(&f);
}

static void a_path_that_is_nowhere_is_gone(void **state)
{
    (void)state;
    struct fixture f = {.host = CGROUP_HOST_NULL};
    struct sampler_group *group = NULL;
    fixture_open(&f, KERNEL("v6.1-v2"), 0);
    assert_int_equal(sampler_group_open(f.sampler, "/nowhere", &group), GROUP_GONE);
    assert_null(group);
    fixture_close(&f);
}

static void the_hosts_row_comes_from_proc(void **state)
{
    (void)state;
    static const struct expected host[] = {
        {METRIC_CPU_USER, 1770000},   /* 177 + 0 ticks of 10 ms */
        {METRIC_CPU_SYSTEM, 5710000}, /* 550 + 0 + 21 */
        {METRIC_CPU_USAGE, 7480000},
        {METRIC_CPU_LIMIT, 2000000},
        {METRIC_MEMORY_LIMIT, UINT64_C(480016) * 1024},
        {METRIC_MEMORY_USAGE, (UINT64_C(480016) - UINT64_C(444200)) * 1024},
        {METRIC_MEMORY_SWAP, 0},
        {METRIC_PIDS, 55},
        /* the disk only: not its partition, not what lies on it */
        {METRIC_IO_READS, 143468},
        {METRIC_IO_READ_BYTES, UINT64_C(10358178) * 512},
        {METRIC_IO_WRITES, 41916},
        {METRIC_IO_WRITE_BYTES, UINT64_C(6014608) * 512},
    };
    struct fixture f = {.host = CGROUP_HOST_NULL};
    struct row row = {.mono_ns = 0};
    fixture_open(&f, KERNEL("v6.1-v2"), 0);
    assert_int_equal(sampler_read_host(f.sampler, &row), 0);
    assert_row(&row, host, ARRAY_LEN(host));
    assert_true(row_has(&row, METRIC_CPU_PRESSURE_SOME));
    assert_true(row_has(&row, METRIC_MEMORY_PRESSURE_FULL));
    assert_true(row_has(&row, METRIC_MEMORY_PAGE_FAULTS));
    fixture_close(&f);
}

/* The rest of the descriptors is for plans, policies, and a quarter for those who wait for pressure. */
static void kept_files_leave_a_quarter_of_the_descriptors_alone(void **state)
{
    (void)state;
    struct rlimit before, few;
    struct fixture f;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 4000;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    fixture_open(&f, KERNEL("v6.1-v1"), 0);
    assert_in_range(sampler_stats(f.sampler).fds_budget, 1, 2999);
    fixture_close(&f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kernel_gives_what_its_files_say),
        cmocka_unit_test(a_budget_of_five_descriptors_still_gives_every_number),
        cmocka_unit_test(after_the_first_tick_nothing_is_opened_any_more),
        cmocka_unit_test(of_a_group_that_stands_still_less_is_read_and_nothing_lost),
        cmocka_unit_test(metrics_of_netlink_and_of_the_agent_are_left_as_they_are),
        cmocka_unit_test(a_group_in_one_hierarchy_only_has_that_ones_numbers),
        cmocka_unit_test(blkio_without_a_throttle_rule_is_absent_not_zero),
        cmocka_unit_test(bytes_that_passed_a_logical_volume_are_counted_once),
        cmocka_unit_test(the_roots_memory_stat_is_never_read),
        cmocka_unit_test(a_path_that_is_nowhere_is_gone),
        cmocka_unit_test(kept_files_leave_a_quarter_of_the_descriptors_alone),
        cmocka_unit_test(the_hosts_row_comes_from_proc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
