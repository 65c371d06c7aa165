#pragma once
/* What the bus shows of each live subject: the latest row and what is in force. Plain data, fixed size. */

#include "model/frame.h"
#include "model/group.h"
#include "model/knob.h"
#include "model/level.h"
#include "model/row.h"

enum { VIEW_QUOTA_MAX = 64 };

enum {
    VIEW_MANAGED = 1 << 0, /* a quota holds here */
    VIEW_SETTLING = 1 << 1,
    VIEW_CREATED = 1 << 2, /* masu made the group */
    VIEW_POPULATED = 1 << 3,
    VIEW_PER_LEAF = 1 << 4, /* io limits hold per leaf (v1) */
};

struct view {
    uint32_t slot;
    uint32_t flags;
    uint64_t born_wall_ns;
    uint64_t cgroup_ids[FRAME_HIERARCHIES_MAX]; /* as in struct frame_born */
    struct group_identity identity;
    char quota[VIEW_QUOTA_MAX]; /* name of the quota that fits, "" when none */
    uint8_t level;              /* enum level */
    uint64_t level_since_wall_ns;
    uint32_t adopted;         /* bit per knob that is left as a foreign writer set it */
    struct knob_set wanted;   /* what the quota asks for, as the kernel stores it */
    struct knob_set in_force; /* what the kernel holds in this group */
    struct row before, row;   /* the last two samples: rates are made from both */
};
