#include "exporters/fold.h"

#include "base/clock.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct fold_config config = {.step_ns = 10 * NSEC_PER_SEC, .gap_ns = 40 * NSEC_PER_SEC};
enum { NOON_S = 1795000000 }; /* a multiple of 10 */

struct told {
    unsigned count;
    struct fold_point points[64];
};

static void on_point(void *owner, const struct fold_point *point)
{
    struct told *told = owner;

    assert_true(told->count < 64);
    if (told->count > 0)
        assert_true(point->end_s > told->points[told->count - 1].end_s);
    told->points[told->count++] = *point;
}

/* A row @at seconds after noon: so much CPU time used so far, so much memory. */
static struct row row_at(double at, double cpu_s, uint64_t memory_bytes)
{
    struct row row = {.wall_ns = (uint64_t)((NOON_S + at) * 1e9), .mono_ns = (uint64_t)((1000 + at) * 1e9)};

    row_set(&row, METRIC_CPU_USAGE, (uint64_t)(cpu_s * 1e6));
    row_set(&row, METRIC_MEMORY_USAGE, memory_bytes);
    return row;
}

static void add(struct fold *fold, struct told *told, struct row row)
{
    fold_add(fold, &config, &row, on_point, told);
}

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) < 1e-6 * (1 + fabs(expected))))
        fail_msg("%g, expected %g", value, expected);
}

static void ten_rows_become_one_point_with_average_and_peak(void **state)
{
    struct told told = {0};
    struct fold fold;
    double cpu_s = 5;

    (void)state;
    fold_init(&fold);
    add(&fold, &told, row_at(0, cpu_s, 100));
    for (int second = 1; second <= 10; second++) {
        cpu_s += second == 4 ? 2.0 : 0.5; /* two cores for one second, else half of one */
        add(&fold, &told, row_at(second, cpu_s, second == 7 ? 1000 : 100));
    }
    assert_int_equal(told.count, 1);
    assert_int_equal(told.points[0].end_s, NOON_S + 10);
    assert_near(told.points[0].average[METRIC_CPU_USAGE], 0.65);
    assert_near(told.points[0].peak[METRIC_CPU_USAGE], 2.0);
    assert_near(told.points[0].average[METRIC_MEMORY_USAGE], 190);
    assert_near(told.points[0].peak[METRIC_MEMORY_USAGE], 1000);
    assert_true(isnan(told.points[0].average[METRIC_PIDS]));
}

static void a_row_across_two_steps_is_shared_between_them(void **state)
{
    struct told told = {0};
    struct fold fold;

    (void)state;
    fold_init(&fold);
    add(&fold, &told, row_at(8, 0, 10));
    add(&fold, &told, row_at(9.5, 1.5, 10));
    add(&fold, &told, row_at(10.5, 1.5, 30));
    add(&fold, &told, row_at(20, 1.5, 30));
    assert_int_equal(told.count, 2);
    assert_near(told.points[0].average[METRIC_CPU_USAGE], 0.75); /* 1.5 s of the 2 s that are known */
    assert_near(told.points[0].average[METRIC_MEMORY_USAGE], 15);
    assert_near(told.points[1].average[METRIC_CPU_USAGE], 0);
    assert_near(told.points[1].average[METRIC_MEMORY_USAGE], 30);
}

static void a_long_interval_fills_every_step_it_covers(void **state)
{
    struct told told = {0};
    struct fold fold;

    (void)state;
    fold_init(&fold);
    add(&fold, &told, row_at(0, 0, 10));
    add(&fold, &told, row_at(30, 6, 10));
    assert_int_equal(told.count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_near(told.points[i].average[METRIC_CPU_USAGE], 0.2);
}

static void an_absence_is_a_gap(void **state)
{
    struct told told = {0};
    struct fold fold;

    (void)state;
    fold_init(&fold);
    add(&fold, &told, row_at(0, 0, 10));
    add(&fold, &told, row_at(5, 5, 10));
    add(&fold, &told, row_at(100, 5, 10)); /* longer than gap_ns */
    add(&fold, &told, row_at(110, 15, 10));
    assert_int_equal(told.count, 2);
    assert_int_equal(told.points[0].end_s, NOON_S + 10);
    assert_near(told.points[0].average[METRIC_CPU_USAGE], 1);
    assert_int_equal(told.points[1].end_s, NOON_S + 110);
    assert_near(told.points[1].average[METRIC_CPU_USAGE], 1);
}

static void a_counter_that_went_back_says_nothing_for_that_row(void **state)
{
    struct told told = {0};
    struct fold fold;

    (void)state;
    fold_init(&fold);
    add(&fold, &told, row_at(0, 100, 10));
    add(&fold, &told, row_at(1, 2, 10)); /* another container of the same name */
    for (int second = 2; second <= 10; second++)
        add(&fold, &told, row_at(second, second + 1, 10));
    assert_int_equal(told.count, 1);
    assert_near(told.points[0].average[METRIC_CPU_USAGE], 1);
    assert_near(told.points[0].peak[METRIC_CPU_USAGE], 1);
}

static void a_clock_that_steps_back_makes_a_gap_and_never_tells_a_time_twice(void **state)
{
    struct told told = {0};
    struct fold fold;

    (void)state;
    fold_init(&fold);
    for (int second = 0; second <= 40; second++)
        add(&fold, &told, row_at(second, second, 10));
    assert_int_equal(told.count, 4);
    for (int second = 41; second <= 100; second++) {
        struct row row = row_at(second, second, 10);
        row.wall_ns -= 30 * NSEC_PER_SEC;
        add(&fold, &told, row); /* on_point checks that time only grows */
    }
    assert_int_equal(told.count, 7);
    assert_int_equal(told.points[4].end_s, NOON_S + 50);
    assert_near(told.points[4].average[METRIC_CPU_USAGE], 1);
}

static void a_clock_that_steps_forward_leaves_the_steps_between_empty(void **state)
{
    struct told told = {0};
    struct fold fold;

    (void)state;
    fold_init(&fold);
    for (int second = 0; second <= 5; second++)
        add(&fold, &told, row_at(second, second, 10));
    for (int second = 6; second <= 20; second++) {
        struct row row = row_at(second, second, 10);
        row.wall_ns += 3600 * NSEC_PER_SEC;
        add(&fold, &told, row);
    }
    assert_int_equal(told.count, 3);
    assert_int_equal(told.points[0].end_s, NOON_S + 10);
    assert_int_equal(told.points[1].end_s, NOON_S + 3610);
    assert_near(told.points[1].peak[METRIC_CPU_USAGE], 1);
}

static void a_step_left_open_by_a_death_is_told_when_its_time_is_over(void **state)
{
    struct told told = {0};
    struct fold fold;

    (void)state;
    fold_init(&fold);
    add(&fold, &told, row_at(0, 0, 10));
    add(&fold, &told, row_at(2, 2, 10));
    fold_break(&fold);
    fold_close(&fold, &config, (uint64_t)(NOON_S + 9) * NSEC_PER_SEC, on_point, &told);
    assert_int_equal(told.count, 0);
    fold_close(&fold, &config, (uint64_t)(NOON_S + 10) * NSEC_PER_SEC, on_point, &told);
    assert_int_equal(told.count, 1);
    assert_near(told.points[0].average[METRIC_CPU_USAGE], 1);
}

static void peaks_are_kept_for_the_metrics_that_say_so(void **state)
{
    const struct fold_columns *average = fold_columns(FOLD_AVERAGE), *peak = fold_columns(FOLD_PEAK);

    (void)state;
    assert_true(average->count > peak->count && peak->count > 0);
    assert_int_equal(average->metrics[0], METRIC_CPU_USAGE);
    for (unsigned i = 0; i < peak->count; i++)
        assert_true(metrics[peak->metrics[i]].peak);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_rows_become_one_point_with_average_and_peak),
        cmocka_unit_test(a_row_across_two_steps_is_shared_between_them),
        cmocka_unit_test(a_long_interval_fills_every_step_it_covers),
        cmocka_unit_test(an_absence_is_a_gap),
        cmocka_unit_test(a_counter_that_went_back_says_nothing_for_that_row),
        cmocka_unit_test(a_clock_that_steps_back_makes_a_gap_and_never_tells_a_time_twice),
        cmocka_unit_test(a_clock_that_steps_forward_leaves_the_steps_between_empty),
        cmocka_unit_test(a_step_left_open_by_a_death_is_told_when_its_time_is_over),
        cmocka_unit_test(peaks_are_kept_for_the_metrics_that_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
