#include "collectors/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define KEY(word)                                                                                            \
    {                                                                                                        \
        .text = (word), .len = sizeof(word) - 1                                                              \
    }

static const struct parse_key cpu_items[] = {KEY("usage_usec"), KEY("nr_throttled")};
static const struct parse_keys cpu_keys = {.items = cpu_items, .count = 2};
static const struct parse_key io_items[] = {KEY("rbytes"), KEY("wbytes")};
static const struct parse_keys io_keys = {.items = io_items, .count = 2};
static const struct parse_key blkio_items[] = {KEY("Read"), KEY("Write")};
static const struct parse_keys blkio_keys = {.items = blkio_items, .count = 2};
static const struct parse_key psi_items[] = {KEY("some"), KEY("full")};
static const struct parse_keys psi_keys = {.items = psi_items, .count = 2};

static void flat_finds_keys_and_follows_a_layout_that_changes(void **state)
{
    (void)state;
    uint16_t layout[3] = {0};
    uint64_t values[2] = {0};
    const char *bare = "usage_usec 15\nuser_usec 7\nsystem_usec 8\n";
    assert_int_equal(parse_flat(bare, strlen(bare), &cpu_keys, layout, values), 1);
    assert_int_equal(values[0], 15);
    assert_int_equal(layout[0], 0);
    assert_int_equal(layout[1], PARSE_LINE_NONE);

    const char *enabled = "core_sched.force_idle_usec 0\nusage_usec 16\nnr_periods 3\nnr_throttled 2\n";
    assert_int_equal(parse_flat(enabled, strlen(enabled), &cpu_keys, layout, values), 3);
    assert_int_equal(values[0], 16);
    assert_int_equal(values[1], 2);

    const char *swapped = "nr_throttled 4\nusage_usec 17\nx 1\ny 2\n";
    assert_int_equal(parse_flat(swapped, strlen(swapped), &cpu_keys, layout, values), 3);
    assert_int_equal(values[0], 17);
    assert_int_equal(values[1], 4);
}

static void flat_takes_no_key_for_a_longer_one_that_begins_alike(void **state)
{
    (void)state;
    static const struct parse_key items[] = {KEY("workingset_refault")};
    const struct parse_keys keys = {.items = items, .count = 1};
    uint16_t layout[2] = {0};
    uint64_t value = 0;
    const char *text = "workingset_refault_anon 5\n";
    assert_int_equal(parse_flat(text, strlen(text), &keys, layout, &value), 0);
}

static void flat_reads_meminfo(void **state)
{
    (void)state;
    static const struct parse_key items[] = {KEY("MemTotal:"), KEY("MemAvailable:")};
    const struct parse_keys keys = {.items = items, .count = 2};
    uint16_t layout[3] = {0};
    uint64_t values[2] = {0};
    const char *text =
        "MemTotal:       16398936 kB\nMemFree:         9000000 kB\nMemAvailable:   12000000 kB\n";
    assert_int_equal(parse_flat(text, strlen(text), &keys, layout, values), 3);
    assert_int_equal(values[0], 16398936);
    assert_int_equal(values[1], 12000000);
}

static void a_number_that_means_no_limit_is_absent(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t found, value;
    } rows[] = {
        {"0\n", 1, 0},
        {"4096\n", 1, 4096},
        {"4096", 1, 4096},
        {"max\n", 0, 0},
        {"-1\n", 0, 0},
        {"", 0, 0},
        {"\n", 0, 0},
        {"4611686018427387903\n", 1, (UINT64_C(1) << 62) - 1},
        {"4611686018427387904\n", 0, 0},
        {"9223372036854771712\n", 0, 0},
        {"99999999999999999999999\n", 0, 0},
        {"12 34\n", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 0;
        assert_int_equal(parse_value(rows[i].text, strlen(rows[i].text), &value), rows[i].found);
        assert_int_equal(value, rows[i].value);
    }
}

static void io_stat_is_summed_over_devices_bare_lines_skipped(void **state)
{
    (void)state;
    uint64_t values[2];
    const char *text = "7:7\n"
                       "7:6 7:5 254:0 rbytes=4096 wbytes=1024 rios=1 wios=1 dbytes=0 dios=0\n"
                       "8:0 rbytes=100 wbytes=10 rios=1 wios=1 dbytes=0 dios=0 cost.usage=9\n";
    assert_int_equal(parse_nested(text, strlen(text), &io_keys, values), 3);
    assert_int_equal(values[0], 4196);
    assert_int_equal(values[1], 1034);
}

static void an_empty_io_stat_is_zero_and_a_missing_key_is_not(void **state)
{
    (void)state;
    uint64_t values[2] = {7, 7};
    assert_int_equal(parse_nested("", 0, &io_keys, values), 3);
    assert_int_equal(values[0] + values[1], 0);
    const char *bare = "7:7 \n";
    assert_int_equal(parse_nested(bare, strlen(bare), &io_keys, values), 3);
    const char *partial = "8:0 rbytes=5\n";
    assert_int_equal(parse_nested(partial, strlen(partial), &io_keys, values), 1);
}

static bool not_device_mapper(void *context, uint32_t major, uint32_t minor)
{
    (void)context;
    (void)minor;
    return major != 253;
}

static void bytes_of_a_stacked_device_are_not_counted_twice(void **state)
{
    (void)state;
    const struct parse_keys keys = {.items = io_items, .count = 2, .counted = not_device_mapper};
    uint64_t values[2];
    const char *text = "253:0 rbytes=4096 wbytes=0\n8:0 rbytes=4096 wbytes=0\n";
    assert_int_equal(parse_nested(text, strlen(text), &keys, values), 3);
    assert_int_equal(values[0], 4096);
}

static void blkio_is_summed_over_devices(void **state)
{
    (void)state;
    uint64_t values[2];
    const char *text = "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 0\n254:0 Async 12288\n254:0 Discard 0\n"
                       "254:0 Total 12288\n7:0 Read 1\n7:0 Write 2\n7:0 Total 3\nTotal 12291\n";
    assert_int_equal(parse_blkio(text, strlen(text), &blkio_keys, values), 3);
    assert_int_equal(values[0], 4097);
    assert_int_equal(values[1], 8194);
}

static void blkio_that_counts_nothing_is_absent(void **state)
{
    (void)state;
    uint64_t values[2] = {0};
    const char *text = "Total 0\n";
    assert_int_equal(parse_blkio(text, strlen(text), &blkio_keys, values), 0);
    assert_int_equal(parse_blkio("", 0, &blkio_keys, values), 0);
}

static void pressure_totals_are_found_on_their_lines(void **state)
{
    (void)state;
    uint64_t values[2] = {0};
    const char *both = "some avg10=0.00 avg60=0.12 avg300=0.05 total=4433533\n"
                       "full avg10=0.00 avg60=0.07 avg300=0.05 total=4122080\n";
    assert_int_equal(parse_psi(both, strlen(both), &psi_keys, values), 3);
    assert_int_equal(values[0], 4433533);
    assert_int_equal(values[1], 4122080);
    const char *old = "some avg10=5.16 avg60=13.33 avg300=5.06 total=25460470\n";
    assert_int_equal(parse_psi(old, strlen(old), &psi_keys, values), 1);
    const char *cut = "some avg10=5.16 avg60=13.33\n";
    assert_int_equal(parse_psi(cut, strlen(cut), &psi_keys, values), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat_finds_keys_and_follows_a_layout_that_changes),
        cmocka_unit_test(flat_takes_no_key_for_a_longer_one_that_begins_alike),
        cmocka_unit_test(flat_reads_meminfo),
        cmocka_unit_test(a_number_that_means_no_limit_is_absent),
        cmocka_unit_test(io_stat_is_summed_over_devices_bare_lines_skipped),
        cmocka_unit_test(an_empty_io_stat_is_zero_and_a_missing_key_is_not),
        cmocka_unit_test(bytes_of_a_stacked_device_are_not_counted_twice),
        cmocka_unit_test(blkio_is_summed_over_devices),
        cmocka_unit_test(blkio_that_counts_nothing_is_absent),
        cmocka_unit_test(pressure_totals_are_found_on_their_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
