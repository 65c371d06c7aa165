/*
 * Memory and swap of one group. v1 has one file for memory and one for memory + swap, and keeps limit <=
 * memsw at every moment (mem_cgroup_resize_max, mm/memcontrol-v1.c): widening writes memsw first, narrowing
 * the limit first. A finite memsw with an unlimited limit cannot be said there, so swap follows the limit to
 * unlimited. memory.swap means the difference: when the limit moves, memsw moves with it. v2 keeps both
 * apart.
 */

#include "policy/plan_work.h"

struct memory {
    struct plan_decision *limit, *swap; /* NULL: not decided */
    uint64_t have_limit, want_limit;
    uint64_t have_swap, want_swap;
    bool has_swap;
    int version;
};

static uint64_t have_value(const struct plan_group *group, enum knob_id knob)
{
    const struct knob_setting *setting = knob_set_get(&group->have, knob, 0);
    return setting ? setting->value : KNOB_UNLIMITED;
}

static bool stands(const struct plan_decision *decision)
{
    return decision && !(decision->flags & DECIDED_REFUSED);
}

static struct memory load(const struct plan_work *work, unsigned i)
{
    const struct plan_group *group = &work->input->groups[i];
    struct memory m = {
        .limit = plan_work_find(work, i, KNOB_MEMORY_LIMIT, 0),
        .swap = plan_work_find(work, i, KNOB_MEMORY_SWAP, 0),
        .have_limit = have_value(group, KNOB_MEMORY_LIMIT),
        .have_swap = have_value(group, KNOB_MEMORY_SWAP),
        .version = plan_work_version(work, KNOB_MEMORY_LIMIT),
    };
    m.has_swap = m.swap || knob_set_get(&group->have, KNOB_MEMORY_SWAP, 0);
    m.want_limit = stands(m.limit) ? m.limit->value : m.have_limit;
    m.want_swap = stands(m.swap) ? m.swap->value : m.have_swap;
    if (m.version == 1 && m.want_limit == KNOB_UNLIMITED)
        m.want_swap = KNOB_UNLIMITED;
    return m;
}

void plan_memory_prepare(struct plan_work *work, unsigned i)
{
    struct memory m = load(work, i);
    if (m.version != 1 || m.want_limit != KNOB_UNLIMITED || !stands(m.swap) ||
        m.swap->value == KNOB_UNLIMITED)
        return;
    if (m.swap->flags & DECIDED_RELEASE) {
        if (!(m.swap->flags & DECIDED_KEPT))
            m.swap->flags &= (uint16_t)~DECIDED_EXACT;
        return;
    }
    m.swap->flags |= DECIDED_REFUSED;
    uint32_t why = plan_work_text(
        work, "memory.swap of %s needs a memory.limit: cgroup v1 limits memory and swap together",
        work->input->groups[i].path);
    plan_work_refuse(work, i, &(struct plan_refused){.knob = KNOB_MEMORY_SWAP, .why = why});
}

static uint64_t both(uint64_t limit, uint64_t swap)
{
    uint64_t sum;
    if (limit == KNOB_UNLIMITED || swap == KNOB_UNLIMITED || __builtin_add_overflow(limit, swap, &sum))
        return KNOB_UNLIMITED;
    return sum;
}

static uint16_t flags_of(const struct plan_work *work, unsigned i, struct plan_decision *decision,
                         uint64_t narrowed_to)
{
    uint16_t flags = !decision && plan_work_unasked_forgets(work, i) ? PLAN_ROW_RESTORE : 0;
    if (decision && decision->flags & DECIDED_EXACT) {
        decision->flags |= DECIDED_WRITTEN;
        flags |= PLAN_ROW_RESTORE;
    }
    if (narrowed_to < work->input->groups[i].memory_usage)
        flags |= PLAN_ROW_SHRINK;
    return flags;
}

static void emit_limit(struct plan_work *work, unsigned i, const struct memory *m, enum plan_phase phase)
{
    bool wider = m->want_limit > m->have_limit;
    if (m->want_limit == m->have_limit || phase != (wider ? PHASE_WIDEN : PHASE_NARROW))
        return;
    plan_work_write(work, i,
                    (struct plan_row){
                        .flags = flags_of(work, i, m->limit, wider ? UINT64_MAX : m->want_limit),
                        .knob = KNOB_MEMORY_LIMIT,
                        .old_value = m->have_limit,
                        .value = m->want_limit,
                        .why_off = m->limit ? m->limit->why : 0,
                    });
}

static void emit_swap(struct plan_work *work, unsigned i, const struct memory *m, enum plan_phase phase)
{
    bool v1 = m->version == 1;
    uint64_t have = v1 ? both(m->have_limit, m->have_swap) : m->have_swap;
    uint64_t want = v1 ? both(m->want_limit, m->want_swap) : m->want_swap;
    if (!m->has_swap || phase != (want > have ? PHASE_WIDEN : PHASE_NARROW))
        return;
    if (want == have && m->want_swap == m->have_swap)
        return;
    const struct plan_decision *reason = m->swap ? m->swap : m->limit;
    plan_work_write(work, i,
                    (struct plan_row){
                        .flags = flags_of(work, i, m->swap, v1 && want < have ? want : UINT64_MAX),
                        .knob = KNOB_MEMORY_SWAP,
                        .old_value = m->have_swap,
                        .value = m->want_swap,
                        .old_pair = v1 ? m->have_limit : 0,
                        .pair = v1 ? m->want_limit : 0,
                        .why_off = reason ? reason->why : 0,
                    });
}

void plan_memory_emit(struct plan_work *work, unsigned i, enum plan_phase phase)
{
    if (phase == PHASE_DIP)
        return;
    struct memory m = load(work, i);
    if (!m.limit && !m.swap)
        return;
    if (phase == PHASE_WIDEN) {
        emit_swap(work, i, &m, phase);
        emit_limit(work, i, &m, phase);
    } else {
        emit_limit(work, i, &m, phase);
        emit_swap(work, i, &m, phase);
    }
}
