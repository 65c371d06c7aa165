/*
 * After a birth the group's runtime writes its own limits: for a settle window (until 250 ms were quiet, 5 s
 * at most) masu applies its own again and calls nothing drift. Afterwards a foreign write is drift: it is
 * told with its author, and the quota says what follows. Two writers that do not give up are a fight: masu
 * stops and says so.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { FIGHT_ROUNDS = 5 };
#define FIGHT_WINDOW_NS (60 * NSEC_PER_SEC)

static void fight_over(struct core *core, struct subject *subject, uint64_t now_ns)
{
    if (now_ns < subject->fight_until_ns) {
        loop_timer_arm_at(&subject->settle_timer, subject->fight_until_ns);
        return;
    }
    subject->fight_until_ns = 0;
    subject->drift_window_ns = 0;
    subject->drift_pending = true;
    core_plan_subject(core, subject);
    core_flush(core);
}

static void on_settle_due(void *owner)
{
    struct subject *subject = owner;
    struct core *core = subject->core;
    uint64_t now_ns = loop_now_ns(core->loop);
    if (!subject->settle_end_ns) {
        if (subject->fight_until_ns)
            fight_over(core, subject, now_ns);
        return;
    }
    uint64_t end_ns =
        subject->settle_quiet_ns < subject->settle_end_ns ? subject->settle_quiet_ns : subject->settle_end_ns;
    if (now_ns < end_ns) {
        loop_timer_arm_at(&subject->settle_timer, end_ns);
        return;
    }
    subject->settle_end_ns = 0;
    if (subject->fight_until_ns)
        loop_timer_arm_at(&subject->settle_timer, subject->fight_until_ns);
    core_plan_subject(core, subject);
    core_publish_view(core, subject);
    core_flush(core);
}

static bool timer_ready(struct core *core, struct subject *subject)
{
    return subject->settle_timer.event ||
           loop_timer_init(&subject->settle_timer, core->loop, LOOP_URGENT, on_settle_due, subject) == 0;
}

void core_settle_begin(struct core *core, struct subject *subject)
{
    uint64_t now_ns = loop_now_ns(core->loop);
    if (!timer_ready(core, subject))
        return; /* no memory: its runtime's writes are called drift */
    subject->settle_quiet_ns = now_ns + SETTLE_QUIET_NS;
    subject->settle_end_ns = now_ns + SETTLE_LONGEST_NS;
    loop_timer_arm_at(&subject->settle_timer, subject->settle_quiet_ns);
}

static bool is_knob_file(const char *file)
{
    for (unsigned k = 0; k < KNOB_N; k++)
        if ((knobs[k].v1.file && strcmp(knobs[k].v1.file, file) == 0) ||
            (knobs[k].v2.file && strcmp(knobs[k].v2.file, file) == 0))
            return true;
    return false;
}

static void remember_author(struct subject *subject, pid_t pid)
{
    char path[64], comm[32];
    if (pid <= 0) {
        str_copy(subject->foreign, sizeof subject->foreign, "somebody");
        return;
    }
    str_format(path, sizeof path, "/proc/%d/comm", (int)pid);
    ssize_t n = fs_read_at(AT_FDCWD, path, comm, sizeof comm);
    if (n > 0)
        comm[strcspn(comm, "\n")] = '\0';
    str_format(subject->foreign, sizeof subject->foreign, "pid %d (%s)", (int)pid, n > 0 ? comm : "gone");
}

void core_limit_differs(struct core *core, struct subject *subject)
{
    if (subject->planning == 0 && !subject->settle_end_ns && !subject->drift_pending) {
        subject->drift_pending = true;
        remember_author(subject, 0);
    }
    core_plan_subject(core, subject);
}

void core_limit_filled(struct core *core, struct group *group, unsigned hierarchy)
{
    if (core->host.hierarchies[hierarchy].version != 1 ||
        core->support[KNOB_IO_READ].hierarchy != (int)hierarchy)
        return;
    const struct group *top = gather_leaf_top(core, group);
    if (top)
        core_plan_subject(core, top->owner);
}

void core_limit_foreign_write(struct core *core, struct subject *subject, const char *file, pid_t pid)
{
    if (!subject->quota) {
        if (is_knob_file(file))
            subject->limits_read_ns = 0;
        return;
    }
    uint64_t now_ns = loop_now_ns(core->loop);
    if (!is_knob_file(file))
        return;
    if (now_ns < subject->fight_until_ns) {
        subject->limits_read_ns = 0;
        return;
    }
    if (subject->settle_end_ns) {
        subject->settle_quiet_ns = now_ns + SETTLE_QUIET_NS;
    } else {
        subject->drift_pending = true;
        remember_author(subject, pid);
    }
    core_plan_subject(core, subject);
}

static void tell_drift(struct core *core, struct subject *subject, const struct plan_row *row)
{
    static const char *const follows[] = {
        [DRIFT_ENFORCE] = "put back",
        [DRIFT_ADOPT] = "taken over",
        [DRIFT_REPORT] = "left as it is",
    };
    char found[64], wanted[64];
    const char *then =
        core->settings->enforce ? follows[subject->quota->drift] : "left, since enforce is off";
    const struct knob_setting *period = knob_set_get(&subject->in_force, KNOB_CPU_PERIOD, 0);
    uint64_t period_usec = period ? period->value : 100000;
    core->drifts++;
    core_event(core, EVENT_DRIFT, subject, "%s set %s to %s, the quota says %s: %s", subject->foreign,
               knobs[row->knob].key, knob_format(row->knob, row->old_value, period_usec, found, sizeof found),
               knob_format(row->knob, row->value, period_usec, wanted, sizeof wanted), then);
}

static void note_fight(struct core *core, struct subject *subject)
{
    uint64_t now_ns = loop_now_ns(core->loop);
    if (now_ns > subject->drift_window_ns + FIGHT_WINDOW_NS) {
        subject->drift_window_ns = now_ns;
        subject->drifts = 0;
    }
    if (++subject->drifts <= FIGHT_ROUNDS)
        return;
    subject->fight_until_ns = now_ns + FIGHT_WINDOW_NS;
    core_event(core, EVENT_DRIFT, subject, "%s keeps changing limits of this group: left alone for a minute",
               subject->foreign);
    if (timer_ready(core, subject))
        loop_timer_arm_at(&subject->settle_timer, subject->fight_until_ns);
}

/* Whether the kernel holds something else than masu last knew. A row may as well be there because an earlier
 * write failed. */
static bool changed_unseen(const struct subject *subject, const struct plan_row *row)
{
    const struct knob_setting *known = knob_set_get(&subject->in_force, row->knob, row->device);
    const struct knob_setting *period = knob_set_get(&subject->in_force, KNOB_CPU_PERIOD, 0);
    if (row->knob == KNOB_CPU_BANDWIDTH && row->version == 2 && period && row->old_pair != period->value)
        return true;
    if (!known)
        return knobs[row->knob].per_device && row->old_value != KNOB_UNLIMITED;
    return row->old_value != known->value;
}

/* True: masu writes its own value again. */
static bool judge(struct core *core, struct subject *subject, const struct plan_row *row)
{
    tell_drift(core, subject, row);
    switch (subject->quota->drift) {
    case DRIFT_ENFORCE:
        return true;
    case DRIFT_ADOPT:
    case DRIFT_REPORT:
        subject->adopted |= UINT32_C(1) << row->knob;
        return false;
    }
    return false;
}

/* The subject whose quota the row puts in force, or NULL. */
static struct subject *drifting(const struct core *core, const struct plan *plan, const struct plan_row *row)
{
    struct subject *subject = core_subject_at(core, plan_text(plan, row->path_off));
    return row->kind == PLAN_WRITE && subject && subject->quota ? subject : NULL;
}

static void tell_all(struct core *core, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->row_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        struct subject *subject = drifting(core, plan, row);
        if (subject && subject->drift_pending && !(row->flags & PLAN_ROW_STEP) &&
            changed_unseen(subject, row))
            subject->drift_round |= judge(core, subject, row);
    }
    /* A round of a fight is one plan, however many knobs it puts back. */
    for (uint32_t i = 0; i < plan->row_count; i++) {
        struct subject *subject = drifting(core, plan, &plan->rows[i]);
        if (!subject)
            continue;
        if (subject->drift_round)
            note_fight(core, subject);
        subject->drift_round = false;
        subject->drift_pending &= subject->replan; /* somebody wrote after the reading: the next plan tells */
    }
}

void core_drift_filter(struct core *core, struct plan *plan)
{
    uint64_t now_ns = loop_now_ns(core->loop);
    tell_all(core, plan);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < plan->row_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        const struct subject *subject = drifting(core, plan, row);
        bool left_alone =
            subject && ((subject->adopted >> row->knob & 1) || now_ns < subject->fight_until_ns);
        if (!left_alone)
            plan->rows[kept++] = *row;
    }
    plan->row_count = kept;
}
