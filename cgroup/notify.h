#pragma once
/*
 * Memory pressure and OOM notifications of one group: on v1 eventfds for memory.pressure_level (low, medium,
 * critical, each with
 * ",local" where the kernel knows modes, 4.14 and later) and memory.oom_control; on v2 POLLPRI on
 * memory.events. rmdir signals every eventfd: the caller checks that the group still exists before believing
 * a wake-up.
 */

#include "cgroup/host.h"
#include "model/level.h"

enum notify_source { NOTIFY_LOW, NOTIFY_MEDIUM, NOTIFY_CRITICAL, NOTIFY_OOM, NOTIFY_EVENTS, NOTIFY_N };

struct notify {
    int fds[NOTIFY_N]; /* eventfds to poll for reading; NOTIFY_EVENTS to poll for EPOLLPRI; -1: not available
                        */
};
#define NOTIFY_NULL ((struct notify){{-1, -1, -1, -1, -1}})

/* Registers what this host offers for @path. 0 (even if only some are available), GROUP_GONE, or -errno. */
MUST_USE int notify_open(const struct cgroup_host *host, const char *path, struct notify *ret);
void notify_close(struct notify *notify);
/* Takes the count off eventfd @source (1 for NOTIFY_EVENTS, which is re-armed by reading). 0: a spurious
 * wake-up. */
uint64_t notify_drain(struct notify *notify, enum notify_source source);
