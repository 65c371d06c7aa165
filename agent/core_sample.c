/*
 * The tick: one row per subject, in slices. Each row carries its own time, so a tick that is spread over many
 * slices loses no precision. When a tick is not over as the next one is due, that one is left out and the
 * interval in use, which status shows, says so.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cgroup/group.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NSID_EVERY_NS (10 * NSEC_PER_SEC)         /* of a young group: its runtime is still building it */
#define NSID_SETTLED_EVERY_NS (60 * NSEC_PER_SEC) /* of an older one, unless it fills or empties */
#define LIMITS_EVERY_NS (60 * NSEC_PER_SEC)

static void stamp(struct row *row)
{
    row->mono_ns = clock_mono_ns();
    row->wall_ns = clock_wall_ns();
}

/* A share of a few seconds by the slot, so that groups born together are not looked at together for ever. */
static uint64_t jitter_ns(const struct subject *subject)
{
    return (subject->slot % 64) * (NSEC_PER_SEC / 8);
}

static void look_for_namespace(struct core *core, struct subject *subject, uint64_t now_ns)
{
    bool young = now_ns < subject->born_mono_ns + NSID_SETTLED_EVERY_NS;
    pid_t pid;
    subject->nsid_next_ns = now_ns + (young ? NSID_EVERY_NS : NSID_SETTLED_EVERY_NS + jitter_ns(subject));
    subject->populated = group_first_pid(&core->host, subject->group->path, &pid) == 0;
    if (!subject->populated || net_nsid_of(core->net, pid, &subject->nsid) != 0)
        subject->nsid = -1;
}

static void fill_network(struct core *core, struct subject *subject, struct row *row)
{
    uint64_t now_ns = clock_mono_ns();
    bool filled = row_has(row, METRIC_PIDS) && row->values[METRIC_PIDS] > 0;
    if (now_ns >= subject->nsid_next_ns || filled != subject->filled)
        look_for_namespace(core, subject, now_ns);
    subject->filled = filled;
    if (subject->nsid >= 0)
        net_fill_container(core->net, subject->nsid, row);
}

static void fill_agent(const struct subject *subject, struct row *row)
{
    if (subject->memory_limit != KNOB_UNLIMITED)
        row_set(row, METRIC_MEMORY_LIMIT, subject->memory_limit);
    if (subject->cpu_limit_ppm != KNOB_UNLIMITED)
        row_set(row, METRIC_CPU_LIMIT, subject->cpu_limit_ppm);
    row_set(row, METRIC_PRESSURE_LEVEL, subject->pressure.level);
}

static bool same_settings(const struct knob_set *a, const struct knob_set *b)
{
    return a->count == b->count && memcmp(a->settings, b->settings, a->count * sizeof a->settings[0]) == 0;
}

/* Whether one of the quota's knobs is not as it was known. */
static bool quota_was_overwritten(const struct subject *subject, const struct knob_set *read)
{
    for (uint32_t i = 0; subject->quota && i < subject->wanted.count; i++) {
        const struct knob_setting *wanted = &subject->wanted.settings[i];
        const struct knob_setting *now = knob_set_get(read, wanted->knob, wanted->device);
        const struct knob_setting *known = knob_set_get(&subject->in_force, wanted->knob, wanted->device);
        if ((now ? now->value : KNOB_UNLIMITED) != (known ? known->value : KNOB_UNLIMITED))
            return true;
    }
    return false;
}

/* The watch tells of foreign writes; what it may have missed is read now and then, a few groups per tick. */
static void refresh_limits(struct core *core, struct subject *subject)
{
    uint64_t now_ns = clock_mono_ns();
    if (subject->limits_read_ns && now_ns < subject->limits_read_ns + LIMITS_EVERY_NS + jitter_ns(subject))
        return;
    subject->limits_read_ns = now_ns;
    struct knob_set read = {0};
    if (knob_read_all(&core->host, core->support, subject->group->path, &read) != 0 ||
        same_settings(&read, &subject->in_force))
        return;
    if (now_ns >= subject->fight_until_ns && quota_was_overwritten(subject, &read)) {
        core_limit_differs(core, subject);
        return;
    }
    subject->in_force = read;
    core_publish_view(core, subject);
}

bool core_sample_subject(struct core *core, struct subject *subject)
{
    struct row row = {0};
    if (!subject->sampled) {
        int r = sampler_group_open(core->sampler, subject->group->path, &subject->sampled);
        if (r != 0)
            return r != GROUP_GONE;
    }
    refresh_limits(core, subject);
    core_limit_effective(subject); /* an ancestor's limit may have changed */
    core_pressure_open(core, subject);
    int r = sampler_read(core->sampler, subject->sampled, &row);
    if (r != 0)
        return r != GROUP_GONE;
    fill_network(core, subject, &row);
    core_pressure_step(core, subject, &row);
    fill_agent(subject, &row);
    core_publish_row(core, subject, &row);
    return true;
}

static void sample_host(struct core *core)
{
    struct row row = {0};
    int r = sampler_read_host(core->sampler, &row);
    if (r < 0) {
        log_warn("sampler", "the host's own numbers: %s, left out", strerror(-r));
        return;
    }
    net_fill_host(core->net, &row);
    core_publish_row(core, core->host_subject, &row);
}

static struct subject *interface_subject(struct core *core, const char *name)
{
    struct subject *subject = map_get_str(&core->interfaces, name);
    if (subject)
        return subject;
    struct group_identity identity = {.kind = SUBJECT_INTERFACE, .runtime = "interface"};
    if (!str_copy(identity.path, sizeof identity.path, name) ||
        !str_copy(identity.name, sizeof identity.name, name))
        return NULL;
    subject = subject_new(core, NULL, &identity);
    if (subject && map_set_str(&core->interfaces, name, subject) < 0)
        subject = subject_free(subject);
    return subject;
}

static void drop_lost_interfaces(struct core *core)
{
    size_t cursor = 0;
    for (const struct map_entry *e; (e = map_next(&core->interfaces, &cursor));) {
        struct subject *subject = e->value;
        if (subject->tick == core->tick)
            continue;
        map_remove_str(&core->interfaces, subject->identity.name);
        subject_free(subject);
        cursor = 0;
    }
}

static void sample_interfaces(struct core *core)
{
    struct row row = {0};
    const char *name;
    for (unsigned i = 0; (name = net_interface(core->net, i, &row)); i++) {
        struct subject *subject = interface_subject(core, name);
        if (subject) {
            subject->tick = core->tick;
            stamp(&row);
            core_publish_row(core, subject, &row);
        }
        row = (struct row){0};
    }
    drop_lost_interfaces(core);
}

static void tick_over(struct core *core)
{
    core->tick_at = NULL;
    core->tick_last_ns = clock_mono_ns() - core->tick_began_ns;
    if (core->tick_last_ns > core->tick_longest_ns)
        core->tick_longest_ns = core->tick_last_ns;
    core_publish_status(core);
    core_flush(core);
}

static bool on_tick_slice(void *owner, uint64_t until_ns)
{
    struct core *core = owner;
    while (core->tick_at && core->tick_at != &core->subjects.head) {
        struct subject *subject = CONTAINER_OF(core->tick_at, struct subject, all);
        core->tick_at = core->tick_at->next;
        if (!subject->group || subject->tick == core->tick)
            continue;
        subject->tick = core->tick;
        if (!core_sample_subject(core, subject))
            core_rescan(core); /* its death will be told, at the latest by a scan */
        if (clock_mono_ns() >= until_ns)
            return true;
    }
    tick_over(core);
    return false;
}

static void on_tick_due(void *owner)
{
    struct core *core = owner;
    uint64_t now_ns = loop_now_ns(core->loop);
    uint64_t missed =
        now_ns > core->tick_due_ns ? (now_ns - core->tick_due_ns) / core->settings->interval_ns : 0;
    core->tick_due_ns += (missed + 1) * core->settings->interval_ns;
    loop_timer_arm_at(&core->tick_timer, core->tick_due_ns);
    if (core->tick_at) {
        core->interval_ns += core->settings->interval_ns;
        return;
    }
    core->interval_ns = core->settings->interval_ns;
    core->tick++;
    core->tick_began_ns = clock_mono_ns();
    int r = net_refresh(core->net);
    if (r < 0)
        log_warn("net", "%s, network numbers are left out this tick", strerror(-r));
    sample_host(core);
    sample_interfaces(core);
    core->tick_at = core->subjects.head.next;
    loop_job_start(&core->tick_job);
}

/* Descriptors that the sampler may keep: what the notifications and the rest of core leave. */
static unsigned sampler_fds(void)
{
    enum { MOST = 19456 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 2 * FDS_REST)
        return 1;
    rlim_t fds = limit.rlim_cur - limit.rlim_cur / 4 - FDS_REST;
    return fds < MOST ? (unsigned)fds : MOST;
}

int core_sample_start(struct core *core)
{
    int r = sampler_open(&core->host, sampler_fds(), "", &core->sampler);
    if (r == 0)
        r = net_open(&core->net);
    if (r < 0)
        return r;
    struct group_identity host = {.kind = SUBJECT_HOST, .path = "/", .runtime = "host"};
    if (gethostname(host.name, sizeof host.name - 1) < 0 || !host.name[0])
        str_copy(host.name, sizeof host.name, "host");
    core->host_subject = subject_new(core, NULL, &host);
    if (!core->host_subject)
        return -ENOMEM;
    r = loop_job_init(&core->tick_job, core->loop, on_tick_slice, core);
    if (r == 0)
        r = loop_timer_init(&core->tick_timer, core->loop, LOOP_NORMAL, on_tick_due, core);
    if (r == 0) {
        core->interval_ns = core->settings->interval_ns;
        core->tick_due_ns = loop_now_ns(core->loop);
        loop_timer_arm_at(&core->tick_timer, core->tick_due_ns);
    }
    return r;
}

void core_sample_stop(struct core *core)
{
    loop_timer_fini(&core->tick_timer);
    loop_job_fini(&core->tick_job);
    map_fini(&core->interfaces);
    core->net = net_close(core->net);
    core->sampler = sampler_close(core->sampler);
}
