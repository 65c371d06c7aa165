/* Days of a container's life, told in steps on a virtual clock. */

#include "policy/pressure.h"

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define LIMIT (64 * MIB)

struct life {
    struct pressure_state state;
    struct pressure_signals now;
    enum level highest;
    unsigned changes;
    enum level path[16]; /* the levels in the order they were entered */
    char why[256];
};

static struct life life_begin(void)
{
    struct life l = {.state = PRESSURE_STATE_NULL,
                     .now = {.now_ns = 5 * NSEC_PER_SEC,
                             .has_psi = true,
                             .has_refaults = true,
                             .has_limit = true,
                             .limit_bytes = LIMIT,
                             .usage_bytes = MIB,
                             .unreclaimable_bytes = MIB}};
    return l;
}

static void step(struct life *l)
{
    const struct pressure_rules rules = PRESSURE_RULES_DEFAULT;
    if (pressure_step(&l->state, &rules, &l->now, l->why, sizeof l->why)) {
        if (l->changes < 16)
            l->path[l->changes] = l->state.level;
        l->changes++;
    }
    if (l->state.level > l->highest)
        l->highest = l->state.level;
    l->now.v1_low = l->now.v1_medium = l->now.v1_critical = false;
}

/* What one second does to the counters, times a thousand where it is a share. */
struct second {
    unsigned some_permille, full_permille, refaults, hits, scanned, reclaimed;
    bool v1_low, v1_medium, v1_critical;
};

static void live(struct life *l, unsigned seconds, const struct second *s)
{
    for (unsigned i = 0; i < seconds; i++) {
        l->now.now_ns += NSEC_PER_SEC;
        l->now.psi_some_usec += s->some_permille * 1000;
        l->now.psi_full_usec += s->full_permille * 1000;
        l->now.refaults += s->refaults;
        l->now.limit_hits += s->hits;
        l->now.scanned += s->scanned;
        l->now.reclaimed += s->reclaimed;
        l->now.v1_low = s->v1_low;
        l->now.v1_medium = s->v1_medium;
        l->now.v1_critical = s->v1_critical;
        step(l);
    }
}

static const struct second quiet = {0};
static const struct second thrashing = {.some_permille = 700,
                                        .full_permille = 600,
                                        .refaults = 5000,
                                        .hits = 900,
                                        .scanned = 6000,
                                        .reclaimed = 5500};

static void reading_files_all_day_stays_low(void **unused)
{
    (void)unused;
    static const struct second reading = {.some_permille = 20, .hits = 4000, .v1_low = true};
    struct life l = life_begin();
    l.now.usage_bytes = LIMIT;
    l.now.unreclaimable_bytes = 4 * MIB;
    step(&l);
    live(&l, 86400, &reading);
    assert_int_equal(l.highest, LEVEL_LOW);
    assert_int_equal(l.changes, 1);
}

static void reading_one_file_in_circles_from_a_fast_disk_stays_low(void **unused)
{
    (void)unused;
    static const struct second reading = {.some_permille = 550,
                                          .full_permille = 550,
                                          .refaults = 250000,
                                          .hits = 90000,
                                          .scanned = 500000,
                                          .reclaimed = 500000,
                                          .v1_low = true};
    struct life l = life_begin();
    l.now.has_reclaim = true;
    step(&l);
    live(&l, 3600, &reading);
    assert_int_equal(l.highest, LEVEL_LOW);
}

static void writing_to_a_slow_disk_stays_low(void **unused)
{
    (void)unused;
    static const struct second writing = {.some_permille = 850,
                                          .full_permille = 850,
                                          .refaults = 3000,
                                          .hits = 500,
                                          .v1_low = true,
                                          .v1_medium = true,
                                          .v1_critical = true};
    struct life l = life_begin();
    step(&l);
    live(&l, 3600, &writing);
    assert_int_equal(l.highest, LEVEL_LOW);
}

static void heap_of_90_percent_that_does_not_move_is_low(void **unused)
{
    (void)unused;
    struct life l = life_begin();
    l.now.unreclaimable_bytes = LIMIT * 90 / 100;
    step(&l);
    live(&l, 3600, &quiet);
    assert_int_equal(l.highest, LEVEL_LOW);
    assert_int_equal(l.changes, 1);
    assert_string_equal(l.why, "90 % of the limit cannot be reclaimed");
}

static void start_that_takes_three_quarters_at_once_warns_nobody(void **unused)
{
    (void)unused;
    struct life l = life_begin();
    step(&l);
    live(&l, 5, &quiet);
    l.now.unreclaimable_bytes = LIMIT * 3 / 4;
    live(&l, 600, &quiet);
    assert_true(l.highest <= LEVEL_LOW);
}

static void start_that_takes_nine_tenths_is_over_when_it_stands_still(void **unused)
{
    (void)unused;
    struct life l = life_begin();
    step(&l);
    l.now.unreclaimable_bytes = LIMIT * 9 / 10;
    live(&l, 1, &quiet);
    assert_true(l.state.level >= LEVEL_MEDIUM);
    live(&l, 10, &quiet);
    assert_int_equal(l.state.level, LEVEL_LOW);
}

static void reclaim_that_costs_no_time_stays_low(void **unused)
{
    (void)unused;
    static const struct second reclaiming = {
        .refaults = 2000, .hits = 300, .v1_low = true, .v1_medium = true};
    struct life l = life_begin();
    l.now.unreclaimable_bytes = LIMIT * 70 / 100;
    step(&l);
    live(&l, 600, &reclaiming);
    assert_int_equal(l.highest, LEVEL_LOW);
}

static void slow_leak_goes_through_every_level(void **unused)
{
    (void)unused;
    static const enum level expected[] = {LEVEL_LOW, LEVEL_MEDIUM, LEVEL_CRITICAL, LEVEL_OOM};
    struct life l = life_begin();
    step(&l);
    while (l.now.unreclaimable_bytes + 800 * 1024 < LIMIT) {
        l.now.unreclaimable_bytes += 800 * 1024;
        live(&l, 1, &quiet);
    }
    assert_int_equal(l.state.level, LEVEL_CRITICAL);
    l.now.oom_kills = 1;
    l.now.unreclaimable_bytes = MIB;
    live(&l, 1, &quiet);
    assert_int_equal(l.changes, 4);
    assert_memory_equal(l.path, expected, sizeof expected);
    assert_string_equal(l.why, "1 process killed for memory");
}

/* A process takes memory from the start on; the agent looks every second, when pressure_look_again_ns says
   so, and, on v1, at the kernel's wake-up half a millisecond before the kill. Returns the level just before
   it. */
static enum level before_kill(double bytes_per_s, double first_look_s, bool look_again, bool wake)
{
    struct life l = life_begin();
    double killed_s = (double)(LIMIT - MIB) / bytes_per_s, regular_s = first_look_s;
    uint64_t start_ns = l.now.now_ns + NSEC_PER_SEC;
    step(&l);
    for (double at_s = first_look_s; at_s < killed_s;) {
        l.now.now_ns = start_ns + (uint64_t)(at_s * 1e9);
        l.now.unreclaimable_bytes = MIB + (uint64_t)(at_s * bytes_per_s);
        step(&l);
        double again_s = at_s + (double)pressure_look_again_ns(&l.state) / 1e9;
        if (at_s >= regular_s)
            regular_s += 1.0;
        at_s = look_again && again_s > at_s && again_s < regular_s ? again_s : regular_s;
    }
    if (wake) {
        l.now.now_ns = start_ns + (uint64_t)(killed_s * 1e9) - 500000;
        l.now.unreclaimable_bytes = LIMIT - 65536;
        l.now.limit_hits++;
        l.now.v1_low = l.now.v1_medium = l.now.v1_critical = true;
        step(&l);
    }
    return l.state.level;
}

static void grower_is_noticed_before_the_kill_at_any_speed_and_phase(void **unused)
{
    (void)unused;
    for (double mb = 20; mb <= 200; mb += 10)
        for (double phase = 0.02; phase < 1.0; phase += 0.07) {
            assert_true(before_kill(mb * 1e6, phase, false, true) >= LEVEL_MEDIUM);
            double life_s = (double)LIMIT / (mb * 1e6);
            if (phase > life_s * 0.1 && phase < life_s * 0.7) /* one regular look falls into its life */
                assert_true(before_kill(mb * 1e6, phase, true, false) >= LEVEL_MEDIUM);
        }
    for (double phase = 0.02; phase < 1.0; phase += 0.07) /* with nothing but a look each second */
        assert_true(before_kill(20e6, phase, false, false) >= LEVEL_MEDIUM);
}

static void thrashing_is_medium_then_critical(void **unused)
{
    (void)unused;
    static const enum level expected[] = {LEVEL_LOW, LEVEL_MEDIUM, LEVEL_CRITICAL};
    struct life l = life_begin();
    l.now.has_reclaim = true;
    step(&l);
    live(&l, 30, &thrashing);
    assert_int_equal(l.changes, 3);
    assert_memory_equal(l.path, expected, sizeof expected);
    assert_non_null(strstr(l.why, "refaults/s"));
    assert_non_null(strstr(l.why, "full "));
}

static void swapless_livelock_is_critical(void **unused)
{
    (void)unused;
    static const struct second livelock = {
        .some_permille = 900, .full_permille = 860, .hits = 100, .scanned = 14000, .reclaimed = 440};
    struct life l = life_begin();
    l.now.has_reclaim = true;
    l.now.unreclaimable_bytes = LIMIT * 80 / 100;
    step(&l);
    live(&l, 30, &livelock);
    assert_int_equal(l.state.level, LEVEL_CRITICAL);
}

static void host_without_psi_says_so(void **unused)
{
    (void)unused;
    static const struct second squeezed = {.refaults = 2000, .hits = 300, .v1_low = true, .v1_medium = true};
    struct life l = life_begin();
    l.now.has_psi = false;
    l.now.unreclaimable_bytes = LIMIT * 70 / 100;
    step(&l);
    live(&l, 30, &squeezed);
    assert_int_equal(l.state.level, LEVEL_MEDIUM);
    assert_non_null(strstr(l.why, "(no PSI here)"));
}

static void square_wave_changes_the_level_a_few_times_only(void **unused)
{
    (void)unused;
    struct life l = life_begin();
    l.now.has_reclaim = true;
    step(&l);
    for (unsigned minute = 0; minute < 60; minute++)
        for (unsigned wave = 0; wave < 6; wave++) {
            live(&l, 5, &thrashing);
            live(&l, 5, &quiet);
        }
    assert_true(l.changes <= 4);
    live(&l, 80, &quiet);
    assert_int_equal(l.state.level, LEVEL_NONE);
}

static void each_level_is_held_for_its_time(void **unused)
{
    (void)unused;
    struct life l = life_begin();
    l.now.has_reclaim = true;
    step(&l);
    live(&l, 20, &thrashing);
    assert_int_equal(l.state.level, LEVEL_CRITICAL);
    live(&l, 9, &quiet);
    assert_int_equal(l.state.level, LEVEL_CRITICAL);
    live(&l, 12, &quiet);
    assert_true(l.state.level < LEVEL_MEDIUM);
    live(&l, 61, &quiet);
    assert_int_equal(l.state.level, LEVEL_NONE);
    assert_string_equal(l.why, "low is over");
}

static void files_read_in_rounds_make_one_event(void **unused)
{
    (void)unused;
    static const struct second streaming = {
        .some_permille = 60, .hits = 900, .refaults = 3000, .v1_low = true};
    struct life l = life_begin();
    l.now.has_reclaim = true;
    step(&l);
    for (unsigned round = 0; round < 60; round++) {
        live(&l, 8, &streaming);
        live(&l, 20, &quiet);
    }
    assert_int_equal(l.state.level, LEVEL_LOW);
    assert_int_equal(l.changes, 1);
}

static void oom_kill_counts_at_once_and_for_ten_seconds(void **unused)
{
    (void)unused;
    struct life l = life_begin();
    l.now.oom_kills = 7; /* of the container's earlier life */
    step(&l);
    live(&l, 5, &quiet);
    assert_int_equal(l.state.level, LEVEL_NONE);
    l.now.now_ns += NSEC_PER_MSEC;
    l.now.oom_kills = 9;
    step(&l);
    assert_int_equal(l.state.level, LEVEL_OOM);
    assert_string_equal(l.why, "2 processes killed for memory");
    live(&l, 9, &quiet);
    assert_int_equal(l.state.level, LEVEL_OOM);
    live(&l, 1, &quiet);
    assert_int_equal(l.state.level, LEVEL_NONE);
    assert_string_equal(l.why, "oom is over");
}

static void first_step_and_first_after_a_gap_only_remember(void **unused)
{
    (void)unused;
    struct life l = life_begin();
    l.now.psi_some_usec = l.now.psi_full_usec = UINT64_C(3600000000);
    l.now.refaults = l.now.limit_hits = 1000000;
    l.now.v1_critical = true;
    step(&l);
    live(&l, 3, &quiet);
    assert_int_equal(l.highest, LEVEL_NONE);
    l.now.now_ns += 11 * NSEC_PER_SEC;
    l.now.psi_some_usec += 11000000;
    l.now.psi_full_usec += 11000000;
    l.now.refaults += 100000;
    l.now.unreclaimable_bytes = LIMIT / 2;
    step(&l);
    live(&l, 3, &quiet);
    assert_int_equal(l.highest, LEVEL_NONE);
    l.now.now_ns += 3600 * NSEC_PER_SEC;
    l.now.oom_kills++;
    step(&l);
    assert_int_equal(l.state.level, LEVEL_OOM);
}

static void one_millisecond_of_stall_between_wakeups_is_nothing(void **unused)
{
    (void)unused;
    struct life l = life_begin();
    step(&l);
    live(&l, 3, &quiet);
    for (unsigned i = 0; i < 10; i++) {
        l.now.now_ns += NSEC_PER_MSEC;
        l.now.psi_some_usec += 1000;
        l.now.psi_full_usec += 1000;
        l.now.refaults++;
        step(&l);
    }
    assert_int_equal(l.highest, LEVEL_NONE);
    l.now.psi_some_usec += 1000; /* the clock did not move */
    step(&l);
    assert_int_equal(l.highest, LEVEL_NONE);
}

static void counters_that_go_back_are_a_new_group_not_a_flood(void **unused)
{
    (void)unused;
    struct life l = life_begin();
    l.now.psi_some_usec = l.now.refaults = l.now.limit_hits = l.now.oom_kills = 1000000;
    step(&l);
    live(&l, 2, &quiet);
    l.now.psi_some_usec = l.now.refaults = l.now.limit_hits = l.now.oom_kills = 0;
    live(&l, 2, &quiet);
    assert_int_equal(l.highest, LEVEL_NONE);
}

static void level_of_before_a_restart_is_held_and_not_told_again(void **unused)
{
    (void)unused;
    const struct pressure_rules rules = PRESSURE_RULES_DEFAULT;
    struct life l = life_begin();
    pressure_resume(&l.state, &rules, LEVEL_CRITICAL, l.now.now_ns);
    live(&l, 30, &thrashing);
    assert_int_equal(l.changes, 0);
    assert_int_equal(l.state.level, LEVEL_CRITICAL);

    struct life calm = life_begin();
    pressure_resume(&calm.state, &rules, LEVEL_CRITICAL, calm.now.now_ns);
    live(&calm, 60, &quiet);
    assert_int_equal(calm.changes, 1);
    assert_int_equal(calm.path[0], LEVEL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_files_all_day_stays_low),
        cmocka_unit_test(reading_one_file_in_circles_from_a_fast_disk_stays_low),
        cmocka_unit_test(writing_to_a_slow_disk_stays_low),
        cmocka_unit_test(heap_of_90_percent_that_does_not_move_is_low),
        cmocka_unit_test(start_that_takes_three_quarters_at_once_warns_nobody),
        cmocka_unit_test(start_that_takes_nine_tenths_is_over_when_it_stands_still),
        cmocka_unit_test(reclaim_that_costs_no_time_stays_low),
        cmocka_unit_test(slow_leak_goes_through_every_level),
        cmocka_unit_test(grower_is_noticed_before_the_kill_at_any_speed_and_phase),
        cmocka_unit_test(thrashing_is_medium_then_critical),
        cmocka_unit_test(swapless_livelock_is_critical),
        cmocka_unit_test(host_without_psi_says_so),
        cmocka_unit_test(square_wave_changes_the_level_a_few_times_only),
        cmocka_unit_test(each_level_is_held_for_its_time),
        cmocka_unit_test(files_read_in_rounds_make_one_event),
        cmocka_unit_test(oom_kill_counts_at_once_and_for_ten_seconds),
        cmocka_unit_test(first_step_and_first_after_a_gap_only_remember),
        cmocka_unit_test(one_millisecond_of_stall_between_wakeups_is_nothing),
        cmocka_unit_test(counters_that_go_back_are_a_new_group_not_a_flood),
        cmocka_unit_test(level_of_before_a_restart_is_held_and_not_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
