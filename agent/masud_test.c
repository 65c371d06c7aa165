/* What an operator meets at the command line of the built programs, and what the programs map. */

#include "base/attrs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BINARY(name) MASU_BINARY_DIR "/" name

struct answer {
    int code;
    char text[16384]; /* standard output and error */
};

static struct answer run(const char *command)
{
    struct answer answer = {0};
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    size_t len = fread(answer.text, 1, sizeof answer.text - 1, pipe);
    answer.text[len] = '\0';
    int status = pclose(pipe);
    answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return answer;
}

static struct answer check(const char *settings, const char *policy)
{
    char directory[] = "/tmp/masud-test-XXXXXX", command[512], path[64];
    assert_non_null(mkdtemp(directory));
    const struct {
        const char *name, *text;
    } files[] = {{"masu.yaml", settings}, {"policy.yaml", policy}};
    for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, files[i].name);
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        (void)fputs(files[i].text, file);
        (void)fclose(file);
    }
    (void)snprintf(command, sizeof command, "cd %s && " BINARY("masud") " --check --config %s/masu.yaml 2>&1",
                   directory, directory);
    struct answer answer = run(command);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    (void)run(command);
    return answer;
}

static void test_wrong_usage_is_64_and_shows_the_right_one(void **state)
{
    (void)state;
    static const char *const wrong[] = {"--no-such-option", "stray", "--config"};
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        char command[256];
        (void)snprintf(command, sizeof command, BINARY("masud") " %s 2>&1", wrong[i]);
        struct answer answer = run(command);
        assert_int_equal(answer.code, 64);
        assert_non_null(strstr(answer.text, "Usage: masud [--config FILE]"));
    }
}

static void test_help_and_version_go_to_standard_output(void **state)
{
    (void)state;
    struct answer help = run(BINARY("masud") " --help 2>/dev/null");
    assert_int_equal(help.code, 0);
    assert_non_null(strstr(help.text, "Exit status"));
    struct answer version = run(BINARY("masud") " --version 2>/dev/null");
    assert_int_equal(version.code, 0);
    assert_string_equal(version.text, "masud " MASU_VERSION "\n");
}

static void test_a_role_is_not_started_by_hand(void **state)
{
    (void)state;
    static const char *const commands[] = {
        BINARY("masud") " --role core 3</dev/null 2>&1",
        BINARY("masud") " --role gateway 3</dev/null 2>&1", /* not in this file */
        BINARY("masu-archiver") " 2>&1",
        BINARY("masu-gateway") " --role nobody 2>&1",
    };
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        struct answer answer = run(commands[i]);
        assert_int_equal(answer.code, 64);
        assert_non_null(strstr(answer.text, "started by masud, not by hand"));
    }
}

static void test_check_says_0_for_settings_and_policy_that_hold(void **state)
{
    (void)state;
    struct answer answer =
        check("interval: 1s\npolicy: [ policy.yaml ]\n",
              "quotas:\n  web:\n    match: { path: /web }\n    memory: { limit: 64MiB }\n");
    assert_string_equal(answer.text, "");
    assert_int_equal(answer.code, 0);
}

static void test_check_says_2_and_where_a_setting_is_wrong(void **state)
{
    (void)state;
    struct answer answer = check("intervall: 1s\n", "");
    assert_int_equal(answer.code, 2);
    assert_non_null(strstr(answer.text, "masu.yaml:1:1: "));
    assert_non_null(strstr(answer.text, "interval"));
}

static void test_check_says_2_and_where_the_policy_is_wrong(void **state)
{
    (void)state;
    struct answer answer =
        check("policy: [ policy.yaml ]\n", "quotas:\n  web:\n    memory: { limt: 64MiB }\n");
    assert_int_equal(answer.code, 2);
    assert_non_null(strstr(answer.text, "policy.yaml:3:"));
    assert_non_null(strstr(answer.text, "limt"));
}

static void test_a_settings_file_that_is_not_there_is_2(void **state)
{
    (void)state;
    struct answer answer = run(BINARY("masud") " --config /nonexistent/masu.yaml 2>&1");
    assert_int_equal(answer.code, 2);
    assert_non_null(strstr(answer.text, "/nonexistent/masu.yaml"));
}

/* What a process of root would map. */
static void test_masud_maps_no_graphics_and_no_http_library(void **state)
{
    (void)state;
    static const char *const unwanted[] = {"librrd", "libcairo",       "libpango",   "libglib", "libxml",
                                           "libpng", "libevent_extra", "libjansson", "libcurl", "libssl"};
    struct answer answer = run("ldd " BINARY("masud"));
    assert_int_equal(answer.code, 0);
    assert_non_null(strstr(answer.text, "libevent_core"));
    for (unsigned i = 0; i < ARRAY_LEN(unwanted); i++)
        if (strstr(answer.text, unwanted[i]))
            fail_msg("masud maps %s", unwanted[i]);
    assert_null(strstr(run("ldd " BINARY("masu-gateway")).text, "librrd"));
    assert_non_null(strstr(run("ldd " BINARY("masu-archiver")).text, "librrd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_usage_is_64_and_shows_the_right_one),
        cmocka_unit_test(test_help_and_version_go_to_standard_output),
        cmocka_unit_test(test_a_role_is_not_started_by_hand),
        cmocka_unit_test(test_check_says_0_for_settings_and_policy_that_hold),
        cmocka_unit_test(test_check_says_2_and_where_a_setting_is_wrong),
        cmocka_unit_test(test_check_says_2_and_where_the_policy_is_wrong),
        cmocka_unit_test(test_a_settings_file_that_is_not_there_is_2),
        cmocka_unit_test(test_masud_maps_no_graphics_and_no_http_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
