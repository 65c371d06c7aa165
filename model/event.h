#pragma once
/* What happened, for the event log, the stream and the alerts. Generated from model/event.def. */

#include "model/group.h"
#include "model/level.h"
#include <stdbool.h>
#include <stdint.h>

enum event_type {
#define EVENT(id, ...) EVENT_##id,
#include "model/event.def"
#undef EVENT
    EVENT_N,
};

enum event_severity { EVENT_INFO, EVENT_WARNING, EVENT_PAGE };

struct event_kind {
    const char *name; /* "oom_kill" */
    enum event_severity severity;
    const char *help; /* one sentence without full stop */
};
extern const struct event_kind event_kinds[EVENT_N];
int event_find(const char *name);                              /* or -1 */
const char *event_severity_name(enum event_severity severity); /* "info", "warning", "page" */

enum { EVENT_TEXT_MAX = 256 };

struct event {
    uint64_t sequence; /* set by the bus: grows by one with each event of this state directory's life */
    uint64_t wall_ns, mono_ns;
    uint16_t type;        /* enum event_type */
    uint8_t level_before; /* enum level, for EVENT_PRESSURE */
    uint8_t level;
    char path[GROUP_PATH_MAX]; /* "" when the event is about the agent */
    char name[GROUP_NAME_MAX];
    char runtime[GROUP_RUNTIME_MAX];
    char text[EVENT_TEXT_MAX]; /* one sentence for people */
};

/* Which events are asked for. */
struct event_filter {
    /* A path or a glob over paths, or the archive's key of what is no more, "lxc:web"; "": any, those about
     * the agent included */
    char path[GROUP_PATH_MAX];
    uint32_t types; /* a bit for each enum event_type; 0: all */
};
bool event_filter_fits(const struct event_filter *filter, const struct event *event);
/* The bits of "pressure,oom_kill", or of "-born,-gone": all but those. False when one of them is no type. */
bool event_types_parse(const char *list, uint32_t *ret_types);

/* How much this one matters: pressure by its level, everything else by its kind; an unknown type is
 * EVENT_INFO. */
enum event_severity event_severity(const struct event *event);
