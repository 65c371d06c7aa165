#include "model/row.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static void absent_is_not_zero(void **state)
{
    (void)state;
    struct row r = {0};
    for (int i = 0; i < METRIC_N; i++)
        assert_false(row_has(&r, (enum metric_id)i));
    row_set(&r, METRIC_PIDS, 0);
    assert_true(row_has(&r, METRIC_PIDS));
    assert_false(row_has(&r, METRIC_PIDS_LIMIT_HITS));
    row_unset(&r, METRIC_PIDS);
    assert_false(row_has(&r, METRIC_PIDS));
}

static void every_metric_has_its_own_bit(void **state)
{
    (void)state;
    struct row r = {0};
    for (int i = 0; i < METRIC_N; i++)
        row_set(&r, (enum metric_id)i, (uint64_t)i * 3);
    row_unset(&r, METRIC_MEMORY_USAGE);
    for (int i = 0; i < METRIC_N; i++) {
        assert_int_equal(row_has(&r, (enum metric_id)i), i != METRIC_MEMORY_USAGE);
        assert_int_equal(r.values[i], i == METRIC_MEMORY_USAGE ? 0 : i * 3);
    }
}

static void a_counter_that_grows_has_a_rate(void **state)
{
    (void)state;
    struct row before = {.mono_ns = 10 * SECOND}, now = {.mono_ns = 12 * SECOND};
    row_set(&before, METRIC_CPU_USAGE, 1000000);
    row_set(&now, METRIC_CPU_USAGE, 4000000);
    assert_true(row_rate(&before, &now, METRIC_CPU_USAGE) == 1500000); /* 1.5 cores */
    row_set(&now, METRIC_CPU_USAGE, 1000000);
    assert_true(row_rate(&before, &now, METRIC_CPU_USAGE) == 0);
}

static void an_untold_rate_is_negative(void **state)
{
    (void)state;
    struct row before = {.mono_ns = 10 * SECOND}, now = {.mono_ns = 12 * SECOND};
    assert_true(row_rate(&before, &now, METRIC_CPU_USAGE) < 0);
    row_set(&now, METRIC_CPU_USAGE, 5);
    assert_true(row_rate(&before, &now, METRIC_CPU_USAGE) <
                0); /* it appeared: since when it counts is unknown */
    row_set(&before, METRIC_CPU_USAGE, 6);
    assert_true(row_rate(&before, &now, METRIC_CPU_USAGE) < 0); /* it went back */
    row_set(&before, METRIC_CPU_USAGE, 5);
    now.mono_ns = before.mono_ns;
    assert_true(row_rate(&before, &now, METRIC_CPU_USAGE) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_is_not_zero),
        cmocka_unit_test(every_metric_has_its_own_bit),
        cmocka_unit_test(a_counter_that_grows_has_a_rate),
        cmocka_unit_test(an_untold_rate_is_negative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
