#include "model/setting.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct settings settings;
static char why[256];

static int defaults(void **state)
{
    (void)state;
    settings_init(&settings);
    why[0] = '\0';
    return 0;
}

static int set(const char *key, const char *text)
{
    for (unsigned i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].key, key) == 0)
            return setting_parse(&settings_table[i], text, &settings, why, sizeof why);
    fail_msg("no setting '%s'", key);
    return 0;
}

static void defaults_are_those_of_the_table(void **state)
{
    (void)state;
    assert_int_equal(settings.interval_ns, UINT64_C(1000000000));
    assert_string_equal(settings.state_dir, "/var/lib/masu");
    assert_string_equal(settings.http_listen, "127.0.0.1:9780");
    assert_true(settings.enforce);
    assert_int_equal(settings.archive_max_bytes, UINT64_C(8) << 30);
    assert_int_equal(settings.scope.count, 0);
    assert_string_equal(settings.webhook, "");
    assert_string_equal(settings.config_path, "");
}

static void each_kind_is_read(void **state)
{
    (void)state;
    assert_int_equal(set("interval", "500ms"), 0);
    assert_int_equal(settings.interval_ns, 500000000);
    assert_int_equal(set("journal.max", "64MiB"), 0);
    assert_int_equal(settings.journal_max_bytes, 67108864);
    assert_int_equal(set("enforce", "off"), 0);
    assert_false(settings.enforce);
    assert_int_equal(set("enforce", "yes"), 0);
    assert_true(settings.enforce);
    assert_int_equal(set("paths.run", "/tmp/run"), 0);
    assert_string_equal(settings.run_dir, "/tmp/run");
    assert_int_equal(set("webhook", "https://example.org/hook"), 0);
    assert_string_equal(settings.webhook, "https://example.org/hook");
}

static void listening_may_be_switched_off(void **state)
{
    (void)state;
    assert_int_equal(set("http.listen", "off"), 0);
    assert_string_equal(settings.http_listen, "");
    assert_int_equal(set("http.listen", "[::1]:80"), 0);
    assert_string_equal(settings.http_listen, "[::1]:80");
    static const char *const wrong[] = {
        "",       ":80",     "127.0.0.1", "127.0.0.1:",     "127.0.0.1:0", "127.0.0.1:65536",
        "::1:80", "[::1:80", "host:80",   "[127.0.0.1]:80", "1.2.3:80"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(set("http.listen", wrong[i]), -EINVAL);
        assert_non_null(strstr(why, "ADDRESS:PORT"));
    }
    assert_string_equal(settings.http_listen, "[::1]:80");
}

static void a_refusal_says_what_was_expected(void **state)
{
    (void)state;
    assert_int_equal(set("interval", "1"), -EINVAL);
    assert_string_equal(why, "expected a duration such as '1s'");
    assert_int_equal(set("interval", "1ms"), -ERANGE);
    assert_string_equal(why, "expected at least 100ms");
    assert_int_equal(set("interval", "2h"), -ERANGE);
    assert_string_equal(why, "expected at most 1h");
    assert_int_equal(set("archive.step", "1.5s"), -EINVAL);
    assert_string_equal(why, "expected a multiple of 1s");
    assert_int_equal(set("journal.max", "1GB/s"), -EINVAL);
    assert_string_equal(why, "expected a size such as '16MiB'");
    assert_int_equal(set("enforce", "maybe"), -EINVAL);
    assert_string_equal(why, "expected 'on' or 'off'");
    assert_int_equal(set("paths.run", "run"), -EINVAL);
    assert_non_null(strstr(why, "absolute path"));
    assert_int_equal(set("webhook", "ftp://x"), -EINVAL);
    assert_int_equal(set("webhook", "http://"), -EINVAL);
    assert_non_null(strstr(why, "URL"));
    assert_int_equal(settings.interval_ns, UINT64_C(1000000000));
}

static void lists_grow_in_order_up_to_their_limit(void **state)
{
    (void)state;
    assert_int_equal(set("scope", "/lxc/**"), 0);
    assert_int_equal(set("scope", "/docker/*"), 0);
    assert_int_equal(settings.scope.count, 2);
    assert_string_equal(settings.scope.items[1], "/docker/*");
    assert_int_equal(set("scope", "/lxc/[a"), -EINVAL);
    assert_non_null(strstr(why, "not closed"));
    assert_int_equal(set("scope", "lxc/*"), -EINVAL);
    while (settings.policy.count < SETTING_LIST_MAX)
        assert_int_equal(set("policy", "/etc/masu/policy.d"), 0);
    assert_int_equal(set("policy", "/etc/masu/one-more"), -ERANGE);
    assert_string_equal(why, "expected at most 16 entries");
    assert_int_equal(settings.policy.count, SETTING_LIST_MAX);
}

static void a_path_too_long_is_refused_whole(void **state)
{
    (void)state;
    char path[SETTING_PATH_MAX + 1];
    memset(path, '/', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(set("paths.state", path), -ERANGE);
    assert_string_equal(settings.state_dir, "/var/lib/masu");
    path[SETTING_PATH_MAX - 1] = '\0';
    assert_int_equal(set("paths.state", path), 0);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup(name, defaults)
    const struct CMUnitTest tests[] = {
        STORY(defaults_are_those_of_the_table),       STORY(each_kind_is_read),
        STORY(listening_may_be_switched_off),         STORY(a_refusal_says_what_was_expected),
        STORY(lists_grow_in_order_up_to_their_limit), STORY(a_path_too_long_is_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
