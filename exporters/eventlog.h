#pragma once
/* The event log: the frames of events alone, in a small journal of their own, so that the newest are found
 * without reading samples. */

#include "exporters/journal.h"

struct eventlog; /* opaque */
/* 0 or -errno. */
MUST_USE int eventlog_open(const char *dir, uint64_t max_bytes, struct eventlog **ret);
struct eventlog *eventlog_close(struct eventlog *log);
/* Appends the frame of @event unless its number is not greater than the newest one's (a replay tells events
 * again). 0 or -errno. */
MUST_USE int eventlog_append(struct eventlog *log, const struct event *event);
MUST_USE int eventlog_sync(struct eventlog *log, uint64_t now_mono_ns);

struct eventlog_list {
    struct event *events; /* heap, owned; oldest first */
    size_t count;
};
void eventlog_list_fini(struct eventlog_list *list);

struct eventlog_query {
    uint64_t after; /* with a greater number than this */
    uint32_t limit; /* the newest of those that fit, at most so many */
    struct event_filter filter;
};
/* 0 (none when there is no log) or -errno. Needs read permission only. */
MUST_USE int eventlog_read(const char *dir, const struct eventlog_query *query, struct eventlog_list *ret);
