#include "base/str.h"
#include "model/event.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct event killed = {
    .type = EVENT_OOM_KILL, .path = "/lxc/web", .name = "web", .runtime = "lxc"};
static const struct event loaded = {.type = EVENT_POLICY};

static bool fits(const char *path, const char *types, const struct event *event)
{
    struct event_filter filter = {0};

    assert_true(str_copy(filter.path, sizeof filter.path, path));
    assert_true(!*types || event_types_parse(types, &filter.types));
    return event_filter_fits(&filter, event);
}

static void without_a_filter_everything_fits(void **state UNUSED)
{
    assert_true(fits("", "", &killed));
    assert_true(fits("", "", &loaded));
}

static void a_path_is_exact_or_a_glob(void **state UNUSED)
{
    assert_true(fits("/lxc/web", "", &killed));
    assert_true(fits("/lxc/*", "", &killed));
    assert_true(fits("/lxc/**", "", &killed));
    assert_false(fits("/lxc", "", &killed));
    assert_false(fits("/*", "", &killed));
    assert_false(fits("/lxc/web2", "", &killed));
}

static void a_path_with_a_backslash_fits_itself(void **state UNUSED)
{
    const char path[] = "/system.slice/system-getty\\x2d.slice";
    struct event event = {.type = EVENT_BORN};

    assert_true(str_copy(event.path, sizeof event.path, path));
    assert_true(fits(path, "", &event));
}

static void what_is_no_more_is_found_by_its_key(void **state UNUSED)
{
    assert_true(fits("lxc:web", "", &killed));
    assert_false(fits("docker:web", "", &killed));
    assert_false(fits("lxc:we", "", &killed));
}

static void what_is_about_the_agent_has_no_path(void **state UNUSED)
{
    assert_false(fits("/lxc/web", "", &loaded));
    assert_false(fits("**", "", &loaded));
    assert_true(fits("", "policy", &loaded));
}

static void one_of_several_types_fits(void **state UNUSED)
{
    assert_true(fits("", "oom_kill", &killed));
    assert_true(fits("/lxc/*", "pressure,oom_kill", &killed));
    assert_false(fits("/lxc/*", "pressure,born", &killed));
    assert_false(fits("/docker/*", "oom_kill", &killed));
}

static void all_but_some_types_fit(void **state UNUSED)
{
    assert_true(fits("", "-born,-gone", &killed));
    assert_false(fits("", "-born,-oom_kill", &killed));
    assert_false(fits("", "oom_kill,-oom_kill,born", &killed));
}

static void a_type_that_is_none_is_not_taken(void **state UNUSED)
{
    uint32_t types;

    assert_false(event_types_parse("oom", &types));
    assert_false(event_types_parse("-", &types));
    assert_false(event_types_parse("--born", &types));
    assert_false(event_types_parse("oom_kill,", &types));
    assert_false(event_types_parse("", &types));
    assert_false(event_types_parse("born,a_name_that_is_much_longer_than_any_type", &types));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_filter_everything_fits),
        cmocka_unit_test(a_path_is_exact_or_a_glob),
        cmocka_unit_test(a_path_with_a_backslash_fits_itself),
        cmocka_unit_test(what_is_no_more_is_found_by_its_key),
        cmocka_unit_test(what_is_about_the_agent_has_no_path),
        cmocka_unit_test(one_of_several_types_fits),
        cmocka_unit_test(all_but_some_types_fit),
        cmocka_unit_test(a_type_that_is_none_is_not_taken),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
