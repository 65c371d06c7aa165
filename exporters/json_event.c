#include "exporters/json.h"

static int put_subject(json_t *object, const struct event *event)
{
    int error = json_object_set_new(object, "path", json_text(event->path));

    error |= json_object_set_new(object, "name", json_text(event->name));
    error |= json_object_set_new(object, "runtime", json_text(event->runtime));
    return error;
}

static int put_levels(json_t *object, const struct event *event)
{
    int error = json_object_set_new(object, "level", json_string(level_name((enum level)event->level)));

    error |= json_object_set_new(object, "before", json_string(level_name((enum level)event->level_before)));
    return error;
}

json_t *json_event(const struct event *event)
{
    json_t *object = json_object();
    int error = !object;

    error |= json_object_set_new(object, "number", json_integer((json_int_t)event->sequence));
    error |= json_object_set_new(object, "time", json_seconds(event->wall_ns));
    error |= json_object_set_new(
        object, "type", json_string(event->type < EVENT_N ? event_kinds[event->type].name : "unknown"));
    error |= json_object_set_new(object, "severity", json_string(event_severity_name(event_severity(event))));
    if (event->path[0])
        error |= put_subject(object, event);
    if (event->type == EVENT_PRESSURE)
        error |= put_levels(object, event);
    error |= json_object_set_new(object, "text", json_text(event->text));
    if (!error)
        return object;
    json_decref(object);
    return NULL;
}
