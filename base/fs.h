#pragma once
/*
 * Files relative to directory descriptors. Every function forwards errno as -errno and closes on
 * exec. Kernel files are read whole into the caller's buffer.
 */

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

void fd_close(int fd);   /* fd < 0 is legal; keeps errno */
void fd_closep(int *fd); /* for CLEANUP(fd_closep) */
#define CLEANUP_FD CLEANUP(fd_closep)
/* Returns *fd and leaves -1. */
int fd_take(int *fd);
/* Writes all of it, however many write(2) that takes. 0 or -errno. */
MUST_USE int fd_write_all(int fd, const void *bytes, size_t len);

/* Opens directory @path below @dirfd (AT_FDCWD for plain paths) as O_PATH. fd or -errno. */
MUST_USE int fs_open_dir(int dirfd, const char *path);
/* Reads @name into buf, NUL-terminated, at most size - 1 bytes. Bytes read or -errno; -E2BIG when it did not
 * fit. */
MUST_USE ssize_t fs_read_at(int dirfd, const char *name, char *buf, size_t size);
/* The same from an open descriptor with pread at offset 0 (regenerates a kernel file). */
MUST_USE ssize_t fs_pread(int fd, char *buf, size_t size);
/* One write(2) of the whole text to an existing file. 0 or -errno; a short write is -EIO. */
MUST_USE int fs_write_at(int dirfd, const char *name, const char *text, size_t len);
/* Replaces @name atomically (temporary, fsync, rename), mode @mode. 0 or -errno. */
MUST_USE int fs_replace_at(int dirfd, const char *name, const void *bytes, size_t len, mode_t mode);
bool fs_exists_at(int dirfd, const char *name);
/* mkdir -p of an absolute path. 0 or -errno. */
MUST_USE int fs_make_dirs(const char *path, mode_t mode);
/* Reads a whole regular file of at most @limit bytes to the heap, NUL-terminated. 0, -EFBIG over the limit,
 * or -errno. */
MUST_USE int fs_slurp(const char *path, size_t limit, char **ret_text, size_t *ret_len);
