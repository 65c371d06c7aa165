/* masu.yaml as an operator writes it. */

#include "policy/settings.h"

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/masu-settings-XXXXXX";

static int enter(void **unused)
{
    (void)unused;
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int leave(void **unused)
{
    (void)unused;
    unlink("masu.yaml");
    return rmdir(directory);
}

static int load(const char *text, struct settings *ret, struct diags *diags)
{
    FILE *file = fopen("masu.yaml", "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return settings_load("masu.yaml", ret, diags);
}

static void assert_fault(const char *text, const char *expected)
{
    struct settings settings;
    struct diags diags = DIAGS_NULL;
    char line[1024];
    assert_true(load(text, &settings, &diags) < 0);
    assert_int_equal(diags.count, 1);
    assert_string_equal(diag_format(&diags.items[0], line, sizeof line), expected);
    diags_fini(&diags);
}

static void empty_file_is_all_defaults(void **unused)
{
    (void)unused;
    struct settings settings, defaults;
    struct diags diags = DIAGS_NULL;
    settings_init(&defaults);
    assert_int_equal(load("# nothing\n", &settings, &diags), 0);
    assert_true(strstr(settings.config_path, "/masu.yaml") && settings.config_path[0] == '/');
    settings.config_path[0] = '\0';
    assert_string_equal(settings.run_dir, "/run/masu");
    assert_int_equal(settings.interval_ns, defaults.interval_ns);
    assert_int_equal(settings.policy.count, 0);
    assert_true(settings.enforce);
}

static void nested_keys_and_lists_are_read(void **unused)
{
    (void)unused;
    struct settings settings;
    struct diags diags = DIAGS_NULL;
    assert_int_equal(load("interval: 2s\n"
                          "paths: { state: /tmp/s, run: /tmp/r }\n"
                          "http: { listen: off }\n"
                          "scope: [ \"/a/**\", /b ]\n"
                          "policy: /etc/masu/policy.d\n"
                          "enforce: off\n",
                          &settings, &diags),
                     0);
    assert_int_equal(settings.interval_ns, 2 * NSEC_PER_SEC);
    assert_string_equal(settings.state_dir, "/tmp/s");
    assert_string_equal(settings.http_listen, "");
    assert_int_equal(settings.scope.count, 2);
    assert_string_equal(settings.scope.items[1], "/b");
    assert_string_equal(settings.policy.items[0], "/etc/masu/policy.d");
    assert_false(settings.enforce);
}

static void relative_policies_stand_beside_the_file(void **unused)
{
    (void)unused;
    struct settings settings;
    struct diags diags = DIAGS_NULL;
    char expected[SETTING_PATH_MAX], full[SETTING_PATH_MAX];
    assert_int_equal(load("policy: [ policy.d/a.yaml, ./b.yaml, /c.yaml ]\n", &settings, &diags), 0);
    snprintf(expected, sizeof expected, "%s/policy.d/a.yaml", directory);
    assert_string_equal(settings.policy.items[0], expected);
    snprintf(expected, sizeof expected, "%s/b.yaml", directory);
    assert_string_equal(settings.policy.items[1], expected);
    assert_string_equal(settings.policy.items[2], "/c.yaml");
    snprintf(full, sizeof full, "%s/masu.yaml", directory);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(settings_load(full, &settings, &diags), 0);
    assert_string_equal(settings.policy.items[1], expected);
    assert_string_equal(settings.config_path, full);
    assert_int_equal(chdir(directory), 0);
}

static void faults_name_place_key_and_remedy(void **unused)
{
    (void)unused;
    assert_fault("intervall: 1s\n", "masu.yaml:1:1: unknown key 'intervall', did you mean 'interval'?");
    assert_fault("paths: { stat: /a }\n", "masu.yaml:1:10: unknown key 'stat', did you mean 'state'?");
    assert_fault("paths: /a\n", "masu.yaml:1:8: paths: found '/a', expected a map with state or run");
    assert_fault("paths.run: /a\n", "masu.yaml:1:1: unknown key 'paths.run', write it as paths: { run: … }");
    assert_fault("interval: [ 1s ]\n", "masu.yaml:1:11: interval: found a list, expected one value");
    assert_fault("scope: { a: b }\n", "masu.yaml:1:8: scope: found a map, expected a list");
    assert_fault("scope: [ [ /a ] ]\n",
                 "masu.yaml:1:10: scope: found a list, expected one value in each place of the list");
    assert_fault("[ interval ]\n", "masu.yaml:1:1: found a list, expected a map of settings");
}

static void every_fault_is_told_and_nothing_is_set(void **unused)
{
    (void)unused;
    struct settings settings = {.interval_ns = 42};
    struct diags diags = DIAGS_NULL;
    assert_true(load("interval: 5\npaths: { run: relative }\nenforce: perhaps\n", &settings, &diags) < 0);
    assert_int_equal(diags.count, 3);
    assert_string_equal(diags.items[1].key, "paths.run");
    assert_int_equal(settings.interval_ns, 42);
    diags_fini(&diags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_is_all_defaults),
        cmocka_unit_test(nested_keys_and_lists_are_read),
        cmocka_unit_test(relative_policies_stand_beside_the_file),
        cmocka_unit_test(faults_name_place_key_and_remedy),
        cmocka_unit_test(every_fault_is_told_and_nothing_is_set),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
