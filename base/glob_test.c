#include "base/glob.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void names(void **state)
{
    (void)state;
    assert_true(glob_match_name("web", "web"));
    assert_false(glob_match_name("web", "web1"));
    assert_true(glob_match_name("web-*", "web-12"));
    assert_true(glob_match_name("web-*", "web-"));
    assert_false(glob_match_name("web-*", "db-web-1"));
    assert_true(glob_match_name("*b*b", "abbb"));
    assert_true(glob_match_name("*ab*cd", "xabyycd"));
    assert_true(glob_match_name("*", ""));
    assert_true(glob_match_name("w?b", "web"));
    assert_false(glob_match_name("w?b", "wb"));
    assert_true(glob_match_name("b?ro", "b\xc3\xbcro")); /* ü is one character */
}

static void classes_and_quotes(void **state)
{
    (void)state;
    assert_true(glob_match_name("web-[0-9]", "web-7"));
    assert_false(glob_match_name("web-[0-9]", "web-x"));
    assert_true(glob_match_name("[!0-9]x", "ax"));
    assert_false(glob_match_name("[!0-9]x", "1x"));
    assert_true(glob_match_name("[]]", "]"));
    assert_true(glob_match_name("[a-]", "-"));
    assert_true(glob_match_name("a\\*", "a*"));
    assert_false(glob_match_name("a\\*", "ab"));
    assert_true(glob_match_name("[\\]]x", "]x"));
    assert_false(glob_match_name("[ab", "a"));
}

static void stars_stop_at_slashes(void **state)
{
    (void)state;
    assert_true(glob_match_path("/lxc/*", "/lxc/web"));
    assert_false(glob_match_path("/lxc/*", "/lxc"));
    assert_false(glob_match_path("/lxc/*", "/lxc/web/inner"));
    assert_false(glob_match_path("/lxc/?", "/lxc//"));
    assert_true(glob_match_path("/*/web", "/lxc/web"));
    assert_false(glob_match_path("lxc/*", "/lxc/web"));
    assert_true(glob_match_path("\\lxc/*", "lxc/web"));
    assert_true(glob_match_path("/", "/"));
    assert_false(glob_match_path("/", "/a"));
}

static void two_stars_span_components(void **state)
{
    (void)state;
    assert_true(glob_match_path("/a/**", "/a"));
    assert_true(glob_match_path("/a/**", "/a/b"));
    assert_true(glob_match_path("/a/**", "/a/b/c"));
    assert_false(glob_match_path("/a/**", "/ab"));
    assert_true(glob_match_path("/**", "/"));
    assert_true(glob_match_path("/**", "/a/b"));
    assert_true(glob_match_path("**", "/a/b"));
    assert_true(glob_match_path("/**/web", "/web"));
    assert_true(glob_match_path("/**/web", "/a/b/web"));
    assert_false(glob_match_path("/**/web", "/a/web/b"));
    assert_true(glob_match_path("/a/**/x/**/z", "/a/x/x/y/z"));
    assert_true(glob_match_path("/a/**/b*", "/a/c/d/bee"));
    assert_false(glob_match_path("/a/**/b/*", "/a/b"));
}

static void a_hostile_pattern_takes_no_long_time(void **state)
{
    (void)state;
    char text[4001], pattern[2002];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < 2000; i += 2)
        memcpy(pattern + i, "*a", 2);
    memcpy(pattern + 2000, "b", 2);
    assert_false(glob_match_name(pattern, text));
}

static void malformed_patterns_are_named(void **state)
{
    (void)state;
    assert_null(glob_check("/lxc/**"));
    assert_null(glob_check("web-[0-9]*"));
    assert_null(glob_check("**"));
    assert_null(glob_check("a\\*"));
    assert_null(glob_check("\\[x\\]"));
    assert_null(glob_check("[]-]"));
    assert_non_null(strstr(glob_check("web-[0-9"), "not closed"));
    assert_non_null(strstr(glob_check("/a/b[c/d]"), "not closed"));
    assert_non_null(strstr(glob_check("web\\"), "nothing follows"));
    assert_non_null(strstr(glob_check("/lxc**"), "stands alone"));
    assert_non_null(strstr(glob_check(""), "empty"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(classes_and_quotes),
        cmocka_unit_test(stars_stop_at_slashes),
        cmocka_unit_test(two_stars_span_components),
        cmocka_unit_test(a_hostile_pattern_takes_no_long_time),
        cmocka_unit_test(malformed_patterns_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
