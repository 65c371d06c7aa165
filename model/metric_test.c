#include "model/metric.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *exported(enum metric_id id)
{
    static char buf[128];
    return metric_openmetrics_name(id, "masu_container_", buf, sizeof buf);
}

static void every_name_finds_its_row(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_N; i++)
        assert_int_equal(metric_find(metrics[i].name), i);
    assert_int_equal(metric_find("cpu_usage"), METRIC_CPU_USAGE);
    assert_int_equal(metric_find("cpu"), -1);
    assert_int_equal(metric_find(""), -1);
}

static void exported_names_carry_unit_and_total(void **state)
{
    (void)state;
    assert_string_equal(exported(METRIC_CPU_USAGE), "masu_container_cpu_usage_seconds_total");
    assert_string_equal(exported(METRIC_CPU_LIMIT), "masu_container_cpu_limit_cores");
    assert_string_equal(exported(METRIC_MEMORY_USAGE), "masu_container_memory_usage_bytes");
    assert_string_equal(exported(METRIC_IO_READ_BYTES), "masu_container_io_read_bytes_total");
    assert_string_equal(exported(METRIC_IO_READS), "masu_container_io_reads_total");
    assert_string_equal(exported(METRIC_PIDS), "masu_container_pids");
    assert_string_equal(exported(METRIC_PRESSURE_LEVEL), "masu_container_pressure_level");
}

static void a_counters_history_has_the_unit_of_its_growth(void **state)
{
    (void)state;
    assert_string_equal(metric_shown_unit(METRIC_CPU_USAGE), "cores");
    assert_string_equal(metric_shown_unit(METRIC_CPU_LIMIT), "cores");
    assert_string_equal(metric_shown_unit(METRIC_CPU_THROTTLED), "seconds per second");
    assert_string_equal(metric_shown_unit(METRIC_MEMORY_PRESSURE_SOME), "seconds per second");
    assert_string_equal(metric_shown_unit(METRIC_IO_READ_BYTES), "bytes per second");
    assert_string_equal(metric_shown_unit(METRIC_IO_READS), "per second");
    assert_string_equal(metric_shown_unit(METRIC_MEMORY_USAGE), "bytes");
    assert_string_equal(metric_shown_unit(METRIC_PIDS), "");
}

static void no_exported_name_repeats_itself(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_N; i++) {
        const char *name = exported((enum metric_id)i);
        assert_null(strstr(name, "_bytes_bytes"));
        assert_null(strstr(name, "_seconds_seconds"));
        assert_null(strstr(name, "_total_total"));
        assert_null(strstr(name, "__"));
    }
}

static void a_small_buffer_is_not_overrun(void **state)
{
    (void)state;
    char small[8] = "";
    metric_openmetrics_name(METRIC_CPU_USAGE, "masu_", small, sizeof small);
    assert_string_equal(small, "masu_cp");
}

static void exports_are_in_base_units(void **state)
{
    (void)state;
    assert_string_equal(metric_unit_name(METRIC_USEC), "seconds");
    assert_true(metric_unit_scale(METRIC_USEC) == 1e6);
    assert_string_equal(metric_unit_name(METRIC_CORES_PPM), "cores");
    assert_true(metric_unit_scale(METRIC_CORES_PPM) == 1e6);
    assert_string_equal(metric_unit_name(METRIC_BYTES), "bytes");
    assert_true(metric_unit_scale(METRIC_BYTES) == 1);
    assert_string_equal(metric_unit_name(METRIC_COUNT), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_finds_its_row),
        cmocka_unit_test(exported_names_carry_unit_and_total),
        cmocka_unit_test(a_counters_history_has_the_unit_of_its_growth),
        cmocka_unit_test(no_exported_name_repeats_itself),
        cmocka_unit_test(a_small_buffer_is_not_overrun),
        cmocka_unit_test(exports_are_in_base_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
