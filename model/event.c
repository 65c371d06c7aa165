#include "model/event.h"
#include <string.h>

const struct event_kind event_kinds[EVENT_N] = {
#define EVENT(id, ...) [EVENT_##id] = {__VA_ARGS__},
#include "model/event.def"
#undef EVENT
};

int event_find(const char *name)
{
    for (int i = 0; i < EVENT_N; i++)
        if (strcmp(event_kinds[i].name, name) == 0)
            return i;
    return -1;
}

const char *event_severity_name(enum event_severity severity)
{
    switch (severity) {
    case EVENT_INFO:
        return "info";
    case EVENT_WARNING:
        return "warning";
    case EVENT_PAGE:
        return "page";
    }
    return "info";
}

enum event_severity event_severity(const struct event *event)
{
    if (event->type >= EVENT_N)
        return EVENT_INFO;
    if (event->type != EVENT_PRESSURE)
        return event_kinds[event->type].severity;
    if (event->level >= LEVEL_CRITICAL)
        return EVENT_PAGE;
    return event->level == LEVEL_MEDIUM ? EVENT_WARNING : EVENT_INFO;
}
