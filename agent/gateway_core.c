#include "agent/bus.h"
#include "agent/gateway.h"
#include "agent/gateway_ask.h"
#include "agent/gateway_routes.h"
#include "base/clock.h"
#include "base/str.h"
#include "exporters/json.h"
#include <errno.h>
#include <event2/bufferevent.h>
#include <string.h>

#define CORE_TIMEOUT_NS (30 * NSEC_PER_SEC)

/* The part of a payload that its length precedes. False: there is none. */
static bool part(const uint8_t **at, const uint8_t *end, const void **ret_bytes, size_t *ret_len)
{
    uint64_t len;

    if ((size_t)(end - *at) < sizeof len)
        return false;
    memcpy(&len, *at, sizeof len);
    *at += sizeof len;
    if (len > (size_t)(end - *at))
        return false;
    *ret_bytes = *at;
    *ret_len = (size_t)len;
    *at += len;
    return true;
}

static int decode(const void *bytes, size_t len, struct plan *plan, struct plan_outcomes *outcomes,
                  bool *ret_executed)
{
    const uint8_t *at = bytes, *end = at + len;
    const void *piece;
    size_t piece_len;

    if (!at || !part(&at, end, &piece, &piece_len))
        return -EBADMSG;
    int r = plan_decode(piece, piece_len, plan);
    if (r)
        return r;
    *ret_executed = part(&at, end, &piece, &piece_len);
    return *ret_executed ? plan_outcomes_decode(piece, piece_len, outcomes) : 0;
}

static void reply_plan(const struct ask *ask, struct evhttp_request *request, const void *bytes, size_t len)
{
    struct json_host host = gateway_json_host(ask->gateway);
    struct plan plan = PLAN_NULL;
    struct plan_outcomes outcomes = PLAN_OUTCOMES_NULL;
    bool executed = false;

    if (decode(bytes, len, &plan, &outcomes, &executed))
        reply_error(request, 502, "the plan that core sent cannot be read");
    else
        reply_json(request, 200, json_plan(&host, &plan, executed ? &outcomes : NULL));
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void reply_explained(const struct ask *ask, struct evhttp_request *request, const void *bytes,
                            size_t len)
{
    struct gateway *gateway = ask->gateway;
    struct buf text = BUF_NULL;
    struct view view;
    bool quota = gateway_views_find(&gateway->views, gateway->bus, ask->path, &view) && view.quota[0];

    buf_append(&text, bytes ? bytes : "", len);
    if (buf_error(&text))
        reply_error(request, 500, "out of memory");
    else
        reply_json(request, 200,
                   json_pack("{s:o, s:o, s:o}", "path", json_text(ask->path), "quota",
                             quota ? json_text(view.quota) : json_null(), "text",
                             json_text(text.data ? text.data : "")));
    buf_fini(&text);
}

static void reply_done(const struct ask *ask UNUSED, struct evhttp_request *request, const void *bytes UNUSED,
                       size_t len UNUSED)
{
    reply_json(request, 200, json_pack("{s:b}", "done", 1));
}

/* The client's own socket goes along with what changes something: core reads who it is, the gateway is not
 * believed. */
static void request_core(struct exchange *exchange, enum request_kind kind, bool changes, ask_reply_fn *reply)
{
    struct message_request body = {.kind = kind};
    struct evhttp_connection *connection = evhttp_request_get_connection(exchange->request);
    int client = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));

    if (exchange->args[0])
        str_copy(body.path, sizeof body.path, exchange->args[0]);
    struct ask *ask = ask_new(exchange, ROLE_CORE, CORE_TIMEOUT_NS, reply);
    if (!ask)
        return;
    str_copy(ask->path, sizeof ask->path, body.path);
    struct link_letter letter = {.type = MESSAGE_REQUEST, .id = ask->id, .body = &body, .len = sizeof body};
    if (changes) {
        letter.fds = &client;
        letter.fd_count = 1;
    }
    if (role_send(exchange->gateway->context, ROLE_CORE, &letter))
        ask_fail(ask, 503, "core cannot be asked now; try again");
}

void route_plan(struct exchange *exchange)
{
    request_core(exchange, REQUEST_PLAN, false, reply_plan);
}

void route_apply(struct exchange *exchange)
{
    request_core(exchange, REQUEST_APPLY, true, reply_plan);
}

void route_release(struct exchange *exchange)
{
    request_core(exchange, REQUEST_RELEASE, true, reply_plan);
}

void route_explain(struct exchange *exchange)
{
    request_core(exchange, REQUEST_EXPLAIN, false, reply_explained);
}

void route_reload(struct exchange *exchange)
{
    request_core(exchange, REQUEST_RELOAD, true, reply_done);
}
