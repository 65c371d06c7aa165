#include "exporters/archive_disk.h"

#include "base/attrs.h"
#include "exporters/rrd_file.h"
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

enum { NOON_S = 1795000000, GIB = 1 << 30 };

static char root[64];

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/masu-disk-test-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static bool has_file(const char *key)
{
    char path[RRD_PATH_MAX];

    assert_true(rrd_file_path(root, key, FOLD_AVERAGE, path));
    return access(path, F_OK) == 0;
}

static bool only_web_lives(void *owner, const char *key)
{
    (void)owner;
    return strcmp(key, "lxc:web") == 0;
}

static void the_files_unused_for_longest_go_first_and_the_living_stay(void **state)
{
    static const char *const keys[] = {"lxc:old", "lxc:web", "lxc:new"};
    struct archive_disk disk;
    char path[RRD_PATH_MAX], why[RRD_WHY_MAX];
    int64_t last_s;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
        for (int kind = 0; kind < FOLD_KINDS; kind++) {
            struct utimbuf times = {.modtime = i == 1 ? 1000 : 100000 * (int64_t)(i + 1)};
            assert_true(rrd_file_path(root, keys[i], kind, path));
            assert_int_equal(rrd_file_prepare(path, kind, 10, NOON_S, &last_s, why), RRD_FILE_OK);
            assert_int_equal(utime(path, &times), 0);
        }
    assert_int_equal(archive_disk_trim(root, GIB, only_web_lives, NULL, &disk), 0);
    assert_int_equal(disk.removed, 0);
    assert_int_equal(disk.files, 6);
    assert_int_equal(archive_disk_trim(root, disk.bytes - 1, only_web_lives, NULL, &disk), 0);
    assert_int_equal(disk.removed, 1);
    assert_false(has_file("lxc:old"));
    assert_true(has_file("lxc:new"));
    assert_int_equal(archive_disk_trim(root, 1, only_web_lives, NULL, &disk), 0);
    assert_true(has_file("lxc:web"));
    assert_false(has_file("lxc:new"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_files_unused_for_longest_go_first_and_the_living_stay),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
