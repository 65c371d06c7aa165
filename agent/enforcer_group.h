#pragma once
/* A group of a row, opened once and checked: what is written through the descriptor reaches this very group,
   whatever happens to its path. */

#include "cgroup/host.h"
#include "model/plan.h"

/* An O_PATH descriptor on the row's group; -ENOENT: not there, -ESTALE: another group or another hierarchy is
   in its place, or -errno. */
MUST_USE int enforcer_group_open(const struct cgroup_host *host, const struct plan_row *row,
                                 const char *path);
