#include "cgroup/watch.h"
#include "base/fs.h"
#include "cgroup/watch_ops.h"
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int watch_open(const struct cgroup_host *host, uint32_t modified, int force, struct watch **ret)
{
    if (force == WATCH_FANOTIFY + 1)
        return watch_fanotify_open(host, modified, ret);
    if (force == 0 && watch_fanotify_open(host, modified, ret) == 0)
        return 0;
    return watch_inotify_open(host, modified, ret);
}

struct watch *watch_close(struct watch *watch)
{
    if (watch)
        watch->ops->close(watch);
    return NULL;
}

enum watch_kind watch_kind(const struct watch *watch)
{
    return watch->kind;
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

int watch_add_dir(struct watch *watch, unsigned hierarchy, const char *path)
{
    return watch->ops->add_dir(watch, hierarchy, path);
}

void watch_remove_dir(struct watch *watch, unsigned hierarchy, const char *path)
{
    watch->ops->remove_dir(watch, hierarchy, path);
}

int watch_drain(struct watch *watch, unsigned budget, watch_fn *fn, void *context)
{
    uint64_t pokes;
    (void)!read(watch->poke, &pokes, sizeof pokes);
    int r = watch->ops->drain(watch, budget, fn, context);
    if (watch->ops->more(watch))
        watch_poke(watch);
    return r;
}

static int add_to_epoll(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int watch_init(struct watch *watch, int source)
{
    watch->source = source;
    watch->poke = source < 0 ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    watch->fd = watch->poke < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
    if (source < 0)
        return source;
    if (watch->fd < 0)
        return -errno;
    int r = add_to_epoll(watch->fd, watch->source);
    return r < 0 ? r : add_to_epoll(watch->fd, watch->poke);
}

void watch_fini(struct watch *watch)
{
    fd_close(watch->fd);
    fd_close(watch->poke);
    fd_close(watch->source);
}

void watch_poke(const struct watch *watch)
{
    (void)!write(watch->poke, &(uint64_t){1}, sizeof(uint64_t));
}

void watch_report_change(const struct watch *watch, unsigned hierarchy, const char *path,
                         struct watch_change change, watch_fn *fn, void *context)
{
    struct watch_event event = {.hierarchy = hierarchy, .path = path};
    if (change.went && change.came)
        change.came = fs_exists_at(watch->host->hierarchies[hierarchy].dirfd, cgroup_below(path));
    if (change.went) {
        event.type = WATCH_DELETED;
        fn(context, &event);
    }
    if (change.came) {
        event.type = WATCH_CREATED;
        fn(context, &event);
    }
    if (change.came && change.moved) {
        event = (struct watch_event){.type = WATCH_OVERFLOW, .hierarchy = hierarchy, .path = "/"};
        fn(context, &event);
    }
}
