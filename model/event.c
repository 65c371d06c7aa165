#include "model/event.h"

#include "base/glob.h"
#include "base/str.h"
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

static bool is_key_of(const char *text, const struct event *event)
{
    size_t len = strlen(event->runtime);

    return len > 0 && strncmp(text, event->runtime, len) == 0 && text[len] == ':' &&
           strcmp(text + len + 1, event->name) == 0;
}

/* As it is before as a glob: systemd's names have backslashes in them. */
static bool path_fits(const char *wanted, const struct event *event)
{
    return strcmp(wanted, event->path) == 0 || is_key_of(wanted, event) ||
           (*event->path && glob_match_path(wanted, event->path));
}

bool event_filter_fits(const struct event_filter *filter, const struct event *event)
{
    bool type_fits = event->type < EVENT_N && filter->types & 1U << event->type;

    return (!filter->types || type_fits) && (!*filter->path || path_fits(filter->path, event));
}

bool event_types_parse(const char *list, uint32_t *ret_types)
{
    uint32_t types = *list == '-' ? (1U << EVENT_N) - 1 : 0;

    for (;;) {
        char name[32];
        bool out = *list == '-';
        list += out;
        size_t len = strcspn(list, ",");
        int type = str_format(name, sizeof name, "%.*s", (int)len, list) ? event_find(name) : -1;
        if (type < 0)
            return false;
        types = out ? types & ~(1U << type) : types | 1U << type;
        if (!list[len])
            break;
        list += len + 1;
    }
    *ret_types = types;
    return true;
}
