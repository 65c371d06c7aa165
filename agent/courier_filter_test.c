#include "agent/courier_filter.h"
#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct courier_filter filter;
static uint64_t last_number;

static int setup(void **state UNUSED)
{
    filter = COURIER_FILTER_NULL;
    last_number = 0;
    return 0;
}

static int teardown(void **state UNUSED)
{
    courier_filter_fini(&filter);
    return 0;
}

static struct event event_of(enum event_type type, const char *path, enum level level)
{
    struct event event = {.sequence = ++last_number, .type = (uint16_t)type, .level = (uint8_t)level};

    str_copy(event.path, sizeof event.path, path);
    return event;
}

static bool told(enum event_type type, const char *path, enum level level)
{
    struct event event = event_of(type, path, level);

    return courier_filter_pass(&filter, &event);
}

static void pressure_is_told_from_medium_up_and_when_it_is_over(void **state UNUSED)
{
    assert_false(told(EVENT_PRESSURE, "/web", LEVEL_LOW));
    assert_true(told(EVENT_PRESSURE, "/web", LEVEL_MEDIUM));
    assert_true(told(EVENT_PRESSURE, "/web", LEVEL_CRITICAL));
    assert_false(told(EVENT_PRESSURE, "/web", LEVEL_LOW));
    assert_true(told(EVENT_PRESSURE, "/web", LEVEL_NONE));
}

static void a_group_that_never_got_tight_is_never_told(void **state UNUSED)
{
    assert_false(told(EVENT_PRESSURE, "/web", LEVEL_LOW));
    assert_false(told(EVENT_PRESSURE, "/web", LEVEL_NONE));
}

static void a_level_is_told_once_per_group(void **state UNUSED)
{
    assert_true(told(EVENT_PRESSURE, "/web", LEVEL_MEDIUM));
    assert_true(told(EVENT_PRESSURE, "/db", LEVEL_MEDIUM));
    assert_false(told(EVENT_PRESSURE, "/web", LEVEL_LOW));
    assert_false(told(EVENT_PRESSURE, "/web", LEVEL_MEDIUM));
}

static void every_oom_kill_is_told(void **state UNUSED)
{
    assert_true(told(EVENT_OOM_KILL, "/web", LEVEL_NONE));
    assert_true(told(EVENT_OOM_KILL, "/web", LEVEL_NONE));
}

static void an_event_read_twice_is_told_once(void **state UNUSED)
{
    struct event kill = event_of(EVENT_OOM_KILL, "/web", LEVEL_NONE);

    assert_true(courier_filter_pass(&filter, &kill));
    assert_false(courier_filter_pass(&filter, &kill));
}

static void a_group_that_goes_while_under_pressure_is_told(void **state UNUSED)
{
    assert_true(told(EVENT_PRESSURE, "/web", LEVEL_CRITICAL));
    assert_true(told(EVENT_GONE, "/web", LEVEL_NONE));
    assert_false(told(EVENT_GONE, "/calm", LEVEL_NONE));
    assert_int_equal(filter.levels.count, 0);
}

static void the_agents_own_news_stay_at_home(void **state UNUSED)
{
    assert_false(told(EVENT_LIMIT, "/web", LEVEL_NONE));
    assert_false(told(EVENT_POLICY, "", LEVEL_NONE));
    assert_false(told(EVENT_BORN, "/web", LEVEL_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pressure_is_told_from_medium_up_and_when_it_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_that_never_got_tight_is_never_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_level_is_told_once_per_group, setup, teardown),
        cmocka_unit_test_setup_teardown(every_oom_kill_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_read_twice_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_that_goes_while_under_pressure_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(the_agents_own_news_stay_at_home, setup, teardown),
    };
    return cmocka_run_group_tests_name("courier_filter", tests, NULL, NULL);
}
