/*
 * The courier: what is urgent leaves the host here. It reads events from the bus, keeps those that people
 * want to be told in a ring that was there from the start, and POSTs them one by one until they are taken.
 * After its own restart it goes on from half a minute ago: a receiver may hear an event twice (its number
 * tells), never not at all.
 */

#include "agent/bus.h"
#include "agent/courier_filter.h"
#include "agent/courier_post.h"
#include "agent/courier_queue.h"
#include "agent/role.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "exporters/json.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { READ_MAX = 256 << 10, HOST_SIZE = 256 };
#define LOOK_BACK_NS (30 * NSEC_PER_SEC)

struct courier {
    struct role_context *context;
    struct bus_reader *bus;
    struct frame_decoder *decoder;
    struct buf frames;
    struct loop_watch wake;
    struct loop_timer retry;
    struct courier_filter filter;
    struct courier_queue queue;
    struct post *post; /* NULL: no webhook */
    uint64_t sending;  /* number of the event under way */
    uint64_t since_wall_ns;
    char host[HOST_SIZE];
};

/* The body of a POST: the event as the API shows it, and whose it is. */
static char *body_of(const struct courier *courier, const struct event *event)
{
    json_t *object = json_event(event);
    char *body = NULL;

    if (object && !json_object_set_new(object, "host", json_text(courier->host)))
        body = json_dumps(object, JSON_DUMP_FLAGS);
    json_decref(object);
    return body;
}

/* Starts what may start: nothing is under way, something waits, and it is time. */
static void poke(struct courier *courier)
{
    const struct event *event = courier_queue_peek(&courier->queue);

    if (!courier->post || post_busy(courier->post) || !event || courier->context->stopping)
        return;
    if (courier->queue.next_ns > clock_mono_ns()) {
        loop_timer_arm_at(&courier->retry, courier->queue.next_ns);
        return;
    }
    char *body = body_of(courier, event);
    courier->sending = event->sequence;
    if (!body || post_send(courier->post, body, strlen(body)))
        loop_timer_arm_at(&courier->retry, courier_queue_failed(&courier->queue, clock_mono_ns()));
    free(body);
}

static void on_retry(void *owner)
{
    poke(owner);
}

static void on_posted(void *owner, enum post_result result, const char *why)
{
    struct courier *courier = owner;
    unsigned long long number = courier->sending;

    switch (result) {
    case POST_DELIVERED:
        courier_queue_succeeded(&courier->queue);
        courier_queue_done(&courier->queue, courier->sending);
        break;
    case POST_REFUSED:
        log_error("courier", "the webhook refused event %llu: %s, leaving it out", number, why);
        courier_queue_succeeded(&courier->queue);
        courier_queue_done(&courier->queue, courier->sending);
        break;
    case POST_FAILED:
        courier_queue_failed(&courier->queue, clock_mono_ns());
        log_warn("courier", "event %llu did not reach the webhook: %s, %u wait, trying again", number, why,
                 courier->queue.count);
        break;
    }
    /* Not from within the client's callback: the next POST makes a new connection, and this one is still in
     * use here. */
    uint64_t now = clock_mono_ns();
    loop_timer_arm_at(&courier->retry, courier->queue.next_ns > now ? courier->queue.next_ns : now);
}

static void run_exec(struct courier *courier, const struct event *event)
{
    struct message_exec body = {.event = *event};
    struct link_letter letter = {.type = MESSAGE_RUN_EXEC, .body = &body, .len = sizeof body};

    int r = role_send(courier->context, ROLE_PARENT, &letter);
    if (r)
        log_error("courier", "the exec route for event %llu cannot be asked for (%d), leaving it out",
                  (unsigned long long)event->sequence, r);
}

static void take_event(struct courier *courier, const struct event *event)
{
    if (event->wall_ns < courier->since_wall_ns || !courier_filter_pass(&courier->filter, event))
        return;
    if (courier->context->settings->exec[0])
        run_exec(courier, event);
    if (courier->post && !courier_queue_push(&courier->queue, event))
        log_error("courier", "%d events wait for the webhook: the oldest was dropped", COURIER_QUEUE_MAX);
}

static void take_frames(struct courier *courier)
{
    const char *at = courier->frames.data;
    const char *end = at + courier->frames.len;
    struct frame_header header;
    struct frame_news news;
    const void *payload;

    while (at < end && frame_peek(at, (size_t)(end - at), &header, &payload) == FRAME_OK) {
        if (header.type == FRAME_EVENT && !frame_decode(courier->decoder, &header, payload, &news))
            take_event(courier, news.event);
        at += frame_size(header.len);
    }
}

static void drain(struct courier *courier)
{
    uint64_t lost = 0;

    for (int r = BUS_FRAMES; r == BUS_FRAMES || r == BUS_LAPPED;) {
        buf_clear(&courier->frames);
        r = bus_read(courier->bus, READ_MAX, &courier->frames, &lost);
        if (r == BUS_LAPPED)
            log_error("courier",
                      "%llu frames were overwritten before they were read: an alert may be among them",
                      (unsigned long long)lost);
        if (courier->frames.len)
            take_frames(courier);
    }
    poke(courier);
}

static void on_wake(void *owner, int fd, unsigned what UNUSED)
{
    uint64_t count;

    if (read(fd, &count, sizeof count) > 0)
        drain(owner);
}

/* The courier speaks when memory is short: nothing of it is paged out where that is allowed, else at least
 * what waits to be told. */
static void stay_in_memory(struct courier *courier)
{
    struct rlimit limit;
    bool unbounded = !getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur == RLIM_INFINITY;

    if ((unbounded && !mlockall(MCL_CURRENT | MCL_FUTURE)) || !mlock(courier, sizeof *courier))
        return;
    log_info("courier", "its memory cannot be locked (%s): going on without", strerror(errno));
}

static int open_post(struct courier *courier)
{
    const char *url = courier->context->settings->webhook;

    if (!url[0])
        return 0;
    int r = post_new(loop_base(courier->context->loop), url, on_posted, courier, &courier->post);
    if (r == -EPROTONOSUPPORT)
        log_error("courier", "webhook '%s': this build speaks http only, no event is sent", url);
    else if (r)
        log_error("courier", "webhook '%s': %s, no event is sent", url, strerror(-r));
    return r == -ENOMEM ? r : 0;
}

static int courier_open(struct courier *courier, struct role_context *context)
{
    static const struct role_handlers handlers = {0};

    courier->context = context;
    courier->since_wall_ns = clock_wall_ns() - LOOK_BACK_NS;
    if (gethostname(courier->host, sizeof courier->host - 1))
        str_copy(courier->host, sizeof courier->host, "localhost");
    courier->decoder = frame_decoder_new();
    if (!courier->decoder)
        return -ENOMEM;
    int r = bus_reader_open(context->bus_fd, &courier->bus);
    if (!r)
        r = loop_timer_init(&courier->retry, context->loop, LOOP_NORMAL, on_retry, courier);
    if (!r)
        r = loop_watch_init(&courier->wake, context->loop, context->wake_fd, LOOP_READ, LOOP_URGENT, on_wake,
                            courier);
    if (!r)
        r = open_post(courier);
    if (r)
        return r;
    role_handle(context, &handlers, courier);
    bus_seek(courier->bus, 0);
    stay_in_memory(courier);
    return 0;
}

static void courier_close(struct courier *courier)
{
    courier->post = post_free(courier->post);
    loop_watch_fini(&courier->wake);
    loop_timer_fini(&courier->retry);
    courier->bus = bus_reader_close(courier->bus);
    courier->decoder = frame_decoder_free(courier->decoder);
    buf_fini(&courier->frames);
    courier_filter_fini(&courier->filter);
}

int courier_main(struct role_context *context)
{
    static struct courier courier;

    int r = courier_open(&courier, context);
    if (r)
        log_error("courier", "cannot start: %s", strerror(-r));
    else
        drain(&courier);
    int code = r ? 1 : loop_run(context->loop);
    courier_close(&courier);
    return code;
}
