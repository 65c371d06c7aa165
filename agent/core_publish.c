/*
 * What core says to the others: frames, gathered during a turn and handed to the bus at its end, and views,
 * written in place. A frame's sequence is known when it is made, since core is the bus's only writer.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t next_sequence(struct core *core)
{
    return bus_writer_next_sequence(core->bus) + core->frames_pending++;
}

void core_publish_epoch(struct core *core)
{
    struct frame_epoch epoch = {.wall_ns = clock_wall_ns(), .mono_ns = clock_mono_ns()};
    char boot_id[64];
    ssize_t n = fs_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id);
    if (n > 0) {
        boot_id[strcspn(boot_id, "\n")] = '\0';
        str_copy(epoch.boot_id, sizeof epoch.boot_id, boot_id);
    }
    frame_put_epoch(&core->frames, next_sequence(core), &epoch);
}

void core_publish_born(struct core *core, struct subject *subject)
{
    struct frame_born born = {
        .slot = subject->slot,
        .wall_ns = subject->born_wall_ns,
        .mono_ns = subject->born_mono_ns,
        .identity = subject->identity,
    };
    if (subject->group)
        memcpy(born.cgroup_ids, subject->group->ids, sizeof born.cgroup_ids);
    frame_put_born(&core->frames, next_sequence(core), &born);
    core_publish_view(core, subject);
}

void core_publish_gone(struct core *core, struct subject *subject)
{
    struct frame_gone gone = {.slot = subject->slot, .wall_ns = clock_wall_ns(), .mono_ns = clock_mono_ns()};
    frame_put_gone(&core->frames, next_sequence(core), &gone);
    bus_view_clear(core->bus, subject->slot);
}

void core_publish_row(struct core *core, struct subject *subject, const struct row *row)
{
    bool key = subject->rows == 0 || (core->tick + subject->slot) % KEYFRAME_EVERY_TICKS == 0;
    if (key)
        frame_put_keyframe(&core->frames, next_sequence(core), subject->slot, row);
    else
        frame_put_delta(&core->frames, next_sequence(core), subject->slot, &subject->row, row);
    subject->before = subject->row;
    subject->row = *row;
    if (subject->rows < 2)
        subject->rows++;

    struct view *view = bus_view_begin(core->bus, subject->slot);
    view->before = subject->before;
    view->row = subject->row;
    view->level = (uint8_t)subject->pressure.level;
    view->level_since_wall_ns = subject->level_since_wall_ns;
    view->flags = (view->flags & ~(uint32_t)VIEW_POPULATED) | (subject->populated ? VIEW_POPULATED : 0);
    bus_view_end(core->bus, subject->slot);
}

static uint32_t view_flags(const struct subject *subject)
{
    return (subject->quota ? VIEW_MANAGED : 0) | (subject->settle_end_ns ? VIEW_SETTLING : 0) |
           (subject->created ? VIEW_CREATED : 0) | (subject->populated ? VIEW_POPULATED : 0) |
           (subject->quota && subject->quota->io_per_leaf ? VIEW_PER_LEAF : 0);
}

void core_publish_view(struct core *core, struct subject *subject)
{
    struct view *view = bus_view_begin(core->bus, subject->slot);
    view->slot = subject->slot;
    view->flags = view_flags(subject);
    view->born_wall_ns = subject->born_wall_ns;
    if (subject->group)
        memcpy(view->cgroup_ids, subject->group->ids, sizeof view->cgroup_ids);
    else
        memset(view->cgroup_ids, 0, sizeof view->cgroup_ids);
    view->identity = subject->identity;
    view->adopted = subject->adopted;
    str_copy(view->quota, sizeof view->quota, subject->quota ? subject->quota->name : "");
    view->level = (uint8_t)subject->pressure.level;
    view->level_since_wall_ns = subject->level_since_wall_ns;
    view->wanted = subject->wanted;
    view->in_force = subject->in_force;
    view->before = subject->before;
    view->row = subject->row;
    bus_view_end(core->bus, subject->slot);
}

static void put_event(struct core *core, struct event *event, const struct group_identity *who)
{
    event->sequence = bus_writer_next_event(core->bus);
    event->wall_ns = clock_wall_ns();
    event->mono_ns = clock_mono_ns();
    if (who) {
        str_copy(event->path, sizeof event->path, who->path);
        str_copy(event->name, sizeof event->name, who->name);
        str_copy(event->runtime, sizeof event->runtime, who->runtime);
    }
    frame_put_event(&core->frames, next_sequence(core), event);
}

void core_event(struct core *core, enum event_type type, const struct subject *subject, const char *format,
                ...)
{
    struct event event = {.type = (uint16_t)type};
    va_list args;
    va_start(args, format);
    vsnprintf(event.text, sizeof event.text, format, args);
    va_end(args);
    put_event(core, &event, subject ? &subject->identity : NULL);
}

void core_event_of(struct core *core, enum event_type type, const struct group_identity *who,
                   const char *format, ...)
{
    struct event event = {.type = (uint16_t)type};
    va_list args;
    va_start(args, format);
    vsnprintf(event.text, sizeof event.text, format, args);
    va_end(args);
    put_event(core, &event, who);
}

void core_event_level(struct core *core, const struct subject *subject, enum level before, const char *why)
{
    struct event event = {
        .type = EVENT_PRESSURE,
        .level_before = (uint8_t)before,
        .level = (uint8_t)subject->pressure.level,
    };
    str_copy(event.text, sizeof event.text, why);
    put_event(core, &event, &subject->identity);
}

static void status_hierarchies(const struct cgroup_host *host, struct bus_status *status)
{
    status->mode = host->mode;
    status->hierarchy_count = host->count;
    for (unsigned i = 0; i < host->count; i++) {
        const struct hierarchy *h = &host->hierarchies[i];
        str_copy(status->hierarchies[i].mount, sizeof status->hierarchies[i].mount, h->mount);
        if (h->controllers[0] || !h->name[0])
            str_copy(status->hierarchies[i].controllers, sizeof status->hierarchies[i].controllers,
                     h->controllers);
        else
            str_format(status->hierarchies[i].controllers, sizeof status->hierarchies[i].controllers,
                       "name=%s", h->name);
        status->hierarchies[i].version = (uint32_t)h->version;
        status->hierarchies[i].device = h->device;
    }
}

static void status_counts(const struct core *core, struct bus_status *status)
{
    struct subject *subject;
    status->groups = status->managed = 0;
    LIST_FOR_EACH(subject, &core->subjects, struct subject, all) {
        status->groups += subject->group != NULL;
        status->managed += subject->quota != NULL;
    }
    status->too_long = core->tree.too_long;
}

void core_publish_status(struct core *core)
{
    struct loop_stats loop = loop_stats(core->loop);
    struct sampler_stats sampler = sampler_stats(core->sampler);
    struct bus_status *status = bus_status_begin(core->bus);
    status_hierarchies(&core->host, status);
    status->core_pid = (uint64_t)getpid();
    status->started_wall_ns = core->started_wall_ns;
    status->interval_ns = core->interval_ns;
    str_copy(status->sampler, sizeof status->sampler, "files");
    str_copy(status->watch, sizeof status->watch,
             watch_kind(core->watch) == WATCH_FANOTIFY ? "fanotify" : "inotify");
    status_counts(core, status);
    status->ticks = core->tick;
    status->tick_last_ns = core->tick_last_ns;
    status->tick_longest_ns = core->tick_longest_ns;
    status->turn_longest_ns = loop.longest_turn_ns;
    status->turn_longest_cpu_ns = loop.longest_turn_cpu_ns;
    status->rescans = core->rescans;
    status->overflows = core->overflows;
    status->plans = core->plans;
    status->writes = core->writes;
    status->writes_failed = core->writes_failed;
    status->refusals = core->refusals;
    status->drifts = core->drifts;
    status->fds_kept = sampler.fds_kept;
    status->fds_budget = sampler.fds_budget;
    status->policy_loaded_wall_ns = core->policy_loaded_wall_ns;
    str_copy(status->policy_error, sizeof status->policy_error, core->policy_error);
    status->quotas = core->policy.quota_count;
    status->enforce = core->settings->enforce;
    status->released = core->released;
    bus_status_end(core->bus);
}

/* A reader that is behind has a full counter already: it need not be told again. */
static void wake_readers(const struct role_context *role)
{
    const uint64_t one = 1;
    for (unsigned r = 0; r < ROLE_N; r++)
        if (role->wake_fds[r] >= 0 && write(role->wake_fds[r], &one, sizeof one) < 0 && errno != EAGAIN)
            log_debug("bus", "waking %s: %s, it will poll", roles[r].name, strerror(errno));
}

void core_flush(struct core *core)
{
    if (!core->frames_pending)
        return;
    if (buf_error(&core->frames))
        log_error("bus", "out of memory for %" PRIu64 " frames, this turn's news is lost",
                  core->frames_pending);
    else
        bus_publish(core->bus, &core->frames);
    buf_clear(&core->frames);
    core->frames.error = 0;
    core->frames_pending = 0;
    wake_readers(core->role);
}
