#include "agent/gateway_views.h"
#include "agent/bus.h"
#include "agent/gateway.h"
#include "agent/gateway_routes.h"
#include "base/str.h"
#include "cgroup/device.h"
#include "exporters/json.h"
#include <stdlib.h>
#include <string.h>

enum { LIMIT_DEFAULT = 1000, LIMIT_MAX = 5000, DEVICES_MAX = 4096 };

void gateway_views_fini(struct gateway_views *views)
{
    const struct map_entry *entry;

    map_fini(&views->slots);
    for (size_t cursor = 0; (entry = map_next(&views->devices, &cursor));)
        free(entry->value);
    map_fini(&views->devices);
}

static void *slot_value(uint32_t slot)
{
    return (void *)((uintptr_t)slot + 1);
}

static bool is_container(const struct view *view)
{
    return view->identity.kind == SUBJECT_GROUP || view->identity.kind == SUBJECT_HOST;
}

static bool read_if(const struct bus_reader *bus, uint32_t slot, const char *path, struct view *ret)
{
    return bus_view_read(bus, slot, ret) && is_container(ret) && !strcmp(ret->identity.path, path);
}

bool gateway_views_find(struct gateway_views *views, const struct bus_reader *bus, const char *path,
                        struct view *ret)
{
    void *cached = map_get_str(&views->slots, path);

    if (cached && read_if(bus, (uint32_t)((uintptr_t)cached - 1), path, ret))
        return true;
    map_fini(&views->slots);
    views->slots = MAP_NULL;
    for (uint32_t slot = 0; slot < bus_view_limit(bus); slot++)
        /* Out of memory costs the next look-up a walk, nothing else. */
        if (bus_view_read(bus, slot, ret) && is_container(ret) &&
            map_set_str(&views->slots, ret->identity.path, slot_value(slot)))
            break;
    cached = map_get_str(&views->slots, path);
    return cached && read_if(bus, (uint32_t)((uintptr_t)cached - 1), path, ret);
}

bool gateway_views_host(struct gateway_views *views, const struct bus_reader *bus, struct view *ret)
{
    return gateway_views_find(views, bus, "/", ret) && ret->identity.kind == SUBJECT_HOST;
}

bool gateway_views_device(void *context, uint32_t device, char *name, size_t size)
{
    struct gateway_views *views = context;
    char *known = map_get_u64(&views->devices, device);

    if (known)
        return str_copy(name, size, known);
    known = views->devices.count < DEVICES_MAX ? strdup(device_name(device, name, size)) : NULL;
    if (known && map_set_u64(&views->devices, device, known))
        free(known);
    return true;
}

const char *gateway_views_mount(void *context, uint32_t hierarchy)
{
    const struct bus_status *status = &((struct gateway_views *)context)->status;

    for (uint32_t i = 0; i < status->hierarchy_count && i < FRAME_HIERARCHIES_MAX; i++)
        if (status->hierarchies[i].device == hierarchy)
            return status->hierarchies[i].mount;
    return NULL;
}

struct json_host gateway_json_host(struct gateway *gateway)
{
    struct json_host host = {.cpu_version = 2, .device = gateway_views_device, .mount = gateway_views_mount};
    struct bus_status *status = &gateway->views.status;

    bus_status_read(gateway->bus, status);
    for (uint32_t i = 0; i < status->hierarchy_count && i < FRAME_HIERARCHIES_MAX; i++) {
        char list[sizeof status->hierarchies[i].controllers + 2];
        str_format(list, sizeof list, ",%s,", status->hierarchies[i].controllers);
        for (char *at = list; *at; at++)
            if (*at == ' ')
                *at = ',';
        if (status->hierarchies[i].version == 1 && strstr(list, ",cpu,"))
            host.cpu_version = 1;
    }
    host.device_context = host.mount_context = &gateway->views;
    return host;
}

static bool read_fields(struct exchange *exchange, struct json_fields *ret)
{
    const char *text = exchange_query(exchange, "fields");

    *ret = JSON_FIELDS_ALL;
    if (!text || json_fields_parse(text, ret))
        return true;
    reply_error(exchange->request, 400,
                "fields is '%.80s', expected members of a container such as 'path,level,sample.rates'", text);
    return false;
}

void route_containers(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    struct json_host host = gateway_json_host(gateway);
    struct json_fields fields;
    const struct number_bounds limits = {1, LIMIT_MAX, LIMIT_DEFAULT}, cursors = {0, BUS_VIEWS_MAX, 0};
    uint64_t limit, cursor, count = 0;
    struct view view;
    bool given = exchange_query(exchange, "cursor") != NULL;

    if (!read_fields(exchange, &fields) || !exchange_number(exchange, "limit", &limits, &limit) ||
        !exchange_number(exchange, "cursor", &cursors, &cursor))
        return;
    json_t *list = json_array();
    if (!given && gateway_views_host(&gateway->views, gateway->bus, &view) && ++count)
        json_array_append_new(list, json_container(&host, &fields, &view));
    uint32_t slot = (uint32_t)cursor, end = bus_view_limit(gateway->bus);
    for (; slot < end && count < limit; slot++)
        if (bus_view_read(gateway->bus, slot, &view) && view.identity.kind == SUBJECT_GROUP) {
            json_array_append_new(list, json_container(&host, &fields, &view));
            count++;
        }
    reply_json(exchange->request, 200,
               json_pack("{s:o, s:o}", "containers", list, "next",
                         slot < end ? json_sprintf("%u", slot) : json_null()));
}

void route_container(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    struct json_host host = gateway_json_host(gateway);
    struct json_fields fields;
    struct view view;

    if (!read_fields(exchange, &fields))
        return;
    if (gateway_views_find(&gateway->views, gateway->bus, exchange->args[0], &view))
        reply_json(exchange->request, 200, json_container(&host, &fields, &view));
    else
        reply_error(exchange->request, 404, "there is no container at '%s' now", exchange->args[0]);
}

void route_interfaces(struct exchange *exchange)
{
    struct gateway *gateway = exchange->gateway;
    json_t *list = json_array();
    struct view view;

    for (uint32_t slot = 0; slot < bus_view_limit(gateway->bus); slot++)
        if (bus_view_read(gateway->bus, slot, &view) && view.identity.kind == SUBJECT_INTERFACE)
            json_array_append_new(list, json_interface(&view));
    reply_json(exchange->request, 200, json_pack("{s:o}", "interfaces", list));
}
