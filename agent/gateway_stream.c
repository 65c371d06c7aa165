#include "agent/gateway_stream.h"
#include "agent/bus.h"
#include "agent/gateway.h"
#include "agent/gateway_http.h"
#include "agent/gateway_routes.h"
#include "base/clock.h"
#include "base/str.h"
#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLIENTS_MAX = 64,
    UNSENT_MAX = 1 << 20,
    READ_MAX = 256 << 10,
};
#define HEARTBEAT_NS (15 * NSEC_PER_SEC)

/* The clients that asked for the same fields, and the tick being encoded for them. */
struct variant {
    struct list_link link;
    struct gateway_stream *stream;
    struct json_fields fields;
    bool silent; /* ticks=off: events alone */
    struct list clients;
    struct evbuffer *tick; /* NULL: not begun */
    uint32_t slot;         /* the next to be encoded */
    bool comma, done;
};

struct client {
    struct list_link link;
    struct variant *variant;
    struct event_filter filter; /* the events that it wants */
    struct held held;
};

static void client_free(struct client *client)
{
    struct variant *variant = client->variant;

    list_remove(&client->link);
    variant->stream->client_count--;
    free(client);
    if (!list_empty(&variant->clients))
        return;
    list_remove(&variant->link);
    if (variant->tick)
        evbuffer_free(variant->tick);
    free(variant);
}

static void on_client_gone(void *owner)
{
    client_free(owner);
}

static void client_drop(struct client *client)
{
    held_drop(&client->held);
    client_free(client);
}

/* Sends a copy that shares the bytes of @what. False: it was dropped, and freed. */
static bool client_send(struct client *client, struct evbuffer *what)
{
    struct evbuffer *chunk = held_unsent(&client->held) <= UNSENT_MAX ? evbuffer_new() : NULL;

    bool sent = chunk && !evbuffer_add_buffer_reference(chunk, what);

    if (sent)
        evhttp_send_reply_chunk(client->held.request, chunk);
    else
        client_drop(client);
    if (chunk)
        evbuffer_free(chunk);
    return sent;
}

/* @event: what it is about, for those that do not want every one; NULL: it is for all. */
static void variant_send(struct variant *variant, struct evbuffer *what, const struct event *event)
{
    struct client *client;
    bool last = false;

    /* The variant goes with its last client. */
    for (struct list_link *link = variant->clients.head.next, *next; !last; link = next) {
        client = CONTAINER_OF(link, struct client, link);
        next = link->next;
        last = next == &variant->clients.head;
        if (!event || event_filter_fits(&client->filter, event))
            client_send(client, what);
    }
}

static void send_to_all(struct gateway_stream *stream, struct evbuffer *what, const struct event *event)
{
    struct variant *variant;

    LIST_FOR_EACH(variant, &stream->variants, struct variant, link)
        variant_send(variant, what, event);
}

static int append(const char *bytes, size_t len, void *buffer)
{
    return evbuffer_add(buffer, bytes, len);
}

/* An event as a line of the stream, or NULL. */
static struct evbuffer *event_line(const struct event *event)
{
    struct evbuffer *line = evbuffer_new();
    json_t *object = json_event(event);
    bool made = false;

    if (line && object) {
        evbuffer_add_printf(line, "event: event\nid: %llu\ndata: ", (unsigned long long)event->sequence);
        made = !json_dump_callback(object, append, line, JSON_DUMP_FLAGS) && !evbuffer_add(line, "\n\n", 2);
    }
    json_decref(object);
    if (line && !made)
        evbuffer_free(line);
    return made ? line : NULL;
}

/* Events alone are decoded: the frames of rows are passed over. Goes on while @take returns true. */
typedef bool take_event_fn(void *owner, const struct event *event);

static bool take_events(struct gateway_stream *stream, const struct buf *frames, take_event_fn *take,
                        void *owner)
{
    const char *at = frames->data, *end = at + frames->len;
    struct frame_header header;
    struct frame_news news;
    const void *payload;
    bool more = true;

    while (more && at < end && frame_peek(at, (size_t)(end - at), &header, &payload) == FRAME_OK) {
        if (header.type == FRAME_EVENT && !frame_decode(stream->decoder, &header, payload, &news))
            more = take(owner, news.event);
        at += frame_size(header.len);
    }
    return more;
}

/* Reads all that @bus holds from where it stands. */
static void read_events(struct gateway_stream *stream, struct bus_reader *bus, take_event_fn *take,
                        void *owner)
{
    uint64_t lost;
    bool more = true;

    for (int r = BUS_FRAMES; more && (r == BUS_FRAMES || r == BUS_LAPPED);) {
        buf_clear(&stream->frames);
        r = bus_read(bus, READ_MAX, &stream->frames, &lost);
        if (stream->frames.len)
            more = take_events(stream, &stream->frames, take, owner);
    }
}

static bool send_event(void *owner, const struct event *event)
{
    struct evbuffer *line = event_line(event);

    if (line) {
        send_to_all(owner, line, event);
        evbuffer_free(line);
    }
    return true;
}

/* A client that comes back and says what it heard last. */
struct replay {
    struct client *client;
    uint64_t after;
};

static bool replay_event(void *owner, const struct event *event)
{
    const struct replay *replay = owner;
    bool wanted = event->sequence > replay->after && event_filter_fits(&replay->client->filter, event);
    struct evbuffer *line = wanted ? event_line(event) : NULL;
    bool alive = true;

    if (line) {
        alive = client_send(replay->client, line);
        evbuffer_free(line);
    }
    return alive;
}

/* What the ring still holds of the events that the client missed. An event may come twice, once here and once
 * as it happens. */
static void replay_events(struct gateway_stream *stream, struct client *client, uint64_t after)
{
    struct replay replay = {.client = client, .after = after};
    struct bus_reader *bus;

    if (bus_reader_open(stream->gateway->context->bus_fd, &bus))
        return;
    read_events(stream, bus, replay_event, &replay);
    bus_reader_close(bus);
}

static void begin_tick(struct gateway_stream *stream)
{
    struct variant *variant;

    LIST_FOR_EACH(variant, &stream->variants, struct variant, link) {
        if (variant->tick)
            evbuffer_free(variant->tick);
        variant->tick = NULL;
        variant->slot = 0;
        variant->comma = false;
        variant->done = variant->silent;
    }
    stream->again = false;
    loop_job_start(&stream->job);
}

void gateway_stream_wake(struct gateway_stream *stream)
{
    struct bus_status status;

    if (!stream->client_count)
        return;
    read_events(stream, stream->gateway->bus, send_event, stream);
    bus_status_read(stream->gateway->bus, &status);
    if (status.ticks == stream->ticks)
        return;
    stream->ticks = status.ticks;
    if (stream->job.running)
        stream->again = true;
    else
        begin_tick(stream);
}

static void put_json(struct evbuffer *out, json_t *object)
{
    if (object)
        json_dump_callback(object, append, out, JSON_DUMP_FLAGS);
    else
        evbuffer_add(out, "null", 4);
    json_decref(object);
}

static bool tick_head(struct variant *variant, const struct json_host *host)
{
    struct gateway *gateway = variant->stream->gateway;
    struct view view;

    variant->tick = evbuffer_new();
    if (!variant->tick)
        return false;
    evbuffer_add_printf(variant->tick,
                        "event: tick\ndata: {\"time\":%.6f,\"host\":", (double)clock_wall_ns() / 1e9);
    bool found = gateway_views_host(&gateway->views, gateway->bus, &view);
    put_json(variant->tick, found ? json_container(host, &variant->fields, &view) : json_null());
    evbuffer_add_printf(variant->tick, ",\"containers\":[");
    return true;
}

/* Goes on with one variant's tick; true when it is complete. */
static bool tick_go_on(struct variant *variant, const struct json_host *host, uint64_t until_ns)
{
    struct bus_reader *bus = variant->stream->gateway->bus;
    struct view view;

    for (uint32_t end = bus_view_limit(bus); variant->slot < end; variant->slot++) {
        if (clock_mono_ns() >= until_ns)
            return false;
        if (!bus_view_read(bus, variant->slot, &view) || view.identity.kind != SUBJECT_GROUP)
            continue;
        json_t *container = json_container(host, &variant->fields, &view);
        if (!container)
            continue;
        evbuffer_add(variant->tick, ",", variant->comma);
        variant->comma = true;
        put_json(variant->tick, container);
    }
    evbuffer_add_printf(variant->tick, "]}\n\n");
    return true;
}

static bool on_job(void *owner, uint64_t until_ns)
{
    struct gateway_stream *stream = owner;
    struct json_host host = gateway_json_host(stream->gateway);
    struct variant *variant;

    LIST_FOR_EACH(variant, &stream->variants, struct variant, link) {
        if (variant->done)
            continue;
        if (!variant->tick && !tick_head(variant, &host))
            return false;
        if (!tick_go_on(variant, &host, until_ns))
            return true;
        variant->done = true;
        variant_send(variant, variant->tick, NULL);
    }
    if (stream->again)
        begin_tick(stream);
    return stream->again;
}

static void on_heartbeat(void *owner)
{
    struct gateway_stream *stream = owner;
    struct evbuffer *line = stream->client_count ? evbuffer_new() : NULL;

    if (line && evbuffer_add(line, ": masu\n\n", 8) == 0)
        send_to_all(stream, line, NULL);
    if (line)
        evbuffer_free(line);
    loop_timer_arm_at(&stream->heartbeat, clock_mono_ns() + HEARTBEAT_NS);
}

static struct variant *variant_for(struct gateway_stream *stream, const struct json_fields *fields,
                                   bool silent)
{
    struct variant *variant;

    LIST_FOR_EACH(variant, &stream->variants, struct variant, link)
        if (variant->silent == silent && !memcmp(&variant->fields, fields, sizeof *fields))
            return variant;
    variant = calloc(1, sizeof *variant);
    if (!variant)
        return NULL;
    variant->stream = stream;
    variant->fields = *fields;
    variant->silent = variant->done = silent;
    list_init(&variant->clients);
    list_append(&stream->variants, &variant->link);
    return variant;
}

static struct client *add_client(struct gateway_stream *stream, struct evhttp_request *request,
                                 const struct json_fields *fields, bool silent)
{
    struct client *client = calloc(1, sizeof *client);
    struct variant *variant = client ? variant_for(stream, fields, silent) : NULL;

    if (!variant) {
        free(client);
        return NULL;
    }
    client->variant = variant;
    list_append(&variant->clients, &client->link);
    held_init(&client->held, request, on_client_gone, client);
    if (!stream->client_count++) {
        bus_seek(stream->gateway->bus, UINT64_MAX);
        stream->ticks = 0;
    }
    return client;
}

/* What the client heard last: after= of ours, or what a browser says when it comes back. 0: nothing. False: a
 * 400 was replied. */
static bool read_last_heard(struct exchange *exchange, uint64_t *ret)
{
    const char *header =
        evhttp_find_header(evhttp_request_get_input_headers(exchange->request), "Last-Event-ID");

    if (!exchange_number(exchange, "after", &(struct number_bounds){0, UINT64_MAX, 0}, ret))
        return false;
    if (!*ret && header && str_to_u64(header, ret))
        *ret = 0;
    return true;
}

void route_stream(struct exchange *exchange)
{
    struct gateway_stream *stream = &exchange->gateway->stream;
    const char *text = exchange_query(exchange, "fields"), *ticks = exchange_query(exchange, "ticks");
    struct json_fields fields = JSON_FIELDS_ALL;
    bool silent = ticks && !strcmp(ticks, "off");
    struct event_filter filter;
    struct client *client = NULL;
    uint64_t heard;

    if (text && !json_fields_parse(text, &fields)) {
        reply_error(exchange->request, 400, "fields is '%.80s', expected members of a container", text);
        return;
    }
    if (!read_last_heard(exchange, &heard) || !exchange_event_filter(exchange, &filter))
        return;
    if (evhttp_request_get_command(exchange->request) == EVHTTP_REQ_HEAD) {
        reply_bytes(exchange->request, "text/event-stream", "", 0);
        return;
    }
    if (stream->client_count < CLIENTS_MAX)
        client = add_client(stream, exchange->request, &fields, silent);
    if (!client) {
        reply_error(exchange->request, 503, "too many clients read the stream");
        return;
    }
    client->filter = filter;
    reply_header(exchange->request, "Content-Type", "text/event-stream");
    reply_header(exchange->request, "Cache-Control", "no-cache");
    evhttp_send_reply_start(exchange->request, 200, NULL);
    if (heard)
        replay_events(stream, client, heard);
    gateway_stream_wake(stream);
}

int gateway_stream_init(struct gateway_stream *stream, struct gateway *gateway)
{
    stream->gateway = gateway;
    list_init(&stream->variants);
    stream->decoder = frame_decoder_new();
    if (!stream->decoder || loop_job_init(&stream->job, gateway->context->loop, on_job, stream) ||
        loop_timer_init(&stream->heartbeat, gateway->context->loop, LOOP_NORMAL, on_heartbeat, stream))
        return -ENOMEM;
    loop_timer_arm_at(&stream->heartbeat, clock_mono_ns() + HEARTBEAT_NS);
    return 0;
}

void gateway_stream_fini(struct gateway_stream *stream)
{
    struct variant *variant;

    if (!stream->gateway)
        return;
    LIST_FOR_EACH(variant, &stream->variants, struct variant, link)
        for (bool last = false; !last;) {
            struct client *client = CONTAINER_OF(variant->clients.head.next, struct client, link);
            last = client->link.next == &variant->clients.head;
            client_drop(client);
        }
    loop_timer_fini(&stream->heartbeat);
    loop_job_fini(&stream->job);
    stream->decoder = frame_decoder_free(stream->decoder);
    buf_fini(&stream->frames);
}
