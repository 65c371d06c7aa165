#include "model/knob.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *formatted(enum knob_id id, uint64_t value, uint64_t period_usec)
{
    static char buf[64];
    return knob_format(id, value, period_usec, buf, sizeof buf);
}

static void every_key_finds_its_row(void **state)
{
    (void)state;
    for (int i = 0; i < KNOB_N; i++)
        assert_int_equal(knob_find(knobs[i].key), i);
    assert_int_equal(knob_find("memory.limit"), KNOB_MEMORY_LIMIT);
    assert_int_equal(knob_find("memory"), -1);
    assert_string_equal(knob_file(KNOB_MEMORY_LIMIT, 1)->file, "memory.limit_in_bytes");
    assert_string_equal(knob_file(KNOB_MEMORY_LIMIT, 2)->file, "memory.max");
}

static void a_set_stays_sorted(void **state)
{
    (void)state;
    struct knob_set set = {0};
    assert_int_equal(knob_set_put(&set, KNOB_IO_READ, 5, 50), 0);
    assert_int_equal(knob_set_put(&set, KNOB_PIDS, 0, 200), 0);
    assert_int_equal(knob_set_put(&set, KNOB_IO_READ, 3, 30), 0);
    assert_int_equal(knob_set_put(&set, KNOB_CPU_BANDWIDTH, 0, 1), 0);
    assert_int_equal(knob_set_put(&set, KNOB_PIDS, 0, 300), 0); /* replaces */
    assert_int_equal(set.count, 4);
    for (uint32_t i = 1; i < set.count; i++) {
        const struct knob_setting *a = &set.settings[i - 1], *b = &set.settings[i];
        assert_true(a->knob < b->knob || (a->knob == b->knob && a->device < b->device));
    }
    assert_int_equal(knob_set_get(&set, KNOB_PIDS, 0)->value, 300);
    assert_int_equal(knob_set_get(&set, KNOB_IO_READ, 3)->value, 30);
    assert_int_equal(knob_set_get(&set, KNOB_IO_READ, 5)->value, 50);
    assert_null(knob_set_get(&set, KNOB_IO_READ, 4));
    assert_null(knob_set_get(&set, KNOB_MEMORY_LIMIT, 0));
}

static void removing_leaves_the_others(void **state)
{
    (void)state;
    struct knob_set set = {0};
    for (uint32_t device = 0; device < 5; device++)
        assert_int_equal(knob_set_put(&set, KNOB_IO_WRITE, device, device * 10), 0);
    knob_set_remove(&set, KNOB_IO_WRITE, 2);
    knob_set_remove(&set, KNOB_IO_WRITE, 2);
    knob_set_remove(&set, KNOB_PIDS, 0);
    assert_int_equal(set.count, 4);
    assert_null(knob_set_get(&set, KNOB_IO_WRITE, 2));
    assert_int_equal(knob_set_get(&set, KNOB_IO_WRITE, 3)->value, 30);
    assert_int_equal(knob_set_get(&set, KNOB_IO_WRITE, 4)->value, 40);
}

static void a_full_set_says_so(void **state)
{
    (void)state;
    struct knob_set set = {0};
    for (uint32_t device = 0; device < KNOB_SET_MAX; device++)
        assert_int_equal(knob_set_put(&set, KNOB_IO_READ, device, 1), 0);
    assert_int_equal(knob_set_put(&set, KNOB_CPU_BANDWIDTH, 0, 1), -ENOSPC);
    assert_int_equal(knob_set_put(&set, KNOB_IO_READ, 7, 2), 0);
    assert_int_equal(set.count, KNOB_SET_MAX);
}

static void values_read_as_people_write_them(void **state)
{
    (void)state;
    assert_string_equal(formatted(KNOB_CPU_BANDWIDTH, 150000, 100000), "1.5 cores");
    assert_string_equal(formatted(KNOB_CPU_BANDWIDTH, 25000, 50000), "0.5 cores");
    assert_string_equal(formatted(KNOB_CPU_BANDWIDTH, 100000, 100000), "1 core");
    assert_string_equal(formatted(KNOB_CPU_BANDWIDTH, 200000, 0),
                        "2 cores"); /* the kernel's default period */
    assert_string_equal(formatted(KNOB_CPU_PERIOD, 100000, 0), "100ms");
    assert_string_equal(formatted(KNOB_CPU_WEIGHT, 100, 0), "100");
    assert_string_equal(formatted(KNOB_MEMORY_LIMIT, UINT64_C(2) << 30, 0), "2GiB");
    assert_string_equal(formatted(KNOB_MEMORY_SWAP, 0, 0), "0B");
    assert_string_equal(formatted(KNOB_PIDS, 200, 0), "200");
    assert_string_equal(formatted(KNOB_IO_READ, 50000000, 0), "50MB/s");
    assert_string_equal(formatted(KNOB_IO_READ_IOPS, 500, 0), "500/s");
    for (int i = 0; i < KNOB_N; i++)
        assert_string_equal(formatted((enum knob_id)i, KNOB_UNLIMITED, 0), "unlimited");
}

static void a_weight_survives_the_way_through_shares(void **state)
{
    (void)state;
    assert_int_equal(knob_weight_to_shares(100), 1024);
    assert_int_equal(knob_weight_to_shares(1), 10);
    assert_int_equal(knob_weight_to_shares(10000), 102400);
    for (uint64_t weight = 1; weight <= 10000; weight++)
        assert_int_equal(knob_shares_to_weight(knob_weight_to_shares(weight)), weight);
}

static void shares_beyond_the_scale_are_clamped(void **state)
{
    (void)state;
    assert_int_equal(knob_shares_to_weight(2), 1);
    assert_int_equal(knob_shares_to_weight(262144), 10000);
    assert_int_equal(knob_shares_to_weight(UINT64_MAX), 10000);
    assert_int_equal(knob_weight_to_shares(0), 10);
    assert_int_equal(knob_weight_to_shares(UINT64_MAX), 102400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_finds_its_row),
        cmocka_unit_test(a_set_stays_sorted),
        cmocka_unit_test(removing_leaves_the_others),
        cmocka_unit_test(a_full_set_says_so),
        cmocka_unit_test(values_read_as_people_write_them),
        cmocka_unit_test(a_weight_survives_the_way_through_shares),
        cmocka_unit_test(shares_beyond_the_scale_are_clamped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
