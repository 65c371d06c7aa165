#include "cgroup/fixture_test.h"
#include "cgroup/knob.h"
#include <errno.h>
#include <sys/sysmacros.h>

#define MIB (UINT64_C(1) << 20)
#define SDB ((uint32_t)makedev(8, 16))

enum { V1, V2 }; /* the fixture's hierarchies */

static void open_support(const char *name, const char *probe_path, struct knob_support support[KNOB_N])
{
    char root[CGROUP_MOUNT_MAX];
    struct cgroup_host host;
    assert_true(str_format(root, sizeof root, MASU_SOURCE_DIR "/tests/fixtures/mounts/%s", name));
    assert_int_equal(cgroup_host_open(root, &host), 0);
    knob_support_probe(&host, probe_path, support);
    cgroup_host_close(&host);
}

static void assert_refused(const struct knob_support *support, const char *words)
{
    assert_int_equal(support->hierarchy, -1);
    assert_non_null(support->refusal);
    assert_non_null(strstr(support->refusal, words));
}

static void assert_supported(const struct knob_support *support)
{
    assert_null(support->refusal);
    assert_true(support->hierarchy >= 0);
}

static void a_controller_that_is_nowhere_is_named(void **state)
{
    (void)state;
    struct knob_support support[KNOB_N];
    open_support("unified-beside", NULL, support);
    assert_refused(&support[KNOB_PIDS], "the pids controller is not available on this host: ");
    assert_refused(&support[KNOB_IO_READ], "the io (blkio on cgroup v1) controller is not available");
    assert_supported(&support[KNOB_CPU_BANDWIDTH]);
}

static void a_v1_kernel_without_swap_accounting_says_so(void **state)
{
    (void)state;
    struct knob_support support[KNOB_N];
    open_support("hybrid", "/lxc", support);
    assert_supported(&support[KNOB_MEMORY_LIMIT]);
    assert_refused(&support[KNOB_MEMORY_SWAP], "this kernel does not account swap");
    assert_refused(&support[KNOB_CPU_BURST], "5.14");
    assert_supported(&support[KNOB_IO_WRITE_IOPS]);
    assert_supported(&support[KNOB_PIDS]);
}

static void a_missing_probe_group_is_replaced_by_any_child(void **state)
{
    (void)state;
    struct knob_support support[KNOB_N];
    open_support("hybrid", "/no/such/group", support);
    assert_refused(&support[KNOB_MEMORY_SWAP], "this kernel does not account swap");
    open_support("hybrid", NULL, support);
    assert_refused(&support[KNOB_MEMORY_SWAP], "this kernel does not account swap");
}

static void a_controller_not_handed_down_yet_is_no_refusal(void **state)
{
    (void)state;
    struct knob_support support[KNOB_N];
    open_support("unified-beside", "/init", support); /* has no cpu.max, its parent enables nothing */
    assert_supported(&support[KNOB_CPU_BANDWIDTH]);
    assert_supported(&support[KNOB_MEMORY_SWAP]);
}

static void all_of_unified_is_supported(void **state)
{
    (void)state;
    struct knob_support support[KNOB_N];
    open_support("unified", NULL, support);
    for (int knob = 0; knob < KNOB_N; knob++)
        assert_supported(&support[knob]);
}

static uint64_t value_of(const struct knob_set *set, enum knob_id knob, uint32_t device)
{
    const struct knob_setting *setting = knob_set_get(set, knob, device);
    assert_non_null(setting);
    return setting->value;
}

static void a_v1_group_is_read_whole(void **state)
{
    (void)state;
    struct fixture *f = fixture_open("cpu,memory,blkio", "pids\n");
    fixture_put(f, "/one/a/cpu.cfs_quota_us", "150000\n");
    fixture_put(f, "/one/a/cpu.cfs_period_us", "100000\n");
    fixture_put(f, "/one/a/cpu.cfs_burst_us", "0\n");
    fixture_put(f, "/one/a/cpu.shares", "1024\n");
    fixture_put(f, "/one/a/memory.limit_in_bytes", "134217728\n");
    fixture_put(f, "/one/a/memory.memsw.limit_in_bytes", "201326592\n");
    fixture_put(f, "/one/a/blkio.throttle.read_bps_device", "8:0 1000000\n8:16 2000000\n");
    fixture_put(f, "/one/a/blkio.throttle.write_bps_device", "");
    fixture_put(f, "/two/a/pids.max", "200\n");
    struct knob_support support[KNOB_N];
    struct knob_set set;
    knob_support_probe(&f->host, "/a", support);
    assert_int_equal(knob_read_all(&f->host, support, "/a", &set), 0);
    assert_int_equal(value_of(&set, KNOB_CPU_BANDWIDTH, 0), 150000);
    assert_int_equal(value_of(&set, KNOB_CPU_WEIGHT, 0), 1024);
    assert_int_equal(value_of(&set, KNOB_MEMORY_SWAP, 0), 64 * MIB);
    assert_int_equal(value_of(&set, KNOB_PIDS, 0), 200);
    assert_int_equal(value_of(&set, KNOB_IO_READ, SDB), 2000000);
    assert_null(knob_set_get(&set, KNOB_IO_WRITE, SDB));
    uint64_t value, pair;
    assert_int_equal(knob_read(&f->host, V1, "/a", KNOB_MEMORY_SWAP, 0, &value, &pair), 0);
    assert_int_equal(value, 64 * MIB);
    assert_int_equal(pair, 128 * MIB);
    fixture_close(f);
}

static void a_v2_group_is_read_whole(void **state)
{
    (void)state;
    struct fixture *f = fixture_open("freezer", "cpu memory io pids\n");
    fixture_put(f, "/two/a/cgroup.controllers", "cpu memory io pids\n");
    fixture_put(f, "/two/a/cpu.max", "max 50000\n");
    fixture_put(f, "/two/a/cpu.weight", "100\n");
    fixture_put(f, "/two/a/memory.max", "134217728\n");
    fixture_put(f, "/two/a/memory.swap.max", "0\n");
    fixture_put(f, "/two/a/io.max", "8:16 rbps=max wbps=2000000 riops=max wiops=max\n");
    fixture_put(f, "/two/a/pids.max", "max\n");
    struct knob_support support[KNOB_N];
    struct knob_set set;
    knob_support_probe(&f->host, "/a", support);
    assert_refused(&support[KNOB_CPU_BURST], "5.14");
    assert_int_equal(knob_read_all(&f->host, support, "/a", &set), 0);
    assert_int_equal(value_of(&set, KNOB_CPU_BANDWIDTH, 0), KNOB_UNLIMITED);
    assert_int_equal(value_of(&set, KNOB_CPU_PERIOD, 0), 50000);
    assert_int_equal(value_of(&set, KNOB_MEMORY_SWAP, 0), 0);
    assert_int_equal(value_of(&set, KNOB_IO_WRITE, SDB), 2000000);
    assert_null(knob_set_get(&set, KNOB_IO_READ, SDB));
    assert_null(knob_set_get(&set, KNOB_CPU_BURST, 0));
    assert_int_equal(value_of(&set, KNOB_PIDS, 0), KNOB_UNLIMITED);
    fixture_close(f);
}

static void a_vanished_group_is_a_result(void **state)
{
    (void)state;
    struct fixture *f = fixture_open("memory", "pids\n");
    fixture_dir(f, "/two/half");
    struct knob_support support[KNOB_N];
    struct knob_set set;
    uint64_t value, pair;
    knob_support_probe(&f->host, NULL, support);
    assert_int_equal(knob_read_all(&f->host, support, "/gone", &set), GROUP_GONE);
    assert_int_equal(knob_read(&f->host, V1, "/gone", KNOB_MEMORY_LIMIT, 0, &value, &pair), GROUP_GONE);
    assert_int_equal(knob_write(&f->host, V1, "/gone", KNOB_MEMORY_LIMIT, 0, 64 * MIB, 0), GROUP_GONE);
    assert_int_equal(knob_read_all(&f->host, support, "/half", &set), 0);
    assert_int_equal(set.count, 0);
    assert_int_equal(knob_read(&f->host, V2, "/half", KNOB_PIDS, 0, &value, &pair), -ENOENT);
    assert_int_equal(knob_write(&f->host, V2, "/half", KNOB_PIDS, 0, 10, 0), -ENOENT);
    fixture_close(f);
}

static void a_forbidden_value_reaches_no_file(void **state)
{
    (void)state;
    struct fixture *f = fixture_open("memory", "pids\n");
    fixture_put(f, "/one/a/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(knob_write(&f->host, V1, "/a", KNOB_MEMORY_LIMIT, 0, 4095, 0), -EINVAL);
    uint64_t value, pair;
    assert_int_equal(knob_read(&f->host, V1, "/a", KNOB_MEMORY_LIMIT, 0, &value, &pair), 0);
    assert_int_equal(value, KNOB_UNLIMITED);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_controller_that_is_nowhere_is_named),
        cmocka_unit_test(a_v1_kernel_without_swap_accounting_says_so),
        cmocka_unit_test(a_missing_probe_group_is_replaced_by_any_child),
        cmocka_unit_test(a_controller_not_handed_down_yet_is_no_refusal),
        cmocka_unit_test(all_of_unified_is_supported),
        cmocka_unit_test(a_v1_group_is_read_whole),
        cmocka_unit_test(a_v2_group_is_read_whole),
        cmocka_unit_test(a_vanished_group_is_a_result),
        cmocka_unit_test(a_forbidden_value_reaches_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
