#include "agent/gateway_routes.h"
#include "base/str.h"
#include "exporters/json.h"
#include <stdlib.h>
#include <string.h>

struct route {
    enum evhttp_cmd_type method;
    const char *pattern; /* {…} matches one part, which stands percent-encoded in the request */
    route_fn *handler;
    const char *query; /* its parameters, parted by spaces; NULL: a scraper or a browser adds what it likes */
    bool local_only;   /* changes something: only by the unix socket, whose clients have credentials */
    const char *help;
};

static const struct route routes_table[] = {
    {EVHTTP_REQ_GET, "/", route_page, NULL, false, "The dashboard"},
    {EVHTTP_REQ_GET, "/metrics", route_metrics, NULL, false,
     "Every number in Prometheus' text format, or OpenMetrics when asked for"},
    {EVHTTP_REQ_GET, "/graph/{path}/{file}", route_graph, "last from to width height", false,
     "A graph, METRIC.png or METRIC.svg"},
    {EVHTTP_REQ_GET, "/api/v1", route_help, "", false, "This list"},
    {EVHTTP_REQ_GET, "/api/v1/status", route_status, "", false,
     "The agent, its processes and what it found on this host"},
    {EVHTTP_REQ_GET, "/api/v1/containers", route_containers, "fields limit cursor", false, "Every container"},
    {EVHTTP_REQ_GET, "/api/v1/containers/{path}", route_container, "fields", false, "One container"},
    {EVHTTP_REQ_GET, "/api/v1/containers/{path}/history", route_history, "metric last from to", false,
     "Archived points of a metric, from= to to=, or the last="},
    {EVHTTP_REQ_GET, "/api/v1/containers/{path}/explain", route_explain, "", false,
     "Which quota holds, and why not the others"},
    {EVHTTP_REQ_GET, "/api/v1/interfaces", route_interfaces, "", false, "The host's network interfaces"},
    {EVHTTP_REQ_GET, "/api/v1/events", route_events, "path type after limit", false, "What happened"},
    {EVHTTP_REQ_GET, "/api/v1/metrics", route_metric_table, "", false, "The table of metrics"},
    {EVHTTP_REQ_GET, "/api/v1/plan", route_plan, "", false, "What the policy on disk would change now"},
    {EVHTTP_REQ_POST, "/api/v1/apply", route_apply, "", true, "Writes what the plan says"},
    {EVHTTP_REQ_POST, "/api/v1/release", route_release, "", true, "Gives back every limit"},
    {EVHTTP_REQ_POST, "/api/v1/reload", route_reload, "", true, "Reads the policy anew"},
    {EVHTTP_REQ_GET, "/api/v1/stream", route_stream, "fields ticks path type after", false,
     "Server-sent events: tick after each sample, unless ticks=off, and event when something happens"},
};

static const char *method_name(enum evhttp_cmd_type method)
{
    return method == EVHTTP_REQ_POST ? "POST" : "GET";
}

/* Whether @path fits; @ret_args are then the encoded parts, within @path. */
static bool fits(const char *pattern, const char *path, const char *ret_args[static EXCHANGE_ARGS_MAX])
{
    unsigned args = 0;

    for (;;) {
        size_t pattern_len = strcspn(pattern, "/"), path_len = strcspn(path, "/");
        if (pattern[0] == '{') {
            if (!path_len)
                return false;
            ret_args[args++] = path;
        } else if (pattern_len != path_len || strncmp(pattern, path, path_len) != 0) {
            return false;
        }
        pattern += pattern_len;
        path += path_len;
        if (!*pattern || !*path)
            return !*pattern && !*path;
        pattern++;
        path++;
    }
}

static void free_args(struct exchange *exchange)
{
    for (unsigned i = 0; i < EXCHANGE_ARGS_MAX; i++)
        free(exchange->args[i]);
}

/* The names of @known as JSON; null: any. */
static json_t *parameters(const char *known)
{
    json_t *list = known ? json_array() : json_null();

    for (; known && *known; known += strspn(known, " ")) {
        size_t len = strcspn(known, " ");
        json_array_append_new(list, json_stringn(known, len));
        known += len;
    }
    return list;
}

static void call(struct exchange *exchange, const struct route *route, const char *const args[])
{
    bool good = true;

    for (unsigned i = 0; i < EXCHANGE_ARGS_MAX && args[i]; i++) {
        exchange->args[i] = strndup(args[i], strcspn(args[i], "/"));
        good = good && exchange->args[i] && str_percent_decode(exchange->args[i]);
    }
    if (!good)
        reply_error(exchange->request, 400, "a part of the address is not well percent-encoded");
    else if (!route->query || exchange_check_query(exchange, route->query))
        route->handler(exchange);
    free_args(exchange);
}

void gateway_route(struct exchange *exchange, const char *path)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(exchange->request);
    const struct route *other = NULL;

    for (size_t i = 0; i < ARRAY_LEN(routes_table); i++) {
        const struct route *route = &routes_table[i];
        const char *args[EXCHANGE_ARGS_MAX] = {NULL};
        if (!fits(route->pattern, path, args))
            continue;
        if (method != route->method && !(method == EVHTTP_REQ_HEAD && route->method == EVHTTP_REQ_GET)) {
            other = route;
            continue;
        }
        if (route->local_only && !exchange->local)
            reply_error(exchange->request, 403, "%s is answered on the unix socket only", route->pattern);
        else
            call(exchange, route, args);
        return;
    }
    if (!other) {
        reply_error(exchange->request, 404, "there is nothing here; GET /api/v1 lists what there is");
        return;
    }
    reply_header(exchange->request, "Allow", method_name(other->method));
    reply_error(exchange->request, 405, "%s wants %s", other->pattern, method_name(other->method));
}

void route_help(struct exchange *exchange)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_LEN(routes_table); i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:o, s:b, s:s}", "method", method_name(routes_table[i].method),
                            "path", routes_table[i].pattern, "query", parameters(routes_table[i].query),
                            "unix_only", routes_table[i].local_only, "help", routes_table[i].help));
    reply_json(exchange->request, 200, json_pack("{s:o}", "routes", list));
}

void route_metric_table(struct exchange *exchange)
{
    reply_json(exchange->request, 200, json_metrics());
}
