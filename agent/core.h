#pragma once
/*
 * core: watches, samples, decides. One struct holds the role's state; each core_*.c file is one concern over
 * it.
 *
 *   core_tree.c      births, deaths and foreign writes, from the watch and from scans
 *   core_subject.c   what has rows: groups, the host, interfaces; who they are
 *   core_carry.c     what is taken over from a core that died
 *   core_sample.c    the tick: one row per subject
 *   core_publish.c   frames and views on the bus
 *   core_pressure.c  signals to levels
 *   core_limit.c     the policy in force, and which quota holds where
 *   core_run.c       plans on their way, from the reading to the enforcer
 *   core_outcome.c   what the enforcer answers
 *   core_drift.c     the settle window and foreign writes
 *   core_gather.c    what the planner needs to know, read from the kernel in slices
 *   core_api.c       requests that come through the gateway
 */

#include "agent/bus.h"
#include "agent/loop.h"
#include "agent/message.h"
#include "agent/role.h"
#include "base/list.h"
#include "cgroup/notify.h"
#include "cgroup/tree.h"
#include "cgroup/watch.h"
#include "collectors/identity.h"
#include "collectors/net.h"
#include "collectors/sampler.h"
#include "model/plan.h"
#include "policy/plan_make.h"
#include "policy/pressure.h"

#define SETTLE_QUIET_NS (250 * NSEC_PER_MSEC)
#define SETTLE_LONGEST_NS (5 * NSEC_PER_SEC)
#define RELOAD_SPACING_NS NSEC_PER_SEC
#define RESCAN_EVERY_NS (30 * NSEC_PER_SEC)
#define KEYFRAME_EVERY_TICKS 60
#define FDS_REST 512 /* descriptors for all but the sampler and the notifications, which get a quarter */

/* What has rows. */
struct subject {
    struct list_link all; /* core.subjects, in order of birth */
    struct core *core;
    struct group *group; /* NULL for the host and interfaces; group->owner points back */

    /* who */
    struct group_identity identity;
    enum identity_result known;
    uint32_t slot;
    uint64_t born_wall_ns, born_mono_ns;
    uint64_t born_run; /* core.run_last_id then: earlier plans that name its path meant another group */
    struct loop_timer identity_timer; /* asks again while the runtime's state files may still appear */
    unsigned identity_tries;

    /* samples */
    struct sampler_group *sampled;
    struct row before, row; /* the last two published */
    unsigned rows;          /* published so far, saturating at 2 */
    bool populated;
    int32_t nsid; /* of its network namespace, -1 when it has none of its own */
    uint64_t nsid_next_ns;
    bool filled;   /* the last row told of tasks, here or below */
    uint64_t tick; /* the last tick that saw it */

    /* limits */
    const struct quota *quota;   /* of core.policy, NULL when none fits */
    bool created;                /* the policy makes this group */
    enum policy_release release; /* of the last quota that held here */
    struct knob_set wanted, in_force, found;
    uint64_t limits_read_ns;                 /* when in_force was last read without a plan's need; 0: stale */
    uint64_t memory_limit, cpu_limit_ppm;    /* least of the group and its ancestors; KNOB_UNLIMITED */
    unsigned planning;                       /* rows on their way, and readings, that name this group */
    bool replan;                             /* something changed meanwhile */
    uint64_t settle_quiet_ns, settle_end_ns; /* the settle window; end 0: settled */
    struct loop_timer settle_timer;
    uint32_t adopted;   /* bit per knob left as a foreign writer set it */
    bool drift_pending; /* somebody else wrote a knob after the settle window: the next plan tells */
    bool drift_round;   /* scratch: the plan at hand puts something back */
    unsigned drifts;    /* rounds of putting back in the current window */
    uint64_t drift_window_ns, fight_until_ns; /* a writer who does not give up is left alone until then */
    char foreign[96];                         /* the last foreign writer, "pid 812 (runc)" */
    struct buf told;                          /* scratch: what the outcomes of one plan say about it */
    uint64_t refused;                         /* hash of the refusals already told */

    /* pressure */
    struct pressure_state pressure;
    struct pressure_below below;
    uint64_t level_since_wall_ns;
    struct notify notify;
    struct loop_watch notify_watches[NOTIFY_N];
    struct loop_timer look_timer; /* the next look before the next tick, near the limit */
    bool notify_tried;
    bool fired[NOTIFY_N];
};

enum plan_purpose {
    PURPOSE_START,   /* everything, when core starts, the policy was loaded, or the enforcer is new */
    PURPOSE_GROUPS,  /* what changed around single groups: birth, identity, drift */
    PURPOSE_PLAN,    /* a client asked what would change */
    PURPOSE_APPLY,   /* a client asked to load the policy and apply */
    PURPOSE_RELEASE, /* a client asked to give everything back */
};

/* A plan from its first reading to its last outcome. */
struct plan_run {
    struct list_link all; /* core.runs */
    struct core *core;
    uint64_t id;
    enum plan_purpose purpose;
    struct policy *policy; /* PURPOSE_PLAN: its own, freed with the run; else core's */
    uint64_t request_id;   /* the gateway's, 0 when nobody waits */
    struct gather *gather; /* while reading; a client's request without it waits until all is known */
    bool made;             /* the plan is made; what was read is being told to the subjects */
    int made_error;        /* 0 or -ENOMEM of the making */
    struct plan plan;
    bool sent;
    struct plan_outcomes outcomes; /* the enforcer's answer, once heard */
    bool heard, finishing;         /* outcomes are noted row by row; then the subjects are finished with */
    uint32_t row_next;             /* of the noting or the finishing */
    bool holds;                    /* PURPOSE_GROUPS: counted in its subject's planning while reading */
    char path[GROUP_PATH_MAX];     /* PURPOSE_GROUPS: the group */
};

struct core {
    struct role_context *role;
    struct loop *loop;
    const struct settings *settings;

    /* kernel */
    struct cgroup_host host;
    struct group_tree tree;
    struct watch *watch;
    struct loop_watch watch_io;
    struct loop_timer rest_timer; /* armed while a storm of events has to wait */
    uint64_t storm_since_ns;      /* since when there were always more events; 0: there were not */
    struct group_scan *scan;
    struct loop_job scan_job;
    struct loop_timer rescan_timer;
    bool scanning, scanned_once, scan_again;
    char watch_at[GROUP_PATH_MAX]; /* after a scan: the last group that the watch was told of */
    struct knob_support support[KNOB_N];
    bool support_probed;                                  /* with a real group */
    char untouchable[2][HIERARCHIES_MAX][GROUP_PATH_MAX]; /* own group and PID 1's, per hierarchy */

    /* subjects */
    struct list subjects;
    unsigned subject_count;
    uint8_t slots_used[BUS_VIEWS_MAX / 8];
    uint32_t slot_next;
    struct map carried; /* from the core before, until the first scan is over; see core_carry.c */
    struct subject *host_subject;
    struct map interfaces; /* name -> subject */
    struct identity_paths identity_paths;

    /* samples */
    struct sampler *sampler;
    struct net *net;
    struct loop_timer tick_timer;
    struct loop_job tick_job;
    uint64_t tick, tick_due_ns, tick_began_ns, tick_last_ns, tick_longest_ns, interval_ns;
    struct list_link *tick_at; /* next subject of the running tick, NULL between ticks */

    /* pressure */
    uint64_t looks_since_ns; /* the second in which looks are counted */
    unsigned looks;          /* samples between ticks */

    /* bus */
    struct bus_writer *bus;
    struct buf frames; /* not yet published */
    uint64_t frames_pending;

    /* limits */
    struct policy policy;
    struct loop_timer reload_timer;
    uint64_t reload_next_ns; /* a reload before it waits */
    bool released; /* masu release --all: nothing is managed until the policy is applied or loaded again */
    char policy_error[512];
    uint32_t quotas_before;         /* of a core that died, until a policy is loaded */
    uint64_t policy_loaded_wall_ns; /* 0: none could be read yet, nothing is written */
    struct list runs;
    struct loop_job gather_job;  /* reads for the first run that still gathers */
    struct loop_job outcome_job; /* takes in the outcomes of the first run that was answered */
    uint64_t run_last_id;
    bool plan_again; /* something could not be planned or may have been missed: all is, after the next scan */
    bool found_known; /* the enforcer told the found values */
    struct map found; /* path -> struct knob_set*, of groups not (yet) seen, or without rows of their own */
    pid_t enforcer_pid;
    uint64_t plans, writes, writes_failed, refusals, drifts, rescans, overflows;
    uint64_t started_wall_ns;
};

/* core_tree.c */
MUST_USE int core_tree_start(struct core *core);
void core_tree_stop(struct core *core);
void core_rescan(struct core *core);

/* core_subject.c */
struct subject *subject_new(struct core *core, struct group *group,
                            const struct group_identity *identity); /* NULL: no memory or slot */
struct subject *subject_free(struct subject *subject);              /* publishes its end */
void core_subject_born(struct core *core, struct group *group);
void core_subject_gone(struct core *core, struct group *group);
bool core_in_scope(const struct core *core, const char *path);

/* core_carry.c */
void core_carry_read(struct core *core); /* before anything is published */
/* The slot and the past of @subject, when it lived already under the core before; false: it is new. */
bool core_carry_take(struct core *core, struct subject *subject);
void core_carry_stop(struct core *core);
void core_carry_end(struct core *core); /* after the first scan: what was not taken is gone */

/* core_sample.c */
MUST_USE int core_sample_start(struct core *core);
void core_sample_stop(struct core *core);
/* Reads and publishes one row of @subject now. False when its group is gone. */
bool core_sample_subject(struct core *core, struct subject *subject);

/* core_publish.c */
void core_publish_epoch(struct core *core);
void core_publish_born(struct core *core, struct subject *subject);
void core_publish_gone(struct core *core, struct subject *subject);
void core_publish_row(struct core *core, struct subject *subject, const struct row *row);
void core_publish_view(struct core *core, struct subject *subject); /* all of the view but the rows */
/* @subject NULL: about the agent. */
void core_event(struct core *core, enum event_type type, const struct subject *subject, const char *format,
                ...) PRINTF_LIKE(4, 5);
/* About one that is no subject any more. */
void core_event_of(struct core *core, enum event_type type, const struct group_identity *who,
                   const char *format, ...) PRINTF_LIKE(4, 5);
void core_event_level(struct core *core, const struct subject *subject, enum level before, const char *why);
void core_publish_status(struct core *core);
void core_flush(struct core *core); /* hands the pending frames to the bus and wakes the readers */

/* core_pressure.c */
void core_pressure_open(struct core *core, struct subject *subject);
void core_pressure_close(struct subject *subject);
void core_pressure_step(struct core *core, struct subject *subject, const struct row *row);
void core_pressure_resume(struct subject *subject, enum level level); /* of before core started anew */

/* core_limit.c */
/* The policy on disk, to take the place of the one in force; as policy_reload. */
MUST_USE int core_policy_read(const struct core *core, struct policy *ret, struct diags *diags);
void core_policy_load(struct core *core); /* from the files; a broken one is told and the old stays */
void core_policy_set(struct core *core, struct policy *policy); /* takes *policy */
void core_limit_born(struct core *core,
                     struct subject *subject); /* finds its quota, opens the settle window, plans */
void core_limit_grown(struct core *core, struct subject *subject); /* it appeared in one more hierarchy */
void core_limit_gone(struct core *core, struct subject *subject);
/* memory_limit and cpu_limit from it and its ancestors. */
void core_limit_effective(struct subject *subject);
bool core_untouchable(const struct core *core, const char *path); /* unless a quota names it exactly */
bool core_manages(const struct core *core, const struct policy *policy, const struct group_identity *identity,
                  const struct quota **ret_quota);
MUST_USE int core_limits_start(struct core *core);
void core_limits_stop(struct core *core);

/* core_run.c */
void core_plan_all(struct core *core, enum plan_purpose purpose, uint64_t request_id);
void core_plan_policy(struct core *core, struct policy *policy,
                      uint64_t request_id); /* PURPOSE_PLAN; takes *policy */
void core_plan_subject(struct core *core, struct subject *subject);
extern const char core_enforce_is_off[];                    /* why a request that writes is refused then */
void core_run_fail(struct plan_run *run, const char *text); /* tells whoever waits, frees */
struct plan_run *core_run_free(struct plan_run *run);
enum request_kind core_run_request(const struct plan_run *run);
void core_runs_resume(struct core *core); /* starts what waited */
void core_runs_forget(
    struct core *core); /* drops what reads for the policy in force; applies wait for the next */
MUST_USE int core_runs_start(struct core *core);
void core_runs_stop(struct core *core);
struct subject *core_subject_at(const struct core *core, const char *path); /* or NULL */
/* The subject that run @run_id meant by @path; NULL when it is gone, or made anew since. */
struct subject *core_run_subject(const struct core *core, uint64_t run_id, const char *path);

/* core_outcome.c */
MUST_USE int core_outcomes_start(struct core *core);
void core_outcomes_stop(struct core *core);
void core_plan_done(struct core *core, const struct channel_message *message);
void core_found_values(struct core *core, const struct channel_message *message);
void core_enforcer_new(struct core *core); /* asks for the found values; then everything is planned */

/* core_drift.c */
void core_settle_begin(struct core *core, struct subject *subject);
void core_limit_foreign_write(struct core *core, struct subject *subject, const char *file, pid_t pid);
/* The kernel holds something else than what is known, and the watch told of no writer. */
void core_limit_differs(struct core *core, struct subject *subject);
/* A process may have entered the group: v1 throttles above it are pushed down anew. */
void core_limit_filled(struct core *core, struct group *group, unsigned hierarchy);
/* Tells of rows that would undo a foreign write, and takes out those that the quota's drift mode leaves
 * alone. To be called before what was read becomes what is known. */
void core_drift_filter(struct core *core, struct plan *plan);

/* core_gather.c */
struct gather; /* opaque */
/* The outermost group, @group or above it, whose quota holds in each leaf by itself (v1 throttles), or NULL.
 */
struct group *gather_leaf_top(const struct core *core, struct group *group);
/* Everything a policy could touch: all managed groups, their ancestors and descendants, groups to make. NULL:
 * out of memory. */
struct gather *gather_all(struct core *core, const struct policy *policy);
/* By the policy in force: one group with its ancestors and descendants; when an ancestor's quota holds in
 * each leaf by itself, that ancestor with all below it. */
struct gather *gather_one(struct core *core, struct group *group);
bool gather_step(struct gather *gather, uint64_t until_ns); /* true: more to read */
MUST_USE int gather_plan(struct gather *gather, enum plan_purpose purpose, struct plan *ret);
/* What was read becomes the subjects' wanted and in_force; true: more to tell. */
bool gather_tell(struct gather *gather, uint64_t until_ns);
struct gather *gather_free(struct gather *gather);

/* core_api.c */
void core_api_request(struct core *core, struct channel_message *message);
void core_api_answer(struct core *core, uint64_t request_id, enum request_kind kind,
                     enum response_status status, const void *payload, size_t len);
void core_api_answer_plan(struct core *core, uint64_t request_id, enum request_kind kind,
                          const struct plan *plan, const struct plan_outcomes *outcomes);
