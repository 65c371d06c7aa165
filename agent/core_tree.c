/*
 * The group tree in step with the kernel: the watch tells of births and deaths at once, a scan every 30 s and
 * after each overflow makes good what the watch may have missed. Births come before everything else in the
 * loop; a scan is a job.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cgroup/group.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { WATCH_BUDGET = 32 };

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
    if (r < 0)
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
    if (group && group->owner)
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
        core_event(core, EVENT_OVERFLOW, NULL,
                   "the kernel's event queue overflowed, reading the whole tree again");
        core_rescan(core);
        return;
    }
}

static void on_watch_readable(void *owner, int fd, unsigned what)
{
    (void)fd;
    (void)what;
    struct core *core = owner;
    int r = watch_drain(core->watch, WATCH_BUDGET, on_watch_event, core);
    if (r < 0)
        log_warn("watch", "%s, trying again", strerror(-r));
    core_flush(core);
}

/* Inotify is told of every directory that a scan finds. */
static void watch_known_groups(struct core *core)
{
    if (watch_kind(core->watch) == WATCH_FANOTIFY)
        return;
    size_t cursor = 0;
    for (const struct map_entry *e; (e = map_next(&core->tree.by_path, &cursor));) {
        const struct group *group = e->value;
        for (unsigned h = 0; h < core->host.count; h++)
            if (group->ids[h] && watch_add_dir(core->watch, h, group->path) == -ENOSPC)
                log_warn("watch",
                         "fs.inotify.max_user_watches is used up, some births are found by scans only");
    }
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

static bool on_scan_slice(void *owner, uint64_t until_ns)
{
    struct core *core = owner;
    int r = group_scan_step(core->scan, until_ns);
    if (r == GROUP_SCAN_MORE) {
        core_flush(core);
        return true;
    }
    if (r < 0)
        log_warn("tree", "the scan stopped: %s, the next one is in %d s", strerror(-r),
                 (int)(RESCAN_EVERY_NS / NSEC_PER_SEC));
    core->scan = group_scan_free(core->scan);
    core->rescans++;
    watch_known_groups(core);
    if (!core->support_probed)
        probe_support(core);
    if (!core->scanned_once) {
        core->scanned_once = true;
        core_enforcer_new(core);
    }
    core_flush(core);
    if (core->scan_again) {
        core->scan_again = false;
        core_rescan(core);
    }
    return core->scan != NULL;
}

void core_rescan(struct core *core)
{
    if (core->scan) {
        core->scan_again = true;
        return;
    }
    struct group_listener l = listener(core);
    core->scan = group_scan_begin(&core->tree, &l);
    if (!core->scan) {
        log_warn("tree", "out of memory for a scan, trying at the next one");
        return;
    }
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
    r = loop_watch_init(&core->watch_io, core->loop, watch_fd(core->watch), LOOP_READ, LOOP_URGENT,
                        on_watch_readable, core);
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
    loop_watch_fini(&core->watch_io);
    core->watch = watch_close(core->watch);
    group_tree_fini(&core->tree);
}
