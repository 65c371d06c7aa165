#include "base/fs.h"
#include "base/memfd.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void sealed_bytes_can_be_read_but_not_changed(void **state)
{
    (void)state;
    CLEANUP_FD int fd = memfd_seal_bytes("plan", "four", 4);
    assert_true(fd >= 0);
    struct memfd_view view;
    assert_int_equal(memfd_map(fd, 100, &view), 0);
    assert_int_equal(view.len, 4);
    assert_memory_equal(view.bytes, "four", 4);
    memfd_view_fini(&view);
    memfd_view_fini(&view);

    assert_true(pwrite(fd, "x", 1, 0) < 0);
    assert_int_equal(errno, EPERM);
    assert_true(ftruncate(fd, 0) < 0);
    assert_true(ftruncate(fd, 8192) < 0);
    assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0);
}

static void nobody_else_may_open_it(void **state)
{
    (void)state;
    CLEANUP_FD int fd = memfd_seal_bytes("plan", "x", 1);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void bytes_that_may_still_change_are_not_mapped(void **state)
{
    (void)state;
    struct memfd_view view = MEMFD_VIEW_NULL;
    CLEANUP_FD int open_memfd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(open_memfd, "x", 1), 1);
    assert_int_equal(memfd_map(open_memfd, 100, &view), -EPERM);
    assert_int_equal(fcntl(open_memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_int_equal(memfd_map(open_memfd, 100, &view), -EPERM);
    CLEANUP_FD int device = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(memfd_map(device, 100, &view), -EPERM);
    assert_null(view.bytes);
}

static void a_size_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct memfd_view view;
    CLEANUP_FD int fd = memfd_seal_bytes("plan", "12345", 5);
    assert_int_equal(memfd_map(fd, 4, &view), -EFBIG);
    assert_int_equal(memfd_map(fd, 5, &view), 0);
    memfd_view_fini(&view);
}

static void no_bytes_are_fine_too(void **state)
{
    (void)state;
    struct memfd_view view;
    CLEANUP_FD int fd = memfd_seal_bytes("empty", NULL, 0);
    assert_int_equal(memfd_map(fd, 100, &view), 0);
    assert_int_equal(view.len, 0);
    assert_non_null(view.bytes);
    memfd_view_fini(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_bytes_can_be_read_but_not_changed),
        cmocka_unit_test(nobody_else_may_open_it),
        cmocka_unit_test(bytes_that_may_still_change_are_not_mapped),
        cmocka_unit_test(a_size_over_the_limit_is_refused),
        cmocka_unit_test(no_bytes_are_fine_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
