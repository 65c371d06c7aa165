/*
 * The planner. Each key of each group is decided first (plan_decide.c), then made consistent over the tree
 * (plan_cpu.c, plan_memory.c), then written as rows in phases whose order follows from the kernel's rules,
 * not from retries:
 *
 *   groups     made top-down, controllers enabled beside them
 *   dips       bottom-up: narrow states that a change of the v1 period cannot avoid
 *   widening   top-down, so that a child never exceeds its parent
 *   narrowing  bottom-up, for the same reason
 *
 * A key moves in one phase only (dips apart), so on the way it holds its old or its new value, never a wider
 * one.
 */

#include "policy/plan_make.h"
#include "base/str.h"
#include "policy/plan_work.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint32_t plan_work_path(struct plan_work *work, unsigned group)
{
    struct plan_node *node = &work->nodes[group];
    if (!node->path)
        node->path = plan_string(work->plan, work->input->groups[group].path);
    return node->path;
}

uint32_t plan_work_text(struct plan_work *work, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return plan_string(work->plan, text);
}

struct plan_decision *plan_work_find(const struct plan_work *work, unsigned group, enum knob_id knob,
                                     uint32_t device)
{
    struct plan_node *node = &work->nodes[group];
    for (uint32_t i = 0; i < node->decision_count; i++)
        if (node->decisions[i].knob == knob && node->decisions[i].device == device)
            return &node->decisions[i];
    return NULL;
}

void plan_work_decide(struct plan_work *work, unsigned group, const struct plan_decision *decision)
{
    struct plan_node *node = &work->nodes[group];
    if ((node->decision_count & (node->decision_count - 1)) == 0) { /* full at each power of two */
        size_t capacity = node->decision_count ? 2 * (size_t)node->decision_count : 1;
        struct plan_decision *grown = realloc(node->decisions, capacity * sizeof *grown);
        if (!grown) {
            work->error = -ENOMEM;
            return;
        }
        node->decisions = grown;
    }
    node->decisions[node->decision_count++] = *decision;
}

bool plan_work_unasked_forgets(const struct plan_work *work, unsigned group)
{
    return plan_quota_release(work->input, &work->input->groups[group]) != RELEASE_RESTORE;
}

void plan_work_refuse(struct plan_work *work, unsigned group, const struct plan_refused *refused)
{
    struct plan_refusal row = {
        .knob = (uint16_t)refused->knob,
        .warn_only = refused->warn_only,
        .device = refused->device,
        .path_off = plan_work_path(work, group),
        .why_off = refused->why,
    };
    if (plan_add_refusal(work->plan, &row) != 0)
        work->error = -ENOMEM;
}

void plan_work_row(struct plan_work *work, struct plan_row row)
{
    if (plan_add(work->plan, &row) != 0)
        work->error = -ENOMEM;
}

static void fill_and_add(struct plan_work *work, unsigned group, struct plan_row row)
{
    int h = work->input->support[row.knob].hierarchy;
    const struct hierarchy *hierarchy = &work->input->host->hierarchies[h];
    row.version = (uint16_t)hierarchy->version;
    row.hierarchy = hierarchy->device;
    row.cgroup_id = work->input->groups[group].ids[h];
    row.flags |= (uint16_t)(row.cgroup_id ? 0 : PLAN_ROW_CREATED);
    row.path_off = plan_work_path(work, group);
    plan_work_row(work, row);
}

void plan_work_write(struct plan_work *work, unsigned group, struct plan_row row)
{
    row.kind = PLAN_WRITE;
    fill_and_add(work, group, row);
}

int plan_work_version(const struct plan_work *work, enum knob_id knob)
{
    const struct knob_support *support = &work->input->support[knob];
    return support->hierarchy < 0 || support->refusal
               ? 0
               : work->input->host->hierarchies[support->hierarchy].version;
}

static bool has_neighbours(uint16_t knob)
{
    return knob == KNOB_CPU_BANDWIDTH || knob == KNOB_CPU_PERIOD || knob == KNOB_CPU_BURST ||
           knob == KNOB_MEMORY_LIMIT || knob == KNOB_MEMORY_SWAP;
}

/* The keys that stand for themselves. */
static void emit_plain(struct plan_work *work, unsigned group, enum plan_phase phase)
{
    struct plan_node *node = &work->nodes[group];
    for (uint32_t i = 0; i < node->decision_count; i++) {
        struct plan_decision *decision = &node->decisions[i];
        bool wider = decision->value > decision->old;
        if (has_neighbours(decision->knob) || decision->flags & DECIDED_REFUSED ||
            decision->value == decision->old || phase != (wider ? PHASE_WIDEN : PHASE_NARROW))
            continue;
        bool restores = decision->flags & DECIDED_RELEASE;
        decision->flags |= restores ? DECIDED_WRITTEN : 0;
        plan_work_write(work, group,
                        (struct plan_row){
                            .flags = restores ? PLAN_ROW_RESTORE : 0,
                            .knob = decision->knob,
                            .device = decision->device,
                            .old_value = decision->old,
                            .value = decision->value,
                            .why_off = decision->why,
                        });
    }
}

/* Found values that need no write to be given back. */
static void emit_forget(struct plan_work *work, unsigned group)
{
    const struct plan_node *node = &work->nodes[group];
    for (uint32_t i = 0; i < node->decision_count; i++) {
        const struct plan_decision *decision = &node->decisions[i];
        if (!(decision->flags & DECIDED_EXACT) || decision->flags & (DECIDED_WRITTEN | DECIDED_REFUSED))
            continue;
        fill_and_add(work, group,
                     (struct plan_row){
                         .kind = PLAN_FORGET,
                         .knob = decision->knob,
                         .device = decision->device,
                         .old_value = decision->old,
                         .value = decision->old,
                         .why_off = decision->why,
                     });
    }
}

static void emit_group(struct plan_work *work, unsigned group, enum plan_phase phase)
{
    if (!work->nodes[group].decision_count)
        return;
    plan_cpu_emit(work, group, phase);
    plan_memory_emit(work, group, phase);
    emit_plain(work, group, phase);
    if (phase == PHASE_NARROW)
        emit_forget(work, group);
}

static void count_populated(struct plan_work *work)
{
    int h = work->input->support[KNOB_IO_READ].hierarchy;
    for (unsigned i = work->input->group_count; i-- > 0;) {
        const struct plan_group *group = &work->input->groups[i];
        work->nodes[i].populated += group->populated && h >= 0 && group->ids[h];
        if (group->parent >= 0)
            work->nodes[group->parent].populated += work->nodes[i].populated;
    }
}

static void decide_all(struct plan_work *work)
{
    const struct plan_input *input = work->input;
    for (unsigned i = 0; i < input->group_count; i++)
        if (input->groups[i].managed && input->groups[i].quota)
            (void)plan_quota_get(work, input->groups[i].quota);
    count_populated(work);
    plan_groups_prepare(work);
    for (unsigned i = 0; i < input->group_count; i++)
        plan_decide(work, i);
    plan_cpu_prepare(work);
    for (unsigned i = 0; i < input->group_count; i++)
        plan_memory_prepare(work, i);
}

static void emit_all(struct plan_work *work)
{
    unsigned count = work->input->group_count;
    plan_groups_emit(work);
    for (unsigned i = count; i-- > 0;)
        emit_group(work, i, PHASE_DIP);
    for (unsigned i = 0; i < count; i++)
        emit_group(work, i, PHASE_WIDEN);
    for (unsigned i = count; i-- > 0;)
        emit_group(work, i, PHASE_NARROW);
}

int plan_make(const struct plan_input *input, struct plan *ret)
{
    *ret = PLAN_NULL;
    struct plan_work work = {.input = input, .plan = ret};
    work.nodes = calloc(input->group_count ? input->group_count : 1, sizeof *work.nodes);
    if (!work.nodes)
        return -ENOMEM;
    decide_all(&work);
    if (!work.error)
        emit_all(&work);
    for (unsigned i = 0; i < input->group_count; i++)
        free(work.nodes[i].decisions);
    free(work.nodes);
    plan_quota_fini(&work);
    if (!work.error)
        work.error = buf_error(&ret->strings);
    if (work.error) {
        plan_fini(ret);
        *ret = PLAN_NULL;
    }
    return work.error;
}
