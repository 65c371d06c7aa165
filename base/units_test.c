#include "base/units.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef int parse_fn(const char *text, uint64_t *ret);
typedef const char *format_fn(uint64_t value, char *buf);

static void expect(parse_fn *parse, const char *text, uint64_t value)
{
    uint64_t got = 12345;
    if (parse(text, &got) != 0 || got != value)
        fail_msg("'%s' became %llu, not %llu", text, (unsigned long long)got, (unsigned long long)value);
}

static void expect_refused(parse_fn *parse, const char *text, int error)
{
    uint64_t untouched = 77;
    int result = parse(text, &untouched);
    if (result != error)
        fail_msg("'%s' gave %d, not %d", text, result, error);
    assert_int_equal(untouched, 77);
}

static void expect_text(format_fn *format, uint64_t value, const char *text)
{
    char buf[UNITS_TEXT_MAX];
    assert_string_equal(format(value, buf), text);
}

static void sizes_are_exact(void **state)
{
    (void)state;
    expect(units_parse_bytes, "2GiB", UINT64_C(2) << 30);
    expect(units_parse_bytes, "1.5GiB", UINT64_C(1610612736));
    expect(units_parse_bytes, "0.1MiB", 104857);
    expect(units_parse_bytes, "50MB", 50000000);
    expect(units_parse_bytes, "64kB", 64000);
    expect(units_parse_bytes, "1KiB", 1024);
    expect(units_parse_bytes, "4096B", 4096);
    expect(units_parse_bytes, "1.50000000000000000000000000TiB", UINT64_C(1649267441664));
    expect(units_parse_bytes, "0", 0);
    expect(units_parse_bytes, "0GiB", 0);
}

static void a_size_without_its_unit_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",      "4096",   "2G",    "2gib",  "2GiB ", " 2GiB",
                                        "2 GiB", "-1B",    "+1GiB", "1.GiB", ".5GiB", "1,5GB",
                                        "GiB",   "1e3GiB", "0x10B", "2GiB/s"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        expect_refused(units_parse_bytes, wrong[i], -EINVAL);
}

static void a_quantity_never_vanishes_by_rounding(void **state)
{
    (void)state;
    expect_refused(units_parse_bytes, "0.4B", -EINVAL);
    expect_refused(units_parse_cores, "0.0000001", -EINVAL);
    expect_refused(units_parse_duration, "0.1ns", -EINVAL);
}

static void what_does_not_fit_is_out_of_range(void **state)
{
    (void)state;
    expect_refused(units_parse_bytes, "16777216TiB", -ERANGE);
    expect_refused(units_parse_bytes, "99999999999999999999999B", -ERANGE);
    /* the largest number stands for "unlimited" in limits */
    expect_refused(units_parse_bytes, "18446744073709551615B", -ERANGE);
    expect(units_parse_bytes, "18446744073709551614B", UINT64_MAX - 1);
}

static void rates_need_per_second(void **state)
{
    (void)state;
    expect(units_parse_bytes_rate, "50MB/s", 50000000);
    expect(units_parse_bytes_rate, "10MiB/s", 10485760);
    expect(units_parse_bytes_rate, "0", 0);
    expect_refused(units_parse_bytes_rate, "50MB", -EINVAL);
    expect_refused(units_parse_bytes_rate, "50/s", -EINVAL);
    expect_refused(units_parse_bytes_rate, "50MB/min", -EINVAL);
}

static void durations(void **state)
{
    (void)state;
    expect(units_parse_duration, "100ms", 100000000);
    expect(units_parse_duration, "1.5s", 1500000000);
    expect(units_parse_duration, "20us", 20000);
    expect(units_parse_duration, "5m", UINT64_C(300000000000));
    expect(units_parse_duration, "2h", UINT64_C(7200000000000));
    expect(units_parse_duration, "1d", UINT64_C(86400000000000));
    expect_refused(units_parse_duration, "100", -EINVAL);
    expect_refused(units_parse_duration, "5min", -EINVAL);
    expect_refused(units_parse_duration, "1h30m", -EINVAL);
}

static void cores_have_no_rounding_surprises(void **state)
{
    (void)state;
    expect(units_parse_cores, "0.1", 100000);
    expect(units_parse_cores, "0.29", 290000); /* 0.29 × 100 is 28.999… in doubles */
    expect(units_parse_cores, "1.5", 1500000);
    expect(units_parse_cores, "150%", 1500000);
    expect(units_parse_cores, "33.3333%", 333333);
    expect(units_parse_cores, "64", 64000000);
    expect_refused(units_parse_cores, "1.5 cores", -EINVAL);
    expect_refused(units_parse_cores, "150 %", -EINVAL);
    expect_refused(units_parse_cores, "-1", -EINVAL);
}

static void counts_are_whole(void **state)
{
    (void)state;
    expect(units_parse_count, "500", 500);
    expect(units_parse_count, "1k", 1000);
    expect(units_parse_count, "1.5k", 1500);
    expect(units_parse_count, "2M", 2000000);
    expect_refused(units_parse_count, "1.5", -EINVAL);
    expect_refused(units_parse_count, "1K", -EINVAL);
    expect_refused(units_parse_count, "10/s", -EINVAL);
}

static void sizes_read_well(void **state)
{
    (void)state;
    expect_text(units_format_bytes, 0, "0B");
    expect_text(units_format_bytes, 4096, "4096B");
    expect_text(units_format_bytes, 16384, "16KiB");
    expect_text(units_format_bytes, UINT64_C(512) << 20, "512MiB");
    expect_text(units_format_bytes, UINT64_C(2) << 30, "2GiB");
    expect_text(units_format_bytes, UINT64_C(3) << 29, "1.5GiB");
    expect_text(units_format_bytes, UINT64_C(1100) << 20, "1100MiB");
    expect_text(units_format_bytes, 50000000, "50MB");
    expect_text(units_format_bytes, UINT64_C(1535450112) + 1, "1.43GiB");
    expect_text(units_format_bytes, UINT64_C(46137345), "44MiB");
    expect_text(units_format_bytes, UINT64_MAX, "16777216TiB");
    expect_text(units_format_bytes_rate, 50000000, "50MB/s");
    expect_text(units_format_bytes_rate, 10485760, "10MiB/s");
    expect_text(units_format_bytes_rate, 12345678, "12.3MB/s");
}

static void durations_and_cores_read_well(void **state)
{
    (void)state;
    expect_text(units_format_duration, 0, "0s");
    expect_text(units_format_duration, 100000000, "100ms");
    expect_text(units_format_duration, 1500000000, "1.5s");
    expect_text(units_format_duration, UINT64_C(90000000000), "90s");
    expect_text(units_format_duration, UINT64_C(300000000000), "5m");
    expect_text(units_format_duration, UINT64_C(129600000000000), "36h");
    expect_text(units_format_duration, 1234567, "1.23ms");
    expect_text(units_format_cores, 1500000, "1.5");
    expect_text(units_format_cores, 1000000, "1");
    expect_text(units_format_cores, 100000, "0.1");
    expect_text(units_format_cores, 333333, "0.333");
    expect_text(units_format_cores, 12345678, "12.3");
    expect_text(units_format_cores, 0, "0");
}

static void what_is_printed_can_be_read(void **state)
{
    (void)state;
    static const uint64_t values[] = {1, 999, 10000, 65536, 1000001, 123456789, UINT64_C(98765432109876)};
    char buf[UNITS_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        uint64_t back;
        assert_int_equal(units_parse_bytes(units_format_bytes(values[i], buf), &back), 0);
        assert_true(back >= values[i] - values[i] / 100 && back <= values[i] + values[i] / 100);
        assert_int_equal(units_parse_bytes_rate(units_format_bytes_rate(values[i], buf), &back), 0);
        assert_int_equal(units_parse_duration(units_format_duration(values[i], buf), &back), 0);
        assert_int_equal(units_parse_cores(units_format_cores(values[i], buf), &back), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_exact),
        cmocka_unit_test(a_size_without_its_unit_is_refused),
        cmocka_unit_test(a_quantity_never_vanishes_by_rounding),
        cmocka_unit_test(what_does_not_fit_is_out_of_range),
        cmocka_unit_test(rates_need_per_second),
        cmocka_unit_test(durations),
        cmocka_unit_test(cores_have_no_rounding_surprises),
        cmocka_unit_test(counts_are_whole),
        cmocka_unit_test(sizes_read_well),
        cmocka_unit_test(durations_and_cores_read_well),
        cmocka_unit_test(what_is_printed_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
