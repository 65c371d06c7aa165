#include "agent/bus.h"
#include "agent/gateway.h"
#include "agent/gateway_process.h"
#include "agent/gateway_routes.h"
#include "exporters/openmetrics.h"
#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>

enum { PIECE_BYTES = 64 << 10 };

/* A page on its way: the next piece is made when the client has taken the last. */
struct scrape {
    struct held held;
    struct openmetrics *page;
    struct buf piece;
};

static void scrape_free(struct scrape *scrape)
{
    scrape->page = openmetrics_free(scrape->page);
    buf_fini(&scrape->piece);
    free(scrape);
}

static void on_client_gone(void *owner)
{
    scrape_free(owner);
}

static void send_piece(struct evhttp_connection *connection UNUSED, void *arg)
{
    struct scrape *scrape = arg;
    struct evbuffer *chunk = evbuffer_new();

    buf_clear(&scrape->piece);
    bool more = true;
    while (more && !scrape->piece.len)
        more = openmetrics_next(scrape->page, PIECE_BYTES, &scrape->piece);
    if (!chunk || buf_error(&scrape->piece) || evbuffer_add(chunk, scrape->piece.data, scrape->piece.len)) {
        held_drop(&scrape->held); /* a page cut short must not look whole */
        scrape_free(scrape);
    } else if (more || scrape->piece.len) {
        evhttp_send_reply_chunk_with_cb(scrape->held.request, chunk, send_piece, scrape);
    } else {
        evhttp_send_reply_end(held_take(&scrape->held));
        scrape_free(scrape);
    }
    if (chunk)
        evbuffer_free(chunk);
}

#define AGENT(name_, kind_, unit_, value_, help_)                                                            \
    {                                                                                                        \
        .name = "masu_agent_" name_, .kind = METRIC_##kind_, .unit = unit_, .value = (double)(value_),       \
        .help = help_                                                                                        \
    }

static int add_status(struct openmetrics *page, const struct gateway *gateway)
{
    struct bus_status s;

    bus_status_read(gateway->bus, &s);
    const struct openmetrics_self selves[] = {
        AGENT("start_time_seconds", GAUGE, "seconds", (double)s.started_wall_ns / 1e9,
              "When core started, in seconds since 1970"),
        AGENT("interval_seconds", GAUGE, "seconds", (double)s.interval_ns / 1e9,
              "Time between samples in use"),
        AGENT("groups", GAUGE, "", s.groups, "Groups that are observed"),
        AGENT("managed_groups", GAUGE, "", s.managed, "Groups that a quota matches"),
        AGENT("ticks", COUNTER, "", s.ticks, "Samples taken of all groups"),
        AGENT("tick_last_seconds", GAUGE, "seconds", (double)s.tick_last_ns / 1e9,
              "Time the last sample took"),
        AGENT("tick_longest_seconds", GAUGE, "seconds", (double)s.tick_longest_ns / 1e9,
              "Longest time a sample took"),
        AGENT("loop_longest_turn_seconds", GAUGE, "seconds", (double)s.turn_longest_ns / 1e9,
              "Longest turn of core's event loop"),
        AGENT("loop_longest_turn_cpu_seconds", GAUGE, "seconds", (double)s.turn_longest_cpu_ns / 1e9,
              "Most CPU time that one turn of core's event loop took"),
        AGENT("rescans", COUNTER, "", s.rescans, "Times the whole tree was read again"),
        AGENT("event_queue_overflows", COUNTER, "", s.overflows, "Times the kernel's event queue overflowed"),
        AGENT("kept_descriptors", GAUGE, "", s.fds_kept, "Files kept open for sampling"),
        AGENT("bus_seconds", GAUGE, "seconds", bus_reader_ring_seconds(gateway->bus),
              "Time that the ring of samples holds"),
        AGENT("plans", COUNTER, "", s.plans, "Plans carried out"),
        AGENT("limit_writes", COUNTER, "", s.writes, "Limits written"),
        AGENT("limit_write_failures", COUNTER, "", s.writes_failed, "Limits that could not be written"),
        AGENT("limit_refusals", COUNTER, "", s.refusals,
              "Limits refused because this kernel cannot enforce them"),
        AGENT("limit_drifts", COUNTER, "", s.drifts, "Managed limits that somebody else changed"),
        AGENT("policy_invalid", GAUGE, "", s.policy_error[0] != '\0',
              "Whether the newest policy was rejected"),
    };
    for (size_t i = 0; i < ARRAY_LEN(selves); i++)
        if (openmetrics_add_self(page, &selves[i]))
            return -ENOMEM;
    return 0;
}

/* What each process of masu uses. */
static int add_processes(struct openmetrics *page, const struct gateway *gateway)
{
    struct gateway_process processes[ROLE_N];

    for (unsigned i = 0; i < ROLE_N; i++)
        gateway_process_read(gateway->roles.roles[i].pid, &processes[i]);
    const struct {
        struct openmetrics_self self;
        unsigned which;
    } families[] = {
        {AGENT("process_cpu_seconds", COUNTER, "seconds", 0, "CPU time used by a process of masu"), 0},
        {AGENT("process_memory_bytes", GAUGE, "bytes", 0, "Memory of a process of masu"), 1},
        {AGENT("process_restarts", COUNTER, "", 0, "Times a process of masu was started again"), 2},
    };
    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (unsigned i = 0; i < ROLE_N; i++) {
            const bool present[] = {processes[i].has_cpu, processes[i].has_memory,
                                    gateway->roles.roles[i].pid != 0};
            const double values[] = {processes[i].cpu_seconds, (double)processes[i].memory_bytes,
                                     (double)gateway->roles.roles[i].restarts};
            struct openmetrics_self self = families[f].self;
            self.label = "role";
            self.label_value = roles[i].name;
            self.value = values[families[f].which];
            if (present[families[f].which] && openmetrics_add_self(page, &self))
                return -ENOMEM;
        }
    return 0;
}

static int fill(struct openmetrics *page, const struct gateway *gateway)
{
    struct view view;

    for (uint32_t slot = 0; slot < bus_view_limit(gateway->bus); slot++)
        if (bus_view_read(gateway->bus, slot, &view) && openmetrics_add(page, &view))
            return -ENOMEM;
    int r = add_status(page, gateway);
    return r ? r : add_processes(page, gateway);
}

void route_metrics(struct exchange *exchange)
{
    struct evhttp_request *request = exchange->request;
    const char *accept = evhttp_find_header(evhttp_request_get_input_headers(request), "Accept");
    enum openmetrics_format format = openmetrics_negotiate(accept);
    struct scrape *scrape = calloc(1, sizeof *scrape);

    if (scrape)
        scrape->page = openmetrics_new(format);
    if (!scrape || !scrape->page || fill(scrape->page, exchange->gateway)) {
        if (scrape)
            scrape_free(scrape);
        reply_error(request, 500, "out of memory");
        return;
    }
    reply_header(request, "Content-Type", openmetrics_content_type(format));
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
        scrape_free(scrape);
        evhttp_send_reply(request, 200, NULL, NULL);
        return;
    }
    held_init(&scrape->held, request, on_client_gone, scrape);
    evhttp_send_reply_start(request, 200, NULL);
    send_piece(NULL, scrape);
}
