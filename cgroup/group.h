#pragma once
/*
 * Making, filling and removing one group, in one hierarchy or in all. v1 groups are made and removed by
 * libcgroup, v2 groups by our own mkdir, since libcgroup 2.0.2 turns populated v2 groups threaded (it writes
 * "+cpu" to the parent).
 */

#include "cgroup/host.h"
#include <sys/types.h>

enum group_result {
    GROUP_OK = 0,
    GROUP_GONE = 1, /* it vanished meanwhile: the normal life of a cgroup */
    GROUP_EXISTS = 2,
    GROUP_BUSY = 3, /* it has children or processes */
};

/* mkdir of @path (absolute, below the mount) in one hierarchy, mode 0755, parents not made; cpuset v1
   inherits cpus and mems. enum group_result or -errno. *ret_id: the inode. */
MUST_USE int group_make(const struct cgroup_host *host, unsigned hierarchy, const char *path,
                        uint64_t *ret_id);
MUST_USE int group_remove(const struct cgroup_host *host, unsigned hierarchy, const char *path);
/* Moves a whole process into @path of every hierarchy where the group exists. GROUP_OK, GROUP_GONE (it exists
   nowhere), -ESRCH, or -errno; on an error the hierarchies before the one that refused keep what was moved.
 */
MUST_USE int group_attach(const struct cgroup_host *host, const char *path, pid_t pid);
/* The inode of @path in the hierarchy: 0 and *ret_id, GROUP_GONE, or -errno. */
MUST_USE int group_id(const struct cgroup_host *host, unsigned hierarchy, const char *path, uint64_t *ret_id);
/* The first process listed in cgroup.procs, in any hierarchy: 0 with *ret_pid, GROUP_GONE, or -ENOENT when it
 * is empty. */
MUST_USE int group_first_pid(const struct cgroup_host *host, const char *path, pid_t *ret_pid);
