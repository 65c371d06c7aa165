/*
 * Golden policies: each tests/golden/policy/NAME.yaml loads to what NAME.ok prints, or fails with the lines
 * of NAME.err. With MASU_GOLDEN_UPDATE set, the files are written instead. And every file of examples/ is
 * good.
 */

#include "policy/check.h"
#include "policy/policy.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_MAX = 1 << 20 };

/* What the policy of the file is, or what is wrong with it. */
static bool load(const char *file, struct buf *out)
{
    struct policy policy = POLICY_NULL;
    struct diags diags = DIAGS_NULL;
    char line[DIAG_FILE_MAX + DIAG_TEXT_MAX + 32];
    bool good = policy_load(&file, 1, &policy, &diags) == 0;
    buf_puts(out, "");
    if (good)
        policy_print(&policy, out);
    for (size_t i = 0; i < diags.count; i++)
        buf_printf(out, "%s\n", diag_format(&diags.items[i], line, sizeof line));
    policy_fini(&policy);
    diags_fini(&diags);
    assert_int_equal(buf_error(out), 0);
    return good;
}

static void compare(const char *name, const struct buf *found)
{
    char *expected = NULL;
    size_t len = 0;
    if (getenv("MASU_GOLDEN_UPDATE"))
        assert_int_equal(fs_replace_at(AT_FDCWD, name, found->data, found->len, 0644), 0);
    if (fs_slurp(name, TEXT_MAX, &expected, &len) < 0)
        fail_msg("%s is missing; this was found:\n%s", name, found->data);
    if (strcmp(expected, found->data) != 0)
        fail_msg("%s is not what was found:\n%s", name, found->data);
    free(expected);
}

static void compare_golden(const char *file)
{
    struct buf found = BUF_NULL;
    char name[256], other[256];
    bool good = load(file, &found);
    int stem = (int)(strlen(file) - strlen(".yaml"));
    assert_true(str_format(name, sizeof name, "%.*s%s", stem, file, good ? ".ok" : ".err"));
    assert_true(str_format(other, sizeof other, "%.*s%s", stem, file, good ? ".err" : ".ok"));
    compare(name, &found);
    if (fs_exists_at(AT_FDCWD, other))
        fail_msg("%s stands beside %s", other, name);
    buf_fini(&found);
}

static void every_golden_policy_gives_what_is_written_beside_it(void **unused)
{
    (void)unused;
    unsigned count = 0;
    assert_int_equal(chdir(MASU_SOURCE_DIR "/tests/golden/policy"), 0);
    DIR *dir = opendir(".");
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (str_ends(entry->d_name, ".yaml")) {
            compare_golden(entry->d_name);
            count++;
        }
    closedir(dir);
    assert_true(count > 20);
}

/* Prints, loads what was printed, prints again. */
static void what_is_printed_loads_to_the_same(void **unused)
{
    (void)unused;
    static const char *const files[] = {
        MASU_SOURCE_DIR "/tests/golden/policy/shop.yaml", MASU_SOURCE_DIR "/tests/golden/policy/values.yaml",
        MASU_SOURCE_DIR "/examples/shop.yaml", MASU_SOURCE_DIR "/examples/policy.d/quickstart.yaml"};
    char path[] = "/tmp/masu-golden-XXXXXX";
    close(mkstemp(path));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct buf first = BUF_NULL, second = BUF_NULL;
        assert_true(load(files[i], &first));
        assert_int_equal(fs_replace_at(AT_FDCWD, path, first.data, first.len, 0600), 0);
        assert_true(load(path, &second));
        assert_string_equal(first.data, second.data);
        buf_fini(&first);
        buf_fini(&second);
    }
    unlink(path);
}

static unsigned check_examples(const char *directory)
{
    unsigned count = 0;
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        char path[512], line[1024];
        const char *const paths[] = {path};
        struct diags diags = DIAGS_NULL;
        if (!str_ends(entry->d_name, ".yaml"))
            continue;
        assert_true(str_format(path, sizeof path, "%s/%s", directory, entry->d_name));
        if (check_files(paths, 1, &diags) != 0)
            fail_msg("%s", diag_format(&diags.items[0], line, sizeof line));
        diags_fini(&diags);
        count++;
    }
    closedir(dir);
    return count;
}

static void every_example_is_good(void **unused)
{
    (void)unused;
    assert_true(check_examples(MASU_SOURCE_DIR "/examples") >= 2);
    assert_true(check_examples(MASU_SOURCE_DIR "/examples/policy.d") >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_policy_gives_what_is_written_beside_it),
        cmocka_unit_test(what_is_printed_loads_to_the_same),
        cmocka_unit_test(every_example_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
