#pragma once
/*
 * Births, deaths and foreign writes, as the kernel tells them: fanotify with FAN_REPORT_DIR_FID |
 * FAN_REPORT_NAME on each cgroup superblock where the kernel can (it needs an fsid for kernfs: 6.8 and later,
 * not 6.1), else inotify with a watch per directory. Either way one descriptor to poll, drained in bounded
 * steps.
 */

#include "cgroup/host.h"
#include <sys/types.h>

enum watch_kind { WATCH_FANOTIFY, WATCH_INOTIFY };

enum watch_event_type {
    WATCH_CREATED,  /* a directory: path */
    WATCH_DELETED,  /* a directory: path */
    WATCH_MODIFIED, /* a file of a group: path of the group, name of the file, pid of the writer (0: inotify
                       cannot tell) */
    WATCH_OVERFLOW, /* events were lost: scan anew */
};

struct watch_event {
    enum watch_event_type type;
    unsigned hierarchy; /* index into the host's table */
    const char *path;   /* the group's path below the mount, "/a/b"; borrowed until the callback returns */
    const char *name;   /* WATCH_MODIFIED: the file */
    pid_t pid;
};
typedef void watch_fn(void *context, const struct watch_event *event);

struct watch; /* opaque */
/* Opens the best watch this kernel has; @force picks one (tests): 0 best, else enum watch_kind + 1.
   With fanotify, WATCH_MODIFIED is asked for only on hierarchies in @modified (bit per hierarchy). 0 or
   -errno. */
MUST_USE int watch_open(const struct cgroup_host *host, uint32_t modified, int force, struct watch **ret);
struct watch *watch_close(struct watch *watch);
enum watch_kind watch_kind(const struct watch *watch);
int watch_fd(const struct watch *watch);
/*
 * Inotify watches the directories it was told of and all below them, which it adds itself ("/" means a whole
 * hierarchy): what it finds there unwatched it reports as created. Tell it after each scan too (again is
 * harmless, and after WATCH_OVERFLOW it heals); fanotify ignores it.
 * 0, -ENOENT when it is gone, -ENOSPC when fs.inotify.max_user_watches is used up, or -errno.
 */
MUST_USE int watch_add_dir(struct watch *watch, unsigned hierarchy, const char *path);
void watch_remove_dir(struct watch *watch, unsigned hierarchy, const char *path);
/*
 * Takes at most @budget events off the kernel's queue and reports them; one may be reported as several. The
 * same birth may be reported twice, and a directory that came and went between two drains may be reported as
 * deleted only. A rename (v1) is a death, a birth and WATCH_OVERFLOW, since what is below moved along unseen.
 * The number taken, or -errno. What is left keeps watch_fd() readable.
 */
MUST_USE int watch_drain(struct watch *watch, unsigned budget, watch_fn *fn, void *context);
