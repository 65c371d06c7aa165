/*
 * One mark per hierarchy, whatever the number of groups. An event names the superblock (fsid), the parent
 * directory (a kernfs file handle) and the entry's name. The parent's path is asked of the kernel once
 * (open_by_handle_at, readlink of /proc/self/fd) and kept: a kernfs id is never used twice, so what is kept
 * can only be made wrong by a rename, which empties the cache. The handle of a removed directory is stale; an
 * event about something in it is dropped, since the removal of the directory itself, or of the nearest
 * ancestor whose parent still lives, is an event too and says it all.
 *
 * The kernel merges events about the same name that are still queued (fanotify_merge), so one event may say
 * that a directory came and went, without the order.
 */

#include "base/fs.h"
#include "base/map.h"
#include "base/str.h"
#include "cgroup/watch_ops.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/statfs.h>
#include <unistd.h>

enum { EVENTS_MAX_BYTES = 16384, CACHE_MAX = 8192, HANDLE_MAX_BYTES = 64 };

struct watch_fanotify {
    struct watch base;
    int mounts[HIERARCHIES_MAX]; /* readable, for open_by_handle_at */
    fsid_t fsids[HIERARCHIES_MAX];
    struct map paths; /* struct handle_key -> char *, owned */
    size_t len, at;   /* of what was read and not reported yet */
    _Alignas(8) char events[EVENTS_MAX_BYTES];
};

struct handle_key {
    uint32_t hierarchy;
    int32_t type;
    unsigned char bytes[HANDLE_MAX_BYTES];
};

/* What one event says, taken apart; the pointers go into the events read. */
struct fan_event {
    unsigned hierarchy;
    const struct file_handle *parent;
    const char *name;
};

static void forget_paths(struct watch_fanotify *w)
{
    size_t cursor = 0;
    for (const struct map_entry *entry; (entry = map_next(&w->paths, &cursor));)
        free(entry->value);
    map_fini(&w->paths);
    w->paths = MAP_NULL;
}

static void fanotify_close(struct watch *watch)
{
    struct watch_fanotify *w = CONTAINER_OF(watch, struct watch_fanotify, base);
    forget_paths(w);
    for (unsigned i = 0; i < HIERARCHIES_MAX; i++)
        fd_close(w->mounts[i]);
    watch_fini(&w->base);
    free(w);
}

static int fanotify_add_dir(struct watch *watch, unsigned hierarchy, const char *path)
{
    (void)watch, (void)hierarchy, (void)path;
    return 0;
}

static void fanotify_remove_dir(struct watch *watch, unsigned hierarchy, const char *path)
{
    (void)watch, (void)hierarchy, (void)path;
}

/* The path below the mount of the directory behind @handle; false when it is gone. */
static bool ask_path(const struct watch_fanotify *w, unsigned hierarchy, const struct file_handle *handle,
                     char path[static PATH_MAX])
{
    static const char deleted[] = " (deleted)";
    const struct hierarchy *h = &w->base.host->hierarchies[hierarchy];
    union {
        struct file_handle handle;
        char bytes[sizeof(struct file_handle) + HANDLE_MAX_BYTES];
    } copy;
    memcpy(&copy, handle, sizeof *handle + handle->handle_bytes);
    CLEANUP_FD int fd = open_by_handle_at(w->mounts[hierarchy], &copy.handle, O_PATH | O_CLOEXEC);
    char link[32], full[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = fd < 0 ? -1 : readlink(link, full, sizeof full - 1);
    if (len < 0)
        return false;
    full[len] = '\0';
    size_t mount = strlen(h->mount);
    if (strncmp(full, h->mount, mount) != 0 || (full[mount] && full[mount] != '/'))
        return false;
    if (str_ends(full, deleted) && access(full, F_OK) < 0)
        return false;
    return str_copy(path, PATH_MAX, full[mount] ? full + mount : "/");
}

/* The same through the cache; borrowed until the next call. NULL when it is gone or memory is short. */
static const char *parent_path(struct watch_fanotify *w, const struct fan_event *event)
{
    struct handle_key key = {.hierarchy = event->hierarchy, .type = event->parent->handle_type};
    memcpy(key.bytes, event->parent->f_handle, event->parent->handle_bytes);
    size_t key_len = offsetof(struct handle_key, bytes) + event->parent->handle_bytes;
    char *known = map_get(&w->paths, &key, key_len);
    if (known)
        return known;
    char path[PATH_MAX];
    if (!ask_path(w, event->hierarchy, event->parent, path))
        return NULL;
    if (w->paths.count >= CACHE_MAX)
        forget_paths(w);
    known = strdup(path);
    if (known && map_set(&w->paths, &key, key_len, known) < 0) {
        free(known);
        known = NULL;
    }
    return known;
}

static int find_fsid(const struct watch_fanotify *w, const void *fsid)
{
    for (unsigned i = 0; i < w->base.host->count; i++)
        if (memcmp(&w->fsids[i], fsid, sizeof w->fsids[i]) == 0)
            return (int)i;
    return -1;
}

/* Finds the record with parent and name. */
static bool take_apart(const struct watch_fanotify *w, const char *at, const char *end, struct fan_event *ret)
{
    while (at + sizeof(struct fanotify_event_info_fid) <= end) {
        const struct fanotify_event_info_fid *info = (const void *)at;
        if (info->hdr.len == 0)
            return false;
        at += info->hdr.len;
        if (info->hdr.info_type != FAN_EVENT_INFO_TYPE_DFID_NAME)
            continue;
        const struct file_handle *handle = (const void *)info->handle;
        int hierarchy = find_fsid(w, &info->fsid);
        if (hierarchy < 0 || handle->handle_bytes > HANDLE_MAX_BYTES)
            return false;
        *ret = (struct fan_event){.hierarchy = (unsigned)hierarchy,
                                  .parent = handle,
                                  .name = (const char *)handle->f_handle + handle->handle_bytes};
        return true;
    }
    return false;
}

/* @records: what follows the metadata. */
static void report(struct watch_fanotify *w, const struct fanotify_event_metadata *meta, const char *records,
                   watch_fn *fn, void *context)
{
    struct fan_event event;
    char path[PATH_MAX];
    if (meta->mask & FAN_Q_OVERFLOW) {
        fn(context, &(struct watch_event){.type = WATCH_OVERFLOW, .path = "/"});
        return;
    }
    if (!take_apart(w, records, records + (meta->event_len - meta->metadata_len), &event))
        return;
    bool moved = meta->mask & (FAN_MOVED_FROM | FAN_MOVED_TO);
    if (moved)
        forget_paths(w);
    const char *parent = parent_path(w, &event);
    if (!parent)
        return;
    if (!(meta->mask & FAN_ONDIR)) {
        fn(context, &(struct watch_event){.type = WATCH_MODIFIED,
                                          .hierarchy = event.hierarchy,
                                          .path = parent,
                                          .name = event.name,
                                          .pid = meta->pid});
        return;
    }
    if (!str_format(path, sizeof path, "%s/%s", parent[1] ? parent : "", event.name))
        return;
    struct watch_change change = {.came = meta->mask & (FAN_CREATE | FAN_MOVED_TO),
                                  .went = meta->mask & (FAN_DELETE | FAN_MOVED_FROM),
                                  .moved = moved};
    watch_report_change(&w->base, event.hierarchy, path, change, fn, context);
}

/* Whether there is an event to report. 1, 0 or -errno. */
static int fill(struct watch_fanotify *w)
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

static int fanotify_drain(struct watch *watch, unsigned budget, watch_fn *fn, void *context)
{
    struct watch_fanotify *w = CONTAINER_OF(watch, struct watch_fanotify, base);
    unsigned taken = 0;
    while (taken < budget) {
        int r = fill(w);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        /* events are aligned to 4 bytes, their metadata wants 8 */
        const char *event = w->events + w->at;
        struct fanotify_event_metadata meta;
        memcpy(&meta, event, sizeof meta);
        if (meta.vers != FANOTIFY_METADATA_VERSION || meta.metadata_len < sizeof meta ||
            meta.event_len < meta.metadata_len || meta.event_len > w->len - w->at) {
            w->at = w->len;
            return -EBADMSG;
        }
        w->at += meta.event_len;
        taken++;
        report(w, &meta, event + meta.metadata_len, fn, context);
    }
    return (int)taken;
}

static bool fanotify_more(const struct watch *watch)
{
    const struct watch_fanotify *w = (const void *)watch;
    return w->at < w->len;
}

static int mark(struct watch_fanotify *w, unsigned index)
{
    int dirfd = w->base.host->hierarchies[index].dirfd;
    uint64_t mask = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_ONDIR;
    if (w->base.modified >> index & 1)
        mask |= FAN_MODIFY;
    w->mounts[index] = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;
    if (w->mounts[index] < 0 || fstatfs(w->mounts[index], &fs) < 0)
        return -errno;
    memcpy(&w->fsids[index], &fs.f_fsid, sizeof w->fsids[index]);
    if (fanotify_mark(w->base.source, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, dirfd, ".") < 0)
        return -errno;
    return 0;
}

int watch_fanotify_open(const struct cgroup_host *host, uint32_t modified, struct watch **ret)
{
    static const struct watch_ops ops = {.close = fanotify_close,
                                         .add_dir = fanotify_add_dir,
                                         .remove_dir = fanotify_remove_dir,
                                         .drain = fanotify_drain,
                                         .more = fanotify_more};
    struct watch_fanotify *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->base = (struct watch){.ops = &ops, .kind = WATCH_FANOTIFY, .host = host, .modified = modified};
    for (unsigned i = 0; i < HIERARCHIES_MAX; i++)
        w->mounts[i] = -1;
    int fd =
        fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_DIR_FID | FAN_REPORT_NAME | FAN_CLOEXEC | FAN_NONBLOCK,
                      O_RDONLY | O_CLOEXEC);
    int r = watch_init(&w->base, fd < 0 ? -errno : fd);
    for (unsigned i = 0; r == 0 && i < host->count; i++)
        r = mark(w, i);
    if (r < 0) {
        fanotify_close(&w->base);
        return r;
    }
    *ret = &w->base;
    return 0;
}
