#pragma once
/*
 * Which events leave the host: pressure from medium up and its end, OOM kills, and that a group went while it
 * was under pressure. A level is told once per group until it changes. Pure.
 */

#include "base/map.h"
#include "model/event.h"
#include <stdbool.h>

struct courier_filter {
    struct map levels; /* path → the level last told, those under pressure only */
    uint64_t newest;   /* the greatest event number seen: what is read again is not told again */
};
#define COURIER_FILTER_NULL ((struct courier_filter){0})

/* Whether @event is to be told, and notes that it was. */
bool courier_filter_pass(struct courier_filter *filter, const struct event *event);
void courier_filter_fini(struct courier_filter *filter);
