#include "agent/gateway.h"
#include "agent/gateway_ask.h"
#include "agent/gateway_http.h"
#include "base/log.h"
#include <string.h>
#include <unistd.h>

static void on_wake(void *owner, int fd, unsigned what UNUSED)
{
    struct gateway *gateway = owner;
    uint64_t count;

    if (read(fd, &count, sizeof count) < 0)
        return; /* taken already */
    gateway_stream_wake(&gateway->stream);
}

static void on_message(void *owner, enum role_id from, struct channel_message *message)
{
    struct gateway *gateway = owner;

    if (from == ROLE_PARENT && message->type == MESSAGE_ROLES && message->len == sizeof gateway->roles)
        memcpy(&gateway->roles, message->body, sizeof gateway->roles);
    else if (from == ROLE_CORE && message->type == MESSAGE_RESPONSE)
        ask_answer_by_id(gateway, message);
    else
        log_warn("gateway", "message %u of %s is not for the gateway: ignored", message->type,
                 roles[from].name);
}

static void on_peer(void *owner, enum role_id peer)
{
    ask_fail_all(owner, peer);
}

static int gateway_open(struct gateway *gateway, struct role_context *context)
{
    static const struct role_handlers handlers = {.on_message = on_message, .on_peer = on_peer};

    gateway->context = context;
    list_init(&gateway->asks);
    gateway->unix_listener = (struct gateway_listener){.gateway = gateway, .local = true};
    gateway->tcp_listener = (struct gateway_listener){.gateway = gateway};
    int r = bus_reader_open(context->bus_fd, &gateway->bus);
    if (!r)
        r = gateway_stream_init(&gateway->stream, gateway);
    if (!r)
        r = loop_watch_init(&gateway->wake, context->loop, context->wake_fd, LOOP_READ, LOOP_NORMAL, on_wake,
                            gateway);
    if (!r && context->listen_unix_fd >= 0)
        r = gateway_http_open(&gateway->unix_listener, context->listen_unix_fd);
    if (!r && context->listen_tcp_fd >= 0)
        r = gateway_http_open(&gateway->tcp_listener, context->listen_tcp_fd);
    if (!r)
        role_handle(context, &handlers, gateway);
    return r;
}

static void gateway_close(struct gateway *gateway)
{
    struct ask *ask;

    LIST_FOR_EACH(ask, &gateway->asks, struct ask, link)
        ask_fail(ask, 503, "masud is being stopped");
    gateway_http_close(&gateway->tcp_listener);
    gateway_http_close(&gateway->unix_listener);
    loop_watch_fini(&gateway->wake);
    gateway_stream_fini(&gateway->stream);
    gateway->bus = bus_reader_close(gateway->bus);
    gateway_views_fini(&gateway->views);
}

int gateway_main(struct role_context *context)
{
    static struct gateway gateway;

    int r = gateway_open(&gateway, context);
    if (r)
        log_error("gateway", "cannot start: %s", strerror(-r));
    int code = r ? 1 : loop_run(context->loop);
    gateway_close(&gateway);
    return code;
}
