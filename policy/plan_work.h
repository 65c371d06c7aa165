#pragma once
/*
 * What the files of the planner share while one plan is made: what was decided for each key of each group,
 * and where the rows go. Private to policy/plan_*.c.
 *
 * Life of a key: decided (plan_decide.c: wanted by a quota, pushed down by one, or given back) -> made
 * consistent with its neighbours or refused (plan_cpu.c, plan_memory.c) -> written as rows in phases
 * (plan_make.c).
 */

#include "base/map.h"
#include "policy/plan_make.h"

/* When a row is written. Dips are the narrow states that a change of the period on v1 cannot avoid. */
enum plan_phase {
    PHASE_DIP,    /* bottom-up */
    PHASE_WIDEN,  /* top-down */
    PHASE_NARROW, /* bottom-up */
};

enum {
    DECIDED_RELEASE = 1 << 0, /* gives back a found value */
    DECIDED_EXACT = 1 << 1,   /* ... and all of it, so that it may be forgotten */
    DECIDED_REFUSED = 1 << 2, /* stays as it is, and is not given back either */
    DECIDED_KEPT = 1 << 3,    /* ... by leaving it as it is, even where a neighbour moves it */
    DECIDED_WRITTEN = 1 << 4, /* a row that restores it is in the plan */
};

/* One key of one group: what it holds and what it shall hold. */
struct plan_decision {
    uint16_t knob;
    uint16_t flags; /* DECIDED_* */
    uint32_t device;
    uint64_t old, value;
    uint32_t why; /* into the plan's strings */
};

/* CPU bandwidth of one group; only @there when the group is in the hierarchy of the cpu controller. */
struct plan_cpu_state {
    uint64_t quota, period, burst; /* microseconds; quota KNOB_UNLIMITED */
};
struct plan_cpu {
    bool there, burst_there;
    bool decided;    /* bandwidth or period is masu's to write here */
    uint64_t forced; /* quota of a dip that an ancestor needs; 0: none */
    struct plan_cpu_state have, want;
};

struct plan_node {
    struct plan_decision *decisions;
    uint32_t decision_count;
    uint32_t path;      /* into the plan's strings; 0 until asked for */
    uint32_t make;      /* bit per hierarchy where the group is to be made */
    uint32_t enabled;   /* bit per v2 controller (plan_groups.c) that it enables for its children */
    uint32_t enable;    /* ... that it is to enable */
    unsigned populated; /* groups with processes in it and below */
    struct plan_cpu cpu;
};

/* A quota with its devices and its support looked up, once per plan. */
struct plan_quota_setting {
    enum knob_id knob;
    uint32_t device;
    int hierarchy; /* index, -1 when refused */
    int version;
    uint64_t value;        /* as the policy says it */
    uint32_t why, refusal; /* into the plan's strings; refusal 0: none */
};
struct plan_quota {
    const struct quota *quota;
    unsigned count;
    uint32_t why; /* the quota itself */
    bool leaf;    /* has a setting that holds per leaf (v1 blkio) */
    struct plan_quota_setting settings[QUOTA_SETTINGS_MAX];
};

struct plan_work {
    const struct plan_input *input;
    struct plan *plan;
    struct plan_node *nodes;
    struct map quotas;                  /* address of a struct quota -> struct plan_quota */
    bool leaf;                          /* some quota has leaf settings */
    uint32_t root_enabled, root_enable; /* as in plan_node, when "/" is not in the array */
    int error; /* 0 or -ENOMEM: the first failure; everything is legal to call after it */
};

/* plan_make.c */
uint32_t plan_work_path(struct plan_work *work, unsigned group);
uint32_t plan_work_text(struct plan_work *work, const char *format, ...) PRINTF_LIKE(2, 3);
/* The decision about a key, or NULL. */
struct plan_decision *plan_work_find(const struct plan_work *work, unsigned group, enum knob_id knob,
                                     uint32_t device);
/* Adds a decision; the key must not be decided yet. */
void plan_work_decide(struct plan_work *work, unsigned group, const struct plan_decision *decision);
/* Whether a key that nobody decided, but a neighbour moved, is forgotten at once: the quota does not restore.
 */
bool plan_work_unasked_forgets(const struct plan_work *work, unsigned group);
struct plan_refused {
    enum knob_id knob;
    uint32_t device;
    bool warn_only;
    uint32_t why;
};
void plan_work_refuse(struct plan_work *work, unsigned group, const struct plan_refused *refused);
/* A write of @row->knob; kind, version, hierarchy, id and path are filled in. */
void plan_work_write(struct plan_work *work, unsigned group, struct plan_row row);
void plan_work_row(struct plan_work *work, struct plan_row row); /* as it is */
/* The version of the hierarchy that holds @knob here, 0 when this host has none. */
int plan_work_version(const struct plan_work *work, enum knob_id knob);

/* plan_quota.c */
const struct plan_quota *plan_quota_get(struct plan_work *work,
                                        const struct quota *quota); /* NULL: error is set */
void plan_quota_fini(struct plan_work *work);
/* How found values of @group are given back. */
enum policy_release plan_quota_release(const struct plan_input *input, const struct plan_group *group);
/* The period that holds in @group once the plan is done. */
uint64_t plan_quota_period(const struct plan_input *input, const struct plan_group *group);
/* @policy_value as this kernel stores it. 0, or -ERANGE when the kernel would not take it. */
MUST_USE int plan_quota_convert(const struct plan_quota_setting *setting, uint64_t period,
                                uint64_t *ret_value);
/* What a new group holds. */
uint64_t plan_quota_default(enum knob_id knob, int version);

/* plan_decide.c */
void plan_decide(struct plan_work *work, unsigned group);

/* plan_groups.c */
void plan_groups_prepare(struct plan_work *work);
/* NULL when @group has, or will have, the file of @setting; else why not, for a refusal. */
const char *plan_groups_lack(struct plan_work *work, unsigned group, const struct plan_quota_setting *setting,
                             char *buf, size_t size);
void plan_groups_emit(struct plan_work *work);

/* plan_cpu.c: after all is decided; refuses what no order of writes can reach. */
void plan_cpu_prepare(struct plan_work *work);
void plan_cpu_emit(struct plan_work *work, unsigned group, enum plan_phase phase);

/* plan_cpu_path.c */
struct plan_cpu_step {
    enum plan_phase phase;
    enum knob_id knob;
    uint64_t old, value, old_pair, pair;
    bool last; /* of its knob */
};
enum { PLAN_CPU_STEPS_MAX = 6 };
/* The writes from @cpu->have to @cpu->want in order. */
unsigned plan_cpu_path(const struct plan_cpu *cpu, int version,
                       struct plan_cpu_step steps[PLAN_CPU_STEPS_MAX]);
/* The kernel's fixed-point ratio (to_ratio of kernel/sched/core.c); UINT64_MAX when unlimited. */
uint64_t plan_cpu_ratio(uint64_t quota, uint64_t period);
/* The lowest ratio on the way when it lies below both ends (a dip), else UINT64_MAX. */
uint64_t plan_cpu_dip(const struct plan_cpu *cpu);

/* plan_memory.c */
void plan_memory_prepare(struct plan_work *work, unsigned group);
void plan_memory_emit(struct plan_work *work, unsigned group, enum plan_phase phase);
