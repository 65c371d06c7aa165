#include "agent/bus.h"
#include "agent/gateway.h"
#include "agent/gateway_ask.h"
#include "agent/gateway_routes.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENTS_DEFAULT = 100,
    EVENTS_MAX = 10000,
    WIDTH_DEFAULT = 800,
    HEIGHT_DEFAULT = 240,
    SIZE_MAX_PIXELS = 4000,
    SPAN_DEFAULT_S = 3600,
};
#define ARCHIVE_TIMEOUT_NS (10 * NSEC_PER_SEC)

static void pass_on(const struct ask *ask, struct evhttp_request *request, const void *bytes, size_t len)
{
    reply_bytes(request, ask->type, bytes, len);
}

static void on_reader_message(void *owner, struct channel_message *message)
{
    ask_answer(owner, message);
}

static void on_reader_closed(void *owner)
{
    ask_fail(owner, 502, "the archive's reader ended without an answer");
}

/* Sends the question to the archiver with one end of a new channel; the reader that it starts answers on
 * that. */
static int send_query(struct ask *ask, const struct message_query *query)
{
    static const struct link_handlers handlers = {.on_message = on_reader_message,
                                                  .on_closed = on_reader_closed};
    struct gateway *gateway = ask->gateway;
    int pair[2];

    int r = channel_pair(pair);
    if (r)
        return r;
    CLEANUP_FD int theirs = pair[1];
    CLEANUP_FD int ours = pair[0];
    r = link_new(gateway->context->loop, ours, &handlers, ask, &ask->answer);
    if (r)
        return r;
    fd_take(&ours);
    struct link_letter letter = {.type = MESSAGE_QUERY,
                                 .id = ask->id,
                                 .body = query,
                                 .len = sizeof *query,
                                 .fds = &theirs,
                                 .fd_count = 1};
    return role_send(gateway->context, ROLE_ARCHIVER, &letter);
}

static void query_archive(struct exchange *exchange, const struct message_query *query, const char *type)
{
    struct ask *ask = ask_new(exchange, ROLE_ARCHIVER, ARCHIVE_TIMEOUT_NS, pass_on);

    if (!ask)
        return;
    str_copy(ask->type, sizeof ask->type, type);
    if (send_query(ask, query))
        ask_fail(ask, 503, "the archiver cannot be asked now; try again");
}

/* Seconds since 1970, a fraction allowed. */
static bool read_time(struct exchange *exchange, const char *name, int64_t *ret)
{
    const char *text = exchange_query(exchange, name);
    char *end;

    if (!text)
        return true;
    double value = strtod(text, &end);
    if (*text && !*end && isfinite(value) && value >= 0 && value < 1e12) {
        *ret = (int64_t)value;
        return true;
    }
    reply_error(exchange->request, 400, "%s is '%.40s', expected seconds since 1970", name, text);
    return false;
}

/* from= and to=, or last=; false: a 400 was replied. */
static bool read_span(struct exchange *exchange, struct message_query *query)
{
    const char *last = exchange_query(exchange, "last");
    uint64_t span_ns = SPAN_DEFAULT_S * NSEC_PER_SEC;

    if (last && (units_parse_duration(last, &span_ns) || span_ns < NSEC_PER_SEC)) {
        reply_error(exchange->request, 400, "last is '%.40s', expected a duration such as '1h'", last);
        return false;
    }
    query->to_s = (int64_t)(clock_wall_ns() / NSEC_PER_SEC);
    if (!read_time(exchange, "to", &query->to_s))
        return false;
    query->from_s = query->to_s - (int64_t)(span_ns / NSEC_PER_SEC);
    if (!read_time(exchange, "from", &query->from_s))
        return false;
    if (query->from_s < query->to_s)
        return true;
    reply_error(exchange->request, 400, "from is not before to");
    return false;
}

/* A path names a live container, or else what the archive keeps under that key: the history of what is gone
 * stays readable. */
static void name_subject(struct gateway *gateway, const char *given, struct message_query *query)
{
    struct view view;

    if (gateway_views_find(&gateway->views, gateway->bus, given, &view)) {
        group_archive_key(&view.identity, query->key);
        str_copy(query->path, sizeof query->path, view.identity.path);
        str_copy(query->title, sizeof query->title, view.identity.name);
        return;
    }
    str_copy(query->key, sizeof query->key, given);
    str_copy(query->title, sizeof query->title, given);
}

static bool read_metric(struct exchange *exchange, const char *name, struct message_query *query)
{
    query->metric = name ? metric_find(name) : -1;
    if (query->metric >= 0 && metrics[query->metric].rrd)
        return true;
    if (!name)
        reply_error(exchange->request, 400, "metric= is missing; GET /api/v1/metrics lists them");
    else
        reply_error(exchange->request, 404,
                    "the archive keeps no metric '%.60s'; GET /api/v1/metrics lists them", name);
    return false;
}

void route_history(struct exchange *exchange)
{
    struct message_query query = {.kind = QUERY_HISTORY};

    if (!read_metric(exchange, exchange_query(exchange, "metric"), &query) || !read_span(exchange, &query))
        return;
    name_subject(exchange->gateway, exchange->args[0], &query);
    query_archive(exchange, &query, "application/json");
}

void route_graph(struct exchange *exchange)
{
    struct message_query query = {.kind = QUERY_GRAPH};
    char *file = exchange->args[1];
    const struct number_bounds widths = {1, SIZE_MAX_PIXELS, WIDTH_DEFAULT},
                               heights = {1, SIZE_MAX_PIXELS, HEIGHT_DEFAULT};
    uint64_t width, height;

    query.svg = str_ends(file, ".svg");
    if (!query.svg && !str_ends(file, ".png")) {
        reply_error(exchange->request, 404, "a graph's name ends in .png or .svg");
        return;
    }
    file[strlen(file) - strlen(".svg")] = '\0';
    if (!read_metric(exchange, file, &query) || !read_span(exchange, &query) ||
        !exchange_number(exchange, "width", &widths, &width) ||
        !exchange_number(exchange, "height", &heights, &height))
        return;
    query.width = (uint32_t)width;
    query.height = (uint32_t)height;
    name_subject(exchange->gateway, exchange->args[0], &query);
    query_archive(exchange, &query, query.svg ? "image/svg+xml" : "image/png");
}

void route_events(struct exchange *exchange)
{
    struct message_query query = {.kind = QUERY_EVENTS};
    const struct number_bounds limits = {1, EVENTS_MAX, EVENTS_DEFAULT}, numbers = {0, UINT64_MAX, 0};
    uint64_t limit;

    if (!exchange_number(exchange, "limit", &limits, &limit) ||
        !exchange_number(exchange, "after", &numbers, &query.after) ||
        !exchange_event_filter(exchange, &query.filter))
        return;
    query.limit = (uint32_t)limit;
    query_archive(exchange, &query, "application/json");
}
