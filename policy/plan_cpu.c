/*
 * CPU bandwidth over the tree.
 *
 * v1 keeps one invariant at every moment: a group's quota/period is at most that of its nearest limited
 * ancestor (tg_cfs_schedulable_down, kernel/sched/core.c). v2 knows no such rule; there only burst <= quota
 * is left. So on v1:
 *
 *   1. What the plan ends in must satisfy the invariant. A decided group that would break it is refused and
 * keeps what it has; since that may break another's, repeat. What the kernel holds satisfies it, so this
 * ends.
 *   2. A dip (plan_cpu_path.c) lowers a ceiling over the descendants. Those that hold more must dip too,
 * which only decided groups can; else the owner of the ceiling is refused and the search begins anew.
 *
 * Then every state on the way satisfies it: dips bottom-up, widening top-down, narrowing bottom-up.
 */

#include "base/str.h"
#include "base/units.h"
#include "policy/plan_work.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { NONE = -1, CPU_QUOTA_LEAST = 1000, DEFAULT_PERIOD = 100000 };

static const struct plan_group *group_at(const struct plan_work *work, unsigned i)
{
    return &work->input->groups[i];
}

static struct plan_cpu *cpu_at(const struct plan_work *work, int i)
{
    return &work->nodes[i].cpu;
}

static uint64_t have_value(const struct plan_group *group, enum knob_id knob, uint64_t fallback)
{
    const struct knob_setting *setting = knob_set_get(&group->have, knob, 0);
    return setting ? setting->value : fallback;
}

static uint64_t ratio_of(const struct plan_cpu_state *state)
{
    return plan_cpu_ratio(state->quota, state->period);
}

/* Takes the decisions of one group into its struct plan_cpu. */
static void load(struct plan_work *work, unsigned i)
{
    const struct plan_group *group = group_at(work, i);
    struct plan_cpu *cpu = &work->nodes[i].cpu;
    int hierarchy = work->input->support[KNOB_CPU_BANDWIDTH].hierarchy;
    if (hierarchy < 0 || (!group->ids[hierarchy] && !(work->nodes[i].make & (1U << hierarchy))))
        return;
    cpu->there = true;
    cpu->have.quota = have_value(group, KNOB_CPU_BANDWIDTH, KNOB_UNLIMITED);
    cpu->have.period = have_value(group, KNOB_CPU_PERIOD, DEFAULT_PERIOD);
    cpu->have.burst = have_value(group, KNOB_CPU_BURST, 0);
    cpu->burst_there =
        knob_set_get(&group->have, KNOB_CPU_BURST, 0) || plan_work_find(work, i, KNOB_CPU_BURST, 0);
    cpu->want = cpu->have;
    const struct plan_decision *quota = plan_work_find(work, i, KNOB_CPU_BANDWIDTH, 0);
    const struct plan_decision *period = plan_work_find(work, i, KNOB_CPU_PERIOD, 0);
    const struct plan_decision *burst = plan_work_find(work, i, KNOB_CPU_BURST, 0);
    if (quota && !(quota->flags & DECIDED_REFUSED))
        cpu->want.quota = quota->value;
    if (period && !(period->flags & DECIDED_REFUSED))
        cpu->want.period = period->value;
    if (burst && !(burst->flags & DECIDED_REFUSED))
        cpu->want.burst = burst->value;
    cpu->decided =
        (quota && !(quota->flags & DECIDED_REFUSED)) || (period && !(period->flags & DECIDED_REFUSED));
}

static const char *cores(uint64_t quota, uint64_t period, char buf[static 32])
{
    uint64_t ppm = period ? quota / period * 1000000 + quota % period * 1000000 / period : 0;
    int digits = 6;
    uint64_t fraction = ppm % 1000000;
    while (digits > 1 && fraction % 10 == 0) {
        fraction /= 10;
        digits--;
    }
    (void)str_format(buf, 32, "%" PRIu64 ".%0*" PRIu64, ppm / 1000000, digits, fraction);
    return buf;
}

/* Reverts bandwidth and period of @i, and says why. */
static void refuse(struct plan_work *work, int i, uint32_t why)
{
    struct plan_cpu *cpu = cpu_at(work, i);
    struct plan_decision *quota = plan_work_find(work, (unsigned)i, KNOB_CPU_BANDWIDTH, 0);
    struct plan_decision *period = plan_work_find(work, (unsigned)i, KNOB_CPU_PERIOD, 0);
    cpu->decided = false;
    cpu->want.quota = cpu->have.quota;
    cpu->want.period = cpu->have.period;
    if (quota)
        quota->flags |= DECIDED_REFUSED;
    if (period)
        period->flags |= DECIDED_REFUSED;
    plan_work_refuse(
        work, (unsigned)i,
        &(struct plan_refused){.knob = quota ? KNOB_CPU_BANDWIDTH : KNOB_CPU_PERIOD, .why = why});
}

static void refuse_exceeding(struct plan_work *work, int child, int ancestor)
{
    const struct plan_cpu_state *low = &cpu_at(work, child)->want, *high = &cpu_at(work, ancestor)->want;
    const char *child_path = group_at(work, (unsigned)child)->path;
    const char *path = group_at(work, (unsigned)ancestor)->path;
    bool parent = group_at(work, (unsigned)child)->parent == ancestor;
    char a[32], b[32];
    cores(low->quota, low->period, a);
    cores(high->quota, high->period, b);
    if (cpu_at(work, child)->decided)
        refuse(work, child,
               plan_work_text(work, "cpu.bandwidth %s of %s exceeds %s of its %s %s (cgroup v1 refuses this)",
                              a, child_path, b, parent ? "parent" : "ancestor", path));
    else
        refuse(work, ancestor,
               plan_work_text(
                   work, "cpu.bandwidth %s of %s is less than the %s of %s below it (cgroup v1 refuses this)",
                   b, path, a, child_path));
}

/* One look at the end state. @limiter[i]: the nearest group at or above i that is limited. True when
 * something was refused. */
static bool refuse_unreachable_end(struct plan_work *work, int *limiter)
{
    bool refused = false;
    for (int i = 0; i < (int)work->input->group_count; i++) {
        int parent = group_at(work, (unsigned)i)->parent;
        int above = parent == NONE ? NONE : limiter[parent];
        const struct plan_cpu *cpu = cpu_at(work, i);
        limiter[i] = above;
        if (!cpu->there || cpu->want.quota == KNOB_UNLIMITED)
            continue;
        limiter[i] = i;
        if (above == NONE || ratio_of(&cpu->want) <= ratio_of(&cpu_at(work, above)->want))
            continue;
        if (!cpu->decided && !cpu_at(work, above)->decided)
            continue; /* read while somebody else wrote: the next plan sees it consistent */
        refuse_exceeding(work, i, above);
        refused = true;
    }
    return refused;
}

/* The quota with which @cpu fits under @ceiling in both periods; 0 when there is none. */
static uint64_t forced_quota(const struct plan_cpu *cpu, uint64_t ceiling)
{
    uint64_t period = cpu->have.period;
    uint64_t quota = ceiling / 1048576 * period + ceiling % 1048576 * period / 1048576;
    if (quota > cpu->want.quota)
        quota = cpu->want.quota;
    return quota < CPU_QUOTA_LEAST ? 0 : quota;
}

static void refuse_dip(struct plan_work *work, int owner, int holder)
{
    refuse(work, owner,
           plan_work_text(
               work,
               "cpu.period of %s cannot change while %s holds as much: cgroup v1 takes period and quota "
               "apart, and refuses both orders",
               group_at(work, (unsigned)owner)->path, group_at(work, (unsigned)holder)->path));
}

/* Carries the ceilings of dips down. @owner[i]: the group whose dip is the ceiling at i. True when something
 * was refused. */
static bool refuse_impossible_dip(struct plan_work *work, int *owner)
{
    bool refused = false;
    for (int i = 0; i < (int)work->input->group_count; i++) {
        int parent = group_at(work, (unsigned)i)->parent;
        struct plan_cpu *cpu = cpu_at(work, i);
        owner[i] = parent == NONE ? NONE : owner[parent];
        if (!cpu->there)
            continue;
        cpu->forced = 0;
        uint64_t ceiling = owner[i] == NONE ? UINT64_MAX : plan_cpu_dip(cpu_at(work, owner[i]));
        uint64_t dip = plan_cpu_dip(cpu);
        if (cpu->have.quota != KNOB_UNLIMITED && ratio_of(&cpu->have) > ceiling && dip > ceiling) {
            cpu->forced = cpu->decided ? forced_quota(cpu, ceiling) : 0;
            if (!cpu->forced) {
                refuse_dip(work, owner[i], i);
                refused = true;
                continue;
            }
            dip = plan_cpu_dip(cpu);
        }
        if (dip < ceiling)
            owner[i] = i;
    }
    return refused;
}

/* Burst after quota: it must not exceed it. */
static void settle_burst(struct plan_work *work, unsigned i)
{
    struct plan_cpu *cpu = &work->nodes[i].cpu;
    struct plan_decision *burst = plan_work_find(work, i, KNOB_CPU_BURST, 0);
    if (!cpu->there || cpu->want.burst <= cpu->want.quota)
        return;
    uint64_t held = cpu->have.burst < cpu->want.quota ? cpu->have.burst : cpu->want.quota;
    if (burst && burst->flags & DECIDED_RELEASE) {
        if (!(burst->flags & DECIDED_KEPT))
            burst->flags &= (uint16_t)~DECIDED_EXACT;
        held = cpu->want.quota;
    } else if (burst && !(burst->flags & DECIDED_REFUSED)) {
        char period[UNITS_TEXT_MAX], quota[UNITS_TEXT_MAX];
        burst->flags |= DECIDED_REFUSED;
        uint32_t why = plan_work_text(
            work, "cpu.burst %s of %s exceeds the %s that it may use per period (the kernel refuses this)",
            units_format_duration(cpu->want.burst * 1000, period), group_at(work, i)->path,
            units_format_duration(cpu->want.quota * 1000, quota));
        plan_work_refuse(work, i, &(struct plan_refused){.knob = KNOB_CPU_BURST, .why = why});
    }
    cpu->want.burst = held;
}

void plan_cpu_prepare(struct plan_work *work)
{
    unsigned count = work->input->group_count;
    for (unsigned i = 0; i < count; i++)
        load(work, i);
    int *above = calloc(count ? count : 1, sizeof *above);
    if (!above) {
        work->error = -ENOMEM;
        return;
    }
    if (plan_work_version(work, KNOB_CPU_BANDWIDTH) == 1)
        while (refuse_unreachable_end(work, above) || refuse_impossible_dip(work, above))
            ;
    free(above);
    for (unsigned i = 0; i < count; i++)
        settle_burst(work, i);
}

/* The decision that a step carries out; a burst that must make room for a quota follows the quota's. */
static struct plan_decision *decision_of(const struct plan_work *work, unsigned i, enum knob_id knob)
{
    static const enum knob_id order[] = {KNOB_CPU_BANDWIDTH, KNOB_CPU_PERIOD, KNOB_CPU_BURST};
    struct plan_decision *found = plan_work_find(work, i, knob, 0);
    for (unsigned k = 0; !found && k < ARRAY_LEN(order); k++)
        found = plan_work_find(work, i, order[k], 0);
    return found;
}

static uint64_t held(const struct plan_cpu_state *state, enum knob_id knob)
{
    return knob == KNOB_CPU_BANDWIDTH ? state->quota : knob == KNOB_CPU_PERIOD ? state->period : state->burst;
}

void plan_cpu_emit(struct plan_work *work, unsigned group, enum plan_phase phase)
{
    const struct plan_cpu *cpu = &work->nodes[group].cpu;
    if (!cpu->there)
        return;
    struct plan_cpu_step steps[PLAN_CPU_STEPS_MAX];
    int version = plan_work_version(work, KNOB_CPU_BANDWIDTH);
    unsigned count = plan_cpu_path(cpu, version, steps);
    for (unsigned i = 0; i < count; i++) {
        if (steps[i].phase != phase)
            continue;
        /* There the period has a file of its own: the pair only lets people read the quota in cores. */
        if (version == 1 && steps[i].knob == KNOB_CPU_BANDWIDTH) {
            steps[i].old_pair = cpu->have.period;
            steps[i].pair = cpu->want.period;
        }
        struct plan_decision *decision = decision_of(work, group, steps[i].knob);
        bool own = decision && decision->knob == steps[i].knob;
        bool returns = steps[i].value == held(&cpu->have, steps[i].knob);
        bool forgets =
            own ? decision->flags & DECIDED_EXACT : returns || plan_work_unasked_forgets(work, group);
        bool restores = forgets && steps[i].last;
        if (own && restores)
            decision->flags |= DECIDED_WRITTEN;
        plan_work_write(
            work, group,
            (struct plan_row){
                .flags = (uint16_t)((steps[i].last ? 0 : PLAN_ROW_STEP) | (restores ? PLAN_ROW_RESTORE : 0)),
                .knob = (uint16_t)steps[i].knob,
                .old_value = steps[i].old,
                .value = steps[i].value,
                .old_pair = steps[i].old_pair,
                .pair = steps[i].pair,
                .why_off = decision ? decision->why : 0,
            });
    }
}
