/*
 * From signals to levels. A step is taken with each row and, so that a fast grower is noticed before it is
 * killed, at each wake-up of the kernel. rmdir signals every eventfd: what woke us is believed only when the
 * group can still be read.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "cgroup/group.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#define STEP_SPACING_NS (5 * NSEC_PER_MSEC)
enum { LOOKS_PER_SECOND = 500 };

static const struct pressure_rules rules = PRESSURE_RULES_DEFAULT;

static uint64_t value_or_0(const struct row *row, enum metric_id id)
{
    return row_has(row, id) ? row->values[id] : 0;
}

/* A counter that could not be read stands where it stood. */
static uint64_t counter(const struct row *row, enum metric_id id, uint64_t last)
{
    return row_has(row, id) ? row->values[id] : last;
}

static struct pressure_signals signals_of(const struct subject *subject, const struct row *row)
{
    const struct pressure_signals *last = &subject->pressure.last;
    struct pressure_signals s = {
        .now_ns = row->mono_ns,
        .has_psi = row_has(row, METRIC_MEMORY_PRESSURE_SOME),
        .psi_some_usec = value_or_0(row, METRIC_MEMORY_PRESSURE_SOME),
        .psi_full_usec = value_or_0(row, METRIC_MEMORY_PRESSURE_FULL),
        .limit_hits = counter(row, METRIC_MEMORY_LIMIT_HITS, last->limit_hits),
        .oom_kills = counter(row, METRIC_MEMORY_OOM_KILLS, last->oom_kills),
        .has_refaults = row_has(row, METRIC_MEMORY_REFAULTS),
        .refaults = value_or_0(row, METRIC_MEMORY_REFAULTS),
        .has_reclaim = row_has(row, METRIC_MEMORY_SCANNED),
        .scanned = value_or_0(row, METRIC_MEMORY_SCANNED),
        .reclaimed = value_or_0(row, METRIC_MEMORY_RECLAIMED),
        .has_limit = subject->memory_limit != KNOB_UNLIMITED,
        .limit_bytes = subject->memory_limit,
        .usage_bytes = value_or_0(row, METRIC_MEMORY_USAGE),
        .unreclaimable_bytes = value_or_0(row, METRIC_MEMORY_ANON) + value_or_0(row, METRIC_MEMORY_KERNEL) +
                               value_or_0(row, METRIC_MEMORY_UNEVICTABLE),
        .v1_low = subject->fired[NOTIFY_LOW],
        .v1_medium = subject->fired[NOTIFY_MEDIUM],
        .v1_critical = subject->fired[NOTIFY_CRITICAL],
    };
    return s;
}

static void tell_oom_kills(struct core *core, struct subject *subject, const struct pressure_signals *now)
{
    const struct pressure_state *state = &subject->pressure;
    if (!state->primed || now->oom_kills <= state->last.oom_kills)
        return;
    uint64_t kills = now->oom_kills - state->last.oom_kills;
    char limit[UNITS_TEXT_MAX];
    if (now->has_limit)
        core_event(core, EVENT_OOM_KILL, subject,
                   "the kernel killed %" PRIu64 " process%s for memory, the limit is %s", kills,
                   kills == 1 ? "" : "es", units_format_bytes(now->limit_bytes, limit));
    else
        core_event(core, EVENT_OOM_KILL, subject, "the kernel killed %" PRIu64 " process%s for memory", kills,
                   kills == 1 ? "" : "es");
}

/* However many near their limits at once, ticks and answers keep their share of the loop. */
static bool look_allowed(struct core *core)
{
    uint64_t now_ns = loop_now_ns(core->loop);
    if (now_ns > core->looks_since_ns + NSEC_PER_SEC) {
        core->looks_since_ns = now_ns;
        core->looks = 0;
    }
    return ++core->looks <= LOOKS_PER_SECOND;
}

/* The next second may be too late for a container that nears its limit. */
static void on_look_due(void *owner)
{
    struct subject *subject = owner;
    struct core *core = subject->core;
    if (look_allowed(core) && core_sample_subject(core, subject))
        core_flush(core);
}

static void look_again(struct core *core, struct subject *subject)
{
    uint64_t pause_ns = pressure_look_again_ns(&subject->pressure);
    if (!pause_ns || !subject->group || pause_ns >= core->settings->interval_ns)
        return;
    if (!subject->look_timer.event &&
        loop_timer_init(&subject->look_timer, core->loop, LOOP_URGENT, on_look_due, subject) < 0)
        return;
    loop_timer_arm_at(&subject->look_timer, loop_now_ns(core->loop) + pause_ns);
}

/* v2 counts a group's troubles in all above it too; v1 counts and notifies locally. */
static void tell_ancestors(struct core *core, struct subject *subject, const struct pressure_signals *last)
{
    int memory = cgroup_host_find(&core->host, "memory");
    if (!subject->group || memory < 0 || core->host.hierarchies[memory].version != 2)
        return;
    for (const struct group *g = subject->group->parent; g; g = g->parent) {
        struct subject *above = g->owner;
        if (above)
            pressure_tell(&above->below, last, &subject->pressure,
                          subject->memory_limit < above->memory_limit);
    }
}

void core_pressure_step(struct core *core, struct subject *subject, const struct row *row)
{
    char why[EVENT_TEXT_MAX];
    struct pressure_signals now = signals_of(subject, row), last = subject->pressure.last;
    memset(subject->fired, 0, sizeof subject->fired);
    pressure_own(&subject->below, &subject->pressure, 2 * core->settings->interval_ns, &now);
    tell_oom_kills(core, subject, &now);
    enum level before = subject->pressure.level;
    bool primed = subject->pressure.primed;
    bool changed = pressure_step(&subject->pressure, &rules, &now, why, sizeof why);
    if (primed)
        tell_ancestors(core, subject, &last);
    look_again(core, subject);
    if (!changed)
        return;
    subject->level_since_wall_ns = clock_wall_ns();
    core_event_level(core, subject, before, why);
    core_publish_view(core, subject);
}

void core_pressure_resume(struct subject *subject, enum level level)
{
    pressure_resume(&subject->pressure, &rules, level, clock_mono_ns());
}

static void on_notify(void *owner, int fd, unsigned what)
{
    (void)what;
    struct subject *subject = owner;
    struct core *core = subject->core;
    for (unsigned i = 0; i < NOTIFY_N; i++)
        if (subject->notify.fds[i] == fd && notify_drain(&subject->notify, (enum notify_source)i) > 0)
            subject->fired[i] = true;
    if (clock_mono_ns() < subject->row.mono_ns + STEP_SPACING_NS && !subject->fired[NOTIFY_OOM])
        return; /* the next wake-up or tick takes the step; what fired is remembered */
    uint64_t id;
    int memory = cgroup_host_find(&core->host, "memory");
    if (memory < 0 || group_id(&core->host, (unsigned)memory, subject->group->path, &id) != 0 ||
        id != subject->group->ids[memory]) {
        core_pressure_close(subject);
        return;
    }
    if (core_sample_subject(core, subject))
        core_flush(core);
}

/* A quarter of the descriptors may wait for pressure; beyond that the counters, read every tick, must do. */
static bool budget_left(const struct core *core, const struct subject *subject)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 2 * FDS_REST)
        return false;
    return (uint64_t)subject->slot * NOTIFY_N < limit.rlim_cur / 4 && core->subject_count > 0;
}

void core_pressure_open(struct core *core, struct subject *subject)
{
    bool worth = subject->memory_limit != KNOB_UNLIMITED || subject->known == IDENTITY_KNOWN;
    if (subject->notify_tried || !subject->group || !worth || !budget_left(core, subject))
        return;
    subject->notify_tried = true;
    int r = notify_open(&core->host, subject->group->path, &subject->notify);
    if (r < 0)
        log_warn("pressure", "notifications of '%s': %s, its counters are read every tick",
                 subject->group->path, strerror(-r));
    if (r != 0)
        return;
    for (unsigned i = 0; i < NOTIFY_N; i++) {
        if (subject->notify.fds[i] < 0)
            continue;
        unsigned what = i == NOTIFY_EVENTS ? LOOP_EXCEPTIONAL : LOOP_READ;
        if (loop_watch_init(&subject->notify_watches[i], core->loop, subject->notify.fds[i], what,
                            LOOP_URGENT, on_notify, subject) < 0)
            log_warn("pressure", "out of memory for '%s', its counters are read every tick",
                     subject->group->path);
    }
}

void core_pressure_close(struct subject *subject)
{
    loop_timer_fini(&subject->look_timer);
    for (unsigned i = 0; i < NOTIFY_N; i++)
        loop_watch_fini(&subject->notify_watches[i]);
    notify_close(&subject->notify);
    subject->notify = NOTIFY_NULL;
}
