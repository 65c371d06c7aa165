#pragma once
/*
 * What a v2 group may hand to its children: cgroup.controllers, cgroup.subtree_control, and enabling one
 * more. The kernel lets
 * "+cpu" through in a populated group and silently makes it threaded (its children become invalid domains);
 * masu never does.
 */

#include "cgroup/group.h"
#include "cgroup/host.h"

enum { CONTROLLER_SET_MAX = 24, CONTROLLER_NAME_MAX = 24 };

struct controller_set {
    unsigned count;
    char names[CONTROLLER_SET_MAX][CONTROLLER_NAME_MAX];
};
bool controller_set_has(const struct controller_set *set, const char *controller);

/* What the group may enable (cgroup.controllers), and what it has enabled (cgroup.subtree_control). 0,
   GROUP_GONE, -ENOENT (no v2 hierarchy), or -errno. */
MUST_USE int subtree_available(const struct cgroup_host *host, unsigned hierarchy, const char *path,
                               struct controller_set *ret);
MUST_USE int subtree_enabled(const struct cgroup_host *host, unsigned hierarchy, const char *path,
                             struct controller_set *ret);
/*
 * Enables @controller for the children of @path; already enabled is GROUP_OK without a write. GROUP_BUSY when
 * the group, not the root, has processes of its own (also when they came meanwhile: then it is taken back);
 * GROUP_GONE; -ENOENT when the group's parent does not hand the controller down or the host has it elsewhere;
 * or -errno.
 */
MUST_USE int subtree_enable(const struct cgroup_host *host, unsigned hierarchy, const char *path,
                            const char *controller);
