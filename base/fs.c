#include "base/fs.h"
#include "base/buf.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Kernel files are seq_files (fs/seq_file.c, seq_read_iter): one read hands out all there is, unless it would
 * not fit in the file's buffer of a page. So a reading of less than half a page is whole, and costs one
 * system call.
 */
enum { SEQ_SURELY_WHOLE = 2048, SLURP_STEP = 16384 };

void fd_close(int fd)
{
    int saved_errno = errno;
    if (fd >= 0)
        close(fd);
    errno = saved_errno;
}

void fd_closep(int *fd)
{
    fd_close(*fd);
}

int fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

int fs_open_dir(int dirfd, const char *path)
{
    int fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

ssize_t fs_pread(int fd, char *buf, size_t size)
{
    size_t len = 0;
    for (;;) {
        char probe;
        bool full = len == size - 1;
        ssize_t n = pread(fd, full ? &probe : buf + len, full ? 1 : size - 1 - len, (off_t)len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n > 0 && full)
            return -E2BIG;
        len += (size_t)n;
        if (n == 0 || (len < SEQ_SURELY_WHOLE && len < size - 1))
            break;
    }
    buf[len] = '\0';
    return (ssize_t)len;
}

ssize_t fs_read_at(int dirfd, const char *name, char *buf, size_t size)
{
    CLEANUP_FD int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fs_pread(fd, buf, size);
}

int fs_write_at(int dirfd, const char *name, const char *text, size_t len)
{
    CLEANUP_FD int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n;
    do
        n = write(fd, text, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -EIO;
}

int fd_write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Makes the rename itself durable. */
static int sync_parent(int dirfd, const char *name)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(name, '/');
    size_t len = slash ? (size_t)(slash - name) + 1 : 0;
    if (len >= sizeof parent)
        return -ENAMETOOLONG;
    memcpy(parent, len ? name : ".", len ? len : 1);
    parent[len ? len : 1] = '\0';
    CLEANUP_FD int fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

static int write_temporary(int dirfd, const char *name, const void *bytes, size_t len, mode_t mode)
{
    CLEANUP_FD int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int error = fd_write_all(fd, bytes, len);
    if (error)
        return error;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

int fs_replace_at(int dirfd, const char *name, const void *bytes, size_t len, mode_t mode)
{
    char temporary[PATH_MAX];
    if (!str_format(temporary, sizeof temporary, "%s.tmp%ld", name, (long)getpid()))
        return -ENAMETOOLONG;
    if (unlinkat(dirfd, temporary, 0) < 0 && errno != ENOENT)
        return -errno;
    int error = write_temporary(dirfd, temporary, bytes, len, mode);
    if (!error && renameat(dirfd, temporary, dirfd, name) < 0)
        error = -errno;
    if (error) {
        unlinkat(dirfd, temporary, 0);
        return error;
    }
    return sync_parent(dirfd, name);
}

bool fs_exists_at(int dirfd, const char *name)
{
    return faccessat(dirfd, name, F_OK, 0) == 0;
}

int fs_make_dirs(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    if (*path != '/')
        return -EINVAL;
    if (!str_copy(part, sizeof part, path))
        return -ENAMETOOLONG;
    for (char *at = part + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return -errno;
        *at = '/';
    }
    if (mkdir(part, mode) < 0 && errno != EEXIST)
        return -errno;
    struct stat st;
    if (stat(part, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int fs_slurp(const char *path, size_t limit, char **ret_text, size_t *ret_len)
{
    /* non-blocking, so that a fifo is refused instead of waited for */
    CLEANUP_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    CLEANUP(buf_fini) struct buf text = BUF_NULL;
    for (;;) {
        void *room = buf_reserve(&text, SLURP_STEP);
        if (!room)
            return buf_error(&text);
        ssize_t n = read(fd, room, SLURP_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        text.len += (size_t)n;
        if (text.len > limit)
            return -EFBIG;
    }
    *ret_len = text.len;
    /* buf_take gives nothing for an empty buffer, an empty file is still a text */
    *ret_text = text.data;
    text = BUF_NULL;
    return 0;
}
