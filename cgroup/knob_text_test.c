#include "cgroup/knob.h"
#include "cgroup/knob_text.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define SDB ((uint32_t)makedev(8, 16))
#define LOOP0 ((uint32_t)makedev(7, 0))

static void assert_writes(enum knob_id knob, int version, uint64_t value, uint64_t pair, const char *text)
{
    char buf[96];
    int len = knob_encode(knob, version, SDB, value, pair, buf, sizeof buf);
    if (!text) {
        assert_int_equal(len, -EINVAL);
        return;
    }
    assert_int_equal(len, (int)strlen(text));
    assert_string_equal(buf, text);
}

static void assert_reads(enum knob_id knob, int version, const char *text, uint64_t value)
{
    uint64_t found = 0, pair = 0;
    assert_int_equal(knob_decode(knob, version, SDB, text, &found, &pair), 0);
    assert_int_equal(found, value);
}

static void assert_refuses(enum knob_id knob, int version, const char *text, int error)
{
    uint64_t found = 42, pair = 43;
    assert_int_equal(knob_decode(knob, version, SDB, text, &found, &pair), error);
    assert_int_equal(found, 42);
    assert_int_equal(pair, 43);
}

static void memory_is_written_in_whole_pages_and_plain_digits(void **state)
{
    (void)state;
    assert_writes(KNOB_MEMORY_LIMIT, 1, 512 * MIB, 0, "536870912");
    assert_writes(KNOB_MEMORY_LIMIT, 2, 512 * MIB + 1, 0, "536870912");
    assert_writes(KNOB_MEMORY_LIMIT, 1, KNOB_UNLIMITED, 0, "-1");
    assert_writes(KNOB_MEMORY_LIMIT, 2, KNOB_UNLIMITED, 0, "max");
}

static void a_limit_that_rounds_to_nothing_is_never_written(void **state)
{
    (void)state;
    uint64_t below_a_page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
    assert_writes(KNOB_MEMORY_LIMIT, 1, below_a_page, 0, NULL);
    assert_writes(KNOB_MEMORY_LIMIT, 2, below_a_page, 0, NULL);
    assert_writes(KNOB_MEMORY_LIMIT, 2, 0, 0, NULL);
    assert_writes(KNOB_MEMORY_SWAP, 2, below_a_page, 0, NULL);
    assert_writes(KNOB_MEMORY_SWAP, 2, 0, 0, "0");
    assert_writes(KNOB_MEMORY_LIMIT, 2, UINT64_C(1) << 63, 0, NULL);
}

static void swap_on_v1_is_written_as_the_sum(void **state)
{
    (void)state;
    assert_writes(KNOB_MEMORY_SWAP, 1, 64 * MIB, 128 * MIB, "201326592");
    assert_writes(KNOB_MEMORY_SWAP, 1, 0, 128 * MIB, "134217728");
    assert_writes(KNOB_MEMORY_SWAP, 1, KNOB_UNLIMITED, 128 * MIB, "-1");
    assert_writes(KNOB_MEMORY_SWAP, 1, 64 * MIB, KNOB_UNLIMITED, "-1");
    assert_writes(KNOB_MEMORY_SWAP, 1, 64 * MIB, 0, NULL);
}

static void bandwidth_and_period_go_together_on_v2(void **state)
{
    (void)state;
    assert_writes(KNOB_CPU_BANDWIDTH, 2, 150000, 100000, "150000 100000");
    assert_writes(KNOB_CPU_BANDWIDTH, 2, 150000, 0, "150000");
    assert_writes(KNOB_CPU_BANDWIDTH, 2, KNOB_UNLIMITED, 100000, "max 100000");
    assert_writes(KNOB_CPU_PERIOD, 2, 50000, 20000, "20000 50000");
    assert_writes(KNOB_CPU_PERIOD, 2, 50000, KNOB_UNLIMITED, "max 50000");
    assert_writes(KNOB_CPU_PERIOD, 2, 50000, 0, NULL);
    assert_writes(KNOB_CPU_BANDWIDTH, 2, 150000, 999, NULL);
    assert_writes(KNOB_CPU_BANDWIDTH, 1, 150000, 100000, "150000");
    assert_writes(KNOB_CPU_BANDWIDTH, 1, KNOB_UNLIMITED, 100000, "-1");
    assert_writes(KNOB_CPU_BANDWIDTH, 1, 999, 0, NULL);
    assert_writes(KNOB_CPU_BANDWIDTH, 1, UINT64_C(17592186044416), 0, NULL);
    assert_writes(KNOB_CPU_PERIOD, 1, 1000001, 0, NULL);
    assert_writes(KNOB_CPU_PERIOD, 1, KNOB_UNLIMITED, 0, NULL);
}

static void weights_stay_on_the_scale_of_their_file(void **state)
{
    (void)state;
    assert_writes(KNOB_CPU_WEIGHT, 1, knob_normalise(KNOB_CPU_WEIGHT, 1, 100), 0, "1024");
    assert_writes(KNOB_CPU_WEIGHT, 1, 1, 0, NULL);
    assert_writes(KNOB_CPU_WEIGHT, 1, 262145, 0, NULL);
    assert_writes(KNOB_CPU_WEIGHT, 2, 10000, 0, "10000");
    assert_writes(KNOB_CPU_WEIGHT, 2, 10001, 0, NULL);
    assert_int_equal(knob_normalise(KNOB_CPU_WEIGHT, 2, 20000), 10000);
}

static void throttles_name_one_device_without_suffix(void **state)
{
    (void)state;
    assert_writes(KNOB_IO_READ, 1, 50000000, 0, "8:16 50000000");
    assert_writes(KNOB_IO_READ, 1, KNOB_UNLIMITED, 0, "8:16 0");
    assert_writes(KNOB_IO_WRITE, 2, 50000000, 0, "8:16 wbps=50000000");
    assert_writes(KNOB_IO_WRITE_IOPS, 2, KNOB_UNLIMITED, 0, "8:16 wiops=max");
    assert_writes(KNOB_IO_READ_IOPS, 1, UINT64_C(4294967296), 0, NULL);
    assert_writes(KNOB_IO_READ, 2, 1, 0, NULL);
    assert_writes(KNOB_IO_READ, 1, 0, 0, NULL);
}

static void a_text_that_does_not_fit_is_not_written(void **state)
{
    (void)state;
    char small[4];
    assert_int_equal(knob_encode(KNOB_MEMORY_LIMIT, 1, 0, 512 * MIB, 0, small, sizeof small), -EINVAL);
}

static void unlimited_is_a_value_and_not_a_spelling(void **state)
{
    (void)state;
    assert_reads(KNOB_MEMORY_LIMIT, 1, "9223372036854771712\n", KNOB_UNLIMITED);
    assert_reads(KNOB_MEMORY_LIMIT, 1, "9223372036854775807\n", KNOB_UNLIMITED);  /* 3.10 */
    assert_reads(KNOB_MEMORY_LIMIT, 1, "18446744073709551615\n", KNOB_UNLIMITED); /* 3.16 */
    assert_reads(KNOB_MEMORY_LIMIT, 2, "max\n", KNOB_UNLIMITED);
    assert_reads(KNOB_CPU_BANDWIDTH, 1, "-1\n", KNOB_UNLIMITED);
    assert_reads(KNOB_CPU_BANDWIDTH, 2, "max 100000\n", KNOB_UNLIMITED);
    assert_reads(KNOB_PIDS, 1, "max\n", KNOB_UNLIMITED);
    assert_reads(KNOB_MEMORY_LIMIT, 1, "536870912\n", 512 * MIB);
    assert_reads(KNOB_PIDS, 2, "0\n", 0);
}

static void cpu_max_holds_two_values(void **state)
{
    (void)state;
    uint64_t value, pair;
    assert_int_equal(knob_decode(KNOB_CPU_BANDWIDTH, 2, 0, "20000 50000\n", &value, &pair), 0);
    assert_int_equal(value, 20000);
    assert_int_equal(pair, 50000);
    assert_int_equal(knob_decode(KNOB_CPU_PERIOD, 2, 0, "20000 50000\n", &value, &pair), 0);
    assert_int_equal(value, 50000);
    assert_int_equal(pair, 20000);
}

static void rules_are_found_by_device(void **state)
{
    (void)state;
    assert_reads(KNOB_IO_READ, 1, "254:0 1048576\n8:16 2000000\n", 2000000);
    assert_refuses(KNOB_IO_READ, 1, "254:0 1048576\n8:1 7\n", -ENOENT);
    assert_refuses(KNOB_IO_READ, 1, "", -ENOENT);
    static const char io_max[] = "8:0 rbps=7 wbps=max riops=max wiops=max\n"
                                 "8:16 rbps=2097152 wbps=max riops=max wiops=120\n";
    assert_reads(KNOB_IO_READ, 2, io_max, 2097152);
    assert_reads(KNOB_IO_WRITE, 2, io_max, KNOB_UNLIMITED);
    assert_reads(KNOB_IO_WRITE_IOPS, 2, io_max, 120);
    assert_refuses(KNOB_IO_READ, 2, "8:0 rbps=7 wbps=max riops=max wiops=max\n", -ENOENT);
}

static void rules_are_walked_in_order(void **state)
{
    (void)state;
    const char *cursor =
        "7:0 rbps=max wbps=9 riops=max wiops=max\nnonsense\n8:16 rbps=5 wbps=6 riops=max wiops=max\n";
    uint32_t device;
    uint64_t value;
    assert_true(knob_text_next_rule(&knobs[KNOB_IO_WRITE].v2, &cursor, &device, &value));
    assert_int_equal(device, LOOP0);
    assert_int_equal(value, 9);
    assert_true(knob_text_next_rule(&knobs[KNOB_IO_WRITE].v2, &cursor, &device, &value));
    assert_int_equal(device, SDB);
    assert_int_equal(value, 6);
    assert_false(knob_text_next_rule(&knobs[KNOB_IO_WRITE].v2, &cursor, &device, &value));
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    assert_refuses(KNOB_MEMORY_LIMIT, 1, "", -EBADMSG);
    assert_refuses(KNOB_MEMORY_LIMIT, 1, "12k\n", -EBADMSG);
    assert_refuses(KNOB_MEMORY_LIMIT, 1, "12\n13\n", -EBADMSG);
    assert_refuses(KNOB_MEMORY_LIMIT, 2, "maximal\n", -EBADMSG);
    assert_refuses(KNOB_MEMORY_LIMIT, 1, "99999999999999999999999\n", -EBADMSG);
    assert_refuses(KNOB_MEMORY_LIMIT, 1, "-\n", -EBADMSG);
    assert_refuses(KNOB_CPU_BANDWIDTH, 2, "max\n", -EBADMSG);
    assert_refuses(KNOB_CPU_BANDWIDTH, 2, "max many\n", -EBADMSG);
}

static void values_are_normalised_as_the_kernel_stores_them(void **state)
{
    (void)state;
    assert_int_equal(knob_normalise(KNOB_MEMORY_LIMIT, 1, 10000001),
                     10000001 - 10000001 % (uint64_t)sysconf(_SC_PAGESIZE));
    assert_int_equal(knob_normalise(KNOB_MEMORY_LIMIT, 2, UINT64_C(1) << 62), KNOB_UNLIMITED);
    assert_int_equal(knob_normalise(KNOB_MEMORY_LIMIT, 2, KNOB_UNLIMITED), KNOB_UNLIMITED);
    assert_int_equal(knob_normalise(KNOB_PIDS, 2, 5000000), 4194304);
    assert_int_equal(knob_normalise(KNOB_IO_READ, 2, 12345), 12345);
    assert_int_equal(knob_normalise(KNOB_CPU_BURST, 1, 20000), 20000);
}

static void what_is_written_reads_back_as_itself(void **state)
{
    (void)state;
    static const uint64_t values[] = {2, 1000, 4096, 65536, 1000000, KNOB_UNLIMITED};
    for (int knob = 0; knob < KNOB_N; knob++)
        for (int version = 1; version <= 2; version++)
            for (size_t i = 0; i < ARRAY_LEN(values); i++) {
                char text[96];
                uint64_t value, pair, companion = knob == KNOB_MEMORY_SWAP ? 65536 : 100000;
                int len =
                    knob_encode((enum knob_id)knob, version, SDB, values[i], companion, text, sizeof text);
                if (len < 0 || (knob_file((enum knob_id)knob, version)->form == KNOB_FORM_BLKIO_RULE &&
                                values[i] == KNOB_UNLIMITED)) /* "0" takes the rule away */
                    continue;
                assert_int_equal(knob_decode((enum knob_id)knob, version, SDB, text, &value, &pair), 0);
                if (knob_file((enum knob_id)knob, version)->form == KNOB_FORM_MEMSW &&
                    value != KNOB_UNLIMITED)
                    value -= companion;
                assert_int_equal(value, values[i] == KNOB_UNLIMITED || knobs[knob].unit != KNOB_BYTES
                                            ? values[i]
                                            : knob_normalise((enum knob_id)knob, version, values[i]));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_written_in_whole_pages_and_plain_digits),
        cmocka_unit_test(a_limit_that_rounds_to_nothing_is_never_written),
        cmocka_unit_test(swap_on_v1_is_written_as_the_sum),
        cmocka_unit_test(bandwidth_and_period_go_together_on_v2),
        cmocka_unit_test(weights_stay_on_the_scale_of_their_file),
        cmocka_unit_test(throttles_name_one_device_without_suffix),
        cmocka_unit_test(a_text_that_does_not_fit_is_not_written),
        cmocka_unit_test(unlimited_is_a_value_and_not_a_spelling),
        cmocka_unit_test(cpu_max_holds_two_values),
        cmocka_unit_test(rules_are_found_by_device),
        cmocka_unit_test(rules_are_walked_in_order),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(values_are_normalised_as_the_kernel_stores_them),
        cmocka_unit_test(what_is_written_reads_back_as_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
