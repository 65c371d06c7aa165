#pragma once
/*
 * The planner: what the kernel holds and what the policy wants, in; ordered rows, out. Pure. The order comes
 * from rules (facts: sched/core.c tg_cfs_schedulable_down, memcontrol-v1.c mem_cgroup_resize_max): groups to
 * make first, then widen top-down, then narrow bottom-up, within a group memsw before or after limit, burst
 * before quota, period beside quota. No state on the way is wider than the wider of both ends, and no write
 * meets an errno that could be foreseen.
 */

#include "cgroup/host.h"
#include "cgroup/knob.h"
#include "model/plan.h"
#include "policy/policy.h"

/* One group as the planner sees it. The array is in tree order: parents before children, missing parents
 * included. */
struct plan_group {
    const char *path; /* borrowed */
    int parent; /* index in the array, -1: none of the array (the hierarchy's root counts as unlimited) */
    uint64_t ids[HIERARCHIES_MAX];
    bool managed;   /* a quota holds here; others are there as context (ancestors, descendants) */
    bool named;     /* the policy makes this very group */
    bool missing;   /* to be made (policy_group): ids are 0 */
    bool populated; /* has processes directly in it */
    bool masu_made; /* masu makes it, or it lies in a group that masu makes: its subtree_control may be
                       changed */
    bool outside;   /* of masu.yaml's scope: neither made nor limited, each of its keys is refused */
    const char *controllers; /* v2: its cgroup.controllers, borrowed; NULL: told by the knobs in @have (which
                                cannot tell whether io is there) */
    const char *passes_on;   /* v2: its cgroup.subtree_control, borrowed; NULL: told by the controllers of its
                                children in the array */
    const struct quota *quota;   /* NULL when not managed */
    struct knob_set have;        /* from knob_read_all; empty for missing ones */
    struct knob_set found;       /* found values (what was there before masu first wrote), for release */
    enum policy_release release; /* how found values are given back when no quota holds here any more */
    uint64_t memory_usage;       /* bytes, for shrinks; 0 unknown */
    bool unread; /* it vanished, or could not be read: left in as context, nothing is known of it */
};

struct plan_input {
    const struct cgroup_host *host;
    const struct knob_support *support; /* KNOB_N */
    const struct plan_group *groups;
    unsigned group_count;
    bool release_all; /* masu release --all: give back every found value, whatever the policy says */
    /* Resolves a device path to makedev; 0, -ENODEV, or -ENXIO when it is a partition or no block device
     * (with the disk in @why). */
    int (*device)(void *context, const char *path, uint32_t *ret_device, char *why, size_t why_size);
    void *device_context;
};

/* 0, or -ENOMEM. Refusals are in the plan. */
MUST_USE int plan_make(const struct plan_input *input, struct plan *ret);

/* What the quota asks for in this group, as this kernel would store it (bandwidth in quota per period, shares
 * on v1, pages). */
MUST_USE int plan_wanted(const struct plan_input *input, const struct plan_group *group,
                         struct knob_set *ret);
