#pragma once
/*
 * The gateway: HTTP in, and nothing else. It answers from the bus, asks the archiver for history and core for
 * plans, and keeps no state but caches, so that it may be killed at any moment. Shared by the gateway's own
 * files only.
 */

#include "agent/bus.h"
#include "agent/gateway_stream.h"
#include "agent/gateway_views.h"
#include "agent/loop.h"
#include "agent/role.h"
#include "base/list.h"
#include "exporters/json.h"
#include <stdbool.h>
#include <stdint.h>

struct evhttp;
struct evconnlistener;

/* One of the API's sockets. */
struct gateway_listener {
    struct gateway *gateway;
    struct evhttp *http; /* NULL: not listening */
    bool local;          /* the unix socket: its clients have credentials */
    struct evconnlistener *accepting;
    struct loop_timer pause; /* until it accepts again */
};

struct gateway {
    struct role_context *context;
    struct bus_reader *bus;
    struct loop_watch wake;
    struct gateway_listener unix_listener, tcp_listener;
    struct message_roles roles; /* as the parent last told */
    struct gateway_views views;
    struct gateway_stream stream;
    struct list asks; /* struct ask: what waits for an answer */
    uint64_t last_ask_id;
    unsigned ask_count;
};

/* What the stored values mean on this host, for the encoders. */
struct json_host gateway_json_host(struct gateway *gateway);
