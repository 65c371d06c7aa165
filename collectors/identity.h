#pragma once
/*
 * Who lives in a group: name, runtime and id, from the path (a table of patterns) and the runtime's own state
 * files.
 */

#include "base/attrs.h"
#include "model/group.h"

struct identity_paths {
    const char *root;            /* "" or a fixture directory */
    const char *lxc;             /* settings.lxc_dir */
    const char *docker;          /* settings.docker_dir */
    struct runtime_index *index; /* of runc's and crun's containers; NULL: these are not known */
};

enum identity_result {
    IDENTITY_KNOWN = 0, /* a container, service or machine: *ret is complete */
    IDENTITY_PENDING =
        1, /* the path is a container's, its state file is not there yet: name is the id, try again */
    IDENTITY_GROUP = 2, /* no known runtime: runtime "cgroup", name = path */
    IDENTITY_INNER = 3, /* lies inside a container or is a runtime's helper group (lxc.monitor, supervisor):
                           not a subject of its own */
};

/* Reads at most one small file, and those that the index has not read yet. Never fails: what cannot be read
 * is PENDING or GROUP. */
enum identity_result identity_find(const struct identity_paths *paths, const char *path,
                                   struct group_identity *ret);
