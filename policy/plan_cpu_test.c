#include "policy/plan_stage.h"

#include "base/str.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

static void bandwidth_widens_top_down_and_narrows_bottom_up(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    add_managed(&s, "/web", -1);
    add_managed(&s, "/web/a", 0);
    for (unsigned i = 0; i < 2; i++)
        holds(&s.groups[i], KNOB_CPU_BANDWIDTH, 100000);
    asks(&s, KNOB_CPU_BANDWIDTH, 2 * CORE);
    assert_string_equal(planned(&s, text), "/web cpu.bandwidth 100000 -> 200000\n"
                                           "/web/a cpu.bandwidth 100000 -> 200000\n");
    s.quota.settings[0].value = CORE / 2;
    assert_string_equal(planned(&s, text), "/web/a cpu.bandwidth 100000 -> 50000\n"
                                           "/web cpu.bandwidth 100000 -> 50000\n");
    plan_fini(&s.plan);
}

static void bandwidth_above_an_ancestors_is_refused_on_v1_in_words(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    holds(add_group(&s, "/web", -1), KNOB_CPU_BANDWIDTH, 150000);
    add_managed(&s, "/web/a", 0);
    asks(&s, KNOB_CPU_BANDWIDTH, 2 * CORE);
    assert_string_equal(planned(&s, text), "");
    assert_string_equal(
        refusal(&s), "cpu.bandwidth 2.0 of /web/a exceeds 1.5 of its parent /web (cgroup v1 refuses this)");
    plan_fini(&s.plan);
    scene_init(&s, 2); /* there the least of both holds */
    holds(add_group(&s, "/web", -1), KNOB_CPU_BANDWIDTH, 150000);
    add_managed(&s, "/web/a", 0);
    asks(&s, KNOB_CPU_BANDWIDTH, 2 * CORE);
    assert_string_equal(planned(&s, text), "/web/a cpu.bandwidth -1 -> 200000\n");
    plan_fini(&s.plan);
}

static void bandwidth_below_what_a_child_holds_is_refused_on_v1_in_words(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    add_managed(&s, "/web", -1);
    holds(add_group(&s, "/web/a", 0), KNOB_CPU_BANDWIDTH, 150000);
    asks(&s, KNOB_CPU_BANDWIDTH, CORE);
    assert_string_equal(planned(&s, text), "");
    assert_string_equal(
        refusal(&s),
        "cpu.bandwidth 1.0 of /web is less than the 1.5 of /web/a below it (cgroup v1 refuses this)");
    plan_fini(&s.plan);
}

static void a_burst_falls_before_the_quota_and_rises_after_it(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    struct plan_group *web = add_managed(&s, "/web", -1);
    holds(web, KNOB_CPU_BANDWIDTH, 100000);
    holds(web, KNOB_CPU_BURST, 50000);
    asks(&s, KNOB_CPU_BANDWIDTH, CORE / 5);
    asks(&s, KNOB_CPU_BURST, 10000);
    assert_string_equal(planned(&s, text), "/web cpu.burst 50000 -> 10000\n"
                                           "/web cpu.bandwidth 100000 -> 20000\n");
    s.quota.settings[0].value = 2 * CORE;
    s.quota.settings[1].value = 150000;
    assert_string_equal(planned(&s, text), "/web cpu.bandwidth 100000 -> 200000\n"
                                           "/web cpu.burst 50000 -> 150000\n");
    s.quota.settings[1].value = 250000;
    planned(&s, text);
    assert_string_equal(
        refusal(&s),
        "cpu.burst 250ms of /web exceeds the 200ms that it may use per period (the kernel refuses this)");
    plan_fini(&s.plan);
}

static void an_old_burst_makes_room_for_a_new_quota(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    holds(add_managed(&s, "/web", -1), KNOB_CPU_BURST, 50000);
    asks(&s, KNOB_CPU_BANDWIDTH, CORE / 5);
    assert_string_equal(planned(&s, text), "/web cpu.burst 50000 -> 20000\n"
                                           "/web cpu.bandwidth -1 -> 20000\n");
    plan_fini(&s.plan);
}

static void a_longer_period_dips_below_a_child_only_together_with_it(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 1);
    add_managed(&s, "/web", -1);
    add_managed(&s, "/web/a", 0);
    for (unsigned i = 0; i < 2; i++)
        holds(&s.groups[i], KNOB_CPU_BANDWIDTH, 50000);
    asks(&s, KNOB_CPU_BANDWIDTH, CORE / 2);
    asks(&s, KNOB_CPU_PERIOD, 200000);
    assert_string_equal(planned(&s, text), "/web/a cpu.period 100000 -> 200000\n"
                                           "/web cpu.period 100000 -> 200000\n"
                                           "/web cpu.bandwidth 50000 -> 100000\n"
                                           "/web/a cpu.bandwidth 50000 -> 100000\n");
    assert_int_equal(s.plan.rows[2].old_pair, 100000); /* to be read as half a core before and after */
    assert_int_equal(s.plan.rows[2].pair, 200000);
    s.groups[1].managed = false; /* now nobody may touch the child */
    assert_string_equal(planned(&s, text), "");
    assert_true(str_starts(refusal(&s), "cpu.period of /web cannot change while /web/a holds as much"));
    plan_fini(&s.plan);
}

static void quota_and_period_are_one_write_on_v2(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 2);
    add_managed(&s, "/web", -1);
    asks(&s, KNOB_CPU_BANDWIDTH, CORE / 2);
    asks(&s, KNOB_CPU_PERIOD, 20000);
    assert_string_equal(planned(&s, text), "/web cpu.bandwidth -1 -> 10000\n");
    assert_int_equal(s.plan.rows[0].old_pair, 100000);
    assert_int_equal(s.plan.rows[0].pair, 20000);
    plan_fini(&s.plan);
}

static void bandwidth_too_small_for_the_kernel_is_refused(void **state)
{
    (void)state;
    struct scene s;
    char text[4096];
    scene_init(&s, 2);
    add_managed(&s, "/web", -1);
    asks(&s, KNOB_CPU_BANDWIDTH, CORE / 200); /* 500 us of 100 ms; the kernel's least is 1000 us */
    assert_string_equal(planned(&s, text), "");
    assert_true(str_starts(refusal(&s), "cpu.bandwidth of /web: the kernel does not take 500 microseconds"));
    plan_fini(&s.plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bandwidth_widens_top_down_and_narrows_bottom_up),
        cmocka_unit_test(bandwidth_above_an_ancestors_is_refused_on_v1_in_words),
        cmocka_unit_test(bandwidth_below_what_a_child_holds_is_refused_on_v1_in_words),
        cmocka_unit_test(a_burst_falls_before_the_quota_and_rises_after_it),
        cmocka_unit_test(an_old_burst_makes_room_for_a_new_quota),
        cmocka_unit_test(a_longer_period_dips_below_a_child_only_together_with_it),
        cmocka_unit_test(quota_and_period_are_one_write_on_v2),
        cmocka_unit_test(bandwidth_too_small_for_the_kernel_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
