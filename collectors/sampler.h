#pragma once
/*
 * Rows from the kernel's files. The sampler keeps descriptors of the files that are read every tick, within a
 * budget, and opens the rest relative to kept directory descriptors. One ordered pass per group; each file is
 * read once, its keys found where they stood last time. A number that is not there has no have bit.
 */

#include "cgroup/group.h"
#include "cgroup/host.h"
#include "model/row.h"

struct sampler;       /* opaque; one per process */
struct sampler_group; /* opaque; one per followed group */

struct sampler_stats {
    unsigned fds_kept, fds_budget;
    uint64_t files_read, opens;
};

/* @fd_budget: descriptors it may keep (0: from RLIMIT_NOFILE, leaving 512, at most 19,456). @proc_root: "" or
   a fixture directory whose /proc and /sys stand for the host's. 0 or -ENOMEM. */
MUST_USE int sampler_open(const struct cgroup_host *host, unsigned fd_budget, const char *proc_root,
                          struct sampler **ret);
struct sampler *sampler_close(struct sampler *sampler);

/* Starts following @path. 0, GROUP_GONE or -errno. */
MUST_USE int sampler_group_open(struct sampler *sampler, const char *path, struct sampler_group **ret);
struct sampler_group *sampler_group_close(struct sampler *sampler, struct sampler_group *group);

/* Fills every file-born metric of *ret (LINK and AGENT ones are left as they are) and its times. 0,
   GROUP_GONE when the group is in no hierarchy any more, or -errno. It follows the path: a group made anew
   under it shows nothing at first, and is read some seconds later; who needs its numbers at once, or the two
   lives apart, closes and opens. */
MUST_USE int sampler_read(struct sampler *sampler, struct sampler_group *group, struct row *ret);
/* The host's own row, from /proc: CPU time, memory in use (MemTotal - MemAvailable), MemTotal as
   memory_limit, PSI, the number of cores as cpu_limit, I/O of its disks. 0 or -errno. */
MUST_USE int sampler_read_host(struct sampler *sampler, struct row *ret);
struct sampler_stats sampler_stats(const struct sampler *sampler);
