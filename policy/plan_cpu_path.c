/*
 * From one CPU quota, period and burst to another, by writes that the kernel takes.
 *
 * On v2 quota and period are one write. On v1 they are two, and between them stands a ratio that nobody asked
 * for:
 *
 *   20/100 ms -> 100/200 ms   quota first 100/100 (too wide), period first 20/200 (too narrow)
 *
 * Where one of the two orders stays between both ends it is taken. Else the narrow one is: a dip. A dip must
 * not fall below what descendants hold (tg_cfs_schedulable_down of kernel/sched/core.c refuses a parent below
 * its child), so dips are a phase of their own, before everything else and bottom-up; plan_cpu.c makes
 * descendants dip too.
 *
 * The kernel keeps burst <= quota at every moment (tg_set_cfs_bandwidth), also for a burst set while the
 * quota was unlimited: what must fall falls first, what may rise rises last.
 */

#include "policy/plan_work.h"
#include <assert.h>

enum { RATIO_SHIFT = 20 };

uint64_t plan_cpu_ratio(uint64_t quota, uint64_t period)
{
    if (quota == KNOB_UNLIMITED)
        return UINT64_MAX;
    return period ? (quota << RATIO_SHIFT) / period : 0;
}

static int compare(uint64_t quota, uint64_t period, const struct plan_cpu_state *other)
{
    if (quota == KNOB_UNLIMITED || other->quota == KNOB_UNLIMITED)
        return (quota == KNOB_UNLIMITED) - (other->quota == KNOB_UNLIMITED);
    uint64_t left = quota * other->period, right = other->quota * period; /* 44 bits * 20 bits */
    return (left > right) - (left < right);
}

static bool between(uint64_t quota, uint64_t period, const struct plan_cpu *cpu)
{
    int have = compare(quota, period, &cpu->have), want = compare(quota, period, &cpu->want);
    return have * want <= 0;
}

struct route {
    bool period_first;
    bool dips; /* the first of the two writes is narrower than both ends */
};

static struct route find_route(const struct plan_cpu *cpu)
{
    const struct plan_cpu_state *have = &cpu->have, *want = &cpu->want;
    if (have->quota == want->quota || have->period == want->period)
        return (struct route){false, false};
    if (have->quota == KNOB_UNLIMITED)
        return (struct route){.period_first = true};
    if (want->quota == KNOB_UNLIMITED || between(want->quota, have->period, cpu))
        return (struct route){.period_first = false};
    if (between(have->quota, want->period, cpu))
        return (struct route){.period_first = true};
    return (struct route){.period_first = want->period > have->period, .dips = true};
}

uint64_t plan_cpu_dip(const struct plan_cpu *cpu)
{
    const struct plan_cpu_state *have = &cpu->have, *want = &cpu->want;
    if (cpu->forced) {
        bool longer = want->quota != KNOB_UNLIMITED && want->period > have->period;
        return plan_cpu_ratio(cpu->forced, longer ? want->period : have->period);
    }
    struct route route = find_route(cpu);
    if (!route.dips)
        return UINT64_MAX;
    return route.period_first ? plan_cpu_ratio(have->quota, want->period)
                              : plan_cpu_ratio(want->quota, have->period);
}

/* Steps under construction and the state after them. */
struct path {
    struct plan_cpu_step *steps;
    unsigned count;
    struct plan_cpu_state at;
};

static void step(struct path *path, enum plan_phase phase, enum knob_id knob, uint64_t value)
{
    uint64_t *at = knob == KNOB_CPU_BANDWIDTH ? &path->at.quota
                   : knob == KNOB_CPU_PERIOD  ? &path->at.period
                                              : &path->at.burst;
    if (*at == value)
        return;
    assert(path->count < PLAN_CPU_STEPS_MAX);
    path->steps[path->count++] =
        (struct plan_cpu_step){.phase = phase, .knob = knob, .old = *at, .value = value};
    *at = value;
}

static void step_both(struct path *path, enum plan_phase phase, const struct plan_cpu_state *want)
{
    if (path->at.quota == want->quota && path->at.period == want->period)
        return;
    path->steps[path->count++] = (struct plan_cpu_step){
        .phase = phase,
        .knob = KNOB_CPU_BANDWIDTH,
        .old = path->at.quota,
        .value = want->quota,
        .old_pair = path->at.period,
        .pair = want->period,
    };
    path->at.quota = want->quota;
    path->at.period = want->period;
}

static void step_v1(struct path *path, const struct plan_cpu *cpu, enum plan_phase first,
                    enum plan_phase second)
{
    struct route route = find_route(cpu);
    if (cpu->forced)
        step(path, first, KNOB_CPU_BANDWIDTH, cpu->forced);
    bool period_first = cpu->forced ? cpu->want.quota != KNOB_UNLIMITED : route.period_first;
    if (period_first) {
        step(path, cpu->forced ? second : first, KNOB_CPU_PERIOD, cpu->want.period);
        step(path, second, KNOB_CPU_BANDWIDTH, cpu->want.quota);
    } else {
        step(path, first, KNOB_CPU_BANDWIDTH, cpu->want.quota);
        step(path, second, KNOB_CPU_PERIOD, cpu->want.period);
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

unsigned plan_cpu_path(const struct plan_cpu *cpu, int version,
                       struct plan_cpu_step steps[PLAN_CPU_STEPS_MAX])
{
    const struct plan_cpu_state *have = &cpu->have, *want = &cpu->want;
    struct path path = {.steps = steps, .at = *have};
    bool dips = version == 1 && (cpu->forced || find_route(cpu).dips);
    bool rates = have->quota != want->quota || have->period != want->period || cpu->forced;
    bool wider = rates ? compare(want->quota, want->period, have) > 0 : want->burst > have->burst;
    enum plan_phase second = dips || wider ? PHASE_WIDEN : PHASE_NARROW;
    enum plan_phase first = dips ? PHASE_DIP : second;

    uint64_t quota = least(have->quota, want->quota);
    if (dips && cpu->forced)
        quota = least(quota, cpu->forced);
    if (cpu->burst_there)
        step(&path, first, KNOB_CPU_BURST, least(least(have->burst, want->burst), quota));
    if (version == 1)
        step_v1(&path, cpu, first, second);
    else
        step_both(&path, second, want);
    if (cpu->burst_there)
        step(&path, second, KNOB_CPU_BURST, want->burst);

    for (unsigned i = 0; i < path.count; i++) {
        steps[i].last = true;
        for (unsigned j = i + 1; j < path.count; j++)
            steps[i].last &= steps[j].knob != steps[i].knob;
    }
    return path.count;
}
