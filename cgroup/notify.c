/*
 * v1: each listener is an eventfd registered through cgroup.event_control ("EVENTFD FILEFD ARGUMENTS"); both
 * the control file and the watched file may be closed afterwards, so a group costs four descriptors. ",local"
 * makes a level fire only in the group that is under pressure: without it a group under its own limit
 * consumes the event before its parent hears it, and a group that listens for its parent's sake would be
 * blamed. Kernels before 4.14 refuse the word with EINVAL.
 *
 * v2: memory.events wakes a poll for POLLPRI when it changed since this descriptor was last read. v1 files
 * must never be polled: they are always ready.
 */

#include "cgroup/notify.h"
#include "base/fs.h"
#include "base/str.h"
#include "cgroup/group.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Registers an eventfd for @file of the v1 group @dirfd. The eventfd or -errno. */
static int listen_v1(int dirfd, const char *file, const char *arguments)
{
    CLEANUP_FD int watched = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
    if (watched < 0)
        return -errno;
    CLEANUP_FD int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event < 0)
        return -errno;
    char text[64];
    if (!str_format(text, sizeof text, "%d %d%s%s", event, watched, *arguments ? " " : "", arguments))
        return -EINVAL;
    int r = fs_write_at(dirfd, "cgroup.event_control", text, strlen(text));
    return r < 0 ? r : fd_take(&event);
}

static int listen_level(int dirfd, const char *level)
{
    char local[32];
    str_format(local, sizeof local, "%s,local", level);
    int fd = listen_v1(dirfd, "memory.pressure_level", local);
    return fd == -EINVAL ? listen_v1(dirfd, "memory.pressure_level", level) : fd;
}

static int listen_events(int dirfd)
{
    CLEANUP_FD int fd = openat(dirfd, "memory.events", O_RDONLY | O_CLOEXEC);
    char text[512];
    if (fd < 0)
        return -errno;
    ssize_t len = fs_pread(fd, text, sizeof text); /* unread, the first poll returns at once */
    return len < 0 ? (int)len : fd_take(&fd);
}

/* Keeps a descriptor, or the first error that is more than "this kernel has no such thing". */
static int keep(struct notify *notify, enum notify_source source, int fd)
{
    notify->fds[source] = fd < 0 ? -1 : fd;
    return fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -EACCES || fd == -EPERM ? fd : 0;
}

static bool group_anywhere(const struct cgroup_host *host, const char *path)
{
    for (unsigned i = 0; i < host->count; i++)
        if (fs_exists_at(host->hierarchies[i].dirfd, cgroup_below(path)))
            return true;
    return false;
}

static int open_sources(int dirfd, int version, struct notify *notify)
{
    static const char *const levels[] = {
        [NOTIFY_LOW] = "low", [NOTIFY_MEDIUM] = "medium", [NOTIFY_CRITICAL] = "critical"};
    int r = 0;
    if (version == 2)
        return keep(notify, NOTIFY_EVENTS, listen_events(dirfd));
    for (unsigned i = 0; r == 0 && i < ARRAY_LEN(levels); i++)
        r = keep(notify, (enum notify_source)i, listen_level(dirfd, levels[i]));
    return r < 0 ? r : keep(notify, NOTIFY_OOM, listen_v1(dirfd, "memory.oom_control", ""));
}

int notify_open(const struct cgroup_host *host, const char *path, struct notify *ret)
{
    struct notify notify = NOTIFY_NULL;
    int index = cgroup_host_find(host, "memory");
    CLEANUP_FD int dirfd =
        index < 0 ? -ENOENT : fs_open_dir(host->hierarchies[index].dirfd, cgroup_below(path));
    if (dirfd < 0 && dirfd != -ENOENT && dirfd != -ENODEV)
        return dirfd;
    int r = dirfd < 0 ? 0 : open_sources(dirfd, host->hierarchies[index].version, &notify);
    if (r == 0 && !group_anywhere(host, path))
        r = GROUP_GONE;
    if (r != 0) {
        notify_close(&notify);
        return r;
    }
    *ret = notify;
    return 0;
}

void notify_close(struct notify *notify)
{
    for (int i = 0; i < NOTIFY_N; i++)
        fd_close(notify->fds[i]);
    *notify = NOTIFY_NULL;
}

uint64_t notify_drain(struct notify *notify, enum notify_source source)
{
    int fd = notify->fds[source];
    char text[512];
    uint64_t count = 0;
    if (fd < 0)
        return 0;
    if (source == NOTIFY_EVENTS)
        return fs_pread(fd, text, sizeof text) >= 0;
    return read(fd, &count, sizeof count) == sizeof count ? count : 0;
}
