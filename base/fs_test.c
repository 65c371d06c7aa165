#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Each story runs in a directory of its own, which is the working directory. */
static int enter_directory(void **state)
{
    static char name[64];
    str_copy(name, sizeof name, "/tmp/masu-fs-XXXXXX");
    *state = mkdtemp(name);
    return *state ? chdir(name) : -1;
}

static int leave_directory(void **state)
{
    char command[128];
    str_format(command, sizeof command, "rm -rf '%s'", (const char *)*state);
    return chdir("/") || system(command);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_file(const char *name, const char *text)
{
    char buf[4096];
    assert_int_equal(fs_read_at(AT_FDCWD, name, buf, sizeof buf), (ssize_t)strlen(text));
    assert_string_equal(buf, text);
}

static void files_are_read_below_a_directory(void **state)
{
    (void)state;
    assert_int_equal(mkdir("group", 0755), 0);
    put("group/pids.max", "max\n");
    CLEANUP_FD int dir = fs_open_dir(AT_FDCWD, "group");
    assert_true(dir >= 0);
    char buf[16];
    assert_int_equal(fs_read_at(dir, "pids.max", buf, sizeof buf), 4);
    assert_string_equal(buf, "max\n");
    assert_int_equal(fs_read_at(dir, "gone", buf, sizeof buf), -ENOENT);
    assert_true(fs_exists_at(dir, "pids.max"));
    assert_false(fs_exists_at(dir, "gone"));
    assert_int_equal(fs_open_dir(dir, "pids.max"), -ENOTDIR);
}

static void a_file_that_does_not_fit_is_never_cut_silently(void **state)
{
    (void)state;
    char buf[5];
    put("four", "1234");
    put("five", "12345");
    assert_int_equal(fs_read_at(AT_FDCWD, "four", buf, sizeof buf), 4);
    assert_string_equal(buf, "1234");
    assert_int_equal(fs_read_at(AT_FDCWD, "five", buf, sizeof buf), -E2BIG);
}

static void a_long_kernel_file_is_read_whole(void **state)
{
    (void)state;
    static char buf[1 << 20], again[1 << 20];
    /* smaps comes in many reads of the kernel's buffer, the others in few */
    static const char *const files[] = {"/proc/self/smaps", "/proc/cpuinfo", "/proc/filesystems"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP_FD int fd = open(files[i], O_RDONLY | O_CLOEXEC);
        ssize_t len = fs_pread(fd, buf, sizeof buf);
        FILE *f = fopen(files[i], "r");
        assert_non_null(f);
        size_t expected = fread(again, 1, sizeof again, f);
        fclose(f);
        assert_true(len > 0);
        assert_true((size_t)len + 4096 > expected && expected + 4096 > (size_t)len);
        assert_int_equal(buf[len - 1], '\n');
    }
}

static void a_second_reading_sees_what_is_new(void **state)
{
    (void)state;
    char buf[64];
    put("value", "1\n");
    CLEANUP_FD int fd = open("value", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fs_pread(fd, buf, sizeof buf), 2);
    put("value", "22\n");
    assert_int_equal(fs_pread(fd, buf, sizeof buf), 3);
    assert_string_equal(buf, "22\n");
}

static void a_write_needs_an_existing_file(void **state)
{
    (void)state;
    assert_int_equal(fs_write_at(AT_FDCWD, "missing", "1", 1), -ENOENT);
    assert_false(fs_exists_at(AT_FDCWD, "missing"));
    put("there", "0");
    assert_int_equal(fs_write_at(AT_FDCWD, "there", "7", 1), 0);
    assert_file("there", "7");
    assert_int_equal(fs_write_at(AT_FDCWD, "/dev/full", "7", 1), -ENOSPC);
}

static void a_file_is_replaced_whole_or_not_at_all(void **state)
{
    (void)state;
    put("state", "old");
    CLEANUP_FD int reader = open("state", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fs_replace_at(AT_FDCWD, "state", "new text", 8, 0640), 0);
    assert_file("state", "new text");
    char buf[16];
    assert_int_equal(fs_pread(reader, buf, sizeof buf), 3); /* who had it open keeps the old one */

    struct stat st;
    assert_int_equal(stat("state", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(mkdir("busy", 0755), 0);
    put("busy/file", "");
    assert_true(fs_replace_at(AT_FDCWD, "busy", "x", 1, 0600) < 0);
    assert_int_equal(system("test -z \"$(ls | grep tmp)\""), 0); /* no temporary is left behind */
}

static void replacing_works_below_a_path_descriptor(void **state)
{
    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    CLEANUP_FD int dir = fs_open_dir(AT_FDCWD, "d");
    assert_int_equal(fs_replace_at(dir, "f", "x", 1, 0600), 0);
    assert_file("d/f", "x");
}

static void directories_are_made_with_their_parents(void **state)
{
    char path[128];
    str_format(path, sizeof path, "%s/a/b/c", (const char *)*state);
    assert_int_equal(fs_make_dirs(path, 0755), 0);
    assert_int_equal(fs_make_dirs(path, 0755), 0);
    assert_true(fs_exists_at(AT_FDCWD, "a/b/c"));
    put("file", "");
    str_format(path, sizeof path, "%s/file", (const char *)*state);
    assert_int_equal(fs_make_dirs(path, 0755), -ENOTDIR);
    assert_int_equal(fs_make_dirs("relative", 0755), -EINVAL);
}

static void slurping_minds_its_limit(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    put("policy", "quotas: {}\n");
    assert_int_equal(fs_slurp("policy", 11, &text, &len), 0);
    assert_int_equal(len, 11);
    assert_string_equal(text, "quotas: {}\n");
    free(text);
    assert_int_equal(fs_slurp("policy", 10, &text, &len), -EFBIG);
    put("empty", "");
    assert_int_equal(fs_slurp("empty", 10, &text, &len), 0);
    assert_string_equal(text, "");
    free(text);
}

static void slurping_takes_regular_files_only(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(fs_slurp(".", 10, &text, &len), -EISDIR);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(fs_slurp("fifo", 10, &text, &len), -EINVAL);
    assert_int_equal(fs_slurp("/dev/zero", 10, &text, &len), -EINVAL);
    assert_int_equal(fs_slurp("gone", 10, &text, &len), -ENOENT);
    assert_null(text);
}

static void closing_keeps_errno(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int taken = fd_take(&fd);
    assert_int_equal(fd, -1);
    fd_close(taken);
    errno = ENOENT;
    fd_close(taken); /* closed already: EBADF */
    fd_close(-1);
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, enter_directory, leave_directory)
    const struct CMUnitTest tests[] = {
        STORY(files_are_read_below_a_directory),
        STORY(a_file_that_does_not_fit_is_never_cut_silently),
        STORY(a_long_kernel_file_is_read_whole),
        STORY(a_second_reading_sees_what_is_new),
        STORY(a_write_needs_an_existing_file),
        STORY(a_file_is_replaced_whole_or_not_at_all),
        STORY(replacing_works_below_a_path_descriptor),
        STORY(directories_are_made_with_their_parents),
        STORY(slurping_minds_its_limit),
        STORY(slurping_takes_regular_files_only),
        STORY(closing_keeps_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
