/* `masu check`: each file is judged for what it is. */

#include "policy/check.h"

#include "base/attrs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/masu-check-XXXXXX";

static int enter(void **unused)
{
    (void)unused;
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int leave(void **unused)
{
    (void)unused;
    static const char *const files[] = {"a.yaml", "b.yaml", "masu.yaml"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlink(files[i]);
    return rmdir(directory);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static size_t check(unsigned count, const char *const *files, char *first, size_t size)
{
    struct diags diags = DIAGS_NULL;
    int r = check_files(files, count, &diags);
    size_t found = diags.count;
    if (found)
        diag_format(&diags.items[0], first, size);
    assert_true((r == 0) == (found == 0));
    diags_fini(&diags);
    return found;
}

static void policies_are_checked_together(void **unused)
{
    (void)unused;
    static const char *const both[] = {"a.yaml", "b.yaml"};
    char first[1024];
    write_file("a.yaml", "quotas:\n  web: { extends: small }\n");
    write_file("b.yaml", "quotas:\n  small: { pids: 5 }\n");
    assert_int_equal(check(2, both, first, sizeof first), 0);
    assert_int_equal(check(1, both, first, sizeof first), 1);
    assert_string_equal(first, "a.yaml:2:19: extends: no quota is named 'small'");
}

static void settings_are_known_by_their_keys(void **unused)
{
    (void)unused;
    static const char *const file[] = {"masu.yaml"};
    char first[1024];
    write_file("masu.yaml", "interval: 1s\n");
    assert_int_equal(check(1, file, first, sizeof first), 0);
    write_file("masu.yaml", "interval: 1\nhttp: { lisen: 127.0.0.1:1 }\n");
    assert_int_equal(check(1, file, first, sizeof first), 2);
    assert_string_equal(first, "masu.yaml:1:11: interval: found '1', expected a duration such as '1s'");
}

static void what_is_neither_is_judged_as_a_policy(void **unused)
{
    (void)unused;
    static const char *const file[] = {"a.yaml"};
    char first[1024];
    write_file("a.yaml", "cpu: 1\n");
    assert_int_equal(check(1, file, first, sizeof first), 1);
    assert_string_equal(first, "a.yaml:1:1: unknown key 'cpu', a policy file takes quotas and groups");
    write_file("a.yaml", "{ broken\n");
    assert_int_equal(check(1, file, first, sizeof first), 1);
    static const char *const missing[] = {"nowhere.yaml"};
    assert_int_equal(check(1, missing, first, sizeof first), 1);
    assert_string_equal(first, "nowhere.yaml: cannot be read: No such file or directory");
}

static void a_directory_without_a_policy_is_told(void **unused)
{
    (void)unused;
    static const char *const bare[] = {"bare"};
    char first[1024];
    assert_int_equal(mkdir("bare", 0755), 0);
    write_file("bare/notes.txt", "quotas: {}\n");
    assert_int_equal(check(1, bare, first, sizeof first), 1);
    assert_string_equal(first, "bare: no policy file (*.yaml) is in it");
    write_file("bare/a.yaml", "quotas: {}\n");
    assert_int_equal(check(1, bare, first, sizeof first), 0);
    unlink("bare/a.yaml");
    unlink("bare/notes.txt");
    rmdir("bare");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_are_checked_together),
        cmocka_unit_test(settings_are_known_by_their_keys),
        cmocka_unit_test(what_is_neither_is_judged_as_a_policy),
        cmocka_unit_test(a_directory_without_a_policy_is_told),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
