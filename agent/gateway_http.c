#include "agent/gateway_http.h"
#include "agent/gateway.h"
#include "agent/gateway_routes.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/glob.h"
#include "base/str.h"
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

/* A port that takes every connection would use up the descriptors that the unix socket needs. */
enum { TCP_FD_MAX = 512, UNIX_FD_MAX = 1024 };
#define PAUSE_NS (50 * NSEC_PER_MSEC)

enum { HEADERS_MAX = 16384, BODY_MAX = 65536, IDLE_S = 60, MESSAGE_MAX = 4096, HOST_MAX = 256 };

void reply_header(struct evhttp_request *request, const char *name, const char *value)
{
    evhttp_remove_header(evhttp_request_get_output_headers(request), name);
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static int append_chunk(const char *bytes, size_t len, void *buffer)
{
    return evbuffer_add(buffer, bytes, len);
}

/* Sends what is in the request's output buffer; a HEAD gets the length alone. */
static void send_reply(struct evhttp_request *request, int status)
{
    struct evbuffer *body = evhttp_request_get_output_buffer(request);
    char length[32];

    str_format(length, sizeof length, "%zu", evbuffer_get_length(body));
    reply_header(request, "Content-Length", length);
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
        evbuffer_drain(body, evbuffer_get_length(body));
    evhttp_send_reply(request, status, NULL, NULL);
}

void reply_json(struct evhttp_request *request, int status, json_t *body)
{
    struct evbuffer *output = evhttp_request_get_output_buffer(request);

    if (!body || json_dump_callback(body, append_chunk, output, JSON_DUMP_FLAGS)) {
        evbuffer_drain(output, evbuffer_get_length(output));
        evbuffer_add_printf(output, "{\"error\":{\"status\":500,\"message\":\"out of memory\"}}");
        status = 500;
    }
    json_decref(body);
    evbuffer_add(output, "\n", 1);
    reply_header(request, "Content-Type", "application/json");
    send_reply(request, status);
}

void reply_error(struct evhttp_request *request, int status, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    reply_json(request, status,
               json_pack("{s:{s:i, s:o}}", "error", "status", status, "message", json_text(message)));
}

void reply_bytes(struct evhttp_request *request, const char *type, const void *bytes, size_t len)
{
    if (evbuffer_add(evhttp_request_get_output_buffer(request), bytes, len)) {
        reply_error(request, 500, "out of memory");
        return;
    }
    reply_header(request, "Content-Type", type);
    send_reply(request, 200);
}

const char *exchange_query(const struct exchange *exchange, const char *name)
{
    return evhttp_find_header(&exchange->query, name);
}

bool exchange_number(struct exchange *exchange, const char *name, const struct number_bounds *bounds,
                     uint64_t *ret)
{
    const char *text = exchange_query(exchange, name);

    *ret = bounds->fallback;
    if (!text || (!str_to_u64(text, ret) && *ret >= bounds->least && *ret <= bounds->most))
        return true;
    reply_error(exchange->request, 400, "%s is '%.40s', expected a number from %llu to %llu", name, text,
                (unsigned long long)bounds->least, (unsigned long long)bounds->most);
    return false;
}

static bool is_among(const char *name, const char *known)
{
    size_t len = strlen(name);

    for (; *known; known += strspn(known, " ")) {
        size_t part = strcspn(known, " ");
        if (part == len && !strncmp(known, name, len))
            return true;
        known += part;
    }
    return false;
}

bool exchange_check_query(struct exchange *exchange, const char *known)
{
    const struct evkeyval *parameter;

    TAILQ_FOREACH(parameter, &exchange->query, next)
    {
        if (is_among(parameter->key, known))
            continue;
        reply_error(exchange->request, 400, "there is no parameter '%.40s' here%s%s", parameter->key,
                    *known ? "; expected some of: " : ", nor any other", known);
        return false;
    }
    return true;
}

static bool read_path(struct exchange *exchange, const char *text, struct event_filter *ret)
{
    const char *wrong = glob_check(text);

    if (!wrong && !str_copy(ret->path, sizeof ret->path, text))
        wrong = "it is longer than any path that masu follows";
    if (wrong)
        reply_error(exchange->request, 400, "path is '%.80s', expected a path or a glob: %s", text, wrong);
    return !wrong;
}

static bool read_types(struct exchange *exchange, const char *text, struct event_filter *ret)
{
    struct buf names = BUF_NULL;

    if (event_types_parse(text, &ret->types))
        return true;
    for (unsigned i = 0; i < EVENT_N; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", event_kinds[i].name);
    reply_error(exchange->request, 400, "type is '%.80s', expected one or several, with commas, of %s", text,
                buf_error(&names) ? "the types" : names.data);
    buf_fini(&names);
    return false;
}

bool exchange_event_filter(struct exchange *exchange, struct event_filter *ret)
{
    const char *path = exchange_query(exchange, "path"), *type = exchange_query(exchange, "type");

    *ret = (struct event_filter){0};
    return (!path || read_path(exchange, path, ret)) && (!type || read_types(exchange, type, ret));
}

static void on_client_closed(struct evhttp_connection *connection UNUSED, void *arg)
{
    struct held *held = arg;
    struct evhttp_request *request = held->request;

    held->request = NULL;
    /* A request cut off by its client is left to us (evhttp_connection_incoming_fail); else it goes with its
     * connection. */
    if (request && !evhttp_request_get_connection(request))
        evhttp_request_free(request);
    if (request)
        held->on_gone(held->owner);
}

void held_init(struct held *held, struct evhttp_request *request, void (*on_gone)(void *owner), void *owner)
{
    *held = (struct held){.request = request, .on_gone = on_gone, .owner = owner};
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_client_closed, held);
}

struct evhttp_request *held_take(struct held *held)
{
    struct evhttp_request *request = held->request;

    held->request = NULL;
    if (request)
        evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
    return request;
}

void held_drop(struct held *held)
{
    struct evhttp_request *request = held_take(held);

    if (request)
        evhttp_connection_free(evhttp_request_get_connection(request));
}

bool held_left(const struct held *held)
{
    if (!held->request)
        return true;
    struct evhttp_connection *connection = evhttp_request_get_connection(held->request);
    struct pollfd client = {.fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection)),
                            .events = POLLRDHUP};
    return poll(&client, 1, 0) == 1;
}

size_t held_unsent(const struct held *held)
{
    if (!held->request)
        return 0;
    struct evhttp_connection *connection = evhttp_request_get_connection(held->request);
    return evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(connection)));
}

static bool is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    char inside[INET6_ADDRSTRLEN];
    size_t len = strlen(host);

    if (host[0] != '[')
        return inet_pton(AF_INET, host, address) == 1;
    return host[len - 1] == ']' && str_format(inside, sizeof inside, "%.*s", (int)len - 2, host + 1) &&
           inet_pton(AF_INET6, inside, address) == 1;
}

/*
 * A web page of somebody else can make a browser ask here under a name that its owner points at this address
 * (DNS rebinding). The Host header tells: an address, localhost, the listener's own name or this host's is
 * ours.
 */
static bool host_is_ours(const struct gateway *gateway, struct evhttp_request *request)
{
    const char *host = evhttp_request_get_host(request);
    const char *listen = gateway->context->settings->http_listen;
    const char *colon = strrchr(listen, ':');
    char own[HOST_MAX] = "";

    if (!host)
        return false;
    if (!strcasecmp(host, "localhost") || is_address(host))
        return true;
    if (colon && strlen(host) == (size_t)(colon - listen) && !strncasecmp(host, listen, strlen(host)))
        return true;
    return !gethostname(own, sizeof own - 1) && own[0] && !strcasecmp(host, own);
}

static void on_request(struct evhttp_request *request, void *arg)
{
    struct gateway_listener *listener = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL, *query = uri ? evhttp_uri_get_query(uri) : NULL;
    struct exchange exchange = {.gateway = listener->gateway, .request = request, .local = listener->local};

    reply_header(request, "X-Content-Type-Options", "nosniff");
    reply_header(request, "Cache-Control", "no-store");
    if (!listener->local && !host_is_ours(listener->gateway, request)) {
        reply_error(request, 403, "the Host header names neither an address nor this host");
        return;
    }
    if (!path || (query && evhttp_parse_query_str(query, &exchange.query))) {
        reply_error(request, 400, "the address is malformed");
        return;
    }
    gateway_route(&exchange, path);
    if (query)
        evhttp_clear_headers(&exchange.query);
}

/* Descriptors are given out from the lowest, so the lowest free one tells how many are open. */
static bool is_crowded(const struct gateway_listener *listener)
{
    rlim_t most = listener->local ? UNIX_FD_MAX : TCP_FD_MAX;
    struct rlimit limit;
    CLEANUP_FD int lowest = fcntl(evconnlistener_get_fd(listener->accepting), F_DUPFD_CLOEXEC, 0);

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 2 * UNIX_FD_MAX)
        most = limit.rlim_cur / (listener->local ? 2 : 4);
    return lowest < 0 || (rlim_t)lowest >= most;
}

static void pause_accepting(struct gateway_listener *listener)
{
    evconnlistener_disable(listener->accepting);
    loop_timer_arm_at(&listener->pause, clock_mono_ns() + PAUSE_NS);
}

static void on_pause_over(void *owner)
{
    struct gateway_listener *listener = owner;

    if (is_crowded(listener))
        pause_accepting(listener);
    else
        evconnlistener_enable(listener->accepting);
}

/* evhttp asks for each new connection's buffers: NULL leaves them to it. */
static struct bufferevent *on_accepted(struct event_base *base UNUSED, void *arg)
{
    struct gateway_listener *listener = arg;

    if (is_crowded(listener))
        pause_accepting(listener);
    return NULL;
}

int gateway_http_open(struct gateway_listener *listener, int fd)
{
    CLEANUP_FD int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (own < 0)
        return -errno;
    listener->http = evhttp_new(loop_base(listener->gateway->context->loop));
    if (!listener->http)
        return -ENOMEM;
    evhttp_set_allowed_methods(listener->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                                   EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_PATCH |
                                                   EVHTTP_REQ_OPTIONS);
    evhttp_set_max_headers_size(listener->http, HEADERS_MAX);
    evhttp_set_max_body_size(listener->http, BODY_MAX);
    evhttp_set_timeout(listener->http, IDLE_S);
    evhttp_set_gencb(listener->http, on_request, listener);
    evhttp_set_bevcb(listener->http, on_accepted, listener);
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(listener->http, own);
    if (!bound)
        return -ENOMEM;
    fd_take(&own);
    listener->accepting = evhttp_bound_socket_get_listener(bound);
    return loop_timer_init(&listener->pause, listener->gateway->context->loop, LOOP_NORMAL, on_pause_over,
                           listener);
}

void gateway_http_close(struct gateway_listener *listener)
{
    loop_timer_fini(&listener->pause);
    if (listener->http)
        evhttp_free(listener->http);
    listener->http = NULL;
}
