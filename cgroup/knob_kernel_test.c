#include "cgroup/kernel_test.h"
#include "cgroup/knob.h"
#include <sys/sysmacros.h>

#define MIB (UINT64_C(1) << 20)

struct story {
    struct kernel *kernel;
    struct knob_support support[KNOB_N];
    const char *group;
};

static int setup(void **state)
{
    *state = kernel_open("knob");
    return 0;
}

static int teardown(void **state)
{
    if (*state)
        kernel_close(*state);
    return 0;
}

/* A group whose @controller files are there. */
static struct story need(void **state, const char *v1_controller, const char *v2_controller)
{
    if (!*state)
        SKIP("no cgroups to work with");
    struct story s = {.kernel = *state, .group = ((struct kernel *)*state)->top};
    bool v1 = cgroup_host_find(&s.kernel->host, v1_controller) >= 0;
    kernel_hand_down(s.kernel, v1 ? v1_controller : v2_controller, "/");
    knob_support_probe(&s.kernel->host, s.group, s.support);
    return s;
}

static unsigned hierarchy_of(const struct story *s, enum knob_id knob)
{
    if (s->support[knob].refusal)
        SKIP("%s: %s", knobs[knob].key, s->support[knob].refusal);
    return (unsigned)s->support[knob].hierarchy;
}

static void write_knob(const struct story *s, enum knob_id knob, uint32_t device, uint64_t value,
                       uint64_t pair)
{
    unsigned h = hierarchy_of(s, knob);
    assert_int_equal(knob_write(&s->kernel->host, h, s->group, knob, device, value, pair), 0);
}

/* What the kernel holds, absent rules being unlimited. */
static uint64_t read_knob(const struct story *s, enum knob_id knob, uint32_t device)
{
    uint64_t value, pair;
    int r = knob_read(&s->kernel->host, hierarchy_of(s, knob), s->group, knob, device, &value, &pair);
    if (r == -ENOENT && device)
        return KNOB_UNLIMITED;
    assert_int_equal(r, 0);
    return value;
}

static void assert_kept(const struct story *s, enum knob_id knob, uint32_t device, uint64_t value,
                        uint64_t pair)
{
    write_knob(s, knob, device, value, pair);
    assert_int_equal(read_knob(s, knob, device), value);
}

static void cpu_knobs_keep_what_is_written(void **state)
{
    struct story s = need(state, "cpu", "cpu");
    assert_kept(&s, KNOB_CPU_BANDWIDTH, 0, 150000, 100000);
    assert_kept(&s, KNOB_CPU_PERIOD, 0, 50000, 150000);
    assert_int_equal(read_knob(&s, KNOB_CPU_BANDWIDTH, 0), 150000);
    if (!s.support[KNOB_CPU_BURST].refusal) {
        assert_kept(&s, KNOB_CPU_BURST, 0, 20000, 0);
        assert_kept(&s, KNOB_CPU_BURST, 0, 0, 0);
    }
    assert_kept(&s, KNOB_CPU_BANDWIDTH, 0, KNOB_UNLIMITED, 50000);
    assert_int_equal(read_knob(&s, KNOB_CPU_PERIOD, 0), 50000);
    int version = s.kernel->host.hierarchies[hierarchy_of(&s, KNOB_CPU_WEIGHT)].version;
    assert_kept(&s, KNOB_CPU_WEIGHT, 0, knob_normalise(KNOB_CPU_WEIGHT, version, 250), 0);
    assert_kept(&s, KNOB_CPU_WEIGHT, 0, knob_normalise(KNOB_CPU_WEIGHT, version, 1), 0);
    assert_kept(&s, KNOB_CPU_WEIGHT, 0, knob_normalise(KNOB_CPU_WEIGHT, version, 10000), 0);
}

static void memory_knobs_keep_what_is_written(void **state)
{
    struct story s = need(state, "memory", "memory");
    write_knob(&s, KNOB_MEMORY_LIMIT, 0, 64 * MIB + 1, 0);
    assert_int_equal(read_knob(&s, KNOB_MEMORY_LIMIT, 0), knob_normalise(KNOB_MEMORY_LIMIT, 1, 64 * MIB + 1));
    if (!s.support[KNOB_MEMORY_SWAP].refusal) {
        assert_kept(&s, KNOB_MEMORY_SWAP, 0, 32 * MIB, 64 * MIB);
        assert_kept(&s, KNOB_MEMORY_SWAP, 0, 0, 64 * MIB);
        assert_kept(&s, KNOB_MEMORY_SWAP, 0, KNOB_UNLIMITED, 64 * MIB);
    }
    assert_kept(&s, KNOB_MEMORY_LIMIT, 0, KNOB_UNLIMITED, 0);
}

static void pids_keep_what_is_written(void **state)
{
    struct story s = need(state, "pids", "pids");
    assert_kept(&s, KNOB_PIDS, 0, 200, 0);
    assert_kept(&s, KNOB_PIDS, 0, 0, 0);
    assert_kept(&s, KNOB_PIDS, 0, KNOB_UNLIMITED, 0);
}

/* A whole disk, a loop device if there is one; 0: none. */
static uint32_t some_disk(void)
{
    DIR *dir = opendir("/sys/block");
    uint32_t device = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char name[PATH_MAX], text[32];
        unsigned major_number, minor_number;
        if (entry->d_name[0] == '.' || (device && !str_starts(entry->d_name, "loop")) ||
            !str_format(name, sizeof name, "/sys/block/%s/dev", entry->d_name) ||
            fs_read_at(AT_FDCWD, name, text, sizeof text) <= 0 ||
            sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
            continue;
        device = (uint32_t)makedev(major_number, minor_number);
    }
    if (dir)
        closedir(dir);
    return device;
}

static void throttles_keep_what_is_written(void **state)
{
    static const enum knob_id throttles[] = {KNOB_IO_READ, KNOB_IO_WRITE, KNOB_IO_READ_IOPS,
                                             KNOB_IO_WRITE_IOPS};
    struct story s = need(state, "blkio", "io");
    uint32_t disk = some_disk();
    if (!disk)
        SKIP("no block device");
    for (size_t i = 0; i < ARRAY_LEN(throttles); i++)
        assert_kept(&s, throttles[i], disk, 1000000 + i, 0);
    struct knob_set set;
    assert_int_equal(knob_read_all(&s.kernel->host, s.support, s.group, &set), 0);
    for (size_t i = 0; i < ARRAY_LEN(throttles); i++) {
        const struct knob_setting *setting = knob_set_get(&set, throttles[i], disk);
        assert_non_null(setting);
        assert_int_equal(setting->value, 1000000 + i);
    }
    for (size_t i = 0; i < ARRAY_LEN(throttles); i++)
        assert_kept(&s, throttles[i], disk, KNOB_UNLIMITED, 0);
    assert_int_equal(knob_read_all(&s.kernel->host, s.support, s.group, &set), 0);
    assert_null(knob_set_get(&set, KNOB_IO_READ, disk));
    int r = knob_write(&s.kernel->host, hierarchy_of(&s, KNOB_IO_READ), s.group, KNOB_IO_READ,
                       (uint32_t)makedev(4000, 1), 1000000, 0);
    assert_int_equal(r, -ENODEV);
}

static void a_new_group_reads_as_the_kernel_made_it(void **state)
{
    struct story s = need(state, "memory", "memory");
    struct knob_set set;
    assert_int_equal(knob_read_all(&s.kernel->host, s.support, s.group, &set), 0);
    const struct knob_setting *limit = knob_set_get(&set, KNOB_MEMORY_LIMIT, 0);
    assert_non_null(limit);
    assert_int_equal(limit->value, KNOB_UNLIMITED);
    assert_int_equal(knob_read_all(&s.kernel->host, s.support, kernel_path(s.kernel, "/gone"), &set),
                     GROUP_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cpu_knobs_keep_what_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_knobs_keep_what_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(pids_keep_what_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(throttles_keep_what_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_group_reads_as_the_kernel_made_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
