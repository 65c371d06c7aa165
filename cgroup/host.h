#pragma once
/*
 * The hierarchies of this host: which are mounted, what each holds, by which rules. Decided by files, never
 * by kernel version (facts: the kernel's cgroup-v1/cgroups.rst, cgroup-v2.rst; kernels 3.10 - 4.4 booted for
 * sane_behavior).
 */

#include "base/attrs.h"
#include "model/frame.h"
#include <stdbool.h>
#include <stdint.h>

enum cgroup_mode {
    CGROUP_UNIFIED, /* cgroup2 alone (v1 mounts may exist beside it without resource controllers) */
    CGROUP_HYBRID,  /* v1 hierarchies with controllers, and cgroup2 */
    CGROUP_LEGACY,  /* v1 only */
    CGROUP_SANE,    /* v1 mounted with __DEVEL__sane_behavior: cgroup.sane_behavior reads 1 */
};
const char *cgroup_mode_name(enum cgroup_mode mode); /* "unified", "hybrid", "legacy", "sane" */

enum { CGROUP_CONTROLLERS_MAX = 160, CGROUP_MOUNT_MAX = 256 };

struct hierarchy {
    char mount[CGROUP_MOUNT_MAX];             /* "/sys/fs/cgroup/memory" */
    char controllers[CGROUP_CONTROLLERS_MAX]; /* "cpu,cpuacct"; v2: what cgroup.controllers of the root lists;
                                                 "" possible */
    char name[32];                            /* "systemd" of name=systemd, else "" */
    int version;                              /* 1 or 2 */
    bool sane;                                /* cgroup.sane_behavior reads 1 */
    bool throttle_nests; /* io throttles hold for the subtree: v2, and sane from 3.11 on (no tasks file) */
    int dirfd;           /* O_PATH on the mount, owned */
    uint32_t device;     /* st_dev: names the hierarchy between processes */
};

enum { HIERARCHIES_MAX = FRAME_HIERARCHIES_MAX };

struct cgroup_host {
    enum cgroup_mode mode;
    unsigned count;
    struct hierarchy hierarchies[HIERARCHIES_MAX];
};
#define CGROUP_HOST_NULL ((struct cgroup_host){0})

/* What *at calls take for @path ("/a/b" or "/") below a hierarchy's dirfd. */
static inline const char *cgroup_below(const char *path)
{
    while (*path == '/')
        path++;
    return *path ? path : ".";
}

/* Whether @name is a word of the comma-separated @controllers. */
bool cgroup_has_controller(const char *controllers, const char *name);

/*
 * Reads /proc/self/mountinfo below @root ("" for the running system, a fixture directory in tests: mount
 * points are taken relative to it) and opens each hierarchy once (bind mounts and second mounts are skipped;
 * what exceeds HIERARCHIES_MAX is left out). On the running system libcgroup's mount table is asked too, and
 * what it knows more is added. 0, -ENOENT when no cgroup hierarchy is mounted, or -errno.
 */
MUST_USE int cgroup_host_open(const char *root, struct cgroup_host *ret);
void cgroup_host_close(struct cgroup_host *host);

/* The hierarchy that holds @controller: v1 "blkio" and v2 "io" both find their own; "" finds the v2 hierarchy
   (core files). Index into hierarchies, or -1. */
int cgroup_host_find(const struct cgroup_host *host, const char *controller);
/* The hierarchy with st_dev @device, or -1. */
int cgroup_host_by_device(const struct cgroup_host *host, uint32_t device);
