#include "agent/bus.h"
#include "agent/gateway.h"
#include "agent/gateway_process.h"
#include "agent/gateway_routes.h"
#include "base/clock.h"
#include "cgroup/host.h"
#include <string.h>
#include <sys/utsname.h>

/* Beside cgroup_mode_name, whose file brings libcgroup along: no business of a process that faces the
 * network. */
static const char *const mode_names[] = {[CGROUP_UNIFIED] = "unified",
                                         [CGROUP_HYBRID] = "hybrid",
                                         [CGROUP_LEGACY] = "legacy",
                                         [CGROUP_SANE] = "sane"};

static json_t *seconds(uint64_t ns)
{
    return json_real((double)ns / 1e9);
}

static json_t *controller_list(const char *text)
{
    json_t *list = json_array();

    while (*text) {
        size_t len = strcspn(text, ", ");
        if (len)
            json_array_append_new(list, json_stringn(text, len));
        text += len + (text[len] != '\0');
    }
    return list;
}

static json_t *hierarchy_list(const struct bus_status *status)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < status->hierarchy_count && i < FRAME_HIERARCHIES_MAX; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:i, s:o}", "mount", json_text(status->hierarchies[i].mount),
                                        "version", (int)status->hierarchies[i].version, "controllers",
                                        controller_list(status->hierarchies[i].controllers)));
    return list;
}

static json_t *process_object(const struct message_roles *told, enum role_id id)
{
    struct gateway_process process;
    json_t *object = json_pack(
        "{s:s, s:o, s:I, s:I, s:o}", "role", roles[id].name, "pid",
        told->roles[id].pid ? json_integer(told->roles[id].pid) : json_null(), "uid",
        (json_int_t)told->roles[id].uid, "restarts", (json_int_t)told->roles[id].restarts, "started",
        told->roles[id].started_wall_ns ? json_seconds(told->roles[id].started_wall_ns) : json_null());

    gateway_process_read(told->roles[id].pid, &process);
    json_object_set_new(object, "stopped", json_boolean(process.stopped));
    if (process.has_cpu)
        json_object_set_new(object, "cpu", json_real(process.cpu_seconds));
    if (process.has_memory)
        json_object_set_new(object, "memory", json_integer((json_int_t)process.memory_bytes));
    return object;
}

static json_t *process_list(const struct message_roles *told)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < ROLE_N; i++)
        if (told->roles[i].pid || !roles[i].on_demand)
            json_array_append_new(list, process_object(told, (enum role_id)i));
    return list;
}

static json_t *sampling_object(const struct bus_status *status)
{
    return json_pack("{s:I, s:o, s:o, s:I, s:I, s:I, s:I}", "ticks", (json_int_t)status->ticks, "last",
                     seconds(status->tick_last_ns), "longest", seconds(status->tick_longest_ns), "fds_kept",
                     (json_int_t)status->fds_kept, "fds_budget", (json_int_t)status->fds_budget, "rescans",
                     (json_int_t)status->rescans, "overflows", (json_int_t)status->overflows);
}

static json_t *enforcer_object(const struct bus_status *status)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "plans", (json_int_t)status->plans, "writes",
                     (json_int_t)status->writes, "failed", (json_int_t)status->writes_failed, "refused",
                     (json_int_t)status->refusals, "drift", (json_int_t)status->drifts);
}

static json_t *policy_object(const struct bus_status *status)
{
    return json_pack("{s:o, s:o, s:b}", "loaded",
                     status->policy_loaded_wall_ns ? json_seconds(status->policy_loaded_wall_ns)
                                                   : json_null(),
                     "error", status->policy_error[0] ? json_text(status->policy_error) : json_null(),
                     "released", (int)status->released);
}

static json_t *counts_object(const struct bus_status *status)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "groups", (json_int_t)status->groups, "managed",
                     (json_int_t)status->managed, "quotas", (json_int_t)status->quotas, "too_long",
                     (json_int_t)status->too_long);
}

void route_status(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    struct bus_status status;
    struct utsname host;
    json_t *object = json_object();

    bool known = bus_status_read(gateway->bus, &status) && status.mode < ARRAY_LEN(mode_names);
    if (uname(&host))
        memset(&host, 0, sizeof host);
    json_object_set_new(object, "version", json_string(MASU_VERSION));
    json_object_set_new(object, "mode", known ? json_string(mode_names[status.mode]) : json_null());
    json_object_set_new(object, "sampler", json_text(status.sampler));
    json_object_set_new(object, "watch", json_text(status.watch));
    json_object_set_new(object, "interval", seconds(status.interval_ns));
    json_object_set_new(object, "enforce", json_boolean(status.enforce));
    json_object_set_new(object, "host", json_text(host.nodename));
    json_object_set_new(object, "kernel", json_text(host.release));
    json_object_set_new(object, "started",
                        status.started_wall_ns ? json_seconds(status.started_wall_ns) : json_null());
    json_object_set_new(object, "now", json_seconds(clock_wall_ns()));
    json_object_set_new(object, "hierarchies", hierarchy_list(&status));
    json_object_set_new(object, "counts", counts_object(&status));
    json_object_set_new(object, "sampling", sampling_object(&status));
    json_object_set_new(object, "loop",
                        json_pack("{s:o, s:o}", "longest_turn", seconds(status.turn_longest_ns),
                                  "longest_turn_cpu", seconds(status.turn_longest_cpu_ns)));
    json_object_set_new(object, "bus",
                        json_pack("{s:I, s:f}", "bytes", (json_int_t)gateway->context->settings->bus_bytes,
                                  "seconds", bus_reader_ring_seconds(gateway->bus)));
    json_object_set_new(object, "policy", policy_object(&status));
    json_object_set_new(object, "enforcer", enforcer_object(&status));
    json_object_set_new(object, "processes", process_list(&gateway->roles));
    reply_json(exchange->request, 200, object);
}
