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
