#pragma once
/* What the two kinds of watch share with watch.c. Internal to cgroup/. */

#include "cgroup/watch.h"

struct watch_ops {
    void (*close)(struct watch *watch);
    int (*add_dir)(struct watch *watch, unsigned hierarchy, const char *path);
    void (*remove_dir)(struct watch *watch, unsigned hierarchy, const char *path);
    int (*drain)(struct watch *watch, unsigned budget, watch_fn *fn, void *context);
    bool (*more)(const struct watch *watch); /* whether something read waits to be reported */
};

/* First member of each kind's own struct. */
struct watch {
    const struct watch_ops *ops;
    enum watch_kind kind;
    int source; /* the kernel's descriptor, non-blocking */
    int poke;   /* an eventfd: something waits that the source does not announce */
    int fd;     /* an epoll descriptor over both, to poll */
    const struct cgroup_host *host;
    uint32_t modified;
};

/* Fills the common part, taking @source (which may be -errno: it is returned). 0 or -errno; watch_fini() is
 * legal either way. */
MUST_USE int watch_init(struct watch *watch, int source);
void watch_fini(struct watch *watch);
/* Makes watch_fd() readable. */
void watch_poke(const struct watch *watch);

/* 0 or -errno. */
MUST_USE int watch_fanotify_open(const struct cgroup_host *host, uint32_t modified, struct watch **ret);
MUST_USE int watch_inotify_open(const struct cgroup_host *host, uint32_t modified, struct watch **ret);

/* What happened to the name of a directory since the last event about it, the order being lost. */
struct watch_change {
    bool came, went, moved;
};
/* Reports the change of directory @path; whether it is there now is looked up when both happened. */
void watch_report_change(const struct watch *watch, unsigned hierarchy, const char *path,
                         struct watch_change change, watch_fn *fn, void *context);
