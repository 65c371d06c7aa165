#pragma once
/*
 * Server-sent events. Each tick is encoded once per set of fields asked for, in slices, and shared by the
 * clients that want the same; a client that does not read is dropped, never waited for.
 */

#include "agent/loop.h"
#include "base/buf.h"
#include "base/list.h"
#include "exporters/json.h"
#include <stdbool.h>

struct gateway;
struct frame_decoder;

struct gateway_stream {
    struct gateway *gateway;
    struct list variants; /* struct variant */
    unsigned client_count;
    struct loop_job job; /* encodes a tick */
    struct loop_timer heartbeat;
    struct frame_decoder *decoder;
    struct buf frames; /* what the bus brought last */
    uint64_t ticks;    /* core's count when the last tick was encoded */
    bool again;        /* another tick came while one was being encoded */
};

/* 0 or -ENOMEM. */
MUST_USE int gateway_stream_init(struct gateway_stream *stream, struct gateway *gateway);
void gateway_stream_fini(struct gateway_stream *stream);
/* Core published something: sends the events among it, and starts on the tick when there was one. */
void gateway_stream_wake(struct gateway_stream *stream);
