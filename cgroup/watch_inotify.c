/*
 * One watch per directory. A directory born between the mkdir of its parent and the moment that parent is
 * watched makes no event, so each directory is read once after its watch stands, and what is found unwatched
 * is reported as born (pending).
 *
 * cgroupfs tells nothing to the watch of a directory that is removed (no IN_DELETE_SELF, no IN_IGNORED: 6.1
 * and 6.18); only the parent's watch does, so the dead watch is taken away by hand or it would leak.
 */

#include "base/fs.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "cgroup/watch_ops.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { EVENTS_MAX_BYTES = 16384 };

/* A watched directory, or one to be reported as born. */
struct directory {
    struct list_link pending;
    unsigned hierarchy;
    int wd;
    char path[];
};

struct watch_inotify {
    struct watch base;
    struct map by_wd;   /* struct directory, owned */
    struct map by_path; /* the same, by hierarchy and path */
    struct list pending;
    size_t len, at; /* of what was read and not reported yet */
    _Alignas(8) char events[EVENTS_MAX_BYTES];
};

struct place_key {
    size_t len;
    char bytes[PATH_MAX + 1];
};

static struct place_key place(unsigned hierarchy, const char *path)
{
    struct place_key key;
    key.bytes[0] = (char)hierarchy;
    str_copy(key.bytes + 1, sizeof key.bytes - 1, path);
    key.len = 1 + strlen(key.bytes + 1);
    return key;
}

static struct directory *find_place(const struct watch_inotify *w, unsigned hierarchy, const char *path)
{
    struct place_key key = place(hierarchy, path);
    return map_get(&w->by_path, key.bytes, key.len);
}

static struct directory *directory_new(unsigned hierarchy, const char *path)
{
    size_t len = strlen(path) + 1;
    struct directory *d = calloc(1, sizeof *d + len);
    if (d) {
        d->hierarchy = hierarchy;
        memcpy(d->path, path, len);
    }
    return d;
}

/* Forgets the directory and takes the kernel's watch away. */
static void drop(struct watch_inotify *w, struct directory *d)
{
    struct place_key key = place(d->hierarchy, d->path);
    if (map_get(&w->by_path, key.bytes, key.len) == d)
        map_remove(&w->by_path, key.bytes, key.len);
    map_remove_u64(&w->by_wd, (uint64_t)d->wd);
    inotify_rm_watch(w->base.source, d->wd);
    free(d);
}

static int expect(struct watch_inotify *w, unsigned hierarchy, const char *path)
{
    struct directory *d = directory_new(hierarchy, path);
    if (!d)
        return -ENOMEM;
    if (list_empty(&w->pending))
        watch_poke(&w->base);
    list_append(&w->pending, &d->pending);
    return 0;
}

/* Expects every child that has no watch yet. */
static int expect_children(struct watch_inotify *w, unsigned hierarchy, const char *path)
{
    char child[PATH_MAX];
    int fd = openat(w->base.host->hierarchies[hierarchy].dirfd, cgroup_below(path),
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int r = -errno;
        fd_close(fd);
        return r == -ENOENT || r == -ENODEV ? 0 : r;
    }
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (str_format(child, sizeof child, "%s/%s", path[1] ? path : "", entry->d_name) &&
            !find_place(w, hierarchy, child))
            r = expect(w, hierarchy, child);
    }
    closedir(dir);
    return r;
}

/* Keeps the new watch @wd, in place of what stood under its number or its path before. */
static int keep(struct watch_inotify *w, unsigned hierarchy, const char *path, int wd)
{
    struct directory *former = map_get_u64(&w->by_wd, (uint64_t)wd);
    if (former && former->hierarchy == hierarchy && strcmp(former->path, path) == 0)
        return 0;
    if (former) { /* it moved with a renamed ancestor: the kernel's watch stays */
        struct place_key old = place(former->hierarchy, former->path);
        map_remove(&w->by_path, old.bytes, old.len);
        map_remove_u64(&w->by_wd, (uint64_t)wd);
        free(former);
    }
    former = find_place(w, hierarchy, path);
    if (former) /* made anew */
        drop(w, former);
    struct directory *d = directory_new(hierarchy, path);
    struct place_key key = place(hierarchy, path);
    if (!d)
        return -ENOMEM;
    d->wd = wd;
    if (map_set_u64(&w->by_wd, (uint64_t)wd, d) < 0 || map_set(&w->by_path, key.bytes, key.len, d) < 0) {
        map_remove_u64(&w->by_wd, (uint64_t)wd);
        inotify_rm_watch(w->base.source, wd);
        free(d);
        return -ENOMEM;
    }
    return expect_children(w, hierarchy, path);
}

static int inotify_add_dir(struct watch *watch, unsigned hierarchy, const char *path)
{
    struct watch_inotify *w = CONTAINER_OF(watch, struct watch_inotify, base);
    uint32_t mask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;
    char full[PATH_MAX];
    if (watch->modified >> hierarchy & 1)
        mask |= IN_MODIFY;
    if (!str_format(full, sizeof full, "%s/%s", watch->host->hierarchies[hierarchy].mount,
                    cgroup_below(path)))
        return -ENAMETOOLONG;
    int wd = inotify_add_watch(w->base.source, full, mask);
    if (wd < 0)
        return -errno;
    return keep(w, hierarchy, path, wd);
}

static void inotify_remove_dir(struct watch *watch, unsigned hierarchy, const char *path)
{
    struct watch_inotify *w = CONTAINER_OF(watch, struct watch_inotify, base);
    struct directory *d = find_place(w, hierarchy, path);
    if (d)
        drop(w, d);
}

static void inotify_close(struct watch *watch)
{
    struct watch_inotify *w = CONTAINER_OF(watch, struct watch_inotify, base);
    struct directory *d;
    size_t cursor = 0;
    LIST_FOR_EACH(d, &w->pending, struct directory, pending)
        free(d);
    for (const struct map_entry *entry; (entry = map_next(&w->by_wd, &cursor));)
        free(entry->value);
    map_fini(&w->by_wd);
    map_fini(&w->by_path);
    watch_fini(&w->base);
    free(w);
}

static void report_birth(struct watch_inotify *w, unsigned hierarchy, const char *path,
                         struct watch_change change, watch_fn *fn, void *context)
{
    /* out of watches: the owner hears it when it adds the directory itself */
    (void)!inotify_add_dir(&w->base, hierarchy, path);
    watch_report_change(&w->base, hierarchy, path, change, fn, context);
}

static bool report_pending(struct watch_inotify *w, watch_fn *fn, void *context)
{
    if (list_empty(&w->pending))
        return false;
    struct directory *d = CONTAINER_OF(w->pending.head.next, struct directory, pending);
    list_remove(&d->pending);
    if (!find_place(w, d->hierarchy, d->path))
        report_birth(w, d->hierarchy, d->path, (struct watch_change){.came = true}, fn, context);
    free(d);
    return true;
}

static void report(struct watch_inotify *w, const struct inotify_event *event, watch_fn *fn, void *context)
{
    char path[PATH_MAX];
    if (event->mask & IN_Q_OVERFLOW) {
        fn(context, &(struct watch_event){.type = WATCH_OVERFLOW, .path = "/"});
        return;
    }
    const struct directory *parent = map_get_u64(&w->by_wd, (uint64_t)event->wd);
    if (!parent || event->len == 0)
        return;
    unsigned hierarchy = parent->hierarchy;
    if (!(event->mask & IN_ISDIR)) {
        if (event->mask & IN_MODIFY)
            fn(context, &(struct watch_event){.type = WATCH_MODIFIED,
                                              .hierarchy = hierarchy,
                                              .path = parent->path,
                                              .name = event->name});
        return;
    }
    if (!str_format(path, sizeof path, "%s/%s", parent->path[1] ? parent->path : "", event->name))
        return;
    struct watch_change change = {.came = event->mask & (IN_CREATE | IN_MOVED_TO),
                                  .went = event->mask & (IN_DELETE | IN_MOVED_FROM),
                                  .moved = event->mask & (IN_MOVED_FROM | IN_MOVED_TO)};
    if (change.went)
        inotify_remove_dir(&w->base, hierarchy, path);
    if (change.came)
        report_birth(w, hierarchy, path, change, fn, context);
    else
        watch_report_change(&w->base, hierarchy, path, change, fn, context);
}

/* Whether there is an event to report. 1, 0 or -errno. */
static int fill(struct watch_inotify *w)
{
    if (w->at < w->len)
        return 1;
    ssize_t n;
    do
        n = read(w->base.source, w->events, sizeof w->events);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    w->at = 0;
    w->len = (size_t)n;
    return n > 0;
}

static int inotify_drain(struct watch *watch, unsigned budget, watch_fn *fn, void *context)
{
    struct watch_inotify *w = CONTAINER_OF(watch, struct watch_inotify, base);
    unsigned taken = 0;
    while (taken < budget) {
        if (report_pending(w, fn, context)) {
            taken++;
            continue;
        }
        int r = fill(w);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        const struct inotify_event *event = (const void *)(w->events + w->at);
        w->at += sizeof *event + event->len;
        taken++;
        report(w, event, fn, context);
    }
    return (int)taken;
}

static bool inotify_more(const struct watch *watch)
{
    const struct watch_inotify *w = (const void *)watch;
    return w->at < w->len || !list_empty(&w->pending);
}

int watch_inotify_open(const struct cgroup_host *host, uint32_t modified, struct watch **ret)
{
    static const struct watch_ops ops = {.close = inotify_close,
                                         .add_dir = inotify_add_dir,
                                         .remove_dir = inotify_remove_dir,
                                         .drain = inotify_drain,
                                         .more = inotify_more};
    struct watch_inotify *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->base = (struct watch){.ops = &ops, .kind = WATCH_INOTIFY, .host = host, .modified = modified};
    list_init(&w->pending);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int r = watch_init(&w->base, fd < 0 ? -errno : fd);
    if (r < 0) {
        inotify_close(&w->base);
        return r;
    }
    *ret = &w->base;
    return 0;
}
