#include "agent/courier_filter.h"

static bool note(struct courier_filter *filter, const char *path, enum level level)
{
    enum level told = (enum level)(uintptr_t)map_get_str(&filter->levels, path);

    if (told == level)
        return false;
    if (level == LEVEL_NONE)
        map_remove_str(&filter->levels, path);
    else if (map_set_str(&filter->levels, path, (void *)(uintptr_t)level))
        return true; /* out of memory: better told twice than not at all */
    return true;
}

bool courier_filter_pass(struct courier_filter *filter, const struct event *event)
{
    if (event->sequence <= filter->newest || event->type >= EVENT_N)
        return false;
    filter->newest = event->sequence;
    switch ((enum event_type)event->type) {
    case EVENT_PRESSURE:
        /* low says that pressure may come, or that it is not over yet: neither is news for people. */
        return event->level != LEVEL_LOW && note(filter, event->path, (enum level)event->level);
    case EVENT_OOM_KILL:
        return true;
    case EVENT_GONE:
        return note(filter, event->path, LEVEL_NONE);
    case EVENT_BORN:
    case EVENT_LIMIT:
    case EVENT_LIMIT_FAILED:
    case EVENT_REFUSED:
    case EVENT_DRIFT:
    case EVENT_POLICY:
    case EVENT_ROLE:
    case EVENT_OVERFLOW:
    case EVENT_N:
        return false;
    }
    return false;
}

void courier_filter_fini(struct courier_filter *filter)
{
    map_fini(&filter->levels);
    *filter = COURIER_FILTER_NULL;
}
