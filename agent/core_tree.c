/*
 * The group tree in step with the kernel: the watch tells of births and deaths at once, a scan every 30 s and
 * after each overflow makes good what the watch may have missed. Births come before everything else in the
 * loop, but for a storm of them; a scan is a job.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cgroup/group.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { WATCH_STEP = 4 };
#define STORM_NS (4 * NSEC_PER_MSEC)

static void on_group_born(void *context, struct group *group)
{
    core_subject_born(context, group);
}

static void on_group_gone(void *context, struct group *group)
{
    core_subject_gone(context, group);
}

static struct group_listener listener(struct core *core)
{
    return (struct group_listener){.born = on_group_born, .gone = on_group_gone, .context = core};
}

/* A directory seen by the watch may have had children before we could look: the next scan finds them; for
   what is born bottom-up within a moment (runtimes make a/b/c at once) the parents come first in the event
   queue. */
static void group_created(struct core *core, const struct watch_event *event)
{
    struct group_listener l = listener(core);
    uint64_t id;
    if (group_id(&core->host, event->hierarchy, event->path, &id) != 0)
        return;
    int r = watch_add_dir(core->watch, event->hierarchy, event->path);
    if (r < 0 && r != -ENOENT) /* else it is gone already */
        log_warn("watch", "'%s': %s, its children are found by scans only", event->path, strerror(-r));
    const struct group *known = group_tree_find(&core->tree, event->path);
    bool grown = known && !known->ids[event->hierarchy];
    r = group_tree_add(&core->tree, event->hierarchy, event->path, id, &l);
    if (r == -ENOENT)
        core_rescan(core);
    else if (r < 0 && r != -ENAMETOOLONG)
        log_warn("tree", "'%s': %s, left to the next scan", event->path, strerror(-r));
    else if (grown && core_subject_at(core, event->path))
        core_limit_grown(core, core_subject_at(core, event->path));
}

static void group_deleted(struct core *core, const struct watch_event *event)
{
    struct group_listener l = listener(core);
    watch_remove_dir(core->watch, event->hierarchy, event->path);
    group_tree_remove(&core->tree, event->hierarchy, event->path, &l);
}

static void group_modified(struct core *core, const struct watch_event *event)
{
    if (event->pid && event->pid == core->enforcer_pid)
        return;
    struct group *group = group_tree_find(&core->tree, event->path);
    if (!group)
        return;
    if (strcmp(event->name, "cgroup.procs") == 0 || strcmp(event->name, "tasks") == 0)
        core_limit_filled(core, group, event->hierarchy);
    else if (group->owner)
        core_limit_foreign_write(core, group->owner, event->name, event->pid);
}

static void on_watch_event(void *context, const struct watch_event *event)
{
    struct core *core = context;
    switch (event->type) {
    case WATCH_CREATED:
        group_created(core, event);
        return;
    case WATCH_DELETED:
        group_deleted(core, event);
        return;
    case WATCH_MODIFIED:
        group_modified(core, event);
        return;
    case WATCH_OVERFLOW:
        core->overflows++;
        core->plan_again = true; /* foreign writes may have been among what was lost */
        core_event(core, EVENT_OVERFLOW, NULL,
                   "the kernel's event queue overflowed, reading the whole tree again");
        core_rescan(core);
        return;
    }
}

static void on_watch_readable(void *owner, int fd, unsigned what);

static int listen(struct core *core)
{
    return loop_watch_init(&core->watch_io, core->loop, watch_fd(core->watch), LOOP_READ, LOOP_URGENT,
                           on_watch_readable, core);
}

static void on_rest_over(void *owner)
{
    struct core *core = owner;
    core->storm_since_ns = 0;
    int r = listen(core);
    if (r == 0)
        return;
    log_warn("watch", "%s, trying again in a second", strerror(-r));
    loop_timer_arm_at(&core->rest_timer, loop_now_ns(core->loop) + NSEC_PER_SEC);
}

/* A storm of events that does not end would keep ticks and answers waiting for ever: after a few milliseconds
 * they have their turn. */
static void note_storm(struct core *core, bool more)
{
    uint64_t now_ns = loop_now_ns(core->loop);
    if (!more)
        core->storm_since_ns = 0;
    else if (!core->storm_since_ns)
        core->storm_since_ns = now_ns;
    else if (now_ns - core->storm_since_ns > STORM_NS) {
        loop_watch_fini(&core->watch_io);
        loop_timer_arm_at(&core->rest_timer, now_ns);
    }
}

static void on_watch_readable(void *owner, int fd, unsigned what)
{
    (void)fd;
    (void)what;
    struct core *core = owner;
    uint64_t until_ns = loop_now_ns(core->loop) + LOOP_SLICE_NS;
    int taken;
    do
        taken = watch_drain(core->watch, WATCH_STEP, on_watch_event, core);
    while (taken == WATCH_STEP && clock_mono_ns() < until_ns);
    if (taken < 0)
        log_warn("watch", "%s, trying again", strerror(-taken));
    core_flush(core);
    note_storm(core, taken == WATCH_STEP);
}

/* The group after @group, parents before children. */
static struct group *next_group(struct group *group)
{
    if (!list_empty(&group->children))
        return CONTAINER_OF(group->children.head.next, struct group, siblings);
    for (; group->parent; group = group->parent)
        if (group->siblings.next != &group->parent->children.head)
            return CONTAINER_OF(group->siblings.next, struct group, siblings);
    return NULL;
}

static void watch_group(struct core *core, const struct group *group)
{
    for (unsigned h = 0; h < core->host.count; h++)
        if (group->ids[h] && watch_add_dir(core->watch, h, group->path) == -ENOSPC)
            log_warn("watch", "fs.inotify.max_user_watches is used up, some births are found by scans only");
}

/* Inotify is told of every directory that a scan finds. When the place it had come to is gone meanwhile, it
 * begins anew. True: there is more to do. */
static bool watch_known_groups(struct core *core, uint64_t until_ns)
{
    if (watch_kind(core->watch) == WATCH_FANOTIFY)
        return false;
    struct group *group = group_tree_find(&core->tree, core->watch_at);
    for (group = group ? group : core->tree.root; group; group = next_group(group)) {
        str_copy(core->watch_at, sizeof core->watch_at, group->path);
        if (clock_mono_ns() >= until_ns)
            return true;
        watch_group(core, group);
    }
    return false;
}

static void probe_support(struct core *core)
{
    const char *probe = NULL;
    size_t cursor = 0;
    for (const struct map_entry *e; !probe && (e = map_next(&core->tree.by_path, &cursor));) {
        const struct group *group = e->value;
        int memory = cgroup_host_find(&core->host, "memory");
        if (group->parent && memory >= 0 && group->ids[memory])
            probe = group->path;
    }
    knob_support_probe(&core->host, probe, core->support);
    core->support_probed = probe != NULL;
}

static void scan_over(struct core *core)
{
    core->rescans++;
    if (!core->support_probed)
        probe_support(core);
    if (!core->scanned_once) {
        core->scanned_once = true;
        core_carry_end(core);
        core_enforcer_new(core);
    } else if (core->plan_again) {
        core->plan_again = false;
        core_plan_all(core, PURPOSE_START, 0);
    }
    core_flush(core);
    if (core->scan_again) {
        core->scan_again = false;
        core_rescan(core);
    }
}

static bool on_scan_slice(void *owner, uint64_t until_ns)
{
    struct core *core = owner;
    if (core->scan) {
        int r = group_scan_step(core->scan, until_ns);
        if (r < 0)
            log_warn("tree", "the scan stopped: %s, the next one is in %d s", strerror(-r),
                     (int)(RESCAN_EVERY_NS / NSEC_PER_SEC));
        if (r != GROUP_SCAN_MORE) {
            core->scan = group_scan_free(core->scan);
            core->watch_at[0] = '\0';
        }
        core_flush(core);
        return true;
    }
    if (watch_known_groups(core, until_ns))
        return true;
    core->scanning = false;
    scan_over(core);
    return core->scanning;
}

void core_rescan(struct core *core)
{
    if (core->scanning) {
        core->scan_again = true;
        return;
    }
    struct group_listener l = listener(core);
    core->scan = group_scan_begin(&core->tree, &l);
    if (!core->scan) {
        log_warn("tree", "out of memory for a scan, trying at the next one");
        return;
    }
    core->scanning = true;
    loop_job_start(&core->scan_job);
}

static void on_rescan_due(void *owner)
{
    struct core *core = owner;
    loop_timer_arm_at(&core->rescan_timer, loop_now_ns(core->loop) + RESCAN_EVERY_NS);
    core_rescan(core);
}

/* The hierarchies in which somebody's write to a knob is worth knowing. */
static uint32_t managed_hierarchies(const struct core *core)
{
    uint32_t bits = 0;
    for (unsigned k = 0; k < KNOB_N; k++)
        if (core->support[k].hierarchy >= 0)
            bits |= UINT32_C(1) << core->support[k].hierarchy;
    return bits;
}

int core_tree_start(struct core *core)
{
    int r = group_tree_init(&core->tree, &core->host);
    if (r < 0)
        return r;
    knob_support_probe(&core->host, NULL, core->support);
    r = watch_open(&core->host, managed_hierarchies(core), 0, &core->watch);
    if (r < 0)
        return r;
    r = listen(core);
    if (r == 0)
        r = loop_timer_init(&core->rest_timer, core->loop, LOOP_IDLE, on_rest_over, core);
    if (r == 0)
        r = loop_job_init(&core->scan_job, core->loop, on_scan_slice, core);
    if (r == 0)
        r = loop_timer_init(&core->rescan_timer, core->loop, LOOP_NORMAL, on_rescan_due, core);
    if (r == 0)
        on_rescan_due(core);
    return r;
}

void core_tree_stop(struct core *core)
{
    loop_timer_fini(&core->rescan_timer);
    loop_job_fini(&core->scan_job);
    core->scan = group_scan_free(core->scan);
    loop_timer_fini(&core->rest_timer);
    loop_watch_fini(&core->watch_io);
    core->watch = watch_close(core->watch);
    group_tree_fini(&core->tree);
}
