#pragma once
/*
 * A plan: the ordered rows that turn what the kernel holds into what the policy wants. Made by policy/,
 * executed by the enforcer, shown by the CLI. A row names a hierarchy, a group and a knob number,
 * never a file name. On the wire it is a header, the rows and a string table.
 */

#include "base/attrs.h"
#include "base/buf.h"
#include "model/group.h"
#include "model/knob.h"

enum plan_row_kind {
    PLAN_WRITE = 1,      /* a knob of a group: old -> value */
    PLAN_MAKE_GROUP = 2, /* mkdir in the row's hierarchy */
    PLAN_ENABLE = 3,     /* v2: "+controller" in the group's cgroup.subtree_control; why_off names the reason,
                            knob unused */
    PLAN_FORGET = 4,     /* no write: the enforcer drops the found value of (group, knob, device) */
};

enum {
    PLAN_ROW_RESTORE = 1 << 0, /* gives back a found value; on success the enforcer forgets it */
    PLAN_ROW_STEP = 1 << 1,    /* an intermediate value of a larger move: failure undoes the whole group */
    PLAN_ROW_CREATED = 1 << 2, /* the group is made by an earlier row: cgroup_id is 0 */
    PLAN_ROW_SHRINK =
        1 << 3, /* lowers memory below current use: bounded steps with a deadline; lowest reached is kept */
};

struct plan_row {
    uint16_t kind;      /* enum plan_row_kind */
    uint16_t flags;     /* PLAN_ROW_* */
    uint16_t knob;      /* enum knob_id */
    uint16_t version;   /* 1 or 2: of the hierarchy */
    uint32_t hierarchy; /* st_dev of the hierarchy's mount, the same in every process */
    uint32_t device;    /* of per-device knobs */
    uint64_t cgroup_id; /* inode of the group in that hierarchy; checked before each write */
    uint64_t old_value; /* what the kernel held when the plan was made */
    uint64_t value;
    uint64_t old_pair, pair; /* companions, see model/knob.h */
    uint32_t path_off;       /* into the string table: the group's path */
    uint32_t why_off; /* "quota 'web' (shop.yaml:12)"; for PLAN_ENABLE the controller's name stands first:
                         "memory: ..." */
};

/* What could not be planned, and why: never silent. */
struct plan_refusal {
    uint16_t knob;
    uint16_t warn_only; /* the policy said unsupported: warn */
    uint32_t device;
    uint32_t path_off;
    uint32_t why_off;
};

struct plan {
    struct plan_row *rows; /* heap */
    uint32_t row_count, row_capacity;
    struct plan_refusal *refusals; /* heap */
    uint32_t refusal_count, refusal_capacity;
    struct buf strings; /* NUL-terminated strings; offset 0 is "" */
};
#define PLAN_NULL ((struct plan){0})

void plan_fini(struct plan *plan);
/* Interns @text; equal texts that follow each other share one offset. The offset, or 0 when out of memory
 * (strings.error). */
uint32_t plan_string(struct plan *plan, const char *text);
MUST_USE int plan_add(struct plan *plan, const struct plan_row *row);                 /* 0 or -ENOMEM */
MUST_USE int plan_add_refusal(struct plan *plan, const struct plan_refusal *refusal); /* 0 or -ENOMEM */
const char *plan_text(const struct plan *plan, uint32_t offset); /* "" when out of range */

/* The bytes of a plan, for a memfd; and back, checked: every offset in range, every enum known, the path of
   each row absolute and without "..". */
void plan_encode(const struct plan *plan, struct buf *out);
MUST_USE int plan_decode(const void *bytes, size_t len, struct plan *ret_plan); /* 0, -EBADMSG or -ENOMEM */

/* What became of a row. */
struct plan_outcome {
    int32_t error;   /* 0, or -errno of the write; -ESTALE: the group is not the one planned; -ECANCELED: not
                        tried */
    uint32_t undone; /* the row was executed and then undone */
    uint64_t read_back; /* what the kernel holds after it, canonical */
};

struct plan_outcomes {
    struct plan_outcome *items; /* heap, one per row of the plan */
    uint32_t count;
};
#define PLAN_OUTCOMES_NULL ((struct plan_outcomes){0})
void plan_outcomes_fini(struct plan_outcomes *outcomes);
void plan_outcomes_encode(const struct plan_outcomes *outcomes, struct buf *out);
MUST_USE int plan_outcomes_decode(const void *bytes, size_t len, struct plan_outcomes *ret);
